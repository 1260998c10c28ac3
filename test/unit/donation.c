/* SPDX-License-Identifier: MIT */
/*
 * Pages of evicted tensors that serve the next ones, over a fake system whose maps are never joined: what is moved, what
 * is counted meanwhile, that the bytes are right whatever fails, and when it is done without.
 */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "context.h"
#include "support/fake_world.h"
#include "support/random.h"
#include "support/shuffled_backend.h"

enum {
    MIB = 1024 * 1024,
    ARENA_BYTES = 96 * MIB,
    SMALL = 0, /* the tensors; each begins and ends within a huge page */
    FIRST,
    SECOND,
    LARGE,
    LAST,
    TENSORS,
    TRIES = 17,
};

static const struct model_tensor tensors[TENSORS] = {
    {100000, MODEL_NEXT, false},      {9 * MIB + 4000, MODEL_NEXT, false},
    {9 * MIB - 9000, MODEL_NEXT, false}, {15 * MIB + 33000, MODEL_NEXT, false},
    {5 * MIB + 100, MODEL_NEXT, false},
};

static struct fake_world world;
static struct shuffled shuffled;

static struct tresor__room *room(void)
{
    return &world.session.context->controller.io.room;
}

/* At every step no more is counted than there may be, and the room counts what its only file does. */
static void must_fit(void *cookie, const struct tresor_transition *transition)
{
    (void)cookie;
    (void)transition;
    if (!world.session.context)
        return;
    const struct tresor__source *source = &world.session.context->controller.slots[0].source;
    assert_true(room()->charged_bytes <= room()->limit_bytes);
    if (source->state == SOURCE_READY)
        assert_int_equal(room()->charged_bytes - room()->scratch_bytes,
                         source->model.files[0].io.ledger.charged_bytes);
}

static void prepare(void)
{
    fake_world_init(&world);
    world.fake.arena_bytes = ARENA_BYTES;
    world.options.observer = must_fit;
}

static void start(void)
{
    fake_world_start(&world, tensors, TENSORS);
}

static void load(uint32_t tensor)
{
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, tensor, TRESOR_STRATEGY_READ), TRESOR_OK);
}

/* One must go so that the other can come. */
static int32_t replace(uint32_t gone, uint32_t wanted)
{
    struct tresor_request requests[2];
    struct tresor_item items[] = {session_tensor(&world.session, gone),
                                  session_tensor(&world.session, wanted)};
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &items[1], 1,
                                TRESOR_STRATEGY_READ, &requests[1]),
                 TRESOR_OK);
    assert_error(session_submit(&world.session, TRESOR_VERB_EVICT, &items[0], 1, 0, &requests[0]),
                 TRESOR_OK);
    int32_t evicted = session_finish(&world.session, requests[0], NULL);
    int32_t loaded = session_finish(&world.session, requests[1], NULL);
    return evicted != TRESOR_OK ? evicted : loaded;
}

static uint64_t moves(void)
{
    return world.faulty.counts[FAULTY_MOVE_PAGES];
}

static void has_only(uint32_t tensor)
{
    fake_world_must_have(&world, 1);
    assert_error(tresor_acquire(world.session.context, session_tensor(&world.session, tensor), NULL),
                 TRESOR_OK);
    tresor_release(world.session.context, session_tensor(&world.session, tensor));
}

static uint64_t pages_of(uint32_t tensor)
{
    struct tresor_tensor_info info = fake_world_tensor(&world, tensor);
    uint64_t start = info.offset_bytes / FAKE_PAGE_BYTES;
    uint64_t end = (info.offset_bytes + info.tensor_bytes + FAKE_PAGE_BYTES - 1) / FAKE_PAGE_BYTES;
    return (end - start) * FAKE_PAGE_BYTES;
}

/* There is room for the larger of them and no more. */
static void limit_to(uint32_t one, uint32_t other)
{
    room()->limit_bytes = pages_of(one) > pages_of(other) ? pages_of(one) : pages_of(other);
}

static void they_serve_the_next_tensor(void **state)
{
    (void)state;
    prepare();
    start();
    load(FIRST);
    limit_to(FIRST, SECOND);
    for (uint32_t i = 0; i < 4; i++) {
        fake_world_heal(&world);
        uint32_t gone = i % 2 ? SECOND : FIRST;
        uint32_t wanted = i % 2 ? FIRST : SECOND;
        assert_error(replace(gone, wanted), TRESOR_OK);
        has_only(wanted);
        assert_int_equal(moves(), 1);
        assert_int_equal(room()->charged_bytes, pages_of(wanted));
        assert_int_equal(fake_world_counters(&world).private_bytes, pages_of(wanted));
    }
    fake_world_close(&world);
}

/* What the larger one has besides, or lacks, is as always; and nothing is moved out of two maps at once. */
static void whatever_their_sizes(void **state)
{
    uint64_t seed = 4711;
    uint64_t moved = 0;
    (void)state;
    for (uint32_t run = 0; run < 12; run++) {
        prepare();
        bool keeps_spare = run % 3 == 2;
        world.options.spare_bytes = keeps_spare ? UINT64_C(1) << 30 : 0;
        shuffled = (struct shuffled){.seed = run / 3 + 1};
        world.shuffled = run % 2 ? &shuffled : NULL;
        start();
        uint32_t here = FIRST;
        load(here);
        for (uint32_t i = 0; i < 20; i++) {
            uint32_t next = random_below(&seed, TENSORS);
            if (next == here)
                continue;
            uint64_t here_bytes = room()->charged_bytes;
            uint64_t bytes = here_bytes > pages_of(next) ? here_bytes : pages_of(next);
            /* Spare pages have their own room, for nobody here makes them go. */
            room()->limit_bytes = keeps_spare ? here_bytes + pages_of(next) : bytes;
            assert_error(replace(here, next), TRESOR_OK);
            has_only(next);
            here = next;
        }
        moved += moves();
        assert_int_equal(world.fake.crossing_moves, 0);
        fake_world_close(&world);
    }
    assert_true(moved > 100);
}

/* A tensor that is larger than any that has gone takes the pages of several. */
static void several_serve_one(void **state)
{
    (void)state;
    prepare();
    start();
    load(FIRST);
    load(LAST);
    room()->limit_bytes = pages_of(LARGE);
    fake_world_heal(&world);
    struct tresor_request requests[3];
    struct tresor_item items[] = {session_tensor(&world.session, LARGE),
                                  session_tensor(&world.session, FIRST),
                                  session_tensor(&world.session, LAST)};
    for (uint32_t i = 0; i < 3; i++)
        assert_error(session_submit(&world.session, i ? TRESOR_VERB_EVICT : TRESOR_VERB_LOAD,
                                    &items[i], 1, TRESOR_STRATEGY_READ, &requests[i]),
                     TRESOR_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_error(session_finish(&world.session, requests[i], NULL), TRESOR_OK);
    has_only(LARGE);
    assert_true(moves() >= 1);
    fake_world_close(&world);
}

/* Behind the end of the file the last page has zeros, as it has when it is fresh. */
static void behind_the_end_are_zeros(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        prepare();
        start();
        load(i ? FIRST : LAST);
        if (i) {
            struct tresor_tensor_info gone = fake_world_tensor(&world, FIRST);
            memset((void *)(uintptr_t)gone.address, 0x77, gone.tensor_bytes);
            limit_to(FIRST, LAST);
            assert_error(replace(FIRST, LAST), TRESOR_OK);
            assert_int_equal(moves(), 1);
        }
        has_only(LAST);
        struct tresor_tensor_info info = fake_world_tensor(&world, LAST);
        const uint8_t *end = (const uint8_t *)info.address + info.tensor_bytes;
        for (; (uintptr_t)end % FAKE_PAGE_BYTES != 0; end++)
            assert_int_equal(*end, 0);
        fake_world_close(&world);
    }
}

/* --- what fails --- */

static void fail_moves(int32_t os_errno, bool unmaps, uint64_t times)
{
    prepare();
    start();
    world.faulty.moves_unmap = unmaps;
    load(FIRST);
    limit_to(FIRST, SECOND);
    fake_world_heal(&world);
    bool is_for_good = os_errno == EINVAL || os_errno == ENOSYS;
    bool is_transient = os_errno == EAGAIN || os_errno == EINTR;
    world.faulty.plan = (struct faulty_plan){
        .row = FAULTY_MOVE_PAGES, .nth = 1, .persistent = times == 0, .os_errno = os_errno};
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t gone = i % 2 ? SECOND : FIRST;
        uint32_t wanted = i % 2 ? FIRST : SECOND;
        uint64_t before = moves();
        assert_error(replace(gone, wanted), TRESOR_OK);
        has_only(wanted);
        assert_int_equal(room()->charged_bytes, pages_of(wanted));
        if (i == 0)
            assert_int_equal(moves() - before, !is_transient ? 1 : times == 0 ? TRIES : 2);
        else if (is_for_good)
            assert_int_equal(moves(), before);
        else
            assert_true(moves() > before);
    }
    world.faulty.plan = (struct faulty_plan){0};
    fake_world_close(&world);
}

static void a_move_that_fails(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_MOVE_PAGES, &count);
    (void)state;
    for (uint32_t i = 0; i < 4 * count; i++)
        fail_moves(errors[i / 4], i & 1, i & 2 ? 1 : 0);
}

/* Where maps run out, none is moved until there are fewer than there were then. */
static void until_there_are_fewer_maps(void **state)
{
    (void)state;
    prepare();
    start();
    load(FIRST);
    limit_to(FIRST, SECOND);
    struct tresor__read *read = &world.session.context->controller.slots[0].source.model.files[0].io.read;
    world.rules[0] = (struct fake_rule){.row = FAULTY_MOVE_PAGES, .os_errno = ENOMEM, .times = 1};
    assert_error(replace(FIRST, SECOND), TRESOR_OK);
    assert_true(read->seams_refused > room()->seam_count);
    fake_world_heal(&world);
    read->seams_refused = 1; /* as if it had been refused with next to none */
    assert_error(replace(SECOND, FIRST), TRESOR_OK);
    assert_int_equal(moves(), 0);
    read->seams_refused = UINT32_MAX;
    assert_error(replace(FIRST, SECOND), TRESOR_OK);
    assert_int_equal(moves(), 1);
    assert_int_equal(read->seams_refused, 0);
    fake_world_close(&world);
}

/* Half of what a process may have is not for moved pages. */
static void few_maps_and_no_moves(void **state)
{
    (void)state;
    for (int64_t maps = 1; maps <= 64; maps *= 2) {
        prepare();
        world.fake.max_maps = maps;
        start();
        load(FIRST);
        limit_to(FIRST, SECOND);
        for (uint32_t i = 0; i < 6; i++) {
            uint64_t before = moves();
            bool may_move = room()->seam_count < maps / 2;
            assert_error(replace(i % 2 ? SECOND : FIRST, i % 2 ? FIRST : SECOND), TRESOR_OK);
            has_only(i % 2 ? FIRST : SECOND);
            assert_int_equal(moves() > before, may_move);
        }
        fake_world_close(&world);
    }
}

static void the_wanted_place_cannot_be_mapped(void **state)
{
    (void)state;
    prepare();
    start();
    load(FIRST);
    limit_to(FIRST, SECOND);
    world.rules[0] = (struct fake_rule){.row = FAULTY_MAP,
                                        .os_errno = ENOMEM,
                                        .has_kind = true,
                                        .kind = TRESOR__SYS_MAP_ANONYMOUS};
    assert_error(replace(FIRST, SECOND), TRESOR_ERROR_MAP_REFUSED);
    fake_world_must_have(&world, 0);
    assert_int_equal(moves(), 0);
    assert_int_equal(room()->charged_bytes, 0);
    assert_int_equal(room()->seam_count, 0);
    fake_world_heal(&world);
    load(SECOND);
    has_only(SECOND);
    fake_world_close(&world);
}

/* What cannot be unmapped stays counted, so there is no room for what had its pages until there is more. */
static void the_spent_place_cannot_be_unmapped(void **state)
{
    (void)state;
    prepare();
    start();
    load(FIRST);
    limit_to(FIRST, SECOND);
    uint64_t place = fake_world_place(&world, FIRST, 0);
    world.rules[0] = (struct fake_rule){.row = FAULTY_MAP,
                                        .os_errno = ENOMEM,
                                        .has_kind = true,
                                        .kind = TRESOR__SYS_MAP_RESERVE,
                                        .has_place = true,
                                        .place = place};
    struct tresor_request requests[2];
    struct tresor_item items[] = {session_tensor(&world.session, FIRST),
                                  session_tensor(&world.session, SECOND)};
    for (uint32_t i = 2; i-- > 0;)
        assert_error(session_submit(&world.session, i ? TRESOR_VERB_LOAD : TRESOR_VERB_EVICT,
                                    &items[i], 1, TRESOR_STRATEGY_READ, &requests[i]),
                     TRESOR_OK);
    assert_error(session_finish(&world.session, requests[0], NULL), TRESOR_ERROR_MAP_REFUSED);
    session_settle(&world.session);
    assert_null(session_end(&world.session, requests[1]));
    assert_int_equal(moves(), 1);
    assert_int_equal(room()->charged_bytes, pages_of(FIRST));
    /* The page that both have stays. */
    assert_int_equal(fake_world_counters(&world).leaked_bytes, pages_of(FIRST) - FAKE_PAGE_BYTES);
    room()->limit_bytes = UINT64_MAX;
    assert_error(session_finish(&world.session, requests[1], NULL), TRESOR_OK);
    has_only(SECOND);
    fake_world_heal(&world);
    load(FIRST);
    assert_int_equal(fake_world_counters(&world).leaked_bytes, 0);
    fake_world_must_have(&world, 2);
    fake_world_close(&world);
}

/* Locked pages are unlocked before they go; a lock that could not be taken back would go with them. */
static void what_stayed_locked_is_not_moved(void **state)
{
    (void)state;
    for (uint32_t fails = 0; fails < 2; fails++) {
        prepare();
        start();
        load(FIRST);
        limit_to(FIRST, SECOND);
        assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, FIRST, 0), TRESOR_OK);
        if (fails)
            world.rules[0] = (struct fake_rule){.row = FAULTY_UNLOCK, .os_errno = EPERM};
        fake_world_one(&world, TRESOR_VERB_UNLOCK, FIRST, 0);
        assert_error(replace(FIRST, SECOND), TRESOR_OK);
        assert_int_equal(moves(), !fails);
        has_only(SECOND);
        fake_world_heal(&world);
        fake_world_close(&world);
    }
}

/* --- everything at once --- */

static uint64_t faults;

static int32_t fail_at_random(void *cookie, struct faulty_call *call)
{
    static const int32_t errors[] = {ENOMEM, EAGAIN, EINTR, EIO, EFAULT};
    (void)cookie;
    bool may_fail = call->row == FAULTY_MAP || call->row == FAULTY_MOVE_PAGES ||
                    call->row == FAULTY_PROTECT || call->row == FAULTY_READ;
    if (faults == 0 || !may_fail || !random_once_in(&faults, 12))
        return 0;
    return errors[random_below(&faults, sizeof errors / sizeof errors[0])];
}

static bool is_resident(uint32_t tensor)
{
    struct tresor_item item = session_tensor(&world.session, tensor);
    bool is_there = tresor_acquire(world.session.context, item, NULL) == TRESOR_OK;
    if (is_there)
        tresor_release(world.session.context, item);
    return is_there;
}

/* What is there goes and what is not comes, mostly; some are cancelled, and some are asked for together. */
static void move_at_random(uint64_t *seed)
{
    struct tresor_request request;
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct tresor_item item = session_tensor(&world.session, i);
        bool is_there = is_resident(i) != random_once_in(seed, 10);
        if (random_once_in(seed, 2))
            continue;
        if (session_submit(&world.session, is_there ? TRESOR_VERB_EVICT : TRESOR_VERB_LOAD, &item, 1,
                           random_once_in(seed, 8) ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ,
                           &request) != TRESOR_OK)
            break;
        if (random_once_in(seed, 8)) {
            for (uint32_t k = random_below(seed, 8); k > 0; k--)
                session_pump(&world.session);
            tresor_cancel(world.session.context, request);
        }
    }
    uint64_t limit = (8 + random_below(seed, 24)) * (uint64_t)MIB;
    room()->limit_bytes = limit > room()->charged_bytes ? limit : room()->charged_bytes;
    for (uint32_t i = random_below(seed, 200); i > 0; i--)
        session_pump(&world.session);
    session_verify(&world.session, &world.set);
}

/* Loads, evictions and cancels in any order, with as much room as it happens to be, and calls that fail. */
static void whatever_happens(void **state)
{
    uint64_t moved = 0;
    (void)state;
    for (uint64_t run = 1; run <= 40; run++) {
        uint64_t seed = run * 7919;
        prepare();
        world.options.spare_bytes = run % 4 == 0 ? 8 * MIB : 0;
        shuffled = (struct shuffled){.seed = seed};
        world.shuffled = run % 5 ? &shuffled : NULL;
        world.fake.max_maps = run % 3 ? 65530 : 24;
        faults = 0;
        world.faulty.judge = fail_at_random;
        start();
        world.faulty.moves_unmap = run % 2;
        faults = run % 3 ? seed : 0;
        for (uint32_t i = 0; i < 40; i++)
            move_at_random(&seed);
        moved += moves();
        faults = 0;
        room()->limit_bytes = UINT64_MAX;
        session_settle(&world.session);
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
        fake_world_must_have(&world, TENSORS);
        assert_int_equal(world.fake.crossing_moves, 0);
        fake_world_close(&world);
    }
    print_message("# %llu moves\n", (unsigned long long)moved);
    assert_true(moved > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_serve_the_next_tensor),
        cmocka_unit_test(whatever_their_sizes),
        cmocka_unit_test(several_serve_one),
        cmocka_unit_test(behind_the_end_are_zeros),
        cmocka_unit_test(a_move_that_fails),
        cmocka_unit_test(until_there_are_fewer_maps),
        cmocka_unit_test(few_maps_and_no_moves),
        cmocka_unit_test(the_wanted_place_cannot_be_mapped),
        cmocka_unit_test(the_spent_place_cannot_be_unmapped),
        cmocka_unit_test(what_stayed_locked_is_not_moved),
        cmocka_unit_test(whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
