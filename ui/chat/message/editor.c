#include "editor.h"

#include <glib/gi18n-lib.h>

#include "../composer/field.h"
#include "../focus.h"

#define LINES 12

struct _HearthMessageEditor {
    GtkWidget parent_instance;
    GtkWidget *box, *field, *send;
    gboolean busy;
};

enum { SENT, CANCELLED, CHANGED, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_TYPE(HearthMessageEditor, hearth_message_editor, GTK_TYPE_WIDGET)

static void update(HearthMessageEditor *self)
{
    g_autofree char *text = hearth_message_editor_get_text(self);
    gtk_widget_set_sensitive(self->send, !self->busy && *g_strstrip(text));
    gtk_widget_set_tooltip_text(self->send, self->busy ? _("An answer is being written") : NULL);
}

static void changed(HearthMessageEditor *self)
{
    update(self);
    g_signal_emit(self, signals[CHANGED], 0);
}

static void send(HearthMessageEditor *self)
{
    if (gtk_widget_get_sensitive(self->send)) g_signal_emit(self, signals[SENT], 0);
}

static void cancel(HearthMessageEditor *self) { g_signal_emit(self, signals[CANCELLED], 0); }

static gboolean key_pressed(HearthMessageEditor *self, guint keyval,
                            GdkModifierType modifiers G_GNUC_UNUSED)
{
    if (keyval != GDK_KEY_Escape) return GDK_EVENT_PROPAGATE;
    cancel(self);
    return GDK_EVENT_STOP;
}

static gboolean grab_focus(GtkWidget *widget)
{
    return gtk_widget_grab_focus(HEARTH_MESSAGE_EDITOR(widget)->field);
}

static void dispose(GObject *object)
{
    g_clear_pointer(&HEARTH_MESSAGE_EDITOR(object)->box, gtk_widget_unparent);
    G_OBJECT_CLASS(hearth_message_editor_parent_class)->dispose(object);
}

static void hearth_message_editor_class_init(HearthMessageEditorClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    GTK_WIDGET_CLASS(klass)->grab_focus = grab_focus;
    GTK_WIDGET_CLASS(klass)->focus = hearth_chat_focus_move;
    signals[SENT] = g_signal_new("sent", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                                 NULL, G_TYPE_NONE, 0);
    signals[CANCELLED] = g_signal_new("cancelled", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0,
                                      NULL, NULL, NULL, G_TYPE_NONE, 0);
    signals[CHANGED] = g_signal_new("changed", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL,
                                    NULL, NULL, G_TYPE_NONE, 0);
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(klass), "editor");
}

static void hearth_message_editor_init(HearthMessageEditor *self)
{
    self->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
    self->field =
        g_object_new(HEARTH_TYPE_CHAT_FIELD, "lines", LINES, "label", _("Edited Message"), NULL);
    g_signal_connect_swapped(self->field, "send", G_CALLBACK(send), self);
    g_signal_connect_swapped(self->field, "key", G_CALLBACK(key_pressed), self);
    gtk_box_append(GTK_BOX(self->box), self->field);
    GtkWidget *buttons = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    gtk_widget_set_halign(buttons, GTK_ALIGN_END);
    GtkWidget *back = gtk_button_new_with_label(C_("button", "Cancel"));
    g_signal_connect_swapped(back, "clicked", G_CALLBACK(cancel), self);
    self->send = gtk_button_new_with_label(C_("button", "Send"));
    gtk_widget_add_css_class(self->send, "suggested-action");
    g_signal_connect_swapped(self->send, "clicked", G_CALLBACK(send), self);
    gtk_box_append(GTK_BOX(buttons), back);
    gtk_box_append(GTK_BOX(buttons), self->send);
    gtk_box_append(GTK_BOX(self->box), buttons);
    gtk_widget_set_parent(self->box, GTK_WIDGET(self));
}

GtkWidget *hearth_message_editor_new(const char *text)
{
    HearthMessageEditor *self = g_object_new(HEARTH_TYPE_MESSAGE_EDITOR, NULL);
    g_autoptr(GtkTextBuffer) buffer = gtk_text_buffer_new(NULL);
    gtk_text_buffer_begin_irreversible_action(buffer);
    gtk_text_buffer_set_text(buffer, text, -1);
    gtk_text_buffer_end_irreversible_action(buffer);
    hearth_chat_field_set_buffer(HEARTH_CHAT_FIELD(self->field), buffer);
    g_signal_connect_object(buffer, "changed", G_CALLBACK(changed), self, G_CONNECT_SWAPPED);
    update(self);
    return GTK_WIDGET(self);
}

char *hearth_message_editor_get_text(HearthMessageEditor *editor)
{
    return hearth_chat_field_get_text(HEARTH_CHAT_FIELD(editor->field));
}

void hearth_message_editor_set_busy(HearthMessageEditor *editor, gboolean busy)
{
    editor->busy = busy;
    update(editor);
}
