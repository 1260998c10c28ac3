/* SPDX-License-Identifier: MIT */
#include "io/extent.h"

#include <errno.h>

bool tresor__may_retry(uint32_t retries, int32_t os_errno)
{
    return (os_errno == EINTR || os_errno == EAGAIN) && retries < TRESOR__RETRIES_MAX;
}

void tresor__extent_take(struct tresor__ledger *ledger, enum tresor__backing backing,
                         struct tresor__extent_walk *walk)
{
    *walk = (struct tresor__extent_walk){0};
    bool taken = tresor__ledger_take_fill(ledger, backing, &walk->extent);
    assert(taken);
    (void)taken;
    walk->interval = walk->extent.first;
    walk->offset = tresor__ledger_start(ledger, walk->extent.first);
}

/* The intervals that have not begun; the first is kept, for no extent in hand is empty. */
static struct tresor__extent rest_of(const struct tresor__ledger *ledger,
                                     const struct tresor__extent_walk *walk)
{
    uint32_t first = walk->interval;
    bool begun = walk->offset > tresor__ledger_start(ledger, first);
    if (first < walk->extent.last && (begun || first == walk->extent.first))
        first++;
    return (struct tresor__extent){first, walk->extent.last};
}

bool tresor__extent_is_overtaken(const struct tresor__ledger *ledger, enum tresor__backing backing,
                                 const struct tresor__extent_walk *walk)
{
    struct tresor__extent rest = rest_of(ledger, walk);
    return rest.first < rest.last && tresor__ledger_is_overtaken(ledger, backing);
}

void tresor__extent_put_back(struct tresor__ledger *ledger, struct tresor__extent_walk *walk)
{
    struct tresor__extent rest = rest_of(ledger, walk);
    tresor__ledger_put_back(ledger, rest);
    walk->extent.last = rest.first;
}

static bool wanted(const struct tresor__ledger *ledger, uint32_t interval)
{
    return ledger->intervals[interval].users > 0 && !ledger->intervals[interval].failed;
}

bool tresor__extent_has_more(const struct tresor__ledger *ledger,
                             const struct tresor__extent_walk *walk)
{
    for (uint32_t i = walk->interval; i < walk->extent.last; i++)
        if (wanted(ledger, i))
            return true;
    return false;
}

static uint64_t chunk_end(const struct tresor__extent_walk *walk, uint64_t limit_bytes)
{
    /* Ending at a multiple of the limit keeps chunks congruent with the window's huge pages. */
    return (walk->offset / limit_bytes + 1) * limit_bytes;
}

bool tresor__extent_reaches_end(const struct tresor__ledger *ledger,
                                const struct tresor__extent_walk *walk, uint64_t limit_bytes)
{
    if (walk->interval == walk->extent.last ||
        tresor__ledger_end(ledger, walk->extent.last) > chunk_end(walk, limit_bytes))
        return false;
    for (uint32_t i = walk->interval; i < walk->extent.last; i++)
        if (!wanted(ledger, i))
            return false;
    return true;
}

/* The walk stands at the start of the next interval that has users; the others are given up. */
static void skip_unwanted(struct tresor__ledger *ledger, struct tresor__extent_walk *walk)
{
    while (walk->interval < walk->extent.last &&
           tresor__ledger_abandon(ledger, walk->interval, walk->offset)) {
        walk->interval++;
        walk->offset = tresor__ledger_start(ledger, walk->interval);
    }
}

void tresor__extent_next(struct tresor__ledger *ledger, struct tresor__extent_walk *walk,
                         uint64_t limit_bytes)
{
    skip_unwanted(ledger, walk);
    assert(walk->interval < walk->extent.last);
    uint64_t end = chunk_end(walk, limit_bytes);
    uint32_t last = walk->interval;
    while (last < walk->extent.last && tresor__ledger_start(ledger, last) < end &&
           wanted(ledger, last))
        last++;
    uint64_t reach = tresor__ledger_end(ledger, last);
    walk->length = (end < reach ? end : reach) - walk->offset;
}

uint64_t tresor__extent_wanted_until(const struct tresor__ledger *ledger,
                                     const struct tresor__extent_walk *walk, uint64_t limit)
{
    uint32_t last = walk->interval;
    while (last < walk->extent.last && tresor__ledger_start(ledger, last) < limit &&
           wanted(ledger, last))
        last++;
    uint64_t reach = tresor__ledger_end(ledger, last);
    return reach < limit ? reach : limit;
}

void tresor__extent_advance(const struct tresor__ledger *ledger, struct tresor__extent_walk *walk)
{
    walk->offset += walk->length;
    walk->length = 0;
    while (walk->interval < walk->extent.last &&
           tresor__ledger_end(ledger, walk->interval + 1) <= walk->offset)
        walk->interval++;
}

void tresor__extent_leave(struct tresor__ledger *ledger, struct tresor__extent_walk *walk)
{
    skip_unwanted(ledger, walk);
    assert(walk->interval == walk->extent.last);
    *walk = (struct tresor__extent_walk){0};
}
