/* SPDX-License-Identifier: MIT */
/*
 * The budget: which pieces may be claimed, in what order, and who goes for them. What is committed (see io/ledger.h) never
 * exceeds it, so what waits to be filled finds room as soon as what has left is unmapped. A piece that is asked to go may be in use by
 * then, or have been used lately: the answer to its sealing says so, and is all that the budget learns of its use.
 */
#ifndef TRESOR_TENSOR_BUDGET_H
#define TRESOR_TENSOR_BUDGET_H

#include "tensor/piece.h"

struct tresor__controller;
struct tresor__slot;
struct tresor__request;

struct tresor__room_queue {
    uint64_t head; /* TRESOR__NOBODY: empty */
    uint64_t tail;
};

struct tresor__budget {
    uint64_t budget_bytes; /* 0: none */
    uint32_t policy;       /* enum tresor_policy, not DEFAULT */
    bool is_due;           /* something has changed that those who await room may wait for */
    bool awaits_turns;     /* nobody is refused before what is due has had its turn */
    uint64_t leaked_bytes; /* that the last look found */
    struct tresor__room_queue awaiting[TRESOR__URGENCY_COUNT];
    uint32_t loading;       /* pieces that are claimed and not filled */
    uint32_t swapping;      /* pieces whose pages move */
    uint32_t round;         /* of looking at what is in use; what was found so is passed over in the same one */
    uint32_t request;       /* the BUDGET under way, or TRESOR_NONE */
    uint64_t ticks;         /* of the clock of uses, by LOADs */
    uint64_t evicted;       /* pieces that went for others */
    uint64_t wasted;        /* of them, those that were brought in ahead of a use that never was */
};

void tresor__budget_init(struct tresor__controller *controller, uint64_t budget_bytes,
                         uint32_t policy);

/** What may be committed now; UINT64_MAX where there is no budget. */
uint64_t tresor__budget_limit(const struct tresor__controller *controller);

/** The same when no swap needs room for what moves. */
uint64_t tresor__budget_most(const struct tresor__controller *controller);

/** Set the budget; `request` is its BUDGET request, or TRESOR_NONE. */
void tresor__budget_set(struct tresor__controller *controller, uint64_t budget_bytes,
                        uint32_t request);

/** Look at those who await room, once: admit, refuse, and ask others to go. Only where it is due. */
void tresor__budget_run(struct tresor__controller *controller);

/** Whether what the piece's request needs at a time has become more than the whole budget: a LOAD's tensors, or a plan's step. */
bool tresor__budget_is_too_big(struct tresor__controller *controller,
                               struct tresor__request *request, const struct tresor__piece *piece);

/** Whether something waits for room that a user on another thread may leave. O(pieces). */
bool tresor__budget_awaits_users(const struct tresor__controller *controller);

/** Whether something waits for room. */
bool tresor__budget_is_awaited(const struct tresor__controller *controller);

/** End the BUDGET under way if what it asked for is so, or cannot become so. */
void tresor__budget_settle(struct tresor__controller *controller);
void tresor__budget_cancel(struct tresor__controller *controller, uint32_t request);

/** What tensors' machines say. */
void tresor__budget_ask(struct tresor__controller *controller, struct tresor__piece *piece);
void tresor__budget_withdraw(struct tresor__controller *controller, struct tresor__piece *piece);
void tresor__budget_claimed(struct tresor__controller *controller);
void tresor__budget_resident(struct tresor__controller *controller, struct tresor__piece *piece);
void tresor__budget_kept(struct tresor__controller *controller, struct tresor__piece *piece);
/** It is unclaimed; after a load that ended before it was filled where `was_loading`. */
void tresor__budget_left(struct tresor__controller *controller, struct tresor__piece *piece,
                         bool was_loading);

/** A piece's pages move no more. */
void tresor__budget_swapped(struct tresor__controller *controller);

/** A LOAD found it resident, or made it so. */
void tresor__budget_touch(struct tresor__controller *controller, struct tresor__piece *piece,
                          const struct tresor__request *request);

/** Whether a piece may be asked to go for others, one that the LOAD of that serial did not bring in (0: any). Pure. */
bool tresor__budget_may_go(const struct tresor__controller *controller,
                           const struct tresor__piece *piece, uint32_t serial);

/** It was used the last time at `stamp`, and `count` times in all, of which the lowest bits are known. */
void tresor__budget_learn(struct tresor__controller *controller, struct tresor__piece *piece,
                          uint64_t stamp, uint16_t count);

/** It was found in use: it is passed over until something is released, of which its users will tell. */
void tresor__budget_note_use(struct tresor__controller *controller, struct tresor__piece *piece);

/** A plan names it, or names it no more. */
void tresor__budget_note_plan(struct tresor__controller *controller, struct tresor__piece *piece);

/** Something that was in use may be so no more. */
void tresor__budget_released(struct tresor__controller *controller);

/** The policy, and a piece's priority. */
void tresor__budget_choose_policy(struct tresor__controller *controller, uint32_t policy);
void tresor__budget_prioritise(struct tresor__controller *controller, struct tresor__piece *piece,
                               int32_t priority);

/** Pages that all tensors of the request take, those that tensors share once. O(intervals). */
uint64_t tresor__budget_measure(struct tresor__controller *controller, struct tresor__slot *slot,
                                const uint64_t *items, size_t count);

#endif
