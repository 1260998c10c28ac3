/* SPDX-License-Identifier: MIT */
/* What is noted of uses, and who goes first by it: the policies, and the ranking that keeps their order. */
#include "tensor/policy.h"

#include <tresor/budget.h>

#include <string.h>

#include "support/random.h"
#include "support/test.h"
#include "tensor/ranking.h"

enum {
    PIECES = 24,
    OPERATIONS = 4000,
    HALF_LIFE_TICKS = 1 << 15,
};

static struct tresor__piece pieces[PIECES];
static uint32_t heap[PIECES];
static struct tresor__ranking ranking;

static void start(void)
{
    memset(pieces, 0, sizeof pieces);
    ranking = (struct tresor__ranking){.pieces = pieces, .heap = heap, .capacity = PIECES};
    for (uint32_t i = 0; i < PIECES; i++)
        pieces[i].rank = TRESOR_NONE;
}

/* By looking at all: of two alike the one with the lower number. */
static uint32_t first_by(tresor__policy *policy)
{
    uint32_t first = TRESOR_NONE;
    for (uint32_t i = 0; i < PIECES; i++)
        if (pieces[i].rank != TRESOR_NONE &&
            (first == TRESOR_NONE || policy(&pieces[i].use, &pieces[first].use)))
            first = i;
    return first;
}

static void change(uint64_t *seed, tresor__policy **policy, uint32_t *name, uint64_t *clock)
{
    uint32_t piece = random_below(seed, PIECES);
    bool is_ranked = pieces[piece].rank != TRESOR_NONE;
    switch (random_below(seed, 8)) {
    case 0:
        pieces[piece].use.priority = (int32_t)random_below(seed, 3) - 1;
        break;
    case 1:
        *name = 1 + random_below(seed, TRESOR_POLICY_PRIORITY);
        *policy = tresor__policy_of(*name);
        tresor__ranking_rebuild(&ranking, *policy);
        return;
    case 2:
    case 3:
        if (is_ranked)
            tresor__ranking_remove(&ranking, *policy, piece);
        else
            tresor__ranking_add(&ranking, *policy, piece);
        return;
    default:
        *clock += random_below(seed, 3) ? 1 : random_below(seed, 2 * HALF_LIFE_TICKS);
        tresor__use_note(&pieces[piece].use, *clock, random_below(seed, 4));
        break;
    }
    if (is_ranked)
        tresor__ranking_move(&ranking, *policy, piece);
}

static void the_first_is_at_hand(void **state)
{
    uint64_t seed = 1966;
    uint64_t clock = 0;
    uint32_t name = TRESOR_POLICY_LRU;
    tresor__policy *policy = tresor__policy_of(name);
    (void)state;
    start();
    for (uint32_t i = 0; i < OPERATIONS; i++) {
        change(&seed, &policy, &name, &clock);
        assert_int_equal(tresor__ranking_first(&ranking), first_by(policy));
        for (uint32_t place = 0; place < ranking.count; place++)
            assert_int_equal(pieces[heap[place]].rank, place);
    }
}

/* Taken out one by one they come in order, whatever they were put in by. */
static void all_come_in_order(void **state)
{
    uint64_t seed = 7;
    (void)state;
    for (uint32_t name = TRESOR_POLICY_LRU; name <= TRESOR_POLICY_PRIORITY; name++) {
        tresor__policy *policy = tresor__policy_of(name);
        start();
        for (uint32_t i = 0; i < PIECES; i++) {
            pieces[i].use.priority = (int32_t)random_below(&seed, 3);
            tresor__use_note(&pieces[i].use, 1 + random_below(&seed, PIECES / 2), 1);
            tresor__ranking_add(&ranking, policy, i);
        }
        for (uint32_t left = PIECES; left > 0; left--) {
            uint32_t first = tresor__ranking_first(&ranking);
            assert_int_equal(first, first_by(policy));
            tresor__ranking_remove(&ranking, policy, first);
        }
        assert_int_equal(tresor__ranking_first(&ranking), TRESOR_NONE);
    }
}

static void the_least_recent_goes(void **state)
{
    uint32_t order[PIECES]; /* by last use */
    uint64_t seed = 99;
    tresor__policy *policy = tresor__policy_of(TRESOR_POLICY_LRU);
    (void)state;
    start();
    for (uint32_t i = 0; i < PIECES; i++) {
        order[i] = i;
        tresor__use_note(&pieces[i].use, i + 1, 1);
        tresor__ranking_add(&ranking, policy, i);
    }
    for (uint64_t clock = PIECES + 1; clock < OPERATIONS; clock++) {
        uint32_t place = random_below(&seed, PIECES);
        uint32_t used = order[place];
        memmove(order + place, order + place + 1, (PIECES - 1 - place) * sizeof *order);
        order[PIECES - 1] = used;
        tresor__use_note(&pieces[used].use, clock, 1 + random_below(&seed, 5));
        tresor__ranking_move(&ranking, policy, used);
        assert_int_equal(tresor__ranking_first(&ranking), order[0]);
    }
}

static bool goes_first(uint32_t policy, const struct tresor__use *one, const struct tresor__use *other)
{
    bool before = tresor__policy_of(policy)(one, other);
    assert_false(before && tresor__policy_of(policy)(other, one));
    return before;
}

/* From the same moment on, more uses are more, until the other has had as many half-lives as they are. */
static void more_uses_count_more(void **state)
{
    (void)state;
    for (uint64_t start_tick = 1; start_tick < UINT64_C(1) << 40; start_tick *= 37) {
        for (uint32_t more = 2; more < 200; more++) {
            struct tresor__use often = {0};
            struct tresor__use seldom = {0};
            for (uint32_t i = 0; i < more; i++)
                tresor__use_note(&often, start_tick + i, 1);
            for (uint32_t i = 0; i + 1 < more; i++)
                tresor__use_note(&seldom, start_tick + i, 1);
            assert_true(goes_first(TRESOR_POLICY_LFRU, &seldom, &often));
            assert_true(goes_first(TRESOR_POLICY_LRU, &seldom, &often));
        }
    }
}

/* A use never makes anybody go sooner, and time alone changes no order. */
static void a_use_only_helps(void **state)
{
    uint64_t seed = 2024;
    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        struct tresor__use use = {0};
        uint64_t clock = 1 + random_below(&seed, UINT32_MAX);
        for (uint32_t k = 0; k < 60; k++) {
            struct tresor__use before = use;
            clock += random_below(&seed, 1u << random_below(&seed, 20)) + 1;
            tresor__use_note(&use, clock, random_below(&seed, 3));
            assert_true(use.score >= before.score);
            assert_true(use.stamp > before.stamp);
            for (uint32_t name = TRESOR_POLICY_LRU; name <= TRESOR_POLICY_PRIORITY; name++)
                assert_false(goes_first(name, &use, &before));
        }
    }
}

/* As many uses as were made a half-life ago count twice as much now; one use is worth k that are log2(k) half-lives old. */
static void old_uses_count_less(void **state)
{
    (void)state;
    for (uint64_t clock = 1; clock < UINT64_C(1) << 40; clock *= 53) {
        for (uint32_t places = 1; places < 12; places++) {
            struct tresor__use old = {0};
            struct tresor__use fresh = {0};
            tresor__use_note(&old, clock, UINT32_C(1) << places);
            tresor__use_note(&fresh, clock + (places + 1) * HALF_LIFE_TICKS, 1);
            assert_true(goes_first(TRESOR_POLICY_LFRU, &old, &fresh));
            fresh = (struct tresor__use){0};
            tresor__use_note(&fresh, clock + (places - 1) * HALF_LIFE_TICKS, 1);
            assert_true(goes_first(TRESOR_POLICY_LFRU, &fresh, &old));
        }
    }
}

static void nothing_overflows(void **state)
{
    const uint64_t last = UINT64_C(1) << 40;
    (void)state;
    struct tresor__use use = {0};
    tresor__use_note(&use, 1, 1);
    uint64_t score = use.score;
    for (uint64_t clock = 2; clock <= last; clock *= 2) {
        tresor__use_note(&use, clock, UINT16_MAX);
        assert_true(use.score > score);
        score = use.score;
    }
    struct tresor__use later = use;
    tresor__use_note(&later, last + 1, 1);
    assert_true(later.score >= use.score && later.score < UINT64_MAX / 2);
    struct tresor__use newcomer = {0};
    tresor__use_note(&newcomer, last + 1, 1);
    assert_true(goes_first(TRESOR_POLICY_LFRU, &newcomer, &later));
}

static void equal_priorities_are_by_last_use(void **state)
{
    struct tresor__use low = {.stamp = 9, .score = 9, .priority = -1};
    struct tresor__use high = {.stamp = 1, .score = 1, .priority = 0};
    (void)state;
    assert_true(goes_first(TRESOR_POLICY_PRIORITY, &low, &high));
    low.priority = 0;
    assert_true(goes_first(TRESOR_POLICY_PRIORITY, &high, &low));
    high.stamp = 9;
    assert_false(goes_first(TRESOR_POLICY_PRIORITY, &high, &low));
    assert_false(goes_first(TRESOR_POLICY_PRIORITY, &low, &high));
    high.priority = INT32_MAX;
    low.priority = INT32_MIN;
    assert_true(goes_first(TRESOR_POLICY_PRIORITY, &low, &high));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_at_hand),
        cmocka_unit_test(all_come_in_order),
        cmocka_unit_test(the_least_recent_goes),
        cmocka_unit_test(more_uses_count_more),
        cmocka_unit_test(a_use_only_helps),
        cmocka_unit_test(old_uses_count_less),
        cmocka_unit_test(nothing_overflows),
        cmocka_unit_test(equal_priorities_are_by_last_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
