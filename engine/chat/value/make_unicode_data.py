#!/usr/bin/env python3
"""Writes unicode_data.c: the character properties and case mappings of Python's str, as this
Python's own str methods report them. usage: make_unicode_data.py > unicode_data.c"""
import sys
import unicodedata

ALL = [chr(c) for c in range(0x110000)]


def case_ignorable(ch):
    """Case_Ignorable as the final-sigma rule of str.lower() sees it: behind a capital sigma it is
    neither the letter that keeps the word from ending nor what ends it before a letter."""
    last, before_b = ("a\u03a3" + ch).lower()[1], ("a\u03a3" + ch + "b").lower()[1]
    return last == "\u03c2" and before_b == "\u03c3"


PROPERTIES = {
    "alpha": str.isalpha,
    "decimal": str.isdecimal,
    "digit": str.isdigit,
    "numeric": str.isnumeric,
    "upper": lambda ch: ch.isupper(),
    "lower": lambda ch: ch.islower(),
    "cased": lambda ch: ch.isupper() or ch.islower() or ch.istitle(),
    "title": lambda ch: ch.istitle() and not ch.isupper(),
    "ignorable": case_ignorable,
    "printable": str.isprintable,
    "identifier": lambda ch: ("a" + ch).isidentifier(),
}
CASES = {"to_upper": str.upper, "to_lower": str.lower, "to_title": str.title,
         "to_fold": str.casefold}


def ranges(test):
    out = []
    for c, ch in enumerate(ALL):
        if test(ch):
            if out and out[-1][1] == c - 1:
                out[-1][1] = c
            else:
                out.append([c, c])
    return out


def rows(name, kind, items, per_line):
    print(f"const {kind} eng_unicode_{name}[] = {{")
    for i in range(0, len(items), per_line):
        print("    " + " ".join(items[i:i + per_line]))
    print("};")
    print(f"const size_t eng_unicode_n_{name} = {len(items)};\n")


def main():
    print(f"/* Made by make_unicode_data.py from Unicode {unicodedata.unidata_version}. */")
    print('#include "chat/value/unicode_data.h"\n')
    for name, test in PROPERTIES.items():
        items = [f"{{0x{a:x}, 0x{b:x}}}," for a, b in ranges(test)]
        rows(name, "EngUnicodeRange", items, 6)
    base = {"to_title": "to_upper", "to_fold": "to_lower"}
    for name, case in CASES.items():
        default = CASES[base[name]] if name in base else (lambda ch: ch)
        items = []
        for c, ch in enumerate(ALL):
            if 0xd800 <= c < 0xe000 or case(ch) == default(ch):
                continue
            to = ", ".join(f"0x{ord(x):x}" for x in case(ch))
            items.append(f"{{0x{c:x}, {{{to}}}}},")
        rows(name, "EngUnicodeCase", items, 4)


sys.stdout.reconfigure(encoding="ascii")
main()
