#include "row.h"

#include <glib/gi18n-lib.h>

#include "excerpt.h"

struct _HearthRow {
    GtkBox parent_instance;
    HearthItem *item;
    GtkWidget *arrow, *icon, *title, *snippet, *busy, *dot, *count;
    GSignalGroup *of_item, *of_thing; /* thing: the item's conversation or folder */
};

G_DEFINE_FINAL_TYPE(HearthRow, hearth_row, GTK_TYPE_BOX)

const char *hearth_row_title_of(HearthConversation *conversation)
{
    const char *title = hearth_conversation_get_title(conversation);
    return *title ? title : _("New Conversation");
}

/* ---- showing --------------------------------------------------------------------------------- */

static void tell(HearthRow *self, const char *name, const char *state)
{
    GtkWidget *widget = gtk_widget_get_parent(GTK_WIDGET(self));
    if (!widget) return;
    gtk_accessible_update_property(GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, name,
                                   GTK_ACCESSIBLE_PROPERTY_DESCRIPTION, state, -1);
}

static void show_conversation(HearthRow *self, HearthConversation *conversation)
{
    bool busy = hearth_conversation_is_busy(conversation);
    bool unread = hearth_conversation_is_unread(conversation) && !busy;
    const char *title = hearth_row_title_of(conversation);
    if (hearth_item_get_kind(self->item) == HEARTH_ITEM_HIT)
        gtk_label_set_markup(GTK_LABEL(self->title), hearth_item_get_text(self->item));
    else
        gtk_label_set_text(GTK_LABEL(self->title), title);
    gtk_widget_set_visible(self->icon, hearth_conversation_get_pinned(conversation));
    gtk_image_set_from_icon_name(GTK_IMAGE(self->icon), "view-pin-symbolic");
    gtk_widget_set_visible(self->busy, busy);
    gtk_widget_set_visible(self->dot, unread);
    tell(self, title,
         busy                                           ? _("An answer is being written")
         : unread                                       ? _("Has an answer you have not seen")
         : hearth_conversation_get_pinned(conversation) ? _("Pinned")
                                                        : "");
}

static void show_folder(HearthRow *self, HearthFolder *folder)
{
    guint n = hearth_item_get_count(self->item);
    bool expanded = hearth_item_get_expanded(self->item);
    g_autofree char *count = g_strdup_printf("%u", n);
    g_autofree char *said =
        g_strdup_printf(g_dngettext(GETTEXT_PACKAGE, "%u conversation", "%u conversations", n), n);
    gtk_label_set_text(GTK_LABEL(self->title), hearth_folder_get_name(folder));
    gtk_label_set_text(GTK_LABEL(self->count), count);
    gtk_image_set_from_icon_name(GTK_IMAGE(self->arrow),
                                 expanded ? "pan-down-symbolic" : "pan-end-symbolic");
    tell(self, hearth_folder_get_name(folder), said);
    gtk_accessible_update_state(GTK_ACCESSIBLE(gtk_widget_get_parent(GTK_WIDGET(self))),
                                GTK_ACCESSIBLE_STATE_EXPANDED, expanded, -1);
}

/* Of the item whose conversation or folder has changed. */
static void refresh(HearthRow *self)
{
    HearthConversation *conversation = hearth_item_get_conversation(self->item);
    HearthFolder *folder = hearth_item_get_folder(self->item);
    if (conversation) show_conversation(self, conversation);
    if (folder) show_folder(self, folder);
}

static void set_class(GtkWidget *widget, const char *name, bool on)
{
    if (on)
        gtk_widget_add_css_class(widget, name);
    else
        gtk_widget_remove_css_class(widget, name);
}

/* What depends on the kind alone. */
static void dress(HearthRow *self, HearthItemKind kind)
{
    bool heading = kind == HEARTH_ITEM_HEADING, folder = kind == HEARTH_ITEM_FOLDER;
    const char *excerpt = hearth_item_get_excerpt(self->item);
    g_autofree char *snippet =
        excerpt ? hearth_excerpt_markup(excerpt, hearth_item_get_snippet(self->item)) : NULL;
    set_class(GTK_WIDGET(self), "heading-row", heading);
    set_class(GTK_WIDGET(self), "folder-row", folder);
    set_class(GTK_WIDGET(self), "inside-row", hearth_item_is_inside(self->item));
    set_class(self->title, "caption-heading", heading);
    set_class(self->title, "dim-label", heading);
    gtk_widget_set_visible(self->arrow, folder);
    gtk_widget_set_visible(self->count, folder);
    gtk_widget_set_visible(self->icon, false);
    gtk_widget_set_visible(self->dot, false);
    gtk_widget_set_visible(self->busy, false);
    gtk_widget_set_visible(self->snippet, snippet && *snippet);
    gtk_label_set_markup(GTK_LABEL(self->snippet), snippet ? snippet : "");
    if (!folder && gtk_widget_get_parent(GTK_WIDGET(self)))
        gtk_accessible_reset_state(GTK_ACCESSIBLE(gtk_widget_get_parent(GTK_WIDGET(self))),
                                   GTK_ACCESSIBLE_STATE_EXPANDED);
}

void hearth_row_set_item(HearthRow *self, HearthItem *item)
{
    if (item == self->item) return;
    g_signal_group_set_target(self->of_item, NULL);
    g_signal_group_set_target(self->of_thing, NULL);
    g_set_object(&self->item, item);
    if (!item) return;
    HearthConversation *conversation = hearth_item_get_conversation(item);
    HearthFolder *folder = hearth_item_get_folder(item);
    dress(self, hearth_item_get_kind(item));
    if (conversation || folder) {
        g_signal_group_set_target(self->of_item, item);
        g_signal_group_set_target(self->of_thing,
                                  conversation ? G_OBJECT(conversation) : G_OBJECT(folder));
        refresh(self);
    } else {
        gtk_label_set_text(GTK_LABEL(self->title), hearth_item_get_text(item));
        tell(self, hearth_item_get_text(item), "");
    }
}

HearthItem *hearth_row_get_item(HearthRow *self) { return self->item; }

/* ---- the widget ------------------------------------------------------------------------------ */

static void hearth_row_dispose(GObject *object)
{
    HearthRow *self = HEARTH_ROW(object);
    g_clear_object(&self->of_item);
    g_clear_object(&self->of_thing);
    g_clear_object(&self->item);
    G_OBJECT_CLASS(hearth_row_parent_class)->dispose(object);
}

static void hearth_row_class_init(HearthRowClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_row_dispose;
}

/* The whole title, where the row has room for its beginning only. */
static gboolean on_query_tooltip(GtkWidget *label, int x, int y, gboolean keyboard,
                                 GtkTooltip *tooltip)
{
    (void)x;
    (void)y;
    (void)keyboard;
    if (!pango_layout_is_ellipsized(gtk_label_get_layout(GTK_LABEL(label)))) return false;
    gtk_tooltip_set_text(tooltip, gtk_label_get_text(GTK_LABEL(label)));
    return true;
}

static GtkWidget *add_label(GtkWidget *box, const char *class)
{
    GtkWidget *label = gtk_label_new(NULL);
    gtk_label_set_ellipsize(GTK_LABEL(label), PANGO_ELLIPSIZE_END);
    gtk_label_set_single_line_mode(GTK_LABEL(label), true);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_widget_set_hexpand(label, true);
    gtk_widget_set_has_tooltip(label, true);
    g_signal_connect(label, "query-tooltip", G_CALLBACK(on_query_tooltip), NULL);
    if (class) gtk_widget_add_css_class(label, class);
    gtk_box_append(GTK_BOX(box), label);
    return label;
}

/* The row's own name and description say what the images show. */
static GtkWidget *new_image(void)
{
    return g_object_new(GTK_TYPE_IMAGE, "accessible-role", GTK_ACCESSIBLE_ROLE_PRESENTATION, NULL);
}

static void hearth_row_init(HearthRow *self)
{
    GtkBox *box = GTK_BOX(self);
    GtkWidget *lines = gtk_box_new(GTK_ORIENTATION_VERTICAL, 2);
    gtk_box_set_spacing(box, 6);
    gtk_widget_add_css_class(GTK_WIDGET(self), "conversation-row");
    self->arrow = new_image();
    self->icon = new_image();
    /* Still: a spinner would draw the whole window 60 times a second for as long as it writes. */
    self->busy = new_image();
    gtk_image_set_from_icon_name(GTK_IMAGE(self->busy), "content-loading-symbolic");
    self->dot = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    self->count = gtk_label_new(NULL);
    gtk_widget_add_css_class(self->icon, "dim-label");
    gtk_widget_add_css_class(self->count, "dim-label");
    gtk_widget_add_css_class(self->count, "numeric");
    gtk_widget_add_css_class(self->dot, "unread-dot");
    gtk_widget_set_valign(self->dot, GTK_ALIGN_CENTER);
    gtk_widget_set_valign(lines, GTK_ALIGN_CENTER);
    gtk_box_append(box, self->arrow);
    gtk_box_append(box, lines);
    gtk_box_append(box, self->icon);
    gtk_box_append(box, self->busy);
    gtk_box_append(box, self->dot);
    gtk_box_append(box, self->count);
    self->title = add_label(lines, NULL);
    self->snippet = add_label(lines, "caption");
    gtk_widget_add_css_class(self->snippet, "dim-label");
    self->of_item = g_signal_group_new(HEARTH_TYPE_ITEM);
    self->of_thing = g_signal_group_new(G_TYPE_OBJECT);
    g_signal_group_connect_swapped(self->of_item, "notify", G_CALLBACK(refresh), self);
    g_signal_group_connect_swapped(self->of_thing, "notify", G_CALLBACK(refresh), self);
}

GtkWidget *hearth_row_new(void) { return g_object_new(HEARTH_TYPE_ROW, NULL); }
