/* JSON in (a request, strict) and out (Python's json.dumps). */
#ifndef ENG_CHAT_JSON_H
#define ENG_CHAT_JSON_H

#include "chat/value/value.h"

/* The whole of `text` is one JSON value (RFC 8259). Integers keep their digits, reals become
 * floats, the last of several equal keys counts, a lone surrogate escape becomes U+FFFD. Raises a
 * plain sentence that says where the text is wrong. */
EngValue eng_json_parse(EngRun *run, const char *text, size_t n);

typedef struct {
    bool ensure_ascii, sort_keys;
    const EngStr *indent; /* per level, or NULL: all on one line */
    const EngStr *item_separator, *key_separator;
} EngJsonStyle;

/* Raises "Object of type X is not JSON serializable" as json.dumps does. */
EngStr *eng_json_dump(EngRun *run, EngValue v, const EngJsonStyle *style);

#endif
