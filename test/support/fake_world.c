/* SPDX-License-Identifier: MIT */
#include "support/fake_world.h"

#include "support/test.h"

#include <string.h>

const struct model_tensor fake_world_tensors[FAKE_TENSORS] = {
    {5000, MODEL_NEXT, false},
    {100, MODEL_NEXT, false},
    {300000, MODEL_NEXT, false},
    {90000, MODEL_NEXT, false},
};

static bool is_meant(const struct fake_rule *rule, const struct faulty_call *call)
{
    if (rule->os_errno == 0 || rule->row != call->row ||
        (rule->has_kind && rule->kind != call->kind))
        return false;
    uint64_t start = call->row == FAULTY_READ ? call->offset : (uintptr_t)call->address;
    return !rule->has_place || (start <= rule->place && rule->place - start < call->length);
}

static int32_t judge(void *cookie, struct faulty_call *call)
{
    struct fake_rule *rules = cookie;
    for (uint32_t i = 0; i < FAKE_RULES; i++) {
        struct fake_rule *rule = &rules[i];
        if (!is_meant(rule, call))
            continue;
        uint64_t number = rule->seen++;
        if (number >= rule->skip && (rule->times == 0 || number - rule->skip < rule->times))
            return rule->os_errno;
    }
    return 0;
}

void fake_world_init(struct fake_world *world)
{
    memset(world, 0, sizeof *world);
    fake_sys_init(&world->fake);
    faulty_sys_init(&world->faulty, &world->fake.sys);
    world->faulty.judge = judge;
    world->faulty.judge_cookie = world->rules;
    world->options = session_options(&world->memory);
}

void fake_world_start_context(struct fake_world *world)
{
    model_set_add_to(&world->set, &world->fake);
    assert_error(session_create(&world->session, &world->faulty.sys, &world->options), TRESOR_OK);
}

void fake_world_start(struct fake_world *world, const struct model_tensor *tensors, uint32_t count)
{
    model_set_make_gguf(&world->set, "/fake", tensors, count);
    fake_world_start_context(world);
    assert_error(session_open(&world->session, model_set_path(&world->set)), TRESOR_OK);
    world->data_offset = fake_world_tensor(world, 0).offset_bytes;
}

void fake_world_open(struct fake_world *world)
{
    fake_world_init(world);
    fake_world_start(world, fake_world_tensors, FAKE_TENSORS);
}

void fake_world_end(struct fake_world *world)
{
    const char *wrong = session_destroy(&world->session);
    const char *held = faulty_sys_check(&world->faulty);
    if (wrong || held)
        fail_msg("%s", wrong ? wrong : held);
    assert_int_equal(world->memory.outstanding_bytes, 0);
    assert_int_equal(world->fake.used.count, 0);
    model_set_free(&world->set);
    fake_sys_free(&world->fake);
}

void fake_world_close(struct fake_world *world)
{
    assert_error(session_close(&world->session), TRESOR_OK);
    fake_world_end(world);
}

struct tresor_tensor_info fake_world_tensor(struct fake_world *world, uint32_t tensor)
{
    struct tresor_tensor_info info = {.size_bytes = sizeof info};
    assert_error(tresor_source_get_tensor(world->session.context, world->session.source, tensor,
                                          &info),
                 TRESOR_OK);
    return info;
}

uint64_t fake_world_place(struct fake_world *world, uint32_t tensor, uint64_t offset)
{
    return (uintptr_t)fake_world_tensor(world, tensor).address + offset;
}

struct tresor_counters fake_world_counters(struct fake_world *world)
{
    struct tresor_counters counters = {.size_bytes = sizeof counters};
    assert_error(tresor_get_counters(world->session.context, &counters), TRESOR_OK);
    return counters;
}

int32_t fake_world_all(struct fake_world *world, enum tresor_verb verb, uint32_t strategy)
{
    return session_do(&world->session, verb, session_all(&world->session), strategy);
}

int32_t fake_world_one(struct fake_world *world, enum tresor_verb verb, uint32_t tensor,
                       uint32_t strategy)
{
    return session_do(&world->session, verb, session_tensor(&world->session, tensor), strategy);
}

void fake_world_must_have(struct fake_world *world, uint32_t count)
{
    assert_int_equal(session_verify(&world->session, &world->set), count);
}

void fake_world_heal(struct fake_world *world)
{
    memset(world->rules, 0, sizeof world->rules);
    memset(world->faulty.counts, 0, sizeof world->faulty.counts);
    world->faulty.read_bytes = 0;
}
