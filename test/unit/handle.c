/* SPDX-License-Identifier: MIT */
#include "core/handle.h"

#include "support/random.h"
#include "support/test.h"

enum {
    GENERATION_MAX = (1 << TRESOR__GENERATION_BITS) - 1
};

static void parts_come_back(void **state)
{
    static const uint32_t kinds[] = {TRESOR__KIND_SOURCE, TRESOR__KIND_REQUEST,
                                     TRESOR__KIND_ITEM_SOURCE};
    uint64_t seed = 5;
    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t kind = kinds[i % 3];
        uint32_t slot = random_below(&seed, 1u << 31);
        uint32_t generation = 1 + random_below(&seed, GENERATION_MAX);
        uint64_t handle = tresor__handle_make(kind, slot, generation);
        assert_int_equal(tresor__handle_kind(handle), kind);
        assert_int_equal(tresor__handle_slot(handle), slot);
        assert_int_equal(tresor__handle_generation(handle), generation);
        if (kind != TRESOR__KIND_REQUEST)
            assert_int_equal(tresor__handle_source(handle), slot);
    }
}

/* The largest of every part, one at a time, does not spill into the others. */
static void ends_of_parts(void **state)
{
    static const struct {
        uint32_t source;
        uint32_t index;
        uint32_t generation;
    } rows[] = {
        {0, 0, 1},
        {TRESOR__SOURCES_MAX - 1, 0, 1},
        {0, TRESOR__TENSORS_MAX - 1, 1},
        {0, 0, GENERATION_MAX},
        {TRESOR__SOURCES_MAX - 1, TRESOR__TENSORS_MAX - 1, GENERATION_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (uint32_t kind = TRESOR__KIND_ITEM_TENSOR; kind <= TRESOR__KIND_ITEM_GROUP; kind++) {
            uint64_t handle =
                tresor__handle_of_item(kind, rows[i].source, rows[i].index, rows[i].generation);
            assert_int_equal(tresor__handle_kind(handle), kind);
            assert_int_equal(tresor__handle_source(handle), rows[i].source);
            assert_int_equal(tresor__handle_index(handle), rows[i].index);
            assert_int_equal(tresor__handle_generation(handle), rows[i].generation);
        }
    }
}

/* Zero is never a handle, and a slot's next user never has the last one's handle. */
static void generations_pass(void **state)
{
    (void)state;
    assert_int_equal(tresor__handle_kind(0), 0);
    assert_int_equal(tresor__handle_generation(0), 0);
    assert_int_equal(tresor__generation_next(0), 1);
    assert_int_equal(tresor__generation_next(1), 2);
    assert_int_equal(tresor__generation_next(GENERATION_MAX - 1), GENERATION_MAX);
    assert_int_equal(tresor__generation_next(GENERATION_MAX), 1);
    for (uint32_t generation = 1, i = 0; i < 1000; i++) {
        uint32_t next = tresor__generation_next(generation);
        assert_true(next != 0 && next != generation);
        assert_true(tresor__handle_make(TRESOR__KIND_SOURCE, 3, next) !=
                    tresor__handle_make(TRESOR__KIND_SOURCE, 3, generation));
        generation = next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_back),
        cmocka_unit_test(ends_of_parts),
        cmocka_unit_test(generations_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
