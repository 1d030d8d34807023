"""What assistive technology sees of the program: pictures of its whole tree, and acts on what is in
them.

Spoken straight over the bus of assistive technology. GTK hands out all accessibles in one answer,
which costs milliseconds where asking for each costs seconds, and is never half old and half new, as
the cache of a library may be.
"""
import re
import time

from gi.repository import Gio, GLib

ROLES = {
    2: "alert", 7: "check box", 8: "check item", 11: "combo box", 16: "dialog", 20: "filler",
    23: "frame", 27: "image", 29: "label", 31: "list", 32: "list item", 33: "menu",
    35: "menu item", 37: "tab", 38: "tab list", 39: "panel", 42: "progress bar", 43: "button",
    44: "radio button", 45: "radio item", 48: "scroll bar", 49: "scroll pane", 50: "separator",
    51: "slider", 52: "spin button", 55: "table", 56: "cell", 61: "text", 62: "toggle",
    69: "window", 73: "paragraph", 75: "application", 79: "entry", 83: "heading", 88: "link",
    90: "row", 98: "list box", 101: "notification", 103: "level bar", 116: "static", 130: "switch",
}
BUTTONS = ("button", "toggle", "switch", "link")
STATES = {1: "active", 4: "checked", 7: "editable", 10: "expanded", 11: "focusable", 12: "focused",
          20: "pressed", 23: "selected", 24: "sensitive", 25: "showing", 30: "visible"}
PREFIX = "org.a11y.atspi."
ROOT = "/org/a11y/atspi/accessible/root"


class Gone(Exception):
    """The accessible, or the program, is no longer there."""


class Timeout(AssertionError):
    pass


def wait(what, look, seconds):
    """Calls look() until it returns something true, and returns that. What is not there yet or no
    longer there is nothing true: look() may ask for the second row without asking how many are."""
    end = time.monotonic() + seconds
    pause = 0.02
    while True:
        found = missing = None
        try:
            found = look()
        except (Gone, IndexError) as error:
            missing = error
        if found:
            return found
        if time.monotonic() > end:
            raise Timeout(f"waited in vain for {what}") from missing
        time.sleep(pause)
        pause = min(pause * 1.3, 0.25)


class Bus:
    """The connection; one per process."""

    def __init__(self):
        session = Gio.bus_get_sync(Gio.BusType.SESSION)
        address = session.call_sync("org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress",
                                    None, None, 0, -1, None).unpack()[0]
        flags = Gio.DBusConnectionFlags
        self.bus = Gio.DBusConnection.new_for_address_sync(
            address, flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION, None, None)

    def call(self, owner, path, interface, method, signature=None, *args):
        if "." not in interface:
            interface = PREFIX + interface
        parameters = GLib.Variant(signature, args) if signature else None
        try:
            answer = self.bus.call_sync(owner, path, interface, method, parameters, None, 0, 120000,
                                        None)
        except GLib.Error as error:
            raise Gone(error.message) from error
        return answer.unpack()

    def call_all(self, owner, paths, interface, method, signature=None, *args):
        """The first value of the answer of each path, None of those that are gone; the calls are
        under way at the same time."""
        answers, context = {}, GLib.MainContext.default()
        parameters = GLib.Variant(signature, args) if signature else None

        def take(bus, result, path):
            try:
                answers[path] = bus.call_finish(result).unpack()[0]
            except GLib.Error:
                answers[path] = None
        for path in paths:
            self.bus.call(owner, path, PREFIX + interface, method, parameters, None, 0, 120000,
                          None, take, path)
        while len(answers) < len(paths):
            context.iteration(True)
        return [answers[path] for path in paths]

    def applications(self):
        """Names on the bus of the programs that can be seen."""
        children = self.call("org.a11y.atspi.Registry", ROOT, "Accessible", "GetChildren")[0]
        return [owner for owner, _ in children]

    def pid(self, owner):
        return self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                         "GetConnectionUnixProcessID", "(s)", owner)[0]


def plain(name):
    """GTK 4.8 says the name of many buttons twice, once with its mnemonic: "_Undo Undo"."""
    half = len(name) // 2
    for at in (half - 1, half, half + 1):
        if name[at:at + 1] == " " and name[:at].replace("_", "") == name[at + 1:]:
            return name[at + 1:]
    return name


class Node:
    """One accessible as it was when the picture was taken. Looking for something in it takes a new
    picture first."""

    def __init__(self, app, item):
        (self.owner, self.path), _, parent, self.index, self.n_children, self.interfaces, name, \
            role, self.description, states = item
        self.app, self.parent_path = app, parent[1]
        self.name, self.role = plain(name), ROLES.get(role, f"role {role}")
        bits = states[0] | states[1] << 32
        self.states = {name for bit, name in STATES.items() if bits >> bit & 1}
        self.children, self.parent = [], None

    def __repr__(self):
        return f"<{self.role} {self.name!r}>"

    def __eq__(self, other):
        return isinstance(other, Node) and self.path == other.path

    def __hash__(self):
        return hash(self.path)

    def call(self, interface, method, signature=None, *args):
        return self.app.bus.call(self.owner, self.path, interface, method, signature, *args)

    def get(self, interface, name):
        return self.call("org.freedesktop.DBus.Properties", "Get", "(ss)", PREFIX + interface,
                         name)[0]

    # ---- looking ----

    def now(self):
        """The same accessible in a new picture."""
        node = self.app.picture().get(self.path)
        if not node:
            raise Gone(repr(self))
        return node

    def walk(self, hidden=False):
        """Itself and all below that is not hidden, in reading order."""
        yield self
        if hidden or "visible" in self.states or self.role == "application":
            for child in self.children:
                yield from child.walk(hidden)

    def above(self, role):
        """The nearest one with that role that it is in."""
        node = self
        while node and node.role != role:
            node = node.parent
        return node

    @property
    def showing(self):
        """Whether it can be seen. Before 4.10 GTK says so of windows alone; there, what has never
        been shown has no size, and what was shown once and lies in a stack cannot be told."""
        if "showing" in self.states:
            return True
        if "visible" not in self.states or self.app.says_showing:
            return False
        try:
            return min(self.extents[2:]) > 0
        except Gone:
            return False

    def matches(self, name=None, role=None, prefix=False, showing=True):
        if name is not None:
            good = (name.search(self.name) if isinstance(name, re.Pattern) else
                    self.name.startswith(name) if prefix else self.name == name)
            if not good:
                return False
        if role is not None and self.role not in ((role,) if isinstance(role, str) else role):
            return False
        return not showing or self.showing

    def all(self, name=None, role=None, **more):
        return [node for node in self.now().walk() if node.matches(name, role, **more)]

    def find(self, name=None, role=None, **more):
        """The first in it that matches, or None."""
        return next((node for node in self.now().walk() if node.matches(name, role, **more)), None)

    def wait_for(self, name=None, role=None, seconds=None, **more):
        return self.app.wait(f"{role or ''} {name!r}", lambda: self.find(name, role, **more),
                             seconds)

    def wait_no(self, name=None, role=None, seconds=None, **more):
        self.app.wait(f"the end of {role or ''} {name!r}",
                      lambda: not self.find(name, role, **more), seconds)

    def button(self, name):
        return self.wait_for(name, role=BUTTONS)

    def texts(self):
        """What can be read in it, in order."""
        out = []
        for node in self.now().walk():
            if node.role in ("label", "text", "heading", "paragraph", "static") and node.showing:
                out.append(node.text if node.role == "text" else node.name)
        return [text for text in out if text]

    def reads(self, words):
        """Whether the words can be read in it."""
        return words in " ".join(self.texts())

    def wait_to_read(self, words):
        """What a row says has no size until it was drawn once, and is no text before."""
        self.app.wait(f"the words {words!r}", lambda: self.reads(words))

    @property
    def text(self):
        n = self.get("Text", "CharacterCount")
        return self.call("Text", "GetText", "(ii)", 0, n)[0]

    @property
    def value(self):
        return self.get("Value", "CurrentValue")

    @property
    def extents(self):
        """x, y, width, height in its window."""
        return self.call("Component", "GetExtents", "(u)", 1)[0]

    # ---- acting ----

    def set_text(self, text):
        self.call("EditableText", "SetTextContents", "(s)", text)

    def set_value(self, value):
        self.call("org.freedesktop.DBus.Properties", "Set", "(ssv)", PREFIX + "Value",
                  "CurrentValue", GLib.Variant("d", value))

    @property
    def n_actions(self):
        return self.get("Action", "NActions") if PREFIX + "Action" in self.interfaces else 0

    def press(self):
        """As assistive technology does: of a menu button it is the button inside that is pressed."""
        for node in self.walk():
            if node.role in BUTTONS + ("menu item", "check item", "radio item") and node.n_actions:
                node.call("Action", "DoAction", "(i)", 0)
                return
        raise AssertionError(f"nothing to press in {self}")

    def reveal(self, at):
        """Turns the pointer's wheel until that point of it is in view."""
        pane = self.now().above("scroll pane")
        while pane:
            _, top, _, room = pane.extents
            _, y, _, height = self.extents
            y += at * height
            if top < y < top + room:
                break
            self.app.point(pane)
            self.app.xdotool("click", 4 if y <= top else 5)
            self.app.wait("a list that scrolls", lambda: abs(self.extents[1] + at * height - y) > 1)

    def click(self, button=1, at=(0.5, 0.5)):
        """With the pointer; not while it moves, as the rows of a list do when one is added."""
        self.reveal(at[1])
        extents = None
        while extents != self.extents:
            extents = self.extents
            self.app.point(self, at)
        self.app.xdotool("click", button)


def picture(app, bus, owner):
    """All accessibles of the program: path → Node, joined into a tree.

    The one answer with everything lacks what was not asked for yet, and has what is no longer in
    the window: who is whose child is asked of each parent, of all of them at once."""
    nodes, children = {}, {}
    for _ in range(8):
        for item in bus.call(owner, ROOT[:-len("accessible/root")] + "cache", "Cache",
                             "GetItems")[0]:
            nodes.setdefault(item[0][1], Node(app, item))
        ask = [path for path, node in nodes.items() if path not in children
               and (node.n_children or node.role == "application")]
        children.update(zip(ask, bus.call_all(owner, ask, "Accessible", "GetChildren")))
        if all(child in nodes for found in children.values() for _, child in found or ()):
            break
    for path, found in children.items():
        nodes[path].children = [nodes[child] for _, child in found or () if child in nodes]
    root = next(node for node in nodes.values() if node.role == "application")
    kept = {ROOT: root}
    for node in root.walk(hidden=True):
        kept[node.path] = node
        for child in node.children:
            child.parent = node
    return kept
