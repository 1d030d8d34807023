#include "cli/base/members.h"

#include <string.h>

typedef struct {
    char *name;  /* as written, with its quotes */
    char *value; /* as written */
} Member;

struct HearthMembers {
    GArray *list; /* of Member */
};

static const char *skip_space(const char *p) { return p + strspn(p, " \t\r\n"); }

/* p is at a quote; returns what follows the closing one, NULL when there is none. */
static const char *skip_string(const char *p)
{
    for (p++; *p && *p != '"'; p++)
        if (*p == '\\' && p[1]) p++;
    return *p ? p + 1 : NULL;
}

/* Returns the end of the value at p, NULL when it does not end or is empty. */
static const char *skip_value(const char *p)
{
    const char *start = p;
    int depth = 0;
    while (*p) {
        if (depth == 0 && strchr(",}] \t\r\n", *p)) break;
        if (*p == '"') {
            p = skip_string(p);
            if (!p) return NULL;
            if (depth == 0) return p;
            continue;
        }
        if (*p == '{' || *p == '[') depth++;
        if ((*p == '}' || *p == ']') && --depth == 0) return p + 1;
        p++;
    }
    return depth == 0 && p > start ? p : NULL;
}

/* Appends the member at p; returns what follows it, NULL when it is none. */
static const char *take_member(HearthMembers *members, const char *p)
{
    const char *name_end = *p == '"' ? skip_string(p) : NULL;
    if (!name_end) return NULL;
    const char *colon = skip_space(name_end);
    if (*colon != ':') return NULL;
    const char *value = skip_space(colon + 1), *end = skip_value(value);
    if (!end) return NULL;
    Member member = {g_strndup(p, (gsize)(name_end - p)), g_strndup(value, (gsize)(end - value))};
    g_array_append_val(members->list, member);
    return skip_space(end);
}

static void clear_member(void *data)
{
    Member *member = data;
    g_free(member->name);
    g_free(member->value);
}

HearthMembers *hearth_members_new(const char *text, GError **error)
{
    g_autoptr(HearthMembers) members = g_new0(HearthMembers, 1);
    members->list = g_array_new(FALSE, FALSE, sizeof(Member));
    g_array_set_clear_func(members->list, clear_member);
    const char *p = skip_space(text);
    bool object = *p == '{';
    if (object) p = skip_space(p + 1);
    if (object && *p != '}') {
        p = take_member(members, p);
        while (p && *p == ',') p = take_member(members, skip_space(p + 1));
    }
    if (!object || !p || *p != '}' || *skip_space(p + 1)) {
        hearth_error(error, HEARTH_ERROR_REFUSED,
                     "The request is not made of JSON objects: write it as {\"input\": "
                     "{\"messages\": […]}, \"tokens\": {…}}.");
        return NULL;
    }
    return g_steal_pointer(&members);
}

void hearth_members_free(HearthMembers *members)
{
    if (!members) return;
    g_array_unref(members->list);
    g_free(members);
}

static const Member *find(const HearthMembers *members, const char *quoted_name)
{
    for (guint i = members->list->len; i-- > 0;) { /* of two, the last counts */
        const Member *member = &g_array_index(members->list, Member, i);
        if (strcmp(member->name, quoted_name) == 0) return member;
    }
    return NULL;
}

const char *hearth_members_get(const HearthMembers *members, const char *name)
{
    g_autofree char *quoted = g_strdup_printf("\"%s\"", name);
    const Member *member = find(members, quoted);
    return member ? member->value : NULL;
}

bool hearth_members_get_string(const HearthMembers *members, const char *name, char **ret_string,
                               GError **error)
{
    const char *value = hearth_members_get(members, name);
    if (!value || strcmp(value, "null") == 0) {
        *ret_string = NULL;
        return true;
    }
    if (*value != '"' || strchr(value, '\\'))
        return hearth_error(error, HEARTH_ERROR_REFUSED,
                            "The request's \"%s\" is no plain string: put it in quotes.", name);
    *ret_string = g_strndup(value + 1, strlen(value) - 2);
    return true;
}

void hearth_members_add_missing(HearthMembers *members, const HearthMembers *more)
{
    for (guint i = 0; i < more->list->len; i++) {
        const Member *from = &g_array_index(more->list, Member, i);
        if (find(members, from->name)) continue;
        Member copy = {g_strdup(from->name), g_strdup(from->value)};
        g_array_append_val(members->list, copy);
    }
}

char *hearth_members_to_text(const HearthMembers *members)
{
    GString *out = g_string_new("{");
    for (guint i = 0; i < members->list->len; i++) {
        const Member *member = &g_array_index(members->list, Member, i);
        g_string_append_printf(out, "%s%s: %s", i ? ", " : "", member->name, member->value);
    }
    g_string_append_c(out, '}');
    return g_string_free(out, FALSE);
}
