/* SPDX-License-Identifier: MIT */
/* Swaps over a fake system: their way, each failure by name, and where it leaves every page. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "context.h"
#include "io/swap/swap.h"
#include "support/fake_world.h"

enum {
    TENSORS = 6,
    TRIES = 17, /* one and its retries */
    LARGE = 4,  /* of several chunks */
    CHUNK = TRESOR__SCRATCH_BYTES,
};

static const struct model_tensor tensors[TENSORS] = {
    {5000, MODEL_NEXT, false},  {100, MODEL_NEXT, false},
    {300000, MODEL_NEXT, false}, {90000, MODEL_NEXT, false},
    {5 * 1024 * 1024, MODEL_NEXT, false}, {70000, MODEL_NEXT, false},
};

static struct fake_world world;

static void start(uint32_t direct)
{
    fake_world_init(&world);
    world.options.direct = direct;
    fake_world_start(&world, tensors, TENSORS);
}

static int32_t load(uint32_t strategy)
{
    return fake_world_all(&world, TRESOR_VERB_LOAD, strategy);
}

static int32_t swap(uint32_t strategy)
{
    return fake_world_all(&world, TRESOR_VERB_SWAP, strategy);
}

static uint32_t other(uint32_t strategy)
{
    return strategy == TRESOR_STRATEGY_READ ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ;
}

static uint64_t pages_of(uint64_t bytes)
{
    return (bytes + FAKE_PAGE_BYTES - 1) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
}

/* The whole file's, for the header shares its page with the first tensor. */
static uint64_t all_pages(void)
{
    return pages_of(world.set.parts[0].bytes.size);
}

static uint64_t chunk_count(void)
{
    return (all_pages() + CHUNK - 1) / CHUNK;
}

/* Of the last tensor, which is behind all but the last chunk and goes its way whatever becomes of the others. */
static uint64_t last_pages(void)
{
    uint64_t start = fake_world_tensor(&world, TENSORS - 1).offset_bytes;
    return all_pages() - start / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
}

/* So many bytes are on the strategy's side, the rest on the other, and all tensors are there. */
static void must_have(uint32_t strategy, uint64_t bytes)
{
    struct tresor_counters counters = fake_world_counters(&world);
    bool is_read = strategy == TRESOR_STRATEGY_READ;
    assert_int_equal(is_read ? counters.private_bytes : counters.mapped_bytes, bytes);
    assert_int_equal(is_read ? counters.mapped_bytes : counters.private_bytes,
                     all_pages() - bytes);
    assert_int_equal(counters.rejected, 0);
    fake_world_must_have(&world, TENSORS);
    tresor__ledger_check(&world.session.context->controller.slots[0].source.model.files[0].io.ledger);
}

static uint64_t scratch_bytes(void)
{
    return world.session.context->controller.io.room.scratch_bytes;
}

static void both_ways(void **state)
{
    (void)state;
    for (uint32_t direct = TRESOR_DIRECT_AUTO; direct <= TRESOR_DIRECT_OFF; direct++) {
        start(direct);
        assert_error(load(TRESOR_STRATEGY_MMAP), TRESOR_OK);
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t strategy = i % 2 ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ;
            fake_world_heal(&world);
            assert_error(swap(strategy), TRESOR_OK);
            must_have(strategy, all_pages());
            assert_int_equal(world.faulty.counts[FAULTY_MOVE_PAGES], chunk_count());
            assert_int_equal(scratch_bytes(), 0);
        }
        fake_world_close(&world);
    }
}

static void one_tensor_and_its_neighbours(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_OFF);
    assert_error(load(TRESOR_STRATEGY_MMAP), TRESOR_OK);
    /* The two small ones lie in pages of their own and of their neighbours', which go with the first that asks. */
    assert_error(fake_world_one(&world, TRESOR_VERB_SWAP, 1, TRESOR_STRATEGY_READ), TRESOR_OK);
    must_have(TRESOR_STRATEGY_READ, FAKE_PAGE_BYTES);
    uint64_t moves = world.faulty.counts[FAULTY_MOVE_PAGES];
    assert_error(fake_world_one(&world, TRESOR_VERB_SWAP, 1, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_MOVE_PAGES], moves);
    assert_error(fake_world_one(&world, TRESOR_VERB_SWAP, 0, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    must_have(TRESOR_STRATEGY_MMAP, all_pages());
    assert_error(fake_world_one(&world, TRESOR_VERB_EVICT, 0, 0), TRESOR_OK);
    fake_world_must_have(&world, TENSORS - 1);
    fake_world_close(&world);
}

static void what_has_nothing_to_move(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_OFF);
    assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_OK);
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = EIO};
    assert_error(load(TRESOR_STRATEGY_READ), TRESOR_ERROR_IO);
    fake_world_heal(&world);
    assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_error(load(TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_MOVE_PAGES], 0);
    must_have(TRESOR_STRATEGY_READ, all_pages());
    fake_world_close(&world);
}

/* --- failures --- */

struct failure {
    struct fake_rule rule;
    int32_t code;
    uint32_t strategy;   /* that the swap goes to */
    uint32_t each_chunk; /* calls that the rule is about */
};

static const struct failure failures[] = {
    {{.row = FAULTY_MOVE_PAGES, .os_errno = ENOMEM}, TRESOR_ERROR_MAP_REFUSED, TRESOR_STRATEGY_READ, 1},
    {{.row = FAULTY_MOVE_PAGES, .os_errno = EFAULT}, TRESOR_ERROR_MAP_REFUSED, TRESOR_STRATEGY_MMAP, 1},
    {{.row = FAULTY_MOVE_PAGES, .os_errno = EINVAL}, TRESOR_ERROR_UNSUPPORTED, TRESOR_STRATEGY_READ, 1},
    {{.row = FAULTY_MOVE_PAGES, .os_errno = ENOSYS}, TRESOR_ERROR_UNSUPPORTED, TRESOR_STRATEGY_MMAP, 1},
    {{.row = FAULTY_MAP, .os_errno = ENOMEM, .has_kind = true, .kind = TRESOR__SYS_MAP_ANONYMOUS},
     TRESOR_ERROR_MAP_REFUSED, TRESOR_STRATEGY_READ, 1},
    {{.row = FAULTY_MAP, .os_errno = ENOMEM, .has_kind = true, .kind = TRESOR__SYS_MAP_FILE},
     TRESOR_ERROR_MAP_REFUSED, TRESOR_STRATEGY_MMAP, 1},
    {{.row = FAULTY_STAT, .os_errno = ESTALE}, TRESOR_ERROR_CHANGED, TRESOR_STRATEGY_READ, 1},
    {{.row = FAULTY_STAT, .os_errno = EIO}, TRESOR_ERROR_IO, TRESOR_STRATEGY_MMAP, 2},
    {{.row = FAULTY_ADVISE_MEMORY, .os_errno = EIO, .has_kind = true, .kind = TRESOR__SYS_POPULATE_READ},
     TRESOR_ERROR_IO, TRESOR_STRATEGY_MMAP, 1},
    {{.row = FAULTY_ADVISE_MEMORY, .os_errno = ENOMEM, .has_kind = true, .kind = TRESOR__SYS_POPULATE_WRITE},
     TRESOR_ERROR_NO_MEMORY, TRESOR_STRATEGY_READ, 32},
    {{.row = FAULTY_READ, .os_errno = EIO}, TRESOR_ERROR_IO, TRESOR_STRATEGY_READ, 32},
    {{.row = FAULTY_READ, .os_errno = EIO, .skip = 5}, TRESOR_ERROR_IO, TRESOR_STRATEGY_READ, 32},
};

/* Tensor LARGE says where it stopped and how far it had come. */
static void check_error(const struct failure *failure, uint64_t moved)
{
    struct tresor_tensor_info tensor = fake_world_tensor(&world, LARGE);
    const struct tresor_event *item = session_item(&world.session, LARGE);
    uint64_t start = tensor.offset_bytes / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
    uint64_t wanted = pages_of(tensor.offset_bytes + tensor.tensor_bytes) - start;
    assert_non_null(item);
    assert_error(item->error.code, failure->code);
    assert_int_equal(item->error.os_errno, failure->rule.os_errno);
    assert_int_equal(item->error.offset, moved);
    assert_int_equal(item->error.wanted, wanted);
    assert_int_equal(item->error.got, moved > start ? moved - start : 0);
    assert_int_equal(item->failed, 1);
}

/* Chunks before the `at`th are moved and the others not; then on, or back. */
static void fails_at(const struct failure *failure, uint64_t at, bool goes_on)
{
    uint32_t strategy = failure->strategy;
    assert_error(swap(other(strategy)), TRESOR_OK);
    fake_world_heal(&world);
    world.rules[0] = failure->rule;
    world.rules[0].skip += at * failure->each_chunk;
    assert_error(swap(strategy), failure->code);
    must_have(strategy, at * CHUNK);
    check_error(failure, at * CHUNK);
    assert_int_equal(scratch_bytes(), 0);
    fake_world_heal(&world);
    assert_error(swap(goes_on ? strategy : other(strategy)), TRESOR_OK);
    uint64_t moves = world.faulty.counts[FAULTY_MOVE_PAGES];
    /* Back, the large tensor's part of the first chunk is one by itself. */
    assert_int_equal(moves, goes_on ? chunk_count() - at : at > 0 ? at + 1 : 0);
    must_have(strategy, goes_on ? all_pages() : 0);
}

static void each_failure_at_each_chunk(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_OFF);
    assert_error(load(TRESOR_STRATEGY_MMAP), TRESOR_OK);
    for (uint32_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        for (uint64_t at = 0; at + 1 < chunk_count(); at++)
            for (uint32_t goes_on = 0; goes_on < 2; goes_on++)
                fails_at(&failures[i], at, goes_on);
    fake_world_close(&world);
}

/* mremap(2) that fails may have unmapped what it was to replace: the file's pages are there then. */
static void a_move_that_leaves_a_hole(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_OFF);
    world.faulty.moves_unmap = true;
    assert_error(load(TRESOR_STRATEGY_MMAP), TRESOR_OK);
    world.rules[0] = (struct fake_rule){
        .row = FAULTY_MOVE_PAGES, .os_errno = ENOMEM, .skip = 1, .times = 1};
    assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_ERROR_MAP_REFUSED);
    must_have(TRESOR_STRATEGY_READ, CHUNK + last_pages());
    fake_world_heal(&world);
    assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_OK);
    must_have(TRESOR_STRATEGY_READ, all_pages());
    /* To the file's pages that is what was wanted. */
    world.rules[0] = (struct fake_rule){.row = FAULTY_MOVE_PAGES, .os_errno = ENOMEM};
    assert_error(swap(TRESOR_STRATEGY_MMAP), TRESOR_OK);
    must_have(TRESOR_STRATEGY_MMAP, all_pages());
    /* Mapping them is tried again, for nothing else would do. */
    world.rules[1] = (struct fake_rule){.row = FAULTY_MAP,
                                        .os_errno = ENOMEM,
                                        .has_kind = true,
                                        .kind = TRESOR__SYS_MAP_FILE_HOLE,
                                        .times = 15};
    assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_ERROR_MAP_REFUSED);
    must_have(TRESOR_STRATEGY_MMAP, all_pages());
    fake_world_close(&world);
}

static void what_is_interrupted_is_asked_again(void **state)
{
    static const struct {
        enum faulty_row row;
        int kind;
        uint32_t strategy;
    } calls[] = {
        {FAULTY_MOVE_PAGES, -1, TRESOR_STRATEGY_READ},
        {FAULTY_MOVE_PAGES, -1, TRESOR_STRATEGY_MMAP},
        {FAULTY_MAP, TRESOR__SYS_MAP_ANONYMOUS, TRESOR_STRATEGY_READ},
        {FAULTY_MAP, TRESOR__SYS_MAP_FILE, TRESOR_STRATEGY_MMAP},
        {FAULTY_ADVISE_MEMORY, TRESOR__SYS_POPULATE_READ, TRESOR_STRATEGY_MMAP},
        {FAULTY_READ, -1, TRESOR_STRATEGY_READ},
    };
    (void)state;
    start(TRESOR_DIRECT_OFF);
    assert_error(load(TRESOR_STRATEGY_MMAP), TRESOR_OK);
    for (uint32_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        for (uint32_t tries = TRIES - 1; tries <= TRIES; tries++) {
            assert_error(swap(other(calls[i].strategy)), TRESOR_OK);
            world.rules[0] = (struct fake_rule){.row = calls[i].row,
                                                .os_errno = tries % 2 ? EINTR : EAGAIN,
                                                .has_kind = calls[i].kind >= 0,
                                                .kind = calls[i].kind,
                                                .times = tries};
            int32_t code = swap(calls[i].strategy);
            assert_int_equal(code == TRESOR_OK, tries < TRIES);
            must_have(calls[i].strategy, code == TRESOR_OK ? all_pages() : last_pages());
            fake_world_heal(&world);
        }
    fake_world_close(&world);
}

static void a_file_that_was_cut_off(void **state)
{
    (void)state;
    for (uint32_t direct = TRESOR_DIRECT_AUTO; direct <= TRESOR_DIRECT_OFF; direct++)
        for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
            start(direct);
            assert_error(load(other(strategy)), TRESOR_OK);
            world.fake.files[0].size_bytes = CHUNK + 100;
            assert_error(swap(strategy), TRESOR_ERROR_TRUNCATED);
            must_have(strategy, CHUNK);
            world.fake.files[0].size_bytes = world.set.parts[0].bytes.size;
            assert_error(swap(strategy), TRESOR_OK);
            must_have(strategy, all_pages());
            fake_world_close(&world);
        }
}

static void another_file(void **state)
{
    (void)state;
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        start(TRESOR_DIRECT_OFF);
        assert_error(load(other(strategy)), TRESOR_OK);
        world.fake.files[0].modified_ns++;
        assert_error(swap(strategy), TRESOR_ERROR_CHANGED);
        must_have(strategy, 0);
        fake_world_close(&world);
    }
}

static void a_system_without_moves(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_OFF);
    world.fake.has_no_moves = true;
    assert_error(load(TRESOR_STRATEGY_MMAP), TRESOR_OK);
    assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_ERROR_UNSUPPORTED);
    must_have(TRESOR_STRATEGY_MMAP, all_pages());
    fake_world_close(&world);
}

static void after_half_a_swap(uint32_t strategy, uint64_t spare_bytes)
{
    fake_world_init(&world);
    world.options.spare_bytes = spare_bytes;
    fake_world_start(&world, tensors, TENSORS);
    assert_error(load(other(strategy)), TRESOR_OK);
    world.rules[0] = (struct fake_rule){.row = FAULTY_MOVE_PAGES, .os_errno = ENOMEM, .skip = 1};
    assert_error(swap(strategy), TRESOR_ERROR_MAP_REFUSED);
    fake_world_heal(&world);
    for (uint32_t i = 0; i < 3; i++) {
        assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
        struct tresor_counters counters = fake_world_counters(&world);
        assert_int_equal(counters.mapped_bytes + counters.private_bytes + counters.leaked_bytes, 0);
        /* What the file's pages are a part of is no memory to keep. */
        if (i == 0 && strategy == TRESOR_STRATEGY_MMAP)
            assert_int_equal(counters.spare_bytes, 0);
        fake_world_must_have(&world, 0);
        assert_error(load(i % 2 ? strategy : other(strategy)), TRESOR_OK);
        must_have(strategy, i % 2 ? all_pages() : 0);
    }
    fake_world_close(&world);
}

static void an_eviction_after_half_a_swap(void **state)
{
    (void)state;
    after_half_a_swap(TRESOR_STRATEGY_READ, 0);
    after_half_a_swap(TRESOR_STRATEGY_MMAP, 0);
    after_half_a_swap(TRESOR_STRATEGY_READ, UINT64_C(1) << 30);
    after_half_a_swap(TRESOR_STRATEGY_MMAP, UINT64_C(1) << 30);
}

/* Pages that stay in the scratch are counted until they go: what comes to their place takes them along. */
static void a_scratch_that_cannot_be_emptied(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_OFF);
    assert_error(load(TRESOR_STRATEGY_MMAP), TRESOR_OK);
    world.rules[0] = (struct fake_rule){.row = FAULTY_READ, .os_errno = EIO, .times = 1};
    world.rules[1] = (struct fake_rule){
        .row = FAULTY_MAP, .os_errno = ENOMEM, .has_kind = true, .kind = TRESOR__SYS_MAP_RESERVE};
    assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_ERROR_IO);
    must_have(TRESOR_STRATEGY_READ, last_pages());
    assert_int_equal(scratch_bytes(), CHUNK - last_pages());
    fake_world_heal(&world);
    assert_error(swap(TRESOR_STRATEGY_READ), TRESOR_OK);
    must_have(TRESOR_STRATEGY_READ, all_pages());
    assert_int_equal(scratch_bytes(), 0);
    fake_world_close(&world);
}

/* --- the default --- */

static void a_default_is_for_later_loads(void **state)
{
    (void)state;
    start(TRESOR_DIRECT_OFF);
    struct tresor_context *context = world.session.context;
    struct tresor_item first = session_tensor(&world.session, 0);
    struct tresor_request request;
    assert_error(session_submit(&world.session, TRESOR_VERB_LOAD, &first, 1, 0, &request), TRESOR_OK);
    assert_error(tresor_set_strategy(context, TRESOR_STRATEGY_READ + 1), TRESOR_ERROR_INVALID);
    assert_error(tresor_set_strategy(context, TRESOR_STRATEGY_READ), TRESOR_OK);
    assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
    struct tresor_counters counters = fake_world_counters(&world);
    assert_int_equal(counters.private_bytes, 0);
    uint64_t mapped = counters.mapped_bytes;
    assert_true(mapped > 0);
    assert_error(load(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
    must_have(TRESOR_STRATEGY_MMAP, mapped);
    assert_error(swap(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
    must_have(TRESOR_STRATEGY_READ, all_pages());
    assert_error(tresor_set_strategy(context, TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
    assert_error(swap(TRESOR_STRATEGY_DEFAULT), TRESOR_OK);
    must_have(TRESOR_STRATEGY_MMAP, all_pages());
    assert_error(tresor_swap(context, &first, 1, TRESOR_STRATEGY_READ + 1, NULL, &request),
                 TRESOR_ERROR_INVALID);
    assert_string_equal(tresor_verb_name(TRESOR_VERB_SWAP), "SWAP");
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(one_tensor_and_its_neighbours),
        cmocka_unit_test(what_has_nothing_to_move),
        cmocka_unit_test(each_failure_at_each_chunk),
        cmocka_unit_test(a_move_that_leaves_a_hole),
        cmocka_unit_test(what_is_interrupted_is_asked_again),
        cmocka_unit_test(a_file_that_was_cut_off),
        cmocka_unit_test(another_file),
        cmocka_unit_test(a_system_without_moves),
        cmocka_unit_test(an_eviction_after_half_a_swap),
        cmocka_unit_test(a_scratch_that_cannot_be_emptied),
        cmocka_unit_test(a_default_is_for_later_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
