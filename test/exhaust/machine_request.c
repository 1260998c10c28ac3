/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "exhaust/exhaust.h"
#include "tensor/request.h"

enum {
    ON_SOURCE = 1, /* open, close: no tensors to visit */
    ON_COPY = 2,
    ONE = 4,        /* one tensor is unsettled */
    MORE = 8,       /* and others */
    CANCELLED = 16, /* how a tensor settles */
    FAILED = 32,
    TOTAL = 10,
};

static struct tresor__request world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    bool waits = state == REQUEST_PENDING || state == REQUEST_CANCELLING;
    if (((knobs & MORE) || waits || event == REQUEST_ON_SETTLED) && !(knobs & ONE) &&
        state != REQUEST_FREE && state != REQUEST_ENDED)
        return NULL;
    if ((knobs & ON_SOURCE) && (knobs & ON_COPY))
        return NULL;
    memset(&world, 0, sizeof world);
    world.state = (uint8_t)state;
    world.verb = knobs & ON_SOURCE ? TRESOR_VERB_OPEN
                 : knobs & ON_COPY ? TRESOR_VERB_COPY
                                   : TRESOR_VERB_LOAD;
    world.source = 3;
    world.index = 5;
    world.generation = 7;
    world.next = TRESOR_NONE;
    world.first_item = TRESOR_NONE;
    world.item = TRESOR_NONE;
    world.first_wait = TRESOR_NONE;
    world.total = TOTAL;
    world.unsettled = (knobs & ONE ? 1u : 0u) + (knobs & MORE ? 3u : 0u);
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
        [REQUEST_PENDING] = ON_SOURCE | ON_COPY | ONE | MORE | CANCELLED | FAILED,
        [REQUEST_CANCELLING] = ON_SOURCE | ON_COPY | ONE | MORE | CANCELLED | FAILED,
        [REQUEST_ENDED] = ON_SOURCE | ON_COPY,
    };
    static const struct exhaust_guard guards[] = {
        {"has_tensors", .none = ON_SOURCE | ON_COPY},
        {"is_settled", .none = ONE},
        {"is_last", .all = ONE, .none = MORE},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__request_machine,
        .world = &world,
        .world_bytes = sizeof world,
        .make = make,
        .input = input,
        .knobs = knobs,
        .guards = guards,
        .guard_count = sizeof guards / sizeof guards[0],
        .messages = EXHAUST_BIT(TRESOR__MESSAGE_AGAIN) | EXHAUST_BIT(TRESOR__MESSAGE_START) |
                    EXHAUST_BIT(TRESOR__MESSAGE_VISIT) |
                    EXHAUST_BIT(TRESOR__MESSAGE_WITHDRAW_REQUEST) |
                    EXHAUST_BIT(TRESOR__MESSAGE_END),
        .source = 3,
        .slot = 5,
        .signal_waits = EXHAUST_BIT(REQUEST_PENDING) | EXHAUST_BIT(REQUEST_CANCELLING),
        .eager = EXHAUST_BIT(REQUEST_VISITING) | EXHAUST_BIT(REQUEST_CANCELLING),
    };
    return exhaust_run(&fixture);
}
