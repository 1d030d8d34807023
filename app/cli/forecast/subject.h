/* What rehearse and plan are about: a file, a file behind an address, or a known shape. */
#ifndef HEARTH_CLI_SUBJECT_H
#define HEARTH_CLI_SUBJECT_H

#include "models/shape.h"

typedef struct {
    char *name;       /* "DeepSeek-R1 671B, Q4_K_M" */
    const char *path; /* of a file; otherwise: */
    GArray *headers;  /* of EngHeader, borrowed from one of the next two */
    HearthShape *shape;
    GPtrArray *remote; /* of HearthRemotePart */
    GPtrArray *peeks;  /* of EngPeek, borrowed where `remote` has them */
} HearthSubject;

/* `quant` is for shapes; NULL = Q4_K_M. Fetches headers from addresses. */
bool hearth_subject_choose(HearthSubject *s, const char *what, const char *quant, GError **error);
void hearth_subject_clear(HearthSubject *s);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HearthSubject, hearth_subject_clear)

#endif
