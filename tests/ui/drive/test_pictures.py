"""Every state of the program, light and dark, large and small: pictures for a person to look at (in
the folder HEARTH_SHOTS, when it is set), and what a machine can see in them.

Of each state: what is in a window lies in it, and nothing sticks out of what it is in but where one
can scroll; every control has a name. Of each picture: it shows something, and dark is dark. A
program goes through many states, as in use; its size and the desktop's colours change meanwhile.
"""
import os
import re
import shutil

import driver
import portal
import reciter
import screen
import seed
from driver import BUTTONS, Case, Hearth, wait
from seed import DAY, Seed
from test_history import new_data
from test_manners import nameless
from test_settings import close, preferences

LARGE, SMALL = (1280, 800), (800, 600)
NAME = "What a room needs to be warm in winter, in one sentence that is too long"
RICH = r"""# How Heat Travels

Heat goes from the fire to the room in **three** ways, of which *radiation* counts most:

1. **Radiation**: what glows warms what it sees.
2. **Convection**: warm air rises.
   - through the flue, which is lost
   - into the room, which is not
3. **Conduction**: through `stone` and iron, see [Hearths](https://example.org/hearths).

| Wall      | W/m·K | Verdict        |
|:----------|------:|:---------------|
| Brick     |   0.6 | a good hearth  |
| Granite   |   2.8 | warms the room |
| Soapstone |   6.4 | stays warm     |

A black surface gives $P = \sigma A T^4$, so

$$\frac{P_2}{P_1} = \left(\frac{T_2}{T_1}\right)^4, \qquad \bar x = \sqrt{\sum_{i=1}^{n} x_i^2}$$

```python
def power(area, kelvin, emissivity=0.9):
    # Stefan and Boltzmann
    return emissivity * 5.670e-8 * area * kelvin ** 4  # watts: more than one would think of a fire
```

> What the fire gives, the chimney takes.
"""
THOUGHTS = ("The person asks how heat travels. There are three ways. I should say which of them "
            "counts most in a room with an open fire, and give numbers.\n") * 3
ENDS = [("Stopped", seed.STOPPED, ""), ("Cut", seed.LENGTH, ""),
        ("Full", seed.FULL, "The context of 4,096 tokens is full."),
        ("Failed", seed.FAILED, "The model's file became shorter or its disk failed while it was "
                                "in use: put the file back and load the model again."),
        ("Interrupted", seed.INTERRUPTED, "")]


def extents_of(app, window):
    """Node → x, y, width, height of all that is shown in the window."""
    nodes = list(window.walk())
    found = app.bus.call_all(app.owner, [node.path for node in nodes], "Component", "GetExtents",
                             "(u)", 1)
    return {node: box for node, box in zip(nodes, found) if box and min(box[2:]) > 0}


def meet(one, other):
    return all(one[i] < other[i] + other[i + 2] and other[i] < one[i] + one[i + 2] for i in (0, 1))


def sticking_out(app, window):
    """What does not lie in what it is in. Margins below zero, for what lines up by its text and not
    by its frame, are small. Where a sibling lies over it, as in a stack, GTK before 4.10 tells where
    it was when it was last in view."""
    boxes, out = extents_of(app, window), []
    for node, (x, y, width, height) in boxes.items():
        parent = node.parent
        if node == window or parent not in boxes or node.role in ("scroll bar", "filler", "menu") \
                or parent.name == "HearthMessagePeek":  # the last lines of what is longer
            continue
        if any(other != node and other in boxes and meet(boxes[other], boxes[node])
               for other in parent.children):
            continue
        left, top, w, h = boxes[parent]
        scrolls = parent.role == "scroll pane" or parent.parent.role == "scroll pane"
        across = scrolls and any(bar.role == "scroll bar" and bar in boxes
                                 and boxes[bar][2] > boxes[bar][3]
                                 for pane in (parent, parent.parent) for bar in pane.children)
        if not across and (x < left - 6 or x + width > left + w + 6) or (
                not scrolls and (y < top - 6 or y + height > top + h + 6)):
            out.append((node, (x, y, width, height), parent, boxes[parent]))
    return out


class Pictures(Case):
    def setUp(self):
        self.portal, self.size = portal.desktop_colours(), LARGE

    def hearth(self, *args, **more):
        return Hearth(*args, size=self.size, **more)

    def resize(self, app, size):
        frame = app.now().children[0]  # the main window, on which all others lie
        margin = self.size[0] - frame.extents[2], self.size[1] - frame.extents[3]
        driver.xdotool("windowsize", app.x_windows()[0], *size)
        inner = size[0] - margin[0], size[1] - margin[1]
        wait(f"a window of {size}", lambda: tuple(frame.extents[2:]) == inner)
        self.size = size

    def look(self, app, name, title=None, sizes=(LARGE, SMALL)):
        """Takes the pictures of a state, and looks at them. title: the window of which it is."""
        with self.subTest(name):
            for size in sorted(sizes, key=lambda size: size != self.size):
                if size != self.size:
                    self.resize(app, size)
                window = app.window(title) if title else app.now().children[0]
                for room, taken in zip(SMALL if title else size, window.extents[2:]):
                    self.assertLessEqual(taken, room)
                self.assertEqual(nameless(window), [])
                self.check_places(app, window)
                self.paint(app, f"{name}-{size[0]}")

    def check_places(self, app, window):
        """What moves, while its place is asked for, is asked again."""
        try:
            wait("all in its place", lambda: not sticking_out(app, window.now()), 15)
        except driver.accessible.Timeout:
            self.assertEqual(sticking_out(app, window.now()), [], self.size)

    def paint(self, app, name):
        light = {}
        for dark in (self.portal.dark, not self.portal.dark):
            self.portal.set_dark(dark)

            def painted():
                picture = screen.take(self.size)
                light[dark] = picture.brightness()
                return (light[dark] < 120) == dark and picture
            picture = wait("dark" if dark else "light", painted)
            self.assertGreater(picture.colours(), 30, name)
            app.shot(f"{name}-{'dark' if dark else 'light'}", self.size)
        self.assertGreater(light[False] - light[True], 60, name)

    def test_first_start(self):
        with self.hearth() as app:
            app.wait_for("Model ready")
            self.look(app, "first-start")
            lowest = app.button("Open a Model…").extents
            self.assertLess(lowest[1] + lowest[3], app.message_box().extents[1], "it is cut off")
            app.button("Model").press()
            app.wait_for("Models", role=("list", "list box"))
            self.look(app, "model-menu")
            app.key("Escape")
            app.menu("Hardware", of="Main Menu")
            self.look(app, "hardware", "Hardware")
            close(app)
            app.key("ctrl+question")
            self.look(app, "shortcuts", "Keyboard Shortcuts")
            close(app)
            for page in ("General", "Chat", "Model", "Personas"):
                preferences(app, page)
                self.look(app, f"preferences-{page.lower()}", "Preferences")
                if page != "Personas":
                    close(app)
            app.window("Preferences").button("Add").press()
            app.window("New Persona")
            self.look(app, "persona", "New Persona")
            app.key("Escape")
            app.window("Preferences").wait_for("Personas")
            close(app)

    def history(self):
        data = new_data()
        with Seed(data) as history:
            house = history.folder("House")
            history.folder("An Empty Folder")
            history.conversation("How heat travels", "How does heat travel from a fire to a room?",
                                 {"content": RICH, "thinking": THOUGHTS, "thinking_s": 12.4,
                                  "tokens": 417, "decode_s": 9.5})
            history.conversation(NAME, "Tell me in one sentence. " * 30, "Wood.", ago=120)
            history.conversation("Chimney sweeps", "Who?", "They.", pinned=1, ago=9 * DAY)
            history.conversation("The stove in the kitchen", "Which?", "That.", folder=house)
            for title, state, error in ENDS:
                history.conversation(title, "Tell me of chimneys, please.", {
                    "content": "" if state == seed.FAILED else "A chimney draws because",
                    "state": state, "error": error}, ago=DAY)
            for i in range(30):
                history.conversation(f"Of wood and ash {i + 1}", "What?", "That.", ago=(i + 2) * DAY)
        return data

    def test_history(self):
        with self.hearth(data=self.history()) as app:
            app.wait_for("Model ready")
            app.conversation("How heat travels").click()
            wait("its messages", lambda: len(app.rows()) == 2)
            self.look(app, "conversation-end")
            app.message_box().click()
            app.key("Home")  # it is empty: the transcript's
            thought = app.wait_for(re.compile("^Thought for "), role=BUTTONS)
            wait("its top", lambda: thought.extents[1] > 0)
            self.look(app, "conversation")
            thought.press()
            app.wait_for(re.compile("^The person asks"))
            self.look(app, "thoughts")
            thought.press()
            app.act(app.rows()[0], "Edit")
            app.wait_for("Edited Message")
            self.look(app, "edit")
            app.key("Escape")
            app.button("Conversation Menu").press()
            app.wait_for("Rename…", role="menu item")
            self.look(app, "conversation-menu")
            app.key("Escape")
            app.button("Main Menu").press()
            app.wait_for("Preferences", role="menu item")
            self.look(app, "main-menu")
            app.key("Escape")
            app.menu("Conversation Options")
            self.look(app, "conversation-options", "Conversation Options")
            close(app)
            app.key("F2")
            app.wait_for("Rename Conversation", role=("text", "entry"))
            self.look(app, "rename")
            app.key("Escape")
            for title, _, _ in ENDS:
                app.conversation(title).click()
                wait("its messages", lambda: app.find(role="frame").name == title
                     and len(app.rows()) == 2)
                self.look(app, f"end-{title.lower()}")
            app.menu("Delete")
            app.wait_for("Undo", role=BUTTONS)
            self.look(app, "deleted")
            app.key("ctrl+f")
            app.type("chimney")
            app.wait_for(re.compile("^Chimney sweeps"), role="list item")
            wait("hits", lambda: len(app.conversations()) < 10)
            self.look(app, "search")
            app.type("zz")
            app.wait_for("Nothing Found")
            self.look(app, "search-nothing")
            app.key("Escape")
            app.key("F9")
            self.look(app, "no-sidebar")
            app.key("F9")
            self.look(app, "narrow", sizes=[(400, 600)])
            self.resize(app, LARGE)

    def test_answering(self):
        # Pictures take seconds: what comes next must not be over when one is done.
        text = "<think>\n" + THOUGHTS * 10 + "</think>\n\n" + RICH * 3
        path = reciter.write(driver.file("thinker.gguf"), text, endless=True, layers=12, feed=1024,
                             context=100000, name="Thinker")
        with self.hearth(path, settings={"chat/context": 16384}) as app:
            app.wait_for("Model ready")
            self.look(app, "model")
            app.send("Please read this.\n" + "A chimney draws because warm air rises. " * 80)
            wait("reading", lambda: app.rows()[1].reads("Reading the prompt"))
            self.look(app, "reading")
            wait("thoughts", lambda: app.rows()[1].reads("Thinking…"))
            self.look(app, "thinking")
            app.wait_for("How Heat Travels")
            self.look(app, "answering")
            app.button("New Conversation").press()
            wait("an empty transcript", lambda: not app.rows())
            app.send("And this?")
            wait("queued", lambda: app.rows()[1].reads("Waits for another answer"))
            self.look(app, "queued")

    def test_loading(self):
        path = driver.file("heavy.gguf")  # holes of a file in memory become memory when read
        free = shutil.disk_usage(driver.desktop.folder).free
        reciter.write(path, "So heavy.", name="Heavy", ballast=min(4 << 30, free // 4))
        with self.hearth() as app:
            for size in (LARGE, SMALL):
                app.wait_for("Model ready")
                if size != self.size:
                    self.resize(app, size)
                second = app.spawn(path, stdout=app.log, stderr=app.log)
                app.wait_for(re.compile("^Loading"))
                self.paint(app, f"loading-{size[0]}")
                self.assertEqual(second.wait(driver.SLOW), 0)
                wait("heavy", lambda: app.button("Model").reads("Heavy"))
                app.button("Model").press()
                app.wait_for("Models", role=("list", "list box")).wait_for(
                    re.compile("^Ember"), role="list item").click()
                wait("Ember", lambda: app.button("Model").reads("Ember"))

    def test_refused(self):
        path = driver.file("refused.gguf")
        with open(path, "wb") as file:
            file.write(os.urandom(100000))
        with self.hearth(path) as app:
            app.wait_for("The model could not be loaded")
            self.look(app, "refused")
            app.button("Model").press()
            app.wait_for("Models", role=("list", "list box"))
            self.look(app, "refused-menu")
            app.key("Escape")
            app.send("What is Hearth?")
            wait("a failed answer", lambda: app.rows()[1].reads("Choose a model in GGUF form"))
            self.look(app, "refused-answer")


if __name__ == "__main__":
    driver.main()
