/* SPDX-License-Identifier: MIT */
/*
 * A backend carries out effects. submit takes a batch and starts nothing that could complete inside it; poll
 * delivers completions, one for every effect. Both are called on the context's thread only. The bell that it rings, and
 * sleeps on, is the context's and outlives it.
 */
#ifndef TRESOR_BACKEND_BACKEND_H
#define TRESOR_BACKEND_BACKEND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/allocator.h"
#include "backend/bell.h"
#include "core/effect.h"
#include "platform/sys.h"

/** Reads that a ring is given by one dispatch, which it costs some 10 us each. */
enum { TRESOR__STARTS_MAX = 2 };

struct tresor__backend {
    const char *name;
    int32_t refused_errno; /* why it does with less than it was made for; 0: it does not */
    uint32_t starts_left;  /* of this dispatch, which sets it to TRESOR__STARTS_MAX */
    /* Takes all of them: the context never has more in flight than the `effects_max` it was made with. */
    void (*submit)(struct tresor__backend *backend, const struct tresor__effect *effects,
                   uint32_t count);
    /* At most `limit` completions into `completions`; how many. */
    uint32_t (*poll)(struct tresor__backend *backend, struct tresor__completion *completions,
                     uint32_t limit);
    /*
     * Sleeps until something completes, the bell rings, or the timeout (negative: none), and hears the bell. At once
     * where completions are pending; a timeout of 0 only hears.
     */
    void (*wait)(struct tresor__backend *backend, int32_t timeout_ms);
    /* A poll would bring completions or start effects. */
    bool (*pending)(struct tresor__backend *backend);
    /* Nothing is in flight. */
    void (*destroy)(struct tresor__backend *backend);
};

/** The sync backend: effects run inside poll, one after the other. TRESOR_OK or NO_MEMORY. */
int32_t tresor__sync_create(const struct tresor__sys *sys, const struct tresor_allocator *allocator,
                            struct tresor__bell *bell, uint32_t effects_max,
                            struct tresor__backend **backend);

/**
 * The pool backend: effects run on `threads` worker threads, at least one, or on fewer where the system does not give as
 * many. They begin in the order of their submit and complete in any. TRESOR_OK or NO_MEMORY (also for want of any thread).
 */
int32_t tresor__pool_create(const struct tresor__sys *sys, const struct tresor_allocator *allocator,
                            struct tresor__bell *bell, uint32_t effects_max, uint32_t threads,
                            struct tresor__backend **backend);

/**
 * The uring backend: a pool, and a ring for direct reads, made at the first poll on the thread that polls. Where there is
 * none it is called "pool" from then on and says why in `refused_errno`. TRESOR_OK or what the pool's may be.
 */
int32_t tresor__uring_create(const struct tresor__sys *sys,
                             const struct tresor_allocator *allocator,
                             struct tresor__bell *bell, uint32_t effects_max, uint32_t threads,
                             struct tresor__backend **backend);

#endif
