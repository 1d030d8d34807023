"""Reads and writes history.db beside the program, as anybody may: tables conversation and message.

A Seed is made of a folder in which the program has been once, so that the file is the program's
own; all else is rows.
"""
import contextlib
import os
import shutil
import sqlite3
import time

USER, ASSISTANT = 0, 1
QUEUED, ANSWERING, DONE, STOPPED, LENGTH, FULL, FAILED, INTERRUPTED = 0, 4, 10, 11, 12, 13, 14, 15
DAY = 24 * 3600


def rows(data, sql, *args):
    """The rows of a query; the program may be running."""
    with contextlib.closing(sqlite3.connect(os.path.join(data, "history.db"), timeout=30)) as db:
        return db.execute(sql, args).fetchall()


class Seed:
    def __init__(self, data):
        self.db = sqlite3.connect(os.path.join(data, "history.db"), timeout=30,
                                  isolation_level=None)
        self.db.execute("BEGIN")
        self.next = 1 + max(self.db.execute(f"SELECT coalesce(max(id), 0) FROM {table}")
                            .fetchone()[0]
                            for table in ("conversation", "message", "folder", "persona"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.db.execute("ROLLBACK" if kind else "COMMIT")
        self.db.close()

    def insert(self, table, **values):
        values.setdefault("id", self.next)
        self.next = max(self.next, values["id"]) + 1
        self.db.execute(f"INSERT INTO {table} ({', '.join(values)}) "
                        f"VALUES ({', '.join('?' * len(values))})", list(values.values()))
        return values["id"]

    def folder(self, name):
        return self.insert("folder", name=name)

    def conversation(self, title, *texts, ago=0, **more):
        """Question and answer in turn; ago: seconds since the last word. A text may be a dict of
        columns. Its id."""
        when = int((time.time() - ago) * 1e6)
        more.setdefault("titled", 1)
        own = self.insert("conversation", title=title, created=when, updated=when, **more)
        parent = 0
        for i, text in enumerate(texts):
            columns = dict(text) if isinstance(text, dict) else {"content": text}
            role = columns.pop("role", USER if i % 2 == 0 else ASSISTANT)
            if role == ASSISTANT:
                columns = {"model": "Ember", "tokens": 20, "decode_s": 0.5, "first_token_s": 0.1,
                           "prompt_tokens": 9, **columns}
            parent = self.insert("message", conversation=own, parent=parent, role=role,
                                 created=when, **columns)
        if parent:
            self.db.execute("UPDATE conversation SET head = ? WHERE id = ?", (parent, own))
        return own


def copy(data, into):
    """A history to work on."""
    os.makedirs(into, exist_ok=True)
    for name in os.listdir(data):
        if name.startswith("history.db"):
            shutil.copy(os.path.join(data, name), into)
