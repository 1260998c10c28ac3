/* SPDX-License-Identifier: MIT */
/* Urgent requests overtake others, in any file and by either strategy; otherwise files are read in
 * order. */
#include "support/test.h"

#include "context.h"
#include "support/fake_world.h"

enum {
    TENSORS = 24,
    LAST = TENSORS - 1,
    TENSOR_BYTES = 200 * 1024, /* more than three blocks, and no whole number of pages */
    BLOCKS = 4,
};

static struct fake_world world;
static struct shuffled shuffled;
static uint32_t waits_max; /* 0: plenty */

static void start_shards(uint32_t blocks, uint32_t shards)
{
    static struct model_tensor tensors[TENSORS];
    for (uint32_t i = 0; i < TENSORS; i++)
        tensors[i] = (struct model_tensor){TENSOR_BYTES + 32 * i, MODEL_NEXT, false};
    fake_world_init(&world);
    shuffled = (struct shuffled){0};
    world.shuffled = &shuffled;
    world.options.blocks_max = blocks;
    world.options.dispatch_max = 1;
    if (waits_max > 0)
        world.options.waits_max = waits_max;
    if (shards == 1)
        model_set_make_gguf(&world.set, "/fake", tensors, TENSORS);
    else
        model_set_make_shards(&world.set, "/fake", tensors, TENSORS, shards);
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
}

static void start(uint32_t blocks)
{
    start_shards(blocks, 1);
}

static struct tresor_request load(struct tresor_item item, uint32_t strategy, uint32_t urgency)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .flags = TRESOR_REQUEST_ITEMS,
                                             .strategy = strategy,
                                             .urgency = urgency};
    int32_t code = tresor_load(world.session.context, &item, 1, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

static struct tresor_request load_all(uint32_t strategy, uint32_t urgency)
{
    return load(session_all(&world.session), strategy, urgency);
}

static struct tresor_request load_one(uint32_t tensor, uint32_t strategy, uint32_t urgency)
{
    return load(session_tensor(&world.session, tensor), strategy, urgency);
}

static const struct tresor_event *item_at(uint32_t place)
{
    assert_in_range(place, 0, world.session.item_count - 1);
    return &world.session.items[place];
}

static uint32_t tensor_at(uint32_t place)
{
    uint32_t tensor = TRESOR_NONE;
    assert_error(tresor_item_get_tensor(world.session.context, item_at(place)->item, 0, &tensor),
                 TRESOR_OK);
    return tensor;
}

/* How many tensors were told of before that of a request. */
static uint32_t place_of(struct tresor_request request, uint32_t tensor)
{
    for (uint32_t i = 0; i < world.session.item_count; i++)
        if (item_at(i)->request.value == request.value && tensor_at(i) == tensor)
            return i;
    fail_msg("tensor %u was not told of", tensor);
    return 0;
}

static void pump_until_items(uint32_t count)
{
    while (world.session.item_count < count && session_pump(&world.session))
        continue;
}

static void must_end_well(struct tresor_request request)
{
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
}

static void files_in_order_where_nothing_is_urgent(void **state)
{
    static const uint32_t urgencies[] = {TRESOR_URGENCY_DEFAULT, TRESOR_URGENCY_LOOKAHEAD,
                                         TRESOR_URGENCY_NORMAL, TRESOR_URGENCY_URGENT};
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        start(BLOCKS);
        must_end_well(
            load_all(i % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP, urgencies[i / 2]));
        assert_int_equal(world.session.item_count, TENSORS);
        for (uint32_t place = 0; place < TENSORS; place++)
            assert_int_equal(tensor_at(place), place);
        fake_world_must_have(&world, TENSORS);
        fake_world_close(&world);
    }
}

/* Each file goes on where it was. */
static void must_be_in_order(struct tresor_request request, uint32_t shards)
{
    uint32_t last[2] = {0};
    for (uint32_t place = 0; place < world.session.item_count; place++) {
        uint32_t tensor = tensor_at(place);
        uint32_t shard = tensor / (TENSORS / shards);
        if (item_at(place)->request.value != request.value || tensor == LAST)
            continue;
        assert_true(tensor >= last[shard]);
        last[shard] = tensor;
    }
}

/* Behind two tensors of the first request, and what each file had begun, comes the last. */
static void overtakes(uint32_t strategy, uint32_t shards, uint32_t first, uint32_t second)
{
    start_shards(BLOCKS, shards);
    struct tresor_request all = load_all(strategy, first);
    pump_until_items(2);
    struct tresor_request one = load_one(LAST, strategy, second);
    must_end_well(one);
    assert_null(session_end(&world.session, all));
    assert_true(place_of(one, LAST) < 2 + 3 * shards);
    must_end_well(all);
    must_be_in_order(all, shards);
    assert_int_equal(world.session.item_count, TENSORS + 1);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

static void the_more_urgent_overtake(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t strategy = i % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP;
        uint32_t shards = i / 2 + 1;
        overtakes(strategy, shards, TRESOR_URGENCY_LOOKAHEAD, TRESOR_URGENCY_URGENT);
        overtakes(strategy, shards, TRESOR_URGENCY_LOOKAHEAD, TRESOR_URGENCY_NORMAL);
        overtakes(strategy, shards, TRESOR_URGENCY_DEFAULT, TRESOR_URGENCY_URGENT);
    }
}

static void others_wait(void **state)
{
    static const uint32_t rows[][2] = {
        {TRESOR_URGENCY_URGENT, TRESOR_URGENCY_URGENT},
        {TRESOR_URGENCY_URGENT, TRESOR_URGENCY_LOOKAHEAD},
        {TRESOR_URGENCY_NORMAL, TRESOR_URGENCY_DEFAULT},
    };
    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t strategy = i % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP;
        start(BLOCKS);
        struct tresor_request all = load_all(strategy, rows[i / 2][0]);
        pump_until_items(2);
        struct tresor_request one = load_one(LAST, strategy, rows[i / 2][1]);
        must_end_well(one);
        assert_true(place_of(one, LAST) >= LAST);
        must_end_well(all);
        fake_world_close(&world);
    }
}

/* The first request leaves some out in the middle, and the last; what it was overtaken in comes
 * before what lies behind. */
static void a_tensor_that_nobody_wanted(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        uint32_t others[TENSORS];
        uint32_t count = 0;
        struct tresor_item item = {0};
        start(BLOCKS);
        for (uint32_t i = 0; i < LAST - 1; i++)
            if (i != LAST / 2 && i != LAST / 2 + 1)
                others[count++] = i;
        assert_error(
            tresor_item_of_list(world.session.context, world.session.source, others, count, &item),
            TRESOR_OK);
        struct tresor_request first = load(item, strategy, TRESOR_URGENCY_LOOKAHEAD);
        pump_until_items(2);
        struct tresor_request one = load_one(LAST, strategy, TRESOR_URGENCY_URGENT);
        must_end_well(one);
        assert_null(session_end(&world.session, first));
        assert_true(place_of(one, LAST) < 2 + 4);
        must_end_well(first);
        for (uint32_t i = 1; i < count; i++)
            assert_true(place_of(first, others[i - 1]) < place_of(first, others[i]));
        fake_world_must_have(&world, count + 1);
        fake_world_close(&world);
    }
}

/* Whoever asked more urgently may leave: the load goes on for the other. */
static void cancelling_one_leaves_the_other(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t strategy = i % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP;
        start(BLOCKS);
        struct tresor_request all = load_all(strategy, TRESOR_URGENCY_LOOKAHEAD);
        pump_until_items(2);
        struct tresor_request one = load_one(LAST, strategy, TRESOR_URGENCY_URGENT);
        session_pump(&world.session);
        assert_error(tresor_cancel(world.session.context, i / 2 ? all : one), TRESOR_OK);
        assert_error(session_finish(&world.session, i / 2 ? all : one, NULL),
                     TRESOR_ERROR_CANCELLED);
        must_end_well(i / 2 ? one : all);
        session_settle(&world.session);
        assert_error(item_at(place_of(i / 2 ? one : all, LAST))->error.code, TRESOR_OK);
        fake_world_close(&world);
    }
}

/* Reads in flight are those that were asked and not answered. */
static uint32_t blocks_in_use(void)
{
    const struct tresor__io *io = &world.session.context->controller.io;
    return io->block_count - io->free_count;
}

static void lookahead_leaves_blocks_free(void **state)
{
    static const struct {
        uint32_t blocks;
        uint32_t used;
    } rows[] = {{1, 1}, {2, 1}, {3, 2}, {8, 6}, {13, 10}};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t most = 0;
        start(rows[i].blocks);
        struct tresor_request all = load_all(TRESOR_STRATEGY_READ, TRESOR_URGENCY_LOOKAHEAD);
        while (!session_end(&world.session, all) && session_pump(&world.session))
            most = blocks_in_use() > most ? blocks_in_use() : most;
        assert_int_equal(most, rows[i].used);
        assert_error(session_end(&world.session, all)->error.code, TRESOR_OK);
        fake_world_close(&world);
    }
}

static struct tresor_request copy(uint32_t tensor, void *memory, uint32_t urgency)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {.size_bytes = sizeof options, .urgency = urgency};
    int32_t code = tresor_copy(world.session.context, session_tensor(&world.session, tensor), 0,
                               TENSOR_BYTES, memory, &options, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    return request;
}

/* With one block for all, those who wait for it are served by their urgency. */
static void copies_wait_by_urgency(void **state)
{
    static uint8_t memory[4][TENSOR_BYTES];
    static const uint32_t urgencies[] = {TRESOR_URGENCY_NORMAL, TRESOR_URGENCY_LOOKAHEAD,
                                         TRESOR_URGENCY_URGENT};
    struct tresor_request requests[3];
    (void)state;
    start(1);
    struct tresor_request first = copy(0, memory[3], TRESOR_URGENCY_URGENT);
    tresor_dispatch(world.session.context);
    assert_int_equal(blocks_in_use(), 1);
    for (uint32_t i = 0; i < 3; i++)
        requests[i] = copy(1 + i, memory[i], urgencies[i]);
    must_end_well(first);
    must_end_well(requests[2]);
    assert_null(session_end(&world.session, requests[0]));
    must_end_well(requests[0]);
    assert_null(session_end(&world.session, requests[1]));
    must_end_well(requests[1]);
    fake_world_close(&world);
}

/* Copies have the only block, and the file awaits it for what is less urgent than they are. */
static void a_file_that_awaits_a_block(void **state)
{
    static uint8_t memory[2][TENSOR_BYTES];
    struct tresor_request copies[2];
    (void)state;
    start(1);
    const struct tresor__slot *slot = &world.session.context->controller.slots[0];
    for (uint32_t i = 0; i < 2; i++)
        copies[i] = copy(i, memory[i], TRESOR_URGENCY_NORMAL);
    struct tresor_request all = load_all(TRESOR_STRATEGY_READ, TRESOR_URGENCY_LOOKAHEAD);
    while (!slot->source.model.files[0].io.hungry.queued)
        assert_true(session_pump(&world.session));
    struct tresor_request one = load_one(LAST, TRESOR_STRATEGY_READ, TRESOR_URGENCY_URGENT);
    must_end_well(one);
    for (uint32_t i = 0; i < 2; i++)
        assert_null(session_end(&world.session, copies[i]));
    for (uint32_t i = 0; i < 2; i++)
        must_end_well(copies[i]);
    assert_null(session_end(&world.session, all));
    must_end_well(all);
    fake_world_close(&world);
}

/* With one pair for all, those who wait for it are served by their urgency. */
static void requests_wait_for_pairs_by_urgency(void **state)
{
    struct tresor_request others[4];
    (void)state;
    waits_max = 1;
    start(BLOCKS);
    waits_max = 0;
    struct tresor_request all = load_all(TRESOR_STRATEGY_MMAP, TRESOR_URGENCY_LOOKAHEAD);
    pump_until_items(1);
    for (uint32_t i = 0; i < 4; i++)
        others[i] = load_one(LAST - 1 - i, TRESOR_STRATEGY_MMAP, TRESOR_URGENCY_NORMAL);
    struct tresor_request one = load_one(LAST, TRESOR_STRATEGY_MMAP, TRESOR_URGENCY_URGENT);
    must_end_well(one);
    assert_null(session_end(&world.session, others[3]));
    for (uint32_t i = 0; i < 4; i++)
        must_end_well(others[i]);
    assert_true(place_of(one, LAST) <= 3);
    assert_null(session_end(&world.session, all));
    must_end_well(all);
    fake_world_close(&world);
}

static void refused(void **state)
{
    struct tresor_request request = {0};
    struct tresor_request_options options = {.size_bytes = sizeof options,
                                             .urgency = TRESOR_URGENCY_URGENT + 1};
    uint8_t byte = 0;
    (void)state;
    start(BLOCKS);
    struct tresor_item item = session_tensor(&world.session, 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_error(tresor_load(world.session.context, &item, 1, &options, &request),
                     TRESOR_ERROR_INVALID);
        assert_error(tresor_copy(world.session.context, item, 0, 1, &byte, &options, &request),
                     TRESOR_ERROR_INVALID);
        options.urgency = TRESOR_URGENCY_URGENT;
        options.reserved = 1;
    }
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_in_order_where_nothing_is_urgent),
        cmocka_unit_test(the_more_urgent_overtake),
        cmocka_unit_test(others_wait),
        cmocka_unit_test(a_tensor_that_nobody_wanted),
        cmocka_unit_test(cancelling_one_leaves_the_other),
        cmocka_unit_test(lookahead_leaves_blocks_free),
        cmocka_unit_test(copies_wait_by_urgency),
        cmocka_unit_test(a_file_that_awaits_a_block),
        cmocka_unit_test(requests_wait_for_pairs_by_urgency),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
