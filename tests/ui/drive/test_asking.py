"""A question and its answer: streaming, Stop, Continue, versions, editing, deleting."""
import json
import os
import re
import subprocess

import driver
import reciter
import seed
from driver import BUTTONS, Case, Hearth, wait

TEXT = ("# Of Hearths\n\nA hearth is the *floor* of a fireplace. It is " + " ".join(
    f"brick{n} and stone{n}" for n in range(120)) + ".\n\nThat is all.\n")


def short():
    """A model that recites a few words."""
    return reciter.write(driver.file("short.gguf"), "Fire is hot, and a hearth keeps it.", name="Short")


def endless():
    """One that never ends, slowly enough to be watched."""
    return reciter.write(driver.file("endless.gguf"), TEXT, endless=True, layers=24, feed=1024,
                         context=100000, name="Endless")


def content(app, role=seed.ASSISTANT):
    """What the history has, newest last."""
    return [row[0] for row in seed.rows(
        app.data, "SELECT content FROM message WHERE role = ? AND deleted_at IS NULL ORDER BY id",
        role)]


class Ember(Case):
    def test_answers_as_in_the_terminal(self):
        question = "What is a mixture of experts?"
        done = subprocess.run([driver.CLI, "chat", "--prompt", question, "--temperature", "0", "--json"],
                              capture_output=True, check=True, env={
                                  **os.environ, "HEARTH_DATA_DIR": driver.file("cli")})
        expected = json.loads(done.stdout)["text"]
        with Hearth(settings={"chat/temperature": 0.0}) as app:
            app.send(question)
            app.answered()
            rows = app.rows()
            self.assertEqual([row.name.split(":")[0] for row in rows], ["You", "Answer"])
            self.assertEqual(rows[0].name, "You: " + question)
            self.assertTrue(expected.startswith(rows[1].name.removeprefix("Answer: ").rstrip("…")),
                            rows[1].name)
            seen = " ".join(rows[1].texts())
            for word in re.findall(r"\w+", expected):
                self.assertIn(word, seen)
            self.assertRegex(seen, r"[\d.,]+ tok/s · [\d,]+ tokens · first token [\d.,]+ m?s")
            app.quit()
            self.assertEqual(content(app)[-1].strip(), expected.strip())
            self.assertEqual(content(app, seed.USER), [question])

    def test_what_it_was_told_before_counts(self):
        with Hearth(settings={"chat/temperature": 0.0}) as app:
            app.send("What is Hearth?")
            app.answered()
            app.send("Who made it?")
            app.answered(2)
            self.assertEqual([row.name.split(":")[0] for row in app.rows()],
                             ["You", "Answer"] * 2)
            tokens = seed.rows(app.data, "SELECT prompt_tokens, reused_tokens FROM message "
                                         "WHERE role = 1 ORDER BY id")
        self.assertGreater(tokens[1][0], tokens[0][0])
        self.assertGreater(tokens[1][1], 0, "nothing of the KV cache was used again")

    def test_thinking_is_folded(self):
        with Hearth(settings={"chat/temperature": 0.0}) as app:
            app.send("What is 12 + 30?")
            app.answered()
            row = app.rows()[1]
            thought = row.wait_for(re.compile("^Thought for "), role=BUTTONS)
            hidden = seed.rows(app.data, "SELECT thinking FROM message WHERE role = 1")
            self.assertTrue(hidden[0][0].strip(), "it did not think")
            first = hidden[0][0].split()[0]
            self.assertNotIn(hidden[0][0].strip()[:20], " ".join(row.texts()))
            thought.press()
            wait("its thoughts", lambda: first in " ".join(row.texts()))


class Streaming(Case):
    def test_stop_continue(self):
        with Hearth(endless()) as app:
            app.send("Go")
            row = wait("an answer", lambda: len(app.rows()) == 2 and app.rows()[1])
            lengths = set()
            wait("text that grows", lambda: lengths.add(len(" ".join(row.texts()))) or
                 len(lengths) > 4)
            app.button("Stop").press()
            app.button("Send")
            wait("the stopped answer in the history", lambda: seed.rows(
                app.data, "SELECT state FROM message WHERE role = 1") == [(seed.STOPPED,)])
            before = content(app)[0]
            self.assertTrue((TEXT * 9).startswith(before))
            self.assertGreater(len(before), 40)
            row = app.rows()[1]
            row.wait_to_read("Stopped")
            app.act(row, "Continue")
            app.button("Stop")
            wait("more text", lambda: len(content(app)[0]) > len(before) + 40)
            app.key("Escape")
            app.button("Send")
            self.assertEqual(len(app.rows()), 2)
            wait("the end", lambda: seed.rows(
                app.data, "SELECT state FROM message WHERE role = 1") == [(seed.STOPPED,)])
            self.assertTrue(content(app)[0].startswith(before))

    def test_closing_asks_nothing_and_keeps_the_text(self):
        with Hearth(endless()) as app:
            app.send("Go")
            wait("text", lambda: len(app.rows()) == 2 and len(app.rows()[1].name) > 12)
            app.quit()
            text = content(app)[0]
            self.assertGreater(len(text), 3)
            self.assertTrue((TEXT * 9).startswith(text))

    def test_writing_goes_on_behind_another_conversation(self):
        with Hearth(endless()) as app:
            app.send("Go")
            app.button("Stop")
            app.button("New Conversation").press()
            wait("an empty transcript", lambda: not app.rows())
            self.assertEqual(app.message_box().text, "")
            grown = len(content(app)[0]) if content(app) else 0
            wait("text that grows unseen", lambda: len(content(app)[0]) > grown + 100)
            app.send("Second")
            wait("the second question", lambda: len(app.rows()) == 2)
            app.rows()[1].wait_to_read("Waits for another answer")
            app.conversation("Go").click()
            wait("the first one", lambda: app.rows() and app.rows()[0].name == "You: Go")
            app.button("Stop").press()
            wait("the end of the first answer", lambda: seed.rows(
                app.data, "SELECT state FROM message WHERE role = 1 ORDER BY id")[0]
                == (seed.STOPPED,))
            app.conversation("Second").click()
            wait("the second answer", lambda: len(app.rows()) == 2 and
                 app.rows()[0].name == "You: Second" and len(app.rows()[1].name) > 12)
            app.button("Stop").press()
            app.button("Send")

    def test_longest_answer(self):
        with Hearth(endless(), settings={"chat/max-tokens": 12}) as app:
            app.send("Go")
            app.answered()
            app.rows()[1].wait_to_read("Reached the limit of 12 tokens")
            self.assertEqual(content(app)[0], "".join(reciter.pieces(TEXT)[:12]))

    def test_full_context(self):
        with Hearth(endless(), settings={"chat/context": 128}) as app:
            app.send("Go")
            app.answered()
            wait("the state", lambda: seed.rows(
                app.data, "SELECT state FROM message WHERE role = 1") == [(seed.FULL,)])
            said = " ".join(app.rows()[1].texts())
            self.assertIn("128", said)
            self.assertIn("context", said)


class Versions(Case):
    def test_regenerate_and_back(self):
        with Hearth(short()) as app:
            app.send("Go")
            app.answered()
            app.act(app.rows()[1], "Regenerate")
            wait("a second version", lambda: "2/2" in app.rows()[1].texts())
            app.button("Send")
            app.act(app.rows()[1], "Previous Version")
            wait("the first version", lambda: "1/2" in app.rows()[1].texts())
            app.act(app.rows()[1], "Next Version")
            wait("the second version", lambda: "2/2" in app.rows()[1].texts())
            app.restart()
            wait("the second version", lambda: len(app.rows()) == 2 and
                 "2/2" in app.rows()[1].texts())

    def test_edit_and_back(self):
        with Hearth(short()) as app:
            app.send("First words")
            app.answered()
            app.act(app.rows()[0], "Edit")
            editor = app.wait_for("Edited Message")
            self.assertEqual(editor.text, "First words")
            editor.set_text("Other words")
            app.rows()[0].button("Send").press()
            wait("the edited question", lambda: app.rows() and
                 app.rows()[0].name == "You: Other words")
            app.answered()
            app.rows()[0].wait_to_read("2/2")
            app.act(app.rows()[0], "Previous Version")
            wait("the old question", lambda: app.rows()[0].name == "You: First words")
            self.assertEqual(len(app.rows()), 2)
            self.assertEqual(content(app, seed.USER), ["First words", "Other words"])

    def test_delete_and_undo(self):
        with Hearth(short()) as app:
            app.send("First")
            app.answered()
            app.send("Second")
            app.answered(2)
            app.act(app.rows()[2], "Delete")
            wait("the first exchange alone", lambda: len(app.rows()) == 2)
            app.button("Undo").press()
            wait("all of it again", lambda: len(app.rows()) == 4)
            self.assertEqual([row.name for row in app.rows()][2], "You: Second")
            app.act(app.rows()[2], "Delete")
            wait("the first exchange alone", lambda: len(app.rows()) == 2)
            app.restart()
            wait("the first exchange alone", lambda: len(app.rows()) == 2)


if __name__ == "__main__":
    driver.main()
