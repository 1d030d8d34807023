"""What the tests of hearth-cli share: running it, with and without a terminal; TAP.

A test program is a module of unittest cases that ends with harness.main(). Its argument is the
path of hearth-cli. Each program gets a folder of its own, also as HEARTH_DATA_DIR.
"""
import atexit
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

CLI = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "hearth-cli"
FOLDER = tempfile.mkdtemp(prefix="hearth-cli-test-")
SLOW = 240  # seconds that anything may take, under sanitizers and on a busy machine
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
os.environ["HEARTH_DATA_DIR"] = os.path.join(FOLDER, "data")
os.environ["LC_ALL"] = "C.UTF-8"
os.environ["TERM"] = "xterm"
os.environ["HEARTH_CUDA_LIBRARY"] = "none"  # test_gpu.py names another one
for name in ("NO_COLOR", "HEARTH_CPU_MASK", "http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)


def write(name, data):
    """A file in the folder; its path."""
    path = os.path.join(FOLDER, name)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


def run(*args, stdin=b"", limit=None, env=None):
    """The finished process, its output as bytes. limit: address space in KiB."""
    command = [CLI, *map(str, args)]
    if limit:
        command = ["sh", "-c", f'ulimit -v {limit} && exec "$@"', "sh", *command]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=SLOW,
                          env={**os.environ, **(env or {})})


def sanitized():
    """Whether the program was built with a sanitizer."""
    with open(CLI, "rb") as file:
        return b"__asan_init" in file.read()


class Case(unittest.TestCase):
    def json(self, *args, **more):
        """Runs with --json; the one document on stdout."""
        done = run(*args, "--json", **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, b"")
        self.assertEqual(done.stdout.count(b"\n"), 1)
        return json.loads(done.stdout.decode("utf-8"))

    def text(self, *args, **more):
        """Runs; what it printed."""
        done = run(*args, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, b"")
        return done.stdout

    def refuse(self, code, words, *args, **more):
        """It ends with `code`, prints nothing, and says one sentence that has all the words."""
        for extra in ([], ["--json"]):
            done = run(*args, *extra, **more)
            said = done.stderr.decode()
            self.assertEqual((done.returncode, done.stdout), (code, b""), said)
            self.assertRegex(said, r"\Ahearth-cli: [^\n]+\.\n\Z")
            for word in words.split("|"):
                self.assertIn(word, said)


class Terminal:
    """hearth-cli at a pseudo terminal."""

    def __init__(self, *args, env=None):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(env or {})
            os.execv(CLI, [CLI, *map(str, args)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds):
        """Adds what comes within that time to `seen`; False at the end of the program."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
        except OSError:
            return False
        return True

    def expect(self, pattern):
        """Waits for the pattern, and returns all up to its end, which is then forgotten."""
        end = time.monotonic() + SLOW
        while time.monotonic() < end:
            match = re.search(pattern, self.seen)
            if match:
                before, self.seen = self.seen[:match.end()], self.seen[match.end():]
                return before
            if not self.read(1):
                break
        raise AssertionError(f"{pattern!r} did not come; there was {self.seen!r}")

    def wait(self):
        """Waits for the end of the program; its exit status, negative for a signal."""
        end = time.monotonic() + SLOW
        while self.read(0.2):
            if time.monotonic() > end:
                raise AssertionError(f"it did not end; there was {self.seen!r}")
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


class Tap(unittest.TestResult):
    def __init__(self, n):
        super().__init__()
        self.n = 0
        self.bad_tests = []
        print(f"TAP version 13\n1..{n}", flush=True)

    def line(self, good, test, more=""):
        self.n += 1
        print(f"{'' if good else 'not '}ok {self.n} - {test.id().split('.', 1)[1]}{more}", flush=True)

    def blame(self, test, err):
        for line in "".join(traceback.format_exception(*err)).splitlines():
            print("# " + line)
        self.line(False, test)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line(True, test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.blame(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.blame(test, err)

    def addSubTest(self, test, subtest, err):
        """Called for every part of a test; a bad one takes the place of the test's line."""
        if err and not any(bad is test for bad in self.bad_tests):
            self.bad_tests.append(test)
            print(f"# in {subtest}")
            self.blame(test, err)
        super().addSubTest(test, subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line(True, test, f" # SKIP {reason}")


def main():
    """Runs the calling program's cases; arguments after the first name those to run."""
    loader, module = unittest.defaultTestLoader, sys.modules["__main__"]
    suite = (loader.loadTestsFromNames(sys.argv[2:], module) if sys.argv[2:]
             else loader.loadTestsFromModule(module))
    sys.exit(0 if suite.run(Tap(suite.countTestCases())).wasSuccessful() else 1)
