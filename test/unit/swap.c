/* SPDX-License-Identifier: MIT */
/* Swaps of real files on every backend, under threads that read all the time. */
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "context.h"
#include "support/session.h"
#include "support/temporary.h"

enum {
    TENSORS = 7,
    READERS = 2,
    ROUNDS = 50, /* of two swaps of everything, a backend */
    PAGE = 4096,
    PER_TURN = 3, /* of them as one tensor after the other */
};

/* Some share pages, some are longer than a chunk, and the last ends within a page. */
static const struct model_tensor tensors[TENSORS] = {
    {5000, MODEL_NEXT, false},    {100, MODEL_NEXT, false},    {4500000, MODEL_NEXT, false},
    {90000, MODEL_NEXT, false},   {2097152, MODEL_NEXT, false}, {3333333, MODEL_NEXT, false},
    {70001, MODEL_NEXT, false},
};

struct reader {
    const uint8_t *address;
    const uint8_t *bytes;
    size_t size_bytes;
    _Atomic bool *is_over;
    _Atomic uint64_t rounds;
    _Atomic uint64_t wrong;
};

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    struct failing_allocator memory;
    struct session session;
    const uint8_t *window;
    uint64_t size_bytes;
    pthread_t threads[READERS];
    struct reader readers[READERS];
    _Atomic bool is_over;
} world;

static void start(uint32_t backend, uint32_t direct)
{
    memset(&world.memory, 0, sizeof world.memory);
    struct tresor_context_options options = session_options(&world.memory);
    options.backend = backend;
    options.direct = direct;
    options.threads_max = 3;
    assert_error(session_create(&world.session, tresor__sys_posix(), &options), TRESOR_OK);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    world.session.steps_max = UINT64_MAX;
    struct tresor_file_info file = {.size_bytes = sizeof file};
    tresor_source_get_file(world.session.context, world.session.source, 0, &file);
    world.window = file.window;
    world.size_bytes = world.set.parts[0].bytes.size;
}

static void end(void)
{
    assert_error(session_close(&world.session), TRESOR_OK);
    const char *wrong = session_destroy(&world.session);
    if (wrong)
        fail_msg("%s", wrong);
    assert_int_equal(world.memory.outstanding_bytes, 0);
}

static struct tresor_item all(void)
{
    return session_all(&world.session);
}

static int32_t ask(enum tresor_verb verb, struct tresor_item item, uint32_t strategy)
{
    /* The session remembers every request for its end; these have all ended. */
    world.session.request_count = 0;
    world.session.item_count = 0;
    return session_do(&world.session, verb, item, strategy);
}

static void must_be(uint32_t strategy)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    uint64_t pages = (world.size_bytes + PAGE - 1) / PAGE * PAGE;
    assert_error(tresor_get_counters(world.session.context, &counters), TRESOR_OK);
    assert_int_equal(counters.mapped_bytes, strategy == TRESOR_STRATEGY_MMAP ? pages : 0);
    assert_int_equal(counters.private_bytes, strategy == TRESOR_STRATEGY_READ ? pages : 0);
    assert_int_equal(counters.rejected, 0);
}

/* --- readers --- */

static void *read_on(void *argument)
{
    struct reader *reader = argument;
    while (!atomic_load(reader->is_over)) {
        if (memcmp(reader->address, reader->bytes, reader->size_bytes) != 0)
            atomic_fetch_add(&reader->wrong, 1);
        atomic_fetch_add(&reader->rounds, 1);
    }
    return NULL;
}

/* They read [from, until) of the file in the window. */
static void start_readers(uint64_t from, uint64_t until)
{
    atomic_store(&world.is_over, false);
    for (uint32_t i = 0; i < READERS; i++) {
        struct reader *reader = &world.readers[i];
        reader->address = world.window + from;
        reader->bytes = world.set.parts[0].bytes.data + from;
        reader->size_bytes = (size_t)(until - from);
        reader->is_over = &world.is_over;
        atomic_store(&reader->rounds, 0);
        atomic_store(&reader->wrong, 0);
        assert_int_equal(pthread_create(&world.threads[i], NULL, read_on, reader), 0);
    }
    for (uint32_t i = 0; i < READERS; i++)
        while (atomic_load(&world.readers[i].rounds) == 0)
            continue;
}

static void end_readers(void)
{
    atomic_store(&world.is_over, true);
    for (uint32_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(world.threads[i], NULL), 0);
        assert_int_equal(atomic_load(&world.readers[i].wrong), 0);
    }
}

static void swap_everything(uint32_t strategy, uint32_t round)
{
    if (round % PER_TURN > 0)
        assert_error(ask(TRESOR_VERB_SWAP, all(), strategy), TRESOR_OK);
    for (uint32_t i = 0; i < TENSORS && round % PER_TURN == 0; i++)
        assert_error(ask(TRESOR_VERB_SWAP, session_tensor(&world.session, i), strategy),
                     TRESOR_OK);
    must_be(strategy);
}

static void swap_under_readers(uint32_t backend, uint32_t direct)
{
    start(backend, direct);
    assert_error(ask(TRESOR_VERB_LOAD, all(), TRESOR_STRATEGY_MMAP), TRESOR_OK);
    assert_error(tresor_acquire(world.session.context, all(), NULL), TRESOR_OK);
    start_readers(0, world.size_bytes);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        swap_everything(TRESOR_STRATEGY_READ, round);
        swap_everything(TRESOR_STRATEGY_MMAP, round);
    }
    end_readers();
    assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
    assert_error(tresor_release(world.session.context, all()), TRESOR_OK);
    end();
}

static void under_readers_on_sync(void **state)
{
    (void)state;
    swap_under_readers(TRESOR_BACKEND_SYNC, TRESOR_DIRECT_OFF);
}

static void under_readers_on_the_pool(void **state)
{
    (void)state;
    swap_under_readers(TRESOR_BACKEND_POOL, TRESOR_DIRECT_AUTO);
}

static void under_readers_on_the_ring(void **state)
{
    (void)state;
    swap_under_readers(TRESOR_BACKEND_URING, TRESOR_DIRECT_ON);
}

/* One tensor moves and is read while others are loaded beside it, by either strategy, and evicted. */
static void while_loads_are_in_flight(void **state)
{
    enum { MOVES = 2, LOADS = 5 };
    (void)state;
    start(TRESOR_BACKEND_POOL, TRESOR_DIRECT_AUTO);
    struct tresor_item moved = session_tensor(&world.session, MOVES);
    struct tresor_item loaded = session_tensor(&world.session, LOADS);
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    tresor_source_get_tensor(world.session.context, world.session.source, MOVES, &info);
    assert_error(ask(TRESOR_VERB_LOAD, moved, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    start_readers(info.offset_bytes, info.offset_bytes + info.tensor_bytes);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct tresor_request load = {0};
        struct tresor_request swap = {0};
        world.session.request_count = 0;
        uint32_t strategy = round % 2 ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ;
        session_submit(&world.session, TRESOR_VERB_LOAD, &loaded, 1,
                       round % 4 < 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP, &load);
        session_submit(&world.session, TRESOR_VERB_SWAP, &moved, 1, strategy, &swap);
        assert_error(session_finish(&world.session, swap, NULL), TRESOR_OK);
        assert_error(session_finish(&world.session, load, NULL), TRESOR_OK);
        assert_int_equal(session_verify(&world.session, &world.set), 2);
        assert_error(ask(TRESOR_VERB_EVICT, loaded, 0), TRESOR_OK);
    }
    end_readers();
    end();
}

/* Behind the file's end, and before its next page. */
static void check_tail(void)
{
    uint64_t until = (world.size_bytes + PAGE - 1) / PAGE * PAGE;
    assert_true(until > world.size_bytes);
    for (uint64_t at = world.size_bytes; at < until; at++)
        assert_int_equal(world.window[at], 0);
}

static void the_page_at_the_end(void **state)
{
    (void)state;
    for (uint32_t direct = TRESOR_DIRECT_AUTO; direct <= TRESOR_DIRECT_OFF; direct++) {
        start(TRESOR_BACKEND_SYNC, direct);
        assert_error(ask(TRESOR_VERB_LOAD, all(), TRESOR_STRATEGY_MMAP), TRESOR_OK);
        for (uint32_t i = 0; i < 4; i++) {
            swap_everything(i % 2 ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ, i);
            check_tail();
            assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
        }
        end();
    }
}

/* Private pages can be written; the file's cannot, and have what the file has. */
static void private_pages_are_ones_own(void **state)
{
    (void)state;
    start(TRESOR_BACKEND_SYNC, TRESOR_DIRECT_OFF);
    assert_error(ask(TRESOR_VERB_LOAD, all(), TRESOR_STRATEGY_MMAP), TRESOR_OK);
    swap_everything(TRESOR_STRATEGY_READ, 1);
    uint8_t *byte = (uint8_t *)(uintptr_t)world.window + world.size_bytes / 2;
    *byte = (uint8_t)~*byte;
    swap_everything(TRESOR_STRATEGY_MMAP, 1);
    assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
    swap_everything(TRESOR_STRATEGY_READ, 1);
    assert_int_equal(session_verify(&world.session, &world.set), TENSORS);
    end();
}

static int setup(void **state)
{
    (void)state;
    temporary_make(world.folder);
    model_set_make_gguf(&world.set, world.folder, tensors, TENSORS);
    model_set_write(&world.set);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    model_set_free(&world.set);
    temporary_remove(world.folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(under_readers_on_sync),
        cmocka_unit_test(under_readers_on_the_pool),
        cmocka_unit_test(under_readers_on_the_ring),
        cmocka_unit_test(while_loads_are_in_flight),
        cmocka_unit_test(the_page_at_the_end),
        cmocka_unit_test(private_pages_are_ones_own),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
