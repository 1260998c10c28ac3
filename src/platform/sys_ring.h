/* SPDX-License-Identifier: MIT */
/* The ring rows of the operating system's table, made over liburing or answering that there is none. */
#ifndef TRESOR_PLATFORM_SYS_RING_H
#define TRESOR_PLATFORM_SYS_RING_H

#include "platform/sys.h"

/** What each promises is said in platform/sys.h. */
int64_t tresor__sys_ring_init(void *cookie, const struct tresor_allocator *allocator,
                              uint32_t entries, int bell, struct tresor__sys_ring **ring);
int64_t tresor__sys_ring_submit(void *cookie, struct tresor__sys_ring *ring,
                                const struct tresor__sys_ring_entry *entries, uint32_t count);
int64_t tresor__sys_ring_reap(void *cookie, struct tresor__sys_ring *ring,
                              struct tresor__sys_ring_result *results, uint32_t limit);
int64_t tresor__sys_ring_close(void *cookie, struct tresor__sys_ring *ring);

#endif
