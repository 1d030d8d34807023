#include "models/model_name.h"

#include <glib/gi18n-lib.h>
#include <string.h>

/* The length of NAME without "-00001-of-00009", the part number of a split model. */
static size_t without_part(const char *name, size_t len)
{
    static const char pattern[] = "-00000-of-00000";
    size_t n = sizeof(pattern) - 1;
    if (len <= n) return len;
    for (size_t i = 0; i < n; i++) {
        char c = name[len - n + i];
        if (pattern[i] == '0' ? !g_ascii_isdigit(c) : c != pattern[i]) return len;
    }
    return len - n;
}

char *hearth_model_name_of_path(const char *path)
{
    if (!path || !*path) return g_strdup(_("Ember"));
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *name = g_filename_display_name(base);
    size_t len = strlen(name);
    if (g_str_has_suffix(name, ".gguf") && len > 5) len -= 5;
    return g_strndup(name, without_part(name, len));
}

char *hearth_model_name_of_info(const HearthModelInfo *info)
{
    g_autofree char *name =
        info->name && *info->name ? g_strdup(info->name) : hearth_model_name_of_path(info->path);
    if (!info->quant || !*info->quant) return g_steal_pointer(&name);
    return g_strdup_printf("%s · %s", name, info->quant);
}
