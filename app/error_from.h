/* The only place where an engine's error becomes a GError. Apart from error.h, which ui/ sees too
 * and which therefore does not name the engine. */
#ifndef HEARTH_ERROR_FROM_H
#define HEARTH_ERROR_FROM_H

#include <engine.h>

#include "error.h"

/* Returns false. */
bool hearth_error_from_engine(GError **error, const EngError *from);

#endif
