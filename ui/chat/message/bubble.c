#include "bubble.h"

#include <glib/gi18n-lib.h>
#include <string.h>

#define LINES 12
#define LINE 80          /* characters that count as a line */
#define LABEL_MOST 20000 /* bytes; longer texts get a text view, which lays out what is in view */
#define TALLEST 480
#define INDENT 48 /* px that even a wide bubble stays away from the start */

struct _HearthMessageBubble {
    GtkWidget parent_instance;
    const char *text;
    HearthMessageMemo *memo;
    GtkWidget *box, *content, *more;
};

G_DEFINE_TYPE(HearthMessageBubble, hearth_message_bubble, GTK_TYPE_WIDGET)

/* Where the cut comes, or NULL when it is short enough. */
static const char *find_cut(const char *text)
{
    int lines = 1, characters = 0;
    const char *word = NULL;
    for (const char *at = text; *at; at = g_utf8_next_char(at)) {
        if (*at == ' ') word = at;
        if (*at == '\n' || ++characters > LINE) {
            if (lines == LINES) return *at != '\n' && word && at - word < LINE ? word : at;
            lines++;
            characters = 0;
        }
    }
    return NULL;
}

static GtkWidget *make_label(const char *text, size_t len, bool cut)
{
    g_autofree char *part = g_strndup(text, len);
    g_autofree char *shown = g_strconcat(g_strchomp(part), cut ? " …" : NULL, NULL);
    GtkWidget *label = gtk_label_new(shown);
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(label), PANGO_WRAP_WORD_CHAR);
    gtk_label_set_natural_wrap_mode(GTK_LABEL(label), GTK_NATURAL_WRAP_NONE);
    gtk_label_set_selectable(GTK_LABEL(label), TRUE);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    return label;
}

static GtkWidget *make_text_view(const char *text)
{
    GtkWidget *view = gtk_text_view_new();
    gtk_text_view_set_editable(GTK_TEXT_VIEW(view), FALSE);
    gtk_text_view_set_cursor_visible(GTK_TEXT_VIEW(view), FALSE);
    gtk_text_view_set_accepts_tab(GTK_TEXT_VIEW(view), FALSE);
    gtk_text_view_set_wrap_mode(GTK_TEXT_VIEW(view), GTK_WRAP_WORD_CHAR);
    gtk_text_buffer_set_text(gtk_text_view_get_buffer(GTK_TEXT_VIEW(view)), text, -1);
    GtkWidget *scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroller), GTK_POLICY_NEVER,
                                   GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_max_content_height(GTK_SCROLLED_WINDOW(scroller), TALLEST);
    gtk_scrolled_window_set_min_content_height(GTK_SCROLLED_WINDOW(scroller), TALLEST);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), view);
    gtk_widget_set_hexpand(scroller, TRUE);
    return scroller;
}

static void show_text(HearthMessageBubble *self)
{
    const char *cut = find_cut(self->text);
    bool whole = !cut || self->memo->whole;
    size_t len = strlen(self->text);
    if (self->content) gtk_box_remove(GTK_BOX(self->box), self->content);
    self->content = whole && len > LABEL_MOST
                        ? make_text_view(self->text)
                        : make_label(self->text, whole ? len : (size_t)(cut - self->text), !whole);
    gtk_box_prepend(GTK_BOX(self->box), self->content);
    gtk_widget_set_visible(self->more, cut != NULL);
    gtk_button_set_label(GTK_BUTTON(self->more), whole ? _("Show Less") : _("Show More"));
}

static void toggle(HearthMessageBubble *self)
{
    self->memo->whole = !self->memo->whole;
    show_text(self);
}

static void dispose(GObject *object)
{
    g_clear_pointer(&HEARTH_MESSAGE_BUBBLE(object)->box, gtk_widget_unparent);
    G_OBJECT_CLASS(hearth_message_bubble_parent_class)->dispose(object);
}

static void hearth_message_bubble_class_init(HearthMessageBubbleClass *klass)
{
    G_OBJECT_CLASS(klass)->dispose = dispose;
    gtk_widget_class_set_layout_manager_type(GTK_WIDGET_CLASS(klass), GTK_TYPE_BIN_LAYOUT);
    gtk_widget_class_set_css_name(GTK_WIDGET_CLASS(klass), "bubble");
}

static void hearth_message_bubble_init(HearthMessageBubble *self)
{
    self->box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
    self->more = gtk_button_new();
    gtk_widget_add_css_class(self->more, "flat");
    gtk_widget_set_halign(self->more, GTK_ALIGN_START);
    g_signal_connect_swapped(self->more, "clicked", G_CALLBACK(toggle), self);
    gtk_box_append(GTK_BOX(self->box), self->more);
    gtk_widget_set_parent(self->box, GTK_WIDGET(self));
    gtk_widget_set_halign(GTK_WIDGET(self), GTK_ALIGN_END);
    gtk_widget_set_margin_start(GTK_WIDGET(self), INDENT);
}

GtkWidget *hearth_message_bubble_new(const char *text, HearthMessageMemo *memo)
{
    HearthMessageBubble *self = g_object_new(HEARTH_TYPE_MESSAGE_BUBBLE, NULL);
    self->text = text;
    self->memo = memo;
    show_text(self);
    return GTK_WIDGET(self);
}
