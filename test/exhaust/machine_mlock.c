/* SPDX-License-Identifier: MIT */
#include "exhaust/exhaust.h"
#include "exhaust/file_world.h"

enum {
    SPENT = 1,  /* pages that are to be unlocked, besides those in hand */
    WANTED = 2, /* pages that are to be locked, besides those in hand */
    MANY = 4,   /* the extent in hand has several intervals */
    SINGLE = 8, /* one was refused before */
    GONE = 16,  /* nobody wants what is in hand any more */
    TRANSIENT = 32,
    TIRED = 64,
};

static void step(struct tresor__file *file, uint32_t event)
{
    file_world_step(&tresor__mlock_machine, &file->mlock, event);
}

static void take_extent(struct tresor__file *file, uint32_t state, uint32_t knobs)
{
    uint32_t tensor = knobs & MANY ? TENSOR_LEFT : TENSOR_HAND;
    if (state == MLOCK_UNLOCKING) {
        file_world_lock(tensor);
        tresor__ledger_unlock(&file->ledger, tensor, true);
    } else {
        tresor__ledger_lock(&file->ledger, tensor);
    }
    step(file, MLOCK_ON_TURN);
    if (state == MLOCK_ASKING)
        step(file, MLOCK_ON_LOCK_FAILED);
    if (knobs & GONE)
        tresor__ledger_unlock(&file->ledger, tensor, false);
}

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    (void)event;
    if ((knobs & MANY) && (knobs & SINGLE) && state == MLOCK_LOCKING)
        return NULL;
    struct tresor__file *file = file_world_make();
    for (uint32_t tensor = TENSOR_LEFT; tensor <= TENSOR_WANTED; tensor++)
        file_world_load(tensor, TRESOR__BACKING_FILE);
    file->mlock.single = knobs & SINGLE;
    if (state != MLOCK_IDLE)
        take_extent(file, state, knobs);
    if (knobs & SPENT) {
        file_world_lock(TENSOR_SPENT);
        tresor__ledger_unlock(&file->ledger, TENSOR_SPENT, true);
    }
    if (knobs & WANTED)
        tresor__ledger_lock(&file->ledger, TENSOR_WANTED);
    file->lock_facts.limit_bytes = 8192;
    file->lock_facts.used_bytes = 4096;
    file->mlock.retries = knobs & TIRED ? TRESOR__RETRIES_MAX : 0;
    return &file->mlock;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    (void)event;
    return file_world_input(knobs & TRANSIENT, false);
}

int main(void)
{
    static const uint32_t knobs[] = {
        [MLOCK_IDLE] = SPENT | WANTED | SINGLE,
        [MLOCK_LOCKING] = SPENT | WANTED | MANY | SINGLE | GONE | TRANSIENT | TIRED,
        [MLOCK_ASKING] = SPENT | WANTED | GONE,
        [MLOCK_UNLOCKING] = SPENT | WANTED | MANY | SINGLE | TRANSIENT | TIRED,
    };
    static const struct exhaust_guard guards[] = {
        {"has_spent", .all = SPENT},
        {"has_wanted", .all = WANTED},
        {"has_many", .all = MANY},
        {"may_retry", .all = TRANSIENT, .none = TIRED},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__mlock_machine,
        .world = &file_world,
        .world_bytes = sizeof file_world,
        .make = make,
        .input = input,
        .check = file_world_check,
        .knobs = knobs,
        .guards = guards,
        .guard_count = sizeof guards / sizeof guards[0],
        .effects = EXHAUST_BIT(TRESOR__EFFECT_LOCK) | EXHAUST_BIT(TRESOR__EFFECT_UNLOCK) |
                   EXHAUST_BIT(TRESOR__EFFECT_QUERY),
        .messages = EXHAUST_BIT(TRESOR__MESSAGE_AGAIN),
        .source = FILE_SOURCE,
        .slot = FILE_INDEX,
        .file = FILE_INDEX,
        .eager = EXHAUST_BIT(MLOCK_IDLE),
    };
    return exhaust_run(&fixture);
}
