/* From a conversation to the text of a prompt: the request as JSON, then the model's template. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "model.h"

typedef EngVec(char) Text;

static void add(Text *t, const char *s, size_t n)
{
    eng_vec_reserve(t, t->n + n + 1);
    if (n) memcpy(t->data + t->n, s, n);
    t->n += n;
    t->data[t->n] = 0;
}

static void add_text(Text *t, const char *s) { add(t, s, strlen(s)); }

static void add_json_string(Text *t, const char *s, size_t n)
{
    add_text(t, "\"");
    for (size_t i = 0; i < n; i++) {
        char escape[8];
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\')
            add(t, escape, (size_t)snprintf(escape, sizeof escape, "\\%c", c));
        else if (c < 0x20)
            add(t, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", c));
        else
            add(t, s + i, 1);
    }
    add_text(t, "\"");
}

/* Appends the members of a JSON object, each after a comma. What is between the braces is checked
 * when the whole request is parsed. */
static bool add_members(Text *t, const char *object, const char *what, EngError *err)
{
    const char *open = object + strspn(object, " \t\r\n"), *close = strrchr(object, '}');
    if (*open != '{' || !close || close[1 + strspn(close + 1, " \t\r\n")] != 0)
        return eng_fail(err, ENG_ERR_USAGE, "The %s must be a JSON object.", what);
    open++;
    open += strspn(open, " \t\r\n");
    if (open == close) return true;
    add_text(t, ",");
    add(t, open, (size_t)(close - open));
    return true;
}

static bool build_request(Text *t, const EngMessage *messages, size_t n, const char *variables,
                          bool answers, EngError *err)
{
    add_text(t, answers ? "{\"add_generation_prompt\":true,\"messages\":["
                        : "{\"add_generation_prompt\":false,\"messages\":[");
    for (size_t i = 0; i < n; i++) {
        const EngMessage *m = &messages[i];
        add_text(t, i ? ",{\"role\":" : "{\"role\":");
        add_json_string(t, m->role, strlen(m->role));
        if (m->content) {
            add_text(t, ",\"content\":");
            add_json_string(t, m->content, strlen(m->content));
        }
        if (m->thinking && *m->thinking) {
            add_text(t, ",\"reasoning_content\":");
            add_json_string(t, m->thinking, strlen(m->thinking));
        }
        if (m->extra && !add_members(t, m->extra, "message's further fields", err)) return false;
        add_text(t, "}");
    }
    add_text(t, "]");
    if (variables && !add_members(t, variables, "template's variables", err)) return false;
    add_text(t, "}");
    return true;
}

static void plain_prompt(Text *t, const EngMessage *messages, size_t n, bool answers)
{
    for (size_t i = 0; i < n; i++) {
        add_text(t, messages[i].role);
        add_text(t, ": ");
        if (messages[i].content) add_text(t, messages[i].content);
        add_text(t, "\n");
    }
    if (answers) add_text(t, "assistant:");
}

char *eng_prompt_defaults(const EngModel *model)
{
    const EngTokenizer *t = model->tokenizer;
    const struct {
        const char *name;
        int32_t token;
    } all[] = {{"bos_token", eng_tokenizer_bos(t)},
               {"eos_token", eng_tokenizer_eos(t)},
               {"unk_token", eng_tokenizer_unk(t)},
               {"pad_token", eng_tokenizer_pad(t)}};
    Text json = {0};
    add_text(&json, "{");
    for (size_t i = 0; i < ENG_LEN(all); i++) {
        const char *piece;
        size_t n = all[i].token < 0 ? 0 : eng_tokenizer_piece(t, all[i].token, true, false, &piece);
        if (n == 0) continue;
        if (json.n > 1) add_text(&json, ",");
        add_json_string(&json, all[i].name, strlen(all[i].name));
        add_text(&json, ":");
        add_json_string(&json, piece, n);
    }
    add_text(&json, "}");
    return json.data;
}

/* `answers`: with the beginning of the next answer. */
static bool render(const EngModel *model, const EngMessage *messages, size_t n,
                   const char *variables, bool answers, char **ret_text, size_t *ret_len,
                   EngError *err)
{
    Text request = {0};
    if (!model->tmpl && model->tmpl_error.code)
        return eng_fail(err, model->tmpl_error.code, "%s", model->tmpl_error.message);
    if (!model->tmpl) {
        plain_prompt(&request, messages, n, answers);
        *ret_text = request.data;
        *ret_len = request.n;
        return true;
    }
    bool ok = build_request(&request, messages, n, variables, answers, err);
    if (ok) {
        char *defaults = eng_prompt_defaults(model);
        ok = eng_template_render(model->tmpl, request.data, defaults, NULL, ret_text, ret_len, NULL,
                                 err);
        free(defaults);
    }
    free(request.data);
    return ok;
}

/* ---- an answer that is gone on with ---------------------------------------------------------- */

/* Marks where the answer breaks off: two characters for private use, which no template knows. */
#define MARK "\xee\xa0\xb3\xee\xa2\x9f"

static size_t trimmed(const char *s, size_t n)
{
    while (n > 0 && strchr(" \n\t\r", s[n - 1])) n--;
    return n;
}

static bool ends_with(const char *s, size_t n, const char *end)
{
    size_t len = strlen(end);
    return n >= len && memcmp(s + n - len, end, len) == 0;
}

static const char *find_last(const char *s, const char *what)
{
    const char *found = NULL;
    for (const char *at = s; (at = strstr(at, what)); at++) found = at;
    return found;
}

/* The text of the whole turn as the template writes it, up to the mark, if it holds what it should
 * and begins as the prompt does (but for a <think> that the prompt opens). */
static bool cut_at_mark(EngPrompt *p, const char *whole, const char *thinking, const char *content)
{
    size_t base = trimmed(p->text, p->len);
    if (ends_with(p->text, base, "<think>")) base = trimmed(p->text, base - strlen("<think>"));
    const char *mark = find_last(whole, MARK), *thought;
    if (!mark || strncmp(whole, p->text, base) != 0 || mark < whole + base) return false;
    size_t n = (size_t)(mark - whole);
    if (!ends_with(whole + base, n - base, *content ? content : thinking)) return false;
    thought = strstr(whole + base, thinking);
    if (!thought || thought > mark) return false;
    p->begun = eng_strndup(whole, n);
    p->begun_len = n;
    return true;
}

/* `all`: a copy of the messages, whose last one is marked here. */
static bool take_template(EngPrompt *p, const EngModel *model, EngMessage *all, size_t n,
                          const char *variables)
{
    EngMessage *last = &all[n - 1];
    const char *thinking = last->thinking, *content = last->content;
    const char **end = *content ? &last->content : &last->thinking;
    Text marked = {0};
    char *whole;
    size_t len;
    add_text(&marked, *end);
    add_text(&marked, MARK);
    *end = marked.data;
    bool ok = render(model, all, n, variables, false, &whole, &len, NULL);
    if (ok) {
        ok = cut_at_mark(p, whole, thinking, content);
        free(whole);
    }
    free(marked.data);
    return ok;
}

/* The common form, where the template leaves thoughts out or writes past turns in another way. */
static void take_common(EngPrompt *p, const char *thinking, const char *content)
{
    Text t = {0};
    size_t n = trimmed(p->text, p->len);
    bool opened = ends_with(p->text, n, "<think>"), closed = ends_with(p->text, n, "</think>");
    bool tight = opened && n == p->len; /* a family that puts no line break after the tag */
    add(&t, p->text, p->len);
    if (*thinking && !closed) {
        if (!opened) add_text(&t, "<think>\n");
        add_text(&t, thinking);
        opened = true;
    }
    if (*content && opened) add_text(&t, tight ? "</think>" : "\n</think>\n\n");
    add_text(&t, content);
    p->begun = t.data;
    p->begun_len = t.n;
}

static void begin(EngPrompt *p, const EngModel *model, const EngMessage *messages, size_t n,
                  const char *variables)
{
    EngMessage last = messages[n - 1];
    const char *thinking = last.thinking ? last.thinking : "";
    const char *content = last.content ? last.content : "";
    if (!*thinking && !*content) return;
    EngMessage *all = eng_alloc0(n * sizeof *all);
    memcpy(all, messages, n * sizeof *all);
    all[n - 1].thinking = thinking;
    all[n - 1].content = content;
    if (!take_template(p, model, all, n, variables)) take_common(p, thinking, content);
    free(all);
    if (p->begun_len == p->len) { /* a thought where the template allows none: answered afresh */
        free(p->begun);
        p->begun = NULL;
        return;
    }
    p->part = *content ? ENG_PART_ANSWER : ENG_PART_THINKING;
    p->thought = *thinking != 0;
}

bool eng_prompt_render(const EngModel *model, const EngMessage *messages, size_t n,
                       const char *variables, EngPrompt *ret_prompt, EngError *err)
{
    EngPrompt p = {.part = ENG_PART_ANSWER};
    bool goes_on = n > 0 && strcmp(messages[n - 1].role, "assistant") == 0;
    if (!render(model, messages, goes_on ? n - 1 : n, variables, true, &p.text, &p.len, err))
        return false;
    if (goes_on) begin(&p, model, messages, n, variables);
    *ret_prompt = p;
    return true;
}

void eng_prompt_clear(EngPrompt *prompt)
{
    free(prompt->text);
    free(prompt->begun);
    *prompt = (EngPrompt){0};
}
