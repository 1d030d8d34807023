/* Models of random weights: headers that are read back as they were written, weights of the size
 * that they should have, logits that are numbers, and a router that chooses. */
#include <math.h>

#include "base/num.h"
#include "load/rehearsal.h"
#include "test.h"
#include "thought_model.h"

static void headers_come_back(void)
{
    EngError err = {0};
    EngHeader header = thought_model("qwen3moe", "Q4_K");
    EngPeek *peek = eng_peek_bytes(header.data, header.size, header.file_size, &err);
    CHECK_MSG(peek, "%s", err.message);
    if (!peek) return;
    CHECK_STR(peek->name, "Rehearsed");
    CHECK_STR(peek->arch, "qwen3moe");
    CHECK(peek->supported);
    CHECK_INT(peek->n_experts, EXPERTS);
    CHECK_INT(peek->n_tensors, n_tensors);
    for (size_t i = 0; i < n_tensors; i++) {
        size_t at = 0;
        while (at < peek->n_tensors && strcmp(peek->tensors[at].name, tensors[i].name) != 0) at++;
        CHECK(at < peek->n_tensors);
        if (at == peek->n_tensors) continue;
        CHECK_STR(peek->tensors[at].type, tensors[i].type);
        CHECK_INT(peek->tensors[at].n_dims, tensors[i].n_dims);
        for (int d = 0; d < tensors[i].n_dims; d++)
            CHECK_INT(peek->tensors[at].shape[d], tensors[i].shape[d]);
    }
    EngGguf *gguf = eng_gguf_open_headers(&header, 1, &err);
    float base = 0;
    CHECK(gguf && eng_gguf_f32(gguf, "%s.rope.freq_base", 0, &base, &err));
    CHECK(base == 12345.5f);
    eng_gguf_free(gguf);
    eng_peek_free(peek);
    free((void *)header.data);
}

static void impossible_tensors_are_refused(void)
{
    const EngTensorShape odd = {"a", "Q4_K", 2, {100, 4}}, unknown = {"a", "Q9_X", 1, {256}};
    EngHeader header;
    EngError err = {0};
    CHECK(!eng_header_write(NULL, 0, &odd, 1, &header, &err));
    CHECK_INT(err.code, ENG_ERR_USAGE);
    CHECK(!eng_header_write(NULL, 0, &unknown, 1, &header, &err));
    CHECK(strstr(err.message, "Q9_X") != NULL);
}

/* Of one matrix of each type that runs: the size of trained weights, and the mean 0, or half a step
 * beside it (Q4_0 counts from -8 to 7). */
static void weights_have_their_size(void)
{
    for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++) {
        const EngTypeInfo *info = eng_type_info(type);
        if (!info->to_f32) continue;
        EngError err = {0};
        EngHeader header = thought_model("qwen3moe", info->name);
        EngGguf *gguf = eng_gguf_open_headers(&header, 1, &err);
        EngRehearsal *r = eng_rehearsal_new(gguf, (uint64_t)1 << 30, &err);
        CHECK_MSG(r, "%s", err.message);
        uint64_t filled;
        while (r && eng_rehearsal_bytes(r, &filled) > filled) eng_rehearsal_fill(r, 1 << 20);
        const EngTensor *t = eng_gguf_tensor(gguf, "blk.1.ffn_up_exps.weight");
        float *x = malloc(sizeof *x * EMBD);
        double sum = 0, squares = 0;
        int64_t rows = FF * EXPERTS;
        for (int64_t row = 0; r && row < rows; row++) {
            info->to_f32(t->data + (uint64_t)row * eng_row_bytes((EngType)type, EMBD), x, EMBD);
            for (int i = 0; i < EMBD; i++)
                sum += (double)x[i], squares += (double)x[i] * (double)x[i];
        }
        double n = (double)rows * EMBD, rms = sqrt(squares / n);
        CHECK_MSG(rms > 0.01 && rms < 0.04, "%s: size %g", info->name, rms);
        CHECK_MSG(fabs(sum / n) < 0.12 * rms, "%s: mean %g", info->name, sum / n);
        free(x);
        eng_gguf_free(gguf);
        eng_rehearsal_free(r);
        free((void *)header.data);
    }
}

static EngModel *rehearse(const char *type, uint64_t dram, EngError *err)
{
    EngHeader header = thought_model("qwen3moe", type);
    EngModelSettings settings = {.threads = 2, .batch = 64};
    EngModel *model = eng_model_rehearse(&header, 1, dram, &settings, err);
    free((void *)header.data); /* it was copied */
    uint64_t done = 0, total = 1;
    while (model && done < total) CHECK(eng_model_load(model, &done, &total, err));
    return model;
}

static void logits_are_numbers(void)
{
    static const char *const types[] = {"F32",  "BF16",  "Q8_0",    "Q4_1",  "Q2_K",
                                        "Q4_K", "IQ1_M", "IQ2_XXS", "MXFP4", "IQ4_NL"};
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        EngError err = {0};
        EngModel *model = rehearse(types[i], (uint64_t)1 << 30, &err);
        CHECK_MSG(model, "%s", err.message);
        EngSession *session = model ? eng_session_new(model, NULL, &err) : NULL;
        int32_t tokens[24];
        for (int t = 0; t < 24; t++) tokens[t] = test_range(0, VOCAB - 1);
        CHECK(session && eng_session_eval(session, tokens, 24, NULL, &err));
        const float *logits = session ? eng_session_logits(session) : NULL;
        float least = INFINITY, most = -INFINITY;
        for (int t = 0; logits && t < VOCAB; t++) {
            CHECK(isfinite(logits[t]));
            least = fminf(least, logits[t]);
            most = fmaxf(most, logits[t]);
        }
        CHECK_MSG(most - least > 0.1f && most - least < 100, "%s: %g … %g", types[i], (double)least,
                  (double)most);
        eng_session_free(session);
        eng_model_free(model);
    }
}

/* Half the memory: tensors share blocks, and none lies outside of what was asked for. */
static void little_memory_is_shared(void)
{
    EngError err = {0};
    EngModel *whole = rehearse("Q8_0", (uint64_t)1 << 30, &err);
    CHECK(whole);
    if (!whole) return;
    EngModelInfo all = eng_model_info(whole);
    CHECK(all.stand_in_bytes >= all.weight_bytes - (1 << 20));
    eng_model_free(whole);
    EngModel *half = rehearse("Q8_0", all.weight_bytes / 2, &err);
    CHECK_MSG(half, "%s", err.message);
    EngModelInfo info = half ? eng_model_info(half) : (EngModelInfo){0};
    CHECK(info.stand_in_bytes <= all.weight_bytes / 2 &&
          info.stand_in_bytes > all.weight_bytes / 4);
    CHECK_INT(info.weight_bytes, all.weight_bytes);
    eng_model_free(half);
    CHECK(!rehearse("Q8_0", 1 << 18, &err));
    CHECK_INT(err.code, ENG_ERR_MEMORY);
}

static void each_pool_is_gone_round(void)
{
    EngError err = {0};
    EngHeader header = thought_model("qwen3moe", "Q4_K");
    EngGguf *gguf = eng_gguf_open_headers(&header, 1, &err);
    EngRehearsal *r = eng_rehearsal_new(gguf, 3 << 19, &err);
    CHECK_MSG(r, "%s", err.message);
    const uint8_t *low = NULL, *high = NULL;
    for (size_t i = 0; r && i < gguf->n_tensors; i++) {
        const EngTensor *t = &gguf->tensors[i];
        CHECK(t->data != NULL);
        if (t->type != ENG_TYPE_Q4_K) continue;
        CHECK((uintptr_t)t->data % 32 == 0);
        if (!low || t->data < low) low = t->data;
        if (t->data + t->bytes > high) high = t->data + t->bytes;
    }
    CHECK((size_t)(high - low) <= 3 << 19);
    eng_gguf_free(gguf);
    eng_rehearsal_free(r);
    free((void *)header.data);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"headers come back", headers_come_back},
        {"impossible tensors are refused", impossible_tensors_are_refused},
        {"weights have their size", weights_have_their_size},
        {"logits are numbers", logits_are_numbers},
        {"little memory is shared", little_memory_is_shared},
        {"each pool is gone round", each_pool_is_gone_round},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
