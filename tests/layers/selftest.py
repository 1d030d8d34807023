"""A check that cannot fail is a defect: each rule sees trees that break it and trees that do not."""
import rules

LONG = "int f(void)\n{\n" + "    g();\n" * 60 + "}\n"
FITS = "int f(void)\n{\n" + "    g();\n" * 57 + "}\n"
HEADERS = {path: "" for path in (
    "engine/include/engine.h", "engine/model.h", "engine/base/mem.h", "engine/load/gguf.h", "engine/load/quant.h",
    "engine/model/op.h", "engine/model/kv.h", "engine/plan/backend.h", "engine/plan/exec.h",
    "engine/cpu/kernels.h", "engine/cuda/driver.h", "engine/text/tokenizer.h", "app/app.h",
    "ui/window/window.h")}
LATER = "TO" "DO"


def _including(path, *names):
    return dict(HEADERS, **{path: "".join(f'#include "{name}"\n' for name in names)})


# rule → (trees that break it, trees that keep it)
TREES = {
    rules.layers: (
        [_including("engine/base/x.c", "load/gguf.h"),
         _including("engine/load/x.c", "text/tokenizer.h"),
         _including("engine/text/x.c", "model/op.h"),
         _including("engine/chat/x.c", "load/gguf.h"),
         _including("engine/sample/x.c", "text/tokenizer.h"),
         _including("engine/model/x.c", "plan/exec.h"),
         _including("engine/plan/x.c", "cpu/kernels.h"),
         _including("engine/cpu/x.c", "cuda/driver.h"),
         _including("engine/cpu/x.c", "../cuda/driver.h"),
         _including("engine/cpu/x86/x.c", "plan/exec.h"),
         _including("engine/cuda/x.cu", "cpu/kernels.h"),
         _including("engine/cuda/x.c", "load/gguf.h"),
         _including("engine/other.c", "plan/exec.h"),
         _including("engine/load/x.c", "../model.h"),
         _including("engine/base/x.c", "app.h", "missing.h"),
         _including("app/x.c", "base/mem.h"),
         _including("app/x.c", "../engine/load/gguf.h"),
         _including("app/x.c", "../ui/window/window.h"),
         _including("ui/x.c", "engine.h"),
         {"engine/include/engine.h": "", "app/base.h": "#include <engine.h>\n",
          "app/request.h": '#include "base.h"\n', "ui/x.c": '#include "request.h"\n'}],
        [_including("engine/session.c", "text/tokenizer.h", "plan/exec.h", "cpu/kernels.h"),
         _including("engine/cpu/x86/x.c", "cpu/kernels.h", "load/quant.h", "plan/backend.h"),
         _including("engine/load/x.c", "gguf.h", "base/mem.h", "engine.h"),
         _including("engine/plan/x.c", "model/op.h", "load/gguf.h"),
         _including("app/cli/x.c", "app.h", "engine.h"),
         _including("ui/x.c", "window/window.h", "../app/app.h", "app.h"),
         {"engine/base/x.c": '/* #include "load/gguf.h" */\n// #include "app.h"\n'}]),
    rules.libraries: (
        [{"engine/x.c": "#include <glib.h>\n"}, {"engine/load/x.h": "# include <gio/gio.h>\n"},
         {"app/x.c": "#include <gtk/gtk.h>\n"}, {"app/x.h": "#include <adwaita.h>\n"}],
        [{"app/x.c": "#include <glib.h>\n"}, {"ui/x.c": "#include <gtk/gtk.h>\n"},
         {"engine/x.c": "#include <hwloc.h>\n// #include <glib.h>\n"}]),
    rules.portable: (
        [{"engine/load/x.c": "#include <sys/mman.h>\n"}, {"app/x.c": "#include <unistd.h>\n"},
         {"engine/plan/x.h": "#include <pthread.h>\n"}, {"app/x.c": "int t = isatty(1);\n"},
         {"engine/text/x.c": "p = mmap (0, n);\n"}, {"ui/x.c": "s = strndup(a, 3);\n"}],
        [{"engine/base/x.c": "#include <unistd.h>\nint n = read(0, b, 1);\n"},
         {"engine/load/x.c": '/* mmap() */ log("open(x)"); f->read(b); s.close(); reopen(f);\n'}]),
    rules.file_length: (
        [{"a.c": "\n" * 801}, {"tests/run": "#!/bin/sh\n" + ":\n" * 800}],
        [{"a.c": "\n" * 800}, {"engine/text/unicode_data.c": "\n" * 9000}, {"a.txt": "\n" * 900}]),
    rules.function_length: (
        [{"a.c": LONG}, {"a.c": "struct X { int a; };\nMACRO(a, b)\n" + LONG},
         {"a.cu": 'extern "C" {\n' + LONG + "}\n"}, {"a.h": "#define M \\\n" + "  x; \\\n" * 60 + "\n"},
         {"a.c": "char *s = \"{\"; char c = '{'; /* { */\n" + LONG},
         {"a.c": "__attribute__((noinline)) static int f(int (*g)(void))\n" + LONG[12:]},
         {"a.c": "#if A\nint f(void) {\n#else\nint f(int a) {\n#endif\n}\n"},
         {"a.py": "def f():\n" + "    g()\n" * 60}],
        [{"a.c": FITS + FITS}, {"a.c": "int t[] = {\n" + "    1,\n" * 90 + "};\n"},
         {"a.h": "struct __attribute__((packed)) X {\n" + "    int a;\n" * 90 + "};\n"},
         {"a.c": 'extern "C" {\n' + FITS * 3 + "}\n"}, {"a.py": "def f():\n" + "    g()\n" * 59}]),
    rules.folder_size: (
        [{f"engine/x/{i}.c": "" for i in range(25)}],
        [{f"engine/x/{i}.c": "" for i in range(24)}, {f"tests/vectors/{i}": "" for i in range(40)}]),
    rules.white_space: (
        [{"a.c": "int a; \n"}, {"a.c": "\tint a;\n"}, {"a.py": "a = 1\r\n"}, {"a.sh": "x"},
         {"tool": "#!/bin/sh\nx \n"}],
        [{"Makefile": "all:\n\tcc\n"}, {"a.c": "int a;\n"}, {"data.txt": "a\tb \n"}]),
    rules.potfiles: (
        [{"po/POTFILES.in": "", "ui/x.c": 'f(_("Text"));\n'},
         {"po/POTFILES.in": "", "ui/x.ui": '<property name="label" translatable="yes">Text</property>\n'},
         {"po/POTFILES.in": "# x\nui/y.c\n", "ui/y.c": "int a;\n"},
         {"po/POTFILES.in": "ui/gone.c\n"},
         {"po/POTFILES.in": "ui/b.c\nui/a.c\n", "ui/a.c": '_("a");\n', "ui/b.c": 'C_("b", "b");\n'}],
        [{"po/POTFILES.in": "# texts\nui/a.c\nui/b.c\n", "ui/a.c": 'ngettext("a", "b", 2);\n',
          "ui/b.c": '_("b");\n', "ui/c.c": '/* _("no") */ f_(1);\n', "tests/x.c": '_("no");\n'}]),
    rules.unfinished: (
        [{"a.c": f"/* {LATER}: later */\n"}, {"meson.build": f"# {LATER}\n"}, {"a.py": "# FIX" "ME\n"}],
        [{"a.c": f"int {LATER}S, un{LATER};\n"}]),
    rules.one_machine: (
        [{"a.c": 'open("/ho' 'me/x/y");\n'}, {"a.sh": "cd /wo" "rk/tree\n"},
         {"a.md": "see C:" "\\Users\\x\n"}, {"tool": "#!/bin/sh\ncurl http://deb.debian" ".org/\n"}],
        [{"a.sh": 'cat /etc/apt/x "$HOME/root/x" "$r/opt/x" /usr/share/opt/x /proc/self/x\n'}]),
}


def failures():
    """One sentence for each rule and tree where the rule said the wrong thing."""
    for rule in rules.TREE_RULES:
        if rule not in TREES:
            yield f"{rule.__name__} has no self-test"
            continue
        bad, good = TREES[rule]
        for i, tree in enumerate(bad):
            if not list(rule(tree)):
                yield f"{rule.__name__} does not see violation {i}"
        for i, tree in enumerate(good):
            for said in rule(tree):
                yield f"{rule.__name__} objects to good tree {i}: {said}"
    if list(rules.exported(["eng_a", "__asan_b"], "eng_")):
        yield "exported objects to good names"
    if not list(rules.exported(["eng_a", "helper"], "eng_")):
        yield "exported does not see a stray name"
