/* Every kernel of every instruction set that this machine has, against its portable twin.
 *
 *   test-kernels [--seed N] [check …]      compare
 *   test-kernels --bench [type …]          GB/s and Gop/s of each matmul kernel
 */
#include "check.h"

#include <signal.h>
#include <unistd.h>
#include "cpu/x86/ladder.h"

char kernel_now[64];

void kernel_name(const char *kernel, const char *type, EngCpuLevel level)
{
    snprintf(kernel_now, sizeof kernel_now, "%s%s%s_%s", kernel, *type ? " " : "", type,
             eng_cpu_level_names[level]);
}

static void crashed(int sig)
{
    static const char text[] = "\nBail out! crash in ";
    ssize_t done = write(1, text, sizeof text - 1) + write(1, kernel_now, strlen(kernel_now));
    _exit(write(1, "\n", 1) + done > 0 ? 128 + sig : 127);
}

void each_level(void (*check)(EngCpuLevel, const EngKernels *, const EngKernels *))
{
    const EngKernels *below = eng_kernels(ENG_CPU_C);
    for (int i = ENG_CPU_C + 1; i < ENG_CPU_COUNT; i++) {
        EngCpuLevel level = (EngCpuLevel)i;
        if (eng_cpu_has(level)) {
            check(level, eng_kernels(level), below);
            below = eng_kernels(level);
        }
#if defined(__x86_64__)
        if (level == ENG_CPU_AVXVNNI && eng_cpu_has(ENG_CPU_VNNI)) {
            EngKernels k = *eng_kernels(ENG_CPU_AVX2);
            eng_kernels_dot_k_evex(&k);
            eng_kernels_dot_iq_evex(&k);
            eng_kernels_dot_legacy_evex(&k);
            check(level, &k, eng_kernels(ENG_CPU_AVX2));
        }
        if (level == ENG_CPU_AMX && eng_cpu_has(ENG_CPU_VNNI)) {
            EngKernels k = *eng_kernels(ENG_CPU_VNNI);
            eng_kernels_dot_float_amx_model(&k);
            eng_kernels_dot_k_amx_model(&k);
            eng_kernels_dot_legacy_amx_model(&k);
            eng_kernels_dot_iq_amx_model(&k);
            check(level, &k, eng_kernels(ENG_CPU_VNNI));
        }
#endif
    }
}

void check_cpu_mask(void)
{
    EngCpuLevel level = ENG_CPU_COUNT;
    EngError err = {0};
    for (int i = 0; i < ENG_CPU_COUNT; i++) {
        setenv("HEARTH_CPU_MASK", eng_cpu_level_names[i], 1);
        CHECK(eng_cpu_level(&level, &err));
        CHECK(eng_cpu_has(level) && (int)level <= i);
        for (int above = (int)level + 1; above <= i; above++)
            CHECK(!eng_cpu_has((EngCpuLevel)above));
    }
    setenv("HEARTH_CPU_MASK", "sse9", 1);
    level = ENG_CPU_COUNT;
    CHECK(!eng_cpu_level(&level, &err));
    CHECK_INT(level, ENG_CPU_COUNT);
    CHECK_INT(err.code, ENG_ERR_USAGE);
    CHECK(strstr(err.message, "sse9") && strstr(err.message, "avx512"));
    setenv("HEARTH_CPU_MASK", "", 1);
    CHECK(eng_cpu_level(&level, NULL));
    unsetenv("HEARTH_CPU_MASK");
    CHECK(eng_cpu_level(&level, NULL));
    CHECK_INT(level, eng_cpu_level_machine());
    CHECK(!eng_cpu_has(ENG_CPU_AMX) || !*eng_cpu_amx_refused());
    CHECK(strlen(eng_cpu_amx_refused()) < sizeof((EngHost *)0)->no_amx);
    char name[96];
    eng_cpu_name(name, sizeof name);
    CHECK(*name);
}

static void check_tables_full(void)
{
    for (int level = 0; level < ENG_CPU_COUNT; level++) {
        const EngKernels *k = eng_kernels((EngCpuLevel)level);
        for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++)
            CHECK(!k->matmul[type] == !eng_type_info(type)->to_f32);
        for (int act = 0; act < ENG_ACT_COUNT; act++) CHECK(k->quantize[act] != NULL);
        CHECK(k->gemm && k->soften && k->scores_few && k->values_few && k->scores_q8 && k->values_q8 && k->q8_0_to_f32 &&
              k->f16_to_f32 && k->f32_to_f16 && k->rms_norm);
        CHECK(k->silu_mul && k->scale && k->add_scaled);
        if (!eng_cpu_has((EngCpuLevel)level)) continue;
        CHECK(k->int8_peak(2) > k->int8_peak(1));
        CHECK_INT(k->float_peak(6), 6 * k->float_peak(1));
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"cpu_mask", check_cpu_mask},
        {"tables_full", check_tables_full},
#if defined(__x86_64__)
        {"amx_model", check_amx_model},
#endif
        {"quantize", check_quantize},
        {"matmul_c", check_matmul_c},
        {"matmul", check_matmul},
        {"matmul_one_token", check_matmul_one_token},
        {"matmul_together", check_matmul_together},
        {"matmul_nan", check_matmul_nan},
        {"gemm", check_gemm},
        {"elem", check_elem},
        {"soften", check_soften},
        {"attn_q8", check_attn_q8},
        {"attn_i16", check_attn_i16},
        {"attn_few", check_attn_few},
    };
    signal(SIGILL, crashed);
#if !defined(__SANITIZE_ADDRESS__) /* ASan explains a SEGV better */
    signal(SIGSEGV, crashed);
#endif
    if (argc > 1 && strcmp(argv[1], "--bench") == 0) return bench(argc - 2, argv + 2);
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
