/* A row that says what the context length costs in memory with the loaded model, and warns when
 * that is more than there is. Follows the settings, the model and the memory by itself. */
#ifndef HEARTH_CONTEXT_COST_H
#define HEARTH_CONTEXT_COST_H

#include <adwaita.h>

#include "app.h"

#define HEARTH_TYPE_CONTEXT_COST (hearth_context_cost_get_type())
G_DECLARE_FINAL_TYPE(HearthContextCost, hearth_context_cost, HEARTH, CONTEXT_COST, AdwActionRow)

GtkWidget *hearth_context_cost_new(HearthApp *app, GSettings *own, GSettings *defaults);

/* The row's words. `info` NULL = no model; `context` 0 = automatic; `kv_type` as the setting has
 * it; `available`: bytes of DRAM that are free, 0 = unknown. *ret_title, *ret_subtitle: g_free().
 * Returns whether it is a warning. */
bool hearth_context_cost_text(const HearthModelInfo *info, int context, const char *kv_type,
                              uint64_t available, char **ret_title, char **ret_subtitle);

#endif
