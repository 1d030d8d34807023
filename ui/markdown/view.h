/* Shows Markdown that a model wrote: text nobody vouches for, so nothing is fetched, no HTML is
 * interpreted, and links go to the web and to mail only.
 *
 * While an answer streams set_text is called with the text so far, up to 30 times a second; it
 * costs what the last block costs. Widgets of blocks that are finished are not touched again. The
 * view never asks for much width; code and tables scroll sideways by themselves.
 *
 * Its style is markdown.css, a style sheet of the application's resources. */
#ifndef HEARTH_MARKDOWN_VIEW_H
#define HEARTH_MARKDOWN_VIEW_H

#include <gtk/gtk.h>
#include <stdbool.h>

#define HEARTH_TYPE_MARKDOWN_VIEW (hearth_markdown_view_get_type())
G_DECLARE_FINAL_TYPE(HearthMarkdownView, hearth_markdown_view, HEARTH, MARKDOWN_VIEW, GtkWidget)

GtkWidget *hearth_markdown_view_new(void);
/* `text`: UTF-8, the whole of it. `complete`: nothing will follow. */
void hearth_markdown_view_set_text(HearthMarkdownView *self, const char *text, size_t len,
                                   bool complete);

/* Draws only the blocks that reach into these heights, px from the top of the view; from == to (as
 * it begins): all of them. For long texts of which little is in view: GTK's cairo renderer draws
 * what is clipped away, too. */
void hearth_markdown_view_set_shown(HearthMarkdownView *self, int from, int to);

#endif
