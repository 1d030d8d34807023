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
                          EngError *err)
{
    add_text(t, "{\"add_generation_prompt\":true,\"messages\":[");
    for (size_t i = 0; i < n; i++) {
        const EngMessage *m = &messages[i];
        add_text(t, i ? ",{\"role\":" : "{\"role\":");
        add_json_string(t, m->role, strlen(m->role));
        if (m->content) {
            add_text(t, ",\"content\":");
            add_json_string(t, m->content, strlen(m->content));
        }
        if (m->extra && !add_members(t, m->extra, "message's further fields", err)) return false;
        add_text(t, "}");
    }
    add_text(t, "]");
    if (variables && !add_members(t, variables, "template's variables", err)) return false;
    add_text(t, "}");
    return true;
}

static void plain_prompt(Text *t, const EngMessage *messages, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        add_text(t, messages[i].role);
        add_text(t, ": ");
        if (messages[i].content) add_text(t, messages[i].content);
        add_text(t, "\n");
    }
    add_text(t, "assistant:");
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

bool eng_prompt_render(const EngModel *model, const EngMessage *messages, size_t n,
                       const char *variables, char **ret_text, size_t *ret_len, EngError *err)
{
    Text request = {0};
    if (!model->tmpl && model->tmpl_error.code)
        return eng_fail(err, model->tmpl_error.code, "%s", model->tmpl_error.message);
    if (!model->tmpl) {
        plain_prompt(&request, messages, n);
        *ret_text = request.data;
        *ret_len = request.n;
        return true;
    }
    bool ok = build_request(&request, messages, n, variables, err);
    if (ok) {
        char *defaults = eng_prompt_defaults(model);
        ok = eng_template_render(model->tmpl, request.data, defaults, NULL, ret_text, ret_len, NULL,
                                 err);
        free(defaults);
    }
    free(request.data);
    return ok;
}
