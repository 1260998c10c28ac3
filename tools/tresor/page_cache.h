/* SPDX-License-Identifier: MIT */
/* What of a file is in the page cache, and taking it out. */
#ifndef TOOL_PAGE_CACHE_H
#define TOOL_PAGE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct page_cache_count {
    uint64_t pages;          /* of the whole file */
    uint64_t resident_pages; /* of them in the cache; meaningless unless is_known */
    bool is_known;           /* the system tells owners, and those who may write the file */
};

/** Count the pages of a file. 0 or an errno. */
int page_cache_count(int descriptor, struct page_cache_count *count);

/**
 * Write back what is dirty, take every page out of the cache, and count what stays: pages that
 * someone maps or locks, and all of a file that lives in memory. 0 or an errno.
 */
int page_cache_evict(int descriptor, struct page_cache_count *left);

#endif
