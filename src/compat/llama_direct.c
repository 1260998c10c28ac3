/* SPDX-License-Identifier: MIT */
/*
 * Reads at a place of a file, past the page cache where it has a descriptor for that. Such reads go in place as far as memory
 * lies as the file does; all else goes through a bounce of fixed size, so that no read takes its length once more.
 */
#include "compat/llama.h"

#include <errno.h>
#include <string.h>

enum {
    PROBE_BYTES_MIN = 512,
    PROBE_BYTES_MAX = 4096,
};

static int64_t read_once(const struct tresor_llama_file *file, int descriptor, void *address,
                         size_t length, uint64_t offset)
{
    uint32_t interruptions = 0;
    int64_t result;
    do
        result = file->sys->read(file->sys->cookie, descriptor, address, length, offset);
    while (tresor__llama_again(result, &interruptions));
    return result;
}

/* --- to have them --- */

/* Where the system does not tell the alignment, a read finds out. */
static int64_t probe(const struct tresor_llama_file *file, uint32_t *alignment_bytes)
{
    int64_t result = -EINVAL;
    for (uint32_t bytes = PROBE_BYTES_MIN; bytes <= PROBE_BYTES_MAX && result < 0; bytes *= 2) {
        *alignment_bytes = bytes;
        result = read_once(file, file->direct, file->bounce_map, bytes, 0);
    }
    return result < 0 ? result : 0;
}

static int64_t find_alignment(const struct tresor_llama_file *file, uint32_t *alignment_bytes)
{
    const struct tresor__sys *sys = file->sys;
    int64_t result = sys->direct_alignment(sys->cookie, file->direct, alignment_bytes);
    if (result == -ENOSYS)
        result = probe(file, alignment_bytes);
    if (result < 0)
        return result;
    bool is_power = *alignment_bytes > 0 && (*alignment_bytes & (*alignment_bytes - 1)) == 0;
    return is_power && *alignment_bytes <= TRESOR__LLAMA_BOUNCE_BYTES ? 0 : -EINVAL;
}

static int64_t compare(const struct tresor_llama_file *file)
{
    struct tresor__sys_stat first;
    struct tresor__sys_stat again;
    const struct tresor__sys *sys = file->sys;
    int64_t result = sys->stat(sys->cookie, file->descriptor, &first);
    if (result == 0)
        result = sys->stat(sys->cookie, file->direct, &again);
    if (result < 0)
        return result;
    return first.device == again.device && first.inode == again.inode ? 0 : -ESTALE;
}

/* Twice its size, so that any alignment that is accepted fits in. */
static int64_t make_bounce(struct tresor_llama_file *file)
{
    const struct tresor__sys *sys = file->sys;
    return sys->map(sys->cookie, TRESOR__SYS_MAP_ANONYMOUS, NULL,
                    (size_t)2 * TRESOR__LLAMA_BOUNCE_BYTES, -1, 0, &file->bounce_map);
}

void tresor__llama_open_direct(struct tresor_llama_file *file)
{
    const struct tresor__sys *sys = file->sys;
    uint32_t alignment_bytes = 1;
    int64_t result = sys->open_direct(sys->cookie, file->descriptor);
    if (result >= 0) {
        file->direct = (int)result;
        result = compare(file);
    }
    if (result >= 0)
        result = make_bounce(file);
    if (result >= 0)
        result = find_alignment(file, &alignment_bytes);
    if (result < 0) {
        file->warning = (struct tresor_error){.code = TRESOR_ERROR_UNSUPPORTED,
                                              .os_errno = (int32_t)-result,
                                              .file = TRESOR_NONE,
                                              .tensor = TRESOR_NONE};
        tresor__llama_close_direct(file);
        return;
    }
    uintptr_t room = (uintptr_t)file->bounce_map;
    file->alignment_bytes = alignment_bytes;
    file->bounce = (char *)file->bounce_map + (-room & (alignment_bytes - 1));
}

void tresor__llama_close_direct(struct tresor_llama_file *file)
{
    const struct tresor__sys *sys = file->sys;
    if (file->bounce_map)
        sys->unmap(sys->cookie, file->bounce_map, (size_t)2 * TRESOR__LLAMA_BOUNCE_BYTES);
    if (file->direct >= 0)
        sys->close(sys->cookie, file->direct);
    file->bounce_map = NULL;
    file->direct = -1;
}

/* --- to read --- */

static size_t lower(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* One read in place, or one into the bounce of which what belongs there is copied. 0: the file has ended. */
static int64_t read_step(const struct tresor_llama_file *file, char *address, size_t length,
                         uint64_t offset)
{
    const size_t unit = file->alignment_bytes;
    const size_t lead = (size_t)(offset & (unit - 1));
    if (lead == 0 && ((uintptr_t)address & (unit - 1)) == 0 && length >= unit)
        return read_once(file, file->direct, address, length & ~(unit - 1), offset);
    bool lies_alike = (((uintptr_t)address ^ offset) & (unit - 1)) == 0;
    size_t span = lies_alike ? unit : TRESOR__LLAMA_BOUNCE_BYTES;
    size_t asked = length < span - lead ? (lead + length + unit - 1) & ~(unit - 1) : span;
    int64_t count = read_once(file, file->direct, file->bounce, asked, offset - lead);
    if (count <= 0)
        return count;
    if (count <= (int64_t)lead) /* an odd short count, which ends before what is wanted */
        return read_once(file, file->descriptor, address, lower(length, unit - lead), offset);
    size_t useful = lower((size_t)count - lead, length);
    memcpy(address, file->bounce + lead, useful);
    return (int64_t)useful;
}

/* What only direct reads are refused for. */
static bool is_refusal(int64_t result)
{
    return result == -EINVAL || result == -EFAULT || result == -EOPNOTSUPP;
}

static void give_up(struct tresor_llama_file *file, int64_t result, uint64_t offset)
{
    file->warning = (struct tresor_error){.code = TRESOR_ERROR_UNSUPPORTED,
                                          .os_errno = (int32_t)-result,
                                          .file = TRESOR_NONE,
                                          .tensor = TRESOR_NONE,
                                          .offset = offset};
    tresor__llama_close_direct(file);
}

int64_t tresor__llama_read_at(struct tresor_llama_file *file, void *address, size_t length,
                              uint64_t offset, size_t *got)
{
    *got = 0;
    while (*got < length) {
        char *place = (char *)address + *got;
        bool is_direct = file->direct >= 0;
        int64_t count = is_direct
                            ? read_step(file, place, length - *got, offset + *got)
                            : read_once(file, file->descriptor, place, length - *got, offset + *got);
        if (is_direct && is_refusal(count)) {
            give_up(file, count, offset + *got);
            continue;
        }
        if (count <= 0)
            return count;
        *got += (size_t)count;
    }
    return 0;
}
