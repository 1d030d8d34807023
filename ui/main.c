/* The program: a window where there is a display, else the conversation in the terminal. */
#include <stdio.h>
#include <string.h>

#include "application.h"
#include "cli/main.h"
#include "trace.h"

/* `hearth FILE` in a terminal is `hearth-cli chat -m FILE`; other arguments are that command's. */
static int talk_in_terminal(int argc, char **argv)
{
    g_autoptr(GPtrArray) args = g_ptr_array_new();
    g_ptr_array_add(args, (char *)"hearth-cli");
    g_ptr_array_add(args, (char *)"chat");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--new") == 0) continue;
        if (g_str_has_suffix(argv[i], ".gguf") && (i == 1 || argv[i - 1][0] != '-'))
            g_ptr_array_add(args, (char *)"-m");
        g_ptr_array_add(args, argv[i]);
    }
    int n = (int)args->len;
    g_ptr_array_add(args, NULL);
    return hearth_command_main(n, (char **)args->pdata);
}

int main(int argc, char **argv)
{
    hearth_application_init_locale();
#ifdef G_OS_WIN32
    argv = g_win32_get_command_line(); /* UTF-8, whatever the code page is */
    argc = (int)g_strv_length(argv);
#endif
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("hearth %s\n", HEARTH_VERSION);
        return 0;
    }
    g_set_prgname("hearth"); /* assistive technology finds the program by this name */
    if (!gtk_init_check()) {
        fprintf(stderr, "hearth: There is no display to open a window on, so the conversation is "
                        "here in the terminal.\n");
        return talk_in_terminal(argc, argv);
    }
    hearth_application_init_direction();
    hearth_trace_init();
    g_autoptr(HearthApplication) application = hearth_application_new();
    return g_application_run(G_APPLICATION(application), argc, argv);
}
