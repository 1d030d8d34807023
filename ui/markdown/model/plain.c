#include "plain.h"

#include <string.h>

#include "parse.h"

#define MAX_SOURCE 16384 /* a title is in the beginning */

static void collect(const GPtrArray *blocks, GString *out)
{
    for (guint i = 0; blocks && i < blocks->len; i++) {
        const HearthMarkdownBlock *block = blocks->pdata[i];
        g_autofree char *markup = block->markup ? hearth_markdown_block_strip(block->markup) : NULL;
        const char *text = markup ? markup : block->text;
        if (text) g_string_append_printf(out, "%s ", text);
        for (guint c = 0; block->cells && c < block->cells->len; c++) {
            g_autofree char *cell = hearth_markdown_block_strip(block->cells->pdata[c]);
            g_string_append_printf(out, "%s ", cell);
        }
        collect(block->children, out);
    }
}

char *hearth_markdown_plain(const char *text, size_t len, size_t max)
{
    if (len > MAX_SOURCE) {
        len = MAX_SOURCE;
        while (len && ((guchar)text[len] & 0xc0) == 0x80) len--;
    }
    g_autoptr(GPtrArray) blocks = hearth_markdown_parse_all(text, len);
    g_autoptr(GString) all = g_string_new(NULL);
    collect(blocks, all);
    GString *out = g_string_new(NULL);
    size_t n = 0, fits = 0; /* fits: bytes of all but the last character that is allowed */
    bool blank = false;
    for (const char *p = all->str; *p && n <= max; p = g_utf8_next_char(p)) {
        gunichar c = g_utf8_get_char(p);
        if (g_unichar_isspace(c) || g_unichar_iscntrl(c)) {
            blank = out->len > 0;
            continue;
        }
        if (blank) {
            g_string_append_c(out, ' ');
            if (++n < max) fits = out->len - 1;
        }
        g_string_append_unichar(out, c);
        if (++n < max) fits = out->len;
        blank = false;
    }
    if (n > max) {
        g_string_truncate(out, fits);
        if (max) g_string_append(out, "…");
    }
    return g_string_free(out, FALSE);
}
