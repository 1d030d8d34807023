"""The rules of the house. Each takes a tree ({path: text}, paths with / from the top) and yields
"path:line: what is wrong". selftest.py feeds each one a violation."""
import ast
import os
import posixpath
import re

import csource

# Who may include whom inside engine/, by folder; always allowed: its own folder and engine.h.
# A name with .h is that one header.
ENGINE = {
    "": ["base", "load", "model"],  # engine/peek.c
    "base": [],
    "load": ["base"],
    "text": ["base", "load"],
    "chat": ["base"],
    "sample": ["base"],
    "model": ["base", "load"],
    "plan": ["base", "load", "model", "include/hearth_plugin.h"],
    "cpu": ["base", "load/quant.h", "load/unpack.h", "load/unpack_iq.h",
            "model/op.h", "plan/backend.h", "plan/kernel/kernel.h"],
    "cuda": ["base", "load/quant.h", "load/unpack.h", "load/unpack_iq.h", "load/iq_grids.h",
             "load/iq_grids.c", "model/op.h", "plan/backend.h", "plan/kernel/kernel.h"],
}
SEE_ALL = {"engine/engine.c", "engine/ask.c", "engine/session.c", "engine/gauge.c",
           "engine/planning.c", "engine/device.c", "engine/loading.c",
           # the headers: what they share
           "engine/gauge.h", "engine/model.h", "engine/session.h"}

# Kernels run on the CPU by a header of the tests, which no build of the engine sees.
OUTSIDE = {("engine/cuda/kernels/common.cuh", "fiber.h")}

POSIX_HEADERS = re.compile(
    r"^(unistd|fcntl|pthread|dlfcn|sched|dirent|poll|semaphore|termios|glob|fnmatch|regex|strings"
    r"|libgen|pwd|grp|spawn|syslog|netdb|ucontext|windows|io|direct)\.h$|^(sys|netinet|arpa|net)/",
    re.I)
POSIX_CALLS = re.compile(
    r"(?<![\w.>])(mmap|munmap|madvise|mprotect|mlock|open|openat|close|read|write|pread|pwrite"
    r"|lseek|ftruncate|stat|fstat|lstat|fileno|fdopen|fseeko|ftello|fsync|access|unlink|rmdir"
    r"|mkdir|chdir|getcwd|realpath|readlink|mkstemp|mkdtemp|opendir|readdir|isatty|ioctl|fork"
    r"|exec[lv]\w*|waitpid|kill|pipe|dup2?|popen|select|poll|socket|usleep|sleep|nanosleep"
    r"|clock_gettime|gettimeofday|localtime_r|gmtime_r|strptime|timegm|sysconf|getpid|getuid"
    r"|setenv|unsetenv|pthread_\w+|sched_\w+|sem_\w+|dlopen|dlsym|dlclose|sigaction|sigprocmask"
    r"|posix_memalign|aligned_alloc|strndup|strcasecmp|strncasecmp|strtok_r|strsep|stpcpy|asprintf"
    r"|vasprintf|getline|memmem|memrchr|random|srandom|drand48|syscall|getrandom)\s*\(")

C_FILE = re.compile(r"\.(c|h|cu|cuh)$")
TABLE = re.compile(r"_(data|tables?|grids?)\.(c|h|cuh)$")  # generated tables may be long
SOURCE = re.compile(r"\.(c|h|cu|cuh|py|sh|md|ui|jinja|xml|yml)$|(^|/)meson(\.build|_options\.txt)$")
CROWD = re.compile(r"(^|/)(vectors|corpus|icons|po)(/|$)")
MAX_FILE, MAX_FUNCTION, MAX_FOLDER = 800, 60, 24


def _lines(text):
    return enumerate(text.split("\n"), 1)


def _is_text(path, text):
    """Source by its name, or a script by its first line."""
    return bool(SOURCE.search(path)) or text.startswith("#!") or _is_makefile(path)


def _is_makefile(path):
    return posixpath.basename(path) == "Makefile"


def resolve(tree, path, name):
    """The file of the tree that `#include "name"` in `path` means, or None."""
    top = path.split("/")[0]
    roots = [posixpath.dirname(path), top, top + "/include", "engine/include"]
    if top == "ui":
        roots.insert(2, "app")
    for root in roots:
        full = posixpath.normpath(posixpath.join(root, name))
        if full in tree:
            return full
    return None


def _allowed(path, target):
    """Whether engine file `path` may include engine file `target`."""
    if target == "engine/include/engine.h" or path in SEE_ALL:
        return True
    folder = path.split("/")[1] if path.count("/") > 1 else ""
    into = target.split("/")[1] if target.count("/") > 1 else ""
    if folder == into:
        return True
    inner = target[len("engine/"):]
    return any(inner == may or (inner.startswith(may + "/") and not may.endswith(".h"))
               for may in ENGINE.get(folder, []))


def _names_engine(tree, path, seen):
    """Whether a header includes one of the engine's, itself or through others."""
    seen.add(path)
    for _, name, _ in csource.includes(tree[path]):
        target = resolve(tree, path, name)
        if target and (target.startswith("engine/") or (
                target not in seen and _names_engine(tree, target, seen))):
            return True
    return False


def layers(tree):
    """ui → app → engine, and the engine's inner order."""
    for path, text in tree.items():
        top = path.split("/")[0]
        if top not in ("engine", "app", "ui") or not C_FILE.search(path):
            continue
        for line, name, quoted in csource.includes(text):
            where = f"{path}:{line}: "
            target = resolve(tree, path, name)
            if target is None:
                if quoted and (path, name) not in OUTSIDE:
                    yield where + f'"{name}" is no file of the tree'
                continue
            to = target.split("/")[0]
            if top == "engine":
                if to != "engine":
                    yield where + f"the engine includes {target}"
                elif not _allowed(path, target):
                    yield where + f"{posixpath.dirname(path)} may not include {target}"
            elif top == "app" and to == "engine" and target != "engine/include/engine.h":
                yield where + f"app includes {target}: only engine.h is for it"
            elif top == "app" and to == "ui":
                yield where + f"app includes {target}"
            elif top == "ui" and to == "engine":
                yield where + f"ui includes {target}: it talks to app only"
            elif top == "ui" and to == "app" and _names_engine(tree, target, set()):
                yield where + f"ui includes {target}, which brings the engine's header along"


def libraries(tree):
    """No GLib in the engine, no GTK below ui/."""
    glib = re.compile(r"^(glib|gio|gmodule|gobject|json-glib|curl|sqlite3|microhttpd)\b")
    gtk = re.compile(r"^(gtk|gdk|gsk|adwaita|libadwaita|gtksourceview|pango|cairo|graphene)\b")
    for path, text in tree.items():
        top = path.split("/")[0]
        if top not in ("engine", "app") or not C_FILE.search(path):
            continue
        for line, name, _ in csource.includes(text):
            if top == "engine" and glib.search(name):
                yield f"{path}:{line}: <{name}> in the engine, which has its own base/"
            if gtk.search(name):
                yield f"{path}:{line}: <{name}> below ui/"


def portable(tree):
    """Calls that only POSIX (or only Windows) has live in engine/base."""
    for path, text in tree.items():
        if path.split("/")[0] not in ("engine", "app", "ui") or not C_FILE.search(path):
            continue
        if path.startswith("engine/base/"):
            continue
        for line, name, _ in csource.includes(text):
            if POSIX_HEADERS.search(name):
                yield f"{path}:{line}: <{name}>: only engine/base may ask the system directly"
        for line, code in _lines(csource.code_only(text)):
            for call in POSIX_CALLS.finditer(code):
                yield f"{path}:{line}: {call.group(1)}(): only engine/base may call it"


def file_length(tree):
    for path, text in tree.items():
        n = text.count("\n")
        if _is_text(path, text) and not TABLE.search(path) and n > MAX_FILE:
            yield f"{path}:{n}: more than {MAX_FILE} lines: split it by the thing it handles"


def function_length(tree):
    for path, text in tree.items():
        if C_FILE.search(path) and not TABLE.search(path):
            try:
                spans = csource.functions(text) + csource.macros(text)
            except ValueError as error:
                yield f"{path}: {error}: its functions cannot be measured"
                continue
        elif path.endswith(".py"):
            spans = [(node.name, node.lineno, node.end_lineno - node.lineno + 1)
                     for node in ast.walk(ast.parse(text))
                     if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
        else:
            continue
        for name, line, n in spans:
            if n > MAX_FUNCTION:
                yield f"{path}:{line}: {name} has {n} lines, more than {MAX_FUNCTION}"


def folder_size(tree):
    files = {}
    for path in tree:
        folder = posixpath.dirname(path)
        files[folder] = files.get(folder, 0) + 1
    for folder, n in files.items():
        if n > MAX_FOLDER and not CROWD.search(folder):
            yield f"{folder}: {n} files, more than {MAX_FOLDER}: split it by the thing they handle"


def white_space(tree):
    """No blanks at line ends, no CR, tabs in Makefiles alone, a line break at the end."""
    for path, text in tree.items():
        if not _is_text(path, text):
            continue
        for line, code in _lines(text):
            if code != code.rstrip() and not path.endswith(".md"):
                yield f"{path}:{line}: blank at the end of the line"
            if "\t" in code and not _is_makefile(path):
                yield f"{path}:{line}: tab"
        if text and not text.endswith("\n"):
            yield f"{path}: no line break at the end"


# The words are put together here so that this file does not break its own rules.
_LATER = re.compile(r"\b(%s)\b" % "|".join(("TO" "DO", "FIX" "ME", "XX" "X", "not imple" "mented",
                                           "unimple" "mented")))
_MACHINE = re.compile(r"(?:^|[^\w./$~}-])/(?:%s)/\w|\b[A-Z]:\\Users"
                      % "|".join(("ho" "me", "ro" "ot", "wo" "rk", "Us" "ers", "mn" "t", "op" "t")))
_HOSTS = re.compile(r"\b(?:%s)\b" % "|".join(
    name.replace(" ", r"\.") for name in
    ("deb debian org", "snapshot debian org", "archive ubuntu com", "pypi org",
     "files pythonhosted org", "crates io", "registry npmjs org", "proxy golang org")))


def potfiles(tree):
    """po/POTFILES.in names each file that has texts for people, and no other, sorted."""
    if "po/POTFILES.in" not in tree:
        return
    listed = [line for line in tree["po/POTFILES.in"].split("\n") if line and line[0] != "#"]
    marked = re.compile(r"\b(?:N?C?_|ngettext|g_dngettext|g_dpgettext2?)\s*\(|translatable=\"yes\"")
    with_texts = {path for path, text in tree.items() if path.split("/")[0] in ("app", "ui", "data")
                  and ((path.endswith((".c", ".ui")) and marked.search(csource.without_comments(text)))
                       or path.endswith((".desktop.in", ".metainfo.xml.in")))}
    for path in sorted(with_texts - set(listed)):
        yield f"po/POTFILES.in: {path} has texts and is missing"
    for path in listed:
        if path not in with_texts:
            yield f"po/POTFILES.in: {path} is no file with texts"
    if listed != sorted(listed):
        yield "po/POTFILES.in: not sorted"


def unfinished(tree):
    for path, text in tree.items():
        if _is_text(path, text):
            for line, code in _lines(text):
                if _LATER.search(code):
                    yield f"{path}:{line}: {_LATER.search(code).group()}: finish it or leave it out"


def one_machine(tree):
    """No absolute paths of somebody's machine, no names of package servers."""
    for path, text in tree.items():
        if not _is_text(path, text):
            continue
        for line, code in _lines(text):
            for pattern in (_MACHINE, _HOSTS):
                if pattern.search(code):
                    yield f"{path}:{line}: {pattern.search(code).group().strip()}"


def exported(symbols, prefix):
    """symbols: names that the library's objects define for others. Sanitizers add __ names."""
    for name in symbols:
        if not name.startswith((prefix, "__")):
            yield f"{name}: exported without {prefix}"


TREE_RULES = [layers, libraries, portable, file_length, function_length, folder_size, white_space,
              potfiles, unfinished, one_machine]


def read_tree(top):
    """All files but build products; those that are not UTF-8 count with no text."""
    tree = {}
    for folder, folders, files in os.walk(top):
        folders[:] = [f for f in folders if f not in (".git", "__pycache__", "out")
                      and not (folder == top and f.startswith("build"))]
        for name in files:
            path = os.path.join(folder, name)
            try:
                with open(path, encoding="utf-8", newline="") as file:
                    text = file.read()
            except UnicodeDecodeError:
                text = ""
            tree[os.path.relpath(path, top).replace(os.sep, "/")] = text
    return tree
