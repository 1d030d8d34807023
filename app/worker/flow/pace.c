#include "worker/flow/pace.h"

#include <glib.h>

enum { FEWEST = 32 };

#define SHORT 1.0 /* second: often enough */
#define GAIN 1.08 /* of a doubling that pays */

void hearth_pace_init(HearthPace *pace, int most)
{
    *pace = (HearthPace){.chunk = MIN(FEWEST, most), .most = most};
}

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
    if (!pace->settled) pace->chunk = MIN(2 * pace->chunk, pace->most);
    pace->speed = speed;
}
