#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>
#include "base/num.h"
#include "base/sys.h"
#include "text/unicode.h"
#include "text/utf8.h"

#define MAX_TOKENS (1u << 24)
#define SPM_SPACE "\xe2\x96\x81" /* U+2581, how SentencePiece writes a space */

/* ---- index ----------------------------------------------------------------------------------- */

/* Eight bytes at a time, multiplied and folded. Seeded, so that no file can aim at collisions. */
static uint64_t hash(uint64_t seed, const char *s, size_t n)
{
    uint64_t h = seed ^ n * 0x9e3779b97f4a7c15u, word;
    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&word, s, 8);
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    word = 0;
    if (n) memcpy(&word, s, n);
    h = (h ^ word) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

/* Some bits of the hash beside the id save nearly every look at a wrong token. */
typedef struct EngVocabSlot {
    int32_t id; /* -1 = free */
    uint32_t tag;
} Slot;

static void index_init(EngVocabIndex *index, int n, bool by_bytes)
{
    uint64_t slots = 16;
    while (slots < 2 * (uint64_t)n) slots *= 2;
    index->slots = eng_alloc0(slots * sizeof *index->slots);
    memset(index->slots, 0xff, slots * sizeof *index->slots);
    index->mask = slots - 1;
    index->seed = eng_sys_random();
    index->by_bytes = by_bytes;
}

/* The slot that holds the string, or the free one where it belongs. */
static Slot *index_slot(const EngVocab *vocab, const EngVocabIndex *index, const char *s, size_t n,
                        uint32_t *ret_tag)
{
    uint64_t h = hash(index->seed, s, n);
    uint32_t tag = *ret_tag = (uint32_t)h;
    for (uint64_t i = h >> 32;; i++) { /* the upper half depends on every byte */
        Slot *slot = &index->slots[i & index->mask];
        if (slot->id < 0) return slot;
        if (slot->tag != tag) continue;
        const EngToken *token = &vocab->tokens[slot->id];
        size_t len = index->by_bytes ? token->bytes_len : token->text_len;
        const char *have = index->by_bytes ? token->bytes : token->text;
        if (len == n && memcmp(have, s, n) == 0) return slot;
    }
}

int32_t eng_vocab_find(const EngVocab *vocab, const EngVocabIndex *index, const char *s, size_t n)
{
    uint32_t tag;
    return n ? index_slot(vocab, index, s, n, &tag)->id : -1;
}

static void index_add(EngVocab *vocab, EngVocabIndex *index, int32_t id)
{
    const EngToken *token = &vocab->tokens[id];
    const char *s = index->by_bytes ? token->bytes : token->text;
    size_t n = index->by_bytes ? token->bytes_len : token->text_len;
    if (!n) return; /* an empty token can be generated, never found */
    uint32_t tag;
    Slot *slot = index_slot(vocab, index, s, n, &tag);
    if (slot->id < 0) *slot = (Slot){id, tag};
}

/* ---- bytes of a token ------------------------------------------------------------------------ */

/* "Ġworld" → " world". What is not of the alphabet stays as it is. */
static size_t decode_byte_level(const EngToken *token, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < token->text_len;) {
        uint32_t cp;
        size_t len = eng_utf8_decode(token->text + i, token->text_len - i, &cp);
        int byte = len ? eng_unicode_to_byte(cp) : -1;
        if (byte >= 0) {
            out[n++] = (char)byte;
        } else {
            if (!len) len = 1;
            memcpy(out + n, token->text + i, len);
            n += len;
        }
        i += len;
    }
    return n;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "▁world" → " world", "<0x0A>" → "\n". */
static size_t decode_spm(const EngToken *token, char *out)
{
    const char *s = token->text;
    size_t n = 0, len = token->text_len;
    if (token->type == ENG_TOKEN_BYTE && len == 6 && memcmp(s, "<0x", 3) == 0 && s[5] == '>' &&
        hex(s[3]) >= 0 && hex(s[4]) >= 0) {
        out[0] = (char)(hex(s[3]) * 16 + hex(s[4]));
        return 1;
    }
    for (size_t i = 0; i < len;) {
        if (len - i >= 3 && memcmp(s + i, SPM_SPACE, 3) == 0) {
            out[n++] = ' ';
            i += 3;
        } else {
            out[n++] = s[i++];
        }
    }
    return n;
}

static bool is_literal(const EngVocab *vocab, const EngToken *token)
{
    return token->type == ENG_TOKEN_CONTROL || token->type == ENG_TOKEN_UNKNOWN ||
           (!vocab->spm && token->type == ENG_TOKEN_USER);
}

static void decode_tokens(EngVocab *vocab)
{
    size_t total = 0;
    for (int i = 0; i < vocab->n; i++) total += vocab->tokens[i].text_len;
    char *out = eng_arena_alloc(&vocab->arena, total + 1);
    for (int i = 0; i < vocab->n; i++) {
        EngToken *token = &vocab->tokens[i];
        token->bytes = out;
        if (is_literal(vocab, token)) {
            token->bytes = token->text;
            token->bytes_len = token->text_len;
        } else {
            size_t n = vocab->spm ? decode_spm(token, out) : decode_byte_level(token, out);
            token->bytes_len = (uint32_t)n;
            out += n;
        }
    }
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool read_texts(EngVocab *vocab, const EngGguf *gguf, EngError *err)
{
    const uint8_t *items;
    uint64_t n;
    if (!eng_gguf_array(gguf, "tokenizer.ggml.tokens", ENG_GGUF_STRING, &items, &n, err))
        return false;
    if (n == 0)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This file has no tokens (tokenizer.ggml.tokens); convert the model again "
                        "with its vocabulary.");
    if (n > MAX_TOKENS)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This vocabulary claims %llu tokens, more than the %u that are supported; "
                        "the file is probably damaged: download it again.",
                        (unsigned long long)n, MAX_TOKENS);
    vocab->n = (int)n;
    vocab->tokens = eng_alloc0(n * sizeof *vocab->tokens);
    for (uint64_t i = 0; i < n; i++) {
        EngGgufString s = eng_gguf_next_string(&items);
        if (s.n > UINT32_MAX)
            return eng_fail(err, ENG_ERR_REFUSED,
                            "Token %llu of this vocabulary is longer than 4 GiB; the file is "
                            "damaged: download it again.",
                            (unsigned long long)i);
        vocab->tokens[i].text = s.s;
        vocab->tokens[i].text_len = (uint32_t)s.n;
        vocab->tokens[i].type = ENG_TOKEN_NORMAL;
    }
    return true;
}

static bool check_length(const char *what, uint64_t have, int want, EngError *err)
{
    if (have == (uint64_t)want) return true;
    return eng_fail(err, ENG_ERR_REFUSED,
                    "This vocabulary has %d tokens but %llu %s; the file is damaged: download or "
                    "convert it again.",
                    want, (unsigned long long)have, what);
}

static bool read_types(EngVocab *vocab, const EngGguf *gguf, EngError *err)
{
    const uint8_t *types, *scores;
    uint64_t n_types, n_scores;
    if (!eng_gguf_array(gguf, "tokenizer.ggml.token_type", ENG_GGUF_I32, &types, &n_types, err) ||
        !eng_gguf_array(gguf, "tokenizer.ggml.scores", ENG_GGUF_F32, &scores, &n_scores, err))
        return false;
    if (n_types && !check_length("token types", n_types, vocab->n, err)) return false;
    if (n_scores && !check_length("scores", n_scores, vocab->n, err)) return false;
    if (vocab->spm && !n_scores)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This SentencePiece vocabulary has no scores (tokenizer.ggml.scores); "
                        "convert the model again.");
    for (int i = 0; i < vocab->n; i++) {
        EngToken *token = &vocab->tokens[i];
        int32_t type = ENG_TOKEN_NORMAL;
        if (n_types) memcpy(&type, types + 4 * (size_t)i, 4);
        if (type >= ENG_TOKEN_NORMAL && type <= ENG_TOKEN_BYTE) token->type = (uint8_t)type;
        if (n_scores) memcpy(&token->score, scores + 4 * (size_t)i, 4);
    }
    return true;
}

/* A special id; -1 when the key is missing and nothing is customary. */
static bool read_id(const EngVocab *vocab, const EngGguf *gguf, const char *key, int64_t customary,
                    int32_t *ret, EngError *err)
{
    const uint64_t none = UINT64_MAX;
    uint64_t id;
    if (!eng_gguf_u64(gguf, key, none, &id, err)) return false;
    if (id == none) {
        *ret = customary < vocab->n ? (int32_t)customary : -1;
        return true;
    }
    if (id == UINT32_MAX) { /* how some converters write "none" */
        *ret = -1;
        return true;
    }
    if (id >= (uint64_t)vocab->n)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "%s is %llu, but the vocabulary has %d tokens; the file is damaged: "
                        "download or convert it again.",
                        key, (unsigned long long)id, vocab->n);
    *ret = (int32_t)id;
    return true;
}

static void add_end(EngVocab *vocab, int32_t id)
{
    if (id >= 0) vocab->tokens[id].ends = true;
}

/* Added tokens that end an answer in one family or another, where the file names only one. */
static void find_ends(EngVocab *vocab)
{
    static const char *const texts[] = {
        "<|eot_id|>",
        "<|eom_id|>",
        "<|im_end|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "<|END_OF_TURN_TOKEN|>",
        "<end_of_turn>",
        "<end_of_utterance>",
        "</s>",
        "<eos>",
        "<EOT>",
        "[EOT]",
        "[EOS]",
        "[e~[",
        "<|flush|>",
        "<|calls|>",
        "<｜end▁of▁sentence｜>",
    };
    for (size_t i = 0; i < ENG_LEN(texts); i++) {
        int32_t id = eng_vocab_find(vocab, &vocab->texts, texts[i], strlen(texts[i]));
        uint8_t type = id >= 0 ? vocab->tokens[id].type : 0;
        if (type == ENG_TOKEN_CONTROL || type == ENG_TOKEN_USER) add_end(vocab, id);
    }
    /* In OpenAI's harmony format <|end|> only closes one message of several in an answer. */
    int32_t end = eng_vocab_find(vocab, &vocab->texts, "<|end|>", 7);
    bool call = eng_vocab_find(vocab, &vocab->texts, "<|call|>", 8) >= 0 ||
                eng_vocab_find(vocab, &vocab->texts, "<|calls|>", 9) >= 0;
    bool other = eng_vocab_find(vocab, &vocab->texts, "<|return|>", 10) >= 0 ||
                 eng_vocab_find(vocab, &vocab->texts, "<|flush|>", 9) >= 0;
    if (end >= 0 && call && other) vocab->tokens[end].ends = false;
}

static bool read_special(EngVocab *vocab, const EngGguf *gguf, EngError *err)
{
    int32_t eot, eom;
    bool spm = vocab->spm;
    if (!read_id(vocab, gguf, "tokenizer.ggml.bos_token_id", spm ? 1 : -1, &vocab->bos, err) ||
        !read_id(vocab, gguf, "tokenizer.ggml.eos_token_id", spm ? 2 : -1, &vocab->eos, err) ||
        !read_id(vocab, gguf, "tokenizer.ggml.unknown_token_id", spm ? 0 : -1, &vocab->unk, err) ||
        !read_id(vocab, gguf, "tokenizer.ggml.padding_token_id", -1, &vocab->pad, err) ||
        !read_id(vocab, gguf, "tokenizer.ggml.eot_token_id", -1, &eot, err) ||
        !read_id(vocab, gguf, "tokenizer.ggml.eom_token_id", -1, &eom, err))
        return false;
    find_ends(vocab);
    add_end(vocab, vocab->eos);
    add_end(vocab, eot);
    add_end(vocab, eom);
    return true;
}

/* Phi-3's added tokens swallow the white space after them; GGUF has no field for that, so it goes
 * by the model's name, as in llama.cpp. */
static bool mark_phi3(EngVocab *vocab, const EngGguf *gguf, EngError *err)
{
    EngGgufString name;
    if (!eng_gguf_string(gguf, "general.name", &name, err)) return false;
    bool phi3 = false;
    for (uint64_t i = 0; i + 4 <= name.n && !phi3; i++) {
        const char *s = name.s + i;
        bool dash = s[3] == '-' && i + 5 <= name.n;
        phi3 = (s[0] | 32) == 'p' && (s[1] | 32) == 'h' && (s[2] | 32) == 'i' &&
               (s[3] == '3' || (dash && s[4] == '3'));
    }
    for (int i = 0; i < vocab->n && phi3; i++) {
        EngToken *token = &vocab->tokens[i];
        token->eats_right = token->type == ENG_TOKEN_CONTROL && i != vocab->bos &&
                            !(token->text_len == 13 && !memcmp(token->text, "<|endoftext|>", 13));
    }
    return true;
}

static void find_bytes(EngVocab *vocab)
{
    for (int b = 0; b < 256; b++) vocab->byte_tokens[b] = -1;
    for (int b = 0; b < 256 && !vocab->spm; b++) {
        char text[4];
        size_t n = eng_utf8_encode(eng_unicode_of_byte((uint8_t)b), text);
        int32_t id = eng_vocab_find(vocab, &vocab->texts, text, n);
        if (id >= 0 && vocab->tokens[id].type == ENG_TOKEN_NORMAL) vocab->byte_tokens[b] = id;
    }
    for (int i = vocab->n - 1; i >= 0 && vocab->spm; i--) {
        const EngToken *token = &vocab->tokens[i];
        if (token->type == ENG_TOKEN_BYTE && token->bytes_len == 1)
            vocab->byte_tokens[(uint8_t)token->bytes[0]] = i;
    }
}

bool eng_vocab_init(EngVocab *vocab, const EngGguf *gguf, EngError *err)
{
    EngGgufString model;
    memset(vocab, 0, sizeof *vocab);
    if (!eng_gguf_string(gguf, "tokenizer.ggml.model", &model, err)) return false;
    if (!model.s)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This file has no vocabulary (tokenizer.ggml.model is missing); use the "
                        "first part of a split model, or convert the model again.");
    vocab->spm = model.n == 5 && memcmp(model.s, "llama", 5) == 0;
    if (!vocab->spm && !(model.n == 4 && memcmp(model.s, "gpt2", 4) == 0))
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This file's tokenizer is of the kind \"%.*s\"; this version knows "
                        "\"gpt2\" and \"llama\": choose another model.",
                        (int)ENG_MIN(model.n, 40), model.s);
    if (!read_texts(vocab, gguf, err) || !read_types(vocab, gguf, err)) return false;
    decode_tokens(vocab);
    index_init(&vocab->texts, vocab->n, false);
    for (int i = 0; i < vocab->n; i++) index_add(vocab, &vocab->texts, i);
    find_bytes(vocab);
    return read_special(vocab, gguf, err) && mark_phi3(vocab, gguf, err);
}

void eng_vocab_index_bytes(EngVocab *vocab)
{
    index_init(&vocab->bytes, vocab->n, true);
    for (int i = 0; i < vocab->n; i++) {
        const EngToken *token = &vocab->tokens[i];
        if (token->type != ENG_TOKEN_NORMAL && token->type != ENG_TOKEN_UNUSED &&
            (token->type != ENG_TOKEN_USER || !vocab->spm))
            continue;
        index_add(vocab, &vocab->bytes, i);
        if (token->bytes_len > vocab->longest) vocab->longest = token->bytes_len;
    }
}

void eng_vocab_clear(EngVocab *vocab)
{
    free(vocab->tokens);
    free(vocab->texts.slots);
    free(vocab->bytes.slots);
    eng_arena_clear(&vocab->arena);
    memset(vocab, 0, sizeof *vocab);
}
