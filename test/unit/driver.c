/* SPDX-License-Identifier: MIT */
/* The strategies of a file driven by an engine with books of its own: what it asks ends in one result each, whatever becomes
 * of the effects and in whatever order they are answered. */
#include <tresor/tresor.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/random.h"
#include "support/temporary.h"
#include "support/test.h"

enum {
    TENSORS = 40,
    PAGE_BYTES = 4096,
    WINDOW_ALIGNMENT_BYTES = 2 * 1024 * 1024,
    FLIGHT_MAX = 256,
    EVENTS = TRESOR_DRIVER_DEGRADED + 1,
};

/* An engine: what it has been told, and the effects that it has yet to carry out. */
static struct {
    char folder[TEMPORARY_PATH_BYTES];
    char path[TEMPORARY_PATH_BYTES + 16];
    uint8_t *bytes;
    uint64_t file_bytes;
    struct tresor_driver_tensor tensors[TENSORS];
    struct tresor_driver_options options;
    void *reserved;
    size_t reserved_bytes;
    void *memory;
    struct tresor_driver *driver;
    struct tresor_effect flight[FLIGHT_MAX];
    uint32_t flight_count;
    uint32_t maps; /* that were asked */
    uint32_t results[EVENTS][TENSORS + 1];
    struct tresor_driver_result last[TENSORS + 1];
    uint64_t seed;
    uint32_t fail_kind;  /* of effects that fail with `fail_errno`, while `fail_times` lasts */
    int32_t fail_errno;
    uint32_t fail_times;
    bool is_idle;
} engine;

/* Tensors that share pages, one that overlaps, one without bytes, and one of several blocks. */
static void place_tensors(void)
{
    uint64_t offset = 100;
    for (uint32_t i = 0; i < TENSORS; i++) {
        uint64_t size = i == 5 ? 0 : i == 7 ? 300000 : 500 + random_below(&engine.seed, 9000);
        engine.tensors[i] = (struct tresor_driver_tensor){offset, size};
        offset += size + random_below(&engine.seed, 3) * 2500;
    }
    engine.tensors[9].offset_bytes = engine.tensors[8].offset_bytes;
    engine.file_bytes = offset + 77;
}

static void make_file(void)
{
    temporary_make(engine.folder);
    snprintf(engine.path, sizeof engine.path, "%s/weights", engine.folder);
    engine.bytes = malloc(engine.file_bytes);
    for (uint64_t i = 0; i < engine.file_bytes; i++)
        engine.bytes[i] = (uint8_t)random_below(&engine.seed, 256);
    FILE *file = fopen(engine.path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(engine.bytes, 1, engine.file_bytes, file), engine.file_bytes);
    assert_int_equal(fclose(file), 0);
}

static void reserve_window(void)
{
    engine.reserved_bytes = engine.file_bytes + PAGE_BYTES + WINDOW_ALIGNMENT_BYTES;
    engine.reserved = mmap(NULL, engine.reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(engine.reserved != MAP_FAILED);
    uintptr_t start = (uintptr_t)engine.reserved;
    start = (start + WINDOW_ALIGNMENT_BYTES - 1) / WINDOW_ALIGNMENT_BYTES * WINDOW_ALIGNMENT_BYTES;
    engine.options.window = (void *)start;
}

static void start_options(uint64_t seed)
{
    memset(&engine, 0, sizeof engine);
    engine.seed = seed;
    place_tensors();
    make_file();
    engine.options = (struct tresor_driver_options){
        .size_bytes = sizeof engine.options,
        .tensors = engine.tensors,
        .tensor_count = TENSORS,
        .descriptor = open(engine.path, O_RDONLY | O_CLOEXEC),
        .file_bytes = engine.file_bytes,
        .block_bytes = 64 * 1024,
        .populate_bytes = 64 * 1024,
        .blocks_max = 3,
    };
    assert_true(engine.options.descriptor >= 0);
    reserve_window();
}

static void make_driver(void)
{
    size_t bytes = tresor_driver_bytes(&engine.options);
    assert_true(bytes > 0);
    engine.memory = malloc(bytes);
    assert_error(tresor_driver_create(&engine.options, engine.memory, bytes, &engine.driver), TRESOR_OK);
}

static void start(uint64_t seed)
{
    start_options(seed);
    make_driver();
}

static void note(const struct tresor_driver_batch *batch)
{
    for (uint32_t i = 0; i < batch->effect_count; i++) {
        assert_true(engine.flight_count < FLIGHT_MAX);
        engine.flight[engine.flight_count++] = batch->effects[i];
        engine.maps += batch->effects[i].kind == TRESOR_EFFECT_MAP;
    }
    for (uint32_t i = 0; i < batch->result_count; i++) {
        const struct tresor_driver_result *result = &batch->results[i];
        uint32_t tensor = result->tensor == TRESOR_NONE ? TENSORS : result->tensor;
        assert_true(result->event < EVENTS && tensor <= TENSORS);
        engine.results[result->event][tensor]++;
        engine.last[tensor] = *result;
    }
    engine.is_idle = batch->is_idle;
}

/* A step, and as many more as it says are needed. */
static int32_t step(const struct tresor_driver_input *input)
{
    struct tresor_driver_batch batch;
    int32_t code = tresor_driver_step(engine.driver, input, &batch);
    note(&batch);
    while (batch.more) {
        assert_error(tresor_driver_step(engine.driver, NULL, &batch), TRESOR_OK);
        note(&batch);
    }
    return code;
}

static int32_t ask(uint32_t event, uint32_t strategy, const uint32_t *tensors, uint32_t count)
{
    return step(&(struct tresor_driver_input){
        .event = event, .strategy = strategy, .tensors = tensors, .tensor_count = count});
}

static int32_t ask_one(uint32_t event, uint32_t strategy, uint32_t tensor)
{
    return ask(event, strategy, &tensor, 1);
}

static int32_t ask_all(uint32_t event, uint32_t strategy)
{
    uint32_t tensors[TENSORS];
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = i;
    return ask(event, strategy, tensors, TENSORS);
}

/* Any of what is in flight, to its end. */
static void carry_out_one(void)
{
    uint32_t place = random_below(&engine.seed, engine.flight_count);
    struct tresor_effect effect = engine.flight[place];
    engine.flight[place] = engine.flight[--engine.flight_count];
    struct tresor_driver_input input = {.event = TRESOR_DRIVER_ANSWER};
    bool fails = engine.fail_times > 0 && effect.kind == engine.fail_kind;
    engine.fail_times -= fails;
    input.answer = fails ? (struct tresor_answer){.number = effect.number, .value = -engine.fail_errno}
                         : tresor_effect_run(&effect);
    assert_error(step(&input), TRESOR_OK);
}

static void settle(void)
{
    assert_error(step(NULL), TRESOR_OK);
    while (engine.flight_count > 0)
        carry_out_one();
    assert_true(engine.is_idle);
}

static void must_hold(uint32_t tensor)
{
    const struct tresor_driver_tensor *place = &engine.tensors[tensor];
    const char *data = (const char *)engine.options.window + place->offset_bytes;
    assert_memory_equal(data, engine.bytes + place->offset_bytes, place->size_bytes);
}

static void end(void)
{
    if (engine.driver)
        settle();
    munmap(engine.reserved, engine.reserved_bytes);
    close(engine.options.descriptor);
    free(engine.memory);
    free(engine.bytes);
    temporary_remove(engine.folder);
}

static void each_tensor_has_one_result(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        start(seed);
        for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
            assert_error(ask_all(TRESOR_DRIVER_LOAD, strategy), TRESOR_OK);
            settle();
            for (uint32_t i = 0; i < TENSORS; i++) {
                assert_int_equal(engine.results[TRESOR_DRIVER_LOAD][i], strategy);
                assert_error(engine.last[i].error.code, TRESOR_OK);
                assert_ptr_equal(engine.last[i].data,
                                 (char *)engine.options.window + engine.tensors[i].offset_bytes);
                must_hold(i);
            }
            assert_error(ask_all(TRESOR_DRIVER_RELEASE, 0), TRESOR_OK);
            settle();
            for (uint32_t i = 0; i < TENSORS; i++)
                assert_int_equal(engine.results[TRESOR_DRIVER_RELEASE][i], strategy);
        }
        end();
    }
}

/* Pages that lie side by side are one map, whoever's they are. */
static void neighbours_are_mapped_as_one(void **state)
{
    (void)state;
    start(2);
    uint32_t runs = 0;
    uint64_t end_of_run = 0;
    for (uint32_t i = 0; i < TENSORS; i++) {
        const struct tresor_driver_tensor *tensor = &engine.tensors[i];
        uint64_t last = (tensor->offset_bytes + tensor->size_bytes + PAGE_BYTES - 1) / PAGE_BYTES;
        if (tensor->size_bytes == 0)
            continue;
        runs += runs == 0 || tensor->offset_bytes / PAGE_BYTES > end_of_run;
        end_of_run = last > end_of_run ? last : end_of_run;
    }
    assert_true(runs < TENSORS / 2);
    settle(); /* the file is known */
    assert_error(ask_all(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    settle();
    assert_int_equal(engine.maps, runs);
    end();
}

static void what_neighbours_share_stays_with_the_last(void **state)
{
    (void)state;
    start(3);
    assert_error(ask_one(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ, 8), TRESOR_OK);
    assert_error(ask_one(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_MMAP, 9), TRESOR_OK);
    settle();
    assert_error(ask_one(TRESOR_DRIVER_RELEASE, 0, 8), TRESOR_OK);
    settle();
    must_hold(9);
    assert_error(ask_one(TRESOR_DRIVER_RELEASE, 0, 9), TRESOR_OK);
    end();
}

/* A release while it is being loaded is the end of both. */
static void a_load_is_taken_back(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 12; steps++) {
        start(steps + 1);
        assert_error(ask_one(TRESOR_DRIVER_LOAD, 1 + steps % 2, 7), TRESOR_OK);
        for (uint32_t i = 0; i < steps && engine.flight_count > 0 && !engine.results[TRESOR_DRIVER_LOAD][7]; i++)
            carry_out_one();
        uint32_t loaded = engine.results[TRESOR_DRIVER_LOAD][7];
        assert_error(ask_one(TRESOR_DRIVER_RELEASE, 0, 7), TRESOR_OK);
        settle();
        assert_int_equal(engine.results[TRESOR_DRIVER_LOAD][7], loaded);
        assert_int_equal(engine.results[TRESOR_DRIVER_RELEASE][7], 1);
        assert_error(ask_one(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ, 7), TRESOR_OK);
        settle();
        must_hold(7);
        end();
    }
}

static void locks_are_held_and_given_back(void **state)
{
    (void)state;
    start(5);
    assert_error(ask_one(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ, 2), TRESOR_OK);
    settle();
    assert_error(ask_one(TRESOR_DRIVER_LOCK, 0, 2), TRESOR_OK);
    engine.fail_kind = TRESOR_EFFECT_LOCK;
    engine.fail_errno = ENOMEM;
    engine.fail_times = 1;
    settle();
    assert_int_equal(engine.results[TRESOR_DRIVER_LOCK][2], 1);
    assert_error(engine.last[2].error.code, TRESOR_ERROR_LOCK_LIMIT);
    must_hold(2);
    assert_error(ask_one(TRESOR_DRIVER_LOCK, 0, 2), TRESOR_OK);
    while (engine.flight_count > 0) { /* as a process that may lock so much */
        struct tresor_effect effect = engine.flight[--engine.flight_count];
        struct tresor_driver_input input = {.event = TRESOR_DRIVER_ANSWER};
        input.answer.number = effect.number;
        assert_error(step(&input), TRESOR_OK);
    }
    assert_int_equal(engine.results[TRESOR_DRIVER_LOCK][2], 2);
    assert_error(engine.last[2].error.code, TRESOR_OK);
    assert_error(ask_one(TRESOR_DRIVER_RELEASE, 0, 2), TRESOR_ERROR_INVALID);
    assert_error(ask_one(TRESOR_DRIVER_UNLOCK, 0, 2), TRESOR_OK);
    settle();
    assert_int_equal(engine.results[TRESOR_DRIVER_UNLOCK][2], 1);
    assert_error(ask_one(TRESOR_DRIVER_RELEASE, 0, 2), TRESOR_OK);
    end();
}

/* Only those fail whose bytes are missing, each with its own cause, and are loaded when the cause has gone. */
static void a_failure_is_its_tensors_own(void **state)
{
    static const struct {
        uint32_t kind;
        uint32_t strategy;
        int32_t os_errno;
        int32_t code;
    } rows[] = {
        {TRESOR_EFFECT_READ, TRESOR_STRATEGY_READ, EIO, TRESOR_ERROR_IO},
        {TRESOR_EFFECT_MAP, TRESOR_STRATEGY_READ, ENOMEM, TRESOR_ERROR_MAP_REFUSED},
        {TRESOR_EFFECT_MAP, TRESOR_STRATEGY_MMAP, ENODEV, TRESOR_ERROR_UNSUPPORTED},
        {TRESOR_EFFECT_MAP, TRESOR_STRATEGY_MMAP, ESTALE, TRESOR_ERROR_CHANGED},
        {TRESOR_EFFECT_POPULATE, TRESOR_STRATEGY_MMAP, EIO, TRESOR_ERROR_IO},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        start(11 + i);
        settle();
        engine.fail_kind = rows[i].kind;
        engine.fail_errno = rows[i].os_errno;
        engine.fail_times = 1;
        assert_error(ask_one(TRESOR_DRIVER_LOAD, rows[i].strategy, 7), TRESOR_OK);
        settle();
        assert_int_equal(engine.results[TRESOR_DRIVER_LOAD][7], 1);
        assert_error(engine.last[7].error.code, rows[i].code);
        assert_int_equal(engine.last[7].error.os_errno, rows[i].os_errno);
        assert_null(engine.last[7].data);
        assert_error(ask_one(TRESOR_DRIVER_LOAD, rows[i].strategy, 7), TRESOR_OK);
        settle();
        assert_error(engine.last[7].error.code, TRESOR_OK);
        must_hold(7);
        end();
    }
}

static void a_release_that_fails_is_told_when_it_is_over(void **state)
{
    (void)state;
    start(21);
    assert_error(ask_one(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_MMAP, 7), TRESOR_OK);
    settle();
    engine.fail_kind = TRESOR_EFFECT_UNMAP;
    engine.fail_errno = ENOMEM;
    engine.fail_times = 1;
    assert_error(ask_one(TRESOR_DRIVER_RELEASE, 0, 7), TRESOR_OK);
    settle();
    assert_int_equal(engine.results[TRESOR_DRIVER_RELEASE][7], 1);
    assert_error(engine.last[7].error.code, TRESOR_ERROR_MAP_REFUSED);
    assert_error(ask_one(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_MMAP, 7), TRESOR_OK);
    settle();
    must_hold(7);
    end();
}

static void refused_direct_reads_are_told_once(void **state)
{
    (void)state;
    start_options(31);
    engine.options.direct_descriptor = engine.options.descriptor;
    engine.options.direct_alignment_bytes = 512;
    make_driver();
    settle();
    engine.fail_kind = TRESOR_EFFECT_READ;
    engine.fail_errno = EINVAL;
    engine.fail_times = 1;
    assert_error(ask_all(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    settle();
    assert_int_equal(engine.results[TRESOR_DRIVER_DEGRADED][TENSORS], 1);
    assert_int_equal(engine.last[TENSORS].error.os_errno, EINVAL);
    for (uint32_t i = 0; i < TENSORS; i++)
        must_hold(i);
    end();
}

/* Its length is what it was made for; its descriptor is looked at once. */
static void another_file_is_refused(void **state)
{
    (void)state;
    start_options(41);
    engine.options.file_bytes += 1;
    make_driver();
    assert_error(ask_all(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_error(ask_one(TRESOR_DRIVER_RELEASE, 0, 3), TRESOR_OK);
    settle();
    for (uint32_t i = 0; i < TENSORS; i++) {
        bool is_refused = i != 3 && i != 5; /* one was taken back, one has no bytes */
        assert_int_equal(engine.results[TRESOR_DRIVER_LOAD][i], i != 3);
        assert_error(engine.last[i].error.code, is_refused ? TRESOR_ERROR_CHANGED : TRESOR_OK);
    }
    assert_error(ask_one(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ, 4), TRESOR_OK);
    assert_error(engine.last[4].error.code, TRESOR_ERROR_CHANGED);
    end();
}

static void what_cannot_be_asked_leaves_no_trace(void **state)
{
    const uint32_t twice[] = {1, 2, 1};
    const uint32_t unknown[] = {1, TENSORS};
    struct tresor_driver_input input = {.event = TRESOR_DRIVER_ANSWER, .answer = {.number = 12345}};
    (void)state;
    start(51);
    settle();
    assert_error(ask(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ, twice, 3), TRESOR_ERROR_INVALID);
    assert_error(ask(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ, unknown, 2), TRESOR_ERROR_INVALID);
    assert_error(ask(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_DEFAULT, twice, 1), TRESOR_ERROR_INVALID);
    assert_error(ask(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ, NULL, 1), TRESOR_ERROR_INVALID);
    assert_error(ask_one(TRESOR_DRIVER_RELEASE, 0, 1), TRESOR_ERROR_INVALID);
    assert_error(ask_one(TRESOR_DRIVER_LOCK, 0, 1), TRESOR_ERROR_INVALID);
    assert_error(ask_one(TRESOR_DRIVER_UNLOCK, 0, 1), TRESOR_ERROR_INVALID);
    assert_error(ask_one(TRESOR_DRIVER_DEGRADED, 0, 1), TRESOR_ERROR_INVALID);
    assert_error(step(&input), TRESOR_ERROR_BACKEND);
    input = (struct tresor_driver_input){.event = TRESOR_DRIVER_LOAD, .reserved = 1};
    assert_error(step(&input), TRESOR_ERROR_INVALID);
    assert_int_equal(engine.flight_count, 0);
    assert_error(ask_one(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ, 1), TRESOR_OK);
    assert_error(ask_one(TRESOR_DRIVER_LOAD, TRESOR_STRATEGY_READ, 1), TRESOR_ERROR_INVALID);
    settle();
    must_hold(1);
    end();
}

static void options_are_checked(void **state)
{
    static const uint64_t wrong[] = {1, 4095, 70000};
    struct tresor_driver *driver = NULL;
    (void)state;
    start_options(61);
    const struct tresor_driver_options good = engine.options;
    for (uint32_t i = 0; i < 11; i++) {
        struct tresor_driver_options options = good;
        struct tresor_driver_tensor outside = {engine.file_bytes, 1};
        if (i == 0)
            options.size_bytes = 0;
        else if (i == 1)
            options.window = (char *)options.window + 1;
        else if (i == 2)
            options.window = NULL;
        else if (i == 3)
            options.descriptor = -1;
        else if (i == 4)
            options.tensors = NULL;
        else if (i == 5) {
            options.tensors = &outside;
            options.tensor_count = 1;
        } else if (i == 6)
            options.reserved = 1;
        else if (i == 7)
            options.direct_alignment_bytes = 3;
        else
            options.page_bytes = options.block_bytes = wrong[i - 8];
        assert_int_equal(tresor_driver_bytes(&options), 0);
        assert_error(tresor_driver_create(&options, &options, SIZE_MAX, &driver), TRESOR_ERROR_INVALID);
    }
    size_t bytes = tresor_driver_bytes(&good);
    void *memory = malloc(bytes);
    assert_error(tresor_driver_create(&good, memory, bytes - 1, &driver), TRESOR_ERROR_NO_MEMORY);
    assert_error(tresor_driver_create(NULL, memory, bytes, &driver), TRESOR_ERROR_INVALID);
    assert_error(tresor_driver_create(&good, NULL, bytes, &driver), TRESOR_ERROR_INVALID);
    assert_error(tresor_driver_create(&good, memory, bytes, &driver), TRESOR_OK);
    assert_error(tresor_driver_step(driver, NULL, NULL), TRESOR_ERROR_INVALID);
    free(memory);
    end();
}

/* Whatever is asked while effects are answered in any order, each request has its one end. */
static void chance_finds_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 130; seed++) {
        uint32_t asked[EVENTS] = {0};
        start(seed);
        for (uint32_t i = 0; i < 600; i++) {
            uint32_t event = 1 + random_below(&engine.seed, 2);
            uint32_t tensor = random_below(&engine.seed, TENSORS);
            if (random_below(&engine.seed, 3) > 0 && engine.flight_count > 0)
                carry_out_one();
            else if (ask_one(event, 1 + random_below(&engine.seed, 2), tensor) == TRESOR_OK)
                asked[event]++;
        }
        settle();
        uint32_t ended[EVENTS] = {0};
        for (uint32_t event = 1; event <= 2; event++)
            for (uint32_t i = 0; i < TENSORS; i++)
                ended[event] += engine.results[event][i];
        assert_int_equal(ended[TRESOR_DRIVER_RELEASE], asked[TRESOR_DRIVER_RELEASE]);
        assert_true(ended[TRESOR_DRIVER_LOAD] <= asked[TRESOR_DRIVER_LOAD] && ended[TRESOR_DRIVER_LOAD] > 0);
        for (uint32_t i = 0; i < TENSORS; i++)
            if (engine.last[i].event == TRESOR_DRIVER_LOAD)
                must_hold(i);
        end();
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_tensor_has_one_result),
        cmocka_unit_test(neighbours_are_mapped_as_one),
        cmocka_unit_test(what_neighbours_share_stays_with_the_last),
        cmocka_unit_test(a_load_is_taken_back),
        cmocka_unit_test(locks_are_held_and_given_back),
        cmocka_unit_test(a_failure_is_its_tensors_own),
        cmocka_unit_test(a_release_that_fails_is_told_when_it_is_over),
        cmocka_unit_test(refused_direct_reads_are_told_once),
        cmocka_unit_test(another_file_is_refused),
        cmocka_unit_test(what_cannot_be_asked_leaves_no_trace),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(chance_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
