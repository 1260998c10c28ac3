/* SPDX-License-Identifier: MIT */
/* The ring of the fake system. A read changes its memory when it is reaped, the latest that it may. */
#include "support/fake_sys.h"

#include <errno.h>

#include "support/random.h"

static struct fake_ring *ring_of(void *cookie)
{
    return &((struct fake_sys *)cookie)->ring;
}

int64_t fake_ring_init(void *cookie, const struct tresor_allocator *allocator, uint32_t entries,
                       int bell, struct tresor__sys_ring **ring)
{
    struct fake_sys *fake = cookie;
    (void)allocator;
    (void)bell;
    if (fake->has_no_ring)
        return -ENOSYS;
    if (fake->ring.is_open)
        return -EMFILE;
    if (entries > FAKE_RING_READS)
        return -EINVAL;
    fake->ring = (struct fake_ring){.is_open = true, .seed = fake->ring.seed};
    *ring = (struct tresor__sys_ring *)(void *)&fake->ring;
    return 0;
}

static void cancel(struct fake_ring *ring, uint64_t tag)
{
    for (uint32_t i = 0; i < ring->count; i++)
        if (ring->reads[i].tag == tag)
            ring->is_cancelled[i] = ring->seed == 0 || random_once_in(&ring->seed, 2);
}

/* There is something to reap, or there will be if it is tried again. */
static void ring_bell(struct fake_sys *fake)
{
    if (fake->ring.count > 0)
        fake->sys.bell_ring(fake, fake->bell[1]);
}

int64_t fake_ring_submit(void *cookie, struct tresor__sys_ring *made,
                         const struct tresor__sys_ring_entry *entries, uint32_t count)
{
    struct fake_ring *ring = ring_of(cookie);
    uint32_t taken = 0;
    (void)made;
    if (!ring->is_open)
        return -EBADF;
    for (; taken < count && ring->count < FAKE_RING_READS; taken++) {
        if (entries[taken].kind == TRESOR__SYS_RING_CANCEL) {
            cancel(ring, entries[taken].tag);
            continue;
        }
        ring->is_cancelled[ring->count] = false;
        ring->reads[ring->count++] = entries[taken];
    }
    ring_bell(cookie);
    return taken > 0 ? (int64_t)taken : -EAGAIN;
}

static struct tresor__sys_ring_result end_one(struct fake_sys *fake)
{
    struct fake_ring *ring = &fake->ring;
    uint32_t at = ring->seed == 0 ? 0 : random_below(&ring->seed, ring->count);
    struct tresor__sys_ring_entry read = ring->reads[at];
    int64_t result = ring->is_cancelled[at]
                         ? -ECANCELED
                         : fake->sys.read(fake, read.descriptor, read.address, read.length,
                                          read.offset);
    ring->count--;
    for (uint32_t i = at; i < ring->count; i++) {
        ring->reads[i] = ring->reads[i + 1];
        ring->is_cancelled[i] = ring->is_cancelled[i + 1];
    }
    return (struct tresor__sys_ring_result){read.tag, result};
}

int64_t fake_ring_reap(void *cookie, struct tresor__sys_ring *made,
                       struct tresor__sys_ring_result *results, uint32_t limit)
{
    struct fake_ring *ring = ring_of(cookie);
    (void)made;
    if (!ring->is_open)
        return -EBADF;
    uint32_t count = ring->seed == 0 ? ring->count : random_below(&ring->seed, ring->count + 1);
    if (count > limit)
        count = limit;
    for (uint32_t i = 0; i < count; i++)
        results[i] = end_one(cookie);
    ring_bell(cookie);
    return count;
}

int64_t fake_ring_close(void *cookie, struct tresor__sys_ring *made)
{
    (void)made;
    ring_of(cookie)->is_open = false;
    return 0;
}
