/* A session that writes `max_tokens` of random weights' nonsense, always the same for a seed. */
#ifndef TEST_MODEL_SESSIONS_H
#define TEST_MODEL_SESSIONS_H

#include "engine.h"
#include "test.h"

static EngSession *open_session(EngModel *m, int context, int max_tokens, uint64_t seed)
{
    EngError err = {0};
    EngSessionSettings set = {.context = context, .kv = ENG_KV_F16};
    EngSession *s = eng_session_new(m, &set, &err);
    CHECK_MSG(s, "%s", err.message);
    EngSampling sampling = eng_sampling_defaults();
    sampling.seed = seed;
    sampling.max_tokens = max_tokens;
    sampling.temperature = 1.5f; /* far from greedy: a wrong probability would show */
    CHECK_MSG(eng_session_sampler(s, &sampling, &err), "%s", err.message);
    return s;
}

#endif
