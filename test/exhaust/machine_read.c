/* SPDX-License-Identifier: MIT */
#include "exhaust/exhaust.h"
#include "exhaust/file_world.h"

enum {
    SPENT = 1,    /* pages that are to be unmapped, besides those in hand */
    WANTED = 2,   /* an extent that nobody has taken */
    EXTENT = 4,   /* one in hand */
    MORE = 8,     /* that still has users */
    FREE = 16,    /* a block is free */
    RUNNING = 32, /* a block runs */
    GOOD = 64,    /* and has read all its bytes */
    TRANSIENT = 128,
    TIRED = 256,
    RUNNING_BLOCK = 0,
};

static bool makes_sense(uint32_t state, uint32_t event, uint32_t knobs)
{
    bool holds = state == READ_MAPPING || state == READ_FILLING;
    if ((knobs & MORE) && !(knobs & EXTENT))
        return false;
    if ((event == READ_ON_BLOCK_END || (knobs & GOOD)) && !(knobs & RUNNING))
        return false;
    return state == READ_UNMAPPING || holds == !!(knobs & EXTENT);
}

static void step(struct tresor__file *file, uint32_t event)
{
    file_world_step(&tresor__read_machine, &file->read, event);
}

/* An extent that is left while its only block runs. */
static void run_block(struct tresor__file *file, uint32_t knobs)
{
    tresor__ledger_claim(&file->ledger, TENSOR_RUNNING, TRESOR__BACKING_ANONYMOUS);
    step(file, READ_ON_TURN);
    step(file, READ_ON_MAP_OK);
    step(file, READ_ON_TURN);
    step(file, READ_ON_TURN);
    struct tresor__block *block = &file_world.blocks[RUNNING_BLOCK];
    block->done = knobs & GOOD ? block->length : 1000;
    if (!(knobs & GOOD))
        block->failure = (struct tresor__failure){.code = TRESOR_ERROR_IO};
}

static void take_extent(struct tresor__file *file, uint32_t state, uint32_t knobs)
{
    tresor__ledger_claim(&file->ledger, TENSOR_LEFT, TRESOR__BACKING_ANONYMOUS);
    tresor__ledger_claim(&file->ledger, TENSOR_RIGHT, TRESOR__BACKING_ANONYMOUS);
    step(file, READ_ON_TURN);
    if (state != READ_MAPPING)
        step(file, READ_ON_MAP_OK);
    if (knobs & MORE)
        return;
    tresor__ledger_unclaim(&file->ledger, TENSOR_LEFT, false);
    tresor__ledger_unclaim(&file->ledger, TENSOR_RIGHT, false);
}

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    if (!makes_sense(state, event, knobs))
        return NULL;
    struct tresor__file *file = file_world_make();
    file_world_load(TENSOR_HAND, TRESOR__BACKING_ANONYMOUS);
    file_world_load(TENSOR_SPENT, TRESOR__BACKING_ANONYMOUS);
    if (knobs & RUNNING)
        run_block(file, knobs);
    if (knobs & EXTENT)
        take_extent(file, state, knobs);
    if (state == READ_UNMAPPING) {
        tresor__ledger_unclaim(&file->ledger, TENSOR_HAND, true);
        step(file, READ_ON_TURN);
    }
    if (knobs & SPENT)
        tresor__ledger_unclaim(&file->ledger, TENSOR_SPENT, true);
    if (knobs & WANTED)
        tresor__ledger_claim(&file->ledger, TENSOR_WANTED, TRESOR__BACKING_ANONYMOUS);
    if (knobs & TIRED)
        file->read.walk.retries = TRESOR__RETRIES_MAX;
    if (!(knobs & FREE))
        file_world.io.free_block = TRESOR_NONE;
    return &file->read;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    struct tresor__input made = file_world_input(knobs & TRANSIENT, false);
    (void)event;
    made.value = RUNNING_BLOCK;
    return made;
}

int main(void)
{
    static const uint32_t knobs[] = {
        [READ_IDLE] = SPENT | WANTED | FREE | RUNNING | GOOD,
        [READ_MAPPING] = SPENT | WANTED | EXTENT | MORE | FREE | RUNNING | GOOD | TRANSIENT | TIRED,
        [READ_FILLING] = SPENT | WANTED | EXTENT | MORE | FREE | RUNNING | GOOD,
        [READ_UNMAPPING] =
            SPENT | WANTED | EXTENT | MORE | FREE | RUNNING | GOOD | TRANSIENT | TIRED,
    };
    static const struct exhaust_guard guards[] = {
        {"has_spent", .all = SPENT},
        {"has_wanted", .all = WANTED},
        {"has_more_and_block", .all = MORE | FREE},
        {"has_more", .all = MORE},
        {"has_extent", .all = EXTENT},
        {"may_retry", .all = TRANSIENT, .none = TIRED},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__read_machine,
        .world = &file_world,
        .world_bytes = sizeof file_world,
        .make = make,
        .input = input,
        .check = file_world_check,
        .knobs = knobs,
        .guards = guards,
        .guard_count = sizeof guards / sizeof guards[0],
        .effects = EXHAUST_BIT(TRESOR__EFFECT_MAP) | EXHAUST_BIT(TRESOR__EFFECT_UNMAP),
        .messages = EXHAUST_BIT(TRESOR__MESSAGE_AGAIN) | EXHAUST_BIT(TRESOR__MESSAGE_BLOCK_START) |
                    EXHAUST_BIT(TRESOR__MESSAGE_AWAIT_BLOCK),
        .source = FILE_SOURCE,
        .slot = FILE_INDEX,
        .file = FILE_INDEX,
        .eager = EXHAUST_BIT(READ_IDLE) | EXHAUST_BIT(READ_FILLING),
    };
    return exhaust_run(&fixture);
}
