#include "doc.h"

#include <string.h>

#include "parse.h"
#include "scan.h"

void hearth_markdown_doc_init(HearthMarkdownDoc *doc)
{
    memset(doc, 0, sizeof *doc);
    doc->text = g_string_new(NULL);
    doc->blocks = hearth_markdown_block_list_new();
}

void hearth_markdown_doc_clear(HearthMarkdownDoc *doc)
{
    if (doc->text) g_string_free(doc->text, TRUE);
    g_clear_pointer(&doc->blocks, g_ptr_array_unref);
    memset(doc, 0, sizeof *doc);
}

/* Puts `fresh` behind the first `keep` blocks; where a new block equals the old one at its place,
 * the old one stays. Returns how many stay from the beginning. */
static guint replace_from(HearthMarkdownDoc *doc, guint keep, GPtrArray *fresh)
{
    guint same = keep;
    while (same - keep < fresh->len && same < doc->blocks->len &&
           hearth_markdown_block_equal(fresh->pdata[same - keep], doc->blocks->pdata[same]))
        same++;
    g_ptr_array_set_size(doc->blocks, (int)same);
    for (guint i = same - keep; i < fresh->len; i++)
        g_ptr_array_add(doc->blocks, hearth_markdown_block_ref(fresh->pdata[i]));
    return same;
}

static guint parse_tail(HearthMarkdownDoc *doc)
{
    HearthMarkdownScan scan;
    hearth_markdown_scan_init(&scan, doc->text->str + doc->tail, doc->text->len - doc->tail, false);
    g_autoptr(GPtrArray) fresh = hearth_markdown_block_list_new();
    const char *text = scan.text->str;
    hearth_markdown_parse(text, scan.stable_text, scan.formulas, fresh);
    guint frozen = doc->frozen + fresh->len;
    hearth_markdown_parse(text + scan.stable_text, scan.text->len - scan.stable_text, scan.formulas,
                          fresh);
    guint same = replace_from(doc, doc->frozen, fresh);
    doc->frozen = frozen;
    doc->tail += scan.stable;
    hearth_markdown_scan_clear(&scan);
    return same;
}

guint hearth_markdown_doc_set_text(HearthMarkdownDoc *doc, const char *text, gsize len,
                                   bool complete)
{
    gsize before = doc->text->len;
    bool grown = len >= before && memcmp(text, doc->text->str, before) == 0;
    if (grown && len == before && complete == doc->complete) return doc->blocks->len;
    if (grown) {
        g_string_append_len(doc->text, text + before, (gssize)(len - before));
    } else {
        g_string_truncate(doc->text, 0);
        g_string_append_len(doc->text, text, (gssize)len);
    }
    if (!grown || complete || doc->complete) doc->frozen = 0, doc->tail = 0;
    doc->complete = complete;
    if (!complete) return parse_tail(doc);
    g_autoptr(GPtrArray) fresh = hearth_markdown_parse_all(doc->text->str, doc->text->len);
    guint same = replace_from(doc, 0, fresh);
    doc->frozen = doc->blocks->len;
    doc->tail = doc->text->len;
    return same;
}
