/* SPDX-License-Identifier: MIT */
/* What an eviction gives back: pages to the next tensor, halves of huge pages to the system, and the page cache's. */
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "real.h"
#include "support/random.h"

enum {
    MIB = 1024 * 1024,
    TENSORS = 5,
    ROUNDS = 30,
    /* Of the test itself, and of tables. */
    SLACK_BYTES = 8 * MIB,
};

static const struct model_tensor tensors[TENSORS] = {
    {100000, MODEL_NEXT, false},         {9 * MIB + 4000, MODEL_NEXT, false},
    {9 * MIB - 9000, MODEL_NEXT, false}, {15 * MIB + 33000, MODEL_NEXT, false},
    {5 * MIB + 100, MODEL_NEXT, false},
};

static struct real real;

static struct tresor__io *io(void)
{
    return &real.session.context->controller.io;
}

static void start(void)
{
    real_make_gguf(&real, tensors, TENSORS);
    assert_error(real_start(&real), TRESOR_OK);
    assert_error(session_open(&real.session, model_set_path(&real.set)), TRESOR_OK);
}

/* A number behind a word in a file of /proc; 0 where there is none. */
static uint64_t number_in(const char *path, const char *word)
{
    char line[256];
    unsigned long long number = 0;
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, word, strlen(word)) == 0 && sscanf(line + strlen(word), "%llu", &number) == 1)
            break;
    if (file)
        fclose(file);
    return number;
}

static uint64_t private_bytes(void)
{
    return number_in("/proc/self/status", "RssAnon:") * 1024;
}

static int32_t replace(uint32_t gone, uint32_t wanted)
{
    struct tresor_request requests[2];
    struct tresor_item items[] = {session_tensor(&real.session, wanted),
                                  session_tensor(&real.session, gone)};
    for (uint32_t i = 0; i < 2; i++)
        assert_error(session_submit(&real.session, i ? TRESOR_VERB_EVICT : TRESOR_VERB_LOAD,
                                    &items[i], 1, TRESOR_STRATEGY_READ, &requests[i]),
                     TRESOR_OK);
    assert_error(session_finish(&real.session, requests[1], NULL), TRESOR_OK);
    return session_finish(&real.session, requests[0], NULL);
}

/* What threads make once, when they first work, is no tensor's; a sanitizer's stacks are many megabytes. */
static void use_workers(void)
{
    for (uint32_t i = 0; i < 4; i++) {
        assert_error(session_do(&real.session, TRESOR_VERB_LOAD, session_all(&real.session),
                                TRESOR_STRATEGY_READ),
                     TRESOR_OK);
        assert_error(session_do(&real.session, TRESOR_VERB_EVICT, session_all(&real.session), 0),
                     TRESOR_OK);
    }
}

/* Whatever has gone is out of reach, what has come holds its bytes, and there is never more than there may be. */
static void pages_serve_the_next_tensor(void **state)
{
    uint64_t seed = 99;
    uint32_t here = 1;
    (void)state;
    start();
    use_workers();
    uint64_t before = private_bytes();
    assert_error(session_do(&real.session, TRESOR_VERB_LOAD, session_tensor(&real.session, here),
                            TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        uint32_t next = random_below(&seed, TENSORS);
        if (next == here)
            continue;
        uint64_t wanted = (tensors[next].size_bytes / 4096 + 2) * 4096;
        uint64_t charged = io()->room.charged_bytes;
        io()->room.limit_bytes = wanted > charged ? wanted : charged;
        assert_error(replace(here, next), TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), 1);
        assert_true(io()->room.charged_bytes <= io()->room.limit_bytes);
        if (before > 0)
            assert_true(private_bytes() <= before + wanted + SLACK_BYTES);
        here = next;
    }
    const struct tresor__read *read = &real.session.context->controller.slots[0].source.model.files[0].io.read;
    assert_true(real.faulty.counts[FAULTY_MOVE_PAGES] > 10 || read->never_moves);
    print_message("# %u moves\n", (unsigned)real.faulty.counts[FAULTY_MOVE_PAGES]);
    io()->room.limit_bytes = UINT64_MAX;
    real_remove(&real);
}

/* A huge page of which one tensor has a part is split when that goes: the system counts so. */
static void huge_pages_are_split(void **state)
{
    (void)state;
    start();
    assert_error(session_do(&real.session, TRESOR_VERB_LOAD, session_all(&real.session),
                            TRESOR_STRATEGY_READ),
                 TRESOR_OK);
    uint64_t huge = number_in("/proc/self/smaps_rollup", "AnonHugePages:") * 1024;
    uint64_t before = number_in("/proc/vmstat", "thp_split_page ");
    assert_error(session_do(&real.session, TRESOR_VERB_EVICT, session_tensor(&real.session, 2), 0),
                 TRESOR_OK);
    if (huge > 30 * MIB)
        assert_true(number_in("/proc/vmstat", "thp_split_page ") > before);
    else
        print_message("# no huge pages here\n");
    assert_int_equal(session_verify(&real.session, &real.set), TENSORS - 1);
    real_remove(&real);
}

static uint64_t cached_bytes(int descriptor)
{
    uint64_t bytes = 0;
    uint64_t size = real.set.parts[0].bytes.size;
    const struct tresor__sys *sys = tresor__sys_posix();
    return sys->cached_bytes(sys->cookie, descriptor, 0, size, &bytes) == 0 ? bytes : UINT64_MAX;
}

/* False where the page cache does not tell, or is the file system itself. */
static bool can_evict(int descriptor)
{
    const struct tresor__sys *sys = tresor__sys_posix();
    fsync(descriptor);
    sys->advise_file(sys->cookie, descriptor, 0, 0, TRESOR__SYS_FILE_DONTNEED);
    return cached_bytes(descriptor) == 0;
}

/* One after the other, neighbours of which some are still mapped: what was kept for them goes with them. */
static void the_page_cache_forgets(void **state)
{
    static const uint32_t order[TENSORS] = {2, 4, 1, 0, 3};
    const struct tresor__sys *sys = tresor__sys_posix();
    (void)state;
    start();
    int descriptor = (int)sys->open_file(sys->cookie, model_set_path(&real.set));
    bool is_told = can_evict(descriptor);
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    for (uint32_t evicts = 0; evicts < 2; evicts++) {
        io()->evicts_cache = evicts;
        assert_error(session_do(&real.session, TRESOR_VERB_LOAD, session_all(&real.session),
                                TRESOR_STRATEGY_MMAP),
                     TRESOR_OK);
        for (uint32_t i = 0; i < TENSORS; i++) {
            assert_error(session_do(&real.session, TRESOR_VERB_EVICT,
                                    session_tensor(&real.session, order[i]), 0),
                         TRESOR_OK);
            assert_int_equal(session_verify(&real.session, &real.set), TENSORS - 1 - i);
        }
        uint64_t left = cached_bytes(descriptor);
        tresor_get_counters(real.session.context, &counters);
        print_message("# %s: %llu bytes cached, %llu were told as kept\n", evicts ? "evicted" : "unmapped",
                      (unsigned long long)left, (unsigned long long)counters.uncollected_bytes);
        if (is_told && evicts)
            assert_int_equal(left, 0);
        else if (is_told)
            assert_true(left > 30 * MIB && counters.uncollected_bytes == 0);
    }
    sys->close(sys->cookie, descriptor);
    real_remove(&real);
}

/* What another process, or this one, has mapped is not ours to take, and that is told. */
static void what_others_map_is_kept(void **state)
{
    const struct tresor__sys *sys = tresor__sys_posix();
    void *place = NULL;
    size_t size = real.set.parts[0].bytes.size;
    (void)state;
    start();
    size = real.set.parts[0].bytes.size;
    int descriptor = (int)sys->open_file(sys->cookie, model_set_path(&real.set));
    bool is_told = can_evict(descriptor);
    assert_int_equal(sys->map(sys->cookie, TRESOR__SYS_MAP_FILE, NULL, size, descriptor, 0, &place), 0);
    int64_t populated = sys->advise_memory(sys->cookie, place, size, TRESOR__SYS_POPULATE_READ);
    io()->evicts_cache = true;
    for (uint32_t i = 0; i < 2; i++) {
        struct tresor_counters counters = {.size_bytes = sizeof counters};
        assert_error(session_do(&real.session, i ? TRESOR_VERB_EVICT : TRESOR_VERB_LOAD,
                                session_all(&real.session), i ? 0 : TRESOR_STRATEGY_MMAP),
                     TRESOR_OK);
        tresor_get_counters(real.session.context, &counters);
        if (is_told && populated == 0)
            assert_int_equal(counters.uncollected_bytes > 30 * MIB, i);
    }
    sys->unmap(sys->cookie, place, size);
    sys->close(sys->cookie, descriptor);
    real_remove(&real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_serve_the_next_tensor),
        cmocka_unit_test(huge_pages_are_split),
        cmocka_unit_test(the_page_cache_forgets),
        cmocka_unit_test(what_others_map_is_kept),
    };
    return cmocka_run_group_tests_name("eviction", tests, NULL, NULL);
}
