#include <string.h>

#include "chat/eval.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

bool eng_call_possible(EngValue v)
{
    return v.type == ENG_V_FUNC || v.type == ENG_V_MACRO || v.type == ENG_V_LOOP ||
           v.type == ENG_V_JOINER || v.type == ENG_V_UNDEFINED;
}

static EngValue call_loop(EngRun *run, EngLoop *loop, const EngArgs *args)
{
    if (args->n != 1 || args->n_named)
        eng_value_raise(run,
                        "LoopContext.__call__() takes 2 positional arguments but %zu were given",
                        args->n + 1);
    return eng_value_str(eng_eval_recurse(run, loop, args->pos[0]));
}

static EngValue call_joiner(EngRun *run, EngJoiner *joiner)
{
    if (joiner->used) return joiner->sep;
    joiner->used = true;
    return eng_value_text(run, "");
}

EngValue eng_call(EngRun *run, EngValue callee, const EngArgs *args)
{
    int depth = run->depth;
    eng_value_enter(run);
    EngValue result;
    switch (callee.type) {
    case ENG_V_UNDEFINED: eng_value_raise_undefined(run, callee);
    case ENG_V_FUNC: result = callee.u.func->fn(run, callee.u.func->self, args); break;
    case ENG_V_MACRO: result = eng_value_str(eng_eval_macro(run, callee.u.macro, args)); break;
    case ENG_V_LOOP: result = call_loop(run, callee.u.loop, args); break;
    case ENG_V_JOINER: result = call_joiner(run, callee.u.joiner); break;
    default: eng_value_raise(run, "'%s' object is not callable", eng_value_type_name(callee));
    }
    eng_value_leave(run, depth);
    return result;
}

static void add_named(EngRun *run, EngArgs *args, EngValue key, EngValue value)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (eng_str_equal(args->named[i].key.u.str, key.u.str)) {
            EngText t = {0};
            eng_text_puts(run, &t, "got multiple values for keyword argument ");
            eng_repr_add(run, &t, key);
            eng_value_raise_str(run, eng_text_take(run, &t));
        }
    args->named[args->n_named++] = (EngPair){.key = key, .value = value};
}

static EngList *star_args(EngRun *run, EngEnv *env, const EngNode *star)
{
    EngValue v = eng_eval_expr(run, env, star);
    if (!eng_iter_possible(v))
        eng_value_raise(run, "Value after * must be an iterable, not %s", eng_value_type_name(v));
    return eng_iter_list(run, v);
}

static EngDict *star_star_args(EngRun *run, EngEnv *env, const EngNode *star_star)
{
    EngValue v = eng_eval_expr(run, env, star_star);
    if (v.type != ENG_V_DICT)
        eng_value_raise(run, "argument after ** must be a mapping, not %s", eng_value_type_name(v));
    return v.u.dict;
}

EngArgs eng_call_args(EngRun *run, EngEnv *env, const EngCallArgs *call, EngValue *first,
                      EngValue *caller)
{
    EngArgs args = {.n = (first ? 1 : 0) + call->args.n};
    args.pos = eng_value_alloc(run, (args.n + 1) * sizeof *args.pos);
    if (first) args.pos[0] = *first;
    for (size_t i = 0; i < call->args.n; i++)
        args.pos[args.n - call->args.n + i] = eng_eval_expr(run, env, call->args.items[i]);
    EngValue *named = eng_value_alloc(run, (call->named.n + 1) * sizeof *named);
    for (size_t i = 0; i < call->named.n; i++)
        named[i] = eng_eval_expr(run, env, call->named.items[i]);
    if (call->star) {
        EngList *star = star_args(run, env, call->star);
        EngValue *pos = eng_value_alloc(run, (args.n + star->n + 1) * sizeof *pos);
        if (args.n) memcpy(pos, args.pos, args.n * sizeof *pos);
        if (star->n) memcpy(pos + args.n, star->items, star->n * sizeof *pos);
        args.pos = pos;
        args.n += star->n;
    }
    EngDict *more = call->star_star ? star_star_args(run, env, call->star_star) : NULL;
    args.named =
        eng_value_alloc(run, (call->named.n + (more ? more->n : 0) + 1) * sizeof *args.named);
    for (size_t i = 0; i < call->named.n; i++)
        add_named(run, &args, eng_value_str(call->keys[i]), named[i]);
    if (caller) add_named(run, &args, eng_value_text(run, "caller"), *caller);
    for (size_t i = 0; more && i < more->n; i++) {
        if (more->pairs[i].key.type != ENG_V_STR) eng_value_raise(run, "keywords must be strings");
        add_named(run, &args, more->pairs[i].key, more->pairs[i].value);
    }
    return args;
}
