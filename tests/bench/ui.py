#!/usr/bin/env python3
"""How fast the window is: its first frame, opening a long conversation, an answer that streams,
memory. Prints a table.

Usage: tests/bench/ui.py HEARTH HISTORY [--rounds N]

HISTORY: what bench-store made, a million messages.

The real program under Xvfb, drawing by cairo. What it tells of itself with HEARTH_TRACE (ui/trace.h)
is held against the moment a key was pressed or the program started. Other programs on the machine
disturb it: medians of several rounds, and beside wall-clock times what the main thread computed.
"""
import os
import re
import shutil
import statistics
import sys
import time

HISTORY = sys.argv[2]
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 5
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "ui", "drive"))
import driver  # noqa: E402
import reciter  # noqa: E402
from driver import Hearth, wait  # noqa: E402
from seed import Seed, rows  # noqa: E402

TRACE = [r"^frame \w+ [\d.]+ \d+$", r"^stall [\d.]+ [\d.]+ \d+$"]
PARAGRAPH = ("A paragraph of a long answer, with **bold**, *italic* and `code`; it goes on for a "
             "while, as answers do, and then it ends. ")
MARKDOWN = ("## Heading\n\n" + PARAGRAPH * 4 + "\n\n- one\n- two\n- three\n\n```c\nint main(void)\n{\n"
            "    return 0;\n}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n")
RECITED = "\n\n".join(f"## Part {i}\n\nItem {i} has **weight {i}** and `name_{i}`, which says that "
                      f"it is number {i} of them all.\n\n- first {i}\n- second {i}"
                      for i in range(60)) + "\n\n"


class Traced(Hearth):
    def __init__(self, *args, **more):
        env = {"HEARTH_TRACE": "1", **more.pop("env", {})}
        super().__init__(*args, env=env, size=(1280, 800), **more)

    def start(self, *args, **more):
        self.expected = list(driver.EXPECTED) + TRACE
        super().start(*args, **more)

    def frames(self, name):
        """When they were drawn and the CPU time of the main thread then, seconds."""
        return [(int(when) / 1e6, float(cpu) / 1e3) for cpu, when in re.findall(
            rf"^frame {name} ([\d.]+) (\d+)$", self.said(), re.M)]

    def stalls(self, since=0):
        """(milliseconds, of which computing) of each since that moment."""
        return [(float(wall), float(cpu)) for wall, cpu, when in re.findall(
            r"^stall ([\d.]+) ([\d.]+) (\d+)$", self.said(), re.M) if int(when) / 1e6 > since]

    def computed(self):
        """Seconds of CPU of the main thread so far."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat"
        with open(path, encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def new_data():
    with Traced() as app:
        app.wait_for("Model ready")
        app.quit()
        return app.data


def first_frame():
    data = new_data()
    with Seed(data) as history:
        for i in range(2000):
            history.conversation(f"Conversation {i} about things", "What?", "That.", ago=i * 4000)
    times, cpus = [], []
    for _ in range(ROUNDS):
        with Traced(data=data) as app:
            frame, cpu = wait("the first frame", lambda: app.frames("window"))[0]
            times.append((frame - app.started) * 1e3)
            cpus.append(cpu * 1e3)
            app.conversation("Conversation 1 about things")
    return [("First frame, 2,000 conversations stored", statistics.median(times), "ms", 400,
             f"{min(times):.0f} … {max(times):.0f}; main thread {statistics.median(cpus):.0f} ms of "
             "CPU")]


def opening():
    data = new_data()
    with Seed(data) as history:
        texts = []
        for i in range(5000):
            texts += [f"Question {i}?", f"Answer {i}. " + PARAGRAPH]
        history.conversation("Short", "a", "b", ago=10)
        history.conversation("Long", *texts, ago=100)
        history.conversation("Wide", "Tell me all", MARKDOWN * 300, ago=1000)
    times, cpus, wide = [], [], []
    with Traced(data=data) as app:
        app.wait_for("Model ready")
        for _ in range(ROUNDS):
            for name, into in (("Long", times), ("Wide", wide)):
                app.conversation("Short").click()
                wait("the short one", lambda: app.find(role="frame").name == "Short" and
                     len(app.rows()) == 2)
                app.point(app.conversation(name))
                n, before, cpu = len(app.frames("conversation")), time.monotonic(), app.computed()
                driver.xdotool("click", 1)
                frame, frame_cpu = wait("it", lambda: app.frames("conversation")[n:])[0]
                into.append((frame - before) * 1e3)
                if into is times:
                    cpus.append((frame_cpu - cpu) * 1e3)
        stalls = app.stalls()
    worst = max(stalls, default=(0, 0))
    note = (f"{min(times):.0f} … {max(times):.0f}; main thread {statistics.median(cpus):.0f} ms of "
            f"CPU; longest stall {worst[0]:.0f} ms, {worst[1]:.0f} of them CPU")
    return [("Opening a conversation of 10,000 messages", statistics.median(times), "ms", 150, note),
            ("Opening one with an answer of 300 KB", statistics.median(wide), "ms", None,
             f"{min(wide):.0f} … {max(wide):.0f}")]


# What is typed before the clock starts, and the letter that makes the search of it.
SEARCHES = [("", "t"), ("mor", "e"), ("that wo", "r"), ("xyzzy", "x")]


def searching():
    """From the last letter to the frame that shows what was found in a million messages; with the
    time that the entry waits for another letter."""
    data = new_data()
    shutil.copy(HISTORY, os.path.join(data, "history.db"))
    medians, cpus, worst = [], [], 0
    with Traced(data=data, env={"GTK_A11Y": "none"}) as app:
        wait("the first frame", lambda: app.frames("window"))
        for before, last in SEARCHES:
            times = []
            for _ in range(ROUNDS + 1):  # the first of a word reads its pages from the disk
                n = len(app.frames("search"))
                app.key("ctrl+f")
                if before:
                    app.type(before)
                    wait("its hits", lambda: len(app.frames("search")) > n)
                time.sleep(0.5)  # nobody is quicker
                n, began, cpu = len(app.frames("search")), time.monotonic(), app.computed()
                driver.xdotool("key", last)
                frame, frame_cpu = wait("the hits", lambda: app.frames("search")[n:])[0]
                times.append((frame - began) * 1e3)
                cpus.append((frame_cpu - cpu) * 1e3)
                app.key("Escape")
            medians.append(statistics.median(times[1:]))
            worst = max(worst, *times)
    return [("Search in 1,000,000 messages, key to picture", max(medians), "ms", 100,
             f"the slowest of {len(SEARCHES)} texts; longest of all {worst:.0f} ms; main thread "
             f"{statistics.median(cpus):.0f} ms of CPU")]


def tokens(app):
    """Of the text that is in the history so far; the model says one piece per token."""
    (text,), = rows(app.data, "SELECT coalesce(max(content), '') FROM message WHERE parent = "
                              "(SELECT max(id) FROM message WHERE content = 'Go on')")
    return len(text) / len(RECITED) * len(reciter.pieces(RECITED))


def streaming():
    data = new_data()
    with Seed(data) as history:
        long = history.conversation("Long", *["And then?", MARKDOWN * 5] * (300000 // len(MARKDOWN * 5)))
    path = reciter.write(driver.file("stream.gguf"), RECITED, endless=True, layers=14, feed=512,
                         context=100000, template=reciter.LAST_ONLY, name="Stream")
    # Nobody listens on the bus of assistive technology: answering it would be measured, too.
    with Traced(path, data=data, settings={"chat/context": 16384, "last-conversation": long},
                env={"GTK_A11Y": "none"}) as app:
        wait("the conversation", lambda: app.frames("conversation"))
        app.type("Go on")
        app.key("Return")
        wait("an answer", lambda: tokens(app) > 100)
        began, cpu, first = time.monotonic(), app.computed(), tokens(app)
        time.sleep(30)
        seconds, used = time.monotonic() - began, app.computed() - cpu
        speed = (tokens(app) - first) / seconds
        stalls = app.stalls(began)
        app.key("Escape")
    worst = max(stalls, default=(0, 0))
    note = (f"{len(stalls)} over 50 ms in {seconds:.0f} s, the worst with {worst[1]:.0f} ms of CPU; "
            f"{speed:.0f} tok/s into 300 KB")
    return [("Longest stall while an answer streams", worst[0], "ms", 50, note),
            ("… of which the main thread computed", max([c for _, c in stalls], default=0), "ms", 50,
             "the rest it waited for a core"),
            ("Main thread while an answer streams", 100 * used / seconds, "% of a core", 10, "")]


def memory():
    with Traced() as app:
        app.wait_for("Model ready")
        app.button("Model").press()
        app.button("Unload").press()
        app.wait_for("No model loaded")
        app.key("Escape")
        wait("no model", lambda: app.find("No model loaded"))
        return [("Resident memory without a model", app.resident(), "MiB", 200, "")]


def main():
    if driver.reason:
        sys.exit(driver.reason)
    print("| what | measured | wanted | |\n|---|---|---|---|", flush=True)
    bad = False
    for measure in (first_frame, opening, searching, streaming, memory):
        for what, value, unit, wanted, note in measure():
            limit = f"< {wanted} {unit}" if wanted else ""
            bad |= bool(wanted and value >= wanted)
            print(f"| {what} | {value:.1f} {unit} | {limit} | {note} |", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())
