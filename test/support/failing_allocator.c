/* SPDX-License-Identifier: MIT */
#include "support/failing_allocator.h"

#include <stdlib.h>

static void *counted_reallocate(void *cookie, void *block, size_t old_bytes, size_t new_bytes)
{
    struct failing_allocator *counts = cookie;
    if ((block == NULL) != (old_bytes == 0))
        abort(); /* the sizes are part of the contract */
    counts->calls++;
    if (counts->calls == counts->fail_call ||
        (counts->is_persistent && counts->fail_call && counts->calls > counts->fail_call)) {
        counts->failed = true;
        return NULL;
    }
    void *moved = realloc(block, new_bytes);
    if (!moved)
        abort();
    counts->outstanding_bytes += (int64_t)new_bytes - (int64_t)old_bytes;
    if (counts->outstanding_bytes > (int64_t)counts->peak_bytes)
        counts->peak_bytes = (uint64_t)counts->outstanding_bytes;
    return moved;
}

static void counted_free(void *cookie, void *block, size_t size_bytes)
{
    struct failing_allocator *counts = cookie;
    free(block);
    if (++counts->frees != counts->lose_free)
        counts->outstanding_bytes -= (int64_t)size_bytes;
}

struct tresor_allocator failing_allocator_hooks(struct failing_allocator *counts)
{
    return (struct tresor_allocator){
        .cookie = counts, .reallocate = counted_reallocate, .free = counted_free};
}
