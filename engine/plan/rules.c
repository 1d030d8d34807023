#include "plan/rules.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "plan/kernel/choice.h"

typedef struct {
    const EngOutline *outline;
    int gpus, nodes;
    EngRegistry *registry;
    EngRuled *ruled;
    EngRuledCache *cache;
    int line;
    EngError *err;
} Reader;

typedef struct {
    const char *s;
    size_t n;
} Word;

/* What a line says of the tensors that it is about. */
typedef struct {
    bool any, has_device;
    EngPlace place;
    Word kernel; /* n 0 = none */
} Rule;

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

/* "gpu0", or "gpu0 to gpu3". */
static const char *range(const char *kind, int n, char ret[40])
{
    int at = snprintf(ret, 40, "%s0", kind);
    if (n > 1) snprintf(ret + at, (size_t)(40 - at), " to %s%d", kind, n - 1);
    return ret;
}

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
    char gpus[40], nodes[40];
    return eng_fail(r->err, ENG_ERR_USAGE,
                    "Line %d of the rules: there is no device \"%.*s\": it can be %s, cpu, disk or "
                    "%s.",
                    r->line, SHOWN(name), range("gpu", r->gpus, gpus),
                    range("numa", r->nodes, nodes));
}

static bool read_key(const Reader *r, Word word, Rule *rule)
{
    Word value;
    rule->any = true;
    if (starts(word, "device=", &value)) {
        if (rule->has_device)
            return eng_fail(r->err, ENG_ERR_USAGE, "Line %d of the rules names two devices.",
                            r->line);
        rule->has_device = true;
        return read_device(r, value, &rule->place);
    }
    if (starts(word, "kernel=", &value)) {
        if (rule->kernel.n || !value.n)
            return eng_fail(r->err, ENG_ERR_USAGE, "Line %d of the rules names %s.", r->line,
                            value.n ? "two kernels" : "no kernel behind kernel=");
        rule->kernel = value;
        return true;
    }
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

static bool rule_part(Reader *r, size_t part, const Rule *rule, int *ret_multiplied)
{
    const EngPlanPart *p = &r->outline->parts.data[part];
    EngRuled *ruled = &r->ruled[part];
    if (rule->has_device && !ruled->line) {
        ruled->line = r->line;
        ruled->place = rule->place;
    }
    if (!rule->kernel.n || p->type == ENG_TYPE_COUNT) return true;
    ++*ret_multiplied;
    return eng_choice_rule(r->registry, p, r->line, rule->kernel.s, rule->kernel.n, ruled, r->err);
}

static bool apply(Reader *r, Word pattern, const Rule *rule)
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
    int found = 0, multiplied = 0, result = 0;
    bool ok = true;
    const EngOutline *o = r->outline;
    for (size_t i = 0; ok && i < o->parts.n && result >= PCRE2_ERROR_NOMATCH; i++) {
        const char *name = o->parts.data[i].name;
        if (!*name) continue;
        result = pcre2_match(re, (PCRE2_SPTR)name, strlen(name), 0, 0, match, NULL);
        if (result < 0) continue;
        found++;
        ok = rule_part(r, i, rule, &multiplied);
    }
    pcre2_match_data_free(match);
    pcre2_code_free(re);
    if (!ok) return false;
    if (result < PCRE2_ERROR_NOMATCH)
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules: \"%.*s\" takes too long to look for.", r->line,
                        SHOWN(pattern));
    if (!found)
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules: no tensor of this model is called \"%.*s\".",
                        r->line, SHOWN(pattern));
    return !rule->kernel.n || multiplied > 0 ||
           eng_fail(r->err, ENG_ERR_USAGE,
                    "Line %d of the rules: no kernel can be chosen for \"%.*s\", with which "
                    "nothing is multiplied as it is in the file.",
                    r->line, SHOWN(pattern));
}

/* The rest of the line, blanks in it included. */
static bool load_plugin(Reader *r, const char *path, const char *end)
{
    EngError why = {0};
    while (end > path && is_blank(end[-1])) end--;
    if (end == path)
        return eng_fail(r->err, ENG_ERR_USAGE, "Line %d of the rules names no file behind plugin=.",
                        r->line);
    return eng_registry_load(r->registry, path, (size_t)(end - path), &why) ||
           eng_fail(r->err, why.code, "Line %d of the rules: %s", r->line, why.message);
}

static bool read_policy(Reader *r, Word value)
{
    static const char *const names[] = {"lru", "pinned", "uniform", "off"}; /* EngCachePolicy */
    if (r->cache->line)
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Lines %d and %d of the rules both say experts=…: leave one out.",
                        r->cache->line, r->line);
    for (size_t i = 0; i < ENG_LEN(names); i++)
        if (word_is(value, names[i])) {
            *r->cache = (EngRuledCache){(EngCachePolicy)i, r->line};
            return true;
        }
    return eng_fail(r->err, ENG_ERR_USAGE,
                    "Line %d of the rules: experts cannot be cached by \"%.*s\": it can be lru, "
                    "pinned, uniform or off.",
                    r->line, SHOWN(value));
}

static bool read_line(Reader *r, const char *at, const char *end)
{
    Word pattern = next_word(&at, end), word, value;
    Rule rule = {0};
    if (pattern.n == 0 || pattern.s[0] == '#') return true;
    if (starts(pattern, "experts=", &value)) return read_policy(r, value);
    if (starts(pattern, "plugin=", &value)) return load_plugin(r, value.s, end);
    while ((word = next_word(&at, end)).n > 0 && word.s[0] != '#')
        if (!read_key(r, word, &rule)) return false;
    if (!rule.any)
        return eng_fail(r->err, ENG_ERR_USAGE,
                        "Line %d of the rules says nothing about \"%.*s\": add device=….", r->line,
                        SHOWN(pattern));
    return apply(r, pattern, &rule);
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

bool eng_rules_read(const char *text, const EngOutline *outline, int gpus, int nodes,
                    EngRegistry *registry, EngRuled *ret, EngRuledCache *ret_cache, EngError *err)
{
    Reader r = {outline, gpus, nodes, registry, ret, ret_cache, 0, err};
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
