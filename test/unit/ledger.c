/* SPDX-License-Identifier: MIT */
/* The interval ledger in random worlds, step by step against what the cells of its pages say. */
#include <stdlib.h>
#include <string.h>

#include "core/allocator.h"
#include "io/exchange.h"
#include "io/extent.h"
#include "support/cells.h"
#include "support/random.h"
#include "support/test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

enum {
    OPERATIONS = SLOW ? 60000 : 300000,
    OPERATIONS_OF_WORLD = 1500,
    WALKS = 2, /* of each backing */
    IN_FLIGHT = 24,
    PAGES = 24,
};

struct walk {
    struct tresor__extent_walk walk;
    bool in_hand;
    bool mapped;
};

/* A chunk that was asked for. */
struct part {
    uint32_t hint;
    uint64_t start;
    uint64_t end;
};

struct flight {
    struct tresor__extent extents[IN_FLIGHT];
    uint32_t count;
};

struct world {
    struct tresor__model model;
    struct tresor__io io;
    struct tresor__ledger *ledger;
    struct cells cells;
    struct walk walks[TRESOR__BACKING_COUNT * WALKS];
    struct part parts[IN_FLIGHT];
    uint32_t part_count;
    struct flight releasing;
    struct flight locking;
    struct flight unlocking;
    struct tresor__exchange exchange;
    struct tresor__extent spent;  /* of the exchange */
    struct walk *wanted;
    uint64_t before_bytes; /* charged when it was taken */
    uint64_t exchange_count;
    uint64_t seed;
    bool failing; /* effects fail at times */
    uint64_t arrived[CELLS_TENSORS_MAX]; /* when it was last looked at, while it is loaded */
};

static const struct tresor__failure failure = {
    .code = TRESOR_ERROR_IO, .os_errno = 5, .offset = 7, .wanted = 9, .got = 8};

static uint64_t start_of(const struct world *world, struct tresor__extent extent)
{
    return tresor__ledger_start(world->ledger, extent.first);
}

static uint64_t end_of(const struct world *world, struct tresor__extent extent)
{
    return tresor__ledger_start(world->ledger, extent.last);
}

static bool fails(struct world *world)
{
    return world->failing && random_once_in(&world->seed, 5);
}

/* --- what a tensor's machines do --- */

static bool has_news(const struct cell_tensor *tensor, uint16_t news)
{
    return tensor->news & news;
}

static bool claim(struct world *world)
{
    uint32_t index = random_below(&world->seed, world->cells.tensor_count);
    const struct cell_tensor *tensor = &world->cells.tensors[index];
    if (tensor->role != TRESOR__SPAN_ABSENT ||
        has_news(tensor, TRESOR__NEWS_RELEASED | TRESOR__NEWS_RELEASE_FAILED))
        return false;
    uint8_t backing = (uint8_t)random_below(&world->seed, TRESOR__BACKING_COUNT);
    uint8_t urgency = (uint8_t)random_below(&world->seed, TRESOR__URGENCY_COUNT);
    tresor__ledger_claim(world->ledger, index, backing, urgency);
    cells_claim(&world->cells, index, backing, urgency);
    return true;
}

static bool hasten(struct world *world)
{
    uint32_t index = random_below(&world->seed, world->cells.tensor_count);
    uint8_t urgency = (uint8_t)random_below(&world->seed, TRESOR__URGENCY_COUNT);
    if (world->cells.tensors[index].role != TRESOR__SPAN_LOADING)
        return false;
    tresor__ledger_hasten(world->ledger, index, urgency);
    cells_hasten(&world->cells, index, urgency);
    return true;
}

static bool watch(struct world *world)
{
    uint32_t index = random_below(&world->seed, world->cells.tensor_count);
    struct cell_tensor *tensor = &world->cells.tensors[index];
    if (tensor->watchers > 0 && random_once_in(&world->seed, 2)) {
        tresor__ledger_unwatch(world->ledger, index);
        tensor->watchers--;
    } else {
        tresor__ledger_watch(world->ledger, index);
        tensor->watchers++;
    }
    return true;
}

static bool unclaim_one(struct world *world, uint32_t index)
{
    const struct cell_tensor *tensor = &world->cells.tensors[index];
    bool told = !has_news(tensor, TRESOR__NEWS_FILLED);
    bool locked = tensor->lock_role != TRESOR__SPAN_ABSENT ||
                  has_news(tensor, TRESOR__NEWS_UNLOCKED | TRESOR__NEWS_UNLOCK_FAILED);
    if (tensor->role == TRESOR__SPAN_ABSENT || tensor->role == TRESOR__SPAN_LEAVING || locked)
        return false;
    /* Only who was told that it is there waits for its end; the others withdraw. */
    bool wait = tensor->role == TRESOR__SPAN_RESIDENT && told;
    tresor__ledger_unclaim(world->ledger, index, wait);
    cells_unclaim(&world->cells, index, wait);
    return true;
}

static bool unclaim(struct world *world)
{
    return unclaim_one(world, random_below(&world->seed, world->cells.tensor_count));
}

static bool lock(struct world *world)
{
    uint32_t index = random_below(&world->seed, world->cells.tensor_count);
    const struct cell_tensor *tensor = &world->cells.tensors[index];
    uint8_t untold = TRESOR__NEWS_FILLED | TRESOR__NEWS_UNLOCKED | TRESOR__NEWS_UNLOCK_FAILED;
    if (tensor->role != TRESOR__SPAN_RESIDENT || tensor->lock_role != TRESOR__SPAN_ABSENT ||
        has_news(tensor, untold))
        return false;
    tresor__ledger_lock(world->ledger, index);
    cells_lock(&world->cells, index);
    return true;
}

static bool unlock_one(struct world *world, uint32_t index)
{
    const struct cell_tensor *tensor = &world->cells.tensors[index];
    if (tensor->lock_role == TRESOR__SPAN_ABSENT || tensor->lock_role == TRESOR__SPAN_LEAVING ||
        has_news(tensor, TRESOR__NEWS_LOCKED))
        return false;
    bool wait = tensor->lock_role == TRESOR__SPAN_RESIDENT;
    tresor__ledger_unlock(world->ledger, index, wait);
    cells_unlock(&world->cells, index, wait);
    return true;
}

static bool unlock(struct world *world)
{
    return unlock_one(world, random_below(&world->seed, world->cells.tensor_count));
}

static bool hear(struct world *world)
{
    uint32_t index = tresor__ledger_pop_news(world->ledger);
    if (index == TRESOR_NONE) {
        for (uint32_t i = 0; i < world->cells.tensor_count; i++)
            assert_int_equal(world->cells.tensors[i].news, 0);
        return false;
    }
    /* Every failure that is told has its reason. */
    const struct tresor__span *span = &world->ledger->spans[index];
    if (span->news & (TRESOR__NEWS_FILL_FAILED | TRESOR__NEWS_RELEASE_FAILED))
        assert_memory_equal(&span->failure, &failure, sizeof failure);
    if (span->news & (TRESOR__NEWS_LOCK_FAILED | TRESOR__NEWS_UNLOCK_FAILED))
        assert_memory_equal(&span->lock_failure, &failure, sizeof failure);
    world->ledger->spans[index].news = 0;
    world->cells.tensors[index].news = 0;
    return true;
}

/* --- what the strategies' machines do --- */

static bool take_fill(struct world *world)
{
    uint32_t index = random_below(&world->seed, TRESOR__BACKING_COUNT * WALKS);
    uint8_t backing = (uint8_t)(index / WALKS);
    struct walk *walk = &world->walks[index];
    if (walk->in_hand)
        return false;
    bool wants = tresor__ledger_wants(world->ledger, backing);
    assert_int_equal(wants, cells_have(&world->cells, TRESOR__FILL_WANTED, backing));
    if (!wants)
        return false;
    bool has_limit = random_once_in(&world->seed, 3);
    uint64_t room = random_below(&world->seed, PAGES / 2) * CELLS_PAGE_BYTES;
    if (!has_limit)
        room = UINT64_MAX - world->io.room.charged_bytes;
    world->io.room.limit_bytes = world->io.room.charged_bytes + room;
    room = tresor__room_left(&world->io.room); /* what is committed may be filled, whatever the limit is */
    uint64_t most = world->io.room.charged_bytes + room;
    if (!tresor__ledger_has_room(world->ledger, backing)) {
        struct tresor__extent none;
        assert_false(tresor__ledger_take_fill(world->ledger, backing, &none));
        return false;
    }
    tresor__extent_take(world->ledger, backing, &walk->walk);
    assert_true(world->io.room.charged_bytes <= most);
    cells_take_fill(&world->cells, start_of(world, walk->walk.extent),
                    end_of(world, walk->walk.extent), backing, room);
    walk->in_hand = true;
    walk->mapped = false;
    return true;
}

static void start_part(struct world *world, struct walk *walk)
{
    uint64_t before = walk->walk.offset;
    uint64_t limit = (uint64_t)CELLS_PAGE_BYTES << random_below(&world->seed, 4);
    bool is_last = tresor__extent_reaches_end(world->ledger, &walk->walk, limit);
    tresor__extent_next(world->ledger, &walk->walk, limit);
    cells_abandon(&world->cells, before, walk->walk.offset);
    struct part part = {walk->walk.interval, walk->walk.offset,
                        walk->walk.offset + walk->walk.length};
    assert_true(part.end > part.start && part.end - part.start <= limit);
    assert_true((part.end - 1) / limit == part.start / limit);
    assert_true(!is_last ||
                (part.start == before &&
                 part.end == tresor__ledger_end(world->ledger, walk->walk.extent.last)));
    tresor__extent_advance(world->ledger, &walk->walk);
    world->parts[world->part_count++] = part;
}

static void leave(struct world *world, struct walk *walk)
{
    uint64_t before = walk->walk.offset;
    uint64_t end = tresor__ledger_end(world->ledger, walk->walk.extent.last);
    assert_false(tresor__extent_reaches_end(world->ledger, &walk->walk, CELLS_PAGE_BYTES));
    tresor__extent_leave(world->ledger, &walk->walk);
    cells_abandon(&world->cells, before, end);
    walk->in_hand = false;
}

/* --- an exchange: taken, mapped, moved run by run, and its spent place released --- */

static uint64_t bytes_of(const struct world *world, struct tresor__extent extent)
{
    return end_of(world, extent) - start_of(world, extent);
}

/* The runs are whole huge pages within both places, and do not overlap. */
static void check_run(const struct world *world)
{
    const struct tresor__exchange *exchange = &world->exchange;
    uint64_t unit = UINT64_C(2) << 20;
    assert_true(exchange->length > 0);
    assert_int_equal((exchange->from | exchange->to | exchange->length) % unit, 0);
    assert_true(exchange->from >= start_of(world, world->spent));
    assert_true(exchange->from + exchange->length <= end_of(world, world->spent));
    assert_true(exchange->to >= start_of(world, world->wanted->walk.extent));
    assert_true(exchange->to + exchange->length <=
                tresor__ledger_end(world->ledger, world->wanted->walk.extent.last));
}

static bool take_exchange(struct world *world)
{
    struct walk *walk =
        &world->walks[TRESOR__BACKING_ANONYMOUS * WALKS + random_below(&world->seed, WALKS)];
    struct tresor__extent wanted;
    if (walk->in_hand || world->exchange.is_on)
        return false;
    uint64_t room = random_below(&world->seed, PAGES / 2) * (uint64_t)CELLS_PAGE_BYTES;
    world->before_bytes = world->io.room.charged_bytes;
    world->io.room.limit_bytes = world->before_bytes + room;
    room = tresor__room_left(&world->io.room);
    uint64_t most = world->before_bytes + room;
    world->io.room.seams_max = random_once_in(&world->seed, 8) ? 4 : UINT32_MAX;
    if (!tresor__exchange_is_possible(world->ledger))
        return false;
    world->exchange = tresor__exchange_take(world->ledger, &wanted, &world->spent);
    /* As much as the larger of the two: the spent one's pages are all still there. */
    assert_true(world->io.room.charged_bytes >= world->before_bytes);
    assert_true(world->io.room.charged_bytes <= most);
    walk->walk = (struct tresor__extent_walk){.extent = wanted,
                                              .interval = wanted.first,
                                              .offset = start_of(world, wanted)};
    walk->in_hand = true;
    walk->mapped = false;
    world->wanted = walk;
    cells_lend(&world->cells, start_of(world, world->spent), end_of(world, world->spent));
    cells_take_part(&world->cells, start_of(world, wanted), end_of(world, wanted),
                    TRESOR__BACKING_ANONYMOUS, room + bytes_of(world, world->spent));
    check_run(world);
    world->exchange_count++;
    return true;
}

static void end_exchange(struct world *world)
{
    world->exchange = (struct tresor__exchange){0};
    world->wanted = NULL;
}

static void release_spent(struct world *world, bool failed)
{
    tresor__ledger_released(world->ledger, world->spent, false, failed ? &failure : NULL);
    cells_released(&world->cells, start_of(world, world->spent), end_of(world, world->spent), failed);
}

/* Its place cannot be mapped, or the spent one not be unmapped: nothing has begun, and all counts as it did. */
static void break_exchange(struct world *world, bool is_mapped)
{
    struct tresor__extent wanted = world->wanted->walk.extent;
    if (is_mapped) {
        tresor__exchange_undo(world->ledger, wanted, world->spent);
        cells_put_back(&world->cells, start_of(world, wanted), end_of(world, wanted));
    } else {
        tresor__ledger_unmapped(world->ledger, wanted, &failure);
        tresor__exchange_call_off(world->ledger, world->spent);
        cells_unmapped(&world->cells, start_of(world, wanted), end_of(world, wanted));
    }
    assert_true(world->io.room.charged_bytes <= world->io.room.limit_bytes);
    release_spent(world, is_mapped);
    world->wanted->in_hand = false;
    end_exchange(world);
}

static bool step_exchange(struct world *world)
{
    if (!world->exchange.is_on)
        return false;
    if (fails(world)) {
        break_exchange(world, world->wanted->mapped);
        return true;
    }
    if (!world->wanted->mapped) {
        world->wanted->mapped = true;
        return true;
    }
    bool has_next = tresor__exchange_has_next(world->ledger, &world->exchange);
    if (has_next && !random_once_in(&world->seed, 8)) {
        uint64_t from = world->exchange.from + world->exchange.length;
        uint64_t to = world->exchange.to + world->exchange.length;
        assert_true(tresor__exchange_next(world->ledger, &world->exchange));
        assert_true(world->exchange.from >= from && world->exchange.to == to);
        check_run(world);
        return true;
    }
    release_spent(world, false);
    tresor__exchange_settle(world->ledger);
    assert_int_equal(world->ledger->exchange_bytes, 0);
    end_exchange(world);
    return true;
}

static bool walk_on(struct world *world)
{
    struct walk *walk = &world->walks[random_below(&world->seed, TRESOR__BACKING_COUNT * WALKS)];
    if (!walk->in_hand)
        return false;
    if (walk == world->wanted)
        return step_exchange(world);
    if (!walk->mapped) {
        walk->mapped = !fails(world);
        if (!walk->mapped) {
            tresor__ledger_unmapped(world->ledger, walk->walk.extent, &failure);
            cells_unmapped(&world->cells, start_of(world, walk->walk.extent),
                           end_of(world, walk->walk.extent));
            walk->in_hand = false;
        }
        return true;
    }
    if (!tresor__extent_has_more(world->ledger, &walk->walk))
        leave(world, walk);
    else if (world->part_count < IN_FLIGHT)
        start_part(world, walk);
    else
        return false;
    return true;
}

/* What has not begun is put back where something is more urgent. */
static bool put_back(struct world *world)
{
    uint32_t index = random_below(&world->seed, TRESOR__BACKING_COUNT * WALKS);
    struct walk *walk = &world->walks[index];
    if (!walk->in_hand || !walk->mapped || walk == world->wanted ||
        !tresor__extent_is_overtaken(world->ledger, (uint8_t)(index / WALKS), &walk->walk))
        return false;
    uint64_t end = end_of(world, walk->walk.extent);
    uint64_t before = walk->walk.offset;
    tresor__extent_put_back(world->ledger, &walk->walk);
    uint64_t start = end_of(world, walk->walk.extent);
    assert_true(start >= before && start < end);
    assert_true(walk->walk.extent.first < walk->walk.extent.last);
    cells_put_back(&world->cells, start, end);
    return true;
}

static void settle_range(struct world *world, uint32_t hint, uint64_t start, uint64_t end,
                         bool failed)
{
    if (start == end)
        return;
    tresor__ledger_settle(world->ledger, hint, start, end - start, failed ? &failure : NULL);
    cells_settle(&world->cells, start, end, failed);
}

/* Parts come back in any order, whole, failed, or good up to a place. */
static bool settle(struct world *world)
{
    if (world->part_count == 0)
        return false;
    uint32_t index = random_below(&world->seed, world->part_count);
    struct part part = world->parts[index];
    world->parts[index] = world->parts[--world->part_count];
    uint64_t good = part.end;
    if (fails(world))
        good = part.start + random_next(&world->seed) % (part.end - part.start);
    settle_range(world, part.hint, part.start, good, false);
    settle_range(world, part.hint, good, part.end, true);
    return true;
}

static bool has_room(const struct flight *flight)
{
    return flight->count < IN_FLIGHT;
}

static bool land(struct world *world, struct flight *flight, struct tresor__extent *extent)
{
    if (flight->count == 0)
        return false;
    uint32_t index = random_below(&world->seed, flight->count);
    *extent = flight->extents[index];
    flight->extents[index] = flight->extents[--flight->count];
    return true;
}

static bool take_release(struct world *world)
{
    struct tresor__extent extent;
    uint8_t backing = (uint8_t)random_below(&world->seed, TRESOR__BACKING_COUNT);
    if (!has_room(&world->releasing))
        return false;
    bool taken = tresor__ledger_take_release(world->ledger, backing, &extent);
    assert_int_equal(taken, cells_have(&world->cells, TRESOR__FILL_SPENT, backing));
    if (!taken)
        return false;
    cells_take_release(&world->cells, start_of(world, extent), end_of(world, extent), backing);
    world->releasing.extents[world->releasing.count++] = extent;
    return true;
}

static bool released(struct world *world)
{
    struct tresor__extent extent;
    if (!land(world, &world->releasing, &extent))
        return false;
    bool failed = fails(world);
    tresor__ledger_released(world->ledger, extent, false, failed ? &failure : NULL);
    cells_released(&world->cells, start_of(world, extent), end_of(world, extent), failed);
    return true;
}

static bool take_lock(struct world *world)
{
    struct tresor__extent extent;
    uint64_t limit = CELLS_PAGE_BYTES * (uint64_t)random_below(&world->seed, 6);
    if (!has_room(&world->locking))
        return false;
    bool taken = tresor__ledger_take_lock(world->ledger, limit, &extent);
    assert_int_equal(taken, cells_have_lock(&world->cells, TRESOR__LOCK_WANTED));
    if (!taken)
        return false;
    assert_true(extent.last - extent.first == 1 ||
                end_of(world, extent) - start_of(world, extent) <= limit);
    cells_take_lock(&world->cells, start_of(world, extent), end_of(world, extent));
    world->locking.extents[world->locking.count++] = extent;
    return true;
}

static bool locked(struct world *world)
{
    struct tresor__extent extent;
    if (!land(world, &world->locking, &extent))
        return false;
    bool failed = fails(world);
    if (failed && random_once_in(&world->seed, 2)) {
        tresor__ledger_lock_undone(world->ledger, extent);
        cells_lock_undone(&world->cells, start_of(world, extent), end_of(world, extent));
    }
    if (failed && random_once_in(&world->seed, 2)) {
        tresor__ledger_lock_again(world->ledger, extent);
        cells_lock_again(&world->cells, start_of(world, extent), end_of(world, extent));
        return true;
    }
    tresor__ledger_locked(world->ledger, extent, failed ? &failure : NULL);
    cells_locked(&world->cells, start_of(world, extent), end_of(world, extent), failed);
    return true;
}

static bool take_unlock(struct world *world)
{
    struct tresor__extent extent;
    if (!has_room(&world->unlocking))
        return false;
    bool taken = tresor__ledger_take_unlock(world->ledger, &extent);
    assert_int_equal(taken, cells_have_lock(&world->cells, TRESOR__LOCK_SPENT));
    if (!taken)
        return false;
    cells_take_unlock(&world->cells, start_of(world, extent), end_of(world, extent));
    world->unlocking.extents[world->unlocking.count++] = extent;
    return true;
}

static bool unlocked(struct world *world)
{
    struct tresor__extent extent;
    if (!land(world, &world->unlocking, &extent))
        return false;
    bool failed = fails(world);
    tresor__ledger_unlocked(world->ledger, extent, failed ? &failure : NULL);
    cells_unlocked(&world->cells, start_of(world, extent), end_of(world, extent), failed);
    return true;
}

/* --- worlds --- */

static const struct tresor_allocator *allocator(void)
{
    static struct tresor_allocator made;
    made = tresor__allocator_or_default(NULL);
    return &made;
}

/* Tensors that follow each other with small gaps, or stand anywhere; tiny, empty, or of several
 * pages. */
static uint32_t make_tensors(struct world *world, struct model_tensor *tensors, uint64_t file_bytes)
{
    uint32_t count = 1 + random_below(&world->seed, CELLS_TENSORS_MAX);
    bool overlapping = random_once_in(&world->seed, 3);
    uint32_t limit = 1 + random_below(&world->seed, 5 * CELLS_PAGE_BYTES);
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t offset = overlapping ? random_below(&world->seed, (uint32_t)file_bytes)
                                      : end + random_below(&world->seed, 64) * 32;
        uint64_t size = random_once_in(&world->seed, 12) ? 0 : random_below(&world->seed, limit);
        offset = offset < file_bytes ? offset : file_bytes;
        size = size < file_bytes - offset ? size : file_bytes - offset;
        tensors[i] = (struct model_tensor){.offset_bytes = offset, .size_bytes = size};
        end = offset + size;
    }
    return count;
}

static void make_world(struct world *world, uint64_t seed)
{
    struct model_tensor tensors[CELLS_TENSORS_MAX];
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->failing = random_once_in(&world->seed, 2);
    world->io.page_bytes = CELLS_PAGE_BYTES;
    world->io.room.limit_bytes = UINT64_MAX;
    uint64_t file_bytes = 1 + random_below(&world->seed, PAGES * CELLS_PAGE_BYTES);
    uint32_t count = make_tensors(world, tensors, file_bytes);
    struct model_layout layout = {tensors, count, &file_bytes, 1, 0};
    assert_error(model_make(&world->model, allocator(), &world->io, &layout), TRESOR_OK);
    world->ledger = &world->model.files[0].io.ledger;
    cells_make(&world->cells, tensors, count, file_bytes);
}

typedef bool operation(struct world *world);

/* One row a kind of thing that can happen, as often as it is listed. */
static operation *const operations[] = {
    claim,  claim,  claim,        unclaim,   lock,      lock,    unlock,      hear,
    hear,   hear,   take_fill,    take_fill, walk_on,   walk_on, walk_on,     settle,
    settle, settle, take_release, released,  take_lock, locked,  take_unlock, unlocked,
    hasten, hasten, put_back,     put_back,  watch,     take_exchange, step_exchange, step_exchange,
};

static void check_arrived(struct world *world, uint32_t index)
{
    uint64_t arrived = tresor__ledger_arrived(world->ledger, index);
    bool is_loading = world->ledger->spans[index].role == TRESOR__SPAN_LOADING;
    assert_true(!is_loading || arrived >= world->arrived[index]);
    world->arrived[index] = is_loading ? arrived : 0;
}

static void check_world(struct world *world)
{
    tresor__ledger_check(world->ledger);
    assert_same_cells(&world->cells, world->ledger);
    for (uint32_t i = 0; i < world->cells.tensor_count; i++)
        check_arrived(world, i);
}

/* Everybody leaves, nothing fails any more: the ledger must become empty. */
static void empty_world(struct world *world)
{
    static operation *const ends[] = {hear,     take_fill, walk_on, settle,      take_release,
                                      released, take_lock, locked,  take_unlock, unlocked};
    world->failing = false;
    for (uint32_t round = 0; round < 400; round++) {
        for (uint32_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
            ends[i](world);
        for (uint32_t i = 0; i < world->cells.tensor_count; i++) {
            unlock_one(world, i);
            unclaim_one(world, i);
        }
    }
    while (hear(world))
        ;
    check_world(world);
    for (uint32_t i = 0; i < world->ledger->interval_count; i++) {
        assert_int_equal(world->ledger->intervals[i].fill, TRESOR__FILL_EMPTY);
        assert_int_equal(world->ledger->intervals[i].lock, TRESOR__LOCK_NONE);
    }
    for (uint32_t i = 0; i < world->cells.tensor_count; i++)
        assert_int_equal(world->ledger->spans[i].role, TRESOR__SPAN_ABSENT);
}

static void random_worlds(void **state)
{
    static struct world world;
    const char *given = getenv("TRESOR_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : 20240229;
    uint32_t done = 0;
    uint64_t exchanges = 0;
    (void)state;
    print_message("TRESOR_SEED=%llu\n", (unsigned long long)seed);
    while (done < OPERATIONS) {
        make_world(&world, random_next(&seed));
        check_world(&world);
        for (uint32_t i = 0; i < OPERATIONS_OF_WORLD; i++) {
            uint32_t choice = random_below(&world.seed, sizeof operations / sizeof operations[0]);
            if (!operations[choice](&world))
                continue;
            check_world(&world);
            done++;
        }
        empty_world(&world);
        exchanges += world.exchange_count;
        tresor__model_free(&world.model);
    }
    print_message("# %llu exchanges\n", (unsigned long long)exchanges);
    assert_true(exchanges > OPERATIONS / 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_worlds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
