/* SPDX-License-Identifier: MIT */
/* After the last header, and anew when tensors are split: the pieces in file order, and the intervals
 * that their page-rounded bounds make. */
#include <string.h>

#include "io/seams.h"
#include "source/model_tables.h"

struct sorter {
    const struct tresor__model *model;
    uint32_t *from;
    uint32_t *to;
};

static bool is_before(const struct tresor__model *model, uint32_t a, uint32_t b)
{
    uint32_t file_of_a = tresor__model_file_of(model, a);
    uint32_t file_of_b = tresor__model_file_of(model, b);
    if (file_of_a != file_of_b)
        return file_of_a < file_of_b;
    if (tresor__model_offset(model, a) != tresor__model_offset(model, b))
        return tresor__model_offset(model, a) < tresor__model_offset(model, b);
    /* Slices without bytes stay where their tensor was. */
    uint32_t tensor_of_a = tresor__model_tensor(model, a);
    uint32_t tensor_of_b = tresor__model_tensor(model, b);
    return tensor_of_a < tensor_of_b || (tensor_of_a == tensor_of_b && a < b);
}

static void merge(const struct sorter *sorter, uint32_t first, uint32_t middle, uint32_t last)
{
    uint32_t left = first;
    uint32_t right = middle;
    for (uint32_t i = first; i < last; i++) {
        bool take_right =
            left == middle ||
            (right < last && is_before(sorter->model, sorter->from[right], sorter->from[left]));
        sorter->to[i] = sorter->from[take_right ? right++ : left++];
    }
}

/* Files nearly always have their tensors in order; slices that came later are behind all. */
static bool is_sorted(const struct sorter *sorter, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        if (is_before(sorter->model, sorter->from[i], sorter->from[i - 1]))
            return false;
    return true;
}

/* Bottom-up merge sort: n log n for every input, no memory but the spare. The result is in `from`.
 */
static void sort(struct sorter *sorter, uint32_t count)
{
    for (uint32_t width = 1; width < count; width *= 2) {
        for (uint32_t first = 0; first < count; first += 2 * width) {
            uint32_t middle = count - first < width ? count : first + width;
            uint32_t last = count - first < 2 * width ? count : first + 2 * width;
            merge(sorter, first, middle, last);
        }
        uint32_t *swap = sorter->from;
        sorter->from = sorter->to;
        sorter->to = swap;
    }
}

/* All pieces but the tensors that are split. */
static uint32_t list_pieces(const struct tresor__model *model, uint32_t *list)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->piece_count; i++) {
        bool is_split = i < model->directory.entry_count && model->splits && model->splits[i].count > 0;
        if (!is_split)
            list[count++] = i;
    }
    return count;
}

static bool make_order(struct tresor__model *model)
{
    size_t bytes = model->piece_count * sizeof(uint32_t);
    struct sorter sorter = {.model = model};
    sorter.from = tresor__allocate(&model->allocator, bytes);
    sorter.to = tresor__allocate(&model->allocator, bytes);
    model->order = sorter.from;
    if (sorter.from && sorter.to) {
        model->order_count = list_pieces(model, sorter.from);
        if (!is_sorted(&sorter, model->order_count))
            sort(&sorter, model->order_count);
        model->order = sorter.from;
    }
    uint32_t *spare = model->order == sorter.from ? sorter.to : sorter.from;
    bool made = model->order && spare;
    tresor__free(&model->allocator, spare, bytes);
    return made;
}

static uint64_t round_down(uint64_t value, uint64_t unit)
{
    return value / unit * unit;
}

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

struct bounds {
    uint64_t *starts; /* page-rounded first bytes, in order */
    uint64_t *ends;   /* page-rounded ends, sorted */
    uint32_t count;
};

static void sift_down(uint64_t *heap, uint32_t root, uint32_t count)
{
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count && heap[child + 1] > heap[child])
            child++;
        if (heap[root] >= heap[child])
            return;
        uint64_t swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

/* Ends are out of order only where tensors overlap; heapsort is n log n in place then, and skipped
 * otherwise. */
static void sort_ends(uint64_t *ends, uint32_t count)
{
    bool sorted = true;
    for (uint32_t i = 1; i < count; i++)
        sorted = sorted && ends[i - 1] <= ends[i];
    if (sorted)
        return;
    for (uint32_t root = count / 2; root-- > 0;)
        sift_down(ends, root, count);
    for (uint32_t last = count; last-- > 1;) {
        uint64_t swap = ends[0];
        ends[0] = ends[last];
        ends[last] = swap;
        sift_down(ends, 0, last);
    }
}

static void collect_bounds(const struct tresor__model *model, const uint32_t *order, uint32_t count,
                           struct bounds *bounds)
{
    uint64_t page = model->io->page_bytes;
    bounds->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t offset = tresor__model_offset(model, order[i]);
        uint64_t size = tresor__model_size(model, order[i]);
        if (size == 0)
            continue;
        bounds->starts[bounds->count] = round_down(offset, page);
        bounds->ends[bounds->count++] = round_up(offset + size, page);
    }
    sort_ends(bounds->ends, bounds->count);
}

/* Merges starts and ends into distinct cuts. */
static uint32_t cut(const struct bounds *bounds, struct tresor__interval *intervals)
{
    uint32_t count = 0;
    uint32_t start = 0;
    uint32_t end = 0;
    while (end < bounds->count) {
        bool take_start = start < bounds->count && bounds->starts[start] <= bounds->ends[end];
        uint64_t at = take_start ? bounds->starts[start++] : bounds->ends[end++];
        if (count > 0 && intervals[count - 1].start_bytes == at)
            continue;
        intervals[count++] = (struct tresor__interval){.start_bytes = at,
                                                       .backing = TRESOR__BACKING_NONE,
                                                       .releaser = TRESOR_NONE,
                                                       .unlocker = TRESOR_NONE};
    }
    return count; /* cuts; one more than there are intervals */
}

static uint32_t find_interval(const struct tresor__ledger *ledger, uint64_t offset)
{
    uint32_t low = 0;
    uint32_t high = ledger->interval_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ledger->intervals[middle].start_bytes < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void place_spans(const struct tresor__model *model, struct tresor__ledger *ledger)
{
    uint64_t page = model->io->page_bytes;
    for (uint32_t rank = 0; rank < ledger->order_count; rank++) {
        uint64_t offset = tresor__model_offset(model, ledger->order[rank]);
        uint64_t size = tresor__model_size(model, ledger->order[rank]);
        struct tresor__span *span = &ledger->spans[ledger->order[rank]];
        span->next_news = TRESOR_NONE;
        span->first_interval = find_interval(ledger, round_down(offset, page));
        if (size > 0)
            span->interval_count =
                find_interval(ledger, round_up(offset + size, page)) - span->first_interval;
    }
}

/* How many (piece, interval) pairs a file has. */
static uint64_t count_covers(const struct tresor__ledger *ledger)
{
    uint64_t count = 0;
    for (uint32_t rank = 0; rank < ledger->order_count; rank++)
        count += ledger->spans[ledger->order[rank]].interval_count;
    return count;
}

/* The pieces of every interval, in order: counted, summed up, then put down from behind. */
static void place_covers(struct tresor__ledger *ledger, uint32_t *covers)
{
    uint32_t sum = 0;
    for (uint32_t rank = 0; rank < ledger->order_count; rank++) {
        const struct tresor__span *span = &ledger->spans[ledger->order[rank]];
        for (uint32_t i = 0; i < span->interval_count; i++)
            ledger->intervals[span->first_interval + i].first_cover++;
    }
    for (uint32_t i = 0; i <= ledger->interval_count; i++) {
        sum += ledger->intervals[i].first_cover;
        ledger->intervals[i].first_cover = sum;
    }
    for (uint32_t rank = ledger->order_count; rank-- > 0;) {
        const struct tresor__span *span = &ledger->spans[ledger->order[rank]];
        for (uint32_t i = 0; i < span->interval_count; i++)
            covers[--ledger->intervals[span->first_interval + i].first_cover] = ledger->order[rank];
    }
    ledger->covers = covers;
}

enum {
    FILL_BITSETS = TRESOR__BACKING_COUNT * TRESOR__URGENCY_COUNT,
    OTHER_BITSETS = 6,
    BITSETS = FILL_BITSETS + OTHER_BITSETS,
};
_Static_assert((int)BITSETS == (int)TRESOR__LEDGER_BITSETS, "whoever makes room for tables knows how many");

static uint32_t seams_of(const struct tresor__ledger *ledger)
{
    return tresor__seams_size(ledger->interval_count > 0
                                  ? ledger->intervals[ledger->interval_count].start_bytes
                                  : 0);
}

static uint64_t *place_bits(struct tresor__ledger *ledger, uint64_t *bits)
{
    uint32_t count = ledger->interval_count;
    struct tresor__bitset *sets[BITSETS] = {&ledger->release[0], &ledger->release[1], &ledger->lock,
                                            &ledger->unlock, &ledger->swap[0], &ledger->swap[1]};
    for (uint32_t i = 0; i < FILL_BITSETS; i++)
        sets[OTHER_BITSETS + i] =
            &ledger->fill[i / TRESOR__URGENCY_COUNT][i % TRESOR__URGENCY_COUNT];
    for (uint32_t i = 0; i < BITSETS; i++) {
        tresor__bitset_init(sets[i], bits, count);
        bits += tresor__bitset_words(count);
    }
    uint32_t seams = seams_of(ledger);
    tresor__bitset_init(&ledger->seams, bits, seams);
    return bits + tresor__bitset_words(seams);
}

static void make_file(struct tresor__model *model, uint32_t index, const uint32_t *order,
                      uint32_t order_count, struct tresor__interval *intervals,
                      struct bounds *bounds)
{
    struct tresor__model_file *file = &model->files[index];
    struct tresor__ledger *ledger = &file->io.ledger;
    collect_bounds(model, order, order_count, bounds);
    uint32_t cuts = cut(bounds, intervals);
    ledger->intervals = intervals;
    ledger->interval_count = cuts > 0 ? cuts - 1 : 0;
    ledger->spans = model->spans;
    ledger->order = order;
    ledger->order_count = order_count;
    ledger->file_bytes = tresor__model_file_bytes(file);
    ledger->is_held = tresor__model_is_held(file);
    place_spans(model, ledger);
}

static uint32_t count_of_file(const struct tresor__model *model, uint32_t rank, uint32_t file)
{
    uint32_t count = 0;
    while (rank + count < model->order_count &&
           tresor__model_file_of(model, model->order[rank + count]) == file)
        count++;
    return count;
}

/* Ledgers without what depends on the number of their intervals. How many covers they need. */
static uint64_t make_files(struct tresor__model *model, struct bounds *bounds)
{
    uint32_t rank = 0;
    uint64_t covers = 0;
    struct tresor__interval *intervals = model->intervals;
    for (uint32_t i = 0; i < model->file_count; i++) {
        const struct tresor__ledger *ledger = &model->files[i].io.ledger;
        uint32_t count = count_of_file(model, rank, i);
        make_file(model, i, count > 0 ? model->order + rank : NULL, count, intervals, bounds);
        intervals += ledger->interval_count + 1;
        rank += count;
        covers += count_covers(ledger);
        model->bit_words += BITSETS * tresor__bitset_words(ledger->interval_count) +
                            tresor__bitset_words(seams_of(ledger));
    }
    return covers;
}

static int32_t make_ledgers(struct tresor__model *model, struct bounds *bounds)
{
    uint64_t covers = make_files(model, bounds);
    /* Pieces that overlap without measure would make every step on one of them a step on all. */
    if (covers > TRESOR__COVERS_EACH * ((uint64_t)model->interval_capacity + 1))
        return TRESOR_ERROR_LIMIT;
    model->cover_count = (uint32_t)covers;
    if (covers == 0)
        return TRESOR_OK; /* nothing has bytes; what asking for none answers differs between
                             allocators */
    model->bits = tresor__allocate(&model->allocator, model->bit_words * sizeof *model->bits);
    model->covers = tresor__allocate(&model->allocator, covers * sizeof *model->covers);
    if ((!model->bits && model->bit_words > 0) || (!model->covers && covers > 0))
        return TRESOR_ERROR_NO_MEMORY;
    uint64_t *bits = model->bits;
    uint32_t *place = model->covers;
    for (uint32_t i = 0; i < model->file_count; i++) {
        struct tresor__ledger *ledger = &model->files[i].io.ledger;
        bits = place_bits(ledger, bits);
        place_covers(ledger, place);
        place += ledger->intervals[ledger->interval_count].first_cover;
    }
    return TRESOR_OK;
}

int32_t tresor__model_make_tables(struct tresor__model *model)
{
    uint64_t count = model->piece_count;
    struct tresor_allocator *allocator = &model->allocator;
    /* A file with n pieces has at most 2n cuts, and the one that ends its list. */
    model->interval_capacity = (uint32_t)(2 * count + model->file_count);
    model->intervals =
        tresor__allocate(allocator, model->interval_capacity * sizeof *model->intervals);
    if (!model->intervals)
        return TRESOR_ERROR_NO_MEMORY;
    if (count == 0)
        return make_ledgers(model, &(struct bounds){0});
    model->spans = tresor__allocate(allocator, count * sizeof *model->spans);
    uint64_t *bounds = tresor__allocate(allocator, 2 * count * sizeof *bounds);
    int32_t code = TRESOR_ERROR_NO_MEMORY;
    if (model->spans && bounds && make_order(model))
        code = make_ledgers(model, &(struct bounds){.starts = bounds, .ends = bounds + count});
    tresor__free(allocator, bounds, 2 * count * sizeof *bounds);
    return code;
}

void tresor__model_free_tables(struct tresor__model *model)
{
    const struct tresor_allocator *allocator = &model->allocator;
    uint64_t tensors = model->directory.entry_count;
    uint64_t slices = model->piece_count > tensors ? model->piece_count - tensors : 0;
    tresor__free(allocator, model->slices, slices * sizeof *model->slices);
    tresor__free(allocator, model->slice_pieces, slices * sizeof *model->slice_pieces);
    tresor__free(allocator, model->splits, tensors * sizeof *model->splits);
    tresor__free(allocator, model->order, model->piece_count * sizeof *model->order);
    tresor__free(allocator, model->spans, model->piece_count * sizeof *model->spans);
    tresor__free(allocator, model->intervals, model->interval_capacity * sizeof *model->intervals);
    tresor__free(allocator, model->covers, model->cover_count * sizeof *model->covers);
    tresor__free(allocator, model->bits, model->bit_words * sizeof *model->bits);
}

static void init_files(struct tresor__model *model)
{
    for (uint32_t i = 0; i < model->file_count; i++) {
        struct tresor__model_file *file = &model->files[i];
        tresor__file_init(&file->io, model->io, model->source, i);
        uint64_t unit = tresor__model_is_held(file) ? model->io->page_bytes : TRESOR__WINDOW_ALIGNMENT_BYTES;
        file->window_bytes = round_up(tresor__model_file_bytes(file), unit);
    }
}

static bool make_guards(struct tresor__model *model)
{
    uint64_t page = model->io->page_bytes;
    uint64_t place = 0;
    if (!model->io->is_guarded)
        return true;
    for (uint32_t i = 0; i < model->file_count; i++)
        model->guard_words += tresor__guard_words(model->files[i].window_bytes, page);
    model->guard_replaced =
        tresor__allocate(&model->allocator, model->guard_words * sizeof *model->guard_replaced);
    model->guard_heard =
        tresor__allocate(&model->allocator, model->guard_words * sizeof *model->guard_heard);
    for (uint32_t i = 0; model->guard_replaced && model->guard_heard && i < model->file_count; i++) {
        struct tresor__model_file *file = &model->files[i];
        file->guard.length_bytes = file->window_bytes;
        file->guard.page_bytes = page;
        file->guard.file_bytes = file->identity.size_bytes;
        file->guard.offset_bytes = file->origin.offset_bytes;
        file->guard.descriptor = file->descriptor;
        file->guard.replaced = model->guard_replaced + place;
        file->guard.heard = model->guard_heard + place;
        place += tresor__guard_words(file->window_bytes, page);
    }
    return model->guard_replaced && model->guard_heard;
}

static bool check_directory(struct tresor__model *model)
{
    uint64_t *sizes = tresor__allocate(&model->allocator, model->file_count * sizeof *sizes);
    model->parsed.error = (struct tresor_error){
        .code = TRESOR_ERROR_NO_MEMORY, .file = TRESOR_NONE, .tensor = TRESOR_NONE};
    if (!sizes)
        return false;
    for (uint32_t i = 0; i < model->file_count; i++)
        sizes[i] = tresor__model_file_bytes(&model->files[i]);
    int32_t code = tresor__directory_finish(&model->directory, model->format, sizes,
                                            model->file_count, &model->parsed.error);
    tresor__free(&model->allocator, sizes, model->file_count * sizeof *sizes);
    return code == TRESOR_OK;
}

int64_t tresor__model_index(struct tresor__model *model)
{
    model->parsed.status = TRESOR__PARSE_FAILED;
    if (!check_directory(model))
        return 0;
    init_files(model);
    model->piece_count = model->directory.entry_count;
    int32_t code = make_guards(model) ? tresor__model_make_tables(model) : TRESOR_ERROR_NO_MEMORY;
    model->parsed.error =
        (struct tresor_error){.code = code, .file = TRESOR_NONE, .tensor = TRESOR_NONE};
    if (code == TRESOR_OK)
        model->parsed.status = TRESOR__PARSE_DONE;
    return 0;
}
