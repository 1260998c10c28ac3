/* SPDX-License-Identifier: MIT */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "human.h"

#define INTERVAL_NS 100000000
#define BAR_COLUMNS 30

void progress_begin(struct progress *progress, uint64_t total_bytes)
{
    *progress = (struct progress){
        .wanted = isatty(STDERR_FILENO) == 1,
        .total_bytes = total_bytes,
        .next_ns = clock_ns() + INTERVAL_NS, /* what is that quick needs no bar */
    };
}

bool progress_due(const struct progress *progress)
{
    return progress->wanted && progress->total_bytes > 0 && clock_ns() >= progress->next_ns;
}

void progress_draw(struct progress *progress, uint64_t done_bytes)
{
    static const char full[] = "##############################";
    /* Pages reach past the tensors that they hold. */
    if (done_bytes > progress->total_bytes)
        done_bytes = progress->total_bytes;
    const double share = (double)done_bytes / (double)progress->total_bytes;
    const int columns = (int)(share * BAR_COLUMNS);
    fprintf(stderr, "\r[%.*s%*s] %3d%%  %s of %s\033[K", columns, full, BAR_COLUMNS - columns, "",
            (int)(share * 100), human_size(done_bytes).text,
            human_size(progress->total_bytes).text);
    progress->drawn = true;
    progress->next_ns = clock_ns() + INTERVAL_NS;
}

void progress_erase(struct progress *progress)
{
    if (progress->drawn)
        fputs("\r\033[K", stderr);
    progress->drawn = false;
}
