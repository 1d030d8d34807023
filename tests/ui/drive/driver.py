"""Drives the real program as a person would: finds what assistive technology finds, presses keys,
moves the pointer, looks at the screen; and reads what the program said on its standard error.

    with Hearth() as app:
        app.send("Hello")
        app.wait_for("Answer: ", prefix=True)

Everything is waited for, nothing slept for. Leaving the block ends the program and fails if it
wrote a single line that is not expected: no warning of GLib, GTK or Adwaita is tolerated.
"""
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "cli"))
import desktop  # noqa: E402
import harness  # noqa: E402
import screen  # noqa: E402

reason = desktop.missing()  # may start this program again with another Python
if not reason:
    import accessible
    from accessible import BUTTONS, Gone, Node  # noqa: F401
else:
    BUTTONS, Gone, Node = (), Exception, object

HEARTH = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "hearth"
CLI = os.path.join(os.path.dirname(HEARTH), "..", "app", "cli", "hearth-cli")
TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
EMBER = os.path.join(TOP, "data/models/ember/ember.gguf")
SHOTS = os.environ.get("HEARTH_SHOTS")
SANITIZED = os.path.exists(HEARTH) and harness.sanitized()
# Seconds that anything may take, on a busy machine.
SLOW = int(os.environ.get("HEARTH_UI_SECONDS", 300 if SANITIZED else 90))
# Lines that may be on standard error, each with its reason.
EXPECTED = [
    # GLib asks for a bus of the whole system, which containers lack.
    r"Failed to connect to the system bus",
]


def wait(what, look, seconds=None):
    return accessible.wait(what, look, seconds or SLOW)


def xdotool(*args):
    done = subprocess.run(["xdotool", *map(str, args)], capture_output=True, text=True)
    return done.stdout.split()


class Hearth(Node):
    """The running program; a Node whose children are its windows."""

    def __init__(self, *args, data=None, env=None, size=None, settings=None, focus=True,
                 program=HEARTH):
        desktop.start()
        self.program = program
        self.data = data or tempfile.mkdtemp(prefix="data-", dir=desktop.folder)
        self.args, self.env, self.process, self.owner = args, env or {}, None, None
        self.app, self.wait, self.xdotool = self, wait, xdotool
        self.says_showing = None  # not known yet
        self.expected = list(EXPECTED)
        settings = {"threads": 1, **(settings or {})}  # the other core is for those who watch
        if size:
            settings.update({"window-width": size[0], "window-height": size[1]})
        self.write_settings(settings)
        self.start(focus=focus)

    # ---- life ----

    def write_settings(self, settings):
        """Adds lines to settings.ini; keys of chat defaults begin with chat/."""
        path = os.path.join(self.data, "settings.ini")
        groups = {"hearth": {}, "chat": {}}
        for line in open(path, encoding="utf-8").read().splitlines() if os.path.exists(path) else ():
            if line.startswith("["):
                current = groups.setdefault(line[1:-1], {})
            elif "=" in line:
                current.update([line.split("=", 1)])
        for key, value in settings.items():
            group = "chat" if key.startswith("chat/") else "hearth"
            text = f"'{value}'" if isinstance(value, str) else str(value).lower()
            groups[group][key.removeprefix("chat/")] = text
        with open(path, "w", encoding="utf-8") as file:
            for name, values in groups.items():
                file.write(f"[{name}]\n" + "".join(f"{k}={v}\n" for k, v in values.items()) + "\n")

    def setting(self, key, group="hearth"):
        """Its text in settings.ini, or None."""
        with open(os.path.join(self.data, "settings.ini"), encoding="utf-8") as file:
            part = file.read().partition(f"[{group}]")[2].partition("\n[")[0]
        found = re.search(rf"^{key}=(.*)$", part, re.M)
        return found and found.group(1)

    def spawn(self, *args, stdin=subprocess.DEVNULL, **more):
        """Starts the program with the same data folder; the second one while this one runs."""
        return subprocess.Popen(
            [self.program, *map(str, args)], stdin=stdin, cwd=desktop.folder,
            env={**os.environ, "HEARTH_DATA_DIR": self.data, "G_ENABLE_DIAGNOSTIC": "1",
                 **self.env}, **more)

    def start(self, *args, focus=True):
        self.log = tempfile.NamedTemporaryFile(prefix="log-", dir=desktop.folder, delete=False)
        self.started = time.monotonic()
        self.process = self.spawn(*(args or self.args), stdout=self.log, stderr=self.log)
        if self.env.get("GTK_A11Y") == "none":
            self.focus()
            return
        wait("the program on the bus of assistive technology", self._appear)
        self.wait_for(role="frame")
        self.says_showing = any("showing" in child.states for frame in self.now().children
                                for child in frame.children)
        if focus:
            self.focus()

    def _appear(self):
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}: {self.said()}")
        self.bus = desktop.bus()
        for owner in self.bus.applications():
            if self.bus.pid(owner) == self.process.pid:
                self.owner, self.path = owner, accessible.ROOT
                return bool(self.picture())
        return False

    def picture(self):
        try:
            return accessible.picture(self, self.bus, self.owner)
        except (Gone, StopIteration) as gone:
            if not self.alive():
                raise AssertionError(f"the program ended with {self.process.returncode}: "
                                     + self.said()) from gone
            raise Gone from gone

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def said(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def check_log(self):
        bad = [line for line in self.said().splitlines()
               if line.strip() and not any(re.search(one, line) for one in self.expected)]
        assert not bad, "the program said:\n" + "\n".join(bad)

    def ended(self, status=0):
        """Waits for its end by itself."""
        wait("the end of the program", lambda: self.process.poll() is not None)
        assert self.process.returncode == status, (self.process.returncode, self.said())
        self.check_log()

    def quit(self):
        self.key("ctrl+q")
        self.ended()

    def kill(self):
        """Like a power failure."""
        self.process.kill()
        self.process.wait()
        self.check_log()

    def restart(self, *args):
        if self.alive():
            self.quit()
        self.start(*args)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind and self.alive():
            self.shot("failure-" + str(os.getpid()), always=True)
            try:
                if self.owner:
                    self.dump("# ")
            except (Gone, AssertionError) as gone:
                print("# gone", gone)
            self.process.kill()
            self.process.wait()
            print("# it said: " + self.said().replace("\n", "\n# "))
        elif self.alive():
            self.quit()
        elif kind is None:
            self.check_log()

    def dump(self, mark=""):
        """All that can be seen, for a person who writes a test."""
        def one(node, depth):
            if "visible" not in node.states and depth:
                return
            print(mark + "  " * depth + repr(node) + (" *" if "focused" in node.states else ""))
            for child in node.children:
                one(child, depth + 1)
        one(self.now(), 0)

    # ---- windows, keys, the screen ----

    def x_windows(self):
        """Ids of its windows that have a title, the topmost last."""
        return xdotool("search", "--onlyvisible", "--all", "--pid", self.process.pid, "--name", ".")

    def point(self, node, at=(0.5, 0.5)):
        """Moves the pointer over the node. Coordinates count from the window, after its frame."""
        x, y, width, height = node.extents
        left = top = 0
        frame = node.now()
        while frame.parent.role != "application":
            frame = frame.parent
        for window in reversed(self.x_windows()):
            said = subprocess.run(["xdotool", "getwindowname", window, "getwindowgeometry",
                                   "--shell", window], capture_output=True, text=True).stdout
            if said.startswith(frame.name + "\n"):
                place = {k: int(v) for k, v in re.findall(r"^(\w+)=(-?\d+)$", said, re.M)}
                _, _, inner_width, inner_height = frame.extents
                left = place["X"] + (place["WIDTH"] - inner_width) // 2
                top = place["Y"] + (place["HEIGHT"] - inner_height) // 2
                break
        # Not --sync: it waits until the pointer has moved, for seconds where it was there before.
        # From elsewhere: GTK overlooks a pointer that lay there before a dialog closed above it.
        xdotool("mousemove", 0, 0, "mousemove", left + x + int(width * at[0]), top + y + int(height * at[1]))

    def focus(self):
        """Gives the topmost window the keyboard."""
        window = wait("a window on the screen", self.x_windows)[-1]
        if xdotool("getwindowfocus") != [window]:
            xdotool("windowfocus", "--sync", window)

    def key(self, *keys):
        self.focus()
        xdotool("key", "--delay", 15, *keys)

    def type(self, text):
        self.focus()
        xdotool("type", "--delay", 8, text)

    def focused(self):
        """What has the keyboard's focus, or None. Each window remembers one."""
        windows = sorted(reversed(self.now().children), key=lambda w: "active" not in w.states)
        return next((node for window in windows for node in window.walk()
                     if "focused" in node.states and node.role != "frame"), None)

    def focus_on(self, name):
        """Waits until the keyboard's focus is on what has that name."""
        wait(f"the focus on {name}", lambda: getattr(self.focused(), "name", None) == name)

    def shot(self, name, size=None, always=False):
        """A picture of the screen, or of its top left part of that size, in the folder
        HEARTH_SHOTS; without it nothing is made."""
        where = SHOTS or (always and os.path.join(tempfile.gettempdir(), "hearth-ui-failures"))
        if not where:
            return
        os.makedirs(where, exist_ok=True)
        path = os.path.join(where, name + ".png")
        screen.take(size).write(path)
        if always:
            print(f"# picture: {path}")

    def window(self, title):
        """Waits for the window with the title. The role of some dialogs of GTK is that of no window."""
        return wait(f"the window {title}", lambda: next(
            (child for child in self.now().children if child.name == title), None))

    def choose_file(self, title, path):
        """Writes the path into the file dialog with that title."""
        self.window(title)
        wait("a focus in the dialog", self.focused)
        self.key("ctrl+a")
        self.type(path)
        self.key("Return")
        self.wait("the end of the dialog", lambda: all(
            child.name != title for child in self.now().children))
        # Its window may lie there a while longer, and then a click that comes now is lost: see point.
        wait("the end of its window", lambda: not xdotool(
            "search", "--onlyvisible", "--all", "--pid", self.process.pid, "--name", f"^{title}$"))

    # ---- what has names that scripts may rely on ----

    def message_box(self):
        return self.wait_for("Message", role=("text", "entry"))

    def rows(self):
        """The messages that are shown, in order: names as a screen reader has them."""
        return [node for node in self.now().walk() if node.role == "list item"
                and node.name.startswith(("You:", "Answer:")) and node.above("list")
                and node.above("list").name == "Transcript"]

    def conversations(self):
        """Rows of the sidebar, headings too."""
        return self.wait_for("Conversations", role="list").all(role="list item")

    def conversation(self, name):
        """The row of a conversation, whose name may say more after the title."""
        return self.wait_for("Conversations", role="list").wait_for(
            re.compile(rf"^{re.escape(name)}($|,|\.|:| )"), role="list item")

    def send(self, text):
        """Writes the message and sends it with Enter."""
        wait("an empty message box", lambda: self.message_box().text == "")
        box = self.message_box()
        box.set_text(text)
        wait("what was written", lambda: box.text == text)
        box.click()
        self.key("Return")
        wait("the question", lambda: text.partition("\n")[0] in
             [row.name.removeprefix("You: ") for row in self.rows()])

    def answered(self, n=1):
        """Waits until the n-th answer is there and no longer being written."""
        wait(f"{n} answers", lambda: len([row for row in self.rows()
                                          if row.name.startswith("Answer:")]) >= n)
        self.wait_for("Send", role=BUTTONS)

    def act(self, row, name):
        """Presses a button of a message, which may be there only under the pointer."""
        if not row.find(name, role=BUTTONS):
            self.point(row, at=(0.5, 0.1))
        row.button(name).press()

    def menu(self, *path, of="Conversation Menu"):
        """Chooses from a menu button's menu, by keys."""
        self.button(of).press()
        for depth, name in enumerate(path):
            item = self.wait_for(name, role=("menu item", "check item", "radio item"))
            for _ in range(30):
                focused = self.wait("a focus in the menu", self.focused)
                if focused.name == name and focused.role == item.role and (
                        not depth or focused.path != opened):
                    break
                self.key("Down")
                wait("another item", lambda: self.focused() != focused)
            else:
                raise AssertionError(f"{name} cannot be reached in the menu")
            opened = focused.path
            self.key("Return")


class Case(unittest.TestCase):
    maxDiff = None


def file(name):
    """A path in the tests' folder."""
    desktop.start()
    return os.path.join(desktop.folder, name)


def main():
    """Runs the calling program's cases, or says of each why it cannot."""
    if reason:
        for value in list(vars(sys.modules["__main__"]).values()):
            if isinstance(value, type) and issubclass(value, unittest.TestCase):
                unittest.skip(reason)(value)
    start = time.monotonic()
    try:
        harness.main()
    finally:
        print(f"# {time.monotonic() - start:.0f} s")
