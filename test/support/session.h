/* SPDX-License-Identifier: MIT */
/*
 * A context that is watched: every accepted request must end in exactly one DONE event, every ITEM must belong to one
 * that has not ended, no wait is longer than a number of dispatches, and what is resident must hold the file's bytes.
 * What is wrong is kept as text, so that a test can ask for it, also for a fault that was planted.
 */
#ifndef TEST_SUPPORT_SESSION_H
#define TEST_SUPPORT_SESSION_H

#include <stdbool.h>
#include <tresor/tresor.h>

#include "platform/sys.h"
#include "support/failing_allocator.h"
#include "support/model_set.h"
#include "support/shuffled_backend.h"

enum {
    SESSION_REQUESTS = 256,
    SESSION_ITEMS = 256,
    SESSION_DEGRADED = 16,
    SESSION_PROGRESS = 256,
    SESSION_POISONED = 16,
};

struct session_request {
    uint64_t value;
    uint32_t done_count;
    uint64_t progress_bytes; /* that were told last */
    struct tresor_event done;
};

struct session {
    struct tresor_context *context; /* NULL: it could not be made */
    struct tresor_source source;
    struct session_request requests[SESSION_REQUESTS]; /* accepted */
    uint32_t request_count;
    struct tresor_event items[SESSION_ITEMS]; /* ITEM events, the newest where there are too many */
    uint32_t item_count;
    struct tresor_event degraded[SESSION_DEGRADED]; /* the newest, where there are too many */
    uint32_t degraded_count;
    const struct model_set *set; /* what chunks are compared with, where it is not NULL */
    uint64_t chunk_bytes;        /* that came, each of which was given back at once */
    struct tresor_event progress[SESSION_PROGRESS]; /* the newest, where there are too many */
    uint32_t progress_count;
    struct tresor_event pressure; /* the newest PRESSURE event */
    uint32_t pressure_count;
    struct tresor_event poisoned[SESSION_POISONED]; /* the newest, where there are too many */
    uint32_t poisoned_count;
    const struct model_part *part; /* whose bytes the source has, where it was not opened by that one's path */
    uint64_t steps; /* dispatches so far */
    uint64_t steps_max;
    uint64_t event_count;
    uint64_t lose_event; /* this one is not seen, from 1 on; 0: none */
    char violation[256];
};

/** Small pools, blocks of 64 KiB, the sync backend, and the test's allocator. */
struct tresor_context_options session_options(struct failing_allocator *memory);

/** Make the context. */
int32_t session_create(struct session *session, const struct tresor__sys *sys,
                       const struct tresor_context_options *options);

/** Make the context on a backend that the test holds and lets go. */
int32_t session_create_shuffled(struct session *session, struct shuffled *shuffled,
                                const struct tresor_context_options *options);

/** The part whose bytes a file of the source has, by its path. */
const struct model_part *session_part(const struct session *session, const struct model_set *set,
                                      const char *path);

/** Note what a call answered; if it was accepted, its end is expected. Returns `code`. */
int32_t session_note(struct session *session, int32_t code, struct tresor_request request);

/** One dispatch and all events, or a sleep. False once nothing is left to do, or the steps are used up. */
bool session_pump(struct session *session);

/** Pump until nothing is left to do. */
void session_settle(struct session *session);

/** Pump until the request has ended. Its code; BACKEND, and a violation, if it does not end. `done` may be NULL. */
int32_t session_finish(struct session *session, struct tresor_request request,
                       struct tresor_event *done);

/** The end of a request that has ended; NULL if it has not. */
const struct tresor_event *session_end(const struct session *session, struct tresor_request request);

/** Open the model, and close it. */
int32_t session_open(struct session *session, const char *path);
int32_t session_close(struct session *session);

/** Items of the source and of one tensor, which must be there. */
struct tresor_item session_all(struct session *session);
struct tresor_item session_tensor(struct session *session, uint32_t tensor);

/** Submit a verb on items: LOAD by and SWAP to `strategy`, ADVISE with `strategy` as its advice. ITEM events are asked for. */
int32_t session_submit(struct session *session, enum tresor_verb verb,
                       const struct tresor_item *items, size_t count, uint32_t strategy,
                       struct tresor_request *request);

/** Submit on one item and finish. */
int32_t session_do(struct session *session, enum tresor_verb verb, struct tresor_item item,
                   uint32_t strategy);

/** How many tensors can be acquired; each of them must hold its file's bytes, at its address. */
uint32_t session_verify(struct session *session, const struct model_set *set);

/** The newest ITEM event of a tensor, NULL if there is none. */
const struct tresor_event *session_item(struct session *session, uint32_t tensor);

/** Destroy the context. What is wrong, or NULL. */
const char *session_destroy(struct session *session);

#endif
