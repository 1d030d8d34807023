/* Which slot a name means. Follows the reference's symbol tables: a scope first collects every name
 * that is read or stored in it (not in scopes inside it), in order of appearance, and then its
 * nodes and the inner scopes are resolved against the collected tables. */
#include <string.h>

#include "base/num.h"
#include "chat/builtin/builtin.h"
#include "chat/tree.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

typedef struct {
    EngRun *run;
    EngTree *tree;
    int loops; /* for-loops around, up to the next macro */
} Resolver;

/* ---- symbol tables ---- */

static EngScope *scope_new(EngRun *run, EngScope *parent)
{
    EngScope *scope = eng_value_alloc(run, sizeof *scope);
    scope->parent = parent;
    return scope;
}

static int find_own(const EngScope *scope, const EngStr *name)
{
    for (size_t i = 0; i < scope->n; i++)
        if (eng_str_equal(scope->symbols[i].name, name)) return (int)i;
    return -1;
}

static bool find(const EngScope *scope, const EngStr *name, EngRef *ret)
{
    for (int hops = 0; scope; scope = scope->parent, hops++) {
        int slot = find_own(scope, name);
        if (slot >= 0) return *ret = (EngRef){hops, slot}, true;
    }
    return false;
}

static EngSymbol *define(EngRun *run, EngScope *scope, EngStr *name, EngLoadKind load)
{
    int slot = find_own(scope, name);
    if (slot < 0) {
        if (scope->n == scope->cap) {
            scope->cap = scope->cap ? 2 * scope->cap : 8;
            EngSymbol *more = eng_value_alloc(run, scope->cap * sizeof *more);
            if (scope->n) memcpy(more, scope->symbols, scope->n * sizeof *more);
            scope->symbols = more;
        }
        slot = (int)scope->n++;
        scope->symbols[slot].name = name;
    }
    scope->symbols[slot].load = load;
    return &scope->symbols[slot];
}

static void load(EngRun *run, EngScope *scope, EngStr *name)
{
    EngRef ref;
    if (!find(scope, name, &ref)) define(run, scope, name, ENG_LOAD_RESOLVE);
}

static void add_store(EngRun *run, EngScope *scope, int slot)
{
    if (scope->symbols[slot].stored) return;
    scope->symbols[slot].stored = true;
    if (scope->n_stores == scope->cap_stores) {
        scope->cap_stores = scope->cap_stores ? 2 * scope->cap_stores : 8;
        size_t *more = eng_value_alloc(run, scope->cap_stores * sizeof *more);
        if (scope->n_stores) memcpy(more, scope->stores, scope->n_stores * sizeof *more);
        scope->stores = more;
    }
    scope->stores[scope->n_stores++] = (size_t)slot;
}

static bool find_outer(const EngScope *scope, const EngStr *name, EngRef *ret)
{
    if (!scope->parent || !find(scope->parent, name, ret)) return false;
    ret->hops++;
    return true;
}

static void store(EngRun *run, EngScope *scope, EngStr *name)
{
    if (find_own(scope, name) < 0) {
        EngRef outer;
        bool alias = find_outer(scope, name, &outer);
        EngSymbol *symbol = define(run, scope, name, alias ? ENG_LOAD_ALIAS : ENG_LOAD_NOTHING);
        if (alias) symbol->alias = outer;
    }
    add_store(run, scope, find_own(scope, name));
}

static int parameter(EngRun *run, EngScope *scope, EngStr *name)
{
    define(run, scope, name, ENG_LOAD_PARAM);
    int slot = find_own(scope, name);
    add_store(run, scope, slot);
    return slot;
}

/* After the branches of an `if`: what only a branch stores keeps its outer value otherwise. */
static void join_branches(EngScope *scope, size_t first_store)
{
    for (size_t i = first_store; i < scope->n_stores; i++) {
        EngSymbol *symbol = &scope->symbols[scope->stores[i]];
        EngRef outer;
        bool alias = find_outer(scope, symbol->name, &outer);
        symbol->load = alias ? ENG_LOAD_ALIAS : ENG_LOAD_RESOLVE;
        if (alias) symbol->alias = outer;
    }
}

/* ---- walking ---- */

typedef void Visit(void *ctx, EngNode *node);

static void each(const EngNodes *nodes, Visit *visit, void *ctx)
{
    for (size_t i = 0; i < nodes->n; i++) visit(ctx, nodes->items[i]);
}

static void maybe(EngNode *node, Visit *visit, void *ctx)
{
    if (node) visit(ctx, node);
}

/* All children, in the reference's order (which decides what counts as read before stored). */
static void each_child(EngNode *node, Visit *visit, void *ctx)
{
    if (node->kind == ENG_N_CALL_BLOCK) maybe(node->a, visit, ctx);
    if (node->signature) {
        each(&node->signature->args, visit, ctx);
        each(&node->signature->defaults, visit, ctx);
        each(&node->body, visit, ctx);
        return;
    }
    switch (node->kind) {
    case ENG_N_FOR:
        visit(ctx, node->a);
        visit(ctx, node->b);
        each(&node->body, visit, ctx);
        each(&node->orelse, visit, ctx);
        maybe(node->c, visit, ctx);
        return;
    case ENG_N_IF:
        visit(ctx, node->a);
        each(&node->body, visit, ctx);
        each(&node->items, visit, ctx);
        each(&node->orelse, visit, ctx);
        return;
    case ENG_N_FILTER_BLOCK:
        each(&node->body, visit, ctx);
        visit(ctx, node->a);
        return;
    case ENG_N_WITH:
        for (size_t i = 0; i < node->items.n; i += 2) visit(ctx, node->items.items[i]);
        for (size_t i = 1; i < node->items.n; i += 2) visit(ctx, node->items.items[i]);
        each(&node->body, visit, ctx);
        return;
    default: break;
    }
    maybe(node->a, visit, ctx);
    maybe(node->b, visit, ctx);
    maybe(node->c, visit, ctx);
    each(&node->items, visit, ctx);
    if (node->call) {
        each(&node->call->args, visit, ctx);
        each(&node->call->named, visit, ctx);
        maybe(node->call->star, visit, ctx);
        maybe(node->call->star_star, visit, ctx);
    }
    each(&node->body, visit, ctx);
}

/* ---- is a special name read before it is stored? ---- */

typedef struct {
    const char *name;
    bool read, stored;
} Undeclared;

static void look_undeclared(void *ctx, EngNode *node)
{
    Undeclared *u = ctx;
    if (node->kind == ENG_N_NAME && eng_str_is_text(node->name, u->name)) {
        if (node->store)
            u->stored = true;
        else if (!u->stored)
            u->read = true;
    }
    if (node->kind != ENG_N_BLOCK) each_child(node, look_undeclared, ctx);
}

static bool is_undeclared(const EngNodes *body, const char *name)
{
    Undeclared u = {.name = name};
    each(body, look_undeclared, &u);
    return u.read;
}

static void refuse_loop_store(void *ctx, EngNode *node)
{
    if (node->kind == ENG_N_NAME && node->store && eng_str_is_text(node->name, "loop"))
        eng_value_raise(ctx, "Can't assign to special loop variable in for-loop target");
    each_child(node, refuse_loop_store, ctx);
}

/* ---- collecting ---- */

typedef struct {
    EngRun *run;
    EngScope *scope;
} Collector;

static void collect(void *ctx, EngNode *node);

static void collect_if(Collector *c, EngNode *node)
{
    collect(c, node->a);
    size_t first_store = c->scope->n_stores;
    each(&node->body, collect, c);
    each(&node->items, collect, c);
    each(&node->orelse, collect, c);
    join_branches(c->scope, first_store);
}

static void collect(void *ctx, EngNode *node)
{
    Collector *c = ctx;
    switch (node->kind) {
    case ENG_N_NAME:
        if (node->store)
            store(c->run, c->scope, node->name);
        else
            load(c->run, c->scope, node->name);
        break;
    case ENG_N_NSREF: load(c->run, c->scope, node->name); break;
    case ENG_N_IF: collect_if(c, node); break;
    case ENG_N_MACRO: store(c->run, c->scope, node->name); break;
    case ENG_N_SET:
        collect(c, node->b);
        collect(c, node->a);
        break;
    case ENG_N_FOR: collect(c, node->b); break;
    case ENG_N_CALL_BLOCK:
    case ENG_N_FILTER_BLOCK:
    case ENG_N_SET_BLOCK: collect(c, node->a); break;
    case ENG_N_WITH:
        for (size_t i = 1; i < node->items.n; i += 2) collect(c, node->items.items[i]);
        break;
    case ENG_N_SCOPE:
    case ENG_N_BLOCK: break;
    default: each_child(node, collect, c); break;
    }
}

static void collect_parameters(void *ctx, EngNode *node)
{
    Collector *c = ctx;
    if (node->kind == ENG_N_NAME)
        parameter(c->run, c->scope, node->name);
    else
        each_child(node, collect_parameters, c);
}

/* ---- resolving ---- */

/* soft: inside an `if`, an unknown filter fails only when it is reached. */
static void resolve(Resolver *r, EngScope *scope, EngNode *node, bool soft);

static void resolve_all(Resolver *r, EngScope *scope, const EngNodes *nodes, bool soft)
{
    for (size_t i = 0; i < nodes->n; i++) resolve(r, scope, nodes->items[i], soft);
}

static void resolve_name(Resolver *r, EngScope *scope, EngNode *node)
{
    if (find(scope, node->name, &node->ref)) return;
    EngText t = {0};
    eng_text_puts(r->run, &t,
                  "Tried to resolve a name to a reference that was unknown to the frame (");
    eng_repr_add(r->run, &t, eng_value_str(node->name));
    eng_text_puts(r->run, &t, ")");
    eng_value_raise_str(r->run, eng_text_take(r->run, &t));
}

static void resolve_filter(Resolver *r, EngNode *node, bool soft)
{
    bool is_filter = node->kind == ENG_N_FILTER;
    node->filter = is_filter ? eng_builtin_filter(node->name) : eng_builtin_test(node->name);
    if (node->filter || soft) return;
    EngText t = {0};
    eng_text_printf(r->run, &t, "No %s named ", is_filter ? "filter" : "test");
    eng_repr_add(r->run, &t, eng_value_str(node->name));
    eng_text_puts(r->run, &t, ".");
    eng_value_raise_str(r->run, eng_text_take(r->run, &t));
}

static void resolve_for(Resolver *r, EngScope *scope, EngNode *node, bool soft)
{
    EngRun *run = r->run;
    Collector in_loop = {run, scope_new(run, scope)}, in_test = {run, scope_new(run, scope)},
              in_else = {run, scope_new(run, scope)};
    collect_parameters(&in_loop, node->a);
    node->uses_loop = node->flag || is_undeclared(&node->body, "loop");
    if (node->uses_loop) node->loop_slot = parameter(run, in_loop.scope, eng_str_text(run, "loop"));
    each(&node->body, collect, &in_loop);
    each(&node->orelse, collect, &in_else);
    node->scope = in_loop.scope;
    node->else_scope = in_else.scope;
    resolve(r, node->scope, node->a, false);
    if (node->c) { /* the same slots as in the loop, so that one target serves both */
        collect_parameters(&in_test, node->a);
        collect(&in_test, node->c);
        node->test_scope = in_test.scope;
        resolve(r, node->test_scope, node->c, false);
    }
    refuse_loop_store(run, node);
    resolve(r, scope, node->b, soft);
    r->loops++;
    resolve_all(r, node->scope, &node->body, false);
    r->loops--;
    resolve_all(r, node->else_scope, &node->orelse, false);
}

static int special(Resolver *r, EngNode *node, const char *name, bool is_argument)
{
    if (is_argument || !is_undeclared(&node->body, name)) return -1;
    return parameter(r->run, node->scope, eng_str_text(r->run, name));
}

static void resolve_callable(Resolver *r, EngScope *scope, EngNode *node)
{
    EngSignature *s = node->signature;
    Collector c = {r->run, scope_new(r->run, scope)};
    bool has_kwargs = false, has_varargs = false;
    node->scope = c.scope;
    each(&s->args, collect_parameters, &c);
    each(&s->defaults, collect, &c);
    each(&node->body, collect, &c);
    s->slots = eng_value_alloc(r->run, (s->args.n + 1) * sizeof *s->slots);
    for (size_t i = 0; i < s->args.n; i++) {
        const EngStr *name = s->args.items[i]->name;
        s->slots[i] = find_own(node->scope, name);
        has_kwargs = has_kwargs || eng_str_is_text(name, "kwargs");
        has_varargs = has_varargs || eng_str_is_text(name, "varargs");
        if (!eng_str_is_text(name, "caller")) continue;
        s->explicit_caller = true;
        if (i + s->defaults.n < s->args.n && is_undeclared(&node->body, "caller"))
            eng_value_raise(r->run, "When defining macros or call blocks the special \"caller\" "
                                    "argument must be omitted or be given a default.");
    }
    s->caller = special(r, node, "caller", s->explicit_caller);
    s->kwargs = special(r, node, "kwargs", has_kwargs);
    s->varargs = special(r, node, "varargs", has_varargs);
    int loops = r->loops;
    r->loops = 0;
    resolve_all(r, node->scope, &s->defaults, false);
    resolve_all(r, node->scope, &node->body, false);
    r->loops = loops;
}

static void resolve_block(Resolver *r, EngScope *scope, EngNode *node)
{
    for (size_t i = 0; i < r->tree->blocks.n; i++)
        if (eng_str_equal(r->tree->blocks.items[i]->name, node->name)) {
            EngText t = {0};
            eng_text_puts(r->run, &t, "block ");
            eng_repr_add(r->run, &t, eng_value_str(node->name));
            eng_text_puts(r->run, &t, " defined twice");
            eng_value_raise_str(r->run, eng_text_take(r->run, &t));
        }
    EngNode **more = eng_value_alloc(r->run, (r->tree->blocks.n + 1) * sizeof *more);
    if (r->tree->blocks.n) memcpy(more, r->tree->blocks.items, r->tree->blocks.n * sizeof *more);
    more[r->tree->blocks.n++] = node;
    r->tree->blocks.items = more;
    Collector c = {r->run, scope_new(r->run, node->flag ? scope : NULL)};
    node->scope = c.scope;
    each(&node->body, collect, &c);
    int loops = r->loops;
    r->loops = 0;
    resolve_all(r, node->scope, &node->body, false);
    r->loops = loops;
}

/* A statement whose body is a scope of its own. */
static void resolve_inner(Resolver *r, EngScope *scope, EngNode *node)
{
    Collector c = {r->run, scope_new(r->run, scope)};
    node->scope = c.scope;
    if (node->kind == ENG_N_WITH)
        for (size_t i = 0; i < node->items.n; i += 2) collect_parameters(&c, node->items.items[i]);
    if (node->kind == ENG_N_SCOPE && node->a) collect(&c, node->a);
    each(&node->body, collect, &c);
    if (node->kind == ENG_N_FILTER_BLOCK) collect(&c, node->a);
    for (size_t i = 0; node->kind == ENG_N_WITH && i < node->items.n; i += 2) {
        resolve(r, node->scope, node->items.items[i], false);
        resolve(r, scope, node->items.items[i + 1], false);
    }
    if (node->kind == ENG_N_SCOPE && node->a) resolve(r, node->scope, node->a, false);
    resolve_all(r, node->scope, &node->body, false);
    if (node->kind == ENG_N_FILTER_BLOCK) resolve(r, node->scope, node->a, false);
    if (node->kind == ENG_N_SET_BLOCK) {
        resolve(r, scope, node->a, false);
        if (node->b) resolve(r, node->scope, node->b, false);
    }
}

static void resolve_children(Resolver *r, EngScope *scope, EngNode *node, bool soft)
{
    EngNode *operands[] = {node->a, node->b, node->c};
    for (size_t i = 0; i < ENG_LEN(operands); i++)
        if (operands[i]) resolve(r, scope, operands[i], soft);
    resolve_all(r, scope, &node->items, soft);
    if (node->call) {
        resolve_all(r, scope, &node->call->args, soft);
        resolve_all(r, scope, &node->call->named, soft);
        if (node->call->star) resolve(r, scope, node->call->star, soft);
        if (node->call->star_star) resolve(r, scope, node->call->star_star, soft);
    }
    resolve_all(r, scope, &node->body, soft);
    resolve_all(r, scope, &node->orelse, soft);
}

static void resolve(Resolver *r, EngScope *scope, EngNode *node, bool soft)
{
    switch (node->kind) {
    case ENG_N_NAME:
    case ENG_N_NSREF: resolve_name(r, scope, node); break;
    case ENG_N_FILTER:
    case ENG_N_TEST:
        resolve_filter(r, node, soft);
        resolve_children(r, scope, node, soft);
        break;
    case ENG_N_COND:
    case ENG_N_IF: resolve_children(r, scope, node, true); break;
    case ENG_N_FOR: resolve_for(r, scope, node, soft); break;
    case ENG_N_MACRO:
        resolve_callable(r, scope, node);
        resolve(r, scope, node->a, soft);
        break;
    case ENG_N_CALL_BLOCK:
        resolve_callable(r, scope, node);
        resolve(r, scope, node->a, soft);
        break;
    case ENG_N_BLOCK: resolve_block(r, scope, node); break;
    case ENG_N_FILTER_BLOCK:
    case ENG_N_WITH:
    case ENG_N_SET_BLOCK:
    case ENG_N_SCOPE: resolve_inner(r, scope, node); break;
    case ENG_N_BREAK:
        if (!r->loops) eng_value_raise(r->run, "'break' outside loop");
        break;
    case ENG_N_CONTINUE:
        if (!r->loops) eng_value_raise(r->run, "'continue' not properly in loop");
        break;
    default: resolve_children(r, scope, node, soft); break;
    }
}

void eng_scope_resolve(EngRun *run, EngTree *tree)
{
    Resolver r = {run, tree, 0};
    Collector c = {run, scope_new(run, NULL)};
    tree->scope = c.scope;
    each(&tree->body, collect, &c);
    resolve_all(&r, tree->scope, &tree->body, false);
}
