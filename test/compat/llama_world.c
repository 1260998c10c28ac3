/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

#include "llama_world.h"

enum { DIRECT_MAX = 1024 };

static bool is_direct[DIRECT_MAX]; /* descriptors */

/* The file once more, by a descriptor of its own that can be told from the first. */
static int64_t open_direct(void *cookie, int descriptor)
{
    char path[64];
    const struct tresor__sys *posix = tresor__sys_posix();
    (void)cookie;
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    int64_t result = posix->open_file(posix->cookie, path);
    if (result >= 0 && result < DIRECT_MAX)
        is_direct[result] = true;
    return result;
}

static int64_t close_descriptor(void *cookie, int descriptor)
{
    const struct tresor__sys *posix = tresor__sys_posix();
    (void)cookie;
    is_direct[descriptor] = false;
    return posix->close(posix->cookie, descriptor);
}

static int64_t direct_alignment(void *cookie, int descriptor, uint32_t *alignment_bytes)
{
    (void)cookie;
    (void)descriptor;
    *alignment_bytes = WORLD_ALIGNMENT;
    return 0;
}

static int64_t read_strictly(void *cookie, int descriptor, void *address, size_t length,
                             uint64_t offset)
{
    const struct tresor__sys *posix = tresor__sys_posix();
    (void)cookie;
    if (is_direct[descriptor] && ((uintptr_t)address | length | offset) % WORLD_ALIGNMENT != 0)
        return -EINVAL;
    return posix->read(posix->cookie, descriptor, address, length, offset);
}

void world_begin(struct world *world, size_t size_bytes)
{
    world->under = *tresor__sys_posix();
    world->under.open_direct = open_direct;
    world->under.close = close_descriptor;
    world->under.direct_alignment = direct_alignment;
    world->under.read = read_strictly;
    world_again(world);
    temporary_make(world->folder);
    snprintf(world->path, sizeof world->path, "%s/file", world->folder);
    world->size_bytes = size_bytes;
    world->bytes = malloc(size_bytes + 1);
    assert_non_null(world->bytes);
    for (size_t i = 0; i < size_bytes; i++)
        world->bytes[i] = (uint8_t)(i * 7 + i / 251 + i / 65536 + 1);
    temporary_write(world->path, world->bytes, size_bytes);
}

void world_again(struct world *world)
{
    faulty_sys_init(&world->faulty, &world->under);
}

void world_end(struct world *world)
{
    const char *wrong = faulty_sys_check(&world->faulty);
    assert_string_equal(wrong ? wrong : "", "");
    free(world->bytes);
    temporary_remove(world->folder);
}

struct tresor_llama_file *world_open(struct world *world, const char *mode, bool direct)
{
    struct tresor_llama_file *file = NULL;
    struct tresor_error error;
    assert_error(tresor__llama_file_open(&world->faulty.sys, world->path, mode, direct, &file, &error),
                 TRESOR_OK);
    return file;
}
