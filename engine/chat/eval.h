/* Runs a template's tree: statements in eval.c, expressions in eval_expr.c, calls in call.c,
 * operators in operate.c, attributes in attribute.c. */
#ifndef ENG_CHAT_EVAL_H
#define ENG_CHAT_EVAL_H

#include "chat/tree.h"

typedef struct EngEnv { /* a scope, entered */
    struct EngEnv *parent;
    const EngScope *scope;
    EngValue slots[];
} EngEnv;

struct EngMacro {
    const EngNode *node; /* MACRO or CALL_BLOCK */
    EngEnv *env;         /* where it was defined */
};

struct EngLoop { /* jinja2's LoopContext */
    EngValue iterable;
    EngIter *iter;
    int64_t index0, depth0, length;  /* length -1: not known yet */
    EngValue after, current, before; /* MISSING: none */
    EngValue last_changed;
    const EngNode *node; /* of a recursive loop, else NULL */
    EngEnv *env;
};

/* Renders the tree into run->out. */
void eng_eval_template(EngRun *run, const EngTree *tree);
EngStr *eng_eval_macro(EngRun *run, EngMacro *macro, const EngArgs *args);
EngStr *eng_eval_recurse(EngRun *run, EngLoop *loop, EngValue iterable);
void eng_eval_assign(EngRun *run, EngEnv *env, const EngNode *target, EngValue value);

void eng_eval_macro_name(EngRun *run, EngText *t, const EngMacro *macro); /* quoted */
void eng_eval_loop_repr(EngRun *run, EngText *t, EngLoop *loop);
bool eng_eval_loop_next(EngRun *run, EngLoop *loop, EngValue *ret);
EngIter *eng_eval_loop_iter(EngRun *run, EngLoop *loop);
int64_t eng_eval_loop_length(EngRun *run, EngLoop *loop);
bool eng_eval_loop_peek(EngRun *run, EngLoop *loop, EngValue *ret);

EngValue eng_eval_expr(EngRun *run, EngEnv *env, const EngNode *node);
/* A filter chain over a block's text: the innermost filter's input. */
EngValue eng_eval_filter_on(EngRun *run, EngEnv *env, const EngNode *node, EngValue input);

/* environment.call(): functions, methods, macros, loops; raises "'x' object is not callable". */
EngValue eng_call(EngRun *run, EngValue callee, const EngArgs *args);
/* The arguments of a call in the source, `caller` added when not NULL. */
EngArgs eng_call_args(EngRun *run, EngEnv *env, const EngCallArgs *call, EngValue *first,
                      EngValue *caller);
bool eng_call_possible(EngValue v); /* callable() */

EngValue eng_operate(EngRun *run, EngNodeKind op, EngValue a, EngValue b);
EngValue eng_operate_unary(EngRun *run, EngNodeKind op, EngValue a);
EngValue eng_operate_slice(EngRun *run, EngValue v, EngValue start, EngValue stop, EngValue step);

EngValue eng_attribute_get(EngRun *run, EngValue obj, EngStr *name);            /* obj.name */
EngValue eng_attribute_item(EngRun *run, EngValue obj, EngValue key);           /* obj[key] */
bool eng_attribute_own(EngRun *run, EngValue obj, EngStr *name, EngValue *ret); /* getattr */

#endif
