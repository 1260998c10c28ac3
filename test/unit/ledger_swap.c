/* SPDX-License-Identifier: MIT */
/* The ledger's swaps against a list of pages: whatever happens in whatever order, every page is known to be on its side. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/allocator.h"
#include "source/model.h"
#include "support/model.h"
#include "support/random.h"

enum {
    PAGE = 4096,
    PAGES = 40,
    TENSORS_MAX = 12,
    CHUNK_PAGES = 4,
    OPERATIONS = 60000,
    OPERATIONS_OF_WORLD = 300,
    ABSENT = 9, /* of a page: nothing is there */
};

struct tensor {
    uint32_t first_page;
    uint32_t last_page; /* behind it */
    bool is_stopping;
};

struct world {
    struct tresor__io io;
    struct tresor__model model;
    struct tresor__ledger *ledger;
    struct tensor tensors[TENSORS_MAX];
    uint32_t count;
    uint8_t sides[PAGES];
    struct tresor__swap_chunk chunk; /* in flight; length 0: none */
    uint64_t seed;
    uint64_t chunks;
};

static const struct tresor__failure failure = {.code = TRESOR_ERROR_IO, .os_errno = 5};

static struct tresor__span *span_of(struct world *world, uint32_t index)
{
    return &world->ledger->spans[index];
}

static uint32_t choose(struct world *world)
{
    return random_below(&world->seed, world->count);
}

/* --- what there is besides swaps: all at once, for others look at their steps --- */

static void fill(struct world *world, uint8_t backing)
{
    struct tresor__extent extent;
    while (tresor__ledger_take_fill(world->ledger, backing, &extent)) {
        uint64_t start = tresor__ledger_start(world->ledger, extent.first);
        uint64_t end = tresor__ledger_end(world->ledger, extent.last);
        for (uint64_t page = start / PAGE; page * PAGE < end; page++) {
            assert_int_equal(world->sides[page], ABSENT);
            world->sides[page] = backing;
        }
        tresor__ledger_settle(world->ledger, extent.first, start, end - start, NULL);
    }
}

static bool claim(struct world *world)
{
    uint32_t index = choose(world);
    uint8_t backing = (uint8_t)random_below(&world->seed, 2);
    if (span_of(world, index)->role != TRESOR__SPAN_ABSENT)
        return false;
    tresor__ledger_claim(world->ledger, index, backing, TRESOR__URGENCY_NORMAL);
    fill(world, backing);
    return true;
}

static void release(struct world *world)
{
    struct tresor__extent extent;
    for (uint8_t backing = 0; backing < 2; backing++)
        while (tresor__ledger_take_release(world->ledger, backing, &extent)) {
            uint64_t start = tresor__ledger_start(world->ledger, extent.first);
            uint64_t end = tresor__ledger_start(world->ledger, extent.last);
            memset(&world->sides[start / PAGE], ABSENT, (end - start) / PAGE);
            tresor__ledger_released(world->ledger, extent, false, NULL);
        }
}

static bool unclaim_one(struct world *world, uint32_t index)
{
    const struct tresor__span *span = span_of(world, index);
    if (span->role != TRESOR__SPAN_RESIDENT || span->swap_role != TRESOR__SPAN_ABSENT ||
        span->lock_role != TRESOR__SPAN_ABSENT || span->news)
        return false;
    tresor__ledger_unclaim(world->ledger, index, true);
    release(world);
    return true;
}

static bool unclaim(struct world *world)
{
    return unclaim_one(world, choose(world));
}

static bool lock(struct world *world)
{
    uint32_t index = choose(world);
    const struct tresor__span *span = span_of(world, index);
    if (span->role != TRESOR__SPAN_RESIDENT || span->swap_role != TRESOR__SPAN_ABSENT ||
        span->lock_role != TRESOR__SPAN_ABSENT || span->news)
        return false;
    tresor__ledger_lock(world->ledger, index);
    return true;
}

static bool take_locks(struct world *world)
{
    struct tresor__extent extent;
    bool taken = false;
    while (tresor__ledger_take_lock(world->ledger, UINT64_MAX, &extent)) {
        for (uint32_t i = extent.first; i < extent.last; i++)
            assert_int_equal(world->ledger->intervals[i].swap, TRESOR__SWAP_NONE);
        tresor__ledger_locked(world->ledger, extent, NULL);
        taken = true;
    }
    while (tresor__ledger_take_unlock(world->ledger, &extent)) {
        tresor__ledger_unlocked(world->ledger, extent, NULL);
        taken = true;
    }
    return taken;
}

static bool unlock_one(struct world *world, uint32_t index)
{
    const struct tresor__span *span = span_of(world, index);
    if (span->lock_role != TRESOR__SPAN_LOADING && span->lock_role != TRESOR__SPAN_RESIDENT)
        return false;
    tresor__ledger_unlock(world->ledger, index, true);
    return true;
}

static bool unlock(struct world *world)
{
    return unlock_one(world, choose(world));
}

/* --- swaps --- */

static bool swap(struct world *world)
{
    uint32_t index = choose(world);
    const struct tresor__span *span = span_of(world, index);
    if (span->role != TRESOR__SPAN_RESIDENT || span->swap_role != TRESOR__SPAN_ABSENT ||
        span->lock_role != TRESOR__SPAN_ABSENT || span->news)
        return false;
    world->tensors[index].is_stopping = false;
    tresor__ledger_swap(world->ledger, index, (uint8_t)random_below(&world->seed, 2));
    return true;
}

static bool stop(struct world *world)
{
    uint32_t index = choose(world);
    if (span_of(world, index)->swap_role != TRESOR__SPAN_LOADING)
        return false;
    world->tensors[index].is_stopping = true;
    tresor__ledger_stop_swap(world->ledger, index);
    return true;
}

static bool take(struct world *world)
{
    struct tresor__swap_chunk chunk;
    if (world->chunk.length > 0)
        return false;
    bool wants = tresor__ledger_wants_swap(world->ledger);
    bool gives_back = world->ledger->swap[TRESOR__BACKING_FILE].count > 0;
    assert_int_equal(tresor__ledger_take_swap(world->ledger, CHUNK_PAGES * PAGE, &chunk), wants);
    if (!wants)
        return false;
    /* What gives private memory back goes before what needs it. */
    assert_int_equal(chunk.target, gives_back ? TRESOR__BACKING_FILE : TRESOR__BACKING_ANONYMOUS);
    uint64_t first = chunk.offset / PAGE;
    uint64_t last = (chunk.offset + chunk.length) / PAGE;
    assert_true(first < last && first / CHUNK_PAGES == (last - 1) / CHUNK_PAGES);
    for (uint64_t page = first; page < last; page++)
        assert_int_equal(world->sides[page], !chunk.target);
    world->chunk = chunk;
    world->chunks++;
    return true;
}

static bool land(struct world *world, bool failed)
{
    struct tresor__swap_chunk *chunk = &world->chunk;
    if (chunk->length == 0)
        return false;
    if (!failed)
        memset(&world->sides[chunk->offset / PAGE], chunk->target, chunk->length / PAGE);
    tresor__ledger_swapped(world->ledger, chunk, failed ? &failure : NULL);
    chunk->length = 0;
    return true;
}

static bool settle(struct world *world)
{
    return land(world, random_once_in(&world->seed, 5));
}

/* Whether a page has a reason to be left where it was: somebody locks it, or it was another's when it was asked for. */
static bool is_excused(const struct world *world, uint32_t index, uint32_t page)
{
    for (uint32_t i = 0; i < world->count; i++)
        if (i != index && world->tensors[i].first_page <= page && page < world->tensors[i].last_page)
            return true;
    return false;
}

static void check_told(struct world *world, uint32_t index)
{
    const struct tresor__span *span = span_of(world, index);
    const struct tensor *tensor = &world->tensors[index];
    if (span->news & TRESOR__NEWS_SWAP_FAILED) {
        assert_int_equal(span->failure.code, failure.code);
        assert_int_equal(span->failure.os_errno, failure.os_errno);
        assert_true(span->failure.got < span->failure.wanted);
    }
    for (uint32_t page = tensor->first_page;
         span->news & TRESOR__NEWS_SWAPPED && !tensor->is_stopping && page < tensor->last_page; page++)
        assert_true(world->sides[page] == span->swap_target || is_excused(world, index, page));
}

static bool hear(struct world *world)
{
    uint32_t index = tresor__ledger_pop_news(world->ledger);
    if (index == TRESOR_NONE)
        return false;
    check_told(world, index);
    span_of(world, index)->news = 0;
    return true;
}

/* --- worlds --- */

static void make_world(struct world *world, uint64_t seed)
{
    static struct tresor_allocator allocator;
    struct model_tensor tensors[TENSORS_MAX];
    uint64_t file_bytes = PAGES * PAGE - 100;
    uint64_t end = 0;
    allocator = tresor__allocator_or_default(NULL);
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->io.page_bytes = PAGE;
    world->io.room.limit_bytes = UINT64_MAX;
    world->count = 1 + random_below(&world->seed, TENSORS_MAX);
    bool overlap = random_once_in(&world->seed, 3);
    for (uint32_t i = 0; i < world->count; i++) {
        uint64_t start = overlap ? random_below(&world->seed, (uint32_t)file_bytes) : end;
        uint64_t size = random_below(&world->seed, PAGE * (random_once_in(&world->seed, 2) ? 2 : 16));
        size = size < file_bytes - start ? size : file_bytes - start;
        tensors[i] = (struct model_tensor){.offset_bytes = start, .size_bytes = size};
        end = start + size;
        world->tensors[i].first_page = (uint32_t)(start / PAGE);
        world->tensors[i].last_page = size ? (uint32_t)((end - 1) / PAGE + 1) : (uint32_t)(start / PAGE);
    }
    struct model_layout layout = {tensors, world->count, &file_bytes, 1, 0};
    assert_error(model_make(&world->model, &allocator, &world->io, &layout), TRESOR_OK);
    world->ledger = &world->model.files[0].io.ledger;
    memset(world->sides, ABSENT, sizeof world->sides);
}

static void check_world(struct world *world)
{
    uint64_t bytes[2] = {0};
    tresor__ledger_check(world->ledger);
    for (uint32_t page = 0; page < PAGES; page++)
        if (world->sides[page] != ABSENT)
            bytes[world->sides[page]] += PAGE;
    assert_int_equal(bytes[0], world->ledger->resident_bytes[0]);
    assert_int_equal(bytes[1], world->ledger->resident_bytes[1]);
}

typedef bool operation(struct world *world);

static operation *const operations[] = {
    claim, claim, claim, unclaim, lock, take_locks, unlock, swap, swap, swap,
    stop,  take,  take,  take,    settle, settle, settle,  hear, hear, hear,
};

/* Every swap comes to an end, and then everything can go. */
static void empty_world(struct world *world)
{
    while (take(world) || land(world, false) || take_locks(world) || hear(world))
        check_world(world);
    for (uint32_t i = 0; i < world->count; i++) {
        assert_int_equal(span_of(world, i)->swap_role, TRESOR__SPAN_ABSENT);
        unlock_one(world, i);
    }
    while (take_locks(world) || hear(world))
        continue;
    for (uint32_t i = 0; i < world->count; i++)
        unclaim_one(world, i);
    check_world(world);
    for (uint32_t page = 0; page < PAGES; page++)
        assert_int_equal(world->sides[page], ABSENT);
}

static void random_worlds(void **state)
{
    static struct world world;
    const char *given = getenv("TRESOR_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20250301;
    uint64_t chunks = 0;
    (void)state;
    print_message("TRESOR_SEED=%llu\n", (unsigned long long)seed);
    for (uint32_t done = 0; done < OPERATIONS;) {
        make_world(&world, random_next(&seed));
        for (uint32_t i = 0; i < OPERATIONS_OF_WORLD; i++) {
            if (!operations[random_below(&world.seed, sizeof operations / sizeof operations[0])](&world))
                continue;
            check_world(&world);
            done++;
        }
        empty_world(&world);
        chunks += world.chunks;
        tresor__model_free(&world.model);
    }
    assert_true(chunks > OPERATIONS / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_worlds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
