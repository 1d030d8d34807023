/* Markdown to blocks: scan.c, then md4c (tables, strikethrough, task lists, bare http links), then
 * the tree of block.h. HTML is text, apart from <br>; images are links to them. Links go to http,
 * https and mailto only. A single line break is kept: models mean it.
 *
 * Never fails. What would cost more than it is worth (a table of a million cells) becomes a code
 * block with the source. */
#ifndef HEARTH_MARKDOWN_PARSE_H
#define HEARTH_MARKDOWN_PARSE_H

#include "block.h"

/* Adds the blocks of what scan.h made. */
void hearth_markdown_parse(const char *text, gsize len, const GPtrArray *formulas,
                           GPtrArray *blocks);
/* A whole text at once. */
GPtrArray *hearth_markdown_parse_all(const char *text, gsize len);
bool hearth_markdown_parse_link_allowed(const char *uri);

#endif
