#include "error_from.h"

bool hearth_error_from_engine(GError **error, const EngError *from)
{
    HearthError code = HEARTH_ERROR_FAILED;
    switch (from->code) {
    case ENG_ERR_REFUSED:
    case ENG_ERR_CONTEXT: code = HEARTH_ERROR_REFUSED; break;
    case ENG_ERR_USAGE: code = HEARTH_ERROR_USAGE; break;
    case ENG_OK:
    case ENG_ERR_IO:
    case ENG_ERR_MORE:
    case ENG_ERR_MEMORY: break;
    }
    g_autofree char *message = hearth_sentence(from->message); /* it may name a file */
    g_set_error_literal(error, HEARTH_ERROR, code, message);
    return false;
}
