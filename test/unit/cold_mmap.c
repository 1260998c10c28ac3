/* SPDX-License-Identifier: MIT */
/*
 * How the mmap strategy loads what the page cache has and has not got, over a fake system: in which chunks, with what
 * beside them, how soon a cancel is heard, and what is told where the system reads in small pieces.
 */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "support/fake_world.h"
#include "support/random.h"
#include "support/shuffled_backend.h"

enum {
    MIB = 1024 * 1024,
    TENSORS = 3,
    POPULATES = 3, /* of the file's 18 MiB, by 8 MiB */
    AHEAD = 2,     /* the second and the third of them */
};

static const struct model_tensor tensors[TENSORS] = {
    {3 * MIB, MODEL_NEXT, false},
    {14 * MIB, MODEL_NEXT, false},
    {1 * MIB, MODEL_NEXT, false},
};

static struct fake_world world;
static struct shuffled shuffled;

static void prepare(void)
{
    fake_world_init(&world);
    world.options.populate_bytes = 64 * MIB;
}

static void start(void)
{
    fake_world_start(&world, tensors, TENSORS);
    fake_world_heal(&world);
}

/* As the pool has them: four workers. */
static void prepare_workers(uint64_t seed)
{
    prepare();
    shuffled = (struct shuffled){.seed = seed};
    world.shuffled = &shuffled;
    world.options.backend = TRESOR_BACKEND_POOL;
}

static int32_t load_all(void)
{
    return fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP);
}

/* Every one of them is preceded by one advice on the extent. */
static void must_populate(uint64_t times)
{
    for (uint64_t i = 1; i <= 2; i++) {
        assert_error(load_all(), TRESOR_OK);
        fake_world_must_have(&world, TENSORS);
        session_settle(&world.session);
        assert_int_equal(world.faulty.counts[FAULTY_ADVISE_MEMORY], i * (1 + times));
        assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    }
    fake_world_close(&world);
}

static void what_is_cached_is_populated_at_once(void **state)
{
    (void)state;
    prepare();
    world.fake.cached_until = UINT64_MAX;
    start();
    must_populate(1);
    prepare_workers(0);
    world.fake.cached_until = UINT64_MAX;
    start();
    must_populate(1);
}

static void what_is_not_cached_is_populated_in_chunks(void **state)
{
    (void)state;
    prepare();
    start();
    must_populate(POPULATES);
    prepare();
    start();
    world.rules[0] = (struct fake_rule){.row = FAULTY_CACHED_BYTES, .os_errno = EPERM};
    must_populate(POPULATES);
    /* What is cached but for its end is not cached. */
    prepare();
    world.fake.cached_until = 18 * MIB;
    start();
    must_populate(POPULATES);
}

static void the_option_bounds_the_chunks(void **state)
{
    (void)state;
    prepare();
    world.options.populate_bytes = 2 * MIB;
    start();
    must_populate(10);
}

/* Each chunk but the first was asked for by another worker before it is populated; a second load is as the first. */
static void workers_read_ahead(void **state)
{
    (void)state;
    prepare_workers(0);
    start();
    must_populate(POPULATES + AHEAD);
    prepare_workers(0);
    world.options.threads_max = 2; /* one besides */
    start();
    must_populate(POPULATES + AHEAD);
    prepare_workers(0);
    world.options.threads_max = 1;
    start();
    must_populate(POPULATES);
}

/* The chunk that is asked for when the load is cancelled is populated, and no other is. */
static void cancel_is_heard_between_chunks(void **state)
{
    struct tresor_request request;
    (void)state;
    for (uint64_t populates = 1; populates < 9; populates++) {
        prepare();
        world.options.dispatch_max = 1;
        world.options.populate_bytes = 2 * MIB;
        start();
        struct tresor_item all = session_all(&world.session);
        assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &all, 1,
                                    TRESOR_STRATEGY_MMAP, &request),
                     TRESOR_OK);
        while (world.faulty.counts[FAULTY_ADVISE_MEMORY] < 1 + populates)
            tresor_dispatch(world.session.context);
        assert_error(tresor_cancel(world.session.context, request), TRESOR_OK);
        assert_error(session_finish(&world.session, request, NULL), TRESOR_ERROR_CANCELLED);
        assert_int_equal(world.faulty.counts[FAULTY_ADVISE_MEMORY], 2 + populates);
        fake_world_close(&world);
    }
}

static bool is_torn_early;

/* Whoever gives the window back must know that nobody reads into it any more. */
static void watch_source(void *cookie, const struct tresor_transition *transition)
{
    (void)cookie;
    if (strcmp(transition->machine, "source") == 0 && strcmp(transition->event, "QUIET") == 0)
        is_torn_early = is_torn_early || shuffled.asked + shuffled.run > 0;
}

/* Every populate overtakes them, and so do the eviction and the close. */
static void readaheads_that_come_last(void **state)
{
    (void)state;
    prepare_workers(0);
    is_torn_early = false;
    world.options.observer = watch_source;
    start();
    shuffled.delays_readaheads = true;
    assert_error(load_all(), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    assert_int_equal(shuffled.asked, AHEAD);
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    assert_int_equal(shuffled.asked, AHEAD);
    assert_error(session_close(&world.session), TRESOR_OK);
    assert_int_equal(shuffled.asked, 0);
    assert_false(is_torn_early);
    fake_world_end(&world);
}

/* Whenever they run and are answered, and whatever is cancelled, evicted or closed meanwhile. */
static void readaheads_in_any_order(void **state)
{
    struct tresor_request requests[2];
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        uint64_t random = seed;
        prepare_workers(seed);
        is_torn_early = false;
        world.options.observer = watch_source;
        world.options.populate_bytes = (1 + random_below(&random, 8)) * MIB / 8;
        start();
        struct tresor_item one = session_tensor(&world.session, 1);
        struct tresor_item all = session_all(&world.session);
        session_submit(&world.session, TRESOR_VERB_LOAD, &one, 1, TRESOR_STRATEGY_MMAP,
                       &requests[0]);
        session_submit(&world.session, TRESOR_VERB_LOAD, &all, 1, TRESOR_STRATEGY_MMAP,
                       &requests[1]);
        for (uint32_t i = random_below(&random, 40); i > 0; i--)
            tresor_dispatch(world.session.context);
        tresor_cancel(world.session.context, requests[random_below(&random, 2)]);
        if (seed % 3 > 0) {
            session_finish(&world.session, requests[0], NULL);
            session_finish(&world.session, requests[1], NULL);
            assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
            assert_error(fake_world_all(&world, TRESOR_VERB_LOAD,
                                        TRESOR_STRATEGY_MMAP + seed % 2),
                         TRESOR_OK);
            fake_world_must_have(&world, TENSORS);
        }
        assert_error(session_close(&world.session), TRESOR_OK);
        struct tresor_counters counters = fake_world_counters(&world);
        assert_int_equal(counters.completions, counters.effects);
        assert_false(is_torn_early);
        assert_int_equal(counters.rejected, 0);
        fake_world_end(&world);
    }
}

/* A readahead that fails says nothing: the populate of the same bytes finds out, and names its chunk. */
static void a_readahead_that_fails(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        prepare_workers(seed);
        start();
        world.rules[0] = (struct fake_rule){.row = FAULTY_ADVISE_MEMORY,
                                            .os_errno = EIO,
                                            .has_kind = true,
                                            .kind = TRESOR__SYS_POPULATE_READ,
                                            .has_place = true,
                                            .place = fake_world_place(&world, 1, 7 * MIB)};
        assert_error(load_all(), TRESOR_ERROR_IO);
        fake_world_must_have(&world, TENSORS - 1);
        const struct tresor_event *item = session_item(&world.session, 1);
        assert_int_equal(item->error.offset, 8 * MIB);
        assert_int_equal(item->error.wanted, 8 * MIB);
        /* Once, for the first who meets it is not the one who is asked. */
        world.rules[0].times = 1;
        world.rules[0].skip = 0;
        world.rules[0].seen = 0;
        world.rules[0].place = fake_world_place(&world, 2, MIB - 1);
        int32_t code = load_all();
        assert_true(code == TRESOR_OK || code == TRESOR_ERROR_IO);
        fake_world_heal(&world);
        assert_error(load_all(), TRESOR_OK);
        fake_world_must_have(&world, TENSORS);
        fake_world_close(&world);
    }
}

/* --- what is told --- */

static void prepare_refusing(uint64_t readahead_bytes)
{
    prepare();
    world.fake.refuses_huge_reads = true;
    world.fake.readahead_bytes = readahead_bytes;
}

static void must_load_and_tell(uint32_t count)
{
    for (uint32_t i = 0; i < 2; i++) {
        assert_error(load_all(), TRESOR_OK);
        fake_world_must_have(&world, TENSORS);
        assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    }
    session_settle(&world.session);
    assert_int_equal(world.session.degraded_count, count);
}

static void a_small_readahead_is_told_once(void **state)
{
    (void)state;
    prepare_refusing(128 * 1024);
    start();
    must_load_and_tell(1);
    const struct tresor_event *event = &world.session.degraded[0];
    assert_int_equal(event->flags, TRESOR_DEGRADED_READAHEAD);
    assert_string_equal(tresor_degradation_name(event->flags), "readahead");
    assert_int_equal(event->error.wanted, 2 * MIB);
    assert_int_equal(event->error.got, 128 * 1024);
    assert_int_equal(event->error.file, 0);
    assert_int_equal(event->error.source, world.session.source.value);
    /* The system is asked for what it can do all the same. */
    assert_int_equal(world.faulty.counts[FAULTY_ADVISE_FILE], 2);
    fake_world_close(&world);
}

/* What was found when it was told, and not what holds when the host looks. */
static void the_figure_is_of_the_load_that_was_slow(void **state)
{
    struct tresor_event event;
    (void)state;
    prepare_refusing(64 * 1024);
    start();
    struct tresor_request request;
    struct tresor_item all = session_all(&world.session);
    struct tresor_context *context = world.session.context;
    assert_error(tresor_load(context, &all, 1, NULL, &request), TRESOR_OK);
    assert_error(tresor_finish(context, request, 1, NULL), TRESOR_OK);
    assert_error(tresor_evict(context, &all, 1, NULL, &request), TRESOR_OK);
    assert_error(tresor_finish(context, request, 1, NULL), TRESOR_OK);
    world.fake.cached_until = UINT64_MAX;
    assert_error(tresor_load(context, &all, 1, NULL, &request), TRESOR_OK);
    assert_error(tresor_finish(context, request, 1, NULL), TRESOR_OK);
    assert_int_equal(tresor_next_event(context, &event), 1);
    assert_int_equal(event.type, TRESOR_EVENT_DEGRADED);
    assert_int_equal(event.error.got, 64 * 1024);
    fake_world_close(&world);
}

static void what_is_not_slow_is_not_told(void **state)
{
    (void)state;
    prepare_refusing(2 * MIB);
    start();
    must_load_and_tell(0);
    fake_world_close(&world);
    prepare_refusing(128 * 1024);
    world.fake.cached_until = UINT64_MAX;
    start();
    must_load_and_tell(0);
    fake_world_close(&world);
    prepare();
    world.fake.readahead_bytes = 128 * 1024; /* large reads are not refused */
    start();
    must_load_and_tell(0);
    assert_int_equal(world.faulty.counts[FAULTY_READAHEAD_BYTES], 0);
    fake_world_close(&world);
}

static void what_is_not_known_is_not_told(void **state)
{
    (void)state;
    prepare_refusing(0);
    start();
    must_load_and_tell(0);
    fake_world_close(&world);
    prepare_refusing(128 * 1024);
    start();
    world.rules[0] = (struct fake_rule){.row = FAULTY_READAHEAD_BYTES, .os_errno = EACCES};
    world.rules[1] = (struct fake_rule){.row = FAULTY_ADVISE_FILE, .os_errno = EINVAL};
    must_load_and_tell(0);
    fake_world_close(&world);
}

/* Around a few pages nothing is worth reading, and their load says nothing of the disk. */
static void small_tensors_ask_for_nothing(void **state)
{
    (void)state;
    prepare_refusing(128 * 1024);
    start();
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 2, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    fake_world_must_have(&world, 1);
    assert_int_equal(world.faulty.counts[FAULTY_ADVISE_MEMORY], 1);
    assert_int_equal(world.faulty.counts[FAULTY_ADVISE_FILE], 0);
    assert_int_equal(world.faulty.counts[FAULTY_CACHED_BYTES], 0);
    session_settle(&world.session);
    assert_int_equal(world.session.degraded_count, 0);
    fake_world_close(&world);
}

/* Whatever the system answers to what it is asked for the sake of speed, the bytes are the file's. */
static void no_question_fails_a_load(void **state)
{
    static const enum faulty_row rows[] = {FAULTY_CACHED_BYTES, FAULTY_READAHEAD_BYTES,
                                           FAULTY_ADVISE_FILE, FAULTY_ADVISE_MEMORY};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t count;
        const int32_t *errors = faulty_row_errors(rows[i], &count);
        for (uint32_t error = 0; error < count; error++) {
            prepare_refusing(128 * 1024);
            world.fake.cached_until = error % 2 ? 9 * MIB : 0;
            start();
            world.rules[0] = (struct fake_rule){.row = rows[i],
                                                .os_errno = errors[error],
                                                .has_kind = rows[i] == FAULTY_ADVISE_MEMORY,
                                                .kind = TRESOR__SYS_HUGE_READS};
            assert_error(load_all(), TRESOR_OK);
            assert_true(world.rules[0].seen > 0);
            fake_world_must_have(&world, TENSORS);
            fake_world_close(&world);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_cached_is_populated_at_once),
        cmocka_unit_test(what_is_not_cached_is_populated_in_chunks),
        cmocka_unit_test(the_option_bounds_the_chunks),
        cmocka_unit_test(workers_read_ahead),
        cmocka_unit_test(cancel_is_heard_between_chunks),
        cmocka_unit_test(readaheads_that_come_last),
        cmocka_unit_test(readaheads_in_any_order),
        cmocka_unit_test(a_readahead_that_fails),
        cmocka_unit_test(a_small_readahead_is_told_once),
        cmocka_unit_test(the_figure_is_of_the_load_that_was_slow),
        cmocka_unit_test(what_is_not_slow_is_not_told),
        cmocka_unit_test(what_is_not_known_is_not_told),
        cmocka_unit_test(small_tensors_ask_for_nothing),
        cmocka_unit_test(no_question_fails_a_load),
    };
    return cmocka_run_group_tests_name("cold_mmap", tests, NULL, NULL);
}
