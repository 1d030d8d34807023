/* Names of programming languages as they stand behind fences ("py", "c++", "yml") and what
 * GtkSourceView calls them. */
#ifndef HEARTH_MARKDOWN_LANGUAGE_H
#define HEARTH_MARKDOWN_LANGUAGE_H

#include <gtksourceview/gtksource.h>

/* `info`: the words behind the fence, or NULL. NULL: none is known. */
GtkSourceLanguage *hearth_markdown_language(const char *info);
/* What to show: "Python", or the word itself, or "Code". */
char *hearth_markdown_language_label(const char *info);

#endif
