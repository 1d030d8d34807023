/* A piece of marked-up text: a selectable label that wraps, with rounded grounds behind code (<tt>)
 * and a frame around \boxed formulas, which a label cannot draw. Links open what is http, https or
 * mailto, and nothing else. The text's own direction decides on which side it begins. */
#ifndef HEARTH_MARKDOWN_TEXT_H
#define HEARTH_MARKDOWN_TEXT_H

#include <gtk/gtk.h>

#define HEARTH_TYPE_MARKDOWN_TEXT (hearth_markdown_text_get_type())
G_DECLARE_FINAL_TYPE(HearthMarkdownText, hearth_markdown_text, HEARTH, MARKDOWN_TEXT, GtkWidget)

/* `level`: of a heading, 0: none. */
GtkWidget *hearth_markdown_text_new(const char *markup, int level);
void hearth_markdown_text_set_markup(HearthMarkdownText *self, const char *markup);
GtkLabel *hearth_markdown_text_get_label(HearthMarkdownText *self);
/* The direction in which a text is read, by its first strong character; NONE: it has none. */
GtkTextDirection hearth_markdown_text_direction(const char *markup);

#endif
