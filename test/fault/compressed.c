/* SPDX-License-Identifier: MIT */
/* The same of compressed models, whose decoding asks for memory, addresses and reads that others do not. */
#include "support/test.h"

#include <inttypes.h>

#include "format/decode.h"
#include "scenario.h"

static const uint32_t compressions[] = {TRESOR_COMPRESSION_ZSTD, TRESOR_COMPRESSION_GZIP, TRESOR_COMPRESSION_LZ4};
enum {
    COMPRESSIONS = sizeof compressions / sizeof compressions[0],
};

/* False where the build has not got it. */
static bool run(struct scenario *scenario, uint32_t compression, enum host_origin_kind kind)
{
    struct host_origin host;
    scenario->set = scenario_model(MODEL_GGUF);
    if (!host_origin_init_packed(&host, kind, scenario->set, compression))
        return false;
    scenario->host = &host;
    scenario_must_hold(scenario);
    const char *violation = host_origin_end(&host);
    if (violation)
        fail_msg("%s: %s", host_origin_name(kind), violation);
    return true;
}

static void nothing_fails(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COMPRESSIONS; i++)
        for (uint32_t kind = 0; kind < HOST_ORIGINS; kind++)
            for (uint32_t backend = TRESOR_BACKEND_SYNC; backend <= TRESOR_BACKEND_URING; backend++) {
                struct scenario scenario = {.backend = backend,
                                            .direct = backend % 2 ? TRESOR_DIRECT_AUTO : TRESOR_DIRECT_OFF};
                if (run(&scenario, compressions[i], (enum host_origin_kind)kind))
                    assert_int_equal(scenario.failed_requests, 0);
            }
}

static void each_call(uint32_t compression, bool persistent)
{
    static const enum faulty_row rows[] = {FAULTY_OPEN_FILE, FAULTY_STAT, FAULTY_CLOSE, FAULTY_READ, FAULTY_MAP, FAULTY_UNMAP,
                                           FAULTY_LOCK,      FAULTY_UNLOCK};
    uint64_t runs = 0;
    for (uint32_t row = 0; row < sizeof rows / sizeof rows[0]; row++)
        for (uint64_t nth = 1, injected = 1; injected > 0; nth++) {
            struct scenario scenario = {.plan = {.row = rows[row],
                                                 .nth = nth,
                                                 .persistent = persistent,
                                                 .choice = (uint32_t)nth}};
            if (!run(&scenario, compression, HOST_PATH))
                return;
            injected = scenario.injected;
            runs += injected > 0;
        }
    assert_true(runs > 0);
    print_message("# %s: %" PRIu64 " runs\n", tresor_compression_name(compression), runs);
}

static void each_call_fails(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COMPRESSIONS; i++) {
        each_call(compressions[i], false);
        each_call(compressions[i], true);
    }
}

static void each_allocation_fails(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COMPRESSIONS; i++)
        for (uint64_t nth = 1, injected = 1; injected > 0; nth++) {
            struct scenario scenario = {.fail_allocation = nth};
            if (!run(&scenario, compressions[i], HOST_PATH))
                break;
            injected = scenario.injected;
            assert_true(injected == 0 || scenario.failed_requests > 0);
        }
}

/* However few bytes each read brings. */
static void short_reads(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COMPRESSIONS; i++)
        for (uint32_t reads = FAULTY_READS_WHOLE; reads <= FAULTY_READS_SOME; reads++) {
            struct scenario scenario = {.reads = (enum faulty_reads)reads, .seed = 1 + reads};
            if (run(&scenario, compressions[i], HOST_PATH))
                assert_int_equal(scenario.failed_requests, 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_fails),
        cmocka_unit_test(each_call_fails),
        cmocka_unit_test(each_allocation_fails),
        cmocka_unit_test(short_reads),
    };
    return cmocka_run_group_tests_name("fault_compressed", tests, scenario_setup, scenario_teardown);
}
