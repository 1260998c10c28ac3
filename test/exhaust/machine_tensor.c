/* SPDX-License-Identifier: MIT */
#include "exhaust/exhaust.h"
#include "exhaust/piece_world.h"

enum {
    WANTED = 1,   /* a request waits for its load */
    AWAITING = 2, /* a lock waits for its load */
    LOCKING = 4,
    LOCKED = 8,
    UNLOCKING = 16,
    FAILING = 32, /* the eviction under way failed in part */
    BY_READ = 64, /* the input's value is 1: read, or sequential */
    LOCKS = AWAITING | LOCKING | LOCKED | UNLOCKING,
};

static struct tresor__piece world;

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    static const uint8_t locks[] = {
        [AWAITING] = LOCK_AWAITING,
        [LOCKING] = LOCK_LOCKING,
        [LOCKED] = LOCK_LOCKED,
        [UNLOCKING] = LOCK_UNLOCKING,
    };
    uint32_t lock = knobs & LOCKS;
    (void)event;
    if (lock & (lock - 1))
        return NULL;
    piece_make(&world);
    world.tensor.state = (uint8_t)state;
    world.tensor.backing = TRESOR__BACKING_ANONYMOUS;
    world.tensor.failure_code = knobs & FAILING ? TRESOR_ERROR_MAP_REFUSED : TRESOR_OK;
    world.lock.state = lock ? locks[lock] : LOCK_UNLOCKED;
    world.waits[TRESOR__WAIT_LOAD] = knobs & WANTED ? 2 : 0;
    return &world.tensor;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    int64_t value = knobs & BY_READ ? 1 : 0;
    if (event == TENSOR_ON_RELEASE_FAILED)
        value = TRESOR_ERROR_MAP_REFUSED;
    return (struct tresor__input){.value = value};
}

int main(void)
{
    static const uint32_t knobs[] = {
        [TENSOR_ABSENT] = WANTED | BY_READ,
        [TENSOR_LOADING] = WANTED | BY_READ | AWAITING,
        [TENSOR_RESIDENT] = WANTED | BY_READ | LOCKS,
        [TENSOR_SEALING] = WANTED | BY_READ,
        [TENSOR_EVICTING] = WANTED | BY_READ | FAILING,
        [TENSOR_FAILED] = WANTED | BY_READ,
    };
    static const struct exhaust_guard guards[] = {
        {"is_wanted", .all = WANTED},
        {"is_locked", .any = LOCKS},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__tensor_machine,
        .world = &world,
        .world_bytes = sizeof world,
        .make = make,
        .input = input,
        .knobs = knobs,
        .guards = guards,
        .guard_count = sizeof guards / sizeof guards[0],
        .effects = EXHAUST_BIT(TRESOR__EFFECT_SEAL) | EXHAUST_BIT(TRESOR__EFFECT_ADVISE),
        .messages =
            EXHAUST_BIT(TRESOR__MESSAGE_CLAIM) | EXHAUST_BIT(TRESOR__MESSAGE_UNCLAIM) |
            EXHAUST_BIT(TRESOR__MESSAGE_WITHDRAW) | EXHAUST_BIT(TRESOR__MESSAGE_OPEN_PINS) |
            EXHAUST_BIT(TRESOR__MESSAGE_TELL_LOCK) | EXHAUST_BIT(TRESOR__MESSAGE_SETTLE_LOAD) |
            EXHAUST_BIT(TRESOR__MESSAGE_SETTLE_EVICT) | EXHAUST_BIT(TRESOR__MESSAGE_SETTLE_ADVISE),
        .source = PIECE_SOURCE,
        .slot = PIECE_INDEX,
        .file = PIECE_FILE,
        .signal_waits = EXHAUST_BIT(TENSOR_LOADING) | EXHAUST_BIT(TENSOR_EVICTING),
        .floating = EXHAUST_BIT(TRESOR__EFFECT_ADVISE),
    };
    return exhaust_run(&fixture);
}
