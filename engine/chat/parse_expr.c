#include <string.h>

#include "base/num.h"
#include "chat/parse.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static EngNode *parse_unary(EngParser *p, bool with_filter);
static EngNode *parse_primary(EngParser *p, bool with_namespace);
static EngNode *parse_postfix(EngParser *p, EngNode *node);

static EngNode *node2(EngParser *p, EngNodeKind kind, int line, EngNode *a, EngNode *b)
{
    EngNode *node = eng_parse_node(p, kind, line);
    node->a = a;
    node->b = b;
    eng_parse_grow(p, node);
    return node;
}

static EngNode *constant(EngParser *p, EngValue value, int line)
{
    EngNode *node = eng_parse_node(p, ENG_N_CONST, line);
    node->value = value;
    return node;
}

static EngNode *with_items(EngParser *p, EngNodeKind kind, int line, EngNodeList list)
{
    EngNode *node = eng_parse_node(p, kind, line);
    node->items = list.nodes;
    eng_parse_grow(p, node);
    return node;
}

/* ---- operators, loosest first ---- */

static const struct {
    EngTokenKind token;
    EngNodeKind node;
    int level;
} binary[] = {
    {ENG_T_ADD, ENG_N_ADD, 0}, {ENG_T_SUB, ENG_N_SUB, 0},           {ENG_T_MUL, ENG_N_MUL, 2},
    {ENG_T_DIV, ENG_N_DIV, 2}, {ENG_T_FLOORDIV, ENG_N_FLOORDIV, 2}, {ENG_T_MOD, ENG_N_MOD, 2},
    {ENG_T_POW, ENG_N_POW, 3},
};

/* Levels: 0 + -, 1 ~, 2 * / // %, 3 ** (from the left, unlike Python's). */
static EngNode *parse_math(EngParser *p, int level)
{
    if (level > 3) return parse_unary(p, true);
    int line = p->current.line;
    EngNode *left = parse_math(p, level + 1);
    if (level == 1) {
        if (p->current.kind != ENG_T_TILDE) return left;
        EngNodeList list = {0};
        eng_parse_add(p, &list, left);
        while (eng_parse_skip(p, ENG_T_TILDE)) eng_parse_add(p, &list, parse_math(p, level + 1));
        return with_items(p, ENG_N_CONCAT, line, list);
    }
    for (;;) {
        size_t i = 0;
        while (i < ENG_LEN(binary) &&
               (binary[i].level != level || binary[i].token != p->current.kind))
            i++;
        if (i == ENG_LEN(binary)) return left;
        eng_parse_next(p);
        left = node2(p, binary[i].node, line, left, parse_math(p, level + 1));
        line = p->current.line;
    }
}

static bool compare_operator(EngParser *p, EngCompareOp *ret)
{
    static const struct {
        EngTokenKind token;
        EngCompareOp op;
    } ops[] = {{ENG_T_EQ, ENG_OP_EQ},   {ENG_T_NE, ENG_OP_NE}, {ENG_T_LT, ENG_OP_LT},
               {ENG_T_LTEQ, ENG_OP_LE}, {ENG_T_GT, ENG_OP_GT}, {ENG_T_GTEQ, ENG_OP_GE}};
    for (size_t i = 0; i < ENG_LEN(ops); i++)
        if (eng_parse_skip(p, ops[i].token)) return *ret = ops[i].op, true;
    if (eng_parse_skip_name(p, "in")) return *ret = ENG_OP_IN, true;
    if (!eng_parse_is_name(p, "not")) return false;
    EngToken ahead = eng_parse_look(p);
    if (ahead.kind != ENG_T_NAME || !eng_str_is_text(ahead.value.u.str, "in")) return false;
    eng_parse_next(p);
    eng_parse_next(p);
    return *ret = ENG_OP_NOT_IN, true;
}

static EngNode *parse_compare(EngParser *p)
{
    int line = p->current.line;
    EngNode *first = parse_math(p, 0);
    EngNodeList list = {0};
    EngCompareOp op;
    unsigned char *ops = NULL;
    for (size_t n = 0; compare_operator(p, &op); n++) {
        unsigned char *more = eng_value_alloc(p->run, n + 1);
        if (n) memcpy(more, ops, n);
        ops = more;
        ops[n] = (unsigned char)op;
        eng_parse_add(p, &list, parse_math(p, 0));
    }
    if (!ops) return first;
    EngNode *node = eng_parse_node(p, ENG_N_COMPARE, line);
    node->a = first;
    node->items = list.nodes;
    node->ops = ops;
    eng_parse_grow(p, node);
    return node;
}

static EngNode *parse_not(EngParser *p)
{
    if (!eng_parse_is_name(p, "not")) return parse_compare(p);
    int line = eng_parse_next(p).line, nesting = p->nesting;
    eng_parse_nest(p);
    EngNode *node = node2(p, ENG_N_NOT, line, parse_not(p), NULL);
    p->nesting = nesting;
    return node;
}

static EngNode *parse_and(EngParser *p)
{
    int line = p->current.line;
    EngNode *left = parse_not(p);
    while (eng_parse_skip_name(p, "and")) {
        left = node2(p, ENG_N_AND, line, left, parse_not(p));
        line = p->current.line;
    }
    return left;
}

static EngNode *parse_or(EngParser *p)
{
    int line = p->current.line;
    EngNode *left = parse_and(p);
    while (eng_parse_skip_name(p, "or")) {
        left = node2(p, ENG_N_OR, line, left, parse_and(p));
        line = p->current.line;
    }
    return left;
}

EngNode *eng_parse_expression(EngParser *p, bool with_condition)
{
    int nesting = p->nesting, line = p->current.line;
    eng_parse_nest(p);
    EngNode *expr = parse_or(p);
    while (with_condition && eng_parse_skip_name(p, "if")) {
        EngNode *cond = eng_parse_node(p, ENG_N_COND, line);
        cond->b = expr;
        cond->a = parse_or(p);
        if (eng_parse_skip_name(p, "else")) cond->c = eng_parse_expression(p, true);
        eng_parse_grow(p, cond);
        expr = cond;
        line = p->current.line;
    }
    p->nesting = nesting;
    return expr;
}

/* ---- calls, filters, tests ---- */

static void add_key(EngParser *p, EngCallArgs *call, EngStr *key)
{
    EngStr **keys = eng_value_alloc(p->run, (call->named.n + 1) * sizeof *keys);
    if (call->named.n) memcpy(keys, call->keys, call->named.n * sizeof *keys);
    keys[call->named.n] = key;
    call->keys = keys;
}

static void parse_argument(EngParser *p, EngCallArgs *call, EngNodeList *args, EngNodeList *named)
{
    bool valid = true;
    if (p->current.kind == ENG_T_MUL) {
        valid = !call->star && !call->star_star;
    } else if (p->current.kind == ENG_T_POW) {
        valid = !call->star_star;
    } else if (p->current.kind == ENG_T_NAME && eng_parse_look(p).kind == ENG_T_ASSIGN) {
        if (call->star_star)
            valid = false;
        else {
            EngStr *key = eng_parse_next(p).value.u.str;
            eng_parse_next(p);
            EngNode *value = eng_parse_expression(p, true);
            call->named = named->nodes;
            add_key(p, call, key);
            eng_parse_add(p, named, value);
            call->named = named->nodes;
            return;
        }
    } else {
        valid = !call->star && !call->star_star && named->nodes.n == 0;
        if (valid) {
            eng_parse_add(p, args, eng_parse_expression(p, true));
            return;
        }
    }
    if (!valid) eng_value_raise(p->run, "invalid syntax for function call expression");
    EngNode **star = eng_parse_next(p).kind == ENG_T_MUL ? &call->star : &call->star_star;
    *star = eng_parse_expression(p, true);
}

static EngCallArgs *parse_call_args(EngParser *p)
{
    EngCallArgs *call = eng_value_alloc(p->run, sizeof *call);
    EngNodeList args = {0}, named = {0};
    eng_parse_expect(p, ENG_T_LPAREN);
    for (bool first = true; p->current.kind != ENG_T_RPAREN; first = false) {
        if (!first) {
            eng_parse_expect(p, ENG_T_COMMA);
            if (p->current.kind == ENG_T_RPAREN) break;
        }
        parse_argument(p, call, &args, &named);
    }
    eng_parse_expect(p, ENG_T_RPAREN);
    call->args = args.nodes;
    call->named = named.nodes;
    return call;
}

static EngNode *parse_call(EngParser *p, EngNode *callee)
{
    EngNode *node = eng_parse_node(p, ENG_N_CALL, p->current.line);
    node->a = callee;
    node->call = parse_call_args(p);
    eng_parse_grow(p, node);
    return node;
}

static EngStr *parse_dotted_name(EngParser *p)
{
    EngStr *name = eng_parse_expect(p, ENG_T_NAME).value.u.str;
    while (eng_parse_skip(p, ENG_T_DOT)) {
        name = eng_str_concat(p->run, name, eng_str_char(p->run, '.'));
        name = eng_str_concat(p->run, name, eng_parse_expect(p, ENG_T_NAME).value.u.str);
    }
    return name;
}

EngNode *eng_parse_filter(EngParser *p, EngNode *node, bool start_inline)
{
    while (start_inline || p->current.kind == ENG_T_PIPE) {
        if (!start_inline) eng_parse_next(p);
        start_inline = false;
        EngNode *filter = eng_parse_node(p, ENG_N_FILTER, p->current.line);
        filter->a = node;
        filter->name = parse_dotted_name(p);
        filter->call = p->current.kind == ENG_T_LPAREN
                           ? parse_call_args(p)
                           : eng_value_alloc(p->run, sizeof *filter->call);
        eng_parse_grow(p, filter);
        node = filter;
    }
    return node;
}

static bool starts_test_argument(EngParser *p)
{
    switch (p->current.kind) {
    case ENG_T_NAME:
        return !eng_parse_is_name(p, "else") && !eng_parse_is_name(p, "or") &&
               !eng_parse_is_name(p, "and");
    case ENG_T_STRING:
    case ENG_T_INTEGER:
    case ENG_T_FLOAT:
    case ENG_T_LBRACKET:
    case ENG_T_LBRACE: return true;
    default: return false;
    }
}

static EngNode *parse_test(EngParser *p, EngNode *node)
{
    int line = eng_parse_next(p).line;
    bool negated = eng_parse_skip_name(p, "not");
    EngNode *test = eng_parse_node(p, ENG_N_TEST, line);
    test->a = node;
    test->name = parse_dotted_name(p);
    if (p->current.kind == ENG_T_LPAREN) {
        test->call = parse_call_args(p);
    } else {
        test->call = eng_value_alloc(p->run, sizeof *test->call);
        if (starts_test_argument(p)) {
            if (eng_parse_is_name(p, "is"))
                eng_value_raise(p->run, "You cannot chain multiple tests with is");
            EngNodeList args = {0};
            eng_parse_add(p, &args, parse_postfix(p, parse_primary(p, false)));
            test->call->args = args.nodes;
        }
    }
    eng_parse_grow(p, test);
    return negated ? node2(p, ENG_N_NOT, line, test, NULL) : test;
}

/* ---- what stands after a value ---- */

static EngNode *parse_slice_part(EngParser *p)
{
    bool end = p->current.kind == ENG_T_RBRACKET || p->current.kind == ENG_T_COMMA;
    return end ? NULL : eng_parse_expression(p, true);
}

static EngNode *parse_subscribed(EngParser *p)
{
    int line = p->current.line;
    EngNode *first = NULL;
    if (p->current.kind != ENG_T_COLON) {
        first = eng_parse_expression(p, true);
        if (p->current.kind != ENG_T_COLON) return first;
    }
    eng_parse_next(p);
    EngNode *slice = eng_parse_node(p, ENG_N_SLICE, line);
    slice->a = first;
    if (p->current.kind != ENG_T_COLON) slice->b = parse_slice_part(p);
    if (eng_parse_skip(p, ENG_T_COLON)) slice->c = parse_slice_part(p);
    eng_parse_grow(p, slice);
    return slice;
}

static EngNode *parse_subscript(EngParser *p, EngNode *node)
{
    EngToken token = eng_parse_next(p);
    if (token.kind == ENG_T_DOT) {
        EngToken attr = eng_parse_next(p);
        if (attr.kind == ENG_T_NAME) {
            EngNode *get = eng_parse_node(p, ENG_N_GETATTR, token.line);
            get->a = node;
            get->name = attr.value.u.str;
            eng_parse_grow(p, get);
            return get;
        }
        if (attr.kind != ENG_T_INTEGER) eng_value_raise(p->run, "expected name or number");
        return node2(p, ENG_N_GETITEM, token.line, node, constant(p, attr.value, attr.line));
    }
    EngNodeList args = {0};
    while (p->current.kind != ENG_T_RBRACKET) {
        if (args.nodes.n) eng_parse_expect(p, ENG_T_COMMA);
        eng_parse_add(p, &args, parse_subscribed(p));
    }
    eng_parse_expect(p, ENG_T_RBRACKET);
    EngNode *arg =
        args.nodes.n == 1 ? args.nodes.items[0] : with_items(p, ENG_N_TUPLE, token.line, args);
    return node2(p, ENG_N_GETITEM, token.line, node, arg);
}

static EngNode *parse_postfix(EngParser *p, EngNode *node)
{
    for (;;) {
        if (p->current.kind == ENG_T_DOT || p->current.kind == ENG_T_LBRACKET)
            node = parse_subscript(p, node);
        else if (p->current.kind == ENG_T_LPAREN)
            node = parse_call(p, node);
        else
            return node;
    }
}

static EngNode *parse_unary(EngParser *p, bool with_filter)
{
    int line = p->current.line, nesting = p->nesting;
    EngNode *node;
    if (p->current.kind == ENG_T_SUB || p->current.kind == ENG_T_ADD) {
        EngNodeKind kind = eng_parse_next(p).kind == ENG_T_SUB ? ENG_N_NEG : ENG_N_POS;
        eng_parse_nest(p);
        node = node2(p, kind, line, parse_unary(p, false), NULL);
        p->nesting = nesting;
    } else {
        node = parse_primary(p, false);
    }
    node = parse_postfix(p, node);
    while (with_filter) {
        if (p->current.kind == ENG_T_PIPE)
            node = eng_parse_filter(p, node, false);
        else if (eng_parse_is_name(p, "is"))
            node = parse_test(p, node);
        else if (p->current.kind == ENG_T_LPAREN)
            node = parse_call(p, node);
        else
            break;
    }
    return node;
}

/* ---- values ---- */

static EngNode *parse_list(EngParser *p)
{
    EngNodeList list = {0};
    int line = eng_parse_expect(p, ENG_T_LBRACKET).line;
    while (p->current.kind != ENG_T_RBRACKET) {
        if (list.nodes.n) eng_parse_expect(p, ENG_T_COMMA);
        if (p->current.kind == ENG_T_RBRACKET) break;
        eng_parse_add(p, &list, eng_parse_expression(p, true));
    }
    eng_parse_expect(p, ENG_T_RBRACKET);
    return with_items(p, ENG_N_LIST, line, list);
}

static EngNode *parse_dict(EngParser *p)
{
    EngNodeList list = {0};
    int line = eng_parse_expect(p, ENG_T_LBRACE).line;
    while (p->current.kind != ENG_T_RBRACE) {
        if (list.nodes.n) eng_parse_expect(p, ENG_T_COMMA);
        if (p->current.kind == ENG_T_RBRACE) break;
        eng_parse_add(p, &list, eng_parse_expression(p, true));
        eng_parse_expect(p, ENG_T_COLON);
        eng_parse_add(p, &list, eng_parse_expression(p, true));
    }
    eng_parse_expect(p, ENG_T_RBRACE);
    return with_items(p, ENG_N_DICT, line, list);
}

static EngNode *parse_name(EngParser *p, bool with_namespace)
{
    EngToken token = eng_parse_next(p);
    const EngStr *name = token.value.u.str;
    if (eng_str_is_text(name, "true") || eng_str_is_text(name, "True"))
        return constant(p, eng_value_bool(true), token.line);
    if (eng_str_is_text(name, "false") || eng_str_is_text(name, "False"))
        return constant(p, eng_value_bool(false), token.line);
    if (eng_str_is_text(name, "none") || eng_str_is_text(name, "None"))
        return constant(p, eng_value_none(), token.line);
    bool reference = with_namespace && p->current.kind == ENG_T_DOT;
    EngNode *node = eng_parse_node(p, reference ? ENG_N_NSREF : ENG_N_NAME, token.line);
    node->name = token.value.u.str;
    if (reference) {
        eng_parse_next(p);
        node->value = eng_parse_expect(p, ENG_T_NAME).value;
    }
    return node;
}

static EngNode *parse_primary(EngParser *p, bool with_namespace)
{
    EngToken token = p->current;
    switch (token.kind) {
    case ENG_T_NAME: return parse_name(p, with_namespace);
    case ENG_T_STRING: {
        EngStr *text = eng_parse_next(p).value.u.str;
        while (p->current.kind == ENG_T_STRING)
            text = eng_str_concat(p->run, text, eng_parse_next(p).value.u.str);
        return constant(p, eng_value_str(text), token.line);
    }
    case ENG_T_INTEGER:
    case ENG_T_FLOAT: eng_parse_next(p); return constant(p, token.value, token.line);
    case ENG_T_LPAREN: {
        eng_parse_next(p);
        EngNode *node = eng_parse_tuple(p, (EngTupleStyle){.explicit_parentheses = true});
        eng_parse_expect(p, ENG_T_RPAREN);
        return node;
    }
    case ENG_T_LBRACKET: return parse_list(p);
    case ENG_T_LBRACE: return parse_dict(p);
    default: eng_parse_fail_token(p, "unexpected ", token);
    }
}

EngNode *eng_parse_tuple(EngParser *p, EngTupleStyle style)
{
    int line = p->current.line;
    EngNodeList list = {0};
    bool is_tuple = false;
    for (;;) {
        if (list.nodes.n) eng_parse_expect(p, ENG_T_COMMA);
        EngTokenKind kind = p->current.kind;
        if (kind == ENG_T_VARIABLE_END || kind == ENG_T_BLOCK_END || kind == ENG_T_RPAREN) break;
        eng_parse_add(p, &list,
                      style.simplified ? parse_primary(p, style.with_namespace)
                                       : eng_parse_expression(p, !style.without_condition));
        if (p->current.kind != ENG_T_COMMA) break;
        is_tuple = true;
        line = p->current.line;
    }
    if (!is_tuple) {
        if (list.nodes.n) return list.nodes.items[0];
        if (!style.explicit_parentheses)
            eng_parse_fail_token(p, "Expected an expression, got ", p->current);
    }
    return with_items(p, ENG_N_TUPLE, line, list);
}

/* ---- targets ---- */

static void mark_stores(EngNode *node)
{
    node->store = true;
    for (size_t i = 0; i < node->items.n; i++) mark_stores(node->items.items[i]);
}

static bool can_assign(const EngNode *node)
{
    static const char *const constants[] = {"true", "false", "none", "True", "False", "None"};
    if (node->kind == ENG_N_NSREF) return true;
    if (node->kind == ENG_N_NAME) {
        for (size_t i = 0; i < ENG_LEN(constants); i++)
            if (eng_str_is_text(node->name, constants[i])) return false;
        return true;
    }
    if (node->kind != ENG_N_TUPLE) return false;
    for (size_t i = 0; i < node->items.n; i++)
        if (!can_assign(node->items.items[i])) return false;
    return true;
}

static void check_target(EngParser *p, EngNode *node)
{
    static const char *const names[] = {
        [ENG_N_CONST] = "const",     [ENG_N_NAME] = "name", [ENG_N_TUPLE] = "tuple",
        [ENG_N_LIST] = "list",       [ENG_N_DICT] = "dict", [ENG_N_COND] = "condexpr",
        [ENG_N_OR] = "or",           [ENG_N_AND] = "and",   [ENG_N_NOT] = "not",
        [ENG_N_COMPARE] = "compare", [ENG_N_ADD] = "add",   [ENG_N_SUB] = "sub",
        [ENG_N_MUL] = "mul",         [ENG_N_DIV] = "div",   [ENG_N_FLOORDIV] = "floordiv",
        [ENG_N_MOD] = "mod",         [ENG_N_POW] = "pow",   [ENG_N_CONCAT] = "concat",
        [ENG_N_NEG] = "neg",         [ENG_N_POS] = "pos",   [ENG_N_GETATTR] = "getattr",
        [ENG_N_GETITEM] = "getitem", [ENG_N_CALL] = "call", [ENG_N_FILTER] = "filter",
        [ENG_N_TEST] = "test",
    };
    if (!can_assign(node)) eng_value_raise(p->run, "can't assign to '%s'", names[node->kind]);
}

EngNode *eng_parse_target(EngParser *p, bool with_namespace)
{
    EngNode *node =
        eng_parse_tuple(p, (EngTupleStyle){.simplified = true, .with_namespace = with_namespace});
    mark_stores(node);
    check_target(p, node);
    return node;
}

EngNode *eng_parse_name_target(EngParser *p)
{
    EngToken token = eng_parse_expect(p, ENG_T_NAME);
    EngNode *node = eng_parse_node(p, ENG_N_NAME, token.line);
    node->name = token.value.u.str;
    node->store = true;
    check_target(p, node);
    return node;
}
