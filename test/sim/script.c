/* SPDX-License-Identifier: MIT */
#include "script.h"

enum {
    WORKERS_MAX = 16,
    DEPTH_MAX = 256,
};

/* Little-endian; what is behind the end is 0. */
struct reader {
    const uint8_t *bytes;
    size_t length;
    size_t at;
};

static uint64_t take(struct reader *reader, uint32_t width)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < width; i++, reader->at++)
        if (reader->at < reader->length)
            value |= (uint64_t)reader->bytes[reader->at] << (8 * i);
    return value;
}

static void put(struct bytes *bytes, uint64_t value, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        bytes_put_u8(bytes, (uint8_t)(value >> (8 * i)));
}

/* Whatever is there comes to something that can be run. */
static struct sim_knobs read_knobs(struct reader *reader)
{
    struct sim_knobs knobs = {0};
    uint64_t seed = take(reader, 8);
    knobs.seed = seed == 0 ? 1 : seed;
    knobs.kind = (enum sim_kind)(take(reader, 1) % SIM_KINDS);
    knobs.moves = (uint32_t)take(reader, 2) % (SIM_MOVES_MAX + 1);
    knobs.workers = 1 + (uint32_t)take(reader, 1) % WORKERS_MAX;
    knobs.disk_depth = 1 + (uint32_t)take(reader, 1) % DEPTH_MAX;
    knobs.disk_ns_per_kib = (uint32_t)take(reader, 2);
    knobs.slowness_percent = (uint32_t)take(reader, 2);
    knobs.stall_once_in = (uint32_t)take(reader, 2);
    knobs.begins_in_order = take(reader, 1) % 2;
    return knobs;
}

static void write_knobs(struct bytes *script, const struct sim_knobs *knobs)
{
    put(script, knobs->seed, 8);
    put(script, knobs->kind, 1);
    put(script, knobs->moves, 2);
    put(script, knobs->workers - 1, 1);
    put(script, knobs->disk_depth - 1, 1);
    put(script, knobs->disk_ns_per_kib, 2);
    put(script, knobs->slowness_percent, 2);
    put(script, knobs->stall_once_in, 2);
    put(script, knobs->begins_in_order, 1);
}

void sim_script_run(struct sim_world *world, const uint8_t *bytes, size_t length,
                    struct sim_result *result)
{
    static const uint8_t none;
    struct reader reader = {.bytes = bytes, .length = length};
    struct sim_knobs knobs = read_knobs(&reader);
    struct sim_choices choices = {.script = &none};
    if (length > SIM_SCRIPT_HEADER_BYTES)
        choices = (struct sim_choices){.script = bytes + SIM_SCRIPT_HEADER_BYTES,
                                       .script_bytes = length - SIM_SCRIPT_HEADER_BYTES};
    sim_world_run(world, &knobs, &choices, result);
}

void sim_script_record(struct sim_world *world, const struct sim_knobs *knobs, struct bytes *script,
                       struct sim_result *result)
{
    struct sim_choices choices = {.record = script};
    write_knobs(script, knobs);
    sim_world_run(world, knobs, &choices, result);
}
