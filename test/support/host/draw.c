/* SPDX-License-Identifier: MIT */
/* What a host's choices come from: its seed, or the bytes of a script. */
#include "host.h"

/* As few bytes as hold every choice: so most of a script's bytes are a choice each. */
static uint32_t width_of(uint32_t count)
{
    return count <= 1 ? 0 : count <= 256 ? 1 : count <= 65536 ? 2 : 4;
}

bool host_is_script_over(const struct host *host)
{
    return host->plan.script && host->script_at >= host->plan.script_bytes;
}

static uint32_t read_choice(struct host *host, uint32_t count)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < width_of(count) && !host_is_script_over(host); i++)
        value |= (uint32_t)host->plan.script[host->script_at++] << (8 * i);
    return value % count;
}

static void record_choice(struct bytes *record, uint32_t value, uint32_t count)
{
    for (uint32_t i = 0; i < width_of(count); i++)
        bytes_put_u8(record, (uint8_t)(value >> (8 * i)));
}

uint32_t host_draw(struct host *host, uint32_t count)
{
    bool is_scripted = host->plan.script && !host_is_script_over(host);
    uint32_t value = is_scripted ? read_choice(host, count) : random_below(&host->seed, count);
    if (host->plan.record)
        record_choice(host->plan.record, value, count);
    return value;
}

bool host_once_in(struct host *host, uint32_t count)
{
    return host_draw(host, count) == 0;
}
