/* The states of an answer, from the question to its end: what the worker reports, the store keeps
 * and the window shows. The numbers are stored; never renumber. */
#ifndef HEARTH_STATE_H
#define HEARTH_STATE_H

#include <stdbool.h>

typedef enum {
    /* still running */
    HEARTH_STATE_QUEUED = 0,    /* another answer is being written first */
    HEARTH_STATE_LOADING = 1,   /* waits for the model */
    HEARTH_STATE_READING = 2,   /* prefill: n of m prompt tokens */
    HEARTH_STATE_THINKING = 3,  /* between <think> and </think> */
    HEARTH_STATE_ANSWERING = 4, /* the answer's text comes */
    /* at its end */
    HEARTH_STATE_DONE = 10,         /* the model ended it; also every user message */
    HEARTH_STATE_STOPPED = 11,      /* by the person */
    HEARTH_STATE_LENGTH = 12,       /* at the largest number of tokens that was asked for */
    HEARTH_STATE_CONTEXT_FULL = 13, /* no room for the prompt, or for more of the answer */
    HEARTH_STATE_FAILED = 14,       /* the message's `error` says why */
    HEARTH_STATE_INTERRUPTED = 15 /* the program ended in mid-answer; found so at the next start */
} HearthState;

static inline bool hearth_state_is_running(HearthState state) { return state < HEARTH_STATE_DONE; }

/* Of one answer. Seconds of engine time; rates are tokens / seconds. */
typedef struct {
    int prompt_tokens, reused_tokens; /* reused: found in the KV cache */
    int tokens;                       /* generated, thinking included */
    double prefill_s, decode_s;
    double first_token_s; /* from the question to the first token */
    double thinking_s;    /* wall clock between <think> and </think>; 0 = did not think */
} HearthStats;

#endif
