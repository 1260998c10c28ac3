/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "exhaust/exhaust.h"
#include "tensor/request.h"

enum {
    ON_SOURCE = 1, /* open, close: no tensors to visit */
    ON_COPY = 2,
    ONE = 4,        /* one tensor is unsettled */
    MORE = 8,       /* and another */
    CANCELLED = 16, /* how a tensor settles */
    FAILED = 32,
    PATIENT = 64,
    TOTAL = 10,
};

static struct tresor__request world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    bool waits = state == REQUEST_PENDING || state == REQUEST_CANCELLING;
    if (((knobs & MORE) || waits || event == REQUEST_ON_SETTLED) && !(knobs & ONE) &&
        state != REQUEST_FREE && state != REQUEST_ENDED)
        return NULL;
    if (!exhaust_at_most_one(knobs, ON_SOURCE | ON_COPY))
        return NULL;
    memset(&world, 0, sizeof world);
    world.state = (uint8_t)state;
    world.verb = knobs & ON_SOURCE ? TRESOR_VERB_OPEN
                 : knobs & ON_COPY ? TRESOR_VERB_COPY
                                   : TRESOR_VERB_LOAD;
    world.is_patient = knobs & PATIENT;
    world.source = 3;
    world.index = 5;
    world.generation = 7;
    world.next = TRESOR_NONE;
    world.first_item = TRESOR_NONE;
    world.item = TRESOR_NONE;
    world.first_wait = TRESOR_NONE;
    world.total = TOTAL;
    world.unsettled = (knobs & ONE ? 1u : 0u) + (knobs & MORE ? 1u : 0u);
    world.done = 2;
    world.failed = 1;
    world.cancelled = 1;
    return &world;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    (void)event;
    return (struct tresor__input){.value = knobs & CANCELLED ? TRESOR_ERROR_CANCELLED
                                           : knobs & FAILED  ? TRESOR_ERROR_IO
                                                             : 5000};
}

int main(void)
{
    static const uint32_t knobs[] = {
        [REQUEST_FREE] = ON_SOURCE | ON_COPY,
        [REQUEST_VISITING] = ONE | MORE | CANCELLED | FAILED,
        [REQUEST_PENDING] = ON_SOURCE | ON_COPY | ONE | MORE | CANCELLED | FAILED | PATIENT,
        [REQUEST_CANCELLING] = ON_SOURCE | ON_COPY | ONE | MORE | CANCELLED | FAILED,
        [REQUEST_ENDED] = ON_SOURCE | ON_COPY,
    };
    static const struct exhaust_guard guards[] = {
        {"has_tensors", .none = ON_SOURCE | ON_COPY},
        {"is_settled", .none = ONE},
        {"is_patient", .all = PATIENT},
        {"is_last", .all = ONE, .none = MORE},
    };
    static const struct exhaust_action actions[] = {
        {.name = "none"},
        {"again", .always = EXHAUST_SENDS(AGAIN)},
        {"start", .always = EXHAUST_SENDS(START)},
        {"retry", .always = EXHAUST_SENDS(RETRY)},
        {"visit", .always = EXHAUST_SENDS(VISIT)},
        {.name = "count"},
        {"end", .always = EXHAUST_SENDS(END)},
        {"count_and_end", .always = EXHAUST_SENDS(END)},
        {"end_cancelled", .always = EXHAUST_SENDS(END)},
        {"withdraw", .always = EXHAUST_SENDS(AGAIN)},
        {"withdraw_more", .always = EXHAUST_SENDS(WITHDRAW_REQUEST)},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__request_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        EXHAUST_ACTIONS(actions),
        .messages = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(START) | EXHAUST_SENDS(VISIT) |
                    EXHAUST_SENDS(RETRY) |
                    EXHAUST_SENDS(WITHDRAW_REQUEST) | EXHAUST_SENDS(END),
        .source = 3,
        .slot = 5,
        .signal_waits = EXHAUST_BIT(REQUEST_PENDING) | EXHAUST_BIT(REQUEST_CANCELLING),
        .eager = EXHAUST_BIT(REQUEST_VISITING) | EXHAUST_BIT(REQUEST_CANCELLING),
    };
    return exhaust_run(&fixture);
}
