/* SPDX-License-Identifier: MIT */
/*
 * Memory for the next tensor out of what an evicted one leaves: its pages moved there, against giving them back and making
 * fresh ones, by the library's own effects. 2 GiB in steps of 64 MiB, from one place to another and back.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "backend/actor.h"
#include "core/facts.h"
#include "measure.h"

enum {
    STEPS = 32,
    STEP_BYTES = 64 * 1024 * 1024,
};

struct places {
    struct tresor__identity identity;
    int descriptor;
    char *bytes[2];
};

static int64_t act(const struct places *places, uint8_t kind, uint16_t flags, uint32_t place)
{
    struct tresor__effect effect = {.kind = kind,
                                    .flags = flags,
                                    .length = STEP_BYTES,
                                    .descriptor = places->descriptor,
                                    .address = places->bytes[place],
                                    .target = places->bytes[1 - place],
                                    .record = (void *)(uintptr_t)&places->identity};
    struct tresor__completion completion = tresor__actor_run(tresor__sys_posix(), &effect, NULL);
    if (completion.os_errno != 0)
        give_up("%s: errno %d", tresor__effect_name(kind), completion.os_errno);
    return completion.value;
}

static void make(const struct places *places, uint32_t place)
{
    act(places, TRESOR__EFFECT_MAP, TRESOR__MAP_ANONYMOUS, place);
    act(places, TRESOR__EFFECT_POPULATE, TRESOR__POPULATE_WRITE, place);
}

/* As the read machine asks for it; the blocks that follow populate what has moved too. */
static void step_moving(const struct places *places, uint32_t from)
{
    act(places, TRESOR__EFFECT_MAP, TRESOR__MAP_ANONYMOUS, 1 - from);
    act(places, TRESOR__EFFECT_MOVE, 0, from);
    act(places, TRESOR__EFFECT_UNMAP, TRESOR__MAP_ANONYMOUS, from);
    act(places, TRESOR__EFFECT_POPULATE, TRESOR__POPULATE_WRITE, 1 - from);
}

static void step_fresh(const struct places *places, uint32_t from)
{
    act(places, TRESOR__EFFECT_UNMAP, TRESOR__MAP_ANONYMOUS, from);
    make(places, 1 - from);
}

typedef void step_of(const struct places *places, uint32_t from);
typedef double clock_of(void);

static double run(const struct places *places, step_of *step, clock_of *now)
{
    make(places, 0);
    double start = now();
    for (uint32_t i = 0; i < STEPS; i++)
        step(places, i % 2);
    double seconds = now() - start;
    act(places, TRESOR__EFFECT_UNMAP, TRESOR__MAP_ANONYMOUS, STEPS % 2);
    return seconds;
}

static double moving(void *argument)
{
    return run(argument, step_moving, now_seconds) / STEPS;
}

static double fresh(void *argument)
{
    return run(argument, step_fresh, now_seconds) / STEPS;
}

static double moving_processor(void *argument)
{
    return run(argument, step_moving, processor_seconds);
}

static double fresh_processor(void *argument)
{
    return run(argument, step_fresh, processor_seconds);
}

bool bench_donate(const struct settings *settings)
{
    struct places places = {.descriptor = open(settings->tool, O_RDONLY | O_CLOEXEC)};
    struct tresor__effect stat = {.kind = TRESOR__EFFECT_STAT,
                                  .descriptor = places.descriptor,
                                  .record = &places.identity};
    struct tresor__effect reserve = {.kind = TRESOR__EFFECT_RESERVE, .length = 2 * STEP_BYTES};
    if (tresor__actor_run(tresor__sys_posix(), &stat, NULL).os_errno != 0)
        give_up("%s cannot be opened", settings->tool);
    reserve.address = (void *)(uintptr_t)tresor__actor_run(tresor__sys_posix(), &reserve, NULL).value;
    if (!reserve.address)
        give_up("no addresses");
    places.bytes[0] = reserve.address;
    places.bytes[1] = places.bytes[0] + STEP_BYTES;
    bool met = compare("donate 64 MiB", moving, fresh, &places, settings->pairs, 0.2);
    met = compare("donate 2 GiB, processor", moving_processor, fresh_processor, &places, settings->pairs,
                  0.2) &&
          met;
    reserve.kind = TRESOR__EFFECT_RELEASE;
    tresor__actor_run(tresor__sys_posix(), &reserve, NULL);
    close(places.descriptor);
    return met;
}
