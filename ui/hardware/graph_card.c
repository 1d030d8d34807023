#include "hardware/graph_card.h"

#include "hardware/graph.h"

struct _HearthGraphCard {
    AdwBin parent;
    GtkWidget *title, *value, *detail, *stack, *frame, *max, *span, *reason, *graph;
};

G_DEFINE_FINAL_TYPE(HearthGraphCard, hearth_graph_card, ADW_TYPE_BIN)

/* GObject */

static void hearth_graph_card_class_init(HearthGraphCardClass *class)
{
    GtkWidgetClass *widget = GTK_WIDGET_CLASS(class);
    gtk_widget_class_set_template_from_resource(
        widget, "/io/github/hearth_ai/Hearth/hardware/graph_card.ui");
    gtk_widget_class_set_accessible_role(widget, GTK_ACCESSIBLE_ROLE_GROUP);
    gtk_widget_class_bind_template_child(widget, HearthGraphCard, title);
    gtk_widget_class_bind_template_child(widget, HearthGraphCard, value);
    gtk_widget_class_bind_template_child(widget, HearthGraphCard, detail);
    gtk_widget_class_bind_template_child(widget, HearthGraphCard, stack);
    gtk_widget_class_bind_template_child(widget, HearthGraphCard, frame);
    gtk_widget_class_bind_template_child(widget, HearthGraphCard, max);
    gtk_widget_class_bind_template_child(widget, HearthGraphCard, span);
    gtk_widget_class_bind_template_child(widget, HearthGraphCard, reason);
}

static void hearth_graph_card_init(HearthGraphCard *card)
{
    gtk_widget_init_template(GTK_WIDGET(card));
}

GtkWidget *hearth_graph_card_new(const char *title, const char *span, size_t capacity)
{
    HearthGraphCard *card = g_object_new(HEARTH_TYPE_GRAPH_CARD, NULL);
    card->graph = hearth_graph_new(capacity, true);
    adw_bin_set_child(ADW_BIN(card->frame), card->graph);
    gtk_label_set_text(GTK_LABEL(card->title), title);
    gtk_label_set_text(GTK_LABEL(card->span), span);
    gtk_accessible_update_property(GTK_ACCESSIBLE(card), GTK_ACCESSIBLE_PROPERTY_LABEL, title, -1);
    return GTK_WIDGET(card);
}

void hearth_graph_card_set_text(HearthGraphCard *card, const char *value, const char *detail)
{
    gtk_label_set_text(GTK_LABEL(card->value), value);
    gtk_label_set_text(GTK_LABEL(card->detail), detail ? detail : "");
    gtk_widget_set_visible(card->detail, detail != NULL);
    hearth_graph_describe(HEARTH_GRAPH(card->graph), gtk_label_get_text(GTK_LABEL(card->title)),
                          value);
}

void hearth_graph_card_set_values(HearthGraphCard *card, const double *values, size_t n, double max,
                                  const char *max_text)
{
    gtk_label_set_text(GTK_LABEL(card->max), max_text);
    hearth_graph_set_values(HEARTH_GRAPH(card->graph), values, n, max);
}

void hearth_graph_card_set_reason(HearthGraphCard *card, const char *reason)
{
    gtk_label_set_text(GTK_LABEL(card->reason), reason ? reason : "");
    gtk_stack_set_visible_child_name(GTK_STACK(card->stack), reason ? "reason" : "graph");
}
