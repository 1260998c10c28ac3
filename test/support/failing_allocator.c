/* SPDX-License-Identifier: MIT */
#include "support/failing_allocator.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* workers allocate too */

static void *count_and_reallocate(struct failing_allocator *counts, void *block, size_t old_bytes,
                                  size_t new_bytes)
{
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

static void *counted_reallocate(void *cookie, void *block, size_t old_bytes, size_t new_bytes)
{
    pthread_mutex_lock(&lock);
    void *moved = count_and_reallocate(cookie, block, old_bytes, new_bytes);
    pthread_mutex_unlock(&lock);
    return moved;
}

static void counted_free(void *cookie, void *block, size_t size_bytes)
{
    struct failing_allocator *counts = cookie;
    free(block);
    pthread_mutex_lock(&lock);
    if (++counts->frees != counts->lose_free)
        counts->outstanding_bytes -= (int64_t)size_bytes;
    pthread_mutex_unlock(&lock);
}

struct tresor_allocator failing_allocator_hooks(struct failing_allocator *counts)
{
    return (struct tresor_allocator){
        .cookie = counts, .reallocate = counted_reallocate, .free = counted_free};
}
