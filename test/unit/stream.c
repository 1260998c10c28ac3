/* SPDX-License-Identifier: MIT */
/* Staged delivery: every byte once and in order, backpressure instead of drops, chunks that outlive their request. */
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "support/fake_world.h"

enum {
    STAGE_BYTES = 64 * 1024,
    STAGES = 3,
    CHUNKS_MAX = 256,
    SMALL_TENSOR = 0, /* of one chunk */
};

static struct fake_world world;

static void start(uint32_t direct)
{
    fake_world_init(&world);
    world.options.direct = direct;
    world.options.stages_max = STAGES;
    world.options.stage_bytes = STAGE_BYTES;
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

static struct tresor_request submit(struct tresor_item item, uint32_t flags)
{
    const struct tresor_request_options options = {
        .size_bytes = sizeof options, .flags = flags, .cookie = 77};
    struct tresor_request request;
    assert_error(tresor_stream(world.session.context, &item, 1, &options, &request), TRESOR_OK);
    return request;
}

static uint32_t tensor_of(const struct tresor_event *chunk)
{
    uint32_t tensor = UINT32_MAX;
    assert_error(tresor_item_get_tensor(world.session.context, chunk->item, 0, &tensor), TRESOR_OK);
    return tensor;
}

static void must_hold_its_bytes(const struct tresor_event *chunk)
{
    struct tresor_tensor_info info = fake_world_tensor(&world, tensor_of(chunk));
    assert_true(chunk->bytes > 0 && chunk->bytes <= STAGE_BYTES);
    assert_true(chunk->offset_bytes + chunk->bytes <= info.tensor_bytes);
    assert_memory_equal(chunk->data,
                        world.set.parts[0].bytes.data + info.offset_bytes + chunk->offset_bytes,
                        chunk->bytes);
    assert_int_equal(chunk->verb, TRESOR_VERB_STREAM);
    assert_int_equal(chunk->cookie, 77);
}

static void give_back(const struct tresor_event *chunk)
{
    assert_error(tresor_chunk_return(world.session.context, chunk->stage), TRESOR_OK);
}

/* What has happened of one stream so far. */
struct seen {
    uint64_t bytes[FAKE_TENSORS]; /* delivered, from each tensor's first byte on */
    uint32_t failed[FAKE_TENSORS];
    uint32_t last_tensor;
    uint32_t chunk_count;
    bool has_ended;
    struct tresor_event done;
};

static void see(struct seen *seen, const struct tresor_event *event)
{
    assert_false(seen->has_ended);
    if (event->type == TRESOR_EVENT_CHUNK) {
        uint32_t tensor = tensor_of(event);
        must_hold_its_bytes(event);
        assert_int_equal(event->offset_bytes, seen->bytes[tensor]);
        assert_true(tensor >= seen->last_tensor && !seen->failed[tensor]);
        seen->bytes[tensor] += event->bytes;
        seen->last_tensor = tensor;
        seen->chunk_count++;
    } else if (event->type == TRESOR_EVENT_ITEM && event->failed) {
        seen->failed[event->error.tensor]++;
    } else if (event->type == TRESOR_EVENT_DONE) {
        seen->has_ended = true;
        seen->done = *event;
    }
}

/* Dispatches until nothing moves; chunks are given back at once, or kept. */
static uint32_t run(struct seen *seen, struct tresor_event *kept, uint32_t kept_max)
{
    struct tresor_event event;
    uint32_t count = 0;
    for (bool moves = true; moves;) {
        moves = tresor_dispatch(world.session.context) > 0;
        while (tresor_next_event(world.session.context, &event) == 1) {
            moves = true;
            see(seen, &event);
            if (event.type != TRESOR_EVENT_CHUNK)
                continue;
            if (count < kept_max)
                kept[count++] = event;
            else
                give_back(&event);
        }
    }
    return count;
}

static void all_bytes_must_have_come(const struct seen *seen)
{
    assert_true(seen->has_ended);
    assert_error(seen->done.error.code, TRESOR_OK);
    assert_int_equal(seen->done.done, FAKE_TENSORS);
    for (uint32_t i = 0; i < FAKE_TENSORS; i++)
        assert_int_equal(seen->bytes[i], fake_world_tensor(&world, i).tensor_bytes);
}

static void every_byte_once_and_in_order(void **state)
{
    (void)state;
    for (uint32_t direct = TRESOR_DIRECT_AUTO; direct <= TRESOR_DIRECT_OFF; direct++) {
        struct seen seen = {0};
        start(direct);
        world.fake.files[0].cached_end_bytes = 100000;
        submit(session_all(&world.session), 0);
        run(&seen, NULL, 0);
        all_bytes_must_have_come(&seen);
        assert_true(seen.chunk_count > STAGES);
        fake_world_close(&world);
    }
}

static void short_reads_go_on(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        struct seen seen = {0};
        start(seed % 2 ? TRESOR_DIRECT_ON : TRESOR_DIRECT_OFF);
        world.faulty.reads = FAULTY_READS_RANDOM;
        world.faulty.seed = seed;
        submit(session_all(&world.session), 0);
        run(&seen, NULL, 0);
        all_bytes_must_have_come(&seen);
        world.faulty.reads = FAULTY_READS_WHOLE;
        fake_world_close(&world);
    }
}

/* While the host has all of them nothing is read; one that comes back lets one more come. */
static void backpressure(void **state)
{
    struct tresor_event kept[CHUNKS_MAX];
    struct seen seen = {0};
    (void)state;
    start(TRESOR_DIRECT_ON);
    submit(session_all(&world.session), 0);
    assert_int_equal(run(&seen, kept, CHUNKS_MAX), STAGES);
    assert_false(seen.has_ended);
    uint64_t reads = world.faulty.counts[FAULTY_READ];
    assert_int_equal(run(&seen, kept + STAGES, CHUNKS_MAX - STAGES), 0);
    assert_int_equal(world.faulty.counts[FAULTY_READ], reads);
    uint32_t count = STAGES;
    for (uint32_t i = 0; i < count; i++) {
        must_hold_its_bytes(&kept[i]);
        give_back(&kept[i]);
        uint32_t more = run(&seen, kept + count, CHUNKS_MAX - count);
        assert_true(more <= 1);
        count += more;
    }
    all_bytes_must_have_come(&seen);
    fake_world_close(&world);
}

static void chunks_outlive_their_source(void **state)
{
    struct tresor_event kept[STAGES];
    struct seen seen = {0};
    (void)state;
    start(TRESOR_DIRECT_ON);
    submit(session_tensor(&world.session, 0), 0);
    uint32_t count = run(&seen, kept, STAGES);
    assert_true(count > 0 && seen.has_ended);
    uint8_t first = *(const uint8_t *)kept[0].data;
    assert_error(session_close(&world.session), TRESOR_OK);
    assert_int_equal(*(const volatile uint8_t *)kept[0].data, first);
    assert_error(tresor_context_destroy(world.session.context), TRESOR_ERROR_BUSY);
    for (uint32_t i = 0; i < count; i++)
        give_back(&kept[i]);
    fake_world_end(&world);
}

static void a_chunk_is_given_back_once(void **state)
{
    struct tresor_event kept[1];
    struct seen seen = {0};
    (void)state;
    start(TRESOR_DIRECT_ON);
    submit(session_tensor(&world.session, 0), 0);
    assert_int_equal(run(&seen, kept, 1), 1);
    give_back(&kept[0]);
    assert_error(tresor_chunk_return(world.session.context, kept[0].stage), TRESOR_ERROR_STALE);
    assert_error(tresor_chunk_return(world.session.context, (struct tresor_stage){0}),
                 TRESOR_ERROR_STALE);
    assert_error(tresor_chunk_return(world.session.context,
                                     (struct tresor_stage){kept[0].item.value}),
                 TRESOR_ERROR_STALE);
    fake_world_close(&world);
}

/* The tensor that fails has no chunk after the failure, and the others are whole. */
static void one_tensor_fails(void **state)
{
    (void)state;
    for (uint32_t tensor = 0; tensor < FAKE_TENSORS; tensor++) {
        struct seen seen = {0};
        start(TRESOR_DIRECT_OFF);
        struct tresor_tensor_info info = fake_world_tensor(&world, tensor);
        world.rules[0] = (struct fake_rule){.row = FAULTY_READ,
                                            .os_errno = EIO,
                                            .has_place = true,
                                            .place = info.offset_bytes + info.tensor_bytes / 2};
        submit(session_all(&world.session), 0);
        run(&seen, NULL, 0);
        assert_true(seen.has_ended);
        assert_error(seen.done.error.code, TRESOR_ERROR_IO);
        assert_int_equal(seen.done.failed, 1);
        assert_int_equal(seen.done.done, FAKE_TENSORS - 1);
        assert_int_equal(seen.done.error.os_errno, EIO);
        for (uint32_t i = 0; i < FAKE_TENSORS; i++) {
            assert_int_equal(seen.failed[i], i == tensor);
            assert_true(i == tensor ||
                        seen.bytes[i] == fake_world_tensor(&world, i).tensor_bytes);
        }
        fake_world_heal(&world);
        fake_world_close(&world);
    }
}

/* Whenever the cancel comes, there is one end and nothing is held. */
static void cancel_at_any_step(void **state)
{
    (void)state;
    bool ended_first = false;
    for (uint32_t steps = 0; !ended_first; steps++) {
        struct shuffled shuffled = {.seed = 99 + steps};
        struct seen seen = {0};
        struct tresor_event event;
        fake_world_init(&world);
        world.options.stages_max = STAGES;
        world.options.stage_bytes = STAGE_BYTES;
        world.options.direct = steps % 2 ? TRESOR_DIRECT_ON : TRESOR_DIRECT_AUTO;
        world.shuffled = &shuffled;
        fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
        struct tresor_request request = submit(session_all(&world.session), 0);
        for (uint32_t i = 0; i < steps; i++) {
            tresor_dispatch(world.session.context);
            if (tresor_next_event(world.session.context, &event) == 1) {
                see(&seen, &event);
                if (event.type == TRESOR_EVENT_CHUNK)
                    give_back(&event);
            }
        }
        ended_first = seen.has_ended;
        if (!ended_first)
            assert_error(tresor_cancel(world.session.context, request), TRESOR_OK);
        while (!seen.has_ended)
            run(&seen, NULL, 0);
        run(&seen, NULL, 0);
        assert_true(seen.done.error.code == TRESOR_OK ||
                    seen.done.error.code == TRESOR_ERROR_CANCELLED);
        fake_world_close(&world);
        assert_true(steps < 5000);
    }
}

static void streams_share_the_stages(void **state)
{
    struct tresor_event event;
    uint64_t bytes[2] = {0};
    uint32_t ends = 0;
    (void)state;
    start(TRESOR_DIRECT_ON);
    struct tresor_request requests[2] = {submit(session_all(&world.session), 0),
                                         submit(session_all(&world.session), 0)};
    for (uint32_t i = 0; i < 10000 && ends < 2; i++) {
        tresor_dispatch(world.session.context);
        while (tresor_next_event(world.session.context, &event) == 1) {
            ends += event.type == TRESOR_EVENT_DONE;
            if (event.type != TRESOR_EVENT_CHUNK)
                continue;
            must_hold_its_bytes(&event);
            bytes[event.request.value == requests[1].value] += event.bytes;
            give_back(&event);
        }
    }
    assert_int_equal(ends, 2);
    assert_int_equal(bytes[0], bytes[1]);
    fake_world_close(&world);
}

/* Nobody takes the chunks of a blocking call that throws them away; without that it says what is missing. */
static void finish_does_not_hang(void **state)
{
    struct tresor_event end;
    struct tresor_event event;
    (void)state;
    start(TRESOR_DIRECT_ON);
    struct tresor_request request = submit(session_all(&world.session), 0);
    assert_error(tresor_finish(world.session.context, request, 0, &end), TRESOR_ERROR_AGAIN);
    assert_error(tresor_finish(world.session.context, request, 1, &end), TRESOR_OK);
    assert_int_equal(end.done, FAKE_TENSORS);
    assert_int_equal(tresor_next_event(world.session.context, &event), 0);
    fake_world_close(&world);
}

/* The place of a request that has ended is another's soon; what is left of the first is not the other's to throw away. */
static void finish_throws_away_only_its_own(void **state)
{
    struct tresor_event event;
    struct tresor_request request;
    const struct tresor_request_options options = {.size_bytes = sizeof options,
                                                   .flags = TRESOR_REQUEST_ITEMS};
    uint32_t items = 0;
    uint32_t chunks = 0;
    (void)state;
    start(TRESOR_DIRECT_ON);
    struct tresor_context *context = world.session.context;
    struct tresor_item all = session_all(&world.session);
    assert_error(tresor_load(context, &all, 1, &options, &request), TRESOR_OK);
    assert_error(tresor_finish(context, request, 0, NULL), TRESOR_OK);
    request = submit(session_tensor(&world.session, SMALL_TENSOR), 0);
    assert_error(tresor_finish(context, request, 0, NULL), TRESOR_OK);
    assert_error(tresor_load(context, &all, 1, &options, &request), TRESOR_OK);
    assert_error(tresor_finish(context, request, 1, NULL), TRESOR_OK);
    while (tresor_next_event(context, &event) == 1) {
        assert_int_not_equal(event.request.value, request.value);
        items += event.type == TRESOR_EVENT_ITEM;
        chunks += event.type == TRESOR_EVENT_CHUNK;
        if (event.type == TRESOR_EVENT_CHUNK)
            give_back(&event);
    }
    assert_int_equal(items, FAKE_TENSORS);
    assert_true(chunks > 0);
    fake_world_close(&world);
}

/* One chunk is with the host, and others wait to be taken: to sleep would be for ever. */
static void finish_with_a_chunk_in_hand(void **state)
{
    struct tresor_event event;
    struct tresor_event held = {0};
    (void)state;
    start(TRESOR_DIRECT_ON);
    struct tresor_request request = submit(session_all(&world.session), 0);
    while (held.type != TRESOR_EVENT_CHUNK) {
        tresor_dispatch(world.session.context);
        tresor_next_event(world.session.context, &held);
    }
    assert_error(tresor_finish(world.session.context, request, 0, &event), TRESOR_ERROR_AGAIN);
    give_back(&held);
    assert_error(tresor_finish(world.session.context, request, 1, &event), TRESOR_OK);
    fake_world_close(&world);
}

static void *return_all(void *argument)
{
    struct tresor_event *kept = argument;
    for (uint32_t i = 0; i < STAGES; i++)
        give_back(&kept[i]);
    return NULL;
}

static void another_thread_gives_back(void **state)
{
    struct tresor_event kept[CHUNKS_MAX];
    struct seen seen = {0};
    (void)state;
    start(TRESOR_DIRECT_ON);
    submit(session_all(&world.session), 0);
    while (!seen.has_ended) {
        pthread_t thread;
        uint32_t count = run(&seen, kept, CHUNKS_MAX);
        if (count < STAGES) {
            for (uint32_t i = 0; i < count; i++)
                give_back(&kept[i]);
            continue;
        }
        assert_int_equal(pthread_create(&thread, NULL, return_all, kept), 0);
        pthread_join(thread, NULL);
    }
    all_bytes_must_have_come(&seen);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_once_and_in_order),
        cmocka_unit_test(short_reads_go_on),
        cmocka_unit_test(backpressure),
        cmocka_unit_test(chunks_outlive_their_source),
        cmocka_unit_test(a_chunk_is_given_back_once),
        cmocka_unit_test(one_tensor_fails),
        cmocka_unit_test(cancel_at_any_step),
        cmocka_unit_test(streams_share_the_stages),
        cmocka_unit_test(finish_does_not_hang),
        cmocka_unit_test(finish_with_a_chunk_in_hand),
        cmocka_unit_test(finish_throws_away_only_its_own),
        cmocka_unit_test(another_thread_gives_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
