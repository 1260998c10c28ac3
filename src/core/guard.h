/* SPDX-License-Identifier: MIT */
/*
 * What the guard against SIGBUS shares with a context: addresses in which a fault is contained, and which of their pages were
 * replaced by zeros. A signal handler on any thread writes it, so all that it touches is atomic.
 *
 * A page that is about to be replaced is marked, and counted as a hit, before and again behind that: whoever finds zeros finds
 * a mark, and a mark that the context's thread took away while a handler was slow comes back.
 */
#ifndef TRESOR_CORE_GUARD_H
#define TRESOR_CORE_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/** One a context. */
struct tresor__guard_alarm {
    _Atomic uint32_t hits; /* pages replaced, counted twice each; modulo 2^32 */
    _Atomic uint32_t told; /* of the hits, those that the context has heard of; its own thread's */
    int bell;              /* the descriptor to ring */
};

/** One a window. Its owner's memory; while it is guarded only what is atomic may change. */
struct tresor__guard_range {
    struct tresor__guard_range *_Atomic next; /* the registry's */
    bool is_guarded;                          /* it is in the registry */
    uintptr_t start;
    uint64_t length_bytes; /* a multiple of the page; 0: nobody guards it */
    uint64_t page_bytes;
    uint64_t file_bytes; /* of the file when it was opened */
    uint64_t offset_bytes; /* of the range in the file that is open */
    int descriptor; /* of the file, which is asked for its size at a fault */
    struct tresor__guard_alarm *alarm;
    _Atomic uint64_t size_bytes; /* of the file at the last fault; UINT64_MAX: not known */
    _Atomic uint32_t hits;       /* of the alarm's, those of this range */
    uint32_t told;               /* of them, those that were told; the context's thread's */
    _Atomic uint64_t *replaced;  /* a bit a page, since it was mapped last */
    uint64_t *heard;             /* of these, those that were told; the context's thread's */
};

/** Neighbouring pages that were replaced. */
struct tresor__guard_run {
    uint32_t first; /* page of the file */
    uint32_t count;
    bool is_truncated; /* the file has become shorter and ends before or in them; else they could not be read */
};

enum {
    TRESOR__GUARD_RUN_MAX = 512, /* pages of one run */
};

/** Words of each of a range's two bit sets. */
static inline uint64_t tresor__guard_words(uint64_t length_bytes, uint64_t page_bytes)
{
    return (length_bytes / page_bytes + 63) / 64;
}

/** A page was, or will be, replaced. From a signal handler, on any thread. */
static inline void tresor__guard_mark(struct tresor__guard_range *range, uint64_t page)
{
    atomic_fetch_or(&range->replaced[page / 64], UINT64_C(1) << page % 64);
    atomic_fetch_add(&range->hits, 1);
    atomic_fetch_add(&range->alarm->hits, 1);
}

/** The same of what is behind the end of a file that has become shorter, in the page where it ends now, for that page has
 * zeros there and makes no fault. */
static inline void tresor__guard_mark_end(struct tresor__guard_range *range, uint64_t size_bytes)
{
    if (size_bytes < range->file_bytes && size_bytes % range->page_bytes != 0)
        tresor__guard_mark(range, size_bytes / range->page_bytes);
}

/** The context has something to hear. Any thread. */
static inline bool tresor__guard_is_hit(const struct tresor__guard_alarm *alarm)
{
    return atomic_load(&alarm->hits) != atomic_load(&alarm->told);
}

/** Some page of [offset, offset + length) was replaced. Any thread. */
bool tresor__guard_is_replaced(const struct tresor__guard_range *range, uint64_t offset, uint64_t length);

/** Pages of [offset, offset + length) are about to be mapped anew, with nobody who has a right to them. The context's thread. */
void tresor__guard_renew(struct tresor__guard_range *range, uint64_t offset, uint64_t length);

/** The next run that was not told, from `page` on, which is so now; false where there is none. The context's thread. */
bool tresor__guard_next(struct tresor__guard_range *range, uint64_t page, struct tresor__guard_run *run);

/** A run as the value of a completion. */
static inline int64_t tresor__guard_value(const struct tresor__guard_run *run)
{
    return (int64_t)((uint64_t)run->first << 16 | (uint64_t)run->count << 1 | run->is_truncated);
}

static inline struct tresor__guard_run tresor__guard_run_of(int64_t value)
{
    return (struct tresor__guard_run){.first = (uint32_t)((uint64_t)value >> 16),
                                      .count = (uint32_t)(value >> 1 & 0x7fff),
                                      .is_truncated = value & 1};
}

#endif
