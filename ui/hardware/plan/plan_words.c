#include "hardware/plan/plan_words.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "amount.h"

/* Fewer tokens are mostly the beginning, which is slower. */
#define LEAST_WRITTEN 8
#define LEAST_READ 32

static const struct {
    const char *name, *words;
} terms[] = {
    {"DRAM reading", N_("reading DRAM takes the longest")},
    {"CPU arithmetic", N_("the processor’s arithmetic takes the longest")},
    {"VRAM reading", N_("reading VRAM takes the longest")},
    {"GPU arithmetic", N_("the GPU’s arithmetic takes the longest")},
    {"PCIe", N_("the way to the GPU (PCIe) takes the longest")},
    {"disk reading", N_("reading the disk takes the longest")},
    {"hand-overs", N_("handing over between processor and GPU takes the longest")},
};

static const char *term_words(const char *term)
{
    for (size_t i = 0; i < G_N_ELEMENTS(terms); i++)
        if (strcmp(terms[i].name, term) == 0) return _(terms[i].words);
    return term;
}

char *hearth_plan_words_decode(const HearthPlan *plan)
{
    g_autofree char *rate = hearth_amount_rough_rate(plan->decode_tok_s);
    /* Translators: a number; then what takes the longest */
    return g_strdup_printf(_("About %s tokens per second; %s"), rate,
                           term_words(plan->decode_term));
}

char *hearth_plan_words_prefill(const HearthPlan *plan)
{
    g_autofree char *rate = hearth_amount_rough_rate(plan->prefill_tok_s);
    g_autofree char *prompt = hearth_amount_tokens(plan->prompt);
    /* Translators: a number; "4,096 tokens", which are read; then what takes the longest */
    return g_strdup_printf(_("About %s tokens per second, of %s at once; %s"), rate, prompt,
                           term_words(plan->prefill_term));
}

char *hearth_plan_words_load(const HearthPlan *plan)
{
    g_autofree char *time = hearth_amount_duration(plan->load_s);
    /* Translators: "40 seconds" */
    return g_strdup_printf(_("About %s, from the disk"), time);
}

char *hearth_plan_words_memory(const HearthPlan *plan)
{
    static const struct {
        HearthDevice device;
        const char *words;
    } parts[] = {{HEARTH_DEVICE_VRAM, N_("%s of VRAM")},
                 {HEARTH_DEVICE_DRAM, N_("%s of DRAM")},
                 {HEARTH_DEVICE_DISK, N_("%s read from the disk again and again")}};
    GString *text = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        uint64_t bytes = hearth_bytes_total(plan->bytes, parts[i].device);
        if (!bytes) continue;
        g_autofree char *size = hearth_amount_bytes(bytes);
        /* Translators: what stands between the parts of a list: "1 GiB of VRAM, 2 GiB of DRAM" */
        if (text->len) g_string_append(text, C_("list", ", "));
        g_string_append_printf(text, _(parts[i].words), size);
    }
    return g_string_free(text, FALSE);
}

char *hearth_plan_words_computes(const HearthModelInfo *info)
{
    if (info->gpu) /* Translators: the GPU's name */
        return g_strdup_printf(_("%s and the processor"), info->gpu);
    if (!info->gpu_reason || !*info->gpu_reason) return g_strdup(_("The processor alone"));
    /* Translators: a sentence that says why the GPU has no part in it */
    return g_strdup_printf(_("The processor alone. No GPU: %s"), info->gpu_reason);
}

static char *measured(int tokens, double seconds, int least)
{
    if (tokens < least || seconds <= 0) return NULL;
    g_autofree char *rate = hearth_amount_rate(tokens / seconds);
    g_autofree char *count = hearth_amount_tokens(tokens);
    /* Translators: "8.7 tok/s"; "412 tokens" */
    return g_strdup_printf(_("%s over %s"), rate, count);
}

char *hearth_plan_words_decoded(const HearthStats *stats)
{
    return measured(stats->tokens, stats->decode_s, LEAST_WRITTEN);
}

char *hearth_plan_words_prefilled(const HearthStats *stats)
{
    return measured(stats->prompt_tokens - stats->reused_tokens, stats->prefill_s, LEAST_READ);
}
