#include "base/dl.h"

#include <dlfcn.h>

/* An EngDl is the system's handle itself. */

EngDl *eng_dl_open(const char *name, EngError *err)
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle) return handle;
    const char *why = dlerror();
    eng_fail(err, ENG_ERR_IO, "Cannot open the library %s: %s.", name, why ? why : "unknown error");
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
