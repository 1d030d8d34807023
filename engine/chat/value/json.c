#include "chat/value/json.h"

#include <math.h>
#include <string.h>

#include "chat/builtin/builtin.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

#define MAX_DEPTH 200

/* ---- in ---- */

typedef struct {
    EngRun *run;
    const char *text;
    size_t n, at;
    int depth;
} Reader;

static _Noreturn void refuse(Reader *r, const char *what)
{
    size_t line = 1;
    for (size_t i = 0; i < r->at && i < r->n; i++) line += r->text[i] == '\n';
    eng_value_raise(r->run, "The request is not JSON: %s at byte %zu (line %zu).", what, r->at,
                    line);
}

static int peek(Reader *r) { return r->at < r->n ? (unsigned char)r->text[r->at] : -1; }

static void skip_space(Reader *r)
{
    while (r->at < r->n && strchr(" \t\n\r", r->text[r->at]) && r->text[r->at]) r->at++;
}

static uint32_t read_hex4(Reader *r)
{
    uint32_t cp = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        int c = peek(r);
        int digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;
        if (digit < 0) refuse(r, "four hexadecimal digits expected");
        cp = cp << 4 | (uint32_t)digit;
    }
    return cp;
}

static uint32_t read_escape(Reader *r)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    r->at++;
    if (c == 'u') {
        uint32_t cp = read_hex4(r);
        if (cp >= 0xd800 && cp < 0xdc00 && r->n - r->at >= 6 && r->text[r->at] == '\\' &&
            r->text[r->at + 1] == 'u') {
            size_t back = r->at;
            r->at += 2;
            uint32_t low = read_hex4(r);
            if (low >= 0xdc00 && low < 0xe000)
                return 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
            r->at = back;
        }
        return cp;
    }
    const char *hit = c > 0 ? strchr(letters, c) : NULL;
    if (!hit) {
        r->at--;
        refuse(r, "unknown escape");
    }
    return (unsigned char)meant[hit - letters];
}

static EngStr *read_string(Reader *r)
{
    EngText t = {0};
    r->at++;
    for (;;) {
        size_t from = r->at;
        while (r->at < r->n && r->text[r->at] != '"' && r->text[r->at] != '\\' &&
               (unsigned char)r->text[r->at] >= 0x20)
            r->at++;
        eng_text_add(r->run, &t, r->text + from, r->at - from);
        int c = peek(r);
        if (c == '"') break;
        if (c != '\\') refuse(r, c < 0 ? "unterminated string" : "control character in a string");
        r->at++;
        eng_text_char(r->run, &t, read_escape(r));
    }
    r->at++;
    return eng_text_take(r->run, &t);
}

static size_t digits(Reader *r)
{
    size_t from = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    return r->at - from;
}

static EngValue read_number(Reader *r)
{
    size_t from = r->at;
    bool real = false;
    if (peek(r) == '-') r->at++;
    if (peek(r) == '0')
        r->at++;
    else if (digits(r) == 0)
        refuse(r, "digit expected");
    if (peek(r) == '.') {
        real = true;
        r->at++;
        if (digits(r) == 0) refuse(r, "digit expected");
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        real = true;
        r->at++;
        if (peek(r) == '+' || peek(r) == '-') r->at++;
        if (digits(r) == 0) refuse(r, "digit expected");
    }
    if (!real) return eng_builtin_parse_int(r->run, r->text + from, r->at - from);
    double f = 0;
    eng_repr_parse_double(r->run, r->text + from, r->at - from, &f);
    return eng_value_float(f);
}

static EngValue read_value(Reader *r);

static EngValue read_array(Reader *r)
{
    EngList *list = eng_value_list_new(r->run, 4);
    size_t n = 0, cap = 4;
    r->at++;
    skip_space(r);
    for (bool first = true; peek(r) != ']'; first = false) {
        if (!first) {
            if (peek(r) != ',') refuse(r, "',' or ']' expected");
            r->at++;
        }
        if (n == cap) {
            EngList *larger = eng_value_list_new(r->run, cap *= 2);
            memcpy(larger->items, list->items, n * sizeof *list->items);
            list->items = larger->items;
        }
        list->items[n++] = read_value(r);
    }
    r->at++;
    list->n = n;
    return eng_value_list(list);
}

static EngValue read_object(Reader *r)
{
    EngDict *dict = eng_dict_new(r->run);
    r->at++;
    skip_space(r);
    for (bool first = true; peek(r) != '}'; first = false) {
        if (!first) {
            if (peek(r) != ',') refuse(r, "',' or '}' expected");
            r->at++;
            skip_space(r);
        }
        if (peek(r) != '"') refuse(r, "'\"' expected");
        EngStr *key = read_string(r);
        skip_space(r);
        if (peek(r) != ':') refuse(r, "':' expected");
        r->at++;
        eng_dict_set(r->run, dict, eng_value_str(key), read_value(r));
    }
    r->at++;
    return eng_value_dict(dict);
}

static bool read_word(Reader *r, const char *word)
{
    size_t n = strlen(word);
    if (r->n - r->at < n || memcmp(r->text + r->at, word, n) != 0) return false;
    r->at += n;
    return true;
}

static EngValue read_value(Reader *r)
{
    if (++r->depth > MAX_DEPTH) refuse(r, "nested too deeply");
    skip_space(r);
    EngValue v = eng_value_none();
    int c = peek(r);
    if (c == '{')
        v = read_object(r);
    else if (c == '[')
        v = read_array(r);
    else if (c == '"')
        v = eng_value_str(read_string(r));
    else if (c == '-' || (c >= '0' && c <= '9'))
        v = read_number(r);
    else if (read_word(r, "true"))
        v = eng_value_bool(true);
    else if (read_word(r, "false"))
        v = eng_value_bool(false);
    else if (!read_word(r, "null"))
        refuse(r, c < 0 ? "it ends too early" : "a value expected");
    skip_space(r);
    r->depth--;
    return v;
}

EngValue eng_json_parse(EngRun *run, const char *text, size_t n)
{
    Reader r = {.run = run, .text = text, .n = n};
    if (!eng_str_valid(text, n)) eng_value_raise(run, "The request is not UTF-8 text.");
    EngValue v = read_value(&r);
    if (r.at < n) refuse(&r, "text after the end");
    return v;
}

/* ---- out ---- */

typedef struct {
    EngRun *run;
    EngText text;
    const EngJsonStyle *style;
    size_t level;
} Writer;

static void write_value(Writer *w, EngValue v);

static void write_string(Writer *w, const EngStr *s)
{
    eng_text_puts(w->run, &w->text, "\"");
    size_t from = 0;
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        size_t len = eng_str_decode(s->data + at, &cp);
        bool plain =
            cp >= 0x20 && cp != '"' && cp != '\\' && (cp < 0x7f || !w->style->ensure_ascii);
        if (plain) {
            at += len;
            continue;
        }
        eng_text_add(w->run, &w->text, s->data + from, at - from);
        at += len;
        from = at;
        static const char controls[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
        const char *hit = cp && cp < 128 ? strchr(controls, (int)cp) : NULL;
        if (hit)
            eng_text_printf(w->run, &w->text, "\\%c", letters[hit - controls]);
        else if (cp < 0x10000)
            eng_text_printf(w->run, &w->text, "\\u%04x", cp);
        else
            eng_text_printf(w->run, &w->text, "\\u%04x\\u%04x", 0xd800 + ((cp - 0x10000) >> 10),
                            0xdc00 + ((cp - 0x10000) & 0x3ff));
    }
    eng_text_add(w->run, &w->text, s->data + from, s->n - from);
    eng_text_puts(w->run, &w->text, "\"");
}

static void write_number(Writer *w, EngValue v)
{
    if (v.type == ENG_V_FLOAT && isnan(v.u.f))
        eng_text_puts(w->run, &w->text, "NaN");
    else if (v.type == ENG_V_FLOAT && isinf(v.u.f))
        eng_text_puts(w->run, &w->text, v.u.f > 0 ? "Infinity" : "-Infinity");
    else
        eng_repr_add(w->run, &w->text, v);
}

static void write_break(Writer *w)
{
    if (!w->style->indent) return;
    eng_text_puts(w->run, &w->text, "\n");
    for (size_t i = 0; i < w->level; i++) eng_text_str(w->run, &w->text, w->style->indent);
}

static void write_list(Writer *w, const EngList *l)
{
    if (l->n == 0) {
        eng_text_puts(w->run, &w->text, "[]");
        return;
    }
    eng_text_puts(w->run, &w->text, "[");
    w->level++;
    for (size_t i = 0; i < l->n; i++) {
        if (i) eng_text_str(w->run, &w->text, w->style->item_separator);
        write_break(w);
        write_value(w, l->items[i]);
    }
    w->level--;
    write_break(w);
    eng_text_puts(w->run, &w->text, "]");
}

static void write_key(Writer *w, EngValue key)
{
    if (key.type == ENG_V_STR) {
        write_string(w, key.u.str);
        return;
    }
    if (key.type != ENG_V_NONE && !eng_value_is_number(key))
        eng_value_raise(w->run, "keys must be str, int, float, bool or None, not %s",
                        eng_value_type_name(key));
    eng_text_puts(w->run, &w->text, "\"");
    write_value(w, key);
    eng_text_puts(w->run, &w->text, "\"");
}

static void write_dict(Writer *w, const EngDict *d)
{
    if (d->n == 0) {
        eng_text_puts(w->run, &w->text, "{}");
        return;
    }
    EngList *pairs = eng_value_list_new(w->run, d->n), *keys = eng_value_list_new(w->run, d->n);
    for (size_t i = 0; i < d->n; i++) {
        pairs->items[i] = eng_value_pair(w->run, d->pairs[i].key, d->pairs[i].value);
        keys->items[i] = pairs->items[i];
    }
    if (w->style->sort_keys) eng_builtin_sort(w->run, pairs, keys, false);
    eng_text_puts(w->run, &w->text, "{");
    w->level++;
    for (size_t i = 0; i < d->n; i++) {
        if (i) eng_text_str(w->run, &w->text, w->style->item_separator);
        write_break(w);
        write_key(w, pairs->items[i].u.list->items[0]);
        eng_text_str(w->run, &w->text, w->style->key_separator);
        write_value(w, pairs->items[i].u.list->items[1]);
    }
    w->level--;
    write_break(w);
    eng_text_puts(w->run, &w->text, "}");
}

static void write_value(Writer *w, EngValue v)
{
    int depth = w->run->depth;
    eng_value_enter(w->run);
    switch (v.type) {
    case ENG_V_NONE: eng_text_puts(w->run, &w->text, "null"); break;
    case ENG_V_BOOL: eng_text_puts(w->run, &w->text, v.u.b ? "true" : "false"); break;
    case ENG_V_INT:
    case ENG_V_BIG:
    case ENG_V_FLOAT: write_number(w, v); break;
    case ENG_V_STR: write_string(w, v.u.str); break;
    case ENG_V_LIST:
    case ENG_V_TUPLE: write_list(w, v.u.list); break;
    case ENG_V_DICT: write_dict(w, v.u.dict); break;
    default:
        eng_value_raise(w->run, "Object of type %s is not JSON serializable",
                        eng_value_type_name(v));
    }
    eng_value_leave(w->run, depth);
}

EngStr *eng_json_dump(EngRun *run, EngValue v, const EngJsonStyle *style)
{
    Writer w = {.run = run, .style = style};
    write_value(&w, v);
    return eng_text_take(run, &w.text);
}
