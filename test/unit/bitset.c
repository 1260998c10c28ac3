/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "core/bitset.h"
#include "support/random.h"
#include "support/test.h"

enum {
    SIZE_MAX_TESTED = 64 * 64 * 3 + 65, /* several words of summary, the last ones not full */
};

static uint64_t words[SIZE_MAX_TESTED / 32];
static bool members[SIZE_MAX_TESTED];

static uint32_t next_of(uint32_t size, uint32_t from)
{
    for (uint32_t i = from; i < size; i++)
        if (members[i])
            return i;
    return TRESOR_NONE;
}

static void start(struct tresor__bitset *set, uint32_t size)
{
    assert_true(tresor__bitset_words(size) <= sizeof words / sizeof words[0]);
    memset(words, 0, sizeof words);
    memset(members, 0, sizeof members);
    tresor__bitset_init(set, words, size);
}

/* Sizes around the ends of words and of words of the summary. */
static const uint32_t sizes[] = {1,
                                 63,
                                 64,
                                 65,
                                 127,
                                 128,
                                 1000,
                                 64 * 64 - 1,
                                 64 * 64,
                                 64 * 64 + 1,
                                 2 * 64 * 64 + 64,
                                 SIZE_MAX_TESTED};

static void random_members(void **state)
{
    uint64_t seed = 11;
    (void)state;
    for (uint32_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct tresor__bitset set;
        uint32_t count = 0;
        start(&set, sizes[s]);
        for (uint32_t i = 0; i < 20000; i++) {
            uint32_t number = random_below(&seed, sizes[s]);
            /* Phases that fill and phases that empty, so that whole words come and go. */
            bool add = random_below(&seed, 8) < (i / 2000 % 2 ? 1u : 7u);
            if (add != members[number])
                count = add ? count + 1 : count - 1;
            members[number] = add;
            if (add)
                tresor__bitset_add(&set, number);
            else
                tresor__bitset_remove(&set, number);
            assert_int_equal(set.count, count);
            assert_int_equal(tresor__bitset_has(&set, number), add);
            uint32_t from = random_below(&seed, sizes[s]);
            if (i % 16 == 0)
                assert_int_equal(tresor__bitset_next(&set, from), next_of(sizes[s], from));
        }
    }
}

/* One member anywhere is found from everywhere before it, and from nowhere behind it. */
static void lone_member(void **state)
{
    (void)state;
    for (uint32_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint32_t step = sizes[s] / 97 + 1;
        for (uint32_t number = 0; number < sizes[s]; number += step) {
            struct tresor__bitset set;
            start(&set, sizes[s]);
            tresor__bitset_add(&set, number);
            for (uint32_t from = 0; from <= sizes[s]; from += from == number ? 1 : step)
                assert_int_equal(tresor__bitset_next(&set, from),
                                 from <= number ? number : TRESOR_NONE);
            assert_int_equal(tresor__bitset_next(&set, number), number);
            assert_int_equal(tresor__bitset_next(&set, number + 1), TRESOR_NONE);
            tresor__bitset_remove(&set, number);
            for (uint32_t i = 0; i < sizeof words / sizeof words[0]; i++)
                assert_int_equal(words[i], 0);
        }
    }
}

static void twice_is_once(void **state)
{
    struct tresor__bitset set;
    (void)state;
    start(&set, 200);
    tresor__bitset_add(&set, 70);
    tresor__bitset_add(&set, 70);
    assert_int_equal(set.count, 1);
    tresor__bitset_remove(&set, 71);
    assert_int_equal(set.count, 1);
    tresor__bitset_remove(&set, 70);
    tresor__bitset_remove(&set, 70);
    assert_int_equal(set.count, 0);
    assert_int_equal(tresor__bitset_next(&set, 0), TRESOR_NONE);
}

static void empty_set(void **state)
{
    struct tresor__bitset set;
    (void)state;
    assert_int_equal(tresor__bitset_words(0), 0);
    tresor__bitset_init(&set, NULL, 0);
    assert_int_equal(tresor__bitset_next(&set, 0), TRESOR_NONE);
    assert_int_equal(tresor__bitset_words(1), 2);
    assert_int_equal(tresor__bitset_words(64 * 64), 65);
    assert_int_equal(tresor__bitset_words(64 * 64 + 1), 67);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_members),
        cmocka_unit_test(lone_member),
        cmocka_unit_test(twice_is_once),
        cmocka_unit_test(empty_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
