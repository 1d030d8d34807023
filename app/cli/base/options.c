#include "cli/base/options.h"

#include <errno.h>
#include <math.h>
#include <string.h>

const HearthOption hearth_options_common[] = {
    {"json", 0, HEARTH_OPTION_FLAG, NULL, offsetof(HearthCommon, json), 0, 0,
     "print one JSON document and nothing else"},
    {"help", 'h', HEARTH_OPTION_FLAG, NULL, offsetof(HearthCommon, help), 0, 0,
     "explain this command"},
    {NULL},
};

bool hearth_options_number(const char *text, gint64 min, gint64 max, gint64 *ret)
{
    char *end;
    errno = 0;
    gint64 value = g_ascii_strtoll(text, &end, 10);
    /* strtoll would skip white space and take a sign */
    if (!g_ascii_isdigit(text[*text == '-']) || *end || errno || value < min || value > max)
        return false;
    *ret = value;
    return true;
}

static const HearthOption *find(const HearthOption *options, const char *name, size_t len,
                                char letter)
{
    const HearthOption *tables[] = {options, hearth_options_common};
    for (size_t t = 0; t < G_N_ELEMENTS(tables); t++)
        for (const HearthOption *o = tables[t]; o->name; o++)
            if (name ? strlen(o->name) == len && strncmp(o->name, name, len) == 0
                     : o->letter == letter)
                return o;
    return NULL;
}

static bool set_choice(const HearthOption *o, const char *text, void *field, GError **error)
{
    g_auto(GStrv) choices = g_strsplit(o->arg, "|", -1);
    if (!g_strv_contains((const char *const *)choices, text)) {
        g_autofree char *list = g_strjoinv(" or ", choices);
        return hearth_error(error, HEARTH_ERROR_USAGE, "--%s takes %s, not \"%s\".", o->name, list,
                            text);
    }
    *(const char **)field = text;
    return true;
}

static bool set_int(const HearthOption *o, const char *text, void *field, GError **error)
{
    gint64 value;
    if (!hearth_options_number(text, (gint64)o->min, (gint64)o->max, &value))
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "--%s takes a whole number from %.0f to %.0f, not \"%s\".", o->name,
                            o->min, o->max, text);
    *(int *)field = (int)value;
    return true;
}

static bool set_real(const HearthOption *o, const char *text, void *field, GError **error)
{
    char *end;
    double value = g_ascii_strtod(text, &end);
    if (end == text || *end || g_ascii_isspace(*text) || !isfinite(value) || value < o->min ||
        value > o->max)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "--%s takes a number from %g to %g, not \"%s\".", o->name, o->min,
                            o->max, text);
    *(double *)field = value;
    return true;
}

static bool set_seed(const HearthOption *o, const char *text, void *field, GError **error)
{
    guint64 value;
    if (!g_ascii_string_to_unsigned(text, 10, 0, ENG_SEED_RANDOM - 1, &value, NULL))
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "--%s takes a whole number from 0 to %" G_GUINT64_FORMAT
                            ", not \"%s\".",
                            o->name, ENG_SEED_RANDOM - 1, text);
    *(guint64 *)field = value;
    return true;
}

/* As GNU's tools read them: a letter alone, or with i or iB, counts by 1024; with B, by 1000. */
static bool unit(const char *text, double *ret)
{
    static const char letters[] = "KMGT";
    static const struct {
        const char *behind;
        double base;
    } kinds[] = {{"", 1024}, {"i", 1024}, {"iB", 1024}, {"B", 1000}};
    const char *letter = *text ? strchr(letters, g_ascii_toupper(*text)) : NULL;
    for (size_t i = 0; letter && i < G_N_ELEMENTS(kinds); i++)
        if (g_ascii_strcasecmp(text + 1, kinds[i].behind) == 0) {
            *ret = pow(kinds[i].base, (double)(letter - letters + 1));
            return true;
        }
    return false;
}

static bool set_size(const HearthOption *o, const char *text, void *field, GError **error)
{
    char *end;
    double value = g_ascii_strtod(text, &end), bytes = 0;
    bool sound = end != text && g_ascii_isdigit(*text) && isfinite(value) && unit(end, &bytes);
    value *= bytes;
    if (!sound || value < 1 || value > 1e18)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "--%s takes a size such as 24GiB, 800M or 25GB, not \"%s\".", o->name,
                            text);
    *(guint64 *)field = (guint64)value;
    return true;
}

static bool set(const HearthOption *o, const char *text, void *values, GError **error)
{
    void *field = (char *)values + o->offset;
    switch (o->kind) {
    case HEARTH_OPTION_FLAG: *(gboolean *)field = TRUE; return true;
    case HEARTH_OPTION_TEXT: *(const char **)field = text; return true;
    case HEARTH_OPTION_CHOICE: return set_choice(o, text, field, error);
    case HEARTH_OPTION_INT: return set_int(o, text, field, error);
    case HEARTH_OPTION_REAL: return set_real(o, text, field, error);
    case HEARTH_OPTION_SEED: return set_seed(o, text, field, error);
    case HEARTH_OPTION_SIZE: return set_size(o, text, field, error);
    }
    return hearth_error(error, HEARTH_ERROR_USAGE, "%s", o->help);
}

/* args[0] is an option; *ret_used is how many arguments it took. */
static bool parse_one(const char *command, const HearthOption *options, char **args, void *values,
                      int *ret_used, GError **error)
{
    const char *arg = args[0], *value = NULL;
    const HearthOption *o;
    if (arg[1] == '-') {
        size_t len = strcspn(arg + 2, "=");
        o = find(options, arg + 2, len, 0);
        if (arg[2 + len]) value = arg + 2 + len + 1;
    } else {
        o = find(options, NULL, 0, arg[1]);
        if (arg[2]) value = arg + 2;
    }
    if (!o)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "%s has no option %s: see 'hearth-cli %s --help'.", command, arg,
                            command);
    bool wants = o->kind != HEARTH_OPTION_FLAG;
    if (o->kind == HEARTH_OPTION_FLAG && value)
        return hearth_error(error, HEARTH_ERROR_USAGE, "--%s takes no value: leave out \"%s\".",
                            o->name, value);
    if (wants && !value && !args[1])
        return hearth_error(error, HEARTH_ERROR_USAGE, "--%s needs a value: --%s %s.", o->name,
                            o->name, o->arg);
    *ret_used = wants && !value ? 2 : 1;
    return set(o, wants && !value ? args[1] : value, values, error);
}

bool hearth_options_parse(const char *command, const HearthOption *options, char **args,
                          void *values, GPtrArray *operands, GError **error)
{
    bool only_operands = false;
    while (*args) {
        const char *arg = *args;
        int used = 1;
        /* "-" is a file, and -5 a (bad) number, whose command says what is wrong with it */
        bool is_option = !only_operands && arg[0] == '-' && arg[1] && !g_ascii_isdigit(arg[1]);
        if (is_option && strcmp(arg, "--") == 0)
            only_operands = true;
        else if (!is_option)
            g_ptr_array_add(operands, *args);
        else if (!parse_one(command, options, args, values, &used, error))
            return false;
        args += used;
    }
    return true;
}

void hearth_options_describe(const HearthOption *options, GString *out)
{
    for (const HearthOption *o = options; o->name; o++) {
        g_autoptr(GString) left = g_string_new(NULL);
        if (o->letter) g_string_append_printf(left, "-%c, ", o->letter);
        g_string_append_printf(left, "--%s", o->name);
        if (o->arg) g_string_append_printf(left, " %s", o->arg);
        g_string_append_printf(out, "  %-26s  %s\n", left->str, o->help);
    }
}

void hearth_options_describe_sizes(const HearthOption *options, GString *out)
{
    for (const HearthOption *o = options; o->name; o++)
        if (o->kind == HEARTH_OPTION_SIZE) {
            g_string_append(out,
                            "\nA SIZE ends with K, M, G or T. These count by 1024, also as KiB, "
                            "MiB, GiB and TiB;\nKB, MB, GB and TB count by 1000.\n");
            return;
        }
}
