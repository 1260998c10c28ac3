/* SPDX-License-Identifier: MIT */
#include "backend/bell.h"

#include <errno.h>

#include <tresor/error.h>

int32_t tresor__bell_open(struct tresor__bell *bell, const struct tresor__sys *sys)
{
    bell->sys = sys;
    atomic_init(&bell->rung, TRESOR__BELL_SILENT);
    int64_t result = sys->bell_open(sys->cookie, bell->descriptors);
    if (result == -ENOMEM)
        return TRESOR_ERROR_NO_MEMORY;
    return result < 0 ? TRESOR_ERROR_DESCRIPTORS : TRESOR_OK;
}

void tresor__bell_close(struct tresor__bell *bell)
{
    bell->sys->close(bell->sys->cookie, bell->descriptors[0]);
    if (bell->descriptors[1] != bell->descriptors[0])
        bell->sys->close(bell->sys->cookie, bell->descriptors[1]);
}

/*
 * Who finds it asked for rings it too, for the thread that asked may have been held before its call: a host that is told
 * that there is work must find the descriptor readable. The state says RUNG only where nobody has heard it meanwhile.
 */
void tresor__bell_ring(struct tresor__bell *bell)
{
    uint32_t asked = TRESOR__BELL_ASKED;
    if (atomic_fetch_or_explicit(&bell->rung, asked, memory_order_acq_rel) == TRESOR__BELL_RUNG)
        return;
    bell->sys->bell_ring(bell->sys->cookie, bell->descriptors[1]);
    atomic_compare_exchange_strong_explicit(&bell->rung, &asked, TRESOR__BELL_RUNG,
                                            memory_order_acq_rel, memory_order_relaxed);
}

/*
 * The descriptor first: were `rung` first, a ring between the two would be cleared while `rung` says that there is one, and
 * the bell would be dumb for ever. In this order such a ring does not reach the descriptor, or only once too often; but
 * what it tells of was put in its place before, and the exchanges, unlike a store and a load, let the caller's look see it. The
 * descriptor is cleared whatever `rung` says, for the kernel may ring it too, and a thread may have been slow to.
 */
void tresor__bell_hear(struct tresor__bell *bell)
{
    bell->sys->bell_clear(bell->sys->cookie, bell->descriptors[0]);
    atomic_exchange_explicit(&bell->rung, TRESOR__BELL_SILENT, memory_order_acq_rel);
}

void tresor__bell_wait(struct tresor__bell *bell, int32_t timeout_ms)
{
    if (timeout_ms != 0)
        bell->sys->bell_wait(bell->sys->cookie, bell->descriptors[0], timeout_ms);
    tresor__bell_hear(bell);
}

int tresor__bell_descriptor(const struct tresor__bell *bell)
{
    return bell->descriptors[0];
}
