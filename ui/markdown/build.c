#include "build.h"

#include <glib/gi18n.h>
#include <string.h>

#include "code.h"
#include "pane.h"
#include "stack.h"
#include "table.h"
#include "text.h"

/* As many blocks of one container are shown at once: a text of a hundred thousand paragraphs is no
 * reason to stand still. */
#define MAX_CHILDREN 5000
#define PAGE 16       /* blocks */
#define LEAST_CHARS 8 /* that a line of a paragraph has room for, however narrow the window */

static GQuark quark_block(void) { return g_quark_from_static_string("hearth-markdown-block"); }

static void free_block(gpointer block) { hearth_markdown_block_unref(block); }

static guint built;

guint hearth_markdown_build_count(void) { return built; }

static void remember(GtkWidget *widget, HearthMarkdownBlock *block)
{
    g_object_set_qdata_full(G_OBJECT(widget), quark_block(), hearth_markdown_block_ref(block),
                            free_block);
}

/* ---- lists ---- */

static guint digits(guint n)
{
    guint d = 1;
    while (n >= 10) n /= 10, d++;
    return d;
}

static GtkWidget *make_marker(const HearthMarkdownBlock *list, const HearthMarkdownBlock *item,
                              guint index)
{
    if (item->task != HEARTH_BLOCK_NO_TASK) {
        bool done = item->task == HEARTH_BLOCK_DONE;
        GtkWidget *image =
            gtk_image_new_from_icon_name(done ? "checkbox-checked-symbolic" : "checkbox-symbolic");
        gtk_widget_set_valign(image, GTK_ALIGN_START);
        gtk_widget_add_css_class(image, "md-task");
        gtk_accessible_update_property(GTK_ACCESSIBLE(image), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                       done ? C_("task", "Done") : C_("task", "Not Done"), -1);
        return image;
    }
    g_autofree char *text =
        list->ordered ? g_strdup_printf("%u.", list->start + index) : g_strdup("•");
    GtkWidget *label = gtk_label_new(text);
    gtk_label_set_xalign(GTK_LABEL(label), 1);
    gtk_widget_set_valign(label, GTK_ALIGN_START);
    gtk_widget_add_css_class(label, "md-marker");
    return label;
}

/* Numbers end at the same place, however long the longest is. */
static void align_markers(GtkWidget *list, const HearthMarkdownBlock *block)
{
    int chars = block->ordered ? (int)digits(block->start + block->children->len) + 1 : 2;
    for (GtkWidget *item = gtk_widget_get_first_child(list); item;
         item = gtk_widget_get_next_sibling(item)) {
        GtkWidget *marker = gtk_widget_get_first_child(item);
        if (GTK_IS_LABEL(marker)) gtk_label_set_width_chars(GTK_LABEL(marker), chars);
    }
}

static const char *first_text(const HearthMarkdownBlock *block)
{
    if (block->markup) return block->markup;
    if (block->cells && block->cells->len) return block->cells->pdata[0];
    return block->children && block->children->len ? first_text(block->children->pdata[0]) : "";
}

static void use_direction(GtkWidget *widget, const HearthMarkdownBlock *block)
{
    gtk_widget_set_direction(widget, hearth_markdown_text_direction(first_text(block)));
}

static void build_items(GtkWidget *list, const HearthMarkdownBlock *block);

static void fill_item(GtkWidget *row, const HearthMarkdownBlock *item)
{
    hearth_markdown_build_children(gtk_widget_get_last_child(row), item->children, 0, 0);
    use_direction(row, item);
}

static GtkWidget *make_item(const HearthMarkdownBlock *list, HearthMarkdownBlock *item, guint index)
{
    GtkWidget *row = g_object_new(GTK_TYPE_BOX, "accessible-role", GTK_ACCESSIBLE_ROLE_LIST_ITEM,
                                  "spacing", 8, NULL);
    GtkWidget *body = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    gtk_widget_set_hexpand(body, TRUE);
    gtk_widget_add_css_class(row, "md-item");
    gtk_widget_add_css_class(body, "md-body");
    gtk_box_append(GTK_BOX(row), make_marker(list, item, index));
    gtk_box_append(GTK_BOX(row), body);
    remember(row, item);
    fill_item(row, item);
    return row;
}

/* ---- one block ---- */

static GtkWidget *make_box(const char *css, GtkAccessibleRole role)
{
    GtkWidget *box = g_object_new(GTK_TYPE_BOX, "orientation", GTK_ORIENTATION_VERTICAL,
                                  "accessible-role", role, NULL);
    gtk_widget_add_css_class(box, css);
    return box;
}

static void set_list_class(GtkWidget *list, const HearthMarkdownBlock *block)
{
    if (block->tight)
        gtk_widget_add_css_class(list, "md-tight");
    else
        gtk_widget_remove_css_class(list, "md-tight");
}

static GtkWidget *make_math(const HearthMarkdownBlock *block)
{
    GtkWidget *text = hearth_markdown_text_new(block->markup, 0);
    GtkLabel *label = hearth_markdown_text_get_label(HEARTH_MARKDOWN_TEXT(text));
    /* Lines begin at one place, the block stands in the middle. */
    gtk_widget_set_halign(GTK_WIDGET(label), GTK_ALIGN_CENTER);
    gtk_widget_set_direction(GTK_WIDGET(label), GTK_TEXT_DIR_LTR);
    gtk_widget_add_css_class(text, "md-math");
    return text;
}

/* A label that wraps is asked for the least width it could do with, and tries one with a line break
 * after each letter: five times the cost of all the rest of its layout, with each token of an
 * answer. One that says how narrow it may become is not asked. */
static GtkWidget *make_text(const HearthMarkdownBlock *block, int level)
{
    GtkWidget *text = hearth_markdown_text_new(block->markup, level);
    gtk_label_set_width_chars(hearth_markdown_text_get_label(HEARTH_MARKDOWN_TEXT(text)),
                              LEAST_CHARS);
    return text;
}

static GtkWidget *make_block(HearthMarkdownBlock *block)
{
    GtkWidget *widget = NULL;
    char css[8];
    switch (block->kind) {
    case HEARTH_BLOCK_PARAGRAPH:
        widget = make_text(block, 0);
        if (block->joined) gtk_widget_add_css_class(widget, "md-joined");
        break;
    case HEARTH_BLOCK_HEADING:
        widget = make_text(block, block->level);
        g_snprintf(css, sizeof css, "md-h%d", CLAMP(block->level, 1, 6));
        gtk_widget_add_css_class(widget, "md-heading");
        gtk_widget_add_css_class(widget, css);
        break;
    case HEARTH_BLOCK_MATH: widget = make_math(block); break;
    case HEARTH_BLOCK_CODE: widget = hearth_markdown_code_new(block); break;
    case HEARTH_BLOCK_TABLE: widget = hearth_markdown_table_new(block); break;
    case HEARTH_BLOCK_RULE: widget = gtk_separator_new(GTK_ORIENTATION_HORIZONTAL); break;
    case HEARTH_BLOCK_QUOTE:
        widget = make_box("md-quote", GTK_ACCESSIBLE_ROLE_GROUP);
        hearth_markdown_build_children(widget, block->children, 0, 0);
        use_direction(widget, block);
        break;
    case HEARTH_BLOCK_ITEM: /* only in lists, see make_item */
    case HEARTH_BLOCK_LIST:
        widget = make_box("md-list", GTK_ACCESSIBLE_ROLE_LIST);
        set_list_class(widget, block);
        build_items(widget, block);
        use_direction(widget, block);
        break;
    }
    remember(widget, block);
    built++;
    return widget;
}

/* Whether the widget could be changed into one of the block. */
static bool update_block(GtkWidget *widget, HearthMarkdownBlock *old, HearthMarkdownBlock *block)
{
    if (old->kind != block->kind || old->level != block->level || old->joined != block->joined)
        return false;
    switch (block->kind) {
    case HEARTH_BLOCK_PARAGRAPH:
    case HEARTH_BLOCK_HEADING:
        hearth_markdown_text_set_markup(HEARTH_MARKDOWN_TEXT(widget), block->markup);
        break;
    case HEARTH_BLOCK_CODE: hearth_markdown_code_update(HEARTH_MARKDOWN_CODE(widget), block); break;
    case HEARTH_BLOCK_TABLE:
        if (!hearth_markdown_table_update(widget, old, block)) return false;
        break;
    case HEARTH_BLOCK_QUOTE:
        hearth_markdown_build_children(widget, block->children, 0, 0);
        use_direction(widget, block);
        break;
    case HEARTH_BLOCK_LIST:
        if (old->ordered != block->ordered || old->start != block->start) return false;
        set_list_class(widget, block);
        build_items(widget, block);
        use_direction(widget, block);
        break;
    default: return false;
    }
    remember(widget, block);
    return true;
}

/* ---- containers ---- */

static GtkWidget *skip_children(GtkWidget *container, guint n)
{
    GtkWidget *child = gtk_widget_get_first_child(container);
    while (n-- && child) child = gtk_widget_get_next_sibling(child);
    return child;
}

static void drop_from(GtkWidget *child)
{
    while (child) {
        GtkWidget *next = gtk_widget_get_next_sibling(child);
        gtk_widget_unparent(child);
        child = next;
    }
}

static void build_items(GtkWidget *list, const HearthMarkdownBlock *block)
{
    GtkWidget *row = gtk_widget_get_first_child(list);
    guint n = MIN(block->children->len, MAX_CHILDREN);
    for (guint i = 0; i < n; i++) {
        HearthMarkdownBlock *item = block->children->pdata[i];
        HearthMarkdownBlock *old = row ? g_object_get_qdata(G_OBJECT(row), quark_block()) : NULL;
        if (old && old->task == item->task) {
            if (!hearth_markdown_block_equal(old, item)) {
                fill_item(row, item);
                remember(row, item);
            }
            row = gtk_widget_get_next_sibling(row);
            continue;
        }
        GtkWidget *before =
            row ? gtk_widget_get_prev_sibling(row) : gtk_widget_get_last_child(list);
        drop_from(row);
        row = NULL;
        gtk_widget_insert_after(make_item(block, item, i), list, before);
    }
    drop_from(row);
    align_markers(list, block);
}

static void show_more(GtkButton *button, gpointer data)
{
    (void)data;
    GtkWidget *container = gtk_widget_get_parent(GTK_WIDGET(button));
    GPtrArray *blocks = g_object_steal_data(G_OBJECT(button), "blocks");
    guint shown = GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(container), "shown"));
    g_object_set_data(G_OBJECT(container), "shown",
                      GUINT_TO_POINTER(MAX(shown, MAX_CHILDREN) + MAX_CHILDREN));
    hearth_markdown_build_children(container, blocks, 0, 0);
    g_ptr_array_unref(blocks);
}

static void add_more_button(GtkWidget *container, const GPtrArray *blocks)
{
    GtkWidget *button = gtk_button_new_with_label(_("Show More"));
    gtk_widget_set_halign(button, GTK_ALIGN_CENTER);
    gtk_widget_add_css_class(button, "md-more");
    GPtrArray *copy = hearth_markdown_block_list_new();
    for (guint i = 0; i < blocks->len; i++)
        g_ptr_array_add(copy, hearth_markdown_block_ref(blocks->pdata[i]));
    g_object_set_data_full(G_OBJECT(button), "blocks", copy, (GDestroyNotify)g_ptr_array_unref);
    g_signal_connect(button, "clicked", G_CALLBACK(show_more), NULL);
    gtk_widget_insert_before(button, container, NULL);
}

/* Puts the block's widget where `child` is, or behind the last; returns the child behind it. */
static GtkWidget *put_block(GtkWidget *container, GtkWidget *child, HearthMarkdownBlock *block)
{
    HearthMarkdownBlock *old = child ? g_object_get_qdata(G_OBJECT(child), quark_block()) : NULL;
    GtkWidget *next = child ? gtk_widget_get_next_sibling(child) : NULL;
    if (old && (hearth_markdown_block_equal(old, block) || update_block(child, old, block)))
        return next;
    gtk_widget_insert_before(make_block(block), container, child);
    if (child) gtk_widget_unparent(child);
    return next;
}

/* Up to which of the n blocks it came; when that is all of them, nothing is behind them. */
static guint put_blocks(GtkWidget *container, gpointer *blocks, guint n, guint from, gint64 end)
{
    guint i = from;
    GtkWidget *child = skip_children(container, i);
    for (; i < n && (i == from || g_get_monotonic_time() < end); i++)
        child = put_block(container, child, blocks[i]);
    if (i == n) drop_from(child);
    return i;
}

static guint put_pages(GtkWidget *view, gpointer *blocks, guint n, guint from, gint64 end)
{
    GtkWidget *page = skip_children(view, from / PAGE);
    for (guint first = from - from % PAGE; first < n; first += PAGE) {
        if (!HEARTH_IS_MARKDOWN_STACK(page)) { /* none or "Show More" */
            GtkWidget *behind = page;
            page = hearth_markdown_stack_new();
            gtk_widget_insert_before(page, view, behind);
        }
        guint n_here = MIN(PAGE, n - first);
        guint done = put_blocks(page, blocks + first, n_here, MAX(from, first) - first, end);
        if (done < n_here) return first + done;
        page = gtk_widget_get_next_sibling(page);
    }
    drop_from(page);
    return n;
}

guint hearth_markdown_build_children(GtkWidget *container, const GPtrArray *blocks, guint from,
                                     int milliseconds)
{
    guint shown = GPOINTER_TO_UINT(g_object_get_data(G_OBJECT(container), "shown"));
    guint n = MIN(blocks->len, MAX(shown, MAX_CHILDREN));
    gint64 end = milliseconds ? g_get_monotonic_time() + milliseconds * 1000 : G_MAXINT64;
    guint i = (HEARTH_IS_MARKDOWN_STACK(container) ? put_pages : put_blocks)(
        container, blocks->pdata, n, MIN(from, n), end);
    if (i < n) return i;
    if (n < blocks->len) add_more_button(container, blocks);
    return blocks->len;
}
