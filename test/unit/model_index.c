/* SPDX-License-Identifier: MIT */
/* The intervals that a model's tensors make, in layouts made by hand and in large ones. */
#include <stdlib.h>

#include "core/allocator.h"
#include "core/handle.h"
#include "source/model_split.h"
#include "support/failing_allocator.h"
#include "support/model.h"
#include "support/test.h"

enum {
    PAGE = 4096
};

static struct tresor__io io = {.page_bytes = PAGE};

static struct tresor_allocator host(void)
{
    return tresor__allocator_or_default(NULL);
}

/* One file of 100 pages, and where its intervals begin; the last number is the end. */
static void check_starts(const struct model_tensor *tensors, uint32_t count, const uint64_t *starts,
                         uint32_t intervals)
{
    const uint64_t file_bytes = 100 * PAGE;
    const struct model_layout layout = {tensors, count, &file_bytes, 1, 3};
    struct tresor_allocator allocator = host();
    struct tresor__model model;
    assert_error(model_make(&model, &allocator, &io, &layout), TRESOR_OK);
    const struct tresor__ledger *ledger = &model.files[0].io.ledger;
    assert_int_equal(ledger->interval_count, intervals);
    for (uint32_t i = 0; intervals > 0 && i <= intervals; i++)
        assert_int_equal(ledger->intervals[i].start_bytes, starts[i] * PAGE);
    tresor__ledger_check(ledger);
    tresor__model_free(&model);
}

#define CHECK_STARTS(tensors, ...)                                                                 \
    do {                                                                                           \
        const uint64_t starts[] = {__VA_ARGS__};                                                   \
        check_starts(tensors, sizeof(tensors) / sizeof(tensors)[0], starts,                        \
                     (uint32_t)(sizeof starts / sizeof starts[0]) - 1);                            \
    } while (0)

static void by_hand(void **state)
{
    (void)state;
    const struct model_tensor whole[] = {{0, 0, PAGE}};
    CHECK_STARTS(whole, 0, 1);
    const struct model_tensor tiny[] = {{0, 5 * PAGE + 7, 1}};
    CHECK_STARTS(tiny, 5, 6);
    const struct model_tensor neighbours[] = {{0, 0, PAGE}, {0, PAGE, PAGE}};
    CHECK_STARTS(neighbours, 0, 1, 2);
    const struct model_tensor sharing[] = {{0, 0, PAGE + 1}, {0, PAGE + 1, 2 * PAGE}};
    CHECK_STARTS(sharing, 0, 1, 2, 4);
    const struct model_tensor apart[] = {{0, 0, PAGE}, {0, 9 * PAGE, 10}};
    CHECK_STARTS(apart, 0, 1, 9, 10); /* the gap is an interval that nobody uses */
    const struct model_tensor in_one_page[] = {{0, 0, 32}, {0, 32, 32}, {0, 64, 4032}};
    CHECK_STARTS(in_one_page, 0, 1);
    const struct model_tensor inside[] = {{0, 0, 10 * PAGE}, {0, 4 * PAGE, 2 * PAGE}};
    CHECK_STARTS(inside, 0, 4, 6, 10);
    const struct model_tensor twins[] = {{0, PAGE, PAGE}, {0, PAGE, PAGE}};
    CHECK_STARTS(twins, 1, 2);
    const struct model_tensor crossing[] = {{0, 0, 5 * PAGE}, {0, 2 * PAGE, 6 * PAGE}};
    CHECK_STARTS(crossing, 0, 2, 5, 8);
    const struct model_tensor backwards[] = {{0, 8 * PAGE, PAGE}, {0, 0, PAGE}, {0, 50, 10}};
    CHECK_STARTS(backwards, 0, 1, 8, 9);
    const struct model_tensor empty[] = {{0, 3 * PAGE, 0}};
    check_starts(empty, 1, NULL, 0);
    check_starts(NULL, 0, NULL, 0);
}

static void spans_and_order(void **state)
{
    static const struct model_tensor tensors[] = {
        {0, 9000, 100},   /* page 2 */
        {0, 0, 9000},     /* pages 0 to 2 */
        {0, 20000, 0},    /* nothing */
        {1, 100, 10},     /* of another file */
        {1, 0, 3 * PAGE}, /* overlaps it */
        {1, 100, 10},     /* stands where another does */
    };
    static const uint64_t file_bytes[] = {30000, 3 * PAGE};
    static const uint32_t order[] = {1, 0, 2, 4, 3, 5};
    const struct model_layout layout = {tensors, 6, file_bytes, 2, 3};
    struct tresor_allocator allocator = host();
    struct tresor__model model;
    (void)state;
    assert_error(model_make(&model, &allocator, &io, &layout), TRESOR_OK);
    assert_memory_equal(model.order, order, sizeof order);
    assert_int_equal(model.directory.overlap_count, 2);
    assert_int_equal(model.spans[0].first_interval, 1);
    assert_int_equal(model.spans[0].interval_count, 1);
    assert_int_equal(model.spans[1].first_interval, 0);
    assert_int_equal(model.spans[1].interval_count, 2);
    assert_int_equal(model.spans[2].interval_count, 0);
    assert_int_equal(model.files[0].io.ledger.order_count, 3);
    assert_int_equal(model.files[1].io.ledger.order_count, 3);
    assert_ptr_equal(model.files[1].io.ledger.order, model.order + 3);
    assert_int_equal(model.spans[4].interval_count, 2);
    assert_int_equal(model.spans[3].interval_count, 1);
    assert_int_equal(model.files[0].window_bytes, TRESOR__WINDOW_ALIGNMENT_BYTES);
    tresor__model_free(&model);
}

static void past_the_end(void **state)
{
    static const struct model_tensor tensors[] = {{0, 0, 100}, {0, 4000, 97}};
    const uint64_t file_bytes = 4096;
    const struct model_layout layout = {tensors, 2, &file_bytes, 1, 3};
    struct tresor_allocator allocator = host();
    struct tresor__model model;
    (void)state;
    assert_error(model_make(&model, &allocator, &io, &layout), TRESOR_ERROR_TRUNCATED);
    assert_int_equal(model.parsed.error.tensor, 1);
    assert_int_equal(model.parsed.error.wanted, 97);
    assert_int_equal(model.parsed.error.got, 96);
    tresor__model_free(&model);
}

/* --- split ones --- */

static void make_splittable(struct tresor__model *model, uint32_t tensor, uint64_t extent)
{
    struct tresor__entry *entry = &model->directory.entries[tensor];
    entry->rank = 3;
    entry->shape[0] = 7;
    entry->shape[1] = 5;
    entry->shape[2] = extent;
}

static int32_t split(struct tresor__model *model, const uint32_t *tensors, size_t count)
{
    struct tresor__model next;
    int32_t code = tresor__model_split(model, tensors, count, &next);
    if (code == TRESOR_OK)
        tresor__model_split_swap(model, &next);
    tresor__model_split_free(&next);
    return code;
}

static void slices(void **state)
{
    static const struct model_tensor tensors[] = {
        {0, 100, 1000},             /* page 0 */
        {0, 1100, 4 * PAGE},        /* four slices of a page each, not one on a page's bound */
        {0, 1100 + 4 * PAGE, 3000}, /* pages 4 and 5 */
        {0, 2 * PAGE, 100},         /* inside slices */
        {1, 0, 0},                  /* no bytes, of another file */
        {1, 10, 2 * PAGE},
    };
    static const uint64_t file_bytes[] = {8 * PAGE, 3 * PAGE};
    static const uint64_t starts[] = {0, 1, 2, 3, 4, 5, 6};
    static const uint32_t chosen[] = {4, 1};
    static const uint32_t order[] = {0, 8, 9, 3, 10, 11, 2, 6, 7, 5};
    const struct model_layout layout = {tensors, 6, file_bytes, 2, 3};
    struct tresor_allocator allocator = host();
    struct tresor__model model;
    (void)state;
    assert_error(model_make(&model, &allocator, &io, &layout), TRESOR_OK);
    make_splittable(&model, 1, 4);
    make_splittable(&model, 4, 2);
    struct tresor__ledger *leaky = &model.files[1].io.ledger;
    leaky->intervals[0].leaked = true;
    leaky->intervals[0].charged = true;
    leaky->leaked_bytes = 3 * PAGE;
    leaky->charged_bytes = 3 * PAGE;
    io.room.charged_bytes = 3 * PAGE;
    io.room.leaked_bytes = 3 * PAGE;
    const struct tresor__span *spans = model.spans;
    assert_error(split(&model, chosen, 2), TRESOR_OK);
    assert_ptr_not_equal(model.spans, spans);
    assert_int_equal(model.piece_count, 12);
    assert_int_equal(model.order_count, 10);
    assert_memory_equal(model.order, order, sizeof order);
    const struct tresor__ledger *ledger = &model.files[0].io.ledger;
    assert_int_equal(ledger->order_count, 7);
    assert_ptr_equal(model.files[1].io.ledger.order, model.order + 7);
    assert_int_equal(ledger->interval_count, 6);
    for (uint32_t i = 0; i <= 6; i++)
        assert_int_equal(ledger->intervals[i].start_bytes, starts[i] * PAGE);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(model.spans[8 + i].first_interval, i);
        assert_int_equal(model.spans[8 + i].interval_count, 2);
        assert_int_equal(tresor__model_offset(&model, 8 + i), 1100 + i * PAGE);
        assert_int_equal(tresor__model_tensor(&model, 8 + i), 1);
    }
    assert_int_equal(model.spans[6].interval_count, 0);
    tresor__ledger_check(ledger);
    tresor__ledger_check(&model.files[1].io.ledger);
    /* What was split stays so, and others may follow. */
    make_splittable(&model, 5, 2);
    assert_error(split(&model, (const uint32_t[]){5}, 1), TRESOR_OK);
    assert_int_equal(model.piece_count, 14);
    assert_int_equal(tresor__model_tensor(&model, 11), 1);
    assert_int_equal(tresor__model_tensor(&model, 13), 5);
    tresor__ledger_check(&model.files[1].io.ledger);
    assert_int_equal(tresor__ledger_leave_room(&model.files[1].io.ledger), 3 * PAGE);
    assert_int_equal(io.room.leaked_bytes, 0);
    tresor__model_free(&model);
}

static void no_slices(void **state)
{
    static const struct model_tensor tensors[] = {{0, 0, 1000}, {0, 1000, 0}};
    static const uint32_t both[] = {0, 1};
    const uint64_t file_bytes = PAGE;
    const struct model_layout layout = {tensors, 2, &file_bytes, 1, 3};
    struct tresor_allocator allocator = host();
    struct tresor__model model;
    (void)state;
    assert_error(model_make(&model, &allocator, &io, &layout), TRESOR_OK);
    make_splittable(&model, 1, 3);
    static const uint64_t bad[] = {0, 1, 3, 7, 999, 1001, UINT64_MAX};
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        make_splittable(&model, 0, bad[i]); /* a block would be in two slices, or there is only one */
        assert_int_equal(tresor__model_splittable(&model, 0), 0);
        assert_error(split(&model, both, 2), TRESOR_ERROR_INVALID);
    }
    /* A header can say that nothing at all has very many parts. */
    make_splittable(&model, 0, 1000);
    make_splittable(&model, 1, TRESOR__TENSORS_MAX - 1000 - 1);
    assert_error(split(&model, both, 2), TRESOR_ERROR_LIMIT);
    make_splittable(&model, 1, UINT64_MAX);
    assert_error(split(&model, both, 2), TRESOR_ERROR_LIMIT);
    assert_null(model.splits);
    assert_int_equal(model.piece_count, 2);
    /* The first dimension is the outermost one of the other order. */
    model.directory.shape_order = TRESOR_SHAPE_OUTERMOST_FIRST;
    model.directory.entries[0].shape[0] = 4;
    assert_int_equal(tresor__model_splittable(&model, 0), 4);
    model.directory.entries[0].rank = 2;
    assert_error(split(&model, both, 1), TRESOR_OK);
    assert_int_equal(model.splits[0].count, 4);
    tresor__ledger_check(&model.files[0].io.ledger);
    tresor__model_free(&model);
}

/* --- large ones --- */

enum {
    LARGE = 100000
};

static uint64_t counted_calls(uint32_t count, bool overlapping)
{
    struct failing_allocator counts = {0};
    struct tresor_allocator allocator = failing_allocator_hooks(&counts);
    struct model_tensor *tensors = malloc(count * sizeof *tensors);
    struct tresor__model model;
    assert_non_null(tensors);
    uint64_t end = 0;
    for (uint32_t i = 0; i < count; i++) {
        tensors[i] = (struct model_tensor){.offset_bytes = end, .size_bytes = 96 + i % 7 * 5000};
        end += overlapping ? 2048 : tensors[i].size_bytes;
    }
    const uint64_t file_bytes = end + 40000;
    const struct model_layout layout = {tensors, count, &file_bytes, 1, 3};
    assert_error(model_make(&model, &allocator, &io, &layout), TRESOR_OK);
    const struct tresor__ledger *ledger = &model.files[0].io.ledger;
    assert_true(ledger->interval_count <= 2 * count + 1);
    tresor__ledger_check(ledger);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < ledger->interval_count; i++) {
        assert_true(ledger->intervals[i].start_bytes < ledger->intervals[i + 1].start_bytes);
        bytes += ledger->intervals[i + 1].start_bytes - ledger->intervals[i].start_bytes;
    }
    assert_true(bytes >= end);
    /* All memory that a model of so many tensors takes, for each tensor. */
    assert_true(counts.peak_bytes / count < 2000);
    tresor__model_free(&model);
    assert_int_equal(counts.outstanding_bytes, 0);
    free(tensors);
    return counts.calls;
}

/* Experts of a large model: tables, and not a call or a search a slice. */
static void many_slices(void **state)
{
    enum {
        EACH = 128
    };
    struct failing_allocator counts = {0};
    struct tresor_allocator allocator = failing_allocator_hooks(&counts);
    struct model_tensor *tensors = malloc(LARGE / EACH * sizeof *tensors);
    uint32_t *list = malloc(LARGE / EACH * sizeof *list);
    struct tresor__model model;
    (void)state;
    assert_non_null(tensors);
    assert_non_null(list);
    for (uint32_t i = 0; i < LARGE / EACH; i++) {
        tensors[i] = (struct model_tensor){.offset_bytes = i * 5000ull * EACH, .size_bytes = 5000ull * EACH};
        list[i] = LARGE / EACH - 1 - i;
    }
    const uint64_t file_bytes = LARGE / EACH * 5000ull * EACH;
    const struct model_layout layout = {tensors, LARGE / EACH, &file_bytes, 1, 3};
    assert_error(model_make(&model, &allocator, &io, &layout), TRESOR_OK);
    for (uint32_t i = 0; i < LARGE / EACH; i++)
        make_splittable(&model, i, EACH);
    uint64_t calls = counts.calls;
    assert_error(split(&model, list, LARGE / EACH), TRESOR_OK);
    assert_true(counts.calls - calls < 16);
    assert_int_equal(model.order_count, LARGE / EACH * EACH);
    for (uint32_t i = 1; i < model.order_count; i++)
        assert_int_equal(tresor__model_offset(&model, model.order[i]),
                         tresor__model_offset(&model, model.order[i - 1]) + 5000);
    tresor__ledger_check(&model.files[0].io.ledger);
    tresor__model_free(&model);
    assert_int_equal(counts.outstanding_bytes, 0);
    free(tensors);
    free(list);
}

/* A slow way of sorting or searching would take minutes, and the test's time is limited. */
static void large(void **state)
{
    (void)state;
    for (int overlapping = 0; overlapping < 2; overlapping++) {
        uint64_t calls = counted_calls(LARGE, overlapping);
        uint64_t calls_of_few = counted_calls(LARGE / 100, overlapping);
        assert_true(calls <= calls_of_few + 64); /* tables, not a call a tensor */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(spans_and_order),
        cmocka_unit_test(past_the_end),
        cmocka_unit_test(slices),
        cmocka_unit_test(no_slices),
        cmocka_unit_test(many_slices),
        cmocka_unit_test(large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
