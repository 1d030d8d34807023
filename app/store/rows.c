#include "store/rows.h"

char *hearth_name_clean(const char *text)
{
    GString *name = g_string_new(NULL);
    for (int n = 0; text && *text && n < HEARTH_NAME_MOST; text = g_utf8_next_char(text)) {
        gunichar c = g_utf8_get_char(text);
        bool breaks = g_unichar_iscntrl(c) || c == 0x2028 || c == 0x2029;
        if (!name->len && (breaks || g_unichar_isspace(c))) continue;
        if (breaks && g_str_has_suffix(name->str, " ")) continue;
        g_string_append_unichar(name, breaks ? ' ' : c);
        n++;
    }
    return g_strchomp(g_string_free(name, FALSE));
}

HearthConversationRow *hearth_conversation_row_copy(const HearthConversationRow *row)
{
    HearthConversationRow *copy = g_memdup2(row, sizeof *row);
    copy->title = g_strdup(row->title);
    copy->draft = g_strdup(row->draft);
    copy->options = g_strdup(row->options);
    return copy;
}

void hearth_conversation_row_free(HearthConversationRow *row)
{
    if (!row) return;
    g_free(row->title);
    g_free(row->draft);
    g_free(row->options);
    g_free(row);
}

HearthMessageRow *hearth_message_row_copy(const HearthMessageRow *row)
{
    HearthMessageRow *copy = g_memdup2(row, sizeof *row);
    copy->content = g_strdup(row->content);
    copy->thinking = g_strdup(row->thinking);
    copy->model = g_strdup(row->model);
    copy->error = g_strdup(row->error);
    return copy;
}

void hearth_message_row_free(HearthMessageRow *row)
{
    if (!row) return;
    g_free(row->content);
    g_free(row->thinking);
    g_free(row->model);
    g_free(row->error);
    g_free(row);
}

HearthUnsentRow *hearth_unsent_row_copy(const HearthUnsentRow *row)
{
    HearthUnsentRow *copy = g_memdup2(row, sizeof *row);
    copy->name = g_strdup(row->name);
    copy->content = g_strdup(row->content);
    return copy;
}

void hearth_unsent_row_free(HearthUnsentRow *row)
{
    if (!row) return;
    g_free(row->name);
    g_free(row->content);
    g_free(row);
}

HearthFolderRow *hearth_folder_row_copy(const HearthFolderRow *row)
{
    HearthFolderRow *copy = g_memdup2(row, sizeof *row);
    copy->name = g_strdup(row->name);
    return copy;
}

void hearth_folder_row_free(HearthFolderRow *row)
{
    if (!row) return;
    g_free(row->name);
    g_free(row);
}

HearthPersonaRow *hearth_persona_row_copy(const HearthPersonaRow *row)
{
    HearthPersonaRow *copy = g_memdup2(row, sizeof *row);
    copy->name = g_strdup(row->name);
    copy->prompt = g_strdup(row->prompt);
    return copy;
}

void hearth_persona_row_free(HearthPersonaRow *row)
{
    if (!row) return;
    g_free(row->name);
    g_free(row->prompt);
    g_free(row);
}

void hearth_hit_free(HearthHit *hit)
{
    if (!hit) return;
    g_free(hit->title);
    g_free(hit->snippet);
    g_free(hit->excerpt);
    g_free(hit);
}
