"""Every text of the program is said in every language of po/LINGUAS: the texts are gathered afresh,
and none of them may be missing, guessed by msgmerge, or wrong in its format."""
import subprocess
import tempfile
from pathlib import Path

# Meson's preset 'glib' for xgettext.
KEYWORDS = """_ N_ C_:1c,2 NC_:1c,2 g_dcgettext:2 g_dngettext:2,3 g_dpgettext2:2c,3 Q_:1g
    ngettext:1,2 g_dgettext:2""".split()


def run(*command):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def gather(top, pot):
    return run("xgettext", "--from-code=UTF-8", "--add-comments", "-D", top, "-o", pot,
               *[f"--keyword={word}" for word in KEYWORDS],
               f"--files-from={top}/po/POTFILES.in")


def sentences(po, *which):
    """msgid lines of those entries of a .po file."""
    out = run("msgattrib", "--no-wrap", "--no-obsolete", *which, po).stdout
    return [line for line in out.splitlines() if line.startswith("msgid ") and line != 'msgid ""']


def complaints(top):
    top = Path(top)
    if not (top / "po/LINGUAS").exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        pot, merged = Path(folder) / "hearth.pot", Path(folder) / "merged.po"
        done = gather(top, pot)
        if done.returncode or not pot.exists():
            yield f"xgettext finds no texts: {done.stderr.strip()}"
            return
        for name in (top / "po/LINGUAS").read_text().split("\n"):
            if not name or name.startswith("#"):
                continue
            po = top / f"po/{name}.po"
            checked = run("msgfmt", "-c", "-o", "/dev/null", po)
            if checked.returncode:
                yield f"{po.name}: {checked.stderr.strip()}"
            run("msgmerge", "-q", "-o", merged, po, pot)
            for line in sentences(merged, "--untranslated"):
                yield f"{po.name}: not translated: {line}"
            for line in sentences(merged, "--only-fuzzy"):
                yield f"{po.name}: translates an older text: {line}"


def selftest():
    """A missing text and a changed one are seen; a complete translation passes."""
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    for po, good in ((head, False), (head + 'msgid "Old text"\nmsgstr "x"\n', False),
                     (head + 'msgid "New text"\nmsgstr "x"\n', True)):
        with tempfile.TemporaryDirectory() as top:
            (Path(top) / "po").mkdir()
            (Path(top) / "po/LINGUAS").write_text("# languages\nxx\n")
            (Path(top) / "po/POTFILES.in").write_text("a.c\n")
            (Path(top) / "a.c").write_text('f(_("New text"));\n')
            (Path(top) / "po/xx.po").write_text(po)
            if (not list(complaints(top))) != good:
                yield f"the translation {po[len(head):]!r} is judged wrongly"
