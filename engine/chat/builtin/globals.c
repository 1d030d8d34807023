/* Global functions: jinja2's, and the two that chat templates are given. */
#include <string.h>

#include "base/num.h"
#include "chat/builtin/builtin.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

#define MAX_RANGE 100000

static int64_t range_length(int64_t start, int64_t stop, int64_t step)
{
    if (step > 0 ? start >= stop : start <= stop) return 0;
    uint64_t span = step > 0 ? (uint64_t)stop - (uint64_t)start : (uint64_t)start - (uint64_t)stop;
    uint64_t by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    uint64_t n = (span - 1) / by + 1;
    return n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static EngValue global_range(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)self;
    int64_t part[3] = {0, 0, 1};
    if (args->n_named) eng_value_raise(run, "safe_range() got an unexpected keyword argument");
    if (args->n == 0) eng_value_raise(run, "range expected at least 1 argument, got 0");
    if (args->n > 3) eng_value_raise(run, "range expected at most 3 arguments, got %zu", args->n);
    for (size_t i = 0; i < args->n; i++)
        part[args->n == 1 ? 1 : i] = eng_builtin_index(run, args->pos[i]);
    if (part[2] == 0) eng_value_raise(run, "range() arg 3 must not be zero");
    EngRange *r = eng_value_alloc(run, sizeof *r);
    *r = (EngRange){part[0], part[1], part[2], range_length(part[0], part[1], part[2])};
    if (r->n > MAX_RANGE)
        eng_value_raise(run, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d).",
                        MAX_RANGE);
    return (EngValue){ENG_V_RANGE, {.range = r}};
}

static void add_sequence(EngRun *run, EngDict *dict, EngValue v)
{
    EngIter *it = eng_iter_of(run, v);
    EngValue item;
    for (size_t i = 0; eng_iter_next(run, it, &item); i++) {
        if (!eng_iter_possible(item))
            eng_value_raise(
                run, "cannot convert dictionary update sequence element #%zu to a sequence", i);
        EngList *pair = eng_iter_list(run, item);
        if (pair->n != 2)
            eng_value_raise(run,
                            "dictionary update sequence element #%zu has length %zu; 2 is required",
                            i, pair->n);
        eng_dict_set(run, dict, pair->items[0], pair->items[1]);
    }
}

static EngDict *dict_of(EngRun *run, const EngArgs *args)
{
    EngDict *dict = eng_dict_new(run);
    if (args->n > 1) eng_value_raise(run, "dict expected at most 1 argument, got %zu", args->n);
    if (args->n == 1 && args->pos[0].type == ENG_V_UNDEFINED)
        eng_value_raise_undefined(run, args->pos[0]);
    if (args->n == 1 && args->pos[0].type == ENG_V_DICT)
        dict = eng_dict_copy(run, args->pos[0].u.dict);
    else if (args->n == 1)
        add_sequence(run, dict, args->pos[0]);
    for (size_t i = 0; i < args->n_named; i++)
        eng_dict_set(run, dict, args->named[i].key, args->named[i].value);
    return dict;
}

static EngValue global_dict(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)self;
    return eng_value_dict(dict_of(run, args));
}

static EngValue global_namespace(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)self;
    return (EngValue){ENG_V_NAMESPACE, {.dict = dict_of(run, args)}};
}

static EngValue global_cycler(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)self;
    if (args->n == 0) eng_value_raise(run, "at least one item has to be provided");
    EngCycler *c = eng_value_alloc(run, sizeof *c);
    c->items = eng_value_list_new(run, args->n);
    memcpy(c->items->items, args->pos, args->n * sizeof *args->pos);
    return (EngValue){ENG_V_CYCLER, {.cycler = c}};
}

static EngValue global_joiner(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)self;
    EngJoiner *j = eng_value_alloc(run, sizeof *j);
    j->sep = args->n         ? args->pos[0]
             : args->n_named ? args->named[0].value
                             : eng_value_text(run, ", ");
    return (EngValue){ENG_V_JOINER, {.joiner = j}};
}

static EngValue one_of(EngRun *run, const char *function, const char *param, const EngArgs *args)
{
    static const char *const none = "missing 1 required positional argument: '";
    if (args->n == 1 && args->n_named == 0) return args->pos[0];
    if (args->n == 0 && args->n_named == 1 && eng_str_is_text(args->named[0].key.u.str, param))
        return args->named[0].value;
    if (args->n_named) {
        EngText t = {0};
        eng_text_printf(run, &t, "env.<locals>.%s() got an unexpected keyword argument ", function);
        eng_repr_add(run, &t, args->named[0].key);
        eng_value_raise_str(run, eng_text_take(run, &t));
    }
    if (args->n == 0) eng_value_raise(run, "env.<locals>.%s() %s%s'", function, none, param);
    eng_value_raise(run, "env.<locals>.%s() takes 1 positional argument but %zu were given",
                    function, args->n);
}

static EngValue global_raise(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)self;
    eng_value_raise_str(run, eng_repr_str(run, one_of(run, "raise_exception", "m", args)));
}

static EngValue global_strftime(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)self;
    EngValue v = one_of(run, "<lambda>", "f", args);
    if (v.type != ENG_V_STR)
        eng_value_raise(run, "strftime() argument 1 must be str, not %s", eng_value_type_name(v));
    return eng_value_str(eng_builtin_strftime(run, run->now, v.u.str));
}

static EngValue global_lipsum(EngRun *run, EngValue self, const EngArgs *args)
{
    (void)self, (void)args;
    eng_value_raise(run, "The template asks for random text (lipsum), which chats do not support.");
}

EngDict *eng_builtin_globals(EngRun *run)
{
    static const struct {
        const char *name, *python, *type;
        EngFn *fn;
    } functions[] = {
        {"range", "safe_range", "function", global_range},
        {"dict", "dict", "type", global_dict},
        {"namespace", "jinja2.utils.Namespace", "type", global_namespace},
        {"cycler", "jinja2.utils.Cycler", "type", global_cycler},
        {"joiner", "jinja2.utils.Joiner", "type", global_joiner},
        {"lipsum", "generate_lorem_ipsum", "function", global_lipsum},
        {"raise_exception", "env.<locals>.raise_exception", "function", global_raise},
        {"strftime_now", "env.<locals>.<lambda>", "function", global_strftime},
    };
    EngDict *globals = eng_dict_new(run);
    for (size_t i = 0; i < ENG_LEN(functions); i++)
        eng_dict_set(run, globals, eng_value_text(run, functions[i].name),
                     eng_value_func(run, functions[i].python, functions[i].type, functions[i].fn,
                                    eng_value_none()));
    return globals;
}
