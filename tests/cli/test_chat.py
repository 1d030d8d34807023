"""chat: one answer, and the conversation at a terminal."""
import json
import os
import re
import signal
import subprocess
import time

import gguf_file
import harness
from harness import CLI, Case, Terminal, run

TINY = harness.write("tiny.gguf", gguf_file.llama())
# Starts in <think> and cannot leave it: this model never says </think>.
THINKER = harness.write("thinker.gguf", gguf_file.llama(
    **{"tokenizer.chat_template": gguf_file.TEMPLATE + "<think>\n"}))
FIELDS = ["text", "thinking", "prompt_tokens", "tokens", "prefill_tok_s", "decode_tok_s", "stop"]
DONE = r"\d+ tokens · [\d.]+ tok/s · first token [\d.]+ s"


class Once(Case):
    def ask(self, *args, model=TINY, **more):
        return self.json("chat", "-m", model, "--seed", 5, *args, **more)

    def test_fields(self):
        got = self.ask("--prompt", "hello", "--max-new-tokens", 30)
        self.assertEqual(list(got), FIELDS)
        # "he" is one token; so are the three control tokens
        self.assertEqual(got["prompt_tokens"], 3 + len("user\nhello") - 1 + len("\nassistant\n"))
        self.assertEqual((got["tokens"], got["stop"], got["thinking"]), (30, "length", ""))
        self.assertGreater(len(got["text"]), 0)
        self.assertGreater(got["prefill_tok_s"], 0)
        self.assertGreater(got["decode_tok_s"], 0)

    def test_same_seed_same_text(self):
        def text(*args):
            return self.ask("--prompt", "hello", "--max-new-tokens", 60, "--temperature", 1.5,
                            "--top-k", 0, "--top-p", 1, "--min-p", 0, *args)["text"]
        expected = text()
        for threads in (1, 2, 3):
            self.assertEqual(text("--threads", threads), expected)
        self.assertNotEqual(text("--seed", 6), expected)

    def test_no_temperature_no_chance(self):
        greedy = ["--prompt", "hello", "--max-new-tokens", 40, "--temperature", 0]
        expected = self.ask(*greedy)["text"]
        self.assertEqual(self.ask(*greedy, "--seed", 99)["text"], expected)
        self.assertEqual(self.ask("--prompt", "hello", "--max-new-tokens", 40, "--top-k", 1,
                                  "--seed", 98)["text"], expected)

    def test_system_text_is_part_of_the_prompt(self):
        plain = self.ask("--prompt", "x", "--max-new-tokens", 1)["prompt_tokens"]
        got = self.ask("--prompt", "x", "--max-new-tokens", 1, "--system", "abc")["prompt_tokens"]
        self.assertEqual(got - plain, len("system\nabc\n") + 2)

    def test_ways_to_give_the_prompt(self):
        expected = self.ask("--prompt", "hello", "--max-new-tokens", 20)["text"]
        path = harness.write("prompt", "hello")
        for args, stdin in ((["--prompt-file", path], b""), (["--prompt-file", "-"], b"hello"),
                            ([], b"hello")):
            self.assertEqual(self.ask("--max-new-tokens", 20, *args, stdin=stdin)["text"], expected)

    def test_plain_output_is_the_answer_alone(self):
        args = ["--prompt", "hello", "--max-new-tokens", 20]
        out = self.text("chat", "-m", TINY, "--seed", 5, *args)
        self.assertEqual(out.decode(), self.ask(*args)["text"] + "\n")

    def test_thinking_stays_out_of_plain_output(self):
        args = ["--prompt", "hello", "--max-new-tokens", 20]
        got = self.ask(*args, model=THINKER)
        self.assertEqual(got["text"], "")
        self.assertGreater(len(got["thinking"]), 0)
        self.assertEqual(self.text("chat", "-m", THINKER, *args), b"\n")

    def test_the_context_ends_an_answer(self):
        got = self.ask("--prompt", "hello", "--context", 50)
        self.assertEqual(got["stop"], "context")
        self.assertLessEqual(got["prompt_tokens"] + got["tokens"], 51)

    def test_bad_prompts(self):
        self.refuse(2, "empty", "chat", "-m", TINY)
        self.refuse(2, "empty", "chat", "-m", TINY, "--prompt=")
        self.refuse(2, "empty", "chat", "-m", TINY, stdin=b" \t\r\n\n")
        for bad in (b"a\x00b", b"a\xff"):
            self.refuse(3, "UTF-8", "chat", "-m", TINY, stdin=bad)
        self.refuse(3, "--system|UTF-8", "chat", "-m", TINY, "--prompt", "a", "--system",
                    os.fsdecode(b"\xff"))
        self.refuse(1, "no file|check the path", "chat", "-m", "/nonexistent", "--prompt", "a")
        self.refuse(1, "no file|check the path", "chat", "-m", TINY, "--prompt-file", "/nonexistent")
        self.refuse(1, "is a folder", "chat", "-m", TINY, "--prompt-file", "/")

    def test_interrupt_ends_the_answer_and_keeps_it(self):
        process = subprocess.Popen([CLI, "chat", "-m", TINY, "--context", "100000", "--prompt", "x",
                                    "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=harness.SLOW)
        self.assertEqual((process.returncode, said), (0, b""))
        got = json.loads(out)
        self.assertEqual(got["stop"], "interrupted")
        self.assertGreater(got["tokens"], 0)

    def test_json_needs_a_message(self):
        with Terminal("chat", "-m", TINY, "--json") as terminal:
            self.assertEqual(terminal.wait(), 2)
            self.assertIn("--prompt", terminal.seen)


class Conversation(Case):
    def talk(self, *args, model=TINY, env=None):
        return Terminal("chat", "-m", model, "--seed", 5, *args, env=env)

    def stats(self, terminal):
        """prompt tokens, those reused, and tokens in the context"""
        terminal.type("/stats\n")
        said = terminal.expect(r"threads")
        found = re.search(r"Context: (\d+) of .*prompt: (\d+) tokens, (\d+) of", said, re.S)
        return int(found[2]), int(found[3]), int(found[1])

    def test_greeting_and_leaving(self):
        for farewell in ("\x04", "/quit\n"):
            with self.talk("--context", 500) as terminal:
                self.assertIn("Tiny · 500 tokens of context", terminal.expect("> "))
                terminal.type(farewell)
                self.assertEqual(terminal.wait(), 0)

    def test_a_context_beyond_the_trained_one_is_told(self):
        short = harness.write("short.gguf", gguf_file.llama(context=64))
        for context, told in ((64, "64 tokens of context · /help"),
                              (65, "65 tokens of context, beyond 64 of which answers get worse · ")):
            with self.talk("--context", context, model=short) as terminal:
                self.assertIn(told, terminal.expect("> "))
                terminal.type("/quit\n")
                self.assertEqual(terminal.wait(), 0)

    def test_the_second_turn_computes_only_what_is_new(self):
        with self.talk("--max-new-tokens", 12, "--context", 2000) as terminal:
            terminal.expect("> ")
            terminal.type("hello there, this is a first message of some length\n")
            terminal.expect(DONE)
            prompt, reused, used = self.stats(terminal)
            self.assertEqual(reused, 0)
            terminal.type("and a second one\n")
            terminal.expect(DONE)
            prompt2, reused2, _ = self.stats(terminal)
            self.assertGreater(prompt2, prompt + 12)
            # All of the first prompt. The answer's tokens too, unless its text reads back as others.
            self.assertGreaterEqual(reused2, prompt - 1)
            self.assertLessEqual(reused2, used)

    def test_interrupt_stops_the_answer_and_not_the_program(self):
        with self.talk("--context", 100000) as terminal:
            terminal.expect("> ")
            terminal.type("hello\n")
            terminal.expect("hello\r?\n")
            terminal.expect(r"\S{3}")
            time.sleep(1)
            terminal.type("\x03")
            self.assertIn("· stopped", terminal.expect(DONE + ".*"))
            prompt, _, used = self.stats(terminal)
            self.assertGreater(used, prompt)
            terminal.type("more\n")  # the stopped answer is part of what is asked now
            terminal.expect("more\r?\n")
            time.sleep(1)
            terminal.type("\x03")
            terminal.expect(DONE)
            self.assertGreater(self.stats(terminal)[0], used)
            terminal.type("/quit\n")
            self.assertEqual(terminal.wait(), 0)

    def test_interrupt_at_the_prompt_says_how_to_leave(self):
        with self.talk() as terminal:
            terminal.expect("> ")
            for _ in range(3):
                terminal.type("\x03")
                terminal.expect("Ctrl-D or type /quit")
                terminal.expect("> ")
            terminal.type("/stats\n")
            terminal.expect("Context: 0 of")

    def test_new_forgets(self):
        with self.talk("--max-new-tokens", 5) as terminal:
            terminal.expect("> ")
            terminal.type("hello\n")
            terminal.expect(DONE)
            first = self.stats(terminal)[0]
            terminal.type("hello\n")
            terminal.expect(DONE)
            self.assertGreater(self.stats(terminal)[0], first)
            terminal.type("/new\n")
            terminal.expect("A new conversation")
            terminal.type("hello\n")
            terminal.expect(DONE)
            self.assertEqual(self.stats(terminal)[0], first)

    def test_system_and_regenerate(self):
        with self.talk("--max-new-tokens", 5) as terminal:
            terminal.expect("> ")
            terminal.type("/regenerate\n")
            terminal.expect("There is no answer to replace")
            terminal.type("hello\n")
            terminal.expect(DONE)
            plain = self.stats(terminal)[0]
            terminal.type("/regenerate\n")
            terminal.expect(DONE)
            self.assertEqual(self.stats(terminal)[0], plain)
            terminal.type("/system abc\n")
            terminal.expect("instructions")
            terminal.type("/regenerate\n")
            terminal.expect(DONE)
            self.assertEqual(self.stats(terminal)[0], plain + len("system\nabc\n") + 2)

    def test_help_and_unknown_commands(self):
        with self.talk() as terminal:
            terminal.expect("> ")
            terminal.type("/help\n")
            said = terminal.expect("several lines")
            for name in ("/new", "/regenerate", "/system TEXT", "/stats", "/help", "/quit"):
                self.assertIn(name, said)
            terminal.type("/nonsense\n")
            terminal.expect("There is no such command: /help")

    def test_messages_of_several_lines(self):
        def tokens(typed):
            with self.talk("--max-new-tokens", 1) as terminal:
                terminal.expect("> ")
                terminal.type(typed)
                terminal.expect(DONE)
                return self.stats(terminal)[0]
        single = tokens("abcd\n")
        self.assertEqual(tokens("ab\\\ncd\n"), single + 1)
        self.assertEqual(tokens('"""ab\ncd\n"""\n'), single + 2)
        self.assertEqual(tokens('"""\nabcd"""\n'), single)
        self.assertEqual(tokens('"""abcd"""\n'), single)

    def test_a_message_too_long_leaves_the_conversation_whole(self):
        with self.talk("--context", 60, "--max-new-tokens", 2) as terminal:
            terminal.expect("> ")
            terminal.type("x" * 80 + "\n")
            self.assertIn("60", terminal.expect(r"hearth-cli: .*\."))
            terminal.type("hi\n")
            terminal.expect(DONE)

    def test_a_full_conversation_can_be_left(self):
        with self.talk("--context", 60, "--max-new-tokens", 2) as terminal:
            terminal.expect("> ")
            terminal.type("x" * 30 + "\n")
            terminal.expect(DONE)
            terminal.type("y" * 30 + "\n")
            self.assertRegex(terminal.expect(r"hearth-cli: .*\."), "60 tokens.* /new")
            terminal.type("/new\n")
            terminal.type("y" * 30 + "\n")
            terminal.expect(DONE)

    def test_thinking_is_dim(self):
        with self.talk("--max-new-tokens", 5, model=THINKER) as terminal:
            terminal.expect("> ")
            terminal.type("hello\n")
            self.assertRegex(terminal.expect(DONE), r"\x1b\[2m[^\x1b]+\x1b\[0m")

    def test_no_color(self):
        with self.talk("--max-new-tokens", 5, model=THINKER, env={"NO_COLOR": "1"}) as terminal:
            terminal.expect("> ")
            terminal.type("hello\n")
            said = terminal.expect(DONE)
            self.assertIn("Thinking: ", said)
            self.assertNotIn("\x1b[2m", said)

    def test_history_is_kept_and_called_back(self):
        data = os.path.join(harness.FOLDER, "history-test")
        env = {"HEARTH_DATA_DIR": data}
        with self.talk("--max-new-tokens", 1, env=env) as terminal:
            terminal.expect("> ")
            terminal.type("remember me\n")
            terminal.expect(DONE)
            terminal.type("/quit\n")
            terminal.wait()
        if not os.path.exists(os.path.join(data, "chat-history")):
            self.skipTest("built without libedit")
        self.assertEqual(os.stat(os.path.join(data, "chat-history")).st_mode & 0o77, 0)
        with self.talk("--max-new-tokens", 1, env=env) as terminal:
            terminal.expect("> ")
            terminal.type("\x1b[A\x1b[A\n")
            terminal.expect("remember me")
            terminal.expect(DONE)


if __name__ == "__main__":
    harness.main()
