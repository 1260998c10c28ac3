/* SPDX-License-Identifier: MIT */
/* Rings of the faulty table: what is on them is written down, and what comes from them may be made worse. */
#include "support/faulty_inner.h"

#include <errno.h>
#include <inttypes.h>

int64_t faulty_ring_init(void *cookie, const struct tresor_allocator *allocator, uint32_t entries,
                         int bell, struct tresor__sys_ring **ring)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_RING_INIT, .descriptor = bell, .length = entries};
    int64_t result;
    faulty_need_open(faulty, FAULTY_RING_INIT, bell);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->ring_init(faulty->under->cookie, allocator, entries, bell, ring);
    faulty->ring_count += result >= 0;
    return result;
}

static struct faulty_ring_read *find(struct faulty_sys *faulty,
                                     const struct tresor__sys_ring *ring, uint64_t tag)
{
    for (uint32_t i = 0; i < faulty->ring_read_count; i++)
        if (faulty->ring_reads[i].ring == ring && faulty->ring_reads[i].tag == tag)
            return &faulty->ring_reads[i];
    return NULL;
}

static void forget(struct faulty_sys *faulty, struct faulty_ring_read *read)
{
    *read = faulty->ring_reads[--faulty->ring_read_count];
}

static void note_read(struct faulty_sys *faulty, const struct tresor__sys_ring *ring,
                      const struct tresor__sys_ring_entry *entry)
{
    uintptr_t start = (uintptr_t)entry->address;
    if (find(faulty, ring, entry->tag))
        faulty_violate(faulty, "two reads of tag %" PRIu64 " on one ring", entry->tag);
    else if (faulty->ring_read_count == FAULTY_RING_READS)
        faulty_violate(faulty, "more than %d reads on rings", FAULTY_RING_READS);
    else
        faulty->ring_reads[faulty->ring_read_count++] =
            (struct faulty_ring_read){.ring = ring,
                                      .tag = entry->tag,
                                      .descriptor = entry->descriptor,
                                      .range = {start, start + entry->length},
                                      .offset = entry->offset};
}

static void need_right(struct faulty_sys *faulty, const struct tresor__sys_ring *ring,
                       const struct tresor__sys_ring_entry *entry)
{
    if (entry->kind == TRESOR__SYS_RING_CANCEL) {
        if (!find(faulty, ring, entry->tag))
            faulty_violate(faulty, "a cancel of %" PRIu64 ", which is not on the ring", entry->tag);
        return;
    }
    faulty_need_open(faulty, FAULTY_RING_SUBMIT, entry->descriptor);
    struct range range = faulty_pages_of(faulty, entry->address, entry->length);
    if (!range_set_covers(&faulty->lent, range))
        faulty_need_mapped(faulty, FAULTY_RING_SUBMIT, range);
}

int64_t faulty_ring_submit(void *cookie, struct tresor__sys_ring *ring,
                           const struct tresor__sys_ring_entry *entries, uint32_t count)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_RING_SUBMIT, .length = count};
    int64_t result;
    for (uint32_t i = 0; i < count; i++)
        need_right(faulty, ring, &entries[i]);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result =
        faulty->under->ring_submit(faulty->under->cookie, ring, entries, (uint32_t)call.length);
    for (int64_t i = 0; i < result; i++)
        if (entries[i].kind == TRESOR__SYS_RING_READ)
            note_read(faulty, ring, &entries[i]);
    return result;
}

/* A read that failed or was shorter than it might have been. */
static void worsen(struct faulty_sys *faulty, const struct faulty_ring_read *read,
                   struct tresor__sys_ring_result *ended)
{
    struct faulty_call call = {.row = FAULTY_RING_RESULT,
                               .descriptor = read->descriptor,
                               .address = (const void *)read->range.start,
                               .length = ended->result > 0 ? (size_t)ended->result : 0,
                               .offset = read->offset};
    int64_t result;
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT) {
        ended->result = result;
        return;
    }
    if (ended->result <= 0)
        return;
    faulty->interrupted = faulty->reads == FAULTY_READS_INTERRUPTED && !faulty->interrupted;
    ended->result =
        faulty->interrupted ? -EINTR : (int64_t)faulty_shorten(faulty, call.length);
    faulty->read_bytes += ended->result > 0 ? (uint64_t)ended->result : 0;
}

int64_t faulty_ring_reap(void *cookie, struct tresor__sys_ring *ring,
                         struct tresor__sys_ring_result *results, uint32_t limit)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_RING_REAP, .length = limit};
    int64_t result;
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->ring_reap(faulty->under->cookie, ring, results, limit);
    for (int64_t i = 0; i < result; i++) {
        struct faulty_ring_read *read = find(faulty, ring, results[i].tag);
        if (!read) {
            faulty_violate(faulty, "a result for %" PRIu64 ", which is not on the ring",
                           results[i].tag);
            continue;
        }
        worsen(faulty, read, &results[i]);
        forget(faulty, read);
    }
    return result;
}

/* A close that failed has still closed. What is on it is the kernel's, which keeps its memory. */
int64_t faulty_ring_close(void *cookie, struct tresor__sys_ring *ring)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_RING_CLOSE};
    int64_t result;
    enum faulty_verdict verdict = faulty_decide(faulty, &call, &result);
    if (verdict == FAULTY_LOSE)
        return result;
    for (uint32_t i = faulty->ring_read_count; i-- > 0;)
        if (faulty->ring_reads[i].ring == ring)
            forget(faulty, &faulty->ring_reads[i]);
    faulty->ring_count--;
    int64_t closed = faulty->under->ring_close(faulty->under->cookie, ring);
    return verdict == FAULTY_FAIL ? result : closed;
}

/* A fake system's files have one descriptor each, however often they are open. */
void faulty_ring_need_none_of(struct faulty_sys *faulty, int descriptor)
{
    uint32_t opens = 0;
    for (uint32_t i = 0; i < faulty->descriptor_count; i++)
        opens += faulty->descriptors[i] == descriptor;
    if (opens > 1)
        return;
    for (uint32_t i = 0; i < faulty->ring_read_count; i++)
        if (faulty->ring_reads[i].descriptor == descriptor)
            faulty_violate(faulty, "a close of descriptor %d, which a ring reads", descriptor);
}

void faulty_ring_need_none_in(struct faulty_sys *faulty, enum faulty_row row, struct range range)
{
    for (uint32_t i = 0; i < faulty->ring_read_count; i++)
        if (faulty->ring_reads[i].range.start < range.end &&
            range.start < faulty->ring_reads[i].range.end)
            faulty_violate(faulty, "%s over memory that a ring reads to", faulty_row_name(row));
}
