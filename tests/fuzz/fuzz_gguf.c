/* The container: a whole file in memory, and its first bytes as if more were to come. Whatever
 * opens is read to the last byte, so that a pointer outside the file is found. */
#include "load/gguf.h"

#include "fuzz.h"

static volatile uint8_t sink;

static void read_all(const uint8_t *bytes, uint64_t n)
{
    for (uint64_t i = 0; bytes && i < n; i++) sink ^= bytes[i];
}

static void read_kvs(const EngGguf *gguf)
{
    for (size_t i = 0; i < gguf->n_kvs; i++) {
        const EngGgufKv *kv = &gguf->kvs[i];
        read_all((const uint8_t *)kv->key.s, kv->key.n);
        read_all(kv->bytes, kv->size);
        if (kv->kind != ENG_GGUF_ARRAY || kv->item != ENG_GGUF_STRING) continue;
        const uint8_t *pos = kv->bytes;
        for (uint64_t k = 0; k < kv->count; k++) {
            EngGgufString s = eng_gguf_next_string(&pos);
            read_all((const uint8_t *)s.s, s.n);
        }
    }
}

static void look_up(const EngGguf *gguf)
{
    uint64_t u, n;
    float f;
    EngGgufString s;
    const uint8_t *items;
    eng_gguf_u64(gguf, "%s.block_count", 1, &u, NULL);
    eng_gguf_f32(gguf, "%s.rope.freq_base", 1, &f, NULL);
    eng_gguf_string(gguf, "general.name", &s, NULL);
    eng_gguf_array(gguf, "tokenizer.ggml.scores", ENG_GGUF_F32, &items, &n, NULL);
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        const EngTensor *tensor = eng_gguf_tensor(gguf, gguf->tensors[i].name);
        if (tensor != &gguf->tensors[i]) __builtin_trap(); /* names are unique and found */
        read_all(tensor->data, tensor->bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    EngError err = {0};
    EngGguf *gguf = eng_gguf_open_memory(data, size, &err);
    if (!gguf && !err.message[0]) __builtin_trap(); /* a failure says why */
    if (gguf) {
        read_kvs(gguf);
        look_up(gguf);
    }
    eng_gguf_free(gguf);
    gguf = eng_gguf_open_header(data, size, (uint64_t)size * 3, &err);
    if (gguf) read_kvs(gguf);
    eng_gguf_free(gguf);
    return 0;
}
