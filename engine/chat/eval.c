#include "chat/eval.h"

#include <string.h>

#include "chat/value/repr.h"
#include "chat/value/str.h"

typedef enum { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE } Flow;

static Flow exec(EngRun *run, EngEnv *env, const EngNode *node);

static Flow exec_all(EngRun *run, EngEnv *env, const EngNodes *body)
{
    for (size_t i = 0; i < body->n; i++) {
        Flow flow = exec(run, env, body->items[i]);
        if (flow != FLOW_ON) return flow;
    }
    return FLOW_ON;
}

/* ---- scopes ---- */

static EngEnv *env_new(EngRun *run, EngEnv *parent, const EngScope *scope)
{
    EngEnv *env = eng_value_alloc(run, sizeof *env + scope->n * sizeof env->slots[0]);
    env->parent = parent;
    env->scope = scope;
    return env;
}

static EngValue *slot(EngEnv *env, EngRef ref)
{
    for (int i = 0; i < ref.hops; i++) env = env->parent;
    return &env->slots[ref.slot];
}

static EngValue lookup(EngRun *run, EngStr *name)
{
    EngValue v, key = eng_value_str(name);
    const EngDict *places[] = {run->exported, run->variables, run->defaults, run->globals};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (places[i] && eng_dict_get(run, places[i], key, &v)) return v;
    return eng_value_missing();
}

/* What the reference does on entry: every slot gets its starting value. */
static void enter_scope(EngRun *run, EngEnv *env)
{
    eng_value_steps(run, env->scope->n);
    for (size_t i = 0; i < env->scope->n; i++) {
        const EngSymbol *symbol = &env->scope->symbols[i];
        switch (symbol->load) {
        case ENG_LOAD_NOTHING: env->slots[i] = eng_value_missing(); break;
        case ENG_LOAD_PARAM: break;
        case ENG_LOAD_RESOLVE: env->slots[i] = lookup(run, symbol->name); break;
        case ENG_LOAD_ALIAS: env->slots[i] = *slot(env, symbol->alias); break;
        }
    }
}

static EngEnv *enter_new(EngRun *run, EngEnv *parent, const EngScope *scope)
{
    EngEnv *env = env_new(run, parent, scope);
    enter_scope(run, env);
    return env;
}

/* Runs a body into a text of its own. */
static Flow capture(EngRun *run, EngEnv *env, const EngNodes *body, EngStr **ret)
{
    EngText text = {0}, *outer = run->out;
    run->out = &text;
    Flow flow = exec_all(run, env, body);
    run->out = outer;
    *ret = eng_text_take(run, &text);
    return flow;
}

/* ---- assignment ---- */

static void export(EngRun *run, EngEnv *env, EngStr *name, EngValue value)
{
    if (run->exported && !env->parent && env->scope == run->root_scope)
        eng_dict_set(run, run->exported, eng_value_str(name), value);
}

static void unpack(EngRun *run, EngEnv *env, const EngNodes *targets, EngValue value)
{
    if (!eng_iter_possible(value))
        eng_value_raise(run, "cannot unpack non-iterable %s object", eng_value_type_name(value));
    EngIter *it = eng_iter_of(run, value);
    EngList *values = eng_value_list_new(run, targets->n);
    EngValue extra;
    for (size_t i = 0; i < targets->n; i++)
        if (!eng_iter_next(run, it, &values->items[i]))
            eng_value_raise(run, "not enough values to unpack (expected %zu, got %zu)", targets->n,
                            i);
    if (eng_iter_next(run, it, &extra))
        eng_value_raise(run, "too many values to unpack (expected %zu)", targets->n);
    for (size_t i = 0; i < targets->n; i++)
        eng_eval_assign(run, env, targets->items[i], values->items[i]);
}

void eng_eval_assign(EngRun *run, EngEnv *env, const EngNode *target, EngValue value)
{
    if (target->kind == ENG_N_TUPLE) {
        unpack(run, env, &target->items, value);
        return;
    }
    EngValue *to = slot(env, target->ref);
    if (target->kind == ENG_N_NSREF) {
        eng_dict_set(run, to->u.dict, target->value, value);
        return;
    }
    *to = value;
    if (target->ref.hops == 0) export(run, env, target->name, value);
}

/* obj.attr as a target is for namespaces only; checked before the value is computed. */
static void check_namespaces(EngRun *run, EngEnv *env, const EngNode *target)
{
    if (target->kind == ENG_N_NSREF && slot(env, target->ref)->type != ENG_V_NAMESPACE)
        eng_value_raise(run, "cannot assign attribute on non-namespace object");
    for (size_t i = 0; target->kind == ENG_N_TUPLE && i < target->items.n; i++)
        check_namespaces(run, env, target->items.items[i]);
}

static Flow exec_set(EngRun *run, EngEnv *env, const EngNode *node)
{
    if (node->kind == ENG_N_SET) {
        check_namespaces(run, env, node->a);
        eng_eval_assign(run, env, node->a, eng_eval_expr(run, env, node->b));
        return FLOW_ON;
    }
    EngStr *text;
    EngEnv *inner = enter_new(run, env, node->scope);
    Flow flow = capture(run, inner, &node->body, &text);
    if (flow != FLOW_ON) return flow;
    EngValue value = eng_value_str(text);
    if (node->b) value = eng_eval_filter_on(run, inner, node->b, value);
    if (node->a->kind == ENG_N_NSREF && slot(env, node->a->ref)->type != ENG_V_NAMESPACE)
        eng_value_raise(run, "'%s' object does not support item assignment",
                        eng_value_type_name(*slot(env, node->a->ref)));
    eng_eval_assign(run, env, node->a, value);
    return FLOW_ON;
}

/* ---- loops ---- */

bool eng_eval_loop_next(EngRun *run, EngLoop *loop, EngValue *ret)
{
    if (loop->after.type != ENG_V_MISSING) {
        *ret = loop->after;
        loop->after = eng_value_missing();
    } else if (!eng_iter_next(run, loop->iter, ret)) {
        return false;
    }
    loop->index0++;
    loop->before = loop->current;
    loop->current = *ret;
    return true;
}

bool eng_eval_loop_peek(EngRun *run, EngLoop *loop, EngValue *ret)
{
    if (loop->after.type == ENG_V_MISSING && !eng_iter_next(run, loop->iter, &loop->after)) {
        loop->after = eng_value_missing();
        return false;
    }
    *ret = loop->after;
    return true;
}

int64_t eng_eval_loop_length(EngRun *run, EngLoop *loop)
{
    size_t n;
    if (loop->length >= 0) return loop->length;
    if (eng_value_len(loop->iterable, &n)) return loop->length = (int64_t)n;
    EngValue rest = eng_value_list(eng_iter_list(run, eng_value_iter(loop->iter)));
    loop->iter = eng_iter_of(run, rest);
    loop->length = (int64_t)rest.u.list->n + loop->index0 + 1 + (loop->after.type != ENG_V_MISSING);
    return loop->length;
}

static bool next_of_loop(EngRun *run, EngIter *it, EngValue *ret)
{
    EngValue item;
    if (!eng_eval_loop_next(run, it->source.u.loop, &item)) return false;
    *ret = eng_value_pair(run, item, it->source);
    return true;
}

EngIter *eng_eval_loop_iter(EngRun *run, EngLoop *loop)
{
    return eng_iter_new(run, "LoopContext", next_of_loop, (EngValue){ENG_V_LOOP, {.loop = loop}},
                        NULL);
}

void eng_eval_loop_repr(EngRun *run, EngText *t, EngLoop *loop)
{
    eng_text_printf(run, t, "<LoopContext %lld/%lld>", (long long)loop->index0 + 1,
                    (long long)eng_eval_loop_length(run, loop));
}

typedef struct { /* the `if` of a for-loop */
    const EngNode *node;
    EngEnv *env;
    EngIter *source;
} LoopTest;

/* The reference yields the targets' values, so a tuple target makes tuples of any items. */
static EngValue target_value(EngRun *run, EngEnv *env, const EngNode *target)
{
    if (target->kind != ENG_N_TUPLE) return *slot(env, target->ref);
    EngList *list = eng_value_list_new(run, target->items.n);
    for (size_t i = 0; i < list->n; i++)
        list->items[i] = target_value(run, env, target->items.items[i]);
    return eng_value_tuple(list);
}

static bool next_passing(EngRun *run, EngIter *it, EngValue *ret)
{
    LoopTest *test = it->state;
    EngValue item;
    if (!test->source) test->source = eng_iter_of(run, it->source);
    while (eng_iter_next(run, test->source, &item)) {
        eng_eval_assign(run, test->env, test->node->a, item);
        if (!eng_value_truth(eng_eval_expr(run, test->env, test->node->c))) continue;
        *ret = target_value(run, test->env, test->node->a);
        return true;
    }
    return false;
}

static EngValue with_test(EngRun *run, EngEnv *env, const EngNode *node, EngValue iterable)
{
    LoopTest *test = eng_value_alloc(run, sizeof *test);
    *test = (LoopTest){.node = node, .env = enter_new(run, env, node->test_scope)};
    return eng_value_iter(eng_iter_new(run, "generator", next_passing, iterable, test));
}

static Flow run_loop(EngRun *run, EngEnv *env, const EngNode *node, EngValue iterable,
                     int64_t depth0)
{
    if (node->c) iterable = with_test(run, env, node, iterable);
    EngLoop *loop = eng_value_alloc(run, sizeof *loop);
    *loop = (EngLoop){.iterable = iterable,
                      .iter = eng_iter_of(run, iterable),
                      .index0 = -1,
                      .depth0 = depth0,
                      .length = -1,
                      .node = node->flag ? node : NULL,
                      .env = env};
    EngEnv *inner = env_new(run, env, node->scope);
    bool completed = false;
    EngValue item;
    while (eng_eval_loop_next(run, loop, &item)) {
        eng_eval_assign(run, inner, node->a, item);
        if (node->uses_loop) inner->slots[node->loop_slot] = (EngValue){ENG_V_LOOP, {.loop = loop}};
        enter_scope(run, inner);
        Flow flow = exec_all(run, inner, &node->body);
        if (flow == FLOW_BREAK) break;
        if (flow == FLOW_ON) completed = true; /* a body left by `continue` does not count */
    }
    if (completed || node->orelse.n == 0) return FLOW_ON;
    return exec_all(run, enter_new(run, env, node->else_scope), &node->orelse);
}

EngStr *eng_eval_recurse(EngRun *run, EngLoop *loop, EngValue iterable)
{
    if (!loop->node)
        eng_value_raise(run, "The loop must have the 'recursive' marker to be called recursively.");
    int depth = run->depth;
    eng_value_enter(run);
    EngText text = {0}, *outer = run->out;
    run->out = &text;
    run_loop(run, loop->env, loop->node, iterable, loop->depth0 + 1);
    run->out = outer;
    eng_value_leave(run, depth);
    return eng_text_take(run, &text);
}

/* ---- macros ---- */

void eng_eval_macro_name(EngRun *run, EngText *t, const EngMacro *macro)
{
    if (macro->node->kind == ENG_N_MACRO)
        eng_repr_add(run, t, eng_value_str(macro->node->name));
    else
        eng_text_puts(run, t, "None");
}

static EngValue take_named(EngArgs *args, const EngStr *name)
{
    for (size_t i = 0; i < args->n_named; i++) {
        if (!eng_str_equal(args->named[i].key.u.str, name)) continue;
        EngValue v = args->named[i].value;
        memmove(&args->named[i], &args->named[i + 1], (args->n_named - i - 1) * sizeof(EngPair));
        args->n_named--;
        return v;
    }
    return eng_value_missing();
}

static EngArgs copy_args(EngRun *run, const EngArgs *args)
{
    EngArgs copy = *args;
    copy.named = eng_value_alloc(run, (args->n_named + 1) * sizeof *copy.named);
    if (args->n_named) memcpy(copy.named, args->named, args->n_named * sizeof *copy.named);
    return copy;
}

static void refuse_named(EngRun *run, const EngMacro *macro, EngArgs *args)
{
    EngText t = {0};
    eng_text_puts(run, &t, "macro ");
    eng_eval_macro_name(run, &t, macro);
    EngStr caller = {.data = "caller", .n = 6, .chars = 6};
    EngValue first = args->named[0].key;
    if (take_named(args, &caller).type != ENG_V_MISSING) {
        eng_text_puts(run, &t,
                      " was invoked with two values for the special caller argument. "
                      "This is most likely a bug.");
    } else {
        eng_text_puts(run, &t, " takes no keyword argument ");
        eng_repr_add(run, &t, first);
    }
    eng_value_raise_str(run, eng_text_take(run, &t));
}

static void bind_special(EngRun *run, EngMacro *macro, EngEnv *env, EngArgs *args,
                         bool found_caller)
{
    const EngSignature *s = macro->node->signature;
    size_t n = s->args.n;
    if (s->caller >= 0 && !found_caller) {
        EngValue caller = take_named(args, eng_str_text(run, "caller"));
        if (caller.type == ENG_V_MISSING || caller.type == ENG_V_NONE)
            caller = eng_value_undefined_hint(run, eng_str_text(run, "No caller defined"));
        env->slots[s->caller] = caller;
    }
    if (s->kwargs >= 0) {
        EngDict *kwargs = eng_dict_new(run);
        for (size_t i = 0; i < args->n_named; i++)
            eng_dict_set(run, kwargs, args->named[i].key, args->named[i].value);
        env->slots[s->kwargs] = eng_value_dict(kwargs);
    } else if (args->n_named > 0) {
        refuse_named(run, macro, args);
    }
    if (s->varargs >= 0) {
        EngList *rest = eng_value_list_new(run, args->n > n ? args->n - n : 0);
        for (size_t i = 0; i < rest->n; i++) rest->items[i] = args->pos[n + i];
        env->slots[s->varargs] = eng_value_tuple(rest);
    } else if (args->n > n) {
        EngText t = {0};
        eng_text_puts(run, &t, "macro ");
        eng_eval_macro_name(run, &t, macro);
        eng_text_printf(run, &t, " takes not more than %zu argument(s)", n);
        eng_value_raise_str(run, eng_text_take(run, &t));
    }
}

static void bind_defaults(EngRun *run, EngMacro *macro, EngEnv *env)
{
    const EngSignature *s = macro->node->signature;
    for (size_t i = 0; i < s->args.n; i++) {
        EngValue *to = &env->slots[s->slots[i]];
        EngStr *name = s->args.items[i]->name;
        if (to->type != ENG_V_MISSING) continue;
        if (i + s->defaults.n >= s->args.n) {
            *to = eng_eval_expr(run, env, s->defaults.items[i + s->defaults.n - s->args.n]);
            continue;
        }
        EngText t = {0};
        eng_text_puts(run, &t, "parameter ");
        eng_repr_add(run, &t, eng_value_str(name));
        eng_text_puts(run, &t, " was not provided");
        *to = eng_value_undefined_hint(run, eng_text_take(run, &t));
    }
}

EngStr *eng_eval_macro(EngRun *run, EngMacro *macro, const EngArgs *given)
{
    const EngSignature *s = macro->node->signature;
    int depth = run->depth;
    eng_value_enter(run);
    EngEnv *env = env_new(run, macro->env, macro->node->scope);
    EngArgs args = copy_args(run, given);
    bool found_caller = args.n >= s->args.n && s->explicit_caller;
    for (size_t i = 0; i < s->args.n; i++) {
        EngStr *name = s->args.items[i]->name;
        env->slots[s->slots[i]] = i < args.n ? args.pos[i] : take_named(&args, name);
        if (i >= args.n && eng_str_is_text(name, "caller")) found_caller = true;
    }
    bind_special(run, macro, env, &args, found_caller);
    enter_scope(run, env);
    bind_defaults(run, macro, env);
    EngStr *text;
    capture(run, env, &macro->node->body, &text);
    eng_value_leave(run, depth);
    return text;
}

static EngValue macro_new(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngMacro *macro = eng_value_alloc(run, sizeof *macro);
    *macro = (EngMacro){.node = node, .env = env};
    return (EngValue){ENG_V_MACRO, {.macro = macro}};
}

static void exec_call_block(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngValue caller = macro_new(run, env, node);
    EngValue callee = eng_eval_expr(run, env, node->a->a);
    EngArgs args = eng_call_args(run, env, node->a->call, NULL, &caller);
    eng_repr_add_str(run, run->out, eng_call(run, callee, &args));
}

/* ---- the rest ---- */

static Flow exec_if(EngRun *run, EngEnv *env, const EngNode *node)
{
    if (eng_value_truth(eng_eval_expr(run, env, node->a))) return exec_all(run, env, &node->body);
    for (size_t i = 0; i < node->items.n; i++) {
        const EngNode *branch = node->items.items[i];
        if (eng_value_truth(eng_eval_expr(run, env, branch->a)))
            return exec_all(run, env, &branch->body);
    }
    return exec_all(run, env, &node->orelse);
}

static void exec_output(EngRun *run, EngEnv *env, const EngNode *node)
{
    for (size_t i = 0; i < node->items.n; i++) {
        EngValue v = eng_eval_expr(run, env, node->items.items[i]);
        eng_repr_add_str(run, run->out, v);
    }
}

static Flow exec_with(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngEnv *inner = enter_new(run, env, node->scope);
    for (size_t i = 0; i < node->items.n; i += 2)
        eng_eval_assign(run, inner, node->items.items[i],
                        eng_eval_expr(run, env, node->items.items[i + 1]));
    return exec_all(run, inner, &node->body);
}

static Flow exec_filter_block(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngStr *text;
    EngEnv *inner = enter_new(run, env, node->scope);
    Flow flow = capture(run, inner, &node->body, &text);
    if (flow != FLOW_ON) return flow;
    eng_repr_add_str(run, run->out, eng_eval_filter_on(run, inner, node->a, eng_value_str(text)));
    return FLOW_ON;
}

static Flow exec_scope(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngEnv *inner = enter_new(run, env, node->scope);
    if (node->a && eng_value_truth(eng_eval_expr(run, inner, node->a)))
        eng_value_raise(run,
                        "The template asks for automatic HTML escaping, which chats do not use.");
    return exec_all(run, inner, &node->body);
}

static Flow exec(EngRun *run, EngEnv *env, const EngNode *node)
{
    int depth = run->depth;
    Flow flow = FLOW_ON;
    eng_value_enter(run);
    switch (node->kind) {
    case ENG_N_OUTPUT: exec_output(run, env, node); break;
    case ENG_N_FOR: flow = run_loop(run, env, node, eng_eval_expr(run, env, node->b), 0); break;
    case ENG_N_IF: flow = exec_if(run, env, node); break;
    case ENG_N_MACRO: eng_eval_assign(run, env, node->a, macro_new(run, env, node)); break;
    case ENG_N_CALL_BLOCK: exec_call_block(run, env, node); break;
    case ENG_N_FILTER_BLOCK: flow = exec_filter_block(run, env, node); break;
    case ENG_N_WITH: flow = exec_with(run, env, node); break;
    case ENG_N_SET:
    case ENG_N_SET_BLOCK: flow = exec_set(run, env, node); break;
    case ENG_N_BLOCK:
        exec_all(run, enter_new(run, node->flag ? env : NULL, node->scope), &node->body);
        break;
    case ENG_N_SCOPE: flow = exec_scope(run, env, node); break;
    case ENG_N_LOAD:
        eng_eval_expr(run, env, node->a);
        eng_value_raise(run, "no loader for this environment specified");
    case ENG_N_BREAK: flow = FLOW_BREAK; break;
    case ENG_N_CONTINUE: flow = FLOW_CONTINUE; break;
    default: break; /* expressions are not statements */
    }
    eng_value_leave(run, depth);
    return flow;
}

void eng_eval_template(EngRun *run, const EngTree *tree)
{
    if (tree->blocks.n > 0) run->exported = eng_dict_new(run);
    run->root_scope = tree->scope;
    exec_all(run, enter_new(run, NULL, tree->scope), &tree->body);
}
