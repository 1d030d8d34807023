#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/split.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/num.h"
#include "text/unicode.h"
#include "text/utf8.h"

struct EngSplit {
    const EngSplitRule *rule;
    int n_steps;
    pcre2_code *codes[ENG_SPLIT_STEPS];
};

struct EngSplitter {
    const EngSplit *split;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    char *shown; /* the text with stand-ins */
    size_t shown_cap;

    const char *text, *as_shown; /* of the run in progress */
    EngSplitFn *emit;
    void *arg;
    EngError *err;
};

/* ---- the immutable part ---------------------------------------------------------------------- */

static bool has_name(const char *names, const char *name, size_t len)
{
    while (*names) {
        size_t n = strcspn(names, " ");
        if (n == len && memcmp(names, name, n) == 0) return true;
        names += n + (names[n] == ' ');
    }
    return false;
}

static const EngSplitRule *find_rule(const char *name, size_t len)
{
    for (size_t i = 0; i < eng_split_table_n; i++)
        if (has_name(eng_split_table[i].names, name, len)) return &eng_split_table[i];
    return NULL;
}

static pcre2_code *compile(const char *pattern, EngError *err)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &code, &at, NULL);
    if (!re) {
        char why[120] = "";
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        eng_fail(err, ENG_ERR_REFUSED,
                 "The PCRE2 library of this system cannot read a pre-tokenizer pattern (%s); "
                 "install PCRE2 10.40 or newer.",
                 why);
        return NULL;
    }
    pcre2_jit_compile(re, PCRE2_JIT_COMPLETE); /* without it: the same result, slower */
    return re;
}

EngSplit *eng_split_new(const char *name, size_t len, EngError *err)
{
    const EngSplitRule *rule = name ? find_rule(name, len) : find_rule("default", 7);
    if (!rule) {
        eng_fail(err, ENG_ERR_REFUSED,
                 "This vocabulary's pre-tokenizer \"%.*s\" is not known to this version; update "
                 "Hearth or choose another model.",
                 (int)ENG_MIN(len, 60), name);
        return NULL;
    }
    EngSplit *split = eng_alloc0(sizeof *split);
    split->rule = rule;
    for (; split->n_steps < ENG_SPLIT_STEPS; split->n_steps++) {
        const EngSplitStep *step = &rule->steps[split->n_steps];
        if (step->kind == ENG_SPLIT_END) break;
        if (!(split->codes[split->n_steps] = compile(step->pattern, err))) {
            eng_split_free(split);
            return NULL;
        }
    }
    return split;
}

void eng_split_free(EngSplit *split)
{
    if (!split) return;
    for (int i = 0; i < ENG_SPLIT_STEPS; i++) pcre2_code_free(split->codes[i]);
    free(split);
}

const EngSplitRule *eng_split_rule(const EngSplit *split) { return split->rule; }

/* ---- a run ----------------------------------------------------------------------------------- */

EngSplitter *eng_splitter_new(const EngSplit *split)
{
    EngSplitter *splitter = eng_alloc0(sizeof *splitter);
    splitter->split = split;
    splitter->match = pcre2_match_data_create(1, NULL);
    splitter->context = pcre2_match_context_create(NULL);
    if (!splitter->match || !splitter->context) abort(); /* no memory, as eng_alloc0 */
    splitter->stack = pcre2_jit_stack_create(32 << 10, 1 << 20, NULL);
    /* The patterns take linear time; a limit would only refuse long texts. */
    pcre2_set_match_limit(splitter->context, UINT32_MAX);
    pcre2_set_heap_limit(splitter->context, UINT32_MAX);
    if (splitter->stack) pcre2_jit_stack_assign(splitter->context, NULL, splitter->stack);
    return splitter;
}

void eng_splitter_free(EngSplitter *splitter)
{
    if (!splitter) return;
    pcre2_match_data_free(splitter->match);
    pcre2_match_context_free(splitter->context);
    pcre2_jit_stack_free(splitter->stack);
    free(splitter->shown);
    free(splitter);
}

static bool run_steps(EngSplitter *splitter, int step, size_t from, size_t n);

/* A piece of `step` goes on to the next step, or out. */
static bool hand_on(EngSplitter *splitter, int step, size_t from, size_t n)
{
    return n == 0 || run_steps(splitter, step + 1, from, n);
}

/* The digits [a, b) of the piece at `from`, in threes counted from b. What lies in [*done, a) goes
 * out first when a three begins at a, otherwise together with the digits up to the first three. */
static bool cut_threes(EngSplitter *splitter, int step, size_t from, size_t *done, size_t a,
                       size_t b)
{
    const char *s = splitter->text + from;
    size_t left = 0;
    for (size_t i = a; i < b; i++) left += ((uint8_t)s[i] & 0xc0) != 0x80;
    for (size_t i = a; i < b; i++) {
        if (((uint8_t)s[i] & 0xc0) == 0x80) continue;
        if (left-- % 3) continue;
        if (!hand_on(splitter, step, from + *done, i - *done)) return false;
        *done = i;
    }
    return true;
}

/* Next match at or after *at in the piece: 1, 0 when there is none, -1 on failure. */
static int next_match(EngSplitter *splitter, int step, const char *piece, size_t n, size_t at,
                      size_t *ret_from, size_t *ret_to)
{
    int rc = pcre2_match(splitter->split->codes[step], (PCRE2_SPTR)piece, n, at,
                         PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, splitter->match, splitter->context);
    if (rc == PCRE2_ERROR_NOMATCH) return 0;
    if (rc < 0) {
        char why[120] = "";
        pcre2_get_error_message(rc, (PCRE2_UCHAR *)why, sizeof why);
        eng_fail(splitter->err, ENG_ERR_REFUSED,
                 "The text cannot be cut into words (PCRE2: %s); split it into shorter texts.",
                 why);
        return -1;
    }
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(splitter->match);
    *ret_from = span[0];
    *ret_to = span[1];
    return 1;
}

static bool run_steps(EngSplitter *splitter, int step, size_t from, size_t n)
{
    if (step == splitter->split->n_steps) {
        splitter->emit(splitter->arg, from, n);
        return true;
    }
    const EngSplitStep *how = &splitter->split->rule->steps[step];
    EngSplitKind kind = how->kind;
    const char *piece = (how->literal ? splitter->text : splitter->as_shown) + from;
    size_t done = 0, at = 0, a, b;
    int found;
    while (at < n && (found = next_match(splitter, step, piece, n, at, &a, &b)) != 0) {
        if (found < 0) return false;
        at = b;
        if (kind == ENG_SPLIT_THREES) {
            if (!cut_threes(splitter, step, from, &done, a, b)) return false;
            continue;
        }
        if (!hand_on(splitter, step, from + done, a - done)) return false;
        done = a;
        if (kind == ENG_SPLIT_BEFORE) continue;
        if (kind == ENG_SPLIT_THREES_ISOLATE && !cut_threes(splitter, step, from, &done, a, b))
            return false;
        if (!hand_on(splitter, step, from + done, b - done)) return false;
        done = b;
    }
    return hand_on(splitter, step, from + done, n - done);
}

/* The text with its stand-ins: itself when there are none. They are as long as what they stand
 * for, so positions hold for both. */
static const char *show(EngSplitter *splitter, const char *text, size_t n)
{
    bool copied = false;
    for (size_t i = 0; i < n;) {
        if ((uint8_t)text[i] < 0xe0) { /* all of one and two bytes are old */
            i++;
            continue;
        }
        uint32_t cp;
        size_t len = eng_utf8_decode(text + i, n - i, &cp);
        uint32_t stand_in = eng_unicode_stand_in(cp);
        if (stand_in != cp) {
            if (!copied) {
                if (splitter->shown_cap < n) {
                    splitter->shown = eng_realloc(splitter->shown, n);
                    splitter->shown_cap = n;
                }
                memcpy(splitter->shown, text, n);
                copied = true;
            }
            eng_utf8_encode(stand_in, splitter->shown + i);
        }
        i += len;
    }
    return copied ? splitter->shown : text;
}

bool eng_splitter_run(EngSplitter *splitter, const char *text, size_t n, EngSplitFn *emit,
                      void *arg, EngError *err)
{
    splitter->text = text;
    splitter->as_shown = show(splitter, text, n);
    splitter->emit = emit;
    splitter->arg = arg;
    splitter->err = err;
    return n == 0 || run_steps(splitter, 0, 0, n);
}
