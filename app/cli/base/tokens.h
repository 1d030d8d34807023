/* Token ids as people and scripts write them: numbers between commas or white space, a comma with a
 * number on either side. */
#ifndef HEARTH_CLI_BASE_TOKENS_H
#define HEARTH_CLI_BASE_TOKENS_H

#include "error_from.h"

/* Appends the ids in `text`, one at least, to `tokens` (of int32_t). */
bool hearth_tokens_parse(const char *text, GArray *tokens, GError **error);

/* Whether the model's vocabulary has them all. */
bool hearth_tokens_check(const GArray *tokens, const EngModel *model, GError **error);

#endif
