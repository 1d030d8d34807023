/* Filters that make text. */
#include <string.h>

#include "base/num.h"
#include "chat/builtin/builtin.h"
#include "chat/eval.h"
#include "chat/value/format.h"
#include "chat/value/json.h"
#include "chat/value/repr.h"
#include "chat/value/str.h"

static EngValue text(EngStr *s) { return eng_value_str(s); }

/* The result of a str method: markup stays markup. */
static EngValue like(EngRun *run, const EngStr *source, EngStr *s)
{
    return text(source->markup ? eng_str_mark(run, s, true) : s);
}

static bool flag(EngValue v) { return v.type != ENG_V_MISSING && eng_value_truth(v); }

static EngValue filter_upper(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngStr *s = eng_repr_soft(run, a[0]);
    return like(run, s, eng_str_upper(run, s));
}

static EngValue filter_lower(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngStr *s = eng_repr_soft(run, a[0]);
    return like(run, s, eng_str_lower(run, s));
}

static EngValue filter_capitalize(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngStr *s = eng_repr_soft(run, a[0]);
    return like(run, s, eng_str_capitalize(run, s));
}

/* Words begin after white space or one of -({[< ; not the same as str.title(). */
static EngValue filter_title(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngStr *s = eng_repr_soft(run, a[0]);
    EngText t = {0};
    size_t from = 0;
    bool between = false;
    for (size_t at = 0; at <= s->n;) {
        uint32_t cp = 0;
        size_t len = at < s->n ? eng_str_decode(s->data + at, &cp) : 1;
        bool separates = at < s->n && ((cp < 128 && cp && strchr("-({[<", (int)cp)) ||
                                       eng_str_is(cp, ENG_IS_SPACE));
        if (at == s->n || (at > from && separates != between)) {
            EngStr *word = eng_str_cut(run, s, from, at);
            size_t first = eng_str_offset(run, word, 1);
            eng_text_str(run, &t, eng_str_upper(run, eng_str_cut(run, word, 0, first)));
            eng_text_str(run, &t, eng_str_lower(run, eng_str_cut(run, word, first, word->n)));
            from = at;
        }
        between = separates;
        at += len;
    }
    return text(eng_text_take(run, &t));
}

static EngValue filter_trim(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngStr *s = eng_repr_soft(run, a[0]);
    const EngStr *chars = NULL;
    if (a[1].type == ENG_V_STR)
        chars = a[1].u.str;
    else if (a[1].type != ENG_V_MISSING && a[1].type != ENG_V_NONE)
        eng_value_raise(run, "strip arg must be None or str");
    return like(run, s, eng_str_strip(run, s, chars, ENG_STRIP_LEFT | ENG_STRIP_RIGHT));
}

static EngValue filter_center(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngStr *s = eng_repr_soft(run, a[0]);
    int64_t width = a[1].type == ENG_V_MISSING ? 80 : eng_builtin_index(run, a[1]);
    EngText t = {0};
    size_t pad = width > (int64_t)s->chars ? (size_t)width - s->chars : 0;
    size_t left = pad / 2 + (pad & (size_t)width & 1);
    eng_text_fill(run, &t, ' ', left);
    eng_text_str(run, &t, s);
    eng_text_fill(run, &t, ' ', pad - left);
    return like(run, s, eng_text_take(run, &t));
}

static EngValue filter_replace(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    int64_t count = -1;
    EngStr *s = eng_repr_str(run, a[0]), *old = eng_repr_str(run, a[1]),
           *by = eng_repr_str(run, a[2]);
    if (a[3].type != ENG_V_MISSING && a[3].type != ENG_V_NONE) count = eng_builtin_index(run, a[3]);
    return text(eng_str_replace(run, s, old, by, count));
}

static EngValue filter_string(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    if (args->n != 1 || args->n_named)
        eng_value_raise(run, "soft_str() takes 1 positional argument but %zu were given", args->n);
    return text(eng_repr_soft(run, args->pos[0]));
}

static EngValue filter_safe(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    return text(eng_str_mark(run, eng_repr_soft(run, a[0]), true));
}

static EngValue filter_escape(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    if (args->n != 1 || args->n_named)
        eng_value_raise(run, "escape() takes exactly one argument (%zu given)",
                        args->n + args->n_named);
    EngStr *s = eng_repr_soft(run, args->pos[0]);
    return text(s->markup ? s : eng_str_escape(run, s));
}

static EngValue filter_forceescape(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    return text(eng_str_escape(run, eng_repr_soft(run, a[0])));
}

static EngValue filter_format(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a;
    if (args->n == 0)
        eng_value_raise(run, "do_format() missing 1 required positional argument: 'value'");
    if (args->n > 1 && args->n_named)
        eng_value_raise(run, "can't handle positional and keyword arguments at the same time");
    EngStr *s = eng_repr_soft(run, args->pos[0]);
    if (args->n_named) {
        EngDict *dict = eng_dict_new(run);
        for (size_t i = 0; i < args->n_named; i++)
            eng_dict_set(run, dict, args->named[i].key, args->named[i].value);
        return text(eng_format_percent(run, s, eng_value_dict(dict)));
    }
    EngList *values = eng_value_list_new(run, args->n - 1);
    for (size_t i = 0; i < values->n; i++) values->items[i] = args->pos[i + 1];
    return text(eng_format_percent(run, s, eng_value_tuple(values)));
}

static EngStr *indentation(EngRun *run, EngValue width)
{
    if (width.type == ENG_V_MISSING) return eng_str_text(run, "    ");
    if (width.type == ENG_V_STR) return width.u.str;
    return eng_operate(run, ENG_N_MUL, eng_value_text(run, " "), width).u.str;
}

static EngValue filter_indent(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngStr *by = indentation(run, a[1]);
    if (a[0].type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, a[0]);
    if (a[0].type == ENG_V_LIST)
        eng_value_raise(run, "'list' object has no attribute 'splitlines'");
    if (a[0].type == ENG_V_TUPLE)
        eng_value_raise(run, "can only concatenate tuple (not \"str\") to tuple");
    if (a[0].type != ENG_V_STR)
        eng_value_raise(run, "unsupported operand type(s) for +=: '%s' and 'str'",
                        eng_value_type_name(a[0]));
    bool blank = flag(a[3]), markup = a[0].u.str->markup;
    EngStr *newline = eng_str_char(run, '\n'), *s = eng_str_concat(run, a[0].u.str, newline);
    if (markup && !by->markup && a[1].type == ENG_V_STR) by = eng_str_mark(run, by, true);
    EngList *lines = eng_str_lines(run, s, false);
    EngText t = {0};
    if (flag(a[2])) eng_text_str(run, &t, by);
    for (size_t i = 0; i < lines->n; i++) {
        const EngStr *line = lines->items[i].u.str;
        if (i) eng_text_puts(run, &t, "\n");
        if (i && (blank || line->n > 0)) eng_text_str(run, &t, by);
        eng_text_str(run, &t, line);
    }
    EngStr *result = eng_text_take(run, &t);
    result->markup = markup;
    return text(result);
}

static EngValue length_of(EngRun *run, EngValue v)
{
    size_t n;
    if (!eng_value_len(v, &n))
        eng_value_raise(run, "object of type '%s' has no len()", eng_value_type_name(v));
    return eng_value_int((int64_t)n);
}

/* The reference's assertion that v >= least. */
static void expect_at_least(EngRun *run, const char *what, EngValue v, EngValue least)
{
    if (eng_value_order(run, ENG_GE, v, least)) return;
    EngText t = {0};
    eng_text_printf(run, &t, "expected %s >= %lld, got ", what, (long long)least.u.i);
    eng_repr_add_str(run, &t, v);
    eng_value_raise_str(run, eng_text_take(run, &t));
}

static EngValue filter_truncate(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngValue length = eng_builtin_or(a[1], eng_value_int(255)), leeway = a[4];
    EngValue ellipsis = eng_builtin_or(a[3], eng_value_text(run, "..."));
    if (leeway.type == ENG_V_MISSING || leeway.type == ENG_V_NONE) leeway = eng_value_int(5);
    EngValue end = length_of(run, ellipsis);
    expect_at_least(run, "length", length, end);
    expect_at_least(run, "leeway", leeway, eng_value_int(0));
    EngValue n = length_of(run, a[0]);
    if (eng_value_order(run, ENG_LE, n, eng_operate(run, ENG_N_ADD, length, leeway))) return a[0];
    EngValue cut = eng_operate_slice(run, a[0], eng_value_none(),
                                     eng_operate(run, ENG_N_SUB, length, end), eng_value_none());
    if (cut.type == ENG_V_STR && !flag(a[2])) {
        EngStr space = {.data = " ", .n = 1, .chars = 1};
        EngStr *head = eng_str_rsplit(run, cut.u.str, &space, 1)->items[0].u.str;
        cut = like(run, cut.u.str, head);
    } else if (!flag(a[2])) {
        eng_value_raise(run, "'%s' object has no attribute 'rsplit'", eng_value_type_name(cut));
    }
    return eng_operate(run, ENG_N_ADD, cut, ellipsis);
}

static EngValue filter_wordcount(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngStr *s = eng_repr_soft(run, a[0]);
    int64_t n = 0;
    bool in_word = false;
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        at += eng_str_decode(s->data + at, &cp);
        bool word = eng_str_is_word(cp);
        n += word && !in_word;
        in_word = word;
    }
    return eng_value_int(n);
}

/* Removes <…> and <!-- … -->, collapses white space, and reads the entities that escape() makes. */
static EngValue filter_striptags(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    static const char *const entities[][2] = {
        {"&lt;", "<"},    {"&gt;", ">"},          {"&#39;", "'"}, {"&#34;", "\""},
        {"&quot;", "\""}, {"&nbsp;", "\xc2\xa0"}, {"&amp;", "&"}};
    EngStr *s = eng_repr_str(run, a[0]);
    EngStr tag = {.data = "<", .n = 1}, close = {.data = ">", .n = 1},
           end = {.data = "-->", .n = 3};
    EngText t = {0};
    size_t at = 0;
    for (size_t open; (open = eng_str_find(run, s, &tag, at, s->n)) != ENG_STR_NOT_FOUND;) {
        bool comment = s->n - open >= 4 && memcmp(s->data + open, "<!--", 4) == 0;
        size_t stop = comment ? eng_str_find(run, s, &end, open + 4, s->n)
                              : eng_str_find(run, s, &close, open, s->n);
        if (stop == ENG_STR_NOT_FOUND) break;
        eng_text_add(run, &t, s->data + at, open - at);
        at = stop + (comment ? 3 : 1);
    }
    eng_text_add(run, &t, s->data + at, s->n - at);
    EngList *words = eng_str_split(run, eng_text_take(run, &t), NULL, -1);
    EngText joined = {0};
    for (size_t i = 0; i < words->n; i++) {
        if (i) eng_text_puts(run, &joined, " ");
        eng_text_str(run, &joined, words->items[i].u.str);
    }
    EngStr *plain = eng_text_take(run, &joined);
    for (size_t i = 0; i < ENG_LEN(entities); i++)
        plain = eng_str_replace(run, plain, eng_str_text(run, entities[i][0]),
                                eng_str_text(run, entities[i][1]), -1);
    return text(plain);
}

/* ---- URLs and attributes ---- */

static void add_quoted(EngRun *run, EngText *t, EngValue v, bool query)
{
    EngStr *s = eng_repr_str(run, v);
    for (size_t i = 0; i < s->n; i++) {
        unsigned char c = (unsigned char)s->data[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                     (c && strchr("_.-~", c)) || (c == '/' && !query);
        if (plain)
            eng_text_char(run, t, c);
        else if (c == ' ' && query)
            eng_text_puts(run, t, "+");
        else
            eng_text_printf(run, t, "%%%02X", c);
    }
}

static EngValue filter_urlencode(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngText t = {0};
    if (a[0].type == ENG_V_STR || !eng_iter_possible(a[0])) {
        add_quoted(run, &t, a[0], false);
        return text(eng_text_take(run, &t));
    }
    EngValue items = a[0];
    if (items.type == ENG_V_DICT) {
        EngView *view = eng_value_alloc(run, sizeof *view);
        *view = (EngView){.dict = items.u.dict, .what = ENG_VIEW_ITEMS};
        items = (EngValue){ENG_V_VIEW, {.view = view}};
    }
    EngList *list = eng_iter_list(run, items);
    for (size_t i = 0; i < list->n; i++) {
        if (!eng_iter_possible(list->items[i]))
            eng_value_raise(run, "cannot unpack non-iterable %s object",
                            eng_value_type_name(list->items[i]));
        EngList *pair = eng_iter_list(run, list->items[i]);
        if (pair->n > 2) eng_value_raise(run, "too many values to unpack (expected 2)");
        if (pair->n < 2)
            eng_value_raise(run, "not enough values to unpack (expected 2, got %zu)", pair->n);
        if (i) eng_text_puts(run, &t, "&");
        add_quoted(run, &t, pair->items[0], true);
        eng_text_puts(run, &t, "=");
        add_quoted(run, &t, pair->items[1], true);
    }
    return text(eng_text_take(run, &t));
}

static EngValue filter_xmlattr(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngText t = {0};
    if (a[0].type == ENG_V_UNDEFINED) eng_value_raise_undefined(run, a[0]);
    if (a[0].type == ENG_V_NAMESPACE) eng_value_raise(run, "items");
    if (a[0].type != ENG_V_DICT)
        eng_value_raise(run, "'%s' object has no attribute 'items'", eng_value_type_name(a[0]));
    for (size_t i = 0; i < a[0].u.dict->n; i++) {
        EngPair p = a[0].u.dict->pairs[i];
        if (p.value.type == ENG_V_NONE || p.value.type == ENG_V_UNDEFINED) continue;
        if (p.key.type != ENG_V_STR)
            eng_value_raise(run, "expected string or bytes-like object, got '%s'",
                            eng_value_type_name(p.key));
        for (size_t k = 0; k < p.key.u.str->n; k++) {
            if (!p.key.u.str->data[k] || !strchr(" \t\n\r\f\v/>=", p.key.u.str->data[k])) continue;
            eng_value_raise_str(
                run, eng_str_concat(run, eng_str_text(run, "Invalid character in attribute name: "),
                                    eng_repr_of(run, p.key)));
        }
        if (t.n || a[1].type == ENG_V_MISSING || eng_value_truth(a[1])) eng_text_puts(run, &t, " ");
        EngStr *key = p.key.u.str, *value = eng_repr_soft(run, p.value);
        eng_text_str(run, &t, key->markup ? key : eng_str_escape(run, key));
        eng_text_puts(run, &t, "=\"");
        eng_text_str(run, &t, value->markup ? value : eng_str_escape(run, value));
        eng_text_puts(run, &t, "\"");
    }
    return text(eng_text_take(run, &t));
}

/* ---- data as text ---- */

static EngValue filter_tojson(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngJsonStyle style = {.ensure_ascii = flag(a[1]), .sort_keys = flag(a[4])};
    if (a[2].type == ENG_V_STR)
        style.indent = a[2].u.str;
    else if (a[2].type != ENG_V_MISSING && a[2].type != ENG_V_NONE)
        style.indent = eng_operate(run, ENG_N_MUL, eng_value_text(run, " "), a[2]).u.str;
    style.item_separator = eng_str_text(run, style.indent ? "," : ", ");
    style.key_separator = eng_str_text(run, ": ");
    if (a[3].type != ENG_V_MISSING && a[3].type != ENG_V_NONE) {
        EngList *pair = eng_iter_list(run, a[3]);
        if (pair->n > 2) eng_value_raise(run, "too many values to unpack (expected 2)");
        if (pair->n < 2)
            eng_value_raise(run, "not enough values to unpack (expected 2, got %zu)", pair->n);
        for (int i = 0; i < 2; i++)
            if (pair->items[i].type != ENG_V_STR)
                eng_value_raise(run, "make_encoder() argument %d must be str, not %s", 5 + (i == 0),
                                eng_value_type_name(pair->items[i]));
        style.item_separator = pair->items[0].u.str;
        style.key_separator = pair->items[1].u.str;
    }
    return text(eng_json_dump(run, a[0], &style));
}

static EngValue sorted_dicts(EngRun *run, EngValue v)
{
    int depth = run->depth;
    eng_value_enter(run);
    if (v.type == ENG_V_LIST || v.type == ENG_V_TUPLE) {
        EngList *list = eng_value_list_new(run, v.u.list->n);
        for (size_t i = 0; i < list->n; i++) list->items[i] = sorted_dicts(run, v.u.list->items[i]);
        v = v.type == ENG_V_LIST ? eng_value_list(list) : eng_value_tuple(list);
    } else if (v.type == ENG_V_DICT) {
        size_t n = v.u.dict->n;
        EngList *values = eng_value_list_new(run, n), *keys = eng_value_list_new(run, n);
        for (size_t i = 0; i < n; i++) {
            keys->items[i] = v.u.dict->pairs[i].key;
            values->items[i] = sorted_dicts(run, v.u.dict->pairs[i].value);
        }
        eng_builtin_sort(run, values, keys, false);
        EngDict *dict = eng_dict_new(run);
        for (size_t i = 0; i < n; i++) eng_dict_set(run, dict, keys->items[i], values->items[i]);
        v = eng_value_dict(dict);
    }
    eng_value_leave(run, depth);
    return v;
}

/* pprint.pformat for what fits on one line of 80 characters. */
static EngValue filter_pprint(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)args;
    EngStr *s = eng_repr_of(run, sorted_dicts(run, a[0]));
    if (s->chars > 80 && (a[0].type == ENG_V_STR || eng_iter_possible(a[0])))
        eng_value_raise(run, "The template pretty-prints a long value, which is not supported.");
    return text(s);
}

static EngValue filter_unsupported(EngRun *run, const EngValue *a, const EngArgs *args)
{
    (void)a, (void)args;
    eng_value_raise(run,
                    "The template uses the filter urlize, wordwrap or random, which chats do not "
                    "support.");
}

const EngFilter eng_builtin_text_filters[] = {
    {"tojson", filter_tojson, "env.<locals>.tojson", "x ensure_ascii indent separators sort_keys",
     1, 0},
    {"trim", filter_trim, "do_trim", "value chars", 1, 0},
    {"upper", filter_upper, "do_upper", "s", 1, 0},
    {"lower", filter_lower, "do_lower", "s", 1, 0},
    {"capitalize", filter_capitalize, "do_capitalize", "s", 1, 0},
    {"title", filter_title, "do_title", "s", 1, 0},
    {"center", filter_center, "do_center", "value width", 1, 0},
    {"replace", filter_replace, "do_replace", "s old new count", 3, 1},
    {"string", filter_string, "soft_str", NULL, 0, 0},
    {"safe", filter_safe, "do_mark_safe", "value", 1, 0},
    {"escape", filter_escape, "escape", NULL, 0, 0},
    {"e", filter_escape, "escape", NULL, 0, 0},
    {"forceescape", filter_forceescape, "do_forceescape", "value", 1, 0},
    {"format", filter_format, "do_format", NULL, 0, 0},
    {"indent", filter_indent, "do_indent", "s width first blank", 1, 0},
    {"truncate", filter_truncate, "do_truncate", "s length killwords end leeway", 1, 1},
    {"wordcount", filter_wordcount, "do_wordcount", "s", 1, 0},
    {"striptags", filter_striptags, "do_striptags", "value", 1, 0},
    {"urlencode", filter_urlencode, "do_urlencode", "value", 1, 0},
    {"xmlattr", filter_xmlattr, "do_xmlattr", "d autospace", 1, 1},
    {"pprint", filter_pprint, "do_pprint", "value", 1, 0},
    {"urlize", filter_unsupported, "do_urlize", NULL, 0, 0},
    {"wordwrap", filter_unsupported, "do_wordwrap", NULL, 0, 0},
    {"random", filter_unsupported, "do_random", NULL, 0, 0},
    ENG_BUILTIN_END,
};
