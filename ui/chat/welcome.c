#include "welcome.h"

#include <adwaita.h>
#include <glib/gi18n-lib.h>

#include "flow.h"

struct _HearthChatWelcome {
    GtkWidget parent_instance;
    HearthApp *app;
    GtkWidget *page, *examples, *open;
};

enum { ASKED, N_SIGNALS };
static guint signals[N_SIGNALS];

G_DEFINE_TYPE(HearthChatWelcome, hearth_chat_welcome, GTK_TYPE_WIDGET)

/* Ember answers these well; it knows little else. */
static const char *const questions[] = {
    N_("What is Hearth?"),
    N_("What can you do?"),
    N_("How do I open a bigger model?"),
    N_("What is a mixture of experts?"),
};

static void ask(GtkButton *button, HearthChatWelcome *self)
{
    g_autofree char *question = g_strdup(gtk_button_get_label(button));
    g_signal_emit(self, signals[ASKED], 0, question);
}

static void show(HearthChatWelcome *self, const char *title, const char *description)
{
    /* The description is markup, the title is not. */
    g_autofree char *escaped = g_markup_escape_text(description, -1);
    adw_status_page_set_title(ADW_STATUS_PAGE(self->page), title);
    adw_status_page_set_description(ADW_STATUS_PAGE(self->page), escaped);
}

static void show_ready(HearthChatWelcome *self, const HearthModelInfo *info)
{
    if (!info->path) {
        show(
            self, _("Welcome to Hearth"),
            _("Hearth runs large language models on this computer: nothing you write leaves it. "
              "Ember, which answers now, is a small built-in model for trying things out: it knows "
              "Hearth and little else. Open a model of your own for real work."));
        return;
    }
    show(self, info->name, _("Ask something, or drop text files here to ask about them."));
}

static void update(HearthChatWelcome *self)
{
    HearthWorker *worker = hearth_app_get_worker(self->app);
    HearthModelState state = hearth_worker_get_state(worker);
    HearthModelInfo *info = hearth_worker_get_info(worker);
    const char *error = hearth_worker_get_error(worker);
    bool ember = info && !info->path;
    if (state == HEARTH_MODEL_READY && info)
        show_ready(self, info);
    else if (state == HEARTH_MODEL_LOADING)
        show(self, _("The Model Is Being Loaded"),
             _("You can write already: the answer begins when the model is there."));
    else if (state == HEARTH_MODEL_FAILED)
        show(self, _("The Model Could Not Be Loaded"), error ? error : "");
    else
        show(self, _("No Model Is Loaded"), _("Open a model to get answers."));
    gtk_widget_set_visible(self->examples, state == HEARTH_MODEL_READY && ember);
    gtk_widget_set_visible(self->open, state == HEARTH_MODEL_NONE || state == HEARTH_MODEL_FAILED ||
                                           (state == HEARTH_MODEL_READY && ember));
}

/* ---- GObject ----------------------------------------------------------------------------------*/

static void dispose(GObject *object)
{
    HearthChatWelcome *self = HEARTH_CHAT_WELCOME(object);
    g_clear_pointer(&self->page, gtk_widget_unparent);
    g_clear_object(&self->app);
    G_OBJECT_CLASS(hearth_chat_welcome_parent_class)->dispose(object);
}

static void hearth_chat_welcome_class_init(HearthChatWelcomeClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    signals[ASKED] = g_signal_new("asked", G_TYPE_FROM_CLASS(klass), G_SIGNAL_RUN_LAST, 0, NULL,
                                  NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(klass), "welcome");
}

static GtkWidget *make_examples(HearthChatWelcome *self)
{
    self->examples = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 0);
    g_autoptr(GtkLayoutManager) flow = g_object_new(HEARTH_TYPE_CHAT_FLOW, NULL);
    hearth_chat_flow_set_align(HEARTH_CHAT_FLOW(flow), GTK_ALIGN_CENTER);
    gtk_widget_set_layout_manager(self->examples, g_steal_pointer(&flow));
    for (size_t i = 0; i < G_N_ELEMENTS(questions); i++) {
        GtkWidget *button = gtk_button_new_with_label(_(questions[i]));
        GtkWidget *label = gtk_button_get_child(GTK_BUTTON(button));
        gtk_label_set_wrap(GTK_LABEL(label), TRUE);
        gtk_label_set_justify(GTK_LABEL(label), GTK_JUSTIFY_CENTER);
        gtk_widget_add_css_class(button, "example");
        g_signal_connect(button, "clicked", G_CALLBACK(ask), self);
        gtk_box_append(GTK_BOX(self->examples), button);
    }
    return self->examples;
}

static void hearth_chat_welcome_init(HearthChatWelcome *self)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 24);
    gtk_box_append(GTK_BOX(box), make_examples(self));
    self->open = gtk_button_new_with_mnemonic(_("_Open a Model…"));
    gtk_actionable_set_action_name(GTK_ACTIONABLE(self->open), "win.open-model");
    gtk_widget_add_css_class(self->open, "pill");
    gtk_widget_set_halign(self->open, GTK_ALIGN_CENTER);
    gtk_box_append(GTK_BOX(box), self->open);
    self->page = adw_status_page_new();
    adw_status_page_set_icon_name(ADW_STATUS_PAGE(self->page), HEARTH_APP_ID "-symbolic");
    adw_status_page_set_child(ADW_STATUS_PAGE(self->page), box);
    /* All of it is in view at 800×600. */
    gtk_widget_add_css_class(self->page, "compact");
    gtk_widget_set_parent(self->page, GTK_WIDGET(self));
}

GtkWidget *hearth_chat_welcome_new(HearthApp *app)
{
    HearthChatWelcome *self = g_object_new(HEARTH_TYPE_CHAT_WELCOME, NULL);
    self->app = g_object_ref(app);
    HearthWorker *worker = hearth_app_get_worker(app);
    g_signal_connect_object(worker, "notify::state", G_CALLBACK(update), self, G_CONNECT_SWAPPED);
    g_signal_connect_object(worker, "notify::info", G_CALLBACK(update), self, G_CONNECT_SWAPPED);
    g_signal_connect_object(worker, "notify::error", G_CALLBACK(update), self, G_CONNECT_SWAPPED);
    update(self);
    return GTK_WIDGET(self);
}
