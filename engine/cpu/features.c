/* cpuid says what the processor can do, XCR0 what the system saves on a context switch: an
 * instruction set counts only when both agree. */
#include "cpu/features.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/sys.h"

const char *const eng_cpu_level_names[ENG_CPU_COUNT] = {"c",    "avx2", "avxvnni", "avx512",
                                                        "vnni", "vbmi", "amx"};

#if defined(__x86_64__)
#include <cpuid.h>

typedef struct {
    unsigned a, b, c, d;
} Leaf;

static Leaf leaf(unsigned number, unsigned sub)
{
    Leaf l = {0, 0, 0, 0};
    __get_cpuid_count(number, sub, &l.a, &l.b, &l.c, &l.d);
    return l;
}

static bool has(unsigned reg, unsigned mask) { return (reg & mask) == mask; }

static unsigned saved_state(void) /* XCR0: valid only when the system has set OSXSAVE */
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool processor_has_amx(void)
{
    enum { BF16 = 1 << 22, TILE = 1 << 24, INT8 = 1 << 25 }; /* clang 14's header lacks them */
    return has(leaf(7, 0).d, BF16 | TILE | INT8);
}

const char *eng_cpu_amx_refused(void)
{
    enum { TILES = 0x60000 }; /* bits of XCR0 */
    if (!processor_has_amx()) return "";
    if (!has(leaf(1, 0).c, bit_OSXSAVE) || !has(saved_state(), TILES))
        return "the system does not save its registers";
    return eng_sys_allow_tiles() ? "" : "the system does not permit it to this program";
}

bool eng_cpu_has(EngCpuLevel level)
{
    enum { YMM = 0x6, ZMM = 0xe6 }; /* bits of XCR0 */
    enum { AVX_VNNI = 1 << 4 };     /* leaf 7.1, eax */
    Leaf one = leaf(1, 0), seven = leaf(7, 0);
    bool avx = has(one.c, bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C);
    unsigned saved = avx ? saved_state() : 0;
    switch (level) {
    case ENG_CPU_C: return true;
    case ENG_CPU_AVX2: return has(saved, YMM) && has(seven.b, bit_AVX2 | bit_BMI2);
    case ENG_CPU_AVXVNNI:
        return eng_cpu_has(ENG_CPU_AVX2) && seven.a >= 1 && has(leaf(7, 1).a, AVX_VNNI);
    case ENG_CPU_AVX512:
        return eng_cpu_has(ENG_CPU_AVX2) && has(saved, ZMM) &&
               has(seven.b, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL);
    case ENG_CPU_VNNI: return eng_cpu_has(ENG_CPU_AVX512) && has(seven.c, bit_AVX512VNNI);
    case ENG_CPU_VBMI: return eng_cpu_has(ENG_CPU_VNNI) && has(seven.c, bit_AVX512VBMI);
    case ENG_CPU_AMX:
        return eng_cpu_has(ENG_CPU_VBMI) && processor_has_amx() && !*eng_cpu_amx_refused();
    default: return false;
    }
}

void eng_cpu_name(char *ret_name, size_t size)
{
    unsigned words[13] = {0};
    for (unsigned i = 0; i < 3; i++) {
        Leaf l = leaf(0x80000002 + i, 0);
        memcpy(words + 4 * i, &l, sizeof l);
    }
    const char *name = (const char *)words; /* the last word stays 0: terminated */
    while (*name == ' ') name++;
    snprintf(ret_name, size, "%s", *name ? name : "x86-64");
    for (size_t n = strlen(ret_name); n > 0 && ret_name[n - 1] == ' '; n--) ret_name[n - 1] = 0;
}

#else

bool eng_cpu_has(EngCpuLevel level) { return level == ENG_CPU_C; }

const char *eng_cpu_amx_refused(void) { return ""; }

void eng_cpu_name(char *ret_name, size_t size)
{
#if defined(__aarch64__)
    snprintf(ret_name, size, "AArch64");
#else
    snprintf(ret_name, size, "unknown processor");
#endif
}

#endif

static EngCpuLevel highest(int most)
{
    while (!eng_cpu_has((EngCpuLevel)most)) most--;
    return (EngCpuLevel)most;
}

EngCpuLevel eng_cpu_level_machine(void) { return highest(ENG_CPU_COUNT - 1); }

bool eng_cpu_level(EngCpuLevel *ret_level, EngError *err)
{
    const char *mask = getenv("HEARTH_CPU_MASK");
    if (!mask || !*mask) {
        *ret_level = eng_cpu_level_machine();
        return true;
    }
    for (int i = 0; i < ENG_CPU_COUNT; i++)
        if (strcmp(mask, eng_cpu_level_names[i]) == 0) {
            *ret_level = highest(i);
            return true;
        }
    return eng_fail(err, ENG_ERR_USAGE,
                    "HEARTH_CPU_MASK is \"%.40s\", which names no instruction set; use c, avx2, "
                    "avxvnni, avx512, vnni, vbmi or amx, or unset it.",
                    mask);
}
