/* A row with a text of several lines over one key: the system prompt. */
#ifndef HEARTH_PROMPT_ROW_H
#define HEARTH_PROMPT_ROW_H

#include <adwaita.h>

#include "settings/setting.h"

#define HEARTH_TYPE_PROMPT_ROW (hearth_prompt_row_get_type())
G_DECLARE_FINAL_TYPE(HearthPromptRow, hearth_prompt_row, HEARTH, PROMPT_ROW, AdwPreferencesRow)

GtkWidget *hearth_prompt_row_new(const char *title, GSettings *own, GSettings *defaults,
                                 const char *key);

/* What the row shows while it is untouched instead of the default, and whose that is: a persona's
 * prompt and name. NULL: the default. */
void hearth_prompt_row_set_fallback(HearthPromptRow *row, const char *text, const char *whose);

/* The frame with the text view alone: its text is in no settings until it is bound. */
GtkWidget *hearth_prompt_row_new_editor(const char *name, GtkTextBuffer **ret_buffer);

/* The text is the setting's and the other way round, as long as there are both. */
void hearth_prompt_row_bind(GtkTextBuffer *buffer, HearthSetting *setting);

#endif
