#!/usr/bin/env python3
"""Test vectors for the chat templates' interpreter, rendered by Python's jinja2 in the environment
that Hugging Face's tokenizers set up.

  make_chat_vectors.py > vectors/chat/language.json          the committed vectors
  make_chat_vectors.py --corpus ../fuzz/corpus/template          the fuzzer's seeds
  make_chat_vectors.py --live build/tests/unit/test-chat --minutes 10 [--seed N]
                                 random templates, both sides side by side; prints differences
"""
import argparse
import datetime
import json
import pathlib
import random
import re
import subprocess
import sys
import time

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2026, 3, 9, 8, 5, 7)

REQUESTS = [
    {
        "s": "Hello, World", "e": "", "u": "Grüße, 你好 \U0001f600ß", "w": "  a b\tc\n d  ",
        "i": 42, "j": -7, "z": 0, "f": 2.5, "g": -0.1, "h": 1e22, "t": True, "n": None,
        "l": [3, 1, 2], "m": ["b", "A", "c"], "x": [], "o": {}, "mix": [1, "a", None, 2.0, True, [1]],
        "d": {"b": 1, "a": "x", "items": [1, 2], "c d": None},
        "users": [{"name": "Bob", "age": 30, "tags": ["p"]}, {"name": "alice", "age": 25, "tags": []},
                  {"name": "Carl", "age": 30, "city": {"zip": "é1"}}],
        "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}],
        "messages": [{"role": "system", "content": "S<&>'\""}, {"role": "user", "content": "Hi\n"},
                     {"role": "assistant", "content": "<think>\nhm\n</think>\n\nyes", "tool_calls": [
                         {"function": {"name": "f", "arguments": {"k": 1.0, "q": "é\u2028\x7f"}}}]}],
        "html": "<b>x & 'y'</b>", "lines": "one\ntwo\n\nthree", "big": 12345678901234567890123,
    },
]


def env():
    e = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[loopcontrols])

    def raise_exception(m):
        raise jinja2.exceptions.TemplateError(m)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    e.filters["tojson"] = tojson
    e.globals["raise_exception"] = raise_exception
    e.globals["strftime_now"] = lambda f: NOW.strftime(f)
    return e


ENV = env()


def reference(template, request):
    """("O", text), ("E", message) when rendering fails, ("S", message) when parsing does."""
    try:
        parsed = ENV.from_string(template)
    except Exception as error:
        return "S", str(error)
    try:
        return "O", parsed.render(**request)
    except Exception as error:
        return "E", str(error)


# ---- systematic: one feature each ----

EXPRESSIONS = r"""
1 + 2 * 3 ** 2 ** 2 - -4 // 3 % 5
7 // -2, 7 % -2, -7 // 2, 7.5 // 2, -7.5 % 2, 7 / 2, 6 / 2
2 ** -1, 2 ** 0.5, (-8) ** 3
1 / z
1 // z
1 % z
1.0 / 0
1_000 + 0x_ff + 0b11 + 0o17, 1e3, 1.5e-7, 1_0.5
1e16, 1e15, 123456789012345678.0, 0.1 + 0.2, 1e-5, 0.0001, -0.0, 5e-324, 1.7976931348623157e308
big, -big, big == big, big > i, [big]|tojson
'a' 'b' "c", 'a\n\t\x41\u00e9\101\q', "it's", 'say "hi"', 'it\'s "x"'
[1, 'a', none, true, 2.0, (1,), (), {}, {'k': [1]}]
{'a': 1, 2: 'b', none: 3, true: 4, 1.5: 5, (1, 2): 6}
'%s|%r|%5d|%-5d|%05d|%+d|%x|%X|%#o|%.2f|%e|%g|%c|%%' % ('a', 'b', 1, 2, 3, 4, 255, 255, 8, 2.345, 12345.678, 0.00001, 'z')
'%(a)s %(b)05.1f' % {'a': 1, 'b': 2.25}
'%s' % [1, 2], '%s' % n, '%s %s' % ('a', 'b')
'%d' % 'a'
'%s %s' % ('a',)
'%s' % ('a', 'b')
'%y' % 1
1 < 2 < 3, 1 < 3 < 2, 1 == 1.0 == true, 'a' < 'b', [1, 2] < [1, 3], (1,) <= (1, 2)
1 < 'a'
n < 1
1 in l, 5 not in l, 'ell' in s, 'a' in d, 'zz' in d.values(), 1 in (1, 2), ('b', 1) in d.items()
1 in s
1 in i
n and 1, n or 1, e or x or o or 'last', 1 and 2 and 3, not e, not not s
'yes' if t else 'no', 'yes' if z else 'no', ('yes' if z), ('yes' if z) is undefined
('yes' if z).foo
s[0], s[-1], s[1:4], s[::-1], s[-3:], s[:-3], s[::2], u[2:8], u[::-1], u[-1], l[1:], l[::-1], (1, 2, 3)[1:], s[5:2]
l[99], s[99], d['zz'], d.zz, n.x, i.x
l[99].x
d.zz.y
d['zz']['y']
n.x.y
nope
nope.x
nope['x']
nope + 1
1 + nope
nope()
nope == nope, nope != 1, nope|length, nope|list, nope|string, nope|default('D'), [nope]
nope < 1
-nope
'a' ~ 1 ~ n ~ l ~ nope ~ 2.0 ~ t
'a' + 1
1 + 'a'
'a' + n
l + 'a'
l + (1,)
'a' * 3, [1] * 2, 3 * 'ab', 'a' * -1
'a' * 'b'
'a' - 'b'
d + d
-s
d.items, d.items(), d.keys(), d.values(), d['items'], d.get('a'), d.get('q'), d.get('q', 5), d.a
d.items()|list, d|list, d|length, d.copy()
l.append(1)
d.update({})
d.pop('a')
d.__class__
s.__class__.__mro__
s.upper(), s.lower(), s.title(), s.capitalize(), s.swapcase(), u.upper(), u.lower(), u.title(), 'ǆ'.title(), 'ΑΣ ΣΑΣ.'.lower(), 'ΑΣ·Σ ΑΣ״Α Α՟Σ'.lower(), u.casefold()
s.split(), s.split(','), s.split(', ', 1), s.rsplit('o', 1), w.split(), w.split(none, 1), w.rsplit(none, 1), ''.split(), ''.split(','), 'a,,b'.split(',')
s.split('')
s.split(1)
lines.splitlines(), lines.splitlines(true), 'a\r\nb\x0bc\x1cd\u2028e\n'.splitlines()
w.strip(), w.lstrip(), w.rstrip(), 'xxaxx'.strip('x'), '\u00a0\u3000a\u2003'.strip(), 'abcba'.strip('ab'), s.strip(none)
s.strip(1)
s.startswith('He'), s.startswith(('x', 'H')), s.endswith('ld'), s.startswith('l', 2), s.endswith('H', 0, 1), s.startswith('')
s.startswith(1)
s.find('o'), s.find('o', 5), s.rfind('o'), s.find('zz'), u.find('好'), s.count('l'), s.count(''), s.index('W')
s.index('zz')
s.replace('l', 'L'), s.replace('l', 'L', 1), s.replace('', '-'), u.replace('ß', 'ss')
'-'.join(m), ''.join(s), '-'.join(d)
'-'.join(l)
s.partition(','), s.rpartition('o'), s.partition('zz'), s.rpartition('zz'), s.removeprefix('He'), s.removesuffix('ld'), s.removeprefix('x')
'42'.zfill(5), '-4'.zfill(5), 'a'.ljust(3, '.'), 'a'.rjust(3), 'ab'.center(5, '*'), 'abc'.center(6), 'a\tb'.expandtabs(4)
'a1'.isalnum(), 'a'.isalpha(), '1'.isdigit(), '²'.isdigit(), '²'.isdecimal(), '½'.isnumeric(), ' '.isspace(), ''.isspace(), 'A'.isupper(), 'a1'.islower(), 'Ab C'.istitle(), 'a b'.isidentifier(), 'é'.isascii()
'{} {1}'.format(1, 2)
'{} {} {!r}'.format(1, 'a', 'b'), '{0}{1}{0}'.format('x', 'y'), '{a[k]} {b.x}'.format(a={'k': 1}, b={'x': 2}), '{{}}'.format()
'{:>5}|{:<5}|{:^5}|{:*^7}|{:05d}|{:+}|{:,}|{:_}|{:x}|{:#b}|{:.2f}|{:e}|{:%}|{:g}|{:10.3}'.format('a', 'b', 'c', 'd', 42, 3, 1234567, 1234567, 255, 5, 2.345, 1234.5, 0.25, 1e10, 'abcdef')
'{:.3}|{:.1}|{:.2}|{:.4}|{:#.3}|{:.1}|{:.3}'.format(100.0, 0.0, 0.5, -99.996, 100.0, 5.0, 1e16), '{:{}}'.format('a', 4), '{:d}'.format(true), '{}'.format(true), '{:5}'.format(2.0), '{:.3}'.format(1234.5678)
'{:<09,}|{:0=9,}|{:x=9,}|{:_b}|{:09_x}|{:,.1G}|{:,.0%}|{:_x}'.format(1234, 1234, -1234, 100, 70000, 8562.6, 3, 246752)
'{:+c}'.format(65)
'{:#c}'.format(65)
'{:,x}'.format(3)
'{:_n}'.format(3)
'{:_}'.format('a')
'{:d}'.format('a')
'{:5}'.format(n)
'{}'.format()
'{a}'.format()
'{'.format()
'}'.format()
range(3), range(1, 10, 3)|list, range(5, 0, -2)|list, range(3)[1], range(10)[2:5], range(3)|length
range(1000000)
range('a')
range(1, 2, 0)
dict(a=1, b=2), dict([('a', 1)]), dict({'x': 1}, y=2)
s is string, i is number, i is integer, f is float, t is boolean, t is true, t is integer, t is number, n is none, o is mapping, l is sequence, s is iterable, i is iterable, d is sequence
nope is defined, i is defined, nope is undefined, nope is not defined, d.q is defined, i is not none
3 is odd, 4 is even, 9 is divisibleby 3, 9 is divisibleby(2), 'a' is lower, 'A' is upper, '1' is lower, 3 is sameas 3, t is sameas true
2 is eq 2, 2 is ne 3, 2 is lt 3, 2 is ge 2, 2 is in [1, 2], 'b' is in 'abc', range is callable, s is callable, 'upper' is filter, 'nope' is filter, 'odd' is test, s is escaped
i is nope
i is divisibleby
i is divisibleby z
i|nope
s|upper, s|lower, s|title, s|capitalize, s|length, s|first, s|last, s|reverse, s|list, s|wordcount, 'foo-bar (baz) "qux"'|title
s|center(20), w|trim, 'xax'|trim('x'), s|replace('l', 'L'), s|replace('l', 'L', 1), 5|string, i|replace(4, 5), html|striptags
html|e, html|escape|e, html|forceescape, html|safe, html|safe|e, (html|safe) + '<i>', '<i>' + (html|safe), [html|safe], (html|safe) ~ '<', ('<%s>'|safe) % '<', (html|safe)|upper, ('<{}>'|safe).format('<')
lines|indent, lines|indent(2, true), lines|indent('> ', blank=true), lines|indent(first=true)
'foo bar baz qux'|truncate(9), 'foo bar baz qux'|truncate(9, true), 'foo bar baz qux'|truncate(11), 'foo bar baz qux'|truncate(11, false, '...', 0)
s|truncate(1)
'%s-%s'|format(1, 'b'), '%(a)s'|format(a=1)
'42'|int, '4.9'|int, 'x'|int, 'x'|int(7), '0x1f'|int(0, 16), '0b1'|int(base=0), 3.99|int, -3.99|int, n|int, t|int, ' 5 '|int, '1_0'|int
'1.5'|float, 'x'|float, 'x'|float(2.0), 3|float, '1e3'|float, 'inf'|float
nope|int
3.14159|round(2), 2.5|round, 3.5|round, 2.675|round(2), 42|round, 1234|round(-2), 2.1|round(method='ceil'), 2.9|round(0, 'floor'), 2.345|round(1, 'ceil')
s|round
(-0.3)|round(0, 'ceil'), 0.0|round(1, 'floor'), 9007199254740993|round(2, 'ceil'), -4436090605045665535|round(1, 'floor')
true|round(1), true|round(none), 25|round(-1), 35|round(-1), -25|round(-1), -26|round(-1), 9223372036854775807|round(-2), -5000000000000000000|round(-18), 5000000000000000000|round(-19), big|round
-5|abs, (-5)|abs, j|abs, -2.5|abs
s|abs
l|sort, l|sort(reverse=true), m|sort, m|sort(case_sensitive=true), users|sort(attribute='age')|map(attribute='name')|list, users|sort(attribute='age,name')|map(attribute='name')|list
mix|sort
l|min, l|max, m|min, m|max, users|max(attribute='age'), x|max, [1, 1.0, true]|unique|list, m|unique|list, ['a', 'A', 'b']|unique|list
l|sum, users|sum(attribute='age'), users|sum('age', 10), [[1], [2]]|sum(start=[])
m|sum
l|join, l|join(', '), users|join('|', attribute='name'), d|join(','), s|join('.')
i|join
l|first, x|first, l|last, x|last, l|reverse|list, x|first is defined, u|first, u|last
i|first
l|batch(2)|list, l|batch(2, 'z')|list, l|slice(2)|list, l|slice(2, 'z')|list, range(7)|slice(3)|list
users|map(attribute='name')|list, users|map(attribute='city.zip')|list
users|map(attribute='city.zip', default='?')|list, m|map('upper')|list, m|map('replace', 'b', 'x')|join, l|map('string')|list, users|map('length')|list
m|map('nope')|list
l|map|list
l|map(nope)|list
l|select('odd')|list, l|reject('odd')|list, mix|select|list, mix|reject|list, l|select('gt', 1)|list, l|select('>', 1)|list, mix|select('string')|list
users|selectattr('city')|list|length, users|selectattr('age', 'equalto', 30)|map(attribute='name')|list, users|rejectattr('tags')|map(attribute='name')|list, users|selectattr('city', 'defined')|list|length
l|select('nope')|list
users|groupby('age')|list|length, users|groupby('age'), (users|groupby('age'))[0].grouper, (users|groupby('age'))[0].list|length, users|groupby('city.zip', default='-')|map('first')|list
d|dictsort|length, {'b': 1, 'A': 2}|dictsort, {'b': 1, 'A': 2}|dictsort(true), {'b': 1, 'a': 2}|dictsort(by='value'), {'b': 1, 'a': 2}|dictsort(reverse=true)
d|dictsort(by='x')
d|items|list, nope|items|list
l|items|list
d|tojson, l|tojson, u|tojson, u|tojson(ensure_ascii=true), html|tojson, f|tojson, n|tojson, {'b': 1, 'a': 2}|tojson(sort_keys=true), {1: 2, none: 3, true: 4, 1.5: 5}|tojson, (1, 2)|tojson
d|tojson(indent=2), x|tojson(indent=2), {'a': [1, {}]}|tojson(2), d|tojson(separators=(',', ':')), d|tojson(indent=4, separators=(',', ': ')), {'a': 1}|tojson(indent='\t'), {'a': 1}|tojson(indent=0)
nope|tojson
range(3)|tojson
l|map('string')|tojson
{(1, 2): 3}|tojson
messages|tojson
{'a': 1}|tojson(nope=1)
1000|filesizeformat, 1|filesizeformat, 1500000|filesizeformat, 1024|filesizeformat(true), 500|filesizeformat
'a b&c/d é'|urlencode, {'a': 1, 'b c': 'd&'}|urlencode, [('x', 'y/z')]|urlencode, 5|urlencode
{'class': 'a"b', 'x': none, 'id': 5}|xmlattr
d|attr('items') is callable, d|attr('a') is defined, s|attr('upper') is callable
e|default('D'), e|default('D', true), n|default('D'), n|d('D', true), nope|d, d.zz|d(1)
raise_exception('Boom "x"')
raise_exception()
raise_exception(d)
strftime_now('%Y-%m-%d %H:%M:%S %d %b %B %a %A %j %p %I %y %%'), strftime_now('%-d/%-m %e %U %W %V %G %u %w %D %F %T %R %c %x %X %h %C %s %f|%z|%Z %k %l %P')
s.upper(1)
s.nope()
s()
i(1)
l|upper, n|upper, d|string, l|trim, 5|title
(1, 2) + (3,), [1] + [2], (1, 2) == (1, 2), [1] == (1,), {'a': 1} == {'a': 1.0}, 'a' == 'a'|safe
{[1]: 2}
d[l]
d[1:]
l['a']
l[1.0]
s|list|tojson, d.keys()|list, [d.keys()], d.values()|sum
namespace(a=1).a, namespace(a=1).b is defined, namespace({'x': 1}).x, namespace(a=1)
[1, 2, 3]|last + 1, -1|abs, 2 * 3|string, 'a' ~ 'b'|upper
x.y.z
messages[0].role, messages[0]['content'], messages[-1].tool_calls[0].function.arguments.items()|list
messages[0].content.split('&')[-1].rstrip('"'), messages[2].content.split('</think>')[-1].lstrip('\n')
'\u4f60' in u, u|length, u.index('好'), u|upper, u.encode
10 is odd or 3 is odd and not 2 is odd, not 1 == 2, not x, 1 if not x else 2
1 if x
[1, 2,], {'a': 1,}, (1, 2,), (1,)
l.0, l.1, tree.0.kids.1.v
loop
varargs
"""

TEMPLATES = r"""
a{{ 1 }}b{# c #}d
{% if t %}\nA\n{% endif %}\nB\n
  {% if t %}\n  A\n  {% endif %}\n  B
  {%+ if t %}\n  A\n  {%- endif %}\n  B\n\n
{%- if t -%}\n  A  \n{%- else -%} B {%- endif -%}\n C
x \n {{- 1 -}} \n y {{+ 2 }} {{ 3 -}}\n\n z
  {# c #}\n  {#- d -#}\n e {#+ f +#}\n g
{% raw %} {{ x }} {% if %} {% endraw %}\n z
a {%- raw -%} {{ x }} {%- endraw -%} b
a\r\nb\rc\n\n
{% for k in l %}{{ k }},{% endfor %}|{% for k in x %}{{ k }}{% else %}none{% endfor %}
{% for k in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for k in l %}{{ loop.previtem }}<{{ k }}>{{ loop.nextitem }} {% endfor %}
{% for k in l %}{{ loop.previtem.x }}{% endfor %}
{% for k in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(k > 1) }} {% endfor %}
{% for k in l if k > 1 %}{{ k }}{{ loop.index }}{{ loop.length }}{{ loop.last }} {% else %}none{% endfor %}
{% for k in l if k > 9 %}{{ k }}{% else %}none{% endfor %}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}
{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for a, b in l %}{{ a }}{% endfor %}
{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}
{% for a, b in [(1,)] %}{{ a }}{% endfor %}
{% for a in i %}{{ a }}{% endfor %}
{% for a in nope %}{{ a }}{% else %}E{% endfor %}
{% for k in [1, 2, 3, 4] %}{% if k == 2 %}{% continue %}{% endif %}{% if k == 4 %}{% break %}{% endif %}{{ k }}{% endfor %}
{% for k in [1] %}{% continue %}{% else %}E{% endfor %}|{% for k in [1] %}{% break %}{% else %}E{% endfor %}
{% for n1 in tree recursive %}{{ n1.v }}{% if n1.kids %}({{ loop(n1.kids) }}){% endif %}{{ loop.depth }}{% endfor %}
{% for k in l %}{{ loop(l) }}{% endfor %}
{% for a in l %}{% for b in m %}{{ loop.index }}{{ b }}{% endfor %}{{ loop.index }}{% endfor %}
{% for a in l %}{% set outer = loop %}{% for b in m %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}
{% set q = 1 %}{% for a in l %}{{ q }}{% set q = a %}{{ q }}{% endfor %}{{ q }}
{% for a in l %}{{ q }}{% set q = a %}{% endfor %}{{ q }}
{% for a in l %}{% if q is defined %}{{ q }}{% endif %}{% if a == 1 %}{% set q = a %}{% endif %}{{ q }}{% endfor %}
{% if z %}{% set s = 1 %}{% endif %}{{ s }}
{% set s = 1 %}{{ s }}{% if t %}{% set s = 2 %}{% endif %}{{ s }}
{% set ns = namespace(k=0, found=false) %}{% for a in l %}{% set ns.k = ns.k + a %}{% if a == 1 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.k }}{{ ns.found }}{{ ns.zz }}
{% set d.x = 1 %}
{% set nope.x = 1 %}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = [3, 4] %}{{ c }}{{ d }}{% set a, b = b, a %}{{ a }}{{ b }}
{% set a, b = 1 %}
{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}
{% set blk %}a{{ 1 }}\nb{% endset %}[{{ blk }}]
{% set blk | upper | replace('B', 'x') %}a{{ 1 }}b{% endset %}[{{ blk }}]
{% set ns = namespace() %}{% set ns.b %}text{% endset %}{{ ns.b }}
{% set x %}{% endset %}[{{ x }}]{{ x is string }}
{% macro f(a, b=2, c='x') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }}|{{ f(1, c=3) }}|{{ f(a=1, b=5) }}|{{ f() }}
{% macro f(a) %}{{ a.x }}{% endmacro %}{{ f() }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}
{% macro f(a) %}{{ a }}{% endmacro %}{{ f(b=2) }}
{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, 3, x=4) }}{{ f.name }}{{ f.arguments }}{{ f.catch_kwargs }}{{ f.catch_varargs }}{{ f.caller }}{{ f }}
{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(3) }}
{% macro f() %}{{ q }}{% endmacro %}{{ f() }}{% set q = 1 %}{{ f() }}
{{ f() }}{% macro f() %}{% endmacro %}
{% macro f() %}{% set s = 5 %}{{ s }}{% endmacro %}{{ f() }}{{ s }}
{% macro outer() %}{% macro inner() %}I{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner }}
{% macro f(a, b=a) %}{{ b }}{% endmacro %}{{ f(3) }}
{% macro f(a=b, b=2) %}{{ a }}{% endmacro %}{{ f() }}
{% macro f() %}[{{ caller() }}]{% endmacro %}{% call f() %}body{{ i }}{% endcall %}
{% macro f() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) f() %}{{ a }}-{{ b }}{% endcall %}
{% macro f() %}{{ caller() }}{% endmacro %}{{ f() }}
{% macro f() %}{% endmacro %}{% call f() %}x{% endcall %}
{% call i %}x{% endcall %}
{% for a in l %}{% macro f() %}{{ a }}{{ loop.index }}{% endmacro %}{{ f() }}{% endfor %}
{% filter upper %}a{{ s }}{% endfilter %}|{% filter replace('a', 'b')|title %}a a{% endfilter %}
{% with a = 1, b = i %}{{ a }}{{ b }}{% endwith %}{{ a }}{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}
{% with a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}{% endwith %}
{% if n %}1{% elif z %}2{% elif t %}3{% else %}4{% endif %}{% if 0 %}{% endif %}
{% if i == 42 and s %}x{% endif %}{% if i in [1, 42] %}y{% endif %}{% if not nope %}z{% endif %}
{% if nope.x %}{% endif %}
{% print 1, 'a' %}{% print s %}
{% block b %}[{{ i }}]{% endblock %}{% set q = 1 %}{% block c %}{{ q }}{% endblock c %}
{% block b %}{% endblock %}{% block b %}{% endblock %}
{% autoescape false %}{{ html }}{% endautoescape %}
{% include 'x' %}
{% import 'x' as y %}
{% from 'x' import y %}
{% extends 'x' %}
{% set f = users|selectattr('age', 'equalto', 30) %}{{ f|list|length }}{{ f|list|length }}
{% set f = m|map('upper') %}{{ f|first }}{{ f|list }}{{ f|list }}
{% for a in m|map('upper') %}{{ loop.length }}{{ a }}{% endfor %}
{% for a in l|reverse %}{{ a }}{{ loop.last }}{% endfor %}{% for a in s|reverse %}{{ a }}{% endfor %}
{% for a in 'aé' %}{{ a }}.{% endfor %}{% for a in range(3) %}{{ a }}{% endfor %}{% for a in d %}{{ a }},{% endfor %}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}
{% set j = joiner(', ') %}{% for a in l %}{{ j() }}{{ a }}{% endfor %}
{% set ns = namespace(last=0) %}{% for a in l if a > ns.last %}{{ a }}{% set ns.last = a %}{% endfor %}
{% if false %}{{ 1|nofilter }}{% endif %}ok
{% if true %}{{ 1|nofilter }}{% endif %}
{{ 1|nofilter if z else 2 }}
{{ 1|nofilter if t else 2 }}
{% if true %}{% for a in l %}{{ a|nofilter }}{% endfor %}{% endif %}
{% if
{% if t %}
{% if t %}{% for a in l %}{% endif %}
{% endif %}
{% nope %}
{% else %}
{{ 1
{{ 1 + }}
{{ }}
{{ 'a }}
{{ 1 2 }}
{{ (1, 2 }}
{{ [1, 2 }}
{{ {'a' 1} }}
{{ a.'b' }}
{{ 1 is is }}
{{ a is b is c }}
{{ f(a=1, 2) }}
{{ f(*a, *b) }}
{{ 5 = 5 }}
{{ @ }}
{{ a ! b }}
{{ a $ }}
{# unclosed
{% raw %} unclosed
{% for loop in l %}{% endfor %}
{% for a in l %}{% set loop = 1 %}{{ loop }}{% endfor %}
{% for true in l %}{% endfor %}
{% for a.b in l %}{% endfor %}
{% set 1 = 2 %}
{% set a + b = 2 %}
{% set a %}
{% macro f(a=1, b) %}{% endmacro %}
{% macro 1() %}{% endmacro %}
{% macro f(caller) %}{{ caller }}{% endmacro %}
{% call f %}{% endcall %}
{% with a %}{% endwith %}
{% block a-b %}{% endblock %}
{{ "\x4" }}
{{ '\u12' }}
{{ x[1 }}
{{ }}}
{{ ) }}
{{ (] }}
{% 5 %}
{%%}
{{ {} }}{{ {'a': {'b': 1}}.a.b }}{{ {'x': 1}['x'] }}
{{ 'a{{b}}c' }}{{ "%}" }}
{{-1}}{{- 1 -}}{{ -1 }}
text {% set a = 1 -%}   \n  more {%- set b = 2 %}\n  end
{% set content = messages[2].content %}{% if '</think>' in content %}{{ content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') }}|{{ content.split('</think>')[-1].lstrip('\n') }}{% endif %}
{%- for message in messages %}\n    {%- if message.role == 'user' %}\n        {{- '<|user|>' + message.content }}\n    {%- elif message['role'] == "assistant" and message.tool_calls is defined and message.tool_calls %}\n        {%- for tc in message.tool_calls %}\n            {{- tc.function.name ~ tc.function.arguments | tojson }}\n        {%- endfor %}\n    {%- endif %}\n{%- endfor %}\n
{%- set ns = namespace(first=true) -%}{%- for m in messages -%}{%- if not ns.first -%}|{%- endif -%}{%- set ns.first = false -%}{{ m['role'] }}{%- endfor -%}
{%- if messages[0]['role'] == 'system' -%}{% set loop_messages = messages[1:] %}{% set sys = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% endif %}{% for m in loop_messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}{{ m.role }}{% endfor %}{{ sys }}
{% macro render(p) -%}\n  {%- for k, v in p|items -%}\n    {{ k }}: {{ v|tojson }}{{ "," if not loop.last }}\n  {%- endfor -%}\n{%- endmacro %}{{ render(d) }}
{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join('\n') | trim }}
{% for m in messages|rejectattr('role', 'in', ['system']) %}{{ m.role }}{{ loop.length }}{% endfor %}
{{ (messages|last).tool_calls[0].function.arguments|tojson(indent=2)|indent(4) }}
{%- set x = namespace(v='') %}{% for c in s %}{% set x.v = c ~ x.v %}{% endfor %}{{ x.v }}
"""


def systematic():
    for line in EXPRESSIONS.strip().splitlines():
        yield "{{ [" + line + "] }}" if "," in line else "{{ " + line + " }}"
    for line in EXPRESSIONS.strip().splitlines():
        if "," not in line and len(line) < 60:
            yield "{% set v = " + line + " %}{{ v }}{{ v is defined }}"
    for line in TEMPLATES.strip("\n").splitlines():
        yield re.sub(r"\\([rn])", lambda m: {"r": "\r", "n": "\n"}[m.group(1)], line) \
            if "'" not in line or "\\n    {" in line or "set a = 1 -%}" in line else line


# ---- random: a grammar over the request's variables ----

class Random:
    """Templates that mostly parse and often fail where they run."""
    NAMES = list(REQUESTS[0]) + ["nope", "v", "ns", "loop", "range", "f0"]
    FILTERS = {"upper": 0, "lower": 0, "title": 0, "capitalize": 0, "length": 0, "first": 0, "last": 0,
               "list": 0, "reverse": 0, "trim": 1, "string": 0, "int": 1, "float": 1, "abs": 0, "round": 1,
               "sort": 0, "unique": 0, "min": 0, "max": 0, "sum": 0, "join": 1, "tojson": 0, "e": 0,
               "safe": 0, "default": 1, "replace": 2, "items": 0, "dictsort": 0, "batch": 1, "slice": 1,
               "map": 1, "select": 1, "reject": 1, "indent": 1, "truncate": 1, "center": 1, "wordcount": 0,
               "striptags": 0, "urlencode": 0, "groupby": 1, "selectattr": 2, "rejectattr": 1, "attr": 1,
               "format": 1, "count": 0, "d": 2, "filesizeformat": 0, "forceescape": 0, "xmlattr": 0}
    TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "mapping", "iterable",
             "sequence", "boolean", "true", "false", "odd", "even", "lower", "upper", "callable",
             "divisibleby 2", "eq 1", "in l", "sameas none", "gt 1", "escaped", "equalto 'a'"]
    METHODS = ["upper()", "lower()", "strip()", "split()", "split(',')", "title()", "items()", "keys()",
               "values()", "get('a')", "get('q', 1)", "startswith('H')", "endswith('d')", "find('o')",
               "replace('l', 'L')", "count('l')", "count(1)", "index(1)", "join(m)", "splitlines()",
               "lstrip('\\n')", "rstrip()", "isdigit()", "zfill(5)", "partition(' ')", "append(1)", "copy()",
               "format(1, 2)", "rsplit(' ', 1)", "capitalize()", "center(9, '*')", "pop()", "ljust(4)",
               "removeprefix('H')", "isupper()", "casefold()", "swapcase()", "expandtabs()"]
    ATTRS = ["a", "b", "items", "name", "age", "x", "role", "content", "index", "last", "length", "0", "k"]

    def __init__(self, seed):
        self.r = random.Random(seed)

    def pick(self, items):
        return self.r.choice(items)

    def literal(self):
        return self.pick(["0", "1", "2", "-3", "1.5", "2.0", "'a'", "'H'", "''", "'é'", "none", "true",
                          "false", "[]", "{}", "[1, 2]", "(1, 'b')", "{'a': 1}", "'name'", "'a b'", "10",
                          "'%s-%s'", "'{}'", "'<b>'", "'upper'", "'odd'", "1e20", "100000000000"])

    def expr(self, depth):
        kind = self.r.random()
        if depth <= 0 or kind < 0.12:
            return self.literal() if self.r.random() < 0.4 else self.pick(self.NAMES)
        e = lambda: self.expr(depth - 1)
        if kind < 0.30:
            name, n = self.pick(list(self.FILTERS.items()))
            args = ", ".join(self.expr(0) for _ in range(self.r.randint(0, n)))
            return f"{self.paren(e())}|{name}" + (f"({args})" if args else "")
        if kind < 0.42:
            return f"{self.paren(e())}.{self.pick(self.METHODS)}"
        if kind < 0.50:
            return f"{self.paren(e())}.{self.pick(self.ATTRS)}"
        if kind < 0.57:
            return f"{self.paren(e())}[{self.expr(0)}]"
        if kind < 0.63:
            part = lambda: self.pick(["", "0", "1", "-1", "2", "-2", self.expr(0)])
            return f"{self.pick(self.NAMES)}[{part()}:{part()}{self.pick(['', ':', ':-1', ':2'])}]"
        if kind < 0.78:
            return f"{e()} {self.pick(['+', '-', '*', '/', '//', '%', '~', '+', '~', '==', '!=', '<', '<=', '>', '>=', 'in', 'not in', 'and', 'or'])} {e()}"
        if kind < 0.84:
            return f"{self.paren(e())} is {self.pick(['', 'not '])}{self.pick(self.TESTS)}"
        if kind < 0.88:
            return f"({e()} if {e()} else {e()})" if self.r.random() < 0.8 else f"({e()} if {e()})"
        if kind < 0.92:
            return f"[{e()}, {e()}]" if self.r.random() < 0.6 else f"({e()}, {e()})"
        if kind < 0.95:
            return f"{{{self.pick(['1', 'none', 's', 'i', chr(39) + 'a' + chr(39)])}: {e()}, 'k': {e()}}}"
        if kind < 0.97:
            return f"not {e()}"
        return f"{self.pick(['range', 'dict', 'namespace', 'f0', 'loop.cycle', 'loop.changed'])}({self.expr(0)})"

    def paren(self, text):
        return text if re.fullmatch(r"\w+", text) else f"({text})"

    def space(self):
        return self.pick(["", "", "", " ", "\n", "  \n", "\n  "])

    def tag(self, body):
        return ("{%" + self.pick(["", "", "-", "+"]) + " " + body + " " + self.pick(["", "", "-", "+"]) + "%}"
                + self.space())

    def body(self, depth):
        return "".join(self.statement(depth) for _ in range(self.r.randint(1, 3)))

    def statement(self, depth):
        kind = self.r.random()
        if depth <= 0 or kind < 0.45:
            return (self.pick(["", "a", " b\n", "\n", "  "]) + "{{" + self.pick(["", "", "-"]) + " "
                    + self.expr(2) + " " + self.pick(["", "", "-"]) + "}}" + self.space())
        b = lambda: self.body(depth - 1)
        if kind < 0.57:
            return (self.tag("if " + self.expr(2)) + b() + (self.tag("elif " + self.expr(1)) + b()
                    if self.r.random() < 0.3 else "") + (self.tag("else") + b() if self.r.random() < 0.4 else "")
                    + self.tag("endif"))
        if kind < 0.72:
            target = self.pick(["v", "a", "a, b", "k, v", "i"])
            tail = self.pick(["", "", "", " if " + self.expr(1)])
            jump = self.tag("if " + self.expr(1)) + self.tag(self.pick(["break", "continue"])) + self.tag("endif")
            return (self.tag(f"for {target} in {self.expr(2)}{tail}") + b()
                    + (jump if self.r.random() < 0.2 else "") + "{{ " + self.pick(
                        ["loop.index", "loop.last", "loop.length", "loop.previtem", "loop.nextitem", "v", "a",
                         "loop.revindex"]) + " }}" + (self.tag("else") + b() if self.r.random() < 0.2 else "")
                    + self.tag("endfor"))
        if kind < 0.84:
            return self.tag(f"set {self.pick(['v', 'a', 's', 'i', 'a, b', 'ns.k', 'l'])} = {self.expr(2)}")
        if kind < 0.87:
            return self.tag(self.pick(["set v", "set v | upper", "set ns.k"])) + b() + self.tag("endset")
        if kind < 0.91:
            name = self.pick(["f0", "f1"])
            return (self.tag(f"macro {name}({self.pick(['', 'a', 'a, b=1', 'a=v'])})") + b()
                    + self.pick(["", "{{ varargs }}", "{{ kwargs }}", "{{ caller() }}"]) + self.tag("endmacro")
                    + "{{ " + name + "(" + self.pick(["", "1", "1, 2", "a=3", "b=2", "*l", "**o"]) + ") }}")
        if kind < 0.93:
            return self.tag("call f0(" + self.expr(0) + ")") + b() + self.tag("endcall")
        if kind < 0.95:
            return self.tag("filter " + self.pick(["upper", "trim", "replace('a', 'b')"])) + b() + self.tag("endfilter")
        if kind < 0.98:
            return self.tag(f"with {self.pick(['a', 'v', 'q'])} = {self.expr(1)}") + b() + self.tag("endwith")
        return self.tag("raw") + "{{ x }}" + self.tag("endraw")

    def template(self):
        head = self.pick(["", "{% set ns = namespace(k=1) %}", "{% macro f0(a='d') %}<{{ a }}>{% endmacro %}"])
        if self.r.random() < 0.45:
            return "{{ " + self.expr(self.r.randint(1, 4)) + " }}"
        text = head + self.body(self.r.randint(1, 3))
        if self.r.random() < 0.05:  # damaged
            at = self.r.randrange(len(text))
            text = text[:at] + text[at + self.r.randint(1, 3):]
        return text


# What differs for a reason: object addresses, and what the interpreter says it does not support.
UNEQUAL = re.compile(r"(?i)0x[0-9a-f]{6,}|<generator|<built-in|<bound|<function|reverse(d|iterator)|method |_iterator"
                     r"|jinja2\.\w+\.\w+\.\w+\(\)|ImmutableSandboxed|<unknown>|referenced before|0x"
                     r"|sets|dict_keys object|codec can't encode|Exceeds the limit|int too large|recursion")
OURS = re.compile(r"not support|beyond 64 bits|does not end|more than \d+|beyond \d+ MiB|is too long|nests more")


def worth_keeping(kind, text):
    memory_error = kind == "E" and not text
    return not UNEQUAL.search(text) and len(text) < 2000 and not memory_error


def vectors(count, seed):
    cases, seen, r = [], set(), Random(seed)
    for template in systematic():
        kind, text = reference(template, REQUESTS[0])
        if worth_keeping(kind, text) and template not in seen:
            seen.add(template)
            cases.append([template, 0, kind, text])
    while len(cases) < count:
        template = r.template()
        kind, text = reference(template, REQUESTS[0])
        boring = kind != "O" and r.r.random() < 0.7
        if boring or not worth_keeping(kind, text) or template in seen or len(template) > 300 or len(text) > 300:
            continue
        seen.add(template)
        cases.append([template, 0, kind, text])
    return cases


def corpus(folder):
    """Seeds for tests/fuzz/fuzz_template.c: TEMPLATE NUL REQUEST."""
    request = json.dumps(REQUESTS[0], ensure_ascii=False).encode()
    templates = [t for t in systematic() if reference(t, REQUESTS[0])[0] == "O" and "block" not in t]
    for i in range(0, len(templates), 12):
        (folder / f"seed{i // 12:02}").write_bytes("\n".join(templates[i:i + 12]).encode() + b"\0" + request)
    for i, template in enumerate(TEMPLATES.strip("\n").splitlines()[:60]):
        (folder / f"single{i:02}").write_bytes(template.encode())


class Live:
    """The program's side: test-chat --serve reads "TEMPLATE_BYTES REQUEST_BYTES\n" and both texts,
    and answers "KIND BYTES\n", the text and a newline."""

    def __init__(self, program):
        self.p = subprocess.Popen([program, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def render(self, template, request):
        t, q = template.encode(), json.dumps(request).encode()
        self.p.stdin.write(b"%d %d\n" % (len(t), len(q)) + t + q)
        self.p.stdin.flush()
        line = self.p.stdout.readline().split()
        if len(line) != 2:
            raise SystemExit("the program ended at template: " + repr(template))
        return line[0].decode(), self.p.stdout.read(int(line[1]) + 1)[:-1].decode()


def differ(theirs, ours):
    if theirs == ours or theirs == ("E", "") or UNEQUAL.search(theirs[1]) or OURS.search(ours[1]):
        return False
    return True


def live(program, minutes, seed, most):
    side, r, n, found = Live(program), Random(seed), 0, 0
    end = time.time() + 60 * minutes
    templates = list(systematic())
    while time.time() < end and found < most:
        template = templates.pop(0) if templates else r.template()
        n += 1
        theirs, ours = reference(template, REQUESTS[0]), side.render(template, REQUESTS[0])
        if differ(theirs, ours):
            found += 1
            print(f"{template!r}\n  jinja2: {theirs}\n  ours:   {ours}")
    print(f"{n} templates, seed {seed}, {found} differences")
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--live", metavar="PROGRAM")
    parser.add_argument("--corpus", metavar="FOLDER", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--most", type=int, default=50, help="stop after so many differences")
    parser.add_argument("--count", type=int, default=900)
    options = parser.parse_args()
    if options.corpus:
        return corpus(options.corpus)
    if options.live:
        seed = int(time.time()) if options.seed is None else options.seed
        sys.exit(live(options.live, options.minutes, seed, options.most))
    cases = vectors(options.count, 1 if options.seed is None else options.seed)
    rows = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    requests = ",\n".join(json.dumps(request, ensure_ascii=False) for request in REQUESTS)
    print('{"jinja2": %s, "now": "%s", "requests": [\n%s\n], "cases": [\n%s\n]}'
          % (json.dumps(jinja2.__version__), NOW.isoformat(), requests, rows))


main()
