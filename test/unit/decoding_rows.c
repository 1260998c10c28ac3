/* SPDX-License-Identifier: MIT */
/*
 * Every row of the source machine that decodes, taken by opens whose effects come out as chance would have it: each in turn
 * fails, is interrupted, once or for ever, says that nothing or too much came, or is cancelled.
 */
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/actor.h"
#include "context.h"
#include "support/compressing.h"
#include "support/rows.h"
#include "support/session.h"

enum {
    NOISE_BYTES = 200 * 1024,      /* more than is read at first */
    ZEROS_BYTES = 9 * 1024 * 1024, /* more than a step makes, and than pages are asked for at a time */
    EFFECTS_MAX = 64,
    DTYPE_I8 = 24,
};

enum outcome {
    OUTCOME_FAILS,
    OUTCOME_IS_INTERRUPTED,
    OUTCOME_STAYS_INTERRUPTED,
    OUTCOME_IS_SHORT_OF_MEMORY,
    OUTCOME_BRINGS_NOTHING,
    OUTCOME_BRINGS_TOO_MUCH,
    OUTCOME_IS_CANCELLED,
    OUTCOME_FAILS_AND_IS_CANCELLED,
    OUTCOME_COUNT
};

/* A backend that runs one effect a poll, and has one of them come to something else. */
static struct {
    struct tresor__backend base;
    const struct tresor__sys *sys;
    struct tresor__effect effects[EFFECTS_MAX];
    uint32_t count;
    uint32_t number; /* of effects so far */
    uint32_t nth;    /* which comes to `outcome`, from 1 on; 0: none */
    enum outcome outcome;
    bool has_cancelled;
} odd;

static struct failing_allocator memory;
static struct session session;
static struct bytes model;
static struct tresor_request opening;

static void submit(struct tresor__backend *backend, const struct tresor__effect *effects, uint32_t count)
{
    (void)backend;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(odd.count < EFFECTS_MAX);
        odd.effects[odd.count++] = effects[i];
    }
}

/* A close that fails has closed, what is freed is freed, and a range that is kept stays ours to give back. */
static bool may_fail(const struct tresor__effect *effect)
{
    return effect->kind != TRESOR__EFFECT_CLOSE &&
           !(effect->kind == TRESOR__EFFECT_WORK && effect->flags == TRESOR__WORK_FREE);
}

static bool is_hit(const struct tresor__effect *effect)
{
    odd.number++;
    if (odd.nth == 0 || !may_fail(effect))
        return false;
    return odd.outcome == OUTCOME_STAYS_INTERRUPTED ? odd.number >= odd.nth && odd.number < odd.nth + 40
                                                    : odd.number == odd.nth;
}

static struct tresor__completion come_out(const struct tresor__effect *effect)
{
    const struct tresor__bounce none = {0};
    bool is_read = effect->kind == TRESOR__EFFECT_READ;
    switch (odd.outcome) {
    case OUTCOME_IS_INTERRUPTED:
    case OUTCOME_STAYS_INTERRUPTED:
        return tresor__actor_answer(effect, -EINTR);
    case OUTCOME_IS_SHORT_OF_MEMORY:
        return tresor__actor_answer(effect, -ENOMEM);
    case OUTCOME_FAILS:
    case OUTCOME_FAILS_AND_IS_CANCELLED:
        return tresor__actor_answer(effect, -EIO);
    case OUTCOME_BRINGS_NOTHING:
        return is_read ? tresor__actor_answer(effect, 0) : tresor__actor_run(odd.sys, effect, &none);
    case OUTCOME_BRINGS_TOO_MUCH:
        return is_read ? tresor__actor_answer(effect, (int64_t)effect->length + 1)
                       : tresor__actor_run(odd.sys, effect, &none);
    default:
        return tresor__actor_run(odd.sys, effect, &none);
    }
}

/* Once, and then the cancel is heard before the effect's end. */
static bool cancel_before(void)
{
    bool cancels = odd.outcome == OUTCOME_IS_CANCELLED || odd.outcome == OUTCOME_FAILS_AND_IS_CANCELLED;
    if (!cancels || odd.number + 1 != odd.nth || odd.has_cancelled)
        return false;
    odd.has_cancelled = true;
    tresor_cancel(session.context, opening);
    return true;
}

static uint32_t poll(struct tresor__backend *backend, struct tresor__completion *completions, uint32_t limit)
{
    const struct tresor__bounce none = {0};
    (void)backend;
    if (limit == 0 || odd.count == 0 || cancel_before())
        return 0;
    struct tresor__effect effect = odd.effects[0];
    memmove(odd.effects, odd.effects + 1, --odd.count * sizeof effect);
    completions[0] = is_hit(&effect) ? come_out(&effect) : tresor__actor_run(odd.sys, &effect, &none);
    return 1;
}

static void wait(struct tresor__backend *backend, int32_t timeout_ms)
{
    (void)backend;
    (void)timeout_ms;
}

static bool pending(struct tresor__backend *backend)
{
    (void)backend;
    return odd.count > 0;
}

static void destroy(struct tresor__backend *backend)
{
    (void)backend;
}

static int32_t make_odd(void *argument, const struct tresor_allocator *allocator, struct tresor__bell *bell,
                        uint32_t effects_max, struct tresor__backend **backend)
{
    (void)argument;
    (void)allocator;
    (void)bell;
    (void)effects_max;
    odd.base = (struct tresor__backend){
        .name = "odd", .submit = submit, .poll = poll, .wait = wait, .pending = pending, .destroy = destroy};
    *backend = &odd.base;
    return TRESOR_OK;
}

static void observe(void *cookie, const struct tresor_transition *transition)
{
    (void)cookie;
    rows_take(transition);
}

/* One open of the bytes; the number of effects that it asked. */
static uint32_t open_once(const struct bytes *bytes, uint64_t budget_bytes, uint32_t nth, enum outcome outcome)
{
    struct tresor_context_options options = session_options(&memory);
    const struct tresor_source_origin origin = {.size_bytes = sizeof origin,
                                                .kind = TRESOR_ORIGIN_MEMORY,
                                                .memory = bytes->data,
                                                .length_bytes = bytes->size};
    options.backend = TRESOR_BACKEND_SYNC;
    options.observer = observe;
    options.budget_bytes = budget_bytes;
    odd.sys = tresor__sys_posix();
    odd.count = odd.number = 0;
    odd.nth = nth;
    odd.outcome = outcome;
    odd.has_cancelled = false;
    assert_error(tresor__context_create_on(odd.sys, make_odd, NULL, &options, &session.context), TRESOR_OK);
    assert_error(tresor_source_open_with(session.context, &origin, NULL, &session.source, &opening), TRESOR_OK);
    tresor_finish(session.context, opening, 1, NULL);
    odd.nth = 0;
    assert_error(tresor_context_destroy(session.context), TRESOR_OK);
    assert_int_equal(memory.outstanding_bytes, 0);
    return odd.number;
}

static void make_model(void)
{
    const uint64_t noise[] = {NOISE_BYTES};
    const uint64_t zeros[] = {ZEROS_BYTES};
    uint8_t *sample = malloc(NOISE_BYTES);
    assert_non_null(sample);
    uint64_t seed = 1;
    for (uint32_t i = 0; i < NOISE_BYTES; i++)
        sample[i] = (uint8_t)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
    gguf_put_header(&model, 3, 2, 0);
    gguf_put_tensor(&model, "noise", 1, noise, DTYPE_I8, 0);
    gguf_put_tensor(&model, "zeros", 1, zeros, DTYPE_I8, NOISE_BYTES);
    bytes_pad(&model, 32);
    bytes_put(&model, sample, NOISE_BYTES);
    bytes_put_zeros(&model, ZEROS_BYTES);
    free(sample);
}

static void every_row_is_taken(void **state)
{
    struct bytes packed = {0};
    uint32_t total = 0;
    (void)state;
    make_model();
    if (!compress_frame(&packed, TRESOR_COMPRESSION_ZSTD, model.data, model.size)) {
        bytes_free(&model);
        skip();
    }
    uint32_t effects = open_once(&packed, 0, 0, OUTCOME_FAILS);
    assert_in_range(effects, 10, 200);
    for (uint32_t outcome = 0; outcome < OUTCOME_COUNT; outcome++)
        for (uint32_t nth = 1; nth <= effects; nth++)
            open_once(&packed, 0, nth, (enum outcome)outcome);
    open_once(&packed, 1024 * 1024, 0, OUTCOME_FAILS); /* there is no room */
    packed.data[packed.size / 2] ^= 0x55;
    open_once(&packed, 0, 0, OUTCOME_FAILS); /* it is damaged */
    uint32_t missing = rows_print_missing(ROWS_OF_DECODING, &total);
    print_message("# %u of %u rows were taken\n", total - missing, total);
    bytes_free(&packed);
    bytes_free(&model);
    assert_true(total > 20);
    assert_int_equal(missing, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
