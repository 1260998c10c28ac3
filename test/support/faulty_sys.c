/* SPDX-License-Identifier: MIT */
#include "support/faulty_inner.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHORT_ONCE_IN = 8 };

/* The first thing that went wrong tells most. */
void faulty_violate(struct faulty_sys *faulty, const char *format, ...)
{
    va_list arguments;
    if (faulty->violation[0])
        return;
    va_start(arguments, format);
    vsnprintf(faulty->violation, sizeof faulty->violation, format, arguments);
    va_end(arguments);
}

/* --- which calls fail --- */

static bool is_planned(const struct faulty_sys *faulty, enum faulty_row row)
{
    const struct faulty_plan *plan = &faulty->plan;
    uint64_t number = plan->row == FAULTY_ANY ? faulty->total : faulty->counts[row];
    if (plan->nth == 0 || (plan->row != FAULTY_ANY && plan->row != row))
        return false;
    return plan->persistent ? number >= plan->nth : number == plan->nth;
}

static int32_t planned_errno(const struct faulty_plan *plan, enum faulty_row row)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(row, &count);
    return plan->os_errno ? plan->os_errno : errors[plan->choice % count];
}

enum faulty_verdict faulty_decide(struct faulty_sys *faulty, struct faulty_call *call,
                                  int64_t *result)
{
    faulty->total++;
    call->number = ++faulty->counts[call->row];
    int32_t os_errno = 0;
    if (is_planned(faulty, call->row)) {
        faulty->injected++;
        *result = 0;
        if (faulty->plan.lost)
            return FAULTY_LOSE;
        os_errno = planned_errno(&faulty->plan, call->row);
    } else if (faulty->judge) {
        os_errno = faulty->judge(faulty->judge_cookie, call);
        faulty->injected += os_errno != 0;
    }
    *result = -os_errno;
    return os_errno ? FAULTY_FAIL : FAULTY_CARRY_OUT;
}

/* --- the books --- */

static size_t page_size(const struct faulty_sys *faulty)
{
    return (size_t)faulty->under->page_bytes(faulty->under->cookie);
}

struct range faulty_pages_of(const struct faulty_sys *faulty, const void *address, size_t length)
{
    uintptr_t page = page_size(faulty);
    uintptr_t start = (uintptr_t)address / page * page;
    uintptr_t end = ((uintptr_t)address + length + page - 1) / page * page;
    return (struct range){start, end};
}

static bool is_open(const struct faulty_sys *faulty, int descriptor)
{
    for (uint32_t i = 0; i < faulty->descriptor_count; i++)
        if (faulty->descriptors[i] == descriptor)
            return true;
    return false;
}

void faulty_need_open(struct faulty_sys *faulty, enum faulty_row row, int descriptor)
{
    if (!is_open(faulty, descriptor))
        faulty_violate(faulty, "%s of descriptor %d, which is not open", faulty_row_name(row), descriptor);
}

static void note_open(struct faulty_sys *faulty, int64_t descriptor)
{
    if (faulty->descriptor_count == FAULTY_DESCRIPTORS)
        faulty_violate(faulty, "more than %d descriptors open", FAULTY_DESCRIPTORS);
    else
        faulty->descriptors[faulty->descriptor_count++] = (int)descriptor;
}

static void note_closed(struct faulty_sys *faulty, int descriptor)
{
    for (uint32_t i = 0; i < faulty->descriptor_count; i++) {
        if (faulty->descriptors[i] != descriptor)
            continue;
        faulty->descriptors[i] = faulty->descriptors[--faulty->descriptor_count];
        return;
    }
}

void faulty_need_mapped(struct faulty_sys *faulty, enum faulty_row row, struct range range)
{
    if (!range_set_covers(&faulty->mapped, range))
        faulty_violate(faulty, "%s of %zu bytes that are not all mapped", faulty_row_name(row),
                (size_t)(range.end - range.start));
}

/* Rows are called on workers too, so one call is made, and written down, at a time. */
struct faulty_sys *faulty_enter(void *cookie)
{
    struct faulty_sys *faulty = cookie;
    pthread_mutex_lock(&faulty->lock);
    return faulty;
}

void faulty_leave(struct faulty_sys **faulty)
{
    pthread_mutex_unlock(&(*faulty)->lock);
}

/* --- rows --- */

static int64_t open_file(void *cookie, const char *path)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_OPEN_FILE, .path = path};
    int64_t result;
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->open_file(faulty->under->cookie, path);
    if (result >= 0)
        note_open(faulty, result);
    return result;
}

static bool is_shown(const struct faulty_sys *faulty, int descriptor)
{
    for (uint32_t i = 0; i < faulty->host_descriptor_count; i++)
        if (faulty->host_descriptors[i] == descriptor)
            return true;
    return false;
}

static int64_t duplicate(void *cookie, int descriptor)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_DUPLICATE, .descriptor = descriptor};
    int64_t result;
    if (!is_shown(faulty, descriptor))
        faulty_violate(faulty, "a descriptor was duplicated that is not the host's");
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return faulty->plan.lost ? -EBADF : result;
    result = faulty->under->duplicate(faulty->under->cookie, descriptor);
    if (result >= 0)
        note_open(faulty, result);
    return result;
}

static int64_t open_by(void *cookie, const char *path, uint32_t flags)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_OPEN_BY, .path = path, .kind = (int)flags};
    int64_t result;
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->open_by(faulty->under->cookie, path, flags);
    if (result >= 0)
        note_open(faulty, result);
    return result;
}

static int64_t open_direct(void *cookie, int descriptor)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_OPEN_DIRECT, .descriptor = descriptor};
    int64_t result;
    faulty_need_open(faulty, FAULTY_OPEN_DIRECT, descriptor);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return faulty->plan.lost ? -EINVAL : result;
    result = faulty->under->open_direct(faulty->under->cookie, descriptor);
    if (result >= 0)
        note_open(faulty, result);
    return result;
}

/* A close that failed has still closed. */
static int64_t close_descriptor(void *cookie, int descriptor)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_CLOSE, .descriptor = descriptor};
    int64_t result;
    enum faulty_verdict verdict = faulty_decide(faulty, &call, &result);
    faulty_need_open(faulty, FAULTY_CLOSE, descriptor);
    faulty_ring_need_none_of(faulty, descriptor);
    if (verdict == FAULTY_LOSE)
        return result;
    note_closed(faulty, descriptor);
    int64_t closed = faulty->under->close(faulty->under->cookie, descriptor);
    return verdict == FAULTY_FAIL ? result : closed;
}

static int64_t stat_file(void *cookie, int descriptor, struct tresor__sys_stat *stat)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_STAT, .descriptor = descriptor};
    int64_t result;
    faulty_need_open(faulty, FAULTY_STAT, descriptor);
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->stat(faulty->under->cookie, descriptor, stat)
               : result;
}

static uint64_t random_below(struct faulty_sys *faulty, uint64_t limit)
{
    faulty->seed = faulty->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (faulty->seed >> 33) % limit;
}

size_t faulty_shorten(struct faulty_sys *faulty, size_t length)
{
    switch (faulty->reads) {
    case FAULTY_READS_BYTE:
        return length < 1 ? length : 1;
    case FAULTY_READS_HALF:
        return (length + 1) / 2;
    case FAULTY_READS_SOME:
        if (random_below(faulty, SHORT_ONCE_IN) > 0)
            return length;
        return length < 1 ? length : 1 + (size_t)random_below(faulty, length);
    case FAULTY_READS_RANDOM:
        return length < 1 ? length : 1 + (size_t)random_below(faulty, length);
    default:
        return length;
    }
}

typedef int64_t reading(void *cookie, int descriptor, void *address, size_t length,
                        uint64_t offset);

static int64_t read_by(struct faulty_sys *faulty, enum faulty_row row, reading *read,
                       int descriptor, void *address, size_t length, uint64_t offset)
{
    struct faulty_call call = {.row = row,
                               .descriptor = descriptor,
                               .address = address,
                               .length = length,
                               .offset = offset};
    int64_t result;
    faulty_need_open(faulty, row, descriptor);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    faulty->interrupted = faulty->reads == FAULTY_READS_INTERRUPTED && !faulty->interrupted;
    if (faulty->interrupted)
        return -EINTR;
    result = read(faulty->under->cookie, descriptor, address, call.length, offset);
    if (result <= 0)
        return result;
    /* The answer is cut short, not the question: that of a direct read has to stay aligned. */
    result = (int64_t)faulty_shorten(faulty, (size_t)result);
    faulty->read_bytes += (uint64_t)result;
    return result;
}

static int64_t read_file(void *cookie, int descriptor, void *address, size_t length, uint64_t offset)
{
    FAULTY_ENTER(faulty, cookie);
    return read_by(faulty, FAULTY_READ, faulty->under->read, descriptor, address, length, offset);
}

/* Of an answer that is cut short no more is written. */
static int64_t write_file(void *cookie, int descriptor, const void *address, size_t length,
                          uint64_t offset)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_WRITE,
                               .descriptor = descriptor,
                               .address = address,
                               .length = length,
                               .offset = offset};
    int64_t result;
    faulty_need_open(faulty, FAULTY_WRITE, descriptor);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    return faulty->under->write(faulty->under->cookie, descriptor, address,
                                faulty_shorten(faulty, call.length), offset);
}

static int64_t read_cached(void *cookie, int descriptor, void *address, size_t length,
                           uint64_t offset)
{
    FAULTY_ENTER(faulty, cookie);
    return read_by(faulty, FAULTY_READ_CACHED, faulty->under->read_cached, descriptor, address,
                   length, offset);
}

/* What was mapped or locked at a fixed place is replaced, and refused no more. */
static int64_t map(void *cookie, enum tresor__sys_map kind, void *address, size_t length,
                   int descriptor, uint64_t offset, void **mapped)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_MAP,
                               .descriptor = descriptor,
                               .address = address,
                               .length = length,
                               .offset = offset,
                               .kind = (int)kind};
    int64_t result;
    bool is_hole = kind == TRESOR__SYS_MAP_FILE_HOLE || kind == TRESOR__SYS_MAP_ANONYMOUS_HOLE;
    if (kind == TRESOR__SYS_MAP_FILE || kind == TRESOR__SYS_MAP_FILE_HOLE)
        faulty_need_open(faulty, FAULTY_MAP, descriptor);
    if (address && !is_hole)
        faulty_need_mapped(faulty, FAULTY_MAP, faulty_pages_of(faulty, address, length));
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->map(faulty->under->cookie, kind, address, length, descriptor, offset,
                                mapped);
    if (result < 0)
        return result;
    struct range range = faulty_pages_of(faulty, *mapped, length);
    faulty_ring_need_none_in(faulty, FAULTY_MAP, range);
    if ((!address || is_hole) && range_set_touches(&faulty->mapped, range))
        faulty_violate(faulty, "the system mapped %zu bytes where something is", length);
    range_set_add(&faulty->mapped, range);
    range_set_remove(&faulty->locked, range);
    range_set_remove(&faulty->refused, range);
    return result;
}

static int64_t unmap(void *cookie, void *address, size_t length)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_UNMAP, .address = address, .length = length};
    struct range range = faulty_pages_of(faulty, address, length);
    int64_t result;
    faulty_need_mapped(faulty, FAULTY_UNMAP, range);
    faulty_ring_need_none_in(faulty, FAULTY_UNMAP, range);
    enum faulty_verdict verdict = faulty_decide(faulty, &call, &result);
    if (verdict == FAULTY_CARRY_OUT)
        result = faulty->under->unmap(faulty->under->cookie, address, length);
    if (verdict != FAULTY_LOSE && result < 0)
        range_set_add(&faulty->refused, range);
    if (verdict != FAULTY_CARRY_OUT || result < 0)
        return result;
    range_set_remove(&faulty->mapped, range);
    range_set_remove(&faulty->locked, range);
    range_set_remove(&faulty->refused, range);
    return result;
}

static int64_t protect(void *cookie, void *address, size_t length, bool reachable)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {
        .row = FAULTY_PROTECT, .address = address, .length = length, .kind = reachable};
    int64_t result;
    faulty_need_mapped(faulty, FAULTY_PROTECT, faulty_pages_of(faulty, address, length));
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->protect(faulty->under->cookie, address, length, reachable)
               : result;
}

/* What was at the target is gone with its locks, also where the move fails and has unmapped it. */
static int64_t move_pages(void *cookie, void *from, void *to, size_t length)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {
        .row = FAULTY_MOVE_PAGES, .address = from, .target = to, .length = length};
    struct range target = faulty_pages_of(faulty, to, length);
    int64_t result;
    faulty_need_mapped(faulty, FAULTY_MOVE_PAGES, faulty_pages_of(faulty, from, length));
    faulty_need_mapped(faulty, FAULTY_MOVE_PAGES, target);
    faulty_ring_need_none_in(faulty, FAULTY_MOVE_PAGES, target);
    faulty_ring_need_none_in(faulty, FAULTY_MOVE_PAGES, faulty_pages_of(faulty, from, length));
    if (range_set_touches(&faulty->locked, target))
        faulty_violate(faulty, "pages are moved over locked ones");
    enum faulty_verdict verdict = faulty_decide(faulty, &call, &result);
    if (verdict == FAULTY_FAIL && faulty->moves_unmap &&
        faulty->under->unmap(faulty->under->cookie, to, length) == 0)
        range_set_remove(&faulty->mapped, target);
    return verdict == FAULTY_CARRY_OUT
               ? faulty->under->move_pages(faulty->under->cookie, from, to, length)
               : result;
}

static int64_t advise_memory(void *cookie, void *address, size_t length,
                             enum tresor__sys_memory_advice advice)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {
        .row = FAULTY_ADVISE_MEMORY, .address = address, .length = length, .kind = (int)advice};
    int64_t result;
    struct range range = faulty_pages_of(faulty, address, length);
    /* Memory of the host's own may be populated too. */
    if (advice != TRESOR__SYS_POPULATE_WRITE || range_set_touches(&faulty->mapped, range))
        faulty_need_mapped(faulty, FAULTY_ADVISE_MEMORY, range);
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->advise_memory(faulty->under->cookie, address, length, advice)
               : result;
}

static int64_t advise_file(void *cookie, int descriptor, uint64_t offset, uint64_t length,
                           enum tresor__sys_file_advice advice)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_ADVISE_FILE,
                               .descriptor = descriptor,
                               .length = (size_t)length,
                               .offset = offset,
                               .kind = (int)advice};
    int64_t result;
    faulty_need_open(faulty, FAULTY_ADVISE_FILE, descriptor);
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->advise_file(faulty->under->cookie, descriptor, offset, length,
                                            advice)
               : result;
}

static int64_t cached_bytes(void *cookie, int descriptor, uint64_t offset, uint64_t length,
                            uint64_t *bytes)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_CACHED_BYTES,
                               .descriptor = descriptor,
                               .length = (size_t)length,
                               .offset = offset};
    int64_t result;
    faulty_need_open(faulty, FAULTY_CACHED_BYTES, descriptor);
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->cached_bytes(faulty->under->cookie, descriptor, offset, length,
                                             bytes)
               : result;
}

static int64_t readahead_bytes(void *cookie, uint64_t device, uint64_t *bytes)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_READAHEAD_BYTES};
    int64_t result;
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->readahead_bytes(faulty->under->cookie, device, bytes)
               : result;
}

static int64_t read_text(void *cookie, const char *path, char *text, size_t size_bytes)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_READ_TEXT, .path = path};
    int64_t result;
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->read_text(faulty->under->cookie, path, text, size_bytes)
               : result;
}

static int64_t place_memory(void *cookie, void *address, size_t length,
                            enum tresor__sys_placement placement, uint64_t nodes)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {
        .row = FAULTY_PLACE_MEMORY, .address = address, .length = length, .kind = (int)placement};
    int64_t result;
    faulty_need_mapped(faulty, FAULTY_PLACE_MEMORY, faulty_pages_of(faulty, address, length));
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->place_memory(faulty->under->cookie, address, length, placement,
                                             nodes)
               : result;
}

static int64_t watch_open(void *cookie, enum tresor__sys_watch_kind kind, const char *path,
                          const char *trigger)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_WATCH_OPEN, .path = path, .kind = (int)kind};
    int64_t result;
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->watch_open(faulty->under->cookie, kind, path, trigger);
    if (result >= 0)
        note_open(faulty, result);
    return result;
}

/* Always on a thread of its own, which may sleep. */
static int64_t watch_wait(void *cookie, struct tresor__sys_watch *watches, uint32_t count)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_WATCH_WAIT};
    int64_t result;
    for (uint32_t i = 0; i < count; i++)
        if (watches[i].descriptor >= 0)
            faulty_need_open(faulty, FAULTY_WATCH_WAIT, watches[i].descriptor);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    pthread_mutex_unlock(&faulty->lock);
    result = faulty->under->watch_wait(faulty->under->cookie, watches, count);
    pthread_mutex_lock(&faulty->lock);
    return result;
}

/* --- guards --- */

static int64_t guard_open(void *cookie)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_GUARD_OPEN};
    int64_t result;
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->guard_open(faulty->under->cookie);
    faulty->guards += result == 0;
    return result;
}

static int64_t guard_close(void *cookie)
{
    FAULTY_ENTER(faulty, cookie);
    if (faulty->guards == 0 || (faulty->guards == 1 && faulty->guard_ranges > 0))
        faulty_violate(faulty, "guard_close with %u guards and %u ranges", faulty->guards,
                       faulty->guard_ranges);
    faulty->guards--;
    return faulty->under->guard_close(faulty->under->cookie);
}

/* All that is guarded is mapped for as long as it is. */
static int64_t guard_add(void *cookie, struct tresor__guard_range *range)
{
    FAULTY_ENTER(faulty, cookie);
    struct range place = {range->start, range->start + range->length_bytes};
    if (faulty->guards == 0 || !range_set_covers(&faulty->mapped, place))
        faulty_violate(faulty, "guard_add of %zu bytes with %u guards", (size_t)range->length_bytes,
                       faulty->guards);
    faulty_need_open(faulty, FAULTY_STAT, range->descriptor);
    faulty->guard_ranges++;
    return faulty->under->guard_add(faulty->under->cookie, range);
}

static int64_t guard_remove(void *cookie, struct tresor__guard_range *range)
{
    FAULTY_ENTER(faulty, cookie);
    struct range place = {range->start, range->start + range->length_bytes};
    if (faulty->guard_ranges == 0 || !range_set_covers(&faulty->mapped, place))
        faulty_violate(faulty, "guard_remove of what is not mapped, of %u ranges", faulty->guard_ranges);
    faulty->guard_ranges--;
    return faulty->under->guard_remove(faulty->under->cookie, range);
}

/* --- views --- */

static int64_t map_view(void *cookie, const struct tresor__sys_view *view, void **mapped)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_MAP_VIEW,
                               .descriptor = view->descriptor,
                               .length = view->length,
                               .offset = view->offset,
                               .kind = (int)view->flags};
    int64_t result;
    if (view->descriptor >= 0)
        faulty_need_open(faulty, FAULTY_MAP_VIEW, view->descriptor);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->map_view(faulty->under->cookie, view, mapped);
    if (result >= 0)
        range_set_add(&faulty->mapped, faulty_pages_of(faulty, *mapped, view->length));
    return result;
}

static int64_t sync_memory(void *cookie, void *address, size_t length, bool is_waited)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {
        .row = FAULTY_SYNC_MEMORY, .address = address, .length = length, .kind = is_waited};
    int64_t result;
    faulty_need_mapped(faulty, FAULTY_SYNC_MEMORY, faulty_pages_of(faulty, address, length));
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->sync_memory(faulty->under->cookie, address, length, is_waited)
               : result;
}

static int64_t resident_bytes(void *cookie, int descriptor, void *address, size_t length,
                              uint64_t *bytes)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_RESIDENT_BYTES,
                               .descriptor = descriptor,
                               .address = address,
                               .length = length};
    int64_t result;
    faulty_need_mapped(faulty, FAULTY_RESIDENT_BYTES, faulty_pages_of(faulty, address, length));
    if (descriptor >= 0)
        faulty_need_open(faulty, FAULTY_RESIDENT_BYTES, descriptor);
    return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT
               ? faulty->under->resident_bytes(faulty->under->cookie, descriptor, address, length,
                                               bytes)
               : result;
}

static int64_t lock(void *cookie, const void *address, size_t length)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_LOCK, .address = address, .length = length};
    struct range range = faulty_pages_of(faulty, address, length);
    int64_t result;
    faulty_need_mapped(faulty, FAULTY_LOCK, range);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->lock(faulty->under->cookie, address, length);
    if (result >= 0)
        range_set_add(&faulty->locked, range);
    return result;
}

static int64_t unlock(void *cookie, const void *address, size_t length)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_UNLOCK, .address = address, .length = length};
    struct range range = faulty_pages_of(faulty, address, length);
    int64_t result;
    faulty_need_mapped(faulty, FAULTY_UNLOCK, range);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->unlock(faulty->under->cookie, address, length);
    if (result >= 0)
        range_set_remove(&faulty->locked, range);
    return result;
}

/* Rows that change nothing in the books. */
#define PLAIN_ROW(function, row_name, parameters, arguments)                                       \
    static int64_t function parameters                                                             \
    {                                                                                              \
        FAULTY_ENTER(faulty, cookie);                                                                     \
        struct faulty_call call = {.row = row_name};                                               \
        int64_t result;                                                                            \
        return faulty_decide(faulty, &call, &result) == FAULTY_CARRY_OUT ? faulty->under->function arguments     \
                                                           : result;                               \
    }

PLAIN_ROW(lock_limit, FAULTY_LOCK_LIMIT, (void *cookie, uint64_t *limit_bytes),
          (faulty->under->cookie, limit_bytes))
PLAIN_ROW(locked, FAULTY_LOCKED, (void *cookie, uint64_t *locked_bytes),
          (faulty->under->cookie, locked_bytes))
PLAIN_ROW(direct_alignment, FAULTY_DIRECT_ALIGNMENT,
          (void *cookie, int descriptor, uint32_t *alignment_bytes),
          (faulty->under->cookie, descriptor, alignment_bytes))
PLAIN_ROW(random, FAULTY_RANDOM, (void *cookie, void *bytes, size_t length),
          (faulty->under->cookie, bytes, length))
PLAIN_ROW(max_maps, FAULTY_MAX_MAPS, (void *cookie), (faulty->under->cookie))
PLAIN_ROW(page_bytes, FAULTY_PAGE_BYTES, (void *cookie), (faulty->under->cookie))
PLAIN_ROW(bell_ring, FAULTY_BELL_RING, (void *cookie, int descriptor),
          (faulty->under->cookie, descriptor))
PLAIN_ROW(word_wake, FAULTY_WORD_WAKE, (void *cookie, const _Atomic uint32_t *word),
          (faulty->under->cookie, word))
PLAIN_ROW(bell_clear, FAULTY_BELL_CLEAR, (void *cookie, int descriptor),
          (faulty->under->cookie, descriptor))

static int64_t bell_open(void *cookie, int descriptors[2])
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_BELL_OPEN};
    int64_t result;
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    result = faulty->under->bell_open(faulty->under->cookie, descriptors);
    if (result >= 0)
        note_open(faulty, descriptors[0]);
    if (result >= 0 && descriptors[1] != descriptors[0])
        note_open(faulty, descriptors[1]);
    return result;
}

/*
 * Nobody sleeps in a test: a wait with nobody else to ring takes its time on the table's own clock. Only workers are
 * waited for.
 */
static int64_t bell_wait(void *cookie, int descriptor, int32_t timeout_ms)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_BELL_WAIT, .descriptor = descriptor};
    int64_t result;
    faulty->clock_ms += timeout_ms > 0 ? timeout_ms : 0;
    faulty_need_open(faulty, FAULTY_BELL_WAIT, descriptor);
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    if (!faulty->has_workers)
        return faulty->under->bell_wait(faulty->under->cookie, descriptor, 0);
    pthread_mutex_unlock(&faulty->lock);
    result = faulty->under->bell_wait(faulty->under->cookie, descriptor, timeout_ms);
    pthread_mutex_lock(&faulty->lock);
    return result;
}

/* The same: where there are no workers it takes its time on the table's own clock. */
static int64_t word_wait(void *cookie, const _Atomic uint32_t *word, uint32_t value,
                         int32_t timeout_ms)
{
    FAULTY_ENTER(faulty, cookie);
    struct faulty_call call = {.row = FAULTY_WORD_WAIT};
    int64_t result;
    if (faulty_decide(faulty, &call, &result) != FAULTY_CARRY_OUT)
        return result;
    if (faulty->has_workers) {
        pthread_mutex_unlock(&faulty->lock);
        result = faulty->under->word_wait(faulty->under->cookie, word, value, timeout_ms);
        pthread_mutex_lock(&faulty->lock);
    } else {
        result = atomic_load(word) == value ? -ETIMEDOUT : -EAGAIN;
    }
    faulty->clock_ms += result == -ETIMEDOUT && timeout_ms > 0 ? timeout_ms : 0;
    return result;
}

static int64_t now_ms(void *cookie)
{
    enum { NS_PER_MS = 1000000 };
    FAULTY_ENTER(faulty, cookie);
    return faulty->clock_ns ? (int64_t)(*faulty->clock_ns / NS_PER_MS) : faulty->clock_ms++;
}

void faulty_sys_init(struct faulty_sys *faulty, const struct tresor__sys *under)
{
    memset(faulty, 0, sizeof *faulty);
    faulty->under = under;
    faulty->lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    faulty->sys = (struct tresor__sys){
        .cookie = faulty,
        .open_file = open_file,
        .duplicate = duplicate,
        .open_direct = open_direct,
        .close = close_descriptor,
        .stat = stat_file,
        .direct_alignment = direct_alignment,
        .read = read_file,
        .read_cached = read_cached,
        .map = map,
        .unmap = unmap,
        .move_pages = move_pages,
        .max_maps = max_maps,
        .protect = protect,
        .advise_memory = advise_memory,
        .advise_file = advise_file,
        .cached_bytes = cached_bytes,
        .readahead_bytes = readahead_bytes,
        .lock = lock,
        .unlock = unlock,
        .lock_limit = lock_limit,
        .locked = locked,
        .random = random,
        .page_bytes = page_bytes,
        .now_ms = now_ms,
        .bell_open = bell_open,
        .bell_ring = bell_ring,
        .bell_clear = bell_clear,
        .bell_wait = bell_wait,
        .word_wait = word_wait,
        .word_wake = word_wake,
        .ring_init = faulty_ring_init,
        .ring_submit = faulty_ring_submit,
        .ring_reap = faulty_ring_reap,
        .ring_close = faulty_ring_close,
        .read_text = read_text,
        .place_memory = place_memory,
        .watch_open = watch_open,
        .watch_wait = watch_wait,
        .guard_open = guard_open,
        .guard_close = guard_close,
        .guard_add = guard_add,
        .guard_remove = guard_remove,
        .open_by = open_by,
        .write = write_file,
        .map_view = map_view,
        .sync_memory = sync_memory,
        .resident_bytes = resident_bytes,
    };
}

static bool refuses_unmaps_for_good(const struct faulty_sys *faulty)
{
    const struct faulty_plan *plan = &faulty->plan;
    return faulty->refusals_stay ||
           (plan->persistent && (plan->row == FAULTY_UNMAP || plan->row == FAULTY_ANY));
}

const char *faulty_sys_check(struct faulty_sys *faulty)
{
    struct range_set *mapped = &faulty->mapped;
    size_t residue = 0;
    for (size_t i = 0; i < mapped->count; i++) {
        bool is_tolerated = refuses_unmaps_for_good(faulty) &&
                            range_set_covers(&faulty->refused, mapped->ranges[i]);
        residue += is_tolerated ? 0 : mapped->ranges[i].end - mapped->ranges[i].start;
    }
    if (faulty->descriptor_count > 0)
        faulty_violate(faulty, "held: %u descriptors", faulty->descriptor_count);
    if (faulty->ring_count > 0)
        faulty_violate(faulty, "held: %u rings", faulty->ring_count);
    if (faulty->guards > 0 || faulty->guard_ranges > 0)
        faulty_violate(faulty, "held: %u guards, %u ranges", faulty->guards, faulty->guard_ranges);
    if (residue > 0)
        faulty_violate(faulty, "held: %zu mapped bytes", residue);
    for (size_t i = 0; i < faulty->locked.count; i++)
        if (!range_set_covers(&faulty->refused, faulty->locked.ranges[i]))
            faulty_violate(faulty, "held: %zu locked bytes", range_set_bytes(&faulty->locked));
    return faulty->violation[0] ? faulty->violation : NULL;
}

void faulty_sys_lend(struct faulty_sys *faulty, const void *address, size_t length)
{
    pthread_mutex_lock(&faulty->lock);
    range_set_add(&faulty->lent, faulty_pages_of(faulty, address, length));
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_sys_take_back(struct faulty_sys *faulty, const void *address, size_t length)
{
    pthread_mutex_lock(&faulty->lock);
    range_set_remove(&faulty->lent, faulty_pages_of(faulty, address, length));
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_sys_show(struct faulty_sys *faulty, int descriptor, bool handed_over)
{
    pthread_mutex_lock(&faulty->lock);
    if (!is_shown(faulty, descriptor) && faulty->host_descriptor_count < FAULTY_DESCRIPTORS)
        faulty->host_descriptors[faulty->host_descriptor_count++] = descriptor;
    if (handed_over)
        note_open(faulty, descriptor);
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_sys_hide(struct faulty_sys *faulty, int descriptor)
{
    pthread_mutex_lock(&faulty->lock);
    note_closed(faulty, descriptor);
    pthread_mutex_unlock(&faulty->lock);
}

void faulty_sys_clean(struct faulty_sys *faulty)
{
    const struct tresor__sys *under = faulty->under;
    for (uint32_t i = 0; i < faulty->descriptor_count; i++)
        under->close(under->cookie, faulty->descriptors[i]);
    for (size_t i = 0; i < faulty->mapped.count; i++)
        under->unmap(under->cookie, (void *)faulty->mapped.ranges[i].start,
                     faulty->mapped.ranges[i].end - faulty->mapped.ranges[i].start);
    faulty->descriptor_count = 0;
    faulty->mapped.count = 0;
    faulty->locked.count = 0;
    faulty->refused.count = 0;
}
