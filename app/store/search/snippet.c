#include "store/search/snippet.h"

#include <string.h>

#include "store/rows.h"

#define BEFORE 30  /* characters of text before the first word in bold */
#define LENGTH 160 /* of a snippet, in characters */

/* Of an excerpt, bytes: what is shown of it is the same as of the snippet, without what is markup.
 */
#define EXCERPT_BEFORE 400
#define EXCERPT_AFTER 1200

/* Escaped, white space and control characters as single spaces. */
static void append_plain(GString *markup, const char *text, const char *end)
{
    g_autoptr(GString) plain = g_string_new(NULL);
    bool blank = false;
    for (; text < end; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);
        if (g_unichar_isspace(c) || g_unichar_iscntrl(c)) {
            blank = true;
            continue;
        }
        if (blank) g_string_append_c(plain, ' ');
        blank = false;
        g_string_append_unichar(plain, c);
    }
    if (blank) g_string_append_c(plain, ' ');
    g_autofree char *escaped = g_markup_escape_text(plain->str, (gssize)plain->len);
    g_string_append(markup, escaped);
}

/* text[start … end) with the spans that lie in it in bold; words that overlap become one. */
static void append_marked(GString *markup, const char *text, guint start, guint end, GArray *spans)
{
    for (guint i = 0; i < spans->len; i++) {
        const HearthSpan *span = &g_array_index(spans, HearthSpan, i);
        if (span->start < start) continue;
        if (span->end > end) break;
        append_plain(markup, text + start, text + span->start);
        g_string_append(markup, "<b>");
        append_plain(markup, text + span->start, text + span->end);
        g_string_append(markup, "</b>");
        start = span->end;
    }
    append_plain(markup, text + start, text + end);
}

char *hearth_snippet_title(HearthWords *words, const char *title)
{
    g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(HearthSpan));
    hearth_words_find(words, title, spans);
    g_autoptr(GString) markup = g_string_new(NULL);
    append_marked(markup, title, 0, (guint)strlen(title), spans);
    return g_string_free(g_steal_pointer(&markup), FALSE);
}

/* Index of the first span from which the most different words follow closely. */
static guint best_span(GArray *spans)
{
    guint best = 0;
    int most = 0;
    for (guint i = 0; i < spans->len; i++) {
        guint32 seen = 0;
        guint limit = g_array_index(spans, HearthSpan, i).start + LENGTH - BEFORE;
        for (guint j = i; j < spans->len; j++) {
            const HearthSpan *span = &g_array_index(spans, HearthSpan, j);
            if (span->end > limit) break;
            seen |= 1u << span->word;
        }
        int n = __builtin_popcount(seen);
        if (n <= most) continue;
        most = n;
        best = i;
    }
    return best;
}

/* At most n characters back, to the beginning of a word if there is one in that stretch. */
static const char *back(const char *text, const char *at, int n)
{
    const char *word = NULL;
    for (; n > 0 && at > text; n--) {
        const char *before = g_utf8_prev_char(at);
        if (g_unichar_isspace(g_utf8_get_char(before))) word = at;
        at = before;
    }
    return at == text || !word ? at : word;
}

/* Where to begin reading so that `at` is understood: its paragraph, else its line, else a word. */
static const char *paragraph(const char *text, const char *at)
{
    const char *first = at - MIN(at - text, EXCERPT_BEFORE), *line = NULL;
    for (const char *p = at; p > first; p--) {
        if (p[-1] != '\n') continue;
        if (!line) line = p;
        if (p - 1 > text && p[-2] == '\n') return p;
    }
    if (first == text) return text;
    return line ? line : back(text, at, BEFORE);
}

/* Without what would be taken for the end of a hit. */
static void append_as_it_is(GString *out, const char *text, const char *end)
{
    for (; text < end; text = g_utf8_next_char(text))
        if (!g_str_has_prefix(text, HEARTH_HIT_BEGIN) && !g_str_has_prefix(text, HEARTH_HIT_END))
            g_string_append_len(out, text, g_utf8_next_char(text) - text);
}

static char *excerpt(const char *text, guint first, GArray *spans)
{
    const char *at = paragraph(text, text + first), *end = text + first;
    while (*end && end < text + first + EXCERPT_AFTER) end = g_utf8_next_char(end);
    g_autoptr(GString) out = g_string_new(NULL);
    for (guint i = 0; i < spans->len; i++) {
        const HearthSpan *span = &g_array_index(spans, HearthSpan, i);
        if (text + span->start < at) continue;
        if (text + span->end > end) break;
        append_as_it_is(out, at, text + span->start);
        g_string_append(out, HEARTH_HIT_BEGIN);
        append_as_it_is(out, text + span->start, text + span->end);
        g_string_append(out, HEARTH_HIT_END);
        at = text + span->end;
    }
    append_as_it_is(out, at, end);
    return g_string_free(g_steal_pointer(&out), FALSE);
}

char *hearth_snippet_line(HearthWords *words, const char *text, char **ret_excerpt)
{
    g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(HearthSpan));
    if (!hearth_words_find(words, text, spans) || !spans->len) return NULL;
    const HearthSpan *first = &g_array_index(spans, HearthSpan, best_span(spans));
    const char *start = back(text, text + first->start, BEFORE), *end = start;
    for (int n = 0; *end && (n < LENGTH || end < text + first->end); n++)
        end = g_utf8_next_char(end);
    while (start < end && g_unichar_isspace(g_utf8_get_char(start)))
        start = g_utf8_next_char(start);
    g_autoptr(GString) markup = g_string_new(start > text ? "…" : "");
    append_marked(markup, text, (guint)(start - text), (guint)(end - text), spans);
    if (*end) g_string_append(markup, "…");
    *ret_excerpt = excerpt(text, first->start, spans);
    return g_string_free(g_steal_pointer(&markup), FALSE);
}
