/* SPDX-License-Identifier: MIT */
/* The raw loop that direct reads are held against: io_uring and O_DIRECT, nothing else. */
#ifndef TRESOR_BENCH_RING_H
#define TRESOR_BENCH_RING_H

#include <stdint.h>

#include "pages.h"

struct ring_shape {
    size_t block_bytes;
    unsigned depth; /* reads in flight */
};

/** Read the file, as much as fits the pages, from its begin to its end. Seconds, without opening
 * and setting up. */
double ring_read(const char *path, const struct pages *pages, struct ring_shape shape);

/** Try shapes from 256 KiB to 4 MiB and from 1 to 32 in flight on the file's beginning, print and
 * return the best. */
struct ring_shape ring_find_best(const char *path, const struct pages *pages);

#endif
