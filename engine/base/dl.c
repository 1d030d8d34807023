#include "base/dl.h"

#include <dlfcn.h>
#include <string.h>

/* An EngDl is the system's handle itself. */

EngDl *eng_dl_open(const char *name, EngError *err)
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle) return handle;
    const char *why = dlerror();
    size_t n = strlen(name);
    if (!why) why = "unknown error";
    if (strncmp(why, name, n) == 0 && strncmp(why + n, ": ", 2) == 0) why += n + 2;
    /* The reason first: a long name may be cut. */
    eng_fail(err, ENG_ERR_IO, "A library cannot be opened (%s): %s", why, name);
    return NULL;
}

void eng_dl_close(EngDl *dl)
{
    if (dl) dlclose(dl);
}

EngDlFn *eng_dl_function(EngDl *dl, const char *name)
{
    union { /* POSIX lets dlsym's pointer be a function's, ISO C has no cast for it */
        void *object;
        EngDlFn *function;
    } symbol = {.object = dlsym(dl, name)};
    return symbol.function;
}
