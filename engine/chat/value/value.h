/* The values that a chat template computes with: Python's, as far as jinja2 lets a template see
 * them.
 *
 * Everything lives in the arena of one EngRun (one parse or one rendering) and is freed with it, so
 * no value has an owner and nothing is freed on its own. Strings, lists and dicts are immutable
 * once the template can see them (the sandbox of the reference forbids the mutating methods); only
 * namespaces, loops and one-shot iterators change.
 *
 * Failure is an exception, as in the reference: eng_raise() stores the message and unwinds to the
 * one setjmp in chat.c. Nothing here may therefore hold malloc'ed memory, a lock or a file.
 *
 * The reference throughout is CPython 3.11 with jinja2 3.1 and markupsafe 3: the semantics of an
 * operation and the text of its exception are theirs. */
#ifndef ENG_CHAT_VALUE_H
#define ENG_CHAT_VALUE_H

#include <setjmp.h>
#include <stdarg.h>

#include "base/mem.h"
#include "base/sys.h"

/* Limits on what an untrusted template may use. */
#define ENG_RUN_STEPS 50000000u          /* evaluation steps, and characters looked at / 16 */
#define ENG_RUN_TEXT ((size_t)64 << 20)  /* bytes of one string or of the output */
#define ENG_RUN_MEMORY ((size_t)1 << 30) /* bytes of one rendering's arena */
#define ENG_RUN_DEPTH 1500               /* nested evaluations; about 400 bytes of stack each */
#define ENG_RUN_NESTING 180              /* nested expressions or blocks in the source */

typedef enum {
    ENG_V_MISSING, /* no value at all: an unset slot, an argument not given */
    ENG_V_UNDEFINED,
    ENG_V_NONE,
    ENG_V_BOOL,
    ENG_V_INT,
    ENG_V_BIG, /* an integer beyond 64 bits: compares, prints, does not compute */
    ENG_V_FLOAT,
    ENG_V_STR,
    ENG_V_LIST,
    ENG_V_TUPLE,
    ENG_V_DICT,
    ENG_V_VIEW, /* dict.keys(), .values(), .items() */
    ENG_V_RANGE,
    ENG_V_ITER, /* one-shot */
    ENG_V_FUNC, /* filter-like builtins, bound methods, classes */
    ENG_V_MACRO,
    ENG_V_LOOP,
    ENG_V_NAMESPACE,
    ENG_V_CYCLER,
    ENG_V_JOINER,
} EngType;

typedef struct EngRun EngRun;
typedef struct EngStr EngStr;
typedef struct EngList EngList;
typedef struct EngDict EngDict;
typedef struct EngView EngView;
typedef struct EngRange EngRange;
typedef struct EngIter EngIter;
typedef struct EngFunc EngFunc;
typedef struct EngMacro EngMacro;
typedef struct EngLoop EngLoop;
typedef struct EngUndefined EngUndefined;
typedef struct EngCycler EngCycler;
typedef struct EngJoiner EngJoiner;

typedef struct {
    EngType type;
    union {
        bool b;
        int64_t i;
        double f;
        EngStr *str;   /* STR, and the digits of BIG */
        EngList *list; /* LIST and TUPLE */
        EngDict *dict; /* DICT, and the attributes of NAMESPACE */
        EngView *view;
        EngRange *range;
        EngIter *iter;
        EngFunc *func;
        EngMacro *macro;
        EngLoop *loop;
        EngUndefined *undefined;
        EngCycler *cycler;
        EngJoiner *joiner;
        const void *object; /* identity */
    } u;
} EngValue;

/* Valid UTF-8. Two strings may share a growing buffer: appending to the one that ends where the
 * buffer's used part ends copies nothing, so building a text piece by piece is linear. */
struct EngStr {
    const char *data; /* not NUL-terminated */
    size_t n;         /* bytes */
    size_t chars;     /* code points */
    struct EngStrBuffer *buffer;
    bool markup; /* markupsafe.Markup: what is added to it is escaped */
};

struct EngList {
    EngValue *items;
    size_t n;
    bool is_group; /* groupby's tuple: .grouper and .list */
};

typedef struct {
    EngValue key, value;
    uint64_t hash;
} EngPair;

struct EngDict { /* insertion order; nothing is ever removed */
    EngPair *pairs;
    size_t n, cap;
    uint32_t *index; /* open addressing, entry + 1; NULL while small */
    size_t index_size;
};

struct EngView {
    EngDict *dict;
    enum { ENG_VIEW_KEYS, ENG_VIEW_VALUES, ENG_VIEW_ITEMS } what;
};

struct EngRange {
    int64_t start, stop, step, n;
};

struct EngUndefined {
    EngStr *hint;  /* the whole message, or NULL */
    EngValue obj;  /* whose attribute or element was missing; MISSING for a variable */
    EngValue name; /* STR for a variable or an attribute */
};

typedef struct {
    EngValue *pos;
    size_t n;
    EngPair *named; /* key: STR */
    size_t n_named;
} EngArgs;

typedef EngValue EngFn(EngRun *run, EngValue self, const EngArgs *args);

struct EngFunc {
    const char *name;
    const char *type_name; /* as Python's type(f).__name__ */
    EngFn *fn;
    EngValue self; /* of a bound method */
};

struct EngCycler {
    EngList *items;
    size_t pos;
};

struct EngJoiner {
    EngValue sep;
    bool used;
};

typedef struct { /* a text being built, in the arena */
    char *data;
    size_t n, cap;
} EngText;

struct EngEnv;
struct EngRun {
    EngArena arena;
    size_t allocated;
    jmp_buf trap;
    EngStr *message; /* what was raised */
    uint64_t steps;
    int depth;
    EngStr *chars[128]; /* one-character strings, made on demand */
    /* of a rendering: */
    EngDict *variables, *defaults, *globals, *exported;
    const void *root_scope;
    EngTime now;
    EngText *out;
};

/* ---- memory, limits, failure ---- */

void *eng_value_alloc(EngRun *run, size_t n); /* zeroed */
_Noreturn void eng_value_raise(EngRun *run, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void eng_value_raise_str(EngRun *run, EngStr *message);
void eng_value_steps(EngRun *run, uint64_t n); /* charges n steps */
void eng_value_enter(EngRun *run);             /* one level of nesting more … */
static inline void eng_value_leave(EngRun *run, int depth) { run->depth = depth; }

/* ---- making values ---- */

static inline EngValue eng_value_missing(void) { return (EngValue){.type = ENG_V_MISSING}; }
static inline EngValue eng_value_none(void) { return (EngValue){.type = ENG_V_NONE}; }
static inline EngValue eng_value_bool(bool b) { return (EngValue){ENG_V_BOOL, {.b = b}}; }
static inline EngValue eng_value_int(int64_t i) { return (EngValue){ENG_V_INT, {.i = i}}; }
static inline EngValue eng_value_float(double f) { return (EngValue){ENG_V_FLOAT, {.f = f}}; }
static inline EngValue eng_value_str(EngStr *s) { return (EngValue){ENG_V_STR, {.str = s}}; }
static inline EngValue eng_value_list(EngList *l) { return (EngValue){ENG_V_LIST, {.list = l}}; }
static inline EngValue eng_value_tuple(EngList *l) { return (EngValue){ENG_V_TUPLE, {.list = l}}; }
static inline EngValue eng_value_dict(EngDict *d) { return (EngValue){ENG_V_DICT, {.dict = d}}; }
static inline EngValue eng_value_iter(EngIter *it) { return (EngValue){ENG_V_ITER, {.iter = it}}; }

EngValue eng_value_text(EngRun *run, const char *text); /* NUL-terminated ASCII */
EngValue eng_value_undefined(EngRun *run, EngStr *name);
EngValue eng_value_undefined_hint(EngRun *run, EngStr *hint);
EngValue eng_value_no_attribute(EngRun *run, EngValue obj, EngValue name);
EngValue eng_value_pair(EngRun *run, EngValue a, EngValue b); /* a tuple of two */
EngValue eng_value_func(EngRun *run, const char *name, const char *type_name, EngFn *fn,
                        EngValue self);
EngList *eng_value_list_new(EngRun *run, size_t n); /* n items, to be filled in */

/* ---- asking ---- */

static inline bool eng_value_is_number(EngValue v)
{
    return v.type >= ENG_V_BOOL && v.type <= ENG_V_FLOAT;
}
static inline bool eng_value_is_str(EngValue v) { return v.type == ENG_V_STR; }
bool eng_value_int_like(EngValue v, int64_t *ret);   /* int or bool */
double eng_value_as_double(EngRun *run, EngValue v); /* of a number */
bool eng_value_truth(EngValue v);
const char *eng_value_type_name(EngValue v);
EngStr *eng_value_type_repr(EngRun *run, EngValue v); /* "dict object", "None" */
bool eng_value_same(EngValue a, EngValue b);          /* Python's `is` */
bool eng_value_equal(EngRun *run, EngValue a, EngValue b);
typedef enum { ENG_LT, ENG_LE, ENG_GT, ENG_GE } EngOrder;
bool eng_value_order(EngRun *run, EngOrder order, EngValue a, EngValue b);
bool eng_value_hashable(EngValue v, const char **ret_type);
uint64_t eng_value_hash(EngRun *run, EngValue v); /* raises "unhashable type" */
bool eng_value_len(EngValue v, size_t *ret_n);    /* false: has no len() */
_Noreturn void eng_value_raise_undefined(EngRun *run, EngValue undefined);
bool eng_value_contains(EngRun *run, EngValue container, EngValue item);

/* ---- dicts ---- */

EngDict *eng_dict_new(EngRun *run);
void eng_dict_set(EngRun *run, EngDict *d, EngValue key, EngValue value);
bool eng_dict_get(EngRun *run, const EngDict *d, EngValue key, EngValue *ret);
bool eng_dict_get_text(EngRun *run, const EngDict *d, const char *key, EngValue *ret);
EngDict *eng_dict_copy(EngRun *run, const EngDict *d);

/* ---- iteration ---- */

/* An iterator's step: false at the end. `state` belongs to the maker. */
typedef bool EngNext(EngRun *run, EngIter *it, EngValue *ret);
struct EngIter {
    EngNext *next;
    const char *type_name;
    EngValue source;
    size_t pos, n;
    void *state;
    const char *byte; /* position in a string */
};

EngIter *eng_iter_new(EngRun *run, const char *type_name, EngNext *next, EngValue source,
                      void *state);
/* iter(v); raises "'int' object is not iterable". An iterator is its own iterator. */
EngIter *eng_iter_of(EngRun *run, EngValue v);
bool eng_iter_possible(EngValue v);
static inline bool eng_iter_next(EngRun *run, EngIter *it, EngValue *ret)
{
    eng_value_steps(run, 1);
    return it->next(run, it, ret);
}
EngList *eng_iter_list(EngRun *run, EngValue v);     /* list(v) */
EngIter *eng_iter_reversed(EngRun *run, EngValue v); /* NULL: cannot be reversed */
EngValue eng_iter_range_item(const EngRange *r, int64_t i);

#endif
