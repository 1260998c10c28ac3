/* SPDX-License-Identifier: MIT */
/* What the rows of the faulty table share. */
#ifndef TEST_SUPPORT_FAULTY_INNER_H
#define TEST_SUPPORT_FAULTY_INNER_H

#include "support/faulty_sys.h"

enum faulty_verdict {
    FAULTY_CARRY_OUT,
    FAULTY_FAIL,
    FAULTY_LOSE,
};

/** Counts the call and decides on it; `*result` is what it answers if it is not carried out. */
enum faulty_verdict faulty_decide(struct faulty_sys *faulty, struct faulty_call *call,
                                  int64_t *result);

/** Keep what is wrong, if it is the first. */
void faulty_violate(struct faulty_sys *faulty, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The pages that the kernel takes for [address, address + length). */
struct range faulty_pages_of(const struct faulty_sys *faulty, const void *address, size_t length);

void faulty_need_open(struct faulty_sys *faulty, enum faulty_row row, int descriptor);
void faulty_need_mapped(struct faulty_sys *faulty, enum faulty_row row, struct range range);

/** How much of a read is made. */
size_t faulty_shorten(struct faulty_sys *faulty, size_t length);

struct faulty_sys *faulty_enter(void *cookie);
void faulty_leave(struct faulty_sys **faulty);

/* Until the row returns. */
#define FAULTY_ENTER(faulty, cookie)                                                               \
    struct faulty_sys *faulty __attribute__((cleanup(faulty_leave))) = faulty_enter(cookie)

/* --- faulty_ring.c: the rows of rings --- */

int64_t faulty_ring_init(void *cookie, const struct tresor_allocator *allocator, uint32_t entries,
                         int bell, struct tresor__sys_ring **ring);
int64_t faulty_ring_submit(void *cookie, struct tresor__sys_ring *ring,
                           const struct tresor__sys_ring_entry *entries, uint32_t count);
int64_t faulty_ring_reap(void *cookie, struct tresor__sys_ring *ring,
                         struct tresor__sys_ring_result *results, uint32_t limit);
int64_t faulty_ring_close(void *cookie, struct tresor__sys_ring *ring);

/** No ring reads from the descriptor, or to the range. */
void faulty_ring_need_none_of(struct faulty_sys *faulty, int descriptor);
void faulty_ring_need_none_in(struct faulty_sys *faulty, enum faulty_row row, struct range range);

#endif
