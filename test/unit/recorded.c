/* SPDX-License-Identifier: MIT */
/* Recording and replaying below the tool: which answers are possible, and contexts that cannot be
 * made. */
#include "support/test.h"

#include <errno.h>
#include <string.h>

#include "core/facts.h"
#include "recorded.h"
#include "support/failing_allocator.h"

/* --- answers --- */

static void facts_come_back(void **state)
{
    struct tresor__identity there = {1, 2, 3, -4, 5};
    struct tresor__identity here = {0};
    struct tresor__numbered asked = {
        .number = 9, .effect = {.kind = TRESOR__EFFECT_STAT, .on_ok = 7, .record = &there}};
    struct tresor__completion completion = {.kind = TRESOR__EFFECT_STAT};
    (void)state;
    struct tresor__answer answer = tresor__answer_of(&asked, &completion);
    assert_int_equal(answer.number, 9);
    assert_int_equal(answer.fact_count, 5);
    asked.effect.record = &here;
    assert_true(tresor__answer_is_possible(&asked.effect, &answer));
    completion = tresor__answer_give(&asked.effect, &answer);
    assert_int_equal(completion.event, 7);
    assert_memory_equal(&here, &there, sizeof here);
}

/* And those of what was opened for direct reads, and of locks, also where a query has failed. */
static void facts_of_all_kinds_come_back(void **state)
{
    struct tresor__direct_facts direct = {4096};
    struct tresor__lock_facts lock = {65536, 12288};
    struct tresor__numbered asked = {.effect = {.kind = TRESOR__EFFECT_OPEN_DIRECT, .record = &direct}};
    struct tresor__completion completion = {.kind = TRESOR__EFFECT_OPEN_DIRECT};
    (void)state;
    struct tresor__answer answer = tresor__answer_of(&asked, &completion);
    direct.alignment_bytes = 0;
    tresor__answer_give(&asked.effect, &answer);
    assert_int_equal(direct.alignment_bytes, 4096);
    asked.effect = (struct tresor__effect){.kind = TRESOR__EFFECT_QUERY, .on_failed = 3, .record = &lock};
    completion = (struct tresor__completion){.kind = TRESOR__EFFECT_QUERY, .os_errno = ENOSYS};
    answer = tresor__answer_of(&asked, &completion);
    assert_int_equal(answer.fact_count, 2);
    lock = (struct tresor__lock_facts){0};
    assert_true(tresor__answer_is_possible(&asked.effect, &answer));
    completion = tresor__answer_give(&asked.effect, &answer);
    assert_int_equal(completion.event, 3);
    assert_int_equal(completion.os_errno, ENOSYS);
    assert_int_equal(lock.limit_bytes, 65536);
    assert_int_equal(lock.used_bytes, 12288);
}

static void descriptors_and_addresses_are_not_told(void **state)
{
    static const uint8_t kinds[] = {TRESOR__EFFECT_OPEN, TRESOR__EFFECT_OPEN_DIRECT,
                                    TRESOR__EFFECT_RESERVE};
    struct tresor__direct_facts facts = {4096};
    (void)state;
    for (size_t i = 0; i < sizeof kinds; i++) {
        struct tresor__numbered asked = {.number = 1,
                                         .effect = {.kind = kinds[i], .record = &facts}};
        struct tresor__completion completion = {.kind = kinds[i], .value = 1234567};
        struct tresor__answer answer = tresor__answer_of(&asked, &completion);
        assert_int_equal(answer.value, 0);
        assert_true(tresor__answer_is_possible(&asked.effect, &answer));
    }
}

/** Bytes of a header are in the answer, those of tensors are not. */
static void bytes_of_headers_come_back(void **state)
{
    char there[16] = "sixteen bytes, 0";
    char here[16] = "";
    struct tresor__numbered asked = {.effect = {.kind = TRESOR__EFFECT_READ,
                                                .space = TRESOR__SPACE_HEADER,
                                                .address = there,
                                                .length = 20}};
    struct tresor__completion completion = {.kind = TRESOR__EFFECT_READ, .value = 16};
    (void)state;
    struct tresor__answer answer = tresor__answer_of(&asked, &completion);
    assert_int_equal(answer.size_bytes, 16);
    asked.effect.address = here;
    assert_true(tresor__answer_is_possible(&asked.effect, &answer));
    completion = tresor__answer_give(&asked.effect, &answer);
    assert_int_equal(completion.value, 16);
    assert_memory_equal(here, there, 16);
    asked.effect.space = TRESOR__SPACE_WINDOW;
    assert_null(tresor__answer_of(&asked, &completion).bytes);
    assert_false(tresor__answer_is_possible(&asked.effect, &answer));
}

static void impossible_answers_are_refused(void **state)
{
    const struct tresor__effect read = {
        .kind = TRESOR__EFFECT_READ, .space = TRESOR__SPACE_WINDOW, .length = 100};
    const struct tresor__effect header = {
        .kind = TRESOR__EFFECT_READ, .space = TRESOR__SPACE_HEADER, .length = 100};
    const struct tresor__effect cancel = {.kind = TRESOR__EFFECT_CANCEL};
    const struct tresor__effect stat = {.kind = TRESOR__EFFECT_STAT};
    const struct tresor__effect direct = {.kind = TRESOR__EFFECT_OPEN_DIRECT};
    const struct tresor__effect populate = {.kind = TRESOR__EFFECT_POPULATE};
    const struct {
        const struct tresor__effect *effect;
        struct tresor__answer answer;
        bool is_possible;
    } rows[] = {
        {&read, {.value = 100}, true},
        {&read, {.value = 101}, false},
        {&read, {.value = -1}, false},
        {&read, {.os_errno = EIO}, true},
        {&read, {.os_errno = -EIO}, false},
        {&read, {.os_errno = EIO, .value = 1}, false},
        {&header, {.value = 8}, false}, /* where are they? */
        {&header, {.value = 8, .size_bytes = 8}, true},
        {&header, {.value = 8, .size_bytes = 9}, false},
        {&header, {.value = 0}, true},
        {&header, {.os_errno = EIO}, true},
        {&cancel, {.value = 1}, true},
        {&cancel, {.value = 2}, false},
        {&stat, {.value = 0}, false},
        {&stat, {.fact_count = 5, .facts = {0, 0, UINT64_MAX}}, false},
        {&stat, {.fact_count = 5}, true},
        {&stat, {.os_errno = EIO, .fact_count = 5}, false},
        {&direct, {.fact_count = 1, .facts = {512}}, true},
        {&direct, {.fact_count = 1, .facts = {0}}, false},
        {&direct, {.fact_count = 1, .facts = {513}}, false},
        {&direct, {.fact_count = 1, .facts = {UINT64_C(1) << 21}}, false},
        {&direct, {.value = 3, .fact_count = 1, .facts = {512}}, false},
        {&stat, {.value = 3, .fact_count = 5}, false},
        {&direct, {.os_errno = EINVAL}, true},
        {&populate, {.os_errno = EFAULT, .value = 4096}, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (tresor__answer_is_possible(rows[i].effect, &rows[i].answer) != rows[i].is_possible)
            fail_msg("row %d", (int)i);
}

/* --- contexts --- */

static void asked(void *cookie, const struct tresor__numbered *effect)
{
    (void)effect;
    ++*(uint64_t *)cookie;
}

static void polled(void *cookie, const struct tresor__poll *poll)
{
    (void)cookie;
    (void)poll;
}

static void answered(void *cookie, const struct tresor__answer *answer)
{
    (void)cookie;
    (void)answer;
}

static void looked(void *cookie, bool is_pending)
{
    (void)cookie;
    (void)is_pending;
}

static void contexts_without_memory_leave_nothing(void **state)
{
    uint64_t count = 0;
    const struct tresor__tape tape = {&count, asked, polled, answered, looked};
    struct tresor__host_facts facts;
    struct tresor_context *context = NULL;
    int32_t code = TRESOR_ERROR_NO_MEMORY;
    uint64_t tries = 0;
    (void)state;
    while (code == TRESOR_ERROR_NO_MEMORY) {
        struct failing_allocator counts = {.fail_call = ++tries};
        const struct tresor_context_options options = {
            .size_bytes = sizeof options,
            .allocator = failing_allocator_hooks(&counts),
            .backend = TRESOR_BACKEND_SYNC,
        };
        code = tresor__context_create_recorded(&options, &tape, &facts, &context);
        assert_int_equal(code, counts.failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
        assert_int_equal(tresor_context_destroy(context), TRESOR_OK);
        assert_int_equal(counts.outstanding_bytes, 0);
    }
    assert_int_equal(code, TRESOR_OK);
    assert_true(tries > 3);
    assert_int_equal(count, 0);
}

/** Nobody could give the watch's completions again. */
static void watches_are_not_recorded(void **state)
{
    uint64_t count = 0;
    const struct tresor__tape tape = {&count, asked, polled, answered, looked};
    const struct tresor_context_options options = {.size_bytes = sizeof options,
                                                   .pressure = TRESOR_PRESSURE_MEMORY};
    const struct tresor_context_options guarded = {.size_bytes = sizeof options, .guard = TRESOR_GUARD_SIGBUS};
    struct tresor__host_facts facts;
    struct tresor_context *context = NULL;
    (void)state;
    assert_int_equal(tresor__context_create_recorded(&options, &tape, &facts, &context),
                     TRESOR_ERROR_UNSUPPORTED);
    assert_null(context);
    assert_int_equal(tresor__context_create_recorded(&guarded, &tape, &facts, &context),
                     TRESOR_ERROR_UNSUPPORTED);
    assert_null(context);
}

static bool ask(void *cookie, const struct tresor__numbered *effect)
{
    (void)cookie;
    (void)effect;
    return false;
}

static bool next_poll(void *cookie, struct tresor__poll *poll)
{
    (void)cookie;
    (void)poll;
    return false;
}

static bool next_answer(void *cookie, struct tresor__answer *answer)
{
    (void)cookie;
    (void)answer;
    return false;
}

static bool look(void *cookie, bool *is_pending)
{
    (void)cookie;
    (void)is_pending;
    return false;
}

static void refuse(void *cookie, const char *why)
{
    (void)cookie;
    (void)why;
}

static const struct tresor__script no_script = {NULL, ask, next_poll, next_answer, look, refuse};

/** Everything fails then, and all of it ends. */
static void contexts_without_a_script_end(void **state)
{
    const struct tresor_context_options options = {.size_bytes = sizeof options};
    struct tresor__replay replay = {.facts = {4096, 100}, .script = no_script};
    struct tresor_context *context = NULL;
    struct tresor_source source;
    struct tresor_request request;
    struct tresor_event event;
    (void)state;
    assert_int_equal(tresor__context_create_replayed(&options, &replay, &context), TRESOR_OK);
    assert_string_equal(tresor_backend_name(context), "replay");
    assert_int_equal(tresor_source_open(context, "nothing", 0, &source, &request), TRESOR_OK);
    assert_int_equal(tresor_finish(context, request, 1, &event), TRESOR_ERROR_IO);
    assert_int_equal(tresor_context_destroy(context), TRESOR_OK);
}

static void replays_without_memory_leave_nothing(void **state)
{
    int32_t code = TRESOR_ERROR_NO_MEMORY;
    uint64_t tries = 0;
    (void)state;
    while (code == TRESOR_ERROR_NO_MEMORY) {
        struct failing_allocator counts = {.fail_call = ++tries};
        const struct tresor_context_options options = {.size_bytes = sizeof options,
                                                       .allocator = failing_allocator_hooks(&counts)};
        struct tresor__replay replay = {.facts = {4096, 100}, .script = no_script};
        struct tresor_context *context = NULL;
        code = tresor__context_create_replayed(&options, &replay, &context);
        assert_int_equal(code, counts.failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
        assert_int_equal(tresor_context_destroy(context), TRESOR_OK);
        assert_int_equal(counts.outstanding_bytes, 0);
    }
    assert_true(tries > 3);
}

/* A script that answers one effect, well. */
static uint64_t refusals;

static bool note_ask(void *cookie, const struct tresor__numbered *effect)
{
    *(uint64_t *)cookie = effect->number;
    return true;
}

static bool one_answer(void *cookie, struct tresor__poll *poll)
{
    (void)cookie;
    poll->answer_count = 1;
    return true;
}

static bool good_answer(void *cookie, struct tresor__answer *answer)
{
    *answer = (struct tresor__answer){.number = *(uint64_t *)cookie};
    return true;
}

static void note_refusal(void *cookie, const char *why)
{
    (void)cookie;
    (void)why;
    refusals++;
}

static int64_t map_nothing(void *cookie, enum tresor__sys_map kind, void *address, size_t length, int descriptor,
                           uint64_t offset, void **mapped)
{
    (void)cookie;
    (void)kind;
    (void)address;
    (void)length;
    (void)descriptor;
    (void)offset;
    (void)mapped;
    return -ENOMEM;
}

/* Addresses are reserved here, whatever there was there: it is no replay any more. */
static void addresses_that_are_refused_here_end_a_replay(void **state)
{
    uint64_t number = 0;
    struct failing_allocator counts = {0};
    const struct tresor_allocator allocator = failing_allocator_hooks(&counts);
    const struct tresor__script script = {&number, note_ask, one_answer, good_answer, look, note_refusal};
    const struct tresor__effect reserve = {
        .kind = TRESOR__EFFECT_RESERVE, .on_ok = 1, .on_failed = 2, .length = 4096};
    struct tresor__sys sys = *tresor__sys_posix();
    struct tresor__bell bell;
    struct tresor__backend *backend = NULL;
    struct tresor__completion completion;
    (void)state;
    sys.map = map_nothing;
    assert_int_equal(tresor__bell_open(&bell, &sys), TRESOR_OK);
    assert_int_equal(tresor__replay_create(&sys, &script, &allocator, &bell, 4, &backend), TRESOR_OK);
    refusals = 0;
    backend->submit(backend, &reserve, 1);
    assert_int_equal(backend->poll(backend, &completion, 1), 1);
    assert_int_equal(completion.event, 2);
    assert_int_equal(completion.os_errno, ENOMEM);
    assert_int_equal(refusals, 1);
    /* From then on nothing is asked of the script. */
    backend->submit(backend, &reserve, 1);
    assert_true(backend->pending(backend));
    assert_int_equal(backend->poll(backend, &completion, 1), 1);
    assert_int_equal(completion.os_errno, EIO);
    assert_false(backend->pending(backend));
    backend->destroy(backend);
    tresor__bell_close(&bell);
    assert_int_equal(refusals, 1);
    assert_int_equal(counts.outstanding_bytes, 0);
}

static void impossible_hosts_are_refused(void **state)
{
    static const uint64_t pages[] = {0, 1, 4095, 4097, UINT64_C(1) << 40, UINT64_MAX};
    const struct tresor_context_options options = {.size_bytes = sizeof options};
    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        struct tresor__replay replay = {.facts = {pages[i], 100}, .script = no_script};
        struct tresor_context *context = NULL;
        assert_int_equal(tresor__context_create_replayed(&options, &replay, &context),
                         TRESOR_ERROR_INVALID);
        assert_null(context);
    }
}

/* --- a script that tells something else --- */

static struct {
    bool knows_the_effect;
    int32_t os_errno; /* of the answer */
    uint32_t refusals;
} told;

static bool ask_told(void *cookie, const struct tresor__numbered *effect)
{
    (void)cookie;
    (void)effect;
    return told.knows_the_effect;
}

static bool poll_told(void *cookie, struct tresor__poll *poll)
{
    (void)cookie;
    poll->answer_count = 1;
    return true;
}

static bool answer_told(void *cookie, struct tresor__answer *answer)
{
    (void)cookie;
    *answer = (struct tresor__answer){.number = 1, .os_errno = told.os_errno};
    return true;
}

static void refuse_told(void *cookie, const char *why)
{
    (void)cookie;
    (void)why;
    told.refusals++;
}

/* The errno that the effect is answered with. */
static int32_t replay_one(const struct tresor__effect *effect)
{
    const struct tresor__script script = {NULL, ask_told, poll_told, answer_told, look, refuse_told};
    struct tresor_allocator allocator = tresor__allocator_or_default(NULL);
    struct tresor__completion completion = {0};
    struct tresor__backend *backend = NULL;
    told.refusals = 0;
    assert_int_equal(tresor__replay_create(tresor__sys_posix(), &script, &allocator, NULL, 4, &backend),
                     TRESOR_OK);
    backend->submit(backend, effect, 1);
    assert_int_equal(backend->poll(backend, &completion, 4), 1);
    backend->destroy(backend);
    return completion.os_errno;
}

static int64_t fail_work(void *record)
{
    (void)record;
    return -ENOMEM;
}

/** Work is done again, and must fail for the same reason. */
static void work_that_fails_otherwise_is_refused(void **state)
{
    static const int32_t errors[] = {ENOMEM, EIO, 0};
    const struct tresor__effect effect = {.kind = TRESOR__EFFECT_WORK, .work = fail_work};
    (void)state;
    told.knows_the_effect = true;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        told.os_errno = errors[i];
        assert_int_equal(replay_one(&effect), ENOMEM);
        assert_int_equal(told.refusals, errors[i] == ENOMEM ? 0 : 1);
    }
}

/** What its script does not know gets no answer from it. */
static void an_effect_of_another_way_fails(void **state)
{
    const struct tresor__effect effect = {.kind = TRESOR__EFFECT_MAP};
    (void)state;
    told.os_errno = 0;
    told.knows_the_effect = true;
    assert_int_equal(replay_one(&effect), 0);
    told.knows_the_effect = false;
    assert_int_equal(replay_one(&effect), EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_come_back),
        cmocka_unit_test(facts_of_all_kinds_come_back),
        cmocka_unit_test(descriptors_and_addresses_are_not_told),
        cmocka_unit_test(bytes_of_headers_come_back),
        cmocka_unit_test(impossible_answers_are_refused),
        cmocka_unit_test(contexts_without_memory_leave_nothing),
        cmocka_unit_test(watches_are_not_recorded),
        cmocka_unit_test(contexts_without_a_script_end),
        cmocka_unit_test(replays_without_memory_leave_nothing),
        cmocka_unit_test(addresses_that_are_refused_here_end_a_replay),
        cmocka_unit_test(impossible_hosts_are_refused),
        cmocka_unit_test(work_that_fails_otherwise_is_refused),
        cmocka_unit_test(an_effect_of_another_way_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
