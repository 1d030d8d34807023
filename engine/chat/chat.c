#include "chat/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/builtin/builtin.h"
#include "chat/eval.h"
#include "chat/value/json.h"
#include "chat/value/str.h"

struct EngTemplate {
    EngArena arena;
    EngTree *tree;
};

static bool fail(EngRun *run, EngError *err, char **ret_message)
{
    const EngStr *m = run->message;
    eng_fail(err, ENG_ERR_REFUSED, "%.*s", m->n > 1024 ? 1024 : (int)m->n, m->data);
    if (ret_message) *ret_message = eng_strndup(m->data, m->n);
    eng_arena_clear(&run->arena);
    return false;
}

/* The only setjmp: nothing but `run` is used after it, and that is not a local of this function. */
static bool guarded(EngRun *run, void (*body)(EngRun *run, void *arg), void *arg)
{
    if (setjmp(run->trap)) return false;
    body(run, arg);
    return true;
}

typedef struct {
    const char *source;
    size_t len;
    EngTree *tree;
} Parse;

static void parse(EngRun *run, void *arg)
{
    Parse *p = arg;
    p->tree = eng_parse_template(run, p->source, p->len);
    eng_scope_resolve(run, p->tree);
}

EngTemplate *eng_template_new(const char *source, size_t len, EngError *err)
{
    EngRun run = {0};
    Parse p = {source, len, NULL};
    if (!guarded(&run, parse, &p)) {
        fail(&run, err, NULL);
        return NULL;
    }
    EngTemplate *tmpl = eng_alloc0(sizeof *tmpl);
    tmpl->arena = run.arena;
    tmpl->tree = p.tree;
    return tmpl;
}

void eng_template_free(EngTemplate *tmpl)
{
    if (!tmpl) return;
    eng_arena_clear(&tmpl->arena);
    free(tmpl);
}

typedef struct {
    const EngTemplate *tmpl;
    const char *request, *defaults, *now;
    EngText text;
} Render;

static EngDict *read_object(EngRun *run, const char *json)
{
    EngValue v = eng_json_parse(run, json, strlen(json));
    if (v.type != ENG_V_DICT) eng_value_raise(run, "The request is not a JSON object.");
    return v.u.dict;
}

static bool valid_time(EngTime t)
{
    return t.year >= 1 && t.year <= 9999 && t.month >= 1 && t.month <= 12 && t.day >= 1 &&
           t.day <= 31 && t.hour >= 0 && t.hour < 24 && t.minute >= 0 && t.minute < 60 &&
           t.second >= 0 && t.second < 61;
}

static void render(EngRun *run, void *arg)
{
    Render *r = arg;
    run->now = eng_sys_local_time();
    if (r->now) {
        EngTime t = {0};
        int n = sscanf(r->now, "%4d-%2d-%2d%*1[T ]%2d:%2d:%2d", &t.year, &t.month, &t.day, &t.hour,
                       &t.minute, &t.second);
        if (n < 3 || !valid_time(t))
            eng_value_raise(run, "The time \"%.40s\" is not of the form 2026-03-09T08:05:07.",
                            r->now);
        run->now = t;
    }
    run->variables = read_object(run, r->request);
    if (r->defaults) run->defaults = read_object(run, r->defaults);
    run->globals = eng_builtin_globals(run);
    run->out = &r->text;
    eng_eval_template(run, r->tmpl->tree);
}

bool eng_template_render(const EngTemplate *tmpl, const char *request, const char *defaults,
                         const char *now, char **ret_text, size_t *ret_len, char **ret_message,
                         EngError *err)
{
    EngRun run = {0};
    Render r = {.tmpl = tmpl, .request = request, .defaults = defaults, .now = now};
    if (!guarded(&run, render, &r)) return fail(&run, err, ret_message);
    *ret_text = eng_strndup(r.text.data, r.text.n);
    *ret_len = r.text.n;
    eng_arena_clear(&run.arena);
    return true;
}
