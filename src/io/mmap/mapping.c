/* SPDX-License-Identifier: MIT */
#include "io/mmap/mapping.h"

#include <errno.h>

#include <tresor/event.h>

#include "io/file.h"
#include "io/seams.h"

enum {
    COLD_BYTES = 8 * 1024 * 1024, /* of a populate that waits for a disk, so that a cancel is heard */
    AHEAD_EACH = TRESOR__OUTBOX_EFFECTS - 1,
};

static struct tresor__file *file_of(const void *context)
{
    return TRESOR__FILE_OF(context, mapping);
}

static bool has_spent(const void *context, const struct tresor__input *input)
{
    (void)input;
    return file_of(context)->ledger.release[TRESOR__BACKING_FILE].count > 0;
}

static bool has_wanted(const void *context, const struct tresor__input *input)
{
    (void)input;
    return tresor__ledger_wants(&file_of(context)->ledger, TRESOR__BACKING_FILE);
}

static bool has_room(const void *context, const struct tresor__input *input)
{
    (void)input;
    return tresor__ledger_has_room(&file_of(context)->ledger, TRESOR__BACKING_FILE);
}

static bool has_more(const void *context, const struct tresor__input *input)
{
    const struct tresor__mapping *mapping = context;
    (void)input;
    return tresor__extent_has_more(&file_of(context)->ledger, &mapping->walk);
}

static bool is_overtaken(const void *context, const struct tresor__input *input)
{
    const struct tresor__mapping *mapping = context;
    (void)input;
    return tresor__extent_is_overtaken(&file_of(context)->ledger, TRESOR__BACKING_FILE,
                                       &mapping->walk);
}

/* The chunk under way reaches the extent's end, so nothing is left to choose. */
static bool is_last_chunk(const void *context, const struct tresor__input *input)
{
    const struct tresor__mapping *mapping = context;
    (void)input;
    return mapping->walk.offset + mapping->walk.length ==
           tresor__ledger_end(&file_of(context)->ledger, mapping->walk.extent.last);
}

static bool has_extent(const void *context, const struct tresor__input *input)
{
    const struct tresor__mapping *mapping = context;
    (void)input;
    return mapping->walk.extent.first != mapping->walk.extent.last;
}

static bool may_retry(const void *context, const struct tresor__input *input)
{
    const struct tresor__mapping *mapping = context;
    return tresor__may_retry(mapping->walk.retries, input->os_errno);
}

static void ask_with(const struct tresor__file *file, struct tresor__outbox *out, uint8_t kind,
                     uint8_t on_ok, uint16_t flags, uint64_t start, uint64_t length)
{
    tresor__file_ask(file, out,
                     (struct tresor__effect){.kind = kind,
                                             .machine = TRESOR__MACHINE_MAPPING,
                                             .on_ok = on_ok,
                                             .on_failed = (uint8_t)(on_ok + 1),
                                             .flags = flags},
                     start, length);
}

static void ask(const struct tresor__file *file, struct tresor__outbox *out, uint8_t kind,
                uint8_t on_ok, uint64_t start, uint64_t length)
{
    uint16_t sparing = file->io->evicts_cache ? TRESOR__CACHE_SPARING : 0;
    ask_with(file, out, kind, on_ok, (uint16_t)(TRESOR__MAP_FILE | sparing), start, length);
}

static void ask_for_extent(const struct tresor__file *file, struct tresor__outbox *out,
                           uint8_t kind, uint8_t on_ok, struct tresor__extent extent)
{
    uint64_t start = tresor__ledger_start(&file->ledger, extent.first);
    ask(file, out, kind, on_ok, start, tresor__ledger_start(&file->ledger, extent.last) - start);
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
    struct tresor__mapping *mapping = context;
    struct tresor__file *file = file_of(context);
    (void)input;
    tresor__extent_take(&file->ledger, TRESOR__BACKING_FILE, &mapping->walk);
    mapping->ahead_offset = 0;
    ask_for_extent(file, out, TRESOR__EFFECT_MAP, MAPPING_ON_MAP_OK, mapping->walk.extent);
}

static void map_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    (void)input;
    mapping->walk.retries++;
    ask_for_extent(file_of(context), out, TRESOR__EFFECT_MAP, MAPPING_ON_MAP_OK,
                   mapping->walk.extent);
}

static void fail_extent(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    struct tresor__file *file = file_of(context);
    struct tresor__failure failure =
        tresor__file_map_failure(file, mapping->walk.extent, input->os_errno);
    tresor__ledger_unmapped(&file->ledger, mapping->walk.extent, &failure);
    tresor__file_drop_spares(file);
    mapping->walk = (struct tresor__extent_walk){0};
    tresor__outbox_look(out);
}

static void populate(struct tresor__mapping *mapping, struct tresor__outbox *out)
{
    ask(file_of(mapping), out, TRESOR__EFFECT_POPULATE, MAPPING_ON_POPULATE_OK,
        mapping->walk.offset, mapping->walk.length);
}

static uint64_t chunk_bytes(const struct tresor__mapping *mapping)
{
    uint64_t limit = file_of(mapping)->io->populate_bytes;
    return mapping->read_bytes > 0 && limit > COLD_BYTES ? COLD_BYTES : limit;
}

/* One populate waits for each of its reads, so others run ahead of it: they keep the disk busy, it finds their pages. */
static void ask_readahead(struct tresor__mapping *mapping, struct tresor__outbox *out)
{
    const struct tresor__file *file = file_of(mapping);
    uint32_t limit = file->io->ahead_max;
    uint64_t chunk = chunk_bytes(mapping);
    uint64_t start = mapping->walk.offset + mapping->walk.length;
    if (mapping->read_bytes == 0 || limit == 0)
        return;
    uint64_t end = tresor__extent_wanted_until(&file->ledger, &mapping->walk, start + limit * chunk);
    if (mapping->ahead_offset < start)
        mapping->ahead_offset = start;
    for (uint32_t i = 0; i < AHEAD_EACH && mapping->ahead_count < limit; i++) {
        uint64_t next = (mapping->ahead_offset / chunk + 1) * chunk;
        if (mapping->ahead_offset >= end)
            return;
        next = next < end ? next : end;
        ask(file, out, TRESOR__EFFECT_READAHEAD, MAPPING_ON_READAHEAD_OK, mapping->ahead_offset,
            next - mapping->ahead_offset);
        mapping->ahead_offset = next;
        mapping->ahead_count++;
    }
}

static void end_readahead(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    (void)input;
    (void)out;
    mapping->ahead_count--;
}

static void ask_populate(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    struct tresor__file *file = file_of(context);
    (void)input;
    mapping->walk.retries = 0;
    tresor__extent_next(&file->ledger, &mapping->walk, chunk_bytes(mapping));
    populate(mapping, out);
    ask_readahead(mapping, out);
}

/* Input value: what MAP says of how the extent will be read. */
static void judge_and_populate(void *context, const struct tresor__input *input,
                               struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    mapping->read_bytes = (uint64_t)input->value;
    if (mapping->read_bytes > 0 && mapping->read_bytes < TRESOR__READ_BYTES_MIN) {
        mapping->slow_bytes = mapping->read_bytes;
        tresor__outbox_message(out,
                               (struct tresor__message){.kind = TRESOR__MESSAGE_DEGRADED,
                                                        .event = TRESOR_DEGRADED_READAHEAD,
                                                        .slot = file_of(context)->index});
    }
    ask_populate(context, input, out);
}

static void populate_again(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    (void)input;
    mapping->walk.retries++;
    populate(mapping, out);
}

static void settle(struct tresor__mapping *mapping, const struct tresor__failure *failure,
                   struct tresor__outbox *out)
{
    struct tresor__file *file = file_of(mapping);
    tresor__ledger_settle(&file->ledger, mapping->walk.interval, mapping->walk.offset,
                          mapping->walk.length, failure);
    tresor__extent_advance(&file->ledger, &mapping->walk);
    tresor__outbox_look(out);
}

static void settle_chunk(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    (void)input;
    settle(context, NULL, out);
    tresor__outbox_again(out);
}

static void settle_and_leave(void *context, const struct tresor__input *input,
                             struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    (void)input;
    settle(mapping, NULL, out);
    mapping->walk = (struct tresor__extent_walk){0};
}

static void fail_chunk(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    /* A populate past the end of the file answers EFAULT (madvise(2)); the actor tells the size it
     * found. */
    int32_t code = input->os_errno == EFAULT ? TRESOR_ERROR_TRUNCATED : TRESOR_ERROR_IO;
    uint64_t got = code == TRESOR_ERROR_TRUNCATED && (uint64_t)input->value > mapping->walk.offset
                       ? (uint64_t)input->value - mapping->walk.offset
                       : 0;
    struct tresor__failure failure =
        tresor__failure_of(code, input->os_errno, mapping->walk.offset, mapping->walk.length, got);
    settle(mapping, &failure, out);
    tresor__outbox_again(out);
}

static void put_back(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    (void)input;
    tresor__extent_put_back(&file_of(context)->ledger, &mapping->walk);
    tresor__outbox_again(out);
}

static void leave_extent(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    (void)input;
    tresor__extent_leave(&file_of(context)->ledger, &mapping->walk);
    tresor__outbox_look(out);
}

static bool is_of_file(const struct tresor__interval *interval)
{
    return interval->leaked || (interval->fill >= TRESOR__FILL_RUNNING &&
                                interval->backing == TRESOR__BACKING_FILE);
}

/* Nothing that anybody has of the file's pages begins before the extent in the huge page where it begins, or behind it in the
 * one where it ends. */
static uint16_t eviction_of(const struct tresor__ledger *ledger, struct tresor__extent extent)
{
    uint64_t unit = TRESOR__HUGE_PAGE_BYTES;
    uint64_t start = tresor__ledger_start(ledger, extent.first) / unit * unit;
    uint64_t end = (tresor__ledger_start(ledger, extent.last) + unit - 1) / unit * unit;
    bool before = true;
    bool behind = true;
    for (uint32_t i = extent.first; i > 0 && tresor__ledger_start(ledger, i) > start; i--)
        before = before && !is_of_file(&ledger->intervals[i - 1]);
    for (uint32_t i = extent.last; i < ledger->interval_count && tresor__ledger_start(ledger, i) < end; i++)
        behind = behind && !is_of_file(&ledger->intervals[i]);
    return (uint16_t)(TRESOR__UNMAP_EVICT | (before ? TRESOR__EVICT_BEFORE : 0) |
                      (behind ? TRESOR__EVICT_BEHIND : 0));
}

static void unmap(const struct tresor__mapping *mapping, struct tresor__outbox *out)
{
    const struct tresor__file *file = file_of(mapping);
    const struct tresor__ledger *ledger = &file->ledger;
    uint64_t start = tresor__ledger_start(ledger, mapping->spent.first);
    uint16_t eviction = file->io->evicts_cache ? eviction_of(ledger, mapping->spent) : 0;
    ask_with(file, out, TRESOR__EFFECT_UNMAP, MAPPING_ON_UNMAP_OK,
             (uint16_t)(TRESOR__MAP_FILE | eviction), start,
             tresor__ledger_start(ledger, mapping->spent.last) - start);
}

static void ask_unmap(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    struct tresor__file *file = file_of(context);
    (void)input;
    mapping->walk.retries = 0;
    tresor__ledger_take_release(&file->ledger, TRESOR__BACKING_FILE, &mapping->spent);
    unmap(mapping, out);
}

static void unmap_again(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    (void)input;
    mapping->walk.retries++;
    unmap(mapping, out);
}

/* The next turn goes to the extent in hand, if there is one. */
static void end_release(struct tresor__mapping *mapping, const struct tresor__failure *failure,
                        struct tresor__outbox *out)
{
    tresor__ledger_released(&file_of(mapping)->ledger, mapping->spent, false, failure);
    mapping->spent = (struct tresor__extent){0};
    tresor__outbox_look(out);
    if (has_extent(mapping, NULL))
        tresor__outbox_again(out);
}

static void finish_release(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    file_of(context)->io->room.uncollected_bytes += (uint64_t)input->value;
    end_release(mapping, NULL, out);
}

static void fail_release(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__mapping *mapping = context;
    struct tresor__file *file = file_of(context);
    struct tresor__failure failure =
        tresor__file_map_failure(file, mapping->spent, input->os_errno);
    end_release(mapping, &failure, out);
}

static void check(const void *context)
{
    const struct tresor__mapping *mapping = context;
    bool extent = mapping->walk.extent.first != mapping->walk.extent.last;
    bool spent = mapping->spent.first != mapping->spent.last;
    assert(mapping->walk.extent.first <= mapping->walk.extent.last);
    assert(mapping->walk.retries <= TRESOR__RETRIES_MAX);
    assert(mapping->ahead_count <= file_of(context)->io->ahead_max);
    assert(spent == (mapping->state == MAPPING_UNMAPPING));
    assert(!(mapping->state == MAPPING_IDLE && extent));
    assert(!(mapping->state >= MAPPING_MAPPING && mapping->state <= MAPPING_POPULATING && !extent));
    assert((mapping->walk.length > 0) == (mapping->state == MAPPING_POPULATING));
    (void)extent;
    (void)spent;
}

#define TRESOR__DEF "io/mmap/mapping.def"
#define TRESOR__S(name) MAPPING_##name
#define TRESOR__E(name) MAPPING_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__mapping_machine =
    TRESOR__MACHINE_TABLE("mapping", TRESOR__MACHINE_MAPPING, struct tresor__mapping, check);
