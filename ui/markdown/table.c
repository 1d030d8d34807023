#include "table.h"

#include <glib/gi18n.h>
#include <string.h>

#include "pane.h"
#include "text.h"

#define FIRST_CELLS 240  /* of a table with more than twice as many */
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
    gtk_label_set_wrap(label, chars > MIN_CHARS || strchr(plain, '\n') != NULL);
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

static void add_rows(GtkGrid *grid, const HearthMarkdownBlock *block, guint from, guint to)
{
    for (guint i = from * block->columns; i < to * block->columns; i++)
        gtk_grid_attach(grid, make_cell(block, i), (int)(i % block->columns),
                        (int)(i / block->columns), 1, 1);
}

static GtkGrid *get_grid(GtkWidget *table)
{
    GtkWidget *pane = gtk_widget_get_first_child(table);
    return GTK_GRID(hearth_markdown_pane_get_child(HEARTH_MARKDOWN_PANE(pane)));
}

static guint count_rows(const HearthMarkdownBlock *block)
{
    return block->cells->len / block->columns;
}

static void unref_block(gpointer block) { hearth_markdown_block_unref(block); }

static void hearth_markdown_table_show_all(GtkButton *button, gpointer data)
{
    (void)data;
    GtkWidget *table = gtk_widget_get_parent(GTK_WIDGET(button));
    const HearthMarkdownBlock *block = g_object_get_data(G_OBJECT(button), "block");
    add_rows(get_grid(table), block, FIRST_CELLS / block->columns, count_rows(block));
    gtk_box_remove(GTK_BOX(table), GTK_WIDGET(button));
}

static void offer_all(GtkWidget *button, HearthMarkdownBlock *block)
{
    guint rows = count_rows(block) - 1; /* the header is none */
    g_autofree char *label =
        g_strdup_printf(ngettext("Show All %u Row", "Show All %u Rows", rows), rows);
    gtk_button_set_label(GTK_BUTTON(button), label);
    g_object_set_data_full(G_OBJECT(button), "block", hearth_markdown_block_ref(block),
                           unref_block);
}

/* A long table shows its first rows; returns how many. */
static guint fold(GtkWidget *table, HearthMarkdownBlock *block)
{
    if (block->cells->len <= 2 * FIRST_CELLS) return count_rows(block);
    GtkWidget *button = gtk_button_new();
    gtk_widget_add_css_class(button, "flat");
    gtk_widget_add_css_class(button, "md-more");
    offer_all(button, block);
    g_signal_connect(button, "clicked", G_CALLBACK(hearth_markdown_table_show_all), NULL);
    gtk_box_append(GTK_BOX(table), button);
    return FIRST_CELLS / block->columns;
}

GtkWidget *hearth_markdown_table_new(HearthMarkdownBlock *block)
{
    GtkWidget *grid =
        g_object_new(GTK_TYPE_GRID, "accessible-role", GTK_ACCESSIBLE_ROLE_TABLE, NULL);
    GtkWidget *pane = hearth_markdown_pane_new(grid);
    GtkWidget *table = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_widget_add_css_class(pane, "md-table");
    gtk_widget_set_halign(table, GTK_ALIGN_START);
    gtk_box_append(GTK_BOX(table), pane);
    add_rows(GTK_GRID(grid), block, 0, fold(table, block));
    for (guint i = 0; i < block->cells->len; i++) {
        GtkTextDirection direction = hearth_markdown_text_direction(block->cells->pdata[i]);
        if (direction == GTK_TEXT_DIR_NONE) continue;
        gtk_widget_set_direction(grid, direction);
        break;
    }
    return table;
}

bool hearth_markdown_table_update(GtkWidget *table, const HearthMarkdownBlock *old,
                                  HearthMarkdownBlock *block)
{
    if (old->columns != block->columns || !g_str_equal(old->aligns, block->aligns) ||
        block->cells->len < old->cells->len)
        return false;
    guint same = 0;
    while (same < old->cells->len &&
           g_str_equal(old->cells->pdata[same], block->cells->pdata[same]))
        same++;
    GtkWidget *button = gtk_widget_get_last_child(table);
    if (GTK_IS_BUTTON(button)) {
        if (same < FIRST_CELLS) return false;
        offer_all(button, block);
        return true;
    }
    guint rows = count_rows(old), keep = same / old->columns;
    GtkGrid *grid = get_grid(table);
    for (guint row = rows; row-- > keep;) gtk_grid_remove_row(grid, (int)row);
    add_rows(grid, block, keep, count_rows(block));
    return true;
}
