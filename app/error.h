/* How app/ says that something went wrong: GError, in a few classes that the callers tell apart.
 *
 * The message is one plain sentence with the cause and the next step, ready to be shown. */
#ifndef HEARTH_ERROR_H
#define HEARTH_ERROR_H

#include <glib.h>
#include <stdbool.h>

typedef enum {
    HEARTH_ERROR_FAILED,   /* the machine or the network said no: a file, memory, a connection */
    HEARTH_ERROR_USAGE,    /* a setting or an option is wrong */
    HEARTH_ERROR_REFUSED,  /* the input is not acceptable: a damaged model, a prompt too long */
    HEARTH_ERROR_TEMPLATE, /* the same, in a chat template's own words: show them as they are */
    HEARTH_ERROR_CLOSED    /* nobody reads our output any more: stop, and say nothing */
} HearthError;

#define HEARTH_ERROR (hearth_error_quark())
GQuark hearth_error_quark(void);

/* Sets *error (NULL allowed) and returns false, so that a caller can `return hearth_error(…)`. */
bool hearth_error(GError **error, HearthError code, const char *fmt, ...) G_GNUC_PRINTF(3, 4);

/* A text of the engine or the system as a sentence: with a capital, unless it begins with a name,
 * and a full stop. "" stays. Valid UTF-8, g_free(). */
char *hearth_sentence(const char *text);

#endif
