#include "chat/parse.h"

#include <string.h>

#include "base/num.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

#define MAX_EXPRESSION_DEPTH 700

/* ---- tokens ---- */

EngToken eng_parse_next(EngParser *p)
{
    EngToken left = p->current;
    if (p->has_ahead) {
        p->current = p->ahead;
        p->has_ahead = false;
    } else if (left.kind != ENG_T_EOF) {
        p->current = eng_lex_next(&p->lex);
    }
    return left;
}

EngToken eng_parse_look(EngParser *p)
{
    if (!p->has_ahead) {
        p->ahead = eng_lex_next(&p->lex);
        p->has_ahead = true;
    }
    return p->ahead;
}

bool eng_parse_is_name(const EngParser *p, const char *name)
{
    return p->current.kind == ENG_T_NAME && eng_str_is_text(p->current.value.u.str, name);
}

bool eng_parse_skip(EngParser *p, EngTokenKind kind)
{
    if (p->current.kind != kind) return false;
    eng_parse_next(p);
    return true;
}

bool eng_parse_skip_name(EngParser *p, const char *name)
{
    if (!eng_parse_is_name(p, name)) return false;
    eng_parse_next(p);
    return true;
}

_Noreturn void eng_parse_fail_token(EngParser *p, const char *before, EngToken token)
{
    EngText t = {0};
    eng_text_puts(p->run, &t, before);
    eng_repr_add(p->run, &t, eng_value_str(eng_lex_describe(p->run, token)));
    eng_value_raise_str(p->run, eng_text_take(p->run, &t));
}

static _Noreturn void fail_expected(EngParser *p, const char *expected)
{
    if (p->current.kind == ENG_T_EOF)
        eng_value_raise(p->run, "unexpected end of template, expected '%s'.", expected);
    EngText t = {0};
    eng_text_printf(p->run, &t, "expected token '%s', got ", expected);
    eng_text_add(p->run, &t, "", 1);
    eng_parse_fail_token(p, t.data, p->current);
}

EngToken eng_parse_expect(EngParser *p, EngTokenKind kind)
{
    if (p->current.kind != kind) fail_expected(p, eng_lex_kind_name(kind));
    return eng_parse_next(p);
}

void eng_parse_expect_name(EngParser *p, const char *name)
{
    if (!eng_parse_skip_name(p, name)) fail_expected(p, name);
}

/* ---- nodes ---- */

EngNode *eng_parse_node(EngParser *p, EngNodeKind kind, int line)
{
    EngNode *node = eng_value_alloc(p->run, sizeof *node);
    node->kind = kind;
    node->line = line;
    node->depth = 1;
    return node;
}

static int deepest(const EngNodes *nodes, int depth)
{
    for (size_t i = 0; i < nodes->n; i++) depth = ENG_MAX(depth, nodes->items[i]->depth);
    return depth;
}

void eng_parse_grow(EngParser *p, EngNode *node)
{
    int depth = deepest(&node->items, 0);
    if (node->a) depth = ENG_MAX(depth, node->a->depth);
    if (node->b) depth = ENG_MAX(depth, node->b->depth);
    if (node->c) depth = ENG_MAX(depth, node->c->depth);
    if (node->call) depth = deepest(&node->call->args, deepest(&node->call->named, depth));
    node->depth = depth + 1;
    if (node->depth > MAX_EXPRESSION_DEPTH)
        eng_value_raise(p->run, "The template's expression on line %d is too long.", node->line);
}

void eng_parse_add(EngParser *p, EngNodeList *list, EngNode *node)
{
    if (list->nodes.n == list->cap) {
        list->cap = list->cap ? 2 * list->cap : 4;
        EngNode **items = eng_value_alloc(p->run, list->cap * sizeof *items);
        if (list->nodes.n) memcpy(items, list->nodes.items, list->nodes.n * sizeof *items);
        list->nodes.items = items;
    }
    list->nodes.items[list->nodes.n++] = node;
}

void eng_parse_nest(EngParser *p)
{
    if (++p->nesting > ENG_RUN_NESTING)
        eng_value_raise(p->run, "The template nests more than %d levels deep.", ENG_RUN_NESTING);
}

/* ---- blocks ---- */

static bool is_end(EngParser *p, const char *const *ends)
{
    for (; *ends; ends++)
        if (eng_parse_is_name(p, *ends)) return true;
    return false;
}

/* At an unknown tag (`name`) or at the end of the template (NULL): says what was expected. */
static _Noreturn void fail_open_block(EngParser *p, EngStr *name)
{
    EngText t = {0};
    bool misplaced = false;
    if (name) {
        eng_text_puts(p->run, &t, "Encountered unknown tag ");
        eng_repr_add(p->run, &t, eng_value_str(name));
        eng_text_puts(p->run, &t, ".");
    } else {
        eng_text_puts(p->run, &t, "Unexpected end of template.");
    }
    for (int i = 0; name && i < p->n_ends; i++)
        for (const char *const *end = p->ends[i]; *end; end++)
            misplaced = misplaced || eng_str_is_text(name, *end);
    if (p->n_ends > 0) {
        eng_text_puts(p->run, &t,
                      misplaced ? " You probably made a nesting mistake. Jinja is expecting this "
                                  "tag, but currently looking for "
                                : " Jinja was looking for the following tags: ");
        for (const char *const *end = p->ends[p->n_ends - 1]; *end; end++)
            eng_text_printf(p->run, &t, "%s'%s'", end == p->ends[p->n_ends - 1] ? "" : " or ",
                            *end);
        eng_text_puts(p->run, &t, ".");
    }
    if (p->n_tags > 0) {
        eng_text_puts(p->run, &t, " The innermost block that needs to be closed is ");
        eng_repr_add(p->run, &t, eng_value_str(p->tags[p->n_tags - 1]));
        eng_text_puts(p->run, &t, ".");
    }
    eng_value_raise_str(p->run, eng_text_take(p->run, &t));
}

static EngNode *parse_statement(EngParser *p);

static void flush_output(EngParser *p, EngNodeList *body, EngNodeList *output)
{
    if (output->nodes.n == 0) return;
    EngNode *node = eng_parse_node(p, ENG_N_OUTPUT, output->nodes.items[0]->line);
    node->items = output->nodes;
    eng_parse_add(p, body, node);
    *output = (EngNodeList){0};
}

/* Statements up to one of `ends` (which stays the current token), or to the end of the template. */
static EngNodes parse_body(EngParser *p, const char *const *ends)
{
    EngNodeList body = {0}, output = {0};
    int nesting = p->nesting;
    eng_parse_nest(p);
    if (ends) p->ends[p->n_ends++] = ends;
    while (p->current.kind != ENG_T_EOF) {
        EngToken token = eng_parse_next(p);
        if (token.kind == ENG_T_DATA) {
            EngNode *text = eng_parse_node(p, ENG_N_CONST, token.line);
            text->value = token.value;
            eng_parse_add(p, &output, text);
        } else if (token.kind == ENG_T_VARIABLE_BEGIN) {
            eng_parse_add(p, &output, eng_parse_tuple(p, (EngTupleStyle){0}));
            eng_parse_expect(p, ENG_T_VARIABLE_END);
        } else {
            flush_output(p, &body, &output);
            if (ends && is_end(p, ends)) break;
            eng_parse_add(p, &body, parse_statement(p));
            eng_parse_expect(p, ENG_T_BLOCK_END);
        }
    }
    flush_output(p, &body, &output);
    if (ends) p->n_ends--;
    p->nesting = nesting;
    return body.nodes;
}

static EngNodes parse_block_body(EngParser *p, const char *const *ends)
{
    eng_parse_skip(p, ENG_T_COLON);
    eng_parse_expect(p, ENG_T_BLOCK_END);
    EngNodes body = parse_body(p, ends);
    if (p->current.kind == ENG_T_EOF) {
        p->ends[p->n_ends++] = ends;
        fail_open_block(p, NULL);
    }
    return body;
}

static EngNodes parse_to(EngParser *p, const char *const *ends)
{
    EngNodes body = parse_block_body(p, ends);
    eng_parse_next(p);
    return body;
}

/* ---- statements ---- */

static EngNode *parse_for(EngParser *p)
{
    static const char *const ends[] = {"endfor", "else", NULL}, *const last[] = {"endfor", NULL};
    EngNode *node = eng_parse_node(p, ENG_N_FOR, eng_parse_next(p).line);
    node->a = eng_parse_target(p, false);
    eng_parse_expect_name(p, "in");
    node->b = eng_parse_tuple(p, (EngTupleStyle){.without_condition = true});
    if (eng_parse_skip_name(p, "if")) node->c = eng_parse_expression(p, true);
    node->flag = eng_parse_skip_name(p, "recursive");
    node->body = parse_block_body(p, ends);
    if (!eng_str_is_text(eng_parse_next(p).value.u.str, "endfor")) node->orelse = parse_to(p, last);
    return node;
}

static EngNode *parse_if(EngParser *p)
{
    static const char *const ends[] = {"elif", "else", "endif", NULL}, *const last[] = {"endif",
                                                                                        NULL};
    EngNode *first = eng_parse_node(p, ENG_N_IF, eng_parse_next(p).line), *node = first;
    EngNodeList further = {0};
    for (;;) {
        node->a = eng_parse_tuple(p, (EngTupleStyle){.without_condition = true});
        node->body = parse_block_body(p, ends);
        EngToken token = eng_parse_next(p);
        if (eng_str_is_text(token.value.u.str, "elif")) {
            node = eng_parse_node(p, ENG_N_IF, p->current.line);
            eng_parse_add(p, &further, node);
            continue;
        }
        if (eng_str_is_text(token.value.u.str, "else")) first->orelse = parse_to(p, last);
        break;
    }
    first->items = further.nodes;
    return first;
}

static EngNode *parse_set(EngParser *p)
{
    static const char *const ends[] = {"endset", NULL};
    EngNode *node = eng_parse_node(p, ENG_N_SET, eng_parse_next(p).line);
    node->a = eng_parse_target(p, true);
    if (eng_parse_skip(p, ENG_T_ASSIGN)) {
        node->b = eng_parse_tuple(p, (EngTupleStyle){0});
        return node;
    }
    node->kind = ENG_N_SET_BLOCK;
    node->b = eng_parse_filter(p, NULL, false);
    node->body = parse_to(p, ends);
    return node;
}

static EngNode *parse_with(EngParser *p)
{
    static const char *const ends[] = {"endwith", NULL};
    EngNode *node = eng_parse_node(p, ENG_N_WITH, eng_parse_next(p).line);
    EngNodeList items = {0};
    while (p->current.kind != ENG_T_BLOCK_END) {
        if (items.nodes.n) eng_parse_expect(p, ENG_T_COMMA);
        eng_parse_add(p, &items, eng_parse_target(p, false));
        eng_parse_expect(p, ENG_T_ASSIGN);
        eng_parse_add(p, &items, eng_parse_expression(p, true));
    }
    node->items = items.nodes;
    node->body = parse_to(p, ends);
    return node;
}

static void parse_signature(EngParser *p, EngSignature *signature)
{
    EngNodeList args = {0}, defaults = {0};
    eng_parse_expect(p, ENG_T_LPAREN);
    while (p->current.kind != ENG_T_RPAREN) {
        if (args.nodes.n) eng_parse_expect(p, ENG_T_COMMA);
        EngNode *arg = eng_parse_name_target(p);
        if (eng_parse_skip(p, ENG_T_ASSIGN))
            eng_parse_add(p, &defaults, eng_parse_expression(p, true));
        else if (defaults.nodes.n)
            eng_value_raise(p->run, "non-default argument follows default argument");
        eng_parse_add(p, &args, arg);
    }
    eng_parse_expect(p, ENG_T_RPAREN);
    signature->args = args.nodes;
    signature->defaults = defaults.nodes;
}

static EngNode *parse_macro(EngParser *p)
{
    static const char *const ends[] = {"endmacro", NULL};
    EngNode *node = eng_parse_node(p, ENG_N_MACRO, eng_parse_next(p).line);
    EngNode *target = eng_parse_name_target(p);
    node->name = target->name;
    node->a = target;
    node->signature = eng_value_alloc(p->run, sizeof *node->signature);
    parse_signature(p, node->signature);
    node->body = parse_to(p, ends);
    return node;
}

static EngNode *parse_call_block(EngParser *p)
{
    static const char *const ends[] = {"endcall", NULL};
    EngNode *node = eng_parse_node(p, ENG_N_CALL_BLOCK, eng_parse_next(p).line);
    node->signature = eng_value_alloc(p->run, sizeof *node->signature);
    if (p->current.kind == ENG_T_LPAREN) parse_signature(p, node->signature);
    node->a = eng_parse_expression(p, true);
    if (node->a->kind != ENG_N_CALL) eng_value_raise(p->run, "expected call");
    node->body = parse_to(p, ends);
    return node;
}

static EngNode *parse_filter_block(EngParser *p)
{
    static const char *const ends[] = {"endfilter", NULL};
    EngNode *node = eng_parse_node(p, ENG_N_FILTER_BLOCK, eng_parse_next(p).line);
    node->a = eng_parse_filter(p, NULL, true);
    node->body = parse_to(p, ends);
    return node;
}

static EngNode *parse_print(EngParser *p)
{
    EngNode *node = eng_parse_node(p, ENG_N_OUTPUT, eng_parse_next(p).line);
    EngNodeList items = {0};
    while (p->current.kind != ENG_T_BLOCK_END) {
        if (items.nodes.n) eng_parse_expect(p, ENG_T_COMMA);
        eng_parse_add(p, &items, eng_parse_expression(p, true));
    }
    node->items = items.nodes;
    return node;
}

static EngNode *parse_block(EngParser *p)
{
    static const char *const ends[] = {"endblock", NULL};
    EngNode *node = eng_parse_node(p, ENG_N_BLOCK, eng_parse_next(p).line);
    node->name = eng_parse_expect(p, ENG_T_NAME).value.u.str;
    node->flag = eng_parse_skip_name(p, "scoped");
    eng_parse_skip_name(p, "required");
    if (p->current.kind == ENG_T_SUB)
        eng_value_raise(p->run, "Block names in Jinja have to be valid Python identifiers and may "
                                "not contain hyphens, use an underscore instead.");
    node->body = parse_to(p, ends);
    if (p->current.kind == ENG_T_NAME && eng_str_equal(p->current.value.u.str, node->name))
        eng_parse_next(p);
    return node;
}

static EngNode *parse_autoescape(EngParser *p)
{
    static const char *const ends[] = {"endautoescape", NULL};
    EngNode *node = eng_parse_node(p, ENG_N_SCOPE, eng_parse_next(p).line);
    node->a = eng_parse_expression(p, true);
    node->body = parse_to(p, ends);
    return node;
}

/* Marks the assistant's own words for training; transformers' own extension of the language. */
static EngNode *parse_generation(EngParser *p)
{
    static const char *const ends[] = {"endgeneration", NULL};
    EngNode *node = eng_parse_node(p, ENG_N_SCOPE, eng_parse_next(p).line);
    node->body = parse_to(p, ends);
    return node;
}

static void skip_context(EngParser *p)
{
    if (!eng_parse_is_name(p, "with") && !eng_parse_is_name(p, "without")) return;
    EngToken ahead = eng_parse_look(p);
    if (ahead.kind != ENG_T_NAME || !eng_str_is_text(ahead.value.u.str, "context")) return;
    eng_parse_next(p);
    eng_parse_next(p);
}

static void parse_imported_names(EngParser *p)
{
    eng_parse_expect_name(p, "import");
    for (bool first = true;; first = false) {
        if (!first) eng_parse_expect(p, ENG_T_COMMA);
        skip_context(p);
        if (p->current.kind == ENG_T_BLOCK_END) return;
        eng_parse_name_target(p);
        if (eng_parse_skip_name(p, "as")) eng_parse_name_target(p);
        skip_context(p);
        if (p->current.kind != ENG_T_COMMA) return;
    }
}

/* A chat template stands alone: these parse, and fail when they run. */
static EngNode *parse_load(EngParser *p)
{
    EngStr *tag = p->current.value.u.str;
    EngNode *node = eng_parse_node(p, ENG_N_LOAD, eng_parse_next(p).line);
    node->a = eng_parse_expression(p, true);
    if (eng_str_is_text(tag, "include")) {
        if (eng_parse_skip_name(p, "ignore")) eng_parse_expect_name(p, "missing");
        skip_context(p);
    } else if (eng_str_is_text(tag, "import")) {
        eng_parse_expect_name(p, "as");
        eng_parse_name_target(p);
        skip_context(p);
    } else if (eng_str_is_text(tag, "from")) {
        parse_imported_names(p);
    }
    return node;
}

static EngNode *parse_jump(EngParser *p)
{
    bool stop = eng_parse_is_name(p, "break");
    return eng_parse_node(p, stop ? ENG_N_BREAK : ENG_N_CONTINUE, eng_parse_next(p).line);
}

static EngNode *parse_statement(EngParser *p)
{
    static const struct {
        const char *tag;
        EngNode *(*parse)(EngParser *);
    } statements[] = {
        {"for", parse_for},
        {"if", parse_if},
        {"block", parse_block},
        {"extends", parse_load},
        {"print", parse_print},
        {"macro", parse_macro},
        {"include", parse_load},
        {"from", parse_load},
        {"import", parse_load},
        {"set", parse_set},
        {"with", parse_with},
        {"autoescape", parse_autoescape},
        {"call", parse_call_block},
        {"filter", parse_filter_block},
        {"break", parse_jump},
        {"continue", parse_jump},
        {"generation", parse_generation},
    };
    if (p->current.kind != ENG_T_NAME) eng_value_raise(p->run, "tag name expected");
    EngStr *tag = p->current.value.u.str;
    for (size_t i = 0; i < ENG_LEN(statements); i++) {
        if (!eng_str_is_text(tag, statements[i].tag)) continue;
        p->tags[p->n_tags++] = tag;
        EngNode *node = statements[i].parse(p);
        p->n_tags--;
        return node;
    }
    fail_open_block(p, tag);
}

EngTree *eng_parse_template(EngRun *run, const char *source, size_t n)
{
    EngParser *p = eng_value_alloc(run, sizeof *p);
    p->run = run;
    if (!eng_str_valid(source, n)) eng_value_raise(run, "The chat template is not UTF-8 text.");
    eng_lex_init(&p->lex, run, source, n);
    p->current = eng_lex_next(&p->lex);
    EngTree *tree = eng_value_alloc(run, sizeof *tree);
    tree->body = parse_body(p, NULL);
    return tree;
}
