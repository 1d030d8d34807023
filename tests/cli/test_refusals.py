"""Models that are not acceptable, and machines that are too small: one plain sentence, the exit
code, nothing printed, no crash. Each file is good but for one thing."""
import math
import os
import struct

import gguf_file
import harness
from gguf_file import Tensor, build, llama_metadata, llama_tensors
from harness import Case

GOOD = gguf_file.llama()


def changed(name, **fields):
    """The good model's tensors, one of them with other fields; without fields: left out."""
    tensors = [t for t in llama_tensors() if t.name != name or fields]
    for tensor in tensors:
        if tensor.name == name:
            for field, v in fields.items():
                setattr(tensor, field, v)
    return tensors


class Models(Case):
    def check(self, words, data, commands=("chat", "inspect", "logits", "bench"), code=3):
        """chat and those of the other commands that look that deep."""
        path = data if isinstance(data, str) else harness.write("bad.gguf", data)
        args = {"chat": ["-m", path, "--prompt", "x", "--max-new-tokens", "2"], "inspect": [path],
                "logits": ["-m", path, "--tokens", "1", "--out", os.path.join(harness.FOLDER, "o")],
                "bench": ["-m", path, "-p", "4", "-n", "1", "-r", "1"],
                "tokenize": ["-m", path]}
        for command in commands:
            with self.subTest(command=command):
                self.refuse(code, words, command, *args[command])

    DEEP = ("chat", "logits", "bench")

    def test_the_model_that_is_changed_here_is_good(self):
        self.json("chat", "-m", harness.write("good.gguf", GOOD), "--prompt", "x",
                  "--max-new-tokens", 2)

    def test_no_file(self):
        self.check("/nonexistent/model.gguf", "/nonexistent/model.gguf", code=1)
        self.check("", "/", code=1)

    def test_not_a_gguf(self):
        for data in (b"", b"G", b"<html>not found</html>" * 50, bytes(5000)):
            self.check("not a GGUF", data, ("chat", "inspect", "logits", "bench", "tokenize"))

    def test_versions(self):
        self.check("version", b"GGUF" + struct.pack("<I", 1) + GOOD[8:])
        self.check("version", b"GGUF" + struct.pack("<I", 99) + GOOD[8:])
        self.check("big-endian", b"GGUF" + struct.pack(">I", 3) + GOOD[8:])

    def test_cut_short(self):
        for size in (10, 23, 24, 100, 1000, 8000):
            self.check("", GOOD[:size], ("chat", "inspect"))
        self.check("cut short", GOOD[:len(GOOD) // 2])
        self.check("cut short", GOOD[:-1])

    def test_absurd_counts(self):
        for counts in ({"n_tensors": 1 << 62}, {"n_metadata": 1 << 62}, {"n_tensors": 1 << 40}):
            self.check("", build(llama_metadata(), llama_tensors(), **counts))
        for key in ("block_count", "embedding_length", "attention.head_count",
                    "feed_forward_length"):
            for value in (0, 0xffffffff):
                self.check("", build(llama_metadata(**{f"llama.{key}": value}), llama_tensors()),
                           self.DEEP)

    def test_absurd_lengths(self):
        metadata = llama_metadata()
        good = build(metadata, llama_tensors())
        for name in (b"tokenizer.ggml.tokens", b"general.name"):
            at = good.index(name) - 8
            self.check("", good[:at] + struct.pack("<Q", 1 << 60) + good[at + 8:])
            at = good.index(name) + len(name) + (8 if b"tokens" in name else 4)
            self.check("", good[:at] + struct.pack("<Q", 1 << 60) + good[at + 8:])

    def test_tensors_that_overlap(self):
        self.check("overlaps", build(llama_metadata(), changed("blk.0.attn_q.weight", offset=0)))

    def test_tensors_outside_the_file(self):
        for offset in (1 << 40, (1 << 64) - 32):
            self.check("", build(llama_metadata(), changed("blk.0.attn_q.weight", offset=offset)))

    def test_tensors_out_of_line(self):
        self.check("aligned", build(llama_metadata(), changed("blk.0.attn_q.weight", offset=4)))

    def test_an_unknown_type(self):
        self.check("type", build(llama_metadata(), changed("blk.0.attn_q.weight", kind=9999)))

    def test_two_tensors_of_one_name(self):
        self.check("output_norm.weight", build(llama_metadata(), llama_tensors() + [
            Tensor("output_norm.weight", [32])]))

    def test_an_unknown_family(self):
        self.check("starfish", build(llama_metadata(**{"general.architecture": "starfish"}),
                                     llama_tensors()), self.DEEP)

    def test_no_family(self):
        metadata = llama_metadata()
        del metadata["general.architecture"]
        self.check("", build(metadata, llama_tensors()), self.DEEP)

    def test_a_missing_tensor(self):
        for name in ("token_embd.weight", "blk.1.ffn_down.weight", "output_norm.weight"):
            self.check(name, build(llama_metadata(), changed(name)), self.DEEP)

    def test_a_wrong_shape(self):
        for name, shape in (("blk.0.attn_q.weight", [32, 16]), ("blk.0.attn_norm.weight", [16]),
                            ("output.weight", [32, 100]), ("blk.1.ffn_up.weight", [32, 64, 2])):
            self.check(name, build(llama_metadata(), changed(name, shape=shape, data=None)),
                       self.DEEP)

    def test_a_missing_setting(self):
        for key in ("llama.block_count", "llama.embedding_length", "llama.attention.head_count"):
            metadata = llama_metadata()
            del metadata[key]
            self.check("", build(metadata, llama_tensors()), self.DEEP)

    def test_weights_that_are_no_numbers(self):
        for value in (math.nan, math.inf):
            data = struct.pack("<1024f", *[value] * 1024)
            self.check("not a number|damaged",
                       build(llama_metadata(), changed("blk.0.attn_q.weight", data=data)),
                       ("chat",))

    def test_no_vocabulary(self):
        metadata = {k: v for k, v in llama_metadata().items() if not k.startswith("tokenizer.ggml.")}
        self.check("", build(metadata, llama_tensors()), ("chat", "tokenize"))
        self.check("", build(llama_metadata(**{"tokenizer.ggml.model": "seashell"}),
                             llama_tensors()), ("chat", "tokenize"))

    def test_a_vocabulary_alone_cannot_talk(self):
        path = harness.write("vocab.gguf", build(
            {"general.architecture": "llama", **gguf_file.vocabulary()}, []))
        self.check("", path, self.DEEP)

    def test_a_template_that_fails(self):
        for template, words in (("{{ raise_exception('No luck today.') }}", "No luck today."),
                                ("{% if %}", ""), ("{{ messages.x.y }}", ""), ("{% for x in", "")):
            path = harness.write("bad.gguf", build(
                llama_metadata(**{"tokenizer.chat_template": template}), llama_tensors()))
            done = harness.run("chat", "-m", path, "--prompt", "x")
            self.assertEqual((done.returncode, done.stdout), (3, b""), template)
            self.assertIn(words, done.stderr.decode())
            self.assertEqual(done.stderr.count(b"\n"), 1)

    def test_a_prompt_longer_than_the_context(self):
        path = harness.write("good.gguf", GOOD)
        self.refuse(3, "100|context", "chat", "-m", path, "--context", "100", "--prompt", "x" * 500)
        self.refuse(3, "context", "chat", "-m", path, "--context", "100", stdin=b"x" * 500)
        self.refuse(3, "context", "chat", "-m", path, "--context", "1", "--prompt", "x")


class Machine(Case):
    @harness.unittest.skipIf(harness.sanitized(), "sanitizers need the whole address space")
    def test_no_memory(self):
        path = harness.write("good.gguf", GOOD)
        self.refuse(1, "GiB|context", "chat", "-m", path, "--context", "16777216", "--prompt", "x",
                    limit=1 << 20)


if __name__ == "__main__":
    harness.main()
