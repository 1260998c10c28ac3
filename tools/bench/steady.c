/* SPDX-License-Identifier: MIT */
#include "steady.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tresor/tresor.h>

#include "direct.h"
#include "loading.h"
#include "measure.h"

/* The steps of a pass: first some to come into it, then each once. */
struct course {
    const struct walk *walk;
    uint32_t step;
    uint32_t lead_in;
    uint32_t left;
};

static void begin_pass(struct course *course)
{
    course->lead_in = (course->walk->step_count + 7) / 8;
    course->left = course->lead_in + course->walk->step_count;
}

static bool is_measured_from_here(const struct course *course)
{
    return course->left == course->walk->step_count;
}

static void next_step(struct course *course)
{
    course->left--;
    course->step = course->step + 1 < course->walk->step_count ? course->step + 1 : 0;
}

static uint32_t ranges_of(const struct walk *walk, uint32_t step, const struct range **ranges)
{
    *ranges = &walk->ranges[walk->firsts[step]];
    return walk->firsts[step + 1] - walk->firsts[step];
}

static void start_clocks(struct pass *pass)
{
    pass->seconds = now_seconds();
    pass->processor_seconds = processor_seconds();
}

static void stop_clocks(struct pass *pass)
{
    pass->seconds = now_seconds() - pass->seconds;
    pass->processor_seconds = processor_seconds() - pass->processor_seconds;
}

/* --- by a plan --- */

struct planned {
    struct loading loading;
    struct tresor_item *items; /* of each step */
    struct course course;
    struct pass pass;
    struct tresor_counters before; /* of the measured part */
    atomic_bool is_measuring;
    atomic_bool is_over;
};

static void make_items(struct planned *planned, const struct walk *walk)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    planned->items = calloc(walk->step_count, sizeof *planned->items);
    uint32_t *tensors = calloc(walk->firsts[walk->step_count], sizeof *tensors);
    if (!planned->items || !tensors)
        give_up("no memory");
    for (uint32_t i = 0; i < walk->firsts[walk->step_count]; i++) {
        tensors[i] = walk->ranges[i].tensor;
        if (tresor_source_get_tensor(planned->loading.context, planned->loading.source, tensors[i],
                                     &info) != TRESOR_OK)
            give_up("a tensor cannot be asked about");
        walk->ranges[i].address = info.address;
    }
    for (uint32_t i = 0; i < walk->step_count; i++)
        if (tresor_item_of_list(planned->loading.context, planned->loading.source,
                                &tensors[walk->firsts[i]], walk->firsts[i + 1] - walk->firsts[i],
                                &planned->items[i]) != TRESOR_OK)
            give_up("a step cannot be an item");
    free(tensors);
}

static void submit_plan(struct planned *planned, const struct steady *steady)
{
    struct tresor_request request;
    struct tresor_plan_options options = {.size_bytes = sizeof options,
                                          .flags = TRESOR_PLAN_CYCLIC,
                                          .strategy = steady->strategy,
                                          .window_bytes = steady->window_bytes};
    int32_t code = tresor_plan(planned->loading.context, planned->items, steady->walk->step_count,
                               &options, &request);
    if (code != TRESOR_OK)
        give_up("no plan: %s", tresor_error_name(code));
}

static void use_step(struct planned *planned)
{
    const struct range *ranges;
    uint32_t step = planned->course.step;
    uint32_t count = ranges_of(planned->course.walk, step, &ranges);
    int32_t code =
        tresor_acquire_wait(planned->loading.context, planned->items[step], -1, NULL);
    if (code != TRESOR_OK)
        give_up("a step cannot be used: %s", tresor_error_name(code));
    for (uint32_t i = 0; i < count; i++)
        walk_sum(ranges[i].address, ranges[i].size_bytes);
    tresor_release(planned->loading.context, planned->items[step]);
}

static void *consume(void *argument)
{
    struct planned *planned = argument;
    for (begin_pass(&planned->course); planned->course.left > 0; next_step(&planned->course)) {
        if (is_measured_from_here(&planned->course)) {
            start_clocks(&planned->pass);
            atomic_store(&planned->is_measuring, true);
            tresor_wake(planned->loading.context);
        }
        use_step(planned);
    }
    stop_clocks(&planned->pass);
    atomic_store(&planned->is_over, true);
    tresor_wake(planned->loading.context);
    return NULL;
}

static void count(const struct planned *planned, struct tresor_counters *counters)
{
    *counters = (struct tresor_counters){.size_bytes = sizeof *counters};
    tresor_get_counters(planned->loading.context, counters);
}

static void fail_on(const struct tresor_event *event)
{
    if (event->type == TRESOR_EVENT_ITEM || event->type == TRESOR_EVENT_DONE)
        give_up("a load of the plan failed: %s", tresor_error_name(event->error.code));
}

/* The context's thread, as a host has it. */
static void serve(struct planned *planned)
{
    bool was_measuring = false;
    struct tresor_counters counters;
    struct tresor_event event;
    while (!atomic_load(&planned->is_over)) {
        tresor_wait(planned->loading.context, -1);
        while (tresor_next_event(planned->loading.context, &event) == 1)
            fail_on(&event);
        if (!was_measuring && atomic_load(&planned->is_measuring)) {
            was_measuring = true;
            count(planned, &planned->before);
        }
        count(planned, &counters);
        if (counters.charged_bytes > planned->pass.charged_most_bytes)
            planned->pass.charged_most_bytes = counters.charged_bytes;
    }
    planned->pass.read_bytes = counters.read_bytes - planned->before.read_bytes;
    planned->pass.misses = counters.misses - planned->before.misses;
    planned->pass.late = counters.late - planned->before.late;
    planned->pass.evicted = counters.evicted - planned->before.evicted;
    planned->pass.wasted = counters.wasted - planned->before.wasted;
}

static void pass_planned(struct planned *planned)
{
    pthread_t consumer;
    planned->pass = (struct pass){.used_bytes = planned->course.walk->total_bytes};
    atomic_store(&planned->is_measuring, false);
    atomic_store(&planned->is_over, false);
    if (pthread_create(&consumer, NULL, consume, planned) != 0)
        give_up("no thread");
    serve(planned);
    pthread_join(consumer, NULL);
}

void steady_plan(struct cage *cage, const void *argument)
{
    const struct steady *steady = argument;
    struct planned planned = {.course.walk = steady->walk};
    struct tresor_context_options options = direct_options(TRESOR_BACKEND_AUTO, TRESOR_DIRECT_AUTO);
    options.strategy = steady->strategy;
    options.block_bytes = steady->block_bytes;
    options.budget_bytes = steady->budget_bytes;
    loading_open(&planned.loading, steady->path, &options);
    make_items(&planned, steady->walk);
    submit_plan(&planned, steady);
    cage_limit(cage, steady->budget_bytes + SLACK_BYTES);
    while (cage_await(cage)) {
        pass_planned(&planned);
        cage_answer(cage, &planned.pass);
    }
}

/* --- by a mapping --- */

static void pass_mapped(const struct mapped *mapped, struct course *course, struct pass *pass)
{
    const struct range *ranges;
    *pass = (struct pass){.used_bytes = course->walk->total_bytes};
    for (begin_pass(course); course->left > 0; next_step(course)) {
        if (is_measured_from_here(course))
            start_clocks(pass);
        uint32_t next = course->step + 1 < course->walk->step_count ? course->step + 1 : 0;
        uint32_t range_count = ranges_of(course->walk, next, &ranges);
        mapped_advise(mapped, ranges, range_count);
        range_count = ranges_of(course->walk, course->step, &ranges);
        mapped_sum(mapped, ranges, range_count);
    }
    stop_clocks(pass);
}

void steady_mapping(struct cage *cage, const void *argument)
{
    const struct steady *steady = argument;
    struct course course = {.walk = steady->walk};
    struct mapped mapped;
    struct pass pass;
    mapped_open(&mapped, steady->path, true);
    cage_limit(cage, steady->budget_bytes + SLACK_BYTES);
    while (cage_await(cage)) {
        pass_mapped(&mapped, &course, &pass);
        cage_answer(cage, &pass);
    }
    mapped_close(&mapped);
}
