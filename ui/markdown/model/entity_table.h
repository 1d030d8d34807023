/* The named characters of HTML that people and models write in Markdown, sorted by name. */
#ifndef HEARTH_MARKDOWN_ENTITY_TABLE_H
#define HEARTH_MARKDOWN_ENTITY_TABLE_H

#include <stddef.h>

typedef struct {
    const char *name, *text;
} HearthMarkdownEntity;

extern const HearthMarkdownEntity hearth_markdown_entity_table[];
extern const size_t hearth_markdown_entity_count;

#endif
