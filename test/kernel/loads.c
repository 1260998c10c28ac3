/* SPDX-License-Identifier: MIT */
/* Real files on the real kernel: every kind of model by every strategy has the file's bytes at the same addresses. */
#include "support/test.h"

#include <stdlib.h>

#include "real.h"

static struct real real;

static uint32_t kinds(void)
{
#ifdef TRESOR__SAFETENSORS
    return MODEL_KINDS;
#else
    return MODEL_INDEX;
#endif
}

static uint32_t tensor_count(void)
{
    struct tresor_source_info info = {.size_bytes = sizeof info};
    assert_error(tresor_source_get_info(real.session.context, real.session.source, &info),
                 TRESOR_OK);
    return info.tensor_count;
}

/* By one strategy, then by the other, and once more. */
static void load_and_evict(void)
{
    assert_error(real_start(&real), TRESOR_OK);
    assert_error(session_open(&real.session, model_set_path(&real.set)), TRESOR_OK);
    struct tresor_item all = session_all(&real.session);
    for (uint32_t i = 0; i < 4; i++) {
        assert_error(session_do(&real.session, TRESOR_VERB_LOAD, all,
                                i % 2 ? TRESOR_STRATEGY_READ : TRESOR_STRATEGY_MMAP),
                     TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), tensor_count());
        assert_error(session_do(&real.session, TRESOR_VERB_EVICT, all, 0), TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), 0);
    }
    real_remove(&real);
}

static void by_every_strategy(void **state)
{
    (void)state;
    for (uint32_t kind = 0; kind < kinds(); kind++) {
        real_make(&real, (enum model_kind)kind);
        load_and_evict();
    }
}

/* Larger than a huge page, so that windows, advice on huge pages and blocks are all in play. */
static void a_larger_file(void **state)
{
    static const struct model_tensor tensors[] = {
        {3000000, MODEL_NEXT, false}, {7, MODEL_NEXT, false}, {5000001, MODEL_NEXT, false}};
    (void)state;
    real_make_gguf(&real, tensors, 3);
    load_and_evict();
}

/* Many more than there are pairs, blocks or turns for at a time. */
static void a_hundred_thousand_tensors(void **state)
{
    enum { COUNT = 100000 };
    struct model_tensor *tensors = malloc(COUNT * sizeof *tensors);
    (void)state;
    assert_non_null(tensors);
    for (uint32_t i = 0; i < COUNT; i++)
        tensors[i] = (struct model_tensor){1 + i % 97, MODEL_NEXT, false};
    real_make_gguf(&real, tensors, COUNT);
    free(tensors);
    assert_error(real_start(&real), TRESOR_OK);
    real.session.steps_max = UINT64_C(10000000);
    assert_error(session_open(&real.session, model_set_path(&real.set)), TRESOR_OK);
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        struct tresor_item all = session_all(&real.session);
        assert_error(session_do(&real.session, TRESOR_VERB_LOAD, all, strategy), TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), COUNT);
        assert_error(session_do(&real.session, TRESOR_VERB_EVICT, all, 0), TRESOR_OK);
    }
    real_remove(&real);
}

static void by_any_shard(void **state)
{
    (void)state;
    real_make(&real, MODEL_SHARDS);
    for (uint32_t i = 0; i < real.set.part_count; i++)
        assert_error(real_open_once(&real, real.set.parts[i].path, NULL), TRESOR_OK);
    real_remove(&real);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_every_strategy),
        cmocka_unit_test(a_larger_file),
        cmocka_unit_test(a_hundred_thousand_tensors),
        cmocka_unit_test(by_any_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
