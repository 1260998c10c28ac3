/* SPDX-License-Identifier: MIT */
#include "io/file.h"

#include <errno.h>

#include <tresor/strategy.h>

void tresor__file_init(struct tresor__file *file, struct tresor__io *io, uint16_t source,
                       uint32_t index)
{
    *file = (struct tresor__file){.io = io, .source = source, .index = index};
    file->poisoned.first = TRESOR_NONE;
    file->ledger.news_head = TRESOR_NONE;
    file->ledger.news_tail = TRESOR_NONE;
    file->ledger.room = &io->room;
}

bool tresor__file_busy(const struct tresor__file *file)
{
    const struct tresor__ledger *ledger = &file->ledger;
    return tresor__ledger_has_work(ledger) || ledger->news_head != TRESOR_NONE ||
           file->mapping.state != MAPPING_IDLE || file->mapping.ahead_count > 0 || file->read.state != READ_IDLE ||
           file->read.blocks_running > 0 || file->mlock.state != MLOCK_IDLE ||
           file->swap.state != SWAP_IDLE;
}

void tresor__io_free_blocks(struct tresor__io *io)
{
    io->free_block = io->block_count > 0 ? 0 : TRESOR_NONE;
    io->free_count = io->block_count;
    for (uint32_t i = 0; i < io->block_count; i++)
        io->blocks[i].next_free = i + 1 < io->block_count ? i + 1 : TRESOR_NONE;
}

bool tresor__io_has_block(const struct tresor__io *io, enum tresor__urgency urgency)
{
    uint32_t left = io->block_count / 4;
    if (left == 0 && io->block_count > 1)
        left = 1;
    return urgency >= io->awaited &&
           io->free_count > (urgency == TRESOR__URGENCY_LOOKAHEAD ? left : 0);
}

struct tresor__block_route tresor__file_route(const struct tresor__file *file)
{
    bool direct = file->direct.is_open;
    return (struct tresor__block_route){
        .way = direct ? TRESOR__WAY_DIRECT : TRESOR__WAY_BUFFERED,
        .probes = direct && file->io->direct == TRESOR_DIRECT_AUTO,
        .populates = true,
        .forgets = file->io->evicts_cache,
        .alignment_bytes = direct ? file->direct.facts.alignment_bytes : 1,
    };
}

enum tresor__urgency tresor__file_urgency(const struct tresor__file *file)
{
    enum tresor__urgency urgency =
        tresor__ledger_urgency(&file->ledger, TRESOR__BACKING_ANONYMOUS);
    bool swaps = file->swap.state == SWAP_FILLING;
    return swaps && urgency < TRESOR__URGENCY_NORMAL ? TRESOR__URGENCY_NORMAL : urgency;
}

void tresor__file_drop_spares(struct tresor__file *file)
{
    if (file->io->spare_bytes_max == 0)
        tresor__ledger_drop_spares(&file->ledger);
}

uint64_t tresor__file_leave_scratch(struct tresor__file *file)
{
    uint64_t bytes = file->swap.held_bytes;
    file->io->room.scratch_bytes -= bytes;
    file->io->room.stuck_bytes -= bytes;
    file->swap.held_bytes = 0;
    return bytes;
}

uint32_t tresor__io_take_block(struct tresor__io *io)
{
    uint32_t block = io->free_block;
    if (block == TRESOR_NONE)
        return block;
    io->free_block = io->blocks[block].next_free;
    io->free_count--;
    return block;
}

void tresor__io_give_block(struct tresor__io *io, uint32_t block)
{
    io->blocks[block].next_free = io->free_block;
    io->free_block = block;
    io->free_count++;
}

/* Not the room of what is admitted and yet to be filled. */
static bool has_stage_room(const struct tresor__io *io)
{
    const struct tresor__room *room = &io->room;
    uint64_t kept = room->committed_bytes + room->staged_bytes + room->leaked_bytes +
                    room->held_bytes + room->scratch_bytes;
    uint64_t bytes = tresor__io_stage_room(io);
    uint64_t limit = room->budget_bytes > 0 ? room->budget_bytes : room->limit_bytes;
    return bytes <= tresor__room_left(room) && kept <= limit && bytes <= limit - kept;
}

uint64_t tresor__io_room_to_hold(const struct tresor__io *io)
{
    const struct tresor__room *room = &io->room;
    uint64_t kept = room->committed_bytes + tresor__room_fixed(room) + room->scratch_bytes - room->stuck_bytes;
    uint64_t limit = room->budget_bytes > 0 ? room->budget_bytes : UINT64_MAX;
    uint64_t left = tresor__room_left(room);
    uint64_t beside = kept < limit ? limit - kept : 0;
    return left < beside ? left : beside;
}

bool tresor__io_has_stage(const struct tresor__io *io)
{
    return io->free_stage != TRESOR_NONE &&
           (io->stages[io->free_stage].is_charged || has_stage_room(io));
}

/* What was used last is used next, so that no more memory is made than streams use at a time. */
uint32_t tresor__io_take_stage(struct tresor__io *io)
{
    uint32_t index = io->free_stage;
    struct tresor__stage *stage = &io->stages[index];
    io->free_stage = stage->next;
    if (!stage->is_charged) {
        io->room.charged_bytes += tresor__io_stage_room(io);
        io->room.staged_bytes += tresor__io_stage_room(io);
        io->awaits_stage_room = false;
    }
    stage->is_charged = true;
    return index;
}

void tresor__io_give_stage(struct tresor__io *io, uint32_t stage)
{
    io->stages[stage].state = TRESOR__STAGE_FREE;
    io->stages[stage].next = io->free_stage;
    io->free_stage = stage;
}

struct tresor__failure tresor__failure_of(int32_t default_code, int32_t os_errno, uint64_t offset,
                                          uint64_t wanted, uint64_t got)
{
    int32_t code = default_code;
    /* EBADF: what is open is not open for reading. */
    if (os_errno == EACCES || os_errno == EPERM || os_errno == EBADF)
        code = TRESOR_ERROR_PERMISSION;
    else if (os_errno == EMFILE || os_errno == ENFILE)
        code = TRESOR_ERROR_DESCRIPTORS;
    else if (os_errno == ESTALE)
        code = TRESOR_ERROR_CHANGED;
    else if (os_errno == EPROTO)
        code = TRESOR_ERROR_BACKEND; /* an answer that cannot be */
    else if (os_errno == EIO)
        code = TRESOR_ERROR_IO;
    else if (os_errno == ENODEV || os_errno == EOPNOTSUPP || os_errno == ENOSYS)
        code = TRESOR_ERROR_UNSUPPORTED;
    else if (os_errno == ENOMEM && default_code != TRESOR_ERROR_MAP_REFUSED &&
             default_code != TRESOR_ERROR_LOCK_LIMIT)
        code = TRESOR_ERROR_NO_MEMORY;
    return (struct tresor__failure){code, os_errno, offset, wanted, got};
}

void tresor__file_ask(const struct tresor__file *file, struct tresor__outbox *out,
                      struct tresor__effect effect, uint64_t start, uint64_t length)
{
    effect.space = TRESOR__SPACE_WINDOW;
    effect.source = file->source;
    effect.slot = file->index;
    effect.file = file->index;
    effect.place = start;
    effect.offset = start;
    effect.length = length;
    tresor__outbox_effect(out, effect);
}

struct tresor__failure tresor__file_map_failure(const struct tresor__file *file,
                                                struct tresor__extent extent, int32_t os_errno)
{
    uint64_t start = tresor__ledger_start(&file->ledger, extent.first);
    uint64_t wanted = tresor__ledger_end(&file->ledger, extent.last) - start;
    return tresor__failure_of(TRESOR_ERROR_MAP_REFUSED, os_errno, start, wanted, 0);
}
