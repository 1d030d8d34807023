#include "memo.h"

#define KEY "hearth-chat-memo"

static void memo_free(void *data)
{
    HearthChatMemo *memo = data;
    g_object_unref(memo->buffer);
    g_hash_table_unref(memo->messages);
    g_free(memo);
}

HearthChatMemo *hearth_chat_memo_of(HearthConversation *conversation)
{
    HearthChatMemo *memo = g_object_get_data(G_OBJECT(conversation), KEY);
    if (memo) return memo;
    memo = g_new0(HearthChatMemo, 1);
    memo->buffer = gtk_text_buffer_new(NULL);
    memo->messages = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    /* Undo must not take the restored draft away. */
    gtk_text_buffer_begin_irreversible_action(memo->buffer);
    gtk_text_buffer_set_text(memo->buffer, hearth_conversation_get_draft(conversation), -1);
    gtk_text_buffer_end_irreversible_action(memo->buffer);
    g_object_set_data_full(G_OBJECT(conversation), KEY, memo, memo_free);
    return memo;
}

HearthMessageMemo *hearth_chat_memo_message(HearthChatMemo *memo, gint64 message)
{
    HearthMessageMemo *of = g_hash_table_lookup(memo->messages, &message);
    if (of) return of;
    of = g_new0(HearthMessageMemo, 1);
    g_hash_table_insert(memo->messages, g_memdup2(&message, sizeof(message)), of);
    return of;
}
