/* SPDX-License-Identifier: MIT */
#include "exhaust/exhaust.h"
#include "exhaust/file_world.h"

enum {
    SPENT = 1,  /* pages that are to be unmapped, besides those in hand */
    WANTED = 2, /* an extent that nobody has taken */
    EXTENT = 4, /* one in hand */
    MORE = 8,   /* that still has users */
    LAST = 16,  /* the chunk under way is the extent's last */
    URGENT = 32, /* what is wanted is more urgent than the extent */
    COLD = 64,   /* the cache does not have the extent in hand */
    SLOW = 128,  /* nor can it be read in large pieces */
};

enum { AHEAD_MAX = 2, SLOW_BYTES = 128 * 1024 };

static bool makes_sense(uint32_t state, uint32_t knobs)
{
    bool holds = state >= MAPPING_MAPPING && state <= MAPPING_POPULATING;
    if (((knobs & MORE) && !(knobs & EXTENT)) || ((knobs & URGENT) && !(knobs & WANTED)))
        return false;
    return state == MAPPING_UNMAPPING || holds == !!(knobs & EXTENT);
}

static void step(struct tresor__file *file, uint32_t event)
{
    file_world_step(&tresor__mapping_machine, &file->mapping, event);
}

static void take_extent(struct tresor__file *file, uint32_t state, uint32_t knobs)
{
    tresor__ledger_claim(&file->ledger, TENSOR_LEFT, TRESOR__BACKING_FILE,
                         TRESOR__URGENCY_NORMAL);
    tresor__ledger_claim(&file->ledger, TENSOR_RIGHT, TRESOR__BACKING_FILE,
                         TRESOR__URGENCY_NORMAL);
    step(file, MAPPING_ON_TURN);
    if (knobs & LAST)
        file_world.io.populate_bytes = UINT64_C(16) * FILE_PAGE_BYTES;
    if (state != MAPPING_MAPPING)
        step(file, MAPPING_ON_MAP_OK);
    if (state == MAPPING_MAPPED || state == MAPPING_UNMAPPING)
        step(file, MAPPING_ON_POPULATE_OK);
    if (knobs & MORE)
        return;
    tresor__ledger_unclaim(&file->ledger, TENSOR_LEFT, false);
    tresor__ledger_unclaim(&file->ledger, TENSOR_RIGHT, false);
}

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    bool is_readahead = event == MAPPING_ON_READAHEAD_OK || event == MAPPING_ON_READAHEAD_FAILED;
    if (!makes_sense(state, knobs))
        return NULL;
    struct tresor__file *file = file_world_make();
    file_world.io.ahead_max = AHEAD_MAX;
    file_world_load(TENSOR_HAND, TRESOR__BACKING_FILE);
    file_world_load(TENSOR_SPENT, TRESOR__BACKING_FILE);
    if (knobs & EXTENT)
        take_extent(file, state, knobs);
    if (state == MAPPING_UNMAPPING) {
        tresor__ledger_unclaim(&file->ledger, TENSOR_HAND, true);
        step(file, MAPPING_ON_TURN);
    }
    if (knobs & SPENT)
        tresor__ledger_unclaim(&file->ledger, TENSOR_SPENT, true);
    if (knobs & WANTED)
        tresor__ledger_claim(&file->ledger, TENSOR_WANTED, TRESOR__BACKING_FILE,
                             knobs & URGENT ? TRESOR__URGENCY_URGENT : TRESOR__URGENCY_NORMAL);
    if (knobs & FAILED_OFTEN)
        file->mapping.walk.retries = TRESOR__RETRIES_MAX;
    if (knobs & NO_ROOM)
        file_world.io.room.limit_bytes = 0;
    file->mapping.read_bytes = knobs & COLD ? INT64_MAX : 0;
    file->mapping.ahead_count = is_readahead ? AHEAD_MAX : 0;
    return &file->mapping;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    struct tresor__input input = file_world_input(event, knobs);
    input.event = event;
    if (event == MAPPING_ON_MAP_OK && (knobs & COLD))
        input.value = knobs & SLOW ? SLOW_BYTES : INT64_MAX;
    return input;
}

int main(void)
{
    static const uint32_t knobs[] = {
        [MAPPING_IDLE] = FAILED_OFTEN | SPENT | WANTED | NO_ROOM,
        [MAPPING_MAPPING] = SPENT | WANTED | EXTENT | MORE | FAILED_TRANSIENTLY | FAILED_OFTEN |
                             COLD | SLOW,
        [MAPPING_MAPPED] = FAILED_OFTEN | SPENT | WANTED | EXTENT | MORE | COLD | URGENT,
        [MAPPING_POPULATING] = SPENT | WANTED | EXTENT | MORE | FAILED_TRANSIENTLY | FAILED_OFTEN |
                               FAILED_AT_END | LAST,
        [MAPPING_UNMAPPING] = SPENT | WANTED | EXTENT | MORE | FAILED_TRANSIENTLY | FAILED_OFTEN,
    };
    static const struct exhaust_guard guards[] = {
        {"has_spent", .all = SPENT},
        {"has_room", .all = WANTED, .none = NO_ROOM},
        {"has_wanted", .all = WANTED},
        {"is_overtaken", .all = URGENT | EXTENT},
        {"has_more", .all = MORE},
        {"is_last_chunk", .all = LAST},
        {"has_extent", .all = EXTENT},
        {"may_retry", .all = FAILED_TRANSIENTLY, .none = FAILED_OFTEN},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__mapping_machine,
        FILE_WORLD,
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        .retries = &file_world_make()->mapping.walk.retries,
        .fresh = EXHAUST_BIT(TRESOR__EFFECT_MAP) | EXHAUST_BIT(TRESOR__EFFECT_POPULATE) |
                 EXHAUST_BIT(TRESOR__EFFECT_UNMAP),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_MAP) | EXHAUST_BIT(TRESOR__EFFECT_POPULATE) |
                   EXHAUST_BIT(TRESOR__EFFECT_UNMAP) | EXHAUST_BIT(TRESOR__EFFECT_READAHEAD),
        .floating = EXHAUST_BIT(TRESOR__EFFECT_READAHEAD),
        .messages = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(LOOK) | EXHAUST_SENDS(AWAIT_ROOM) |
                    EXHAUST_SENDS(DEGRADED),
        .eager = EXHAUST_BIT(MAPPING_MAPPED),
        .looked = EXHAUST_BIT(MAPPING_IDLE),
    };
    return exhaust_run(&fixture);
}
