/* What engine.c and session.c share: the inside of an EngModel. */
#ifndef ENG_MODEL_H
#define ENG_MODEL_H

#include "base/lock.h"
#include "chat/chat.h"
#include "load/rehearsal.h"
#include "model/arch.h"
#include "plan/backend.h"
#include "plan/place.h"
#include "text/tokenizer.h"

struct EngModel {
    EngGguf *gguf;
    EngRehearsal *rehearsal; /* NULL = the weights are the file's own */
    EngTokenizer *tokenizer; /* NULL = the file has weights alone: it computes, but knows no text */
    EngTemplate *tmpl; /* NULL = the file has none, or tmpl_error says why it cannot be used */
    EngError tmpl_error;
    EngHparams h;
    EngArena arena; /* what binding derived */
    EngDerived *derived;
    EngGraph graph;
    EngPool *pool;
    EngPlacement *placement; /* NULL = one node, and weights are read where they are mapped */
    EngBackend *backend;     /* NULL when vocab_only */
    EngLock *compute;        /* one step at a time */
    EngBatch batch;          /* under `compute`: [max_tokens] */
    uint64_t loaded;         /* bytes that eng_model_load has touched */
    char name[128];
};

/* Whether the model knows text; otherwise ENG_ERR_REFUSED. */
bool eng_model_has_text(const EngModel *model, EngError *err);

/* prompt.c: the variables that a template finds besides the request's: {"bos_token": …}; free(). */
char *eng_prompt_defaults(const EngModel *model);

/* A prompt as text, up to where the answer begins. */
typedef struct {
    char *text; /* malloc'ed, like `begun` */
    size_t len;
    char *begun; /* the same with what there is of an answer to be gone on with; NULL = a new one */
    size_t begun_len;
    EngPart part; /* in which it goes on */
    bool thought; /* it has had its thinking, or is at it */
} EngPrompt;

/* prompt.c: a conversation as the model's template writes it, or in the plain "role: content" form
 * when the file has none. See eng_session_prompt. */
bool eng_prompt_render(const EngModel *model, const EngMessage *messages, size_t n,
                       const char *variables, EngPrompt *ret_prompt, EngError *err);
void eng_prompt_clear(EngPrompt *prompt);

#endif
