/* SPDX-License-Identifier: MIT */
/* The face of Hyperion's mapped model: every function, every option, and what it does at its edges. */
#include "support/test.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tresor/compat/hyperion.h>

#include "support/bytes.h"
#include "support/failing_allocator.h"
#include "support/random.h"
#include "support/temporary.h"

enum {
    LAYERS = 10,
    LAYER_BYTES = 64 * 1024,
    SMALL = LAYERS, /* two more layers, in one page */
    SMALL_BYTES = 1000,
    ALL = LAYERS + 2,
    PATH_BYTES = TEMPORARY_PATH_BYTES + 16,
};

struct fixture {
    char folder[TEMPORARY_PATH_BYTES];
    char path[PATH_BYTES];
    struct bytes file;
    struct tresor_hyperion_options options;
    struct tresor_hyperion_model *model;
};

static uint32_t offset_of(uint32_t layer)
{
    return layer < LAYERS ? 4096 + layer * LAYER_BYTES
                          : 4096 + LAYERS * LAYER_BYTES + (layer - LAYERS) * SMALL_BYTES;
}

static uint32_t bytes_of(uint32_t layer)
{
    return layer < LAYERS ? LAYER_BYTES : SMALL_BYTES;
}

static void make_file(struct fixture *fixture)
{
    uint64_t seed = 5;
    tmai_put_header(&fixture->file, 1, ALL);
    for (uint32_t i = 0; i < ALL; i++)
        tmai_put_layer(&fixture->file, offset_of(i), bytes_of(i), i == 1 ? 32 : 4);
    while (fixture->file.size < offset_of(ALL - 1) + SMALL_BYTES)
        bytes_put_u64(&fixture->file, random_next(&seed));
    temporary_write(fixture->path, fixture->file.data, fixture->file.size);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    temporary_make(fixture->folder);
    snprintf(fixture->path, sizeof fixture->path, "%s/model.tmai", fixture->folder);
    make_file(fixture);
    tresor_hyperion_defaults(&fixture->options);
    fixture->options.prefetch = 0;
    fixture->options.adaptive = 0;
    fixture->options.layer_bytes_min = 0;
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    const int32_t code = tresor_hyperion_close(fixture->model);
    bytes_free(&fixture->file);
    temporary_remove(fixture->folder);
    free(fixture);
    return code;
}

static void open_model(struct fixture *fixture)
{
    struct tresor_error error;
    assert_error(
        tresor_hyperion_open(fixture->path, &fixture->options, &fixture->model, &error),
        TRESOR_OK);
    assert_error(error.code, TRESOR_OK);
}

/* With a cache of so many layers. */
static void open_of(struct fixture *fixture, uint32_t layers)
{
    fixture->options.cache_bytes = layers * UINT64_C(1) * LAYER_BYTES;
    open_model(fixture);
}

static void reopen(struct fixture *fixture)
{
    assert_error(tresor_hyperion_close(fixture->model), TRESOR_OK);
    fixture->model = NULL;
    open_model(fixture);
}

static const void *get(struct fixture *fixture, uint32_t layer)
{
    const void *weights = NULL;
    struct tresor_error error;
    assert_error(tresor_hyperion_get_weights(fixture->model, layer, &weights, &error), TRESOR_OK);
    assert_error(error.code, TRESOR_OK);
    assert_memory_equal(weights, fixture->file.data + offset_of(layer), bytes_of(layer));
    return weights;
}

static int32_t try_get(struct fixture *fixture, uint32_t layer)
{
    const void *weights = "";
    struct tresor_error error;
    const int32_t code = tresor_hyperion_get_weights(fixture->model, layer, &weights, &error);
    assert_int_equal(error.code, code);
    assert_true((weights != NULL) == (code == TRESOR_OK));
    return code;
}

static void put_back(struct fixture *fixture, uint32_t layer)
{
    assert_error(tresor_hyperion_release(fixture->model, layer), TRESOR_OK);
}

static void use(struct fixture *fixture, uint32_t layer)
{
    get(fixture, layer);
    put_back(fixture, layer);
}

static struct tresor_hyperion_layer look(struct fixture *fixture, uint32_t layer)
{
    struct tresor_hyperion_layer info = {.size_bytes = sizeof info};
    assert_error(tresor_hyperion_get_layer(fixture->model, layer, &info), TRESOR_OK);
    return info;
}

static bool is_there(struct fixture *fixture, uint32_t layer)
{
    return look(fixture, layer).is_active;
}

static struct tresor_hyperion_counters count(struct fixture *fixture)
{
    struct tresor_hyperion_counters counters = {.size_bytes = sizeof counters};
    assert_error(tresor_hyperion_get_counters(fixture->model, &counters), TRESOR_OK);
    return counters;
}

static uint64_t usage(struct fixture *fixture)
{
    uint64_t usage_bytes = 0;
    assert_error(tresor_hyperion_memory_usage(fixture->model, &usage_bytes), TRESOR_OK);
    assert_true(usage_bytes <= fixture->options.cache_bytes);
    return usage_bytes;
}

/* Work until nothing is loaded ahead any more. */
static void settle(struct fixture *fixture)
{
    for (uint32_t i = 0; i < ALL; i++)
        while (look(fixture, i).is_loading)
            usleep(100);
}

/* --- what a model says of itself --- */

static void defaults_are_hyperions(void **state)
{
    (void)state;
    struct tresor_hyperion_options options;
    tresor_hyperion_defaults(&options);
    assert_int_equal(options.size_bytes, sizeof options);
    assert_int_equal(options.cache_bytes, 256 * 1024 * 1024);
    assert_int_equal(options.prefetch, 1);
    assert_int_equal(options.threads, 1);
    assert_int_equal(options.adaptive, 1);
    assert_int_equal(options.layer_bytes_min, 4096);
}

static void null_options_are_the_defaults(void **state)
{
    struct fixture *fixture = *state;
    assert_error(tresor_hyperion_open(fixture->path, NULL, &fixture->model, NULL), TRESOR_OK);
    use(fixture, 3);
    settle(fixture);
    use(fixture, SMALL);
    assert_false(is_there(fixture, SMALL)); /* less than 4 KiB */
    assert_true(is_there(fixture, 3));
}

static void a_layer_has_every_field(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 4);
    assert_int_equal(tresor_hyperion_layer_count(fixture->model), ALL);
    for (uint32_t i = 0; i < ALL; i++) {
        const struct tresor_hyperion_layer layer = look(fixture, i);
        assert_int_equal(layer.index, i);
        assert_int_equal(layer.offset_bytes, offset_of(i));
        assert_int_equal(layer.layer_bytes, bytes_of(i));
        assert_int_equal(layer.precision_bits, i == 1 ? 32 : 4);
        assert_null(layer.weights);
        assert_false(layer.is_active);
        assert_int_equal(layer.users, 0);
        assert_true(layer.priority == 1);
        assert_int_equal(layer.last_access, 0);
        assert_int_equal(layer.access_count, 0);
    }
    const void *weights = get(fixture, 6);
    use(fixture, 2);
    get(fixture, 6);
    const struct tresor_hyperion_layer layer = look(fixture, 6);
    assert_ptr_equal(layer.weights, weights);
    assert_true(layer.is_active);
    assert_int_equal(layer.users, 2);
    assert_int_equal(layer.last_access, 3);
    assert_int_equal(layer.access_count, 2);
    assert_int_equal(look(fixture, 2).last_access, 2);
    put_back(fixture, 6);
    put_back(fixture, 6);
    assert_int_equal(look(fixture, 6).users, 0);
}

static void an_older_struct_gets_what_it_has_room_for(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 4);
    struct tresor_hyperion_layer layer = {
        .size_bytes = offsetof(struct tresor_hyperion_layer, index), .index = 77};
    assert_error(tresor_hyperion_get_layer(fixture->model, 3, &layer), TRESOR_OK);
    assert_int_equal(layer.layer_bytes, LAYER_BYTES);
    assert_int_equal(layer.index, 77);
    layer.size_bytes = 3;
    assert_error(tresor_hyperion_get_layer(fixture->model, 3, &layer), TRESOR_ERROR_INVALID);
    struct tresor_hyperion_counters counters = {.size_bytes = 0};
    assert_error(tresor_hyperion_get_counters(fixture->model, &counters), TRESOR_ERROR_INVALID);
}

static void what_is_no_model_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct tresor_hyperion_model *model = (struct tresor_hyperion_model *)fixture;
    struct bytes gguf = {0};
    struct tresor_error error;
    gguf_put_good_file(&gguf);
    temporary_write(fixture->path, gguf.data, gguf.size);
    bytes_free(&gguf);
    assert_error(tresor_hyperion_open(fixture->path, NULL, &model, &error), TRESOR_ERROR_FORMAT);
    assert_null(model);
    assert_error(error.code, TRESOR_ERROR_FORMAT);
    fixture->file.data[4] = 2;
    temporary_write(fixture->path, fixture->file.data, fixture->file.size);
    assert_error(tresor_hyperion_open(fixture->path, NULL, &model, &error), TRESOR_ERROR_VERSION);
    assert_int_equal(error.offset, 4);
    assert_error(tresor_hyperion_open(fixture->folder, NULL, &model, NULL),
                 TRESOR_ERROR_NOT_REGULAR);
    assert_error(tresor_hyperion_open("/nowhere/x.tmai", NULL, &model, &error),
                 TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_hyperion_open(NULL, NULL, &model, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_open(fixture->path, NULL, NULL, &error), TRESOR_ERROR_INVALID);
}

static void a_model_of_no_layers_has_none(void **state)
{
    struct fixture *fixture = *state;
    struct bytes empty = {0};
    tmai_put_header(&empty, 1, 0);
    temporary_write(fixture->path, empty.data, empty.size);
    bytes_free(&empty);
    open_model(fixture);
    assert_int_equal(tresor_hyperion_layer_count(fixture->model), 0);
    assert_error(try_get(fixture, 0), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_reset_priorities(fixture->model), TRESOR_OK);
    assert_int_equal(usage(fixture), 0);
}

/* --- pins --- */

static void a_pinned_pointer_stays_under_pressure(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 3);
    const void *held = get(fixture, 4);
    for (uint32_t round = 0; round < 5; round++)
        for (uint32_t i = 0; i < LAYERS; i++) {
            use(fixture, i);
            assert_memory_equal(held, fixture->file.data + offset_of(4), LAYER_BYTES);
            assert_ptr_equal(look(fixture, 4).weights, held);
            assert_true(usage(fixture) <= 3 * LAYER_BYTES);
        }
    put_back(fixture, 4);
    for (uint32_t i = 5; i < 8; i++)
        use(fixture, i);
    assert_false(is_there(fixture, 4));
    assert_null(look(fixture, 4).weights);
    assert_ptr_equal(get(fixture, 4), held); /* its address is its own */
    put_back(fixture, 4);
}

static void all_pinned_is_busy_and_nothing_vanishes(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 2);
    const void *first = get(fixture, 0), *second = get(fixture, 1);
    assert_error(try_get(fixture, 2), TRESOR_ERROR_BUSY);
    assert_error(tresor_hyperion_prefetch(fixture->model, 2), TRESOR_ERROR_BUSY);
    assert_memory_equal(first, fixture->file.data + offset_of(0), LAYER_BYTES);
    assert_memory_equal(second, fixture->file.data + offset_of(1), LAYER_BYTES);
    assert_int_equal(look(fixture, 2).access_count, 0);
    put_back(fixture, 0);
    get(fixture, 2);
    assert_memory_equal(second, fixture->file.data + offset_of(1), LAYER_BYTES);
    put_back(fixture, 1);
    put_back(fixture, 2);
}

static void a_cache_below_one_layer_is_told(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.cache_bytes = LAYER_BYTES - 1;
    open_model(fixture);
    struct tresor_error error;
    const void *weights = "";
    assert_error(tresor_hyperion_get_weights(fixture->model, 0, &weights, &error),
                 TRESOR_ERROR_TOO_BIG);
    assert_null(weights);
    assert_error(error.code, TRESOR_ERROR_TOO_BIG);
    assert_error(tresor_hyperion_prefetch(fixture->model, 0), TRESOR_ERROR_TOO_BIG);
    use(fixture, SMALL);
    assert_int_equal(look(fixture, 0).access_count, 0);
}

static void releases_are_as_many_as_gets(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 2);
    assert_error(tresor_hyperion_release(fixture->model, 0), TRESOR_ERROR_INVALID);
    get(fixture, 0);
    get(fixture, 0);
    put_back(fixture, 0);
    use(fixture, 1);
    use(fixture, 2);
    assert_true(is_there(fixture, 0)); /* one get is left */
    put_back(fixture, 0);
    assert_error(tresor_hyperion_release(fixture->model, 0), TRESOR_ERROR_INVALID);
    use(fixture, 3);
    use(fixture, 4);
    assert_false(is_there(fixture, 0));
    assert_error(tresor_hyperion_release(fixture->model, 0), TRESOR_ERROR_INVALID);
}

static void closing_waits_for_no_pin_but_says_so(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 2);
    const void *held = get(fixture, 0);
    assert_error(tresor_hyperion_close(fixture->model), TRESOR_ERROR_BUSY);
    assert_memory_equal(held, fixture->file.data + offset_of(0), LAYER_BYTES);
    use(fixture, 1); /* nothing was done */
    put_back(fixture, 0);
    assert_error(tresor_hyperion_close(fixture->model), TRESOR_OK);
    fixture->model = NULL;
    assert_error(tresor_hyperion_close(NULL), TRESOR_OK);
}

static void dropping_frees_memory_at_once(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 4);
    get(fixture, 0);
    use(fixture, 1);
    assert_int_equal(usage(fixture), 2 * LAYER_BYTES);
    assert_error(tresor_hyperion_drop(fixture->model, 0), TRESOR_ERROR_BUSY);
    assert_true(is_there(fixture, 0));
    assert_error(tresor_hyperion_drop(fixture->model, 1), TRESOR_OK);
    assert_int_equal(usage(fixture), LAYER_BYTES);
    assert_false(is_there(fixture, 1));
    assert_error(tresor_hyperion_drop(fixture->model, 1), TRESOR_OK);
    put_back(fixture, 0);
    assert_int_equal(usage(fixture), LAYER_BYTES); /* a release keeps it */
    assert_error(tresor_hyperion_drop(fixture->model, 0), TRESOR_OK);
    assert_int_equal(usage(fixture), 0);
}

static void what_is_no_layer_is_invalid(void **state)
{
    struct fixture *fixture = *state;
    struct tresor_hyperion_layer info = {.size_bytes = sizeof info};
    struct tresor_hyperion_counters counters = {.size_bytes = sizeof counters};
    uint64_t usage_bytes = 0;
    open_of(fixture, 2);
    const uint32_t wrong[] = {ALL, ALL + 1, INT32_MAX, (uint32_t)INT32_MIN, UINT32_MAX};
    for (size_t i = 0; i < 2 * sizeof wrong / sizeof wrong[0]; i++) {
        const uint32_t layer = wrong[i / 2];
        struct tresor_hyperion_model *model = i % 2 ? fixture->model : NULL;
        const void *weights = "";
        assert_error(tresor_hyperion_get_layer(model, layer, &info), TRESOR_ERROR_INVALID);
        assert_error(tresor_hyperion_get_weights(model, layer, &weights, NULL),
                     TRESOR_ERROR_INVALID);
        assert_null(weights);
        assert_error(tresor_hyperion_prefetch(model, layer), TRESOR_ERROR_INVALID);
        assert_error(tresor_hyperion_release(model, layer), TRESOR_ERROR_INVALID);
        assert_error(tresor_hyperion_drop(model, layer), TRESOR_ERROR_INVALID);
        assert_error(tresor_hyperion_set_priority(model, layer, 1), TRESOR_ERROR_INVALID);
    }
    assert_int_equal(tresor_hyperion_layer_count(NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_memory_usage(NULL, &usage_bytes), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_memory_usage(fixture->model, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_reset_priorities(NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_work(NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_get_fd(NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_get_counters(NULL, &counters), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_get_counters(fixture->model, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_get_layer(fixture->model, 0, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_get_weights(fixture->model, 0, NULL, NULL), TRESOR_ERROR_INVALID);
}

static void bytes_that_the_file_lost_are_no_weights(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 4);
    assert_int_equal(truncate(fixture->path, offset_of(5) + 100), 0);
    use(fixture, 4);
    struct tresor_error error;
    const void *weights = NULL;
    assert_error(tresor_hyperion_get_weights(fixture->model, 5, &weights, &error),
                 TRESOR_ERROR_TRUNCATED);
    assert_error(error.code, TRESOR_ERROR_TRUNCATED);
    assert_int_equal(error.tensor, 5);
    assert_null(weights);
    assert_error(tresor_hyperion_prefetch(fixture->model, 6), TRESOR_ERROR_TRUNCATED);
    assert_int_equal(count(fixture).prefetches_failed, 1);
    assert_false(is_there(fixture, 5));
    assert_false(is_there(fixture, 6));
}

/* --- priorities --- */

static void check_priorities(struct fixture *fixture)
{
    open_of(fixture, 3);
    use(fixture, 0);
    use(fixture, 5);
    use(fixture, 2);
    assert_error(tresor_hyperion_set_priority(fixture->model, 0, 1.5F), TRESOR_OK);
    assert_error(tresor_hyperion_set_priority(fixture->model, 2, -3), TRESOR_OK);
    assert_true(look(fixture, 0).priority == 1.5F);
    use(fixture, 7); /* 2 has the lowest, though it was used last */
    assert_false(is_there(fixture, 2));
    assert_true(is_there(fixture, 5));
    use(fixture, 1); /* of 5 and 7 the one used longer ago; 0 has the highest */
    assert_false(is_there(fixture, 5));
    assert_true(is_there(fixture, 0));
    assert_error(tresor_hyperion_reset_priorities(fixture->model), TRESOR_OK);
    assert_true(look(fixture, 0).priority == 1 && look(fixture, 2).priority == 1);
    use(fixture, 4); /* now 0 is the one used longest ago */
    assert_false(is_there(fixture, 0));
}

static void lower_priorities_leave_first(void **state)
{
    check_priorities(*state);
}

static void lower_priorities_leave_first_also_where_order_is_learned(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.adaptive = 1;
    check_priorities(fixture);
}

/* Each of these is more than the one before; the first to come is the first to go. */
static void every_finite_number_is_a_priority(void **state)
{
    struct fixture *fixture = *state;
    static const float rising[] = {-3e38F, -2.5F, -1e-40F, 0, 1e-40F, 0.99F, 1.01F, 8e37F};
    enum { COUNT = sizeof rising / sizeof rising[0] };
    open_of(fixture, COUNT);
    for (uint32_t i = COUNT; i-- > 0;) {
        use(fixture, i);
        assert_error(tresor_hyperion_set_priority(fixture->model, i, rising[i]), TRESOR_OK);
    }
    assert_error(tresor_hyperion_set_priority(fixture->model, 8, 3e38F), TRESOR_OK);
    assert_error(tresor_hyperion_set_priority(fixture->model, 9, 3e38F), TRESOR_OK);
    for (uint32_t i = 0; i + 1 < COUNT; i++) {
        use(fixture, 8 + i % 2);
        if (i >= 1)
            continue;
        assert_false(is_there(fixture, 0));
        assert_true(is_there(fixture, 1));
    }
    assert_false(is_there(fixture, 1));
    assert_true(is_there(fixture, 2));
    assert_error(tresor_hyperion_set_priority(fixture->model, 0, NAN), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_set_priority(fixture->model, 0, INFINITY), TRESOR_ERROR_INVALID);
    assert_true(look(fixture, 0).priority == rising[0]);
}

/* --- options --- */

static void bad_options_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct tresor_hyperion_options good;
    struct tresor_error error;
    tresor_hyperion_defaults(&good);
    for (int i = 0; i < 9; i++) {
        struct tresor_hyperion_options options = good;
        options.size_bytes = i == 0 ? sizeof options.size_bytes - 1 : i == 1 ? 0 : sizeof options;
        options.cache_bytes = i == 2 ? 0 : options.cache_bytes;
        options.prefetch = i == 3 ? 2 : 1;
        options.threads = i == 4 ? 0 : i == 5 ? 257 : 1;
        options.adaptive = i == 6 ? 2 : 1;
        options.reserved = i == 7;
        const int32_t code = tresor_hyperion_open(fixture->path, &options, &fixture->model, &error);
        assert_error(code, i == 8 ? TRESOR_OK : TRESOR_ERROR_INVALID);
        assert_true((fixture->model != NULL) == (i == 8));
    }
}

static void what_a_later_version_added_must_be_zero(void **state)
{
    struct fixture *fixture = *state;
    struct {
        struct tresor_hyperion_options options;
        uint64_t added;
    } later = {.options = fixture->options};
    later.options.size_bytes = sizeof later;
    later.added = 1;
    assert_error(tresor_hyperion_open(fixture->path, &later.options, &fixture->model, NULL),
                 TRESOR_ERROR_INVALID);
    later.added = 0;
    assert_error(tresor_hyperion_open(fixture->path, &later.options, &fixture->model, NULL),
                 TRESOR_OK);
}

static void the_cache_holds_as_many_as_fit(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t layers = 1; layers <= LAYERS; layers++) {
        fixture->options.cache_bytes = layers * UINT64_C(1) * LAYER_BYTES;
        reopen(fixture);
        uint32_t there = 0;
        for (uint32_t i = 0; i < LAYERS; i++)
            use(fixture, i);
        for (uint32_t i = 0; i < LAYERS; i++)
            there += is_there(fixture, i);
        assert_int_equal(there, layers);
        assert_int_equal(usage(fixture), layers * LAYER_BYTES);
    }
}

static uint32_t thread_count(void)
{
    uint32_t threads = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *task; (task = readdir(tasks));)
        threads += task->d_name[0] != '.';
    closedir(tasks);
    return threads;
}

static void threads_are_those_of_the_option(void **state)
{
    struct fixture *fixture = *state;
    const uint32_t before = thread_count();
    open_model(fixture);
    assert_int_equal(thread_count(), before);
    for (uint32_t threads = 1; threads <= 5; threads += 2) {
        fixture->options.prefetch = 1;
        fixture->options.threads = threads;
        reopen(fixture);
        assert_int_equal(thread_count(), before + threads);
        use(fixture, 0);
    }
    fixture->options.prefetch = 0;
    fixture->options.threads = 0;
    reopen(fixture);
    assert_int_equal(thread_count(), before);
}

static void prefetch_brings_the_next_layer(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 3);
    use(fixture, 4);
    assert_false(is_there(fixture, 5));
    assert_int_equal(count(fixture).prefetches, 0);
    fixture->options.prefetch = 1;
    reopen(fixture);
    use(fixture, 4);
    settle(fixture);
    assert_true(is_there(fixture, 5));
    assert_int_equal(look(fixture, 5).users, 0);
    assert_int_equal(look(fixture, 5).access_count, 0);
    assert_int_equal(count(fixture).prefetches, 1);
    assert_int_equal(count(fixture).prefetches_used, 0);
    use(fixture, 5);
    const struct tresor_hyperion_counters counters = count(fixture);
    assert_int_equal(counters.hits, 1);
    assert_int_equal(counters.prefetches_used, 1);
    use(fixture, ALL - 1);
    settle(fixture);
    assert_true(is_there(fixture, 0)); /* behind the last comes the first */
}

static void small_layers_are_not_kept(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 4);
    use(fixture, SMALL);
    assert_true(is_there(fixture, SMALL));
    assert_error(tresor_hyperion_prefetch(fixture->model, SMALL + 1), TRESOR_OK);
    fixture->options.layer_bytes_min = SMALL_BYTES + 1;
    fixture->options.prefetch = 1;
    reopen(fixture);
    get(fixture, SMALL);
    get(fixture, SMALL);
    put_back(fixture, SMALL);
    assert_true(is_there(fixture, SMALL));
    assert_true(usage(fixture) > 0);
    put_back(fixture, SMALL);
    assert_false(is_there(fixture, SMALL));
    assert_false(is_there(fixture, SMALL + 1)); /* nor loaded ahead */
    assert_int_equal(usage(fixture), 0);
    assert_error(tresor_hyperion_prefetch(fixture->model, SMALL), TRESOR_ERROR_UNSUPPORTED);
    use(fixture, 4);
    assert_true(is_there(fixture, 4));
}

/* --- loads ahead that are asked for --- */

static void a_prefetch_pins_nothing_and_counts_no_access(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 2);
    assert_error(tresor_hyperion_prefetch(fixture->model, 3), TRESOR_OK); /* blocks: no threads */
    struct tresor_hyperion_layer layer = look(fixture, 3);
    assert_true(layer.is_active);
    assert_false(layer.is_loading);
    assert_int_equal(layer.users, 0);
    assert_int_equal(layer.access_count, 0);
    assert_error(tresor_hyperion_release(fixture->model, 3), TRESOR_ERROR_INVALID);
    assert_error(tresor_hyperion_prefetch(fixture->model, 3), TRESOR_OK);
    assert_int_equal(count(fixture).prefetches, 1);
    use(fixture, 3);
    assert_int_equal(count(fixture).hits, 1);
    assert_int_equal(count(fixture).prefetches_used, 1);
    use(fixture, 3);
    assert_int_equal(count(fixture).prefetches_used, 1);
}

static void a_prefetch_takes_no_room_from_what_matters_more(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 2);
    use(fixture, 0);
    use(fixture, 1);
    assert_error(tresor_hyperion_set_priority(fixture->model, 0, 2), TRESOR_OK);
    assert_error(tresor_hyperion_set_priority(fixture->model, 1, 2), TRESOR_OK);
    assert_error(tresor_hyperion_prefetch(fixture->model, 2), TRESOR_ERROR_BUSY);
    assert_true(is_there(fixture, 0) && is_there(fixture, 1));
    assert_int_equal(count(fixture).prefetches_skipped, 1);
    assert_error(tresor_hyperion_set_priority(fixture->model, 1, 1), TRESOR_OK);
    assert_error(tresor_hyperion_prefetch(fixture->model, 2), TRESOR_OK);
    assert_true(is_there(fixture, 0) && is_there(fixture, 2));
    assert_false(is_there(fixture, 1));
}

static void a_prefetch_takes_no_room_from_what_is_foretold(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.adaptive = 1;
    open_of(fixture, 2);
    for (uint32_t i = 0; i < 3; i++)
        use(fixture, i);
    get(fixture, 3); /* now 4 is foretold */
    assert_error(tresor_hyperion_prefetch(fixture->model, 8), TRESOR_OK);
    assert_error(tresor_hyperion_prefetch(fixture->model, 4), TRESOR_OK); /* for 8 */
    assert_error(tresor_hyperion_prefetch(fixture->model, 9), TRESOR_ERROR_BUSY);
    assert_true(is_there(fixture, 4));
    use(fixture, 7); /* now nothing is */
    assert_error(tresor_hyperion_prefetch(fixture->model, 9), TRESOR_OK);
    put_back(fixture, 3);
}

/* What is loaded ahead gives way to what is asked for, whether it is under way or there. */
static void a_get_comes_before_what_is_loaded_ahead(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.prefetch = 1;
    fixture->options.threads = 2;
    open_of(fixture, 2);
    for (uint32_t round = 0; round < 50; round++) {
        get(fixture, 0); /* which has 1 loaded ahead */
        use(fixture, 6);
        const int32_t code = tresor_hyperion_prefetch(fixture->model, 1 + round % 4);
        assert_true(code == TRESOR_OK || code == TRESOR_ERROR_BUSY);
        put_back(fixture, 0);
        assert_error(tresor_hyperion_drop(fixture->model, 0), TRESOR_OK);
        assert_error(tresor_hyperion_drop(fixture->model, 6), TRESOR_OK);
    }
    settle(fixture);
    const struct tresor_hyperion_counters counters = count(fixture);
    assert_int_equal(counters.gets, 100);
    assert_true(counters.prefetches >= 50);
    assert_true(counters.prefetches_cancelled > 0); /* what one dispatch begins is seldom there by the next */
    assert_int_equal(counters.prefetches_failed, 0);
}

/* The host's own loads ahead go on where something idle can go, and when something else is foretold. */
static void a_load_ahead_goes_on_where_there_is_room(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.prefetch = 1;
    fixture->options.adaptive = 1;
    fixture->options.cache_bytes = 7 * LAYER_BYTES; /* one layer at a time is foretold */
    for (uint32_t round = 0; round < 20; round++) {
        reopen(fixture);
        for (uint32_t i = 0; i < 5; i++)
            assert_error(tresor_hyperion_prefetch(fixture->model, i < 4 ? i : 8), TRESOR_OK);
        settle(fixture);
        for (uint32_t i = 0; i < 3; i++)
            use(fixture, i);
        assert_error(tresor_hyperion_prefetch(fixture->model, 4), TRESOR_OK);
        get(fixture, 3); /* and 4 is foretold besides */
        get(fixture, 8); /* and not any more */
        settle(fixture);
        put_back(fixture, 3);
        put_back(fixture, 8);
        assert_true(is_there(fixture, 4));
        assert_error(tresor_hyperion_prefetch(fixture->model, 9), TRESOR_OK);
        use(fixture, 6); /* for which an idle one can go */
        settle(fixture);
        assert_true(is_there(fixture, 9));
        assert_int_equal(count(fixture).prefetches, 7);
        assert_int_equal(count(fixture).prefetches_cancelled, 0);
    }
}

static void dropping_ends_a_load_ahead(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.prefetch = 1;
    open_of(fixture, 4);
    for (uint32_t i = 0; i < LAYERS; i++) {
        assert_error(tresor_hyperion_prefetch(fixture->model, i), TRESOR_OK);
        assert_error(tresor_hyperion_drop(fixture->model, i), TRESOR_OK);
        assert_false(look(fixture, i).is_loading || is_there(fixture, i));
    }
    while (usage(fixture) > 0) /* until reads that were under way have ended */
        usleep(100);
}

/* --- what is learned --- */

/* Round and round through twice as many layers as the cache has room for. */
static struct tresor_hyperion_counters walk(struct fixture *fixture, uint32_t step, uint32_t gets)
{
    for (uint32_t i = 0; i < gets; i++) {
        use(fixture, i * step % ALL);
        settle(fixture);
        usage(fixture);
    }
    return count(fixture);
}

static void a_walk_that_is_learned_keeps_some_layers(void **state)
{
    struct fixture *fixture = *state;
    open_of(fixture, 5);
    struct tresor_hyperion_counters counters = walk(fixture, 5, 100);
    assert_int_equal(counters.hits, 0); /* each leaves just before its turn */
    assert_int_equal(counters.pattern, TRESOR_HYPERION_NONE);
    assert_int_equal(counters.predictions, 0);
    fixture->options.adaptive = 1;
    reopen(fixture);
    counters = walk(fixture, 5, 100);
    assert_true(counters.hits >= 30);
    assert_true(counters.predictions_right >= 90);
    assert_true(counters.predictions - counters.predictions_right <= 4);
    assert_int_equal(counters.prefetches, 0); /* which is off */
}

static void a_walk_keeps_nothing_that_it_does_not_come_by(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.adaptive = 1;
    open_of(fixture, 6);
    use(fixture, 1);
    use(fixture, 3);
    walk(fixture, 2, 30);
    assert_int_equal(count(fixture).stride, 2);
    assert_false(is_there(fixture, 1) || is_there(fixture, 3));
    assert_true(is_there(fixture, 0));
}

static void an_order_that_is_learned_is_loaded_ahead(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.prefetch = 1;
    open_of(fixture, 5);
    struct tresor_hyperion_counters counters = walk(fixture, 5, 60);
    assert_int_equal(counters.prefetches_used, 0); /* the layer behind each is not the next */
    assert_true(counters.prefetches >= 30);
    fixture->options.adaptive = 1;
    reopen(fixture);
    counters = walk(fixture, 5, 60);
    assert_int_equal(counters.pattern, TRESOR_HYPERION_STRIDE);
    assert_int_equal(counters.stride, 5);
    assert_true(counters.hits >= 55);
    assert_true(counters.prefetches_used + 2 >= counters.prefetches);
}

static void a_loop_that_is_learned_is_told(void **state)
{
    static const uint32_t loop[] = {7, 2, 9, 2, 4};
    struct fixture *fixture = *state;
    fixture->options.adaptive = 1;
    fixture->options.prefetch = 1;
    open_of(fixture, 3);
    for (uint32_t i = 0; i < 60; i++) {
        use(fixture, loop[i % 5]);
        settle(fixture);
    }
    const struct tresor_hyperion_counters counters = count(fixture);
    assert_int_equal(counters.pattern, TRESOR_HYPERION_REPEAT);
    assert_int_equal(counters.period, 5);
    assert_true(counters.hits >= 45);
    assert_string_equal(tresor_hyperion_pattern_name(counters.pattern), "repeat");
    assert_string_equal(tresor_hyperion_pattern_name(4), "unknown");
}

static void no_order_is_loaded_ahead_where_none_is_learned(void **state)
{
    struct fixture *fixture = *state;
    uint64_t seed = 3;
    fixture->options.adaptive = 1;
    fixture->options.prefetch = 1;
    open_of(fixture, 3);
    uint32_t last = 0, foretold = 0;
    for (uint32_t i = 0; i < 100; i++) {
        last = (last + 2 + random_below(&seed, 3) * (i % 2 + 1)) % LAYERS;
        use(fixture, last);
        foretold += count(fixture).pattern != TRESOR_HYPERION_NONE;
    }
    settle(fixture);
    const struct tresor_hyperion_counters counters = count(fixture);
    assert_true(counters.prefetches <= foretold);
    assert_true(foretold < 30);
}

/* --- threads --- */

struct elsewhere {
    struct fixture *fixture;
    int32_t codes[12];
};

static void *call_elsewhere(void *cookie)
{
    struct elsewhere *elsewhere = cookie;
    struct tresor_hyperion_model *model = elsewhere->fixture->model;
    struct tresor_hyperion_layer info = {.size_bytes = sizeof info};
    struct tresor_hyperion_counters counters = {.size_bytes = sizeof counters};
    const void *weights = NULL;
    uint64_t usage_bytes = 0;
    int32_t *code = elsewhere->codes;
    *code++ = tresor_hyperion_get_layer(model, 0, &info);
    *code++ = tresor_hyperion_get_weights(model, 0, &weights, NULL);
    *code++ = tresor_hyperion_prefetch(model, 0);
    *code++ = tresor_hyperion_drop(model, 0);
    *code++ = tresor_hyperion_memory_usage(model, &usage_bytes);
    *code++ = tresor_hyperion_set_priority(model, 0, 3);
    *code++ = tresor_hyperion_reset_priorities(model);
    *code++ = tresor_hyperion_work(model);
    *code++ = tresor_hyperion_get_fd(model);
    *code++ = tresor_hyperion_get_counters(model, &counters);
    *code++ = tresor_hyperion_close(model);
    *code++ = tresor_hyperion_release(model, SMALL);
    return NULL;
}

static void another_thread_may_release_and_no_more(void **state)
{
    struct fixture *fixture = *state;
    struct elsewhere elsewhere = {.fixture = fixture};
    fixture->options.layer_bytes_min = 4096;
    open_of(fixture, 2);
    get(fixture, SMALL);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_elsewhere, &elsewhere), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < 11; i++)
        assert_error(elsewhere.codes[i], TRESOR_ERROR_THREAD);
    assert_error(elsewhere.codes[11], TRESOR_OK);
    assert_false(is_there(fixture, SMALL)); /* the next call of the model's took it away */
    assert_true(look(fixture, 0).priority == 1);
    assert_int_equal(usage(fixture), 0);
}

struct releaser {
    struct fixture *fixture;
    const void *weights;
    _Atomic int32_t layer; /* to read and release; -1: none yet; -2: the end */
    bool differed;
};

static void *read_and_release(void *cookie)
{
    struct releaser *releaser = cookie;
    for (;;) {
        const int32_t layer = releaser->layer;
        if (layer == -2)
            return NULL;
        if (layer == -1) {
            sched_yield();
            continue;
        }
        const struct fixture *fixture = releaser->fixture;
        releaser->differed |= memcmp(releaser->weights,
                                     fixture->file.data + offset_of((uint32_t)layer),
                                     bytes_of((uint32_t)layer)) != 0;
        tresor_hyperion_release(fixture->model, (uint32_t)layer);
        releaser->layer = -1;
    }
}

static void gets_here_and_releases_there(void **state)
{
    struct fixture *fixture = *state;
    struct releaser releaser = {.fixture = fixture, .layer = -1};
    fixture->options.prefetch = 1;
    fixture->options.adaptive = 1;
    fixture->options.layer_bytes_min = 4096;
    open_of(fixture, 4);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_and_release, &releaser), 0);
    for (uint32_t i = 0; i < 240; i++) {
        const void *weights = get(fixture, i % ALL);
        while (releaser.layer != -1)
            sched_yield();
        releaser.weights = weights;
        releaser.layer = (int32_t)(i % ALL);
    }
    while (releaser.layer != -1)
        sched_yield();
    releaser.layer = -2;
    pthread_join(thread, NULL);
    assert_false(releaser.differed);
    for (uint32_t i = 0; i < ALL; i++)
        assert_int_equal(look(fixture, i).users, 0);
}

/* --- whole lives --- */

struct life {
    uint32_t users[ALL];
    uint64_t gets;
};

static void act(struct fixture *fixture, struct life *life, uint64_t *seed)
{
    const uint32_t layer = random_below(seed, ALL);
    switch (random_below(seed, 8)) {
    case 0:
        tresor_hyperion_prefetch(fixture->model, layer);
        break;
    case 1: {
        const int32_t code = tresor_hyperion_drop(fixture->model, layer);
        assert_error(code, life->users[layer] ? TRESOR_ERROR_BUSY : TRESOR_OK);
        break;
    }
    case 2:
        tresor_hyperion_set_priority(fixture->model, layer, (float)random_below(seed, 4));
        break;
    case 3:
    case 4:
        assert_error(tresor_hyperion_release(fixture->model, layer),
                     life->users[layer] ? TRESOR_OK : TRESOR_ERROR_INVALID);
        life->users[layer] -= life->users[layer] > 0;
        break;
    default: {
        const int32_t code = try_get(fixture, layer);
        assert_true(code == TRESOR_OK || code == TRESOR_ERROR_BUSY);
        assert_true(code == TRESOR_OK || !life->users[layer]);
        life->users[layer] += code == TRESOR_OK;
        life->gets += code == TRESOR_OK;
    }
    }
}

static void check_life(struct fixture *fixture, const struct life *life)
{
    usage(fixture);
    const struct tresor_hyperion_counters counters = count(fixture);
    assert_int_equal(counters.gets, life->gets);
    assert_true(counters.hits + counters.late <= counters.gets);
    assert_true(counters.prefetches_used + counters.prefetches_cancelled <= counters.prefetches);
    for (uint32_t i = 0; i < ALL; i++) {
        const struct tresor_hyperion_layer layer = look(fixture, i);
        assert_int_equal(layer.users, life->users[i]);
        assert_true(layer.is_active || !layer.users);
        if (layer.users)
            assert_memory_equal(layer.weights, fixture->file.data + offset_of(i), bytes_of(i));
    }
}

static void any_order_of_calls_keeps_every_pin(void **state)
{
    struct fixture *fixture = *state;
    for (uint32_t run = 0; run < 16; run++) {
        struct life life = {0};
        uint64_t seed = run + 1;
        fixture->options.prefetch = run % 2;
        fixture->options.adaptive = run / 2 % 2;
        fixture->options.layer_bytes_min = run / 4 % 2 ? 4096 : 0;
        fixture->options.threads = 1 + run / 8;
        fixture->options.cache_bytes = (2 + run % 5) * LAYER_BYTES + 4096;
        reopen(fixture);
        for (uint32_t i = 0; i < 400; i++) {
            act(fixture, &life, &seed);
            if (i % 8 == 0)
                check_life(fixture, &life);
        }
        for (uint32_t i = 0; i < ALL; i++)
            while (life.users[i]-- > 0)
                put_back(fixture, i);
    }
}

static void every_failed_allocation_is_told(void **state)
{
    struct fixture *fixture = *state;
    bool failed = true;
    uint64_t call = 1;
    fixture->options.cache_bytes = 2 * LAYER_BYTES;
    for (; failed; call++) {
        struct failing_allocator counts = {.fail_call = call};
        struct tresor_hyperion_model *model = NULL;
        const void *weights = NULL;
        fixture->options.allocator = failing_allocator_hooks(&counts);
        int32_t code = tresor_hyperion_open(fixture->path, &fixture->options, &model, NULL);
        assert_true((model != NULL) == (code == TRESOR_OK));
        if (code == TRESOR_OK)
            code = tresor_hyperion_get_weights(model, 1, &weights, NULL);
        if (code == TRESOR_OK)
            tresor_hyperion_release(model, 1);
        failed = counts.failed;
        assert_error(code, failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
        assert_error(tresor_hyperion_close(model), TRESOR_OK);
        assert_int_equal(counts.outstanding_bytes, 0);
    }
    assert_true(call > 10);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_hyperions),
        WITH_FILE(null_options_are_the_defaults),
        WITH_FILE(a_layer_has_every_field),
        WITH_FILE(an_older_struct_gets_what_it_has_room_for),
        WITH_FILE(what_is_no_model_is_refused),
        WITH_FILE(a_model_of_no_layers_has_none),
        WITH_FILE(a_pinned_pointer_stays_under_pressure),
        WITH_FILE(all_pinned_is_busy_and_nothing_vanishes),
        WITH_FILE(a_cache_below_one_layer_is_told),
        WITH_FILE(releases_are_as_many_as_gets),
        WITH_FILE(closing_waits_for_no_pin_but_says_so),
        WITH_FILE(dropping_frees_memory_at_once),
        WITH_FILE(what_is_no_layer_is_invalid),
        WITH_FILE(bytes_that_the_file_lost_are_no_weights),
        WITH_FILE(lower_priorities_leave_first),
        WITH_FILE(lower_priorities_leave_first_also_where_order_is_learned),
        WITH_FILE(every_finite_number_is_a_priority),
        WITH_FILE(bad_options_are_refused),
        WITH_FILE(what_a_later_version_added_must_be_zero),
        WITH_FILE(the_cache_holds_as_many_as_fit),
        WITH_FILE(threads_are_those_of_the_option),
        WITH_FILE(prefetch_brings_the_next_layer),
        WITH_FILE(small_layers_are_not_kept),
        WITH_FILE(a_prefetch_pins_nothing_and_counts_no_access),
        WITH_FILE(a_prefetch_takes_no_room_from_what_matters_more),
        WITH_FILE(a_prefetch_takes_no_room_from_what_is_foretold),
        WITH_FILE(a_get_comes_before_what_is_loaded_ahead),
        WITH_FILE(a_load_ahead_goes_on_where_there_is_room),
        WITH_FILE(dropping_ends_a_load_ahead),
        WITH_FILE(a_walk_that_is_learned_keeps_some_layers),
        WITH_FILE(a_walk_keeps_nothing_that_it_does_not_come_by),
        WITH_FILE(an_order_that_is_learned_is_loaded_ahead),
        WITH_FILE(a_loop_that_is_learned_is_told),
        WITH_FILE(no_order_is_loaded_ahead_where_none_is_learned),
        WITH_FILE(another_thread_may_release_and_no_more),
        WITH_FILE(gets_here_and_releases_there),
        WITH_FILE(any_order_of_calls_keeps_every_pin),
        WITH_FILE(every_failed_allocation_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
