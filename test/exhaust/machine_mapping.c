/* SPDX-License-Identifier: MIT */
#include "exhaust/exhaust.h"
#include "exhaust/file_world.h"

enum {
    SPENT = 1,  /* pages that are to be unmapped, besides those in hand */
    WANTED = 2, /* an extent that nobody has taken */
    EXTENT = 4, /* one in hand */
    MORE = 8,   /* that still has users */
    TRANSIENT = 16,
    TIRED = 32,
    FAULT = 64, /* past the end of the file */
};

static bool makes_sense(uint32_t state, uint32_t knobs)
{
    bool holds = state >= MAPPING_MAPPING && state <= MAPPING_POPULATING;
    if ((knobs & MORE) && !(knobs & EXTENT))
        return false;
    return state == MAPPING_UNMAPPING || holds == !!(knobs & EXTENT);
}

static void take_extent(struct tresor__file *file, uint32_t state, uint32_t knobs)
{
    tresor__ledger_claim(&file->ledger, TENSOR_LEFT, TRESOR__BACKING_FILE);
    tresor__ledger_claim(&file->ledger, TENSOR_RIGHT, TRESOR__BACKING_FILE);
    file_world_step(&tresor__mapping_machine, &file->mapping, MAPPING_ON_TURN);
    if (state != MAPPING_MAPPING)
        file_world_step(&tresor__mapping_machine, &file->mapping, MAPPING_ON_MAP_OK);
    if (state == MAPPING_POPULATING)
        file_world_step(&tresor__mapping_machine, &file->mapping, MAPPING_ON_TURN);
    if (knobs & MORE)
        return;
    tresor__ledger_unclaim(&file->ledger, TENSOR_LEFT, false);
    tresor__ledger_unclaim(&file->ledger, TENSOR_RIGHT, false);
}

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    (void)event;
    if (!makes_sense(state, knobs))
        return NULL;
    struct tresor__file *file = file_world_make();
    file_world_load(TENSOR_HAND, TRESOR__BACKING_FILE);
    file_world_load(TENSOR_SPENT, TRESOR__BACKING_FILE);
    if (knobs & EXTENT)
        take_extent(file, state, knobs);
    if (state == MAPPING_UNMAPPING) {
        tresor__ledger_unclaim(&file->ledger, TENSOR_HAND, true);
        file_world_step(&tresor__mapping_machine, &file->mapping, MAPPING_ON_TURN);
    }
    if (knobs & SPENT)
        tresor__ledger_unclaim(&file->ledger, TENSOR_SPENT, true);
    if (knobs & WANTED)
        tresor__ledger_claim(&file->ledger, TENSOR_WANTED, TRESOR__BACKING_FILE);
    if (knobs & TIRED)
        file->mapping.walk.retries = TRESOR__RETRIES_MAX;
    return &file->mapping;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    (void)event;
    return file_world_input(knobs & TRANSIENT, knobs & FAULT);
}

int main(void)
{
    static const uint32_t knobs[] = {
        [MAPPING_IDLE] = SPENT | WANTED,
        [MAPPING_MAPPING] = SPENT | WANTED | EXTENT | MORE | TRANSIENT | TIRED,
        [MAPPING_MAPPED] = SPENT | WANTED | EXTENT | MORE,
        [MAPPING_POPULATING] = SPENT | WANTED | EXTENT | MORE | TRANSIENT | TIRED | FAULT,
        [MAPPING_UNMAPPING] = SPENT | WANTED | EXTENT | MORE | TRANSIENT | TIRED,
    };
    static const struct exhaust_guard guards[] = {
        {"has_spent", .all = SPENT},
        {"has_wanted", .all = WANTED},
        {"has_more", .all = MORE},
        {"has_extent", .all = EXTENT},
        {"may_retry", .all = TRANSIENT, .none = TIRED},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__mapping_machine,
        .world = &file_world,
        .world_bytes = sizeof file_world,
        .make = make,
        .input = input,
        .check = file_world_check,
        .knobs = knobs,
        .guards = guards,
        .guard_count = sizeof guards / sizeof guards[0],
        .effects = EXHAUST_BIT(TRESOR__EFFECT_MAP) | EXHAUST_BIT(TRESOR__EFFECT_POPULATE) |
                   EXHAUST_BIT(TRESOR__EFFECT_UNMAP),
        .messages = EXHAUST_BIT(TRESOR__MESSAGE_AGAIN),
        .source = FILE_SOURCE,
        .slot = FILE_INDEX,
        .file = FILE_INDEX,
        .eager = EXHAUST_BIT(MAPPING_IDLE) | EXHAUST_BIT(MAPPING_MAPPED),
    };
    return exhaust_run(&fixture);
}
