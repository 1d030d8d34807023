/* Markdown as one line of plain text: for notifications, titles, the names of rows. */
#ifndef HEARTH_MARKDOWN_PLAIN_H
#define HEARTH_MARKDOWN_PLAIN_H

#include <stddef.h>

/* At most `max` characters, the last of them … when there is more; to be freed with g_free. Looks
 * at the beginning only: cheap for any length. */
char *hearth_markdown_plain(const char *text, size_t len, size_t max);

#endif
