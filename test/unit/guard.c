/* SPDX-License-Identifier: MIT */
/* Pages that are lost under tensors that are in memory, as the guard's handler tells of them. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "context.h"
#include "core/handle.h"
#include "support/fake_world.h"

enum { LARGE = 2, MEDIUM = 3 };

static struct fake_world world;

static void start(void)
{
    fake_world_init(&world);
    world.options.guard = TRESOR_GUARD_SIGBUS;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

static struct tresor_context *context(void)
{
    return world.session.context;
}

static int32_t one(enum tresor_verb verb, uint32_t tensor)
{
    return fake_world_one(&world, verb, tensor, 0);
}

static int32_t all(enum tresor_verb verb)
{
    return fake_world_all(&world, verb, 0);
}

static int32_t acquire(uint32_t tensor)
{
    return tresor_acquire(context(), session_tensor(&world.session, tensor), NULL);
}

static int32_t release(uint32_t tensor)
{
    return tresor_release(context(), session_tensor(&world.session, tensor));
}

/* A page of the tensor is touched that its file has not got any more, or its disk cannot read. */
static void fault(uint32_t tensor, uint64_t offset)
{
    assert_true(fake_sys_fault(&world.fake, (void *)(uintptr_t)fake_world_place(&world, tensor, offset)));
}

static const struct tresor_event *poisoned(uint32_t number)
{
    assert_true(number < world.session.poisoned_count);
    return &world.session.poisoned[number];
}

static void check_books(void)
{
    assert_int_equal(fake_world_counters(&world).rejected, 0);
    tresor__ledger_check(&context()->controller.slots[0].source.model.files[0].io.ledger);
}

static void close_world(void)
{
    check_books();
    fake_world_close(&world);
}

static void nobody_asks_without_the_option(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_int_equal(world.faulty.counts[FAULTY_GUARD_OPEN], 0);
    assert_int_equal(world.fake.guard_range_count, 0);
    fake_world_close(&world);
}

static int32_t create(void)
{
    fake_world_init(&world);
    world.options.guard = TRESOR_GUARD_SIGBUS;
    return session_create(&world.session, &world.faulty.sys, &world.options);
}

static void there_is_none(void **state)
{
    static const struct {
        int32_t os_errno;
        int32_t code;
    } rows[] = {{ENOSYS, TRESOR_ERROR_UNSUPPORTED}, {EBUSY, TRESOR_ERROR_BUSY}};
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        fake_world_init(&world);
        world.options.guard = TRESOR_GUARD_SIGBUS;
        world.fake.guard_errno = rows[i].os_errno;
        assert_error(session_create(&world.session, &world.faulty.sys, &world.options), rows[i].code);
        assert_null(context());
        fake_world_end(&world);
    }
    fake_world_init(&world);
    world.options.guard = TRESOR_GUARD_SIGBUS + 1;
    assert_error(session_create(&world.session, &world.faulty.sys, &world.options), TRESOR_ERROR_INVALID);
    fake_world_end(&world);
}

/* The watch's thread cannot be made, say: the guard is given back. */
static void a_context_that_fails_behind_it(void **state)
{
    (void)state;
    assert_error(create(), TRESOR_OK);
    assert_int_equal(world.fake.guards, 1);
    fake_world_end(&world);
    for (uint64_t nth = 1;; nth++) {
        fake_world_init(&world);
        world.options.guard = TRESOR_GUARD_SIGBUS;
        world.options.pressure = TRESOR_PRESSURE_MEMORY;
        world.memory.fail_call = nth;
        int32_t code = session_create(&world.session, &world.faulty.sys, &world.options);
        assert_int_equal(world.fake.guards, code == TRESOR_OK);
        fake_world_end(&world);
        if (code == TRESOR_OK)
            break;
        assert_error(code, TRESOR_ERROR_NO_MEMORY);
    }
}

static void a_tensor_is_poisoned(void **state)
{
    (void)state;
    start();
    assert_int_equal(world.fake.guard_range_count, 1);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_error(acquire(LARGE), TRESOR_OK);
    fault(LARGE, 100000);
    session_settle(&world.session);
    uint64_t lost = (fake_world_tensor(&world, LARGE).offset_bytes + 100000) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
    assert_int_equal(world.session.poisoned_count, 1);
    const struct tresor_event *event = poisoned(0);
    assert_int_equal(event->item.value, session_tensor(&world.session, LARGE).value);
    assert_int_equal(event->bytes, FAKE_PAGE_BYTES);
    assert_error(event->error.code, TRESOR_ERROR_IO);
    assert_int_equal(event->error.source, world.session.source.value);
    assert_int_equal(event->error.file, 0);
    assert_int_equal(event->error.tensor, LARGE);
    assert_int_equal(event->error.offset, lost);
    assert_int_equal(event->error.wanted, FAKE_PAGE_BYTES);
    assert_error(acquire(LARGE), TRESOR_ERROR_POISONED);
    fake_world_must_have(&world, FAKE_TENSORS - 1);
    check_books();
    assert_error(release(LARGE), TRESOR_ERROR_POISONED);
    assert_error(release(LARGE), TRESOR_ERROR_INVALID);
    assert_error(acquire(LARGE), TRESOR_ERROR_POISONED);
    assert_error(one(TRESOR_VERB_EVICT, LARGE), TRESOR_OK);
    assert_error(acquire(LARGE), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(one(TRESOR_VERB_LOAD, LARGE), TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
    assert_int_equal(world.session.poisoned_count, 1);
    close_world();
}

/* From the moment on that zeros could be read, whatever the context has heard. */
static void released_before_it_is_heard(void **state)
{
    (void)state;
    start();
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    struct tresor_item item = session_all(&world.session);
    assert_error(acquire(LARGE), TRESOR_OK);
    assert_error(acquire(MEDIUM), TRESOR_OK);
    assert_error(tresor_acquire(context(), item, NULL), TRESOR_OK);
    fault(LARGE, 8192);
    assert_error(release(MEDIUM), TRESOR_OK);
    assert_error(release(LARGE), TRESOR_ERROR_POISONED);
    assert_error(tresor_release(context(), item), TRESOR_ERROR_POISONED);
    assert_error(tresor_release(context(), item), TRESOR_ERROR_INVALID);
    session_settle(&world.session);
    assert_error(acquire(LARGE), TRESOR_ERROR_POISONED);
    close_world();
}

static void of_a_list_all_are_released(void **state)
{
    (void)state;
    start();
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    struct tresor_item item = session_all(&world.session);
    assert_error(tresor_acquire(context(), item, NULL), TRESOR_OK);
    fault(LARGE, 8192);
    session_settle(&world.session);
    assert_error(tresor_release(context(), item), TRESOR_ERROR_POISONED);
    for (uint32_t i = 0; i < FAKE_TENSORS; i++)
        assert_error(release(i), TRESOR_ERROR_INVALID);
    assert_error(tresor_acquire(context(), item, NULL), TRESOR_ERROR_POISONED);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_OK);
    close_world();
}

static void a_load_loads_it_anew(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        start();
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, strategy), TRESOR_OK);
        assert_error(acquire(LARGE), TRESOR_OK);
        fault(LARGE, 8192);
        session_settle(&world.session);
        assert_error(one(TRESOR_VERB_LOAD, LARGE), TRESOR_ERROR_BUSY);
        assert_error(one(TRESOR_VERB_EVICT, LARGE), TRESOR_ERROR_BUSY);
        assert_error(fake_world_one(&world, TRESOR_VERB_SWAP, LARGE, strategy), TRESOR_ERROR_POISONED);
        assert_error(release(LARGE), TRESOR_ERROR_POISONED);
        assert_error(fake_world_one(&world, TRESOR_VERB_SWAP, LARGE, strategy), TRESOR_ERROR_POISONED);
        assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
        fake_world_must_have(&world, FAKE_TENSORS);
        assert_error(release(LARGE), TRESOR_ERROR_INVALID);
        /* What was put right stays so when others lose something. */
        uint32_t told = world.session.poisoned_count;
        fault(MEDIUM, 50000);
        session_settle(&world.session);
        assert_int_equal(world.session.poisoned_count, told + 1);
        fake_world_must_have(&world, FAKE_TENSORS - 1);
        close_world();
    }
}

/* A patient eviction of it comes when its users have left; who waits to acquire it does so in vain. */
static void who_waits(void **state)
{
    struct tresor_request request;
    (void)state;
    start();
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_error(acquire(LARGE), TRESOR_OK);
    struct tresor_item item = session_tensor(&world.session, LARGE);
    const struct tresor_request_options wait = {.size_bytes = sizeof wait, .flags = TRESOR_REQUEST_WAIT};
    assert_error(session_note(&world.session, tresor_evict(context(), &item, 1, &wait, &request), request),
                 TRESOR_OK);
    session_settle(&world.session);
    fault(LARGE, 8192);
    session_settle(&world.session);
    assert_null(session_end(&world.session, request));
    assert_error(tresor_acquire_wait(context(), item, -1, NULL), TRESOR_ERROR_POISONED);
    assert_error(one(TRESOR_VERB_LOAD, LARGE), TRESOR_ERROR_BUSY);
    assert_error(release(LARGE), TRESOR_ERROR_POISONED);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    assert_error(acquire(LARGE), TRESOR_ERROR_NOT_RESIDENT);
    close_world();
}

/* Tensors 0 and 1 have the last page of the one in common. */
static void neighbours(void **state)
{
    (void)state;
    start();
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    fault(1, 0);
    session_settle(&world.session);
    assert_true(world.session.poisoned_count >= 2);
    assert_error(acquire(0), TRESOR_ERROR_POISONED);
    assert_error(acquire(1), TRESOR_ERROR_POISONED);
    /* The page stays for as long as one of those has it that had it then. */
    assert_error(one(TRESOR_VERB_EVICT, 1), TRESOR_OK);
    assert_error(one(TRESOR_VERB_LOAD, 1), TRESOR_ERROR_POISONED);
    assert_error(acquire(1), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_OK);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
    fault(1, 0);
    session_settle(&world.session);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK); /* all of them in one request */
    fake_world_must_have(&world, FAKE_TENSORS);
    close_world();
}

static void faults_of_one_tensor_are_told_together(void **state)
{
    (void)state;
    start();
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    fault(LARGE, 200000);
    fault(LARGE, 200000);
    fault(LARGE, 100000);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(tresor_dispatch(context()) >= 0);
    fault(LARGE, 150000);
    fault(MEDIUM, 50000);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(tresor_dispatch(context()) >= 0);
    session_settle(&world.session);
    assert_int_equal(world.session.poisoned_count, 2);
    uint64_t lost = (fake_world_tensor(&world, LARGE).offset_bytes + 100000) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
    assert_int_equal(poisoned(0)->error.tensor, LARGE);
    assert_int_equal(poisoned(0)->bytes, 3 * FAKE_PAGE_BYTES);
    assert_int_equal(poisoned(0)->error.offset, lost);
    assert_int_equal(poisoned(1)->error.tensor, MEDIUM);
    /* What comes behind an event that was taken has one of its own. */
    fault(LARGE, 250000);
    session_settle(&world.session);
    assert_int_equal(world.session.poisoned_count, 3);
    assert_int_equal(poisoned(2)->bytes, FAKE_PAGE_BYTES);
    close_world();
}

/* Of a run of pages each tensor is told of its own bytes, once, however many intervals it has there. */
static void a_run_over_neighbours(void **state)
{
    (void)state;
    start();
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    struct tresor_tensor_info large = fake_world_tensor(&world, LARGE);
    uint64_t border = fake_world_tensor(&world, MEDIUM).offset_bytes;
    uint64_t shared = border / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
    assert_true(border % FAKE_PAGE_BYTES != 0 && large.offset_bytes + large.tensor_bytes > shared);
    for (uint32_t i = 0; i < 3; i++)
        assert_true(fake_sys_fault(&world.fake, (const uint8_t *)large.address + shared - large.offset_bytes +
                                                    i * FAKE_PAGE_BYTES - FAKE_PAGE_BYTES));
    session_settle(&world.session);
    assert_int_equal(world.session.poisoned_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        bool is_large = poisoned(i)->error.tensor == LARGE;
        assert_int_equal(poisoned(i)->error.offset, is_large ? shared - FAKE_PAGE_BYTES : border);
        assert_int_equal(poisoned(i)->bytes,
                         is_large ? large.offset_bytes + large.tensor_bytes - shared + FAKE_PAGE_BYTES
                                  : shared + 2 * FAKE_PAGE_BYTES - border);
    }
    close_world();
}

/* Behind the end there are zeros without a fault, in the page where it is; whoever has bytes there has lost them too. */
static void a_file_that_became_shorter(void **state)
{
    (void)state;
    start();
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    struct tresor_tensor_info large = fake_world_tensor(&world, LARGE);
    world.fake.files[0].size_bytes = large.offset_bytes + 150000;
    fault(MEDIUM, 50000);
    session_settle(&world.session);
    assert_int_equal(world.session.poisoned_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        bool is_large = poisoned(i)->error.tensor == LARGE;
        assert_error(poisoned(i)->error.code, TRESOR_ERROR_TRUNCATED);
        assert_true(is_large || poisoned(i)->error.tensor == MEDIUM);
        if (is_large)
            assert_int_equal(poisoned(i)->error.offset,
                             (large.offset_bytes + 150000) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES);
    }
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_ERROR_TRUNCATED);
    assert_error(session_item(&world.session, MEDIUM)->error.code, TRESOR_ERROR_TRUNCATED);
    fake_world_must_have(&world, 2);
    check_books();
    world.fake.files[0].size_bytes = world.set.parts[0].bytes.size;
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
    close_world();
}

/* What is mapped over a page has not its lock. */
static void a_locked_tensor(void **state)
{
    (void)state;
    start();
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_error(one(TRESOR_VERB_LOCK, LARGE), TRESOR_OK);
    uint64_t locked = fake_world_counters(&world).locked_bytes;
    fault(LARGE, 8192);
    fault(LARGE, 16384);
    session_settle(&world.session);
    assert_int_equal(fake_world_counters(&world).locked_bytes, locked - 2 * FAKE_PAGE_BYTES);
    check_books();
    assert_error(one(TRESOR_VERB_EVICT, LARGE), TRESOR_ERROR_BUSY);
    assert_error(one(TRESOR_VERB_LOAD, LARGE), TRESOR_ERROR_BUSY);
    assert_error(one(TRESOR_VERB_UNLOCK, LARGE), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).locked_bytes, 0);
    check_books();
    assert_error(one(TRESOR_VERB_LOAD, LARGE), TRESOR_OK);
    assert_error(one(TRESOR_VERB_LOCK, LARGE), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).locked_bytes, locked);
    /* Whose unlocking is refused counts as a whole, until it is gone. */
    fault(LARGE, 8192);
    session_settle(&world.session);
    world.rules[0] = (struct fake_rule){.row = FAULTY_UNLOCK, .os_errno = ENOMEM};
    one(TRESOR_VERB_UNLOCK, LARGE);
    assert_int_equal(fake_world_counters(&world).locked_bytes, locked);
    check_books();
    fake_world_heal(&world);
    assert_error(all(TRESOR_VERB_EVICT), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).locked_bytes, 0);
    close_world();
}

/* It goes when others need its room, as what is whole does. */
static void under_a_budget(void **state)
{
    (void)state;
    fake_world_init(&world);
    world.options.guard = TRESOR_GUARD_SIGBUS;
    world.options.budget_bytes = 80 * FAKE_PAGE_BYTES;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
    assert_error(one(TRESOR_VERB_LOAD, LARGE), TRESOR_OK);
    fault(LARGE, 8192);
    session_settle(&world.session);
    assert_error(one(TRESOR_VERB_LOAD, MEDIUM), TRESOR_OK);
    assert_error(acquire(LARGE), TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(fake_world_counters(&world).evicted, 1);
    assert_error(one(TRESOR_VERB_LOAD, LARGE), TRESOR_OK);
    assert_error(acquire(LARGE), TRESOR_OK);
    assert_error(release(LARGE), TRESOR_OK);
    fault(LARGE, 8192);
    session_settle(&world.session);
    assert_error(one(TRESOR_VERB_LOAD, LARGE), TRESOR_OK);
    fake_world_must_have(&world, 1);
    close_world();
}

static void a_slice(void **state)
{
    static const struct model_tensor tensors[] = {{8 * 16384, 0, false}, {100, MODEL_NEXT, false}};
    static const uint32_t slices[] = {8, 0};
    const uint32_t split = 0;
    struct tresor_item item;
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    (void)state;
    fake_world_init(&world);
    world.options.guard = TRESOR_GUARD_SIGBUS;
    model_set_make_sliced(&world.set, "/fake", tensors, slices, 2);
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    /* An event of before the split stays, and names the whole. */
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    fault(0, 5 * 16384 + 8192);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(tresor_dispatch(context()) >= 0);
    tresor_source_get_tensor(context(), world.session.source, 0, &info);
    assert_error(tresor_item_of_tensor(context(), world.session.source, 0, &item), TRESOR_OK);
    struct tresor_request request;
    struct tresor_item whole = session_all(&world.session);
    assert_error(tresor_evict(context(), &whole, 1, NULL, &request), TRESOR_OK);
    assert_error(tresor_finish(context(), request, 1, NULL), TRESOR_OK);
    assert_error(tresor_split(context(), world.session.source, &split, 1), TRESOR_OK);
    session_settle(&world.session);
    assert_int_equal(world.session.poisoned_count, 1);
    assert_int_equal(poisoned(0)->item.value, item.value);
    assert_error(tresor_item_of_slice(context(), world.session.source, 0, 5, &item), TRESOR_OK);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    fault(0, 5 * 16384 + 8192);
    session_settle(&world.session);
    assert_int_equal(world.session.poisoned_count, 2);
    assert_int_equal(poisoned(1)->item.value, item.value);
    assert_int_equal(poisoned(1)->error.tensor, 0);
    assert_int_equal(poisoned(1)->error.offset,
                     (info.offset_bytes + 5 * 16384 + 8192) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES);
    assert_error(tresor_acquire(context(), item, NULL), TRESOR_ERROR_POISONED);
    close_world();
}

/* Nobody takes its events; its users may still release, and are told. */
static void a_source_that_closes(void **state)
{
    struct tresor_request request;
    (void)state;
    start();
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    assert_error(acquire(LARGE), TRESOR_OK);
    assert_error(acquire(MEDIUM), TRESOR_OK);
    assert_error(acquire(0), TRESOR_OK);
    fault(LARGE, 8192);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(tresor_dispatch(context()) >= 0);
    const void *place = (const void *)(uintptr_t)fake_world_place(&world, MEDIUM, 50000);
    assert_error(session_note(&world.session,
                              tresor_source_close(context(), world.session.source, 0, &request), request),
                 TRESOR_OK);
    assert_true(fake_sys_fault(&world.fake, place));
    for (uint32_t i = 0; i < 4; i++)
        assert_true(tresor_dispatch(context()) >= 0);
    const struct tresor_item large = {tresor__handle_of_item(
        TRESOR__KIND_ITEM_TENSOR, 0, LARGE, context()->controller.slots[0].generation)};
    const struct tresor_item medium = {tresor__handle_of_item(
        TRESOR__KIND_ITEM_TENSOR, 0, MEDIUM, context()->controller.slots[0].generation)};
    const struct tresor_item first = {tresor__handle_of_item(
        TRESOR__KIND_ITEM_TENSOR, 0, 0, context()->controller.slots[0].generation)};
    assert_error(tresor_release(context(), large), TRESOR_ERROR_POISONED);
    assert_error(tresor_release(context(), medium), TRESOR_ERROR_POISONED);
    assert_error(tresor_release(context(), first), TRESOR_OK);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    assert_int_equal(world.fake.guard_range_count, 0);
    fake_world_end(&world);
}

static void a_pin_that_an_event_hands_over(void **state)
{
    struct tresor_request request;
    struct tresor_event event;
    (void)state;
    start();
    struct tresor_item item = session_tensor(&world.session, LARGE);
    const struct tresor_request_options pin = {.size_bytes = sizeof pin, .flags = TRESOR_REQUEST_PIN};
    assert_error(tresor_load(context(), &item, 1, &pin, &request), TRESOR_OK);
    while (tresor_dispatch(context()) > 0)
        continue;
    fault(LARGE, 8192);
    assert_error(tresor_finish(context(), request, 0, NULL), TRESOR_OK);
    bool is_pinned = false;
    while (tresor_next_event(context(), &event) == 1)
        is_pinned = is_pinned || (event.type == TRESOR_EVENT_ITEM && event.flags & TRESOR_EVENT_PINNED);
    assert_true(is_pinned);
    assert_error(tresor_release(context(), item), TRESOR_ERROR_POISONED);
    close_world();
}

/* More runs than one dispatch tells of. */
static void many_runs(void **state)
{
    static const struct model_tensor tensors[] = {{200 * FAKE_PAGE_BYTES, 0, false},
                                                  {200 * FAKE_PAGE_BYTES, MODEL_NEXT, false}};
    uint64_t told[2] = {0};
    (void)state;
    fake_world_init(&world);
    world.options.guard = TRESOR_GUARD_SIGBUS;
    fake_world_start(&world, tensors, 2);
    assert_error(all(TRESOR_VERB_LOAD), TRESOR_OK);
    for (uint32_t tensor = 0; tensor < 2; tensor++)
        for (uint64_t i = 0; i < 90; i++)
            fault(tensor, (2 * i + 1) * FAKE_PAGE_BYTES);
    session_settle(&world.session);
    for (uint32_t i = 0; i < world.session.poisoned_count; i++)
        told[poisoned(i)->error.tensor] += poisoned(i)->bytes;
    assert_int_equal(told[0], 90 * FAKE_PAGE_BYTES);
    assert_int_equal(told[1], 90 * FAKE_PAGE_BYTES);
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_asks_without_the_option),
        cmocka_unit_test(there_is_none),
        cmocka_unit_test(a_context_that_fails_behind_it),
        cmocka_unit_test(a_tensor_is_poisoned),
        cmocka_unit_test(released_before_it_is_heard),
        cmocka_unit_test(of_a_list_all_are_released),
        cmocka_unit_test(a_load_loads_it_anew),
        cmocka_unit_test(who_waits),
        cmocka_unit_test(neighbours),
        cmocka_unit_test(faults_of_one_tensor_are_told_together),
        cmocka_unit_test(a_run_over_neighbours),
        cmocka_unit_test(a_file_that_became_shorter),
        cmocka_unit_test(a_locked_tensor),
        cmocka_unit_test(under_a_budget),
        cmocka_unit_test(a_slice),
        cmocka_unit_test(a_source_that_closes),
        cmocka_unit_test(a_pin_that_an_event_hands_over),
        cmocka_unit_test(many_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
