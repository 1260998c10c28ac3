/* SPDX-License-Identifier: MIT */
/* Strategies for engines with a tensor machine of their own: the driver's inputs and outputs as they see them. */
#include <tresor/strategy.h>

#include <string.h>

#include "backend/host.h"
#include "context.h"
#include "strategy/driver.h"

#define PAGE_BYTES_DEFAULT 4096
#define BLOCK_BYTES_UNIT (UINT64_C(64) << 10)
#define BLOCK_BYTES_MAX (UINT64_C(1) << 30)
#define BLOCK_BYTES_DEFAULT (UINT64_C(2) << 20)
#define POPULATE_BYTES_DEFAULT (UINT64_C(512) << 20)

enum {
    BLOCKS_DEFAULT = 16,
    BLOCKS_MAX = 65536,
    ALIGNMENT_BYTES = 16, /* of what the block of memory is cut into */
};

struct tresor_driver {
    struct tresor__driver *inner;
    struct tresor__flight flight;
};

static bool is_power_of_two(uint64_t value)
{
    return value > 0 && (value & (value - 1)) == 0;
}

static bool choose_bytes(uint64_t *value, uint64_t default_value)
{
    if (*value == 0)
        *value = default_value;
    return *value % BLOCK_BYTES_UNIT == 0 && *value <= BLOCK_BYTES_MAX;
}

static bool are_in_file(const struct tresor_driver_options *options)
{
    for (uint32_t i = 0; i < options->tensor_count; i++) {
        const struct tresor_driver_tensor *tensor = &options->tensors[i];
        if (tensor->offset_bytes > options->file_bytes ||
            tensor->size_bytes > options->file_bytes - tensor->offset_bytes)
            return false;
    }
    return true;
}

static bool complete(struct tresor_driver_options *options)
{
    if (options->page_bytes == 0)
        options->page_bytes = PAGE_BYTES_DEFAULT;
    if (options->blocks_max == 0)
        options->blocks_max = BLOCKS_DEFAULT;
    bool valid = choose_bytes(&options->block_bytes, BLOCK_BYTES_DEFAULT);
    valid = choose_bytes(&options->populate_bytes, POPULATE_BYTES_DEFAULT) && valid;
    valid = valid && is_power_of_two(options->page_bytes) && options->page_bytes <= BLOCK_BYTES_UNIT &&
            options->blocks_max <= BLOCKS_MAX && options->reserved == 0 && options->descriptor >= 0 &&
            options->window && (uintptr_t)options->window % options->page_bytes == 0 &&
            options->file_bytes <= INT64_MAX && (options->tensors || options->tensor_count == 0);
    if (options->direct_alignment_bytes > 0)
        valid = valid && is_power_of_two(options->direct_alignment_bytes) &&
                options->direct_alignment_bytes <= options->page_bytes && options->direct_descriptor >= 0;
    return valid && are_in_file(options);
}

static int32_t read_options(const struct tresor_driver_options *given,
                            struct tresor_driver_options *options)
{
    int32_t code = given ? tresor__options_copy(options, sizeof *options, given) : TRESOR_ERROR_INVALID;
    return code == TRESOR_OK && !complete(options) ? TRESOR_ERROR_INVALID : code;
}

static struct tresor__driver_limits limits_of(const struct tresor_driver_options *options)
{
    return (struct tresor__driver_limits){
        .blocks_max = options->blocks_max,
        .block_bytes = options->block_bytes,
        .populate_bytes = options->populate_bytes,
        .page_bytes = options->page_bytes,
        .direct_alignment_bytes = options->direct_alignment_bytes,
    };
}

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
}

/* This struct, and what is in flight: as many as may be asked. */
static size_t own_bytes(const struct tresor__driver_limits *limits)
{
    return rounded(sizeof(struct tresor_driver)) +
           rounded(tresor__driver_effects(limits) * sizeof(struct tresor__numbered));
}

size_t tresor_driver_bytes(const struct tresor_driver_options *given)
{
    struct tresor_driver_options options;
    if (read_options(given, &options) != TRESOR_OK)
        return 0;
    struct tresor__driver_limits limits = limits_of(&options);
    size_t bytes = tresor__driver_bytes(options.tensor_count, options.file_bytes, &limits);
    return bytes > 0 ? own_bytes(&limits) + bytes : 0;
}

int32_t tresor_driver_create(const struct tresor_driver_options *given, void *memory,
                             size_t memory_bytes, struct tresor_driver **driver)
{
    struct tresor_driver_options options;
    size_t needed = tresor_driver_bytes(given);
    if (needed == 0 || !memory || !driver || (uintptr_t)memory % ALIGNMENT_BYTES != 0)
        return TRESOR_ERROR_INVALID;
    if (memory_bytes < needed)
        return TRESOR_ERROR_NO_MEMORY;
    read_options(given, &options);
    struct tresor__driver_limits limits = limits_of(&options);
    const struct tresor__driver_file file = {
        .file_bytes = options.file_bytes,
        .window = options.window,
        .descriptor = options.descriptor,
        .direct_descriptor = options.direct_descriptor,
        .tensors = options.tensors,
        .tensor_count = options.tensor_count,
    };
    memset(memory, 0, needed);
    struct tresor_driver *made = memory;
    size_t own = own_bytes(&limits);
    made->flight.capacity = tresor__driver_effects(&limits);
    made->flight.effects = (void *)((char *)memory + rounded(sizeof *made));
    int32_t code =
        tresor__driver_make((char *)memory + own, needed - own, &limits, &file, &made->inner);
    *driver = code == TRESOR_OK ? made : NULL;
    return code;
}

/* --- steps --- */

static bool may_ask(const struct tresor__driver_tensor *tensor, uint32_t event)
{
    bool is_unlocked = tensor->lock_role == TRESOR__DRIVER_ABSENT;
    switch (event) {
    case TRESOR_DRIVER_LOAD:
        return tensor->role == TRESOR__DRIVER_ABSENT;
    case TRESOR_DRIVER_RELEASE:
        return (tensor->role == TRESOR__DRIVER_LOADING || tensor->role == TRESOR__DRIVER_RESIDENT) && is_unlocked;
    case TRESOR_DRIVER_LOCK:
        return tensor->role == TRESOR__DRIVER_RESIDENT && is_unlocked;
    default:
        return tensor->lock_role == TRESOR__DRIVER_RESIDENT;
    }
}

static void ask(struct tresor__driver *driver, uint32_t tensor, const struct tresor_driver_input *input)
{
    if (input->event == TRESOR_DRIVER_LOAD)
        tresor__driver_load(driver, tensor,
                            input->strategy == TRESOR_STRATEGY_READ ? TRESOR__BACKING_ANONYMOUS
                                                                    : TRESOR__BACKING_FILE);
    else if (input->event == TRESOR_DRIVER_RELEASE)
        tresor__driver_release(driver, tensor);
    else if (input->event == TRESOR_DRIVER_LOCK)
        tresor__driver_lock(driver, tensor);
    else
        tresor__driver_unlock(driver, tensor);
}

static bool has_strategy(const struct tresor_driver_input *input)
{
    return input->event != TRESOR_DRIVER_LOAD || input->strategy == TRESOR_STRATEGY_MMAP ||
           input->strategy == TRESOR_STRATEGY_READ;
}

/* All of them or none; one that is named twice is in the wrong state the second time, so all are looked at before. */
static int32_t take_request(struct tresor__driver *driver, const struct tresor_driver_input *input)
{
    uint32_t count = input->tensor_count;
    bool valid = has_strategy(input) && (input->tensors || count == 0) &&
                 tresor__driver_marks(driver, input->tensors, count);
    for (uint32_t i = 0; valid && i < count; i++)
        valid = may_ask(&driver->tensors[input->tensors[i]], input->event);
    for (uint32_t i = 0; valid && i < count; i++)
        ask(driver, input->tensors[i], input);
    tresor__driver_run(driver);
    return valid ? TRESOR_OK : TRESOR_ERROR_INVALID;
}

static int32_t take_answer(struct tresor_driver *driver, const struct tresor_answer *answer)
{
    struct tresor__completion completion;
    if (!tresor__host_take(&driver->flight, answer, &completion))
        return TRESOR_ERROR_BACKEND;
    tresor__driver_deliver(driver->inner, &completion);
    return TRESOR_OK;
}

static int32_t take(struct tresor_driver *driver, const struct tresor_driver_input *input)
{
    if (!input || input->event == TRESOR_DRIVER_NONE)
        return TRESOR_OK;
    if (input->reserved != 0 || input->event > TRESOR_DRIVER_ANSWER)
        return TRESOR_ERROR_INVALID;
    return input->event == TRESOR_DRIVER_ANSWER ? take_answer(driver, &input->answer)
                                                : take_request(driver->inner, input);
}

static uint32_t event_of(enum tresor__span_news news)
{
    switch (news) {
    case TRESOR__NEWS_FILLED:
    case TRESOR__NEWS_FILL_FAILED:
        return TRESOR_DRIVER_LOAD;
    case TRESOR__NEWS_RELEASED:
        return TRESOR_DRIVER_RELEASE;
    case TRESOR__NEWS_UNLOCKED:
        return TRESOR_DRIVER_UNLOCK;
    default:
        return TRESOR_DRIVER_LOCK;
    }
}

static struct tresor_driver_result told(const struct tresor__driver *driver,
                                        const struct tresor__driver_result *result)
{
    const struct tresor__failure *failure = &result->failure;
    bool is_loaded = result->news == TRESOR__NEWS_FILLED;
    return (struct tresor_driver_result){
        .event = event_of(result->news),
        .tensor = result->tensor,
        .data = is_loaded ? tresor__model_address(&driver->model, result->tensor) : NULL,
        .error = {.code = failure->code,
                  .os_errno = failure->os_errno,
                  .file = TRESOR_NONE,
                  .tensor = result->tensor,
                  .offset = failure->offset,
                  .wanted = failure->wanted,
                  .got = failure->got},
    };
}

static void give_results(struct tresor__driver *driver, struct tresor_driver_batch *batch)
{
    if (driver->direct_errno != 0) {
        batch->results[batch->result_count++] = (struct tresor_driver_result){
            .event = TRESOR_DRIVER_DEGRADED,
            .tensor = TRESOR_NONE,
            .error = {.code = TRESOR_ERROR_UNSUPPORTED,
                      .os_errno = driver->direct_errno,
                      .file = TRESOR_NONE,
                      .tensor = TRESOR_NONE}};
        driver->direct_errno = 0;
    }
    while (batch->result_count < TRESOR_DRIVER_BATCH) {
        struct tresor__driver_result result = tresor__driver_next(driver);
        if (result.news == 0)
            return;
        batch->results[batch->result_count++] = told(driver, &result);
    }
}

static void give_effects(struct tresor_driver *driver, struct tresor_driver_batch *batch)
{
    struct tresor__effect effects[TRESOR_DRIVER_BATCH];
    batch->effect_count = tresor__driver_take(driver->inner, effects, TRESOR_DRIVER_BATCH);
    for (uint32_t i = 0; i < batch->effect_count; i++) {
        uint64_t target = tresor__host_target(&driver->flight, &effects[i]);
        uint64_t number = tresor__flight_add(&driver->flight, &effects[i]);
        batch->effects[i] = tresor__host_effect(&effects[i], tresor__sys_posix(), number, target);
    }
}

/* Results before effects: a failure that is told may ask for something. */
int32_t tresor_driver_step(struct tresor_driver *driver, const struct tresor_driver_input *input,
                           struct tresor_driver_batch *batch)
{
    if (!driver || !batch)
        return TRESOR_ERROR_INVALID;
    batch->effect_count = 0;
    batch->result_count = 0;
    batch->more = 0;
    batch->is_idle = 0;
    int32_t code = take(driver, input);
    if (code != TRESOR_OK)
        return code;
    give_results(driver->inner, batch);
    give_effects(driver, batch);
    batch->more = tresor__driver_has_more(driver->inner);
    batch->is_idle = !batch->more && driver->inner->in_flight == 0;
    return TRESOR_OK;
}
