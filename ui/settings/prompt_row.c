#include "settings/prompt_row.h"

#include <glib/gi18n-lib.h>

#include "settings/setting_row.h"

struct _HearthPromptRow {
    AdwPreferencesRow parent;
    HearthSetting *setting;
    GtkWidget *caption;
    char *whose; /* the fallback's owner, or NULL */
};

G_DEFINE_FINAL_TYPE(HearthPromptRow, hearth_prompt_row, ADW_TYPE_PREFERENCES_ROW)

static void show_caption(HearthPromptRow *row)
{
    g_autofree char *text = NULL;
    bool touched = hearth_setting_is_touched(row->setting);
    if (!hearth_setting_follows(row->setting))
        text = g_strdup(_("What every conversation begins with, unseen: who the model is and how "
                          "it answers"));
    else if (touched)
        text = g_strdup(_("This conversation’s own"));
    else if (row->whose)
        text = g_strdup_printf(_("From the persona %s"), row->whose);
    else
        text = g_strdup(_("The default of all conversations"));
    gtk_label_set_text(GTK_LABEL(row->caption), text);
}

/* GObject */

static void hearth_prompt_row_dispose(GObject *object)
{
    HearthPromptRow *row = HEARTH_PROMPT_ROW(object);
    g_clear_object(&row->setting);
    g_clear_pointer(&row->whose, g_free);
    G_OBJECT_CLASS(hearth_prompt_row_parent_class)->dispose(object);
}

static void hearth_prompt_row_class_init(HearthPromptRowClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_prompt_row_dispose;
}

static void hearth_prompt_row_init(HearthPromptRow *row)
{
    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(row), FALSE);
    gtk_widget_set_focusable(GTK_WIDGET(row), FALSE); /* the text view has the focus */
}

/* ---- the text -------------------------------------------------------------------------------- */

static void on_typed(GtkTextBuffer *buffer, HearthSetting *setting)
{
    g_autofree char *text = NULL;
    g_object_get(buffer, "text", &text, NULL);
    hearth_setting_set_value(setting, g_variant_new_string(text));
}

/* A text that is put in is deleted and inserted: what is there in between is nobody's. */
static void show_text(HearthSetting *setting, GtkTextBuffer *buffer)
{
    g_autoptr(GVariant) value = hearth_setting_get_value(setting);
    g_autofree char *now = NULL;
    const char *text = g_variant_get_string(value, NULL);
    g_object_get(buffer, "text", &now, NULL);
    if (strcmp(now, text) == 0) return;
    g_signal_handlers_block_by_func(buffer, on_typed, setting);
    gtk_text_buffer_set_text(buffer, text, -1);
    g_signal_handlers_unblock_by_func(buffer, on_typed, setting);
}

void hearth_prompt_row_bind(GtkTextBuffer *buffer, HearthSetting *setting)
{
    g_signal_connect_object(buffer, "changed", G_CALLBACK(on_typed), setting, 0);
    g_signal_connect_object(setting, "changed", G_CALLBACK(show_text), buffer, 0);
    show_text(setting, buffer);
}

GtkWidget *hearth_prompt_row_new_editor(const char *name, GtkTextBuffer **ret_buffer)
{
    GtkWidget *view = gtk_text_view_new();
    GtkTextView *text = GTK_TEXT_VIEW(view);
    gtk_text_view_set_wrap_mode(text, GTK_WRAP_WORD_CHAR);
    gtk_text_view_set_accepts_tab(text, FALSE); /* Tab goes on to the next control */
    gtk_text_view_set_top_margin(text, 6);
    gtk_text_view_set_bottom_margin(text, 6);
    gtk_text_view_set_left_margin(text, 9);
    gtk_text_view_set_right_margin(text, 9);
    gtk_accessible_update_property(GTK_ACCESSIBLE(view), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
    *ret_buffer = gtk_text_view_get_buffer(text);
    GtkWidget *scroller = gtk_scrolled_window_new();
    gtk_scrolled_window_set_policy(GTK_SCROLLED_WINDOW(scroller), GTK_POLICY_NEVER,
                                   GTK_POLICY_AUTOMATIC);
    gtk_scrolled_window_set_min_content_height(GTK_SCROLLED_WINDOW(scroller), 90);
    gtk_scrolled_window_set_max_content_height(GTK_SCROLLED_WINDOW(scroller), 240);
    gtk_scrolled_window_set_propagate_natural_height(GTK_SCROLLED_WINDOW(scroller), TRUE);
    gtk_scrolled_window_set_child(GTK_SCROLLED_WINDOW(scroller), view);
    gtk_widget_add_css_class(scroller, "prompt-editor");
    return scroller;
}

static GtkWidget *new_head(HearthPromptRow *row, const char *title)
{
    GtkWidget *head = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    GtkWidget *labels = gtk_box_new(GTK_ORIENTATION_VERTICAL, 3);
    GtkWidget *label = gtk_label_new(title);
    row->caption = gtk_label_new(NULL);
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_label_set_xalign(GTK_LABEL(row->caption), 0);
    gtk_label_set_wrap(GTK_LABEL(row->caption), TRUE);
    gtk_widget_add_css_class(row->caption, "subtitle");
    gtk_widget_set_hexpand(labels, TRUE);
    gtk_box_append(GTK_BOX(labels), label);
    gtk_box_append(GTK_BOX(labels), row->caption);
    gtk_box_append(GTK_BOX(head), labels);
    gtk_box_append(GTK_BOX(head), hearth_setting_row_new_reset(row->setting, title));
    return head;
}

GtkWidget *hearth_prompt_row_new(const char *title, GSettings *own, GSettings *defaults,
                                 const char *key)
{
    HearthPromptRow *row = g_object_new(HEARTH_TYPE_PROMPT_ROW, "title", title, NULL);
    GtkTextBuffer *buffer;
    row->setting = hearth_setting_new(own, defaults, key);
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 9);
    gtk_widget_add_css_class(box, "prompt-row");
    gtk_box_append(GTK_BOX(box), new_head(row, title));
    gtk_box_append(GTK_BOX(box), hearth_prompt_row_new_editor(title, &buffer));
    gtk_list_box_row_set_child(GTK_LIST_BOX_ROW(row), box);
    hearth_prompt_row_bind(buffer, row->setting);
    g_signal_connect_object(row->setting, "changed", G_CALLBACK(show_caption), row,
                            G_CONNECT_SWAPPED);
    show_caption(row);
    return GTK_WIDGET(row);
}

void hearth_prompt_row_set_fallback(HearthPromptRow *row, const char *text, const char *whose)
{
    g_free(row->whose);
    row->whose = g_strdup(whose);
    hearth_setting_set_fallback(row->setting, text ? g_variant_new_string(text) : NULL);
}
