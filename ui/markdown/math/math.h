/* LaTeX formulas as text: Pango markup of Unicode characters, letters slanted, scripts raised and
 * lowered, fractions with a slash, matrices row by row. What is not known stays as its source, so
 * nothing a formula says is lost. The text is in a serif face; it can be selected and copied. */
#ifndef HEARTH_MARKDOWN_MATH_H
#define HEARTH_MARKDOWN_MATH_H

#include <glib.h>
#include <stdbool.h>

/* `source`: without delimiters. `display`: may have several lines. */
char *hearth_markdown_math(const char *source, bool display);

#endif
