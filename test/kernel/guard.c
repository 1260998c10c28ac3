/* SPDX-License-Identifier: MIT */
/*
 * Files that become shorter under tensors that threads are reading, with a guard: whoever releases a tensor and is told that
 * all is well has read the file's bytes.
 */
#include "support/test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "context.h"
#include "real.h"
#include "support/sanitizer.h"

enum {
    TENSORS = 5,
    CUT = 2, /* the tensor in which the file will end */
    READERS = 3,
};

static const struct model_tensor tensors[TENSORS] = {
    {700000, MODEL_NEXT, false},  {100, MODEL_NEXT, false},    {3000000, MODEL_NEXT, false},
    {5000, MODEL_NEXT, false},    {1200000, MODEL_NEXT, false},
};

static struct real real;

static void start(struct real *world)
{
    struct tresor_context_options options = session_options(&world->memory);
    options.guard = TRESOR_GUARD_SIGBUS;
    real_make_gguf(world, tensors, TENSORS);
    assert_error(real_start_with(world, &options), TRESOR_OK);
    world->session.steps_max = UINT64_MAX;
    assert_error(session_open(&world->session, model_set_path(&world->set)), TRESOR_OK);
}

static void load_all(struct real *world)
{
    assert_error(session_do(&world->session, TRESOR_VERB_LOAD, session_all(&world->session),
                            TRESOR_STRATEGY_MMAP),
                 TRESOR_OK);
}

static struct tresor_tensor_info tensor_of(struct real *world, uint32_t tensor)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    assert_error(tresor_source_get_tensor(world->session.context, world->session.source, tensor, &info),
                 TRESOR_OK);
    return info;
}

/* In the middle of that tensor. */
static void cut(struct real *world)
{
    struct tresor_tensor_info info = tensor_of(world, CUT);
    assert_int_equal(truncate(model_set_path(&world->set), (off_t)(info.offset_bytes + 1000000)), 0);
}

/* The file that it was, bytes and time. */
static void write_again(struct real *world)
{
    const struct tresor__identity *known =
        &world->session.context->controller.slots[0].source.model.files[0].identity;
    const struct timespec time = {.tv_sec = known->modified_ns / 1000000000,
                                  .tv_nsec = known->modified_ns % 1000000000};
    model_set_write(&world->set);
    assert_int_equal(utimensat(AT_FDCWD, model_set_path(&world->set), (struct timespec[]){time, time}, 0), 0);
}

READS_WHAT_IS_REMAPPED static uint64_t sum_of(const volatile uint8_t *bytes, uint64_t size)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < size; i++)
        sum = sum * 31 + bytes[i];
    return sum;
}

struct reader {
    struct tresor_context *context;
    const struct model_set *set;
    struct tresor_item items[TENSORS];
    struct tresor_tensor_info tensors[TENSORS];
    uint64_t sums[TENSORS];
    _Atomic uint32_t *passes;   /* of all readers */
    _Atomic uint32_t *poisoned; /* releases that said so */
    _Atomic bool *stops;
    uint32_t wrong; /* releases that said that all was well, when it was not */
};

static void read_one(struct reader *reader, uint32_t tensor)
{
    const void *data = NULL;
    int32_t code = tresor_acquire(reader->context, reader->items[tensor], &data);
    if (code != TRESOR_OK) {
        reader->wrong += code != TRESOR_ERROR_POISONED;
        return;
    }
    bool is_right = sum_of(data, reader->tensors[tensor].tensor_bytes) == reader->sums[tensor];
    code = tresor_release(reader->context, reader->items[tensor]);
    reader->wrong += code == TRESOR_OK ? !is_right : code != TRESOR_ERROR_POISONED;
    atomic_fetch_add(reader->poisoned, code == TRESOR_ERROR_POISONED);
}

static void *read_on(void *argument)
{
    struct reader *reader = argument;
    while (!atomic_load(reader->stops)) {
        for (uint32_t i = 0; i < TENSORS; i++)
            read_one(reader, i);
        atomic_fetch_add(reader->passes, 1);
    }
    return NULL;
}

static _Atomic uint32_t passes;
static _Atomic uint32_t poisoned;
static _Atomic bool stops;

static void make_reader(struct real *world, struct reader *reader)
{
    *reader = (struct reader){.context = world->session.context,
                              .set = &world->set,
                              .passes = &passes,
                              .poisoned = &poisoned,
                              .stops = &stops};
    for (uint32_t i = 0; i < TENSORS; i++) {
        reader->items[i] = session_tensor(&world->session, i);
        reader->tensors[i] = tensor_of(world, i);
        reader->sums[i] = sum_of(world->set.parts[0].bytes.data + reader->tensors[i].offset_bytes,
                                 reader->tensors[i].tensor_bytes);
    }
}

static void pump_until(struct real *world, const _Atomic uint32_t *count, uint32_t wanted)
{
    while (atomic_load(count) < wanted) {
        session_pump(&world->session);
        sched_yield();
    }
}

static bool was_told(const struct real *world, uint32_t tensor)
{
    for (uint32_t i = 0; i < world->session.poisoned_count && i < SESSION_POISONED; i++)
        if (world->session.poisoned[i].error.tensor == tensor)
            return true;
    return false;
}

static void check_books(struct real *world)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    tresor_get_counters(world->session.context, &counters);
    assert_int_equal(counters.rejected, 0);
    tresor__ledger_check(&world->session.context->controller.slots[0].source.model.files[0].io.ledger);
}

static void cut_under_readers(void **state)
{
    struct reader readers[READERS];
    pthread_t threads[READERS];
    (void)state;
    atomic_store(&passes, 0);
    atomic_store(&poisoned, 0);
    atomic_store(&stops, false);
    start(&real);
    load_all(&real);
    for (uint32_t i = 0; i < READERS; i++) {
        make_reader(&real, &readers[i]);
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    pump_until(&real, &passes, 2 * READERS);
    assert_int_equal(atomic_load(&poisoned), 0);
    cut(&real);
    /* Each tensor that has lost something is read by somebody, and then by nobody any more. */
    while (!was_told(&real, CUT) || !was_told(&real, 3) || !was_told(&real, 4)) {
        session_pump(&real.session);
        sched_yield();
    }
    pump_until(&real, &passes, atomic_load(&passes) + 2 * READERS);
    atomic_store(&stops, true);
    for (uint32_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    session_settle(&real.session);
    for (uint32_t i = 0; i < READERS; i++)
        assert_int_equal(readers[i].wrong, 0);
    assert_true(atomic_load(&poisoned) >= 3);
    for (uint32_t i = 0; i < real.session.poisoned_count && i < SESSION_POISONED; i++)
        assert_error(real.session.poisoned[i].error.code, TRESOR_ERROR_TRUNCATED);
    assert_int_equal(session_verify(&real.session, &real.set), 2);
    check_books(&real);
    /* A load finds out the same without a fault. */
    uint32_t told = real.session.poisoned_count;
    assert_error(session_do(&real.session, TRESOR_VERB_LOAD, session_all(&real.session), TRESOR_STRATEGY_MMAP),
                 TRESOR_ERROR_TRUNCATED);
    assert_int_equal(session_verify(&real.session, &real.set), 2);
    assert_int_equal(real.session.poisoned_count, told);
    write_again(&real);
    load_all(&real);
    assert_int_equal(session_verify(&real.session, &real.set), TENSORS);
    check_books(&real);
    real_remove(&real);
}

READS_WHAT_IS_REMAPPED static void *touch(void *argument)
{
    return (void *)(uintptr_t)*(const volatile uint8_t *)argument;
}

/* The loop hears of a fault on another thread, at once. */
static void the_descriptor_tells(void **state)
{
    pthread_t thread;
    void *byte = NULL;
    (void)state;
    start(&real);
    load_all(&real);
    struct pollfd bell = {.fd = tresor_get_fd(real.session.context), .events = POLLIN};
    session_settle(&real.session);
    assert_int_equal(poll(&bell, 1, 0), 0);
    cut(&real);
    struct tresor_tensor_info info = tensor_of(&real, 4);
    assert_int_equal(pthread_create(&thread, NULL, touch, (uint8_t *)(uintptr_t)info.address + 1000000), 0);
    assert_int_equal(poll(&bell, 1, -1), 1);
    assert_int_equal(pthread_join(thread, &byte), 0);
    assert_int_equal((uintptr_t)byte, 0);
    /* Nor does a call that looks whether there is something to do silence it. */
    tresor_get_fd(real.session.context);
    assert_int_equal(poll(&bell, 1, 0), 1);
    assert_int_equal(tresor_wait(real.session.context, -1), 1);
    session_settle(&real.session);
    assert_true(was_told(&real, 4));
    assert_true(was_told(&real, CUT)); /* in the page where the file ends */
    assert_int_equal(poll(&bell, 1, 0), 0);
    real_remove(&real);
}

static void *wait_in_vain(void *argument)
{
    int32_t code = tresor_acquire_wait(real.session.context, *(struct tresor_item *)argument, -1, NULL);
    return (void *)(uintptr_t)(code == TRESOR_ERROR_POISONED);
}

/* A thread that waits for one tensor of several is told that another of them has lost its bytes. */
static void who_sleeps(void **state)
{
    const uint32_t list[] = {4, 0};
    struct tresor_item item;
    pthread_t thread;
    void *was_poisoned = NULL;
    (void)state;
    start(&real);
    struct tresor_context *context = real.session.context;
    assert_error(tresor_item_of_list(context, real.session.source, list, 2, &item), TRESOR_OK);
    assert_error(session_do(&real.session, TRESOR_VERB_LOAD, session_tensor(&real.session, 4),
                            TRESOR_STRATEGY_MMAP),
                 TRESOR_OK);
    assert_int_equal(pthread_create(&thread, NULL, wait_in_vain, &item), 0);
    while (!(atomic_load(&context->woken) & TRESOR__WOKEN_LOOP))
        sched_yield(); /* it wakes the context when it has tried */
    usleep(20000);     /* and falls asleep, most of the time, which asks for more than where it has not */
    cut(&real);
    touch((uint8_t *)(uintptr_t)tensor_of(&real, 4).address + 500000);
    session_settle(&real.session);
    assert_int_equal(pthread_join(thread, &was_poisoned), 0);
    assert_true(was_poisoned);
    real_remove(&real);
}

/* What the kernel counts as locked is what the books say; a sanitizer locks nothing. */
static void locks(void **state)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    uint64_t before = 0;
    uint64_t after = 0;
    (void)state;
    start(&real);
    load_all(&real);
    tresor__sys_posix()->locked(NULL, &before);
    int32_t code = session_do(&real.session, TRESOR_VERB_LOCK, session_tensor(&real.session, 4), 0);
    tresor__sys_posix()->locked(NULL, &after);
    bool is_counted = after > before;
    if (code == TRESOR_OK) {
        cut(&real);
        touch((uint8_t *)(uintptr_t)tensor_of(&real, 4).address + 50000);
        touch((uint8_t *)(uintptr_t)tensor_of(&real, 4).address + 500000);
        session_settle(&real.session);
        tresor_get_counters(real.session.context, &counters);
        assert_int_equal(tresor__sys_posix()->locked(NULL, &after), 0);
        if (is_counted)
            assert_int_equal(after - before, counters.locked_bytes);
        check_books(&real);
    } else {
        assert_error(code, TRESOR_ERROR_LOCK_LIMIT);
    }
    session_do(&real.session, TRESOR_VERB_UNLOCK, session_tensor(&real.session, 4), 0);
    tresor__sys_posix()->locked(NULL, &after);
    assert_int_equal(after, before);
    real_remove(&real);
}

/* A context of each thread's own, over and over. */
static void *guard_and_lose(void *argument)
{
    struct real *world = argument;
    for (uint32_t round = 0; round < 3; round++) {
        start(world);
        load_all(world);
        cut(world);
        for (uint32_t i = CUT; i < TENSORS; i++) {
            struct tresor_item item = session_tensor(&world->session, i);
            struct tresor_tensor_info info = tensor_of(world, i);
            assert_error(tresor_acquire(world->session.context, item, NULL), TRESOR_OK);
            sum_of(info.address, info.tensor_bytes);
            assert_error(tresor_release(world->session.context, item), TRESOR_ERROR_POISONED);
        }
        session_settle(&world->session);
        assert_int_equal(session_verify(&world->session, &world->set), 2);
        real_remove(world);
    }
    return NULL;
}

static void contexts_on_threads(void **state)
{
    static struct real worlds[3];
    pthread_t threads[3];
    (void)state;
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, guard_and_lose, &worlds[i]), 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_under_readers),
        cmocka_unit_test(the_descriptor_tells),
        cmocka_unit_test(who_sleeps),
        cmocka_unit_test(locks),
        cmocka_unit_test(contexts_on_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
