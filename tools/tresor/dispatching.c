/* SPDX-License-Identifier: MIT */
#include "dispatching.h"

#include "clock.h"

struct dispatch_start dispatch_times_start(void)
{
    const uint64_t processor_ns = clock_of_ns(CLOCK_THREAD_CPUTIME_ID);
    return (struct dispatch_start){.wall_ns = clock_ns(), .processor_ns = processor_ns};
}

void dispatch_times_add(struct dispatch_times *times, const struct dispatch_start *start)
{
    latencies_add(&times->wall, clock_ns() - start->wall_ns);
    latencies_add(&times->processor, clock_of_ns(CLOCK_THREAD_CPUTIME_ID) - start->processor_ns);
}
