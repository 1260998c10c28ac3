/* SPDX-License-Identifier: MIT */
/*
 * Walking an extent piece by piece, and releasing one: what the mmap and the read strategy have in
 * common. The two differ in what they put at a place of the window and in how they fill it.
 */
#ifndef TRESOR_IO_EXTENT_H
#define TRESOR_IO_EXTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/fsm.h"
#include "io/ledger.h"

enum {
    TRESOR__RETRIES_MAX = 16, /* of one effect that was interrupted, before it counts as failed */
};

/** An extent in hand and how far it was walked. */
struct tresor__extent_walk {
    struct tresor__extent extent; /* first == last: none in hand */
    uint32_t interval;            /* that `offset` is in */
    uint32_t retries;
    uint64_t offset; /* the next byte to fill */
    uint64_t length; /* of the chunk that is being filled */
};

/** The effect was interrupted and may be asked again. */
bool tresor__may_retry(uint32_t retries, int32_t os_errno);

/** Take the next wanted extent of the ledger in hand; there is one. */
void tresor__extent_take(struct tresor__ledger *ledger, enum tresor__backing backing,
                         struct tresor__extent_walk *walk);

/** Something more urgent could come first, for some intervals of the extent have not begun. Pure.
 */
bool tresor__extent_is_overtaken(const struct tresor__ledger *ledger, enum tresor__backing backing,
                                 const struct tresor__extent_walk *walk);

/** Put back what has not begun, so that the extent in hand is only what has. */
void tresor__extent_put_back(struct tresor__ledger *ledger, struct tresor__extent_walk *walk);

/** Some interval of the extent from `offset` on still has users. Pure. */
bool tresor__extent_has_more(const struct tresor__ledger *ledger,
                             const struct tresor__extent_walk *walk);

/** Something is left, and the next chunk, as chosen below, is all of it, wanted as a whole. Pure.
 */
bool tresor__extent_reaches_end(const struct tresor__ledger *ledger,
                                const struct tresor__extent_walk *walk, uint64_t limit_bytes);

/** Choose the next chunk: pass over what has no users, then up to `limit_bytes`, ending at a
 * multiple of it. */
void tresor__extent_next(struct tresor__ledger *ledger, struct tresor__extent_walk *walk,
                         uint64_t limit_bytes);

/** How far what is wanted goes on behind the chunk, and not past `limit`. Pure. */
uint64_t tresor__extent_wanted_until(const struct tresor__ledger *ledger,
                                     const struct tresor__extent_walk *walk, uint64_t limit);

/** Go past the chunk. */
void tresor__extent_advance(const struct tresor__ledger *ledger, struct tresor__extent_walk *walk);

/** Give up what is left of the extent and put it out of hand. */
void tresor__extent_leave(struct tresor__ledger *ledger, struct tresor__extent_walk *walk);

#endif
