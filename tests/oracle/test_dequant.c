/* The decoders of every weight type against vectors/dequant_<type>.bin, which the `gguf` package
 * decoded (make_dequant.py describes the files): equal bits, for decoding is part of the format.
 * argv[1]: the folder of the vectors. */
#include <ctype.h>
#include <math.h>
#include "base/num.h"
#include "load/quant.h"
#include "test.h"

static const char *folder;

static void compare(FILE *f, const EngTypeInfo *type)
{
    int blocks = 0, bytes = 0, weights = 0;
    CHECK_INT(fscanf(f, "%d %d %d", &blocks, &bytes, &weights), 3);
    CHECK_INT(fgetc(f), '\n');
    CHECK(blocks > 0 && blocks < 1 << 20);
    CHECK_INT(bytes, type->bytes);
    CHECK_INT(weights, type->block);
    if (test_failures_) return;

    size_t n = (size_t)blocks * (size_t)weights, size = (size_t)blocks * (size_t)bytes;
    uint8_t *raw = malloc(size); /* exactly as long as the data: ASan sees a read past the end */
    float *want = malloc(n * sizeof *want), *got = malloc(n * sizeof *got);
    CHECK_INT(fread(raw, 1, size, f), size);
    CHECK_INT(fread(want, sizeof *want, n, f), n);
    type->to_f32(raw, got, (int64_t)n);
    for (size_t i = 0; i < n && test_failures_ < 5; i++)
        CHECK_MSG(eng_f32_bits(got[i]) == eng_f32_bits(want[i]) ||
                      (isnan(got[i]) && isnan(want[i])),
                  "%s weight %zu is %a, not %a", type->name, i, (double)got[i], (double)want[i]);
    free(raw);
    free(want);
    free(got);
}

static void decoders_equal_gguf(void)
{
    for (uint32_t i = 0; i < ENG_TYPE_COUNT; i++) {
        const EngTypeInfo *type = eng_type_info(i);
        if (!type->to_f32 || i == ENG_TYPE_F32) continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/dequant_%s.bin", folder, type->name);
        for (char *c = path + strlen(folder); *c; c++) *c = (char)tolower((unsigned char)*c);
        FILE *f = fopen(path, "rb");
        CHECK_MSG(f, "%s is missing; make_dequant.py writes it", path);
        if (!f) continue;
        compare(f, type);
        fclose(f);
    }
}

static void f32_is_a_copy(void)
{
    uint32_t bits[4] = {0, 0x80000000, 0x00000001, 0x7f7fffff}, got[4];
    eng_type_info(ENG_TYPE_F32)->to_f32(bits, (float *)(void *)got, 4);
    CHECK(memcmp(bits, got, sizeof bits) == 0);
}

static void types_by_number(void)
{
    CHECK_STR(eng_type_info(ENG_TYPE_Q4_K)->name, "Q4_K");
    CHECK_STR(eng_type_info(16)->name, "IQ2_XXS");
    CHECK(!eng_type_info(34)->to_f32);
    CHECK(!eng_type_info(4)->name && !eng_type_info(36)->name);
    CHECK(!eng_type_info(ENG_TYPE_COUNT)->name && !eng_type_info(UINT32_MAX)->name);
    CHECK_INT(eng_row_bytes(ENG_TYPE_Q6_K, 512), 420);
    CHECK_STR(eng_file_type_name(15), "Q4_K_M");
    CHECK_STR(eng_file_type_name(38), "MXFP4_MOE");
    CHECK(!eng_file_type_name(5) && !eng_file_type_name(UINT32_MAX));
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"decoders_equal_gguf", decoders_equal_gguf},
        {"f32_is_a_copy", f32_is_a_copy},
        {"types_by_number", types_by_number},
    };
    if (argc < 2) return 2;
    folder = argv[1];
    return test_main(argc - 1, argv + 1, tests, TEST_COUNT(tests));
}
