#include "excerpt.h"

#include <glib.h>
#include <string.h>

#include "markdown/model/plain.h"
#include "store/rows.h"

#define BEFORE 30  /* characters of text before the first hit */
#define LENGTH 160 /* and in all */

/* At most BEFORE characters back from the first hit, to the beginning of a word if there is one. */
static const char *find_start(const char *plain, const char *hit)
{
    const char *at = hit, *word = NULL;
    for (int n = 0; n < BEFORE && at > plain; n++) {
        at = g_utf8_prev_char(at);
        if (*at == ' ') word = at + 1;
    }
    return at == plain || !word ? at : word;
}

char *hearth_excerpt_markup(const char *excerpt, const char *otherwise)
{
    g_autofree char *plain = hearth_markdown_plain(excerpt, strlen(excerpt), strlen(excerpt));
    const char *hit = strstr(plain, HEARTH_HIT_BEGIN);
    if (!hit) return g_strdup(otherwise);
    const char *at = find_start(plain, hit);
    GString *out = g_string_new(at > plain ? "…" : "");
    bool bold = false;
    for (int n = 0; *at && n < LENGTH; at = g_utf8_next_char(at)) {
        bool begins = g_str_has_prefix(at, HEARTH_HIT_BEGIN);
        if (begins || g_str_has_prefix(at, HEARTH_HIT_END)) {
            if (begins != bold) g_string_append(out, begins ? "<b>" : "</b>");
            bold = begins;
            continue;
        }
        g_autofree char *one = g_markup_escape_text(at, g_utf8_next_char(at) - at);
        g_string_append(out, one);
        n++;
    }
    if (bold) g_string_append(out, "</b>");
    if (*at) g_string_append(out, "…");
    return g_string_free(out, FALSE);
}
