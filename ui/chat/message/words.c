#include "words.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#include "amount.h"

#define FIRST_LINE 200 /* characters */

char *hearth_message_words_duration(double seconds)
{
    /* Translators: milliseconds */
    if (seconds < 0.0995) return g_strdup_printf(_("%d ms"), MAX(1, (int)(seconds * 1000 + 0.5)));
    if (seconds < 9.95) {
        g_autofree char *decimal = hearth_amount_decimal(seconds);
        return g_strdup_printf(_("%s s"), decimal);
    }
    /* Translators: seconds; minutes and seconds; hours and minutes */
    if (seconds < 119.5) return g_strdup_printf(_("%.0f s"), seconds);
    int whole = seconds < 1e9 ? (int)(seconds + 0.5) : 1000000000;
    if (whole < 3600) return g_strdup_printf(_("%d min %d s"), whole / 60, whole % 60);
    return g_strdup_printf(_("%d h %d min"), whole / 3600, whole / 60 % 60);
}

char *hearth_message_words_thinking(double seconds, bool running)
{
    if (running && seconds < 1) return g_strdup(_("Thinking…"));
    g_autofree char *time =
        seconds < 119.5 ? g_strdup_printf(_("%.0f s"), running ? (int)seconds : MAX(seconds, 1))
                        : hearth_message_words_duration(seconds);
    /* Translators: %s is a duration, for instance "12 s" */
    return g_strdup_printf(running ? _("Thinking… %s") : _("Thought for %s"), time);
}

/* ---- the footer -------------------------------------------------------------------------------*/

static const char *reason(HearthState state)
{
    switch (state) {
    case HEARTH_STATE_DONE: return _("finished");
    case HEARTH_STATE_STOPPED: return _("stopped");
    case HEARTH_STATE_LENGTH: return _("cut at its limit");
    case HEARTH_STATE_CONTEXT_FULL: return _("context full");
    case HEARTH_STATE_FAILED: return _("failed");
    case HEARTH_STATE_INTERRUPTED: return _("interrupted");
    default: return NULL;
    }
}

static void add_part(GString *footer, char *part)
{
    if (footer->len) g_string_append(footer, " · ");
    g_string_append(footer, part);
    g_free(part);
}

char *hearth_message_words_footer(const HearthStats *stats, HearthState state)
{
    GString *footer = g_string_new(NULL);
    if (stats->tokens <= 0) return g_string_free(footer, FALSE);
    double rate = stats->decode_s > 0 ? stats->tokens / stats->decode_s : 0;
    if (rate > 0) add_part(footer, hearth_amount_rate(rate));
    add_part(footer, hearth_amount_tokens(stats->tokens));
    if (stats->first_token_s > 0) {
        g_autofree char *time = hearth_message_words_duration(stats->first_token_s);
        add_part(footer, g_strdup_printf(_("first token %s"), time));
    }
    if (reason(state)) add_part(footer, g_strdup(reason(state)));
    return g_string_free(footer, FALSE);
}

/* ---- the state --------------------------------------------------------------------------------*/

static char *loading(gint64 done, gint64 total, double speed)
{
    if (total <= 0) return g_strdup(_("Loading the model…"));
    int percent = (int)(100.0 * done / total);
    if (speed <= 0) return g_strdup_printf(_("Loading the model: %d %%"), percent);
    return g_strdup_printf(_("Loading the model: %d %% · %.0f MiB/s"), percent, speed / (1 << 20));
}

static char *reading(gint64 done, gint64 total, double seconds_left)
{
    if (total <= 0) return g_strdup(_("Reading the prompt…"));
    int percent = (int)(100.0 * done / total);
    g_autofree char *n = hearth_amount_count(done), *of = hearth_amount_count(total);
    g_autofree char *text =
        g_strdup_printf(_("Reading the prompt: %s of %s tokens · %d %%"), n, of, percent);
    if (seconds_left < 0.95) return g_steal_pointer(&text);
    g_autofree char *time = seconds_left < 119.5 ? g_strdup_printf(_("%.0f s"), seconds_left)
                                                 : hearth_message_words_duration(seconds_left);
    /* Translators: "Reading the prompt: 10 of 20 tokens · 50 %", then a duration */
    return g_strdup_printf(_("%s · %s left"), text, time);
}

static char *at_length(int tokens)
{
    if (tokens <= 0) return g_strdup(_("Reached the largest length asked for"));
    g_autofree char *n = hearth_amount_count(tokens);
    return g_strdup_printf(
        ngettext("Reached the limit of %s token", "Reached the limit of %s tokens", tokens), n);
}

char *hearth_message_words_status(HearthMessage *message, double speed)
{
    gint64 done = 0, total = 0;
    double seconds_left = -1;
    hearth_message_get_progress(message, &done, &total, &seconds_left);
    const char *error = hearth_message_get_error(message);
    switch (hearth_message_get_state(message)) {
    case HEARTH_STATE_QUEUED: return g_strdup(_("Waits for another answer"));
    case HEARTH_STATE_LOADING: return loading(done, total, speed);
    case HEARTH_STATE_READING: return reading(done, total, seconds_left);
    case HEARTH_STATE_STOPPED: return g_strdup(_("Stopped"));
    case HEARTH_STATE_LENGTH: return at_length(hearth_message_get_stats(message).tokens);
    case HEARTH_STATE_CONTEXT_FULL:
        return g_strdup(*error ? error : _("The context is full: there is no room for more."));
    case HEARTH_STATE_FAILED:
        return g_strdup(*error ? error : _("The answer failed, and nothing says why."));
    case HEARTH_STATE_INTERRUPTED: return g_strdup(_("Hearth was closed in mid-answer"));
    default: return NULL;
    }
}

/* ---- the first line ---------------------------------------------------------------------------*/

static bool is_fence_or_rule(const char *line, size_t len)
{
    return len >= 3 && strspn(line, "`~-*_=|: ") >= len;
}

/* The line's text without what marks a heading, a quote or an item. */
static char *bare(const char *line, size_t len)
{
    g_autofree char *text = g_strndup(line, len);
    char *begin = text + strspn(text, "#>*-+ \t");
    GString *plain = g_string_new(NULL);
    glong n = 0;
    for (const char *at = begin; *at && n < FIRST_LINE; at = g_utf8_next_char(at)) {
        if (*at == '*' || *at == '`' || *at == '\r') continue;
        g_string_append_unichar(plain, g_utf8_get_char(at));
        n++;
    }
    return g_strchomp(g_string_free(plain, FALSE));
}

char *hearth_message_words_first_line(const char *text, bool *ret_whole)
{
    *ret_whole = false;
    while (*text) {
        size_t len = strcspn(text, "\n");
        bool ended = text[len] == '\n';
        if (!is_fence_or_rule(text, len)) {
            g_autofree char *line = bare(text, len);
            if (*line) {
                *ret_whole = ended || g_utf8_strlen(line, -1) >= FIRST_LINE;
                return g_steal_pointer(&line);
            }
        }
        text += len + (ended ? 1 : 0);
    }
    return g_strdup("");
}
