/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "exhaust/exhaust.h"
#include "exhaust/file_world.h"

enum {
    WANTED = 1,    /* a tensor that is to be moved, besides the one in hand */
    TO_FILE = 4,   /* what is in hand moves to the file's pages */
    LAST = 8,      /* the block under way is the chunk's last */
    NO_BLOCK = 16, /* is free */
    BAD = 32,      /* the block has failed */
    GONE = 64,     /* nobody wants what is in hand any more */
    DIRTY = 128,   /* an earlier chunk's pages could not be taken away */
    WAITS = 16384, /* it awaits room */
    MISPLACED = 8192, /* its pages are mapped, but on other nodes than were asked for */
};

static void step(struct tresor__file *file, uint32_t event, int64_t value)
{
    struct tresor__outbox out = {0};
    const struct tresor__input input = {.event = event, .value = value};
    assert_int_not_equal(tresor__machine_step(&tresor__swap_machine, &file->swap, &input, &out),
                         TRESOR__REJECTED);
}

static void hold(struct tresor__file *file, uint64_t bytes)
{
    file_world.io.room.scratch_bytes = bytes;
    file_world.io.room.stuck_bytes = bytes;
    file_world.io.room.charged_bytes += bytes;
    file->swap.held_bytes = bytes;
}

/* The last page of a block that failed is missing. */
static void end_blocks(uint32_t knobs)
{
    for (uint32_t i = 0; i < FILE_BLOCKS; i++) {
        struct tresor__block *block = &file_world.blocks[i];
        block->done = knobs & BAD ? block->length / 2 : block->length;
        block->failure.code = knobs & BAD ? TRESOR_ERROR_TRUNCATED : TRESOR_OK;
    }
}

static void take_chunk(struct tresor__file *file, uint32_t state, uint32_t tensor, bool to_file)
{
    tresor__ledger_swap(&file->ledger, tensor,
                        to_file ? TRESOR__BACKING_FILE : TRESOR__BACKING_ANONYMOUS);
    step(file, SWAP_ON_TURN, 0);
    if (state == SWAP_MAPPING)
        return;
    step(file, SWAP_ON_MAP_OK, 0);
    if (to_file && state == SWAP_POPULATING)
        return;
    if (to_file)
        step(file, SWAP_ON_POPULATE_OK, 0);
    else if (state != SWAP_FILLING)
        step(file, SWAP_ON_TURN, 0);
    if (!to_file && (state == SWAP_REPLACING || state == SWAP_CLEARING)) {
        end_blocks(0);
        step(file, SWAP_ON_BLOCK_END, 0);
    }
    if (state == SWAP_CLEARING)
        step(file, SWAP_ON_REPLACE_FAILED, 0);
}

static void await_room(struct tresor__file *file)
{
    file->swap.awaits_room = true;
    file_world.io.swaps_awaiting_room = 1;
    file_world.io.awaited_scratch_bytes = FILE_PAGE_BYTES;
}

static bool makes_sense(uint32_t state, uint32_t event, uint32_t knobs)
{
    if ((knobs & MISPLACED) && event != SWAP_ON_MAP_OK)
        return false;
    bool is_read = state == SWAP_FILLING || state == SWAP_READING;
    bool is_short = state == SWAP_REPLACING || state == SWAP_CLEARING;
    return !((knobs & TO_FILE) && is_read) && !((state == SWAP_POPULATING) && !(knobs & TO_FILE)) &&
           !(is_short && !(knobs & LAST));
}

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    if (!makes_sense(state, event, knobs))
        return NULL;
    struct tresor__file *file = file_world_make();
    file_world.io.block_bytes = UINT64_C(1) * FILE_PAGE_BYTES / (knobs & LAST ? 1 : 2); /* a page is a chunk */
    uint32_t tensor = knobs & LAST ? TENSOR_HAND : TENSOR_LEFT;
    file_world_load(tensor, knobs & TO_FILE ? TRESOR__BACKING_ANONYMOUS : TRESOR__BACKING_FILE);
    file_world_load(TENSOR_WANTED, TRESOR__BACKING_FILE);
    if (knobs & DIRTY)
        hold(file, TRESOR__SCRATCH_BYTES);
    if (state != SWAP_IDLE)
        take_chunk(file, state, tensor, knobs & TO_FILE);
    end_blocks(knobs);
    if (state != SWAP_IDLE && state != SWAP_CLEARING && (knobs & GONE))
        tresor__ledger_stop_swap(&file->ledger, tensor);
    if (knobs & WANTED)
        tresor__ledger_swap(&file->ledger, TENSOR_WANTED, TRESOR__BACKING_ANONYMOUS);
    if (knobs & NO_BLOCK)
        while (file_world.io.free_count > 0)
            tresor__io_take_block(&file_world.io);
    if (knobs & WAITS)
        await_room(file);
    if (knobs & NO_ROOM)
        file_world.io.room.limit_bytes = 0;
    if (knobs & FAILED_OFTEN)
        file->swap.retries = TRESOR__RETRIES_MAX;
    return &file->swap;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    struct tresor__input told = file_world_input(event, knobs);
    told.value = knobs & MISPLACED ? EPERM : 0;
    return told;
}

int main(void)
{
    enum { ANY = WANTED | LAST | TO_FILE | GONE | DIRTY, FAILS = FAILED_TRANSIENTLY | FAILED_OFTEN };
    static const uint32_t knobs[] = {
        [SWAP_IDLE] = WANTED | DIRTY | FAILED_OFTEN | NO_ROOM | WAITS,
        [SWAP_MAPPING] = ANY | MISPLACED | FAILS | FAILED_AT_END,
        [SWAP_FILLING] = ANY | NO_BLOCK,
        [SWAP_READING] = ANY | BAD,
        [SWAP_POPULATING] = ANY | FAILS | FAILED_AT_END,
        [SWAP_REPLACING] = ANY | FAILS,
        [SWAP_CLEARING] = ANY | FAILS,
    };
    static const struct exhaust_guard guards[] = {
        {"lacks_wanted", .none = WANTED},
        {"lacks_room", .all = WANTED | NO_ROOM, .none = DIRTY},
        {"is_to_file", .all = TO_FILE},
        {"has_block", .none = NO_BLOCK},
        {"has_failed", .all = BAD},
        {"is_last_block", .all = LAST},
        {"may_retry", .all = FAILED_TRANSIENTLY, .none = FAILED_OFTEN},
    };
    const uint64_t effects = EXHAUST_BIT(TRESOR__EFFECT_MAP) |
                             EXHAUST_BIT(TRESOR__EFFECT_POPULATE) |
                             EXHAUST_BIT(TRESOR__EFFECT_REPLACE) | EXHAUST_BIT(TRESOR__EFFECT_UNMAP);
    const struct exhaust_fixture fixture = {
        .machine = &tresor__swap_machine,
        FILE_WORLD,
        .make = make,
        .input = input,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        .retries = &file_world_make()->swap.retries,
        .fresh = effects,
        .effects = effects,
        .messages = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(LOOK) | EXHAUST_SENDS(BLOCK_START) |
                    EXHAUST_SENDS(AWAIT_BLOCK) | EXHAUST_SENDS(AWAIT_ROOM) | EXHAUST_SENDS(DEGRADED),
        .signal_waits = EXHAUST_BIT(SWAP_READING),
        .eager = EXHAUST_BIT(SWAP_FILLING),
        .looked = EXHAUST_BIT(SWAP_IDLE),
    };
    return exhaust_run(&fixture);
}
