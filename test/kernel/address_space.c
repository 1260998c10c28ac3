/* SPDX-License-Identifier: MIT */
/* No room for a window, and no map entry for a mapping: the one is NO_MEMORY, the other MAP_REFUSED. */
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "real.h"
#include "support/sanitizer.h"
#include "support/child.h"

static struct real real;

enum {
    ROOM_BYTES = 8 * 1024 * 1024,
    TENSOR_BYTES = 20 * 1024 * 1024,
    TENSORS = 3,
    PLACES = 200000, /* more than any system's vm.max_map_count by default */
};

struct outcome {
    bool ran;
    int32_t open;
    int32_t open_again;
    int32_t load;
    int32_t load_again;
    int32_t evict;
    uint64_t leaked_bytes;
    struct tresor_error error;
    uint32_t resident;
    char wrong[256];
};

static void end(struct outcome *outcome)
{
    const char *wrong = real_end(&real);
    if (wrong)
        snprintf(outcome->wrong, sizeof outcome->wrong, "%s", wrong);
    outcome->ran = true;
}

static uint64_t address_space_bytes(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu", &pages) != 1)
        abort();
    fclose(file);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void open_without_room(void *shared)
{
    struct outcome *outcome = shared;
    struct rlimit limit;
    if (real_start(&real) != TRESOR_OK || getrlimit(RLIMIT_AS, &limit) != 0)
        return;
    struct rlimit less = {address_space_bytes() + ROOM_BYTES, limit.rlim_max};
    setrlimit(RLIMIT_AS, &less);
    outcome->open = session_open(&real.session, model_set_path(&real.set));
    outcome->error = real.session.requests[0].done.error;
    setrlimit(RLIMIT_AS, &limit);
    outcome->open_again = session_open(&real.session, model_set_path(&real.set));
    end(outcome);
}

static void no_room_for_a_window(void **state)
{
    static const struct model_tensor tensors[] = {{TENSOR_BYTES, MODEL_NEXT, false}};
    struct outcome *outcome = child_share(sizeof *outcome);
    (void)state;
    real_make_gguf(&real, tensors, 1);
    assert_true(child_run(open_without_room, outcome));
    assert_true(outcome->ran);
    assert_string_equal(outcome->wrong, "");
    assert_error(outcome->open, TRESOR_ERROR_NO_MEMORY);
    assert_int_equal(outcome->error.os_errno, ENOMEM);
    assert_error(outcome->open_again, TRESOR_OK);
    real_remove(&real);
    child_unshare(outcome, sizeof *outcome);
}

/* Every second page has another protection, so that each is an entry by itself, until none is left. */
static size_t use_up_entries(char *places, size_t page_bytes)
{
    size_t used = 0;
    while (used < PLACES &&
           mprotect(places + 2 * used * page_bytes, page_bytes, PROT_READ) == 0)
        used++;
    return used;
}

static void load_without_entries(void *shared)
{
    struct outcome *outcome = shared;
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t length = 2 * (size_t)PLACES * page_bytes;
    if (real_start(&real) != TRESOR_OK ||
        session_open(&real.session, model_set_path(&real.set)) != TRESOR_OK)
        return;
    struct tresor_item middle = session_tensor(&real.session, 1);
    char *places = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (places == MAP_FAILED || use_up_entries(places, page_bytes) == PLACES)
        return;
    outcome->load = session_do(&real.session, TRESOR_VERB_LOAD, middle, TRESOR_STRATEGY_MMAP);
    outcome->error = session_item(&real.session, 1)->error;
    munmap(places, length);
    outcome->load_again = session_do(&real.session, TRESOR_VERB_LOAD, session_all(&real.session),
                                     TRESOR_STRATEGY_MMAP);
    outcome->resident = session_verify(&real.session, &real.set);
    end(outcome);
}

static void no_entry_for_a_mapping(void **state)
{
    static const struct model_tensor tensors[TENSORS] = {
        {50000, MODEL_NEXT, false}, {50000, MODEL_NEXT, false}, {50000, MODEL_NEXT, false}};
    struct outcome *outcome = child_share(sizeof *outcome);
    (void)state;
    real_make_gguf(&real, tensors, TENSORS);
    assert_true(child_run(load_without_entries, outcome));
    assert_true(outcome->ran);
    assert_string_equal(outcome->wrong, "");
    assert_error(outcome->load, TRESOR_ERROR_MAP_REFUSED);
    assert_int_equal(outcome->error.os_errno, ENOMEM);
    assert_error(outcome->load_again, TRESOR_OK);
    assert_int_equal(outcome->resident, TENSORS);
    real_remove(&real);
    child_unshare(outcome, sizeof *outcome);
}

/* All is one mapping, from the middle of which nothing can be taken without two entries more. */
static void evict_without_entries(void *shared)
{
    struct outcome *outcome = shared;
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    size_t length = 2 * (size_t)PLACES * page_bytes;
    if (real_start(&real) != TRESOR_OK ||
        session_open(&real.session, model_set_path(&real.set)) != TRESOR_OK)
        return;
    struct tresor_item all = session_all(&real.session);
    struct tresor_item middle = session_tensor(&real.session, 1);
    outcome->load = session_do(&real.session, TRESOR_VERB_LOAD, all, TRESOR_STRATEGY_MMAP);
    char *places = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (places == MAP_FAILED || use_up_entries(places, page_bytes) == PLACES)
        return;
    outcome->evict = session_do(&real.session, TRESOR_VERB_EVICT, middle, 0);
    outcome->error = session_item(&real.session, 1)->error;
    outcome->resident = session_verify(&real.session, &real.set);
    tresor_get_counters(real.session.context, &counters);
    outcome->leaked_bytes = counters.leaked_bytes;
    munmap(places, length);
    outcome->load_again = session_do(&real.session, TRESOR_VERB_LOAD, all, TRESOR_STRATEGY_MMAP);
    end(outcome);
}

static void no_entry_for_an_eviction(void **state)
{
    static const struct model_tensor tensors[TENSORS] = {
        {50000, MODEL_NEXT, false}, {50000, MODEL_NEXT, false}, {50000, MODEL_NEXT, false}};
    struct outcome *outcome = child_share(sizeof *outcome);
    (void)state;
    real_make_gguf(&real, tensors, TENSORS);
    assert_true(child_run(evict_without_entries, outcome));
    assert_true(outcome->ran);
    assert_string_equal(outcome->wrong, "");
    assert_error(outcome->load, TRESOR_OK);
    assert_error(outcome->evict, TRESOR_ERROR_MAP_REFUSED);
    assert_int_equal(outcome->error.os_errno, ENOMEM);
    assert_int_equal(outcome->resident, TENSORS - 1);
    assert_true(outcome->leaked_bytes > 0);
    assert_error(outcome->load_again, TRESOR_OK);
    real_remove(&real);
    child_unshare(outcome, sizeof *outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_room_for_a_window),
        cmocka_unit_test(no_entry_for_a_mapping),
        cmocka_unit_test(no_entry_for_an_eviction),
    };
    if (HAS_ADDRESS_SANITIZER)
        return skip_program("the address sanitizer needs the address space that is limited here");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
