/* Libraries that may or may not be there, opened while running: the GPU's driver, plug-ins. */
#ifndef ENG_BASE_DL_H
#define ENG_BASE_DL_H

#include "base/err.h"

typedef struct EngDl EngDl;
typedef void EngDlFn(void); /* any function: cast to its true type before the call */

/* `name` is a file name that the system's search path resolves ("libcuda.so.1"), or a path.
 * NULL with ENG_ERR_IO, and the system's words for why, when it cannot be had. */
EngDl *eng_dl_open(const char *name, EngError *err);
void eng_dl_close(EngDl *dl);

/* NULL when the library has no such function. */
EngDlFn *eng_dl_function(EngDl *dl, const char *name);

#endif
