#include "parse.h"

#include <md4c.h>
#include <string.h>

#include "inline.h"
#include "markdown/math/math.h"
#include "scan.h"

#define MAX_COLUMNS 64
#define MAX_CELLS 3000
#define MAX_CELL 1000      /* bytes */
#define MAX_WORD 500       /* bytes: Pango's time for a word without breaks grows with its square */
#define MAX_LINK 4000      /* bytes of a target */
#define CUT 6000           /* a paragraph is cut behind a word from here on … */
#define CUT_ANYWHERE 12000 /* … and anywhere from here on */

typedef enum { LEAF_NONE, LEAF_PARAGRAPH, LEAF_HEADING, LEAF_CODE, LEAF_CELL } Leaf;

typedef struct {
    const GPtrArray *formulas;
    GPtrArray *lists[2 * HEARTH_MARKDOWN_DEPTH + 4]; /* where blocks go; [0]: the caller's */
    int depth;                                       /* of lists[] */
    int levels;                                      /* quotes and lists that are open … */
    int flattened; /* … and those beyond HEARTH_MARKDOWN_DEPTH */
    Leaf leaf;
    int level;
    bool joined;
    HearthMarkdownInline text;
    GString *code;
    HearthMarkdownBlock *block; /* the code block or the table that is being read */
    gsize events, max_events;
    gsize link_bytes, max_link_bytes; /* one definition may serve many links */
} Parser;

/* ---- blocks ---- */

static HearthMarkdownBlock *add_block(Parser *p, HearthMarkdownKind kind)
{
    HearthMarkdownBlock *block = hearth_markdown_block_new(kind);
    g_ptr_array_add(p->lists[p->depth], block);
    return block;
}

static void push_text(Parser *p, char *markup)
{
    if (!markup) return;
    bool heading = p->leaf == LEAF_HEADING;
    HearthMarkdownBlock *block =
        add_block(p, heading ? HEARTH_BLOCK_HEADING : HEARTH_BLOCK_PARAGRAPH);
    block->markup = markup;
    block->level = heading ? p->level : 0;
    block->joined = p->joined;
}

static void end_leaf(Parser *p)
{
    if (p->leaf == LEAF_PARAGRAPH || p->leaf == LEAF_HEADING)
        push_text(p, hearth_markdown_inline_end(&p->text));
    p->leaf = LEAF_NONE;
    p->joined = false;
}

/* The text so far becomes a block, what follows goes on in another one. */
static void cut_leaf(Parser *p, bool joined)
{
    push_text(p, hearth_markdown_inline_cut(&p->text));
    p->joined = joined;
}

static bool enter_container(Parser *p, HearthMarkdownKind kind, HearthMarkdownBlock **ret)
{
    *ret = NULL;
    if (kind != HEARTH_BLOCK_ITEM && (p->flattened || p->levels == HEARTH_MARKDOWN_DEPTH)) {
        p->flattened++;
        return false;
    }
    if (p->flattened) return false;
    if (kind != HEARTH_BLOCK_ITEM) p->levels++;
    *ret = add_block(p, kind);
    (*ret)->children = hearth_markdown_block_list_new();
    p->lists[++p->depth] = (*ret)->children;
    return true;
}

/* "[x] " that md4c 0.4.8 overlooks, behind an item that ends in a list or a quote. */
static void find_task(HearthMarkdownBlock *item)
{
    HearthMarkdownBlock *first = item->children->len ? item->children->pdata[0] : NULL;
    if (item->task != HEARTH_BLOCK_NO_TASK || !first || first->kind != HEARTH_BLOCK_PARAGRAPH)
        return;
    const char *markup = first->markup;
    if (!g_str_has_prefix(markup, "[ ] ") && !g_str_has_prefix(markup, "[x] ") &&
        !g_str_has_prefix(markup, "[X] "))
        return;
    item->task = markup[1] == ' ' ? HEARTH_BLOCK_OPEN : HEARTH_BLOCK_DONE;
    memmove(first->markup, markup + 4, strlen(markup + 4) + 1);
}

static void leave_container(Parser *p, bool item)
{
    if (p->flattened) {
        if (!item) p->flattened--;
        return;
    }
    if (!item) p->levels--;
    p->depth--;
    if (item) find_task(p->lists[p->depth]->pdata[p->lists[p->depth]->len - 1]);
}

static void append_expanded(Parser *p, GString *out, const char *text, gsize len);

static char *attribute(Parser *p, const MD_ATTRIBUTE *a)
{
    GString *out = g_string_new(NULL);
    char buffer[8];
    for (int i = 0; a->text && a->substr_offsets[i] < a->size; i++) {
        const char *part = a->text + a->substr_offsets[i];
        gsize len = a->substr_offsets[i + 1] - a->substr_offsets[i];
        const char *entity = a->substr_types[i] == MD_TEXT_ENTITY
                                 ? hearth_markdown_inline_entity(part, len, buffer)
                                 : NULL;
        if (entity)
            g_string_append(out, entity);
        else
            append_expanded(p, out, part, len);
    }
    return g_string_free(out, FALSE);
}

static void enter_code(Parser *p, const MD_BLOCK_CODE_DETAIL *detail)
{
    p->leaf = LEAF_CODE;
    p->block = add_block(p, HEARTH_BLOCK_CODE);
    g_string_truncate(p->code, 0);
    char *info = attribute(p, &detail->info);
    if (*info)
        p->block->info = info;
    else
        g_free(info);
}

static void enter_table(Parser *p, const MD_BLOCK_TABLE_DETAIL *detail)
{
    p->block = add_block(p, HEARTH_BLOCK_TABLE);
    p->block->columns = MAX(detail->col_count, 1);
    p->block->cells = g_ptr_array_new_with_free_func(g_free);
    p->block->aligns = g_strnfill(MIN(p->block->columns, MAX_COLUMNS), '-');
}

static void leave_row(Parser *p)
{
    HearthMarkdownBlock *table = p->block;
    while (table->cells->len % table->columns) g_ptr_array_add(table->cells, g_strdup(""));
}

/* Too large for widgets: one text, a row per line. */
static void table_to_code(HearthMarkdownBlock *table)
{
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < table->cells->len; i++) {
        g_autofree char *cell = hearth_markdown_block_strip(table->cells->pdata[i]);
        g_strdelimit(cell, "\n", ' ');
        g_string_append(text, cell);
        g_string_append(text, (i + 1) % table->columns ? " | " : "\n");
    }
    table->kind = HEARTH_BLOCK_CODE;
    table->text_len = text->len;
    table->text = g_string_free(text, FALSE);
    table->columns = 0;
    g_clear_pointer(&table->cells, g_ptr_array_unref);
    g_clear_pointer(&table->aligns, g_free);
}

static void leave_table(Parser *p)
{
    HearthMarkdownBlock *table = p->block;
    bool large = table->columns > MAX_COLUMNS || table->cells->len > MAX_CELLS;
    for (guint i = 0; i < table->cells->len && !large; i++)
        large = strlen(table->cells->pdata[i]) > MAX_CELL;
    if (large) table_to_code(table);
    p->block = NULL;
}

static void leave_cell(Parser *p, const MD_BLOCK_TD_DETAIL *detail, bool header)
{
    char *markup = hearth_markdown_inline_end(&p->text);
    p->leaf = LEAF_NONE;
    HearthMarkdownBlock *table = p->block;
    if (header && table->cells->len < MIN(table->columns, MAX_COLUMNS))
        table->aligns[table->cells->len] = "-lcr"[detail->align];
    g_ptr_array_add(table->cells, markup ? markup : g_strdup(""));
}

static int too_much(Parser *p) { return ++p->events > p->max_events ? -1 : 0; }

static int enter_block(MD_BLOCKTYPE type, void *detail, void *data)
{
    Parser *p = data;
    HearthMarkdownBlock *block;
    if (type != MD_BLOCK_DOC) end_leaf(p);
    switch (type) {
    case MD_BLOCK_QUOTE: enter_container(p, HEARTH_BLOCK_QUOTE, &block); break;
    case MD_BLOCK_UL:
        if (enter_container(p, HEARTH_BLOCK_LIST, &block))
            block->tight = ((MD_BLOCK_UL_DETAIL *)detail)->is_tight;
        break;
    case MD_BLOCK_OL:
        if (enter_container(p, HEARTH_BLOCK_LIST, &block)) {
            block->tight = ((MD_BLOCK_OL_DETAIL *)detail)->is_tight;
            block->start = ((MD_BLOCK_OL_DETAIL *)detail)->start;
            block->ordered = true;
        }
        break;
    case MD_BLOCK_LI:
        if (enter_container(p, HEARTH_BLOCK_ITEM, &block)) {
            const MD_BLOCK_LI_DETAIL *item = detail;
            if (item->is_task)
                block->task = item->task_mark == ' ' ? HEARTH_BLOCK_OPEN : HEARTH_BLOCK_DONE;
        }
        break;
    case MD_BLOCK_HR: add_block(p, HEARTH_BLOCK_RULE); break;
    case MD_BLOCK_H:
        p->leaf = LEAF_HEADING;
        p->level = (int)((MD_BLOCK_H_DETAIL *)detail)->level;
        break;
    case MD_BLOCK_P: p->leaf = LEAF_PARAGRAPH; break;
    case MD_BLOCK_CODE: enter_code(p, detail); break;
    case MD_BLOCK_TABLE: enter_table(p, detail); break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD: p->leaf = LEAF_CELL; break;
    default: break;
    }
    return too_much(p);
}

static int leave_block(MD_BLOCKTYPE type, void *detail, void *data)
{
    Parser *p = data;
    switch (type) {
    case MD_BLOCK_QUOTE:
    case MD_BLOCK_UL:
    case MD_BLOCK_OL:
    case MD_BLOCK_LI:
        end_leaf(p);
        leave_container(p, type == MD_BLOCK_LI);
        break;
    case MD_BLOCK_CODE:
        p->block->text_len = p->code->len;
        p->block->text = g_strndup(p->code->str, p->code->len);
        p->block = NULL;
        p->leaf = LEAF_NONE;
        break;
    case MD_BLOCK_H:
    case MD_BLOCK_P: end_leaf(p); break;
    case MD_BLOCK_TH:
    case MD_BLOCK_TD: leave_cell(p, detail, type == MD_BLOCK_TH); break;
    case MD_BLOCK_TR: leave_row(p); break;
    case MD_BLOCK_TABLE: leave_table(p); break;
    default: break;
    }
    return too_much(p);
}

/* ---- spans ---- */

bool hearth_markdown_parse_link_allowed(const char *uri)
{
    static const char *const schemes[] = {"http://", "https://", "mailto:"};
    for (gsize i = 0; i < G_N_ELEMENTS(schemes); i++) {
        gsize n = strlen(schemes[i]);
        if (g_ascii_strncasecmp(uri, schemes[i], n) == 0 && uri[n]) return true;
    }
    return false;
}

static void open_uri(Parser *p, const char *uri, gsize len)
{
    p->link_bytes += len;
    g_autoptr(GString) tag = g_string_new("<a href=\"");
    hearth_markdown_inline_escape(tag, uri, len);
    g_string_append(tag, "\" title=\"");
    hearth_markdown_inline_escape(tag, uri, len);
    g_string_append(tag, "\">");
    hearth_markdown_inline_open(&p->text, tag->str);
}

static void open_link(Parser *p, const MD_ATTRIBUTE *target)
{
    p->events += target->size / 8; /* md4c has read it */
    if (p->text.in_link || target->size > MAX_LINK || p->link_bytes > p->max_link_bytes) {
        hearth_markdown_inline_open(&p->text, NULL);
        return;
    }
    g_autofree char *uri = attribute(p, target);
    if (hearth_markdown_parse_link_allowed(uri))
        open_uri(p, uri, strlen(uri));
    else
        hearth_markdown_inline_open(&p->text, NULL);
}

/* Text in a list item comes without a paragraph when the list is tight. */
static void need_leaf(Parser *p)
{
    if (p->leaf == LEAF_NONE) p->leaf = LEAF_PARAGRAPH;
}

static int enter_span(MD_SPANTYPE type, void *detail, void *data)
{
    Parser *p = data;
    need_leaf(p);
    switch (type) {
    case MD_SPAN_EM: hearth_markdown_inline_open(&p->text, "<i>"); break;
    case MD_SPAN_STRONG: hearth_markdown_inline_open(&p->text, "<b>"); break;
    case MD_SPAN_DEL: hearth_markdown_inline_open(&p->text, "<s>"); break;
    case MD_SPAN_CODE: hearth_markdown_inline_open(&p->text, "<tt>"); break;
    case MD_SPAN_A: open_link(p, &((MD_SPAN_A_DETAIL *)detail)->href); break;
    case MD_SPAN_IMG: open_link(p, &((MD_SPAN_IMG_DETAIL *)detail)->src); break;
    default: hearth_markdown_inline_open(&p->text, NULL);
    }
    return too_much(p);
}

static int leave_span(MD_SPANTYPE type, void *detail, void *data)
{
    (void)type;
    (void)detail;
    Parser *p = data;
    hearth_markdown_inline_close(&p->text);
    return too_much(p);
}

/* ---- text ---- */

/* How much of the text still goes into the paragraph. */
static gsize room(const Parser *p, const char *text, gsize len)
{
    len = hearth_markdown_inline_room(&p->text, text, len, MAX_WORD);
    gsize at = p->text.chars < CUT ? CUT - p->text.chars : 0;
    if (len <= at) return len;
    gsize end = p->text.chars < CUT_ANYWHERE ? MIN(len, CUT_ANYWHERE - p->text.chars) : 0;
    for (; at < end; at++)
        if (text[at] == ' ') return at + 1;
    if (end == len) return len;
    while (end > 0 && ((guchar)text[end] & 0xc0) == 0x80) end--;
    return end;
}

static void plain(Parser *p, const char *text, gsize len)
{
    while (len) {
        gsize n = p->leaf == LEAF_CELL ? len : room(p, text, len);
        hearth_markdown_inline_text(&p->text, text, n);
        text += n;
        len -= n;
        if (len) cut_leaf(p, true);
    }
}

/* How long the address is that begins here, or 0. Closing brackets and marks at its end belong to
 * the sentence, unless a bracket was opened inside. (md4c's own is quadratic, and not found behind
 * Chinese.) */
static gsize address_length(const char *text, gsize len)
{
    gsize scheme = len > 7 && memcmp(text, "http://", 7) == 0    ? 7
                   : len > 8 && memcmp(text, "https://", 8) == 0 ? 8
                                                                 : 0;
    gsize n = scheme;
    int open = 0, closed = 0;
    while (scheme && n < len && n < MAX_LINK) {
        guchar c = (guchar)text[n];
        if (c <= ' ' || strchr("<>\"`|\\^{}", c) ||
            (c >= 0x80 && g_utf8_get_char(text + n) >= 0x2000))
            break;
        open += c == '(';
        closed += c == ')';
        n += c < 0x80 ? 1 : (gsize)(g_utf8_next_char(text + n) - (text + n));
    }
    while (n > scheme && strchr(".,;:!?'*_~)]", text[n - 1])) {
        if (text[n - 1] == ')' && closed-- <= open) break;
        n--;
    }
    return n > scheme && (g_ascii_isalnum(text[scheme]) || (guchar)text[scheme] >= 0x80) ? n : 0;
}

/* Text whose bare addresses become links. */
static void linked(Parser *p, const char *text, gsize len)
{
    gsize from = 0;
    for (gsize i = 0; i < len && !p->text.in_link && p->link_bytes <= p->max_link_bytes; i++) {
        const char *next = memchr(text + i, ':', len - i); /* http:// is rare, so is the colon */
        if (!next) break;
        gsize colon = (gsize)(next - text), back = colon >= 5 && text[colon - 1] == 's' ? 5 : 4;
        gsize start = colon - MIN(back, colon);
        i = colon;
        if (start < from || (start > 0 && g_ascii_isalnum(text[start - 1]))) continue;
        gsize n = address_length(text + start, len - start);
        if (!n) continue;
        plain(p, text + from, start - from);
        open_uri(p, text + start, n);
        plain(p, text + start, n);
        hearth_markdown_inline_close(&p->text);
        from = start + n;
        i = from - 1;
    }
    plain(p, text + from, len - from);
}

static void formula(Parser *p, const HearthMarkdownFormula *f)
{
    if (f->display && p->leaf == LEAF_PARAGRAPH && !p->text.in_link) {
        cut_leaf(p, false);
        add_block(p, HEARTH_BLOCK_MATH)->markup = hearth_markdown_math(f->source, true);
        return;
    }
    g_autofree char *markup = hearth_markdown_math(f->source, false);
    if (p->leaf != LEAF_CELL && p->text.chars > CUT_ANYWHERE) cut_leaf(p, true);
    hearth_markdown_inline_markup(&p->text, markup);
}

/* The next of our noncharacters or hinges, or the end. */
static gsize next_special(const char *text, gsize from, gsize len)
{
    for (gsize i = from; i + 2 < len; i++) {
        guchar c = (guchar)text[i];
        if (c == 0xef && (guchar)text[i + 1] == 0xb7 && (guchar)text[i + 2] >= 0x90 &&
            (guchar)text[i + 2] <= 0xaf)
            return i;
        if (c == 0xf0 && i + 3 < len && memcmp(text + i, HEARTH_MARKDOWN_HINGE, 4) == 0) return i;
    }
    return len;
}

typedef void (*Piece)(Parser *p, GString *out, const char *text, gsize len);

/* Calls `piece` with the text between specials; formulas as `math` says. */
static void each_piece(Parser *p, GString *out, const char *text, gsize len, Piece piece, bool math)
{
    for (gsize i = 0; i < len;) {
        gsize special = next_special(text, i, len), used = 3;
        if (special > i) piece(p, out, text + i, special - i);
        if (special == len) break;
        i = special;
        const HearthMarkdownFormula *f =
            hearth_markdown_scan_formula(p->formulas, text + i, len - i, &used);
        if (f && math)
            formula(p, f);
        else if (f)
            piece(p, out, f->verbatim, strlen(f->verbatim));
        else if ((guchar)text[i] == 0xf0)
            used = 4;
        else if ((guchar)text[i + 2] == 0x9c)
            piece(p, out, HEARTH_MARKDOWN_HINGE, 4);
        i += used;
    }
}

static void to_string(Parser *p, GString *out, const char *text, gsize len)
{
    (void)p;
    g_string_append_len(out, text, (gssize)len);
}

static void to_inline(Parser *p, GString *out, const char *text, gsize len)
{
    (void)out;
    plain(p, text, len);
}

static void to_linked(Parser *p, GString *out, const char *text, gsize len)
{
    (void)out;
    linked(p, text, len);
}

static void append_expanded(Parser *p, GString *out, const char *text, gsize len)
{
    each_piece(p, out, text, len, to_string, false);
}

static bool is_br(const char *text, gsize len)
{
    if (len < 4 || g_ascii_strncasecmp(text, "<br", 3) != 0) return false;
    gsize i = 3;
    while (i < len && (text[i] == ' ' || text[i] == '/')) i++;
    return i == len - 1 && text[i] == '>';
}

static int text_piece(MD_TEXTTYPE type, const MD_CHAR *text, MD_SIZE len, void *data)
{
    Parser *p = data;
    char buffer[8];
    const char *entity;
    if (p->leaf == LEAF_CODE) {
        append_expanded(p, p->code, text, len);
        return too_much(p);
    }
    need_leaf(p);
    switch (type) {
    case MD_TEXT_NULLCHAR: plain(p, "\xef\xbf\xbd", 3); break;
    case MD_TEXT_BR:
    case MD_TEXT_SOFTBR: p->text.line_break = true; break;
    case MD_TEXT_ENTITY:
        entity = hearth_markdown_inline_entity(text, len, buffer);
        plain(p, entity ? entity : text, entity ? strlen(entity) : len);
        break;
    case MD_TEXT_HTML:
        if (is_br(text, len))
            p->text.line_break = true;
        else
            each_piece(p, NULL, text, len, to_inline, false);
        break;
    case MD_TEXT_CODE: each_piece(p, NULL, text, len, to_inline, false); break;
    default: each_piece(p, NULL, text, len, to_linked, true);
    }
    return too_much(p);
}

/* ---- the whole ---- */

void hearth_markdown_parse(const char *text, gsize len, const GPtrArray *formulas,
                           GPtrArray *blocks)
{
    MD_PARSER callbacks = {
        .flags = MD_FLAG_TABLES | MD_FLAG_STRIKETHROUGH | MD_FLAG_TASKLISTS | MD_FLAG_NOHTMLBLOCKS,
        .enter_block = enter_block,
        .leave_block = leave_block,
        .enter_span = enter_span,
        .leave_span = leave_span,
        .text = text_piece,
    };
    Parser p = {.formulas = formulas,
                .lists = {blocks},
                .max_events = 16 * len + 100000,
                .max_link_bytes = 4 * len + 100000};
    guint before = blocks->len;
    p.code = g_string_new(NULL);
    hearth_markdown_inline_init(&p.text);
    if (len < G_MAXINT && md_parse(text, (MD_SIZE)len, &callbacks, &p) != 0) {
        g_ptr_array_set_size(blocks, (int)before);
        HearthMarkdownBlock *block = hearth_markdown_block_new(HEARTH_BLOCK_CODE);
        GString *source = g_string_new(NULL);
        append_expanded(&p, source, text, len);
        block->text_len = source->len;
        block->text = g_string_free(source, FALSE);
        g_ptr_array_add(blocks, block);
    }
    g_string_free(p.code, TRUE);
    hearth_markdown_inline_clear(&p.text);
}

GPtrArray *hearth_markdown_parse_all(const char *text, gsize len)
{
    GPtrArray *blocks = hearth_markdown_block_list_new();
    HearthMarkdownScan scan;
    hearth_markdown_scan_init(&scan, text, len, true);
    hearth_markdown_parse(scan.text->str, scan.text->len, scan.formulas, blocks);
    hearth_markdown_scan_clear(&scan);
    return blocks;
}
