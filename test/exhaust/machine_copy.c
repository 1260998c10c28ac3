/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "exhaust/exhaust.h"
#include "io/file.h"
#include "io/read/copy.h"

enum {
    EMPTY = 1, /* nothing to copy */
    MORE = 2,  /* bytes that no block has yet */
    FREE = 4,  /* a block is free */
    ONE = 8,   /* block 0 runs */
    TWO = 16,  /* block 1 runs too */
    GOOD = 32, /* block 0 has read all its bytes */
    DIRECT = 64,     /* past the page cache */
    CONGRUENT = 128, /* the caller's memory lies as the file does */
    RESERVED = 256,  /* it is lookahead, and the block that is free is left to others */
    BLOCK_BYTES = 65536,
    LENGTH = 3 * BLOCK_BYTES,
};

static struct {
    struct tresor__copy copy;
    struct tresor__io io;
    struct tresor__file file;
    struct tresor__block blocks[4];
} world;

static void make_io(uint32_t knobs)
{
    world.io = (struct tresor__io){.blocks = world.blocks,
                                   .block_count = 4,
                                   .free_block = !(knobs & FREE)    ? TRESOR_NONE
                                                 : knobs & RESERVED ? 3
                                                                    : 2,
                                   .free_count = !(knobs & FREE) ? 0 : knobs & RESERVED ? 1 : 2,
                                   .block_bytes = BLOCK_BYTES};
    for (uint32_t i = 0; i < 4; i++)
        world.blocks[i] = (struct tresor__block){
            .index = i, .next_free = i == 2 ? 3 : TRESOR_NONE, .length = BLOCK_BYTES};
    world.blocks[0].done = knobs & GOOD ? BLOCK_BYTES : 100;
    if (!(knobs & GOOD))
        world.blocks[0].failure = (struct tresor__failure){.code = TRESOR_ERROR_IO};
}

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    bool runs = knobs & ONE;
    bool ends = event == COPY_ON_BLOCK_END && state != COPY_IDLE && !runs;
    bool stuck = state == COPY_RUNNING && !(knobs & (MORE | ONE));
    if ((knobs & RESERVED) && !(knobs & FREE))
        return NULL;
    if (ends || stuck || (!runs && (knobs & TWO)) || (state == COPY_DRAINING && !runs))
        return NULL;
    memset(&world, 0, sizeof world);
    make_io(knobs);
    world.copy.state = (uint8_t)state;
    world.copy.urgency =
        knobs & RESERVED ? TRESOR__URGENCY_LOOKAHEAD : TRESOR__URGENCY_NORMAL;
    world.copy.source = 3;
    world.copy.index = 5;
    world.copy.file = 1;
    world.copy.offset = 1000;
    world.copy.length = knobs & EMPTY ? 0 : LENGTH;
    world.copy.blocks_running = (runs ? 1u : 0u) + (knobs & TWO ? 1u : 0u);
    if (state != COPY_IDLE)
        world.copy.started = knobs & MORE ? 2 * BLOCK_BYTES : LENGTH;
    if (state == COPY_DRAINING)
        world.copy.failure.code = TRESOR_ERROR_CANCELLED;
    world.copy.io = &world.io;
    world.copy.of = &world.file;
    world.copy.misplaced_bytes = knobs & CONGRUENT ? 1000 : 7;
    world.file.io = &world.io;
    world.file.direct.is_open = knobs & DIRECT;
    world.file.direct.facts.alignment_bytes = 512;
    return &world.copy;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    (void)event;
    (void)knobs;
    return (struct tresor__input){.value = 0};
}

/* A block is free or runs, never both; what a failure left behind is kept. */
static void check(void)
{
    uint32_t free_blocks = 0;
    for (uint32_t i = world.io.free_block; i != TRESOR_NONE; i = world.blocks[i].next_free)
        free_blocks++;
    assert_int_equal(free_blocks, world.io.free_count);
    assert_true(free_blocks + world.copy.blocks_running <= world.io.block_count);
    assert_true(world.copy.state != COPY_DRAINING || world.copy.failure.code != TRESOR_OK);
}

int main(void)
{
    static const uint32_t knobs[] = {
        [COPY_IDLE] = EMPTY,
        [COPY_RUNNING] = MORE | FREE | ONE | TWO | GOOD | DIRECT | CONGRUENT | RESERVED,
        [COPY_DRAINING] = MORE | FREE | ONE | TWO | GOOD,
    };
    static const struct exhaust_guard guards[] = {
        {"is_empty", .all = EMPTY}, {"has_more_and_block", .all = MORE | FREE, .none = RESERVED},
        {"has_more", .all = MORE},  {"is_good_and_last", .all = GOOD | ONE, .none = TWO | MORE},
        {"is_good", .all = GOOD},   {"is_only", .all = ONE, .none = TWO},
        {"runs_none", .none = ONE},
    };
    static const struct exhaust_action actions[] = {
        {.name = "none"},
        {"again", .always = EXHAUST_SENDS(AGAIN)},
        {"finish", .always = EXHAUST_SENDS(SETTLE_REQUEST)},
        {"start_block", .always = EXHAUST_SENDS(BLOCK_START) | EXHAUST_SENDS(AGAIN)},
        {"await_block", .always = EXHAUST_SENDS(AWAIT_BLOCK)},
        {"give_block", .always = EXHAUST_SENDS(AGAIN)},
        {"give_and_finish", .always = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(SETTLE_REQUEST)},
        {"give_and_drain", .always = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(CANCEL_BLOCKS)},
        {"give_and_fail", .always = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(SETTLE_REQUEST)},
        {"give_and_end", .always = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(SETTLE_REQUEST)},
        {"remember_cancel", .always = EXHAUST_SENDS(CANCEL_BLOCKS)},
        {"end_cancelled", .always = EXHAUST_SENDS(CANCEL_BLOCKS) | EXHAUST_SENDS(SETTLE_REQUEST)},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__copy_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .check = check,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        EXHAUST_ACTIONS(actions),
        .messages = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(BLOCK_START) | EXHAUST_SENDS(AWAIT_BLOCK) |
                    EXHAUST_SENDS(SETTLE_REQUEST) | EXHAUST_SENDS(CANCEL_BLOCKS),
        .source = 3,
        .slot = 5,
        .file = 1,
        .eager = EXHAUST_BIT(COPY_RUNNING),
    };
    return exhaust_run(&fixture);
}
