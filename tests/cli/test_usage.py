"""The program around the commands: help, options, exit codes, outputs that fail."""
import os
import re
import shutil
import subprocess
import sys

import gguf_file
import harness
from harness import CLI, Case, run

COMMANDS = "chat inspect hardware bench plan rehearse tokenize detokenize render logits".split()
MAN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../data/man/hearth-cli.1")
TINY = harness.write("tiny.gguf", gguf_file.llama())


class Help(Case):
    def test_overview_lists_the_commands(self):
        out = self.text("--help").decode()
        self.assertEqual(re.findall(r"^  ([a-z]+) +\S", out, re.M), COMMANDS + ["help"])
        self.assertEqual(self.text("help"), out.encode())

    def test_each_command_explains_itself(self):
        for name in COMMANDS:
            out = self.text(name, "--help")
            self.assertTrue(out.startswith(f"usage: hearth-cli {name} ".encode()))
            self.assertEqual(self.text("help", name), out)
            self.assertEqual(self.text(name, "-h"), out)

    def test_version(self):
        self.assertRegex(self.text("--version"), rb"\Ahearth-cli \d+\.\d+\.\d+\n\Z")

    def test_what_is_not_there_is_not_listed(self):
        self.assertNotRegex(self.text("--help"), b"serve|pull")

    def test_lines_fit_a_terminal(self):
        for name in COMMANDS:
            for line in self.text(name, "--help").decode().splitlines():
                self.assertLessEqual(len(line), 100, line)


class Manual(Case):
    def section(self, name):
        with open(MAN, encoding="utf-8") as file:
            return re.search(rf"^\.Ss {name}\n(.*?)(?=^\.S[sh] )", file.read(), re.M | re.S)[1]

    def test_options_are_those_of_the_help(self):
        for name in COMMANDS:
            help_text = self.text(name, "--help").decode()
            listed = re.findall(r"^  (?:(-\w), )?--([\w-]+)(?: ([A-Za-z0-9_|]+))?  ", help_text, re.M)
            self.assertEqual(len(listed), len(re.findall("^  -", help_text, re.M)), name)
            self.assertEqual([row[1] for row in listed[-2:]], ["json", "help"], name)
            described = re.findall(r"^\.It Fl (?:(\w) , Fl )?-([\w-]+)(?: Ar (\S+))?$",
                                   self.section(name), re.M)
            self.assertEqual([(row[0].strip("-"), *row[1:]) for row in listed[:-2]], described, name)

    def test_members_of_the_documents_are_told(self):
        def members(value):
            if isinstance(value, list):
                return set().union(*map(members, value))
            return set(value).union(*map(members, value.values())) if isinstance(value, dict) else set()

        for args in (("chat", "-m", TINY, "--prompt", "x", "--max-new-tokens", 1), ("inspect", TINY),
                     ("hardware",), ("hardware", "--kernels"), ("plan", TINY),
                     ("bench", "-m", TINY, "-p", 1, "-n", 1, "-r", 1)):
            told = set(re.findall(r"\\\(dq(\w+)\\\(dq", self.section(args[0])))
            self.assertEqual(members(self.json(*args)) - told, set(), args)

    def test_instruction_sets_are_those_of_the_program(self):
        said = run("hardware", env={"HEARTH_CPU_MASK": "nonsense"}).stderr.decode()
        names = re.search("use ([^;]+), or unset it", said)[1]
        with open(MAN, encoding="utf-8") as file:
            listed = re.search(r"^\.It Ev HEARTH_CPU_MASK\n(.*?)^A machine", file.read(),
                               re.M | re.S)[1]
        self.assertEqual(re.findall(r"^\.Li (\w+)", listed, re.M), re.split(", | or ", names))

    @harness.unittest.skipUnless(shutil.which("mandoc"), "mandoc is not installed")
    def test_mandoc_finds_nothing(self):
        done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", MAN], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


class BadUsage(Case):
    def test_no_command(self):
        done = run()
        self.assertEqual((done.returncode, done.stdout), (2, b""))
        self.assertIn(b"hearth-cli --help", done.stderr)

    def test_unknown_commands(self):
        for name in ("serve", "pull", "Chat", ""):
            self.refuse(2, f'"{name}"|hearth-cli --help', name)
        self.refuse(2, "nonsense", "help", "nonsense")

    def test_unknown_options(self):
        for option in ("--nonsense", "--nonsense=3", "-z", "--mode"):
            self.refuse(2, f"{option}|hearth-cli chat --help", "chat", option)

    def test_missing_values(self):
        for args, words in ((["chat", "--prompt"], b"--prompt TEXT"), (["chat", "-m"], b"--model")):
            done = run(*args)
            self.assertEqual((done.returncode, done.stdout), (2, b""))
            self.assertIn(words, done.stderr)

    def test_values_where_none_belong(self):
        self.refuse(2, "--json takes no value", "hardware", "--json=yes")

    def test_operands_where_none_belong(self):
        self.refuse(2, '"surplus"', "hardware", "surplus")
        self.refuse(2, '"b"', "inspect", "a", "b")
        self.refuse(2, f'"{TINY}"|after -m', "chat", TINY)
        self.refuse(2, '"--json"', "hardware", "--", "--json")

    def test_numbers_and_their_ranges(self):
        for option, bad in (("top-k", "-1"), ("top-k", "x"), ("top-k", ""), ("top-k", "1.5"),
                            ("top-k", "99999999999999999999"), ("temperature", "-0.5"),
                            ("temperature", "nan"), ("temperature", "hot"), ("top-p", "1.01"),
                            ("min-p", "inf"), ("threads", "0"), ("threads", "1000"),
                            ("max-new-tokens", "0"), ("context", "0"), ("context", " 5"),
                            ("seed", "-1"), ("seed", "18446744073709551615"),
                            ("repeat-penalty", "0")):
            self.refuse(2, f'--{option} takes a|from |"{bad}"', "chat", f"--{option}={bad}")
            self.refuse(2, f'--{option} takes a', "chat", f"--{option}", bad)

    def test_choices(self):
        self.refuse(2, '--gpu takes auto or off, not "on"', "bench", "--gpu", "on")

    def test_needs(self):
        self.refuse(2, "--model", "tokenize")
        self.refuse(2, "--model", "detokenize", "1")
        self.refuse(2, "token ids", "detokenize", "-m", TINY)
        self.refuse(2, "--model or --template", "render", "--request", "f")
        self.refuse(2, "--request", "render", "-m", TINY)
        self.refuse(2, "--tokens", "logits", "-m", TINY, "--out", "f")
        self.refuse(2, "--out", "logits", "-m", TINY, "--tokens", "1")
        self.refuse(2, "file or an address", "inspect")
        self.refuse(2, "both", "chat", "--prompt", "a", "--prompt-file", "b")
        self.refuse(2, "nothing to measure", "bench", "-m", TINY, "-p", "0", "-n", "0")
        self.refuse(2, "leave out --model", "bench", "--kernels", "-m", TINY)


class Options(Case):
    def test_ways_to_write_them(self):
        expected = self.text("tokenize", "-m", TINY, stdin=b"hi")
        for args in (["--model", TINY], ["--model=" + TINY], ["-m" + TINY], ["-m", "x", "-m", TINY]):
            self.assertEqual(self.text("tokenize", *args, stdin=b"hi"), expected)


class Outputs(Case):
    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([CLI, "inspect", TINY], stdout=full, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"Cannot write the output", done.stderr)

    def test_a_reader_that_leaves_is_none(self):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([CLI, "chat", "-m", TINY, "--prompt", "x"], stdin=subprocess.DEVNULL,
                              stdout=write, stderr=subprocess.PIPE, timeout=harness.SLOW)
        os.close(write)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


if __name__ == "__main__":
    harness.main()
