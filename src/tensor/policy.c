/* SPDX-License-Identifier: MIT */
#include "tensor/policy.h"

#include <tresor/budget.h>

enum {
    PLACES = 16,              /* binary places of a score */
    HALF_LIFE_TICKS = 1 << 15, /* after which a use counts half: long, for what is used often today mostly is tomorrow */
};

#define ONE (UINT64_C(1) << PLACES)

/* log2(1 + x) for x below 1; the parabola is exact at both ends and within 0.009 between. */
static uint64_t log2_of_one_and(uint64_t x)
{
    return x + x * (ONE - x) / ONE * 22544 / ONE;
}

/* log2 of a whole number. */
static uint64_t log2_of(uint32_t number)
{
    uint32_t whole = 31 - (uint32_t)__builtin_clz(number);
    uint64_t rest = ((uint64_t)number << PLACES >> whole) - ONE;
    return (uint64_t)whole * ONE + log2_of_one_and(rest);
}

/* 2 to the power of -x: the straight line between two powers is within 0.06 of it. */
static uint64_t power_of_minus(uint64_t x)
{
    uint64_t whole = x >> PLACES;
    uint64_t rest = x & (ONE - 1);
    return whole > PLACES ? 0 : (ONE - rest / 2) >> whole;
}

/* log2(2^a + 2^b) */
static uint64_t log2_of_sum(uint64_t a, uint64_t b)
{
    uint64_t larger = a > b ? a : b;
    uint64_t smaller = a > b ? b : a;
    return larger + log2_of_one_and(power_of_minus(larger - smaller));
}

/* A use at tick t weighs 2^(t / half-life), so that older uses need not be touched to count less. */
void tresor__use_note(struct tresor__use *use, uint64_t stamp, uint32_t count)
{
    uint64_t weight = (stamp << PLACES) / HALF_LIFE_TICKS + log2_of(count > 0 ? count : 1);
    use->score = use->stamp > 0 ? log2_of_sum(use->score, weight) : weight;
    use->stamp = stamp;
}

static bool least_recent(const struct tresor__use *one, const struct tresor__use *other)
{
    return one->stamp < other->stamp;
}

static bool least_frequent(const struct tresor__use *one, const struct tresor__use *other)
{
    return one->score != other->score ? one->score < other->score : least_recent(one, other);
}

static bool least_important(const struct tresor__use *one, const struct tresor__use *other)
{
    return one->priority != other->priority ? one->priority < other->priority
                                            : least_recent(one, other);
}

tresor__policy *tresor__policy_of(uint32_t policy)
{
    static tresor__policy *const policies[] = {
        [TRESOR_POLICY_LRU] = least_recent,
        [TRESOR_POLICY_LFRU] = least_frequent,
        [TRESOR_POLICY_PRIORITY] = least_important,
    };
    return policies[policy];
}
