/* SPDX-License-Identifier: MIT */
#include "dispatching.h"

#include "clock.h"

int32_t dispatch_timed(const struct opened *opened, struct dispatch_times *times)
{
    if (!times)
        return calls_dispatch(opened);
    const uint64_t processor_before_ns = clock_of_ns(CLOCK_THREAD_CPUTIME_ID);
    const uint64_t before_ns = clock_ns();
    const int32_t more = calls_dispatch(opened);
    latencies_add(&times->wall, clock_ns() - before_ns);
    latencies_add(&times->processor,
                  clock_of_ns(CLOCK_THREAD_CPUTIME_ID) - processor_before_ns);
    return more;
}
