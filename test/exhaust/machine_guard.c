/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "exhaust/exhaust.h"
#include "tensor/guard.h"

static struct tresor__guard world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    (void)event;
    (void)knobs;
    world = (struct tresor__guard){.state = (uint8_t)state};
    return &world;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    const struct tresor__guard_run run = {.first = 9, .count = TRESOR__GUARD_RUN_MAX, .is_truncated = true};
    (void)knobs;
    return (struct tresor__input){.event = event,
                                  .os_errno = event == GUARD_ON_GUARD_FAILED ? ECANCELED : 0,
                                  .value = event == GUARD_ON_GUARD_OK ? tresor__guard_value(&run) : 0};
}

int main(void)
{
    static const uint32_t knobs[EXHAUST_STATES_MAX];
    static const struct exhaust_action actions[] = {
        {.name = "none"},
        {.name = "ask_guard"},
        {"tell_and_guard", .always = EXHAUST_SENDS(FAULT)},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__guard_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_ACTIONS(actions),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_GUARD),
        .messages = EXHAUST_SENDS(FAULT),
    };
    return exhaust_run(&fixture);
}
