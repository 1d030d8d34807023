"""What each command but chat does with good input, and with odd but good input."""
import json
import math
import os
import re
import signal
import struct
import subprocess
import time
import unittest

import gguf_file
import harness
from harness import Case, FOLDER, run

TINY = harness.write("tiny.gguf", gguf_file.llama())
VOCAB = harness.write("vocab.gguf", gguf_file.build(
    {"general.architecture": "llama", **gguf_file.vocabulary()}, []))
IDS = {byte: i for i, byte in enumerate(gguf_file.byte_letters())}
BOS = gguf_file.N_VOCAB - 2


class Tokenize(Case):
    def ids(self, data, *args, model=TINY):
        return self.json("tokenize", "-m", model, *args, stdin=data)["tokens"]

    def test_every_byte_and_no_newline_lost(self):
        data = b"\n\x00 a\xff\xfe\xe4\xb8\n"
        self.assertEqual(self.ids(data), [IDS[b] for b in data])

    def test_merges(self):
        self.assertEqual(self.ids(b"hehe"), [256, 256])

    def test_plain_form(self):
        self.assertEqual(self.text("tokenize", "-m", TINY, stdin=b"ab"),
                         f"{IDS[97]} {IDS[98]}\n".encode())
        self.assertEqual(self.text("tokenize", "-m", TINY, stdin=b""), b"\n")

    def test_empty_text(self):
        self.assertEqual(self.ids(b""), [])

    def test_file_and_dash(self):
        path = harness.write("text", b"he\x00")
        for args in (["--file", path], ["--file=-"]):
            self.assertEqual(self.ids(b"he\x00", *args), [256, IDS[0]])

    def test_special_tokens(self):
        text = b"<|im_end|>"
        self.assertEqual(self.ids(text), [BOS + 1])
        self.assertEqual(self.ids(text, "--no-special"), [IDS[b] for b in text])

    def test_bos(self):
        metadata = {"general.architecture": "llama", **gguf_file.vocabulary(),
                    "tokenizer.ggml.add_bos_token": True}
        model = harness.write("bos.gguf", gguf_file.build(metadata, []))
        self.assertEqual(self.ids(b"he", model=model), [BOS, 256])
        self.assertEqual(self.ids(b"he", "--no-bos", model=model), [256])

    def test_vocabulary_without_weights(self):
        self.assertEqual(self.ids(b"he", model=VOCAB), [256])


class Detokenize(Case):
    def test_bytes_come_back(self):
        data = bytes(range(256))
        self.assertEqual(self.text("detokenize", "-m", VOCAB, *(IDS[b] for b in data)), data)

    def test_json_is_text(self):
        ids = [IDS[b] for b in b"a\xff\x00b"]
        self.assertEqual(self.json("detokenize", "-m", VOCAB, *ids)["text"], "a\ufffd\ufffdb")

    def test_ids_in_one_argument(self):
        self.assertEqual(self.text("detokenize", "-m", VOCAB, "256,256 256"), b"hehehe")

    def test_special_tokens_are_written(self):
        self.assertEqual(self.text("detokenize", "-m", VOCAB, BOS), b"<|im_start|>")

    def test_bad_ids(self):
        self.refuse(2, '"-5" is no token id', "detokenize", "-m", VOCAB, "-5")
        self.refuse(2, '"x" is no token id', "detokenize", "-m", VOCAB, "1,x")
        self.refuse(2, "is no token id", "detokenize", "-m", VOCAB, "99999999999999999999")
        self.refuse(3, "259|0 to 258", "detokenize", "-m", VOCAB, "259")
        for nothing in ("", " "):
            self.refuse(2, "no token ids", "detokenize", "-m", VOCAB, nothing)
            self.refuse(2, "no token ids", "detokenize", "-m", VOCAB, "256", nothing)
        for ids, place in (("256,,257", 4), ("256, ,257", 5), ("256,", 4)):
            self.refuse(2, f"behind a comma at byte {place}:", "detokenize", "-m", VOCAB, ids)
        self.refuse(2, '"" is no token id', "detokenize", "-m", VOCAB, ",256")


class Render(Case):
    def request(self, document):
        text = document if isinstance(document, (str, bytes)) else json.dumps(document)
        return harness.write("request.json", text)

    def render(self, template, document, **more):
        path = harness.write("template.jinja", template)
        return self.json("render", "--template", path, "--request", self.request(document), **more)

    def test_template(self):
        got = self.render("{% for m in messages %}{{ bos_token }}{{ m.content }}|{% endfor %}",
                          {"input": {"messages": [{"role": "user", "content": "ü\n"}]},
                           "tokens": {"bos_token": "<s>"}})
        self.assertEqual(got, {"text": "<s>ü\n|"})

    def test_input_wins_over_tokens(self):
        got = self.render("{{ a }}{{ b }}", {"input": {"a": 1}, "tokens": {"a": 2, "b": 3}})
        self.assertEqual(got["text"], "13")

    def test_plain_text_has_nothing_added(self):
        path = harness.write("template.jinja", "{{ a }}")
        request = self.request({"input": {"a": "x\n\n"}})
        self.assertEqual(self.text("render", "--template", path, "--request", request), b"x\n\n")

    def test_request_on_standard_input(self):
        path = harness.write("template.jinja", "{{ a }}")
        self.assertEqual(self.text("render", "--template", path, "--request", "-",
                                   stdin=b' {"input": {"a": [1, "}"]}} \n'), b"[1, '}']")

    def test_numbers_stay_as_written(self):
        got = self.render("{{ a }} {{ b }} {{ c }}",
                          '{"input": {"a": 12345678901234567890, "b": 0.1, "c": 1e22}}')
        self.assertEqual(got["text"], "12345678901234567890 0.1 1e+22")

    def test_now(self):
        got = self.render("{{ strftime_now('%Y/%m/%d %H') }}",
                          {"input": {}, "now": "2026-03-09T08:05:07"})
        self.assertEqual(got["text"], "2026/03/09 08")

    def test_of_a_model(self):
        request = self.request({"input": {"messages": [{"role": "user", "content": "A"}],
                                          "add_generation_prompt": True}})
        for model in (TINY, VOCAB):
            got = self.json("render", "-m", model, "--request", request)
            self.assertEqual(got["text"],
                             "<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\n")

    def test_a_template_that_raises_speaks_for_itself(self):
        long = "Only user and assistant roles are supported! " * 20
        path = harness.write("template.jinja", "{{ raise_exception(text) }}")
        for message in ("No “luck” today", long):
            request = self.request({"input": {"text": message}})
            for extra in ([], ["--json"]):
                done = run("render", "--template", path, "--request", request, *extra)
                self.assertEqual((done.returncode, done.stdout), (3, b""))
                self.assertEqual(done.stderr.decode(), message + "\n")

    def test_bad_requests(self):
        path = harness.write("template.jinja", "x")
        for text in ("", "[]", "{", "nonsense", '{"input": {}', '{"input": {} "x": 1}', "{} {}",
                     '{"input": 5}', '{"input": {}, "tokens": []}', '{"input": {"a": }}'):
            self.refuse(3, "request", "render", "--template", path, "--request",
                        self.request(text))
        for text, place in (('{"input": {"messages": [}}', "byte 24 (line 1)"),
                            ('{"now": "x",\n "input": {"a": tru}}', "byte 29 (line 2)"),
                            ('{"input": {"a": 1}\n', "byte 19 (line 2)")):
            self.refuse(3, f"not JSON|{place}", "render", "--template", path, "--request",
                        self.request(text))
        self.refuse(3, '"input"', "render", "--template", path, "--request", self.request("{}"))
        self.refuse(3, '"now"', "render", "--template", path, "--request",
                    self.request('{"input": {}, "now": 5}'))
        self.refuse(3, "UTF-8", "render", "--template", path, "--request", self.request(b"\xff"))

    def test_model_without_template(self):
        metadata = {"general.architecture": "llama", **gguf_file.vocabulary()}
        del metadata["tokenizer.chat_template"]
        model = harness.write("plain.gguf", gguf_file.build(metadata, []))
        done = run("render", "-m", model, "--request", self.request({"input": {}}))
        self.assertEqual((done.returncode, done.stdout), (3, b""))
        self.assertIn(b"template", done.stderr)


class Logits(Case):
    OUT = os.path.join(FOLDER, "out")

    def rows(self, *args, **more):
        self.json("logits", "-m", TINY, "--out", self.OUT, *args, **more)
        with open(self.OUT, "rb") as file:
            data = file.read()
        n = len(data) // 4 // gguf_file.N_VOCAB
        values = struct.unpack(f"<{len(data) // 4}f", data)
        self.assertEqual(len(values), n * gguf_file.N_VOCAB)
        return [values[i * gguf_file.N_VOCAB:(i + 1) * gguf_file.N_VOCAB] for i in range(n)]

    def test_a_row_per_token(self):
        rows = self.rows("--tokens", "1,2,3")
        self.assertEqual(len(rows), 3)
        self.assertTrue(all(math.isfinite(x) for row in rows for x in row))
        self.assertEqual(rows[0][258], 0)  # the model's row of zeros
        self.assertEqual(self.rows("--tokens", "1,2,3", "--threads", 1), rows)
        self.assertEqual(self.rows("--tokens", "1,2,3", "--threads", 3), rows)

    def test_a_row_knows_only_what_came_before(self):
        long, short = self.rows("--tokens", "5,6,7,8"), self.rows("--tokens", "5,6")
        for a, b in zip(long, short):
            self.assertTrue(all(abs(x - y) < 1e-4 for x, y in zip(a, b)))
        self.assertNotEqual(long[0], long[1])

    def test_lists_from_elsewhere(self):
        expected = self.rows("--tokens", "1,2,3")
        path = harness.write("ids", "1 2\n3\n")
        self.assertEqual(self.rows("--tokens", "@" + path), expected)
        self.assertEqual(self.rows("--tokens", "-", stdin=b"1,2,3"), expected)

    def test_more_rows_than_one_piece(self):
        """64 MiB of rows are computed at once; these are more."""
        n_vocab, n = 40000, 430
        table = struct.pack("<32f", *(x / 16 for x in range(32))) * n_vocab
        tensors = [t for t in gguf_file.llama_tensors()
                   if t.name not in ("token_embd.weight", "output.weight")]
        tensors += [gguf_file.Tensor(name, [32, n_vocab], table)
                    for name in ("token_embd.weight", "output.weight")]
        metadata = gguf_file.llama_metadata()
        metadata["tokenizer.ggml.tokens"] += [f"t{i}" for i in range(n_vocab - gguf_file.N_VOCAB)]
        metadata["tokenizer.ggml.token_type"] += [1] * (n_vocab - gguf_file.N_VOCAB)
        model = harness.write("wide.gguf", gguf_file.build(metadata, tensors))
        ids = " ".join(str(i) for i in range(n))
        got = self.json("logits", "-m", model, "--tokens", "-", "--out", self.OUT,
                        stdin=ids.encode())
        self.assertEqual(got, {"n_tokens": n, "n_vocab": n_vocab})
        self.assertEqual(os.path.getsize(self.OUT), n * n_vocab * 4)
        self.assertGreater(n * n_vocab * 4, 64 << 20)
        os.remove(self.OUT)

    def test_bad_tokens(self):
        for code, ids, words in ((2, "", "no token ids"), (2, "1,,2", "behind a comma"),
                                 (2, "1,", "behind a comma"), (2, "1,x", '"x"'), (2, "-1", '"-1"'),
                                 (3, "259", "0 to 258"), (1, "@/nonexistent", "no file")):
            self.refuse(code, words, "logits", "-m", TINY, f"--tokens={ids}", "--out", self.OUT)

    def test_nothing_remains_of_a_failure(self):
        folder = os.path.join(FOLDER, "empty")
        os.mkdir(folder)
        out = os.path.join(folder, "out")
        self.refuse(3, "", "logits", "-m", TINY, "--tokens", "1,300", "--out", out)
        self.assertEqual(os.listdir(folder), [])
        self.refuse(1, "Cannot write", "logits", "-m", TINY, "--tokens", "1",
                    "--out", os.path.join(folder, "none", "out"))

    def test_devices_stay_devices(self):
        self.refuse(1, "Cannot write", "logits", "-m", TINY, "--tokens", "1", "--out", "/dev/full")
        self.text("logits", "-m", TINY, "--tokens", "1", "--out", "/dev/null")
        self.assertFalse(os.path.isfile("/dev/null"))


class Inspect(Case):
    def test_json(self):
        got = self.json("inspect", TINY)
        tensors = gguf_file.llama_tensors()
        self.assertEqual({t["name"]: t["shape"] for t in got["tensors"]},
                         {t.name: t.shape for t in tensors})
        self.assertEqual({t["type"] for t in got["tensors"]}, {"F32"})
        parameters = sum(math.prod(t.shape) for t in tensors)
        self.assertEqual(sum(t["bytes"] for t in got["tensors"]), 4 * parameters)
        self.assertEqual((got["arch"], got["name"], got["quant"]), ("llama", "Tiny", "F32"))
        self.assertEqual((got["parameters"], got["context"]), (parameters, 100000))
        self.assertLess(got["active_parameters"], parameters)  # one row of the token table
        self.assertEqual((got["supported"], got["reason"]), (True, ""))

    def test_plain(self):
        out = self.text("inspect", TINY).decode()
        for words in ("Tiny", "llama, runs here", "100000 tokens", "blk.1.ffn_down.weight"):
            self.assertIn(words, out)

    def test_a_family_that_does_not_run(self):
        path = harness.write("other.gguf", gguf_file.build(
            {"general.architecture": "starfish"}, [gguf_file.Tensor("a", [4])]))
        got = self.json("inspect", path)
        self.assertFalse(got["supported"])
        self.assertIn("starfish", got["reason"])
        self.assertIn(b"starfish, does not run here", self.text("inspect", path))

    def test_vocabulary_only(self):
        got = self.json("inspect", VOCAB)
        self.assertEqual((got["tensors"], got["supported"]), ([], False))
        self.assertIn("vocabulary", got["reason"])

    def test_names_cannot_command_a_terminal(self):
        path = harness.write("escape.gguf", gguf_file.build(
            {"general.architecture": "llama", "general.name": b"\x1b[2Jgone\xff"},
            [gguf_file.Tensor("\x1b[31mred", [4])]))
        done = run("inspect", path)
        self.assertNotIn(b"\x1b", done.stdout + done.stderr)
        self.assertNotIn(b"\x1b", run("inspect", "--json", path).stdout)


class Bench(Case):
    def test_rows(self):
        got = self.json("bench", "-m", TINY, "-p", 20, "-n", 5, "-r", 2, "--threads", 2)
        self.assertEqual([(row["test"], row["n"]) for row in got["rows"]], [("pp20", 20), ("tg5", 5)])
        for row in got["rows"]:
            self.assertGreater(row["tok_s_min"], 0)
            self.assertLessEqual(row["tok_s_min"], row["tok_s_median"])
            self.assertLessEqual(row["tok_s_median"], row["tok_s_max"])

    def test_ops(self):
        got = self.json("bench", "-m", TINY, "-p", 20, "-n", 5, "-r", 2, "--gpu=off", "--ops")
        layers = self.json("inspect", TINY)["layers"]
        for row, rate in zip(got["rows"], ("gop_s", "gb_s")):
            ops = row["ops"]
            self.assertEqual(sum(op["ops"] for op in ops if op["name"] == "attention"), layers)
            spent = [op["us_per_token"] for op in ops]
            self.assertEqual(spent, sorted(spent, reverse=True))
            self.assertLess(sum(spent), 1e6 / row["tok_s_min"])
            for op in ops:
                is_head = op["matrices"] and op["ops"] == 1 and rate == "gop_s"
                self.assertEqual(rate in op, bool(op["matrices"]) and not is_head, op)
        self.assertNotIn("ops", self.json("bench", "-m", TINY, "-p", 3, "-r", 1, "-n0")["rows"][0])
        text = self.text("bench", "-m", TINY, "-p", 20, "-n", 5, "-r", 1, "--gpu=off", "--ops")
        self.assertRegex(text, rb"\npp20 .*Gop/s(.*\n)+.*\ntg5 .*GB/s")

    def test_depth_and_single_tests(self):
        got = self.json("bench", "-m", TINY, "-p0", "-n3", "-d", 7, "-r1", "--gpu=off")
        self.assertEqual([row["test"] for row in got["rows"]], ["tg3@d7"])
        got = self.json("bench", "-m", TINY, "-p", 3, "-n", 0, "-r", 1)
        self.assertEqual([row["test"] for row in got["rows"]], ["pp3"])

    def test_weights_in_memory(self):
        start = time.monotonic()
        got = self.json("bench", "-m", TINY, "-p", 3, "-n", 2, "-r", 1, "--weights", "copied")
        self.assertEqual([row["test"] for row in got["rows"]], ["pp3", "tg2"])
        self.assertTrue(0 <= got["load_s"] <= time.monotonic() - start, got["load_s"])
        self.refuse(2, '"elsewhere"|mapped or copied', "bench", "--weights", "elsewhere")

    def test_context_in_bytes(self):
        self.refuse(2, "blocks of 32, as a context in 8 bits needs: choose 16 bits",
                    "bench", "-m", TINY, "--kv", "q8_0")

    def test_the_built_in_model(self):
        self.assertIn(b"pp8 ", self.text("bench", "-p", 8, "-n", 2, "-r", 1))

    def test_kernels(self):
        got = self.json("bench", "--kernels", "--threads", 2)
        self.assertEqual(got["limits"]["threads"], 2)
        for key in ("read_gb_s", "int8_gop_s", "float_gop_s", "barrier_us"):
            self.assertGreater(got["limits"][key], 0)
        parts = [(part["kernel"], part["shape"]) for part in got["parts"]]
        self.assertEqual(len(parts), len(set(parts)))
        self.assertLessEqual({"scores", "values", "soften", "quantize", "rms_norm", "silu_mul"},
                             {name for name, _ in parts})
        limits = {"read": "gb_s", "int8": "gop_s", "int16": "gop_s", "float": "gop_s"}
        for part in got["parts"]:
            unit = limits[part["bound"]]
            limit = got["limits"][f"{part['bound']}_{unit}"]
            self.assertGreater(part[unit], 0)
            ratio, rounded = part[unit] / limit, 0.0005  # small where other work is in between
            self.assertAlmostEqual(part["of_limit"], ratio, delta=2 * rounded + ratio * rounded *
                                   (1 / part[unit] + 1 / limit))
        types = [row["type"] for row in got["rows"]]
        self.assertEqual(len(types), len(set(types)))
        self.assertLessEqual({"F32", "Q8_0", "Q4_K", "IQ2_XXS", "MXFP4"}, set(types))
        for row in got["rows"]:
            self.assertGreater(min(row["decode_gb_s"], row["decode_gop_s"], row["few_gop_s"],
                                   row["prefill_gop_s"]), 0)
            self.assertIn(row["level"], ("c", "avx2", "avxvnni", "avx512", "vnni", "vbmi", "amx"))


class Rehearse(Case):
    # Published by the makers of the models.
    PARAMETERS = {"deepseek-v2-lite": 15706484224, "qwen3-30b-a3b": 30532122624}

    def test_a_file(self):
        got = self.json("rehearse", TINY, "-p", 8, "-n", 3, "-r", 2, "--threads", 2)
        self.assertEqual([row["test"] for row in got["rows"]], ["pp8", "tg3"])
        told = self.json("inspect", TINY)
        self.assertEqual(got["parameters"], told["parameters"])
        self.assertGreaterEqual(got["stand_in_bytes"], got["weight_bytes"] // 2)
        for key in ("predicted_prefill_tok_s", "predicted_decode_tok_s", "read_gb_s", "int8_gop_s"):
            self.assertGreater(got[key], 0)
        for test in ("prefill", "decode"):
            self.assertGreaterEqual(got[f"limit_{test}_tok_s"], got[f"predicted_{test}_tok_s"])
        self.assertIn(b"Tiny, F32", self.text("rehearse", TINY, "-p", 2, "-n", 1))

    @unittest.skipIf(harness.sanitized(), "a whole model takes long in this build")
    def test_shapes(self):
        for shape, parameters in self.PARAMETERS.items():
            got = self.json("rehearse", shape, "-q", "IQ1_S", "--dram", "1GiB", "-p", 0, "-n", 1,
                            "--threads", 2)
            self.assertEqual(got["parameters"], parameters)
            self.assertLessEqual(got["stand_in_bytes"], 1 << 30)
            self.assertGreater(got["stands_for"], 2)
            self.assertGreater(got["rows"][0]["tok_s_median"], 0)

    def test_too_little_memory(self):
        self.refuse(1, "takes at least|it may have 1.0 GiB", "rehearse", "deepseek-r1", "--dram",
                    "1GiB")

    def test_names(self):
        self.refuse(1, 'no file "r1"|deepseek-r1, ', "rehearse", "r1")
        self.refuse(2, "Q9|Q4_K_M", "rehearse", "deepseek-r1", "-q", "Q9")
        got = self.json("plan", "Mixtral-8x7B", "-q", "q2_k", "--gpu", "off")
        self.assertEqual(got["name"], self.json("plan", "mixtral-8x7b", "-q", "Q2_K", "--gpu",
                                                "off")["name"])
        self.assertIn("Q2_K", got["name"])
        self.refuse(2, "for shapes", "rehearse", TINY, "-q", "Q4_K_M")
        self.refuse(2, "nothing to measure", "rehearse", TINY, "-p", 0, "-n", 0)

    def test_sizes(self):
        for size in ("12", "GiB", "-1GiB", "12 GiB", "0GiB", "1e30GiB", "nanGiB", "12B", "12gibb",
                     "12GBB", "12KMB", "12P"):
            self.refuse(2, f'24GiB|"{size}"', "rehearse", TINY, f"--dram={size}")
        self.json("rehearse", TINY, "--dram", "0.5gib", "-p", 1, "-n", 1)

    def test_units(self):
        for size, n in (("2G", 2 << 30), ("2GiB", 2 << 30), ("2gib", 2 << 30), ("2Gi", 2 << 30),
                        ("2GB", 2 * 10 ** 9), ("2gb", 2 * 10 ** 9), ("4000M", 4000 << 20),
                        ("4000MB", 4 * 10 ** 9), ("0.01T", (1 << 40) // 100), ("0.01TB", 10 ** 10),
                        ("4000000K", 4000000 << 10), ("4000000KB", 4 * 10 ** 9)):
            self.assertEqual(self.json("plan", TINY, "--vram", size)["vram_bytes"], n, size)
        for name in ("chat", "plan", "rehearse"):
            self.assertIn(b"KB, MB, GB and TB count by 1000", self.text(name, "--help"))
        self.assertNotIn(b"SIZE", self.text("tokenize", "--help"))

    @unittest.skipIf(harness.sanitized(), "a whole model takes long in this build")
    def test_ctrl_c(self):
        run = subprocess.Popen([harness.CLI, "rehearse", "qwen3-30b-a3b", "--dram", "1GiB", "-p",
                                "4096"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        time.sleep(4)
        self.assertIsNone(run.poll())
        run.send_signal(signal.SIGINT)
        start = time.monotonic()
        self.assertNotEqual(run.wait(harness.SLOW), 0)
        self.assertLess(time.monotonic() - start, 2)
        run.communicate()


class Plan(Case):
    """On a machine of 24 GiB and 382 GiB, as the ones that DeepSeek-R1 was first run on at home."""
    R1 = "deepseek-r1", "--vram", "24GiB", "--dram", "382GiB"

    def amounts(self, plan):
        sums = {}
        for row in plan["rows"]:
            key = row["kind"], row["device"][:4]
            sums[key] = sums.get(key, 0) + row["bytes"]
        return sums

    def test_progress_beside_a_document(self):
        """Where the result goes to is no reason to leave a person at the terminal without news."""
        ours, theirs = os.openpty()
        for more in ([], ["--json"]):
            done = subprocess.run([harness.CLI, "plan", TINY, *more], stdout=subprocess.PIPE,
                                  stderr=theirs, timeout=harness.SLOW)
            self.assertEqual(done.returncode, 0)
            self.assertIn(b"Measuring", os.read(ours, 65536))
            self.assertNotIn(b"Measuring", done.stdout)
            if more:
                json.loads(done.stdout)
        os.close(ours)
        os.close(theirs)

    def test_r1_on_24_gib(self):
        got = self.json("plan", *self.R1)
        rows = self.amounts(got)
        self.assertEqual(got["expert_layers"], 58)
        gpu = sum(n for (kind, device), n in rows.items() if device == "gpu0")
        cpu = sum(n for (kind, device), n in rows.items() if device in ("cpu", "numa"))
        self.assertLessEqual(gpu + got["vram_reserve"], 24 << 30)
        self.assertLessEqual(cpu + got["dram_reserve"], 382 << 30)
        self.assertEqual([key for key in rows if key[1] == "disk"], [])
        # 576 numbers of 2 bytes in each of 61 layers
        self.assertEqual(rows["KV cache", "gpu0"], 61 * 576 * 2 * got["context"])
        for kind in ("attention", "shared experts", "dense layers", "head"):
            self.assertEqual([device for k, device in rows if k == kind], ["gpu0"])

    def test_r1_reads_what_is_known(self):
        """By hand: 16.2 billion parameters beside the routed experts (attention 11.4, shared 2.55,
        dense 1.19, head 0.93, routers 0.1) at 4.8 bits are 9.8 GB of VRAM a token, and the chosen
        8 of 256 experts in 58 layers, 20.4 billion, at about 4.9 bits 12.5 GB. Mixes differ by
        what they keep in 6 bits: 4 %."""
        got = self.json("plan", *self.R1)
        cached = got["expert_layers_in_vram"] / 58
        routed = got["token_dram_gb"] / (1 - cached)
        self.assertAlmostEqual(routed, 12.5, delta=0.5)
        self.assertAlmostEqual(got["token_vram_gb"] - routed * cached, 9.8, delta=0.4)
        self.assertAlmostEqual(got["token_gop"] / 2, 36.6, delta=0.4)

    @unittest.skipIf(harness.sanitized(), "its arithmetic takes longer than reading")
    def test_r1_speed_follows(self):
        got = self.json("plan", *self.R1)
        speeds = got["speeds"]
        shared_gb = 2.55 * 4.8 / 8  # computed beside the routed experts
        cpu_s = got["token_dram_gb"] / speeds["dram_gb_s"]
        gpu_s = (got["token_vram_gb"] - shared_gb) / speeds["vram_gb_s"]
        self.assertAlmostEqual(got["predicted_decode_tok_s"] * (
            cpu_s + gpu_s + 10e-6 * got["crossings"]), 1, delta=0.02)
        self.assertEqual(got["decode_term"], "DRAM reading")
        # to the experts and back in the layers whose experts are not in VRAM, into the first layer
        # and out of the last
        self.assertEqual(got["crossings"], 2 * (58 - got["expert_layers_in_vram"]) + 2)

    def test_keys(self):
        got = self.json("plan", TINY, "--gpu", "off")
        self.assertEqual(list(got), [
            "name", "gpu", "gpu_assumed", "reason", "vram_bytes", "vram_reserve", "dram_bytes",
            "dram_reserve", "context", "batch", "rows", "kernels", "expert_layers",
            "expert_layers_in_vram", "cached_experts", "expert_hit_rate", "token_vram_gb",
            "token_dram_gb", "token_disk_gb", "token_gop", "crossings", "prompt",
            "predicted_prefill_tok_s", "prefill_term", "predicted_decode_tok_s", "decode_term",
            "load_s", "speeds"])
        self.assertEqual(got["gpu"], "")
        self.assertEqual({row["device"] for row in got["rows"]} & {"gpu0", "disk"}, set())
        weights = sum(row["bytes"] for row in got["rows"]
                      if row["kind"] not in ("KV cache", "buffers"))
        told = self.json("inspect", TINY)
        self.assertEqual(weights, sum(tensor["bytes"] for tensor in told["tensors"]))

    def test_what_is_printed(self):
        out = self.text("plan", *self.R1).decode()
        for words in ("there is none here" if not self.json("hardware")["gpu"]["name"] else "GPU",
                      "shared experts", "tok/s predicted", "most time goes to", "Load"):
            self.assertIn(words, out)
        out = self.text("plan", TINY, "--gpu", "off").decode()
        self.assertIn("all is on the CPU", out)

    def test_what_dram_cannot_hold(self):
        got = self.json("plan", "deepseek-r1", "--vram", "24GiB", "--dram", "128GiB")
        self.assertGreater(self.amounts(got)["experts", "disk"], 200 << 30)
        if not harness.sanitized():
            self.assertEqual(got["decode_term"], "disk reading")

    def test_long_context(self):
        """128 Ki tokens of R1 fit 24 GiB."""
        for kv in ("f16", "q8_0"):
            got = self.json("plan", *self.R1, "--context", 131072, "--kv", kv)
            width = 576 * 2 if kv == "f16" else 576 // 32 * 34
            self.assertEqual(self.amounts(got)["KV cache", "gpu0"], 61 * width * 131072)

    def test_rules(self):
        rules = harness.write("rules", "_exps device=disk # all\n")
        rows = self.amounts(self.json("plan", *self.R1, "--rules", rules))
        self.assertEqual([device for kind, device in rows if kind == "experts"], ["disk"])
        rules = harness.write("rules", "\nattn device=gpu7\n")
        self.refuse(2, "Line 2|gpu7", "plan", *self.R1, "--rules", rules)
        self.refuse(1, "nowhere", "plan", TINY, "--rules", "/nowhere/rules")
        self.refuse(3, "The file of rules is no UTF-8", "plan", TINY, "--rules",
                    harness.write("rules", b"\xff"))

    def test_kernels_by_rule(self):
        rules = harness.write("rules", "attn_q.weight kernel=f32.c\n")
        for command in ("plan", TINY), ("rehearse", TINY, "-p4", "-n1"):
            self.assertIn(b"f32.c" if command[0] == "plan" else b"tok/s",
                          self.text(*command, "--rules", rules))
        got = self.json("plan", TINY, "--rules", rules)["kernels"]
        self.assertEqual([kernel["name"] for kernel in got], ["f32.c"])
        self.refuse(2, "Line 1|\"f32.cuda\"|is one of the GPU, and there is none here", "plan", TINY,
                    "--gpu", "off", "--rules", harness.write("rules", "attn_q.weight kernel=f32.cuda"))
        for line, words in (("attn_q.weight kernel=fast", "Line 1|\"fast\"|f32.c"),
                            ("plugin=none.so", "Line 1|./none.so"),
                            (f"# a model\nplugin={TINY}", "Line 2|cannot be opened")):
            self.refuse(2, words, "plan", TINY, "--rules", harness.write("rules", line))

    def test_too_little(self):
        self.refuse(1, "of VRAM are needed|there are 8.00 GiB|shorten the context", "plan",
                    "deepseek-r1", "--vram", "8GiB", "--dram", "382GiB")
        self.refuse(1, "of DRAM are needed", "plan", "deepseek-r1", "--dram", "1MiB")
        self.refuse(2, "plan needs a file", "plan")
        self.refuse(2, "for shapes", "plan", TINY, "-q", "Q4_K_M")


class Hardware(Case):
    def test_kernels(self):
        got = self.json("hardware", "--kernels")["kernels"]
        names = [kernel["name"] for kernel in got]
        self.assertEqual(len(set(names)), len(names))
        for kernel in got:
            self.assertEqual(kernel["name"].split(".")[0], kernel["type"].lower())
        out = self.text("hardware", "--kernels", env={"HEARTH_CPU_MASK": "c"}).decode()
        self.assertEqual(re.findall(r"\S+", re.sub(r"\(.*?\)", "", out))[:2], ["F32", "f32.c"])
        self.assertEqual(sorted(re.findall(r"[a-z]\w*\.[a-z]\w*", out)), sorted(names))
        self.assertNotRegex(out, r" \w+\.(avx|vnni|vbmi|amx)")
        usable = {kernel["runs"] for kernel in got if kernel["name"].endswith(".cuda")}
        self.assertEqual(usable, {bool(self.json("hardware")["gpu"]["name"])})

    def test_json(self):
        got = self.json("hardware")
        self.assertGreaterEqual(got["cpu"]["cores"], 1)
        self.assertGreaterEqual(got["cpu"]["threads"], got["cpu"]["cores"])
        self.assertGreater(got["dram_total"], 1 << 28)
        self.assertLessEqual(got["dram_available"], got["dram_total"])
        self.assertGreaterEqual(len(got["nodes"]), 1)
        self.assertNotEqual(bool(got["gpu"]["name"]), bool(got["gpu"]["reason"]))

    def test_plain(self):
        out = self.text("hardware").decode()
        for word in ("CPU", "Cores", "DRAM", "GPU"):
            self.assertIn(word, out)

    def test_mask(self):
        got = self.json("hardware", env={"HEARTH_CPU_MASK": "c"})
        self.assertEqual(got["cpu"]["isa_limit"], "c")
        self.assertIn(b"HEARTH_CPU_MASK=c", self.text("hardware", env={"HEARTH_CPU_MASK": "c"}))
        self.refuse(2, "HEARTH_CPU_MASK", "hardware", env={"HEARTH_CPU_MASK": "nonsense"})


if __name__ == "__main__":
    harness.main()
