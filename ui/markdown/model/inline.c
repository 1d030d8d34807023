#include "inline.h"

#include <string.h>

#include "entity_table.h"

#define MAX_TAGS 24

void hearth_markdown_inline_init(HearthMarkdownInline *self)
{
    memset(self, 0, sizeof *self);
    self->markup = g_string_new(NULL);
    self->tags = g_ptr_array_new_with_free_func(g_free);
}

void hearth_markdown_inline_clear(HearthMarkdownInline *self)
{
    g_string_free(self->markup, TRUE);
    g_ptr_array_unref(self->tags);
}

void hearth_markdown_inline_escape(GString *out, const char *text, gsize len)
{
    gsize from = 0;
    for (gsize i = 0; i < len; i++) {
        guchar c = (guchar)text[i];
        const char *instead = NULL;
        gsize used = 1;
        switch (c) {
        case '&': instead = "&amp;"; break;
        case '<': instead = "&lt;"; break;
        case '>': instead = "&gt;"; break;
        case '"': instead = "&quot;"; break;
        case '\'': instead = "&#39;"; break;
        case 0x7f: instead = ""; break;
        case 0xc2: /* U+0080 … U+009F */
            if (i + 1 < len && (guchar)text[i + 1] < 0xa0) {
                instead = "";
                used = 2;
            }
            break;
        default:
            if (c < 0x20 && c != '\n' && c != '\t') instead = "";
        }
        if (!instead) continue;
        g_string_append_len(out, text + from, (gssize)(i - from));
        g_string_append(out, instead);
        from = i + used;
        i = from - 1;
    }
    if (len > from) g_string_append_len(out, text + from, (gssize)(len - from));
}

static void write_line_break(HearthMarkdownInline *self)
{
    if (self->line_break && self->chars) {
        g_string_append_c(self->markup, '\n');
        self->word = 0;
    }
    self->line_break = false;
}

void hearth_markdown_inline_open(HearthMarkdownInline *self, const char *tag)
{
    if (!tag || self->tags->len >= MAX_TAGS) tag = "";
    if (*tag) write_line_break(self);
    g_string_append(self->markup, tag);
    g_ptr_array_add(self->tags, g_strdup(tag));
    if (g_str_has_prefix(tag, "<a ")) self->in_link = true;
}

static void append_closing(GString *out, const char *tag)
{
    if (*tag) g_string_append_printf(out, "</%.*s>", (int)strcspn(tag + 1, " >"), tag + 1);
}

void hearth_markdown_inline_close(HearthMarkdownInline *self)
{
    if (!self->tags->len) return;
    const char *tag = self->tags->pdata[self->tags->len - 1];
    append_closing(self->markup, tag);
    if (g_str_has_prefix(tag, "<a ")) self->in_link = false;
    g_ptr_array_set_size(self->tags, (int)self->tags->len - 1);
}

/* The length of the last word when the byte follows; Chinese is broken anywhere. */
static gsize next_word(gsize word, guchar c)
{
    return c == ' ' || c == '\n' || c == '\t' || (c >= 0xe3 && c < 0xee) ? 0 : word + 1;
}

gsize hearth_markdown_inline_room(const HearthMarkdownInline *self, const char *text, gsize len,
                                  gsize max)
{
    gsize word = self->word;
    for (gsize i = 0; i < len; i++) {
        word = next_word(word, (guchar)text[i]);
        if (word <= max) continue;
        while (i > 0 && ((guchar)text[i] & 0xc0) == 0x80) i--;
        return i;
    }
    return len;
}

void hearth_markdown_inline_text(HearthMarkdownInline *self, const char *text, gsize len)
{
    if (!self->chars)
        while (len && (*text == ' ' || *text == '\n')) text++, len--;
    if (!len) return;
    write_line_break(self);
    hearth_markdown_inline_escape(self->markup, text, len);
    self->chars += len;
    for (gsize i = 0; i < len; i++) self->word = next_word(self->word, (guchar)text[i]);
}

void hearth_markdown_inline_markup(HearthMarkdownInline *self, const char *markup)
{
    if (!*markup) return;
    write_line_break(self);
    g_string_append(self->markup, markup);
    self->chars += strlen(markup);
}

char *hearth_markdown_inline_cut(HearthMarkdownInline *self)
{
    char *markup = NULL;
    if (self->chars) {
        while (self->markup->len && self->markup->str[self->markup->len - 1] == ' ')
            g_string_truncate(self->markup, self->markup->len - 1);
        for (guint i = self->tags->len; i-- > 0;)
            append_closing(self->markup, self->tags->pdata[i]);
        markup = g_strndup(self->markup->str, self->markup->len);
    }
    g_string_truncate(self->markup, 0);
    for (guint i = 0; i < self->tags->len; i++) g_string_append(self->markup, self->tags->pdata[i]);
    self->chars = self->word = 0;
    self->line_break = false;
    return markup;
}

char *hearth_markdown_inline_end(HearthMarkdownInline *self)
{
    char *markup = hearth_markdown_inline_cut(self);
    g_string_truncate(self->markup, 0);
    g_ptr_array_set_size(self->tags, 0);
    self->in_link = false;
    return markup;
}

static int compare_entity(const void *key, const void *entry)
{
    return strcmp(key, ((const HearthMarkdownEntity *)entry)->name);
}

const char *hearth_markdown_inline_entity(const char *text, gsize len, char buffer[8])
{
    if (len < 4 || len > 32 || text[0] != '&' || text[len - 1] != ';') return NULL;
    char name[32];
    memcpy(name, text + 1, len - 2);
    name[len - 2] = 0;
    if (*name != '#') {
        const HearthMarkdownEntity *found =
            bsearch(name, hearth_markdown_entity_table, hearth_markdown_entity_count, sizeof *found,
                    compare_entity);
        return found ? found->text : NULL;
    }
    bool hex = g_ascii_tolower(name[1]) == 'x';
    guint64 code = g_ascii_strtoull(name + (hex ? 2 : 1), NULL, hex ? 16 : 10);
    if (!code || code > 0x10ffff || !g_unichar_validate((gunichar)code)) code = 0xfffd;
    buffer[g_unichar_to_utf8((gunichar)code, buffer)] = 0;
    return buffer;
}
