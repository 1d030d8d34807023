/* What lives where: the bytes of a model by kind and device, as stacked bars and as a
 * table that is their legend. */
#ifndef HEARTH_RESIDENCY_H
#define HEARTH_RESIDENCY_H

#include <adwaita.h>

#include "worker/plan.h"

#define HEARTH_TYPE_RESIDENCY (hearth_residency_get_type())
G_DECLARE_FINAL_TYPE(HearthResidency, hearth_residency, HEARTH, RESIDENCY, AdwBin)

GtkWidget *hearth_residency_new(void);
/* NULL: no model. */
void hearth_residency_set_bytes(HearthResidency *residency, const HearthBytes bytes);

/* "Routed Experts", translated. */
const char *hearth_residency_kind_name(HearthKind kind);

#endif
