"""What may be changed of a mixture's experts: --experts and --defer, which say that they change
answers, and do."""
import os
import unittest

import harness
from harness import Case

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../oracle/vectors")
MIXTURE = os.path.join(VECTORS, "v3_fused.gguf")  # 4 experts per token, 2 layers of them
DENSE = os.path.join(VECTORS, "llama.gguf")


class Experts(Case):
    def logits(self, *more):
        out = os.path.join(harness.FOLDER, "logits")
        self.text("logits", "-m", MIXTURE, "--tokens", "5,9,2,77,31", "--out", out, *more)
        with open(out, "rb") as file:
            return file.read()

    def test_they_change_the_logits(self):
        own = self.logits()
        self.assertEqual(self.logits("--experts", 4), own)
        self.assertEqual(self.logits("--defer", 0), own)
        others = [self.logits("--experts", 3), self.logits("--experts", 1),
                  self.logits("--defer", 1), self.logits("--experts", 3, "--defer", 2)]
        self.assertEqual(len({own, *others}), 5)

    def test_every_command_that_computes_takes_them(self):
        for name in ("chat", "logits", "bench", "rehearse", "plan"):
            lines = self.text(name, "--help").decode().splitlines()
            for option in ("--experts N", "--defer N"):
                said = [line for line in lines if option in line]
                self.assertEqual(len(said), 1, name)
                self.assertIn("changes its answers", said[0])
        few = ["--experts", 2, "--defer", 1]
        self.json("chat", "-m", MIXTURE, "--prompt", "x", "--max-new-tokens", 2, *few)
        self.json("bench", "-m", MIXTURE, "-p4", "-n2", "-r1", *few)
        self.json("rehearse", MIXTURE, "-p4", "-n2", "--dram", "64MiB", "--gpu", "off", *few)
        own, less = (self.json("plan", "qwen3-30b-a3b", "--gpu", "off", *more)["token_gop"]
                     for more in ([], ["--experts", 4]))
        self.assertLess(less, own)

    def test_refusals(self):
        ask = "--prompt", "x", "--max-new-tokens", 1
        self.refuse(2, "4 experts|1 to 4", "chat", "-m", MIXTURE, *ask, "--experts", 5)
        self.refuse(2, "4 experts|0 to 3", "chat", "-m", MIXTURE, *ask, "--defer", 4)
        self.refuse(2, "no experts", "chat", "-m", DENSE, *ask, "--experts", 1)
        self.refuse(2, "1 to 4", "plan", MIXTURE, "--experts", 5)
        self.refuse(2, "--experts", "bench", "-m", MIXTURE, "--experts", 0)


if __name__ == "__main__":
    harness.main()
