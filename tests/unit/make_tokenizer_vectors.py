#!/usr/bin/env python3
"""Records what `tokenizers` and `sentencepiece` make of random texts, for test_tokenizer.c.

Trains small vocabularies on a corpus written here, exports them with `gguf`, and encodes random
texts: once per pre-tokenizer (in the words of the model's own tokenizer.json), and with
SentencePiece BPE. Everything is seeded: the same packages give the same files
(tokenizers 0.23.3, sentencepiece 0.2.3, gguf 0.19.0).

  make_tokenizer_vectors.py                    writes vectors/tokenizer/
  make_tokenizer_vectors.py --live MINUTES     compares the engine with the packages on new texts

Live mode compiles engine/base, load and text into a shared library of its own.
"""
import argparse
import ctypes
import glob
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import gguf
import sentencepiece
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers,
                        pre_tokenizers, trainers)

HERE = os.path.dirname(os.path.abspath(__file__))
ENGINE = os.path.join(HERE, "..", "..", "engine")
OUT = os.path.join(HERE, "vectors", "tokenizer")

# ---- the pre-tokenizers, as Hugging Face's tokenizer.json files have them -------------------------

CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
U, L = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
C = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K = (r"[^\r\n\p{L}\p{N}]?" + U + "*" + L + "+" + "%(c)s" + r"|[^\r\n\p{L}\p{N}]?" + U + "+" + L +
         "*" + "%(c)s" + r"|%(n)s| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# Kimi's classes are intersections in the original; Oniguruma writes them so too.
HAN_U = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
HAN_L = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
KIMI = (r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?" + HAN_U + "*" + HAN_L + "+" + C + r"|[^\r\n\p{L}\p{N}]?" +
        HAN_U + "+" + HAN_L + "*" + C + r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+")
DS_HAN = "[一-龥぀-ゟ゠-ヿ]+"
DS_WORDS = (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
            r"| ?[\p{P}\p{S}]+")
# Written as numbers: an editor that normalizes text would change the characters.
DS_LETTERS = "".join("-".join(chr(int(c, 16)) for c in r.split("-")) for r in """
    41-5A 61-7A B5 C0-D6 D8-F6 F8-1BA 1BC-1BF 1C4-293 295-2AF 370-373 376 377 37B-37D 37F
    386 388-38A 38C 38E-3A1 3A3-3F5 3F7-481 48A-52F 531-556 10A0-10C5 13A0-13F5 13F8-13FD
    1C90-1CBA 1CBD-1CBF 1D00-1D2B 1D6B-1D77 1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45
    1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4
    1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115
    2119-211D 2124 2126 2128 212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183 2184
    2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 A640-A66D A680-A69B A722-A76F A771-A787
    A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3
    104D8-104FB 10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943
""".split())
AFMOE = ("[\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf"
         "\u0e40-\u0e7f\u0e80-\u0eff\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af"
         "\u1100-\u11ff]+")
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
JAIS2 = CL100K.replace(r"|\s+(?!\S)|\s+", "".join(
    r"|\s{%s}(?!\S)" % n for n in ("512", "256", "128", "64", "32", "16", "8", "4", "1,2")) +
    r"|\s{1}")
GPT2 = "ByteLevel"  # with its own regular expression
NFC = "NFC"

# name in tokenizer.ggml.pre: steps; a str is Split(Isolated)
PRE = {
    "gpt-2": [GPT2],
    "mpt": [NFC, GPT2],
    "llama-bpe": [CL100K % r"\p{N}{1,3}"],
    "glm4": [CL100K % r"\p{N}{1,3}"],
    "qwen2": [NFC, CL100K % r"\p{N}"],
    "hunyuan": [CL100K % r"\p{N}"],
    "qwen35": [NFC, r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
               r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "ufakzeka": [(CL100K % r"\p{N}").split("|", 7)[-1]],
    "minicpm5": [r"\p{N}{1,3}", CL100K % r"\p{N}+"],
    "laguna": [pre_tokenizers.Split(Regex(r"(?:\r?\n)+(?!\r?\n)"), "merged_with_next"),
               CL100K % r"\p{N}"],
    "seed-coder": [(CL100K % r"\p{N}{1}").replace(r"[^\s\p{L}\p{N}]+[\r\n]*",
                                                  r"[^\s\p{L}\p{N}\r\n]+")],
    "bailingmoe": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}"
                   r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
    "exaone-moe": [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+"
                   r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "jais-2": [JAIS2 % r"\p{N}{1,3}"],
    "gpt-4o": [O200K % {"c": C, "n": r"\p{N}{1,3}"}],
    "tekken": [O200K % {"c": "", "n": r"\p{N}"}],
    "kimi-k2": [KIMI],
    "tiny_aya": [r"\d{1,3}(?=(?:\d{3})*\b)", O200K % {"c": C, "n": r"\p{N}{1,3}"}],
    "youtu": ["[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + DS_HAN,
              O200K % {"c": C, "n": r"\p{N}"}],
    "deepseek-llm": ["[\r\n]", r"\s?[" + DS_LETTERS + "]+",
                     r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-\ud7ff]+",
                     pre_tokenizers.Digits(individual_digits=True)],
    "deepseek-coder": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+",
                       pre_tokenizers.Digits(individual_digits=True)],
    "deepseek-v3": [r"\p{N}{1,3}", DS_HAN, DS_WORDS + r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "spark2_5": [r"\p{N}{1,3}", DS_HAN, DS_WORDS + r"|[\r\n]|\s+(?!\S)|\s+", r"\p{N}"],
    "afmoe": [r"\p{Nd}+", r"(?=(?:\p{Nd}{3})+(?!\p{Nd}))", AFMOE,
              DS_WORDS + r"[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "superbpe": [r"\p{N}+", r"(?=(\d{3})+(?!\d))"],
    "falcon": [pre_tokenizers.Punctuation("contiguous"), GPT2, "[0-9][0-9][0-9]"],
    "starcoder": [pre_tokenizers.Digits(individual_digits=True), GPT2],
    "command-r": [NFC, pre_tokenizers.Digits(individual_digits=True), GPT2],
    "bloom": [BLOOM],
    "viking": [BLOOM, pre_tokenizers.Digits(individual_digits=True)],
    "chameleon": ["<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
                  "([\\t\\n]|    |  )", r"\p{N}", r"[\p{P}!-/:-@\[-`{-~]", GPT2],
}
WHOLE_FIRST = {"llama-bpe", "minicpm5", "tekken", "youtu"}
# Recorded with more texts than the others.
COMMON = {"gpt-2", "llama-bpe", "qwen2", "gpt-4o", "deepseek-v3", "kimi-k2", "deepseek-llm", "qwen35"}

CONTROL = ["<|begin|>", "<|im_start|>", "<|im_end|>", "<|im_end|>\n", "<|endoftext|>", "[gMASK]"]
USER = ["<think>", "</think>", "   ", "  ", "\n\n\n", "🙂", "<|im_", "é!", "<tool_call>"]


def pre_tokenizer(steps):
    made = []
    for step in steps:
        if step == GPT2:
            made.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True))
        elif isinstance(step, str) and step != NFC:
            made.append(pre_tokenizers.Split(Regex(step), "isolated"))
        elif step != NFC:
            made.append(step)
    # ByteLevel maps to its alphabet when it splits, so what follows it would see that: as in
    # Falcon's file, whose last step is for ASCII digits only.
    if GPT2 not in steps:
        made.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    return pre_tokenizers.Sequence(made)


# ---- texts ------------------------------------------------------------------------------------------

SENTENCES = [
    "The hearth is where the fire is kept, and where people sit down to talk.",
    "It's 12:45; they've read 3,141 pages, haven't they? I'D SAY WE'LL SEE.",
    "A mixture of experts routes every token to a few of many small networks.",
    "memory bandwidth decides how fast a large model can answer on one machine",
    "def route(x, k=4):\n    scores = sigmoid(x @ w)\n    return topk(scores + bias, k)\n",
    "for (int i = 0; i < n; i++) {\n\tsum += a[i] * b[i];\n}\n",
    "{\"name\": \"hearth\", \"values\": [1, 2.5, -3e10, null], \"ok\": true}\n",
    "我想在自己的电脑上运行很大的语言模型，不需要联网。",
    "这台机器有二十四核和五百吉字节内存，速度取决于内存带宽。",
    "炉火旁边坐着两个人，他们在谈论天气、书籍和音乐。",
    "カタカナとひらがなと漢字を混ぜた文章です。",
    "저는 제 컴퓨터에서 큰 언어 모델을 실행하고 싶습니다.",
    "أريد تشغيل نموذج لغوي كبير على جهازي الخاص.",
    "मैं अपने कंप्यूटर पर एक बड़ा भाषा मॉडल चलाना चाहता हूँ।",
    "ฉันต้องการใช้โมเดลภาษาขนาดใหญ่บนคอมพิวเตอร์ของฉัน",
    "Я хочу запустить большую языковую модель на своём компьютере.",
    "Θέλω να τρέξω ένα μεγάλο γλωσσικό μοντέλο.",
    "Übergrößenträger schließen außerdem häufig später; l'été déjà vu, naïve.",
    "Tôi muốn chạy một mô hình ngôn ngữ lớn trên máy tính của mình.",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🦙🔥 ✅ ♻️",
]


def corpus(rng):
    lines = []
    words = " ".join(SENTENCES).split()
    for _ in range(400):
        lines.append(rng.choice(SENTENCES))
        lines.append(" ".join(rng.choice(words) for _ in range(rng.randint(3, 20))))
        lines.append(" ".join(str(rng.randrange(10 ** rng.randint(1, 7))) for _ in range(3)))
    return lines


SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n", " \n", "\u00a0", "\u2028", "\u2029",
          "\u3000", "\u0085", "\u180e", "\ufeff", "\u200b", "\u2003", "\u1680", "\u202f", "\x0b",
          "\x0c", "\x1c", "\x1f"]
ODD = ["'s", "'S", "'ſ", "'ll", "'LL", "'Ll", "'re", "'VE", "'m", "'d", "’s", "'", "K", "ſ", "ß", "İ",
       "ŉ", "ﬀ", "ǅ", "ʰ", "\u0301", "\u0308", "e\u0301", "a\u0323\u0302", "\u1100\u1161\u11a8",
       "ใ", "\u0e33", "क्षि", "\u200d", "\ufe0f", "½", "²", "Ⅷ", "٣", "७", "１２", "〇", "々", "㊙", "①",
       "_", "-", "...", "=>", "```", "</", "\x00", "\x01", "\x7f", "\u00ad", "▁", "▁▁", "\u2581a",
       "Ġ", "Ċ", "ÿ", "ø", "IMGIMGABCZ", "<sentinel:12>", "𝒜", "𝟘", "🄰", "🇩🇪", "\U000e0041",
       "\ue000", "\ufffd", "\ufffe", "\U0010ffff", "CamelCaseWord", "XMLHttpRequest", "snake_case",
       "1234567", "12,345.678", "0x1F", "1e-9"]
SCRIPTS = [(0x20, 0x7e), (0xa0, 0xff), (0x100, 0x24f), (0x300, 0x36f), (0x370, 0x3ff),
           (0x400, 0x52f), (0x590, 0x6ff), (0x900, 0xdff), (0xe00, 0xeff), (0x1000, 0x139f),
           (0x1780, 0x18af), (0x1c80, 0x1cff), (0x1e00, 0x1fff), (0x2000, 0x2bff),
           (0x2e80, 0x33ff), (0x4e00, 0x9fff), (0xa000, 0xabff), (0xac00, 0xd7ff),
           (0xf900, 0xffff), (0x10000, 0x1341f), (0x16000, 0x18fff), (0x1b000, 0x1fbff),
           (0x20000, 0x323af), (0xe0000, 0xe01ff)]


def character(rng):
    while True:
        if rng.random() < 0.15:
            cp = rng.randrange(0x110000)
        else:
            cp = rng.randint(*rng.choice(SCRIPTS))
        if not 0xD800 <= cp < 0xE000:
            return chr(cp)


def random_text(rng, most):
    parts, words = [], " ".join(SENTENCES).split(" ")
    for _ in range(rng.randint(1, most)):
        what = rng.random()
        if what < 0.22:
            parts.append(rng.choice(words) + rng.choice(["", " "]))
        elif what < 0.40:
            parts.append(rng.choice(SPACES) * rng.choice([1, 1, 1, 2, 3, 7]))
        elif what < 0.55:
            parts.append(rng.choice(ODD))
        elif what < 0.68:
            low, high = rng.choice(SCRIPTS)
            parts.append("".join(chr(c) for c in (rng.randint(low, high)
                                                  for _ in range(rng.randint(1, 6)))
                                 if not 0xD800 <= c < 0xE000))
        elif what < 0.80:
            parts.append("".join(character(rng) for _ in range(rng.randint(1, 4))))
        elif what < 0.88:
            parts.append("".join(rng.choice("0123456789") for _ in range(rng.randint(1, 9))))
        elif what < 0.95:
            parts.append(rng.choice(CONTROL + USER))
        elif what < 0.99:
            parts.append("".join(rng.choice("aAbB.,;!?'/ \n") for _ in range(rng.randint(1, 9))))
        else:
            parts.append(rng.choice(["a", "ab", " ", "=", "1", "的", "\n"]) * rng.randint(20, 90))
    return "".join(parts)


# ---- vocabularies -----------------------------------------------------------------------------------


class Bpe:
    """One vocabulary; a Tokenizer per pre-tokenizer."""

    def __init__(self, rng):
        trained = Tokenizer(models.BPE())
        trained.pre_tokenizer = pre_tokenizer(PRE["gpt-4o"])
        trained.train_from_iterator(corpus(rng), trainers.BpeTrainer(
            vocab_size=760, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False))
        model = json.loads(trained.to_str())["model"]
        self.vocab = model["vocab"]
        # A token that no merge makes is found by ignore_merges alone.
        self.merges = [tuple(m) for i, m in enumerate(model["merges"]) if i % 17 != 5]
        self.tokens = sorted(self.vocab, key=self.vocab.get)
        self.made = {}

    def tokenizer(self, pre):
        if pre not in self.made:
            t = Tokenizer(models.BPE(vocab=self.vocab, merges=self.merges,
                                     ignore_merges=pre in WHOLE_FIRST))
            t.pre_tokenizer = pre_tokenizer(PRE[pre])
            if NFC in PRE[pre]:
                t.normalizer = normalizers.NFC()
            t.decoder = decoders.ByteLevel()
            t.add_special_tokens([AddedToken(c, normalized=False, special=True) for c in CONTROL])
            t.add_tokens([AddedToken(c, normalized=False, special=False) for c in USER])
            self.made[pre] = t
        return self.made[pre]

    def encode(self, pre, text, special):
        t = self.tokenizer(pre)
        t.encode_special_tokens = not special
        return t.encode(text, add_special_tokens=False).ids

    def write(self, path, pre):
        types = [1] * len(self.tokens) + [3] * len(CONTROL) + [4] * len(USER)
        w = gguf.GGUFWriter(path, "test")
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre(pre)
        w.add_token_list(self.tokens + CONTROL + USER)
        w.add_token_types(types)
        w.add_token_merges([" ".join(m) for m in self.merges])
        w.add_bos_token_id(len(self.tokens))
        w.add_eos_token_id(len(self.tokens) + 4)
        finish(w)


class Spm:
    def __init__(self, rng, name, **options):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(corpus(rng)), model_writer=model, model_type="bpe",
            vocab_size=900 if options.get("byte_fallback") else 700, character_coverage=0.995,
            normalization_rule_name="identity", remove_extra_whitespaces=False,
            user_defined_symbols=["<think>", "<tool_call>", "▁▁▁", "🙂"], minloglevel=2,
            num_threads=1, **options)
        self.model = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        self.name, self.prefix = name, options.get("add_dummy_prefix", True)

    def encode(self, _, text, special):
        return self.model.encode(text)

    def write(self, path, _):
        m = self.model
        ids = range(m.get_piece_size())
        kind = [2 if m.is_unknown(i) else 3 if m.is_control(i) else 6 if m.is_byte(i) else 1
                for i in ids]
        for i in ids:  # the Python API does not tell user-defined symbols
            if m.id_to_piece(i) in ("<think>", "<tool_call>", "▁▁▁", "🙂"):
                kind[i] = 4
        w = gguf.GGUFWriter(path, "test")
        w.add_tokenizer_model("llama")
        w.add_tokenizer_pre("default")
        w.add_token_list([m.id_to_piece(i) for i in ids])
        w.add_token_scores([m.get_score(i) for i in ids])
        w.add_token_types(kind)
        w.add_bos_token_id(m.bos_id())
        w.add_eos_token_id(m.eos_id())
        w.add_unk_token_id(m.unk_id())
        w.add_add_space_prefix(self.prefix)
        finish(w)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def spms(rng):
    return [Spm(rng, "spm", byte_fallback=True),
            Spm(rng, "spm-noprefix", byte_fallback=True, add_dummy_prefix=False),
            Spm(rng, "spm-unk")]


# ---- recording --------------------------------------------------------------------------------------


def record(path, encode, texts):
    """A line per text: parse_special, the text in hexadecimal, the ids."""
    with open(path, "w") as f:
        for i, text in enumerate(texts):
            special = i % 2
            ids = encode(text, bool(special))
            f.write("%d %s %s\n" % (special, text.encode().hex() or "-",
                                    " ".join(map(str, ids))))


def make():
    os.makedirs(OUT, exist_ok=True)
    for old in glob.glob(os.path.join(OUT, "*")):
        os.remove(old)
    rng = random.Random(20)
    bpe = Bpe(rng)
    bpe.write(os.path.join(OUT, "bpe.gguf"), "gpt-2")
    for pre in PRE:
        texts = [random_text(rng, 9) for _ in range(150 if pre in COMMON else 40)]
        record(os.path.join(OUT, pre + ".bpe.txt"),
               lambda text, special: bpe.encode(pre, text, special), texts)
    for spm in spms(rng):
        spm.write(os.path.join(OUT, spm.name + ".gguf"), None)
        texts = [random_text(rng, 9) for _ in range(150)]
        record(os.path.join(OUT, spm.name + ".txt"),
               lambda text, special: spm.encode(None, text, special), texts)


# ---- live -------------------------------------------------------------------------------------------


class Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("message", ctypes.c_char * 256)]


class Options(ctypes.Structure):
    _fields_ = [("add_bos", ctypes.c_bool), ("parse_special", ctypes.c_bool)]


def build(folder):
    sources = [s for part in ("base", "load", "text")
               for s in glob.glob(os.path.join(ENGINE, part, "*.c"))]
    path = os.path.join(folder, "libtext.so")
    subprocess.run(["cc", "-std=gnu11", "-O1", "-g", "-shared", "-fPIC", "-D_GNU_SOURCE",
                    "-D_FILE_OFFSET_BITS=64", "-I" + ENGINE, "-I" + ENGINE + "/include", *sources,
                    "-lpcre2-8", "-lm", "-lpthread", "-o", path], check=True)
    lib = ctypes.CDLL(path)
    lib.eng_gguf_open.restype = lib.eng_tokenizer_new.restype = ctypes.c_void_p
    lib.eng_tokenizer_new.argtypes = [ctypes.c_void_p, ctypes.POINTER(Error)]
    return lib


class Engine:
    def __init__(self, lib, path):
        self.lib, self.error = lib, Error()
        model = lib.eng_gguf_open(path.encode(), ctypes.byref(self.error))
        self.tokenizer = model and lib.eng_tokenizer_new(model, ctypes.byref(self.error))
        if not self.tokenizer:
            raise SystemExit(self.error.message.decode())

    def encode(self, text, special):
        data, ids, n = text.encode(), ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        ok = self.lib.eng_tokenizer_encode(
            ctypes.c_void_p(self.tokenizer), data, ctypes.c_size_t(len(data)),
            Options(False, special), ctypes.byref(ids), ctypes.byref(n), ctypes.byref(self.error))
        if not ok:
            raise SystemExit(self.error.message.decode())
        got = ids[:n.value]
        ctypes.CDLL(None).free(ids)
        return got


def shrink(text, differs):
    """The shortest part of the text, roughly, that still differs."""
    step = max(1, len(text) // 2)
    while step:
        at = 0
        while at < len(text):
            less = text[:at] + text[at + step:]
            if differs(less):
                text = less
            else:
                at += step
        step //= 2
    return text


def live(minutes, seed, only):
    rng = random.Random(seed)
    bpe = Bpe(random.Random(20))
    bad = {}
    with tempfile.TemporaryDirectory() as folder:
        lib, pairs = build(folder), []
        for pre in PRE:
            path = os.path.join(folder, pre + ".gguf")  # mapped: not to be written again
            bpe.write(path, pre)
            pairs.append((pre, bpe, Engine(lib, path)))
        for spm in spms(random.Random(21)):
            path = os.path.join(folder, spm.name + ".gguf")
            spm.write(path, None)
            pairs.append((spm.name, spm, Engine(lib, path)))
        pairs = [p for p in pairs if not only or p[0] in only]
        end, count = time.time() + 60 * minutes, 0
        while time.time() < end:
            text, special = random_text(rng, rng.choice([2, 5, 12, 30])), rng.random() < 0.5
            for name, reference, engine in pairs:
                def differs(t):
                    return reference.encode(name, t, special) != engine.encode(t, special)
                count += 1
                if bad.get(name, 0) < 5 and differs(text):
                    bad[name] = bad.get(name, 0) + 1
                    small = shrink(text, differs)
                    print(name, special, ascii(small), "reference",
                          reference.encode(name, small, special), "engine",
                          engine.encode(small, special), flush=True)
    print("%d texts compared, seed %d; differences: %s" % (count, seed, bad or "none"))
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--live", type=float, metavar="MINUTES")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", nargs="*")
    args = parser.parse_args()
    sys.exit(live(args.live, args.seed, args.only) if args.live else make())
