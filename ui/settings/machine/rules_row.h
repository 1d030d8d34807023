/* The placement rules: a text over the key "rules" that opens under its row, with what is wrong in
 * it below. */
#ifndef HEARTH_RULES_ROW_H
#define HEARTH_RULES_ROW_H

#include <adwaita.h>

#define HEARTH_TYPE_RULES_ROW (hearth_rules_row_get_type())
G_DECLARE_FINAL_TYPE(HearthRulesRow, hearth_rules_row, HEARTH, RULES_ROW, AdwExpanderRow)

GtkWidget *hearth_rules_row_new(GSettings *settings);

/* The sentence, which names the line; NULL = nothing is wrong. */
void hearth_rules_row_set_error(HearthRulesRow *row, const char *sentence);

#endif
