/* What a template finds ready-made: filters, tests, methods of values, global functions.
 *
 * A builtin written in Python in the reference declares its parameters here and gets them bound;
 * argument errors then read as Python's. One that takes *args gets the raw arguments. */
#ifndef ENG_CHAT_BUILTIN_H
#define ENG_CHAT_BUILTIN_H

#include "chat/value/value.h"

#define ENG_BUILTIN_MAX_PARAMS 8

/* a[i]: the i-th parameter, MISSING when not given. args: as called. */
typedef EngValue EngBuiltinFn(EngRun *run, const EngValue *a, const EngArgs *args);

typedef struct EngFilter {
    const char *name;
    EngBuiltinFn *fn;
    const char *python; /* the reference's function, for messages */
    const char *params; /* "value default_value boolean"; NULL: raw arguments */
    int required;       /* of params */
    int hidden;         /* leading arguments that the reference's environment adds */
} EngFilter;

const EngFilter *eng_builtin_filter(const EngStr *name); /* NULL: none */
const EngFilter *eng_builtin_test(const EngStr *name);
EngValue eng_builtin_apply(EngRun *run, const EngFilter *filter, const EngArgs *args);
/* environment.call_filter, call_test: by a name that was computed. args: the input comes first. */
EngValue eng_builtin_apply_named(EngRun *run, EngValue name, bool is_filter, const EngArgs *args);

extern const EngFilter eng_builtin_text_filters[], eng_builtin_sequence_filters[],
    eng_builtin_aggregate_filters[], eng_builtin_number_filters[], eng_builtin_tests[];
#define ENG_BUILTIN_END                                                                            \
    {                                                                                              \
        NULL, NULL, NULL, NULL, 0, 0                                                               \
    }

/* A bound method or attribute of obj; MISSING: it has none of that name. */
EngValue eng_builtin_method(EngRun *run, EngValue obj, const EngStr *name);
typedef struct {
    const char *name;
    EngFn *fn;
} EngMethod;
extern const EngMethod eng_builtin_str_methods[]; /* to {NULL, NULL} */

EngDict *eng_builtin_globals(EngRun *run);
EngStr *eng_builtin_strftime(EngRun *run, EngTime now, const EngStr *format);

/* ---- shared pieces ---- */

EngValue eng_builtin_parse_int(EngRun *run, const char *digits, size_t n); /* "-12", trusted */
EngValue eng_builtin_parse_int_base(EngRun *run, const char *digits, size_t n, int base);
/* int(text, base): false where Python raises ValueError. */
bool eng_builtin_int_of_text(EngRun *run, const EngStr *s, int base, EngValue *ret);
bool eng_builtin_float_of_text(EngRun *run, const EngStr *s, double *ret);
EngValue eng_builtin_truncate(EngRun *run, double f); /* int(f) */
EngStr *eng_builtin_digits(EngRun *run, EngValue integer, int base);
EngStr *eng_builtin_ascii(EngRun *run, const EngStr *s); /* escapes what is not ASCII */
int64_t eng_builtin_index(EngRun *run, EngValue v);      /* "cannot be interpreted as an integer" */
/* Stable; compares keys with < only, in CPython's order for short lists. Sorts both lists. */
void eng_builtin_sort(EngRun *run, EngList *items, EngList *keys, bool reverse);
/* make_attrgetter: "a.b.0"; attribute NONE or MISSING: the item itself. */
EngValue eng_builtin_attribute(EngRun *run, EngValue item, EngValue attribute, EngValue fallback);
EngValue eng_builtin_ignore_case(EngRun *run, EngValue v);
static inline EngValue eng_builtin_or(EngValue v, EngValue otherwise)
{
    return v.type == ENG_V_MISSING ? otherwise : v;
}

#endif
