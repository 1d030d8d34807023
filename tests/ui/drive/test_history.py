"""What is kept: the list, names, pins, folders, search, drafts, files; and what is there again after
an end that nobody wished for."""
import json
import os
import re
import signal
import time

import driver
import seed
from driver import Case, Hearth, wait
from seed import DAY, Seed
from test_asking import TEXT, endless, short


def new_data():
    """A folder with an empty history that the program made."""
    app = Hearth()
    wait("the history's file", lambda: os.path.exists(os.path.join(app.data, "history.db")))
    app.quit()
    return app.data


def names(app):
    return [row.name for row in app.conversations()]


class List(Case):
    def open(self, fill):
        data = new_data()
        with Seed(data) as history:
            fill(history)
        return Hearth(data=data)

    def test_by_date(self):
        def fill(history):
            history.conversation("Long ago", "a", "b", ago=400 * DAY)
            history.conversation("Just now", "a", "b")
            history.conversation("Last week", "a", "b", ago=5 * DAY)
            history.conversation("Kept", "a", "b", ago=20 * DAY, pinned=1)
        with self.open(fill) as app:
            app.conversation("Just now")
            got = names(app)
            self.assertEqual(got[:6], ["Pinned", "Kept", "Today", "Just now", "Previous 7 Days",
                                       "Last week"])
            self.assertEqual(got[-1], "Long ago")
            self.assertEqual(len(got), 8)

    def test_rename(self):
        with self.open(lambda history: history.conversation("Old name", "a", "b")) as app:
            app.conversation("Old name").click()
            wait("its messages", lambda: len(app.rows()) == 2)
            app.key("F2")
            entry = app.wait_for("Rename Conversation", role=("text", "entry"))
            self.assertEqual(entry.text, "Old name")
            app.key("ctrl+a")
            app.type("A better name")
            app.key("Return")
            app.conversation("A better name")
            self.assertEqual(app.find(role="frame").name, "A better name")
            app.restart()
            app.conversation("A better name")
            wait("the conversation that was open", lambda: len(app.rows()) == 2)
            app.focus_on("Message")

    def test_pin(self):
        with self.open(lambda history: history.conversation("Mine", "a", "b")) as app:
            app.conversation("Mine").click()
            wait("its messages", lambda: len(app.rows()) == 2)
            app.menu("Pin")
            wait("the heading", lambda: names(app) == ["Pinned", "Mine"])
            app.restart()
            wait("the heading", lambda: names(app) == ["Pinned", "Mine"])
            app.menu("Unpin")
            wait("no heading", lambda: names(app) == ["Today", "Mine"])

    def test_delete_and_undo(self):
        def fill(history):
            history.conversation("First", "one", "two")
            history.conversation("Second", "three", "four", ago=60)
        with self.open(fill) as app:
            app.conversation("First").click()
            wait("its messages", lambda: [r.name for r in app.rows()] == ["You: one", "Answer: two"])
            app.menu("Delete")
            wait("the other one", lambda: names(app) == ["Today", "Second"] and
                 [row.name for row in app.rows()] == ["You: three", "Answer: four"])
            app.button("Undo").press()
            wait("both", lambda: names(app) == ["Today", "First", "Second"])
            # From the list, by key.
            app.conversation("Second").click()
            app.key("Delete")
            wait("the first alone", lambda: names(app) == ["Today", "First"])
            app.restart()
            wait("the first alone", lambda: names(app) == ["Today", "First"])
            gone = seed.rows(app.data, "SELECT title FROM conversation WHERE deleted_at NOT NULL")
            self.assertEqual(gone, [("Second",)])

    def test_folder(self):
        with self.open(lambda history: history.conversation("Mine", "a", "b")) as app:
            app.conversation("Mine").click()
            app.menu("New Folder…", of="Main Menu")
            app.wait_for("New Folder", role=("text", "entry"))
            app.type("Work")
            app.key("Return")
            app.conversation("Work")
            app.menu("Move to Folder", "Work")
            wait("the conversation below its folder", lambda: names(app)[:2] in (
                ["Folders", "Work"],) and "Today" not in names(app))
            app.restart()
            app.conversation("Work")
            self.assertNotIn("Today", names(app))
            self.assertEqual(seed.rows(app.data, "SELECT f.name FROM conversation c JOIN folder f "
                                                 "ON c.folder = f.id"), [("Work",)])

    def test_drafts(self):
        def fill(history):
            history.conversation("First", "one", "two")
            history.conversation("Second", "three", "four", ago=60)
        with self.open(fill) as app:
            app.conversation("First").click()
            wait("its messages", lambda: app.rows() and app.rows()[0].name == "You: one")
            app.message_box().click()
            app.type("half a thou")
            app.conversation("Second").click()
            wait("its messages", lambda: app.rows() and app.rows()[0].name == "You: three")
            self.assertEqual(app.message_box().text, "")
            app.message_box().click()
            app.type("other")
            app.conversation("First").click()
            wait("the draft", lambda: app.message_box().text == "half a thou")
            app.restart()
            wait("the draft", lambda: app.message_box().text == "half a thou")
            app.conversation("Second").click()
            wait("the other draft", lambda: app.message_box().text == "other")


class Search(Case):
    def test_titles_and_texts(self):
        data = new_data()
        with Seed(data) as history:
            history.conversation("Kettles", "What boils?", "Water boils.")
            history.conversation("Of tea", "Which leaves?", "Oolong leaves in a **kettle**.")
            history.conversation("Coffee", "Beans?", "Beans.")
            history.conversation("Umlaute", "Überschrift", "Größe")
            for i in range(300):
                history.conversation(f"Filler {i}", "nothing", "much", ago=i * 3600)
        with Hearth(data=data) as app:
            app.conversation("Filler 0")
            app.key("ctrl+f")
            app.type("kettle")
            wait("two hits", lambda: {r.name.split(",")[0] for r in app.conversations()}
                 == {"Kettles", "Of tea"})
            hit = app.conversation("Of tea")
            hit.wait_to_read("Oolong leaves")
            app.key("Return")
            wait("the conversation", lambda: app.rows() and app.find(role="frame").name in
                 ("Of tea", "Kettles"))
            app.key("ctrl+f", "ctrl+a")
            app.type("zebra")
            app.wait_for("Nothing Found")
            app.key("Escape")
            app.conversation("Filler 1")
            search = app.find("Search Conversations", role="entry")
            self.assertEqual(search.text, "")
            search.set_text("uberschrift")
            wait("a hit without the dots", lambda: names(app) == ["Umlaute"])


class Files(Case):
    def test_export_and_import(self):
        data = new_data()
        with Seed(data) as history:
            history.conversation("Of fire", "Is it hot?", "It **is**.", {"content": "Ä?"}, "Ö.")
        with Hearth(data=data) as app:
            app.conversation("Of fire").click()
            wait("its messages", lambda: len(app.rows()) == 4)
            markdown, everything = driver.file("one.md"), driver.file("all.json")
            app.menu("Export…")
            app.choose_file("Export Conversation", markdown)
            wait("the file", lambda: os.path.exists(markdown))
            app.wait_for("Exported")
            with open(markdown, encoding="utf-8") as file:
                written = file.read()
            for text in ("Of fire", "Is it hot?", "It **is**.", "Ä?", "Ö."):
                self.assertIn(text, written)
            app.menu("Export All…", of="Main Menu")
            app.choose_file("Export All Conversations", everything)
            wait("the file", lambda: os.path.exists(everything))
            with open(everything, encoding="utf-8") as file:
                json.load(file)
        with Hearth() as app:
            # Where the menu opens and the conversation is going to be: GTK 4.8 by itself gives the
            # click to the menu that closed there, if a hand rests for some frames before it.
            app.point(app.wait_for("Search Conversations", role="entry"), at=(0.5, 2.2))
            app.menu("Import…", of="Main Menu")
            app.choose_file("Import Conversations", everything)
            app.wait_for("1 conversation imported")
            app.point(app.conversation("Of fire"))
            time.sleep(0.3)
            app.xdotool("click", 1)
            wait("its messages", lambda: [row.name for row in app.rows()] == [
                "You: Is it hot?", "Answer: It is.", "You: Ä?", "Answer: Ö."])


class Ends(Case):
    def test_killed_in_mid_answer(self):
        # Room to go on, however much was written before the kill.
        with Hearth(endless(), settings={"chat/context": 32768}) as app:
            app.send("Go")
            wait("text in the history", lambda: [
                row for row in seed.rows(app.data, "SELECT content FROM message WHERE role = 1")
                if len(row[0]) > 40])
            app.kill()
            kept = seed.rows(app.data, "SELECT content FROM message WHERE role = 1")[0][0]
            app.start()
            wait("the conversation", lambda: len(app.rows()) == 2)
            row = app.rows()[1]
            row.wait_to_read("Hearth was closed in mid-answer")
            self.assertEqual(row.now().name, "Answer: Of Hearths")
            self.assertEqual(seed.rows(app.data, "SELECT content, state FROM message "
                                                 "WHERE role = 1"), [(kept, seed.INTERRUPTED)])
            self.assertTrue((TEXT * 20).startswith(kept))
            app.act(row, "Continue")
            app.button("Stop")
            wait("more text", lambda: len(seed.rows(
                app.data, "SELECT content FROM message WHERE role = 1")[0][0]) > len(kept) + 20)
            app.button("Stop").press()
            app.button("Send")

    def test_terminated(self):
        with Hearth(short()) as app:
            app.send("Go")
            app.answered()
            app.process.send_signal(signal.SIGTERM)
            wait("its end", lambda: not app.alive())
            app.start()
            wait("the conversation", lambda: len(app.rows()) == 2)

    def test_history_of_another_program(self):
        data = driver.tempfile.mkdtemp(dir=new_data())
        path = os.path.join(data, "history.db")
        with open(path, "wb") as file:
            file.write(b"This is no database. " * 1000)
        with Hearth(data=data) as app:
            said = app.wait_for(re.compile("history"), role="label").name
            aside = [name for name in os.listdir(data) if name.startswith("history.db.damaged")]
            self.assertEqual(len(aside), 1)
            self.assertIn(aside[0], said)
            with open(os.path.join(data, aside[0]), "rb") as file:
                self.assertTrue(file.read().startswith(b"This is no database."))
            app.send("What is Hearth?")
            app.answered()

    def test_two_starts_make_one_program(self):
        with Hearth(short()) as app:
            app.send("Go")
            app.answered()
            second = app.spawn("--new", stdout=app.log, stderr=app.log)
            self.assertEqual(second.wait(driver.SLOW), 0)
            wait("a new conversation", lambda: not app.rows())
            self.assertEqual(len(app.all(role="frame")), 1)
            self.assertEqual(len(seed.rows(app.data, "SELECT * FROM conversation")), 1)


if __name__ == "__main__":
    driver.main()
