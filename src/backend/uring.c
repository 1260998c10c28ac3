/* SPDX-License-Identifier: MIT */
/*
 * Direct reads go to a ring in the kernel, everything else to a pool of threads, and both ring one bell. Where the ring
 * is refused, or breaks, the pool does its work too. The ring is the context's thread's alone, so there is no lock.
 */
#include <assert.h>
#include <errno.h>

#include <tresor/error.h>

#include "backend/actor.h"
#include "backend/backend.h"
#include "backend/reads.h"

enum {
    RING_READS = 128,  /* on the ring at a time: 256 MiB by blocks of 2 MiB, and the disk is busy from 16 on */
    BATCH = 32,        /* results and entries that are handed over at a time */
    REFUSALS_MAX = 16, /* in a row, with nothing on the ring that could change its mind */
};

struct uring_backend {
    struct tresor__backend base;
    const struct tresor__sys *sys;
    struct tresor_allocator allocator;
    struct tresor__bell *bell;
    struct tresor__backend *pool;
    struct tresor__sys_ring *ring; /* NULL before it is made, and where there is none */
    bool has_ended;                /* refused or broken */
    bool is_held;                  /* it takes nothing until something on it ends */
    bool is_pools_turn;
    uint32_t refusals;
    uint32_t capacity;
    struct tresor__reads reads;
    struct tresor__read_place *places;
    uint32_t done_head;
    uint32_t done_count;
    struct tresor__completion *done; /* a ring of what poll has not taken yet */
};

static struct uring_backend *uring_of(struct tresor__backend *backend)
{
    return (struct uring_backend *)(void *)backend;
}

static void put_done(struct uring_backend *uring, const struct tresor__effect *effect,
                     int64_t result)
{
    assert(uring->done_count < uring->capacity);
    uint32_t place = (uring->done_head + uring->done_count++) % uring->capacity;
    uring->done[place] = tresor__actor_answer(effect, result);
}

/* --- the ring --- */

/*
 * What it has not ended the pool reads again. If the kernel still reads for a broken ring, it puts the same bytes of the
 * same file there.
 */
static void end_ring(struct uring_backend *uring, int32_t os_errno)
{
    struct tresor__effect effect;
    if (uring->ring)
        uring->sys->ring_close(uring->sys->cookie, uring->ring);
    uring->ring = NULL;
    uring->has_ended = true;
    uring->is_held = false;
    uring->refusals = 0;
    uring->base.name = uring->pool->name;
    uring->base.refused_errno = os_errno;
    while (tresor__reads_take(&uring->reads, &effect))
        uring->pool->submit(uring->pool, &effect, 1);
}

/* Not at its creation, for a ring belongs to the thread that makes it. */
static void make_ring(struct uring_backend *uring)
{
    if (uring->ring || uring->has_ended)
        return;
    int64_t result = uring->sys->ring_init(uring->sys->cookie, &uring->allocator, RING_READS,
                                           uring->bell->descriptors[1], &uring->ring);
    if (result < 0)
        end_ring(uring, (int32_t)-result);
}

static bool may_pass(int64_t result)
{
    return result == -EINTR || result == -EAGAIN || result == -EBUSY || result == -ENOMEM;
}

static void count_refusal(struct uring_backend *uring, int64_t result)
{
    if (!may_pass(result) || ++uring->refusals == REFUSALS_MAX)
        end_ring(uring, (int32_t)-result);
}

static void reap(struct uring_backend *uring)
{
    struct tresor__sys_ring_result results[BATCH];
    struct tresor__effect effect;
    int64_t count = BATCH;
    while (uring->reads.on_ring > 0 && count == BATCH) {
        count = uring->sys->ring_reap(uring->sys->cookie, uring->ring, results, BATCH);
        if (count < 0) {
            count_refusal(uring, count);
            return;
        }
        for (uint32_t i = 0; i < count; i++) {
            tresor__reads_end(&uring->reads, results[i].tag, &effect);
            /* The kernel's worker that was about to make it was interrupted for the cancel. */
            bool is_cancelled = effect.is_cancelled && results[i].result == -EINTR;
            put_done(uring, &effect, is_cancelled ? -ECANCELED : results[i].result);
        }
        uring->is_held = uring->is_held && count == 0;
        uring->refusals = 0;
    }
}

static bool has_to_start(const struct uring_backend *uring)
{
    const struct tresor__reads *reads = &uring->reads;
    return (reads->waiting > 0 && reads->on_ring < RING_READS) || reads->to_cancel > 0;
}

static void start(struct uring_backend *uring)
{
    struct tresor__sys_ring_entry entries[BATCH];
    struct tresor__reads *reads = &uring->reads;
    if (!uring->ring || uring->is_held)
        return;
    uint32_t room = RING_READS - reads->on_ring;
    if (room > uring->base.starts_left)
        room = uring->base.starts_left;
    uint32_t count = tresor__reads_fill(reads, room, entries, BATCH);
    if (count == 0)
        return;
    int64_t taken = uring->sys->ring_submit(uring->sys->cookie, uring->ring, entries, count);
    if (taken >= 0) {
        uring->base.starts_left -= tresor__reads_start(reads, entries, (uint32_t)taken);
        uring->refusals = 0;
    } else if (reads->on_ring > 0 && may_pass(taken)) {
        uring->is_held = true;
    } else {
        count_refusal(uring, taken);
    }
}

/* --- the backend --- */

static bool is_for_ring(const struct uring_backend *uring, const struct tresor__effect *effect)
{
    const uint32_t ways = TRESOR__READ_DIRECT | TRESOR__READ_CACHED | TRESOR__READ_BOUNCE;
    return !uring->has_ended && effect->kind == TRESOR__EFFECT_READ &&
           (effect->flags & ways) == TRESOR__READ_DIRECT;
}

/* False where the read is not here; then it may be in the pool. */
static bool cancel_here(struct uring_backend *uring, const struct tresor__effect *cancel)
{
    struct tresor__effect effect;
    enum tresor__reads_found found = tresor__reads_cancel(&uring->reads, cancel, &effect);
    if (found == TRESOR__READS_TAKEN)
        put_done(uring, &effect, -ECANCELED);
    if (found != TRESOR__READS_NONE)
        put_done(uring, cancel, 1);
    return found != TRESOR__READS_NONE;
}

static bool takes(struct uring_backend *uring, const struct tresor__effect *effect)
{
    if (effect->kind == TRESOR__EFFECT_CANCEL)
        return cancel_here(uring, effect);
    bool takes_it = is_for_ring(uring, effect);
    if (takes_it)
        tresor__reads_add(&uring->reads, effect);
    return takes_it;
}

static void uring_submit(struct tresor__backend *backend, const struct tresor__effect *effects,
                         uint32_t count)
{
    struct uring_backend *uring = uring_of(backend);
    uint32_t first = 0; /* of those for the pool, which gets neighbours at once */
    for (uint32_t i = 0; i <= count; i++) {
        if (i < count && !takes(uring, &effects[i]))
            continue;
        if (i > first)
            uring->pool->submit(uring->pool, &effects[first], i - first);
        first = i + 1;
    }
}

static uint32_t take_done(struct uring_backend *uring, struct tresor__completion *completions,
                          uint32_t limit)
{
    uint32_t count = 0;
    while (count < limit && uring->done_count > 0) {
        completions[count++] = uring->done[uring->done_head];
        uring->done_head = (uring->done_head + 1) % uring->capacity;
        uring->done_count--;
    }
    return count;
}

/* By turns the ring's come first or the pool's, so that neither waits for the other's to cease. */
static uint32_t uring_poll(struct tresor__backend *backend, struct tresor__completion *completions,
                           uint32_t limit)
{
    struct uring_backend *uring = uring_of(backend);
    struct tresor__backend *pool = uring->pool;
    make_ring(uring);
    reap(uring);
    start(uring);
    uint32_t count = 0;
    if (uring->is_pools_turn)
        count = pool->poll(pool, completions, limit);
    count += take_done(uring, completions + count, limit - count);
    if (!uring->is_pools_turn)
        count += pool->poll(pool, completions + count, limit - count);
    uring->is_pools_turn = !uring->is_pools_turn;
    return count;
}

/* Reaps, for only that tells whether there is something. */
static bool uring_pending(struct tresor__backend *backend)
{
    struct uring_backend *uring = uring_of(backend);
    if (uring->done_count == 0)
        reap(uring);
    bool must_reap_again = uring->refusals > 0 && uring->reads.on_ring > 0;
    return uring->done_count > 0 || must_reap_again ||
           (has_to_start(uring) && !uring->is_held) || uring->pool->pending(uring->pool);
}

static void uring_wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    if (!uring_pending(backend))
        tresor__bell_wait(uring_of(backend)->bell, timeout_ms);
}

/* --- making and ending --- */

static void free_memory(struct uring_backend *uring)
{
    struct tresor_allocator allocator = uring->allocator;
    tresor__free(&allocator, uring->places, uring->capacity * sizeof *uring->places);
    tresor__free(&allocator, uring->done, uring->capacity * sizeof *uring->done);
    tresor__free(&allocator, uring, sizeof *uring);
}

/* The kernel writes to memory of the reads that are on the ring until they have ended. */
static void uring_destroy(struct tresor__backend *backend)
{
    struct uring_backend *uring = uring_of(backend);
    for (reap(uring); uring->reads.on_ring > 0; reap(uring))
        tresor__bell_wait(uring->bell, uring->refusals > 0 ? 0 : -1);
    if (uring->ring)
        uring->sys->ring_close(uring->sys->cookie, uring->ring);
    uring->pool->destroy(uring->pool);
    free_memory(uring);
}

static int32_t allocate_memory(const struct tresor_allocator *allocator, uint32_t effects_max,
                               struct uring_backend **made)
{
    struct uring_backend *uring = tresor__allocate(allocator, sizeof *uring);
    if (!uring)
        return TRESOR_ERROR_NO_MEMORY;
    uring->allocator = *allocator;
    uring->capacity = effects_max;
    uring->places = tresor__allocate(allocator, effects_max * sizeof *uring->places);
    uring->done = tresor__allocate(allocator, effects_max * sizeof *uring->done);
    if (uring->places && uring->done) {
        *made = uring;
        return TRESOR_OK;
    }
    free_memory(uring);
    return TRESOR_ERROR_NO_MEMORY;
}

int32_t tresor__uring_create(const struct tresor__sys *sys,
                             const struct tresor_allocator *allocator,
                             struct tresor__bell *bell, uint32_t effects_max, uint32_t threads,
                             struct tresor__backend **backend)
{
    struct uring_backend *uring = NULL;
    int32_t code = allocate_memory(allocator, effects_max, &uring);
    if (code != TRESOR_OK)
        return code;
    uring->base = (struct tresor__backend){
        .name = "uring",
        .submit = uring_submit,
        .poll = uring_poll,
        .wait = uring_wait,
        .pending = uring_pending,
        .destroy = uring_destroy,
    };
    uring->sys = sys;
    uring->bell = bell;
    tresor__reads_init(&uring->reads, uring->places, effects_max);
    code = tresor__pool_create(sys, allocator, bell, effects_max, threads, &uring->pool);
    if (code == TRESOR_OK)
        *backend = &uring->base;
    else
        free_memory(uring);
    return code;
}
