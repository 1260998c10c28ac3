/* SPDX-License-Identifier: MIT */
#include "exhaust/exhaust.h"
#include "exhaust/file_world.h"

enum {
    SPENT = 1,         /* pages that are to be unmapped, besides those in hand */
    WANTED = 2,        /* an extent that nobody has taken */
    EXTENT = 4,        /* one in hand */
    MORE = 8,          /* that still has users */
    FREE = 16,         /* a block is free */
    RUNNING = 32,      /* a block runs */
    GOOD = 64,         /* and has read all its bytes */
    LAST = 512,        /* one block could reach the end of the extent */
    PASSED = 1024,     /* all that was wanted of the extent has its block, which runs */
    RUNNING_BLOCK = 0, /* the value of every input */
};

static bool makes_sense(uint32_t state, uint32_t event, uint32_t knobs)
{
    bool holds = state == READ_MAPPING || state == READ_FILLING;
    if ((knobs & (MORE | PASSED)) && !(knobs & EXTENT))
        return false;
    if (!exhaust_at_most_one(knobs, MORE | PASSED))
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
    assert_int_equal(file->read.blocks_running, 1);
    struct tresor__block *block = &file_world.blocks[RUNNING_BLOCK];
    block->done = knobs & GOOD ? block->length : 1000;
    if (!(knobs & GOOD))
        block->failure = (struct tresor__failure){.code = TRESOR_ERROR_IO};
}

/* The first interval is passed over, given up and unmapped; one block reads the others. */
static void pass_extent(struct tresor__file *file)
{
    struct tresor__extent given_up;
    file_world.io.block_bytes = UINT64_C(16) * FILE_PAGE_BYTES;
    step(file, READ_ON_TURN);
    assert_true(tresor__ledger_take_release(&file->ledger, TRESOR__BACKING_ANONYMOUS, &given_up));
    tresor__ledger_released(&file->ledger, given_up, NULL);
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
    if (knobs & PASSED) {
        pass_extent(file);
        return;
    }
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
    if (knobs & FAILED_OFTEN)
        file->read.walk.retries = TRESOR__RETRIES_MAX;
    file_world.io.block_bytes = FILE_PAGE_BYTES * (knobs & LAST ? UINT64_C(16) : 1);
    if (!(knobs & FREE))
        file_world.io.free_block = TRESOR_NONE;
    return &file->read;
}

int main(void)
{
    static const uint32_t knobs[] = {
        [READ_IDLE] = FAILED_OFTEN | SPENT | WANTED | FREE | RUNNING | GOOD,
        [READ_MAPPING] = SPENT | WANTED | EXTENT | MORE | FREE | RUNNING | GOOD |
                         FAILED_TRANSIENTLY | FAILED_OFTEN | LAST,
        [READ_FILLING] =
            FAILED_OFTEN | SPENT | WANTED | EXTENT | MORE | FREE | RUNNING | GOOD | LAST | PASSED,
        [READ_UNMAPPING] = SPENT | WANTED | EXTENT | MORE | FREE | RUNNING | GOOD |
                           FAILED_TRANSIENTLY | FAILED_OFTEN | PASSED,
    };
    static const struct exhaust_guard guards[] = {
        {"has_spent", .all = SPENT},
        {"has_wanted", .all = WANTED},
        {"is_last_block", .all = LAST | FREE | MORE},
        {"has_more_and_block", .all = MORE | FREE},
        {"has_more", .all = MORE},
        {"has_extent", .all = EXTENT},
        {"may_retry", .all = FAILED_TRANSIENTLY, .none = FAILED_OFTEN},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__read_machine,
        FILE_WORLD,
        .make = make,
        .input = file_world_input,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        .retries = &file_world_make()->read.walk.retries,
        .fresh = EXHAUST_BIT(TRESOR__EFFECT_MAP) | EXHAUST_BIT(TRESOR__EFFECT_UNMAP),
        .effects = EXHAUST_BIT(TRESOR__EFFECT_MAP) | EXHAUST_BIT(TRESOR__EFFECT_UNMAP),
        .messages = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(LOOK) | EXHAUST_SENDS(BLOCK_START) |
                    EXHAUST_SENDS(AWAIT_BLOCK),
        .eager = EXHAUST_BIT(READ_FILLING),
        .looked = EXHAUST_BIT(READ_IDLE),
    };
    return exhaust_run(&fixture);
}
