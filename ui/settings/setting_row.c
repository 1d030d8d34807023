#include "settings/setting_row.h"

#include <glib/gi18n-lib.h>
#include <math.h>

struct _HearthSettingRow {
    AdwActionRow parent;
    const HearthRowSpec *spec;
    HearthSetting *setting;
    GtkWidget *control;
    char *explanation; /* instead of spec->subtitle, or NULL */
    double upper;      /* of a number */
    bool showing;      /* the control is being set: not the person's doing */
};

G_DEFINE_FINAL_TYPE(HearthSettingRow, hearth_setting_row, ADW_TYPE_ACTION_ROW)

/* ---- values ---------------------------------------------------------------------------------- */

static char *number_text(const HearthRowSpec *spec, double number)
{
    if (spec->special_text && number == spec->special) return g_strdup(_(spec->special_text));
    return g_strdup_printf("%.*f", spec->digits, number);
}

static int choice_index(const HearthRowSpec *spec, GVariant *value)
{
    const char *text = g_variant_get_string(value, NULL);
    for (int i = 0; spec->choices[i].value; i++)
        if (strcmp(spec->choices[i].value, text) == 0) return i;
    return 0;
}

static char *value_text(const HearthRowSpec *spec, GVariant *value)
{
    switch (spec->kind) {
    case HEARTH_ROW_CHOICE: return g_strdup(_(spec->choices[choice_index(spec, value)].label));
    case HEARTH_ROW_SWITCH: return g_strdup(g_variant_get_boolean(value) ? _("On") : _("Off"));
    case HEARTH_ROW_NUMBER:
    case HEARTH_ROW_SCALE: break;
    }
    return number_text(spec, hearth_setting_number(value));
}

/* Where a number stands in its control, and back. */
static double to_control(const HearthSettingRow *row, double number, double upper)
{
    return row->spec->special_last && number == row->spec->special ? upper : number;
}

static double from_control(const HearthSettingRow *row, GtkAdjustment *adjustment)
{
    double value = gtk_adjustment_get_value(adjustment), upper;
    upper = gtk_adjustment_get_upper(adjustment);
    return row->spec->special_last && value >= upper ? row->spec->special : value;
}

/* ---- showing --------------------------------------------------------------------------------- */

static void show_subtitle(HearthSettingRow *row)
{
    const char *text = row->explanation      ? row->explanation
                       : row->spec->subtitle ? _(row->spec->subtitle)
                                             : "";
    if (!hearth_setting_follows(row->setting)) {
        adw_action_row_set_subtitle(ADW_ACTION_ROW(row), text);
        return;
    }
    g_autoptr(GVariant) value = hearth_setting_get_default(row->setting);
    g_autofree char *number = value_text(row->spec, value);
    g_autofree char *line =
        g_strdup_printf(hearth_setting_is_touched(row->setting) ? _("Instead of the default: %s")
                                                                : _("Default: %s"),
                        number);
    g_autofree char *both = g_strconcat(text, *text ? "\n" : "", line, NULL);
    adw_action_row_set_subtitle(ADW_ACTION_ROW(row), both);
}

static void show_number(HearthSettingRow *row, double number)
{
    GtkAdjustment *adjustment = gtk_spin_button_get_adjustment(GTK_SPIN_BUTTON(row->control));
    double upper = row->upper;
    if (row->spec->special_last) upper = fmax(upper, number + row->spec->step);
    gtk_adjustment_set_upper(adjustment, upper);
    gtk_adjustment_set_value(adjustment, to_control(row, number, upper));
    gtk_spin_button_update(GTK_SPIN_BUTTON(row->control)); /* the largest may have a name now */
}

static void show_value(HearthSettingRow *row)
{
    g_autoptr(GVariant) value = hearth_setting_get_value(row->setting);
    row->showing = true;
    switch (row->spec->kind) {
    case HEARTH_ROW_SWITCH:
        gtk_switch_set_active(GTK_SWITCH(row->control), g_variant_get_boolean(value));
        break;
    case HEARTH_ROW_CHOICE:
        gtk_drop_down_set_selected(GTK_DROP_DOWN(row->control),
                                   (guint)choice_index(row->spec, value));
        break;
    case HEARTH_ROW_NUMBER: show_number(row, hearth_setting_number(value)); break;
    case HEARTH_ROW_SCALE: {
        GtkAdjustment *adjustment = gtk_range_get_adjustment(GTK_RANGE(row->control));
        double number = hearth_setting_number(value);
        /* A value beyond the usual, from settings.ini, is shown and not cut. */
        gtk_adjustment_set_upper(adjustment, fmax(row->spec->upper, number));
        gtk_adjustment_set_value(adjustment, number);
        break;
    }
    }
    row->showing = false;
    if (hearth_setting_is_touched(row->setting) || !hearth_setting_follows(row->setting))
        gtk_widget_remove_css_class(row->control, "follows-default");
    else
        gtk_widget_add_css_class(row->control, "follows-default");
}

static void show(HearthSettingRow *row)
{
    show_value(row);
    show_subtitle(row);
}

/* ---- the person's doing ---------------------------------------------------------------------- */

static void on_number(HearthSettingRow *row, GtkAdjustment *adjustment)
{
    if (row->showing) return;
    double power = pow(10, row->spec->digits); /* 0.7, not 0.7000000000000001 */
    hearth_setting_set_number(row->setting, round(from_control(row, adjustment) * power) / power);
}

static void on_selected(HearthSettingRow *row)
{
    guint i = gtk_drop_down_get_selected(GTK_DROP_DOWN(row->control));
    if (row->showing || i == GTK_INVALID_LIST_POSITION) return;
    hearth_setting_set_value(row->setting, g_variant_new_string(row->spec->choices[i].value));
}

static void on_switched(HearthSettingRow *row)
{
    if (row->showing) return;
    gboolean active = gtk_switch_get_active(GTK_SWITCH(row->control));
    hearth_setting_set_value(row->setting, g_variant_new_boolean(active));
}

/* The special number has a name; typing the name or the number means it. */
static gboolean on_output(GtkSpinButton *spin, HearthSettingRow *row)
{
    g_autofree char *text =
        number_text(row->spec, from_control(row, gtk_spin_button_get_adjustment(spin)));
    if (strcmp(text, gtk_editable_get_text(GTK_EDITABLE(spin))) != 0)
        gtk_editable_set_text(GTK_EDITABLE(spin), text);
    return TRUE;
}

static int on_input(GtkSpinButton *spin, double *ret_value, HearthSettingRow *row)
{
    const char *text = gtk_editable_get_text(GTK_EDITABLE(spin));
    g_autofree char *typed = g_utf8_casefold(text, -1);
    g_autofree char *name = g_utf8_casefold(_(row->spec->special_text), -1);
    if (strcmp(typed, name) != 0) return FALSE;
    *ret_value = to_control(row, row->spec->special,
                            gtk_adjustment_get_upper(gtk_spin_button_get_adjustment(spin)));
    return TRUE;
}

/* ---- controls -------------------------------------------------------------------------------- */

void hearth_setting_row_ignore_scroll(GtkWidget *control)
{
    g_autoptr(GListModel) controllers = gtk_widget_observe_controllers(control);
    for (guint i = 0; i < g_list_model_get_n_items(controllers); i++) {
        g_autoptr(GtkEventController) one = g_list_model_get_item(controllers, i);
        if (GTK_IS_EVENT_CONTROLLER_SCROLL(one))
            gtk_event_controller_set_propagation_phase(one, GTK_PHASE_NONE);
    }
}

static GtkWidget *new_spin(HearthSettingRow *row)
{
    const HearthRowSpec *spec = row->spec;
    GtkAdjustment *adjustment =
        gtk_adjustment_new(spec->lower, spec->lower, spec->upper, spec->step, spec->step * 10, 0);
    GtkWidget *spin = gtk_spin_button_new(adjustment, 0, (guint)spec->digits);
    gtk_editable_set_width_chars(GTK_EDITABLE(spin), 8);
    gtk_editable_set_max_width_chars(GTK_EDITABLE(spin), 8);
    if (spec->special_text) {
        g_signal_connect_object(spin, "output", G_CALLBACK(on_output), row, 0);
        g_signal_connect_object(spin, "input", G_CALLBACK(on_input), row, 0);
    }
    /* What is typed counts when the window closes too. */
    g_signal_connect(spin, "unmap", G_CALLBACK(gtk_spin_button_update), NULL);
    g_signal_connect_object(adjustment, "value-changed", G_CALLBACK(on_number), row,
                            G_CONNECT_SWAPPED);
    return spin;
}

static GtkWidget *new_scale(HearthSettingRow *row)
{
    const HearthRowSpec *spec = row->spec;
    GtkAdjustment *adjustment =
        gtk_adjustment_new(spec->lower, spec->lower, spec->upper, spec->step, spec->step * 10, 0);
    GtkWidget *scale = gtk_scale_new(GTK_ORIENTATION_HORIZONTAL, adjustment);
    gtk_scale_set_draw_value(GTK_SCALE(scale), TRUE);
    gtk_scale_set_value_pos(GTK_SCALE(scale), GTK_POS_LEFT);
    gtk_scale_set_digits(GTK_SCALE(scale), spec->digits);
    gtk_widget_set_size_request(scale, 150, -1);
    gtk_widget_add_css_class(scale, "numeric");
    g_signal_connect_object(adjustment, "value-changed", G_CALLBACK(on_number), row,
                            G_CONNECT_SWAPPED);
    return scale;
}

/* The button inside it, which has the focus; the row names the drop-down itself. */
void hearth_setting_row_name_drop_down(GtkWidget *drop_down, const char *name)
{
    GtkWidget *button = gtk_widget_get_first_child(drop_down);
    gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
}

static GtkWidget *new_choice(HearthSettingRow *row)
{
    g_autoptr(GtkStringList) labels = gtk_string_list_new(NULL);
    for (const HearthRowChoice *choice = row->spec->choices; choice->value; choice++)
        gtk_string_list_append(labels, _(choice->label));
    GtkWidget *drop_down = gtk_drop_down_new(G_LIST_MODEL(g_steal_pointer(&labels)), NULL);
    hearth_setting_row_name_drop_down(drop_down, _(row->spec->title));
    g_signal_connect_object(drop_down, "notify::selected", G_CALLBACK(on_selected), row,
                            G_CONNECT_SWAPPED);
    return drop_down;
}

static GtkWidget *new_switch(HearthSettingRow *row)
{
    GtkWidget *widget = gtk_switch_new();
    g_signal_connect_object(widget, "notify::active", G_CALLBACK(on_switched), row,
                            G_CONNECT_SWAPPED);
    return widget;
}

static GtkWidget *new_control(HearthSettingRow *row)
{
    switch (row->spec->kind) {
    case HEARTH_ROW_SCALE: return new_scale(row);
    case HEARTH_ROW_CHOICE: return new_choice(row);
    case HEARTH_ROW_SWITCH: return new_switch(row);
    case HEARTH_ROW_NUMBER: break;
    }
    return new_spin(row);
}

/* ---- resetting ------------------------------------------------------------------------------- */

static void show_reset(GtkWidget *button, HearthSetting *setting)
{
    gtk_widget_set_visible(button, hearth_setting_is_touched(setting));
}

GtkWidget *hearth_setting_row_new_reset(HearthSetting *setting, const char *title)
{
    GtkWidget *button = gtk_button_new_from_icon_name("edit-undo-symbolic");
    g_autofree char *name = g_strdup_printf(_("Reset %s to Its Default"), title);
    gtk_widget_set_tooltip_text(button, _("Reset to Default"));
    gtk_accessible_update_property(GTK_ACCESSIBLE(button), GTK_ACCESSIBLE_PROPERTY_LABEL, name, -1);
    gtk_widget_set_valign(button, GTK_ALIGN_CENTER);
    gtk_widget_add_css_class(button, "flat");
    gtk_widget_add_css_class(button, "circular");
    g_signal_connect_object(button, "clicked", G_CALLBACK(hearth_setting_reset), setting,
                            G_CONNECT_SWAPPED);
    g_signal_connect_object(setting, "changed", G_CALLBACK(show_reset), button, G_CONNECT_SWAPPED);
    show_reset(button, setting);
    return button;
}

/* GObject */

static void hearth_setting_row_dispose(GObject *object)
{
    HearthSettingRow *row = HEARTH_SETTING_ROW(object);
    g_clear_object(&row->setting);
    g_clear_pointer(&row->explanation, g_free);
    G_OBJECT_CLASS(hearth_setting_row_parent_class)->dispose(object);
}

static void hearth_setting_row_class_init(HearthSettingRowClass *class)
{
    G_OBJECT_CLASS(class)->dispose = hearth_setting_row_dispose;
}

static void hearth_setting_row_init(HearthSettingRow *row)
{
    adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
}

GtkWidget *hearth_setting_row_new(const HearthRowSpec *spec, GSettings *own, GSettings *defaults)
{
    HearthSettingRow *row = g_object_new(HEARTH_TYPE_SETTING_ROW, NULL);
    row->spec = spec;
    row->upper = spec->upper;
    row->setting = hearth_setting_new(own, defaults, spec->key);
    row->control = new_control(row);
    gtk_widget_set_valign(row->control, GTK_ALIGN_CENTER);
    hearth_setting_row_ignore_scroll(row->control);
    adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), _(spec->title));
    adw_action_row_add_suffix(ADW_ACTION_ROW(row),
                              hearth_setting_row_new_reset(row->setting, _(spec->title)));
    adw_action_row_add_suffix(ADW_ACTION_ROW(row), row->control);
    /* Also names the control by the title. */
    adw_action_row_set_activatable_widget(ADW_ACTION_ROW(row), row->control);
    g_signal_connect_object(row->setting, "changed", G_CALLBACK(show), row, G_CONNECT_SWAPPED);
    show(row);
    return GTK_WIDGET(row);
}

void hearth_setting_row_set_explanation(HearthSettingRow *row, const char *text)
{
    g_free(row->explanation);
    row->explanation = g_strdup(text);
    show_subtitle(row);
}

void hearth_setting_row_set_upper(HearthSettingRow *row, double upper)
{
    if (row->upper == upper) return;
    row->upper = upper;
    show_value(row);
}
