#include "chat/options.h"

#include "settings.h"

typedef struct {
    GSettings *own, *defaults;
} Where;

static double number(Where w, const char *key)
{
    g_autoptr(GVariant) value = hearth_settings_effective(w.own, w.defaults, key);
    return g_variant_get_double(value);
}

static int whole(Where w, const char *key)
{
    g_autoptr(GVariant) value = hearth_settings_effective(w.own, w.defaults, key);
    return g_variant_get_int32(value);
}

static uint64_t seed(Where w, int version)
{
    g_autoptr(GVariant) value = hearth_settings_effective(w.own, w.defaults, "seed");
    gint64 chosen = g_variant_get_int64(value);
    return chosen < 0 ? ENG_SEED_RANDOM : (uint64_t)chosen + (uint64_t)(version - 1);
}

void hearth_options_fill(HearthRequest *request, GSettings *own, GSettings *defaults, int version)
{
    Where w = {own, defaults};
    g_autoptr(GVariant) kv = hearth_settings_effective(own, defaults, "kv-type");
    request->kv = ENG_KV_F16;
    eng_kv_type(g_variant_get_string(kv, NULL), &request->kv);
    request->context = whole(w, "context");
    request->sampling = eng_sampling_defaults();
    request->sampling.temperature = (float)number(w, "temperature");
    request->sampling.top_k = whole(w, "top-k");
    request->sampling.top_p = (float)number(w, "top-p");
    request->sampling.min_p = (float)number(w, "min-p");
    request->sampling.typical_p = (float)number(w, "typical-p");
    request->sampling.repeat_penalty = (float)number(w, "repeat-penalty");
    request->sampling.presence_penalty = (float)number(w, "presence-penalty");
    request->sampling.frequency_penalty = (float)number(w, "frequency-penalty");
    request->sampling.penalty_last_n = whole(w, "penalty-last-n");
    request->sampling.dry_multiplier = (float)number(w, "dry-multiplier");
    request->sampling.dry_base = (float)number(w, "dry-base");
    request->sampling.dry_allowed_length = whole(w, "dry-allowed-length");
    request->sampling.max_tokens = whole(w, "max-tokens");
    request->sampling.seed = seed(w, version);
}
