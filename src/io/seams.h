/* SPDX-License-Identifier: MIT */
/*
 * Where a map of the kernel's may end, in a file's window: two bits a huge page, one for its start and one for any place
 * within. More seams may be noted than there are, but never fewer where pages are moved.
 */
#ifndef TRESOR_IO_SEAMS_H
#define TRESOR_IO_SEAMS_H

#include <stdbool.h>
#include <stdint.h>

struct tresor__ledger;
struct tresor__extent;

#define TRESOR__HUGE_PAGE_BYTES (UINT64_C(2) << 20)

/** Less than that is short: it may hold no whole huge page, or one. */
#define TRESOR__SMALL_BYTES (2 * TRESOR__HUGE_PAGE_BYTES)

/** Members that the set of a window has; 0 where it is too large to be kept. */
uint32_t tresor__seams_size(uint64_t window_bytes);

/** [start, end) is mapped, by a map of its own; with `kept` over the maps that were there. */
void tresor__seams_map(struct tresor__ledger *ledger, uint64_t start, uint64_t end, bool kept);

/** An extent's map is gone, or with `kept` was not made over those that were there; what is beside it may still end here. */
void tresor__seams_unmap(struct tresor__ledger *ledger, struct tresor__extent extent, bool kept);

/** The end of the seamless run of huge pages that begins at `start`, at most `end`; `start` itself where its huge page
 * has a seam. Both are whole huge pages. Pure. */
uint64_t tresor__seams_run_end(const struct tresor__ledger *ledger, uint64_t start, uint64_t end);

#endif
