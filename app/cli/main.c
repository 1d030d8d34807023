#include "cli/main.h"

#include <glib.h>
#include <locale.h>

int main(int argc, char **argv)
{
    /* Only how characters are read and measured: numbers keep their decimal point. */
    setlocale(LC_CTYPE, "");
#ifdef G_OS_WIN32
    argv = g_win32_get_command_line(); /* UTF-8, whatever the console's code page is */
    argc = (int)g_strv_length(argv);
#endif
    return hearth_command_main(argc, argv);
}
