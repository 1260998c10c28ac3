/* SPDX-License-Identifier: MIT */
/* A bar on the terminal that is gone when the work is done; nothing where stderr is no terminal. */
#ifndef TOOL_PROGRESS_H
#define TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool wanted;
    bool drawn;
    uint64_t total_bytes;
    uint64_t next_ns; /* when it may be drawn again */
};

void progress_begin(struct progress *progress, uint64_t total_bytes);

/** Whether it is time to draw. */
bool progress_due(const struct progress *progress);

void progress_draw(struct progress *progress, uint64_t done_bytes);

/** Take the bar away, before another line is printed or at the end. */
void progress_erase(struct progress *progress);

#endif
