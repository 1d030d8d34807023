/* Shows Markdown that a model wrote: text nobody vouches for, so nothing is fetched, no HTML is
 * interpreted, and links go to the web and to mail only.
 *
 * While an answer streams set_text is called with the text so far, up to 30 times a second; it
 * costs what the last block costs. Widgets of blocks that are finished are not touched again. The
 * view never asks for much width; code and tables scroll sideways by themselves.
 *
 * Of long texts of which little is in view draw that little (hearth_markdown_stack_set_shown):
 * GTK's cairo renderer draws what is clipped away, too.
 *
 * Its style is markdown.css, a style sheet of the application's resources. */
#ifndef HEARTH_MARKDOWN_VIEW_H
#define HEARTH_MARKDOWN_VIEW_H

#include <gtk/gtk.h>
#include <stdbool.h>

#include "stack.h"

#define HEARTH_TYPE_MARKDOWN_VIEW (hearth_markdown_view_get_type())
G_DECLARE_FINAL_TYPE(HearthMarkdownView, hearth_markdown_view, HEARTH, MARKDOWN_VIEW,
                     HearthMarkdownStack)

GtkWidget *hearth_markdown_view_new(void);
/* `text`: UTF-8, the whole of it. `complete`: nothing will follow. */
void hearth_markdown_view_set_text(HearthMarkdownView *self, const char *text, size_t len,
                                   bool complete);

#endif
