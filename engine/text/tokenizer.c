#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "text/bpe.h"
#include "text/nfc.h"
#include "text/special.h"
#include "text/split.h"
#include "text/spm.h"
#include "text/unicode.h"
#include "text/utf8.h"

/* Positions are 32 bits inside; a prompt is far shorter. */
#define MAX_TEXT (1u << 30)

struct EngTokenizer {
    EngVocab vocab;
    EngSpecial special; /* what is cut out of a text before anything else */
    EngSplit *split;    /* byte-level BPE */
    EngBpe bpe;
    EngSpm spm;
    bool adds_bos, adds_space;
};

/* ---- making ---------------------------------------------------------------------------------- */

static bool init_bpe(EngTokenizer *t, const EngGguf *gguf, EngError *err)
{
    EngGgufString pre;
    if (!eng_gguf_string(gguf, "tokenizer.ggml.pre", &pre, err)) return false;
    t->split = eng_split_new(pre.s, pre.n, err);
    if (!t->split) return false;
    const EngSplitRule *rule = eng_split_rule(t->split);
    t->adds_bos = rule->bos;
    if (rule->whole_first) eng_vocab_index_bytes(&t->vocab);
    if (!eng_bpe_init(&t->bpe, &t->vocab, gguf, rule->whole_first, err)) return false;
    eng_special_init(&t->special, &t->vocab,
                     1u << ENG_TOKEN_USER | 1u << ENG_TOKEN_CONTROL | 1u << ENG_TOKEN_UNKNOWN);
    return true;
}

static bool init_spm(EngTokenizer *t, const EngGguf *gguf, EngError *err)
{
    uint64_t adds_space;
    if (!eng_gguf_u64(gguf, "tokenizer.ggml.add_space_prefix", 1, &adds_space, err) ||
        !eng_spm_init(&t->spm, &t->vocab, err))
        return false;
    eng_vocab_index_bytes(&t->vocab);
    t->adds_space = adds_space != 0;
    t->adds_bos = true;
    eng_special_init(&t->special, &t->vocab, 1u << ENG_TOKEN_CONTROL | 1u << ENG_TOKEN_UNKNOWN);
    return true;
}

EngTokenizer *eng_tokenizer_new(const EngGguf *gguf, EngError *err)
{
    EngTokenizer *t = eng_alloc0(sizeof *t);
    uint64_t adds_bos;
    if (!eng_vocab_init(&t->vocab, gguf, err) ||
        !(t->vocab.spm ? init_spm(t, gguf, err) : init_bpe(t, gguf, err)) ||
        !eng_gguf_u64(gguf, "tokenizer.ggml.add_bos_token", t->adds_bos, &adds_bos, err)) {
        eng_tokenizer_free(t);
        return NULL;
    }
    t->adds_bos = adds_bos && t->vocab.bos >= 0;
    return t;
}

void eng_tokenizer_free(EngTokenizer *t)
{
    if (!t) return;
    eng_bpe_clear(&t->bpe);
    eng_spm_clear(&t->spm);
    eng_split_free(t->split);
    eng_special_clear(&t->special);
    eng_vocab_clear(&t->vocab);
    free(t);
}

/* ---- encoding -------------------------------------------------------------------------------- */

typedef struct {
    const EngTokenizer *t;
    EngSplitter *splitter;
    EngBpeScratch *scratch;
    const char *text;    /* valid UTF-8 that the splitter cuts */
    EngVec(char) spaced; /* a text with its space in front */
    EngTokens out;
} Run;

static void give_piece(void *arg, size_t from, size_t n)
{
    Run *run = arg;
    eng_bpe_encode(&run->t->bpe, run->scratch, run->text + from, n, &run->out);
}

/* A byte that is not part of any character: its own token, or else U+FFFD. */
static void give_stray_byte(Run *run, char byte)
{
    const EngVocab *vocab = &run->t->vocab;
    if (vocab->byte_tokens[(uint8_t)byte] >= 0)
        eng_vec_push(&run->out, vocab->byte_tokens[(uint8_t)byte]);
    else
        eng_bpe_encode(&run->t->bpe, run->scratch, "\xef\xbf\xbd", 3, &run->out);
}

static bool encode_bpe(Run *run, const char *text, size_t n, EngError *err)
{
    while (n) {
        size_t valid = eng_utf8_valid(text, n), len = valid;
        char *normal = eng_split_rule(run->t->split)->nfc ? eng_nfc_new(text, valid, &len) : NULL;
        run->text = normal ? normal : text;
        bool ok = eng_splitter_run(run->splitter, run->text, len, give_piece, run, err);
        free(normal);
        if (!ok) return false;
        if (valid == n) break;
        give_stray_byte(run, text[valid]);
        text += valid + 1;
        n -= valid + 1;
    }
    return true;
}

/* SentencePiece's text: a space in front, and "▁" is how a space is written. */
static void encode_spm(Run *run, const char *text, size_t n)
{
    run->spaced.n = 0;
    eng_vec_reserve(&run->spaced, n + 1);
    if (run->t->adds_space) eng_vec_push(&run->spaced, ' ');
    for (size_t i = 0; i < n; i++) {
        bool space = n - i >= 3 && memcmp(text + i, "\xe2\x96\x81", 3) == 0;
        eng_vec_push(&run->spaced, space ? ' ' : text[i]);
        if (space) i += 2;
    }
    eng_spm_encode(&run->t->spm, run->spaced.data, run->spaced.n, &run->out);
}

static size_t skip_spaces(const char *text, size_t n, size_t pos)
{
    uint32_t cp;
    while (pos < n) {
        size_t len = eng_utf8_decode(text + pos, n - pos, &cp);
        if (!len || !eng_unicode_is_space(cp)) break;
        pos += len;
    }
    return pos;
}

static bool encode_text(Run *run, const char *text, size_t n, EngError *err)
{
    if (n == 0) return true;
    if (!run->t->vocab.spm) return encode_bpe(run, text, n, err);
    encode_spm(run, text, n);
    return true;
}

/* Without parse_special a control token is text like any other; but no user-defined token is looked
 * for inside it (so do `tokenizers` with encode_special_tokens). */
static bool encode(Run *run, const char *text, size_t n, bool parse_special, EngError *err)
{
    const EngVocab *vocab = &run->t->vocab;
    size_t done = 0, at, len;
    int32_t id;
    bool search = parse_special || !vocab->spm;
    for (size_t pos = 0; search && pos < n;) {
        at = eng_special_find(&run->t->special, text, n, pos, &len, &id);
        if (at == n) break;
        pos = at + len;
        const EngToken *token = &vocab->tokens[id];
        if (!parse_special && token->type != ENG_TOKEN_USER) continue;
        if (!encode_text(run, text + done, at - done, err)) return false;
        eng_vec_push(&run->out, id);
        if (token->eats_right) pos = skip_spaces(text, n, pos);
        done = pos;
    }
    return encode_text(run, text + done, n - done, err);
}

bool eng_tokenizer_encode(const EngTokenizer *t, const char *text, size_t len,
                          EngTokenizeOptions options, int32_t **ret_tokens, size_t *ret_n,
                          EngError *err)
{
    Run run = {.t = t};
    if (len > MAX_TEXT)
        return eng_fail(err, ENG_ERR_USAGE,
                        "This text has %zu bytes, more than the %u that can be tokenized at once; "
                        "split it.",
                        len, MAX_TEXT);
    if (!t->vocab.spm) {
        run.splitter = eng_splitter_new(t->split);
        run.scratch = eng_bpe_scratch_new(len);
    }
    eng_vec_reserve(&run.out, len / 4 + 16);
    if (options.add_bos && t->adds_bos) eng_vec_push(&run.out, t->vocab.bos);
    bool ok = encode(&run, text, len, options.parse_special, err);
    eng_splitter_free(run.splitter);
    eng_bpe_scratch_free(run.scratch);
    free(run.spaced.data);
    if (!ok) {
        free(run.out.data);
        return false;
    }
    *ret_tokens = run.out.data;
    *ret_n = run.out.n;
    return true;
}

/* ---- decoding and questions ------------------------------------------------------------------ */

static bool in_range(const EngTokenizer *t, int32_t token)
{
    return token >= 0 && token < t->vocab.n;
}

size_t eng_tokenizer_piece(const EngTokenizer *t, int32_t id, bool special, bool first,
                           const char **ret_bytes)
{
    *ret_bytes = "";
    if (!in_range(t, id)) return 0;
    const EngToken *token = &t->vocab.tokens[id];
    bool hidden = token->type == ENG_TOKEN_CONTROL || token->type == ENG_TOKEN_UNKNOWN;
    if (hidden && !special) return 0;
    *ret_bytes = token->bytes;
    size_t n = token->bytes_len;
    if (first && t->adds_space && n > 0 && token->bytes[0] == ' ' && !hidden) {
        (*ret_bytes)++;
        n--;
    }
    return n;
}

int eng_tokenizer_size(const EngTokenizer *t) { return t->vocab.n; }
int32_t eng_tokenizer_bos(const EngTokenizer *t) { return t->vocab.bos; }
int32_t eng_tokenizer_eos(const EngTokenizer *t) { return t->vocab.eos; }
int32_t eng_tokenizer_unk(const EngTokenizer *t) { return t->vocab.unk; }
int32_t eng_tokenizer_pad(const EngTokenizer *t) { return t->vocab.pad; }
bool eng_tokenizer_adds_bos(const EngTokenizer *t) { return t->adds_bos; }

bool eng_tokenizer_is_end(const EngTokenizer *t, int32_t token)
{
    return in_range(t, token) && t->vocab.tokens[token].ends;
}

int32_t eng_tokenizer_find(const EngTokenizer *t, const char *s, size_t len)
{
    return eng_vocab_find(&t->vocab, &t->vocab.texts, s, len);
}
