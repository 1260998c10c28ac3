/* SPDX-License-Identifier: MIT */
/* Digests, and loads that are checked: what is not as it was promised is told and nowhere in memory, and nobody else minds. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#ifdef TRESOR__XXHASH
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

#include "context.h"
#include "support/fake_world.h"

enum {
    TENSORS = 6,
    EMPTY = 1,
    LARGE = 2, /* more than a part */
    FLOATS = 4,
    STEPS_MAX = 4000,
};

static const struct model_tensor tensors[TENSORS] = {
    {5000, MODEL_NEXT, false},  {0, MODEL_NEXT, false},     {1300000, MODEL_NEXT, false},
    {100, MODEL_NEXT, false},   {90000, MODEL_NEXT, false}, {70001, MODEL_NEXT, false},
};

static const uint32_t strategies[] = {TRESOR_STRATEGY_MMAP, TRESOR_STRATEGY_READ};

static struct fake_world world;

static uint8_t *bytes_of(uint32_t tensor)
{
    return world.set.parts[0].bytes.data + fake_world_tensor(&world, tensor).offset_bytes;
}

/* The entry of FLOATS in the header has its name, rank, shape and type: half as many elements of two bytes. */
static void make_model(void)
{
    static const uint8_t entry[] = {1, 0, 0, 0, 0, 0, 0, 0, '0' + FLOATS, 1, 0, 0, 0};
    model_set_make_gguf(&world.set, "/fake", tensors, TENSORS);
    struct bytes *bytes = &world.set.parts[0].bytes;
    uint8_t *found = memmem(bytes->data, bytes->size, entry, sizeof entry);
    uint64_t count = tensors[FLOATS].size_bytes / 2;
    assert_non_null(found);
    memcpy(found + sizeof entry, &count, sizeof count);
    memcpy(found + sizeof entry + sizeof count, &(uint32_t){TRESOR_DTYPE_F16}, sizeof(uint32_t));
}

/* All numbers of FLOATS are finite. */
static void start_under(uint64_t budget_bytes, uint32_t dispatch_max)
{
    fake_world_init(&world);
    world.options.dispatch_max = dispatch_max;
    world.options.budget_bytes = budget_bytes;
    make_model();
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    memset(bytes_of(FLOATS), 0x11, tensors[FLOATS].size_bytes);
}

/* One completion a dispatch, so that each step can be met. */
static void start(void)
{
    start_under(0, 1);
}

#ifdef TRESOR__XXHASH
static struct tresor_digest right_digest(uint32_t tensor)
{
    XXH128_hash_t sum = XXH3_128bits(bytes_of(tensor), fake_world_tensor(&world, tensor).tensor_bytes);
    return (struct tresor_digest){sum.high64, sum.low64};
}

static void promise(uint32_t tensor, bool is_right)
{
    struct tresor_item_digest digest = {session_tensor(&world.session, tensor), right_digest(tensor)};
    digest.digest.high ^= is_right ? 0 : UINT64_C(0x100000000000);
    assert_error(tresor_source_set_digests(world.session.context, world.session.source, &digest, 1),
                 TRESOR_OK);
}

static void promise_all(void)
{
    for (uint32_t i = 0; i < TENSORS; i++)
        promise(i, true);
}

static struct tresor_request submit(enum tresor_verb verb, struct tresor_item item, uint32_t strategy,
                                    uint32_t flags)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .flags = flags | TRESOR_REQUEST_ITEMS,
                                             .strategy = strategy};
    int32_t code =
        verb == TRESOR_VERB_LOAD
            ? tresor_load(world.session.context, &item, 1, &options, &request)
            : tresor_digest(world.session.context, &item, 1, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static int32_t finish(struct tresor_request request, struct tresor_event *done)
{
    return session_finish(&world.session, request, done);
}

static int32_t load(struct tresor_item item, uint32_t strategy, uint32_t flags, struct tresor_event *done)
{
    return finish(submit(TRESOR_VERB_LOAD, item, strategy, flags), done);
}

static int32_t load_all(uint32_t strategy, uint32_t flags, struct tresor_event *done)
{
    return load(session_all(&world.session), strategy, flags, done);
}

static int32_t load_one(uint32_t tensor, uint32_t strategy, uint32_t flags)
{
    return load(session_tensor(&world.session, tensor), strategy, flags, NULL);
}

static const struct tresor_error *error_of(uint32_t tensor)
{
    return &session_item(&world.session, tensor)->error;
}

static struct tresor__piece *piece_of(uint32_t tensor)
{
    return &world.session.context->controller.slots[0].pieces[tensor];
}

static bool is_there(uint32_t tensor)
{
    struct tresor_item item = session_tensor(&world.session, tensor);
    if (tresor_acquire(world.session.context, item, NULL) != TRESOR_OK)
        return false;
    assert_error(tresor_release(world.session.context, item), TRESOR_OK);
    return true;
}

static void check_ledger(void)
{
    tresor__ledger_check(&world.session.context->controller.slots[0].source.model.files[0].io.ledger);
    assert_int_equal(fake_world_counters(&world).rejected, 0);
}

/* --- digests --- */

static void must_have_digest(uint32_t tensor)
{
    const struct tresor_event *event = session_item(&world.session, tensor);
    struct tresor_digest right = right_digest(tensor);
    assert_int_equal(event->verb, TRESOR_VERB_DIGEST);
    assert_int_equal(event->done, 1);
    assert_int_equal(event->bytes, tensors[tensor].size_bytes);
    assert_null(event->data);
    assert_true(event->digest_high == right.high && event->digest_low == right.low);
}

static void digests_are_those_of_the_bytes(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct tresor_event done;
        start();
        assert_error(load_all(strategies[i], 0, NULL), TRESOR_OK);
        assert_error(finish(submit(TRESOR_VERB_DIGEST, session_all(&world.session), 0, 0), &done), TRESOR_OK);
        assert_int_equal(done.done, TENSORS);
        for (uint32_t k = 0; k < TENSORS; k++)
            must_have_digest(k);
        fake_world_close(&world);
    }
}

/* Half of its pages are the file's, half are private, and so on. */
static void digests_of_what_was_swapped_in_part_are_too(void **state)
{
    (void)state;
    for (uint32_t steps = 1; steps < 40; steps += 3) {
        struct tresor_request swap = {0};
        struct tresor_item item;
        start();
        item = session_tensor(&world.session, LARGE);
        assert_error(load_all(TRESOR_STRATEGY_READ, 0, NULL), TRESOR_OK);
        assert_error(session_submit(&world.session, TRESOR_VERB_SWAP, &item, 1, TRESOR_STRATEGY_MMAP, &swap),
                     TRESOR_OK);
        for (uint32_t i = 0; i < steps && !session_end(&world.session, swap); i++)
            session_pump(&world.session);
        if (!session_end(&world.session, swap))
            assert_error(tresor_cancel(world.session.context, swap), TRESOR_OK);
        finish(swap, NULL);
        assert_error(finish(submit(TRESOR_VERB_DIGEST, item, 0, 0), NULL), TRESOR_OK);
        must_have_digest(LARGE);
        fake_world_close(&world);
    }
}

static void what_is_absent_has_no_digest(void **state)
{
    struct tresor_event done;
    (void)state;
    start();
    assert_error(load_one(LARGE, TRESOR_STRATEGY_READ, 0), TRESOR_OK);
    assert_error(finish(submit(TRESOR_VERB_DIGEST, session_all(&world.session), 0, 0), &done),
                 TRESOR_ERROR_NOT_RESIDENT);
    assert_int_equal(done.done, 1);
    assert_int_equal(done.failed, TENSORS - 1);
    must_have_digest(LARGE);
    fake_world_close(&world);
}

static void a_digest_is_compared_where_that_is_asked_for(void **state)
{
    (void)state;
    start();
    assert_error(load_all(TRESOR_STRATEGY_READ, 0, NULL), TRESOR_OK);
    promise_all();
    promise(3, false);
    assert_error(finish(submit(TRESOR_VERB_DIGEST, session_all(&world.session), 0, 0), NULL), TRESOR_OK);
    must_have_digest(3);
    assert_error(finish(submit(TRESOR_VERB_DIGEST, session_all(&world.session), 0, TRESOR_REQUEST_CHECK), NULL),
                 TRESOR_ERROR_CORRUPT);
    assert_error(error_of(3)->code, TRESOR_ERROR_CORRUPT);
    must_have_digest(2);
    assert_true(is_there(3));
    fake_world_close(&world);
}

/* --- loads --- */

static void what_is_right_is_loaded(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct tresor_event done;
        start();
        promise_all();
        assert_error(load_all(strategies[i], TRESOR_REQUEST_CHECK | TRESOR_REQUEST_FINITE, &done), TRESOR_OK);
        assert_int_equal(done.done, TENSORS);
        fake_world_must_have(&world, TENSORS);
        for (uint32_t k = 0; k < TENSORS; k++) {
            assert_non_null(session_item(&world.session, k)->data);
            assert_int_equal(piece_of(k)->tensor.looked, TRESOR__LOOK_VERDICTS);
        }
        check_ledger();
        fake_world_close(&world);
    }
}

static void what_is_wrong_is_told_and_the_others_go_on(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t bad = 0; bad < TENSORS; bad++) {
            struct tresor_event done;
            start();
            promise_all();
            promise(bad, false);
            assert_error(load_all(strategies[i], TRESOR_REQUEST_CHECK, &done), TRESOR_ERROR_CORRUPT);
            assert_int_equal(done.done, TENSORS - 1);
            assert_int_equal(done.failed, 1);
            assert_true(done.flags & TRESOR_EVENT_PARTIAL);
            assert_int_equal(done.error.tensor, bad);
            const struct tresor_error *error = error_of(bad);
            assert_error(error->code, TRESOR_ERROR_CORRUPT);
            assert_true(error->got == right_digest(bad).high);
            assert_true(error->wanted == (error->got ^ UINT64_C(0x100000000000)));
            assert_int_equal(error->offset, fake_world_tensor(&world, bad).offset_bytes);
            for (uint32_t k = 0; k < TENSORS; k++)
                assert_int_equal(is_there(k), k != bad);
            check_ledger();
            promise(bad, true);
            assert_error(load_all(strategies[i], TRESOR_REQUEST_CHECK, &done), TRESOR_OK);
            fake_world_must_have(&world, TENSORS);
            fake_world_close(&world);
        }
}

/* What came wrong from the disk is read again by the next load, at once. */
static void a_wrong_read_is_found_and_read_again(void **state)
{
    struct tresor_request again;
    (void)state;
    start();
    promise_all();
    world.fake.flip_transfer = world.fake.transfers + 1;
    struct tresor_request first =
        submit(TRESOR_VERB_LOAD, session_tensor(&world.session, LARGE), TRESOR_STRATEGY_READ, TRESOR_REQUEST_CHECK);
    while (!session_end(&world.session, first))
        session_pump(&world.session);
    assert_error(session_end(&world.session, first)->error.code, TRESOR_ERROR_CORRUPT);
    world.fake.flip_transfer = 0;
    again = submit(TRESOR_VERB_LOAD, session_tensor(&world.session, LARGE), TRESOR_STRATEGY_READ, TRESOR_REQUEST_CHECK);
    assert_error(finish(again, NULL), TRESOR_OK);
    fake_world_must_have(&world, 1);
    fake_world_close(&world);
}

/* Pages of its own are filled anew for whoever comes before they were released; those that a neighbour uses stay. */
static void what_is_spoilt_is_not_taken_back(void **state)
{
    const struct tresor__failure failure = {.code = TRESOR_ERROR_CORRUPT};
    (void)state;
    start();
    assert_error(load_one(0, TRESOR_STRATEGY_READ, 0), TRESOR_OK);
    assert_error(load_one(LARGE, TRESOR_STRATEGY_READ, 0), TRESOR_OK);
    struct tresor__ledger *ledger = &world.session.context->controller.slots[0].source.model.files[0].io.ledger;
    const struct tresor__span *span = &ledger->spans[LARGE];
    const struct tresor__interval *first = &ledger->intervals[span->first_interval];
    tresor__ledger_spoil(ledger, LARGE, &failure);
    assert_int_equal(first[0].users, 2);
    assert_false(first[0].failed);
    for (uint32_t i = 1; i < span->interval_count; i++)
        assert_true(first[i].failed);
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, LARGE, 0), TRESOR_OK);
    assert_error(load_one(LARGE, TRESOR_STRATEGY_READ, 0), TRESOR_OK);
    fake_world_must_have(&world, 2);
    check_ledger();
    fake_world_close(&world);
}

static void an_unchecked_load_tells_nothing(void **state)
{
    (void)state;
    start();
    promise(LARGE, false);
    assert_error(load_all(TRESOR_STRATEGY_READ, 0, NULL), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

/* It may be in use, so it stays; and what has passed once is not looked at again. */
static void what_is_there_is_looked_at_where_it_is(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct tresor_event done;
        start();
        promise_all();
        promise(LARGE, false);
        assert_error(load_all(strategies[i], 0, NULL), TRESOR_OK);
        uint64_t effects = fake_world_counters(&world).effects;
        assert_error(load_all(strategies[i], TRESOR_REQUEST_CHECK, &done), TRESOR_ERROR_CORRUPT);
        assert_int_equal(done.done, TENSORS - 1);
        assert_null(session_item(&world.session, LARGE)->data);
        assert_non_null(session_item(&world.session, 0)->data);
        fake_world_must_have(&world, TENSORS);
        assert_true(fake_world_counters(&world).effects >= effects + TENSORS);
        promise(LARGE, true);
        assert_error(load_all(strategies[i], TRESOR_REQUEST_CHECK, NULL), TRESOR_OK);
        effects = fake_world_counters(&world).effects;
        assert_error(load_all(strategies[i], TRESOR_REQUEST_CHECK, NULL), TRESOR_OK);
        assert_int_equal(fake_world_counters(&world).effects, effects);
        fake_world_close(&world);
    }
}

/* What was swapped was read anew, so it is looked at anew. */
static void a_swap_forgets_what_was_seen(void **state)
{
    (void)state;
    start();
    promise_all();
    assert_error(load_one(LARGE, TRESOR_STRATEGY_READ, TRESOR_REQUEST_CHECK), TRESOR_OK);
    assert_error(fake_world_one(&world, TRESOR_VERB_SWAP, LARGE, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    assert_int_equal(piece_of(LARGE)->tensor.looked, 0);
    assert_error(load_one(LARGE, TRESOR_STRATEGY_MMAP, TRESOR_REQUEST_CHECK), TRESOR_OK);
    assert_int_equal(piece_of(LARGE)->tensor.looked, TRESOR__LOOK_COMPARE);
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, LARGE, 0), TRESOR_OK);
    assert_error(load_one(LARGE, TRESOR_STRATEGY_MMAP, 0), TRESOR_OK);
    assert_int_equal(piece_of(LARGE)->tensor.looked, 0);
    fake_world_close(&world);
}

static void who_wants_other_looks_waits_for_both(void **state)
{
    (void)state;
    start();
    promise_all();
    bytes_of(FLOATS)[2 * 30000 + 1] = 0x7c; /* an infinity */
    bytes_of(FLOATS)[2 * 30000] = 0;
    promise(FLOATS, true);
    struct tresor_item item = session_tensor(&world.session, FLOATS);
    struct tresor_request plain = submit(TRESOR_VERB_LOAD, item, TRESOR_STRATEGY_READ, 0);
    struct tresor_request checked = submit(TRESOR_VERB_LOAD, item, TRESOR_STRATEGY_READ, TRESOR_REQUEST_CHECK);
    assert_error(finish(plain, NULL), TRESOR_OK);
    assert_error(finish(checked, NULL), TRESOR_OK);
    assert_error(load_one(FLOATS, TRESOR_STRATEGY_READ, TRESOR_REQUEST_FINITE), TRESOR_ERROR_NOT_FINITE);
    assert_true(is_there(FLOATS));
    fake_world_close(&world);
}

/* Two look at what is there at once, and each is told what it has asked for. */
static void each_is_told_what_it_asked_for(void **state)
{
    (void)state;
    start();
    promise_all();
    promise(FLOATS, false);
    bytes_of(FLOATS)[2 * 777 + 1] = 0xff;
    struct tresor_item item = session_tensor(&world.session, FLOATS);
    assert_error(load_one(FLOATS, TRESOR_STRATEGY_READ, 0), TRESOR_OK);
    struct tresor_request finite = submit(TRESOR_VERB_LOAD, item, 0, TRESOR_REQUEST_FINITE);
    struct tresor_request checked = submit(TRESOR_VERB_LOAD, item, 0, TRESOR_REQUEST_CHECK);
    struct tresor_request sum = submit(TRESOR_VERB_DIGEST, item, 0, 0);
    assert_error(finish(finite, NULL), TRESOR_ERROR_NOT_FINITE);
    assert_error(finish(checked, NULL), TRESOR_ERROR_CORRUPT);
    assert_error(finish(sum, NULL), TRESOR_OK);
    must_have_digest(FLOATS);
    fake_world_close(&world);
}

static void pins_of_checked_loads_are_handed_over(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 2; round++) {
        start();
        promise_all();
        if (round == 1)
            assert_error(load_one(LARGE, TRESOR_STRATEGY_READ, 0), TRESOR_OK);
        assert_error(load_one(LARGE, TRESOR_STRATEGY_READ, TRESOR_REQUEST_CHECK | TRESOR_REQUEST_PIN), TRESOR_OK);
        assert_true(session_item(&world.session, LARGE)->flags & TRESOR_EVENT_PINNED);
        assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, LARGE, 0), TRESOR_ERROR_BUSY);
        assert_error(tresor_release(world.session.context, session_tensor(&world.session, LARGE)), TRESOR_OK);
        assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, LARGE, 0), TRESOR_OK);
        fake_world_close(&world);
    }
}

/* --- numbers that are not finite --- */

static void the_first_bad_number_is_told(void **state)
{
    static const uint32_t places[] = {0, 1, 31999, 32000, 44999};
    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof places / sizeof places[0]; k++) {
            char text[512];
            start();
            for (uint32_t at = places[k]; at < 45000; at += 5000)
                memcpy(bytes_of(FLOATS) + (size_t)2 * at, "\x01\xfc", 2);
            assert_error(load_all(strategies[i], TRESOR_REQUEST_FINITE, NULL), TRESOR_ERROR_NOT_FINITE);
            assert_int_equal(error_of(FLOATS)->offset, places[k]);
            tresor_error_format(world.session.context, error_of(FLOATS), text, sizeof text);
            char wanted[64];
            snprintf(wanted, sizeof wanted, ", at element %u;", places[k]);
            assert_non_null(strstr(text, wanted));
            fake_world_must_have(&world, TENSORS - 1);
            fake_world_close(&world);
        }
}

static void digests_are_shortened_in_texts(void **state)
{
    char text[512];
    char wanted[64];
    (void)state;
    start();
    promise_all();
    promise(3, false);
    assert_error(load_all(TRESOR_STRATEGY_READ, TRESOR_REQUEST_CHECK, NULL), TRESOR_ERROR_CORRUPT);
    tresor_error_format(world.session.context, error_of(3), text, sizeof text);
    snprintf(wanted, sizeof wanted, "got %016llx...;", (unsigned long long)right_digest(3).high);
    assert_non_null(strstr(text, wanted));
    assert_non_null(strstr(text, ": 3: CORRUPT"));
    fake_world_close(&world);
}

/* --- what comes between --- */

/* A file that becomes shorter when all of it has been mapped, but not all of it looked at. */
static void a_file_that_becomes_shorter_is_told(void **state)
{
    uint32_t truncated = 0;
    (void)state;
    for (uint32_t steps = 1; steps < 9; steps++) {
        start();
        promise_all();
        struct tresor_request request = submit(TRESOR_VERB_LOAD, session_tensor(&world.session, LARGE),
                                               TRESOR_STRATEGY_MMAP, TRESOR_REQUEST_CHECK);
        while (piece_of(LARGE)->look == TRESOR_NONE && session_pump(&world.session))
            continue;
        for (uint32_t i = 1; i < steps && !session_end(&world.session, request); i++)
            session_pump(&world.session);
        world.fake.files[0].size_bytes -= 1000000;
        int32_t code = finish(request, NULL);
        assert_true(code == TRESOR_OK || code == TRESOR_ERROR_TRUNCATED);
        truncated += code == TRESOR_ERROR_TRUNCATED;
        fake_world_close(&world);
    }
    assert_true(truncated > 0);
}

static void a_read_that_fails_fails_the_look(void **state)
{
    (void)state;
    start();
    promise_all();
    assert_error(load_all(TRESOR_STRATEGY_MMAP, 0, NULL), TRESOR_OK);
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = EIO, .times = 1};
    assert_error(load_all(TRESOR_STRATEGY_MMAP, TRESOR_REQUEST_CHECK, NULL), TRESOR_ERROR_IO);
    fake_world_heal(&world);
    assert_error(load_all(TRESOR_STRATEGY_MMAP, TRESOR_REQUEST_CHECK, NULL), TRESOR_OK);
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = EINTR, .times = 3};
    assert_error(finish(submit(TRESOR_VERB_DIGEST, session_all(&world.session), 0, 0), NULL), TRESOR_OK);
    fake_world_close(&world);
}

enum meeting {
    MEET_CANCEL,
    MEET_EVICT,
    MEET_SWAP,
    MEET_LOCK,
    MEET_LOAD,
    MEET_CANCEL_AND_LOAD,
    MEET_CLOSE,
    MEETINGS,
};

static void meet(enum meeting meeting, struct tresor_request request)
{
    static const enum tresor_verb verbs[MEETINGS] = {
        [MEET_EVICT] = TRESOR_VERB_EVICT, [MEET_SWAP] = TRESOR_VERB_SWAP, [MEET_LOCK] = TRESOR_VERB_LOCK};
    struct tresor_item item = session_tensor(&world.session, LARGE);
    struct tresor_request other = {0};
    if (meeting == MEET_CANCEL || meeting == MEET_CANCEL_AND_LOAD)
        assert_error(tresor_cancel(world.session.context, request), TRESOR_OK);
    if (meeting == MEET_LOAD || meeting == MEET_CANCEL_AND_LOAD)
        submit(TRESOR_VERB_LOAD, item, TRESOR_STRATEGY_READ, TRESOR_REQUEST_FINITE);
    else if (verbs[meeting])
        assert_error(session_submit(&world.session, verbs[meeting], &item, 1, TRESOR_STRATEGY_MMAP, &other),
                     TRESOR_OK);
}

/* At each step of a checked load, or of a look at what is there; true while there was such a step. */
static bool meet_at(uint32_t steps, enum meeting meeting, bool is_there_before, bool is_right)
{
    start();
    promise_all();
    promise(LARGE, is_right);
    if (is_there_before)
        assert_error(load_all(TRESOR_STRATEGY_READ, 0, NULL), TRESOR_OK);
    struct tresor_request request = submit(TRESOR_VERB_LOAD, session_tensor(&world.session, LARGE),
                                           TRESOR_STRATEGY_READ, TRESOR_REQUEST_CHECK);
    for (uint32_t i = 0; i < steps && !session_end(&world.session, request); i++)
        session_pump(&world.session);
    bool is_met = session_end(&world.session, request) == NULL;
    if (is_met)
        meet(meeting, request);
    if (meeting != MEET_CLOSE) {
        session_settle(&world.session);
        int32_t code = session_end(&world.session, request)->error.code;
        assert_true(code == TRESOR_ERROR_CANCELLED || code == (is_right ? TRESOR_OK : TRESOR_ERROR_CORRUPT));
        assert_true(code != TRESOR_ERROR_CANCELLED || meeting == MEET_CANCEL || meeting == MEET_CANCEL_AND_LOAD);
        check_ledger();
        session_verify(&world.session, &world.set);
        if (meeting == MEET_LOCK)
            fake_world_all(&world, TRESOR_VERB_UNLOCK, 0);
        assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
        assert_int_equal(fake_world_counters(&world).private_bytes, 0);
    }
    fake_world_close(&world);
    return is_met;
}

static void what_meets_a_look_at_any_step_is_well(void **state)
{
    (void)state;
    for (uint32_t meeting = 0; meeting < MEETINGS; meeting++)
        for (uint32_t kind = meeting <= MEET_EVICT ? 0 : 2; kind < 4; kind++) { /* 0 and 1: what is wrong */
            uint32_t steps = 0;
            while (steps < STEPS_MAX && meet_at(steps, (enum meeting)meeting, kind & 1, kind & 2))
                steps++;
            assert_in_range(steps, 3, STEPS_MAX - 1);
        }
}

/* One by one, for no more has room; what is wrong leaves its room to the next. */
static void a_budget_is_kept(void **state)
{
    (void)state;
    start_under(1700000, 0);
    promise_all();
    promise(5, false);
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t i = 0; i < TENSORS; i++) {
            int32_t code = load_one(i, strategies[round % 2], TRESOR_REQUEST_CHECK);
            assert_error(code, i == 5 ? TRESOR_ERROR_CORRUPT : TRESOR_OK);
            assert_true(fake_world_counters(&world).charged_bytes <= world.options.budget_bytes);
        }
    assert_int_equal(fake_world_counters(&world).rejected, 0);
    check_ledger();
    fake_world_close(&world);
}

/* More than are looked at at a time, each in some slices of several parts. */
static void slices_have_digests_of_their_own(void **state)
{
    enum { SLICES = 40, SLICE_BYTES = 70000 };
    static const struct model_tensor sliced[] = {{SLICES * SLICE_BYTES, 0, false}};
    static const uint32_t slices[] = {SLICES};
    struct tresor_item_digest digests[SLICES];
    struct tresor_event done;
    (void)state;
    fake_world_init(&world);
    model_set_make_sliced(&world.set, "/fake", sliced, slices, 1);
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    promise(0, true);
    assert_error(tresor_split_pattern(world.session.context, world.session.source, "*"), TRESOR_OK);
    struct tresor_item all = session_all(&world.session);
    struct tresor_request request;
    struct tresor_request_options options = {.size_bytes = sizeof options, .flags = TRESOR_REQUEST_CHECK};
    assert_error(tresor_load(world.session.context, &all, 1, &options, &request), TRESOR_ERROR_NOT_FOUND);
    for (uint32_t i = 0; i < SLICES; i++) {
        XXH128_hash_t sum = XXH3_128bits(bytes_of(0) + i * SLICE_BYTES, SLICE_BYTES);
        assert_error(tresor_item_of_slice(world.session.context, world.session.source, 0, i, &digests[i].item), TRESOR_OK);
        digests[i].digest = (struct tresor_digest){sum.high64, sum.low64 ^ (i == 7)};
    }
    assert_error(tresor_source_set_digests(world.session.context, world.session.source, digests, SLICES), TRESOR_OK);
    assert_error(load_all(TRESOR_STRATEGY_READ, TRESOR_REQUEST_CHECK, &done), TRESOR_ERROR_CORRUPT);
    assert_int_equal(done.done, SLICES - 1);
    assert_int_equal(done.error.tensor, 0);
    fake_world_close(&world);
}

/* --- what is refused --- */

static void what_makes_no_sense_is_refused(void **state)
{
    struct tresor_request request;
    struct tresor_request_options options = {.size_bytes = sizeof options, .flags = TRESOR_REQUEST_CHECK};
    uint8_t byte;
    (void)state;
    start();
    struct tresor_context *context = world.session.context;
    struct tresor_item all = session_all(&world.session);
    struct tresor_item one = session_tensor(&world.session, 0);
    struct tresor_item_digest digest = {all, {0, 0}};
    assert_error(tresor_load(context, &all, 1, &options, &request), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_digest(context, &all, 1, &options, &request), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_stream(context, &all, 1, &options, &request), TRESOR_ERROR_UNSUPPORTED);
    assert_error(tresor_copy(context, one, 0, 1, &byte, &options, &request), TRESOR_ERROR_UNSUPPORTED);
    assert_error(tresor_evict(context, &all, 1, &options, &request), TRESOR_ERROR_INVALID);
    assert_error(tresor_source_set_digests(context, world.session.source, &digest, 1), TRESOR_ERROR_INVALID);
    assert_error(tresor_source_set_digests(context, world.session.source, NULL, 1), TRESOR_ERROR_INVALID);
    assert_error(tresor_source_set_digests(context, world.session.source, NULL, 0), TRESOR_OK);
    digest.item.value = 0;
    assert_error(tresor_source_set_digests(context, world.session.source, &digest, 1), TRESOR_ERROR_STALE);
    assert_error(tresor_source_set_digests(context, (struct tresor_source){0}, NULL, 0), TRESOR_ERROR_STALE);
    assert_error(tresor_digest(context, &all, 1, NULL, NULL), TRESOR_ERROR_INVALID);
    options.flags = TRESOR_REQUEST_PIN;
    assert_error(tresor_digest(context, &all, 1, &options, &request), TRESOR_ERROR_INVALID);
    assert_error(load_one(0, TRESOR_STRATEGY_READ, TRESOR_REQUEST_FINITE), TRESOR_OK);
    fake_world_close(&world);
}
#else
static void without_a_hash_it_is_refused(void **state)
{
    struct tresor_request request;
    struct tresor_request_options options = {.size_bytes = sizeof options, .flags = TRESOR_REQUEST_CHECK};
    (void)state;
    start();
    struct tresor_context *context = world.session.context;
    struct tresor_item all = session_all(&world.session);
    assert_int_equal(tresor_can_digest(), 0);
    assert_error(tresor_load(context, &all, 1, &options, &request), TRESOR_ERROR_UNSUPPORTED);
    assert_error(tresor_digest(context, &all, 1, NULL, &request), TRESOR_ERROR_UNSUPPORTED);
    assert_error(tresor_source_set_digests(context, world.session.source, NULL, 0), TRESOR_ERROR_UNSUPPORTED);
    options.flags = TRESOR_REQUEST_FINITE;
    assert_error(session_note(&world.session, tresor_load(context, &all, 1, &options, &request), request), TRESOR_OK);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    fake_world_close(&world);
}
#endif

int main(void)
{
    static const struct CMUnitTest tests[] = {
#ifdef TRESOR__XXHASH
        cmocka_unit_test(digests_are_those_of_the_bytes),
        cmocka_unit_test(digests_of_what_was_swapped_in_part_are_too),
        cmocka_unit_test(what_is_absent_has_no_digest),
        cmocka_unit_test(a_digest_is_compared_where_that_is_asked_for),
        cmocka_unit_test(what_is_right_is_loaded),
        cmocka_unit_test(what_is_wrong_is_told_and_the_others_go_on),
        cmocka_unit_test(a_wrong_read_is_found_and_read_again),
        cmocka_unit_test(what_is_spoilt_is_not_taken_back),
        cmocka_unit_test(an_unchecked_load_tells_nothing),
        cmocka_unit_test(what_is_there_is_looked_at_where_it_is),
        cmocka_unit_test(a_swap_forgets_what_was_seen),
        cmocka_unit_test(who_wants_other_looks_waits_for_both),
        cmocka_unit_test(each_is_told_what_it_asked_for),
        cmocka_unit_test(pins_of_checked_loads_are_handed_over),
        cmocka_unit_test(the_first_bad_number_is_told),
        cmocka_unit_test(digests_are_shortened_in_texts),
        cmocka_unit_test(a_file_that_becomes_shorter_is_told),
        cmocka_unit_test(a_read_that_fails_fails_the_look),
        cmocka_unit_test(what_meets_a_look_at_any_step_is_well),
        cmocka_unit_test(a_budget_is_kept),
        cmocka_unit_test(slices_have_digests_of_their_own),
        cmocka_unit_test(what_makes_no_sense_is_refused),
#else
        cmocka_unit_test(without_a_hash_it_is_refused),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
