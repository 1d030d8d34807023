/* The running program on the desktop: one instance, its actions, what it does when a file is opened
 * with it. Owns the HearthApp from its start to its end. */
#ifndef HEARTH_APPLICATION_H
#define HEARTH_APPLICATION_H

#include <adwaita.h>

#define HEARTH_TYPE_APPLICATION (hearth_application_get_type())
G_DECLARE_FINAL_TYPE(HearthApplication, hearth_application, HEARTH, APPLICATION, AdwApplication)

HearthApplication *hearth_application_new(void);

/* Before anything is translated: finds the texts beside a program that is not installed, too. */
void hearth_application_init_locale(void);
/* After GTK has begun: mirrors the window where the locale's language is written from the right.
 * GTK itself asks its catalogue for that, and only where the program has a translation too. */
void hearth_application_init_direction(void);
/* GTK_TEXT_DIR_NONE: nobody knows. */
GtkTextDirection hearth_application_direction_of(PangoLanguage *language);

#endif
