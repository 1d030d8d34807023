/* A chat template and a request for it: TEMPLATE NUL REQUEST; without the NUL the request is {}. */
#include <stdlib.h>
#include <string.h>

#include "chat/chat.h"
#include "fuzz.h"

static void render(const EngTemplate *tmpl, const char *request)
{
    EngError err = {0};
    char *text = NULL, *message = NULL;
    size_t n = 0;
    if (eng_template_render(tmpl, request, "{\"bos_token\": \"<s>\"}", "2026-03-09T08:05:07", &text,
                            &n, &message, &err)) {
        if (!text || text[n] != 0) __builtin_trap();
    } else if (!message || err.code != ENG_ERR_REFUSED) {
        __builtin_trap();
    }
    free(text);
    free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char sample[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi \\u00e9\"}], "
        "\"l\": [3, 1, 2], \"d\": {\"a\": 1.5, \"b\": null}, \"s\": \"a b\"}";
    EngError err = {0};
    const char *tmpl = (const char *)data, *end = size ? memchr(data, 0, size) : NULL;
    size_t n = end ? (size_t)(end - tmpl) : size;
    char *copy = malloc(n + 1), *request = NULL; /* of its own size: reading past it is seen */
    memcpy(copy, n ? tmpl : "", n);
    EngTemplate *parsed = eng_template_new(copy, n, &err);
    free(copy);
    if (!parsed) {
        if (err.code != ENG_ERR_REFUSED) __builtin_trap();
        return 0;
    }
    if (end) {
        size_t rest = size - n - 1;
        request = calloc(1, rest + 1);
        memcpy(request, end + 1, rest);
    }
    render(parsed, request ? request : sample);
    free(request);
    eng_template_free(parsed);
    return 0;
}
