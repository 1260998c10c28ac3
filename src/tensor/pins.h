/* SPDX-License-Identifier: MIT */
/*
 * What acquire and release touch, from any thread: one word a piece, which says whose piece it is (the source's
 * generation), whether it is open, and how many users it has; and beside it when it was acquired last. The words of a
 * slot stay for as long as its context, so that a stale handle finds valid memory and no right to it. Only the context's
 * thread opens, seals and closes.
 *
 * Groups and whole sources are lists in the source's own memory: who reads one goes through the slot's gate, which keeps
 * a closing source until all have left.
 */
#ifndef TRESOR_TENSOR_PINS_H
#define TRESOR_TENSOR_PINS_H

#include "tensor/slot.h"

struct tresor__pin {
    _Atomic uint64_t word;
    _Atomic uint64_t record; /* the clock when it was acquired last, and how often it was; see below */
};

/** The words of a slot's pieces. A smaller one that it took the place of stays, for who is just looking at it. */
struct tresor__pins {
    struct tresor__pins *older;
    uint32_t capacity;
    struct tresor__pin pins[];
};

/** What the acquires of a context count. Threads share the clock, so nothing else is in its cache line. */
struct tresor__acquires {
    uint8_t before[64];
    _Atomic uint64_t clock; /* uses so far */
    uint8_t behind[64];
    _Atomic uint64_t misses; /* that were not in memory, each counted once until it is loaded next */
    _Atomic uint64_t late;   /* the same of those that were being loaded */
};

/* --- the context's thread, and the worker that makes or frees the source --- */

/**
 * Words for a source of `count` pieces of the slot's generation, none of them open. TRESOR_OK or NO_MEMORY, which leaves
 * none.
 */
int32_t tresor__pins_start(struct tresor__slot *slot, const struct tresor_allocator *allocator,
                           uint32_t count);

/**
 * The same source with `count` pieces, not fewer than before; stamps and misses stay. TRESOR_OK, or BUSY (something of the
 * source is in memory or on its way, or has a user) or NO_MEMORY, which change nothing.
 */
int32_t tresor__pins_extend(struct tresor__slot *slot, const struct tresor_allocator *allocator,
                            uint32_t count);

/** The source is gone: its words are nobody's. */
void tresor__pins_clear(struct tresor__slot *slot);

/** All memory, at the context's end. */
void tresor__pins_free(struct tresor__slot *slot, const struct tresor_allocator *allocator);

/** Slices stand for the piece from now on: who acquires it by itself is answered UNSUPPORTED. It is absent. */
void tresor__pins_split(struct tresor__slot *slot, uint32_t piece);

/** The piece is in memory: it may be acquired. */
void tresor__pins_open(struct tresor__slot *slot, uint32_t piece);

/** Whether its load is under way, for what a miss counts as. */
void tresor__pins_set_coming(struct tresor__slot *slot, uint32_t piece, bool is_coming);

/** Bytes of the piece were lost: who acquires it is answered POISONED, and so is who releases it, until it was sealed. */
void tresor__pins_poison(struct tresor__slot *slot, uint32_t piece);

/** Close the piece to new users if it has none; false where it has. */
bool tresor__pins_seal(struct tresor__slot *slot, uint32_t piece);

/**
 * Whether the piece has users. Then whoever releases it last tells the context, once: see tresor__pins_finish. So a look
 * that finds users is always followed by word of their end.
 */
bool tresor__pins_await(struct tresor__slot *slot, uint32_t piece);

/**
 * Who next acquires the piece tells the context when its last user leaves, and so do users that it has. Whether it has
 * any.
 */
bool tresor__pins_watch(struct tresor__slot *slot, uint32_t piece);

enum {
    TRESOR__STAMP_SHIFT = 16, /* of the clock in a record */
};

/** The clock when the piece was acquired last, 0: never; below it the lowest bits of how often it was, as far as threads that do so at
 * the same moment do not count as one. */
uint64_t tresor__pins_record(const struct tresor__slot *slot, uint32_t piece);

/** The clock of a record. */
static inline uint64_t tresor__pins_stamp(const struct tresor__slot *slot, uint32_t piece)
{
    return tresor__pins_record(slot, piece) >> TRESOR__STAMP_SHIFT;
}

/** A use that is no acquire: the clock's next value. */
static inline uint64_t tresor__acquires_tick(struct tresor__acquires *acquires)
{
    return atomic_fetch_add_explicit(&acquires->clock, 1, memory_order_relaxed) + 1;
}

/** The source takes no new users; who has acquired something may release it. */
void tresor__pins_close(struct tresor__slot *slot);

/** Users of all pieces together, and threads that are about to say that they were the last. */
uint64_t tresor__pins_users(const struct tresor__slot *slot);

/** Pieces of a closing source that have users. */
uint32_t tresor__pins_held(const struct tresor__slot *slot);

/* --- any thread --- */

/**
 * Acquire or release all, or none, of `count` pieces of the source of that generation, `list` NULL meaning 0 to count -
 * 1. Each that is acquired is stamped, in their order; the first that is absent is counted. A release that answers POISONED
 * is done all the same. Where somebody waits for what
 * was released, also by an acquire that gave up, `*is_awaited` is set, and tresor__pins_finish is due.
 */
int32_t tresor__pins_acquire(struct tresor__slot *slot, uint32_t generation, const uint32_t *list,
                             uint32_t count, struct tresor__acquires *acquires, bool *is_awaited);
int32_t tresor__pins_release(struct tresor__slot *slot, uint32_t generation, const uint32_t *list,
                             uint32_t count, bool *is_awaited);

/** The same for one piece, by the shortest way. */
int32_t tresor__pins_acquire_one(struct tresor__slot *slot, uint32_t generation, uint32_t piece,
                                 struct tresor__acquires *acquires);
int32_t tresor__pins_release_one(struct tresor__slot *slot, uint32_t generation, uint32_t piece,
                                 bool *is_awaited);

/** The same as to acquire, but it is no use of the piece. */
int32_t tresor__pins_hold_one(struct tresor__slot *slot, uint32_t generation, uint32_t piece,
                              struct tresor__acquires *acquires);

enum {
    TRESOR__PINS_RELEASED = 1, /* the last user of a piece that is awaited has left */
    TRESOR__PINS_QUIET = 2,    /* the last user of a closing source has */
};

/** What the context is to be told of, of the pieces that were released. The context stays until this was called. */
uint32_t tresor__pins_finish(struct tresor__slot *slot, const uint32_t *list, uint32_t count);

/** The gate of a source that is open, with nobody inside; of one that takes no more acquires; and of one that is gone:
 * false while somebody is inside. The context's thread. */
void tresor__gate_open(struct tresor__slot *slot);
void tresor__gate_close(struct tresor__slot *slot);
bool tresor__gate_shut(struct tresor__slot *slot);
/** Let nobody in for a moment, while what items stand for changes; false where somebody is. What such a source has is
 * absent, so that is what who comes is told. */
bool tresor__gate_pause(struct tresor__slot *slot);
void tresor__gate_resume(struct tresor__slot *slot);
uint32_t tresor__gate_users(const struct tresor__slot *slot);

/** Go in, to acquire or to release: TRESOR_OK, STALE, or NOT_RESIDENT while it is paused. Each entering is undone by a leaving. */
int32_t tresor__gate_enter(struct tresor__slot *slot, uint32_t generation, bool releases);

/**
 * True where this was the last one inside of a source that is closing: its context is to be woken, and `wakers`, which was
 * raised before, to be lowered after that.
 */
bool tresor__gate_leave(struct tresor__slot *slot, _Atomic uint32_t *wakers);

#endif
