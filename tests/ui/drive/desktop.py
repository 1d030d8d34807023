"""A desktop for tests: an X server, a session bus and the bus of assistive technology, all private.

One per process, begun by the first use and ended with the process. Without a window manager, so
windows are at the top left corner, the pointer's coordinates are the window's, and who wants the
keyboard's focus on a window asks for it.
"""
import atexit
import os
import shutil
import subprocess
import sys
import tempfile

NEEDS = ["Xvfb", "dbus-daemon", "xdotool"]
WIDTH, HEIGHT = 1280, 800
folder = None
root_window = None  # who has the keyboard's focus when no window has it
_processes = []
_bus = None


def missing():
    """What keeps the tests from running here, as a sentence, or None. May not return: it goes on
    with a Python that has GObject's bindings."""
    absent = [name for name in NEEDS if not shutil.which(name)]
    if absent:
        return f"{', '.join(absent)} not installed"
    try:
        from gi.repository import Gio  # noqa: F401
        return None
    except ImportError:
        pass
    for python in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if os.environ.get("HEARTH_UI_PYTHON") or not os.path.exists(python):
            continue
        test = [python, "-c", "from gi.repository import Gio"]
        if subprocess.run(test, capture_output=True).returncode == 0:
            os.environ["HEARTH_UI_PYTHON"] = python
            sys.stdout.flush()
            os.execv(python, [python, *sys.argv])
    return "no Python with gi, the bindings of GLib"


def _end():
    for process in reversed(_processes):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def start(width=WIDTH, height=HEIGHT):
    """Sets the environment so that programs started from now on are on the new desktop."""
    global folder, root_window
    if folder:
        return
    folder = tempfile.mkdtemp(prefix="hearth-ui-")
    atexit.register(_end)
    env = os.environ
    for name in list(env):
        if name.startswith(("XDG_", "DBUS_", "AT_SPI", "GTK_", "GDK_", "ADW_", "WAYLAND_", "LC_")):
            del env[name]
    for name in ("LANGUAGE", "NO_AT_BRIDGE", "HEARTH_CPU_MASK", "GSETTINGS_BACKEND"):
        env.pop(name, None)
    runtime, home = os.path.join(folder, "run"), os.path.join(folder, "home")
    os.mkdir(runtime, 0o700)
    os.mkdir(home)
    env.update(XDG_RUNTIME_DIR=runtime, HOME=home, LANG="C.UTF-8", GSK_RENDERER="cairo",
               LIBGL_ALWAYS_SOFTWARE="1", GDK_BACKEND="x11", GTK_USE_PORTAL="0",
               XDG_DATA_HOME=os.path.join(home, "data"), XDG_CACHE_HOME=os.path.join(home, "cache"),
               XDG_CONFIG_HOME=os.path.join(home, "config"), GSETTINGS_BACKEND="memory")
    read, write = os.pipe()
    with open(os.path.join(folder, "x.log"), "wb") as log:
        _processes.append(subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-fbdir",
             folder, "-nolisten", "tcp", "-noreset"], pass_fds=[write], stdin=subprocess.DEVNULL, stdout=log,
            stderr=log))
        os.close(write)
        with os.fdopen(read, encoding="ascii") as pipe:
            number = pipe.readline().strip()
        if not number:
            raise RuntimeError(f"Xvfb did not start; {log.name} says why")
        env["DISPLAY"] = ":" + number
        said = subprocess.run(["xdotool", "getmouselocation", "--shell"], capture_output=True)
        root_window = said.stdout.decode().partition("WINDOW=")[2].strip()
        bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--nopidfile",
                                "--print-address=1"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=log)
    _processes.append(bus)
    env["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()


def bus():
    """The bus of assistive technology; begins to exist when it is first asked for."""
    global _bus
    if not _bus:
        import accessible
        _bus = accessible.Bus()
    return _bus
