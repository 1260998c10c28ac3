/* SPDX-License-Identifier: MIT */
/*
 * A plan: in which order the host will use pieces, once or round and round. What comes next is loaded ahead of its use,
 * a window wide; room for it is made by what is needed last (L. A. Belady, "A study of replacement algorithms for a
 * virtual-storage computer", IBM Systems Journal 5(2), 1966). Ahead of its use a piece only has others go that were
 * used just before, so that what is kept for the next round stays; at its use, whoever is needed later.
 *
 * A cycle that is larger than the budget is read for as long as it is used: what is kept is spread evenly over it, for
 * Belady's rule keeps whole stretches, during whose use the disk would rest. As many are loaded in a round.
 */
#ifndef TRESOR_TENSOR_PLAN_H
#define TRESOR_TENSOR_PLAN_H

#include "tensor/piece.h"

enum {
    TRESOR__PLANS_MAX = 16, /* of a context at a time */
};

struct tresor__controller;
struct tresor__request;

/** One use of one piece. */
struct tresor__plan_entry {
    uint32_t piece;
    uint32_t next;        /* the next use of the same piece, round and round where it is cyclic; TRESOR_NONE: none */
    uint32_t step;
    uint64_t start_bytes; /* of all uses before it */
    uint64_t passing_bytes; /* of those, the ones whose pieces are not kept */
};

struct tresor__plan {
    uint32_t index; /* in the context's plans */
    uint32_t request;
    uint16_t source;
    uint8_t backing; /* enum tresor__backing that its loads use */
    bool is_cyclic;
    bool is_spread; /* pieces that stay are chosen, evenly */
    uint64_t spread_bytes; /* the budget's limit that they were chosen for */
    uint64_t passing_bytes; /* of all uses whose pieces are not kept */
    uint64_t window_bytes;
    uint64_t total_bytes;
    uint32_t entry_count;
    uint32_t step_count;
    uint32_t step;   /* that is used now, or next; step_count: all are over */
    uint32_t cursor; /* its first entry */
    uint32_t ahead;  /* how many entries from the cursor on have been asked for */
    uint64_t passes; /* how often its end was passed */
    uint32_t *steps; /* step_count + 1: the first entry of each */
    struct tresor__plan_entry *entries;
};

/** Make the plan of a request, which the host submits next, of `count` steps. TRESOR_OK, BUSY (another plan names one of the
 * pieces), LIMIT or NO_MEMORY, which leave nothing. */
int32_t tresor__plan_make(struct tresor__controller *controller, struct tresor__request *request,
                          const uint64_t *items, size_t count, uint64_t window_bytes,
                          bool is_cyclic);

/** What was used is passed, and what comes next is asked for. Says VISITED when all is over. */
void tresor__plan_run(struct tresor__controller *controller, struct tresor__request *request);

/** Go on at another step; what was asked for and is not near any more is withdrawn. */
void tresor__plan_seek(struct tresor__controller *controller, struct tresor__plan *plan,
                       uint32_t step);

/** Its request has ended: it names nobody any more, and is freed. */
void tresor__plan_end(struct tresor__controller *controller, const struct tresor__request *request);

/** Give every plan a turn, for something may have been used. */
void tresor__plans_look(struct tresor__controller *controller);

/** Whether there is any. */
bool tresor__plans_stand(const struct tresor__controller *controller);

/** The plan of a request, NULL where it has none. */
struct tresor__plan *tresor__plan_of(const struct tresor__controller *controller,
                                     uint32_t request);

/** Pages that the step in use takes if the piece is of it, those that tensors share once; 0 if not. */
uint64_t tresor__plan_measure_step(struct tresor__controller *controller,
                                   const struct tresor__piece *piece);

/**
 * Who of those that plans name shall go next for the good of `piece` (NULL: for nobody's, and nobody is spared). Not
 * who the LOAD of that serial brought in. NULL where nobody is.
 */
struct tresor__piece *tresor__plans_victim(struct tresor__controller *controller,
                                           const struct tresor__piece *piece, uint32_t serial);

#endif
