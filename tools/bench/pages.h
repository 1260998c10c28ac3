/* SPDX-License-Identifier: MIT */
/* Memory as the read strategy has it, for the raw calls: private, in 2 MiB pages. */
#ifndef TRESOR_BENCH_PAGES_H
#define TRESOR_BENCH_PAGES_H

#include <stddef.h>

enum {
    HUGE_PAGE_BYTES = 2 * 1024 * 1024
};

struct pages {
    char *bytes; /* aligned to HUGE_PAGE_BYTES */
    size_t size_bytes;
    void *range;
    size_t range_bytes;
};

void pages_reserve(struct pages *pages, size_t size_bytes);
void pages_populate(const struct pages *pages);
void pages_release(struct pages *pages);

#endif
