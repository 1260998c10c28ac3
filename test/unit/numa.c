/* SPDX-License-Identifier: MIT */
/*
 * Memory nodes: what a context may ask for, what the system is asked for and when, and what is told where it refuses. The
 * machine is a fake one with more nodes than most have.
 */
#include "support/test.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend/nodes.h"
#include "context.h"
#include "core/facts.h"
#include "support/compressing.h"
#include "support/fake_world.h"

static const char online_path[] = "/sys/devices/system/node/online";

static struct fake_world world;

static void begin(const char *online, uint32_t numa, uint64_t nodes)
{
    fake_world_init(&world);
    world.fake.texts[0] = (struct fake_text){online ? online_path : NULL, online};
    world.options.numa = numa;
    world.options.numa_nodes = nodes;
}

static void start(const char *online, uint32_t numa, uint64_t nodes)
{
    begin(online, numa, nodes);
    fake_world_start(&world, fake_world_tensors, FAKE_TENSORS);
}

/* --- lists --- */

static void lists_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t mask;
    } lists[] = {
        {"0\n", 1},
        {"0", 1},
        {"0-1\n", 3},
        {"1\n", 2},
        {"0,2\n", 5},
        {"0-1,4-7,9\n", 0x2f3},
        {"0-63\n", UINT64_MAX},
        {"0-65535\n", UINT64_MAX},
        {"3,64,1000-1001\n", 8},
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        uint64_t mask = 77;
        assert_int_equal(tresor__nodes_parse(lists[i].text, strlen(lists[i].text), &mask), 0);
        assert_int_equal(mask, lists[i].mask);
    }
}

static void other_lists_are_not(void **state)
{
    static const char *const lists[] = {
        "",     "\n",     " 0\n",   "0 \n",   "0\n\n",  "0,\n",  ",0\n",         "0-\n",
        "-1\n", "0-0\n",  "1-0\n",  "0,0\n",  "1,0\n",  "00\n",  "01\n",         "+1\n",
        "0x1\n", "0--1\n", "0-1-2\n", "65536\n", "0-65536\n", "4294967296\n", "99999999999999999999\n",
        "none\n", "0;1\n", "0-1,1-2\n",
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        uint64_t mask;
        if (tresor__nodes_parse(lists[i], strlen(lists[i]), &mask) != -EINVAL)
            fail_msg("'%s' was read", lists[i]);
    }
    uint64_t mask;
    assert_int_equal(tresor__nodes_parse("0-1\n", 2, &mask), -EINVAL);
    assert_int_equal(tresor__nodes_parse("0\0", 2, &mask), -EINVAL);
}

/* --- options --- */

static void must_answer(const char *online, uint32_t numa, uint64_t nodes, int32_t code)
{
    struct tresor_context *context = NULL;
    begin(online, numa, nodes);
    assert_error(tresor__context_create_over(&world.faulty.sys, &world.options, &context), code);
    assert_int_equal(context != NULL, code == TRESOR_OK);
    tresor_context_destroy(context);
    assert_null(faulty_sys_check(&world.faulty));
    assert_int_equal(world.memory.outstanding_bytes, 0);
    fake_sys_free(&world.fake);
}

static void options_are_checked(void **state)
{
    (void)state;
    must_answer("0-1\n", TRESOR_NUMA_BIND, 0, TRESOR_ERROR_INVALID);
    must_answer("0-1\n", TRESOR_NUMA_DEFAULT, 1, TRESOR_ERROR_INVALID);
    must_answer("0-1\n", TRESOR_NUMA_INTERLEAVE + 1, 1, TRESOR_ERROR_INVALID);
    must_answer("0-1\n", UINT32_MAX, 0, TRESOR_ERROR_INVALID);
    must_answer("0-1\n", TRESOR_NUMA_BIND, 2, TRESOR_OK);
    must_answer("0-1\n", TRESOR_NUMA_INTERLEAVE, 3, TRESOR_OK);
    must_answer("0-1\n", TRESOR_NUMA_INTERLEAVE, 0, TRESOR_OK);
}

static void machines_without_the_nodes_are_told_of(void **state)
{
    static const char *const singles[] = {"0\n", "5\n", "0-x\n", "", NULL};
    (void)state;
    for (uint32_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        must_answer(singles[i], TRESOR_NUMA_BIND, 1, TRESOR_ERROR_UNSUPPORTED);
        must_answer(singles[i], TRESOR_NUMA_INTERLEAVE, 0, TRESOR_ERROR_UNSUPPORTED);
        must_answer(singles[i], TRESOR_NUMA_DEFAULT, 0, TRESOR_OK);
    }
    must_answer("0,2\n", TRESOR_NUMA_BIND, 2, TRESOR_ERROR_UNSUPPORTED);
    must_answer("0,2\n", TRESOR_NUMA_INTERLEAVE, 7, TRESOR_ERROR_UNSUPPORTED);
    must_answer("0,2\n", TRESOR_NUMA_BIND, UINT64_C(1) << 63, TRESOR_ERROR_UNSUPPORTED);
    must_answer("0,2\n", TRESOR_NUMA_BIND, 4, TRESOR_OK);
}

static void a_question_that_fails_is_unsupported(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_READ_TEXT, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        struct tresor_context *context = NULL;
        begin("0-1\n", TRESOR_NUMA_INTERLEAVE, 0);
        world.faulty.plan =
            (struct faulty_plan){.row = FAULTY_READ_TEXT, .nth = 1, .os_errno = errors[i]};
        assert_error(tresor__context_create_over(&world.faulty.sys, &world.options, &context),
                     TRESOR_ERROR_UNSUPPORTED);
        assert_int_equal(world.faulty.injected, 1);
        fake_sys_free(&world.fake);
    }
}

/* What this machine says of itself decides. */
static void this_machine(void **state)
{
    uint64_t online = 0;
    struct tresor_context *context = NULL;
    struct tresor_context_options options = {.size_bytes = sizeof options,
                                             .numa = TRESOR_NUMA_INTERLEAVE};
    (void)state;
    bool has_nodes = tresor__nodes_online(tresor__sys_posix(), &online) == 0 &&
                     (online & (online - 1)) != 0;
    assert_error(tresor_context_create(&options, &context),
                 has_nodes ? TRESOR_OK : TRESOR_ERROR_UNSUPPORTED);
    tresor_context_destroy(context);
    print_message("# nodes %#llx\n", (unsigned long long)online);
}

/* The policy of a page as the system tells it, with its nodes below 64. */
static bool policy_of(const void *address, int *policy, unsigned long *nodes)
{
    enum { OF_ADDRESS = 2, NODES = 65 };
    unsigned long words[64 / (8 * sizeof(unsigned long)) + 1] = {0};
    bool told = syscall(SYS_get_mempolicy, policy, words, NODES, address, OF_ADDRESS) == 0;
    *nodes = words[0];
    return told;
}

static void the_system_is_asked_as_it_understands(void **state)
{
    enum { BYTES = 1 << 16, BIND = 2, INTERLEAVE = 3 }; /* as in linux/mempolicy.h */
    const struct tresor__sys *sys = tresor__sys_posix();
    void *pages = NULL;
    int policy = 0;
    unsigned long nodes = 0;
    (void)state;
    assert_int_equal(sys->map(NULL, TRESOR__SYS_MAP_ANONYMOUS, NULL, BYTES, -1, 0, &pages), 0);
    int64_t result = sys->place_memory(NULL, pages, BYTES, TRESOR__SYS_BIND, 1);
    if (result == 0 && policy_of(pages, &policy, &nodes)) {
        assert_int_equal(policy, BIND);
        assert_int_equal(nodes, 1);
        assert_int_equal(sys->place_memory(NULL, pages, BYTES, TRESOR__SYS_INTERLEAVE, 1), 0);
        assert_true(policy_of(pages, &policy, &nodes));
        assert_int_equal(policy, INTERLEAVE);
        assert_int_equal(nodes, 1);
        assert_int_equal(sys->place_memory(NULL, pages, BYTES, TRESOR__SYS_BIND, UINT64_C(1) << 63),
                         -EINVAL);
    } else {
        print_message("# not told: %d\n", (int)result); /* a filter or a kernel without nodes */
        assert_true(result == 0 || result == -ENOSYS || result == -EPERM);
    }
    sys->unmap(NULL, pages, BYTES);
}

/* --- pages --- */

/* Every byte of a tensor in some range that was placed. */
static void must_be_placed(uint32_t tensor, enum tresor__sys_placement placement, uint64_t nodes)
{
    struct tresor_tensor_info info = fake_world_tensor(&world, tensor);
    const uint8_t *at = info.address;
    const uint8_t *end = at + info.tensor_bytes;
    for (uint32_t i = 0; i < world.fake.placement_count && at < end; i++) {
        const struct fake_placement *found = &world.fake.placements[i];
        assert_int_equal(found->placement, placement);
        assert_int_equal(found->nodes, nodes);
        if (found->address <= at && at < found->address + found->length) {
            at = found->address + found->length;
            i = UINT32_MAX; /* from the first on again */
        }
    }
    assert_true(at >= end);
}

/* The fake itself sees that nothing was in them yet. */
static void pages_are_placed_before_they_are_touched(void **state)
{
    (void)state;
    for (uint32_t numa = TRESOR_NUMA_BIND; numa <= TRESOR_NUMA_INTERLEAVE; numa++) {
        uint64_t asked = numa == TRESOR_NUMA_BIND ? 4 : 0;
        start("0-2\n", numa, asked);
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_READ), TRESOR_OK);
        fake_world_must_have(&world, FAKE_TENSORS);
        for (uint32_t i = 0; i < FAKE_TENSORS; i++)
            must_be_placed(i, numa == TRESOR_NUMA_BIND ? TRESOR__SYS_BIND : TRESOR__SYS_INTERLEAVE,
                           asked ? asked : 7);
        assert_int_equal(world.session.degraded_count, 0);
        assert_int_equal(world.fake.random_advices, 0);
        fake_world_close(&world);
    }
}

static void nothing_is_placed_where_nobody_asked(void **state)
{
    (void)state;
    start("0-2\n", TRESOR_NUMA_DEFAULT, 0);
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, strategy), TRESOR_OK);
        assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
    }
    assert_int_equal(world.fake.placement_count + world.fake.random_advices, 0);
    assert_int_equal(world.faulty.counts[FAULTY_READ_TEXT], 0);
    fake_world_close(&world);
}

/* They are populated all the same, and advised only when they are there. */
static int32_t advise_after_populate(void *cookie, struct faulty_call *call)
{
    uint64_t *populated = cookie;
    if (call->row != FAULTY_ADVISE_MEMORY)
        return 0;
    if (call->kind == TRESOR__SYS_POPULATE_READ)
        *populated += call->length;
    if (call->kind == TRESOR__SYS_MEMORY_RANDOM && *populated == 0)
        fail_msg("advised before a populate");
    return 0;
}

static void pages_of_a_file_are_advised_when_they_are_there(void **state)
{
    uint64_t populated = 0;
    (void)state;
    start("0-1\n", TRESOR_NUMA_INTERLEAVE, 0);
    world.faulty.judge = advise_after_populate;
    world.faulty.judge_cookie = &populated;
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
    assert_true(populated > 0);
    assert_true(world.fake.random_advices > 0);
    assert_int_equal(world.fake.placement_count, 0);
    fake_world_close(&world);
}

/* What is decoded is put there too, where the system does; else that is told, when it is open. */
static void decoded_bytes_are_placed(void **state)
{
    static const uint32_t kinds[] = {TRESOR_COMPRESSION_ZSTD, TRESOR_COMPRESSION_GZIP, TRESOR_COMPRESSION_LZ4};
    (void)state;
    for (uint32_t i = 0; i < 2 * sizeof kinds / sizeof kinds[0]; i++) {
        struct bytes packed = {0};
        begin("0-1\n", TRESOR_NUMA_BIND, 2);
        if (i % 2)
            world.rules[0] = (struct fake_rule){.row = FAULTY_PLACE_MEMORY, .os_errno = EPERM};
        model_set_make_gguf(&world.set, "/fake", fake_world_tensors, FAKE_TENSORS);
        struct bytes *model = &world.set.parts[0].bytes;
        if (compress_frame(&packed, kinds[i / 2], model->data, model->size)) {
            struct bytes was = *model;
            *model = packed;
            packed = was;
        }
        bool is_packed = packed.data != NULL;
        fake_world_start_context(&world);
        const struct tresor_source_origin origin = {.size_bytes = sizeof origin, .path = model_set_path(&world.set)};
        const struct tresor_source_options limits = {.size_bytes = sizeof limits, .max_ratio = 4};
        struct tresor_request request = {0};
        int32_t code = tresor_source_open_with(world.session.context, &origin, &limits, &world.session.source, &request);
        assert_error(session_note(&world.session, code, request), TRESOR_OK);
        assert_error(session_finish(&world.session, request, NULL), TRESOR_OK);
        assert_true(!is_packed || i % 2 == 0 || world.rules[0].seen > 0);
        assert_int_equal(world.session.degraded_count, is_packed && i % 2);
        if (is_packed && i % 2) {
            assert_int_equal(world.session.degraded[0].flags, TRESOR_DEGRADED_NUMA);
            assert_int_equal(world.session.degraded[0].error.os_errno, EPERM);
        }
        bytes_free(&packed);
        fake_world_close(&world);
    }
}

/* A refusal of the advice is nobody's loss. */
static void advice_that_is_refused(void **state)
{
    (void)state;
    start("0-1\n", TRESOR_NUMA_BIND, 2);
    world.rules[0] = (struct fake_rule){.row = FAULTY_ADVISE_MEMORY,
                                        .os_errno = ENOMEM,
                                        .has_kind = true,
                                        .kind = TRESOR__SYS_MEMORY_RANDOM};
    assert_error(fake_world_all(&world, TRESOR_VERB_LOAD, TRESOR_STRATEGY_MMAP), TRESOR_OK);
    fake_world_must_have(&world, FAKE_TENSORS);
    assert_true(world.rules[0].seen > 0);
    fake_world_close(&world);
}

/* Told once a file, with the system's reason, and the bytes are there. */
static void a_refused_placement_is_told_once(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_PLACE_MEMORY, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++) {
        start("0-1\n", TRESOR_NUMA_BIND, 2);
        world.rules[0] = (struct fake_rule){.row = FAULTY_PLACE_MEMORY, .os_errno = errors[i]};
        for (uint32_t round = 0; round < 2; round++) {
            for (uint32_t tensor = 0; tensor < FAKE_TENSORS; tensor++)
                assert_error(fake_world_one(&world, TRESOR_VERB_LOAD, tensor, TRESOR_STRATEGY_READ),
                             TRESOR_OK);
            fake_world_must_have(&world, FAKE_TENSORS);
            assert_error(fake_world_all(&world, TRESOR_VERB_EVICT, 0), TRESOR_OK);
        }
        assert_true(world.rules[0].seen > 2);
        assert_int_equal(world.session.degraded_count, 1);
        assert_int_equal(world.session.degraded[0].flags, TRESOR_DEGRADED_NUMA);
        assert_int_equal(world.session.degraded[0].error.os_errno, errors[i]);
        assert_int_equal(world.session.degraded[0].error.file, 0);
        fake_world_close(&world);
    }
    assert_string_equal(tresor_degradation_name(TRESOR_DEGRADED_NUMA), "numa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(other_lists_are_not),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(machines_without_the_nodes_are_told_of),
        cmocka_unit_test(a_question_that_fails_is_unsupported),
        cmocka_unit_test(this_machine),
        cmocka_unit_test(the_system_is_asked_as_it_understands),
        cmocka_unit_test(pages_are_placed_before_they_are_touched),
        cmocka_unit_test(nothing_is_placed_where_nobody_asked),
        cmocka_unit_test(pages_of_a_file_are_advised_when_they_are_there),
        cmocka_unit_test(decoded_bytes_are_placed),
        cmocka_unit_test(advice_that_is_refused),
        cmocka_unit_test(a_refused_placement_is_told_once),
    };
    return cmocka_run_group_tests_name("numa", tests, NULL, NULL);
}
