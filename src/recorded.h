/* SPDX-License-Identifier: MIT */
/*
 * Contexts whose inputs are recorded, and contexts that are given them again. The inputs are what a
 * backend answers, what the system says when a context is made, and the calls of the host; calls of
 * the host's must come one after the other, from whichever thread, and a call that may sleep is not
 * one of them.
 */
#ifndef TRESOR_SRC_RECORDED_H
#define TRESOR_SRC_RECORDED_H

#include "backend/record.h"
#include "context.h"

/** What the system says when a context is made; but for random numbers, on which no step depends.
 */
struct tresor__host_facts {
    uint64_t page_bytes;
    uint32_t seams_max;
};

/** As tresor_context_create, also UNSUPPORTED where the options ask for a watch over memory or a
 * guard, which no backend answers. The tape must outlive the context. */
int32_t tresor__context_create_recorded(const struct tresor_context_options *options,
                                        const struct tresor__tape *tape,
                                        struct tresor__host_facts *facts,
                                        struct tresor_context **context);

/** A replay: zero `sys`, which is the context's from its creation on, and fill in the rest. All
 * must outlive the context. */
struct tresor__replay {
    struct tresor__sys sys;
    struct tresor__host_facts facts;
    struct tresor__script script;
};

/**
 * A context with the options, and of the host, that were recorded. On which nodes it put memory
 * does not matter here, nor what the backend was. INVALID also where no system would have said
 * those facts.
 */
int32_t tresor__context_create_replayed(const struct tresor_context_options *options,
                                        struct tresor__replay *replay,
                                        struct tresor_context **context);

#endif
