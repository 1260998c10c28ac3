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
    URGENT = 128, /* more than its load was so far */
    PATIENT = 256, /* a request waits for its eviction, and for the end of its users */
    BUDGETED = 512, /* there is a budget */
    SWAP = 1024,      /* a request waits for its swap to where that goes */
    SWAP_BACK = 2048, /* and one for its swap to where it comes from */
    EVICT = 4096,     /* and one for its eviction */
    ON_READ_SIDE = 8192, /* that is where its swap goes */
    POISONED = 16384,    /* some of its bytes were lost */
    COMPARES = 32768,    /* a request that waits for its load wants its digest compared */
    SEARCHES = 65536,    /* one wants it searched for what is not finite */
    LOOKED = 131072,     /* which was done already, both */
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
    if (!exhaust_at_most_one(knobs, LOCKS) || (lock && event == TENSOR_ON_YIELD))
        return NULL; /* nobody who is locked is asked to go */
    piece_make(&world);
    world.tensor.state = (uint8_t)state;
    world.tensor.backing = TRESOR__BACKING_ANONYMOUS;
    world.tensor.urgency = TRESOR__URGENCY_NORMAL;
    world.tensor.asks_room = knobs & BUDGETED;
    world.tensor.failure_code = knobs & FAILING ? TRESOR_ERROR_MAP_REFUSED : TRESOR_OK;
    world.tensor.is_poisoned = knobs & POISONED;
    world.tensor.looked = knobs & LOOKED ? TRESOR__LOOK_VERDICTS : 0;
    world.load_looks[TRESOR__LOAD_COMPARES] = knobs & COMPARES ? 1 : 0;
    world.load_looks[TRESOR__LOAD_SEARCHES] = knobs & SEARCHES ? 1 : 0;
    world.lock.state = lock ? locks[lock] : LOCK_UNLOCKED;
    world.tensor.side = knobs & ON_READ_SIDE ? TRESOR__BACKING_ANONYMOUS : TRESOR__BACKING_FILE;
    world.waits[tresor__swap_wait(world.tensor.side)] = knobs & SWAP ? 1 : 0;
    world.waits[tresor__swap_wait(!world.tensor.side)] = knobs & SWAP_BACK ? 1 : 0;
    world.waits[TRESOR__WAIT_EVICT] = knobs & EVICT ? 1 : 0;
    world.waits[TRESOR__WAIT_LOAD] = knobs & WANTED ? 2 : 0;
    world.waits[TRESOR__WAIT_PATIENT] = knobs & PATIENT ? 1 : 0;
    return &world.tensor;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    int64_t value = knobs & BY_READ ? 1 : 0;
    if (event == TENSOR_ON_LOAD)
        value = tresor__load_value(knobs & BY_READ ? TRESOR__BACKING_ANONYMOUS
                                                   : TRESOR__BACKING_FILE,
                                   knobs & BY_READ,
                                   knobs & URGENT ? TRESOR__URGENCY_URGENT
                                                  : TRESOR__URGENCY_NORMAL,
                                   knobs & BUDGETED);
    if (event == TENSOR_ON_VERIFY_FAILED)
        value = TRESOR_ERROR_CORRUPT;
    if (event == TENSOR_ON_REFUSED)
        value = TRESOR_ERROR_BUSY;
    if (event == TENSOR_ON_RELEASE_FAILED || event == TENSOR_ON_SWAP_FAILED)
        value = TRESOR_ERROR_MAP_REFUSED;
    return (struct tresor__input){.value = value};
}

int main(void)
{
    enum { SWAPS = SWAP | SWAP_BACK | ON_READ_SIDE, LOOKS = COMPARES | SEARCHES | LOOKED };
    static const uint32_t knobs[] = {
        [TENSOR_ABSENT] = WANTED | BY_READ | URGENT | BUDGETED,
        [TENSOR_ADMITTING] = WANTED | BY_READ | AWAITING | URGENT | BUDGETED | SWAPS,
        [TENSOR_LOADING] = WANTED | BY_READ | AWAITING | URGENT | SWAPS | LOOKS,
        [TENSOR_VERIFYING] = WANTED | BY_READ | AWAITING | SWAPS | LOOKS | POISONED,
        [TENSOR_RESIDENT] = WANTED | BY_READ | LOCKS | URGENT | POISONED,
        [TENSOR_SWAPPING] = BY_READ | AWAITING | SWAPS | PATIENT | POISONED,
        [TENSOR_STOPPING] = BY_READ | AWAITING | SWAPS | EVICT | PATIENT | POISONED,
        [TENSOR_SEALING] = WANTED | BY_READ | AWAITING | URGENT | PATIENT | SWAPS | POISONED,
        [TENSOR_HELD] = BY_READ | LOCKS | URGENT | PATIENT | POISONED,
        [TENSOR_EVICTING] = WANTED | BY_READ | FAILING | AWAITING | URGENT | BUDGETED | SWAPS,
        [TENSOR_FAILED] = WANTED | BY_READ | URGENT | BUDGETED,
    };
    static const struct exhaust_guard guards[] = {
        {"is_wanted", .all = WANTED},
        {"is_unwanted", .none = WANTED},
        {"is_to_be_verified", .none = LOOKED, .any = COMPARES | SEARCHES},
        {"is_wanted_with_room", .all = WANTED | BUDGETED},
        {"asks_room", .all = BUDGETED},
        {"is_patient", .all = PATIENT},
        {"is_locked", .any = LOCKS},
        {"is_poisoned", .all = POISONED},
        {"is_to_be_reloaded", .all = POISONED, .none = LOCKS},
        {"is_more_urgent", .all = URGENT},
        {"is_swap_wanted", .all = SWAP},
        {"is_to_be_swapped_back", .all = SWAP_BACK},
        {"is_to_be_swapped", .any = SWAP | SWAP_BACK},
        {"is_to_be_evicted", .any = EVICT | PATIENT},
    };
    static const struct exhaust_action actions[] = {
        {.name = "none"},
        {.name = "choose"},
        {"hasten", .always = EXHAUST_SENDS(HASTEN)},
        {"choose_and_ask_room", .always = EXHAUST_SENDS(ASK_ROOM)},
        {"hasten_room", .always = EXHAUST_SENDS(ASK_ROOM)},
        {"withdraw_room", .always = EXHAUST_SENDS(WITHDRAW_ROOM) | EXHAUST_SENDS(SETTLE_SWAP),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"refuse_load", .always = EXHAUST_SENDS(SETTLE_LOAD) | EXHAUST_SENDS(SETTLE_SWAP),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"claim", .always = EXHAUST_SENDS(CLAIM)},
        {"verify", .always = EXHAUST_SENDS(VERIFY)},
        {"stop_verify", .always = EXHAUST_SENDS(STOP_VERIFY)},
        {"withdraw_poisoned",
         .always = EXHAUST_SENDS(SETTLE_LOAD) | EXHAUST_SENDS(WITHDRAW) | EXHAUST_SENDS(SETTLE_SWAP),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {.name = "ask_seal_unused"},
        {"settle_evict_and_ask_room",
         .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(ASK_ROOM)},
        {"choose_and_claim", .always = EXHAUST_SENDS(CLAIM)},
        {"open_and_settle", .always = EXHAUST_SENDS(OPEN_PINS) | EXHAUST_SENDS(SETTLE_LOAD),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"settle_load", .always = EXHAUST_SENDS(SETTLE_LOAD)},
        {"withdraw", .always = EXHAUST_SENDS(WITHDRAW) | EXHAUST_SENDS(SETTLE_SWAP), .sometimes = EXHAUST_SENDS(TELL_LOCK),
         .when = AWAITING},
        {"withdraw_and_fail", .always = EXHAUST_SENDS(WITHDRAW) | EXHAUST_SENDS(SETTLE_LOAD) | EXHAUST_SENDS(SETTLE_SWAP),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {.name = "ask_seal"},
        {.name = "seal_and_choose"},
        {"poison", .always = EXHAUST_SENDS(POISONED)},
        {"release", .always = EXHAUST_SENDS(UNCLAIM)},
        {"settle_evict", .always = EXHAUST_SENDS(SETTLE_EVICT)},
        {"settle_evict_and_leave",
         .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(SETTLE_SWAP),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"settle_evict_and_claim", .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(CLAIM)},
        {"refuse_evict", .always = EXHAUST_SENDS(SETTLE_EVICT)},
        {"refuse_evict_and_settle",
         .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(SETTLE_LOAD) | EXHAUST_SENDS(KEPT),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"refuse_evict_and_hold",
         .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(SETTLE_LOAD) | EXHAUST_SENDS(HOLD),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"open_settle_and_swap", .always = EXHAUST_SENDS(OPEN_PINS) | EXHAUST_SENDS(SETTLE_LOAD) |
                                           EXHAUST_SENDS(SWAP)},
        {"settle_and_seal", .always = EXHAUST_SENDS(SETTLE_SWAP)},
        {"fail_and_seal", .always = EXHAUST_SENDS(SETTLE_SWAP)},
        {"refuse_evict_settle_and_swap", .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(KEPT) |
                                                   EXHAUST_SENDS(SETTLE_LOAD) |
                                                   EXHAUST_SENDS(SWAP)},
        {"settle_swaps", .always = EXHAUST_SENDS(SETTLE_SWAP)},
        {"refuse_swap", .always = EXHAUST_SENDS(SETTLE_SWAP)},
        {.name = "choose_side"},
        {"swap", .always = EXHAUST_SENDS(SWAP)},
        {"swap_to", .always = EXHAUST_SENDS(SWAP)},
        {"stop_swap", .always = EXHAUST_SENDS(STOP_SWAP)},
        {"settle_and_swap_back", .always = EXHAUST_SENDS(SETTLE_SWAP) | EXHAUST_SENDS(SWAP)},
        {"fail_and_swap_back", .always = EXHAUST_SENDS(SETTLE_SWAP) | EXHAUST_SENDS(SWAP)},
        {"rest", .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"settle_and_rest", .always = EXHAUST_SENDS(SETTLE_SWAP),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"fail_and_rest", .always = EXHAUST_SENDS(SETTLE_SWAP),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {.name = "remember_failure"},
        {.name = "ask_advise"},
        {"settle_advise", .always = EXHAUST_SENDS(SETTLE_ADVISE)},
        {"fail_advise", .always = EXHAUST_SENDS(SETTLE_ADVISE)},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__tensor_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        EXHAUST_ACTIONS(actions),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_SEAL) | EXHAUST_BIT(TRESOR__EFFECT_ADVISE),
        .messages = EXHAUST_SENDS(CLAIM) | EXHAUST_SENDS(HASTEN) | EXHAUST_SENDS(UNCLAIM) | EXHAUST_SENDS(WITHDRAW) |
                    EXHAUST_SENDS(OPEN_PINS) | EXHAUST_SENDS(TELL_LOCK) |
                    EXHAUST_SENDS(SETTLE_LOAD) | EXHAUST_SENDS(SETTLE_EVICT) |
                    EXHAUST_SENDS(SETTLE_ADVISE) | EXHAUST_SENDS(HOLD) | EXHAUST_SENDS(ASK_ROOM) |
                    EXHAUST_SENDS(WITHDRAW_ROOM) | EXHAUST_SENDS(KEPT) | EXHAUST_SENDS(SWAP) |
                    EXHAUST_SENDS(STOP_SWAP) | EXHAUST_SENDS(SETTLE_SWAP) | EXHAUST_SENDS(POISONED) |
                    EXHAUST_SENDS(VERIFY) | EXHAUST_SENDS(STOP_VERIFY),
        PIECE_WORLD,
        .signal_waits = EXHAUST_BIT(TENSOR_ADMITTING) | EXHAUST_BIT(TENSOR_LOADING) |
                        EXHAUST_BIT(TENSOR_HELD) | EXHAUST_BIT(TENSOR_EVICTING) |
                        EXHAUST_BIT(TENSOR_SWAPPING) | EXHAUST_BIT(TENSOR_STOPPING) |
                        EXHAUST_BIT(TENSOR_VERIFYING),
        .floating = EXHAUST_BIT(TRESOR__EFFECT_ADVISE),
        .deaf = EXHAUST_BIT(TENSOR_SEALING),
    };
    return exhaust_run(&fixture);
}
