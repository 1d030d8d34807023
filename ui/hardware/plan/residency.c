#include "hardware/plan/residency.h"

#include <glib/gi18n-lib.h>

#include "hardware/plan/stacked_bar.h"
#include "amount.h"

struct _HearthResidency {
    AdwBin parent;
    GtkWidget *stack, *bars[HEARTH_N_DEVICES], *bar_names[HEARTH_N_DEVICES], *table;
};

G_DEFINE_FINAL_TYPE(HearthResidency, hearth_residency, ADW_TYPE_BIN)

static const struct {
    const char *class, *name;
} kinds[HEARTH_N_KINDS] = {
    [HEARTH_KIND_EXPERTS] = {"experts", N_("Routed Experts")},
    [HEARTH_KIND_SHARED_EXPERTS] = {"shared-experts", N_("Shared Experts")},
    [HEARTH_KIND_DENSE] = {"dense", N_("Dense Layers")},
    [HEARTH_KIND_ATTENTION] = {"attention", N_("Attention")},
    [HEARTH_KIND_EMBEDDING] = {"embedding", N_("Embedding")},
    [HEARTH_KIND_HEAD] = {"head", N_("Output Head")},
    [HEARTH_KIND_OTHER] = {"other", N_("Norms and Routers")},
    [HEARTH_KIND_KV] = {"kv", N_("Conversations (KV Cache)")},
    [HEARTH_KIND_BUFFERS] = {"buffers", N_("Compute Buffers")},
    [HEARTH_KIND_CACHE] = {"cache", N_("Cached Experts")},
};
static const char *const devices[HEARTH_N_DEVICES] = {[HEARTH_DEVICE_DRAM] = N_("DRAM"),
                                                      [HEARTH_DEVICE_VRAM] = N_("VRAM"),
                                                      [HEARTH_DEVICE_DISK] = N_("Disk")};

const char *hearth_residency_kind_name(HearthKind kind) { return _(kinds[kind].name); }

/* ---- the table ------------------------------------------------------------------------------- */

static GtkWidget *new_label(const char *text, bool end, const char *class)
{
    GtkWidget *label = gtk_label_new(text);
    gtk_label_set_xalign(GTK_LABEL(label), end ? 1 : 0);
    gtk_widget_add_css_class(label, "numeric");
    if (class) gtk_widget_add_css_class(label, class);
    return label;
}

static GtkWidget *new_dot(HearthKind kind)
{
    GtkWidget *dot = g_object_new(GTK_TYPE_BOX, "css-name", "segment", "accessible-role",
                                  GTK_ACCESSIBLE_ROLE_PRESENTATION, NULL);
    gtk_widget_add_css_class(dot, kinds[kind].class);
    gtk_widget_add_css_class(dot, "dot");
    gtk_widget_set_valign(dot, GTK_ALIGN_CENTER);
    return dot;
}

/* DRAM has a column always, the others when something lies there. */
static void add_row(HearthResidency *residency, int row, GtkWidget *dot, const char *name,
                    const uint64_t *bytes, const uint64_t *total, const char *class)
{
    GtkGrid *table = GTK_GRID(residency->table);
    GtkWidget *label = new_label(name, false, class);
    gtk_label_set_wrap(GTK_LABEL(label), TRUE);
    gtk_widget_set_hexpand(label, TRUE);
    if (dot) gtk_grid_attach(table, dot, 0, row, 1, 1);
    gtk_grid_attach(table, label, 1, row, 1, 1);
    for (int device = 0; device < HEARTH_N_DEVICES; device++) {
        if (device != HEARTH_DEVICE_DRAM && !total[device]) continue;
        g_autofree char *text = bytes[device] ? hearth_amount_bytes(bytes[device]) : g_strdup("–");
        gtk_grid_attach(table, new_label(text, true, class), 2 + device, row, 1, 1);
    }
}

static void fill_table(HearthResidency *residency, const HearthBytes bytes)
{
    GtkGrid *table = GTK_GRID(residency->table);
    GtkWidget *child;
    while ((child = gtk_widget_get_first_child(residency->table))) gtk_grid_remove(table, child);
    uint64_t total[HEARTH_N_DEVICES];
    bool several = false;
    for (int device = 0; device < HEARTH_N_DEVICES; device++) {
        total[device] = hearth_bytes_total(bytes, device);
        several |= device != HEARTH_DEVICE_DRAM && total[device];
    }
    for (int device = 0; device < HEARTH_N_DEVICES && several; device++)
        if (device == HEARTH_DEVICE_DRAM || total[device])
            gtk_grid_attach(table, new_label(_(devices[device]), true, "dim-label"), 2 + device, 0,
                            1, 1);
    int row = 1;
    for (int kind = 0; kind < HEARTH_N_KINDS; kind++) {
        uint64_t all = 0;
        for (int device = 0; device < HEARTH_N_DEVICES; device++) all += bytes[kind][device];
        if (all)
            add_row(residency, row++, new_dot(kind), hearth_residency_kind_name(kind), bytes[kind],
                    total, NULL);
    }
    add_row(residency, row, NULL, _("Total"), total, total, "heading");
}

/* ---- the bars -------------------------------------------------------------------------------- */

static void set_bar(HearthResidency *residency, const HearthBytes all, HearthDevice device)
{
    double values[HEARTH_N_KINDS];
    g_autoptr(GString) text = g_string_new(NULL);
    for (int kind = 0; kind < HEARTH_N_KINDS; kind++) {
        uint64_t bytes = all[kind][device];
        values[kind] = (double)bytes;
        if (!bytes) continue;
        g_autofree char *size = hearth_amount_bytes(bytes);
        g_string_append_printf(text, "%s%s %s", text->len ? ", " : "",
                               hearth_residency_kind_name(kind), size);
    }
    uint64_t total = hearth_bytes_total(all, device);
    bool shown = total > 0 || device == HEARTH_DEVICE_DRAM;
    GtkWidget *bar = residency->bars[device], *name = residency->bar_names[device];
    hearth_stacked_bar_set(HEARTH_STACKED_BAR(bar), values, HEARTH_N_KINDS, 0);
    gtk_accessible_update_property(GTK_ACCESSIBLE(bar), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                   _(devices[device]), GTK_ACCESSIBLE_PROPERTY_DESCRIPTION,
                                   text->str, -1);
    gtk_widget_set_visible(bar, shown);
    gtk_widget_set_visible(name, shown);
}

static void add_bar(GtkBox *box, HearthResidency *residency, HearthDevice device)
{
    const char *classes[HEARTH_N_KINDS];
    for (int kind = 0; kind < HEARTH_N_KINDS; kind++) classes[kind] = kinds[kind].class;
    residency->bar_names[device] = new_label(_(devices[device]), false, "caption-heading");
    residency->bars[device] = hearth_stacked_bar_new(classes, HEARTH_N_KINDS);
    gtk_box_append(box, residency->bar_names[device]);
    gtk_box_append(box, residency->bars[device]);
}

/* GObject */

static void hearth_residency_class_init(HearthResidencyClass *class) { (void)class; }

static void hearth_residency_init(HearthResidency *residency)
{
    GtkWidget *box = gtk_box_new(GTK_ORIENTATION_VERTICAL, 6);
    for (int device = 0; device < HEARTH_N_DEVICES; device++)
        add_bar(GTK_BOX(box), residency, device);
    residency->table = gtk_grid_new();
    gtk_grid_set_column_spacing(GTK_GRID(residency->table), 12);
    gtk_grid_set_row_spacing(GTK_GRID(residency->table), 6);
    gtk_widget_set_margin_top(residency->table, 6);
    gtk_box_append(GTK_BOX(box), residency->table);

    GtkWidget *none = gtk_label_new(_("No model is in memory."));
    gtk_widget_add_css_class(none, "dim-label");
    residency->stack = gtk_stack_new();
    gtk_stack_set_vhomogeneous(GTK_STACK(residency->stack), FALSE);
    gtk_stack_add_named(GTK_STACK(residency->stack), none, "none");
    gtk_stack_add_named(GTK_STACK(residency->stack), box, "model");
    gtk_widget_set_margin_top(residency->stack, 12);
    gtk_widget_set_margin_bottom(residency->stack, 12);
    gtk_widget_set_margin_start(residency->stack, 12);
    gtk_widget_set_margin_end(residency->stack, 12);
    adw_bin_set_child(ADW_BIN(residency), residency->stack);
    gtk_widget_add_css_class(GTK_WIDGET(residency), "card");
}

GtkWidget *hearth_residency_new(void) { return g_object_new(HEARTH_TYPE_RESIDENCY, NULL); }

void hearth_residency_set_bytes(HearthResidency *residency, const HearthBytes bytes)
{
    gtk_stack_set_visible_child_name(GTK_STACK(residency->stack), bytes ? "model" : "none");
    if (!bytes) return;
    for (int device = 0; device < HEARTH_N_DEVICES; device++) set_bar(residency, bytes, device);
    fill_table(residency, bytes);
}
