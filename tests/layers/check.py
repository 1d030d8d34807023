#!/usr/bin/env python3
"""The layering and size check: the rules of rules.py over the tree, each header compiled alone,
each library's exported names. TAP on standard output. Python's standard library alone.

Usage: check.py TOP [--nm LIBRARY:PREFIX]… [--cc COMMAND] [--without-ui]
"""
import argparse
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rules
import selftest
import translations

ISA_FLAGS = [f"-m{name}" for name in ("avx2", "fma", "f16c", "bmi2", "avx512f", "avx512bw",
                                     "avx512dq", "avx512vl", "avx512vnni", "avx512vbmi", "amx-tile",
                                     "amx-int8", "amx-bf16")]

# Written once for every instruction set: the file that includes them has defined the words used.
TEMPLATES = {f"engine/cpu/x86/{name}.h" for name in (
    "rows", "k_matmul", "float/matmul", "tile_walk_avx512", "exp", "attn/attn", "iq/pair_walk_vbmi",
    "unpack/pack_k", "unpack/pack_legacy", "unpack/iq")}


def report(number, name, complaints):
    complaints = list(complaints)
    print(f"{'not ok' if complaints else 'ok'} {number} - {name}")
    for said in complaints:
        print(f"#   {said}")
    sys.stdout.flush()
    return not complaints


# Where the headers of each part look for others, and the libraries that they may use.
ROOTS = {"engine": ["engine", "engine/include"], "app": ["app", "engine/include"],
         "ui": ["ui", "app"]}
PACKAGES = {"engine": [], "app": "glib-2.0 gio-2.0 json-glib-1.0 libcurl sqlite3".split(),
            "ui": "gtk4 libadwaita-1 gtksourceview-5".split()}


def flags(top, part):
    roots = [f"-I{Path(top) / root}" for root in ROOTS[part]]
    if not PACKAGES[part]:
        return roots
    return roots + subprocess.run(["pkg-config", "--cflags"] + PACKAGES[part], check=True,
                                  text=True, capture_output=True).stdout.split()


def header_complaint(cc, top, path, more):
    """Compiles a header alone; None when it stands on its own."""
    if path.startswith("engine/cpu/x86/"):
        more = more + ISA_FLAGS
    done = subprocess.run(cc + ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                                "-Wno-unused-function", "-fsyntax-only", "-x", "c", "-include",
                                str(Path(top) / path), "/dev/null"] + more,
                          capture_output=True, text=True)
    if done.returncode == 0:
        return None
    first = next((line for line in done.stderr.splitlines() if "error:" in line), done.stderr)
    return f"{path} does not compile alone: {first.strip()}"


def headers(cc, top, tree, parts=("engine", "app", "ui")):
    paths = sorted(path for path in tree if path.endswith(".h")
                   and path.split("/")[0] in parts and path not in TEMPLATES)
    more = {part: flags(top, part) for part in {path.split("/")[0] for path in paths}}
    with ThreadPoolExecutor() as pool:
        said = pool.map(lambda path: header_complaint(
            cc, top, path, more[path.split("/")[0]]), paths)
        return [one for one in said if one]


def header_selftest(cc):
    """The header rule sees a header that leans on another one, and passes one that does not."""
    with tempfile.TemporaryDirectory() as top:
        (Path(top) / "engine").mkdir()
        (Path(top) / "engine/bad.h").write_text("static inline size_t f(void) { return 1; }\n")
        (Path(top) / "engine/good.h").write_text("#include <stddef.h>\nsize_t f(void);\n")
        said = headers(cc, top, {"engine/bad.h": "", "engine/good.h": ""})
        if not any("bad.h" in one for one in said):
            yield "a header that needs another one passes"
        yield from (one for one in said if "good.h" in one)


def symbols(library):
    """Names that the library's objects export."""
    listed = subprocess.run(["nm", "-g", "--defined-only", "-P", library], check=True, text=True,
                            capture_output=True).stdout
    return sorted({line.split()[0] for line in listed.splitlines() if len(line.split()) >= 3})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("top")
    parser.add_argument("--nm", action="append", default=[])
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--without-ui", action="store_true", help="GTK is not installed")
    options = parser.parse_args()
    tree, cc = rules.read_tree(options.top), options.cc.split()
    checks = [("self-test of the rules", selftest.failures()),
              ("self-test of headers", header_selftest(cc))]
    checks += [(rule.__name__, rule(tree)) for rule in rules.TREE_RULES]
    parts = ("engine", "app") if options.without_ui else ("engine", "app", "ui")
    checks.append(("headers compile alone", headers(cc, options.top, tree, parts)))
    checks += [("self-test of translations", translations.selftest()),
               ("translations are complete", translations.complaints(options.top))]
    for pair in options.nm:
        library, prefix = pair.rsplit(":", 1)
        names = symbols(library)
        said = list(rules.exported(names, prefix)) if names else [f"{library} exports nothing"]
        checks.append((f"{Path(library).name} exports {prefix} alone", said))
    print(f"TAP version 13\n1..{len(checks)}")
    good = [report(i, name, said) for i, (name, said) in enumerate(checks, 1)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
