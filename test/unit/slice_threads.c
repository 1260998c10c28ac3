/* SPDX-License-Identifier: MIT */
/* Threads acquire and release while the context's thread splits, loads, evicts and closes what they
 * acquire. */
#include "support/test.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "support/fake_world.h"
#include "support/random.h"

enum {
    TENSORS = 4,
    EXPERTS = 2,
    SLICES = 8,
    SLICE_BYTES = 10000,
    GROUP = TENSORS, /* items: the tensors, a group of 0 and EXPERTS, the source, the slices */
    SOURCE,
    FIRST_SLICE,
    ITEMS = FIRST_SLICE + SLICES,
    THREADS = 3,
    ROUNDS = 300,
};

static const struct model_tensor tensors[TENSORS] = {
    {5000, MODEL_NEXT, false},
    {30000, MODEL_NEXT, false},
    {SLICES * SLICE_BYTES, MODEL_NEXT, false},
    {100, MODEL_NEXT, false},
};
static const uint32_t slices[TENSORS] = {0, 3, SLICES, 0};

static struct fake_world world;
static _Atomic uint64_t items[ITEMS]; /* 0: there is none now */
static const uint8_t *bytes[ITEMS];   /* what the first piece of each has, and how many */
static size_t sizes[ITEMS];
static atomic_bool is_over;

struct user {
    pthread_t thread;
    uint64_t seed;
    uint32_t acquired;
    uint32_t bad;
};

static void use(struct user *user, uint32_t index)
{
    const void *data = NULL;
    struct tresor_item item = {atomic_load(&items[index])};
    int32_t code = tresor_acquire(world.session.context, item, &data);
    if (code != TRESOR_OK) {
        user->bad += code != TRESOR_ERROR_NOT_RESIDENT && code != TRESOR_ERROR_STALE;
        return;
    }
    user->acquired++;
    user->bad += memcmp(data, bytes[index], sizes[index]) != 0;
    user->bad += tresor_release(world.session.context, item) != TRESOR_OK;
}

static void *run_user(void *argument)
{
    struct user *user = argument;
    while (!atomic_load(&is_over)) {
        use(user, random_below(&user->seed, ITEMS));
        if (random_once_in(&user->seed, 8))
            sched_yield();
    }
    return NULL;
}

static void publish(uint32_t index, struct tresor_item item)
{
    atomic_store(&items[index], item.value);
}

static const uint8_t *data_of(uint32_t tensor)
{
    return world.set.parts[0].bytes.data + fake_world_tensor(&world, tensor).offset_bytes;
}

static void open_source(void)
{
    static const uint32_t list[] = {0, EXPERTS};
    struct tresor_item item;
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    for (uint32_t i = 0; i < TENSORS; i++)
        publish(i, session_tensor(&world.session, i));
    assert_error(tresor_item_of_list(world.session.context, world.session.source, list, 2, &item),
                 TRESOR_OK);
    publish(GROUP, item);
    publish(SOURCE, session_all(&world.session));
}

/* A thread that is inside an acquire is a reason to refuse, but not for long. */
static void split(uint32_t tensor)
{
    int32_t code;
    do {
        code = tresor_split(world.session.context, world.session.source, &tensor, 1);
        if (code != TRESOR_OK)
            sched_yield();
    } while (code == TRESOR_ERROR_BUSY);
    assert_error(code, TRESOR_OK);
}

static void split_all(void)
{
    split(EXPERTS);
    for (uint32_t i = 0; i < SLICES; i++) {
        struct tresor_item item;
        assert_error(
            tresor_item_of_slice(world.session.context, world.session.source, EXPERTS, i, &item),
            TRESOR_OK);
        publish(FIRST_SLICE + i, item);
    }
    split(1);
}

static void load_and_evict(uint64_t *seed)
{
    for (uint32_t i = 0; i < 12; i++) {
        struct tresor_item item = {atomic_load(&items[random_below(seed, ITEMS)])};
        enum tresor_verb verb = random_once_in(seed, 3) ? TRESOR_VERB_EVICT : TRESOR_VERB_LOAD;
        int32_t code = session_do(&world.session, verb, item, TRESOR_STRATEGY_READ);
        if (code != TRESOR_OK && (verb == TRESOR_VERB_LOAD || code != TRESOR_ERROR_BUSY))
            fail_msg("%s answered %s", tresor_verb_name(verb), tresor_error_name(code));
        sched_yield();
    }
}

static void close_source(void)
{
    struct tresor_request request = {0};
    int32_t code = tresor_source_close(world.session.context, world.session.source, 0, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    while (!session_end(&world.session, request))
        if (!session_pump(&world.session))
            sched_yield();
    world.session.request_count = 0; /* there is room for some only */
}

static void start(struct user *users)
{
    fake_world_init(&world);
    model_set_make_sliced(&world.set, "/fake", tensors, slices, TENSORS);
    fake_world_start_context(&world);
    world.session.steps_max = UINT64_MAX;
    open_source();
    for (uint32_t i = 0; i < ITEMS; i++) {
        uint32_t tensor = i < TENSORS ? i : i < FIRST_SLICE ? 0 : EXPERTS;
        uint32_t slice = i < FIRST_SLICE ? 0 : i - FIRST_SLICE;
        bytes[i] = data_of(tensor) + (size_t)slice * SLICE_BYTES;
        sizes[i] = i < FIRST_SLICE ? tensors[tensor].size_bytes : SLICE_BYTES;
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        users[i] = (struct user){.seed = i + 1};
        assert_int_equal(pthread_create(&users[i].thread, NULL, run_user, &users[i]), 0);
    }
}

static void split_while_others_acquire(void **state)
{
    struct user users[THREADS];
    uint64_t seed = 5;
    uint32_t acquired = 0;
    (void)state;
    start(users);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        sched_yield();
        split_all();
        load_and_evict(&seed);
        close_source();
        open_source();
    }
    atomic_store(&is_over, true);
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(users[i].thread, NULL);
        assert_int_equal(users[i].bad, 0);
        acquired += users[i].acquired;
    }
    assert_true(acquired > 0);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(split_while_others_acquire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
