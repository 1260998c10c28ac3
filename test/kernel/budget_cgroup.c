/* SPDX-License-Identifier: MIT */
/*
 * A budget as the system counts it: a model larger than its budget is walked in a memory control group of the walk's own,
 * where the page cache that it uses is counted too, and the group's peak stays near the budget.
 */
#include "support/test.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "real.h"
#include "support/child.h"
#include "support/own_cgroup.h"
#include "support/sanitizer.h"

enum {
    MIB = 1024 * 1024,
    TENSORS_MAX = 250,
    BUDGET_BYTES = 96 * MIB,
    SLACK_BYTES = 16 * MIB, /* tables of pages, threads, the ring */
    PASSES = 2,
};

/* Of the latter two lie in most of the large pages that a system reads by. */
static const struct size {
    uint32_t tensors;
    uint64_t tensor_bytes;
} sizes[] = {{41, 6 * MIB + 123456}, {TENSORS_MAX, MIB + 4000}};

static struct real real;
static const struct size *size;
static struct own_cgroup own;

struct walk {
    uint32_t strategy;
    bool has_plan;
    /* What came of it. */
    bool is_done;
    int32_t code;
    uint32_t wrong; /* tensors that did not hold the file's bytes */
    uint64_t base_bytes;
    uint64_t peak_bytes;
};

static const unsigned char *expected(const struct tresor_tensor_info *tensor)
{
    return real.set.parts[0].bytes.data + tensor->offset_bytes;
}

static int32_t finish(struct tresor_context *context, int32_t code, struct tresor_request request)
{
    return code == TRESOR_OK ? tresor_finish(context, request, 1, NULL) : code;
}

/* An ITEM event hands its pin over; one that is discarded would give it back. */
static void take_events(struct tresor_context *context)
{
    struct tresor_event event;
    while (tresor_next_event(context, &event) == 1)
        continue;
}

/* On demand each is loaded with its pin; a plan brings it, and it is waited for. */
static int32_t take(struct tresor_context *context, struct tresor_item item, const struct walk *walk)
{
    const struct tresor_request_options options = {
        .size_bytes = sizeof options, .strategy = walk->strategy, .flags = TRESOR_REQUEST_PIN};
    struct tresor_request request;
    if (walk->has_plan)
        return tresor_acquire_wait(context, item, -1, NULL);
    int32_t code = tresor_load(context, &item, 1, &options, &request);
    if (code == TRESOR_OK)
        code = tresor_finish(context, request, 0, NULL);
    take_events(context);
    return code;
}

static int32_t use(struct tresor_context *context, struct tresor_source source, uint32_t index,
                   struct walk *walk)
{
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    struct tresor_item item;
    int32_t code = tresor_item_of_tensor(context, source, index, &item);
    if (code == TRESOR_OK)
        code = tresor_source_get_tensor(context, source, index, &tensor);
    if (code == TRESOR_OK)
        code = take(context, item, walk);
    if (code != TRESOR_OK)
        return code;
    walk->wrong += memcmp(tensor.address, expected(&tensor), tensor.tensor_bytes) != 0;
    return tresor_release(context, item);
}

static int32_t plan_all(struct tresor_context *context, struct tresor_source source,
                        const struct walk *walk, struct tresor_request *request)
{
    const struct tresor_plan_options options = {.size_bytes = sizeof options,
                                                .flags = TRESOR_PLAN_CYCLIC,
                                                .strategy = walk->strategy};
    struct tresor_item items[TENSORS_MAX];
    for (uint32_t i = 0; i < size->tensors; i++)
        if (tresor_item_of_tensor(context, source, i, &items[i]) != TRESOR_OK)
            return TRESOR_ERROR_INVALID;
    return tresor_plan(context, items, size->tensors, &options, request);
}

static int32_t walk_all(struct tresor_context *context, struct walk *walk)
{
    struct tresor_source source;
    struct tresor_request request;
    int32_t code =
        tresor_source_open(context, model_set_path(&real.set), 0, &source, &request);
    code = finish(context, code, request);
    if (code == TRESOR_OK && walk->has_plan)
        code = plan_all(context, source, walk, &request);
    for (uint32_t pass = 0; pass < PASSES; pass++)
        for (uint32_t i = 0; i < size->tensors && code == TRESOR_OK; i++)
            code = use(context, source, i, walk);
    if (code == TRESOR_OK && walk->has_plan)
        code = tresor_cancel(context, request);
    if (code == TRESOR_OK)
        code = tresor_source_close(context, source, 0, &request);
    return finish(context, code, request);
}

static void run_walk(void *shared)
{
    struct walk *walk = shared;
    struct tresor_context *context = NULL;
    struct tresor_context_options options = {.size_bytes = sizeof options,
                                             .backend = session_options(NULL).backend,
                                             .budget_bytes = BUDGET_BYTES};
    if (!own_cgroup_enter(&own) || !own_cgroup_used(&own, &walk->base_bytes))
        return;
    walk->code = tresor_context_create(&options, &context);
    if (walk->code == TRESOR_OK)
        walk->code = walk_all(context, walk);
    walk->is_done = own_cgroup_peak(&own, &walk->peak_bytes);
    if (context)
        tresor_context_destroy(context);
}

/* What is in the page cache was counted when it came there, so none of it may be. */
static uint64_t forget_cached(void)
{
    const struct tresor__sys *sys = tresor__sys_posix();
    struct stat status;
    uint64_t readahead_bytes = 0;
    int descriptor = open(model_set_path(&real.set), O_RDONLY | O_CLOEXEC);
    assert_true(descriptor >= 0);
    fsync(descriptor);
    sys->advise_file(sys->cookie, descriptor, 0, 0, TRESOR__SYS_FILE_DONTNEED);
    if (fstat(descriptor, &status) == 0)
        sys->readahead_bytes(sys->cookie, status.st_dev, &readahead_bytes);
    close(descriptor);
    return readahead_bytes;
}

static void walk_in_group(uint32_t strategy, bool has_plan)
{
    struct walk *walk = child_share(sizeof *walk);
    uint64_t readahead_bytes = forget_cached();
    walk->strategy = strategy;
    walk->has_plan = has_plan;
    assert_true(own_cgroup_make(&own));
    bool lived = child_run(run_walk, walk);
    assert_true(own_cgroup_remove(&own));
    assert_true(lived && walk->is_done);
    assert_error(walk->code, TRESOR_OK);
    assert_int_equal(walk->wrong, 0);
    uint64_t grown_bytes = walk->peak_bytes - walk->base_bytes;
    print_message("# %s, %s: %" PRIu64 " KiB at most, readahead %" PRIu64 " KiB\n",
                  strategy == TRESOR_STRATEGY_READ ? "read" : "mmap", has_plan ? "planned" : "on demand", grown_bytes / 1024,
                  readahead_bytes / 1024);
    assert_true(grown_bytes <= BUDGET_BYTES + SLACK_BYTES + 2 * readahead_bytes);
    if (strategy == TRESOR_STRATEGY_READ)
        assert_true(grown_bytes >= BUDGET_BYTES / 4 * 3);
    child_unshare(walk, sizeof *walk);
}

static void make_model(const struct size *chosen)
{
    static struct model_tensor tensors[TENSORS_MAX];
    size = chosen;
    for (uint32_t i = 0; i < size->tensors; i++)
        tensors[i] =
            (struct model_tensor){.size_bytes = size->tensor_bytes, .offset_bytes = MODEL_NEXT};
    real_make_gguf(&real, tensors, size->tensors);
}

static void remove_model(void)
{
    model_set_free(&real.set);
    temporary_remove(real.folder);
}

static void walk_all_sizes(uint32_t strategy)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_model(&sizes[i]);
        walk_in_group(strategy, false);
        walk_in_group(strategy, true);
        remove_model();
    }
}

static void reads_stay_within_the_budget(void **state)
{
    (void)state;
    walk_all_sizes(TRESOR_STRATEGY_READ);
}

static void mappings_stay_within_the_budget(void **state)
{
    (void)state;
    walk_all_sizes(TRESOR_STRATEGY_MMAP);
}

static bool can_count(void)
{
    uint64_t bytes;
    bool can = own_cgroup_make(&own) && own_cgroup_used(&own, &bytes) && own_cgroup_peak(&own, &bytes);
    own_cgroup_remove(&own);
    return can;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_stay_within_the_budget),
        cmocka_unit_test(mappings_stay_within_the_budget),
    };
    if (HAS_ADDRESS_SANITIZER)
        return skip_program("the address sanitizer's own memory would be counted");
    if (!can_count())
        return skip_program("no control group that counts its memory can be made here");
    return cmocka_run_group_tests_name("kernel_budget_cgroup", tests, NULL, NULL);
}
