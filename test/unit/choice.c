/* SPDX-License-Identifier: MIT */
/* What was chosen for a tensor, and why: so that no option is overruled in silence. */
#include <errno.h>

#include <tresor/tresor.h>

#include "support/fake_world.h"
#include "support/test.h"

enum {
    SMALL = 0,
    LARGE = 1, /* large enough for huge pages */
};

static struct fake_world world;

static void start(uint32_t direct)
{
    static const struct model_tensor tensors[] = {{.offset_bytes = 0, .size_bytes = 5000},
                                                  {.offset_bytes = 8192, .size_bytes = 5 << 20}};
    fake_world_init(&world);
    world.options.direct = direct;
    fake_world_start(&world, tensors, 2);
}

static struct tresor_choice choice_of(uint32_t tensor)
{
    struct tresor_choice choice;
    assert_error(tresor_get_choice(world.session.context, session_tensor(&world.session, tensor), &choice),
                 TRESOR_OK);
    return choice;
}

static void must_be(struct tresor_choice choice, uint8_t strategy, uint8_t reason)
{
    assert_int_equal(choice.strategy, strategy);
    assert_int_equal(choice.strategy_reason, reason);
}

static void the_absent_have_none(void **state)
{
    static const struct tresor_choice none;
    (void)state;
    start(0);
    struct tresor_choice choice = choice_of(SMALL);
    assert_memory_equal(&choice, &none, sizeof none);
    struct tresor_item all = session_all(&world.session);
    assert_error(tresor_get_choice(world.session.context, all, &choice), TRESOR_ERROR_INVALID);
    assert_error(tresor_get_choice(world.session.context, session_tensor(&world.session, 0), NULL),
                 TRESOR_ERROR_INVALID);
    fake_world_close(&world);
}

static void who_came_first_chose(void **state)
{
    (void)state;
    start(0);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, LARGE, TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
    must_be(choice_of(LARGE), TRESOR_STRATEGY_MMAP, TRESOR_REASON_DEFAULT);
    must_be(session_item(&world.session, LARGE)->choice, TRESOR_STRATEGY_MMAP, TRESOR_REASON_DEFAULT);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, LARGE, TRESOR_STRATEGY_READ), TRESOR_OK);
    must_be(session_item(&world.session, LARGE)->choice, TRESOR_STRATEGY_MMAP, TRESOR_REASON_RESIDENT);
    assert_int_equal(choice_of(LARGE).direct, 0);
    assert_int_equal(choice_of(LARGE).direct_reason, TRESOR_REASON_STRATEGY);
    assert_int_equal(choice_of(LARGE).huge_pages_reason, TRESOR_REASON_DEFAULT);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, SMALL, TRESOR_STRATEGY_READ), TRESOR_OK);
    must_be(session_item(&world.session, SMALL)->choice, TRESOR_STRATEGY_READ, TRESOR_REASON_REQUEST);
    assert_int_equal(choice_of(SMALL).huge_pages, 0);
    assert_int_equal(choice_of(SMALL).huge_pages_reason, TRESOR_REASON_SIZE);
    fake_world_close(&world);
}

static void direct_reads_say_why(void **state)
{
    static const struct {
        uint32_t option;
        int32_t refusal;
        uint8_t direct;
        uint8_t reason;
    } rows[] = {
        {TRESOR_DIRECT_ON, 0, 1, TRESOR_REASON_DEFAULT},
        {TRESOR_DIRECT_OFF, 0, 0, TRESOR_REASON_DEFAULT},
        {TRESOR_DIRECT_ON, EINVAL, 0, TRESOR_REASON_SYSTEM},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake_world_init(&world);
        world.options.direct = rows[i].option;
        if (rows[i].refusal)
            world.rules[0] = (struct fake_rule){.row = FAULTY_OPEN_DIRECT, .os_errno = rows[i].refusal};
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, 2, TRESOR_STRATEGY_READ), TRESOR_OK);
        assert_int_equal(choice_of(2).direct, rows[i].direct);
        assert_int_equal(choice_of(2).direct_reason, rows[i].reason);
        fake_world_close(&world);
    }
}

static void locks_say_why(void **state)
{
    (void)state;
    start(0);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, LARGE, 0), TRESOR_OK);
    assert_int_equal(choice_of(LARGE).lock_reason, TRESOR_REASON_DEFAULT);
    world.rules[0] = (struct fake_rule){.row = FAULTY_LOCK, .os_errno = ENOMEM};
    assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, LARGE, 0), TRESOR_ERROR_LOCK_LIMIT);
    assert_int_equal(choice_of(LARGE).lock, 0);
    assert_int_equal(choice_of(LARGE).lock_reason, TRESOR_REASON_SYSTEM);
    fake_world_heal(&world);
    assert_error(fake_world_one(&world, TRESOR_VERB_LOCK, LARGE, 0), TRESOR_OK);
    assert_int_equal(choice_of(LARGE).lock, 1);
    assert_int_equal(choice_of(LARGE).lock_reason, TRESOR_REASON_REQUEST);
    assert_error(fake_world_one(&world, TRESOR_VERB_UNLOCK, LARGE, 0), TRESOR_OK);
    assert_int_equal(choice_of(LARGE).lock, 0);
    assert_int_equal(choice_of(LARGE).lock_reason, TRESOR_REASON_DEFAULT);
    fake_world_close(&world);
}

static void reasons_have_names(void **state)
{
    (void)state;
    assert_string_equal(tresor_reason_name(TRESOR_REASON_NONE), "none");
    assert_string_equal(tresor_reason_name(TRESOR_REASON_SYSTEM), "system");
    assert_string_equal(tresor_reason_name(TRESOR_REASON_SOURCE), "source");
    assert_string_equal(tresor_reason_name(TRESOR_REASON_SOURCE + 1), "unknown");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_absent_have_none), cmocka_unit_test(who_came_first_chose),
        cmocka_unit_test(direct_reads_say_why), cmocka_unit_test(locks_say_why),
        cmocka_unit_test(reasons_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
