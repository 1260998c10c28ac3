/* SPDX-License-Identifier: MIT */
#include "exhaust/file_world.h"

#include <errno.h>
#include <string.h>

#include "exhaust/exhaust.h"
#include "support/model.h"

struct file_world file_world;

static void *take(void *cookie, void *block, size_t old_bytes, size_t new_bytes)
{
    size_t words = (new_bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t);
    void *taken = &file_world.arena[file_world.arena_used];
    (void)cookie;
    file_world.arena_used += words;
    assert_true(file_world.arena_used * sizeof(uint64_t) <= FILE_ARENA_BYTES);
    if (block)
        memcpy(taken, block, old_bytes < new_bytes ? old_bytes : new_bytes);
    return taken;
}

static void give(void *cookie, void *block, size_t size_bytes)
{
    (void)cookie;
    (void)block;
    (void)size_bytes;
}

static struct tresor__ledger *ledger(void)
{
    return &file_world.model.files[FILE_INDEX].io.ledger;
}

static void make_io(void)
{
    file_world.io = (struct tresor__io){
        .room.limit_bytes = UINT64_MAX,
        .blocks = file_world.blocks,
        .block_count = FILE_BLOCKS,
        .page_bytes = FILE_PAGE_BYTES,
        .block_bytes = FILE_PAGE_BYTES,
        .populate_bytes = FILE_PAGE_BYTES,
        .lock_bytes = UINT64_C(16) * FILE_PAGE_BYTES,
    };
    tresor__io_free_blocks(&file_world.io);
}

static void make_once(void)
{
    static const struct tresor_allocator allocator = {.reallocate = take, .free = give};
    enum {
        PAGE = FILE_PAGE_BYTES
    };
    static const struct model_tensor tensors[] = {
        {0, 0, 5000},
        [TENSOR_LEFT] = {FILE_INDEX, 0, PAGE * 5 / 2},
        [TENSOR_RIGHT] = {FILE_INDEX, PAGE * 5 / 2, PAGE * 3 / 2},
        [TENSOR_HAND] = {FILE_INDEX, 5 * PAGE, 2 * PAGE},
        [TENSOR_SPENT] = {FILE_INDEX, 8 * PAGE, PAGE},
        [TENSOR_WANTED] = {FILE_INDEX, 10 * PAGE, PAGE},
        [TENSOR_RUNNING] = {FILE_INDEX, 12 * PAGE, PAGE - 100},
    };
    static const uint64_t file_bytes[] = {5000, 13 * PAGE - 100};
    const struct model_layout layout = {tensors, sizeof tensors / sizeof tensors[0], file_bytes, 2,
                                        FILE_SOURCE};
    make_io();
    assert_error(model_make(&file_world.model, &allocator, &file_world.io, &layout), TRESOR_OK);
    assert_int_equal(ledger()->spans[TENSOR_LEFT].interval_count, 2);
    assert_int_equal(ledger()->spans[TENSOR_RIGHT].first_interval, 1);
}

struct tresor__file *file_world_make(void)
{
    static struct file_world fresh;
    if (fresh.arena_used == 0) {
        make_once();
        fresh = file_world;
    }
    file_world = fresh;
    return &file_world.model.files[FILE_INDEX].io;
}

void file_world_load(uint32_t tensor, enum tresor__backing backing)
{
    struct tresor__extent extent;
    tresor__ledger_claim(ledger(), tensor, backing, TRESOR__URGENCY_NORMAL);
    while (tresor__ledger_take_fill(ledger(), backing, &extent)) {
        uint64_t start = tresor__ledger_start(ledger(), extent.first);
        uint64_t end = tresor__ledger_end(ledger(), extent.last);
        tresor__ledger_settle(ledger(), extent.first, start, end - start, NULL);
    }
    assert_int_equal(ledger()->spans[tensor].role, TRESOR__SPAN_RESIDENT);
}

void file_world_lock(uint32_t tensor)
{
    struct tresor__extent extent;
    tresor__ledger_lock(ledger(), tensor);
    while (tresor__ledger_take_lock(ledger(), 0, &extent))
        tresor__ledger_locked(ledger(), extent, NULL);
    assert_int_equal(ledger()->spans[tensor].lock_role, TRESOR__SPAN_RESIDENT);
}

void file_world_step(const struct tresor__machine *machine, void *context, uint32_t event)
{
    struct tresor__outbox out = {0};
    const struct tresor__input input = {.event = event};
    assert_int_not_equal(tresor__machine_step(machine, context, &input, &out), TRESOR__REJECTED);
}

void file_world_check(void)
{
    const struct tresor__file *file = &file_world.model.files[FILE_INDEX].io;
    uint32_t free_blocks = 0;
    for (uint32_t i = file_world.io.free_block; i != TRESOR_NONE;
         i = file_world.blocks[i].next_free)
        free_blocks++;
    assert_int_equal(free_blocks, file_world.io.free_count);
    assert_true(free_blocks + file->read.blocks_running <= FILE_BLOCKS);
    assert_int_equal(file_world.io.room.scratch_bytes, file->swap.held_bytes);
    tresor__ledger_check(&file->ledger);
}

struct tresor__input file_world_input(uint32_t event, uint32_t knobs)
{
    int32_t lasting = knobs & FAILED_AT_END ? EFAULT : ENOMEM;
    (void)event;
    return (struct tresor__input){.os_errno = knobs & FAILED_TRANSIENTLY ? EAGAIN : lasting};
}
