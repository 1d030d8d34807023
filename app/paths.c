#include "paths.h"

#include <glib.h>

#ifdef G_OS_WIN32
#define FOLDER "Hearth"
#else
#define FOLDER "hearth"
#endif

char *hearth_paths_data_file(const char *name)
{
    const char *set = g_getenv("HEARTH_DATA_DIR");
    g_autofree char *folder =
        set && *set ? g_strdup(set) : g_build_filename(g_get_user_data_dir(), FOLDER, NULL);
    g_mkdir_with_parents(folder, 0700);
    return g_build_filename(folder, name, NULL);
}
