/* SPDX-License-Identifier: MIT */
/*
 * Every allocation that does not go through the host's allocator fails, once and from then on: jansson's, which are
 * handed to it, and whatever the library might call by itself, which the linker wraps.
 */
#include "support/test.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "scenario.h"

#ifdef TRESOR__SAFETENSORS
#include <jansson.h>
#endif

static struct {
    bool armed;
    uint64_t calls;
    uint64_t fail_call;
    bool persistent;
    uint64_t failed;
    int64_t blocks;
} heap;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
    if (!heap.armed)
        return false;
    heap.calls++;
    bool chosen = heap.persistent ? heap.fail_call && heap.calls >= heap.fail_call
                                  : heap.calls == heap.fail_call;
    heap.failed += chosen;
    return chosen;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails() ? NULL : __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

static void *count_malloc(size_t size)
{
    void *block = __wrap_malloc(size);
    heap.blocks += block != NULL;
    return block;
}

static void count_free(void *block)
{
    heap.blocks -= block != NULL;
    free(block);
}

static void arm(bool on)
{
    heap.armed = on;
}

static void run(enum model_kind kind, uint64_t nth, bool persistent)
{
    heap.calls = 0;
    heap.fail_call = nth;
    heap.persistent = persistent;
    heap.failed = 0;
    heap.blocks = 0;
    struct scenario scenario = {.set = scenario_model(kind), .arm = arm, .default_allocator = true};
    scenario_must_hold(&scenario);
    assert_int_equal(heap.blocks, 0);
    if (heap.failed > 0)
        assert_true(scenario.failed_requests > 0);
}

static void fail_each(enum model_kind kind, bool persistent)
{
    uint64_t runs = 0;
    for (uint64_t nth = 1;; nth++, runs++) {
        run(kind, nth, persistent);
        if (heap.failed == 0)
            break;
    }
    print_message("# %s: %" PRIu64 " runs\n", model_kind_name(kind), runs);
    assert_true(runs > 0);
}

static void every_allocation(void **state)
{
    (void)state;
#ifdef TRESOR__SAFETENSORS
    json_set_alloc_funcs(count_malloc, count_free);
#endif
    for (uint32_t kind = 0; kind < scenario_kinds(); kind++) {
        fail_each((enum model_kind)kind, false);
        fail_each((enum model_kind)kind, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation)};
    (void)count_malloc;
    (void)count_free;
    return cmocka_run_group_tests_name("fault_jansson", tests, scenario_setup, scenario_teardown);
}
