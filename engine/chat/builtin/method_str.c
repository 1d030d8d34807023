/* Methods of str. */
#include <string.h>

#include "chat/builtin/builtin.h"
#include "chat/value/format.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static EngValue like(EngRun *run, EngValue self, EngStr *s)
{
    return eng_value_str(self.u.str->markup ? eng_str_mark(run, s, true) : s);
}

static EngValue list_like(EngRun *run, EngValue self, EngList *list)
{
    for (size_t i = 0; self.u.str->markup && i < list->n; i++)
        list->items[i] = like(run, self, list->items[i].u.str);
    return eng_value_list(list);
}

/* ---- arguments ---- */

static void no_named(EngRun *run, const char *name, const EngArgs *args)
{
    if (args->n_named) eng_value_raise(run, "str.%s() takes no keyword arguments", name);
}

static void no_args(EngRun *run, const char *name, const EngArgs *args)
{
    no_named(run, name, args);
    if (args->n) eng_value_raise(run, "str.%s() takes no arguments (%zu given)", name, args->n);
}

static void one_arg(EngRun *run, const char *name, const EngArgs *args)
{
    no_named(run, name, args);
    if (args->n != 1)
        eng_value_raise(run, "str.%s() takes exactly one argument (%zu given)", name, args->n);
}

static void count_args(EngRun *run, const char *name, const EngArgs *args, size_t least,
                       size_t most)
{
    no_named(run, name, args);
    if (args->n < least)
        eng_value_raise(run, "%s expected at least %zu argument%s, got %zu", name, least,
                        least == 1 ? "" : "s", args->n);
    if (args->n > most)
        eng_value_raise(run, "%s expected at most %zu argument%s, got %zu", name, most,
                        most == 1 ? "" : "s", args->n);
}

/* Parameters that may also be given by name. */
static void by_name(EngRun *run, const char *name, const EngArgs *args, const char *const *params,
                    size_t n, EngValue *ret)
{
    if (args->n + args->n_named > n)
        eng_value_raise(run, "%s() takes at most %zu argument%s (%zu given)", name, n,
                        n == 1 ? "" : "s", args->n + args->n_named);
    for (size_t i = 0; i < n; i++) ret[i] = i < args->n ? args->pos[i] : eng_value_missing();
    for (size_t k = 0; k < args->n_named; k++) {
        size_t i = 0;
        while (i < n && !eng_str_is_text(args->named[k].key.u.str, params[i])) i++;
        if (i < n) {
            ret[i] = args->named[k].value;
            continue;
        }
        EngText t = {0};
        eng_repr_add(run, &t, args->named[k].key);
        eng_text_printf(run, &t, " is an invalid keyword argument for %s()", name);
        eng_value_raise_str(run, eng_text_take(run, &t));
    }
}

static EngStr *need_str(EngRun *run, EngValue v)
{
    if (v.type != ENG_V_STR) eng_value_raise(run, "must be str, not %s", eng_value_type_name(v));
    return v.u.str;
}

/* ---- case and classes ---- */

#define CHANGE(name)                                                                               \
    static EngValue str_##name(EngRun *run, EngValue self, const EngArgs *args)                    \
    {                                                                                              \
        no_args(run, #name, args);                                                                 \
        return like(run, self, eng_str_##name(run, self.u.str));                                   \
    }
CHANGE(upper)
CHANGE(lower)
CHANGE(title)
CHANGE(capitalize)
CHANGE(swapcase)
CHANGE(casefold)

static bool is_printable(const EngStr *s)
{
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        at += eng_str_decode(s->data + at, &cp);
        if (!eng_str_is(cp, ENG_IS_PRINTABLE)) return false;
    }
    return true;
}

static bool is_alnum(const EngStr *s)
{
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        at += eng_str_decode(s->data + at, &cp);
        if (!eng_str_is(cp, ENG_IS_ALPHA) && !eng_str_is(cp, ENG_IS_NUMERIC)) return false;
    }
    return s->n > 0;
}

static bool is_identifier(const EngStr *s)
{
    uint32_t cp;
    if (s->n == 0) return false;
    eng_str_decode(s->data, &cp);
    if (cp != '_' && !eng_str_is(cp, ENG_IS_ALPHA)) return false;
    return eng_str_all(s, ENG_IS_IDENTIFIER);
}

#define QUESTION(name, condition)                                                                  \
    static EngValue str_##name(EngRun *run, EngValue self, const EngArgs *args)                    \
    {                                                                                              \
        const EngStr *s = self.u.str;                                                              \
        no_args(run, #name, args);                                                                 \
        return eng_value_bool(condition);                                                          \
    }
QUESTION(isalpha, eng_str_all(s, ENG_IS_ALPHA))
QUESTION(isdigit, eng_str_all(s, ENG_IS_DIGIT))
QUESTION(isdecimal, eng_str_all(s, ENG_IS_DECIMAL))
QUESTION(isnumeric, eng_str_all(s, ENG_IS_NUMERIC))
QUESTION(isalnum, is_alnum(s))
QUESTION(isspace, eng_str_all(s, ENG_IS_SPACE))
QUESTION(isupper, eng_str_is_case(s, true))
QUESTION(islower, eng_str_is_case(s, false))
QUESTION(istitle, eng_str_is_title(s))
QUESTION(isprintable, is_printable(s))
QUESTION(isidentifier, is_identifier(s))
QUESTION(isascii, s->chars == s->n)

/* ---- splitting and stripping ---- */

static EngValue split(EngRun *run, EngValue self, const EngArgs *args, const char *name, bool right)
{
    static const char *const params[] = {"sep", "maxsplit"};
    EngValue a[2];
    by_name(run, name, args, params, 2, a);
    const EngStr *sep = NULL;
    if (a[0].type == ENG_V_STR) sep = a[0].u.str;
    int64_t max = a[1].type == ENG_V_MISSING ? -1 : eng_builtin_index(run, a[1]);
    if (!sep && a[0].type != ENG_V_MISSING && a[0].type != ENG_V_NONE)
        eng_value_raise(run, "must be str or None, not %s", eng_value_type_name(a[0]));
    return list_like(run, self,
                     right ? eng_str_rsplit(run, self.u.str, sep, max)
                           : eng_str_split(run, self.u.str, sep, max));
}

static EngValue str_split(EngRun *run, EngValue self, const EngArgs *args)
{
    return split(run, self, args, "split", false);
}

static EngValue str_rsplit(EngRun *run, EngValue self, const EngArgs *args)
{
    return split(run, self, args, "rsplit", true);
}

static EngValue str_splitlines(EngRun *run, EngValue self, const EngArgs *args)
{
    static const char *const params[] = {"keepends"};
    EngValue keep;
    by_name(run, "splitlines", args, params, 1, &keep);
    bool ends = keep.type != ENG_V_MISSING && eng_value_truth(keep);
    return list_like(run, self, eng_str_lines(run, self.u.str, ends));
}

static EngValue strip(EngRun *run, EngValue self, const EngArgs *args, const char *name, int sides)
{
    count_args(run, name, args, 0, 1);
    const EngStr *chars = NULL;
    if (args->n && args->pos[0].type == ENG_V_STR)
        chars = args->pos[0].u.str;
    else if (args->n && args->pos[0].type != ENG_V_NONE)
        eng_value_raise(run, "%s arg must be None or str", name);
    return like(run, self, eng_str_strip(run, self.u.str, chars, sides));
}

static EngValue str_strip(EngRun *run, EngValue self, const EngArgs *args)
{
    return strip(run, self, args, "strip", ENG_STRIP_LEFT | ENG_STRIP_RIGHT);
}

static EngValue str_lstrip(EngRun *run, EngValue self, const EngArgs *args)
{
    return strip(run, self, args, "lstrip", ENG_STRIP_LEFT);
}

static EngValue str_rstrip(EngRun *run, EngValue self, const EngArgs *args)
{
    return strip(run, self, args, "rstrip", ENG_STRIP_RIGHT);
}

static EngValue partition(EngRun *run, EngValue self, const EngArgs *args, const char *name,
                          bool right)
{
    one_arg(run, name, args);
    EngStr *s = self.u.str, *sep = need_str(run, args->pos[0]), *empty = eng_str_text(run, "");
    if (sep->n == 0) eng_value_raise(run, "empty separator");
    size_t hit = right ? eng_str_rfind(run, s, sep, 0, s->n) : eng_str_find(run, s, sep, 0, s->n);
    EngList *parts = eng_value_list_new(run, 3);
    bool found = hit != ENG_STR_NOT_FOUND;
    parts->items[0] = like(run, self, found ? eng_str_cut(run, s, 0, hit) : right ? empty : s);
    parts->items[1] = like(run, self, found ? sep : empty);
    parts->items[2] = like(run, self,
                           found   ? eng_str_cut(run, s, hit + sep->n, s->n)
                           : right ? s
                                   : empty);
    return eng_value_tuple(parts);
}

static EngValue str_partition(EngRun *run, EngValue self, const EngArgs *args)
{
    return partition(run, self, args, "partition", false);
}

static EngValue str_rpartition(EngRun *run, EngValue self, const EngArgs *args)
{
    return partition(run, self, args, "rpartition", true);
}

static EngValue str_removeprefix(EngRun *run, EngValue self, const EngArgs *args)
{
    one_arg(run, "removeprefix", args);
    if (args->pos[0].type != ENG_V_STR)
        eng_value_raise(run, "removeprefix() argument must be str, not %s",
                        eng_value_type_name(args->pos[0]));
    const EngStr *s = self.u.str, *prefix = args->pos[0].u.str;
    bool has = s->n >= prefix->n && memcmp(s->data, prefix->data, prefix->n) == 0;
    return like(run, self, eng_str_cut(run, s, has ? prefix->n : 0, s->n));
}

static EngValue str_removesuffix(EngRun *run, EngValue self, const EngArgs *args)
{
    one_arg(run, "removesuffix", args);
    if (args->pos[0].type != ENG_V_STR)
        eng_value_raise(run, "removesuffix() argument must be str, not %s",
                        eng_value_type_name(args->pos[0]));
    const EngStr *s = self.u.str, *suffix = args->pos[0].u.str;
    bool has =
        s->n >= suffix->n && memcmp(s->data + s->n - suffix->n, suffix->data, suffix->n) == 0;
    return like(run, self, eng_str_cut(run, s, 0, has ? s->n - suffix->n : s->n));
}

/* ---- searching ---- */

/* [start, end) of find, count, startswith … as byte offsets; false: the range is empty because it
 * begins after the end, where not even "" is found. */
static bool search_range(EngRun *run, const EngStr *s, const EngArgs *args, size_t *from,
                         size_t *to)
{
    int64_t n = (int64_t)s->chars, part[2] = {0, n};
    for (size_t i = 0; i < 2; i++) {
        if (args->n <= i + 1 || args->pos[i + 1].type == ENG_V_NONE) continue;
        if (!eng_value_int_like(args->pos[i + 1], &part[i]))
            eng_value_raise(run,
                            "slice indices must be integers or None or have an __index__ method");
        if (part[i] < 0) part[i] = part[i] + n < 0 ? 0 : part[i] + n;
    }
    if (part[1] > n) part[1] = n;
    if (part[0] > part[1]) return false;
    *from = eng_str_offset(run, s, (size_t)part[0]);
    *to = eng_str_offset(run, s, (size_t)part[1]);
    return true;
}

static size_t search(EngRun *run, EngValue self, const EngArgs *args, const char *name, bool right)
{
    no_named(run, name, args);
    if (args->n < 1) eng_value_raise(run, "%s() takes at least 1 argument (0 given)", name);
    if (args->n > 3)
        eng_value_raise(run, "%s() takes at most 3 arguments (%zu given)", name, args->n);
    const EngStr *sub = need_str(run, args->pos[0]), *s = self.u.str;
    size_t from, to;
    if (!search_range(run, s, args, &from, &to)) return ENG_STR_NOT_FOUND;
    return right ? eng_str_rfind(run, s, sub, from, to) : eng_str_find(run, s, sub, from, to);
}

static EngValue found_at(EngRun *run, EngValue self, size_t hit, bool must)
{
    if (hit != ENG_STR_NOT_FOUND)
        return eng_value_int((int64_t)eng_str_count(self.u.str->data, hit));
    if (must) eng_value_raise(run, "substring not found");
    return eng_value_int(-1);
}

static EngValue str_find(EngRun *run, EngValue self, const EngArgs *args)
{
    return found_at(run, self, search(run, self, args, "find", false), false);
}

static EngValue str_rfind(EngRun *run, EngValue self, const EngArgs *args)
{
    return found_at(run, self, search(run, self, args, "rfind", true), false);
}

static EngValue str_index(EngRun *run, EngValue self, const EngArgs *args)
{
    return found_at(run, self, search(run, self, args, "index", false), true);
}

static EngValue str_rindex(EngRun *run, EngValue self, const EngArgs *args)
{
    return found_at(run, self, search(run, self, args, "rindex", true), true);
}

static EngValue str_count(EngRun *run, EngValue self, const EngArgs *args)
{
    size_t from, to, n = 0;
    size_t hit = search(run, self, args, "count", false);
    const EngStr *s = self.u.str, *sub = args->pos[0].u.str;
    if (hit == ENG_STR_NOT_FOUND || !search_range(run, s, args, &from, &to))
        return eng_value_int(0);
    if (sub->n == 0) return eng_value_int((int64_t)eng_str_count(s->data + from, to - from) + 1);
    for (; hit != ENG_STR_NOT_FOUND; n++) hit = eng_str_find(run, s, sub, hit + sub->n, to);
    return eng_value_int((int64_t)n);
}

static bool has_affix(EngRun *run, const EngStr *s, const EngArgs *args, const EngStr *affix,
                      bool end)
{
    size_t from, to;
    if (!search_range(run, s, args, &from, &to) || to - from < affix->n) return false;
    return memcmp(s->data + (end ? to - affix->n : from), affix->data, affix->n) == 0;
}

static EngValue affix(EngRun *run, EngValue self, const EngArgs *args, const char *name, bool end)
{
    no_named(run, name, args);
    if (args->n < 1) eng_value_raise(run, "%s() takes at least 1 argument (0 given)", name);
    if (args->n > 3)
        eng_value_raise(run, "%s() takes at most 3 arguments (%zu given)", name, args->n);
    EngValue v = args->pos[0];
    if (v.type == ENG_V_STR) return eng_value_bool(has_affix(run, self.u.str, args, v.u.str, end));
    if (v.type != ENG_V_TUPLE)
        eng_value_raise(run, "%s first arg must be str or a tuple of str, not %s", name,
                        eng_value_type_name(v));
    for (size_t i = 0; i < v.u.list->n; i++) {
        EngValue one = v.u.list->items[i];
        if (one.type != ENG_V_STR)
            eng_value_raise(run, "tuple for %s must only contain str, not %s", name,
                            eng_value_type_name(one));
        if (has_affix(run, self.u.str, args, one.u.str, end)) return eng_value_bool(true);
    }
    return eng_value_bool(false);
}

static EngValue str_startswith(EngRun *run, EngValue self, const EngArgs *args)
{
    return affix(run, self, args, "startswith", false);
}

static EngValue str_endswith(EngRun *run, EngValue self, const EngArgs *args)
{
    return affix(run, self, args, "endswith", true);
}

/* ---- building ---- */

static EngValue str_replace(EngRun *run, EngValue self, const EngArgs *args)
{
    count_args(run, "replace", args, 2, 3);
    for (int i = 0; i < 2; i++)
        if (args->pos[i].type != ENG_V_STR)
            eng_value_raise(run, "replace() argument %d must be str, not %s", i + 1,
                            eng_value_type_name(args->pos[i]));
    int64_t count = args->n > 2 ? eng_builtin_index(run, args->pos[2]) : -1;
    EngStr *by = args->pos[1].u.str;
    if (self.u.str->markup && !by->markup) by = eng_str_escape(run, by);
    return like(run, self, eng_str_replace(run, self.u.str, args->pos[0].u.str, by, count));
}

static EngValue str_join(EngRun *run, EngValue self, const EngArgs *args)
{
    one_arg(run, "join", args);
    if (!eng_iter_possible(args->pos[0])) {
        if (self.u.str->markup) eng_iter_of(run, args->pos[0]);
        eng_value_raise(run, "can only join an iterable");
    }
    EngList *items = eng_iter_list(run, args->pos[0]);
    EngText t = {0};
    for (size_t i = 0; i < items->n; i++) {
        EngValue v = items->items[i];
        if (i) eng_text_str(run, &t, self.u.str);
        if (self.u.str->markup) {
            EngStr *s = eng_repr_soft(run, v);
            eng_text_str(run, &t, s->markup ? s : eng_str_escape(run, s));
            continue;
        }
        if (v.type != ENG_V_STR)
            eng_value_raise(run, "sequence item %zu: expected str instance, %s found", i,
                            eng_value_type_name(v));
        eng_text_str(run, &t, v.u.str);
    }
    return like(run, self, eng_text_take(run, &t));
}

typedef enum { LEFT, RIGHT, BOTH } Side;

static EngValue padded(EngRun *run, EngValue self, const EngArgs *args, const char *name,
                       Side blanks)
{
    count_args(run, name, args, 1, 2);
    int64_t width = eng_builtin_index(run, args->pos[0]);
    uint32_t fill = ' ';
    if (args->n > 1) {
        if (args->pos[1].type != ENG_V_STR)
            eng_value_raise(run, "The fill character must be a unicode character, not %s",
                            eng_value_type_name(args->pos[1]));
        if (args->pos[1].u.str->chars != 1)
            eng_value_raise(run, "The fill character must be exactly one character long");
        eng_str_decode(args->pos[1].u.str->data, &fill);
    }
    const EngStr *s = self.u.str;
    size_t pad = width > (int64_t)s->chars ? (size_t)width - s->chars : 0;
    size_t left = blanks == LEFT ? pad : blanks == RIGHT ? 0 : pad / 2 + (pad & (size_t)width & 1);
    EngText t = {0};
    eng_text_fill(run, &t, fill, left);
    eng_text_str(run, &t, s);
    eng_text_fill(run, &t, fill, pad - left);
    return like(run, self, eng_text_take(run, &t));
}

static EngValue str_center(EngRun *run, EngValue self, const EngArgs *args)
{
    return padded(run, self, args, "center", BOTH);
}

static EngValue str_ljust(EngRun *run, EngValue self, const EngArgs *args)
{
    return padded(run, self, args, "ljust", RIGHT);
}

static EngValue str_rjust(EngRun *run, EngValue self, const EngArgs *args)
{
    return padded(run, self, args, "rjust", LEFT);
}

static EngValue str_zfill(EngRun *run, EngValue self, const EngArgs *args)
{
    one_arg(run, "zfill", args);
    int64_t width = eng_builtin_index(run, args->pos[0]);
    const EngStr *s = self.u.str;
    size_t pad = width > (int64_t)s->chars ? (size_t)width - s->chars : 0;
    size_t sign = pad && s->n && (s->data[0] == '-' || s->data[0] == '+');
    EngText t = {0};
    eng_text_add(run, &t, s->data, sign);
    eng_text_fill(run, &t, '0', pad);
    eng_text_add(run, &t, s->data + sign, s->n - sign);
    return like(run, self, eng_text_take(run, &t));
}

static EngValue str_expandtabs(EngRun *run, EngValue self, const EngArgs *args)
{
    static const char *const params[] = {"tabsize"};
    EngValue size;
    by_name(run, "expandtabs", args, params, 1, &size);
    int64_t tab = size.type == ENG_V_MISSING ? 8 : eng_builtin_index(run, size), column = 0;
    EngText t = {0};
    for (size_t at = 0; at < self.u.str->n;) {
        uint32_t cp;
        at += eng_str_decode(self.u.str->data + at, &cp);
        if (cp == '\t') {
            size_t pad = tab > 0 ? (size_t)(tab - column % tab) : 0;
            eng_text_fill(run, &t, ' ', pad);
            column += (int64_t)pad;
            continue;
        }
        column = cp == '\n' || cp == '\r' ? 0 : column + 1;
        eng_text_char(run, &t, cp);
    }
    return like(run, self, eng_text_take(run, &t));
}

static EngValue str_format(EngRun *run, EngValue self, const EngArgs *args)
{
    return eng_value_str(eng_format_braces(run, self.u.str, args));
}

static EngValue str_format_map(EngRun *run, EngValue self, const EngArgs *args)
{
    if (args->n_named) eng_value_raise(run, "format_map() takes no keyword arguments");
    if (args->n != 1)
        eng_value_raise(run, "format_map() takes exactly one argument (%zu given)", args->n);
    EngArgs by_key = {0};
    if (args->pos[0].type == ENG_V_DICT) {
        by_key.named = eng_value_alloc(run, args->pos[0].u.dict->n * sizeof(EngPair));
        for (size_t i = 0; i < args->pos[0].u.dict->n; i++)
            if (args->pos[0].u.dict->pairs[i].key.type == ENG_V_STR)
                by_key.named[by_key.n_named++] = args->pos[0].u.dict->pairs[i];
    }
    return eng_value_str(eng_format_braces(run, self.u.str, &by_key));
}

static EngValue unsupported(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)self, (void)args;
    eng_value_raise(run, "The template uses str.encode, translate or maketrans, which chats do not "
                         "support.");
}

const EngMethod eng_builtin_str_methods[] = {
    {"split", str_split},
    {"strip", str_strip},
    {"lstrip", str_lstrip},
    {"rstrip", str_rstrip},
    {"startswith", str_startswith},
    {"endswith", str_endswith},
    {"replace", str_replace},
    {"upper", str_upper},
    {"lower", str_lower},
    {"title", str_title},
    {"capitalize", str_capitalize},
    {"swapcase", str_swapcase},
    {"casefold", str_casefold},
    {"rsplit", str_rsplit},
    {"splitlines", str_splitlines},
    {"partition", str_partition},
    {"rpartition", str_rpartition},
    {"removeprefix", str_removeprefix},
    {"removesuffix", str_removesuffix},
    {"find", str_find},
    {"rfind", str_rfind},
    {"index", str_index},
    {"rindex", str_rindex},
    {"count", str_count},
    {"join", str_join},
    {"format", str_format},
    {"format_map", str_format_map},
    {"center", str_center},
    {"ljust", str_ljust},
    {"rjust", str_rjust},
    {"zfill", str_zfill},
    {"expandtabs", str_expandtabs},
    {"isalpha", str_isalpha},
    {"isdigit", str_isdigit},
    {"isdecimal", str_isdecimal},
    {"isnumeric", str_isnumeric},
    {"isalnum", str_isalnum},
    {"isspace", str_isspace},
    {"isupper", str_isupper},
    {"islower", str_islower},
    {"istitle", str_istitle},
    {"isprintable", str_isprintable},
    {"isidentifier", str_isidentifier},
    {"isascii", str_isascii},
    {"encode", unsupported},
    {"translate", unsupported},
    {"maketrans", unsupported},
    {NULL, NULL},
};
