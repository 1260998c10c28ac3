/* SPDX-License-Identifier: MIT */
#include "io/swap/swap.h"

#include <errno.h>

#include <tresor/event.h>

#include "io/file.h"

static struct tresor__file *file_of(const void *context)
{
    return TRESOR__FILE_OF(context, swap);
}

/* --- guards --- */

static bool lacks_wanted(const void *context, const struct tresor__input *input)
{
    (void)input;
    return !tresor__ledger_wants_swap(&file_of(context)->ledger);
}

/* What an earlier chunk could not be cleared of is there already, as far as it fills the scratch. */
static uint64_t growth(const struct tresor__swap *swap, uint64_t length)
{
    uint64_t rest = TRESOR__SCRATCH_BYTES - swap->held_bytes;
    return length < rest ? length : rest;
}

uint64_t tresor__swap_need(const struct tresor__swap *swap)
{
    struct tresor__swap_chunk chunk;
    bool found = tresor__ledger_next_swap(&file_of(swap)->ledger, TRESOR__SCRATCH_BYTES, &chunk);
    return found ? growth(swap, chunk.length) : 0;
}

static bool lacks_room(const void *context, const struct tresor__input *input)
{
    (void)input;
    return tresor__swap_need(context) > tresor__room_left(&file_of(context)->io->room);
}

static bool is_to_file(const void *context, const struct tresor__input *input)
{
    const struct tresor__swap *swap = context;
    (void)input;
    return swap->chunk.target == TRESOR__BACKING_FILE;
}

static bool may_retry(const void *context, const struct tresor__input *input)
{
    const struct tresor__swap *swap = context;
    return tresor__may_retry(swap->retries, input->os_errno);
}

static bool has_block(const void *context, const struct tresor__input *input)
{
    const struct tresor__file *file = file_of(context);
    (void)input;
    return tresor__io_has_block(file->io, tresor__file_urgency(file));
}

/* Input value: the block that has ended. */
static bool has_failed(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = &file_of(context)->io->blocks[input->value];
    return block->done < block->length;
}

/* Of the chunk, what the file has: its last page reaches past the file's end. */
static uint64_t file_bytes(const struct tresor__swap *swap)
{
    uint64_t size_bytes = file_of(swap)->ledger.file_bytes;
    uint64_t end = swap->chunk.offset + swap->chunk.length;
    return (end < size_bytes ? end : size_bytes) - swap->chunk.offset;
}

static bool is_last_block(const void *context, const struct tresor__input *input)
{
    const struct tresor__swap *swap = context;
    const struct tresor__block *block = &file_of(context)->io->blocks[input->value];
    return swap->filled_bytes + block->length >= file_bytes(swap);
}

/* --- effects --- */

/* The scratch and the window are congruent, as huge pages and direct reads want it. */
static uint64_t place_of(uint64_t offset)
{
    return offset % TRESOR__SCRATCH_BYTES;
}

static void ask(const struct tresor__swap *swap, struct tresor__outbox *out, uint8_t kind,
                uint8_t on_ok, uint64_t place, uint64_t length)
{
    const struct tresor__file *file = file_of(swap);
    bool to_file = swap->chunk.target == TRESOR__BACKING_FILE;
    bool evicts = kind == TRESOR__EFFECT_REPLACE && !to_file && file->io->evicts_cache;
    tresor__outbox_effect(
        out, (struct tresor__effect){
                 .kind = kind,
                 .machine = TRESOR__MACHINE_SWAP,
                 .on_ok = on_ok,
                 .on_failed = (uint8_t)(on_ok + 1),
                 .space = TRESOR__SPACE_SCRATCH,
                 .flags = (uint16_t)((to_file ? TRESOR__MAP_FILE : TRESOR__MAP_ANONYMOUS) |
                                     (evicts ? TRESOR__UNMAP_EVICT : 0)),
                 .source = file->source,
                 .slot = file->index,
                 .file = file->index,
                 .place = place,
                 .offset = swap->chunk.offset,
                 .length = length,
             });
}

static void ask_for_chunk(struct tresor__swap *swap, struct tresor__outbox *out, uint8_t kind,
                          uint8_t on_ok)
{
    ask(swap, out, kind, on_ok, place_of(swap->chunk.offset), swap->chunk.length);
}

static void populate(struct tresor__swap *swap, struct tresor__outbox *out)
{
    ask(swap, out, TRESOR__EFFECT_POPULATE, SWAP_ON_POPULATE_OK, place_of(swap->chunk.offset),
        file_bytes(swap));
}

/* All of it, whatever chunks before have left there. */
static void clear(struct tresor__swap *swap, struct tresor__outbox *out)
{
    ask(swap, out, TRESOR__EFFECT_UNMAP, SWAP_ON_UNMAP_OK, 0, TRESOR__SCRATCH_BYTES);
}

static void hold(struct tresor__swap *swap, uint64_t bytes)
{
    struct tresor__room *room = &file_of(swap)->io->room;
    room->charged_bytes += bytes - swap->held_bytes;
    room->scratch_bytes += bytes - swap->held_bytes;
    swap->held_bytes = bytes;
}

/* --- actions --- */

static void end_waiting(struct tresor__swap *swap)
{
    struct tresor__io *io = file_of(swap)->io;
    if (swap->awaits_room && --io->swaps_awaiting_room == 0)
        io->awaited_scratch_bytes = 0;
    swap->awaits_room = false;
}

/* What was kept for it is for others again. */
static void leave_waiting(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    (void)input;
    if (swap->awaits_room)
        tresor__outbox_look(out);
    end_waiting(swap);
}

static void await_room(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    struct tresor__io *io = file_of(swap)->io;
    uint64_t need = tresor__swap_need(swap);
    (void)input;
    io->swaps_awaiting_room += !swap->awaits_room;
    swap->awaits_room = true;
    if (io->swaps_awaiting_room == 1 || need > io->awaited_scratch_bytes)
        io->awaited_scratch_bytes = need;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_AWAIT_ROOM});
}

/* Its pages are counted from before they are there, and what was stuck is on its way again. */
static void take(struct tresor__swap *swap)
{
    bool taken = tresor__ledger_take_swap(&file_of(swap)->ledger, TRESOR__SCRATCH_BYTES,
                                          &swap->chunk);
    assert(taken);
    (void)taken;
    file_of(swap)->io->room.stuck_bytes -= swap->held_bytes;
    hold(swap, swap->held_bytes + growth(swap, swap->chunk.length));
    swap->retries = 0;
    swap->filled_bytes = 0;
}

static void map(struct tresor__swap *swap, struct tresor__outbox *out)
{
    ask_for_chunk(swap, out, TRESOR__EFFECT_MAP, SWAP_ON_MAP_OK);
}

static void take_and_map(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    (void)input;
    end_waiting(context);
    take(context);
    map(context, out);
}

static void map_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    (void)input;
    swap->retries++;
    map(swap, out);
}

/* Pages that are mapped, but not on the nodes that were asked for, are told of as a load's are. */
static void again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    if (input->value > 0)
        tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_DEGRADED,
                                                             .event = TRESOR_DEGRADED_NUMA,
                                                             .slot = file_of(context)->index,
                                                             .code = (int32_t)input->value});
    tresor__outbox_again(out);
}

static void ask_populate(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    (void)input;
    swap->retries = 0;
    populate(swap, out);
}

static void populate_again(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    (void)input;
    swap->retries++;
    populate(swap, out);
}

static void start_block(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    struct tresor__file *file = file_of(swap);
    uint64_t offset = swap->chunk.offset + swap->filled_bytes;
    uint64_t left = file_bytes(swap) - swap->filled_bytes;
    uint32_t index = tresor__io_take_block(file->io);
    (void)input;
    file->io->blocks[index] = (struct tresor__block){
        .space = TRESOR__SPACE_SCRATCH,
        .source = file->source,
        .index = index,
        .job = file->index,
        .file = file->index,
        .next_free = TRESOR_NONE,
        .place = place_of(offset),
        .offset = offset,
        .length = left < file->io->block_bytes ? left : file->io->block_bytes,
        .route = tresor__file_route(file),
    };
    tresor__outbox_message(
        out, (struct tresor__message){.kind = TRESOR__MESSAGE_BLOCK_START, .slot = index});
}

static void await_block(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_AWAIT_BLOCK});
}

static void take_back(struct tresor__swap *swap, const struct tresor__input *input)
{
    struct tresor__file *file = file_of(swap);
    struct tresor__block *block = &file->io->blocks[input->value];
    swap->filled_bytes += block->done;
    tresor__io_give_block(file->io, block->index);
}

static void end_block(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    take_back(context, input);
    tresor__outbox_again(out);
}

static void ask_replace(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    (void)input;
    swap->retries = 0;
    ask_for_chunk(swap, out, TRESOR__EFFECT_REPLACE, SWAP_ON_REPLACE_OK);
}

static void end_and_replace(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    take_back(context, input);
    ask_replace(context, input, out);
}

static void replace_again(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    (void)input;
    swap->retries++;
    ask_for_chunk(swap, out, TRESOR__EFFECT_REPLACE, SWAP_ON_REPLACE_OK);
}

/* The ledger gets the chunk back, and says who has to be told. */
static void settle(struct tresor__swap *swap, const struct tresor__failure *failure,
                   struct tresor__outbox *out)
{
    tresor__ledger_swapped(&file_of(swap)->ledger, &swap->chunk, failure);
    swap->chunk.length = 0;
    swap->retries = 0;
    tresor__outbox_look(out);
}

static void finish_chunk(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    struct tresor__room *room = &file_of(swap)->io->room;
    hold(swap, swap->held_bytes - swap->chunk.length);
    room->stuck_bytes += swap->held_bytes;
    room->uncollected_bytes += (uint64_t)input->value;
    settle(swap, NULL, out);
}

static void fail(struct tresor__swap *swap, struct tresor__outbox *out, int32_t code,
                 int32_t os_errno)
{
    struct tresor__failure failure =
        tresor__failure_of(code, os_errno, swap->chunk.offset, swap->chunk.length, 0);
    settle(swap, &failure, out);
}

static void fail_map(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    fail(context, out, TRESOR_ERROR_MAP_REFUSED, input->os_errno);
    clear(context, out);
}

static void fail_read(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    struct tresor__failure failure = file_of(swap)->io->blocks[input->value].failure;
    take_back(swap, input);
    failure.offset = swap->chunk.offset;
    settle(swap, &failure, out);
    clear(swap, out);
}

/* As with a load's: past the end of the file the kernel answers EFAULT (madvise(2)). */
static void fail_populate(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    fail(context, out, input->os_errno == EFAULT ? TRESOR_ERROR_TRUNCATED : TRESOR_ERROR_IO,
         input->os_errno);
    clear(context, out);
}

/* EINVAL is the answer of a system that has no such move (before Linux 5.13, of a file's pages). */
static void fail_replace(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    fail(context, out,
         input->os_errno == EINVAL ? TRESOR_ERROR_UNSUPPORTED : TRESOR_ERROR_MAP_REFUSED,
         input->os_errno);
    clear(context, out);
}

static void clear_again(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__swap *swap = context;
    (void)input;
    swap->retries++;
    clear(swap, out);
}

static void end_clearing(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    (void)input;
    hold(context, 0);
    tresor__outbox_look(out);
}

static void leave_pages(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    const struct tresor__swap *swap = context;
    (void)input;
    file_of(swap)->io->room.stuck_bytes += swap->held_bytes;
    tresor__outbox_look(out);
}

static void check(const void *context)
{
    const struct tresor__swap *swap = context;
    bool has_chunk = swap->state != SWAP_IDLE && swap->state != SWAP_CLEARING;
    assert(has_chunk == (swap->chunk.length > 0));
    assert(swap->chunk.length <= TRESOR__SCRATCH_BYTES);
    assert(swap->retries <= TRESOR__RETRIES_MAX);
    assert(swap->held_bytes <= TRESOR__SCRATCH_BYTES);
    assert(swap->state == SWAP_IDLE || swap->held_bytes > 0);
    assert(swap->state == SWAP_IDLE || !swap->awaits_room);
    (void)has_chunk;
}

#define TRESOR__DEF "io/swap/swap.def"
#define TRESOR__S(name) SWAP_##name
#define TRESOR__E(name) SWAP_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__swap_machine =
    TRESOR__MACHINE_TABLE("swap", TRESOR__MACHINE_SWAP, struct tresor__swap, check);
