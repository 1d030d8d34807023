#include "settings/machine/rules_row.h"

#include <glib/gi18n-lib.h>

#include "settings/prompt_row.h"
#include "settings/setting_row.h"
#include "worker/model_settings.h"

struct _HearthRulesRow {
    AdwExpanderRow parent;
    HearthSetting *setting;
    GtkWidget *wrong, *message;
    char *error; /* or NULL */
};

G_DEFINE_FINAL_TYPE(HearthRulesRow, hearth_rules_row, ADW_TYPE_EXPANDER_ROW)

/* Closed, the row says what is wrong itself. */
static void show_subtitle(HearthRulesRow *row)
{
    g_autoptr(GVariant) value = hearth_setting_get_value(row->setting);
    int n = hearth_model_settings_count_rules(g_variant_get_string(value, NULL));
    bool open = adw_expander_row_get_expanded(ADW_EXPANDER_ROW(row));
    g_autofree char *text = row->error && !open ? g_strdup(row->error)
                            : n ? g_strdup_printf(ngettext("%d line", "%d lines", (gulong)n), n)
                                : g_strdup(_("None: memory is filled by what gains most"));
    adw_expander_row_set_subtitle(ADW_EXPANDER_ROW(row), text);
}

void hearth_rules_row_set_error(HearthRulesRow *row, const char *sentence)
{
    if (g_strcmp0(row->error, sentence) == 0) return;
    g_free(row->error);
    row->error = g_strdup(sentence);
    gtk_label_set_text(GTK_LABEL(row->message), sentence ? sentence : "");
    gtk_widget_set_visible(row->wrong, sentence != NULL);
    show_subtitle(row);
}

/* ---- building -------------------------------------------------------------------------------- */

static GtkWidget *new_caption(HearthSetting *setting)
{
    GtkWidget *head = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    GtkWidget *caption = gtk_label_new(NULL);
    /* Translators: the words in Latin letters are typed as they are */
    gtk_label_set_text(
        GTK_LABEL(caption),
        _("One per line: a regular expression that is found in the names of tensors, then "
          "device=gpu0, cpu, numa0 or disk, or kernel=…. The first that fits counts; "
          "# begins a comment."));
    gtk_label_set_xalign(GTK_LABEL(caption), 0);
    gtk_label_set_wrap(GTK_LABEL(caption), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(caption), PANGO_WRAP_WORD_CHAR);
    gtk_widget_set_hexpand(caption, TRUE);
    gtk_widget_add_css_class(caption, "subtitle");
    gtk_box_append(GTK_BOX(head), caption);
    gtk_box_append(GTK_BOX(head), hearth_setting_row_new_reset(setting, _("Placement Rules")));
    return head;
}

static GtkWidget *new_wrong(HearthRulesRow *row)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_HORIZONTAL, 6);
    GtkWidget *icon = g_object_new(GTK_TYPE_IMAGE, "icon-name", "dialog-warning-symbolic",
                                   "accessible-role", GTK_ACCESSIBLE_ROLE_PRESENTATION, NULL);
    row->message = gtk_label_new(NULL);
    gtk_label_set_xalign(GTK_LABEL(row->message), 0);
    gtk_label_set_wrap(GTK_LABEL(row->message), TRUE);
    gtk_label_set_wrap_mode(GTK_LABEL(row->message), PANGO_WRAP_WORD_CHAR);
    gtk_widget_add_css_class(box, "warning");
    gtk_widget_set_valign(icon, GTK_ALIGN_START);
    gtk_widget_set_visible(box, FALSE);
    gtk_box_append(GTK_BOX(box), icon);
    gtk_box_append(GTK_BOX(box), row->message);
    return box;
}

/* GObject */

static void hearth_rules_row_dispose(GObject *object)
{
    HearthRulesRow *row = HEARTH_RULES_ROW(object);
    g_clear_object(&row->setting);
    g_clear_pointer(&row->error, g_free);
    G_OBJECT_CLASS(hearth_rules_row_parent_class)->dispose(object);
}

static void hearth_rules_row_class_init(HearthRulesRowClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_rules_row_dispose;
}

static void hearth_rules_row_init(HearthRulesRow *row)
{
    adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), _("Placement Rules"));
    gtk_accessible_update_property(GTK_ACCESSIBLE(row), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _("Placement Rules"), -1);
}

GtkWidget *hearth_rules_row_new(GSettings *settings)
{
    HearthRulesRow *row = g_object_new(HEARTH_TYPE_RULES_ROW, NULL);
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 9), *editor;
    GtkTextBuffer *buffer;
    row->setting = hearth_setting_new(settings, NULL, "rules");
    editor = hearth_prompt_row_new_editor(_("Placement Rules"), &buffer);
    hearth_prompt_row_bind(buffer, row->setting);
    gtk_text_view_set_monospace(
        GTK_TEXT_VIEW(gtk_scrolled_window_get_child(GTK_SCROLLED_WINDOW(editor))), TRUE);
    row->wrong = new_wrong(row);
    gtk_widget_add_css_class(box, "prompt-row");
    gtk_box_append(GTK_BOX(box), new_caption(row->setting));
    gtk_box_append(GTK_BOX(box), editor);
    gtk_box_append(GTK_BOX(box), row->wrong);
    GtkWidget *content = g_object_new(ADW_TYPE_PREFERENCES_ROW, "child", box, "activatable", FALSE,
                                      "focusable", FALSE, "title", _("Placement Rules"), NULL);
    adw_expander_row_add_row(ADW_EXPANDER_ROW(row), content);
    g_signal_connect_object(row->setting, "changed", G_CALLBACK(show_subtitle), row,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(row, "notify::expanded", G_CALLBACK(show_subtitle), row, 0);
    show_subtitle(row);
    return GTK_WIDGET(row);
}
