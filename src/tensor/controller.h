/* SPDX-License-Identifier: MIT */
/*
 * The residency controller: it owns all machines, gives them turns, carries their messages to each
 * other, turns requests into inputs and results into events. Effects come out of it and completions
 * go in; it makes no system call and knows no backend, so that it runs the same under any.
 */
#ifndef TRESOR_TENSOR_CONTROLLER_H
#define TRESOR_TENSOR_CONTROLLER_H

#include <tresor/choice.h>
#include <tresor/observe.h>

#include "io/digest/digest.h"
#include "io/read/copy.h"
#include "io/read/stream.h"
#include "source/check.h"
#include "tensor/budget.h"
#include "tensor/guard.h"
#include "tensor/pins.h"
#include "tensor/plan.h"
#include "tensor/pressure.h"
#include "tensor/request.h"
#include "tensor/slot.h"
#include "tensor/watch.h"

/** One (request, tensor) pair: first it waits, then it may become an ITEM event. */
struct tresor__pair {
    uint32_t request;
    uint32_t tensor; /* its piece */
    uint16_t source;
    uint8_t wait; /* enum tresor__wait */
    uint32_t next_of_tensor;
    uint32_t previous_of_tensor;
    uint32_t next_of_request;
    uint32_t previous_of_request;
    uint32_t next; /* in the list of free pairs or of events */
    bool has_pin;           /* its event hands it over */
    uint64_t arrived_bytes; /* of the tensor, that its request counts as such */
    struct tresor_event event;
};

/** One item that a request names. */
struct tresor__item_node {
    uint64_t item;
    uint32_t next;
};

struct tresor__controller_limits {
    uint32_t sources;
    uint32_t requests;
    uint32_t items;
    uint32_t pairs;
    uint32_t blocks;
    uint32_t stages;
    uint64_t stage_bytes;
    uint64_t spare_bytes;
    uint64_t page_bytes;
    uint64_t block_bytes;
    uint64_t populate_bytes;
    uint32_t ahead_max; /* readaheads of a file under way */
    uint32_t seams_max; /* from which on no pages are moved */
    uint64_t hash_key[2];
    uint64_t budget_bytes;
    uint32_t policy;   /* enum tresor_policy, not DEFAULT */
    uint32_t strategy; /* enum tresor_strategy, not DEFAULT */
    uint32_t direct;   /* enum tresor_direct, not DEFAULT */
};

struct tresor__controller {
    struct tresor_allocator allocator;
    struct tresor__controller_limits limits;
    struct tresor__io io;
    struct tresor__budget budget;
    struct tresor__plan *plans[TRESOR__PLANS_MAX]; /* NULL: none */
    struct tresor__slot *slots;
    struct tresor__request *requests;
    struct tresor__copy *copies; /* one a request */
    void **destinations;         /* of copies */
    struct tresor__check *checks; /* one a request */
    struct tresor__stream *streams;       /* one a request */
    struct tresor__digest *digests;       /* LOOKS_MAX */
    uint32_t free_digest;                 /* list through next, TRESOR_NONE at its end */
    uint64_t first_look;                  /* pieces to be looked at, TRESOR__NOBODY: none */
    uint64_t last_look;
    uint32_t looks_held;                  /* pieces that pins of the controller's own keep for looks */
    uint64_t seen_high;                   /* the digest of what is being settled */
    uint64_t seen_low;
    uint8_t *stage_memory;                /* of all stages, side by side; the composition root's */
    _Atomic uint32_t *stage_words;        /* by stage; see stages.c */
    _Atomic bool stages_returned;         /* some host thread gave one back */
    uint32_t stages_out;                  /* that the host has */
    struct tresor__acquires acquires;     /* any thread */
    _Atomic bool released;                /* the last user of a piece that is awaited has left, on any thread */
    uint32_t patient_count;               /* pairs of EVICT that wait for the end of users */
    uint32_t pinned_count;                /* pins that events which were not taken hold */
    uint64_t openings;                    /* pieces opened and sources closed: what an acquire may wait for */
    struct tresor__item_node *items;
    struct tresor__pair *pairs;
    struct tresor__effect *effects;   /* asked and not yet taken by the backend */
    struct tresor__completion *seals; /* ring: answered here, not yet delivered */
    uint32_t effects_max;
    uint32_t effect_count;
    uint32_t in_flight; /* taken by the backend, and not answered */
    uint32_t seal_head;
    uint32_t seal_count;

    uint32_t free_request;
    uint32_t free_item;
    uint32_t free_item_count;
    uint32_t free_pair;
    uint32_t free_pair_count;
    struct tresor__queue turns;
    struct tresor__queue hungry[TRESOR__URGENCY_COUNT];
    struct tresor__queue starving[TRESOR__URGENCY_COUNT];
    struct tresor__queue stageless;
    struct tresor__queue roomless;
    struct tresor__queue swapless;
    struct tresor__queue events; /* of pairs and requests, by event identifier */
    struct tresor__degraded degraded; /* the context itself */
    struct tresor__watch watch;
    struct tresor__pressure pressure;
    struct tresor__effect watch_effects[2]; /* asked of the watch and not yet taken: WATCH and UNWATCH at the most */
    uint32_t watch_effect_count;
    struct tresor__guard guard;
    struct tresor__guard_alarm alarm;
    struct tresor__effect guard_effect; /* asked of the guard, while it is GUARDING */
    uint32_t draining;           /* sources that wait to become quiet */

    tresor_observer *observer;
    void *observer_cookie;
    uint64_t steps;
    uint64_t rejected;
    uint64_t effect_total;
    uint64_t completion_total;
    uint64_t request_total;
    uint64_t event_total;
    uint64_t read_bytes;
    uint64_t direct_bytes;
    uint64_t cached_bytes;
    uint64_t leaked_bytes; /* by sources, in ranges that no ledger counts */
};

/** TRESOR_OK or NO_MEMORY, which leaves nothing. */
int32_t tresor__controller_init(struct tresor__controller *controller,
                                const struct tresor_allocator *allocator,
                                const struct tresor__controller_limits *limits);
void tresor__controller_free(struct tresor__controller *controller);

/** Whether sources are open or requests not taken. */
bool tresor__controller_in_use(const struct tresor__controller *controller);

/** Give turns until none is due, `limit` were given, or effects must be taken first. */
void tresor__controller_run(struct tresor__controller *controller, uint32_t limit);

/** A completion of an effect that was taken. */
void tresor__controller_deliver(struct tresor__controller *controller,
                                const struct tresor__completion *completion);

/**
 * All effects that were asked and not yet taken are taken: `controller->effects`, as many as this
 * says. They are to be handed to the backend before the controller does anything else.
 */
uint32_t tresor__controller_take_effects(struct tresor__controller *controller);

/** A completion of the watch's, which is no backend's. */
void tresor__controller_deliver_watch(struct tresor__controller *controller,
                                      const struct tresor__completion *completion);

/** Tell what the guard has marked, at most `limit` runs of pages; how many. */
uint32_t tresor__controller_hear_faults(struct tresor__controller *controller, uint32_t limit);

/** Do the effect SEAL here, for it is no system call, and queue its completion. */
void tresor__controller_answer_seal(struct tresor__controller *controller,
                                    const struct tresor__effect *effect);

/** Whether a turn is due, or a seal that was answered when its effect was taken. */
bool tresor__controller_is_due(const struct tresor__controller *controller);

/** Whether a source that drains has become quiet, which the next run will find. */
bool tresor__controller_has_quiet(const struct tresor__controller *controller);

/* --- turns.c: who is due --- */

enum tresor__actor {
    TRESOR__ACTOR_SOURCE = 0,
    TRESOR__ACTOR_FILE = 1,
    TRESOR__ACTOR_REQUEST = 2,
    TRESOR__ACTOR_COPY = 3,
    TRESOR__ACTOR_STREAM = 4,
};

void tresor__turns_add_source(struct tresor__controller *controller, uint32_t source);
void tresor__turns_add_file(struct tresor__controller *controller, uint32_t source, uint32_t file,
                            uint32_t turns);
void tresor__turns_add_request(struct tresor__controller *controller, uint32_t request);
void tresor__turns_add_copy(struct tresor__controller *controller, uint32_t copy);
void tresor__turns_add_stream(struct tresor__controller *controller, uint32_t stream);
/** Put a stream at the end of those that await a free stage. */
void tresor__turns_await_stage(struct tresor__controller *controller, uint32_t stream);
/** Whether one of them still wants a stage: it may have been cancelled. */
bool tresor__turns_want_stage(struct tresor__controller *controller);
/** What they have in hand fails: there will be no stage. */
void tresor__turns_refuse_stages(struct tresor__controller *controller, int32_t code);
/** Put a file at the end of those whose next extent finds no room. */
void tresor__turns_await_room(struct tresor__controller *controller, uint32_t source, uint32_t file);
/** Put a file at the end of those whose swap's next chunk finds no room. */
void tresor__turns_await_swap_room(struct tresor__controller *controller, uint32_t source,
                                   uint32_t file);
/** Tell what the file's ledger has to tell, and give turns to its machines that have work. */
void tresor__turns_look(struct tresor__controller *controller, struct tresor__file *file);
/** A turn when a block is free for work of their urgency, which may have risen since they last
 * asked: the more urgent first. */
void tresor__turns_await_block_for_file(struct tresor__controller *controller,
                                        struct tresor__file *file);
void tresor__turns_await_block_for_copy(struct tresor__controller *controller, uint32_t copy);
void tresor__turns_await_block_for_stream(struct tresor__controller *controller, uint32_t stream);
/** Give the next turn; somebody is due. */
void tresor__turns_run_one(struct tresor__controller *controller);
/** A block, a stage or a pair is free, and somebody waits for one. */
bool tresor__turns_can_feed(const struct tresor__controller *controller);
/** Then of the most urgent the one that has waited longest gets a turn; who does not want it any
 * more leaves it to the next. */
void tresor__turns_feed(struct tresor__controller *controller);
/** Put a request at the end of those of its urgency that await a free pair. */
void tresor__turns_await_pair(struct tresor__controller *controller, uint32_t request);
/** Some request awaits a free pair. */
bool tresor__turns_has_starving(const struct tresor__controller *controller);

/* --- router.c: one step and what follows from it --- */

/** Which instance of which machine. */
struct tresor__address {
    uint32_t machine; /* enum tresor__machine_id */
    uint32_t source;
    uint32_t slot;
};

/** Step a machine and carry out what it gives. False where it had no rule. */
bool tresor__router_step(struct tresor__controller *controller,
                         const struct tresor__address *address, const struct tresor__input *input);

/** The same where the machine's context is at hand. */
bool tresor__router_step_on(struct tresor__controller *controller, void *context,
                            const struct tresor__address *address,
                            const struct tresor__input *input);

/* --- waits.c: pairs --- */

/** Make a pair; the caller saw that one is free. */
uint32_t tresor__waits_add(struct tresor__controller *controller, struct tresor__request *request,
                           struct tresor__piece *piece, enum tresor__wait wait);

/** Settle every pair of the tensor that waits for this, or only the oldest. */
void tresor__waits_settle(struct tresor__controller *controller, struct tresor__piece *piece,
                          enum tresor__wait wait, int32_t code, bool only_first);

/** More of the tensor's bytes have arrived: tell those who load it and want to know. */
void tresor__waits_progress(struct tresor__controller *controller,
                            const struct tresor__piece *piece);

/** Withdraw up to `limit` of a cancelled request's pairs, where withdrawing means something. True
 * if more may be left. */
bool tresor__waits_withdraw(struct tresor__controller *controller, struct tresor__request *request,
                            uint32_t limit);

/** Settle one pair of a stream. */
void tresor__waits_settle_one(struct tresor__controller *controller, uint32_t pair, int32_t code,
                              const struct tresor__failure *failure);

/** Not now: of the tensor's loads those fail with BUSY that do not wait for room, and those with TOO_BIG that never find
 * any since the budget was lowered. */
void tresor__waits_refuse_room(struct tresor__controller *controller, struct tresor__piece *piece);

/** Not now: the swaps that await room fail with BUSY. */
void tresor__waits_refuse_swaps(struct tresor__controller *controller);
/** Whether all of the tensor's loads wait for room. */
bool tresor__waits_are_patient(const struct tresor__controller *controller,
                               const struct tresor__piece *piece);

/** Withdraw the loads of a request's tensors of which that holds. */
typedef bool tresor__waits_filter(const struct tresor__controller *controller,
                                  const struct tresor__piece *piece);
void tresor__waits_withdraw_if(struct tresor__controller *controller,
                               struct tresor__request *request, tresor__waits_filter *holds);

/** Free a pair whose event was taken. */
void tresor__waits_free(struct tresor__controller *controller, uint32_t pair);

/** A pair that waited for a load waits for a look at what is there. */
void tresor__waits_convert(struct tresor__controller *controller, uint32_t pair);

/* --- looks.c: bytes that are looked at --- */

enum {
    TRESOR__LOOKS_MAX = 16, /* at a time */
};

/** A piece that was loaded is looked at before anybody is told. */
void tresor__looks_verify(struct tresor__controller *controller, struct tresor__piece *piece);
/** Nobody waits for that any more: it ends behind the part under way. */
void tresor__looks_stop(struct tresor__controller *controller, const struct tresor__piece *piece);
/** A pair waits for a look at a piece that may be in memory; it settles at once where it is not. */
void tresor__looks_add(struct tresor__controller *controller, uint32_t pair);
/** Whether a piece is due and can be looked at. */
bool tresor__looks_can_start(const struct tresor__controller *controller);
/** The piece that has waited longest is looked at. */
void tresor__looks_start(struct tresor__controller *controller);
/** A look has ended: who waits for it is told. */
void tresor__looks_end(struct tresor__controller *controller, uint32_t digest);

/* --- choice.c --- */

/** What was chosen for a piece. Pure. */
struct tresor_choice tresor__choice_of(const struct tresor__controller *controller,
                                       const struct tresor__piece *piece);

/* --- events.c --- */

/** An event identifier is the kind of what has something to tell, and its place among its kind. */
enum tresor__event_of {
    TRESOR__EVENT_OF_PAIR = 0,
    TRESOR__EVENT_OF_REQUEST = 1, /* its end */
    TRESOR__EVENT_OF_FILE = 2,    /* what it does without */
    TRESOR__EVENT_OF_CONTEXT = 3, /* the same */
    TRESOR__EVENT_OF_PROGRESS = 4, /* how far a request has got */
    TRESOR__EVENT_OF_STAGE = 5,   /* its chunk */
    TRESOR__EVENT_OF_PRESSURE = 6, /* that memory runs short */
    TRESOR__EVENT_OF_POISONED = 7, /* pieces of a file that have lost bytes, one after the other */
};

static inline uint32_t tresor__event_identifier(enum tresor__event_of kind, uint32_t place)
{
    return (uint32_t)kind << 28 | place;
}

void tresor__events_add(struct tresor__controller *controller, uint32_t identifier);
bool tresor__events_take(struct tresor__controller *controller, struct tresor_event *event);
/** From now on a file of a source, or the context where `file` is NULL, does without; told once. */
void tresor__events_degrade(struct tresor__controller *controller, struct tresor__file *file,
                            uint32_t degradation, int32_t os_errno);
/** A piece that has lost bytes is to be told of, unless it is already. */
void tresor__events_poison(struct tresor__controller *controller, struct tresor__piece *piece);
/** The context has again what it did without: the next time is told anew. */
void tresor__events_recover(struct tresor__controller *controller, uint32_t degradation);
/** The source is open: what its files do without may be told. */
void tresor__events_open_source(struct tresor__controller *controller, uint32_t source);
/** The source's files will be gone: forget what they had to tell. */
void tresor__events_forget_source(struct tresor__controller *controller, uint32_t source);
/** So many more bytes of a request have arrived: queue its PROGRESS event where one is due. */
void tresor__events_progress(struct tresor__controller *controller,
                             struct tresor__request *request, uint64_t bytes);
/** Throw a request's ITEM and PROGRESS events away. Whether there were any. */
bool tresor__events_discard(struct tresor__controller *controller, uint32_t request);
/** Give back the pins that a request's, or a source's, ITEM events hold. */
void tresor__events_unpin_request(struct tresor__controller *controller, uint32_t request);
void tresor__events_unpin_source(struct tresor__controller *controller, uint32_t source);
/** Take a request's end out of its order, and PROGRESS events away; with `discard_items` its ITEM
 * events too. False if it has not ended. */
bool tresor__events_take_end(struct tresor__controller *controller, uint32_t request,
                             bool discard_items, struct tresor_event *event);

/* --- visits.c --- */

/** Another tensor may be asked for something: what it asks for has room, beside every block's cancel. */
bool tresor__visits_has_room(const struct tresor__controller *controller);

/** Ask the request's next tensors; says VISITED after the last. */
void tresor__visits_run(struct tresor__controller *controller, struct tresor__request *request);

/* --- blocks.c: reads that are taken back --- */

/** Cancel all blocks of a copy or a stream: `space` tells which, `job` its slot. */
void tresor__blocks_cancel_job(struct tresor__controller *controller, uint8_t space, uint32_t job);
/** Cancel the blocks of a file's window that no tensor wants any more. */
void tresor__blocks_cancel_unwanted(struct tresor__controller *controller,
                                    struct tresor__file *file);

/* --- releases.c: pins of the controller's own, and the end of others --- */

/** Look after what was released, where something was: who waits for it tries again. */
void tresor__releases_collect(struct tresor__controller *controller);
/** Try again what a request waits for; a bounded number a turn. */
void tresor__releases_retry(struct tresor__controller *controller, struct tresor__request *request);
/** The piece stays until its users have left, of which the controller is told. */
void tresor__releases_await(struct tresor__controller *controller, struct tresor__piece *piece);
/** Acquire the piece of a pair for the host, which its event will hand over. */
int32_t tresor__releases_pin(struct tresor__controller *controller, struct tresor__pair *pair);
/** Give such a pin back, if the pair has one: its event hands nothing over. */
void tresor__releases_unpin(struct tresor__controller *controller, struct tresor__pair *pair);

/* --- stages.c: chunks that the host has --- */

/** Queue the event of a stage whose bytes are there. */
void tresor__stages_queue(struct tresor__controller *controller, uint32_t stage);
/** The chunk of a stage as an event; from now on the host has it. */
void tresor__stages_hand_out(struct tresor__controller *controller, uint32_t stage,
                             struct tresor_event *event);
/** Any thread: a chunk is given back. STALE if it is not out. */
int32_t tresor__stages_return(struct tresor__controller *controller, uint64_t handle);
/** Free the stages that were given back. */
void tresor__stages_collect(struct tresor__controller *controller);
/** Whether the host has a chunk that it has not given back. */
bool tresor__stages_held(const struct tresor__controller *controller);
/** Where a stage's memory is. */
static inline uint8_t *tresor__stages_address(const struct tresor__controller *controller,
                                              uint32_t stage)
{
    return controller->stage_memory + stage * tresor__io_stage_room(&controller->io);
}

/* --- items.c --- */

/** The live slot of a handle of a source or item, or an error. */
int32_t tresor__items_slot(struct tresor__controller *controller, uint64_t handle,
                           struct tresor__slot **slot);
/** Number of pieces of an item of a live slot. */
uint32_t tresor__items_count(const struct tresor__slot *slot, uint64_t item);
/** Piece at a position of an item. */
uint32_t tresor__items_piece(const struct tresor__slot *slot, uint64_t item, uint32_t position);
uint64_t tresor__items_bytes(const struct tresor__slot *slot, uint64_t item);
/** The pieces of an item as a list, NULL meaning 0 to their number - 1; and how many. `single` may
 * have to hold the only one. Any thread that is in the gate. */
uint32_t tresor__items_list(const struct tresor__slot *slot, uint64_t item, uint32_t *single,
                            const uint32_t **list);
/** The item of one piece. */
uint64_t tresor__items_of_piece(const struct tresor__slot *slot, uint32_t piece);
/** The item is one of the slot's. */
bool tresor__items_valid(const struct tresor__slot *slot, uint64_t item);

#endif
