/* Numbers as the person's language writes them. The program's LC_NUMERIC is "C" (see main.c), so
 * that printf does not know; the translations do. */
#ifndef HEARTH_NUMBER_H
#define HEARTH_NUMBER_H

#include <glib.h>

/* "1,204". g_free() both. */
char *hearth_number(gint64 n);
/* "9.8", with one decimal place. */
char *hearth_number_decimal(double n);

#endif
