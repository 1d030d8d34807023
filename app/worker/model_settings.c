#include "worker/model_settings.h"

#include <math.h>

#define GIB 1073741824.0

HearthModelSettings hearth_model_settings_read(GSettings *program, GSettings *chat)
{
    double gib = g_settings_get_double(program, "vram");
    return (HearthModelSettings){.threads = g_settings_get_int(program, "threads"),
                                 .context = g_settings_get_int(chat, "context"),
                                 .kv = g_settings_get_string(chat, "kv-type"),
                                 .no_gpu = !g_settings_get_boolean(program, "use-gpu"),
                                 .gpus = g_settings_get_int(program, "gpus"),
                                 .vram = (uint64_t)llround(gib * GIB),
                                 .rules = g_settings_get_string(program, "rules")};
}

HearthModelSettings hearth_model_settings_copy(const HearthModelSettings *settings)
{
    HearthModelSettings copy = *settings;
    copy.kv = g_strdup(settings->kv);
    copy.rules = g_strdup(settings->rules);
    return copy;
}

void hearth_model_settings_clear(HearthModelSettings *settings)
{
    g_clear_pointer(&settings->kv, g_free);
    g_clear_pointer(&settings->rules, g_free);
}

/* How many rules begin so; `start` "" = all. */
static int count(const char *rules, const char *start)
{
    int n = 0;
    for (const char *at = rules ? rules : ""; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const char *word = at + strspn(at, " \t\r");
        if (*word && *word != '\n' && *word != '#' && g_str_has_prefix(word, start)) n++;
    }
    return n;
}

int hearth_model_settings_count_rules(const char *rules) { return count(rules, ""); }
bool hearth_model_settings_has_plugin(const char *rules) { return count(rules, "plugin=") > 0; }

/* Rules that say nothing are none. */
static const char *said(const HearthModelSettings *settings)
{
    return hearth_model_settings_count_rules(settings->rules) ? settings->rules : "";
}

bool hearth_model_settings_place_alike(const HearthModelSettings *a, const HearthModelSettings *b,
                                       bool context)
{
    if (a->no_gpu != b->no_gpu || strcmp(said(a), said(b)) != 0) return false;
    if (a->no_gpu) return true;
    return a->vram == b->vram && MAX(a->gpus, 1) == MAX(b->gpus, 1) &&
           (!context || (a->context == b->context &&
                         strcmp(a->kv ? a->kv : "f16", b->kv ? b->kv : "f16") == 0));
}
