/* SPDX-License-Identifier: MIT */
/* The read strategy over a fake system: its way, and each failure by name. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "support/fake_world.h"

static struct fake_world world;

enum {
    TENSORS = FAKE_TENSORS,
    TRIES = 17, /* one and its retries */
    BLOCK = 65536,
};

static int32_t load_all(uint32_t strategy)
{
    return fake_world_all(&world, TRESOR_VERB_LOAD, strategy);
}

static int32_t read_all(void)
{
    return load_all(TRESOR_STRATEGY_READ);
}

static void loads_evicts_and_loads_by_the_other(void **state)
{
    (void)state;
    fake_world_open(&world);
    for (uint32_t i = 0; i < 4; i++) {
        fake_world_heal(&world);
        assert_error(load_all(i % 2 ? TRESOR_STRATEGY_MMAP : TRESOR_STRATEGY_READ), TRESOR_OK);
        fake_world_must_have(&world, TENSORS);
        struct tresor_counters counters = fake_world_counters(&world);
        uint64_t file_bytes = world.set.parts[0].bytes.size;
        uint64_t pages = (file_bytes + FAKE_PAGE_BYTES - 1) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
        assert_int_equal(counters.private_bytes, i % 2 ? 0 : pages);
        assert_int_equal(counters.mapped_bytes, i % 2 ? pages : 0);
        /* Every byte of the file's pages once, the header's among them for it shares the first. */
        assert_int_equal(world.faulty.read_bytes, i % 2 ? 0 : file_bytes);
        assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
        fake_world_must_have(&world, 0);
        assert_int_equal(fake_world_counters(&world).private_bytes, 0);
    }
    fake_world_close(&world);
}

static void what_is_resident_by_one_satisfies_the_other(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_error(read_all(), TRESOR_OK);
    fake_world_heal(&world);
    assert_error(load_all(TRESOR_STRATEGY_MMAP), TRESOR_OK);
    assert_int_equal(world.faulty.counts[FAULTY_MAP] + world.faulty.counts[FAULTY_READ], 0);
    fake_world_close(&world);
}

/* Fail reads, or populates, of a byte in the middle of tensor 2. */
static void bad_byte(enum faulty_row row, int32_t os_errno, int32_t code, uint64_t calls)
{
    fake_world_open(&world);
    fake_world_heal(&world);
    uint64_t bad = fake_world_tensor(&world, 2).offset_bytes + 150000;
    world.rules[0] = (struct fake_rule){
        .row = row,
        .os_errno = os_errno,
        .has_place = true,
        .place = row == FAULTY_READ ? bad : fake_world_place(&world, 2, 150000)};
    if (row == FAULTY_ADVISE_MEMORY) {
        world.rules[0].has_kind = true;
        world.rules[0].kind = TRESOR__SYS_POPULATE_WRITE;
    }
    assert_error(read_all(), code);
    assert_int_equal(world.rules[0].seen, calls);
    fake_world_must_have(&world, TENSORS - 1);
    const struct tresor_error *error = &session_item(&world.session, 2)->error;
    assert_error(error->code, code);
    assert_int_equal(error->os_errno, os_errno);
    assert_int_equal(error->offset, bad / BLOCK * BLOCK);
    assert_int_equal(error->wanted, BLOCK);
    fake_world_heal(&world);
    assert_error(read_all(), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

static void a_bad_block_fails_only_who_covers_it(void **state)
{
    (void)state;
    bad_byte(FAULTY_READ, EIO, TRESOR_ERROR_IO, 1);
    bad_byte(FAULTY_READ, EFAULT, TRESOR_ERROR_IO, 1);
    bad_byte(FAULTY_READ, EINTR, TRESOR_ERROR_IO, TRIES);
    bad_byte(FAULTY_READ, EAGAIN, TRESOR_ERROR_IO, TRIES);
    bad_byte(FAULTY_ADVISE_MEMORY, ENOMEM, TRESOR_ERROR_NO_MEMORY, 1);
    bad_byte(FAULTY_ADVISE_MEMORY, EAGAIN, TRESOR_ERROR_NO_MEMORY, TRIES);
}

static void a_refused_map(void **state)
{
    static const struct {
        int32_t os_errno;
        int32_t code;
    } rows[] = {
        {ENOMEM, TRESOR_ERROR_MAP_REFUSED},
        {EPERM, TRESOR_ERROR_PERMISSION},
        {EINVAL, TRESOR_ERROR_MAP_REFUSED},
    };
    (void)state;
    fake_world_open(&world);
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world.rules[0] = (struct fake_rule){.row = FAULTY_MAP, .os_errno = rows[i].os_errno};
        assert_error(read_all(), rows[i].code);
        fake_world_must_have(&world, 0);
    }
    fake_world_heal(&world);
    assert_error(read_all(), TRESOR_OK);
    fake_world_close(&world);
}

static void populating_is_a_wish_to_an_old_kernel(void **state)
{
    (void)state;
    fake_world_init(&world);
    world.fake.is_old = true;
    fake_world_start(&world, fake_world_tensors, TENSORS);
    assert_error(read_all(), TRESOR_OK);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

static void huge_pages_are_a_wish(void **state)
{
    (void)state;
    const struct model_tensor large[] = {{5000000, MODEL_NEXT, false}};
    fake_world_init(&world);
    fake_world_start(&world, large, 1);
    world.rules[0] = (struct fake_rule){.row = FAULTY_ADVISE_MEMORY,
                                        .os_errno = EINVAL,
                                        .has_kind = true,
                                        .kind = TRESOR__SYS_HUGE_PAGES};
    assert_error(read_all(), TRESOR_OK);
    assert_true(world.rules[0].seen > 0);
    fake_world_must_have(&world, 1);
    fake_world_close(&world);
}

static void a_file_that_became_shorter(void **state)
{
    (void)state;
    fake_world_init(&world);
    world.options.blocks_max = 1; /* in order, so that the first that fails is the first in the file */
    fake_world_start(&world, fake_world_tensors, TENSORS);
    uint64_t size = fake_world_tensor(&world, 2).offset_bytes + 150000;
    world.fake.files[0].size_bytes = size;
    assert_error(read_all(), TRESOR_ERROR_TRUNCATED);
    fake_world_must_have(&world, 2);
    const struct tresor_error *error = &session_item(&world.session, 2)->error;
    assert_error(error->code, TRESOR_ERROR_TRUNCATED);
    /* Where the file ended, and what was still wanted of the block there. */
    assert_int_equal(error->offset, size);
    assert_int_equal(error->wanted, (size / BLOCK + 1) * BLOCK - size);
    assert_int_equal(error->got, 0);
    fake_world_close(&world);
}

static void short_reads_go_on(void **state)
{
    (void)state;
    for (enum faulty_reads reads = FAULTY_READS_BYTE; reads <= FAULTY_READS_INTERRUPTED; reads++) {
        fake_world_init(&world);
        fake_world_start(&world, fake_world_tensors, 2);
        fake_world_heal(&world);
        world.faulty.reads = reads;
        assert_error(read_all(), TRESOR_OK);
        fake_world_must_have(&world, 2);
        assert_int_equal(world.faulty.read_bytes, world.set.parts[0].bytes.size);
        assert_true(world.faulty.counts[FAULTY_READ] > 1);
        fake_world_close(&world);
    }
}

/* The page that 0 and 1 share: read with the first, kept while one of them is there, gone with the last. */
static void a_shared_page_is_read_once(void **state)
{
    (void)state;
    fake_world_open(&world);
    uint64_t second = fake_world_tensor(&world, 1).offset_bytes;
    assert_int_equal(second / FAKE_PAGE_BYTES,
                     (second + 99) / FAKE_PAGE_BYTES); /* it is on that page alone */
    struct tresor_item items[] = {session_tensor(&world.session, 0),
                                  session_tensor(&world.session, 1)};
    fake_world_heal(&world);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, items[0], TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    assert_int_equal(world.faulty.read_bytes, 2 * FAKE_PAGE_BYTES);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, items[1], TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    assert_int_equal(world.faulty.read_bytes, 2 * FAKE_PAGE_BYTES);
    fake_world_must_have(&world, 2);
    assert_error(session_do(&world.session, TRESOR_VERB_EVICT, items[0], 0), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).private_bytes, FAKE_PAGE_BYTES);
    fake_world_must_have(&world, 1);
    assert_error(session_do(&world.session, TRESOR_VERB_LOAD, items[0], TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    assert_int_equal(world.faulty.read_bytes, 3 * FAKE_PAGE_BYTES);
    assert_error(session_do(&world.session, TRESOR_VERB_EVICT, items[1], 0), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).private_bytes, 2 * FAKE_PAGE_BYTES);
    assert_error(session_do(&world.session, TRESOR_VERB_EVICT, items[0], 0), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).private_bytes, 0);
    fake_world_close(&world);
}

static void an_eviction_that_cannot_unmap(void **state)
{
    (void)state;
    fake_world_open(&world);
    assert_error(read_all(), TRESOR_OK);
    uint64_t resident = fake_world_counters(&world).private_bytes;
    world.rules[0] = (struct fake_rule){.row = FAULTY_MAP, .os_errno = ENOMEM};
    assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_ERROR_MAP_REFUSED);
    assert_int_equal(fake_world_counters(&world).leaked_bytes, resident);
    fake_world_heal(&world);
    assert_error(read_all(), TRESOR_OK);
    assert_int_equal(fake_world_counters(&world).leaked_bytes, 0);
    fake_world_must_have(&world, TENSORS);
    fake_world_close(&world);
}

/* A copy does not touch residency, and fails as a read does. */
static void copies(void **state)
{
    static uint8_t memory[300000];
    struct tresor_request request;
    struct tresor_event done;
    (void)state;
    fake_world_open(&world);
    struct tresor_tensor_info info = fake_world_tensor(&world, 2);
    const uint8_t *bytes = world.set.parts[0].bytes.data + info.offset_bytes;
    struct tresor_item item = session_tensor(&world.session, 2);
    for (uint64_t from = 0; from < 300000; from += 99999) {
        session_note(&world.session,
                     tresor_copy(world.session.context, item, from, 300000 - from, memory, NULL,
                                 &request),
                     request);
        assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
        assert_memory_equal(memory, bytes + from, 300000 - from);
    }
    fake_world_must_have(&world, 0);
    world.rules[0] = (struct fake_rule){
        .row = FAULTY_READ, .os_errno = EIO, .has_place = true, .place = info.offset_bytes + 200000};
    session_note(&world.session,
                 tresor_copy(world.session.context, item, 0, 300000, memory, NULL, &request),
                 request);
    assert_error(session_finish(&world.session, request, &done), TRESOR_ERROR_IO);
    assert_int_equal(done.error.tensor, 2);
    assert_int_equal(done.error.os_errno, EIO);
    assert_int_equal(done.error.offset, (info.offset_bytes + 200000) / BLOCK * BLOCK);
    assert_error(tresor_copy(world.session.context, item, 1, 300000, memory, NULL, &request),
                 TRESOR_ERROR_INVALID);
    assert_error(tresor_copy(world.session.context, item, 0, 1, NULL, NULL, &request),
                 TRESOR_ERROR_INVALID);
    fake_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_evicts_and_loads_by_the_other),
        cmocka_unit_test(what_is_resident_by_one_satisfies_the_other),
        cmocka_unit_test(a_bad_block_fails_only_who_covers_it),
        cmocka_unit_test(a_refused_map),
        cmocka_unit_test(populating_is_a_wish_to_an_old_kernel),
        cmocka_unit_test(huge_pages_are_a_wish),
        cmocka_unit_test(a_file_that_became_shorter),
        cmocka_unit_test(short_reads_go_on),
        cmocka_unit_test(a_shared_page_is_read_once),
        cmocka_unit_test(an_eviction_that_cannot_unmap),
        cmocka_unit_test(copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
