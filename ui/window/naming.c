#include "naming.h"

#include "store/rows.h"

typedef struct {
    GtkWidget *popover, *entry, *button;
    HearthNamingFunc done;
    gpointer data;
    GDestroyNotify free_data;
} Naming;

static void naming_free(gpointer data)
{
    Naming *self = data;
    if (self->free_data) self->free_data(self->data);
    g_free(self);
}

static char *typed(Naming *self)
{
    return g_strstrip(g_strdup(gtk_editable_get_text(GTK_EDITABLE(self->entry))));
}

static void on_accepted(Naming *self)
{
    g_autofree char *name = typed(self);
    if (!*name) return;
    gtk_popover_popdown(GTK_POPOVER(self->popover));
    self->done(name, self->data);
}

static void on_typed(Naming *self)
{
    g_autofree char *name = typed(self);
    gtk_widget_set_sensitive(self->button, *name != '\0');
}

static gboolean unparent(gpointer popover)
{
    gtk_widget_unparent(popover);
    return G_SOURCE_REMOVE;
}

/* The popover goes, but not at once: it is still closing. */
static void on_closed(GtkWidget *popover)
{
    gtk_widget_grab_focus(gtk_widget_get_parent(popover));
    g_idle_add_full(G_PRIORITY_DEFAULT_IDLE, unparent, g_object_ref(popover), g_object_unref);
}

/* An anchor that goes takes its popover along. */
static void on_anchor_gone(GtkWidget *popover)
{
    if (gtk_widget_get_parent(popover)) gtk_widget_unparent(popover);
}

static Naming *naming_new(const char *heading, const char *name, const char *action)
{
    Naming *self = g_new0(Naming, 1);
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 12);
    GtkWidget *label = gtk_label_new(heading);
    GtkWidget *line = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    self->popover = gtk_popover_new();
    self->entry = gtk_entry_new();
    gtk_entry_set_max_length(GTK_ENTRY(self->entry), HEARTH_NAME_MOST);
    self->button = gtk_button_new_with_mnemonic(action);
    gtk_widget_add_css_class(label, "heading");
    gtk_widget_add_css_class(self->button, "suggested-action");
    gtk_editable_set_text(GTK_EDITABLE(self->entry), name);
    gtk_editable_set_width_chars(GTK_EDITABLE(self->entry), 24);
    gtk_accessible_update_property(GTK_ACCESSIBLE(self->entry), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   heading, -1);
    gtk_box_append(GTK_BOX(line), self->entry);
    gtk_box_append(GTK_BOX(line), self->button);
    gtk_box_append(GTK_BOX(box), label);
    gtk_box_append(GTK_BOX(box), line);
    gtk_widget_add_css_class(box, "naming");
    gtk_popover_set_child(GTK_POPOVER(self->popover), box);
    on_typed(self);
    return self;
}

void hearth_naming_ask(GtkWidget *anchor, const GdkRectangle *at, const char *heading,
                       const char *name, const char *action, HearthNamingFunc done, gpointer data,
                       GDestroyNotify free_data)
{
    Naming *self = naming_new(heading, name, action);
    self->done = done;
    self->data = data;
    self->free_data = free_data;
    g_object_set_data_full(G_OBJECT(self->popover), "hearth-naming", self, naming_free);
    g_signal_connect_swapped(self->entry, "activate", G_CALLBACK(on_accepted), self);
    g_signal_connect_swapped(self->entry, "changed", G_CALLBACK(on_typed), self);
    g_signal_connect_swapped(self->button, "clicked", G_CALLBACK(on_accepted), self);
    g_signal_connect(self->popover, "closed", G_CALLBACK(on_closed), NULL);
    gtk_widget_set_parent(self->popover, anchor);
    g_signal_connect_object(anchor, "destroy", G_CALLBACK(on_anchor_gone), self->popover,
                            G_CONNECT_SWAPPED);
    if (at) gtk_popover_set_pointing_to(GTK_POPOVER(self->popover), at);
    gtk_popover_popup(GTK_POPOVER(self->popover));
    gtk_widget_grab_focus(self->entry);
}
