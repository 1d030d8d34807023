/* The chat templates' interpreter against what Python's jinja2 renders or raises: the templates of
 * $HEARTH_SHARED, and the committed vectors (make_chat_vectors.py). With --serve it renders what it
 * reads on stdin, for that script's live comparison. */
#include "test.h"

#include "chat/chat.h"
#include "chat/value/json.h"
#include "chat/value/str.h"

/* ---- helpers ---- */

static char *read_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    size_t n = 0, cap = 1 << 16;
    char *data = malloc(cap);
    if (!f) {
        free(data);
        return NULL;
    }
    for (size_t got; (got = fread(data + n, 1, cap - n - 1, f)) > 0;) {
        n += got;
        if (cap - n < 4096) data = realloc(data, cap *= 2);
    }
    fclose(f);
    data[n] = 0;
    *ret_n = n;
    return data;
}

/* A JSON document, read by the interpreter's own reader; cleared with eng_arena_clear(&run->arena).
 */
static bool read_json(EngRun *run, const char *text, size_t n, EngValue *ret)
{
    *run = (EngRun){0};
    if (setjmp(run->trap)) {
        CHECK_MSG(false, "%.*s", (int)run->message->n, run->message->data);
        return false;
    }
    *ret = eng_json_parse(run, text, n);
    return true;
}

static EngValue member(EngRun *run, EngValue object, const char *key)
{
    EngValue v = eng_value_missing();
    eng_dict_get_text(run, object.u.dict, key, &v);
    return v;
}

static char *dump(EngRun *run, EngValue v)
{
    EngStr comma = {.data = ",", .n = 1}, colon = {.data = ":", .n = 1};
    EngJsonStyle style = {.item_separator = &comma, .key_separator = &colon};
    EngStr *s = eng_json_dump(run, v, &style);
    return eng_strndup(s->data, s->n);
}

/* Renders; the result or the message, 'O', 'E' (rendering failed) or 'S' (parsing failed). free().
 */
static char *outcome(const char *tmpl, size_t n, const char *request, const char *defaults,
                     const char *now, char *ret_kind)
{
    EngError err = {0};
    char *text = NULL, *message = NULL;
    size_t len;
    EngTemplate *t = eng_template_new(tmpl, n, &err);
    if (!t) {
        *ret_kind = 'S';
        return eng_strndup(err.message, strlen(err.message));
    }
    bool ok = eng_template_render(t, request, defaults, now, &text, &len, &message, &err);
    *ret_kind = ok ? 'O' : 'E';
    CHECK(ok || err.code == ENG_ERR_REFUSED);
    eng_template_free(t);
    return ok ? text : message;
}

static bool differs_at(const char *got, const EngStr *want)
{
    return strlen(got) != want->n || memcmp(got, want->data, want->n) != 0;
}

/* ---- shared templates ---- */

static const char *const shared[] = {
    "Apertus-8B-Instruct",
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "GLM-4.6",
    "GLM-4.7-Flash",
    "HuggingFaceTB-SmolLM3-3B",
    "Kimi-K2-Instruct",
    "LFM2-8B-A1B",
    "MiMo-VL",
    "MiroThinker",
    "Mistral-Small-3.2-24B-Instruct-2506",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
    "Qwen-QwQ-32B",
    "Qwen-Qwen2.5-7B-Instruct",
    "Qwen-Qwen3-0.6B",
    "StepFun3.5-Flash",
    "deepseek-ai-DeepSeek-R1-Distill-Llama-8B",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "deepseek-ai-DeepSeek-V3.1",
    "deepseek-ai-DeepSeek-V3.2",
    "fireworks-ai-llama-3-firefunction-v2",
    "google-gemma-2-2b-it",
    "ibm-granite-granite-3.3-2B-Instruct",
    "llama-cpp-deepseek-r1",
    "meetkai-functionary-medium-v3.1",
    "meta-llama-Llama-3.1-8B-Instruct",
    "meta-llama-Llama-3.3-70B-Instruct",
    "microsoft-Phi-3.5-mini-instruct",
    "mistralai-Mistral-Nemo-Instruct-2407",
    "moonshotai-Kimi-K2",
    "openai-gpt-oss-120b",
};

static void check_shared(const char *name, const char *tmpl, size_t n_tmpl, EngRun *run,
                         EngValue doc)
{
    char *tokens = dump(run, member(run, doc, "tokens")), *now = NULL;
    EngValue when = member(run, doc, "now"), cases = member(run, doc, "cases");
    if (when.type == ENG_V_STR) now = eng_strndup(when.u.str->data, when.u.str->n);
    for (size_t i = 0; i < cases.u.list->n; i++) {
        EngValue one = cases.u.list->items[i], want = member(run, one, "output");
        char kind, want_kind = want.type == ENG_V_STR ? 'O' : 'E';
        if (want_kind == 'E') want = member(run, one, "error");
        char *request = dump(run, member(run, one, "input"));
        char *got = outcome(tmpl, n_tmpl, request, tokens, now, &kind);
        EngStr *title = member(run, one, "case").u.str;
        CHECK_MSG(kind == want_kind && !differs_at(got, want.u.str),
                  "%s, %.*s:\n%c %s\nnot\n%c %.*s", name, (int)title->n, title->data, kind, got,
                  want_kind, (int)want.u.str->n, want.u.str->data);
        free(got);
        free(request);
    }
    free(now);
    free(tokens);
}

static void shared_templates(void)
{
    for (size_t i = 0; i < TEST_COUNT(shared); i++) {
        char name[256];
        size_t n_tmpl, n_cases;
        EngRun run;
        EngValue doc;
        snprintf(name, sizeof name, "chat-templates/templates/%s.jinja", shared[i]);
        const char *path = test_shared(name);
        if (!path) return test_skip("HEARTH_SHARED has no chat templates");
        char *tmpl = read_file(path, &n_tmpl);
        snprintf(name, sizeof name, "chat-templates/cases/%s.json", shared[i]);
        path = test_shared(name);
        char *cases = path ? read_file(path, &n_cases) : NULL;
        CHECK_MSG(cases, "no cases for %s", shared[i]);
        if (cases && read_json(&run, cases, n_cases, &doc)) {
            check_shared(shared[i], tmpl, n_tmpl, &run, doc);
            eng_arena_clear(&run.arena);
        }
        free(cases);
        free(tmpl);
    }
}

/* ---- committed vectors ---- */

static void language(void)
{
    size_t n;
    EngRun run;
    EngValue doc;
    char *text = read_file(TEST_DIR "/vectors/chat/language.json", &n);
    CHECK(text);
    if (!text || !read_json(&run, text, n, &doc)) return;
    EngValue cases = member(&run, doc, "cases"), requests = member(&run, doc, "requests");
    CHECK(cases.u.list->n > 500);
    for (size_t i = 0; i < cases.u.list->n; i++) {
        const EngValue *row = cases.u.list->items[i].u.list->items;
        const EngStr *tmpl = row[0].u.str, *want = row[3].u.str;
        char *request = dump(&run, requests.u.list->items[row[1].u.i]), kind;
        char *got = outcome(tmpl->data, tmpl->n, request, NULL, "2026-03-09T08:05:07", &kind);
        bool cut = kind == 'S' && want->n > 250; /* EngError.message is shorter than that */
        CHECK_MSG(kind == row[2].u.str->data[0] && (cut || !differs_at(got, want)),
                  "%.*s\n%c %s\nnot\n%c %.*s", (int)tmpl->n, tmpl->data, kind, got,
                  row[2].u.str->data[0], (int)want->n, want->data);
        free(got);
        free(request);
    }
    eng_arena_clear(&run.arena);
    free(text);
}

/* ---- beyond the reference ---- */

static void expect(const char *tmpl, const char *request, char want_kind, const char *want)
{
    char kind, *got = outcome(tmpl, strlen(tmpl), request, NULL, NULL, &kind);
    CHECK_MSG(kind == want_kind && strcmp(got, want) == 0, "%.200s: %c %.200s, not %c %s", tmpl,
              kind, got, want_kind, want);
    free(got);
}

static void generation_blocks(void)
{
    expect("{% for m in l %}{% generation %}{{ m }}{% endgeneration %}{% endfor %}",
           "{\"l\":[1,2]}", 'O', "12");
    expect("{% generation %}", "{}", 'S',
           "Unexpected end of template. Jinja was looking for the following tags: 'endgeneration'. "
           "The innermost block that needs to be closed is 'generation'.");
}

static void bad_requests(void)
{
    expect("x", "[1]", 'E', "The request is not a JSON object.");
    expect("x", "{\"a\":1,}", 'E', "The request is not JSON: '\"' expected at byte 7 (line 1).");
    expect("x", "{\"a\": 01}", 'E',
           "The request is not JSON: ',' or '}' expected at byte 7 (line 1).");
    expect("x", "{\"a\": \"\x01\"}", 'E',
           "The request is not JSON: control character in a string at byte 7 (line 1).");
    expect("x", "", 'E', "The request is not JSON: it ends too early at byte 0 (line 1).");
    expect("x", "{\"a\": \"\xff\"}", 'E', "The request is not UTF-8 text.");
    expect("{{ a }}", "{\"a\": \"\\ud83d\\ude00\\ud800\"}", 'O', "\U0001f600\xef\xbf\xbd");
    expect("\xff", "{}", 'S', "The chat template is not UTF-8 text.");
}

static void limits(void)
{
    expect("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "{}",
           'E', "The template does not end: stopped after 50000000 steps.");
    expect("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{}", 'E',
           "maximum recursion depth exceeded");
    expect("{{ 'x' * 99999999999 }}", "{}", 'E', "The template's text grows beyond 64 MiB.");
    expect("{{ 'x'.ljust(99999999999) }}", "{}", 'E', "The template's text grows beyond 64 MiB.");
    expect("{{ [1] * 99999999999 }}", "{}", 'E',
           "The template needs more than 1024 MiB of memory.");
    expect("{{ range(1000000) }}", "{}", 'E',
           "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
    expect("{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% "
           "endfor %}"
           "{{ ns.l }}",
           "{}", 'E', "maximum recursion depth exceeded");
    static const char *const too_large[] = {
        "{{ 9223372036854775807 + 1 }}", "{{ 9223372036854775807|round(-5) }}",
        "{{ -9223372036854775808|round(-1) }}", "{{ -6000000000000000000|round(-19) }}",
        "{{ 9223372036854775808|round(-2) }}"};
    for (size_t i = 0; i < TEST_COUNT(too_large); i++)
        expect(too_large[i], "{}", 'E',
               "The template computes an integer beyond 64 bits, which is not supported.");
}

static void nesting(void)
{
    enum { DEEP = 5000 };
    char *text = calloc(1, DEEP * 16);
    memset(text, '(', DEEP);
    memcpy(text, "{{", 2);
    char kind, *got = outcome(text, strlen(text), "{}", NULL, NULL, &kind);
    CHECK_STR(got, "The template nests more than 180 levels deep.");
    CHECK(kind == 'S');
    free(got);
    memset(text, 0, DEEP * 16);
    for (int i = 0; i < DEEP; i++) memcpy(text + 10 * i, "{% if x %}", 10);
    got = outcome(text, strlen(text), "{}", NULL, NULL, &kind);
    CHECK_STR(got, "The template nests more than 180 levels deep.");
    free(got);
    memcpy(text, "{{ 1", 4);
    for (int i = 0; i < DEEP; i++) memcpy(text + 4 + 2 * i, "+1", 2);
    strcpy(text + 4 + 2 * DEEP, " }}");
    got = outcome(text, strlen(text), "{}", NULL, NULL, &kind);
    CHECK_STR(got, "The template's expression on line 1 is too long.");
    free(got);
    memset(text, '[', DEEP);
    memcpy(text, "{\"a\":", 5);
    text[DEEP] = 0;
    got = outcome("x", 1, text, NULL, NULL, &kind);
    CHECK_STR(got, "The request is not JSON: nested too deeply at byte 204 (line 1).");
    free(got);
    free(text);
}

/* Building a text in a loop is linear, so a long conversation fits the limits. */
static void long_texts(void)
{
    EngError err;
    char *text = NULL;
    size_t n = 0;
    const char *tmpl = "{% set ns = namespace(t='') %}{% for i in range(100000) %}"
                       "{% set ns.t = ns.t + 'some words ' ~ i %}{% endfor %}{{ ns.t }}";
    EngTemplate *t = eng_template_new(tmpl, strlen(tmpl), &err);
    CHECK(t && eng_template_render(t, "{}", NULL, NULL, &text, &n, NULL, &err));
    CHECK_INT(n, 100000 * 11 + 488890);
    free(text);
    eng_template_free(t);
}

static int serve(void)
{
    size_t n_tmpl, n_request;
    while (scanf("%zu %zu", &n_tmpl, &n_request) == 2 && getchar() == '\n') {
        char *tmpl = calloc(1, n_tmpl + 1), *request = calloc(1, n_request + 1), kind;
        if (fread(tmpl, 1, n_tmpl, stdin) != n_tmpl ||
            fread(request, 1, n_request, stdin) != n_request)
            return 1;
        char *got = outcome(tmpl, n_tmpl, request, NULL, "2026-03-09T08:05:07", &kind);
        printf("%c %zu\n%s\n", kind, strlen(got), got);
        fflush(stdout);
        free(got);
        free(tmpl);
        free(request);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"shared_templates", shared_templates},
        {"language", language},
        {"generation_blocks", generation_blocks},
        {"bad_requests", bad_requests},
        {"limits", limits},
        {"nesting", nesting},
        {"long_texts", long_texts},
    };
    if (argc == 2 && strcmp(argv[1], "--serve") == 0) return serve();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
