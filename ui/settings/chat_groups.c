#include "settings/chat_groups.h"

#include <glib/gi18n-lib.h>

#include "settings/context_cost.h"
#include "settings/setting_row.h"

#define INT_LIMIT 16777216
#define SEED_LIMIT 9007199254740992.0 /* every whole number up to here is a double */

static const HearthRowSpec answers[] = {
    {"max-tokens", HEARTH_ROW_NUMBER, N_("Longest Answer"),
     N_("Tokens after which an answer is cut off; it can be continued"), 0, INT_LIMIT, 64, 0,
     N_("No Limit"), 0, NULL},
    {NULL},
};

static const HearthRowChoice kv_types[] = {
    {"q8_0", N_("8 Bit")}, {"f16", N_("16 Bit")}, {"f32", N_("32 Bit, Exact")}, {NULL, NULL}};

static const HearthRowSpec memory[] = {
    {"context", HEARTH_ROW_NUMBER, N_("Context Length"),
     N_("Tokens that the model can look back on, in a conversation’s questions and answers"), 0,
     INT_LIMIT, 1024, 0, N_("Automatic"), 0, NULL},
    {"kv-type", HEARTH_ROW_CHOICE, N_("Context Precision"),
     N_("8 bit takes half the memory; 32 bit takes twice the memory and is only for exact "
        "comparisons"),
     0, 0, 0, 0, NULL, 0, kv_types},
    {NULL},
};

static const HearthRowSpec sampling[] = {
    {"temperature", HEARTH_ROW_SCALE, N_("Temperature"),
     N_("Higher is more varied; 0 always takes the likeliest token"), 0, 2, 0.05, 2, NULL, 0, NULL},
    {"top-k", HEARTH_ROW_NUMBER, N_("Top K"), N_("Chooses among this many of the likeliest tokens"),
     0, 1000000, 1, 0, N_("Off"), 0, NULL},
    {"top-p", HEARTH_ROW_SCALE, N_("Top P"),
     N_("Chooses among the likeliest tokens that make up this share together; 1 is off"), 0, 1,
     0.01, 2, NULL, 0, NULL},
    {"min-p", HEARTH_ROW_SCALE, N_("Min P"),
     N_("Leaves out tokens less likely than this share of the likeliest; 0 is off"), 0, 1, 0.01, 2,
     NULL, 0, NULL},
    {"typical-p", HEARTH_ROW_SCALE, N_("Typical P"),
     N_("Leaves out tokens that are more or less surprising than usual; 1 is off"), 0, 1, 0.01, 2,
     NULL, 0, NULL},
    {"seed", HEARTH_ROW_NUMBER, N_("Seed"),
     N_("With the same number the same question has the same answer"), -1, SEED_LIMIT, 1, 0,
     N_("Random"), -1, NULL},
    {NULL},
};

static const HearthRowSpec repetition[] = {
    {"repeat-penalty", HEARTH_ROW_NUMBER, N_("Repeat Penalty"),
     N_("Makes tokens that were used less likely; 1 is off"), 0.1, 10, 0.05, 2, NULL, 0, NULL},
    {"presence-penalty", HEARTH_ROW_NUMBER, N_("Presence Penalty"),
     N_("Lowers tokens that were used at all; 0 is off"), -10, 10, 0.1, 2, NULL, 0, NULL},
    {"frequency-penalty", HEARTH_ROW_NUMBER, N_("Frequency Penalty"),
     N_("Lowers tokens by how often they were used; 0 is off"), -10, 10, 0.1, 2, NULL, 0, NULL},
    {"penalty-last-n", HEARTH_ROW_NUMBER, N_("Penalty Range"),
     N_("How many tokens back the penalties look"), -1, INT_LIMIT, 16, 0, N_("All"), -1, NULL},
    {"dry-multiplier", HEARTH_ROW_NUMBER, N_("DRY Strength"),
     N_("Works against the repetition of whole phrases; about 0.8 is usual"), 0, 100, 0.1, 2,
     N_("Off"), 0, NULL},
    {"dry-base", HEARTH_ROW_NUMBER, N_("DRY Growth"),
     N_("How much stronger it is with each token that a phrase is longer"), 1, 100, 0.05, 2, NULL,
     0, NULL},
    {"dry-allowed-length", HEARTH_ROW_NUMBER, N_("DRY Allowed Length"),
     N_("Phrases of up to this many tokens may repeat"), 1, 1000000, 1, 0, NULL, 0, NULL},
    {NULL},
};

static const struct {
    const char *title, *description;
    const HearthRowSpec *rows;
} groups[] = {
    [HEARTH_GROUP_ANSWERS] = {N_("Answers"), NULL, answers},
    [HEARTH_GROUP_MEMORY] = {N_("Memory"), NULL, memory},
    [HEARTH_GROUP_SAMPLING] = {N_("Sampling"),
                               N_("How the next token is drawn from those that are likely"),
                               sampling},
    [HEARTH_GROUP_REPETITION] = {N_("Repetition"), N_("What keeps a model from going in circles"),
                                 repetition},
};

/* ---- resetting a group ----------------------------------------------------------------------- */

typedef struct {
    GSettings *own;
    const HearthRowSpec *rows;
    GtkWidget *button; /* whose data this is */
} Reset;

static void reset_free(gpointer data)
{
    Reset *reset = data;
    g_object_unref(reset->own);
    g_free(reset);
}

static void on_reset(Reset *reset)
{
    for (const HearthRowSpec *row = reset->rows; row->key; row++)
        g_settings_reset(reset->own, row->key);
}

static void show_reset(GtkWidget *button)
{
    Reset *reset = g_object_get_data(G_OBJECT(button), "hearth-reset");
    bool touched = false;
    for (const HearthRowSpec *row = reset->rows; row->key && !touched; row++) {
        g_autoptr(GVariant) value = g_settings_get_user_value(reset->own, row->key);
        touched = value != NULL;
    }
    gtk_widget_set_sensitive(button, touched);
}

static GtkWidget *new_reset_all(GSettings *own, const HearthRowSpec *rows)
{
    GtkWidget *button = gtk_button_new_with_label(_("Reset to Defaults"));
    Reset *reset = g_new(Reset, 1);
    *reset = (Reset){g_object_ref(own), rows, button};
    g_object_set_data_full(G_OBJECT(button), "hearth-reset", reset, reset_free);
    gtk_widget_add_css_class(button, "flat");
    gtk_widget_set_valign(button, GTK_ALIGN_END);
    g_signal_connect_swapped(button, "clicked", G_CALLBACK(on_reset), reset);
    g_signal_connect_object(own, "changed", G_CALLBACK(show_reset), button, G_CONNECT_SWAPPED);
    show_reset(button);
    return button;
}

GtkWidget *hearth_chat_groups_new(HearthApp *app, HearthChatGroup which, GSettings *own,
                                  GSettings *defaults)
{
    GtkWidget *widget = adw_preferences_group_new();
    AdwPreferencesGroup *group = ADW_PREFERENCES_GROUP(widget);
    adw_preferences_group_set_title(group, _(groups[which].title));
    if (groups[which].description)
        adw_preferences_group_set_description(group, _(groups[which].description));
    for (const HearthRowSpec *row = groups[which].rows; row->key; row++)
        adw_preferences_group_add(group, hearth_setting_row_new(row, own, defaults));
    if (which == HEARTH_GROUP_MEMORY)
        adw_preferences_group_add(group, hearth_context_cost_new(app, own, defaults));
    if (which == HEARTH_GROUP_SAMPLING || which == HEARTH_GROUP_REPETITION)
        adw_preferences_group_set_header_suffix(group, new_reset_all(own, groups[which].rows));
    return widget;
}
