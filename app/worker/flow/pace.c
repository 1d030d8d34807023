#include "worker/flow/pace.h"

enum { FEWEST = 32, MOST = 512 };

#define SHORT 1.0 /* second: often enough */
#define GAIN 1.08 /* of a doubling that pays */

void hearth_pace_init(HearthPace *pace) { *pace = (HearthPace){.chunk = FEWEST}; }

void hearth_pace_measure(HearthPace *pace, int tokens, double seconds)
{
    if (tokens < pace->chunk || seconds <= 0) return; /* the prompt's last, smaller piece */
    double speed = tokens / seconds;
    if (seconds < SHORT) {
        pace->settled = false;
    } else if (!pace->settled && pace->speed > 0 && speed < pace->speed * GAIN) {
        pace->settled = true;
        if (pace->chunk > FEWEST) pace->chunk /= 2;
    }
    if (!pace->settled && pace->chunk < MOST) pace->chunk *= 2;
    pace->speed = speed;
}
