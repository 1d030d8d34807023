/* The window in which a persona is made or changed. Kept when saved, left as it was when cancelled.
 */
#ifndef HEARTH_PERSONA_EDITOR_H
#define HEARTH_PERSONA_EDITOR_H

#include <adwaita.h>

#include "chat/history.h"

/* `persona` NULL: a new one. */
void hearth_persona_editor_present(HearthHistory *history, HearthPersona *persona,
                                   GtkWindow *parent);

#endif
