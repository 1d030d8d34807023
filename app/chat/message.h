/* One message of a conversation, as the window shows it. Main thread only; made and changed by its
 * conversation alone.
 *
 * Text only grows while the state is running: a view that has rendered n bytes needs to look at the
 * rest alone. Afterwards it never changes (editing makes a new version). */
#ifndef HEARTH_CHAT_MESSAGE_H
#define HEARTH_CHAT_MESSAGE_H

#include <glib-object.h>

#include "store/rows.h"

#define HEARTH_TYPE_MESSAGE (hearth_message_get_type())
G_DECLARE_FINAL_TYPE(HearthMessage, hearth_message, HEARTH, MESSAGE, GObject)

/* Read-only properties to listen to: "state" (int), "content", "thinking" (string; notified at most
 * 30 times a second; use the getters, which copy nothing), "progress" (double, 0 … 1; seconds left
 * and counts by the getter), "version" and "n-versions" (int, version from 1). */

gint64 hearth_message_get_id(HearthMessage *message);
HearthRole hearth_message_get_role(HearthMessage *message);
HearthState hearth_message_get_state(HearthMessage *message);
const char *hearth_message_get_content(HearthMessage *message, size_t *ret_len);  /* len or NULL */
const char *hearth_message_get_thinking(HearthMessage *message, size_t *ret_len); /* "" = none */
const char *hearth_message_get_model(HearthMessage *message);
const char *hearth_message_get_error(HearthMessage *message); /* "" = none */
HearthStats hearth_message_get_stats(HearthMessage *message);
void hearth_message_get_progress(HearthMessage *message, gint64 *ret_done, gint64 *ret_total,
                                 double *ret_seconds_left);
/* Since thinking began, while it runs; else stats.thinking_s. */
double hearth_message_get_thinking_seconds(HearthMessage *message);
int hearth_message_get_version(HearthMessage *message);
int hearth_message_get_n_versions(HearthMessage *message);

#endif
