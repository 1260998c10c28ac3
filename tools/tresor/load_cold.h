/* SPDX-License-Identifier: MIT */
#ifndef TOOL_LOAD_COLD_H
#define TOOL_LOAD_COLD_H

#include "opened.h"
#include "page_cache.h"

/**
 * Take every file of a model out of the page cache. What stays, and what the system will not tell,
 * is a warning on stderr. The sums of all files are in `left`.
 */
void load_evict_files(const struct opened *opened, struct page_cache_count *left);

#endif
