#include "chat/value/repr.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat/eval.h"
#include "chat/value/str.h"

/* ---- numbers ---- */

bool eng_repr_parse_double(EngRun *run, const char *s, size_t n, double *ret)
{
    const char *point = localeconv()->decimal_point;
    EngText t = {0};
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '.')
            eng_text_puts(run, &t, point);
        else if (s[i] == 0)
            return false;
        else
            eng_text_add(run, &t, &s[i], 1);
    }
    eng_text_add(run, &t, "", 1);
    char *end;
    *ret = strtod(t.data, &end);
    return n > 0 && end == t.data + t.n - 1;
}

EngStr *eng_repr_printf_float(EngRun *run, double f, char kind, int precision, bool alternate)
{
    char fmt[8] = {'%', 0};
    size_t k = 1;
    if (alternate) fmt[k++] = '#';
    memcpy(fmt + k, ".*", 2);
    fmt[k + 2] = kind;
    int n = snprintf(NULL, 0, fmt, precision, f);
    if (n < 0 || (size_t)n > ENG_RUN_TEXT) eng_value_raise(run, "precision too big");
    char *buf = eng_value_alloc(run, (size_t)n + 1);
    snprintf(buf, (size_t)n + 1, fmt, precision, f);
    const char *point = localeconv()->decimal_point;
    char *at = strcmp(point, ".") == 0 ? NULL : strstr(buf, point);
    if (!at) return eng_str_new(run, buf, (size_t)n);
    EngText t = {0};
    eng_text_add(run, &t, buf, (size_t)(at - buf));
    eng_text_puts(run, &t, ".");
    eng_text_puts(run, &t, at + strlen(point));
    return eng_text_take(run, &t);
}

/* The shortest digits (no point, no trailing zeros) and the decimal exponent of the first. */
static int shortest(EngRun *run, double f, char digits[20])
{
    for (int precision = 0; precision < 17; precision++) {
        EngStr *s = eng_repr_printf_float(run, f, 'e', precision, false);
        double back;
        if (precision < 16 && (!eng_repr_parse_double(run, s->data, s->n, &back) || back != f))
            continue;
        int n = 0, exponent = 0;
        size_t i = 0;
        for (; i < s->n && s->data[i] != 'e'; i++)
            if (s->data[i] >= '0' && s->data[i] <= '9') digits[n++] = s->data[i];
        bool minus = s->data[++i] == '-';
        for (i++; i < s->n; i++) exponent = exponent * 10 + (s->data[i] - '0');
        digits[n] = 0;
        return minus ? -exponent : exponent;
    }
    return 0;
}

void eng_repr_add_float(EngRun *run, EngText *t, double f)
{
    char digits[20];
    if (isnan(f)) {
        eng_text_puts(run, t, "nan");
        return;
    }
    if (signbit(f)) eng_text_puts(run, t, "-");
    f = fabs(f);
    if (isinf(f)) {
        eng_text_puts(run, t, "inf");
        return;
    }
    int exponent = shortest(run, f, digits), n = (int)strlen(digits);
    if (exponent < -4 || exponent >= 16) {
        eng_text_printf(run, t, "%c%s%se%c%02d", digits[0], n > 1 ? "." : "", digits + 1,
                        exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        eng_text_puts(run, t, "0.");
        eng_text_fill(run, t, '0', (size_t)(-exponent - 1));
        eng_text_puts(run, t, digits);
    } else {
        for (int i = 0; i <= exponent; i++)
            eng_text_char(run, t, i < n ? (uint32_t)digits[i] : '0');
        eng_text_puts(run, t, ".");
        eng_text_puts(run, t, n > exponent + 1 ? digits + exponent + 1 : "0");
    }
}

/* ---- repr ---- */

static void add_quoted(EngRun *run, EngText *t, const EngStr *s)
{
    bool single = memchr(s->data, '\'', s->n), twice = memchr(s->data, '"', s->n);
    uint32_t quote = single && !twice ? '"' : '\'';
    if (s->markup) eng_text_puts(run, t, "Markup(");
    eng_text_char(run, t, quote);
    for (size_t at = 0; at < s->n;) {
        uint32_t cp;
        at += eng_str_decode(s->data + at, &cp);
        if (cp == quote || cp == '\\')
            eng_text_printf(run, t, "\\%c", (int)cp);
        else if (cp == '\n')
            eng_text_puts(run, t, "\\n");
        else if (cp == '\r')
            eng_text_puts(run, t, "\\r");
        else if (cp == '\t')
            eng_text_puts(run, t, "\\t");
        else if (cp == ' ' || eng_str_is(cp, ENG_IS_PRINTABLE))
            eng_text_char(run, t, cp);
        else if (cp < 0x100)
            eng_text_printf(run, t, "\\x%02x", cp);
        else if (cp < 0x10000)
            eng_text_printf(run, t, "\\u%04x", cp);
        else
            eng_text_printf(run, t, "\\U%08x", cp);
    }
    eng_text_char(run, t, quote);
    if (s->markup) eng_text_puts(run, t, ")");
}

static void add_items(EngRun *run, EngText *t, const EngList *l, const char *open,
                      const char *close)
{
    eng_text_puts(run, t, open);
    for (size_t i = 0; i < l->n; i++) {
        if (i) eng_text_puts(run, t, ", ");
        eng_repr_add(run, t, l->items[i]);
    }
    eng_text_puts(run, t, close);
}

static void add_dict(EngRun *run, EngText *t, const EngDict *d)
{
    eng_text_puts(run, t, "{");
    for (size_t i = 0; i < d->n; i++) {
        if (i) eng_text_puts(run, t, ", ");
        eng_repr_add(run, t, d->pairs[i].key);
        eng_text_puts(run, t, ": ");
        eng_repr_add(run, t, d->pairs[i].value);
    }
    eng_text_puts(run, t, "}");
}

static void add_view(EngRun *run, EngText *t, EngValue v)
{
    eng_text_printf(run, t, "%s(", eng_value_type_name(v));
    add_items(run, t, eng_iter_list(run, v), "[", "]");
    eng_text_puts(run, t, ")");
}

static void add_object(EngRun *run, EngText *t, EngValue v)
{
    const EngRange *r = v.u.range;
    switch (v.type) {
    case ENG_V_RANGE:
        eng_text_printf(run, t, "range(%lld, %lld", (long long)r->start, (long long)r->stop);
        if (r->step != 1) eng_text_printf(run, t, ", %lld", (long long)r->step);
        eng_text_puts(run, t, ")");
        break;
    case ENG_V_NAMESPACE:
        eng_text_puts(run, t, "<Namespace ");
        add_dict(run, t, v.u.dict);
        eng_text_puts(run, t, ">");
        break;
    case ENG_V_MACRO:
        eng_text_puts(run, t, "<Macro ");
        eng_eval_macro_name(run, t, v.u.macro);
        eng_text_puts(run, t, ">");
        break;
    case ENG_V_LOOP: eng_eval_loop_repr(run, t, v.u.loop); break;
    case ENG_V_FUNC:
        if (strcmp(v.u.func->type_name, "type") == 0)
            eng_text_printf(run, t, "<class '%s'>", v.u.func->name);
        else
            eng_text_printf(run, t, "<%s %s>", v.u.func->type_name, v.u.func->name);
        break;
    default: /* the reference prints an address here: no two runs agree */
        eng_text_printf(run, t, "<%s object>", eng_value_type_name(v));
        break;
    }
}

void eng_repr_add(EngRun *run, EngText *t, EngValue v)
{
    int depth = run->depth;
    eng_value_enter(run);
    switch (v.type) {
    case ENG_V_MISSING:
    case ENG_V_UNDEFINED: eng_text_puts(run, t, "Undefined"); break;
    case ENG_V_NONE: eng_text_puts(run, t, "None"); break;
    case ENG_V_BOOL: eng_text_puts(run, t, v.u.b ? "True" : "False"); break;
    case ENG_V_INT: eng_text_printf(run, t, "%lld", (long long)v.u.i); break;
    case ENG_V_BIG: eng_text_str(run, t, v.u.str); break;
    case ENG_V_FLOAT: eng_repr_add_float(run, t, v.u.f); break;
    case ENG_V_STR: add_quoted(run, t, v.u.str); break;
    case ENG_V_LIST: add_items(run, t, v.u.list, "[", "]"); break;
    case ENG_V_TUPLE: add_items(run, t, v.u.list, "(", v.u.list->n == 1 ? ",)" : ")"); break;
    case ENG_V_DICT: add_dict(run, t, v.u.dict); break;
    case ENG_V_VIEW: add_view(run, t, v); break;
    default: add_object(run, t, v); break;
    }
    eng_value_leave(run, depth);
}

EngStr *eng_repr_of(EngRun *run, EngValue v)
{
    EngText t = {0};
    eng_repr_add(run, &t, v);
    return eng_text_take(run, &t);
}

/* ---- str ---- */

void eng_repr_add_str(EngRun *run, EngText *t, EngValue v)
{
    if (v.type == ENG_V_STR)
        eng_text_str(run, t, v.u.str);
    else if (v.type != ENG_V_UNDEFINED)
        eng_repr_add(run, t, v);
}

EngStr *eng_repr_soft(EngRun *run, EngValue v)
{
    if (v.type == ENG_V_STR) return v.u.str;
    EngText t = {0};
    eng_repr_add_str(run, &t, v);
    return eng_text_take(run, &t);
}

EngStr *eng_repr_str(EngRun *run, EngValue v)
{
    EngStr *s = eng_repr_soft(run, v);
    return s->markup ? eng_str_mark(run, s, false) : s;
}
