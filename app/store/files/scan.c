#include "store/files/scan.h"

#include <string.h>

#define DEEPEST 32

typedef struct {
    const char *text;
    gsize at, length;
    int deepest;
} Cursor;

static void skip_space(Cursor *c)
{
    while (c->at < c->length && strchr(" \t\r\n", c->text[c->at]) && c->text[c->at]) c->at++;
}

static bool take(Cursor *c, char want)
{
    skip_space(c);
    if (c->at >= c->length || c->text[c->at] != want) return false;
    c->at++;
    return true;
}

static bool skip_string(Cursor *c)
{
    if (!take(c, '"')) return false;
    for (; c->at < c->length; c->at++) {
        guchar byte = (guchar)c->text[c->at];
        if (byte == '"') {
            c->at++;
            return true;
        }
        if (byte < ' ') return false;
        if (byte == '\\') {
            c->at++;
            if (c->at >= c->length || (guchar)c->text[c->at] < ' ') return false;
        }
    }
    return false;
}

/* A number or one of the three words; the parser says whether it is a good one. */
static bool skip_word(Cursor *c)
{
    gsize start = c->at;
    while (c->at < c->length &&
           (g_ascii_isalnum(c->text[c->at]) || (c->text[c->at] && strchr("+-.", c->text[c->at]))))
        c->at++;
    return c->at > start;
}

/* After a value inside of brackets, or right after the opening one: passes what can stand before
 * the next value. */
static bool skip_to_value(Cursor *c, const char *open, int depth, bool first, bool *ret_closed)
{
    char close = open[depth - 1] == '{' ? '}' : ']';
    *ret_closed = take(c, close);
    if (*ret_closed) return true;
    if (!first && !take(c, ',')) return false;
    return close == ']' || (skip_string(c) && take(c, ':'));
}

/* Any value. Keeps its brackets itself, so that no depth is too much for the stack. */
static bool skip_value(Cursor *c, int depth_left)
{
    char open[DEEPEST];
    int depth = 0;
    bool first = true;
    do {
        bool closed = false;
        if (depth && !skip_to_value(c, open, depth, first, &closed)) return false;
        skip_space(c);
        first = false;
        if (closed) {
            depth--;
            continue;
        }
        if (c->at >= c->length) return false;
        char byte = c->text[c->at];
        if (byte == '{' || byte == '[') {
            if (depth >= DEEPEST || depth >= depth_left) return false;
            open[depth++] = byte;
            c->at++;
            first = true;
        } else if (byte == '"' ? !skip_string(c) : !skip_word(c)) {
            return false;
        }
    } while (depth);
    return true;
}

static bool add_value(Cursor *c, GArray *extents, int depth_left)
{
    skip_space(c);
    HearthExtent extent = {.start = c->at};
    if (!skip_value(c, depth_left)) return false;
    extent.length = c->at - extent.start;
    g_array_append_val(extents, extent);
    return true;
}

static bool add_elements(Cursor *c, GArray *extents, int depth_left)
{
    take(c, '[');
    if (take(c, ']')) return true;
    do {
        if (!add_value(c, extents, depth_left)) return false;
    } while (take(c, ','));
    return take(c, ']');
}

static bool add_member(Cursor *c, GHashTable *members, int depth)
{
    skip_space(c);
    gsize start = c->at + 1;
    if (!skip_string(c)) return false;
    char *name = g_strndup(c->text + start, c->at - 1 - start);
    GArray *extents = g_array_new(FALSE, FALSE, sizeof(HearthExtent));
    bool is_new = g_hash_table_insert(members, name, extents);
    if (!is_new || !take(c, ':')) return false;
    skip_space(c);
    if (c->at < c->length && c->text[c->at] == '[')
        return depth > 1 && add_elements(c, extents, depth - 2);
    return add_value(c, extents, depth - 1);
}

bool hearth_scan_object(const char *text, gsize length, int depth, HearthScan *ret_scan)
{
    Cursor c = {text, 0, length, depth};
    HearthScan scan = {
        g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_array_unref)};
    bool ok = take(&c, '{');
    if (ok && !take(&c, '}')) {
        do {
            ok = add_member(&c, scan.members, depth);
        } while (ok && take(&c, ','));
        ok = ok && take(&c, '}');
    }
    skip_space(&c);
    if (ok && c.at == length) {
        *ret_scan = scan;
        return true;
    }
    hearth_scan_clear(&scan);
    return false;
}

void hearth_scan_clear(HearthScan *scan) { g_clear_pointer(&scan->members, g_hash_table_unref); }

GArray *hearth_scan_get(const HearthScan *scan, const char *name)
{
    return g_hash_table_lookup(scan->members, name);
}
