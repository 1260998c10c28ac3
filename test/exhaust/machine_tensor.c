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
    if (!exhaust_at_most_one(knobs, LOCKS))
        return NULL;
    piece_make(&world);
    world.tensor.state = (uint8_t)state;
    world.tensor.backing = TRESOR__BACKING_ANONYMOUS;
    world.tensor.urgency = TRESOR__URGENCY_NORMAL;
    world.tensor.asks_room = knobs & BUDGETED;
    world.tensor.failure_code = knobs & FAILING ? TRESOR_ERROR_MAP_REFUSED : TRESOR_OK;
    world.lock.state = lock ? locks[lock] : LOCK_UNLOCKED;
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
    if (event == TENSOR_ON_REFUSED)
        value = TRESOR_ERROR_BUSY;
    if (event == TENSOR_ON_RELEASE_FAILED)
        value = TRESOR_ERROR_MAP_REFUSED;
    return (struct tresor__input){.value = value};
}

int main(void)
{
    static const uint32_t knobs[] = {
        [TENSOR_ABSENT] = WANTED | BY_READ | URGENT | BUDGETED,
        [TENSOR_ADMITTING] = WANTED | BY_READ | AWAITING | URGENT | BUDGETED,
        [TENSOR_LOADING] = WANTED | BY_READ | AWAITING | URGENT,
        [TENSOR_RESIDENT] = WANTED | BY_READ | LOCKS,
        [TENSOR_SEALING] = WANTED | BY_READ | AWAITING | URGENT | PATIENT,
        [TENSOR_HELD] = BY_READ | LOCKS | URGENT | PATIENT,
        [TENSOR_EVICTING] = WANTED | BY_READ | FAILING | AWAITING | URGENT | BUDGETED,
        [TENSOR_FAILED] = WANTED | BY_READ | URGENT | BUDGETED,
    };
    static const struct exhaust_guard guards[] = {
        {"is_wanted", .all = WANTED},
        {"is_wanted_with_room", .all = WANTED | BUDGETED},
        {"asks_room", .all = BUDGETED},
        {"is_patient", .all = PATIENT},
        {"is_locked", .any = LOCKS},
        {"is_more_urgent", .all = URGENT},
    };
    static const struct exhaust_action actions[] = {
        {.name = "none"},
        {.name = "choose"},
        {"hasten", .always = EXHAUST_SENDS(HASTEN)},
        {"choose_and_ask_room", .always = EXHAUST_SENDS(ASK_ROOM)},
        {"hasten_room", .always = EXHAUST_SENDS(ASK_ROOM)},
        {"withdraw_room", .always = EXHAUST_SENDS(WITHDRAW_ROOM),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"refuse_load", .always = EXHAUST_SENDS(SETTLE_LOAD),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"claim", .always = EXHAUST_SENDS(CLAIM)},
        {"refuse_yield", .always = EXHAUST_SENDS(KEPT)},
        {.name = "ask_seal_unused"},
        {"settle_evict_and_ask_room",
         .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(ASK_ROOM)},
        {"choose_and_claim", .always = EXHAUST_SENDS(CLAIM)},
        {"open_and_settle", .always = EXHAUST_SENDS(OPEN_PINS) | EXHAUST_SENDS(SETTLE_LOAD),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"settle_load", .always = EXHAUST_SENDS(SETTLE_LOAD)},
        {"withdraw", .always = EXHAUST_SENDS(WITHDRAW), .sometimes = EXHAUST_SENDS(TELL_LOCK),
         .when = AWAITING},
        {"withdraw_and_fail", .always = EXHAUST_SENDS(WITHDRAW) | EXHAUST_SENDS(SETTLE_LOAD),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {.name = "ask_seal"},
        {"release", .always = EXHAUST_SENDS(UNCLAIM)},
        {"settle_evict", .always = EXHAUST_SENDS(SETTLE_EVICT)},
        {"settle_evict_and_leave", .always = EXHAUST_SENDS(SETTLE_EVICT),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"settle_evict_and_claim", .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(CLAIM)},
        {"refuse_evict", .always = EXHAUST_SENDS(SETTLE_EVICT)},
        {"refuse_evict_and_settle",
         .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(SETTLE_LOAD) | EXHAUST_SENDS(KEPT),
         .sometimes = EXHAUST_SENDS(TELL_LOCK), .when = AWAITING},
        {"refuse_evict_and_hold",
         .always = EXHAUST_SENDS(SETTLE_EVICT) | EXHAUST_SENDS(SETTLE_LOAD) | EXHAUST_SENDS(HOLD),
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
                    EXHAUST_SENDS(WITHDRAW_ROOM) | EXHAUST_SENDS(KEPT),
        PIECE_WORLD,
        .signal_waits = EXHAUST_BIT(TENSOR_ADMITTING) | EXHAUST_BIT(TENSOR_LOADING) | EXHAUST_BIT(TENSOR_HELD) |
                        EXHAUST_BIT(TENSOR_EVICTING),
        .floating = EXHAUST_BIT(TRESOR__EFFECT_ADVISE),
    };
    return exhaust_run(&fixture);
}
