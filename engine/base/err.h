/* How every part of the engine says that something went wrong. */
#ifndef ENG_BASE_ERR_H
#define ENG_BASE_ERR_H

#include "engine.h"

/* Fills *err (when not NULL) and returns false, so that a caller can `return eng_fail(…)`.
 * The sentence names the cause and the next step; it is cut, at a UTF-8 boundary, to fit. */
bool eng_fail(EngError *err, EngErrorCode code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
