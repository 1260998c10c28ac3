/* SPDX-License-Identifier: MIT */
/* A build without liburing: there is no ring, so only making one is ever asked. */
#include "platform/sys_ring.h"

#include <errno.h>

int64_t tresor__sys_ring_init(void *cookie, const struct tresor_allocator *allocator,
                              uint32_t entries, int bell, struct tresor__sys_ring **ring)
{
    (void)cookie;
    (void)allocator;
    (void)entries;
    (void)bell;
    (void)ring;
    return -ENOSYS;
}

int64_t tresor__sys_ring_submit(void *cookie, struct tresor__sys_ring *ring,
                                const struct tresor__sys_ring_entry *entries, uint32_t count)
{
    (void)cookie;
    (void)ring;
    (void)entries;
    (void)count;
    return -ENOSYS;
}

int64_t tresor__sys_ring_reap(void *cookie, struct tresor__sys_ring *ring,
                              struct tresor__sys_ring_result *results, uint32_t limit)
{
    (void)cookie;
    (void)ring;
    (void)results;
    (void)limit;
    return -ENOSYS;
}

int64_t tresor__sys_ring_close(void *cookie, struct tresor__sys_ring *ring)
{
    (void)cookie;
    (void)ring;
    return -ENOSYS;
}
