#include <string.h>

#include "markdown/model/block.h"
#include "reader.h"

typedef struct {
    const char *name, *left, *right; /* brackets: one character, or one per place of the row */
} Kind;

/* In a row; then stacked: top, between, bottom. */
static const Kind kinds[] = {
    {"matrix", "    ", "    "},      {"pmatrix", "(⎛⎜⎝", ")⎞⎟⎠"}, {"bmatrix", "[⎡⎢⎣", "]⎤⎥⎦"},
    {"Bmatrix", "{⎧⎪⎩", "}⎫⎪⎭"},     {"vmatrix", "||||", "||||"}, {"Vmatrix", "‖‖‖‖", "‖‖‖‖"},
    {"smallmatrix", "    ", "    "}, {"array", "    ", "    "},   {"cases", "{⎧⎪⎩", "    "},
    {"rcases", "    ", "}⎫⎪⎭"},      {"dcases", "{⎧⎪⎩", "    "},
};

static void append_bracket(GString *out, const char *bracket, int place)
{
    const char *p = g_utf8_offset_to_pointer(bracket, place);
    if (*p != ' ') g_string_append_len(out, p, g_utf8_next_char(p) - p);
}

static void free_row(gpointer row) { g_ptr_array_unref(row); }

/* The cells, row by row, up to \end. */
static GPtrArray *read_cells(HearthMath *m)
{
    GPtrArray *rows = g_ptr_array_new_with_free_func(free_row);
    GPtrArray *cells = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(rows, cells);
    for (;;) {
        HearthMathRow cell;
        hearth_markdown_math_row_init(&cell, false);
        hearth_markdown_math_list(m, &cell);
        g_ptr_array_add(cells, g_string_free(cell.out, FALSE));
        if (m->p == m->end) break;
        if (*m->p == '&') {
            m->p++;
        } else if (*m->p == '\\' && m->p + 1 < m->end && m->p[1] == '\\') {
            GString *ignored = g_string_new(NULL);
            HearthMathRow none;
            hearth_markdown_math_row_init(&none, false);
            m->p += 2;
            hearth_markdown_math_command(m, &none, "\\", ignored);
            g_string_free(none.out, TRUE);
            g_string_free(ignored, TRUE);
            cells = g_ptr_array_new_with_free_func(g_free);
            g_ptr_array_add(rows, cells);
        } else {
            break; /* \end, a brace */
        }
    }
    /* What follows the last \\ is no row. */
    if (rows->len > 1 && cells->len == 1 && !*(char *)cells->pdata[0])
        g_ptr_array_set_size(rows, (int)rows->len - 1);
    return rows;
}

static glong width(const char *markup)
{
    g_autofree char *plain = hearth_markdown_block_strip(markup);
    glong n = 0;
    for (const char *p = plain; *p; p = g_utf8_next_char(p))
        n += !g_unichar_iszerowidth(g_utf8_get_char(p));
    return n;
}

/* Columns of even width, as far as a proportional font can: figure spaces. */
static void pad_columns(GPtrArray *rows, bool centre)
{
    guint columns = 0;
    for (guint r = 0; r < rows->len; r++)
        columns = MAX(columns, ((GPtrArray *)rows->pdata[r])->len);
    for (guint c = 0; c < columns; c++) {
        glong widest = 0;
        for (guint r = 0; r < rows->len; r++) {
            GPtrArray *cells = rows->pdata[r];
            if (c < cells->len) widest = MAX(widest, width(cells->pdata[c]));
        }
        for (guint r = 0; r < rows->len; r++) {
            GPtrArray *cells = rows->pdata[r];
            if (c >= cells->len) g_ptr_array_add(cells, g_strdup(""));
            glong missing = widest - width(cells->pdata[c]), before = centre ? missing / 2 : 0;
            GString *cell = g_string_new(NULL);
            for (glong i = 0; i < before; i++) g_string_append(cell, "\xe2\x80\x87");
            g_string_append(cell, cells->pdata[c]);
            for (glong i = before; i < missing; i++) g_string_append(cell, "\xe2\x80\x87");
            g_free(cells->pdata[c]);
            cells->pdata[c] = g_string_free(cell, FALSE);
        }
    }
}

static void append_cells(GString *out, const GPtrArray *cells, const char *separator)
{
    for (guint c = 0; c < cells->len; c++) {
        if (c) g_string_append(out, separator);
        g_string_append(out, cells->pdata[c]);
    }
}

static HearthMathClass write_grid(HearthMath *m, HearthMathRow *row, GString *out, const Kind *kind)
{
    g_autoptr(GPtrArray) rows = read_cells(m);
    bool cases = strstr(kind->name, "cases") != NULL;
    bool stacked = m->stack && rows->len > 1 && !row->tight;
    if (!stacked) {
        append_bracket(out, kind->left, 0);
        for (guint r = 0; r < rows->len; r++) {
            if (r) g_string_append(out, "; ");
            append_cells(out, rows->pdata[r], cases ? " " : "\xe2\x80\x82");
        }
        append_bracket(out, kind->right, 0);
        return HEARTH_MATH_ORDINARY;
    }
    pad_columns(rows, !cases);
    for (guint r = 0; r < rows->len; r++) {
        int place = r == 0 ? 1 : r + 1 == rows->len ? 3 : 2;
        if (r) g_string_append_c(out, '\n');
        append_bracket(out, kind->left, place);
        g_string_append(out, "\xe2\x80\x82");
        append_cells(out, rows->pdata[r], "\xe2\x80\x83");
        if (!cases) g_string_append(out, "\xe2\x80\x82");
        append_bracket(out, kind->right, place);
    }
    row->newline = row->out->len > 0;
    hearth_markdown_math_put(row, HEARTH_MATH_ORDINARY, out->str);
    row->newline = true;
    g_string_truncate(out, 0);
    return HEARTH_MATH_NONE;
}

/* align and its kin: rows are lines, & only says where they meet. */
static void write_lines(HearthMath *m, HearthMathRow *row)
{
    for (;;) {
        const char *before = m->p;
        hearth_markdown_math_list(m, row);
        if (m->p == m->end) return;
        if (*m->p == '&') {
            m->p++;
            if (row->last == HEARTH_MATH_NONE && row->out->len)
                hearth_markdown_math_put(row, HEARTH_MATH_SPACE, "\xe2\x80\x83");
        } else if (*m->p == '\\' && m->p + 1 < m->end && m->p[1] == '\\') {
            GString *ignored = g_string_new(NULL);
            m->p += 2;
            hearth_markdown_math_command(m, row, "\\", ignored);
            g_string_free(ignored, TRUE);
        } else {
            return;
        }
        if (m->p == before) return;
    }
}

HearthMathClass hearth_markdown_math_grid(HearthMath *m, HearthMathRow *row, GString *out)
{
    const char *start, *end;
    hearth_markdown_math_raw(m, &start, &end);
    g_autofree char *name = g_strndup(start, (gsize)(end - start));
    g_strdelimit(name, "*", 0);
    if (g_str_equal(name, "array") || g_str_has_prefix(name, "alignat"))
        hearth_markdown_math_raw(m, &start, &end);
    const Kind *kind = NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(kinds) && !kind; i++)
        if (g_str_equal(kinds[i].name, name)) kind = &kinds[i];
    HearthMathClass result = HEARTH_MATH_NONE;
    HearthMath saved = *m;
    m->in_cell = true;
    m->lefts = 0;
    m->depth++;
    if (kind)
        result = write_grid(m, row, out, kind);
    else
        write_lines(m, row);
    saved.p = m->p;
    *m = saved;
    if (m->end - m->p >= 4 && memcmp(m->p, "\\end", 4) == 0) {
        m->p += 4;
        hearth_markdown_math_raw(m, &start, &end);
    }
    return result;
}
