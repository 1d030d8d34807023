#include "cli/base/tokens.h"

#include <string.h>

#include "cli/base/options.h"

#define SPACE " \t\r\n"

static bool take(const char *p, size_t len, GArray *tokens, GError **error)
{
    char number[16];
    gint64 id;
    g_strlcpy(number, p, MIN(sizeof number, len + 1));
    if (len >= sizeof number || !hearth_options_number(number, 0, G_MAXINT32, &id))
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "\"%.*s\" is no token id: ids are whole numbers from 0.",
                            (int)MIN(len, 40), p);
    int32_t token = (int32_t)id;
    g_array_append_val(tokens, token);
    return true;
}

bool hearth_tokens_parse(const char *text, GArray *tokens, GError **error)
{
    const char *p = text + strspn(text, SPACE);
    if (!*p)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "There are no token ids: write them as 1,2,3.");
    while (*p) {
        size_t len = strcspn(p, "," SPACE);
        if (!take(p, len, tokens, error)) return false;
        p += len;
        p += strspn(p, SPACE);
        if (*p != ',') continue;
        p++;
        p += strspn(p, SPACE);
        if (!*p || *p == ',')
            return hearth_error(error, HEARTH_ERROR_USAGE,
                                "There is no token id behind a comma at byte %zu: write 1,2,3.",
                                (size_t)(p - text));
    }
    return true;
}

bool hearth_tokens_check(const GArray *tokens, const EngModel *model, GError **error)
{
    int n_vocab = eng_model_info(model).n_vocab;
    for (guint i = 0; i < tokens->len; i++) {
        int32_t token = g_array_index(tokens, int32_t, i);
        if (token >= n_vocab)
            return hearth_error(error, HEARTH_ERROR_REFUSED,
                                "Token %d is not in this vocabulary: its ids run from 0 to %d.",
                                token, n_vocab - 1);
    }
    return true;
}
