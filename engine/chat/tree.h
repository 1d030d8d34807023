/* A parsed template: nodes in the template's arena, never changed after parsing.
 *
 * Names are resolved before anything runs (scope.c), exactly as the reference's compiler does it:
 * every for, macro, call, filter, with and set block is a scope of slots, an `if` is not. Whether a
 * name means the scope's own slot, an outer one or a variable of the request is decided by where it
 * is stored in the text, not by what happened to run. */
#ifndef ENG_CHAT_TREE_H
#define ENG_CHAT_TREE_H

#include "chat/value/value.h"

typedef enum {
    /* expressions */
    ENG_N_CONST, /* value */
    ENG_N_NAME,  /* name, ref */
    ENG_N_NSREF, /* name.attr as a target: name, ref, value: the attribute */
    ENG_N_TUPLE,
    ENG_N_LIST,
    ENG_N_DICT, /* items: key, value, key, value … */
    ENG_N_COND, /* b if a else c */
    ENG_N_OR,
    ENG_N_AND,
    ENG_N_NOT,
    ENG_N_COMPARE, /* a, then ops[i] items[i] … */
    ENG_N_ADD,
    ENG_N_SUB,
    ENG_N_MUL,
    ENG_N_DIV,
    ENG_N_FLOORDIV,
    ENG_N_MOD,
    ENG_N_POW,
    ENG_N_CONCAT, /* items */
    ENG_N_NEG,
    ENG_N_POS,
    ENG_N_GETATTR, /* a.name */
    ENG_N_GETITEM, /* a[b] */
    ENG_N_SLICE,   /* a:b:c, each may be NULL; only below GETITEM */
    ENG_N_CALL,    /* a(call) */
    ENG_N_FILTER,  /* a|name(call); a NULL: the text of the block */
    ENG_N_TEST,    /* a is name(call) */
    /* statements */
    ENG_N_OUTPUT, /* items; CONST is template text */
    ENG_N_FOR,    /* for a in b if c: body else orelse */
    ENG_N_IF,     /* a: body; items: further IFs (elif); orelse */
    ENG_N_MACRO,
    ENG_N_CALL_BLOCK, /* a: the call */
    ENG_N_FILTER_BLOCK,
    ENG_N_WITH, /* items: target, value, target, value … */
    ENG_N_SET,
    ENG_N_SET_BLOCK, /* a: target; b: filter chain or NULL */
    ENG_N_BLOCK,
    ENG_N_SCOPE, /* generation … endgeneration; a: the value of autoescape, or NULL */
    ENG_N_LOAD,  /* include, import, extends: a */
    ENG_N_BREAK,
    ENG_N_CONTINUE,
} EngNodeKind;

typedef enum {
    ENG_OP_EQ,
    ENG_OP_NE,
    ENG_OP_LT,
    ENG_OP_LE,
    ENG_OP_GT,
    ENG_OP_GE,
    ENG_OP_IN,
    ENG_OP_NOT_IN,
} EngCompareOp;

typedef struct EngNode EngNode;
typedef struct EngScope EngScope;

typedef struct { /* slot of the scope `hops` levels up */
    int hops, slot;
} EngRef;

typedef struct {
    EngNode **items;
    size_t n;
} EngNodes;

typedef struct {
    EngNodes args;
    EngStr **keys; /* of `named` */
    EngNodes named;
    EngNode *star, *star_star; /* *args, **kwargs, or NULL */
} EngCallArgs;

typedef struct {                 /* of a macro or a call block */
    EngNodes args;               /* NAMEs */
    EngNodes defaults;           /* of the last n of args */
    int *slots;                  /* of args */
    int caller, kwargs, varargs; /* slots, -1: not used in the body */
    bool explicit_caller;        /* caller is among args */
} EngSignature;

struct EngNode {
    EngNodeKind kind;
    int line, depth;
    EngNode *a, *b, *c;
    EngNodes items, body, orelse;
    unsigned char *ops;
    EngStr *name;
    EngValue value;
    EngRef ref;
    EngCallArgs *call;
    EngSignature *signature;
    EngScope *scope, *test_scope, *else_scope;
    bool store;     /* a NAME that is a target */
    bool flag;      /* FOR: recursive; BLOCK: scoped; LOAD: extends */
    bool uses_loop; /* FOR: has a `loop` variable */
    int loop_slot;
    const struct EngFilter *filter; /* FILTER, TEST: NULL when there is none of that name */
};

typedef enum {
    ENG_LOAD_NOTHING, /* starts unset */
    ENG_LOAD_PARAM,   /* set by whoever enters the scope */
    ENG_LOAD_RESOLVE, /* a variable of the request, or unset */
    ENG_LOAD_ALIAS,   /* copy of an outer slot */
} EngLoadKind;

typedef struct {
    EngStr *name;
    EngLoadKind load;
    EngRef alias; /* from this scope's point of view: hops >= 1 */
    bool stored;
} EngSymbol;

struct EngScope {
    EngScope *parent;
    EngSymbol *symbols;
    size_t n, cap;
    size_t *stores; /* symbols in order of first store */
    size_t n_stores, cap_stores;
};

typedef struct {
    EngNodes body;
    EngScope *scope;
    EngNodes blocks; /* BLOCKs, for a check of double names */
} EngTree;

/* Parses; the nodes live in run's arena. Raises the reference's syntax errors. */
EngTree *eng_parse_template(EngRun *run, const char *source, size_t n);
/* Resolves names, finds filters and tests. Raises what the reference's compiler refuses. */
void eng_scope_resolve(EngRun *run, EngTree *tree);

#endif
