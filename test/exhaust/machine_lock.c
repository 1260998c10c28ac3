/* SPDX-License-Identifier: MIT */
#include "exhaust/exhaust.h"
#include "exhaust/piece_world.h"

enum {
    WANTED = 1,  /* a request waits for its lock */
    LOADING = 2, /* its tensor */
    RESIDENT = 4,
    FAILING = 8, /* the unlocking under way failed in part */
};

static struct tresor__piece world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    (void)event;
    if ((knobs & LOADING) && (knobs & RESIDENT))
        return NULL;
    piece_make(&world);
    world.tensor.state = knobs & LOADING    ? TENSOR_LOADING
                         : knobs & RESIDENT ? TENSOR_RESIDENT
                                            : TENSOR_ABSENT;
    world.lock.state = (uint8_t)state;
    world.lock.failure_code = knobs & FAILING ? TRESOR_ERROR_MAP_REFUSED : TRESOR_OK;
    world.waits[TRESOR__WAIT_LOCK] = knobs & WANTED ? 2 : 0;
    return &world.lock;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    (void)knobs;
    return (struct tresor__input){.value = event == LOCK_ON_UNLOCK_FAILED ? TRESOR_ERROR_MAP_REFUSED
                                                                          : 0};
}

int main(void)
{
    static const uint32_t knobs[] = {
        [LOCK_UNLOCKED] = WANTED | LOADING | RESIDENT,
        [LOCK_AWAITING] = WANTED | LOADING,
        [LOCK_LOCKING] = WANTED,
        [LOCK_LOCKED] = WANTED,
        [LOCK_UNLOCKING] = WANTED | FAILING,
    };
    static const struct exhaust_guard guards[] = {
        {"is_resident", .all = RESIDENT},
        {"is_loading", .all = LOADING},
        {"is_wanted", .all = WANTED},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__lock_machine,
        .world = &world,
        .world_bytes = sizeof world,
        .make = make,
        .input = input,
        .knobs = knobs,
        .guards = guards,
        .guard_count = sizeof guards / sizeof guards[0],
        .messages =
            EXHAUST_BIT(TRESOR__MESSAGE_LOCK_CLAIM) | EXHAUST_BIT(TRESOR__MESSAGE_LOCK_UNCLAIM) |
            EXHAUST_BIT(TRESOR__MESSAGE_LOCK_WITHDRAW) | EXHAUST_BIT(TRESOR__MESSAGE_SETTLE_LOCK) |
            EXHAUST_BIT(TRESOR__MESSAGE_SETTLE_UNLOCK),
        .source = PIECE_SOURCE,
        .slot = PIECE_INDEX,
        .file = PIECE_FILE,
        .signal_waits =
            EXHAUST_BIT(LOCK_AWAITING) | EXHAUST_BIT(LOCK_LOCKING) | EXHAUST_BIT(LOCK_UNLOCKING),
    };
    return exhaust_run(&fixture);
}
