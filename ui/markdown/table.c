#include "table.h"

#include "pane.h"
#include "text.h"

#define MIN_CHARS 12     /* a column is not made narrower than that, or than its text … */
#define MAX_MIN_CHARS 24 /* … or than that when its text is long: low rows read better */
#define MAX_CHARS 40     /* nor, without need, wider than that */

static GtkWidget *make_cell(const HearthMarkdownBlock *block, guint index)
{
    guint row = index / block->columns, column = index % block->columns;
    const char *markup = block->cells->pdata[index];
    char align = block->aligns[column];
    GtkWidget *cell = hearth_markdown_text_new(markup, 0);
    GtkLabel *label = hearth_markdown_text_get_label(HEARTH_MARKDOWN_TEXT(cell));
    g_autofree char *plain = hearth_markdown_block_strip(markup);
    int chars = (int)MIN(g_utf8_strlen(plain, -1), 1000);
    gtk_label_set_width_chars(label, MIN(chars, CLAMP(chars / 3, MIN_CHARS, MAX_MIN_CHARS)));
    gtk_label_set_max_width_chars(label, MIN(chars, MAX_CHARS));
    gtk_label_set_xalign(label, align == 'c' ? 0.5f : align == 'r' ? 1 : 0);
    gtk_label_set_justify(label, align == 'c'   ? GTK_JUSTIFY_CENTER
                                 : align == 'r' ? GTK_JUSTIFY_RIGHT
                                                : GTK_JUSTIFY_LEFT);
    gtk_label_set_yalign(label, 0);
    gtk_widget_set_hexpand(cell, TRUE);
    gtk_widget_add_css_class(cell, row ? "md-cell" : "md-head");
    return cell;
}

static void add_cells(GtkGrid *grid, const HearthMarkdownBlock *block, guint from)
{
    for (guint i = from; i < block->cells->len; i++)
        gtk_grid_attach(grid, make_cell(block, i), (int)(i % block->columns),
                        (int)(i / block->columns), 1, 1);
}

GtkWidget *hearth_markdown_table_new(const HearthMarkdownBlock *block)
{
    GtkWidget *grid =
        g_object_new(GTK_TYPE_GRID, "accessible-role", GTK_ACCESSIBLE_ROLE_TABLE, NULL);
    GtkWidget *pane = hearth_markdown_pane_new(grid);
    gtk_widget_add_css_class(pane, "md-table");
    gtk_widget_set_halign(pane, GTK_ALIGN_START);
    add_cells(GTK_GRID(grid), block, 0);
    for (guint i = 0; i < block->cells->len; i++) {
        GtkTextDirection direction = hearth_markdown_text_direction(block->cells->pdata[i]);
        if (direction == GTK_TEXT_DIR_NONE) continue;
        gtk_widget_set_direction(grid, direction);
        break;
    }
    return pane;
}

bool hearth_markdown_table_update(GtkWidget *table, const HearthMarkdownBlock *old,
                                  const HearthMarkdownBlock *block)
{
    if (old->columns != block->columns || !g_str_equal(old->aligns, block->aligns) ||
        block->cells->len < old->cells->len)
        return false;
    guint same = 0;
    while (same < old->cells->len &&
           g_str_equal(old->cells->pdata[same], block->cells->pdata[same]))
        same++;
    guint rows = old->cells->len / old->columns, keep = same / old->columns;
    GtkGrid *grid = GTK_GRID(hearth_markdown_pane_get_child(HEARTH_MARKDOWN_PANE(table)));
    for (guint row = rows; row-- > keep;) gtk_grid_remove_row(grid, (int)row);
    add_cells(grid, block, keep * block->columns);
    return true;
}
