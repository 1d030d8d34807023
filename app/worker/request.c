#include "worker/request.h"

static void free_turn(void *data)
{
    HearthTurn *turn = data;
    g_free(turn->role);
    g_free(turn->content);
    g_free(turn->thinking);
    g_free(turn);
}

HearthRequest *hearth_request_new(void)
{
    HearthRequest *request = g_new0(HearthRequest, 1);
    request->turns = g_ptr_array_new_with_free_func(free_turn);
    request->sampling = eng_sampling_defaults();
    return request;
}

void hearth_request_add(HearthRequest *request, const char *role, const char *content,
                        const char *thinking)
{
    HearthTurn *turn = g_new0(HearthTurn, 1);
    turn->role = g_strdup(role);
    turn->content = g_strdup(content ? content : "");
    turn->thinking = thinking && *thinking ? g_strdup(thinking) : NULL;
    g_ptr_array_add(request->turns, turn);
}

void hearth_request_free(HearthRequest *request)
{
    if (!request) return;
    g_ptr_array_unref(request->turns);
    g_free(request);
}
