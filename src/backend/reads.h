/* SPDX-License-Identifier: MIT */
/* Reads that wait for a ring, in the order of their submit, and those that are on it. No system call. */
#ifndef TRESOR_BACKEND_READS_H
#define TRESOR_BACKEND_READS_H

#include "core/effect.h"
#include "platform/sys.h"

/** One read; its index is its tag. */
struct tresor__read_place {
    struct tresor__effect effect;
    uint32_t next;   /* in the queue, or among those that are free */
    bool is_on_ring;
    bool is_to_cancel; /* on the ring, which has not been told yet */
};

struct tresor__reads {
    struct tresor__read_place *places;
    uint32_t capacity;
    uint32_t free;
    uint32_t head; /* of the queue */
    uint32_t tail;
    uint32_t waiting;
    uint32_t on_ring;
    uint32_t to_cancel;
};

/** Empty, over memory of the caller's. */
void tresor__reads_init(struct tresor__reads *reads, struct tresor__read_place *places,
                        uint32_t capacity);

/** To the end of the queue; there is room. */
void tresor__reads_add(struct tresor__reads *reads, const struct tresor__effect *effect);

enum tresor__reads_found {
    TRESOR__READS_NONE,
    TRESOR__READS_TAKEN,   /* it waited, and is `*effect` now */
    TRESOR__READS_ON_RING, /* the ring is told with the next entries */
};

/** Look for the read that a CANCEL means. */
enum tresor__reads_found tresor__reads_cancel(struct tresor__reads *reads,
                                              const struct tresor__effect *cancel,
                                              struct tresor__effect *effect);

/** What to ask the ring now: cancels, then at most `reads_max` reads. How many entries. */
uint32_t tresor__reads_fill(const struct tresor__reads *reads, uint32_t reads_max,
                            struct tresor__sys_ring_entry *entries, uint32_t limit);

/** The ring has taken the first `count` of these entries. How many of them are reads. */
uint32_t tresor__reads_start(struct tresor__reads *reads,
                             const struct tresor__sys_ring_entry *entries, uint32_t count);

/** The read of that tag has left the ring. */
void tresor__reads_end(struct tresor__reads *reads, uint64_t tag, struct tresor__effect *effect);

/** Take any out, those on the ring first; false if there are none. */
bool tresor__reads_take(struct tresor__reads *reads, struct tresor__effect *effect);

#endif
