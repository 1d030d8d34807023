#include "plan/rules.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

typedef struct {
    const EngOutline *outline;
    int gpus, nodes;
    EngRuled *ruled;
    int line;
    EngError *err;
} Reader;

typedef struct {
    const char *s;
    size_t n;
} Word;

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

static Word next_word(const char **at, const char *end)
{
    while (*at < end && is_blank(**at)) ++*at;
    Word w = {*at, 0};
    while (*at < end && !is_blank(**at)) ++*at;
    w.n = (size_t)(*at - w.s);
    return w;
}

static bool word_is(Word w, const char *text)
{
    return w.n == strlen(text) && memcmp(w.s, text, w.n) == 0;
}

static bool starts(Word w, const char *key, Word *ret_value)
{
    size_t n = strlen(key);
    if (w.n < n || memcmp(w.s, key, n) != 0) return false;
    *ret_value = (Word){w.s + n, w.n - n};
    return true;
}

#define SHOWN(w) (int)ENG_MIN((w).n, 60), (w).s

static bool read_device(const Reader *r, Word name, EngPlace *ret)
{
    if (word_is(name, "cpu")) return *ret = (EngPlace){ENG_PLACE_CPU, -1}, true;
    if (word_is(name, "disk")) return *ret = (EngPlace){ENG_PLACE_DISK, -1}, true;
    for (int i = 0; i < r->gpus; i++) {
        char gpu[16];
        snprintf(gpu, sizeof gpu, "gpu%d", i);
        if (word_is(name, gpu)) return *ret = (EngPlace){ENG_PLACE_GPU, i}, true;
    }
    if (word_is(name, "gpu0"))
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules: there is no GPU here: leave the line out, or plan "
                        "for one with a size of VRAM.",
                        r->line);
    for (int i = 0; i < r->nodes; i++) {
        char node[16];
        snprintf(node, sizeof node, "numa%d", i);
        if (word_is(name, node)) return *ret = (EngPlace){ENG_PLACE_CPU, i}, true;
    }
    return eng_fail(r->err, ENG_ERR_USAGE,
                    "Line %d of the rules: there is no device \"%.*s\": it can be gpu0 to gpu%d, "
                    "cpu, disk or numa0 to numa%d.",
                    r->line, SHOWN(name), ENG_MAX(r->gpus, 1) - 1, r->nodes - 1);
}

static bool read_key(const Reader *r, Word word, bool *has_device, EngPlace *ret)
{
    Word value;
    if (starts(word, "device=", &value)) {
        if (*has_device)
            return eng_fail(r->err, ENG_ERR_USAGE, "Line %d of the rules names two devices.",
                            r->line);
        *has_device = true;
        return read_device(r, value, ret);
    }
    if (starts(word, "kernel=", &value))
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules: there is no kernel \"%.*s\" to choose: each format "
                        "has its own in this version.",
                        r->line, SHOWN(value));
    if (starts(word, "layout=", &value))
        return word_is(value, "file") ||
               eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules: there is no layout \"%.*s\": in this version it can "
                        "only be file.",
                        r->line, SHOWN(value));
    return eng_fail(r->err, ENG_ERR_USAGE,
                    "Line %d of the rules: \"%.*s\" is not understood: it can be device=…, "
                    "kernel=… or layout=….",
                    r->line, SHOWN(word));
}

static bool apply(Reader *r, Word pattern, bool places, EngPlace place)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern.s, pattern.n, PCRE2_UTF, &code, &at, NULL);
    if (!re) {
        char why[120] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules: \"%.*s\" is no regular expression: %s.", r->line,
                        SHOWN(pattern), why);
    }
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(re, NULL);
    int found = 0, result = 0;
    const EngOutline *o = r->outline;
    for (size_t i = 0; i < o->parts.n && result >= PCRE2_ERROR_NOMATCH; i++) {
        const char *name = o->parts.data[i].name;
        if (!*name) continue;
        result = pcre2_match(re, (PCRE2_SPTR)name, strlen(name), 0, 0, match, NULL);
        if (result < 0) continue;
        found++;
        if (places && !r->ruled[i].line) r->ruled[i] = (EngRuled){r->line, place};
    }
    pcre2_match_data_free(match);
    pcre2_code_free(re);
    if (result < PCRE2_ERROR_NOMATCH)
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules: \"%.*s\" takes too long to look for.", r->line,
                        SHOWN(pattern));
    return found > 0 ||
           eng_fail(r->err, ENG_ERR_USAGE,
                    "Line %d of the rules: no tensor of this model is called \"%.*s\".", r->line,
                    SHOWN(pattern));
}

static bool read_line(Reader *r, const char *at, const char *end)
{
    Word pattern = next_word(&at, end), word, value;
    EngPlace place = {0};
    bool has_device = false, any = false;
    if (pattern.n == 0 || pattern.s[0] == '#') return true;
    if (starts(pattern, "plugin=", &value))
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules: \"%.*s\" is not loaded: this version takes no "
                        "plug-ins.",
                        r->line, SHOWN(value));
    while ((word = next_word(&at, end)).n > 0 && word.s[0] != '#') {
        if (!read_key(r, word, &has_device, &place)) return false;
        any = true;
    }
    if (!any)
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules says nothing about \"%.*s\": add device=….", r->line,
                        SHOWN(pattern));
    return apply(r, pattern, has_device, place);
}

/* An op computes in one place: what it multiplies with has to lie together. */
static bool ops_agree(const Reader *r)
{
    const EngOutline *o = r->outline;
    for (size_t i = 0; i < o->graph.ops.n; i++) {
        int parts[ENG_LINEAR_MAX], n = eng_outline_op(o, i, parts);
        for (int j = 1; j < n; j++) {
            const EngRuled *a = &r->ruled[parts[0]], *b = &r->ruled[parts[j]];
            if (!a->line == !b->line &&
                (!a->line || (a->place.kind == b->place.kind && a->place.index == b->place.index)))
                continue;
            return eng_fail(r->err, ENG_ERR_USAGE,
                            "Line %d of the rules parts \"%.60s\" from \"%.60s\", which are "
                            "multiplied together: give both one device.",
                            ENG_MAX(a->line, b->line), o->parts.data[parts[0]].name,
                            o->parts.data[parts[j]].name);
        }
    }
    return true;
}

bool eng_rules_read(const char *text, const EngOutline *outline, int gpus, int nodes, EngRuled *ret,
                    EngError *err)
{
    Reader r = {outline, gpus, nodes, ret, 0, err};
    while (*text) {
        const char *end = text + strcspn(text, "\n");
        r.line++;
        if (!read_line(&r, text, end)) return false;
        text = *end ? end + 1 : end;
    }
    return ops_agree(&r);
}

int eng_rules_gpus(const char *text)
{
    static const char key[] = "device=gpu";
    int n = 0;
    while (text && (text = strstr(text, key))) {
        text += sizeof key - 1;
        int number = *text >= '0' && *text <= '9' ? *text - '0' : 0;
        n = ENG_MAX(n, ENG_MIN(number + 1, ENG_MAX_GPUS));
    }
    return n;
}
