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

/** Room for `count` bounces side by side; -errno where there is none. */
int64_t tresor__bounces_open(const struct tresor__sys *sys, uint32_t count, void **memory);
void tresor__bounces_close(const struct tresor__sys *sys, uint32_t count, void *memory);
static inline struct tresor__bounce tresor__bounce_of(void *memory, uint32_t index)
{
    return (struct tresor__bounce){(char *)memory + (size_t)index * TRESOR__BOUNCE_BYTES,
                                   TRESOR__BOUNCE_BYTES};
}

/** Run the effect to its end. Any thread, each with a bounce of its own. */
struct tresor__completion tresor__actor_run(const struct tresor__sys *sys,
                                            const struct tresor__effect *effect,
                                            const struct tresor__bounce *bounce);

#endif
