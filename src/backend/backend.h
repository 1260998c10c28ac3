/* SPDX-License-Identifier: MIT */
/*
 * A backend carries out effects. submit takes a batch and starts nothing that could complete inside it; poll
 * delivers completions, one for every effect. Both are called on the context's thread only.
 */
#ifndef TRESOR_BACKEND_BACKEND_H
#define TRESOR_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/allocator.h"
#include "core/effect.h"
#include "platform/sys.h"

struct tresor__backend {
    const char *name;
    /* Takes all of them: the context never has more in flight than the `effects_max` it was made with. */
    void (*submit)(struct tresor__backend *backend, const struct tresor__effect *effects,
                   uint32_t count);
    /* At most `limit` completions into `completions`; how many. */
    uint32_t (*poll)(struct tresor__backend *backend, struct tresor__completion *completions,
                     uint32_t limit);
    /*
     * Sleeps until something completes, wake, or the timeout (negative: none), and hears the bell. At once where
     * completions are pending; a timeout of 0 only hears.
     */
    void (*wait)(struct tresor__backend *backend, int32_t timeout_ms);
    /* Rings the bell. Any thread. */
    void (*wake)(struct tresor__backend *backend);
    /* The readable end of its bell, from its making to its end. */
    int (*descriptor)(const struct tresor__backend *backend);
    /* A poll would bring completions, because they are there or because it runs effects itself. */
    bool (*pending)(struct tresor__backend *backend);
    /* Nothing is in flight. */
    void (*destroy)(struct tresor__backend *backend);
};

/** The sync backend: effects run inside poll, one after the other. TRESOR_OK, NO_MEMORY or DESCRIPTORS. */
int32_t tresor__sync_create(const struct tresor__sys *sys, const struct tresor_allocator *allocator,
                            uint32_t effects_max, struct tresor__backend **backend);

/**
 * The pool backend: effects run on `threads` worker threads, at least one, or on fewer where the system does not give as
 * many. They begin in the order of their submit and complete in any. TRESOR_OK, NO_MEMORY (also for want of any thread) or
 * DESCRIPTORS.
 */
int32_t tresor__pool_create(const struct tresor__sys *sys, const struct tresor_allocator *allocator,
                            uint32_t effects_max, uint32_t threads,
                            struct tresor__backend **backend);

#endif
