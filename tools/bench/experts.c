/* SPDX-License-Identifier: MIT */
/* A mixture of experts in a quarter of its memory: each step uses some experts of one layer, some
 * much more often than others. By policies, against a mapping with as much memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tresor/tresor.h>

#include "cage.h"
#include "cold.h"
#include "direct.h"
#include "loading.h"
#include "measure.h"
#include "models.h"
#include "steady.h"
#include "walk.h"

#define MIB (1024.0 * 1024)

enum {
    COMMON_READAHEAD_BYTES = 128 * 1024,
    LAYERS = 3,
    EXPERTS = 64,
    ROLES = 3, /* tensors of an expert */
    USED = 8,
    PASS_STEPS = 50,
    WARM_PASSES =
        1, /* and one more when ways are compared: then a pass hits as often as the one before */
};

struct expert {
    struct range ranges[ROLES];
};

struct mixture {
    const char *path;
    uint32_t policy;
    uint64_t budget_bytes;
    struct expert experts[LAYERS][EXPERTS];
};

/* --- what is used --- */

struct trace {
    uint64_t state;
    double below[EXPERTS]; /* how likely a rank is at most that one */
    uint32_t expert_of_rank[LAYERS][EXPERTS];
};

struct step {
    uint32_t layer;
    uint32_t experts[USED];
};

/* A generator of equally likely bits (splitmix64), so that every side walks the same way. */
static uint64_t next_random(struct trace *trace)
{
    uint64_t bits = trace->state += UINT64_C(0x9e3779b97f4a7c15);
    bits = (bits ^ bits >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    bits = (bits ^ bits >> 27) * UINT64_C(0x94d049bb133111eb);
    return bits ^ bits >> 31;
}

static uint32_t random_below(struct trace *trace, uint32_t limit)
{
    return (uint32_t)((next_random(trace) >> 32) * limit >> 32);
}

/* Who is popular differs from layer to layer. */
static void shuffle(struct trace *trace, uint32_t *experts)
{
    for (uint32_t i = 0; i < EXPERTS; i++)
        experts[i] = i;
    for (uint32_t i = EXPERTS - 1; i > 0; i--) {
        uint32_t other = random_below(trace, i + 1);
        uint32_t expert = experts[i];
        experts[i] = experts[other];
        experts[other] = expert;
    }
}

/* Zipf's law with exponent 1: the n-th is used a n-th as often as the first. */
static void trace_begin(struct trace *trace)
{
    double sum = 0;
    *trace = (struct trace){.state = 64};
    for (uint32_t i = 0; i < EXPERTS; i++)
        sum += trace->below[i] = 1.0 / (i + 1);
    for (uint32_t i = 0; i < EXPERTS; i++)
        trace->below[i] = trace->below[i] / sum + (i > 0 ? trace->below[i - 1] : 0);
    for (uint32_t i = 0; i < LAYERS; i++)
        shuffle(trace, trace->expert_of_rank[i]);
}

static uint32_t random_rank(struct trace *trace)
{
    double point = (double)(next_random(trace) >> 11) / (double)(UINT64_C(1) << 53);
    uint32_t rank = 0;
    while (rank < EXPERTS - 1 && trace->below[rank] <= point)
        rank++;
    return rank;
}

static void trace_next(struct trace *trace, struct step *step)
{
    bool is_used[EXPERTS] = {false};
    step->layer = random_below(trace, LAYERS);
    for (uint32_t i = 0; i < USED;) {
        uint32_t expert = trace->expert_of_rank[step->layer][random_rank(trace)];
        if (is_used[expert])
            continue;
        is_used[expert] = true;
        step->experts[i++] = expert;
    }
}

/* --- by the library --- */

static const char *const roles[ROLES] = {"ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"};

static uint32_t find_tensor(const struct loading *loading, uint32_t layer, uint32_t role)
{
    char name[64];
    uint32_t tensor;
    snprintf(name, sizeof name, "blk.%u.%s.weight", layer, roles[role]);
    if (tresor_source_find_tensor(loading->context, loading->source, name, &tensor) != TRESOR_OK)
        give_up("no tensor %s", name);
    return tensor;
}

static void look_up(const struct loading *loading, uint32_t layer, uint32_t role,
                    struct mixture *mixture)
{
    struct tresor_slice_info info = {.size_bytes = sizeof info};
    uint32_t tensor = find_tensor(loading, layer, role);
    for (uint32_t i = 0; i < EXPERTS; i++) {
        if (tresor_source_get_slice(loading->context, loading->source, tensor, i, &info) !=
            TRESOR_OK)
            give_up("a tensor has too few experts");
        mixture->experts[layer][i].ranges[role] = (struct range){
            .offset_bytes = info.offset_bytes, .size_bytes = info.slice_bytes, .tensor = tensor};
    }
}

static void split(const struct loading *loading)
{
    if (tresor_split_pattern(loading->context, loading->source, "*_exps.*") != TRESOR_OK)
        give_up("the experts cannot be split");
}

struct cached {
    struct loading loading;
    struct tresor_item experts[LAYERS][EXPERTS];
};

static void make_expert(struct cached *cached, const struct mixture *mixture, uint32_t layer,
                        uint32_t expert)
{
    struct tresor_item slices[ROLES];
    for (uint32_t role = 0; role < ROLES; role++)
        if (tresor_item_of_slice(cached->loading.context, cached->loading.source,
                                 mixture->experts[layer][expert].ranges[role].tensor, expert,
                                 &slices[role]) != TRESOR_OK)
            give_up("a slice cannot be an item");
    if (tresor_item_of_items(cached->loading.context, slices, ROLES,
                             &cached->experts[layer][expert]) != TRESOR_OK)
        give_up("an expert cannot be an item");
}

static void open_cached(struct cached *cached, const struct mixture *mixture)
{
    struct tresor_context_options options = direct_options(TRESOR_BACKEND_AUTO, TRESOR_DIRECT_AUTO);
    options.budget_bytes = mixture->budget_bytes;
    options.policy = mixture->policy;
    loading_open(&cached->loading, mixture->path, &options);
    split(&cached->loading);
    for (uint32_t layer = 0; layer < LAYERS; layer++)
        for (uint32_t expert = 0; expert < EXPERTS; expert++)
            make_expert(cached, mixture, layer, expert);
}

/* Each slice is summed when it is there, while others are still being read. */
static void use_slice(const struct cached *cached, const struct tresor_event *event,
                      struct pass *pass)
{
    uint64_t size_bytes = 0;
    if (event->error.code != TRESOR_OK || !(event->flags & TRESOR_EVENT_PINNED))
        give_up("an expert is not there: %s", tresor_error_name(event->error.code));
    tresor_item_measure(cached->loading.context, event->item, NULL, &size_bytes);
    walk_sum(event->data, size_bytes);
    pass->used_bytes += size_bytes;
    tresor_release(cached->loading.context, event->item);
}

/* True when the request has ended. Between one slice and the next the context goes on, as it does in an engine's loop: what is
 * still to come is not held up by what is there. */
static bool take_events(const struct cached *cached, struct pass *pass)
{
    struct tresor_event event;
    while (tresor_next_event(cached->loading.context, &event) == 1) {
        tresor_dispatch(cached->loading.context);
        if (event.type == TRESOR_EVENT_ITEM)
            use_slice(cached, &event, pass);
        else if (event.type == TRESOR_EVENT_DONE)
            return true;
    }
    return false;
}

static void use_experts(const struct cached *cached, const struct step *step, struct pass *pass)
{
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .flags = TRESOR_REQUEST_PIN};
    struct tresor_request request;
    struct tresor_item items[USED];
    for (uint32_t i = 0; i < USED; i++)
        items[i] = cached->experts[step->layer][step->experts[i]];
    int32_t code = tresor_load(cached->loading.context, items, USED, &options, &request);
    if (code != TRESOR_OK)
        give_up("experts cannot be asked for: %s", tresor_error_name(code));
    while (!take_events(cached, pass))
        tresor_wait(cached->loading.context, -1);
}

static void count(const struct cached *cached, struct tresor_counters *counters)
{
    *counters = (struct tresor_counters){.size_bytes = sizeof *counters};
    tresor_get_counters(cached->loading.context, counters);
}

static void start_clocks(struct pass *pass)
{
    *pass = (struct pass){.seconds = now_seconds(), .processor_seconds = processor_seconds()};
}

static void stop_clocks(struct pass *pass)
{
    pass->seconds = now_seconds() - pass->seconds;
    pass->processor_seconds = processor_seconds() - pass->processor_seconds;
}

static void work_cached(struct cage *cage, const void *argument)
{
    static struct cached cached;
    const struct mixture *mixture = argument;
    struct tresor_counters before;
    struct tresor_counters after;
    struct trace trace;
    struct step step;
    struct pass pass;
    open_cached(&cached, mixture);
    trace_begin(&trace);
    cage_limit(cage, mixture->budget_bytes + SLACK_BYTES);
    while (cage_await(cage)) {
        count(&cached, &before);
        start_clocks(&pass);
        for (uint32_t i = 0; i < PASS_STEPS; i++) {
            trace_next(&trace, &step);
            use_experts(&cached, &step, &pass);
        }
        stop_clocks(&pass);
        count(&cached, &after);
        pass.read_bytes = after.read_bytes - before.read_bytes;
        pass.evicted = after.evicted - before.evicted;
        cage_answer(cage, &pass);
    }
}

/* --- by a mapping --- */

static void map_experts(const struct mixture *mixture, const struct mapped *mapped,
                        const struct step *step, struct pass *pass)
{
    const struct expert *experts = mixture->experts[step->layer];
    for (uint32_t i = 0; i < USED; i++)
        mapped_advise(mapped, experts[step->experts[i]].ranges, ROLES);
    for (uint32_t i = 0; i < USED; i++) {
        mapped_sum(mapped, experts[step->experts[i]].ranges, ROLES);
        for (uint32_t role = 0; role < ROLES; role++)
            pass->used_bytes += experts[step->experts[i]].ranges[role].size_bytes;
    }
}

static void work_mapped(struct cage *cage, const void *argument)
{
    const struct mixture *mixture = argument;
    struct mapped mapped;
    struct trace trace;
    struct step step;
    struct pass pass;
    mapped_open(&mapped, mixture->path, false);
    trace_begin(&trace);
    cage_limit(cage, mixture->budget_bytes + SLACK_BYTES);
    while (cage_await(cage)) {
        start_clocks(&pass);
        for (uint32_t i = 0; i < PASS_STEPS; i++) {
            trace_next(&trace, &step);
            map_experts(mixture, &mapped, &step, &pass);
        }
        stop_clocks(&pass);
        cage_answer(cage, &pass);
    }
    mapped_close(&mapped);
}

/* --- against each other --- */

struct side {
    struct cage cage;
    double processor[2 * PAIRS_MAX];
    uint32_t pass_count;
    uint64_t used_bytes;
    uint64_t read_bytes;
};

struct match {
    struct side *ours;
    struct side *other;
};

static double run_side(struct side *side)
{
    struct pass pass = cage_run(&side->cage);
    if (side->pass_count < 2 * PAIRS_MAX)
        side->processor[side->pass_count++] = pass.processor_seconds / PASS_STEPS;
    side->used_bytes += pass.used_bytes;
    side->read_bytes += pass.read_bytes;
    return pass.seconds / PASS_STEPS;
}

static double run_ours(void *argument)
{
    return run_side(((struct match *)argument)->ours);
}

static double run_other(void *argument)
{
    return run_side(((struct match *)argument)->other);
}

static void start_side(struct side *side, cage_work *work, const struct mixture *mixture)
{
    *side = (struct side){.pass_count = 0};
    cage_start(&side->cage, work, mixture);
    if (!side->cage.is_limited)
        puts("no memory control group can be made: what is mapped has all the memory there is");
    for (uint32_t i = 0; i < WARM_PASSES; i++)
        cage_run(&side->cage);
}

static void show_side(const char *name, struct side *side, bool counts)
{
    printf("%-44s %.4f s of processor a step", name, median(side->processor, side->pass_count));
    if (counts)
        printf(", %.1f%% of the bytes were there, %.1f of %.1f MiB a step read",
               100 - (double)side->read_bytes / (double)side->used_bytes * 100,
               (double)side->read_bytes / MIB / PASS_STEPS / side->pass_count,
               (double)side->used_bytes / MIB / PASS_STEPS / side->pass_count);
    putchar('\n');
}

/* How the experts lie in the file, which both models have alike. */
static void prepare(struct mixture *mixture)
{
    struct loading loading;
    loading_open(&loading, mixture->path, NULL);
    split(&loading);
    mixture->budget_bytes = loading.tensor_bytes / 4;
    for (uint32_t layer = 0; layer < LAYERS; layer++)
        for (uint32_t role = 0; role < ROLES; role++)
            look_up(&loading, layer, role, mixture);
    loading_close(&loading);
}

static bool measure_at(const struct settings *settings, const struct mixture *ours,
                       const struct mixture *other, uint64_t readahead_bytes, double target)
{
    static struct side sides[3];
    struct mixture least_recent = *ours;
    char name[64];
    least_recent.policy = TRESOR_POLICY_LRU;
    cold_evict(ours->path);
    cold_evict(other->path); /* or pages would be there that the cage is not charged for */
    start_side(&sides[0], work_cached, ours);
    start_side(&sides[1], work_mapped, other);
    start_side(&sides[2], work_cached, &least_recent);
    snprintf(name, sizeof name, "experts, lfru, mapping, readahead %llu KiB",
             (unsigned long long)readahead_bytes / 1024);
    struct match match = {&sides[0], &sides[1]};
    bool met = compare(name, run_ours, run_other, &match, settings->pairs, target);
    match.other = &sides[2];
    show("experts, lfru, lru", run_ours, run_other, &match, settings->pairs);
    show_side("experts, lfru", &sides[0], true);
    show_side("experts, lru", &sides[2], true);
    show_side("experts, mapping", &sides[1], false);
    for (uint32_t i = 0; i < 3; i++)
        cage_end(&sides[i].cage);
    return met;
}

bool bench_experts(const struct settings *settings)
{
    static struct mixture ours = {.policy = TRESOR_POLICY_LFRU};
    static struct mixture other;
    static char path[1024];
    static char other_path[1024];
    uint64_t readahead_bytes = 0;
    models_experts(settings, path, sizeof path);
    models_experts_mapped(settings, other_path, sizeof other_path);
    ours.path = path;
    prepare(&ours);
    other = ours;
    other.path = other_path;
    readahead_get(path, &readahead_bytes);
    bool met = measure_at(settings, &ours, &other, readahead_bytes, 1 / 2.0);
    if (readahead_bytes == COMMON_READAHEAD_BYTES || !readahead_set(path, COMMON_READAHEAD_BYTES)) {
        printf("the readahead is %llu KiB and stays so: not measured at another\n",
               (unsigned long long)readahead_bytes / 1024);
        return met;
    }
    met = measure_at(settings, &ours, &other, COMMON_READAHEAD_BYTES, 1 / 3.0) && met;
    readahead_restore();
    return met;
}
