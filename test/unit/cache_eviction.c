/* SPDX-License-Identifier: MIT */
/* An mmap eviction that makes the page cache forget: which bytes it is asked to, and what it kept, over a fake system. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "context.h"
#include "support/fake_world.h"

enum {
    MIB = 1024 * 1024,
    TENSORS = 3,
    ASKED_MAX = 8,
};

static const struct model_tensor tensors[TENSORS] = {
    {3 * MIB, MODEL_NEXT, false},
    {4 * MIB, MODEL_NEXT, false},
    {3 * MIB, MODEL_NEXT, false},
};

static struct fake_world world;

static struct {
    uint64_t offset;
    uint64_t length;
} asked[ASKED_MAX];
static uint32_t asked_count;
static int32_t answer;

static int32_t note(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row == FAULTY_ADVISE_FILE && call->kind == TRESOR__SYS_FILE_DONTNEED) {
        assert_true(asked_count < ASKED_MAX);
        asked[asked_count].offset = call->offset;
        asked[asked_count++].length = call->length;
        return answer;
    }
    return call->row == FAULTY_CACHED_BYTES && answer ? EPERM : 0;
}

static void start(bool evicts)
{
    fake_world_init(&world);
    world.faulty.judge = note;
    fake_world_start(&world, tensors, TENSORS);
    world.session.context->controller.io.evicts_cache = evicts;
    world.fake.cached_until = UINT64_MAX;
    asked_count = 0;
    answer = 0;
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP), TRESOR_OK);
}

static void evict(uint32_t tensor)
{
    asked_count = 0;
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, tensor, 0), TRESOR_OK);
}

static uint64_t page_up(uint64_t offset)
{
    return (offset + FAKE_PAGE_BYTES - 1) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
}

/* A neighbour's part of a huge page stays; with the neighbour it goes, and with it what nobody has. */
static void whole_huge_pages_where_nobody_has_them(void **state)
{
    (void)state;
    start(true);
    struct tresor_tensor_info middle = fake_world_tensor(&world, 1);
    uint64_t start_bytes = page_up(middle.offset_bytes);
    uint64_t end_bytes = (middle.offset_bytes + middle.tensor_bytes) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
    evict(1);
    assert_int_equal(asked_count, 1);
    assert_int_equal(asked[0].offset, start_bytes);
    assert_int_equal(asked[0].offset + asked[0].length, end_bytes);
    /* The fake cache keeps all, and says so. */
    assert_int_equal(fake_world_counters(&world).uncollected_bytes, end_bytes - start_bytes);
    evict(0);
    assert_int_equal(asked_count, 1);
    assert_int_equal(asked[0].offset, 0);
    assert_int_equal((asked[0].offset + asked[0].length) % (2 * MIB), 0);
    assert_true(asked[0].offset + asked[0].length >= start_bytes);
    evict(2);
    assert_int_equal(asked[0].offset % (2 * MIB), 0);
    assert_true(asked[0].offset <= end_bytes);
    fake_world_close(&world);
}

static void not_where_there_is_no_budget(void **state)
{
    (void)state;
    start(false);
    for (uint32_t i = 0; i < TENSORS; i++) {
        evict(i);
        assert_int_equal(asked_count, 0);
    }
    assert_int_equal(fake_world_counters(&world).uncollected_bytes, 0);
    fake_world_close(&world);
}

/* A system that does not forget, or does not tell, makes no eviction fail. */
static void refusals_are_borne(void **state)
{
    (void)state;
    start(true);
    answer = EINVAL;
    for (uint32_t i = 0; i < TENSORS; i++)
        evict(i);
    fake_world_must_have(&world, 0);
    assert_int_equal(fake_world_counters(&world).uncollected_bytes, 0);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_huge_pages_where_nobody_has_them),
        cmocka_unit_test(not_where_there_is_no_budget),
        cmocka_unit_test(refusals_are_borne),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
