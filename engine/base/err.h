/* How every part of the engine says that something went wrong. */
#ifndef ENG_BASE_ERR_H
#define ENG_BASE_ERR_H

#include "engine.h"

/* Fills *err (when not NULL) and is false, so that a caller can `return eng_fail(…)` and the
 * compiler knows what it returns. The sentence names the cause and the next step; it is cut, at a
 * UTF-8 boundary, to fit. */
#define eng_fail(...) eng_err_false(eng_err_set(__VA_ARGS__))

/* The two halves of eng_fail. */
static inline bool eng_err_false(int set) { return (void)set, false; }
int eng_err_set(EngError *err, EngErrorCode code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
