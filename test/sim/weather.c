/* SPDX-License-Identifier: MIT */
/* What happens to a host: time passes, files change, the disk wears out, memory and maps run short. */
#include "world.h"

enum {
    NS_PER_US = 1000,
    CHANGE_US = 5000, /* within which what is to happen happens */
};

static struct sim_world *world_of(struct host *host)
{
    return host->plan.sim->cookie;
}

/* The host does something else, from a microsecond to what a token takes. */
static void compute(struct host *host)
{
    uint32_t bits = host_draw(host, 15);
    tresor__sim_pass(host->plan.sim, (uint64_t)NS_PER_US * (1 + host_draw(host, 1u << bits)));
}

/* A round of a host's loop, which had something else to do before. */
static void come_round(struct host *host)
{
    compute(host);
    for (uint32_t left = 1 + host_draw(host, 8); left > 0 && host_dispatch(host) == 1; left--)
        continue;
    host_take(host, UINT32_MAX);
}

static uint32_t choose_file(struct host *host)
{
    return host_draw(host, host->fake->file_count);
}

/* Only a model's one file has another that may take its place. */
static void change_file_later(struct host *host)
{
    struct sim_world *world = world_of(host);
    if (world->change_count == SIM_CHANGES)
        return;
    struct sim_change *change = &world->changes[world->change_count];
    change->kind = host_draw(host, SIM_CHANGE_KINDS);
    change->file = change->kind == SIM_REPLACE ? host_draw(host, MODELS_GGUF) : choose_file(host);
    change->size_bytes =
        host_draw(host, (uint32_t)host->fake->files[change->file].bytes->size + 1);
    uint64_t delay_ns = (uint64_t)NS_PER_US * host_draw(host, CHANGE_US);
    if (tresor__sim_alarm(host->plan.sim, delay_ns, world->change_count))
        world->change_count++;
}

/* The file that has a model's path now. */
static uint32_t file_of_model(const struct fake_sys *fake, uint32_t model)
{
    uint32_t found = model;
    for (uint32_t i = 0; i < fake->file_count; i++)
        if (!fake->files[i].is_replaced && fake->files[i].path == fake->files[model].path)
            found = i;
    return found;
}

static void replace(struct sim_world *world, uint32_t model)
{
    uint32_t file = file_of_model(&world->fake, model);
    fake_sys_replace(&world->fake, file,
                     models_other(&world->models, model, world->fake.files[file].bytes));
}

void sim_change(struct sim_world *world, uint32_t number)
{
    const struct sim_change *change = &world->changes[number];
    struct fake_file *file = &world->fake.files[change->file];
    switch (change->kind) {
    case SIM_SHRINK:
        if (change->size_bytes < file->size_bytes)
            file->size_bytes = change->size_bytes;
        break;
    case SIM_GROW_BACK:
        fake_sys_restore(&world->fake, change->file);
        break;
    case SIM_REPLACE:
        replace(world, change->file);
        return;
    default:
        break;
    }
    file->modified_ns++;
    file->changed_ns++;
}

static void wear_out(struct host *host)
{
    struct fake_sys *fake = host->fake;
    uint32_t file = choose_file(host);
    uint32_t sectors = (uint32_t)fake->files[file].bytes->size / FAKE_SECTOR_BYTES + 1;
    uint32_t at = host_draw(host, FAKE_SECTORS);
    if (at >= fake->sector_count)
        at = fake->sector_count++;
    fake->sectors[at].file = file;
    fake->sectors[at].offset_bytes = (uint64_t)host_draw(host, sectors) * FAKE_SECTOR_BYTES;
    fake->sectors[at].fails_left = host_once_in(host, 2) ? UINT32_MAX : 1 + host_draw(host, 2);
}

static void limit_memory(struct host *host)
{
    host->fake->private_limit_bytes =
        host_once_in(host, 2)
            ? UINT64_MAX
            : host->fake->private_bytes + (uint64_t)host_draw(host, 100) * FAKE_PAGE_BYTES;
}

static void limit_maps(struct host *host)
{
    host->fake->maps_limit =
        host_once_in(host, 2) ? 0 : 1 + fake_sys_map_count(host->fake) + host_draw(host, 12);
}

static void limit_locks(struct host *host)
{
    host->fake->lock_limit_bytes =
        host_once_in(host, 2) ? UINT64_MAX : (uint64_t)host_draw(host, 64) * FAKE_PAGE_BYTES;
}

const struct host_way *sim_ways(enum sim_kind kind, uint32_t *count)
{
    static const struct host_way ways[] = {
        {6, compute},   {50, come_round}, {2, limit_locks}, /* of a good world too */
        {2, wear_out},  {3, change_file_later},
        {1, limit_maps}, {1, limit_memory},
    };
    *count = kind == SIM_GOOD ? 3 : sizeof ways / sizeof ways[0];
    return ways;
}
