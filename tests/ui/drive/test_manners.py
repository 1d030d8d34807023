"""How it behaves on a desktop: keys, names for screen readers, languages, no display, one instance."""
import os
import pty
import re
import shutil
import subprocess

import driver
import seed
import service
from driver import BUTTONS, Case, Hearth, wait
from seed import Seed
from test_asking import endless, short
from test_history import new_data
from test_settings import close, preferences

SUSPEND = 4  # GtkApplicationInhibitFlags, and GNOME's

# Nameless controls that are GTK's or libadwaita's own: role and a name of something around it.
OF_THE_PLATFORM = [
    ("button", "AdwToastWidget"),      # closes a toast
    ("entry", "Preferences"),          # the search of the preferences
    ("button", "Preferences"),
    ("list item", "GtkListView"),      # of a GtkDropDown: its label speaks
]


def nameless(window):
    """Controls that the keyboard reaches and that say nothing."""
    def inside(node, name):
        while node:
            if node.name == name:
                return True
            node = node.parent
        return False
    out = []
    for node in window.walk():
        if "focusable" not in node.states or node.role in (
                "scroll pane", "frame", "panel", "filler", "list", "label"):
            continue
        if node.name and not re.match(r"^(Gtk|Adw|Hearth)[A-Z]\w+$", node.name):
            continue
        if node.showing and not any(node.role == role and inside(node, name) for role, name in OF_THE_PLATFORM):
            out.append((node.role, node.name, [n.name for n in iter_up(node)][:5]))
    return out


def iter_up(node):
    while node:
        yield node
        node = node.parent


class Keyboard(Case):
    def test_all_by_keys(self):
        with Hearth(short()) as app:
            app.focus_on("Message")
            app.type("one two")
            app.key("shift+Return")
            app.type("three")
            wait("two lines", lambda: app.message_box().text == "one two\nthree")
            app.key("Return")
            app.answered()
            self.assertEqual(app.rows()[0].name, "You: one two")
            app.focus_on("Message")
            app.key("ctrl+n")
            wait("a new conversation", lambda: not app.rows())
            app.key("ctrl+f")
            app.focus_on("Search Conversations")
            app.key("Escape")
            app.key("F10")
            app.wait_for("Preferences", role="menu item")
            app.key("Escape")
            sidebar = app.wait_for("Show Sidebar", role=BUTTONS)
            self.assertIn("pressed", sidebar.states)
            app.key("F9")
            wait("no sidebar", lambda: "pressed" not in sidebar.now().states)
            app.key("F9")
            wait("the sidebar", lambda: "pressed" in sidebar.now().states)
            for key, title in (("ctrl+comma", "Preferences"),
                               ("ctrl+question", "Keyboard Shortcuts")):
                app.key(key)
                app.window(title)
                close(app)
            app.key("ctrl+Next")
            wait("the first conversation", lambda: len(app.rows()) == 2)

    def test_escape_stops(self):
        with Hearth(endless()) as app:
            app.send("Go")
            wait("text", lambda: len(app.rows()[1].name) > 12)
            app.key("Escape")
            app.button("Send")

    def test_tab_goes_through_everything(self):
        with Hearth(short()) as app:
            app.send("Go")
            app.answered()
            seen = [wait("a focus", app.focused)]
            for _ in range(60):
                app.key("Tab")
                now = wait("another focus", lambda: app.focused() != seen[-1] and app.focused())
                if now in seen:
                    break
                seen.append(now)
            names = [node.name for node in seen]
            for name in ("New Conversation", "Main Menu", "Search Conversations", "Hardware",
                         "Model", "Conversation Menu", "Message"):
                self.assertIn(name, names)
            self.assertTrue(any(name.startswith("Answer: ") for name in names) or "Copy" in names,
                            names)


class Code(Case):
    def test_one_line_is_shown_whole(self):
        """Whichever conversation was open before: a block gets the height of its line."""
        data = new_data()
        with Seed(data) as history:
            for name in ("First", "Second"):
                history.conversation(name, "q", f"{name}\n\n```c\nint {name};\n```\n\nend")
        with Hearth(data=data) as app:
            for name in ("First", "Second") * 2:
                app.conversation(name).click()

                def whole():
                    row = next(row for row in app.rows() if row.name.startswith("Answer:"))
                    text = row.find("C", role="text")
                    return name in row.name and text and text.extents[3] > 30  # 16 are margins
                wait(f"the whole line of {name}", whole, 15)


class Names(Case):
    def check(self, window):
        self.assertEqual(nameless(window.now()), [])

    def test_every_control_has_one(self):
        data = new_data()
        text = "# Head\n\nSee [this](https://example.org).\n\n```c\nint a;\n```\n\n|a|b|\n|-|-|\n|1|2|\n"
        with Seed(data) as history:
            history.conversation("Of fire", "Is it hot?", {"content": text, "thinking": "Hm.",
                                                          "thinking_s": 2.0}, "More?", "No.")
            history.folder("Work")
        with Hearth(data=data) as app:
            app.conversation("Of fire").click()
            wait("its messages", lambda: len(app.rows()) == 4)
            self.check(app)
            for name in ("Message", "Send", "New Conversation", "Model", "Main Menu",
                         "Search Conversations", "Conversations", "Transcript", "DRAM", "Context",
                         "Speed"):
                app.wait_for(name)
            names = [row.name for row in app.rows()]
            self.assertEqual(names, ["You: Is it hot?", "Answer: Head", "You: More?", "Answer: No."])
            # In reading order: the question, its answer from top to bottom, the next question.
            said = "\n".join(app.find("Transcript").texts())
            order = [said.index(word) for word in ("Is it hot?", "Head", "See", "int a;", "More?",
                                                   "No.")]
            self.assertEqual(order, sorted(order))
            app.button("Model").press()
            app.wait_for("Models", role=("list", "list box"))
            self.check(app)
            app.key("Escape")
            for page in ("General", "Chat", "Model", "Personas"):
                with self.subTest(page):
                    self.check(preferences(app, page))
                    close(app)
            app.menu("Conversation Options")
            self.check(app.window("Conversation Options"))
            close(app)
            app.menu("Hardware", of="Main Menu")
            self.check(app.window("Hardware"))
            close(app)
            app.key("ctrl+question")
            self.check(app.window("Keyboard Shortcuts"))
            close(app)


def translated_to(language):
    """The program in a folder of its own, with a translation that is empty: GLib keeps all texts and
    the direction as they are where a program has no translation."""
    folder = driver.file("moved-" + language)
    messages = os.path.join(folder, "share/locale", language, "LC_MESSAGES")
    schemas = os.path.join(folder, "share/glib-2.0/schemas")
    for path in (messages, schemas, os.path.join(folder, "bin")):
        os.makedirs(path)
    shutil.copy(os.path.join(os.path.dirname(driver.HEARTH), "../data/gschemas.compiled"), schemas)
    header = f'msgid ""\nmsgstr "Language: {language}\\nContent-Type: text/plain; charset=UTF-8\\n"\n'
    subprocess.run(["msgfmt", "-o", os.path.join(messages, "hearth.mo"), "-"], check=True,
                   input=header.encode())
    return shutil.copy(driver.HEARTH, os.path.join(folder, "bin"))


class Elsewhere(Case):
    def test_right_to_left(self):
        def x(app, name):
            return app.wait_for(name, role=BUTTONS).extents[0]
        with Hearth(short()) as app:
            app.send("Go")
            app.answered()
            self.assertLess(x(app, "New Conversation"), x(app, "Send"))
        with Hearth(short(), env={"LANGUAGE": "ar"}, program=translated_to("ar")) as app:
            app.send("Go")
            app.answered()
            self.assertGreater(x(app, "New Conversation"), x(app, "Send"))
            self.assertGreater(app.rows()[1].find("Fire", role="label", prefix=True).extents[0], 0)
            app.shot("right-to-left")
            app.key("ctrl+comma")
            wait("the preferences", lambda: len(app.now().children) == 2)
            close(app)

    def test_chinese(self):
        with Hearth(short(), env={"LANGUAGE": "zh_CN"}) as app:
            texts = wait("texts", app.texts)
            self.assertTrue(any(re.search("[\u4e00-\u9fff]", text) for text in texts), texts)
            app.key("ctrl+comma")
            wait("the preferences", lambda: len(app.now().children) == 2)
            close(app)

    def test_notification_without_a_server(self):
        with Hearth(endless(), settings={"chat/max-tokens": 60}) as app:
            app.send("Go")
            driver.xdotool("mousemove", driver.desktop.WIDTH - 1, driver.desktop.HEIGHT - 1)
            driver.xdotool("windowfocus", driver.desktop.root_window)
            wait("not in front", lambda: "active" not in app.now().children[0].states)
            wait("the answer", lambda: seed.rows(
                app.data, "SELECT state FROM message WHERE role = 1") == [(seed.LENGTH,)])
            app.button("Send")

    def test_text_file_is_attached(self):
        path = driver.file("note.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("The kettle is blue.\n")
        with Hearth(short()) as app:
            app.button("Attach Text Files").press()
            app.choose_file("Attach a Text File", path)
            app.button("Remove note.txt")
            app.send("What is blue?")
            app.answered()
            self.assertIn("The kettle is blue.", seed.rows(
                app.data, "SELECT content FROM message WHERE role = 0")[0][0])
            # From a second start.
            second = app.spawn(path, stdout=app.log, stderr=app.log)
            self.assertEqual(second.wait(driver.SLOW), 0)
            app.button("Remove note.txt").press()
            app.wait_no("Remove note.txt")


class Outside(Case):
    """After all others: from here on this process has a desktop that shows notifications."""

    def test_an_answer_that_ends_unseen(self):
        notes, session = service.Notifications(), service.SessionManager()
        with Hearth(endless(), settings={"chat/max-tokens": 1500}) as app:
            app.send("Go")
            app.button("New Conversation").press()
            wait("an empty transcript", lambda: not app.rows())
            driver.xdotool("mousemove", driver.desktop.WIDTH - 1, driver.desktop.HEIGHT - 1)
            driver.xdotool("windowfocus", driver.desktop.root_window)
            self.assertEqual(session.called("Uninhibit"), [], "it ended too early for this test")
            note = wait("the notification", lambda: notes.called("Notify"))[0]
            self.assertEqual(note[3], "Go")
            self.assertTrue(note[4].startswith("Of Hearths A hearth is the floor"), note[4])
            wait("leave to sleep", lambda: session.called("Uninhibit"))
            (_, _, why, what), = session.called("Inhibit")
            self.assertEqual((why, what), ("An answer is being written", SUSPEND))
            self.assertEqual(session.called("Uninhibit"), [(session.COOKIE,)])
            notes.press(1, "default")
            wait("its conversation", lambda: app.rows() and app.rows()[0].name == "You: Go")


class Terminal(Case):
    def run_hearth(self, *args, **env):
        environment = {**os.environ, "HEARTH_DATA_DIR": driver.file("terminal"), **env}
        environment.pop("DISPLAY")
        return subprocess.run([driver.HEARTH, *args], input=b"", capture_output=True,
                              timeout=driver.SLOW, env=environment)

    def test_version(self):
        driver.desktop.start()
        done = self.run_hearth("--version")
        self.assertRegex(done.stdout.decode(), r"\Ahearth \d+\.\d+\.\d+\n\Z")
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_no_display(self):
        driver.desktop.start()
        done = self.run_hearth("--prompt", "What is Hearth?", "--temperature", "0")
        self.assertEqual(done.returncode, 0)
        self.assertIn("no display", done.stderr.decode())
        self.assertIn("Hearth", done.stdout.decode())

    def test_no_display_talks(self):
        driver.desktop.start()
        environment = {**os.environ, "HEARTH_DATA_DIR": driver.file("terminal"), "TERM": "xterm"}
        environment.pop("DISPLAY")
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(driver.HEARTH, [driver.HEARTH], environment)
        os.write(terminal, b"What is Hearth?\n")
        seen = b""
        while b"tok/s" not in seen:
            seen += os.read(terminal, 65536)
        os.write(terminal, b"\x04")
        os.close(terminal)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    driver.main()
