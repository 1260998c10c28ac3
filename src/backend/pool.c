/* SPDX-License-Identifier: MIT */
/*
 * Effects run on worker threads, so that no dispatch waits for the kernel. One lock guards both
 * rings and is never held across a system call; the bell is rung outside of it.
 */
#include "backend/backend.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include <tresor/error.h>

#include "backend/actor.h"
#include "backend/queue.h"

struct pool_backend {
    struct tresor__backend base;
    const struct tresor__sys *sys;
    struct tresor_allocator allocator;
    pthread_mutex_t lock; /* over what follows, but for the threads */
    pthread_cond_t work;  /* effects to take, or stopping */
    bool stopping;
    uint32_t capacity; /* of each ring: what can be in flight */
    struct tresor__effect_queue effects; /* that no worker has taken yet */
    uint32_t completion_head;
    uint32_t completion_count;
    struct tresor__completion *completions; /* a ring of what poll has not taken yet */
    struct tresor__bell *bell;
    void *bounces;                /* one a worker */
    _Atomic uint32_t bounce_next; /* that a worker which starts may have */
    uint32_t thread_count; /* that run */
    uint32_t threads_max;
    pthread_t *threads;
};

static struct pool_backend *pool_of(struct tresor__backend *backend)
{
    return (struct pool_backend *)(void *)backend;
}

/* --- workers --- */

/* Sleeps until there is one; false where the pool stops. */
static bool take_effect(struct pool_backend *pool, struct tresor__effect *effect)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->effects.count == 0 && !pool->stopping)
        pthread_cond_wait(&pool->work, &pool->lock);
    bool taken = tresor__effect_queue_pop(&pool->effects, effect);
    pthread_mutex_unlock(&pool->lock);
    return taken;
}

/* Under the lock. */
static void put_completion(struct pool_backend *pool, const struct tresor__completion *completion)
{
    assert(pool->completion_count < pool->capacity);
    uint32_t place = (pool->completion_head + pool->completion_count++) % pool->capacity;
    pool->completions[place] = *completion;
}

/* A worker that is woken shall not take the processor from the thread that wakes it: that may be the host's loop, in the
 * middle of a dispatch. Its share of the processor stays what it was. */
static void yield_to_wakers(void)
{
#ifdef SCHED_BATCH
    const struct sched_param priority = {0};
    pthread_setschedparam(pthread_self(), SCHED_BATCH, &priority);
#endif
}

static void *work(void *argument)
{
    struct pool_backend *pool = argument;
    const struct tresor__bounce bounce =
        tresor__bounce_of(pool->bounces, atomic_fetch_add(&pool->bounce_next, 1));
    struct tresor__effect effect;
    yield_to_wakers();
    while (take_effect(pool, &effect)) {
        struct tresor__completion completion = tresor__actor_run(pool->sys, &effect, &bounce);
        pthread_mutex_lock(&pool->lock);
        put_completion(pool, &completion);
        pthread_mutex_unlock(&pool->lock);
        tresor__bell_ring(pool->bell);
    }
    return NULL;
}

/* As many as the system lets us have. They take no signals, so that the host's handlers run where
 * they always did. */
static void start_workers(struct pool_backend *pool)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->thread_count < pool->threads_max &&
           pthread_create(&pool->threads[pool->thread_count], NULL, work, pool) == 0)
        pool->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_workers(struct pool_backend *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_mutex_unlock(&pool->lock);
    pthread_cond_broadcast(&pool->work);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
}

/* --- the context's thread --- */

/* Under the lock. Both are answered at once, for all workers may be held. */
static void cancel_read(struct pool_backend *pool, const struct tresor__effect *cancel)
{
    struct tresor__effect read;
    bool is_found = tresor__effect_queue_cancel(&pool->effects, cancel, &read);
    struct tresor__completion completion = tresor__actor_answer(cancel, is_found);
    put_completion(pool, &completion);
    if (is_found) {
        completion = tresor__actor_answer(&read, -ECANCELED);
        put_completion(pool, &completion);
    }
}

/* No more of them than there is work for. */
static void wake_workers(struct pool_backend *pool, uint32_t count)
{
    if (count >= pool->thread_count)
        pthread_cond_broadcast(&pool->work);
    for (uint32_t i = 0; i < count && count < pool->thread_count; i++)
        pthread_cond_signal(&pool->work);
}

static void pool_submit(struct tresor__backend *backend, const struct tresor__effect *effects,
                        uint32_t count)
{
    struct pool_backend *pool = pool_of(backend);
    pthread_mutex_lock(&pool->lock);
    assert(pool->effects.count + pool->completion_count + count <= pool->capacity);
    for (uint32_t i = 0; i < count; i++)
        if (effects[i].kind == TRESOR__EFFECT_CANCEL)
            cancel_read(pool, &effects[i]);
        else
            tresor__effect_queue_push(&pool->effects, &effects[i]);
    pthread_mutex_unlock(&pool->lock);
    wake_workers(pool, count);
}

static uint32_t pool_poll(struct tresor__backend *backend, struct tresor__completion *completions,
                          uint32_t limit)
{
    struct pool_backend *pool = pool_of(backend);
    uint32_t done = 0;
    pthread_mutex_lock(&pool->lock);
    while (done < limit && pool->completion_count > 0) {
        completions[done++] = pool->completions[pool->completion_head];
        pool->completion_head = (pool->completion_head + 1) % pool->capacity;
        pool->completion_count--;
    }
    pthread_mutex_unlock(&pool->lock);
    return done;
}

static bool pool_pending(struct tresor__backend *backend)
{
    struct pool_backend *pool = pool_of(backend);
    pthread_mutex_lock(&pool->lock);
    bool has = pool->completion_count > 0;
    pthread_mutex_unlock(&pool->lock);
    return has;
}

/* What completes after the look rings, or has a ring before it that nobody has heard. */
static void pool_wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    if (!pool_pending(backend))
        tresor__bell_wait(pool_of(backend)->bell, timeout_ms);
}

/* --- making and ending --- */

static void free_memory(struct pool_backend *pool)
{
    struct tresor_allocator allocator = pool->allocator;
    if (pool->bounces)
        tresor__memory_close(pool->sys, pool->threads_max * (size_t)TRESOR__BOUNCE_BYTES,
                             pool->bounces);
    tresor__free(&allocator, pool->effects.effects,
                 pool->capacity * sizeof *pool->effects.effects);
    tresor__free(&allocator, pool->completions, pool->capacity * sizeof *pool->completions);
    tresor__free(&allocator, pool->threads, pool->threads_max * sizeof *pool->threads);
    tresor__free(&allocator, pool, sizeof *pool);
}

static void pool_destroy(struct tresor__backend *backend)
{
    struct pool_backend *pool = pool_of(backend);
    stop_workers(pool);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free_memory(pool);
}

static int32_t allocate_memory(const struct tresor__sys *sys,
                               const struct tresor_allocator *allocator, uint32_t effects_max,
                               uint32_t threads, struct pool_backend **made)
{
    struct pool_backend *pool = tresor__allocate(allocator, sizeof *pool);
    if (!pool)
        return TRESOR_ERROR_NO_MEMORY;
    pool->sys = sys;
    pool->allocator = *allocator;
    pool->capacity = effects_max;
    pool->threads_max = threads;
    pool->effects.capacity = effects_max;
    pool->effects.effects = tresor__allocate(allocator, effects_max * sizeof(struct tresor__effect));
    pool->completions = tresor__allocate(allocator, effects_max * sizeof *pool->completions);
    pool->threads = tresor__allocate(allocator, threads * sizeof *pool->threads);
    if (pool->effects.effects && pool->completions && pool->threads &&
        tresor__memory_open(sys, threads * (size_t)TRESOR__BOUNCE_BYTES, &pool->bounces) == 0) {
        *made = pool;
        return TRESOR_OK;
    }
    free_memory(pool);
    return TRESOR_ERROR_NO_MEMORY;
}

/* All or nothing of the lock and its condition. */
static bool make_lock(struct pool_backend *pool)
{
    if (pthread_mutex_init(&pool->lock, NULL) != 0)
        return false;
    if (pthread_cond_init(&pool->work, NULL) == 0)
        return true;
    pthread_mutex_destroy(&pool->lock);
    return false;
}

int32_t tresor__pool_create(const struct tresor__sys *sys, const struct tresor_allocator *allocator,
                            struct tresor__bell *bell, uint32_t effects_max, uint32_t threads,
                            struct tresor__backend **backend)
{
    struct pool_backend *pool = NULL;
    int32_t code = allocate_memory(sys, allocator, effects_max, threads, &pool);
    if (code != TRESOR_OK)
        return code;
    pool->base = (struct tresor__backend){
        .name = "pool",
        .submit = pool_submit,
        .poll = pool_poll,
        .wait = pool_wait,
        .pending = pool_pending,
        .destroy = pool_destroy,
    };
    pool->bell = bell;
    if (!make_lock(pool)) {
        free_memory(pool);
        return TRESOR_ERROR_NO_MEMORY;
    }
    start_workers(pool);
    if (pool->thread_count == 0) {
        pool_destroy(&pool->base);
        return TRESOR_ERROR_NO_MEMORY; /* "insufficient resources", says pthread_create(3) */
    }
    *backend = &pool->base;
    return TRESOR_OK;
}
