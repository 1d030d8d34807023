/* The pre-tokenizers, as published in each model's tokenizer.json; where none was published in that
 * form (Kimi), as in the model's own tokenizer code. Names: the GGUF converters'.
 *
 * Written for PCRE2, equal in effect:
 *  - an intersection of classes, which PCRE2 lacks, is the complement of the union of complements;
 *  - \p{Han} is \p{sc:Han}: PCRE2 would take the script extensions;
 *  - where a pattern is not anchored to the start of a run of spaces and needs its end, a look-behind
 *    keeps it from trying every space of a long run in turn. */
#include "text/split.h"

#define SPACES                                                                                     \
    "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"       \
    "\\x{3000}"
#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define PREFIX "[^\\r\\n\\p{L}\\p{N}]?"
#define TAIL "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
/* OpenAI's cl100k and what came of it: they differ in how many digits make a piece. */
#define CL100K(digits)                                                                             \
    CONTRACTION "|" PREFIX "\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" TAIL
/* OpenAI's o200k: words also end where capitals follow small letters. */
#define O200K(upper, lower, contraction, digits, after)                                            \
    PREFIX upper "*" lower "+" contraction "|" PREFIX upper "+" lower "*" contraction "|" digits   \
           "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n" after "]*|" TAIL
/* UPPER and LOWER without Han. */
#define UPPER_NOT_HAN "[^\\p{Ll}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{sc:Han}]"
#define LOWER_NOT_HAN "[^\\p{Lu}\\p{Lt}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{sc:Han}]"

#define DEEPSEEK_HAN "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define DEEPSEEK_WORDS(after)                                                                      \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"                                       \
    "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+" after
#define DEEPSEEK_CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"
/* The Latin, Greek, Cyrillic, Armenian, Georgian, Cherokee … letters of DeepSeek LLM. */
#define DEEPSEEK_LETTERS                                                                           \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"                 \
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}"         \
    "\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}"                  \
    "\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}"    \
    "\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}"                 \
    "\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}"                 \
    "\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}\\x{1f5d}"         \
    "\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}"        \
    "\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}"                 \
    "\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}"         \
    "\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}"         \
    "\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}"                   \
    "\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}"                  \
    "\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}"                 \
    "\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}"                 \
    "\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}"             \
    "\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}"         \
    "\\x{1e900}-\\x{1e943}"
#define DEEPSEEK_PUNCTUATION                                                                       \
    "!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}"
#define AFMOE_SCRIPTS                                                                              \
    "[\\x{4e00}-\\x{9fff}\\x{3400}-\\x{4dbf}\\x{f900}-\\x{faff}\\x{3040}-\\x{309f}"                \
    "\\x{30a0}-\\x{30ff}\\x{ff65}-\\x{ff9f}\\x{2f00}-\\x{2fdf}\\x{e40}-\\x{e7f}"                   \
    "\\x{e80}-\\x{eff}\\x{1780}-\\x{17ff}\\x{1000}-\\x{109f}\\x{aa60}-\\x{aa7f}"                   \
    "\\x{a9e0}-\\x{a9ff}\\x{ac00}-\\x{d7af}\\x{1100}-\\x{11ff}]+"
#define BLOOM                                                                                      \
    " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"

/* Oniguruma's \w, as a look-ahead after a digit: what keeps \b from matching there. */
#define WORD                                                                                       \
    "[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}"              \
    "\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}\\x{1f170}-\\x{1f189}]"

/* The punctuation of `tokenizers`' Punctuation step, whose tables are of an older Unicode. */
#define OLD_PUNCTUATION                                                                            \
    "(?:(?![\\x{61d}\\x{9fd}\\x{a76}\\x{c77}\\x{c84}\\x{1b4e}-\\x{1b4f}\\x{1b7d}-\\x{1b7f}"       \
    "\\x{2e43}-\\x{2e4f}\\x{2e52}-\\x{2e5d}\\x{10d6e}\\x{10ead}\\x{10f55}-\\x{10f59}"               \
    "\\x{10f86}-\\x{10f89}\\x{113d4}-\\x{113d8}\\x{1144b}-\\x{1145d}\\x{11660}-\\x{1166c}"         \
    "\\x{116b9}\\x{1183b}\\x{11944}-\\x{11946}\\x{119e2}\\x{11a3f}-\\x{11a46}"                     \
    "\\x{11a9a}-\\x{11aa2}\\x{11b00}-\\x{11b09}\\x{11be1}\\x{11c41}-\\x{11c45}"                   \
    "\\x{11c70}-\\x{11c71}\\x{11ef7}-\\x{11ef8}\\x{11f43}-\\x{11f4f}\\x{11fff}"                   \
    "\\x{12ff1}-\\x{12ff2}\\x{16d6d}-\\x{16d6f}\\x{16e97}-\\x{16e9a}\\x{16fe2}\\x{1e5ff}"        \
    "\\x{1e95e}-\\x{1e95f}])[\\p{P}$+<=>^~|`]|[\\x{166d}\\x{111c9}])++"

#define CUT(pattern) {ENG_SPLIT_ISOLATE, pattern}
#define CUT_LITERAL(pattern) {ENG_SPLIT_ISOLATE, pattern, true}

const EngSplitRule eng_split_table[] = {
    {"default",
     {CUT("[\\p{P}$+<=>^~|]+"), CUT(GPT2), CUT("\\p{N}+"), CUT("[0-9][0-9][0-9]")}},
    {"gpt-2 phi-2 jina-es jina-de jina-v2-es jina-v2-de jina-v1-en jina-v2-code roberta-bpe "
     "gigachat a.x-4.0 mellum exaone4 jais trillion granite-docling",
     {CUT(GPT2)}},
    {"mpt olmo modern-bert", {CUT(GPT2)}, .nfc = true},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano",
     {CUT(CL100K("\\p{N}{1,3}"))}, .whole_first = true, .bos = true},
    {"dbrx smaug-bpe chatglm-bpe glm4", {CUT(CL100K("\\p{N}{1,3}"))}},
    {"qwen2 deepseek-r1-qwen megrez f2llmv2 stablelm2", {CUT(CL100K("\\p{N}"))}, .nfc = true},
    {"hunyuan grok-2 kormo solar-open", {CUT(CL100K("\\p{N}"))}},
    {"qwen35",
     {CUT(CONTRACTION "|" PREFIX "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|"
                      TAIL)},
     .nfc = true},
    {"ufakzeka", {CUT(PREFIX "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" TAIL)}},
    {"minicpm5", {CUT("\\p{N}{1,3}"), CUT(CL100K("\\p{N}+"))}, .whole_first = true},
    {"laguna",
     {{ENG_SPLIT_BEFORE, "(?:\\r?\\n)++(?!\\r?\\n)"}, CUT(CL100K("\\p{N}"))}},
    {"seed-coder",
     {CUT(CONTRACTION "|" PREFIX "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" TAIL)}},
    {"bailingmoe bailingmoe2 llada-moe",
     {CUT("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}|"
          " ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+")}},
    {"exaone-moe", /* (?:L M*(?: L M*)*)+ without the nesting */
     {CUT(CONTRACTION "|" PREFIX "\\p{L}\\p{M}*+(?: ?\\p{L}\\p{M}*+)*+|\\p{N}|"
          " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+")}},
    {"jais-2",
     {CUT(CONTRACTION "|" PREFIX "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
          "\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|"
          "\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s")}},
    {"gpt-4o o200k llama4 kanana2 talkie minimax-m2",
     {CUT(O200K(UPPER, LOWER, CONTRACTION "?", "\\p{N}{1,3}", "/"))}},
    {"granite-embed-multi-97m",
     {CUT(O200K(UPPER, LOWER, CONTRACTION "?", "\\p{N}{1,3}", "/"))}, .whole_first = true},
    {"tekken", {CUT(O200K(UPPER, LOWER, "", "\\p{N}", "/"))}, .whole_first = true, .bos = true},
    {"kimi-k2",
     {CUT("\\p{sc:Han}+|"
          O200K(UPPER_NOT_HAN, LOWER_NOT_HAN, CONTRACTION "?", "\\p{N}{1,3}", ""))}},
    {"tiny_aya cohere2moe",
     {{ENG_SPLIT_THREES_ISOLATE, "(?<!\\p{Nd})\\p{Nd}++(?!" WORD ")"},
      CUT(O200K(UPPER, LOWER, CONTRACTION "?", "\\p{N}{1,3}", "/"))}},
    {"youtu",
     {CUT("[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+|"
          "[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}\\x{2018}\\x{2019}\\x{2014}\\x{ff1a}\\x{ff1b}\\x{ff0c}"
          "\\x{3001}-\\x{303f}\\x{fe30}-\\x{fe4f}]+|[\\x{3105}-\\x{312f}]+|" DEEPSEEK_HAN),
      CUT(O200K(UPPER, LOWER, CONTRACTION "?", "\\p{N}", "/"))},
     .whole_first = true},
    {"deepseek-llm",
     {CUT("[\\r\\n]"), CUT_LITERAL("[" SPACES "]?[" DEEPSEEK_LETTERS "]+"),
      CUT_LITERAL("[" SPACES "]?[" DEEPSEEK_PUNCTUATION "]+"),
      CUT_LITERAL("(?<![" SPACES "])[" SPACES "]++\\z"), CUT_LITERAL(DEEPSEEK_CJK),
      CUT("\\p{N}")}},
    {"deepseek-coder",
     {CUT("[\\r\\n]"), CUT("\\s?\\p{L}+"), CUT("\\s?\\p{P}+"), CUT(DEEPSEEK_CJK), CUT("\\p{N}")}},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4",
     {CUT("\\p{N}{1,3}"), CUT(DEEPSEEK_HAN), CUT(DEEPSEEK_WORDS("[\\r\\n]*|" TAIL))}},
    {"spark2_5",
     {CUT("\\p{N}{1,3}"), CUT(DEEPSEEK_HAN),
      CUT(DEEPSEEK_WORDS("|[\\r\\n]|\\s+(?!\\S)|\\s+")), CUT("\\p{N}")}},
    {"afmoe",
     {CUT("\\p{Nd}+"), {ENG_SPLIT_THREES, "\\p{Nd}++"}, CUT(AFMOE_SCRIPTS),
      CUT(DEEPSEEK_WORDS("[\\r\\n]*|" TAIL))}},
    {"superbpe", {CUT("\\p{N}+"), {ENG_SPLIT_THREES, "\\p{Nd}++"}}},
    {"falcon", {CUT_LITERAL(OLD_PUNCTUATION), CUT(GPT2), CUT("[0-9][0-9][0-9]")}},
    {"starcoder refact smollm codeshell exaone minerva-7b mellum2", {CUT("\\p{N}"), CUT(GPT2)}},
    {"command-r", {CUT("\\p{N}"), CUT(GPT2)}, .nfc = true},
    {"poro-chat bloom gpt3-finnish", {CUT(BLOOM)}},
    {"viking", {CUT(BLOOM), CUT("\\p{N}")}},
    {"chameleon",
     {CUT("<sentinel:[0-9]+>"), CUT("IMGIMG[A-I]{1,4}Z"), CUT("[\\t\\n]|    |  "), CUT("\\p{N}"),
      CUT("[\\p{P}!-/:-@\\[-`{-~]"), CUT(GPT2)},
     .bos = true},
};
const size_t eng_split_table_n = sizeof eng_split_table / sizeof eng_split_table[0];
