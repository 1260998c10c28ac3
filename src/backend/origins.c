/* SPDX-License-Identifier: MIT */
#include "backend/origins.h"

#include <errno.h>
#include <string.h>

enum {
    ERRNO_MAX = 4095,
};

static const struct tresor__origin whole_path;

const struct tresor__origin *tresor__effect_origin(const struct tresor__effect *effect)
{
    return effect->origin ? effect->origin : &whole_path;
}

bool tresor__effect_has_file(const struct tresor__effect *effect)
{
    return tresor__origin_has_file(tresor__effect_origin(effect));
}

uint64_t tresor__effect_at(const struct tresor__effect *effect, uint64_t offset)
{
    return tresor__effect_origin(effect)->offset_bytes + offset;
}

uint64_t tresor__effect_sees(const struct tresor__effect *effect, uint64_t size_bytes)
{
    const struct tresor__origin *origin = tresor__effect_origin(effect);
    uint64_t rest = size_bytes > origin->offset_bytes ? size_bytes - origin->offset_bytes : 0;
    return origin->length_bytes > 0 && origin->length_bytes < rest ? origin->length_bytes : rest;
}

/* A host's descriptor that it keeps is left as it is: what is opened here is closed here. */
static int64_t open_file(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    const struct tresor__origin *origin = tresor__effect_origin(effect);
    if (origin->kind == TRESOR_ORIGIN_PATH)
        return sys->open_file(sys->cookie, effect->path);
    return origin->is_owned ? origin->descriptor
                            : sys->duplicate(sys->cookie, origin->descriptor);
}

/* What was opened is what is judged. A descriptor that was handed over is closed with its source, also where it is refused. */
int64_t tresor__origin_open(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    struct tresor__sys_stat stat;
    if (!tresor__effect_has_file(effect))
        return TRESOR__NO_DESCRIPTOR;
    int64_t descriptor = open_file(sys, effect);
    if (descriptor < 0)
        return descriptor;
    int64_t result = sys->stat(sys->cookie, (int)descriptor, &stat);
    if (result == 0 && !stat.is_regular)
        result = stat.is_directory ? -EISDIR : -EINVAL;
    if (result == 0)
        return descriptor;
    if (!tresor__effect_origin(effect)->is_owned)
        sys->close(sys->cookie, (int)descriptor);
    return result;
}

int64_t tresor__origin_stat(const struct tresor__sys *sys, const struct tresor__effect *effect,
                            struct tresor__sys_stat *stat)
{
    if (!tresor__effect_has_file(effect)) {
        *stat = (struct tresor__sys_stat){
            .size_bytes = tresor__effect_origin(effect)->length_bytes,
            .is_regular = true,
        };
        return 0;
    }
    int64_t result = sys->stat(sys->cookie, effect->descriptor, stat);
    if (result == 0)
        stat->size_bytes = tresor__effect_sees(effect, stat->size_bytes);
    return result;
}

static int64_t copy(const struct tresor__origin *origin, void *address, uint64_t offset,
                    uint64_t length)
{
    uint64_t rest = offset < origin->length_bytes ? origin->length_bytes - offset : 0;
    uint64_t count = length < rest ? length : rest;
    if (count > 0)
        memcpy(address, (const char *)origin->memory + offset, (size_t)count);
    return (int64_t)count;
}

/* What is asked for ends where the file does. More than a system's errno is none. */
static int64_t call(const struct tresor__origin *origin, void *address, uint64_t offset,
                    uint64_t length)
{
    uint64_t rest = offset < origin->length_bytes ? origin->length_bytes - offset : 0;
    uint64_t count = length < rest ? length : rest;
    int64_t result =
        count > 0 ? origin->read_at(origin->cookie, address, offset, (size_t)count) : 0;
    return result < -ERRNO_MAX ? -EIO : result;
}

int64_t tresor__origin_read(const struct tresor__sys *sys, const struct tresor__effect *effect,
                            void *address, uint64_t offset, uint64_t length)
{
    const struct tresor__origin *origin = tresor__effect_origin(effect);
    switch (origin->kind) {
    case TRESOR_ORIGIN_MEMORY:
        return copy(origin, address, offset, length);
    case TRESOR_ORIGIN_CALLBACK:
        return call(origin, address, offset, length);
    default:
        return sys->read(sys->cookie, effect->descriptor, address, (size_t)length,
                         tresor__effect_at(effect, offset));
    }
}

int64_t tresor__origin_close(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    const struct tresor__origin *origin = tresor__effect_origin(effect);
    if (tresor__origin_has_file(origin))
        return sys->close(sys->cookie, effect->descriptor);
    if (origin->release)
        origin->release(origin->cookie);
    return 0;
}
