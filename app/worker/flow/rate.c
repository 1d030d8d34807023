#include "worker/flow/rate.h"

#include <string.h>

bool hearth_rate_add(HearthRate *rate, double time, int tokens)
{
    const int most = HEARTH_RATE_HZ + 1;
    if (rate->n > 0 && time - rate->time[rate->n - 1] < 1.0 / HEARTH_RATE_HZ) return false;
    if (rate->n == most) {
        rate->n--;
        memmove(rate->time, rate->time + 1, (size_t)rate->n * sizeof *rate->time);
        memmove(rate->tokens, rate->tokens + 1, (size_t)rate->n * sizeof *rate->tokens);
    }
    rate->time[rate->n] = time;
    rate->tokens[rate->n] = tokens;
    rate->n++;
    return true;
}

double hearth_rate_get(const HearthRate *rate)
{
    int last = rate->n - 1;
    double seconds = last > 0 ? rate->time[last] - rate->time[0] : 0;
    return seconds > 0 ? (rate->tokens[last] - rate->tokens[0]) / seconds : 0;
}
