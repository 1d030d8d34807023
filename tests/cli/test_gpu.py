"""hearth-cli with a GPU, which is the simulated one of tests/gpu: HEARTH_SIM names its library."""
import os
import struct
import unittest

import harness
from harness import Case

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../oracle/vectors")
LLAMA = os.path.join(VECTORS, "llama.gguf")
MIXTURE = os.path.join(VECTORS, "v3_q4_k_m.gguf")
SIM = {"HEARTH_CUDA_LIBRARY": os.environ["HEARTH_SIM"]}
ALL = harness.write("all", ". device=gpu0\n")
ASK = "--prompt", "Hello there", "--temperature", 0, "--max-new-tokens", 6


class Gpu(Case):
    def test_it_is_named(self):
        got = self.json("hardware", env=SIM)["gpu"]
        self.assertEqual((got["name"], got["reason"]), ("Simulated GPU", ""))
        got = self.json("plan", MIXTURE, "--rules", ALL, env=SIM)
        self.assertEqual((got["gpu"], got["gpu_assumed"]), ("Simulated GPU", False))

    def test_the_same_answer(self):
        want = self.json("chat", "-m", LLAMA, *ASK)["text"]
        for more in (["--rules", ALL], ["--rules", ALL, "--vram", "1GiB"], ["--gpu", "off"], []):
            got = self.json("chat", "-m", LLAMA, *ASK, *more, env=SIM)
            self.assertEqual(got["text"], want, more)

    def test_two_gpus(self):
        two = {**SIM, "SIM_DEVICES": "2"}
        got = self.json("hardware", env=two)["gpus"]
        self.assertEqual([gpu["name"] for gpu in got], ["Simulated GPU"] * 2)
        halves = harness.write("halves", "blk.0 device=gpu0\n. device=gpu1\n")
        for rules in (halves, ALL):
            got = self.json("plan", MIXTURE, "--rules", rules, "--gpus", 2, env=two)
            places = {row["device"] for row in got["rows"]}
            self.assertEqual("gpu1" in places, rules == halves)
        want = self.json("chat", "-m", LLAMA, *ASK)["text"]
        for more in (["--rules", halves], ["--gpus", 2]):
            got = self.json("chat", "-m", LLAMA, *ASK, *more, env=two)
            self.assertEqual(got["text"], want, more)
        self.refuse(2, "Line 2|gpu1", "chat", "-m", LLAMA, *ASK, "--rules", halves, env=SIM)
        self.refuse(2, "2 GPUs cannot be used", "chat", "-m", LLAMA, *ASK, "--gpus", 2, env=SIM)
        self.refuse(2, "2 GPUs cannot be used", "chat", "-m", LLAMA, *ASK, "--gpus", 2)

    def test_logits(self):
        rows = {}
        for name, env in (("cpu", {}), ("gpu", SIM)):
            out = os.path.join(harness.FOLDER, name)
            more = ["--rules", ALL] if env else []
            self.text("logits", "-m", LLAMA, "--tokens", "5,9,2,77,31,8,1,44,60,3", "--out", out,
                      *more, env=env)
            with open(out, "rb") as file:
                data = file.read()
            rows[name] = struct.unpack(f"<{len(data) // 4}f", data)
        far = sum((a - b) ** 2 for a, b in zip(rows["cpu"], rows["gpu"]))
        self.assertLess(far, 0.004 ** 2 * sum(a * a for a in rows["cpu"]))
        self.assertGreater(far, 0)  # it was another arithmetic

    def test_a_failing_gpu_costs_no_answer(self):
        want = self.json("chat", "-m", LLAMA, *ASK)["text"]
        done = harness.run("chat", "-m", LLAMA, *ASK, "--rules", ALL, "--json",
                           env={**SIM, "SIM_FAIL": "cuGraphLaunch:3:700"})
        self.assertEqual(done.returncode, 0)
        self.assertIn(want, done.stdout.decode())
        self.assertRegex(done.stderr.decode(), r"\Ahearth-cli: the CPU computes alone: Simulated GPU "
                         r"stopped working while [^\n]+\n\Z")

    def test_bench_and_rehearse(self):
        rows = self.json("bench", "-m", LLAMA, "-p9", "-n2", "-d5", "-r1", "--rules", ALL,
                         env=SIM)["rows"]
        self.assertEqual(len(rows), 2)
        got = self.json("rehearse", MIXTURE, "-p9", "-n2", "--dram", "64MiB", "--vram", "2GiB",
                        "--rules", ALL, env=SIM)
        self.assertEqual((got["gpu"], len(got["rows"])), ("Simulated GPU", 2))

    def test_refusals(self):
        self.refuse(1, "of VRAM are needed|there are 0.19 GiB|shorten the context", "chat", "-m",
                    LLAMA, *ASK, "--rules", ALL, "--vram", "200MiB", env=SIM)
        self.refuse(1, "of VRAM are needed|there are 0.09 GiB", "bench", "-m", LLAMA, "--rules",
                    ALL, env={**SIM, "SIM_MEMORY": "100000000"})
        self.refuse(1, "VRAM", "bench", "-m", LLAMA, "--rules", ALL,
                    env={**SIM, "SIM_FAIL": "cuMemAlloc_v2:1:2"})
        rules = harness.write("bad", "nobody device=gpu0\n")
        self.refuse(2, "nobody", "chat", "-m", LLAMA, *ASK, "--rules", rules, env=SIM)
        self.refuse(2, "there is no GPU here", "chat", "-m", LLAMA, *ASK, "--rules", ALL)
        self.refuse(1, "nowhere", "chat", "-m", LLAMA, *ASK, "--rules", "/nowhere/rules")

    def test_an_unmet_wish_is_told(self):
        done = harness.run("chat", "-m", LLAMA, *ASK, "--vram", "24GiB")
        self.assertEqual(done.returncode, 0)
        self.assertEqual(done.stderr.decode(), "hearth-cli: the CPU computes alone: no NVIDIA "
                         "driver: none was not found.\n")


if __name__ == "__main__":
    harness.main()
