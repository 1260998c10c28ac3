/* SPDX-License-Identifier: MIT */
/*
 * A backend in a time of its own. Effects wait for a worker or for the disk, take as long as their latencies say, and end
 * in an order that comes from a seed; nothing sleeps, no thread is made, and no clock is read. What they do is the
 * system-call table's business, so the world that they are done in is whoever makes the table's. The same seed over the
 * same table gives the same completions at the same times to the same calls.
 */
#ifndef TRESOR_BACKEND_SIM_H
#define TRESOR_BACKEND_SIM_H

#include "backend/backend.h"

enum { TRESOR__SIM_ALARMS = 64 };

/** What takes time: at least `least_ns`, up to `spread_ns` more, and once in `stall_once_in` times (0: never) `stall_ns` more. */
struct tresor__sim_latency {
    uint64_t least_ns;
    uint64_t spread_ns;
    uint64_t stall_ns;
    uint32_t stall_once_in;
};

/** Fill in what is above the line and zero the rest; it must outlive the context. */
struct tresor__sim {
    const struct tresor__sys *sys;
    uint64_t seed;             /* not 0 */
    uint32_t workers;          /* effects that are under way at a time, but for reads of the disk */
    uint32_t disk_depth;       /* reads of the disk that are under way at a time */
    uint64_t disk_ns_per_kib;  /* of all of them together */
    bool begins_in_order;      /* else any of those that wait may be next */
    struct tresor__sim_latency latencies[TRESOR__EFFECT_COUNT];
    struct tresor__sim_latency poll; /* what a poll takes, and what is done between two */
    /* An alarm's time has come: files may shrink, limits change. Inside a poll, a wait or a pass. May be NULL. */
    void (*on_alarm)(void *cookie, uint32_t number);
    void (*on_stuck)(void *cookie); /* a wait without a timeout, and nothing is left that could end it. May be NULL. */
    void *cookie;
    uint64_t lose_answer; /* this completion is not given until a wait for ever finds nothing else, from 1 on; 0: none */

    /* ------ */
    uint64_t now_ns;
    uint64_t asked;   /* effects so far */
    uint64_t ended;   /* of them, whether their completions were taken or not */
    uint64_t answers; /* completions that were taken */
    uint64_t stuck;   /* waits without a timeout that nothing would have ended */
    struct tresor__sim_backend *backend;
};

/** The maker for a context; its argument is a struct tresor__sim. TRESOR_OK or NO_MEMORY. */
int32_t tresor__sim_create(void *sim, const struct tresor_allocator *allocator,
                           struct tresor__bell *bell, uint32_t effects_max,
                           struct tresor__backend **backend);

/** The context's thread does something else for so long. */
void tresor__sim_pass(struct tresor__sim *sim, uint64_t duration_ns);

/** Call on_alarm with `number` after so long; false where too many are set. What is set when the context ends never comes. */
bool tresor__sim_alarm(struct tresor__sim *sim, uint64_t delay_ns, uint32_t number);

#endif
