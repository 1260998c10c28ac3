/* SPDX-License-Identifier: MIT */
/*
 * Pages that have lost their last user serve the next tensor: those of a spent extent are moved to a wanted one's place,
 * and are then neither given back nor zeroed and faulted again. Moving 64 MiB as whole huge pages takes a hundredth of the
 * time that filling fresh pages does. Where neither place has whole ones, small pages are moved, of one interval to
 * another: the slices of experts are seldom longer than two huge pages, and seldom begin with one.
 *
 * A move works on one map of the kernel's at a time, so the ledger keeps where one may end: its seams.
 */
#ifndef TRESOR_IO_EXCHANGE_H
#define TRESOR_IO_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/ledger.h"

/** What is moved: huge pages of a spent place, one seamless run after the other, to the first of a wanted one's; or the
 * small pages of an interval, in one move. */
struct tresor__exchange {
    bool is_on;
    bool is_small;
    uint64_t from; /* what the spent place still has to give, and the wanted one to take; offsets in the file */
    uint64_t from_end;
    uint64_t to;
    uint64_t to_end;
    uint64_t length; /* of the move that is asked for, from `from` to `to` */
};

/** The first spent pages could serve what is wanted next, within the room that they leave. Pure. */
bool tresor__exchange_is_possible(const struct tresor__ledger *ledger);

/**
 * Take both, which are there: `wanted` to be filled, `spent` to be released when its pages have moved. Until then both
 * together count as the larger of the two, which is what they can have. The first run is chosen.
 */
struct tresor__exchange tresor__exchange_take(struct tresor__ledger *ledger, struct tresor__extent *wanted,
                                              struct tresor__extent *spent);

/** The run was moved: choose the next one. False where there is none, or maps run out. */
bool tresor__exchange_next(struct tresor__ledger *ledger, struct tresor__exchange *exchange);

/** Whether there is another run behind the one that is asked for. Pure. */
bool tresor__exchange_has_next(const struct tresor__ledger *ledger, const struct tresor__exchange *exchange);

/** A move failed: what lies in the wanted extent may be of several maps. */
void tresor__exchange_forget(struct tresor__ledger *ledger, struct tresor__extent wanted);

/** The spent extent was released, so each counts as itself. */
void tresor__exchange_settle(struct tresor__ledger *ledger);

/** The wanted extent could not be mapped and is no longer taken: the spent one counts as itself again. */
void tresor__exchange_call_off(struct tresor__ledger *ledger, struct tresor__extent spent);

/** The spent extent will not be released, so there is no room for the wanted one, of which nothing has begun: it is put
 * back, and its pages count as those of the spent one until they are gone. */
void tresor__exchange_undo(struct tresor__ledger *ledger, struct tresor__extent wanted,
                           struct tresor__extent spent);

#endif
