"""Just enough of C's syntax to find functions and measure them: comments, strings and the
preprocessor are blanked out (line breaks stay), then braces are matched."""
import re

_TOKEN = re.compile(
    r"""//(?:\\\n|[^\n])*            # a comment may end in a continued line
      | /\*.*?(?:\*/|\Z)
      | "(?:\\.|[^"\\\n])*"
      | '(?:\\.|[^'\\\n])*'
    """, re.X | re.S)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\r?\n|[^\n])*", re.M)


def _blank(match, keep=""):
    return keep + re.sub(r"[^\n]", " ", match.group())[len(keep):]


def without_comments(text):
    """Comments blanked; strings and the preprocessor stay."""
    return _TOKEN.sub(lambda m: m.group() if m.group()[0] in "\"'" else _blank(m), text)


def code_only(text):
    """Comments, strings (their quotes stay) and preprocessor lines blanked."""
    def blank(match):
        quote = match.group()[0]
        return _blank(match) if quote == "/" else quote + _blank(match)[1:-1] + quote
    text = _TOKEN.sub(blank, text)
    return _DIRECTIVE.sub(_blank, text)


def includes(text):
    """[(line, path, quoted)] of every #include."""
    found = []
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]',
                             without_comments(text), re.M):
        line = text.count("\n", 0, match.start()) + 1
        found.append((line, match.group(2), match.group(1) == '"'))
    return found


def _header_start(code, brace):
    """Where the declaration that owns the brace begins: after the last ; or } before it."""
    depth, i = 0, brace - 1
    while i >= 0:
        c = code[i]
        if c == ")":
            depth += 1
        elif c == "(":
            depth -= 1
        elif depth == 0 and c in ";}{":
            break
        i -= 1
    return i + 1


def _declared(head):
    """(name, offset) of the function that a declaration declares, past attributes; None of a type
    or a variable. The last call at depth 0 is it: a macro without ; may stand before."""
    head = re.sub(r"__attribute__\s*\(\(.*?\)\)", lambda m: " " * len(m.group()), head, flags=re.S)
    if "=" in head or re.match(r"\s*(typedef|enum)\b", head):
        return None
    depth, found = 0, None
    for match in re.finditer(r"([A-Za-z_]\w*)\s*(?=\()|[()]", head):
        if match.group() == "(":
            depth += 1
        elif match.group() == ")":
            depth -= 1
        elif depth == 0:
            found = match.group(1), match.start(1)
    return found


def functions(text):
    """[(name, first line, lines)], from the line of the name to the closing brace. Raises
    ValueError where braces do not match, as #if around half a block makes them."""
    code, found, depth, start = code_only(text), [], 0, None
    linkage = 0  # open `extern "C" {`
    for i, c in enumerate(code):
        if c == "{":
            if depth == 0:
                begin = _header_start(code, i)
                if re.fullmatch(r'\s*extern\s*"\s*"\s*', code[begin:i]):
                    linkage += 1
                    continue
                start = _declared(code[begin:i])
                start = start and (start[0], begin + start[1])
            depth += 1
        elif c == "}":
            if depth == 0 and linkage:
                linkage -= 1
                continue
            depth -= 1
            if depth == 0 and start:
                first = code.count("\n", 0, start[1]) + 1
                found.append((start[0], first, code.count("\n", 0, i) + 2 - first))
        if depth < 0:
            break
    if depth != 0:
        raise ValueError("braces do not match")
    return found


def macros(text):
    """[(name, first line, lines)] of the #defines that run over several lines."""
    found = []
    for match in _DIRECTIVE.finditer(without_comments(text)):
        name = re.match(r"\s*#\s*define\s+(\w+)", match.group())
        if name and "\n" in match.group().strip():
            at = match.start() + len(match.group()) - len(match.group().lstrip())
            found.append((name.group(1), text.count("\n", 0, at) + 1,
                          match.group().strip().count("\n") + 1))
    return found
