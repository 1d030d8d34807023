#include "settings/persona_editor.h"

#include <glib/gi18n-lib.h>

#include "settings/prompt_row.h"

#define HEARTH_TYPE_PERSONA_EDITOR (hearth_persona_editor_get_type())
G_DECLARE_FINAL_TYPE(HearthPersonaEditor, hearth_persona_editor, HEARTH, PERSONA_EDITOR, AdwWindow)

struct _HearthPersonaEditor {
    AdwWindow parent;
    HearthHistory *history;
    HearthPersona *persona; /* NULL: a new one */
    GtkWidget *name, *save;
    GtkTextBuffer *prompt;
};

G_DEFINE_FINAL_TYPE(HearthPersonaEditor, hearth_persona_editor, ADW_TYPE_WINDOW)

static char *get_name(HearthPersonaEditor *editor)
{
    return g_strstrip(g_strdup(gtk_editable_get_text(GTK_EDITABLE(editor->name))));
}

static void on_changed(HearthPersonaEditor *editor)
{
    g_autofree char *name = get_name(editor);
    gtk_widget_set_sensitive(editor->save, *name != '\0');
}

static void on_save(HearthPersonaEditor *editor)
{
    g_autofree char *name = get_name(editor);
    if (!*name) return;
    GtkTextIter begin, end;
    gtk_text_buffer_get_bounds(editor->prompt, &begin, &end);
    g_autofree char *prompt = gtk_text_buffer_get_text(editor->prompt, &begin, &end, FALSE);
    if (editor->persona)
        hearth_history_change_persona(editor->history, editor->persona, name, prompt);
    else
        hearth_history_add_persona(editor->history, name, prompt);
    gtk_window_close(GTK_WINDOW(editor));
}

/* GObject */

static void hearth_persona_editor_dispose(GObject *object)
{
    HearthPersonaEditor *editor = HEARTH_PERSONA_EDITOR(object);
    g_clear_object(&editor->history);
    g_clear_object(&editor->persona);
    g_clear_object(&editor->prompt);
    G_OBJECT_CLASS(hearth_persona_editor_parent_class)->dispose(object);
}

static void hearth_persona_editor_class_init(HearthPersonaEditorClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_persona_editor_dispose;
    gtk_widget_class_add_binding_action(GTK_WIDGET_CLASS(class), GDK_KEY_Escape, 0, "window.close",
                                        NULL);
}

static GtkWidget *new_header(HearthPersonaEditor *editor)
{
    GtkWidget *header = adw_header_bar_new();
    GtkWidget *cancel = gtk_button_new_with_label(_("Cancel"));
    editor->save = gtk_button_new_with_label(_("Save"));
    adw_header_bar_set_show_start_title_buttons(ADW_HEADER_BAR(header), FALSE);
    adw_header_bar_set_show_end_title_buttons(ADW_HEADER_BAR(header), FALSE);
    adw_header_bar_pack_start(ADW_HEADER_BAR(header), cancel);
    adw_header_bar_pack_end(ADW_HEADER_BAR(header), editor->save);
    gtk_actionable_set_action_name(GTK_ACTIONABLE(cancel), "window.close");
    gtk_widget_add_css_class(editor->save, "suggested-action");
    gtk_widget_set_sensitive(editor->save, FALSE);
    g_signal_connect_object(editor->save, "clicked", G_CALLBACK(on_save), editor,
                            G_CONNECT_SWAPPED);
    return header;
}

static GtkWidget *new_prompt_row(HearthPersonaEditor *editor)
{
    GtkWidget *row = adw_preferences_row_new();
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 9);
    GtkWidget *label = gtk_label_new(_("System Prompt"));
    gtk_label_set_xalign(GTK_LABEL(label), 0);
    gtk_widget_add_css_class(box, "prompt-row");
    gtk_box_append(GTK_BOX(box), label);
    gtk_box_append(GTK_BOX(box), hearth_prompt_row_new_editor(_("System Prompt"), &editor->prompt));
    g_object_ref(editor->prompt);
    gtk_list_box_row_set_child(GTK_LIST_BOX_ROW(row), box);
    gtk_list_box_row_set_activatable(GTK_LIST_BOX_ROW(row), FALSE);
    gtk_widget_set_focusable(row, FALSE);
    return row;
}

static void hearth_persona_editor_init(HearthPersonaEditor *editor)
{
    GtkWidget *content = gtk_box_new(GTK_ORIENTATION_VERTICAL, 0);
    GtkWidget *page = adw_preferences_page_new(), *group = adw_preferences_group_new();
    editor->name = adw_entry_row_new();
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(editor->name), _("Name"));
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(group), editor->name);
    adw_preferences_group_add(ADW_PREFERENCES_GROUP(group), new_prompt_row(editor));
    adw_preferences_page_add(ADW_PREFERENCES_PAGE(page), ADW_PREFERENCES_GROUP(group));
    gtk_widget_set_vexpand(page, TRUE);
    gtk_box_append(GTK_BOX(content), new_header(editor));
    gtk_box_append(GTK_BOX(content), page);
    adw_window_set_content(ADW_WINDOW(editor), content);
    gtk_window_set_default_size(GTK_WINDOW(editor), 460, 380);
    gtk_window_set_modal(GTK_WINDOW(editor), TRUE);
    g_signal_connect_object(editor->name, "changed", G_CALLBACK(on_changed), editor,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(editor->name, "entry-activated", G_CALLBACK(on_save), editor,
                            G_CONNECT_SWAPPED);
}

void hearth_persona_editor_present(HearthHistory *history, HearthPersona *persona,
                                   GtkWindow *parent)
{
    HearthPersonaEditor *editor = g_object_new(
        HEARTH_TYPE_PERSONA_EDITOR, "title", persona ? _("Edit Persona") : _("New Persona"), NULL);
    editor->history = g_object_ref(history);
    if (persona) {
        editor->persona = g_object_ref(persona);
        gtk_editable_set_text(GTK_EDITABLE(editor->name), hearth_persona_get_name(persona));
        gtk_text_buffer_set_text(editor->prompt, hearth_persona_get_prompt(persona), -1);
    }
    if (parent) gtk_window_set_transient_for(GTK_WINDOW(editor), parent);
    gtk_window_set_destroy_with_parent(GTK_WINDOW(editor), TRUE);
    gtk_window_present(GTK_WINDOW(editor));
}
