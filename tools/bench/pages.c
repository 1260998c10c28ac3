/* SPDX-License-Identifier: MIT */
#include "pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "measure.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

void pages_reserve(struct pages *pages, size_t size_bytes)
{
    pages->size_bytes = size_bytes;
    pages->range_bytes = size_bytes + HUGE_PAGE_BYTES;
    pages->range = mmap(NULL, pages->range_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages->range == MAP_FAILED)
        give_up("no room for %zu bytes", size_bytes);
    pages->bytes =
        (char *)pages->range + HUGE_PAGE_BYTES - (uintptr_t)pages->range % HUGE_PAGE_BYTES;
    madvise(pages->bytes, pages->size_bytes, MADV_HUGEPAGE);
}

void pages_populate(const struct pages *pages)
{
    if (madvise(pages->bytes, pages->size_bytes, MADV_POPULATE_WRITE) != 0)
        give_up("the raw populate failed");
}

void pages_release(struct pages *pages)
{
    munmap(pages->range, pages->range_bytes);
}
