/* SPDX-License-Identifier: MIT */
#include "backend/sim.h"

#include <assert.h>

#include <tresor/error.h>

#include "backend/actor.h"
#include "backend/queue.h"

enum {
    BYTES_PER_KIB = 1024,
    NS_PER_MS = 1000000,
};

/* Who carries effects out, each so many at a time. */
enum line_kind {
    WORKERS,
    DISK,
    LINES,
    NO_LINE = LINES, /* a cancel, and what it has ended, wait for nobody */
};

/* An effect from its submit until its completion is taken. */
struct place {
    struct tresor__effect effect;
    struct tresor__completion completion; /* where it has run */
    uint32_t next;                        /* in its list */
    uint8_t line;                         /* enum line_kind */
    bool is_running;
    bool has_run;
};

/* In the order in which they were put in. */
struct list {
    uint32_t head;
    uint32_t tail;
    uint32_t count;
};

struct line {
    struct list waiting;
    uint32_t running;
};

/* When something ends. Of two at the same time the one that was put in first comes first. */
struct moment {
    uint64_t due_ns;
    uint64_t order;
    uint32_t place; /* TRESOR_NONE: an alarm */
    uint32_t alarm;
};

struct tresor__sim_backend {
    struct tresor__backend base;
    struct tresor__sim *sim;
    struct tresor_allocator allocator;
    struct tresor__bell *bell;
    void *bounces; /* one */
    uint64_t order;
    uint64_t disk_free_ns; /* when the last transfer that was begun ends */
    uint32_t capacity;
    uint32_t alarm_count;
    struct list free;
    struct line lines[LINES];
    struct list done;
    struct list lost;
    struct moment *heap; /* the soonest first; room for all effects and alarms */
    uint32_t heap_count;
    struct place places[];
};

static struct tresor__sim_backend *self(struct tresor__backend *backend)
{
    return (struct tresor__sim_backend *)(void *)backend;
}

/* --- chance --- */

/* xorshift64 of Marsaglia */
static uint64_t draw(struct tresor__sim *sim, uint64_t count)
{
    sim->seed ^= sim->seed << 13;
    sim->seed ^= sim->seed >> 7;
    sim->seed ^= sim->seed << 17;
    return count > 1 ? (sim->seed >> 24) % count : 0;
}

static uint64_t duration(struct tresor__sim *sim, const struct tresor__sim_latency *latency)
{
    uint64_t taken = latency->least_ns + draw(sim, latency->spread_ns + 1);
    bool stalls = latency->stall_once_in > 0 && draw(sim, latency->stall_once_in) == 0;
    return taken + (stalls ? latency->stall_ns : 0);
}

/* --- lists of places --- */

static void append(struct tresor__sim_backend *backend, struct list *list, uint32_t index)
{
    backend->places[index].next = TRESOR_NONE;
    if (list->count++ == 0)
        list->head = index;
    else
        backend->places[list->tail].next = index;
    list->tail = index;
}

/* The one at a position, which is there. */
static uint32_t take_at(struct tresor__sim_backend *backend, struct list *list, uint64_t position)
{
    uint32_t previous = TRESOR_NONE;
    uint32_t index = list->head;
    for (; position > 0; position--) {
        previous = index;
        index = backend->places[index].next;
    }
    if (previous == TRESOR_NONE)
        list->head = backend->places[index].next;
    else
        backend->places[previous].next = backend->places[index].next;
    if (list->tail == index)
        list->tail = previous;
    list->count--;
    return index;
}

/* --- moments --- */

static bool is_sooner(const struct moment *one, const struct moment *other)
{
    return one->due_ns < other->due_ns || (one->due_ns == other->due_ns && one->order < other->order);
}

static void swap_moments(struct moment *heap, uint32_t one, uint32_t other)
{
    struct moment kept = heap[one];
    heap[one] = heap[other];
    heap[other] = kept;
}

static void put_moment(struct tresor__sim_backend *backend, uint64_t due_ns, uint32_t place,
                       uint32_t alarm)
{
    struct moment *heap = backend->heap;
    uint32_t at = backend->heap_count++;
    assert(at < backend->capacity + TRESOR__SIM_ALARMS);
    heap[at] = (struct moment){due_ns, backend->order++, place, alarm};
    for (; at > 0 && is_sooner(&heap[at], &heap[(at - 1) / 2]); at = (at - 1) / 2)
        swap_moments(heap, at, (at - 1) / 2);
}

static struct moment take_moment(struct tresor__sim_backend *backend)
{
    struct moment *heap = backend->heap;
    struct moment first = heap[0];
    uint32_t at = 0;
    heap[0] = heap[--backend->heap_count];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < backend->heap_count && is_sooner(&heap[child + 1], &heap[child]))
            child++;
        if (child >= backend->heap_count || !is_sooner(&heap[child], &heap[at]))
            return first;
        swap_moments(heap, at, child);
        at = child;
    }
}

/* --- effects from their beginning to their end --- */

static enum line_kind line_of(const struct tresor__effect *effect)
{
    bool reads = effect->kind == TRESOR__EFFECT_READ && !(effect->flags & TRESOR__READ_CACHED);
    bool fills = effect->kind == TRESOR__EFFECT_POPULATE && !(effect->flags & TRESOR__POPULATE_WRITE);
    return reads || fills || effect->kind == TRESOR__EFFECT_READAHEAD ? DISK : WORKERS;
}

static void run_place(struct tresor__sim_backend *backend, struct place *place)
{
    const struct tresor__bounce bounce = tresor__bounce_of(backend->bounces, 0);
    place->completion = tresor__actor_run(backend->sim->sys, &place->effect, &bounce);
    place->has_run = true;
}

/* A transfer has the disk for itself, and may only begin when the one before has ended. */
static uint64_t end_of(struct tresor__sim_backend *backend, const struct place *place)
{
    struct tresor__sim *sim = backend->sim;
    uint64_t due_ns = sim->now_ns + duration(sim, &sim->latencies[place->effect.kind]);
    if (place->line != DISK)
        return due_ns;
    if (due_ns < backend->disk_free_ns)
        due_ns = backend->disk_free_ns;
    backend->disk_free_ns = due_ns + place->effect.length * sim->disk_ns_per_kib / BYTES_PER_KIB;
    return backend->disk_free_ns;
}

/* What it does is done as it begins or as it ends: others see it as early, or as late, as they may. */
static void begin(struct tresor__sim_backend *backend, uint32_t index)
{
    struct place *place = &backend->places[index];
    place->is_running = true;
    if (draw(backend->sim, 2) == 0)
        run_place(backend, place);
    put_moment(backend, end_of(backend, place), index, 0);
}

static bool may_begin(const struct tresor__sim_backend *backend, enum line_kind kind)
{
    const struct tresor__sim *sim = backend->sim;
    return backend->lines[kind].waiting.count > 0 &&
           backend->lines[kind].running < (kind == DISK ? sim->disk_depth : sim->workers);
}

static void begin_those_who_wait(struct tresor__sim_backend *backend)
{
    struct tresor__sim *sim = backend->sim;
    for (enum line_kind kind = WORKERS; kind < LINES; kind++)
        while (may_begin(backend, kind)) {
            struct line *line = &backend->lines[kind];
            uint64_t position = sim->begins_in_order ? 0 : draw(sim, line->waiting.count);
            line->running++;
            begin(backend, take_at(backend, &line->waiting, position));
        }
}

static void end(struct tresor__sim_backend *backend, uint32_t index)
{
    struct tresor__sim *sim = backend->sim;
    struct place *place = &backend->places[index];
    if (!place->has_run)
        run_place(backend, place);
    if (place->line < LINES)
        backend->lines[place->line].running--;
    append(backend, ++sim->ended == sim->lose_answer ? &backend->lost : &backend->done, index);
}

static void ring_alarm(struct tresor__sim_backend *backend, uint32_t number)
{
    struct tresor__sim *sim = backend->sim;
    backend->alarm_count--;
    if (sim->on_alarm)
        sim->on_alarm(sim->cookie, number);
}

/* Time goes on to `until_ns`, and on its way all that is due happens. */
static void go_on(struct tresor__sim_backend *backend, uint64_t until_ns)
{
    struct tresor__sim *sim = backend->sim;
    begin_those_who_wait(backend);
    while (backend->heap_count > 0 && backend->heap[0].due_ns <= until_ns) {
        struct moment moment = take_moment(backend);
        sim->now_ns = moment.due_ns;
        if (moment.place == TRESOR_NONE)
            ring_alarm(backend, moment.alarm);
        else
            end(backend, moment.place);
        begin_those_who_wait(backend);
    }
    sim->now_ns = until_ns;
}

/* --- cancels --- */

static void end_without_line(struct tresor__sim_backend *backend, uint32_t index)
{
    struct tresor__sim *sim = backend->sim;
    struct place *place = &backend->places[index];
    place->line = NO_LINE;
    place->is_running = true;
    put_moment(backend, sim->now_ns + duration(sim, &sim->latencies[TRESOR__EFFECT_CANCEL]), index, 0);
}

/* One that waits ends as cancelled, one that is under way now and then: as if the kernel had heard in time, or not. */
static bool cancel_read(struct tresor__sim_backend *backend, const struct tresor__effect *cancel)
{
    for (enum line_kind kind = WORKERS; kind < LINES; kind++) {
        struct list *waiting = &backend->lines[kind].waiting;
        uint32_t index = waiting->head;
        for (uint32_t i = 0; i < waiting->count; i++, index = backend->places[index].next) {
            if (!tresor__effect_is_meant(cancel, &backend->places[index].effect))
                continue;
            take_at(backend, waiting, i);
            backend->places[index].effect.is_cancelled = true;
            end_without_line(backend, index);
            return true;
        }
    }
    for (uint32_t i = 0; i < backend->heap_count; i++) {
        uint32_t index = backend->heap[i].place;
        if (index == TRESOR_NONE || !tresor__effect_is_meant(cancel, &backend->places[index].effect))
            continue;
        backend->places[index].effect.is_cancelled |= draw(backend->sim, 2) == 0;
        return true;
    }
    return false;
}

/* --- the backend --- */

static void sim_submit(struct tresor__backend *base, const struct tresor__effect *effects,
                       uint32_t count)
{
    struct tresor__sim_backend *backend = self(base);
    for (uint32_t i = 0; i < count; i++) {
        assert(backend->free.count > 0);
        uint32_t index = take_at(backend, &backend->free, 0);
        struct place *place = &backend->places[index];
        *place = (struct place){.effect = effects[i], .line = (uint8_t)line_of(&effects[i])};
        backend->sim->asked++;
        if (place->effect.kind != TRESOR__EFFECT_CANCEL) {
            append(backend, &backend->lines[place->line].waiting, index);
            continue;
        }
        place->effect.is_cancelled = cancel_read(backend, &place->effect);
        end_without_line(backend, index);
    }
}

static uint32_t sim_poll(struct tresor__backend *base, struct tresor__completion *completions,
                         uint32_t limit)
{
    struct tresor__sim_backend *backend = self(base);
    struct tresor__sim *sim = backend->sim;
    uint32_t count = 0;
    go_on(backend, sim->now_ns + duration(sim, &sim->poll));
    while (count < limit && backend->done.count > 0) {
        uint32_t index = take_at(backend, &backend->done, 0);
        completions[count++] = backend->places[index].completion;
        append(backend, &backend->free, index);
    }
    sim->answers += count;
    return count;
}

static bool sim_pending(struct tresor__backend *base)
{
    const struct tresor__sim_backend *backend = self(base);
    return backend->done.count > 0 || may_begin(backend, WORKERS) || may_begin(backend, DISK);
}

/* Nothing will ever end this sleep, but for what was lost, which is given now that somebody has noticed. */
static void be_stuck(struct tresor__sim_backend *backend)
{
    struct tresor__sim *sim = backend->sim;
    sim->stuck++;
    if (backend->lost.count == 0 && sim->on_stuck)
        sim->on_stuck(sim->cookie);
    while (backend->lost.count > 0)
        append(backend, &backend->done, take_at(backend, &backend->lost, 0));
}

/* Until the next thing happens or the time is over. */
static void sleep_until(struct tresor__sim_backend *backend, uint64_t until_ns)
{
    go_on(backend, backend->sim->now_ns);
    if (backend->heap_count > 0 && backend->heap[0].due_ns < until_ns)
        until_ns = backend->heap[0].due_ns;
    if (until_ns < UINT64_MAX)
        go_on(backend, until_ns);
    else if (backend->done.count == 0)
        be_stuck(backend);
}

static void sim_wait(struct tresor__backend *base, int32_t timeout_ms)
{
    struct tresor__sim_backend *backend = self(base);
    bool is_over = timeout_ms == 0 || backend->done.count > 0 ||
                   atomic_load_explicit(&backend->bell->rung, memory_order_acquire);
    if (!is_over)
        sleep_until(backend, timeout_ms < 0
                                 ? UINT64_MAX
                                 : backend->sim->now_ns + (uint64_t)timeout_ms * NS_PER_MS);
    tresor__bell_hear(backend->bell);
}

static size_t size_of(uint32_t effects_max)
{
    return sizeof(struct tresor__sim_backend) + effects_max * sizeof(struct place) +
           (effects_max + TRESOR__SIM_ALARMS) * sizeof(struct moment);
}

static void sim_destroy(struct tresor__backend *base)
{
    struct tresor__sim_backend *backend = self(base);
    struct tresor_allocator allocator = backend->allocator;
    assert(backend->free.count == backend->capacity);
    if (backend->bounces)
        tresor__memory_close(backend->sim->sys, TRESOR__BOUNCE_BYTES, backend->bounces);
    backend->sim->backend = NULL;
    tresor__free(&allocator, backend, size_of(backend->capacity));
}

int32_t tresor__sim_create(void *argument, const struct tresor_allocator *allocator,
                           struct tresor__bell *bell, uint32_t effects_max,
                           struct tresor__backend **made)
{
    struct tresor__sim *sim = argument;
    struct tresor__sim_backend *backend = tresor__allocate(allocator, size_of(effects_max));
    if (!backend)
        return TRESOR_ERROR_NO_MEMORY;
    backend->base = (struct tresor__backend){
        .name = "sim",
        .submit = sim_submit,
        .poll = sim_poll,
        .wait = sim_wait,
        .pending = sim_pending,
        .destroy = sim_destroy,
    };
    backend->sim = sim;
    backend->allocator = *allocator;
    backend->bell = bell;
    backend->capacity = effects_max;
    backend->heap = (struct moment *)(void *)&backend->places[effects_max];
    for (uint32_t i = 0; i < effects_max; i++)
        append(backend, &backend->free, i);
    if (tresor__memory_open(sim->sys, TRESOR__BOUNCE_BYTES, &backend->bounces) < 0) {
        sim_destroy(&backend->base);
        return TRESOR_ERROR_NO_MEMORY;
    }
    sim->backend = backend;
    *made = &backend->base;
    return TRESOR_OK;
}

void tresor__sim_pass(struct tresor__sim *sim, uint64_t duration_ns)
{
    go_on(sim->backend, sim->now_ns + duration_ns);
}

bool tresor__sim_alarm(struct tresor__sim *sim, uint64_t delay_ns, uint32_t number)
{
    struct tresor__sim_backend *backend = sim->backend;
    if (backend->alarm_count == TRESOR__SIM_ALARMS)
        return false;
    backend->alarm_count++;
    put_moment(backend, sim->now_ns + delay_ns, TRESOR_NONE, number);
    return true;
}
