/* SPDX-License-Identifier: MIT */
/* A file without a page in the cache, on a device whose readahead is known or set. */
#ifndef TRESOR_BENCH_COLD_H
#define TRESOR_BENCH_COLD_H

#include <stdbool.h>
#include <stdint.h>

/** Write back and evict every page of the file, and look; gives up where pages stay, as those that someone maps do. */
void cold_evict(const char *path);

/** The bytes of the file that are in the page cache; gives up where nothing can be known. */
uint64_t cold_cached_bytes(const char *path);

/** What the device of the file reads ahead, for files opened from now on; false where it cannot be known. */
bool readahead_get(const char *path, uint64_t *bytes);

/**
 * Set it, a multiple of 1 KiB; false where that is not allowed. One device at a time. Open descriptors keep the
 * readahead they were opened with until they are advised again. Set back by readahead_restore, by exit, and by the
 * signals that usually end a program.
 */
bool readahead_set(const char *path, uint64_t bytes);
void readahead_restore(void);

#endif
