#!/usr/bin/env python3
"""Records what markdown-it-py makes of random Markdown, for test_markdown.c.

Documents are put together from blocks in blocks (lists, quotes, fences, tables, headings, indented
code, lazy lines, empty items, odd indentation) with random inline markup. Everything is seeded: the
same packages give the same file (markdown-it-py 4.3.0, mdit-py-plugins 0.7.0).

  make_markdown_vectors.py                 writes vectors/markdown/random.txt
  make_markdown_vectors.py --count N --seed S --out FILE

A record is `=== N`, the source with `|` before each line, `---`, and one line per block: its depth
in blanks, its kind, and its text as Pango markup with \\n and \\\\ escaped.

Left out is what is meant to differ: formulas, HTML, bare addresses, emphasis beside Chinese; emphasis
that begins with emphasis, where markdown-it does not follow CommonMark; and where md4c 0.4.8 does
not: fences indented by four after a paragraph, tabs, two blank lines in lists, rules and code before
other blocks of an item (it looks into the wrong bytes when the text stands at certain places),
indented code in lists.
"""
import argparse
import html
import os
import random

from markdown_it import MarkdownIt
from mdit_py_plugins.tasklists import tasklists_plugin

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = ("ash beech cedar Dogwood elm fir ginkgo hazel ivy juniper larch maple 漢字 naïve 7 3.14 x_y_z "
         "snake_case_name a+b \"quoted\" it's (round) [square] R&D 1<2 3>2 semi; end. why? wow! 50% "
         "@home #tag ~tilde C:\\dir \\*star\\* \\_low &amp; &copy; &#33; &nosuch;").split()


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def words(self, n=6):
        return " ".join(self.r.choice(WORDS) for _ in range(self.r.randint(1, n)))

    def inline(self, depth=2):
        r, parts = self.r, []
        for _ in range(r.randint(1, 3)):
            kind = r.randint(0, 11 if depth else 4)
            text = self.words(3)
            if kind == 5:
                text = "*so " + self.inline(depth - 1) + "*"
            elif kind == 6:
                text = "**so " + self.inline(depth - 1) + "**"
            elif kind == 7:
                text = "`" + r.choice(["code", "a * b", "x < y && z", "f(_a_)", "\\n"]) + "`"
            elif kind == 8:
                text = "``a ` b``"
            elif kind == 9:
                text = "~~" + r.choice(["gone", "two words"]) + "~~"
            elif kind == 10:
                bang = r.choice(["", "", "!"])
                text = bang + "[" + r.choice(["link", "a *b* c", "`x`"]) + "](" + \
                    r.choice(["https://example.org/a?b=1&c=2", "http://x.y/(z)", "javascript:no",
                              "/local", "<https://sp.ace/>", "mailto:a@b.c"]) + \
                    r.choice(["", ' "title"']) + ")"
            elif kind == 11:
                text = r.choice(["__low__", "_under_", "***both***", "**a*b*c**", "*a", "b**"])
            parts.append(text)
        return " ".join(parts)

    def paragraph(self):
        lines = [self.inline() for _ in range(self.r.choice([1, 1, 1, 2, 3]))]
        out = []
        for i, line in enumerate(lines):
            if i and line[0] in "#>-+*=~`|0123456789[":
                line = "so " + line
            end = self.r.choice(["", "", "", "  ", "\\"]) if i + 1 < len(lines) else ""
            out.append(line + end)
        return out

    def code(self):
        r = self.r
        fence = r.choice(["```", "```", "~~~", "````"])
        lines = r.choice([[], ["int x = 0;"], ["def f():", "    return 1", "", "f()"],
                          ["# not a heading", "- no item", "> no quote", "", "| a |"]])
        info = r.choice(["", "c", "python", "c++ linenos", "sh"])
        return [fence + info] + lines + [fence]

    def table(self):
        r, n = self.r, self.r.randint(1, 4)
        cell = lambda: r.choice(["a", "b *c*", "`d`", "", "e \\| f", "**g** h", "7", "漢字"])
        row = lambda k: "| " + " | ".join(cell() for _ in range(k)) + " |"
        rule = "|" + "|".join(r.choice(["---", ":--", "--:", ":-:", "-----", "-", "--", ":-", " -: "]) for _ in range(n)) + "|"
        head = "| " + " | ".join(r.choice(["A", "B b", "`C`"]) for _ in range(n)) + " |"
        return [head, rule] + [row(max(1, n + r.choice([0, 0, 0, -1, 1]))) for _ in range(r.randint(0, 3))]

    def list(self, depth):
        r = self.r
        ordered = r.random() < 0.4
        mark, start = r.choice("-*+"), r.choice([1, 1, 1, 3, 7, 42])
        delimiter, loose = r.choice(".)"), r.random() < 0.3
        out = []
        for i in range(r.randint(1, 3)):
            marker = f"{start + i}{delimiter} " if ordered else mark + " "
            marker += " " * r.choice([0, 0, 0, 1, 2])
            if r.random() < 0.15:
                body = [r.choice(["[ ] ", "[x] "]) + "task " + self.inline(1)]
            else:
                body = self.blocks(depth - 1, r.choice([1, 1, 2, 3]), loose or r.random() < 0.2,
                                   item=True)
            if body[0].startswith(("    ", "- ", "* ", "+ ", "|", "```", "~~~", ">", "#")) and r.random() < 0.7:
                body[:0] = ["First"] + ([""] if loose else [""] if body[0].startswith("    ") else [])
            if i and loose:
                out.append("")
            out.append(marker + body[0])
            out += [" " * len(marker) + line if line else "" for line in body[1:]]
        return out

    def quote(self, depth):
        lines = self.blocks(depth - 1, self.r.randint(1, 2), True)
        mark = self.r.choice(["> ", "> ", ">"])
        if any(line.startswith(("    ", " ")) for line in lines):
            mark = "> "
        return [(mark + line) if line else ">" for line in lines]

    def block(self, depth, nested, item, last):
        r, k = self.r, self.r.randint(0, 13 if depth else 7)
        if item and (k == 7 or (k in (5, 6) and not last)):
            k = 0
        if k <= 3:
            return self.paragraph()
        if k == 4:
            return ["#" * r.randint(1, 6) + " " + self.inline(1) + r.choice(["", "", " #", " ##"])]
        if k == 5:
            return self.code()
        if k == 6:
            return [r.choice(["---", "***", "_ _ _"])]
        if k == 7:
            return r.choice([["Title " + self.words(2), r.choice(["===", "---"])],
                             ["    indented *code*", "      more"]])
        if k == 8:
            return self.quote(depth)
        if k in (9, 13) and not nested:
            return self.table()
        return self.list(depth)

    def blocks(self, depth, n, apart=False, nested=True, item=False):
        out = []
        for i in range(n):
            block = self.block(depth, nested, item, i + 1 == n)
            tight = self.r.random() < 0.3 and not apart and block[0][:1] in "#`~>"
            if i and not (tight and not out[-1].startswith("|")):
                out.append("")
            out += block
        return out

    def document(self):
        return "\n".join(self.blocks(3, self.r.randint(1, 3), True, nested=False)) + "\n"


# ---- what markdown-it-py says, in the words of the test ----

KINDS = {"paragraph_open": "paragraph", "heading_open": "heading", "blockquote_open": "quote",
         "bullet_list_open": "list", "ordered_list_open": "list", "list_item_open": "item"}


def escape(text):
    return html.escape(text, quote=True).replace("&#x27;", "&#39;")


def allowed(uri):
    return uri.lower().startswith(("http://", "https://", "mailto:"))


def inline(tokens):
    out, links = [], []
    for t in tokens:
        if t.type == "text":
            out.append(escape(t.content))
        elif t.type in ("softbreak", "hardbreak"):
            out.append("\n")
        elif t.type == "code_inline":
            out.append("<tt>" + escape(t.content) + "</tt>")
        elif t.type in ("em_open", "strong_open", "s_open"):
            out.append({"e": "<i>", "t": "<b>", "_": "<s>"}[t.type[0 if t.type[0] == "e" else 1]])
        elif t.type in ("em_close", "strong_close", "s_close"):
            out.append({"e": "</i>", "t": "</b>", "_": "</s>"}[t.type[0 if t.type[0] == "e" else 1]])
        elif t.type == "link_open":
            uri = t.attrs["href"]
            links.append(allowed(uri))
            if links[-1]:
                out.append(f'<a href="{escape(uri)}" title="{escape(uri)}">')
        elif t.type == "link_close":
            if links.pop():
                out.append("</a>")
        elif t.type == "image":
            uri, text = t.attrs["src"], inline(t.children)
            out.append(f'<a href="{escape(uri)}" title="{escape(uri)}">{text}</a>' if allowed(uri) else text)
        elif t.type != "html_inline":
            raise ValueError(t.type)
    return "".join(out)


def line(depth, text):
    return " " * depth + text.replace("\\", "\\\\").replace("\n", "\\n")


def table(tokens, i, depth, out):
    """From table_open; returns the index behind table_close."""
    cells, aligns, columns = [], [], 0
    while tokens[i].type != "table_close":
        t = tokens[i]
        if t.type == "th_open":
            style = (t.attrs or {}).get("style", "")
            aligns.append(style[-5:][:1] and {"left": "l", "center": "c", "right": "r"}.get(
                style.split(":")[-1], "-"))
            columns += 1
        if t.type == "inline":
            cells.append(inline(t.children))
        i += 1
    out.append(line(depth, "table " + "".join(a or "-" for a in aligns)))
    out.extend(line(depth + 1, "cell " + c) for c in cells)
    return i + 1


def describe(tokens):
    out, depth, i = [], 0, 0
    while i < len(tokens):
        t = tokens[i]
        if t.type == "table_open":
            i = table(tokens, i, depth, out)
            continue
        if t.type == "hr":
            out.append(line(depth, "rule"))
        elif t.type in ("fence", "code_block"):
            out.append(line(depth, f"code [{t.info.strip()}] {t.content}"))
        elif t.type == "inline":
            text = inline(t.children)
            text = text.removeprefix(" ") if t.children[:1] and t.children[0].type == "html_inline" else text
            out[-1] += " " + text.replace("\\", "\\\\").replace("\n", "\\n")
            if not text:
                out.pop()
        elif t.type == "heading_open":
            out.append(line(depth, "heading " + t.tag[1]))
        elif t.type == "paragraph_open":
            out.append(line(depth, "paragraph"))
        elif t.nesting == 1:
            word = KINDS[t.type]
            if t.type == "ordered_list_open":
                word += f" {(t.attrs or {}).get('start', 1)}"
            if word.startswith("list"):
                word += tightness(tokens, i)
            if t.type == "list_item_open" and "task-list-item" in (t.attrs or {}).get("class", ""):
                done = 'checked="checked"' in "".join(
                    c.content for c in tokens[i + 2].children if c.type == "html_inline")
                word += " done" if done else " open"
            out.append(line(depth, word))
            depth += 1
        elif t.nesting == -1 and t.type not in ("paragraph_close", "heading_close"):
            depth -= 1
        i += 1
    return out


def tightness(tokens, i):
    """markdown-it hides the paragraphs of tight lists."""
    level = tokens[i].level
    for t in tokens[i + 1:]:
        if t.level <= level:
            break
        if t.type == "paragraph_open" and t.level == level + 2:
            return " tight" if t.hidden else " loose"
    return ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", default=os.path.join(HERE, "vectors", "markdown", "random.txt"))
    args = parser.parse_args()
    md = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    md.use(tasklists_plugin)
    md.validateLink = lambda uri: True  # the test knows which links are allowed
    with open(args.out, "w", encoding="utf-8") as file:
        for n in range(args.count):
            source = Maker(args.seed * 1000003 + n).document()
            file.write(f"=== {n}\n")
            file.writelines("|" + text + "\n" for text in source[:-1].split("\n"))
            file.write("---\n")
            file.writelines(text + "\n" for text in describe(md.parse(source)))


if __name__ == "__main__":
    main()
