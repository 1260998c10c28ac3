/* SPDX-License-Identifier: MIT */
/* Carrying out one effect with blocking system calls: what the sync backend does in poll and a worker in its thread. */
#ifndef TRESOR_BACKEND_ACTOR_H
#define TRESOR_BACKEND_ACTOR_H

#include <stddef.h>

#include "core/effect.h"
#include "platform/sys.h"

enum {
    TRESOR__BOUNCE_BYTES = 1024 * 1024,
};

/** Memory of one actor's own, page-aligned, for direct reads that cannot go to their place. */
struct tresor__bounce {
    void *memory;
    size_t size_bytes;
};

/** Memory of a backend's or context's own, page-aligned, for as long as it lives; -errno where there is none. */
int64_t tresor__memory_open(const struct tresor__sys *sys, size_t size_bytes, void **memory);
void tresor__memory_close(const struct tresor__sys *sys, size_t size_bytes, void *memory);

/** The bounce of one of several actors, whose bounces lie side by side in `memory`. */
static inline struct tresor__bounce tresor__bounce_of(void *memory, uint32_t index)
{
    return (struct tresor__bounce){(char *)memory + (size_t)index * TRESOR__BOUNCE_BYTES,
                                   TRESOR__BOUNCE_BYTES};
}

/** Run the effect to its end. Any thread, each with a bounce of its own. */
struct tresor__completion tresor__actor_run(const struct tresor__sys *sys,
                                            const struct tresor__effect *effect,
                                            const struct tresor__bounce *bounce);

/** The completion of an effect that came to `result`: a value, or -errno. */
struct tresor__completion tresor__actor_answer(const struct tresor__effect *effect, int64_t result);

#endif
