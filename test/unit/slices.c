/* SPDX-License-Identifier: MIT */
/* Tensors that are split: where their slices are, what stands for them, and that each is resident
 * on its own. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "context.h"
#include "support/fake_world.h"

enum {
    PAGE = FAKE_PAGE_BYTES,
    EXPERTS = 1, /* six slices, not one of which begins or ends with a page */
    EMPTY = 3,   /* two slices of no bytes */
    BLOCKS = 5,  /* four slices of a block each */
    SINGLE = 6,  /* three dimensions, but an outermost extent of one */
    ODD = 7,     /* three slices within a page */
    TENSORS = 8,
};

static const struct model_tensor tensors[TENSORS] = {
    {5000, MODEL_NEXT, false}, {60000, MODEL_NEXT, false}, {8000, MODEL_NEXT, false},
    {0, MODEL_NEXT, false},    {100, MODEL_NEXT, false},   {262144, MODEL_NEXT, false},
    {4096, MODEL_NEXT, false}, {300, MODEL_NEXT, false},
};
static const uint32_t slices[TENSORS] = {0, 6, 0, 2, 0, 4, 1, 3};
static const uint32_t splittable[] = {BLOCKS, EXPERTS, EMPTY, ODD};

static struct fake_world world;

static struct tresor_context *context(void)
{
    return world.session.context;
}

static struct tresor_source source(void)
{
    return world.session.source;
}

static void open_over(void)
{
    model_set_make_sliced(&world.set, "/fake", tensors, slices, TENSORS);
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
}

static void start(void)
{
    fake_world_init(&world);
    open_over();
}

static int32_t split(uint32_t tensor)
{
    return tresor_split(context(), source(), &tensor, 1);
}

static void split_all(void)
{
    assert_error(tresor_split(context(), source(), splittable, 4), TRESOR_OK);
}

static void check_ledgers(void)
{
    const struct tresor__model *model = &context()->controller.slots[0].source.model;
    for (uint32_t i = 0; i < model->file_count; i++)
        tresor__ledger_check(&model->files[i].io.ledger);
}

static struct tresor_item slice_item(uint32_t tensor, uint32_t slice)
{
    struct tresor_item item = {0};
    assert_error(tresor_item_of_slice(context(), source(), tensor, slice, &item), TRESOR_OK);
    return item;
}

static struct tresor_slice_info slice_info(uint32_t tensor, uint32_t slice)
{
    struct tresor_slice_info info = {.size_bytes = sizeof info};
    assert_error(tresor_source_get_slice(context(), source(), tensor, slice, &info), TRESOR_OK);
    return info;
}

static int32_t ask(enum tresor_verb verb, struct tresor_item item, uint32_t strategy)
{
    int32_t code = session_do(&world.session, verb, item, strategy);
    session_settle(&world.session);
    check_ledgers();
    return code;
}

/* Acquired, at its place, and the file's bytes. */
static bool has_slice(uint32_t tensor, uint32_t slice)
{
    const void *data = NULL;
    struct tresor_slice_info info = slice_info(tensor, slice);
    struct tresor_item item = slice_item(tensor, slice);
    int32_t code = tresor_acquire(context(), item, &data);
    if (code != TRESOR_OK) {
        assert_error(code, TRESOR_ERROR_NOT_RESIDENT);
        return false;
    }
    assert_ptr_equal(data, info.address);
    assert_memory_equal(data, world.set.parts[0].bytes.data + info.offset_bytes, info.slice_bytes);
    assert_error(tresor_release(context(), item), TRESOR_OK);
    return true;
}

static uint32_t slices_there(uint32_t tensor)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < slices[tensor]; i++)
        count += has_slice(tensor, i);
    return count;
}

/* Bytes of the pages from one slice's first to another's last. */
static uint64_t pages_of(uint32_t tensor, uint32_t first, uint32_t last)
{
    struct tresor_slice_info end = slice_info(tensor, last);
    return (end.offset_bytes + end.slice_bytes + PAGE - 1) / PAGE * PAGE -
           slice_info(tensor, first).offset_bytes / PAGE * PAGE;
}

/* --- what there is --- */

static void places(void **state)
{
    struct tresor_tensor_info before[TENSORS];
    (void)state;
    start();
    for (uint32_t i = 0; i < TENSORS; i++) {
        before[i] = fake_world_tensor(&world, i);
        assert_int_equal(before[i].slice_count, 0);
    }
    split_all();
    check_ledgers();
    for (uint32_t i = 0; i < TENSORS; i++) {
        struct tresor_tensor_info info = fake_world_tensor(&world, i);
        bool is_split = slices[i] > 1;
        assert_ptr_equal(info.address, before[i].address);
        assert_int_equal(info.tensor_bytes, before[i].tensor_bytes);
        assert_int_equal(info.slice_count, is_split ? slices[i] : 0);
        for (uint32_t k = 0; is_split && k < slices[i]; k++) {
            struct tresor_slice_info slice = slice_info(i, k);
            assert_int_equal(slice.slice_bytes, info.tensor_bytes / slices[i]);
            assert_int_equal(slice.offset_bytes, info.offset_bytes + k * slice.slice_bytes);
            assert_ptr_equal(slice.address, (const char *)info.address + k * slice.slice_bytes);
            assert_int_equal(slice.tensor, i);
            assert_int_equal(slice.slice, k);
            assert_int_equal(slice.slice_count, slices[i]);
        }
    }
    fake_world_close(&world);
}

/* The slices of a safetensors tensor are along its first dimension. */
static void other_order(void **state)
{
    (void)state;
#ifdef TRESOR__SAFETENSORS
    struct tresor_slice_info info = {.size_bytes = sizeof info};
    fake_world_init(&world);
    model_set_make(&world.set, MODEL_INDEX, "/fake");
    fake_world_start_context(&world);
    assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    assert_error(tresor_split_pattern(context(), source(), "*"), TRESOR_OK);
    struct tresor_tensor_info tensor = fake_world_tensor(&world, 3);
    assert_int_equal(tensor.shape[0], 7);
    assert_int_equal(tensor.slice_count, 7);
    assert_error(tresor_source_get_slice(context(), source(), 3, 6, &info), TRESOR_OK);
    assert_int_equal(info.slice_bytes, 10000);
    assert_ptr_equal(info.address, (const char *)tensor.address + 60000);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    fake_world_must_have(&world, 10);
    fake_world_close(&world);
#endif
}

static void must_be(struct tresor_item item, uint32_t position, uint32_t tensor, uint32_t slice)
{
    uint32_t found = 0;
    uint32_t number = 0;
    assert_error(tresor_item_get_piece(context(), item, position, &found, &number), TRESOR_OK);
    assert_int_equal(found, tensor);
    assert_int_equal(number, slice);
    assert_error(tresor_item_get_tensor(context(), item, position, &found), TRESOR_OK);
    assert_int_equal(found, tensor);
}

static void must_measure(struct tresor_item item, uint32_t count, uint64_t bytes)
{
    uint32_t pieces = 0;
    uint64_t found = 0;
    assert_error(tresor_item_measure(context(), item, &pieces, &found), TRESOR_OK);
    assert_int_equal(pieces, count);
    assert_int_equal(found, bytes);
    assert_error(tresor_item_get_piece(context(), item, count, NULL, NULL), TRESOR_ERROR_INVALID);
}

/* A source's are in file order, whatever the order in which they were split. */
static void items_stand_for_slices(void **state)
{
    uint64_t bytes = 0;
    (void)state;
    start();
    struct tresor_item all = session_all(&world.session);
    struct tresor_item tensor = session_tensor(&world.session, EXPERTS);
    tresor_item_measure(context(), all, NULL, &bytes);
    must_be(tensor, 0, EXPERTS, TRESOR_NONE);
    must_measure(tensor, 1, 60000);
    split_all();
    must_measure(tensor, 6, 60000);
    must_measure(all, 6 + 4 + 3 + 2 + 4, bytes);
    must_measure(slice_item(EXPERTS, 5), 1, 10000);
    must_be(slice_item(EXPERTS, 5), 0, EXPERTS, 5);
    uint32_t at = 0;
    for (uint32_t i = 0; i < TENSORS; i++) {
        if (slices[i] < 2)
            must_be(all, at++, i, TRESOR_NONE);
        for (uint32_t k = 0; slices[i] > 1 && k < slices[i]; k++)
            must_be(all, at++, i, k);
    }
    for (uint32_t k = 0; k < 6; k++)
        must_be(tensor, k, EXPERTS, k);
    fake_world_close(&world);
}

/* --- residency --- */

static void one_slice_brings_its_pages_only(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        start();
        split_all();
        struct tresor_item item = slice_item(EXPERTS, 2);
        assert_error(ask(TRESOR_VERB_LOAD, item, strategy), TRESOR_OK);
        struct tresor_counters counters = fake_world_counters(&world);
        assert_int_equal(counters.mapped_bytes + counters.private_bytes, pages_of(EXPERTS, 2, 2));
        assert_true(pages_of(EXPERTS, 2, 2) < 60000 / 3);
        assert_int_equal(slices_there(EXPERTS), 1);
        assert_true(has_slice(EXPERTS, 2));
        assert_error(tresor_acquire(context(), session_tensor(&world.session, EXPERTS), NULL),
                     TRESOR_ERROR_NOT_RESIDENT);
        const struct tresor_event *event = &world.session.items[world.session.item_count - 1];
        assert_int_equal(event->item.value, item.value);
        assert_int_equal(event->bytes, 10000);
        assert_ptr_equal(event->data, slice_info(EXPERTS, 2).address);
        assert_error(ask(TRESOR_VERB_EVICT, item, 0), TRESOR_OK);
        counters = fake_world_counters(&world);
        assert_int_equal(counters.mapped_bytes + counters.private_bytes, 0);
        fake_world_close(&world);
    }
}

static void neighbours_share_a_page(void **state)
{
    (void)state;
    start();
    split_all();
    for (uint32_t round = 0; round < 3; round++) {
        assert_error(ask(TRESOR_VERB_LOAD, slice_item(EXPERTS, 1), TRESOR_STRATEGY_READ),
                     TRESOR_OK);
        assert_error(ask(TRESOR_VERB_LOAD, slice_item(EXPERTS, 2), TRESOR_STRATEGY_READ),
                     TRESOR_OK);
        assert_int_equal(fake_world_counters(&world).private_bytes, pages_of(EXPERTS, 1, 2));
        assert_true(pages_of(EXPERTS, 1, 2) < pages_of(EXPERTS, 1, 1) + pages_of(EXPERTS, 2, 2));
        uint32_t stays = 1 + round % 2;
        assert_error(ask(TRESOR_VERB_EVICT, slice_item(EXPERTS, 3 - stays), 0), TRESOR_OK);
        assert_int_equal(fake_world_counters(&world).private_bytes,
                         pages_of(EXPERTS, stays, stays));
        assert_int_equal(slices_there(EXPERTS), 1);
        assert_true(has_slice(EXPERTS, stays));
        assert_error(ask(TRESOR_VERB_EVICT, slice_item(EXPERTS, stays), 0), TRESOR_OK);
        assert_int_equal(fake_world_counters(&world).private_bytes, 0);
    }
    fake_world_close(&world);
}

/* All of a tensor is there when all of its slices are. */
static void a_tensor_is_its_slices(void **state)
{
    const void *data = NULL;
    (void)state;
    start();
    split_all();
    struct tresor_item tensor = session_tensor(&world.session, BLOCKS);
    for (uint32_t k = 4; k-- > 0;) {
        assert_error(tresor_acquire(context(), tensor, &data), TRESOR_ERROR_NOT_RESIDENT);
        assert_error(ask(TRESOR_VERB_LOAD, slice_item(BLOCKS, k),
                         k % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP),
                     TRESOR_OK);
    }
    assert_error(tresor_acquire(context(), tensor, &data), TRESOR_OK);
    struct tresor_tensor_info info = fake_world_tensor(&world, BLOCKS);
    assert_ptr_equal(data, info.address);
    assert_memory_equal(data, world.set.parts[0].bytes.data + info.offset_bytes, info.tensor_bytes);
    assert_error(ask(TRESOR_VERB_EVICT, slice_item(BLOCKS, 3), 0), TRESOR_ERROR_BUSY);
    const struct tresor_event *event = &world.session.items[world.session.item_count - 1];
    assert_int_equal(event->error.tensor, BLOCKS);
    assert_int_equal(event->error.offset, slice_info(BLOCKS, 3).offset_bytes);
    must_be(event->item, 0, BLOCKS, 3);
    assert_error(tresor_release(context(), tensor), TRESOR_OK);
    assert_error(ask(TRESOR_VERB_EVICT, tensor, 0), TRESOR_OK);
    assert_int_equal(slices_there(BLOCKS), 0);
    assert_error(ask(TRESOR_VERB_LOAD, session_all(&world.session), TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    assert_int_equal(slices_there(BLOCKS), 4);
    assert_int_equal(slices_there(EMPTY), 2);
    fake_world_close(&world);
}

static void locks_and_advice(void **state)
{
    (void)state;
    start();
    split_all();
    struct tresor_item slice = slice_item(EXPERTS, 4);
    assert_error(ask(TRESOR_VERB_LOCK, slice, 0), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(
        ask(TRESOR_VERB_LOAD, session_tensor(&world.session, EXPERTS), TRESOR_STRATEGY_READ),
        TRESOR_OK);
    assert_error(ask(TRESOR_VERB_LOCK, slice, 0), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).locked_bytes, pages_of(EXPERTS, 4, 4));
    assert_error(ask(TRESOR_VERB_EVICT, slice, 0), TRESOR_ERROR_BUSY);
    assert_error(ask(TRESOR_VERB_EVICT, slice_item(EXPERTS, 3), 0), TRESOR_OK);
    assert_error(ask(TRESOR_VERB_UNLOCK, session_tensor(&world.session, EXPERTS), 0), TRESOR_OK);
    assert_error(
        ask(TRESOR_VERB_ADVISE, session_tensor(&world.session, EXPERTS), TRESOR_ADVICE_WILLNEED),
        TRESOR_OK);
    assert_int_equal(slices_there(EXPERTS), 5);
    fake_world_close(&world);
}

/* --- delivery --- */

static int32_t copy(struct tresor_item item, uint64_t offset, uint64_t length, void *memory)
{
    struct tresor_request request = {0};
    int32_t code = tresor_copy(context(), item, offset, length, memory, NULL, &request);
    if (session_note(&world.session, code, request) != TRESOR_OK)
        return code;
    return session_finish(&world.session, request, NULL);
}

static void copies_and_streams(void **state)
{
    static uint8_t memory[60000];
    (void)state;
    start();
    split_all();
    const uint8_t *bytes =
        world.set.parts[0].bytes.data + fake_world_tensor(&world, EXPERTS).offset_bytes;
    assert_error(copy(session_tensor(&world.session, EXPERTS), 5000, 50000, memory), TRESOR_OK);
    assert_memory_equal(memory, bytes + 5000, 50000);
    assert_error(copy(slice_item(EXPERTS, 3), 100, 9900, memory), TRESOR_OK);
    assert_memory_equal(memory, bytes + 30100, 9900);
    assert_error(copy(slice_item(EXPERTS, 3), 100, 9901, memory), TRESOR_ERROR_INVALID);
    world.session.set = &world.set; /* each chunk is compared at its place in its tensor */
    assert_error(ask(TRESOR_VERB_STREAM, slice_item(BLOCKS, 2), 0), TRESOR_OK);
    assert_int_equal(world.session.chunk_bytes, 65536);
    assert_error(ask(TRESOR_VERB_STREAM, session_tensor(&world.session, EXPERTS), 0), TRESOR_OK);
    assert_int_equal(world.session.chunk_bytes, 65536 + 60000);
    assert_int_equal(slices_there(EXPERTS), 0);
    fake_world_close(&world);
}

/* The item of a chunk is its slice's. */
static void chunks_name_their_slice(void **state)
{
    struct tresor_request request = {0};
    struct tresor_event event = {0};
    struct tresor_item item;
    uint32_t chunks = 0;
    (void)state;
    start();
    split_all();
    item = slice_item(EXPERTS, 2);
    assert_error(tresor_stream(context(), &item, 1, NULL, &request), TRESOR_OK);
    session_note(&world.session, TRESOR_OK, request);
    while (event.type != TRESOR_EVENT_DONE) {
        while (tresor_next_event(context(), &event) == 0)
            tresor_dispatch(context());
        if (event.type != TRESOR_EVENT_CHUNK)
            continue;
        assert_int_equal(event.item.value, item.value);
        assert_int_equal(event.error.tensor, EXPERTS);
        assert_in_range(event.offset_bytes, 20000, 29999);
        chunks++;
        assert_error(tresor_chunk_return(context(), event.stage), TRESOR_OK);
    }
    assert_true(chunks > 0);
    assert_error(event.error.code, TRESOR_OK);
    world.session.request_count--; /* its end was taken here */
    fake_world_close(&world);
}

/* --- groups --- */

static void groups_made_before(void **state)
{
    static const uint32_t list[] = {BLOCKS, 0, EXPERTS};
    struct tresor_item group;
    struct tresor_item pattern;
    struct tresor_item untouched;
    (void)state;
    start();
    assert_error(tresor_item_of_list(context(), source(), list, 3, &group), TRESOR_OK);
    assert_error(tresor_item_of_pattern(context(), source(), "[01]", &pattern), TRESOR_OK);
    assert_error(tresor_item_of_list(context(), source(), list + 1, 1, &untouched), TRESOR_OK);
    assert_error(split(EXPERTS), TRESOR_OK);
    must_measure(group, 1 + 1 + 6, 262144 + 5000 + 60000);
    must_be(group, 0, BLOCKS, TRESOR_NONE);
    must_be(group, 7, EXPERTS, 5);
    assert_error(split(BLOCKS), TRESOR_OK);
    must_measure(group, 4 + 1 + 6, 262144 + 5000 + 60000);
    must_be(group, 3, BLOCKS, 3);
    must_be(group, 4, 0, TRESOR_NONE);
    must_be(group, 10, EXPERTS, 5);
    must_measure(pattern, 7, 65000);
    must_measure(untouched, 1, 5000);
    assert_error(ask(TRESOR_VERB_LOAD, group, TRESOR_STRATEGY_READ), TRESOR_OK);
    fake_world_must_have(&world, 3);
    assert_error(tresor_acquire(context(), group, NULL), TRESOR_OK);
    assert_error(tresor_release(context(), group), TRESOR_OK);
    fake_world_close(&world);
}

static void groups_of_slices(void **state)
{
    const void *data = NULL;
    struct tresor_item expert;
    struct tresor_item more;
    (void)state;
    start();
    split_all();
    const struct tresor_item parts[] = {slice_item(BLOCKS, 1), slice_item(EXPERTS, 1),
                                        slice_item(ODD, 1)};
    assert_error(tresor_item_of_items(context(), parts, 3, &expert), TRESOR_OK);
    must_measure(expert, 3, 65536 + 10000 + 100);
    must_be(expert, 1, EXPERTS, 1);
    const struct tresor_item both[] = {session_tensor(&world.session, ODD), expert};
    assert_error(tresor_item_of_items(context(), both, 2, &more), TRESOR_OK);
    must_measure(more, 6, 300 + 65536 + 10000 + 100);
    assert_error(ask(TRESOR_VERB_LOAD, expert, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    assert_error(tresor_acquire(context(), expert, &data), TRESOR_OK);
    assert_ptr_equal(data, slice_info(BLOCKS, 1).address);
    assert_error(tresor_acquire(context(), more, NULL), TRESOR_ERROR_NOT_RESIDENT);
    assert_error(ask(TRESOR_VERB_EVICT, slice_item(EXPERTS, 1), 0), TRESOR_ERROR_BUSY);
    assert_error(tresor_release(context(), expert), TRESOR_OK);
    assert_int_equal(slices_there(EXPERTS) + slices_there(BLOCKS) + slices_there(ODD), 3);
    assert_error(ask(TRESOR_VERB_EVICT, expert, 0), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).mapped_bytes, 0);
    /* Groups made after the split have slices too. */
    assert_error(tresor_item_of_pattern(context(), source(), "[1-4]", &more), TRESOR_OK);
    must_measure(more, 6 + 1 + 2 + 1, 68100);
    must_be(more, 6, 2, TRESOR_NONE);
    assert_error(tresor_item_of_items(context(), parts, 0, &more), TRESOR_ERROR_INVALID);
    assert_error(tresor_item_of_items(context(), NULL, 1, &more), TRESOR_ERROR_INVALID);
    assert_error(tresor_item_of_items(context(), parts, 1, NULL), TRESOR_ERROR_INVALID);
    fake_world_close(&world);
    start();
    assert_error(tresor_item_of_items(context(), parts, 1, &more), TRESOR_ERROR_STALE);
    fake_world_close(&world);
}

/* --- refusals --- */

static void what_cannot_be_split(void **state)
{
    static const uint32_t twice[] = {EXPERTS, BLOCKS, EXPERTS};
    static const uint32_t with_bad[] = {EXPERTS, SINGLE};
    static const uint32_t refused[] = {0, SINGLE, TENSORS, TRESOR_NONE};
    struct tresor_item item;
    struct tresor_slice_info info = {.size_bytes = sizeof info};
    (void)state;
    start();
    for (uint32_t i = 0; i < 4; i++)
        assert_error(split(refused[i]), TRESOR_ERROR_INVALID);
    assert_error(tresor_split(context(), source(), twice, 3), TRESOR_ERROR_INVALID);
    assert_error(tresor_split(context(), source(), with_bad, 2), TRESOR_ERROR_INVALID);
    assert_error(tresor_split(context(), source(), NULL, 1), TRESOR_ERROR_INVALID);
    assert_error(tresor_split(context(), source(), NULL, 0), TRESOR_OK);
    assert_error(tresor_split_pattern(context(), source(), NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_split_pattern(context(), source(), "[06]"), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_item_of_slice(context(), source(), EXPERTS, 0, &item),
                 TRESOR_ERROR_INVALID);
    must_measure(session_all(&world.session), TENSORS, 339640);
    assert_error(tresor_split_pattern(context(), source(), "[0156]"), TRESOR_OK);
    assert_int_equal(fake_world_tensor(&world, EXPERTS).slice_count, 6);
    assert_int_equal(fake_world_tensor(&world, ODD).slice_count, 0);
    assert_error(split(EXPERTS), TRESOR_ERROR_INVALID);
    assert_error(tresor_split_pattern(context(), source(), "1"), TRESOR_ERROR_NOT_FOUND);
    assert_error(tresor_item_of_slice(context(), source(), EXPERTS, 6, &item),
                 TRESOR_ERROR_INVALID);
    assert_error(tresor_item_of_slice(context(), source(), 0, 0, &item), TRESOR_ERROR_INVALID);
    assert_error(tresor_item_of_slice(context(), source(), EXPERTS, 0, NULL), TRESOR_ERROR_INVALID);
    assert_error(tresor_source_get_slice(context(), source(), 0, 0, &info), TRESOR_ERROR_INVALID);
    assert_error(tresor_source_get_slice(context(), source(), TENSORS, 0, &info),
                 TRESOR_ERROR_INVALID);
    assert_error(tresor_source_get_slice(context(), source(), EXPERTS, 0, NULL),
                 TRESOR_ERROR_INVALID);
    fake_world_close(&world);
}

static struct tresor_request submit(enum tresor_verb verb, uint32_t tensor, uint32_t strategy)
{
    struct tresor_request request;
    struct tresor_item item = session_tensor(&world.session, tensor);
    assert_error(session_submit(&world.session, verb, &item, 1, strategy, &request), TRESOR_OK);
    return request;
}

/* Refused at every moment of the request, and accepted again at the end if nothing is resident
 * then. */
static void refused_during(enum tresor_verb verb, uint32_t tensor, int32_t at_the_end)
{
    struct tresor_request request = submit(verb, tensor, TRESOR_STRATEGY_READ);
    while (!session_end(&world.session, request)) {
        assert_error(split(ODD), TRESOR_ERROR_BUSY);
        session_pump(&world.session);
    }
    session_settle(&world.session);
    assert_error(split(ODD), at_the_end);
    if (at_the_end == TRESOR_OK) {
        assert_error(session_close(&world.session), TRESOR_OK);
        assert_error(session_open(&world.session, model_set_path(&world.set)), TRESOR_OK);
    }
}

static void refused_while_busy(void **state)
{
    static uint8_t memory[100];
    struct tresor_request request = {0};
    (void)state;
    fake_world_init(&world);
    world.options.dispatch_max = 1; /* so that every request takes some */
    open_over();
    struct tresor_source other = {0};
    assert_error(tresor_source_open(context(), model_set_path(&world.set), 0, &other, &request),
                 TRESOR_OK);
    session_note(&world.session, TRESOR_OK, request);
    assert_error(tresor_split(context(), other, splittable, 1), TRESOR_ERROR_BUSY);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    assert_error(tresor_source_close(context(), other, 0, &request), TRESOR_OK);
    session_note(&world.session, TRESOR_OK, request);
    assert_error(tresor_split(context(), other, splittable, 1), TRESOR_ERROR_BUSY);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    assert_error(tresor_split(context(), other, splittable, 1), TRESOR_ERROR_STALE);

    refused_during(TRESOR_VERB_ADVISE, 0, TRESOR_OK);
    refused_during(TRESOR_VERB_STREAM, BLOCKS, TRESOR_OK);
    refused_during(TRESOR_VERB_LOAD, BLOCKS, TRESOR_ERROR_BUSY);
    refused_during(TRESOR_VERB_EVICT, BLOCKS, TRESOR_OK);
    refused_during(TRESOR_VERB_LOAD, EMPTY, TRESOR_ERROR_BUSY); /* no bytes, and resident */
    refused_during(TRESOR_VERB_EVICT, EMPTY, TRESOR_OK);

    struct tresor_item item = session_tensor(&world.session, 4);
    int32_t code = tresor_copy(context(), item, 0, 100, memory, NULL, &request);
    assert_error(session_note(&world.session, code, request), TRESOR_OK);
    assert_error(split(ODD), TRESOR_ERROR_BUSY);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);

    /* A cancelled load has ended before its pages are given back. */
    request = submit(TRESOR_VERB_LOAD, BLOCKS, TRESOR_STRATEGY_READ);
    for (uint32_t i = 0; i < 3; i++)
        session_pump(&world.session);
    assert_error(tresor_cancel(context(), request), TRESOR_OK);
    uint32_t late = 0;
    while (context()->controller.in_flight > 0 || !session_end(&world.session, request)) {
        assert_error(split(ODD), TRESOR_ERROR_BUSY);
        late += session_end(&world.session, request) != NULL;
        session_pump(&world.session);
    }
    session_settle(&world.session);
    assert_true(late > 0);

    /* A thread inside an acquire. */
    struct tresor__slot *slot = &context()->controller.slots[0];
    atomic_fetch_add(&slot->gate, 1);
    assert_error(split(ODD), TRESOR_ERROR_BUSY);
    atomic_fetch_sub(&slot->gate, 1);
    assert_error(split(ODD), TRESOR_OK);
    fake_world_close(&world);
}

/* Ended requests may have events to take still: those name tensors as they were. */
static void events_that_wait(void **state)
{
    struct tresor_request request;
    struct tresor_event event;
    (void)state;
    start();
    request = submit(TRESOR_VERB_ADVISE, EXPERTS, TRESOR_ADVICE_NORMAL);
    while (tresor_dispatch(context()) == 1)
        continue;
    split_all();
    assert_int_equal(tresor_next_event(context(), &event), 1);
    assert_int_equal(event.type, TRESOR_EVENT_ITEM);
    assert_int_equal(event.item.value, session_tensor(&world.session, EXPERTS).value);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    fake_world_close(&world);
}

static void no_memory_leaves_no_trace(void **state)
{
    static const uint32_t list[] = {EXPERTS, 2};
    struct tresor_item group;
    (void)state;
    start();
    assert_error(tresor_item_of_list(context(), source(), list, 2, &group), TRESOR_OK);
    assert_error(split(ODD), TRESOR_OK);
    uint32_t failures = 0;
    for (bool by_pattern = false;; failures++) {
        int64_t outstanding = world.memory.outstanding_bytes;
        world.memory.fail_call = world.memory.calls + 1 + failures;
        world.memory.failed = false;
        int32_t code = by_pattern ? tresor_split_pattern(context(), source(), "[15]")
                                  : tresor_split(context(), source(), splittable, 3);
        world.memory.fail_call = 0;
        if (!world.memory.failed) {
            assert_error(code, TRESOR_OK);
            break;
        }
        assert_error(code, TRESOR_ERROR_NO_MEMORY);
        assert_int_equal(world.memory.outstanding_bytes, outstanding);
        must_measure(group, 2, 68000);
        must_measure(session_all(&world.session), TENSORS + 2, 339640);
        assert_int_equal(fake_world_tensor(&world, EXPERTS).slice_count, 0);
        assert_int_equal(slices_there(ODD), 0);
        check_ledgers();
        by_pattern = failures % 2 == 0;
        if (failures == 5) {
            assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
            fake_world_must_have(&world, TENSORS);
            assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
            session_settle(&world.session);
        }
    }
    assert_true(failures > 10);
    must_measure(group, 7, 68000);
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

/* --- pages that nobody uses --- */

static void spare_pages_stay_on_the_books(void **state)
{
    (void)state;
    fake_world_init(&world);
    world.options.spare_bytes = UINT64_C(1) << 30;
    open_over();
    assert_error(ask(TRESOR_VERB_LOAD, session_all(&world.session), TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    assert_error(ask(TRESOR_VERB_EVICT, session_all(&world.session), 0), TRESOR_OK);
    uint64_t spare = fake_world_counters(&world).spare_bytes;
    uint64_t maps = world.faulty.counts[FAULTY_MAP];
    assert_true(spare > 0);
    split_all();
    check_ledgers();
    assert_int_equal(fake_world_counters(&world).spare_bytes, spare);
    assert_error(ask(TRESOR_VERB_LOAD, slice_item(EXPERTS, 2), TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_true(has_slice(EXPERTS, 2));
    assert_int_equal(fake_world_counters(&world).spare_bytes, spare - pages_of(EXPERTS, 2, 2));
    assert_error(ask(TRESOR_VERB_LOAD, session_all(&world.session), TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    assert_int_equal(fake_world_counters(&world).spare_bytes, 0);
    assert_int_equal(world.faulty.counts[FAULTY_MAP], maps); /* they were taken up as they were */
    fake_world_close(&world);
}

static void leaked_pages_stay_on_the_books(void **state)
{
    (void)state;
    start();
    assert_error(
        ask(TRESOR_VERB_LOAD, session_tensor(&world.session, EXPERTS), TRESOR_STRATEGY_READ),
        TRESOR_OK);
    world.rules[0] = (struct fake_rule){.row = FAULTY_MAP, .os_errno = ENOMEM};
    world.rules[1] = (struct fake_rule){.row = FAULTY_UNMAP, .os_errno = ENOMEM};
    assert_error(ask(TRESOR_VERB_EVICT, session_tensor(&world.session, EXPERTS), 0),
                 TRESOR_ERROR_MAP_REFUSED);
    fake_world_heal(&world);
    uint64_t leaked = fake_world_counters(&world).leaked_bytes;
    assert_true(leaked > 0);
    split_all();
    check_ledgers();
    assert_int_equal(fake_world_counters(&world).leaked_bytes, leaked);
    assert_error(ask(TRESOR_VERB_LOAD, slice_item(EXPERTS, 2), TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).leaked_bytes, leaked - pages_of(EXPERTS, 2, 2));
    assert_error(ask(TRESOR_VERB_LOAD, session_all(&world.session), TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).leaked_bytes, 0);
    fake_world_close(&world);
}

/* What a failed load leaves is nothing, so it is no reason to refuse. */
static void after_a_failed_load(void **state)
{
    (void)state;
    start();
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = EIO};
    assert_error(
        ask(TRESOR_VERB_LOAD, session_tensor(&world.session, EXPERTS), TRESOR_STRATEGY_READ),
        TRESOR_ERROR_IO);
    split_all();
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ,
                                        .os_errno = EIO,
                                        .has_place = true,
                                        .place = slice_info(EXPERTS, 2).offset_bytes + 5000};
    /* Within its block others fail with it; one slice at a time, only this one. */
    for (uint32_t k = 0; k < 6; k++)
        assert_error(ask(TRESOR_VERB_LOAD, slice_item(EXPERTS, k), TRESOR_STRATEGY_READ),
                     k == 2 ? TRESOR_ERROR_IO : TRESOR_OK);
    assert_int_equal(slices_there(EXPERTS), 5);
    fake_world_heal(&world);
    assert_error(ask(TRESOR_VERB_LOAD, slice_item(EXPERTS, 2), TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_int_equal(slices_there(EXPERTS), 6);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(other_order),
        cmocka_unit_test(items_stand_for_slices),
        cmocka_unit_test(one_slice_brings_its_pages_only),
        cmocka_unit_test(neighbours_share_a_page),
        cmocka_unit_test(a_tensor_is_its_slices),
        cmocka_unit_test(locks_and_advice),
        cmocka_unit_test(copies_and_streams),
        cmocka_unit_test(chunks_name_their_slice),
        cmocka_unit_test(groups_made_before),
        cmocka_unit_test(groups_of_slices),
        cmocka_unit_test(what_cannot_be_split),
        cmocka_unit_test(refused_while_busy),
        cmocka_unit_test(events_that_wait),
        cmocka_unit_test(no_memory_leaves_no_trace),
        cmocka_unit_test(spare_pages_stay_on_the_books),
        cmocka_unit_test(leaked_pages_stay_on_the_books),
        cmocka_unit_test(after_a_failed_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
