/* SPDX-License-Identifier: MIT */
/* Locks over a fake system with a limit: a refusal is told with its reason, and never undoes a load. */
#include "support/test.h"

#include <errno.h>

#include "support/fake_world.h"

static struct fake_world world;

static const struct model_tensor tensors[] = {
    {40000, MODEL_NEXT, false},
    {40000, MODEL_NEXT, false},
    {40000, MODEL_NEXT, false},
    {0, MODEL_NEXT, false},
};

enum {
    TENSORS = sizeof tensors / sizeof tensors[0],
    PAGE = FAKE_PAGE_BYTES,
    TRIES = 17, /* one and its retries */
};

static int32_t all(enum tresor_verb verb)
{
    return fake_world_all(&world, verb, TRESOR_STRATEGY_READ);
}

static int32_t one(enum tresor_verb verb, uint32_t tensor)
{
    return fake_world_one(&world, verb, tensor, 0);
}

static void start_loaded(uint64_t limit_bytes)
{
    fake_world_init(&world);
    world.fake.lock_limit_bytes = limit_bytes;
    fake_world_start(&world, tensors, TENSORS);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    fake_world_heal(&world);
}

static uint64_t locked(void)
{
    uint64_t bytes = fake_world_counters(&world).locked_bytes;
    assert_int_equal(bytes, range_set_bytes(&world.faulty.locked));
    return bytes;
}

static void locks_and_unlocks(void **state)
{
    (void)state;
    start_loaded(UINT64_MAX);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_OK);
    assert_int_equal(locked(), fake_world_counters(&world).private_bytes);
    assert_int_equal(world.faulty.counts[FAULTY_LOCK], 1);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_OK); /* does not count */
    assert_int_equal(world.faulty.counts[FAULTY_LOCK], 1);
    assert_error(all(TRESOR_VERB_UNLOCK), TRESOR_OK);
    assert_int_equal(locked(), 0);
    assert_error(all(TRESOR_VERB_UNLOCK), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_UNLOCK], 1);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

static uint64_t pages_of(uint32_t tensor)
{
    struct tresor_tensor_info info = fake_world_tensor(&world, tensor);
    uint64_t first = info.offset_bytes / PAGE;
    return (info.offset_bytes + info.tensor_bytes + PAGE - 1) / PAGE - first;
}

/* The page between neighbours stays locked until the last of them is unlocked, whichever that is. */
static void a_shared_page(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 2; first++) {
        start_loaded(UINT64_MAX);
        assert_error(one(TRESOR_VERB_LOCK, 0), TRESOR_OK);
        assert_error(one(TRESOR_VERB_LOCK, 1), TRESOR_OK);
        assert_int_equal(locked(), (pages_of(0) + pages_of(1) - 1) * PAGE);
        fake_world_heal(&world);
        assert_error(one(TRESOR_VERB_UNLOCK, first), TRESOR_OK);
        assert_int_equal(locked(), pages_of(1 - first) * PAGE);
        /* It stayed locked, and was not locked again. */
        assert_int_equal(world.faulty.counts[FAULTY_LOCK], 0);
        assert_error(one(TRESOR_VERB_UNLOCK, 1 - first), TRESOR_OK);
        assert_int_equal(locked(), 0);
        fake_world_close(&world);
    }
}

static void a_refusal_tells_why(void **state)
{
    (void)state;
    start_loaded(0);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_ERROR_LOCK_LIMIT);
    const struct tresor_error *error = &session_item(&world.session, 0)->error;
    assert_error(error->code, TRESOR_ERROR_LOCK_LIMIT);
    assert_int_equal(error->os_errno, ENOMEM);
    assert_int_equal(error->got, 0);    /* the limit */
    assert_int_equal(error->offset, 0); /* locked by the process */
    assert_true(error->wanted >= PAGE && error->wanted % PAGE == 0);
    assert_error(session_item(&world.session, 3)->error.code, TRESOR_OK); /* has no bytes */
    assert_int_equal(locked(), 0);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

static void a_refusal_by_name(void **state)
{
    static const struct {
        int32_t os_errno;
        uint64_t tries;
    } rows[] = {{ENOMEM, 1}, {EPERM, 1}, {EINVAL, 1}, {EAGAIN, TRIES}, {EINTR, TRIES}};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        start_loaded(UINT64_MAX);
        world.rules[0] = (struct fake_rule){.row = FAULTY_LOCK, .os_errno = rows[i].os_errno};
        assert_error(one(TRESOR_VERB_LOCK, 0), TRESOR_ERROR_LOCK_LIMIT);
        const struct tresor_error *error = &session_item(&world.session, 0)->error;
        assert_int_equal(error->os_errno, rows[i].os_errno);
        assert_true(error->got == UINT64_MAX && error->offset == 0 && error->wanted > 0);
        /* First the extent, then its first interval. */
        assert_int_equal(world.rules[0].seen, 2 * rows[i].tries);
        assert_int_equal(locked(), 0);
        fake_world_must_have(&world, TENSORS);
        world.rules[0].os_errno = 0;
        assert_error(all(TRESOR_VERB_LOCK), TRESOR_OK);
        fake_world_close(&world);
    }
}

/* What is locked by pages while the limit is near is locked at once when it is far again. */
static void it_grows_by_leaps_again(void **state)
{
    (void)state;
    start_loaded(UINT64_MAX);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_OK);
    uint64_t calls = world.faulty.counts[FAULTY_LOCK];
    uint64_t whole = locked();
    fake_world_close(&world);

    start_loaded(whole - PAGE);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_ERROR_LOCK_LIMIT);
    assert_true(world.faulty.counts[FAULTY_LOCK] > calls);
    assert_error(all(TRESOR_VERB_UNLOCK), TRESOR_OK);
    world.fake.lock_limit_bytes = UINT64_MAX;
    fake_world_heal(&world);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_LOCK], calls);
    assert_int_equal(locked(), whole);
    fake_world_close(&world);
}

/* Who asked for a lock of what was to come is told that it does not. */
static void a_lock_of_a_load_that_fails(void **state)
{
    struct tresor_request load = {0};
    struct tresor_request lock = {0};
    (void)state;
    fake_world_init(&world);
    fake_world_start(&world, tensors, TENSORS);
    struct tresor_item item = session_tensor(&world.session, 0);
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = EIO};
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &item, 1, TRESOR_STRATEGY_READ, &load),
                 TRESOR_OK);
    assert_error(session_submit(&world.session, TRESOR_VERB_LOCK, &item, 1, 0, &lock), TRESOR_OK);
    session_settle(&world.session);
    assert_error(session_end(&world.session, load)->error.code, TRESOR_ERROR_IO);
    assert_non_null(session_end(&world.session, lock));
    assert_error(session_end(&world.session, lock)->error.code, TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(locked(), 0);
    fake_world_heal(&world);
    fake_world_close(&world);
}

/* Room for the first tensor and the page that it shares: that much is locked, and nothing beyond. */
static void it_grows_as_far_as_the_limit(void **state)
{
    (void)state;
    start_loaded(UINT64_MAX);
    assert_error(one(TRESOR_VERB_LOCK, 0), TRESOR_OK);
    uint64_t room = locked();
    fake_world_close(&world);

    start_loaded(room + PAGE);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_ERROR_LOCK_LIMIT);
    assert_error(session_item(&world.session, 0)->error.code, TRESOR_OK);
    for (uint32_t i = 1; i < 3; i++) {
        const struct tresor_error *error = &session_item(&world.session, i)->error;
        assert_error(error->code, TRESOR_ERROR_LOCK_LIMIT);
        assert_int_equal(error->got, room + PAGE);
        assert_int_equal(error->offset, room);
    }
    assert_true(session_item(&world.session, 1)->error.wanted > PAGE);
    assert_int_equal(locked(), room);
    fake_world_must_have(&world, TENSORS);
    assert_error(all(TRESOR_VERB_UNLOCK), TRESOR_OK);
    assert_int_equal(locked(), 0);
    fake_world_close(&world);
}

static void an_unlock_that_fails(void **state)
{
    (void)state;
    start_loaded(UINT64_MAX);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_OK);
    uint64_t before = locked();
    world.rules[0] = (struct fake_rule){.row = FAULTY_UNLOCK, .os_errno = ENOMEM};
    assert_int_not_equal(all(TRESOR_VERB_UNLOCK), TRESOR_OK);
    assert_int_equal(session_item(&world.session, 0)->error.os_errno, ENOMEM);
    assert_int_equal(locked(), before); /* still on the books */
    fake_world_must_have(&world, TENSORS);
    /* Locked again it is locked, and unlocked again it is not. */
    fake_world_heal(&world);
    assert_error(one(TRESOR_VERB_LOCK, 0), TRESOR_OK);
    assert_int_equal(locked(), before);
    assert_error(one(TRESOR_VERB_UNLOCK, 0), TRESOR_OK);
    assert_true(locked() < before);
    /* What remains leaves with its pages. */
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_OK);
    assert_int_equal(locked(), 0);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_int_equal(locked(), 0);
    fake_world_close(&world);
}

/* A tensor that could be neither unlocked nor unmapped is replaced, lock and all, by the next load. */
static void a_leaked_lock_goes_with_its_pages(void **state)
{
    (void)state;
    start_loaded(UINT64_MAX);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_OK);
    world.rules[0] = (struct fake_rule){.row = FAULTY_UNLOCK, .os_errno = ENOMEM};
    world.rules[1] = (struct fake_rule){.row = FAULTY_MAP, .os_errno = ENOMEM};
    assert_int_not_equal(all(TRESOR_VERB_UNLOCK), TRESOR_OK);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_ERROR_MAP_REFUSED);
    assert_true(locked() > 0);
    fake_world_heal(&world);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_int_equal(locked(), 0);
    fake_world_close(&world);
}

/* A lock that is refused where one is held by a failed unlock undoes that one too. */
static void a_refusal_where_an_unlock_had_failed(void **state)
{
    (void)state;
    start_loaded(UINT64_MAX);
    assert_error(one(TRESOR_VERB_LOCK, 0), TRESOR_OK);
    world.rules[0] = (struct fake_rule){.row = FAULTY_UNLOCK, .os_errno = ENOMEM, .times = 1};
    assert_int_not_equal(one(TRESOR_VERB_UNLOCK, 0), TRESOR_OK);
    world.rules[1] = (struct fake_rule){.row = FAULTY_LOCK, .os_errno = EPERM};
    assert_error(one(TRESOR_VERB_LOCK, 0), TRESOR_ERROR_LOCK_LIMIT);
    assert_int_equal(locked(), 0);
    fake_world_close(&world);
}

static void a_close_with_locks(void **state)
{
    (void)state;
    start_loaded(UINT64_MAX);
    assert_error(all(TRESOR_VERB_LOCK), TRESOR_OK);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_and_unlocks),
        cmocka_unit_test(a_shared_page),
        cmocka_unit_test(a_refusal_tells_why),
        cmocka_unit_test(a_refusal_by_name),
        cmocka_unit_test(it_grows_as_far_as_the_limit),
        cmocka_unit_test(it_grows_by_leaps_again),
        cmocka_unit_test(a_lock_of_a_load_that_fails),
        cmocka_unit_test(an_unlock_that_fails),
        cmocka_unit_test(a_leaked_lock_goes_with_its_pages),
        cmocka_unit_test(a_refusal_where_an_unlock_had_failed),
        cmocka_unit_test(a_close_with_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
