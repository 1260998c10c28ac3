/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "exhaust/exhaust.h"
#include "io/file.h"
#include "io/read/stream.h"

enum {
    CHUNK = 1,     /* stage 0 is the stream's first */
    FULL = 2,      /* and its bytes are there */
    LOST = 4,      /* or are not */
    EARLIER = 8,   /* it belongs to a tensor before the one in hand */
    LAST = 16,     /* it is its tensor's last */
    REFUSED = 32,  /* its tensor has failed before */
    CANCELLED = 64,
    STOPPED = 128, /* a chunk of the tensor in hand failed */
    MORE = 256,    /* bytes that no chunk has yet */
    STAGE = 512,   /* a stage is free */
    BLOCK = 1024,  /* a block is free */
    GOOD = 2048,   /* block 0 has read all its bytes */
    DIRECT = 4096,
    RESERVED = 8192, /* it is lookahead, and the block that is free is left to others */
    PAGE_BYTES = 4096,
    STAGE_BYTES = 65536,
    LENGTH = 100000,
    PAIR = 7,
    EARLIER_PAIR = 6,
};

static struct {
    struct tresor__stream stream;
    struct tresor__io io;
    struct tresor__file file;
    struct tresor__block blocks[2];
    struct tresor__stage stages[2];
} world;

static void make_io(uint32_t knobs)
{
    world.io = (struct tresor__io){.room.limit_bytes = UINT64_MAX,
                                  .blocks = world.blocks,
                                   .block_count = 2,
                                   .free_block = knobs & BLOCK ? 1 : TRESOR_NONE,
                                   .free_count = knobs & BLOCK ? 1 : 0,
                                   .stages = world.stages,
                                   .free_stage = knobs & STAGE ? 1 : TRESOR_NONE,
                                   .stage_bytes = STAGE_BYTES,
                                   .page_bytes = PAGE_BYTES,
                                   .block_bytes = STAGE_BYTES};
    for (uint32_t i = 0; i < 2; i++) {
        world.blocks[i] = (struct tresor__block){
            .index = i, .stage = 0, .next_free = TRESOR_NONE, .length = 512};
        world.stages[i] = (struct tresor__stage){.next = TRESOR_NONE};
    }
    world.blocks[0].done = knobs & GOOD ? 512 : 100;
    if (!(knobs & GOOD))
        world.blocks[0].failure = (struct tresor__failure){.code = TRESOR_ERROR_IO};
    world.file.io = &world.io;
    world.file.direct.is_open = knobs & DIRECT;
    world.file.direct.facts.alignment_bytes = 512;
}

static void make_chunk(uint32_t knobs)
{
    world.stages[0].state = knobs & FULL   ? TRESOR__STAGE_FULL
                            : knobs & LOST ? TRESOR__STAGE_FAILED
                                           : TRESOR__STAGE_READING;
    world.stages[0].pair = knobs & EARLIER ? EARLIER_PAIR : PAIR;
    world.stages[0].is_last = knobs & LAST;
    world.stages[0].failure.code = knobs & LOST ? TRESOR_ERROR_IO : TRESOR_OK;
    world.stream.first_stage = 0;
    world.stream.last_stage = 0;
    world.stream.blocks_running = knobs & (FULL | LOST) ? 0 : 1;
    if (knobs & REFUSED) {
        world.stream.failed_pair = world.stages[0].pair;
        world.stream.failure.code = TRESOR_ERROR_IO;
    }
}

static bool makes_sense(uint32_t state, uint32_t event, uint32_t knobs)
{
    bool chunk = knobs & CHUNK;
    bool reads = chunk && !(knobs & (FULL | LOST));
    if (!chunk && (knobs & (FULL | LOST | EARLIER | LAST | REFUSED)))
        return false;
    if ((knobs & FULL) && (knobs & LOST))
        return false;
    if (event == STREAM_ON_BLOCK_END && !reads)
        return false;
    /* In IDLE every chunk is of a tensor before; the last of the one in hand has all its bytes. */
    if (state == STREAM_IDLE && chunk && !(knobs & EARLIER))
        return false;
    return !(state == STREAM_FILLING && chunk && (knobs & LAST) && !(knobs & EARLIER) &&
             (knobs & MORE));
}

static void *make(uint32_t state, uint32_t event, uint32_t knobs)
{
    if (!makes_sense(state, event, knobs))
        return NULL;
    memset(&world, 0, sizeof world);
    make_io(knobs);
    world.stream = (struct tresor__stream){
        .state = (uint8_t)state,
        .is_cancelled = knobs & CANCELLED,
        .is_stopped = knobs & STOPPED,
        .urgency = knobs & RESERVED ? TRESOR__URGENCY_LOOKAHEAD : TRESOR__URGENCY_NORMAL,
        .source = 3,
        .index = 5,
        .first_stage = TRESOR_NONE,
        .last_stage = TRESOR_NONE,
        .failed_pair = TRESOR_NONE,
        .io = &world.io,
        .pair = state == STREAM_FILLING ? PAIR : TRESOR_NONE,
        .of = &world.file,
        .offset = 1000,
        .length = LENGTH,
        .started = knobs & MORE ? 70000 : LENGTH,
    };
    world.file.index = 1;
    if (knobs & CHUNK)
        make_chunk(knobs);
    return &world.stream;
}

static struct tresor__input input(uint32_t event, uint32_t knobs)
{
    (void)event;
    (void)knobs;
    return (struct tresor__input){.value = 0};
}

/* A stage is free, in order, or with the host; a read stays within its stage's room. */
static void check(void)
{
    const struct tresor__stream *stream = &world.stream;
    for (uint32_t i = stream->first_stage; i != TRESOR_NONE; i = world.stages[i].next) {
        assert_true(world.stages[i].state >= TRESOR__STAGE_READING &&
                    world.stages[i].state <= TRESOR__STAGE_FAILED);
        if (world.stages[i].next == TRESOR_NONE)
            assert_int_equal(stream->last_stage, i);
    }
    for (uint32_t i = world.io.free_stage; i != TRESOR_NONE; i = world.stages[i].next)
        assert_true(world.stages[i].state == TRESOR__STAGE_FREE);
    const struct tresor__block *block = &world.blocks[1];
    if (block->space == TRESOR__SPACE_STAGE) {
        uint64_t unit = block->route.alignment_bytes;
        uint64_t end = block->place + (block->length + unit - 1) / unit * unit;
        assert_true(end <= tresor__io_stage_room(&world.io));
        assert_int_equal(block->offset % unit, 0);
        assert_int_equal(block->place % unit, 0);
    }
}

int main(void)
{
    static const uint32_t knobs[] = {
        [STREAM_IDLE] = CHUNK | FULL | LOST | EARLIER | LAST | REFUSED | CANCELLED | GOOD,
        [STREAM_FILLING] = CHUNK | FULL | LOST | EARLIER | LAST | REFUSED | CANCELLED | STOPPED |
                           MORE | STAGE | BLOCK | GOOD | DIRECT | RESERVED,
    };
    static const struct exhaust_guard guards[] = {
        {"is_first_good", .all = FULL, .none = CANCELLED | REFUSED},
        {"is_first_bad", .any = LOST | FULL}, /* of those that are not good */
        {"is_cut_short", .any = CANCELLED | STOPPED},
        {"has_room", .all = MORE | STAGE | BLOCK, .none = RESERVED},
        {"has_stage", .all = MORE | STAGE},
        {"has_more", .all = MORE},
    };
    const struct exhaust_fixture fixture = {
        .machine = &tresor__stream_machine,
        EXHAUST_WORLD(world),
        .make = make,
        .input = input,
        .check = check,
        .knobs = knobs,
        EXHAUST_GUARDS(guards),
        .messages = EXHAUST_SENDS(AGAIN) | EXHAUST_SENDS(BLOCK_START) | EXHAUST_SENDS(AWAIT_BLOCK) |
                    EXHAUST_SENDS(AWAIT_STAGE) | EXHAUST_SENDS(CHUNK) | EXHAUST_SENDS(NEXT) |
                    EXHAUST_SENDS(SETTLE_PAIR) | EXHAUST_SENDS(CANCEL_BLOCKS),
        .source = 3,
        .slot = 5,
        .file = 1,
        .eager = EXHAUST_BIT(STREAM_FILLING),
    };
    return exhaust_run(&fixture);
}
