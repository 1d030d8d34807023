#include "chat/builtin/builtin.h"
#include "chat/eval.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static EngValue eval_name(EngRun *run, EngEnv *env, const EngNode *node)
{
    for (int i = 0; i < node->ref.hops; i++) env = env->parent;
    EngValue v = env->slots[node->ref.slot];
    return v.type == ENG_V_MISSING ? eng_value_undefined(run, node->name) : v;
}

static EngValue eval_items(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngList *list = eng_value_list_new(run, node->items.n);
    for (size_t i = 0; i < list->n; i++)
        list->items[i] = eng_eval_expr(run, env, node->items.items[i]);
    return node->kind == ENG_N_TUPLE ? eng_value_tuple(list) : eng_value_list(list);
}

static EngValue eval_dict(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngList *items = eng_value_list_new(run, node->items.n);
    for (size_t i = 0; i < items->n; i++)
        items->items[i] = eng_eval_expr(run, env, node->items.items[i]);
    EngDict *dict = eng_dict_new(run); /* an unhashable key fails after all have been computed */
    for (size_t i = 0; i < items->n; i += 2)
        eng_dict_set(run, dict, items->items[i], items->items[i + 1]);
    return eng_value_dict(dict);
}

static EngValue eval_condition(EngRun *run, EngEnv *env, const EngNode *node)
{
    if (eng_value_truth(eng_eval_expr(run, env, node->a))) return eng_eval_expr(run, env, node->b);
    if (node->c) return eng_eval_expr(run, env, node->c);
    return eng_value_undefined_hint(
        run, eng_str_printf(run,
                            "the inline if-expression on line %d evaluated to false and no else "
                            "section was defined.",
                            node->line));
}

static bool compare(EngRun *run, EngCompareOp op, EngValue a, EngValue b)
{
    switch (op) {
    case ENG_OP_EQ: return eng_value_equal(run, a, b);
    case ENG_OP_NE: return !eng_value_equal(run, a, b);
    case ENG_OP_LT: return eng_value_order(run, ENG_LT, a, b);
    case ENG_OP_LE: return eng_value_order(run, ENG_LE, a, b);
    case ENG_OP_GT: return eng_value_order(run, ENG_GT, a, b);
    case ENG_OP_GE: return eng_value_order(run, ENG_GE, a, b);
    case ENG_OP_IN: return eng_value_contains(run, b, a);
    case ENG_OP_NOT_IN: return !eng_value_contains(run, b, a);
    }
    return false;
}

static EngValue eval_compare(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngValue left = eng_eval_expr(run, env, node->a);
    for (size_t i = 0; i < node->items.n; i++) {
        EngValue right = eng_eval_expr(run, env, node->items.items[i]);
        if (!compare(run, (EngCompareOp)node->ops[i], left, right)) return eng_value_bool(false);
        left = right;
    }
    return eng_value_bool(true);
}

static EngValue eval_concat(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngList *parts = eval_items(run, env, node).u.list;
    EngStr *text = eng_repr_str(run, parts->items[0]);
    for (size_t i = 1; i < parts->n; i++)
        text = eng_str_concat(run, text, eng_repr_str(run, parts->items[i]));
    return eng_value_str(text);
}

static EngValue optional(EngRun *run, EngEnv *env, const EngNode *node)
{
    return node ? eng_eval_expr(run, env, node) : eng_value_none();
}

static EngValue eval_item(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngValue obj = eng_eval_expr(run, env, node->a);
    const EngNode *arg = node->b;
    if (arg->kind != ENG_N_SLICE) return eng_attribute_item(run, obj, eng_eval_expr(run, env, arg));
    EngValue start = optional(run, env, arg->a), stop = optional(run, env, arg->b);
    return eng_operate_slice(run, obj, start, stop, optional(run, env, arg->c));
}

static EngValue eval_call(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngValue callee = eng_eval_expr(run, env, node->a);
    EngArgs args = eng_call_args(run, env, node->call, NULL, NULL);
    return eng_call(run, callee, &args);
}

static EngValue apply_filter(EngRun *run, EngEnv *env, const EngNode *node, EngValue input)
{
    if (!node->filter) { /* inside an `if`: known to be missing, wrong only when reached */
        EngText t = {0};
        eng_text_printf(run, &t, "No %s named ", node->kind == ENG_N_FILTER ? "filter" : "test");
        eng_repr_add(run, &t, eng_value_str(node->name));
        eng_text_puts(run, &t, " found.");
        eng_value_raise_str(run, eng_text_take(run, &t));
    }
    EngArgs args = eng_call_args(run, env, node->call, &input, NULL);
    return eng_builtin_apply(run, node->filter, &args);
}

EngValue eng_eval_filter_on(EngRun *run, EngEnv *env, const EngNode *node, EngValue input)
{
    int depth = run->depth;
    eng_value_enter(run);
    if (node->a) input = eng_eval_filter_on(run, env, node->a, input);
    eng_value_leave(run, depth);
    return apply_filter(run, env, node, input);
}

static EngValue eval(EngRun *run, EngEnv *env, const EngNode *node)
{
    EngValue v;
    switch (node->kind) {
    case ENG_N_CONST: return node->value;
    case ENG_N_NAME: return eval_name(run, env, node);
    case ENG_N_TUPLE:
    case ENG_N_LIST: return eval_items(run, env, node);
    case ENG_N_DICT: return eval_dict(run, env, node);
    case ENG_N_COND: return eval_condition(run, env, node);
    case ENG_N_OR:
        v = eng_eval_expr(run, env, node->a);
        return eng_value_truth(v) ? v : eng_eval_expr(run, env, node->b);
    case ENG_N_AND:
        v = eng_eval_expr(run, env, node->a);
        return eng_value_truth(v) ? eng_eval_expr(run, env, node->b) : v;
    case ENG_N_NOT: return eng_value_bool(!eng_value_truth(eng_eval_expr(run, env, node->a)));
    case ENG_N_COMPARE: return eval_compare(run, env, node);
    case ENG_N_ADD:
    case ENG_N_SUB:
    case ENG_N_MUL:
    case ENG_N_DIV:
    case ENG_N_FLOORDIV:
    case ENG_N_MOD:
    case ENG_N_POW:
        v = eng_eval_expr(run, env, node->a);
        return eng_operate(run, node->kind, v, eng_eval_expr(run, env, node->b));
    case ENG_N_NEG:
    case ENG_N_POS: return eng_operate_unary(run, node->kind, eng_eval_expr(run, env, node->a));
    case ENG_N_CONCAT: return eval_concat(run, env, node);
    case ENG_N_GETATTR: return eng_attribute_get(run, eng_eval_expr(run, env, node->a), node->name);
    case ENG_N_GETITEM: return eval_item(run, env, node);
    case ENG_N_CALL: return eval_call(run, env, node);
    case ENG_N_FILTER:
    case ENG_N_TEST: return apply_filter(run, env, node, eng_eval_expr(run, env, node->a));
    default: eng_value_raise(run, "The template uses a slice outside of a subscript.");
    }
}

EngValue eng_eval_expr(EngRun *run, EngEnv *env, const EngNode *node)
{
    int depth = run->depth;
    eng_value_enter(run);
    EngValue v = eval(run, env, node);
    eng_value_leave(run, depth);
    return v;
}
