/* What engine.c, compute.c and session.c share: the inside of an EngModel. */
#ifndef ENG_MODEL_H
#define ENG_MODEL_H

#include "base/lock.h"
#include "chat/chat.h"
#include "load/rehearsal.h"
#include "model/arch.h"
#include "plan/backend.h"
#include "plan/place.h"
#include "text/tokenizer.h"

/* A matrix in the file that a device alone reads. */
typedef struct {
    const uint8_t *data;
    uint64_t bytes;
} EngFar;

typedef struct EngCuda EngCuda;

/* What one session gets of a batch. */
typedef struct {
    int n; /* tokens computed, of rows from `row` on */
    int row;
    int out_row; /* -1 = its prompt is not at its end yet */
} EngShare;

/* A chunk of a prompt that a step has left in the middle: it is `batch`, and the backend's buffers
 * have its numbers, until somebody else computes. */
typedef struct {
    EngSession *of; /* NULL = there is none */
    int op;         /* to go on with */
    EngShare share;
} EngUnfinished;

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
    int nodes[ENG_MAX_NODES]; /* what the system calls the pool's nodes; -1: any memory will do */
    EngPlacement *placement;  /* NULL = one node, and weights are read where they are mapped */
    EngBackend *backend;      /* NULL when vocab_only */
    EngLock *compute;         /* one step at a time */
    EngBatch batch;           /* under `compute`: [max_tokens] */
    EngUnfinished unfinished; /* under `compute` */
    int cpu_batch;            /* tokens of a chunk that suit the CPU alone */
    double slice_s;           /* of a prompt's chunk, in one step */
    uint64_t loaded;          /* bytes that eng_model_load has touched */
    uint64_t expert_hits, expert_misses; /* atomic; see EngStats */
    char name[128];

    struct EngChoice *choice; /* the kernels that rules name; NULL = there are no rules */

    /* device.c: GPUs, when there is a plan for some. */
    EngPlan *plan;
    int *device_of;               /* [ops] number of a device, or -1: the CPU */
    EngCuda *cudas[ENG_MAX_GPUS]; /* between opening them and `devices` */
    EngBackend *cpu; /* which `backend` hands its part to; NULL = it is `backend` itself */
    EngDevice *devices[ENG_MAX_GPUS];
    int n_devices;
    uint64_t pinned; /* bytes of guests that pinning has come past */
    bool lost;       /* one failed: the CPU computes all */
    int *kv_at;      /* see EngKv */
    EngVec(EngFar) far;
    EngGpuState gpu_state; /* but for `lost` */
    char gpu[96], gpu_reason[256];
};

/* device.c, while a model is opened: opens a GPU and makes the plan, if there is one for it; gets
 * memory there and puts the device beside the CPU's backend; lets go of all backends. */
bool eng_model_place(EngModel *model, const EngModelSettings *settings, EngError *err);
bool eng_model_attach(EngModel *model, const EngModelSettings *settings, EngError *err);
void eng_model_detach(EngModel *model);

/* Whether eng_model_place would refuse, once `gone` (or NULL) is. Takes nothing. */
bool eng_model_may_place(const EngModel *model, const EngModelSettings *settings,
                         const EngModel *gone, EngError *err);

/* Whether the numbers of the last run can be used; otherwise the device is lost. Under `compute`.
 */
bool eng_model_computed(EngModel *model);
void eng_model_lose(EngModel *model, const EngError *why);
bool eng_model_is_lost(const EngModel *model); /* at any time */

/* loading.c. load_far: about the next n bytes to the device, under `compute`; false: none are left,
 * or *err. find_far fills `far`. */
uint64_t eng_model_copied_bytes(const EngModel *model);
bool eng_model_load_far(EngModel *model, uint64_t n, EngError *err);
void eng_model_find_far(EngModel *model);

/* device.c: bytes that the model has on GPU number `gpu`; 0 when that is lost. */
uint64_t eng_model_gpu_bytes(const EngModel *model, int gpu);

/* planning.c: eng_plan_model, for at most so much VRAM of each GPU, of which the driver has taken
 * some; NULL = as it is before one is opened. */
typedef struct {
    uint64_t bytes, taken;
} EngVramLeft;
EngPlan *eng_plan_gguf(const EngGguf *gguf, const EngPlanSettings *settings,
                       const EngVramLeft *left, EngError *err);

/* For this machine as it is without `gone` (or NULL). */
EngPlan *eng_plan_instead(const EngGguf *gguf, const EngPlanSettings *settings,
                          const EngModel *gone, EngError *err);

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
