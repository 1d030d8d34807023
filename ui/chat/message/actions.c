#include "actions.h"

#include <glib/gi18n-lib.h>

#include "../flow.h"
#include "words.h"

#define THANKS 1500 /* ms for which Copy says that it did */

struct _HearthMessageActions {
    GtkWidget parent_instance;
    HearthApp *app;
    HearthMessage *message;
    GtkWidget *buttons[HEARTH_N_ACTIONS];
    GtkWidget *versions, *version, *numbers;
    guint thanks;
};

enum { CHOSEN, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_TYPE(HearthMessageActions, hearth_message_actions, GTK_TYPE_WIDGET)

static const struct {
    const char *icon, *name;
} looks[HEARTH_N_ACTIONS] = {
    [HEARTH_ACTION_COPY] = {"edit-copy-symbolic", NC_("button", "Copy")},
    [HEARTH_ACTION_EDIT] = {"document-edit-symbolic", NC_("button", "Edit")},
    [HEARTH_ACTION_REGENERATE] = {"view-refresh-symbolic", NC_("button", "Regenerate")},
    [HEARTH_ACTION_DELETE] = {"user-trash-symbolic", NC_("button", "Delete")},
    [HEARTH_ACTION_PREVIOUS] = {"pan-start-symbolic", NC_("button", "Previous Version")},
    [HEARTH_ACTION_NEXT] = {"pan-end-symbolic", NC_("button", "Next Version")},
};

static gboolean end_thanks(void *data)
{
    HearthMessageActions *self = data;
    self->thanks = 0;
    gtk_button_set_icon_name(GTK_BUTTON(self->buttons[HEARTH_ACTION_COPY]),
                             looks[HEARTH_ACTION_COPY].icon);
    return G_SOURCE_REMOVE;
}

static void clicked(GtkWidget *button, HearthMessageActions *self)
{
    for (int i = 0; i < HEARTH_N_ACTIONS; i++) {
        if (self->buttons[i] != button) continue;
        if (i == HEARTH_ACTION_COPY) {
            gtk_button_set_icon_name(GTK_BUTTON(button), "emblem-ok-symbolic");
            g_clear_handle_id(&self->thanks, g_source_remove);
            self->thanks = g_timeout_add(THANKS, end_thanks, self);
        }
        g_signal_emit(self, signals[CHOSEN], 0, i);
        return;
    }
}

static GtkWidget *make_button(HearthMessageActions *self, HearthAction action)
{
    const char *name = g_dpgettext2(GETTEXT_PACKAGE, "button", looks[action].name);
    GtkWidget *button = gtk_button_new_from_icon_name(looks[action].icon);
    gtk_widget_add_css_class(button, "flat");
    gtk_widget_set_tooltip_text(button, name);
    gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
    g_signal_connect(button, "clicked", G_CALLBACK(clicked), self);
    return self->buttons[action] = button;
}

static GtkWidget *make_versions(HearthMessageActions *self)
{
    self->versions = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    self->version = gtk_label_new(NULL);
    gtk_widget_add_css_class(self->version, "numeric");
    gtk_widget_add_css_class(self->version, "caption");
    gtk_box_append(GTK_BOX(self->versions), make_button(self, HEARTH_ACTION_PREVIOUS));
    gtk_box_append(GTK_BOX(self->versions), self->version);
    gtk_box_append(GTK_BOX(self->versions), make_button(self, HEARTH_ACTION_NEXT));
    return self->versions;
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static void dispose(GObject *object)
{
    HearthMessageActions *self = HEARTH_MESSAGE_ACTIONS(object);
    g_clear_handle_id(&self->thanks, g_source_remove);
    for (GtkWidget *child; (child = gtk_widget_get_first_child(GTK_WIDGET(self)));)
        gtk_widget_unparent(child);
    g_clear_object(&self->app);
    g_clear_object(&self->message);
    G_OBJECT_CLASS(hearth_message_actions_parent_class)->dispose(object);
}

static void hearth_message_actions_class_init(HearthMessageActionsClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    signals[CHOSEN] = g_signal_new("chosen", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL,
                                   NULL, NULL, G_TYPE_NONE, 1, G_TYPE_INT);
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), HEARTH_TYPE_CHAT_FLOW);
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(klass), "actions");
}

static void hearth_message_actions_init(HearthMessageActions *self G_GNUC_UNUSED) {}

/* ---- public -----------------------------------------------------------------------------------*/

GtkWidget *hearth_message_actions_new(HearthApp *app, HearthMessage *message)
{
    HearthMessageActions *self = g_object_new(HEARTH_TYPE_MESSAGE_ACTIONS, NULL);
    self->app = g_object_ref(app);
    self->message = g_object_ref(message);
    bool answer = hearth_message_get_role(message) == HEARTH_ROLE_ASSISTANT;
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    gtk_widget_add_css_class(box, "buttons");
    gtk_box_append(GTK_BOX(box), make_button(self, HEARTH_ACTION_COPY));
    gtk_box_append(GTK_BOX(box),
                   make_button(self, answer ? HEARTH_ACTION_REGENERATE : HEARTH_ACTION_EDIT));
    gtk_box_append(GTK_BOX(box), make_button(self, HEARTH_ACTION_DELETE));
    if (!answer)
        hearth_chat_flow_set_align(
            HEARTH_CHAT_FLOW(gtk_widget_get_layout_manager(GTK_WIDGET(self))), GTK_ALIGN_END);
    gtk_widget_set_parent(box, GTK_WIDGET(self));
    gtk_widget_set_parent(make_versions(self), GTK_WIDGET(self));
    if (answer) {
        self->numbers = gtk_label_new(NULL);
        gtk_label_set_wrap(GTK_LABEL(self->numbers), TRUE);
        gtk_label_set_xalign(GTK_LABEL(self->numbers), 0);
        gtk_widget_add_css_class(self->numbers, "caption");
        gtk_widget_add_css_class(self->numbers, "dim-label");
        gtk_widget_add_css_class(self->numbers, "numeric");
        gtk_widget_set_parent(self->numbers, GTK_WIDGET(self));
    }
    return GTK_WIDGET(self);
}

void hearth_message_actions_update(HearthMessageActions *actions, bool busy)
{
    HearthMessageActions *self = actions;
    int version = hearth_message_get_version(self->message);
    int n = hearth_message_get_n_versions(self->message);
    for (int i = 0; i < HEARTH_N_ACTIONS; i++)
        if (self->buttons[i] && i != HEARTH_ACTION_COPY && i != HEARTH_ACTION_DELETE)
            gtk_widget_set_sensitive(self->buttons[i], !busy);
    gtk_widget_set_visible(self->versions, n > 1);
    if (n > 1) {
        /* Translators: this version / how many there are */
        g_autofree char *text = g_strdup_printf(_("%d/%d"), version, n);
        gtk_label_set_text(GTK_LABEL(self->version), text);
        gtk_widget_set_sensitive(self->buttons[HEARTH_ACTION_PREVIOUS], !busy && version > 1);
        gtk_widget_set_sensitive(self->buttons[HEARTH_ACTION_NEXT], !busy && version < n);
    }
    if (!self->numbers) return;
    HearthStats stats = hearth_message_get_stats(self->message);
    g_autofree char *numbers =
        hearth_message_words_footer(&stats, hearth_message_get_state(self->message));
    gtk_label_set_text(GTK_LABEL(self->numbers), numbers);
    bool wanted = g_settings_get_boolean(hearth_app_get_settings(self->app), "show-statistics");
    gtk_widget_set_visible(self->numbers, wanted && *numbers);
}

int hearth_message_actions_get_focused(HearthMessageActions *actions)
{
    for (int i = 0; i < HEARTH_N_ACTIONS; i++)
        if (actions->buttons[i] && gtk_widget_has_focus(actions->buttons[i])) return i;
    return -1;
}

bool hearth_message_actions_focus(HearthMessageActions *actions, HearthAction action)
{
    GtkWidget *button = actions->buttons[action];
    if (button && gtk_widget_get_sensitive(button)) return gtk_widget_grab_focus(button);
    /* The first or the last version was reached: its neighbour is the way back. */
    if (action == HEARTH_ACTION_PREVIOUS || action == HEARTH_ACTION_NEXT) {
        button = actions->buttons[action == HEARTH_ACTION_NEXT ? HEARTH_ACTION_PREVIOUS
                                                               : HEARTH_ACTION_NEXT];
        return button && gtk_widget_grab_focus(button);
    }
    return false;
}
