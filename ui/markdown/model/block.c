#include "block.h"

#include <string.h>

HearthMarkdownBlock *hearth_markdown_block_new(HearthMarkdownKind kind)
{
    HearthMarkdownBlock *block = g_new0(HearthMarkdownBlock, 1);
    block->kind = kind;
    block->refs = 1;
    return block;
}

HearthMarkdownBlock *hearth_markdown_block_ref(HearthMarkdownBlock *block)
{
    block->refs++;
    return block;
}

void hearth_markdown_block_unref(HearthMarkdownBlock *block)
{
    if (!block || --block->refs) return;
    g_free(block->markup);
    g_free(block->text);
    g_free(block->info);
    g_free(block->aligns);
    g_clear_pointer(&block->children, g_ptr_array_unref);
    g_clear_pointer(&block->cells, g_ptr_array_unref);
    g_free(block);
}

static void unref(gpointer block) { hearth_markdown_block_unref(block); }

GPtrArray *hearth_markdown_block_list_new(void) { return g_ptr_array_new_with_free_func(unref); }

static bool cells_equal(const GPtrArray *a, const GPtrArray *b)
{
    if ((a ? a->len : 0) != (b ? b->len : 0)) return false;
    for (guint i = 0; a && i < a->len; i++)
        if (!g_str_equal(a->pdata[i], b->pdata[i])) return false;
    return true;
}

bool hearth_markdown_block_equal(const HearthMarkdownBlock *a, const HearthMarkdownBlock *b)
{
    if (a == b) return true;
    return a->kind == b->kind && a->level == b->level && a->start == b->start &&
           a->ordered == b->ordered && a->tight == b->tight && a->joined == b->joined &&
           a->task == b->task && a->columns == b->columns && a->text_len == b->text_len &&
           g_strcmp0(a->markup, b->markup) == 0 && g_strcmp0(a->info, b->info) == 0 &&
           g_strcmp0(a->aligns, b->aligns) == 0 && g_strcmp0(a->text, b->text) == 0 &&
           cells_equal(a->cells, b->cells) &&
           hearth_markdown_block_list_equal(a->children, b->children);
}

bool hearth_markdown_block_list_equal(const GPtrArray *a, const GPtrArray *b)
{
    if ((a ? a->len : 0) != (b ? b->len : 0)) return false;
    for (guint i = 0; a && i < a->len; i++)
        if (!hearth_markdown_block_equal(a->pdata[i], b->pdata[i])) return false;
    return true;
}

char *hearth_markdown_block_strip(const char *markup)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}};
    GString *plain = g_string_new(NULL);
    for (const char *p = markup; *p;) {
        if (*p == '<') {
            p = strchr(p, '>'); /* attributes hold no '>': parse.c escapes it */
            if (!p) break;
            p++;
            continue;
        }
        char c = *p;
        gsize used = 1;
        for (gsize i = 0; c == '&' && i < G_N_ELEMENTS(entities); i++) {
            if (!g_str_has_prefix(p, entities[i].name)) continue;
            c = entities[i].c;
            used = strlen(entities[i].name);
            break;
        }
        g_string_append_c(plain, c);
        p += used;
    }
    return g_string_free(plain, FALSE);
}
