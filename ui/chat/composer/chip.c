#include "chip.h"

#include <glib/gi18n-lib.h>
#include <string.h>

struct _HearthChatChip {
    GtkWidget parent_instance;
    gint64 id;
};

enum { REMOVED, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_TYPE(HearthChatChip, hearth_chat_chip, GTK_TYPE_WIDGET)

/* The chip goes with the attachment, and so does the button that is being clicked. */
static void remove_clicked(HearthChatChip *chip)
{
    g_autoptr(HearthChatChip) self = g_object_ref(chip);
    g_signal_emit(self, signals[REMOVED], 0, self->id);
}

static void dispose(GObject *object)
{
    for (GtkWidget *child; (child = gtk_widget_get_first_child(GTK_WIDGET(object)));)
        gtk_widget_unparent(child);
    G_OBJECT_CLASS(hearth_chat_chip_parent_class)->dispose(object);
}

static void hearth_chat_chip_class_init(HearthChatChipClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    signals[REMOVED] = g_signal_new("removed", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL,
                                    NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT64);
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BOX_LAYOUT);
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(klass), "chip");
}

static void hearth_chat_chip_init(HearthChatChip *self)
{
    GtkLayoutManager *layout = gtk_widget_get_layout_manager(GTK_WIDGET(self));
    gtk_box_layout_set_spacing(GTK_BOX_LAYOUT(layout), 6);
}

GtkWidget *hearth_chat_chip_new(const HearthUnsentRow *attachment)
{
    HearthChatChip *self = g_object_new(HEARTH_TYPE_CHAT_CHIP, NULL);
    self->id = attachment->id;
    gtk_widget_set_parent(gtk_image_new_from_icon_name("text-x-generic-symbolic"),
                          GTK_WIDGET(self));
    GtkWidget *name = gtk_label_new(attachment->name);
    gtk_label_set_ellipsize(GTK_LABEL(name), PANGO_ELLIPSIZE_MIDDLE);
    gtk_label_set_max_width_chars(GTK_LABEL(name), 30);
    gtk_widget_set_parent(name, GTK_WIDGET(self));
    g_autofree char *size =
        g_format_size_full(strlen(attachment->content), G_FORMAT_SIZE_IEC_UNITS);
    GtkWidget *amount = gtk_label_new(size);
    gtk_widget_add_css_class(amount, "dim-label");
    gtk_widget_set_parent(amount, GTK_WIDGET(self));
    GtkWidget *button = gtk_button_new_from_icon_name("window-close-symbolic");
    gtk_widget_add_css_class(button, "flat");
    gtk_widget_add_css_class(button, "circular");
    g_autofree char *label = g_strdup_printf(_("Remove %s"), attachment->name);
    gtk_widget_set_tooltip_text(button, label);
    gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, label,
                                   -1);
    g_signal_connect_swapped(button, "clicked", G_CALLBACK(remove_clicked), self);
    gtk_widget_set_parent(button, GTK_WIDGET(self));
    return GTK_WIDGET(self);
}
