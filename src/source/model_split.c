/* SPDX-License-Identifier: MIT */
#include "source/model_split.h"

#include <assert.h>
#include <string.h>

#include "core/handle.h"
#include "source/model_tables.h"

uint64_t tresor__model_splittable(const struct tresor__model *model, uint32_t tensor)
{
    const struct tresor__entry *entry = &model->directory.entries[tensor];
    if (entry->rank < 2 || (model->splits && model->splits[tensor].count > 0))
        return 0;
    uint64_t extent =
        entry->shape[model->directory.shape_order == TRESOR_SHAPE_INNERMOST_FIRST ? entry->rank - 1
                                                                                  : 0];
    return extent >= 2 && entry->size_bytes % extent == 0 ? extent : 0;
}

/* How many pieces there will be, or the error. */
static int64_t count_pieces(const struct tresor__model *model, const uint32_t *tensors,
                            size_t count)
{
    uint64_t pieces = model->piece_count;
    for (size_t i = 0; i < count; i++) {
        uint64_t extent = tensors[i] < model->directory.entry_count
                              ? tresor__model_splittable(model, tensors[i])
                              : 0;
        if (extent == 0)
            return TRESOR_ERROR_INVALID;
        if (extent > TRESOR__TENSORS_MAX - pieces)
            return TRESOR_ERROR_LIMIT;
        pieces += extent;
    }
    return (int64_t)pieces;
}

/* The files as they are, with ledgers that are blank. */
static bool copy_files(const struct tresor__model *model, struct tresor__model *next)
{
    next->files = tresor__allocate(&model->allocator, model->file_count * sizeof *next->files);
    if (!next->files)
        return false;
    for (uint32_t i = 0; i < model->file_count; i++) {
        next->files[i].identity = model->files[i].identity;
        next->files[i].held = model->files[i].held;
        tresor__file_init(&next->files[i].io, model->io, model->source, i);
    }
    return true;
}

static void *copy_of(const struct tresor_allocator *allocator, const void *from, size_t from_bytes,
                     size_t bytes)
{
    void *copy = tresor__allocate(allocator, bytes);
    if (copy && from)
        memcpy(copy, from, from_bytes);
    return copy;
}

static bool make_lists(const struct tresor__model *model, struct tresor__model *next)
{
    const struct tresor_allocator *allocator = &model->allocator;
    size_t tensors = model->directory.entry_count;
    size_t old = model->piece_count - tensors;
    size_t slices = next->piece_count - tensors;
    next->splits = copy_of(allocator, model->splits, tensors * sizeof *next->splits,
                           tensors * sizeof *next->splits);
    next->slices = copy_of(allocator, model->slices, old * sizeof *next->slices,
                           slices * sizeof *next->slices);
    next->slice_pieces = tresor__allocate(allocator, slices * sizeof *next->slice_pieces);
    if (!next->splits || !next->slices || !next->slice_pieces)
        return false;
    for (size_t i = 0; i < slices; i++)
        next->slice_pieces[i] = (uint32_t)(tensors + i);
    return true;
}

static void cut_tensor(struct tresor__model *next, uint32_t tensor, uint32_t first)
{
    const struct tresor__entry *entry = &next->directory.entries[tensor];
    uint32_t count = (uint32_t)tresor__model_splittable(next, tensor);
    uint64_t bytes = entry->size_bytes / count;
    struct tresor__slice *slices = next->slices + (first - next->directory.entry_count);
    for (uint32_t i = 0; i < count; i++)
        slices[i] = (struct tresor__slice){
            .offset_bytes = entry->offset_bytes + i * bytes,
            .size_bytes = bytes,
            .tensor = tensor,
            .number = i,
        };
    next->splits[tensor] = (struct tresor__split){.first = first, .count = count};
}

int32_t tresor__model_split(const struct tresor__model *model, const uint32_t *tensors,
                            size_t count, struct tresor__model *next)
{
    *next = (struct tresor__model){
        .allocator = model->allocator,
        .io = model->io,
        .source = model->source,
        .file_count = model->file_count,
        .directory = model->directory,
    };
    int64_t pieces = count_pieces(model, tensors, count);
    if (pieces < 0)
        return (int32_t)pieces;
    next->piece_count = (uint32_t)pieces;
    if (!copy_files(model, next) || !make_lists(model, next))
        return TRESOR_ERROR_NO_MEMORY;
    uint32_t first = model->piece_count;
    for (size_t i = 0; i < count; i++) {
        if (next->splits[tensors[i]].count > 0)
            return TRESOR_ERROR_INVALID; /* named twice */
        cut_tensor(next, tensors[i], first);
        first += next->splits[tensors[i]].count;
    }
    return tresor__model_make_tables(next);
}

/* Slices only cut intervals into smaller ones, so what is known of pages that nobody uses is known
 * of their parts. */
static void carry_pages(const struct tresor__ledger *from, struct tresor__ledger *to)
{
    uint32_t old = 0;
    for (uint32_t i = 0; i < to->interval_count; i++) {
        struct tresor__interval *interval = &to->intervals[i];
        while (from->intervals[old + 1].start_bytes <= interval->start_bytes)
            old++;
        assert(old < from->interval_count && from->intervals[old].fill == TRESOR__FILL_EMPTY &&
               from->intervals[old + 1].start_bytes >= to->intervals[i + 1].start_bytes);
        assert(from->intervals[old].swapped_bytes == 0);
        interval->lock_leaked = from->intervals[old].lock_leaked;
        interval->leaked = from->intervals[old].leaked;
        interval->spare = from->intervals[old].spare;
        interval->charged = from->intervals[old].charged;
    }
    to->locked_bytes = from->locked_bytes;
    to->leaked_bytes = from->leaked_bytes;
    to->spare_bytes = from->spare_bytes;
    to->charged_bytes = from->charged_bytes;
}

static void take_tables(struct tresor__model *to, const struct tresor__model *from)
{
    to->piece_count = from->piece_count;
    to->slices = from->slices;
    to->slice_pieces = from->slice_pieces;
    to->splits = from->splits;
    to->order = from->order;
    to->order_count = from->order_count;
    to->spans = from->spans;
    to->intervals = from->intervals;
    to->interval_capacity = from->interval_capacity;
    to->covers = from->covers;
    to->cover_count = from->cover_count;
    to->bits = from->bits;
    to->bit_words = from->bit_words;
}

void tresor__model_split_swap(struct tresor__model *model, struct tresor__model *next)
{
    for (uint32_t i = 0; i < model->file_count; i++) {
        struct tresor__ledger *ledger = &next->files[i].io.ledger;
        carry_pages(&model->files[i].io.ledger, ledger);
        model->files[i].io.ledger = *ledger;
    }
    struct tresor__model was = *model;
    take_tables(model, next);
    take_tables(next, &was);
}

void tresor__model_split_free(struct tresor__model *next)
{
    tresor__model_free_tables(next);
    tresor__free(&next->allocator, next->files, next->file_count * sizeof *next->files);
    *next = (struct tresor__model){0};
}
