/* SPDX-License-Identifier: MIT */
#include "io/read/read.h"

#include <errno.h>

#include <tresor/event.h>

#include "io/file.h"

static struct tresor__file *file_of(const void *context)
{
    return TRESOR__FILE_OF(context, read);
}

static bool has_spent(const void *context, const struct tresor__input *input)
{
    (void)input;
    return file_of(context)->ledger.release[TRESOR__BACKING_ANONYMOUS].count > 0;
}

static bool can_exchange(const void *context, const struct tresor__input *input)
{
    const struct tresor__read *job = context;
    const struct tresor__ledger *ledger = &file_of(context)->ledger;
    (void)input;
    return !job->never_moves &&
           (job->seams_refused == 0 || ledger->room->seam_count < job->seams_refused) &&
           tresor__exchange_is_possible(ledger);
}

/* Something is spent, and cannot serve what is wanted next. */
static bool has_useless(const void *context, const struct tresor__input *input)
{
    return has_spent(context, input) && !can_exchange(context, input);
}

static bool is_exchange(const void *context, const struct tresor__input *input)
{
    const struct tresor__read *job = context;
    (void)input;
    return job->exchange.is_on;
}

static bool has_more_to_move(const void *context, const struct tresor__input *input)
{
    const struct tresor__read *job = context;
    (void)input;
    return tresor__exchange_has_next(&file_of(context)->ledger, &job->exchange);
}

static bool has_wanted(const void *context, const struct tresor__input *input)
{
    (void)input;
    return tresor__ledger_wants(&file_of(context)->ledger, TRESOR__BACKING_ANONYMOUS);
}

static bool has_room(const void *context, const struct tresor__input *input)
{
    (void)input;
    return tresor__ledger_has_room(&file_of(context)->ledger, TRESOR__BACKING_ANONYMOUS);
}

/* A scrap of room is left until there is more, for each extent costs its map and a read. */
static bool has_turn_to_map(const void *context, const struct tresor__input *input)
{
    const struct tresor__read *job = context;
    const struct tresor__file *file = file_of(context);
    (void)input;
    return !job->mapped_last && tresor__ledger_has_wide_room(&file->ledger, TRESOR__BACKING_ANONYMOUS,
                                                             file->io->block_bytes);
}

static bool has_more(const void *context, const struct tresor__input *input)
{
    const struct tresor__read *job = context;
    (void)input;
    return tresor__extent_has_more(&file_of(context)->ledger, &job->walk);
}

static bool is_overtaken(const void *context, const struct tresor__input *input)
{
    const struct tresor__read *job = context;
    (void)input;
    return tresor__extent_is_overtaken(&file_of(context)->ledger, TRESOR__BACKING_ANONYMOUS,
                                       &job->walk);
}

static bool has_block(const struct tresor__file *file)
{
    return tresor__io_has_block(file->io,
                                tresor__ledger_urgency(&file->ledger, TRESOR__BACKING_ANONYMOUS));
}

static bool has_more_and_block(const void *context, const struct tresor__input *input)
{
    return has_block(file_of(context)) && has_more(context, input);
}

/* One block reaches the end of the extent, all of which is wanted, so nothing is left to choose. */
static bool is_last_block(const void *context, const struct tresor__input *input)
{
    const struct tresor__read *job = context;
    const struct tresor__file *file = file_of(context);
    uint64_t unit = file->io->block_bytes;
    (void)input;
    return has_block(file) && tresor__extent_reaches_end(&file->ledger, &job->walk, unit);
}

static bool has_extent(const void *context, const struct tresor__input *input)
{
    const struct tresor__read *job = context;
    (void)input;
    return job->walk.extent.first != job->walk.extent.last;
}

static bool may_retry(const void *context, const struct tresor__input *input)
{
    const struct tresor__read *job = context;
    return tresor__may_retry(job->walk.retries, input->os_errno);
}

static uint64_t extent_bytes(const struct tresor__file *file, struct tresor__extent extent)
{
    return tresor__ledger_start(&file->ledger, extent.last) -
           tresor__ledger_start(&file->ledger, extent.first);
}

static void ask_for_extent(const struct tresor__file *file, struct tresor__outbox *out,
                           uint8_t kind, uint8_t on_ok, struct tresor__extent extent, uint32_t flags)
{
    tresor__file_ask(
        file, out,
        (struct tresor__effect){
            .kind = kind,
            .machine = TRESOR__MACHINE_READ,
            .on_ok = on_ok,
            .on_failed = (uint8_t)(on_ok + 1),
            .flags = (uint16_t)(TRESOR__MAP_ANONYMOUS | flags),
        },
        tresor__ledger_start(&file->ledger, extent.first), extent_bytes(file, extent));
}

static void ask_map(const struct tresor__read *job, struct tresor__outbox *out)
{
    const struct tresor__file *file = file_of(job);
    const struct tresor__interval *first = &file->ledger.intervals[job->walk.extent.first];
    ask_for_extent(file, out, TRESOR__EFFECT_MAP, READ_ON_MAP_OK, job->walk.extent,
                   first->spare             ? TRESOR__MAP_SPARE
                   : first->small_bytes > 0 ? TRESOR__MAP_SMALL
                                            : 0);
}

static void unmap(const struct tresor__read *job, struct tresor__outbox *out)
{
    ask_for_extent(file_of(job), out, TRESOR__EFFECT_UNMAP, READ_ON_UNMAP_OK, job->spent,
                   job->keeps_bytes > 0 ? TRESOR__MAP_SPARE : 0);
}

/* A part of it is the file's, and no memory to keep. */
static bool is_half_swapped(const struct tresor__ledger *ledger, struct tresor__extent extent)
{
    for (uint32_t i = extent.first; i < extent.last; i++)
        if (ledger->intervals[i].swapped_bytes > 0)
            return true;
    return false;
}

static bool is_any_lent(const struct tresor__ledger *ledger, struct tresor__extent extent)
{
    for (uint32_t i = extent.first; i < extent.last; i++)
        if (ledger->intervals[i].lent)
            return true;
    return false;
}

/* Pages are kept where all of the extent's find room; it is theirs until the answer comes. Those that count elsewhere go. */
static void reserve_spare(struct tresor__read *job)
{
    struct tresor__io *io = file_of(job)->io;
    uint64_t bytes = extent_bytes(file_of(job), job->spent);
    const struct tresor__ledger *ledger = &file_of(job)->ledger;
    bool fits = io->room.spare_bytes + bytes <= io->spare_bytes_max &&
                !is_any_lent(ledger, job->spent) && !is_half_swapped(ledger, job->spent);
    job->keeps_bytes = fits ? bytes : 0;
    io->room.spare_bytes += job->keeps_bytes;
}

/* Pages that are mapped, but not on the nodes that were asked for. */
static void tell_refusal(const struct tresor__read *job, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    if (input->event == READ_ON_MAP_OK && input->value > 0)
        tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_DEGRADED,
                                                             .event = TRESOR_DEGRADED_NUMA,
                                                             .slot = file_of(job)->index,
                                                             .code = (int32_t)input->value});
}

static void again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    job->walk.retries = 0;
    tell_refusal(job, input, out);
    tresor__outbox_again(out);
}

static void await_room(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_AWAIT_ROOM});
}

static void take_and_map(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    struct tresor__file *file = file_of(context);
    (void)input;
    tresor__extent_take(&file->ledger, TRESOR__BACKING_ANONYMOUS, &job->walk);
    job->mapped_last = true;
    ask_map(job, out);
}

static void take_and_exchange(void *context, const struct tresor__input *input,
                              struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    struct tresor__ledger *ledger = &file_of(context)->ledger;
    struct tresor__extent wanted;
    (void)input;
    job->exchange = tresor__exchange_take(ledger, &wanted, &job->spent);
    job->walk = (struct tresor__extent_walk){.extent = wanted,
                                             .interval = wanted.first,
                                             .offset = tresor__ledger_start(ledger, wanted.first)};
    ask_map(job, out);
}

static void map_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    (void)input;
    job->walk.retries++;
    ask_map(job, out);
}

static void fail_extent(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    struct tresor__file *file = file_of(context);
    struct tresor__failure failure =
        tresor__file_map_failure(file, job->walk.extent, input->os_errno);
    tresor__ledger_unmapped(&file->ledger, job->walk.extent, &failure);
    tresor__file_drop_spares(file);
    job->walk = (struct tresor__extent_walk){0};
    tresor__outbox_look(out);
}

/* The spent extent keeps no pages in their place: what has not moved goes. */
static void unmap_spent(struct tresor__read *job, struct tresor__outbox *out)
{
    job->walk.retries = 0;
    job->keeps_bytes = 0;
    unmap(job, out);
}

static void fail_and_unmap(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    fail_extent(context, input, out);
    tresor__exchange_call_off(&file_of(context)->ledger, job->spent);
    job->exchange = (struct tresor__exchange){0};
    unmap_spent(job, out);
}

static void move(const struct tresor__read *job, struct tresor__outbox *out)
{
    const struct tresor__file *file = file_of(job);
    tresor__outbox_effect(out, (struct tresor__effect){
                                   .kind = TRESOR__EFFECT_MOVE,
                                   .machine = TRESOR__MACHINE_READ,
                                   .on_ok = READ_ON_MOVE_OK,
                                   .on_failed = READ_ON_MOVE_FAILED,
                                   .space = TRESOR__SPACE_WINDOW,
                                   .source = file->source,
                                   .slot = file->index,
                                   .file = file->index,
                                   .place = job->exchange.from,
                                   .offset = job->exchange.to,
                                   .length = job->exchange.length,
                               });
}

static void ask_move(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    (void)input;
    job->walk.retries = 0;
    move(job, out);
}

static void move_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    (void)input;
    job->walk.retries++;
    move(job, out);
}

static void move_next(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    tresor__exchange_next(&file_of(context)->ledger, &job->exchange);
    ask_move(context, input, out);
}

static void unmap_rest(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    (void)input;
    job->seams_refused = 0;
    unmap_spent(job, out);
}

/* What has not moved has fresh pages. A system that has no such move will not have it the next time either; where maps
 * have run out there must be fewer first. */
static void stop_moving(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    uint32_t seams = file_of(context)->io->room.seam_count;
    tresor__exchange_forget(&file_of(context)->ledger, job->walk.extent);
    if (input->os_errno == EINVAL || input->os_errno == ENOSYS)
        job->never_moves = true;
    if (input->os_errno == ENOMEM)
        job->seams_refused = seams > 0 ? seams : 1;
    unmap_spent(job, out);
}

static void begin_block(struct tresor__read *job, struct tresor__outbox *out)
{
    struct tresor__file *file = file_of(job);
    tresor__extent_next(&file->ledger, &job->walk, file->io->block_bytes);
    uint32_t index = tresor__io_take_block(file->io);
    file->io->blocks[index] = (struct tresor__block){
        .space = TRESOR__SPACE_WINDOW,
        .source = file->source,
        .index = index,
        .job = file->index,
        .file = file->index,
        .interval = job->walk.interval,
        .next_free = TRESOR_NONE,
        .place = job->walk.offset,
        .offset = job->walk.offset,
        .length = job->walk.length,
        .route = tresor__file_route(file),
    };
    job->blocks_running++;
    tresor__extent_advance(&file->ledger, &job->walk);
    tresor__outbox_message(
        out, (struct tresor__message){.kind = TRESOR__MESSAGE_BLOCK_START, .slot = index});
}

static void start_block(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)input;
    begin_block(context, out);
    tresor__outbox_again(out);
}

static void start_last_block(void *context, const struct tresor__input *input,
                             struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    tell_refusal(job, input, out);
    begin_block(job, out);
    job->walk = (struct tresor__extent_walk){0};
    tresor__outbox_look(out);
}

static void await_block(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_AWAIT_BLOCK});
}

/* The block's bytes are in, or failed: tell the ledger and give the block back. */
static void settle_block(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    struct tresor__file *file = file_of(job);
    struct tresor__block *block = &file->io->blocks[input->value];
    uint64_t good = block->done;
    if (good > 0)
        tresor__ledger_settle(&file->ledger, block->interval, block->offset, good, NULL);
    if (good < block->length)
        tresor__ledger_settle(&file->ledger, block->interval, block->offset + good,
                              block->length - good, &block->failure);
    tresor__io_give_block(file->io, block->index);
    job->blocks_running--;
    tresor__outbox_look(out);
}

static void put_back(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    (void)input;
    tresor__extent_put_back(&file_of(context)->ledger, &job->walk);
    tresor__outbox_again(out);
}

static void leave_extent(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    (void)input;
    tresor__extent_leave(&file_of(context)->ledger, &job->walk);
    tresor__outbox_look(out);
}

static void ask_unmap(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    (void)input;
    job->walk.retries = 0;
    job->mapped_last = false;
    tresor__ledger_take_release(&file_of(job)->ledger, TRESOR__BACKING_ANONYMOUS, &job->spent);
    reserve_spare(job);
    unmap(job, out);
}

static void unmap_again(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    (void)input;
    job->walk.retries++;
    unmap(job, out);
}

/* The next turn goes to the extent in hand, if there is one. */
static void end_release(struct tresor__read *job, bool kept, const struct tresor__failure *failure,
                        struct tresor__outbox *out)
{
    struct tresor__file *file = file_of(job);
    file->io->room.spare_bytes -= job->keeps_bytes;
    job->keeps_bytes = 0;
    tresor__ledger_released(&file->ledger, job->spent, kept, failure);
    if (job->exchange.is_on)
        tresor__exchange_settle(&file->ledger);
    job->exchange = (struct tresor__exchange){0};
    tresor__file_drop_spares(file);
    job->spent = (struct tresor__extent){0};
    tresor__outbox_look(out);
    if (has_extent(job, NULL))
        tresor__outbox_again(out);
}

static void finish_release(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    end_release(job, job->keeps_bytes > 0 && input->value > 0, NULL, out);
}

static void fail_release(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    struct tresor__failure failure =
        tresor__file_map_failure(file_of(context), job->spent, input->os_errno);
    end_release(job, false, &failure, out);
}

static void undo_exchange(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__read *job = context;
    tresor__exchange_undo(&file_of(context)->ledger, job->walk.extent, job->spent);
    job->walk = (struct tresor__extent_walk){0};
    fail_release(context, input, out);
}

static void check(const void *context)
{
    const struct tresor__read *job = context;
    bool extent = job->walk.extent.first != job->walk.extent.last;
    bool spent = job->spent.first != job->spent.last;
    assert(job->walk.retries <= TRESOR__RETRIES_MAX);
    assert(spent == (job->state == READ_UNMAPPING || job->exchange.is_on));
    assert(!job->exchange.is_on || (extent && job->state != READ_IDLE && job->state != READ_FILLING));
    assert(job->state != READ_MOVING || (job->exchange.is_on && job->exchange.length > 0));
    assert(!(job->state == READ_IDLE && extent));
    assert(!((job->state == READ_MAPPING || job->state == READ_FILLING) && !extent));
    (void)extent;
    (void)spent;
}

#define TRESOR__DEF "io/read/read.def"
#define TRESOR__S(name) READ_##name
#define TRESOR__E(name) READ_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__read_machine =
    TRESOR__MACHINE_TABLE("read", TRESOR__MACHINE_READ, struct tresor__read, check);
