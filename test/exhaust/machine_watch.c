/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include <tresor/pressure.h>

#include "exhaust/exhaust.h"
#include "tensor/watch.h"

static struct tresor__watch world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    (void)event;
    (void)knobs;
    world = (struct tresor__watch){.state = (uint8_t)state};
    return &world;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    (void)knobs;
    return (struct tresor__input){.event = event,
                                  .os_errno = event == WATCH_ON_WATCH_FAILED ? ENODEV : 0,
                                  .value = event == WATCH_ON_WATCH_OK ? TRESOR_PRESSURE_STALL : 0};
}

int main(void)
{
    static const uint32_t knobs[EXHAUST_STATES_MAX];
    static const struct exhaust_action actions[] = {
        {.name = "none"},
        {.name = "ask_watch"},
        {.name = "ask_unwatch"},
        {"tell_and_watch", .always = EXHAUST_SENDS(PRESSURE)},
        {"give_up", .always = EXHAUST_SENDS(BLIND)},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__watch_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_ACTIONS(actions),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_WATCH) | EXHAUST_BIT(TRESOR__EFFECT_UNWATCH),
        .messages = EXHAUST_SENDS(PRESSURE) | EXHAUST_SENDS(BLIND),
    };
    return exhaust_run(&fixture);
}
