/* SPDX-License-Identifier: MIT */
/*
 * A ring over liburing. It never polls with a kernel thread, and what is left to do when a read ends is done when it is
 * reaped, so that nothing interrupts the thread at other times.
 */
#include "platform/sys_ring.h"

#include <errno.h>
#include <liburing.h>

enum {
    BATCH = 64,            /* entries of one submit */
    RESULTS_FOR_ENTRY = 4, /* a read's, its cancel's, and those of what was not taken */
};

/* Of what nobody waits for: cancels, and entries that the kernel has not taken. */
#define TAG_IGNORED UINT64_MAX
#define LENGTH_MAX (UINT32_C(1) << 30)

struct tresor__sys_ring {
    struct io_uring ring;
    struct tresor_allocator allocator;
    uint32_t void_count; /* entries at the head of the queue that were emptied */
};

/* Newer kernels first; one that does not know a flag answers EINVAL. */
static int init_with_flags(struct io_uring *ring, uint32_t entries)
{
    static const uint32_t flags[] = {
        IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
            IORING_SETUP_DEFER_TASKRUN,                                          /* Linux 6.1 */
        IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN, /* 5.19 */
        IORING_SETUP_CQSIZE,                                                     /* 5.5 */
    };
    int result = -EINVAL;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && result == -EINVAL; i++) {
        struct io_uring_params params = {.flags = flags[i],
                                         .cq_entries = entries * RESULTS_FOR_ENTRY};
        result = io_uring_queue_init_params(entries, ring, &params);
    }
    return result;
}

static bool has_operations(struct io_uring *ring)
{
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
    if (!probe)
        return false;
    bool has = io_uring_opcode_supported(probe, IORING_OP_READ) &&
               io_uring_opcode_supported(probe, IORING_OP_ASYNC_CANCEL);
    io_uring_free_probe(probe);
    return has;
}

int64_t tresor__sys_ring_init(void *cookie, const struct tresor_allocator *allocator,
                              uint32_t entries, int bell, struct tresor__sys_ring **ring)
{
    (void)cookie;
    struct tresor__sys_ring *made = tresor__allocate(allocator, sizeof *made);
    if (!made)
        return -ENOMEM;
    made->allocator = *allocator;
    int result = init_with_flags(&made->ring, entries);
    if (result == 0) {
        result = has_operations(&made->ring) ? io_uring_register_eventfd(&made->ring, bell)
                                             : -ENOSYS;
        if (result == 0) {
            *ring = made;
            return 0;
        }
        io_uring_queue_exit(&made->ring);
    }
    tresor__free(allocator, made, sizeof *made);
    return result;
}

static void prepare(struct io_uring_sqe *place, const struct tresor__sys_ring_entry *entry)
{
    if (entry->kind == TRESOR__SYS_RING_CANCEL) {
        io_uring_prep_cancel64(place, entry->tag, 0);
        io_uring_sqe_set_data64(place, TAG_IGNORED);
        return;
    }
    /*
     * Made by the thread itself, 9 us for one of 2 MiB: a worker of the kernel's, which makes one that has to wait, takes the
     * processor from the thread that wakes it, and so held one dispatch in twenty for milliseconds.
     */
    uint32_t length = entry->length < LENGTH_MAX ? (uint32_t)entry->length : LENGTH_MAX;
    io_uring_prep_read(place, entry->descriptor, entry->address, length, entry->offset);
    io_uring_sqe_set_data64(place, entry->tag);
}

/*
 * What the kernel has not taken stays in the queue and would go with the next submit, so it is emptied: the caller may
 * do it otherwise by then.
 */
int64_t tresor__sys_ring_submit(void *cookie, struct tresor__sys_ring *ring,
                                const struct tresor__sys_ring_entry *entries, uint32_t count)
{
    struct io_uring_sqe *places[BATCH];
    uint32_t put = 0;
    (void)cookie;
    while (put < count && put < BATCH && (places[put] = io_uring_get_sqe(&ring->ring))) {
        prepare(places[put], &entries[put]);
        put++;
    }
    int result = io_uring_submit(&ring->ring);
    uint32_t gone = result > 0 ? (uint32_t)result : 0;
    uint32_t taken = gone > ring->void_count ? gone - ring->void_count : 0;
    for (uint32_t i = taken; i < put; i++) {
        io_uring_prep_nop(places[i]);
        io_uring_sqe_set_data64(places[i], TAG_IGNORED);
    }
    ring->void_count += put - gone;
    if (taken > 0)
        return taken;
    return result < 0 ? result : -EAGAIN;
}

int64_t tresor__sys_ring_reap(void *cookie, struct tresor__sys_ring *ring,
                              struct tresor__sys_ring_result *results, uint32_t limit)
{
    struct io_uring_cqe *found = NULL;
    uint32_t count = 0;
    (void)cookie;
    int result = io_uring_get_events(&ring->ring);
    while (count < limit && io_uring_peek_cqe(&ring->ring, &found) == 0) {
        uint64_t tag = io_uring_cqe_get_data64(found);
        if (tag != TAG_IGNORED)
            results[count++] = (struct tresor__sys_ring_result){tag, found->res};
        io_uring_cqe_seen(&ring->ring, found);
    }
    return count > 0 || result >= 0 ? (int64_t)count : result;
}

int64_t tresor__sys_ring_close(void *cookie, struct tresor__sys_ring *ring)
{
    struct tresor_allocator allocator = ring->allocator;
    (void)cookie;
    io_uring_queue_exit(&ring->ring);
    tresor__free(&allocator, ring, sizeof *ring);
    return 0;
}
