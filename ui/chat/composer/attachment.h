/* A text file that goes into the prompt: read without waiting, refused with a sentence when it is
 * not text or too large, and written into the message as a fenced block under its name. */
#ifndef HEARTH_CHAT_ATTACHMENT_H
#define HEARTH_CHAT_ATTACHMENT_H

#include <gio/gio.h>

#define HEARTH_ATTACHMENT_MOST (4 << 20) /* bytes */

typedef struct {
    char *name; /* as displayed, one line */
    char *text;
    size_t len;
} HearthAttachment;

void hearth_attachment_free(HearthAttachment *attachment);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HearthAttachment, hearth_attachment_free)

void hearth_attachment_read_async(GFile *file, GCancellable *cancellable, GAsyncReadyCallback done,
                                  void *data);
HearthAttachment *hearth_attachment_read_finish(GAsyncResult *result, GError **error);

/* Behind what is in `prompt` already. */
void hearth_attachment_append(const char *name, const char *text, GString *prompt);

#endif
