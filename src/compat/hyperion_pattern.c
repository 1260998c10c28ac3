/* SPDX-License-Identifier: MIT */
#include "compat/hyperion_pattern.h"

#include <stdbool.h>

#include <tresor/compat/hyperion.h>

void tresor__hyperion_note(struct tresor__hyperion_history *history, uint32_t layer)
{
    history->newest = (history->newest + 1) % TRESOR__HYPERION_HISTORY;
    history->layers[history->newest] = layer;
    if (history->length < TRESOR__HYPERION_HISTORY)
        history->length++;
}

/* The layer of `back` gets ago; 0 is the last. */
static uint32_t ago(const struct tresor__hyperion_history *history, uint32_t back)
{
    return history->layers[(history->newest + TRESOR__HYPERION_HISTORY - back) %
                           TRESOR__HYPERION_HISTORY];
}

/* Layers from one get to the next, forward and round, that began `back` gets ago. */
static uint32_t step_from(const struct tresor__hyperion_history *history, uint32_t back)
{
    const uint64_t count = history->layer_count;
    return (uint32_t)((ago(history, back - 1) + count - ago(history, back)) % count);
}

/* How many of the last steps are as the last one. */
static uint32_t same_steps(const struct tresor__hyperion_history *history)
{
    uint32_t steps = 1;
    while (steps + 1 < history->length && step_from(history, steps + 1) == step_from(history, 1))
        steps++;
    return steps;
}

/* Whether the last `period` gets, or as many as are evidence, were the same as those a period before. */
static bool repeats(const struct tresor__hyperion_history *history, uint32_t period)
{
    const uint32_t evidence =
        period > TRESOR__HYPERION_EVIDENCE ? period : TRESOR__HYPERION_EVIDENCE;
    if (history->length < evidence + period)
        return false;
    for (uint32_t back = 0; back < evidence; back++)
        if (ago(history, back) != ago(history, back + period))
            return false;
    return true;
}

static uint32_t shortest_period(const struct tresor__hyperion_history *history)
{
    for (uint32_t period = 1; period <= TRESOR__HYPERION_PERIOD_MAX; period++)
        if (repeats(history, period))
            return period;
    return 0;
}

static struct tresor__hyperion_order walk_of(const struct tresor__hyperion_history *history)
{
    const uint32_t step = step_from(history, 1);
    const uint32_t back = history->layer_count - step;
    return (struct tresor__hyperion_order){
        .pattern = step == 1 ? TRESOR_HYPERION_NEXT : TRESOR_HYPERION_STRIDE,
        .stride = step <= back ? (int64_t)step : -(int64_t)back,
    };
}

/*
 * A walk through all layers in equal steps repeats too, and a sequence that repeats can have equal steps within: it is the one that
 * explains more of the last gets.
 */
struct tresor__hyperion_order tresor__hyperion_learn(const struct tresor__hyperion_history *history)
{
    const struct tresor__hyperion_order none = {.pattern = TRESOR_HYPERION_NONE};
    if (history->length <= TRESOR__HYPERION_EVIDENCE)
        return none;
    const uint32_t steps = same_steps(history);
    const uint32_t period = shortest_period(history);
    if (step_from(history, 1) > 0 && steps >= TRESOR__HYPERION_EVIDENCE && steps >= period)
        return walk_of(history);
    if (period > 0)
        return (struct tresor__hyperion_order){.pattern = TRESOR_HYPERION_REPEAT,
                                               .period = period};
    return none;
}

uint32_t tresor__hyperion_foretell(const struct tresor__hyperion_history *history,
                                   const struct tresor__hyperion_order *order, uint32_t ahead)
{
    if (order->pattern == TRESOR_HYPERION_REPEAT)
        return ago(history, order->period - 1 - (ahead - 1) % order->period);
    const int64_t count = history->layer_count;
    const int64_t to = (ago(history, 0) + order->stride % count * ((int64_t)ahead % count)) % count;
    return (uint32_t)(to < 0 ? to + count : to);
}
