/* Settings: GSettings over the schemas in data/, kept in settings.ini of the data folder.
 *
 * GSettings' own file backend writes on the main loop; this one keeps values in memory and writes
 * the file on a thread of GLib's pool, half a second after a change. Values that do not fit the
 * schema (edited by hand, older version) are left out of the settings and stay in the file. The
 * schema is found beside the program when it is not installed. */
#ifndef HEARTH_SETTINGS_H
#define HEARTH_SETTINGS_H

#include <gio/gio.h>
#include <stdbool.h>

#define HEARTH_SETTINGS_SCHEMA "io.github.hearth_ai.Hearth"
#define HEARTH_SETTINGS_CHAT_SCHEMA "io.github.hearth_ai.Hearth.Chat"

/* The program's settings and the defaults of conversations; both from and to the same file. Reads
 * it at once: before there is a window to hold up. g_object_unref(). False when the schema is not
 * installed. */
bool hearth_settings_open(const char *path, GSettings **ret_settings, GSettings **ret_chat,
                          GError **error);

/* Writes now, and calls when it is on the disk (or could not be written). */
void hearth_settings_save_async(GSettings *settings, GAsyncReadyCallback done, void *data);

/* Writes what is not written yet; blocks. */
void hearth_settings_flush(GSettings *settings);

/* A conversation's own settings from the JSON object in its row ("" = none), kept in memory. */
GSettings *hearth_settings_of_conversation(const char *json);
char *hearth_settings_to_json(GSettings *settings); /* user values alone; "" = none; g_free() */

/* The value that counts for a conversation: its own, else the program's. g_variant_unref(). */
GVariant *hearth_settings_effective(GSettings *own, GSettings *defaults, const char *key);

#endif
