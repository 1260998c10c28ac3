/* SPDX-License-Identifier: MIT */
#include "exhaust/exhaust.h"
#include "exhaust/piece_world.h"

enum {
    WANTED = 1,  /* a request waits for its lock */
    FAILING = 2, /* the unlocking under way failed in part */
    /* Its tensor: */
    RESIDENT = 4,
    LOADING = 8,
    SEALING = 16,
    EVICTING = 32,
    RELOADING = 64, /* being evicted, and a load waits for the end */
    HELD = 128,     /* in memory, and acquired */
    SWAPPING = 256,
    STOPPING = 512,
    ADMITTING = 1024,
    VERIFYING = 2048,
    TENSORS = HELD | RESIDENT | LOADING | SEALING | EVICTING | RELOADING | SWAPPING | STOPPING |
              ADMITTING | VERIFYING,
};

static struct tresor__piece world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    static const uint8_t tensors[] = {
        [0] = TENSOR_ABSENT,        [RESIDENT] = TENSOR_RESIDENT, [LOADING] = TENSOR_LOADING,
        [SEALING] = TENSOR_SEALING, [EVICTING] = TENSOR_EVICTING, [RELOADING] = TENSOR_EVICTING,
        [HELD] = TENSOR_HELD,       [SWAPPING] = TENSOR_SWAPPING, [STOPPING] = TENSOR_STOPPING,
        [ADMITTING] = TENSOR_ADMITTING, [VERIFYING] = TENSOR_VERIFYING,
    };
    (void)event;
    if (!exhaust_at_most_one(knobs, TENSORS))
        return NULL;
    piece_make(&world);
    world.tensor.state = tensors[knobs & TENSORS];
    world.waits[TRESOR__WAIT_LOAD] = knobs & RELOADING ? 1 : 0;
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
        [LOCK_UNLOCKED] = WANTED | TENSORS,
        [LOCK_AWAITING] = WANTED | LOADING | SEALING | RELOADING | SWAPPING | STOPPING | ADMITTING | VERIFYING,
        [LOCK_LOCKING] = WANTED,
        [LOCK_LOCKED] = WANTED,
        [LOCK_UNLOCKING] = WANTED | FAILING,
    };
    static const struct exhaust_guard guards[] = {
        {"is_resident", .any = RESIDENT | HELD},
        {"is_coming", .any = LOADING | SEALING | RELOADING | SWAPPING | STOPPING | ADMITTING | VERIFYING},
        {"is_wanted", .all = WANTED},
    };
    static const struct exhaust_action actions[] = {
        {.name = "none"},
        {"claim", .always = EXHAUST_SENDS(LOCK_CLAIM)},
        {"settle_lock", .always = EXHAUST_SENDS(SETTLE_LOCK)},
        {"refuse_absent", .always = EXHAUST_SENDS(SETTLE_LOCK)},
        {"withdraw", .always = EXHAUST_SENDS(SETTLE_LOCK) | EXHAUST_SENDS(LOCK_WITHDRAW)},
        {"release", .always = EXHAUST_SENDS(LOCK_UNCLAIM)},
        {"settle_unlock", .always = EXHAUST_SENDS(SETTLE_UNLOCK)},
        {"settle_unlock_and_claim",
         .always = EXHAUST_SENDS(SETTLE_UNLOCK) | EXHAUST_SENDS(LOCK_CLAIM)},
        {"refuse_unlock", .always = EXHAUST_SENDS(SETTLE_UNLOCK)},
        {.name = "remember_failure"},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__lock_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        EXHAUST_ACTIONS(actions),
        .messages = EXHAUST_SENDS(LOCK_CLAIM) | EXHAUST_SENDS(LOCK_UNCLAIM) |
                    EXHAUST_SENDS(LOCK_WITHDRAW) | EXHAUST_SENDS(SETTLE_LOCK) |
                    EXHAUST_SENDS(SETTLE_UNLOCK),
        PIECE_WORLD,
        .deaf = EXHAUST_BIT(LOCK_LOCKING) | EXHAUST_BIT(LOCK_UNLOCKING),
        .signal_waits =
            EXHAUST_BIT(LOCK_AWAITING) | EXHAUST_BIT(LOCK_LOCKING) | EXHAUST_BIT(LOCK_UNLOCKING),
    };
    return exhaust_run(&fixture);
}
