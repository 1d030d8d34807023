#!/usr/bin/env python3
"""kill -9 at 100 random moments: whenever the program dies, the next start finds a sound database
with the answer so far, nothing lost that is older than a second. TAP.

Usage: test_kill.py WRITER     WRITER is kill_writer.c. TEST_SEED as in test.h.
"""
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

WRITER = sys.argv[1]
SLOTS, LIVES = 5, 20
SEED = int(os.environ.get("TEST_SEED", time.time_ns() % 1000000))


def live(path, seconds):
    """One life of the writer; what it said, and when it was killed (monotonic µs). The clock starts
    with its process: some die before the database is open."""
    writer = subprocess.Popen([WRITER, path], stdout=subprocess.PIPE, text=True)
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    killed = time.monotonic_ns() // 1000
    said = writer.communicate()[0].splitlines(keepends=True)
    lines = [line.split() for line in said if line.endswith("\n")]
    return [(int(n), int(at)) for n, at in lines], killed


def complaints(path, said, killed):
    """What is wrong after a life."""
    checked = subprocess.run([WRITER, "--check", path], capture_output=True, text=True, timeout=120)
    lines = checked.stdout.splitlines()
    if checked.returncode or not lines or lines[-1] != "end" or checked.stderr:
        yield f"the next start fails: {checked.returncode} {checked.stdout} {checked.stderr}"
        return
    yield from (line for line in lines if line.startswith(("notice", "refusal")))
    kept = []
    for line in lines[:-1]:
        state, _, text = line.partition(" ")
        kept = text.split()
        if state != "15":
            yield f"the state is {state}, not interrupted"
    tokens = [f"{n}:{at}" for n, at in said]
    old = [token for token, (_, at) in zip(tokens, said) if at < killed - 1_000_000]
    if kept[:len(tokens)] != tokens[:len(kept)] and kept[:len(old)] != old:
        yield f"the text is another one: {kept[:3]}… not {tokens[:3]}…"
    if len(kept) < len(old):
        lost = killed - said[len(kept)][1]
        yield f"{len(old) - len(kept)} tokens are lost, the oldest was {lost / 1e6:.2f} s old"


def unsound(path):
    """What SQLite says of the file, in a process that is not ours."""
    db = sqlite3.connect(path)
    said = db.execute("PRAGMA integrity_check").fetchall()
    if said != [("ok",)]:
        yield f"integrity: {said[:3]}"
    for table in ("message_index", "title_index"):
        db.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1)")
    answers = db.execute("SELECT count(*) FROM message WHERE role = 1 AND content <> ''").fetchone()[0]
    found = db.execute("SELECT count(*) FROM message_index JOIN message ON id = message_index.rowid"
                       " WHERE message_index MATCH '\"0\"' AND role = 1").fetchone()[0]
    if found != answers:
        yield f"of {answers} answers {found} are found"
    if db.execute("SELECT count(*) FROM message WHERE state < 10").fetchone()[0]:
        yield "something still runs"
    db.close()


def slot(number, folder):
    """The lives of one database."""
    dice = random.Random(SEED * 100 + number)
    path = os.path.join(folder, f"{number}.db")
    bad, tokens = [], 0
    for life in range(LIVES):
        # one of four dies while it opens or begins
        seconds = dice.uniform(0.005, 0.4) if life % 4 == 0 else dice.uniform(0.4, 3.5)
        said, killed = live(path, seconds)
        tokens += len(said)
        found = list(complaints(path, said, killed)) + list(unsound(path))
        bad += [f"life {life}, {seconds:.3f} s: {what}" for what in found]
    return bad, tokens


def main():
    print(f"TAP version 13\n1..{SLOTS}\n# seed {SEED}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="store-kill-") as folder, \
            ThreadPoolExecutor(SLOTS) as pool:
        for number, (bad, tokens) in enumerate(pool.map(slot, range(SLOTS), [folder] * SLOTS), 1):
            if tokens < LIVES * 20:
                bad.append(f"only {tokens} tokens were written: nothing was tried")
            failed += bool(bad)
            print(f"{'not ok' if bad else 'ok'} {number} - {LIVES} deaths of a database")
            for what in bad:
                print(f"#   {what}")
            sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
