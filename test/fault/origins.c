/* SPDX-License-Identifier: MIT */
/* The same of a model that a host hands over as a descriptor, as memory, or as a function, which fails as its disk would. */
#include "support/test.h"

#include <errno.h>
#include <inttypes.h>

#include "scenario.h"

static void must_hold(struct scenario *scenario, struct host_origin *host)
{
    scenario->host = host;
    scenario_must_hold(scenario);
    scenario->injected += host->injected;
    const char *violation = host_origin_end(host);
    if (violation)
        fail_msg("%s, read %" PRIu64 ": %s", host_origin_name(host->kind), host->fail_read,
                 violation);
}

static void nothing_fails(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < HOST_ORIGINS; kind++)
        for (uint32_t backend = TRESOR_BACKEND_SYNC; backend <= TRESOR_BACKEND_URING; backend++)
            for (uint32_t way = 0; way < 4; way++) {
                struct host_origin host;
                struct scenario scenario = {.set = scenario_model(MODEL_GGUF),
                                            .backend = backend,
                                            .direct = way % 2 ? TRESOR_DIRECT_AUTO
                                                              : TRESOR_DIRECT_OFF};
                host_origin_init(&host, (enum host_origin_kind)kind, scenario.set);
                host.is_short = way / 2;
                must_hold(&scenario, &host);
                assert_int_equal(scenario.failed_requests, 0);
                assert_true((host.reads > 0) == (kind == HOST_CALLBACK));
            }
}

/* What an open, or what it brings with it, may ask of the system, and no other test of it. */
static void each_call(enum host_origin_kind kind, bool persistent)
{
    static const enum faulty_row rows[] = {FAULTY_DUPLICATE, FAULTY_STAT, FAULTY_CLOSE, FAULTY_READ,
                                           FAULTY_MAP, FAULTY_UNMAP, FAULTY_OPEN_DIRECT};
    uint64_t runs = 0;
    for (uint32_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        for (uint64_t nth = 1, injected = 1; injected > 0; nth++) {
            struct host_origin host;
            struct scenario scenario = {
                .set = scenario_model(MODEL_GGUF),
                .plan = {.row = rows[row], .nth = nth, .persistent = persistent,
                         .choice = (uint32_t)nth},
                .direct = nth % 2 ? TRESOR_DIRECT_AUTO : TRESOR_DIRECT_OFF};
            host_origin_init(&host, kind, scenario.set);
            must_hold(&scenario, &host);
            injected = scenario.injected;
            runs += injected > 0;
        }
    assert_true(runs > 0);
    print_message("# %s: %" PRIu64 " runs\n", host_origin_name(kind), runs);
}

static void each_call_fails(void **state)
{
    (void)state;
    for (uint32_t kind = HOST_DESCRIPTOR; kind < HOST_ORIGINS; kind++) {
        each_call((enum host_origin_kind)kind, false);
        each_call((enum host_origin_kind)kind, true);
    }
}

static void each_allocation_fails(void **state)
{
    (void)state;
    for (uint32_t kind = HOST_DESCRIPTOR; kind < HOST_ORIGINS; kind++)
        for (uint64_t nth = 1, injected = 1; injected > 0; nth++) {
            struct host_origin host;
            struct scenario scenario = {.set = scenario_model(MODEL_GGUF), .fail_allocation = nth};
            host_origin_init(&host, (enum host_origin_kind)kind, scenario.set);
            must_hold(&scenario, &host);
            injected = scenario.injected;
            assert_true(injected == 0 || scenario.failed_requests > 0);
        }
}

/* The host's own function, once and from then on. */
static void each_read_fails(void **state)
{
    static const int32_t errors[] = {EIO, EINTR, EAGAIN, ENOMEM, EINVAL, EOPNOTSUPP, ESTALE};
    uint64_t runs = 0;
    (void)state;
    for (uint32_t i = 0; i < 2 * sizeof errors / sizeof errors[0]; i++)
        for (uint64_t nth = 1, injected = 1; injected > 0; nth++) {
            struct host_origin host;
            struct scenario scenario = {.set = scenario_model(MODEL_GGUF)};
            host_origin_init(&host, HOST_CALLBACK, scenario.set);
            host.fail_read = nth;
            host.os_errno = errors[i / 2];
            host.reads_stay_failed = i % 2;
            must_hold(&scenario, &host);
            injected = scenario.injected;
            bool passes = host.os_errno == EINTR || host.os_errno == EAGAIN;
            if (injected > 0 && !host.reads_stay_failed)
                assert_int_equal(scenario.failed_requests > 0, !passes);
            runs += injected > 0;
        }
    assert_true(runs > 0);
    print_message("# %" PRIu64 " runs\n", runs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_fails),
        cmocka_unit_test(each_call_fails),
        cmocka_unit_test(each_allocation_fails),
        cmocka_unit_test(each_read_fails),
    };
    return cmocka_run_group_tests_name("fault_origins", tests, scenario_setup, scenario_teardown);
}
