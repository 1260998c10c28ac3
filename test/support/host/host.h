/* SPDX-License-Identifier: MIT */
/* A host: what it has opened, asked for and acquired, and what it has found to be wrong. */
#ifndef TEST_SUPPORT_HOST_HOST_H
#define TEST_SUPPORT_HOST_HOST_H

#include <stdatomic.h>
#include <stdio.h>

#include <tresor/tresor.h>

#include "backend/sim.h"
#include "faults.h"
#include "models.h"
#include "support/failing_allocator.h"
#include "support/faulty_sys.h"
#include "support/random.h"
#include "support/shuffled_backend.h"

enum {
    HOST_SOURCES = 4,
    HOST_TENSORS = 32, /* of one source */
    HOST_PIECES = 128, /* the same and their slices */
    HOST_REQUESTS = 512,
    HOST_REQUESTS_LEFT = 48, /* for one move and the end */
    HOST_USES = 24,
    HOST_LIST = 128, /* pieces of one item */
    HOST_STEPS = 12, /* of one plan */
};

struct host;

/** Something that a host can do, and how often beside the others. */
struct host_way {
    uint32_t weight;
    void (*move)(struct host *host);
};

/** What is decided before the first move. */
struct host_plan {
    uint64_t seed; /* not 0 */
    bool is_shuffled;
    bool has_faults;
    uint32_t backend; /* enum tresor_backend, where it is neither shuffled nor simulated */
    /* The backend, filled in but for its table; NULL: another. The faulty table's judge and the fake system are then
     * its owner's to set before, and who is disturbed by them. */
    struct tresor__sim *sim;
    bool is_disturbed; /* where it is simulated: something but a cancel may make requests fail */
    const struct host_way *ways; /* to be done besides its own moves */
    uint32_t way_count;
    const uint8_t *script; /* bytes that all choices come from until they are used up; NULL: all come from the seed */
    size_t script_bytes;
    FILE *trace;          /* gets every step as a line; NULL: nobody does */
    struct bytes *record; /* gets all choices as such bytes; NULL: nobody does */
};

/** A tensor, or a slice of one. */
struct host_tensor {
    const uint8_t *address;
    const uint8_t *bytes; /* what must be there */
    uint64_t size_bytes;
    uint32_t users; /* acquires of this host */
};

enum host_source_state {
    HOST_CLOSED,
    HOST_OPENING,
    HOST_OPEN,
    HOST_CLOSING,
};

struct host_source {
    enum host_source_state state;
    uint32_t origin; /* enum tresor_origin_kind */
    struct tresor_source handle;
    uint32_t model;
    uint32_t uses; /* of its items */
    uint32_t tensor_count;
    uint32_t piece_count;
    uint32_t first_slices[HOST_TENSORS]; /* pieces; 0: the tensor is not split */
    struct host_tensor pieces[HOST_PIECES]; /* tensors, then slices */
};

enum { HOST_CHUNKS = 8 };

/** What a COPY goes to, at the end of an allocation. */
struct host_memory {
    void *allocation; /* NULL: none */
    uint8_t *bytes;
    size_t size_bytes; /* of the allocation */
};

struct host_request {
    uint64_t value;
    enum tresor_verb verb;
    uint32_t source;
    uint32_t origin; /* of the source, which may be another's by the request's end */
    uint32_t named; /* items */
    bool wants_items;
    bool wants_pins;
    bool is_patient;
    bool may_lack_room; /* since it was made, something was in use, or the budget was lowered */
    bool is_cancelled;
    bool loses_items; /* a finish has discarded some */
    bool has_ended;
    uint64_t progress_bytes; /* asked for */
    uint64_t arrived_bytes;  /* told so far */
    uint64_t total_bytes;
    uint32_t done;
    uint32_t items[3]; /* ITEM events: done, failed, cancelled */
    struct host_memory memory; /* COPY: what it writes to, until its end */
    const uint8_t *bytes;
    uint64_t length_bytes;
    struct tresor_item steps[HOST_STEPS]; /* PLAN: what is used in which order */
    uint32_t step_count;
};

/** What may be in use, judged at every step of every machine. */
struct host_room {
    uint64_t budget_bytes; /* that was seen last */
    uint64_t most_bytes;   /* that may be committed, or charged: the budget, or less than before while it is lowered */
    uint64_t leaked_bytes; /* that were seen last */
};

/** An item and its pieces. */
struct host_item {
    struct tresor_item handle;
    uint32_t source;
    uint32_t count;
    uint32_t pieces[HOST_LIST];
};

struct host {
    struct host_plan plan;
    uint64_t seed; /* of the moves */
    size_t script_at;
    const struct models *models;
    struct fake_sys *fake;
    struct faulty_sys faulty;
    struct faults faults;
    struct failing_allocator memory;
    struct shuffled shuffled;
    struct tresor_context_options options;
    struct tresor_context *context;
    struct host_room room;
    bool is_disturbed; /* something but a cancel may make requests fail */
    uint64_t transitions;
    uint64_t digest;  /* of all steps and events, in their order */
    _Atomic uint32_t lent; /* memory and functions that are the library's until it releases them */
    _Atomic uint32_t reads; /* of such functions */
    uint64_t loads;   /* LOAD requests that have ended, and pieces that came to memory with them */
    uint64_t loaded;
    struct host_source sources[HOST_SOURCES];
    struct host_request requests[HOST_REQUESTS];
    uint32_t request_count;
    uint32_t live_count;
    struct host_item uses[HOST_USES];
    uint32_t use_count;
    struct tresor_stage chunks[HOST_CHUNKS]; /* that it has */
    uint32_t chunk_count;
    char violation[256];
};

/** Begin over a fake system with all files in it; false where the context could not be made. */
bool host_start(struct host *host, const struct host_plan *plan, const struct models *models,
                struct fake_sys *fake);

/** The first thing that is wrong is kept. */
void host_violate(struct host *host, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Note what a request's call answered. The request, or NULL where it was refused. */
struct host_request *host_note(struct host *host, int32_t code, struct tresor_request request,
                               enum tresor_verb verb, uint32_t source);

/** What is to be the same whenever the same seed runs. */
void host_digest(struct host *host, const void *bytes, size_t length);

/** The request of a handle, or NULL. */
struct host_request *host_find(struct host *host, uint64_t value);

struct tresor_counters host_counters(struct host *host);

/** One dispatch, which must either do something or say that nothing is left. */
int32_t host_dispatch(struct host *host);

/** Dispatch and take all events until nothing is left to do. */
void host_settle(struct host *host);

/** Release, settle, close and destroy; each must succeed, and leave nothing. */
void host_end(struct host *host);

/** Give back some of the chunks that it has. */
void host_return_chunks(struct host *host, uint32_t limit);

/** After a violation: give back what there is and destroy the context, so that another run can begin. */
void host_abandon(struct host *host);

/* --- draw.c --- */

/** A choice: a number below `count`, which is not 0; true once in `count` times. */
uint32_t host_draw(struct host *host, uint32_t count);
bool host_once_in(struct host *host, uint32_t count);

/** There was a script, and all of it is used up. */
bool host_is_script_over(const struct host *host);

/* --- moves.c --- */

/** Do something. */
void host_move(struct host *host);

/** Of the sources in a state, any; HOST_SOURCES if there is none. */
uint32_t host_choose_source(struct host *host, enum host_source_state state);

/** What a call may answer: AGAIN is right only where a pool is full, by what the host knows. */
void host_expect(struct host *host, int32_t code, bool is_full, const char *what);

/** As many requests as there may be. */
bool host_is_full(const struct host *host);

/* --- splits.c --- */

/** Split tensors of a source at random. One that has just opened cannot refuse. */
void host_split(struct host *host, uint32_t source, bool is_new);

/** Split what can be of a source that has nothing, and load and evict it. */
void host_split_at_end(struct host *host, uint32_t source);

/** The host's number of a piece of an item; HOST_PIECES if there is none. */
uint32_t host_piece(struct host *host, uint32_t source, struct tresor_item item, uint32_t position);

/* --- asking.c --- */

/** A request on random items of an open source. */
void host_submit(struct host *host, enum tresor_verb verb);

/** Read a part of a tensor into memory of exactly that size. */
void host_copy(struct host *host);

/** The memory of a COPY that has ended. */
void host_free(struct host *host, struct host_memory *memory);

/** Load neighbours by a request each, and take one of these back soon. */
void host_load_and_cancel(struct host *host);

/* --- events.c --- */

/** Take up to `limit` events; how many there were. */
uint32_t host_take(struct host *host, uint32_t limit);

/** An event that was taken. */
void host_see(struct host *host, const struct tresor_event *event);

/* --- budgets.c --- */

/** Look at what is in use, in the middle of a dispatch. */
void host_look_at_room(struct host *host);

/** Note whose room may be taken by what is in use. */
void host_note_use(struct host *host);

/** None, or one that is small beside the models. */
uint64_t host_choose_budget(struct host *host);

/** Another budget, another policy, other priorities. */
void host_set_budget(struct host *host);
void host_set_policy(struct host *host);
void host_set_priority(struct host *host);

/** No budget any more, and all plans cancelled. */
void host_lift_budget(struct host *host);
void host_cancel_plans(struct host *host);

/** Whether a call may say TOO_BIG: the items' pages, at the most, are more than the budget. */
bool host_may_be_too_big(struct host *host, const struct tresor_item *items, uint32_t count);

/** Whether the budget has room for one stage. */
bool host_has_stage_room(const struct host *host);

/** A plan of random items; use what one needs now; go on elsewhere in it. */
void host_plan(struct host *host);
void host_follow_plan(struct host *host);
void host_seek(struct host *host);

/* --- users.c --- */

/** An item of an open source; false where none could be made. */
bool host_choose_item(struct host *host, uint32_t source, struct host_item *item);

/** The pieces of an item. */
bool host_know_item(struct host *host, uint32_t source, struct host_item *item);

/** Acquire this item now; whether it was there. */
bool host_acquire_item(struct host *host, const struct host_item *item);

/** Acquire, and look at the bytes; release what was acquired, after another look; release what was
 * not. */
void host_acquire(struct host *host, uint32_t source);
void host_release(struct host *host, uint32_t use);
void host_release_wrongly(struct host *host, uint32_t source);

/** Take a pin over that an ITEM event brings. */
void host_take_pin(struct host *host, uint32_t source, const struct tresor_event *event);

/* --- origins.c --- */

/** Open a model by its path, or as something else that the host has. As tresor_source_open answers. */
int32_t host_open(struct host *host, struct host_source *source, uint32_t model,
                  struct tresor_request *request);

/** Whether to map what a source has may be answered by that: there is nothing to map. */
bool host_may_refuse(const struct host *host, uint32_t source, int32_t code);

/* --- checks.c --- */

/** Whether a verb may end like that where only cancels disturb it. */
bool host_may_end(const struct host *host, const struct host_request *request, int32_t code);

/** Note what a source that has just opened promises. */
void host_look_at_source(struct host *host, uint32_t source);

/** The bytes of an acquired item. */
void host_check_bytes(struct host *host, const struct host_item *item);

/** Nothing under way, every request ended. */
void host_check_rest(struct host *host);

/** After the context's end nothing is held. */
void host_check_held(struct host *host);

#endif
