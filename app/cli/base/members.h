/* The members of a JSON object, their values kept as the very text they were written in.
 *
 * A request travels through us to the template, and what the template sees must be what was
 * written: json-glib would wrap integers beyond 64 bits, print 1e22 as no JSON, and cut a string at
 * \u0000. Only the outermost object is taken apart here; the values inside are checked by whoever
 * reads them. */
#ifndef HEARTH_CLI_BASE_MEMBERS_H
#define HEARTH_CLI_BASE_MEMBERS_H

#include "error_from.h"

typedef struct HearthMembers HearthMembers;

/* HEARTH_ERROR_REFUSED when `text` is no object. */
HearthMembers *hearth_members_new(const char *text, GError **error);
void hearth_members_free(HearthMembers *members);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthMembers, hearth_members_free)

/* The value's text, borrowed; NULL when there is none. */
const char *hearth_members_get(const HearthMembers *members, const char *name);

/* A plain string (no escapes), g_free(); NULL when there is none or it is null. */
bool hearth_members_get_string(const HearthMembers *members, const char *name, char **ret_string,
                               GError **error);

/* Takes over from `more` the members that `members` has not. */
void hearth_members_add_missing(HearthMembers *members, const HearthMembers *more);

/* The object again. g_free(). */
char *hearth_members_to_text(const HearthMembers *members);

#endif
