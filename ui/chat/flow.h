/* A layout that sets its widgets in lines like words, as many in a line as there is room for. */
#ifndef HEARTH_CHAT_FLOW_H
#define HEARTH_CHAT_FLOW_H

#include <gtk/gtk.h>

#define HEARTH_TYPE_CHAT_FLOW (hearth_chat_flow_get_type())
G_DECLARE_FINAL_TYPE(HearthChatFlow, hearth_chat_flow, HEARTH, CHAT_FLOW, GtkLayoutManager)

/* START (the default), CENTER or END: where lines shorter than the width stand. */
void hearth_chat_flow_set_align(HearthChatFlow *flow, GtkAlign align);

#endif
