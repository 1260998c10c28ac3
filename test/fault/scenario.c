/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include "support/test.h"

#include <inttypes.h>
#include <string.h>

enum {
    COPY_BYTES = 64 * 1024, /* of one tensor at the most */
    TENSORS_MAX = 16,
};

struct run {
    struct scenario *scenario;
    struct session session;
    struct faulty_sys faulty;
    struct failing_allocator memory;
    const void *addresses[TENSORS_MAX];
    uint32_t tensor_count;
    size_t context_bytes; /* mapped by the context itself */
};

static struct run run; /* large, and one at a time */

static void violate(const char *text)
{
    if (!run.session.violation[0])
        snprintf(run.session.violation, sizeof run.session.violation, "%s", text);
}

static int32_t count(int32_t code)
{
    run.scenario->failed_requests += code != TRESOR_OK;
    return code;
}

static void keep_addresses(void)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    while (run.tensor_count < TENSORS_MAX &&
           tresor_source_get_tensor(run.session.context, run.session.source, run.tensor_count,
                                    &info) == TRESOR_OK)
        run.addresses[run.tensor_count++] = info.address;
}

static void check_addresses(void)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    for (uint32_t i = 0; i < run.tensor_count; i++) {
        tresor_source_get_tensor(run.session.context, run.session.source, i, &info);
        if (info.address != run.addresses[i])
            violate("an address has changed");
    }
}

static uint32_t verify(void)
{
    check_addresses();
    return session_verify(&run.session, run.scenario->set);
}

/* --- what a host asks --- */

static struct tresor_file_info first_file(void)
{
    struct tresor_file_info info = {.size_bytes = sizeof info};
    tresor_source_get_file(run.session.context, run.session.source, 0, &info);
    return info;
}

/* To map, where there is something to map. */
static uint32_t mapping(void)
{
    return first_file().is_mappable ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ;
}

static void advise_everything(void)
{
    struct tresor_file_info file = first_file();
    bool is_file = file.origin <= TRESOR_ORIGIN_DESCRIPTOR && !file.compression;
    if (!is_file && session_do(&run.session, TRESOR_VERB_ADVISE, session_all(&run.session),
                               TRESOR_ADVICE_NORMAL) != TRESOR_ERROR_UNSUPPORTED)
        violate("what is no file was advised on");
    if (!is_file)
        return;
    for (uint32_t advice = TRESOR_ADVICE_NORMAL; advice <= TRESOR_ADVICE_DONTNEED; advice++)
        count(session_do(&run.session, TRESOR_VERB_ADVISE, session_all(&run.session), advice));
}

static void load(uint32_t strategy)
{
    int32_t code =
        count(session_do(&run.session, TRESOR_VERB_LOAD, session_all(&run.session), strategy));
    if (verify() != run.tensor_count && code == TRESOR_OK)
        violate("a load that succeeded left a tensor absent");
}

/* Whatever fails, every tensor stays readable; where nothing does, all pages are on that side. */
static void swap(uint32_t strategy)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    uint32_t before = verify();
    int32_t code =
        count(session_do(&run.session, TRESOR_VERB_SWAP, session_all(&run.session), strategy));
    if (verify() != before)
        violate("a swap has taken tensors away");
    tresor_get_counters(run.session.context, &counters);
    uint64_t other = strategy == TRESOR_STRATEGY_READ ? counters.mapped_bytes : counters.private_bytes;
    if (code == TRESOR_OK && other > 0)
        violate("a swap that succeeded left pages behind");
}

static struct range range_of(uint32_t tensor)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    tresor_source_get_tensor(run.session.context, run.session.source, tensor, &info);
    uintptr_t start = (uintptr_t)info.address;
    return (struct range){start, start + info.tensor_bytes};
}

static void lock(void)
{
    if (count(session_do(&run.session, TRESOR_VERB_LOCK, session_all(&run.session), 0)) != TRESOR_OK)
        return;
    for (uint32_t i = 0; i < run.tensor_count; i++)
        if (!range_set_covers(&run.faulty.locked, range_of(i)))
            violate("a lock that succeeded left a tensor unlocked");
}

static void unlock(void)
{
    int32_t code =
        count(session_do(&run.session, TRESOR_VERB_UNLOCK, session_all(&run.session), 0));
    bool is_honest = run.faulty.injected == 0 || run.faulty.plan.lost;
    if (code == TRESOR_OK && is_honest && run.faulty.locked.count > 0)
        violate("an unlock that succeeded left pages locked");
}

static void evict(void)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    int32_t code = count(session_do(&run.session, TRESOR_VERB_EVICT, session_all(&run.session), 0));
    tresor_get_counters(run.session.context, &counters);
    if (code == TRESOR_OK && (verify() > 0 || counters.mapped_bytes || counters.private_bytes))
        violate("an eviction that succeeded left something resident");
}

/* One that is acquired or locked stays. */
static void evict_in_use(void)
{
    struct tresor_item item = session_tensor(&run.session, 0);
    if (tresor_acquire(run.session.context, item, NULL) != TRESOR_OK)
        return;
    if (session_do(&run.session, TRESOR_VERB_EVICT, item, 0) != TRESOR_ERROR_BUSY)
        violate("an acquired tensor was evicted");
    verify();
    tresor_release(run.session.context, item);
    if (session_do(&run.session, TRESOR_VERB_LOCK, item, 0) == TRESOR_OK &&
        session_do(&run.session, TRESOR_VERB_EVICT, item, 0) != TRESOR_ERROR_BUSY)
        violate("a locked tensor was evicted");
    count(session_do(&run.session, TRESOR_VERB_UNLOCK, item, 0));
}

static void copy_tensor(uint32_t tensor)
{
    static uint8_t memory[COPY_BYTES];
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    struct tresor_file_info file = {.size_bytes = sizeof file};
    struct tresor_request request = {0};
    tresor_source_get_tensor(run.session.context, run.session.source, tensor, &info);
    tresor_source_get_file(run.session.context, run.session.source, info.file, &file);
    uint64_t from = info.tensor_bytes / 3;
    uint64_t length = info.tensor_bytes - from < COPY_BYTES ? info.tensor_bytes - from : COPY_BYTES;
    memset(memory, 0, sizeof memory);
    int32_t code = tresor_copy(run.session.context, session_tensor(&run.session, tensor), from,
                               length, memory, NULL, &request);
    if (session_note(&run.session, code, request) != TRESOR_OK)
        return;
    const struct model_part *part = session_part(&run.session, run.scenario->set, file.path);
    if (count(session_finish(&run.session, request, NULL)) == TRESOR_OK &&
        memcmp(memory, part->bytes.data + info.offset_bytes + from, (size_t)length))
        violate("a copy that succeeded has other bytes");
}

static void copy_everything(void)
{
    for (uint32_t i = 0; i < run.tensor_count; i++)
        copy_tensor(i);
}

static void stream_everything(void)
{
    uint64_t bytes = 0;
    run.session.set = run.scenario->set;
    run.session.chunk_bytes = 0;
    tresor_item_measure(run.session.context, session_all(&run.session), NULL, &bytes);
    int32_t code =
        count(session_do(&run.session, TRESOR_VERB_STREAM, session_all(&run.session), 0));
    if (code == TRESOR_OK && run.session.chunk_bytes != bytes)
        violate("a stream that succeeded has delivered other than all bytes");
}

/* Every second tensor by one strategy and the rest by the other, at once: neighbours share pages. */
static void load_mixed(void)
{
    struct tresor_item items[2][TENSORS_MAX];
    uint32_t counts[2] = {0};
    struct tresor_request requests[2];
    int32_t codes[2];
    for (uint32_t i = 0; i < run.tensor_count; i++)
        items[i % 2][counts[i % 2]++] = session_tensor(&run.session, i);
    for (uint32_t i = 0; i < 2; i++)
        codes[i] = session_submit(&run.session, TRESOR_VERB_LOAD, items[i], counts[i],
                                  i ? TRESOR_STRATEGY_READ : mapping(), &requests[i]);
    for (uint32_t i = 0; i < 2; i++)
        if (codes[i] == TRESOR_OK)
            count(session_finish(&run.session, requests[i], NULL));
    verify();
}

/* A group, which takes memory when it is made. */
static void use_group(void)
{
    struct tresor_item group;
    const uint32_t list[] = {2, 0};
    int32_t code =
        tresor_item_of_list(run.session.context, run.session.source, list, 2, &group);
    if (count(code) == TRESOR_OK)
        count(session_do(&run.session, TRESOR_VERB_LOCK, group, 0));
    code = tresor_item_of_pattern(run.session.context, run.session.source, "[0-2]", &group);
    if (count(code) == TRESOR_OK)
        count(session_do(&run.session, TRESOR_VERB_LOAD, group, TRESOR_STRATEGY_DEFAULT));
}

/* A slice on its own, which takes its tensor's place with it. */
static void use_slice(uint32_t tensor)
{
    struct tresor_slice_info info = {.size_bytes = sizeof info};
    struct tresor_item item;
    const void *data = NULL;
    if (tresor_source_get_slice(run.session.context, run.session.source, tensor, 1, &info) !=
            TRESOR_OK ||
        tresor_item_of_slice(run.session.context, run.session.source, tensor, 1, &item) != TRESOR_OK) {
        violate("a tensor that was split has no slice");
        return;
    }
    int32_t code = count(session_do(&run.session, TRESOR_VERB_LOAD, item, TRESOR_STRATEGY_READ));
    if (tresor_acquire(run.session.context, item, &data) == TRESOR_OK) {
        if (data != info.address)
            violate("a slice is not at its address");
        tresor_release(run.session.context, item);
    } else if (code == TRESOR_OK) {
        violate("a load that succeeded left a slice absent");
    }
}

static void split(void)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    uint32_t used = 0;
    session_settle(&run.session); /* reads ahead may be under way still */
    int32_t code = tresor_split_pattern(run.session.context, run.session.source, "*");
    bool is_excused =
        code == TRESOR_OK || (code == TRESOR_ERROR_BUSY && verify() > 0) ||
        (code == TRESOR_ERROR_NO_MEMORY && (run.memory.failed || run.scenario->default_allocator));
    if (!is_excused)
        violate("a split was refused");
    count(code);
    for (uint32_t i = 0; i < run.tensor_count; i++) {
        tresor_source_get_tensor(run.session.context, run.session.source, i, &info);
        if (code == TRESOR_OK && info.rank == 3 && info.slice_count < 2)
            violate("a split that succeeded left a tensor whole");
        if (info.slice_count > 0 && used++ < 2)
            use_slice(i);
    }
    verify();
}

/* --- under a budget --- */

static void check_room(uint64_t budget_bytes)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    tresor_get_counters(run.session.context, &counters);
    if (counters.charged_bytes > budget_bytes + counters.leaked_bytes)
        violate("more was in use than the budget");
}

/* Its code, with a look at every step. */
static int32_t finish_within(struct tresor_request request, uint64_t budget_bytes)
{
    while (!session_end(&run.session, request) && session_pump(&run.session))
        check_room(budget_bytes);
    return count(session_finish(&run.session, request, NULL));
}

static bool set_budget(uint64_t budget_bytes)
{
    struct tresor_request request = {0};
    int32_t code = tresor_budget(run.session.context, budget_bytes, NULL, &request);
    return session_note(&run.session, code, request) == TRESOR_OK &&
           count(session_finish(&run.session, request, NULL)) == TRESOR_OK;
}

/* Each after the other, the least recently used of which goes. */
static void load_in_turn(uint64_t budget_bytes)
{
    for (uint32_t i = 0; i < run.tensor_count; i++) {
        struct tresor_request request = {0};
        struct tresor_item item = session_tensor(&run.session, i);
        struct tresor_request_options options = {
            .size_bytes = sizeof options, .strategy = i % 2 ? TRESOR_STRATEGY_READ : mapping()};
        int32_t code = tresor_load(run.session.context, &item, 1, &options, &request);
        if (session_note(&run.session, count(code), request) != TRESOR_OK)
            continue;
        if (finish_within(request, budget_bytes) == TRESOR_OK &&
            tresor_acquire(run.session.context, item, NULL) == TRESOR_OK)
            tresor_release(run.session.context, item);
    }
    verify();
}

/* A step whose tensor cannot be had is passed over. */
static void follow_plan(uint64_t budget_bytes)
{
    struct tresor_item items[TENSORS_MAX];
    struct tresor_request plan = {0};
    for (uint32_t i = 0; i < run.tensor_count; i++)
        items[i] = session_tensor(&run.session, i);
    int32_t code = tresor_plan(run.session.context, items, run.tensor_count, NULL, &plan);
    if (session_note(&run.session, count(code), plan) != TRESOR_OK)
        return;
    for (uint32_t i = 0; i < run.tensor_count; i++) {
        while (session_pump(&run.session))
            check_room(budget_bytes);
        if (tresor_acquire(run.session.context, items[i], NULL) == TRESOR_OK)
            tresor_release(run.session.context, items[i]);
        else
            tresor_plan_seek(run.session.context, plan, i + 1);
    }
    session_settle(&run.session);
    tresor_cancel(run.session.context, plan);
    finish_within(plan, budget_bytes);
    verify();
}

/* About half of the tensors have room. */
static void use_budget(void)
{
    uint64_t largest = 0;
    uint64_t total = 0;
    for (uint32_t i = 0; i < run.tensor_count; i++) {
        struct range range = range_of(i);
        uint64_t pages = range.end / 4096 - range.start / 4096 + 1;
        total += pages * 4096;
        largest = pages * 4096 > largest ? pages * 4096 : largest;
    }
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    session_do(&run.session, TRESOR_VERB_UNLOCK, session_all(&run.session), 0);
    session_do(&run.session, TRESOR_VERB_EVICT, session_all(&run.session), 0);
    tresor_get_counters(run.session.context, &counters);
    uint64_t budget_bytes = total / 2 > largest ? total / 2 : largest;
    budget_bytes += counters.charged_bytes; /* of the stages, which stay */
    if (set_budget(budget_bytes)) {
        follow_plan(budget_bytes);
        load_in_turn(budget_bytes);
    }
    set_budget(0);
}

/* With a user the close waits; without, and with pages locked, it gives back all. */
static void close_source(void)
{
    struct tresor_request request = {0};
    struct tresor_item item = session_tensor(&run.session, 0);
    bool acquired = tresor_acquire(run.session.context, item, NULL) == TRESOR_OK;
    int32_t code = tresor_source_close(run.session.context, run.session.source, 0, &request);
    if (session_note(&run.session, code, request) != TRESOR_OK) {
        violate("a close was refused");
        return;
    }
    if (acquired) {
        session_settle(&run.session);
        if (session_end(&run.session, request))
            violate("a close has not waited for a user");
        tresor_wait(run.session.context, 5);
        if (tresor_release(run.session.context, item) != TRESOR_OK)
            violate("a tensor of a closing source cannot be released");
    }
    code = count(session_finish(&run.session, request, NULL));
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    tresor_get_counters(run.session.context, &counters);
    if (counters.leaked_bytes + run.context_bytes != range_set_bytes(&run.faulty.mapped) &&
        !run.faulty.plan.lost)
        violate("the counters do not tell what is still mapped");
}

static void use_source(void)
{
    keep_addresses();
    advise_everything();
    load(mapping());
    advise_everything();
    swap(TRESOR_STRATEGY_READ);
    swap(mapping());
    evict_in_use();
    lock();
    unlock();
    evict();
    copy_everything();
    stream_everything();
    load(TRESOR_STRATEGY_READ);
    lock();
    unlock();
    evict_in_use();
    evict();
    split();
    load_mixed();
    swap(TRESOR_STRATEGY_READ);
    use_group();
    use_budget();
    close_source();
}

/* The first of what the session, the table and the allocator have to say. */
static void conclude(struct scenario *scenario)
{
    const char *text = session_destroy(&run.session);
    const char *held = faulty_sys_check(&run.faulty);
    char bytes[64];
    text = text ? text : held;
    if (!text && run.memory.outstanding_bytes != 0) {
        snprintf(bytes, sizeof bytes, "held: %" PRId64 " allocated bytes",
                 run.memory.outstanding_bytes);
        text = bytes;
    }
    snprintf(scenario->violation, sizeof scenario->violation, "%s", text ? text : "");
    scenario->injected = run.faulty.injected + run.memory.failed;
    scenario->calls = run.faulty.total;
    scenario->allocations = run.memory.calls;
    scenario->steps = run.session.steps;
    scenario->events = run.session.event_count;
    faulty_sys_clean(&run.faulty);
}

static int32_t open_source(void)
{
    struct scenario *scenario = run.scenario;
    if (scenario->host)
        return host_origin_open(scenario->host, &run.session, &run.faulty);
    return session_open(&run.session, model_set_path(scenario->set));
}

void scenario_run(struct scenario *scenario)
{
    memset(&run.memory, 0, sizeof run.memory);
    run.scenario = scenario;
    run.tensor_count = 0;
    scenario->failed_requests = 0;
    faulty_sys_init(&run.faulty, scenario->under ? scenario->under : tresor__sys_posix());
    run.faulty.plan = scenario->plan;
    run.faulty.judge = scenario->judge;
    run.faulty.judge_cookie = scenario->judge_cookie;
    run.faulty.reads = scenario->reads;
    run.faulty.seed = scenario->seed;
    run.faulty.has_workers = scenario->backend > TRESOR_BACKEND_SYNC;
    run.memory.fail_call = scenario->fail_allocation;
    run.memory.is_persistent = scenario->allocations_stay_failed;
    run.memory.lose_free = scenario->lose_free;
    struct tresor_context_options options = session_options(&run.memory);
    options.waits_max = 24; /* fewer than some requests need, and blocks too */
    options.blocks_max = 3;
    options.backend = scenario->backend ? scenario->backend : TRESOR_BACKEND_SYNC;
    options.threads_max = 3;
    options.spare_bytes = UINT64_C(4) << 20;
    options.guard = TRESOR_GUARD_SIGBUS;
    options.direct = scenario->direct ? scenario->direct : TRESOR_DIRECT_OFF;
    if (scenario->default_allocator)
        options.allocator = (struct tresor_allocator){0};
    if (scenario->arm)
        scenario->arm(true);
    int32_t code = session_create(&run.session, &run.faulty.sys, &options);
    run.context_bytes = range_set_bytes(&run.faulty.mapped);
    if (scenario->reads == FAULTY_READS_BYTE)
        run.session.steps_max = UINT64_C(1000000);
    run.session.lose_event = scenario->lose_event;
    if (count(code) == TRESOR_OK && count(open_source()) == TRESOR_OK)
        use_source();
    if (scenario->arm)
        scenario->arm(false);
    conclude(scenario);
}

void scenario_must_hold(struct scenario *scenario)
{
    scenario_run(scenario);
    if (!scenario->violation[0])
        return;
    const struct faulty_plan *plan = &scenario->plan;
    fail_msg("%s %" PRIu64 " %s, errno %d, choice %u, allocation %" PRIu64 ": %s",
             faulty_row_name(plan->row), plan->nth, plan->persistent ? "and on" : "once",
             plan->os_errno, plan->choice, scenario->fail_allocation, scenario->violation);
}

/* --- models --- */

static struct {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set sets[MODEL_KINDS];
} models;

const struct model_set *scenario_model(enum model_kind kind)
{
    return &models.sets[kind];
}

uint32_t scenario_kinds(void)
{
#ifdef TRESOR__SAFETENSORS
    return MODEL_KINDS;
#else
    return MODEL_INDEX;
#endif
}

/* All kinds in one folder: no two have a file of the same name. */
int scenario_setup(void **state)
{
    (void)state;
    temporary_make(models.folder);
    for (uint32_t i = 0; i < MODEL_KINDS; i++) {
        model_set_make(&models.sets[i], (enum model_kind)i, models.folder);
        model_set_write(&models.sets[i]);
    }
    return 0;
}

int scenario_teardown(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < MODEL_KINDS; i++)
        model_set_free(&models.sets[i]);
    temporary_remove(models.folder);
    return 0;
}
