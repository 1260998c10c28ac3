/* SPDX-License-Identifier: MIT */
/*
 * Which uses of a piece its plan has counted. Threads acquire and release while the plan looks, now and then: it sees the
 * clock of the last acquire and the lowest bits of how many there were, and who holds the piece before it has been
 * stamped.
 */
#ifndef TRESOR_TENSOR_PLAN_USES_H
#define TRESOR_TENSOR_PLAN_USES_H

#include <stdbool.h>
#include <stdint.h>

struct tresor__slot;
struct tresor__piece;

struct tresor__plan_uses {
    uint64_t stamp;     /* of the last use that was counted */
    uint64_t seen;      /* the pin's record at the last look */
    uint16_t acquires;  /* that were counted, the lowest bits of their number */
    bool has_users;     /* at the last look */
    bool is_held_over;  /* its users are those of a step that was passed */
};

/** Look at what threads have done with it; they tell the context of what comes later. True where it has been used since the last
 * count, and nobody uses it any more. */
bool tresor__plan_uses_look(struct tresor__slot *slot, struct tresor__piece *piece);

/** A step of it is passed: that step's use is counted, as far as the last look has seen any; with `is_one` no more than
 * one, for others are those of later steps. */
void tresor__plan_uses_count(struct tresor__piece *piece, bool is_one);

/** All that was used so far is counted. */
void tresor__plan_uses_restart(struct tresor__slot *slot, struct tresor__piece *piece);

#endif
