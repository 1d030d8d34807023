/* Inside the parser: statements are in parse.c, expressions in parse_expr.c. */
#ifndef ENG_CHAT_PARSE_H
#define ENG_CHAT_PARSE_H

#include "chat/lex.h"
#include "chat/tree.h"

typedef struct {
    EngRun *run;
    EngLex lex;
    EngToken current, ahead;
    bool has_ahead;
    int nesting;
    EngStr *tags[ENG_RUN_NESTING + 2]; /* open tags, outermost first */
    int n_tags;
    const char *const *ends[ENG_RUN_NESTING + 2]; /* what each open block waits for */
    int n_ends;
} EngParser;

typedef struct { /* a list being collected */
    EngNodes nodes;
    size_t cap;
} EngNodeList;

EngToken eng_parse_next(EngParser *p); /* one token ahead; returns the one left */
EngToken eng_parse_look(EngParser *p); /* the token after the current one */
bool eng_parse_is_name(const EngParser *p, const char *name);
bool eng_parse_skip(EngParser *p, EngTokenKind kind);
bool eng_parse_skip_name(EngParser *p, const char *name);
EngToken eng_parse_expect(EngParser *p, EngTokenKind kind);
void eng_parse_expect_name(EngParser *p, const char *name);
_Noreturn void eng_parse_fail_token(EngParser *p, const char *before, EngToken token);
EngNode *eng_parse_node(EngParser *p, EngNodeKind kind, int line);
void eng_parse_grow(EngParser *p, EngNode *node); /* checks the depth, once the operands are set */
void eng_parse_add(EngParser *p, EngNodeList *list, EngNode *node);
void eng_parse_nest(EngParser *p);

EngNode *eng_parse_expression(EngParser *p, bool with_condition);
typedef struct {
    bool simplified, without_condition, explicit_parentheses, with_namespace;
} EngTupleStyle;
EngNode *eng_parse_tuple(EngParser *p, EngTupleStyle style);
EngNode *eng_parse_filter(EngParser *p, EngNode *node, bool start_inline);
EngNode *eng_parse_target(EngParser *p, bool with_namespace);
EngNode *eng_parse_name_target(EngParser *p);

#endif
