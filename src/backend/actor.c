/* SPDX-License-Identifier: MIT */
#include "backend/actor.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <tresor/numa.h>
#include <tresor/strategy.h>

#include "backend/origins.h"
#include "core/facts.h"
#include "core/guard.h"

enum {
    HUGE_PAGE_BYTES = 2 * 1024 * 1024,
    SCRATCH_BYTES = 64 * 1024,
    PROBE_BYTES_MIN = 512,
    PROBE_BYTES_MAX = 4096,
    CACHED_STEP_BYTES = 256 * 1024,
    SAMPLES = 32,
};

/* A row each of the effects below answers: 0 or more is the completion's value, less is -errno. */
typedef int64_t actor(const struct tresor__sys *sys, const struct tresor__effect *effect);

/* Where the system does not tell the alignment, a read finds out; more than a page suits nobody here. */
static int64_t probe_alignment(const struct tresor__sys *sys, int descriptor,
                               uint32_t *alignment_bytes)
{
    _Alignas(PROBE_BYTES_MAX) char scratch[PROBE_BYTES_MAX];
    int64_t result = -EINVAL;
    for (uint32_t bytes = PROBE_BYTES_MIN; bytes <= PROBE_BYTES_MAX && result < 0; bytes *= 2) {
        *alignment_bytes = bytes;
        result = sys->read(sys->cookie, descriptor, scratch, bytes, 0);
    }
    return result < 0 ? result : 0;
}

static int64_t judge_direct(const struct tresor__sys *sys, const struct tresor__effect *effect,
                            int descriptor, uint32_t *alignment_bytes)
{
    struct tresor__sys_stat first;
    struct tresor__sys_stat again;
    int64_t result = sys->stat(sys->cookie, effect->descriptor, &first);
    if (result == 0)
        result = sys->stat(sys->cookie, descriptor, &again);
    if (result == 0 && (first.device != again.device || first.inode != again.inode))
        result = -ESTALE;
    if (result == 0)
        result = sys->direct_alignment(sys->cookie, descriptor, alignment_bytes);
    if (result == -ENOSYS)
        result = probe_alignment(sys, descriptor, alignment_bytes);
    return result;
}

static int64_t act_open_direct(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    struct tresor__direct_facts *facts = effect->record;
    if (!tresor__effect_has_file(effect))
        return -EOPNOTSUPP;
    int64_t descriptor = sys->open_direct(sys->cookie, effect->descriptor);
    if (descriptor < 0)
        return descriptor;
    int64_t result = judge_direct(sys, effect, (int)descriptor, &facts->alignment_bytes);
    if (result == 0)
        return descriptor;
    sys->close(sys->cookie, (int)descriptor);
    return result;
}

static int64_t act_stat(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    struct tresor__sys_stat stat;
    int64_t result = tresor__origin_stat(sys, effect, &stat);
    if (result < 0)
        return result;
    *(struct tresor__identity *)effect->record = (struct tresor__identity){
        .device = stat.device,
        .inode = stat.inode,
        .size_bytes = stat.size_bytes,
        .modified_ns = stat.modified_ns,
        .changed_ns = stat.changed_ns,
    };
    return 0;
}

static int64_t act_work(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    (void)sys;
    return effect->work(effect->record);
}

/* Reserves a huge page more than asked for, and gives back what does not fit the alignment. */
static int64_t reserve(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    bool writable = effect->flags & TRESOR__RESERVE_WRITABLE;
    size_t length = (size_t)effect->length;
    size_t slack = writable ? 0 : HUGE_PAGE_BYTES;
    void *place = NULL;
    int64_t result =
        sys->map(sys->cookie, writable ? TRESOR__SYS_MAP_ANONYMOUS : TRESOR__SYS_MAP_RESERVE, NULL,
                 length + slack, -1, 0, &place);
    if (result < 0 || slack == 0)
        return result < 0 ? result : (int64_t)(uintptr_t)place;
    uintptr_t base = ((uintptr_t)place + slack - 1) / slack * slack;
    size_t before = base - (uintptr_t)place;
    int64_t head = before > 0 ? sys->unmap(sys->cookie, place, before) : 0;
    int64_t tail = sys->unmap(sys->cookie, (void *)(base + length), slack - before);
    if (head == 0 && tail == 0)
        return (int64_t)base;
    /* Where one could not be cut the rest is given back, but never what is gone: it may be another thread's by now. */
    uintptr_t start = head == 0 ? base : (uintptr_t)place;
    uintptr_t end = tail == 0 ? base + length : (uintptr_t)place + length + slack;
    sys->unmap(sys->cookie, (void *)start, end - start);
    return head < 0 ? head : tail;
}

static int64_t act_reserve(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    struct tresor__guard_range *range = effect->record;
    int64_t base = reserve(sys, effect);
    if (base < 0 || !range)
        return base;
    range->start = (uintptr_t)base;
    range->is_guarded = sys->guard_add(sys->cookie, range) == 0;
    return base;
}

/* It may be asked again, where it is refused. */
static int64_t act_release(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    struct tresor__guard_range *range = effect->record;
    if (range && range->is_guarded)
        sys->guard_remove(sys->cookie, range);
    if (range)
        range->is_guarded = false;
    return sys->unmap(sys->cookie, effect->address, (size_t)effect->length);
}

/*
 * What is about to be loaded must be the file that was opened. A rename or a link changes its change time, so that is
 * not compared; where the file has only become shorter, the load itself will find which bytes are missing.
 */
static int64_t check_identity(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    const struct tresor__identity *known = effect->record;
    struct tresor__sys_stat stat;
    int64_t result = tresor__origin_stat(sys, effect, &stat);
    if (result < 0)
        return result;
    bool same = stat.device == known->device && stat.inode == known->inode &&
                stat.size_bytes == known->size_bytes && stat.modified_ns == known->modified_ns;
    return same || stat.size_bytes < known->size_bytes ? 0 : -ESTALE;
}

/* To look at every page would cost as much as to populate those that are there; where it is not known they are not. */
static bool is_cached(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    int64_t page = sys->page_bytes(sys->cookie);
    if (page <= 0)
        return false;
    uint64_t pages = (effect->length + (uint64_t)page - 1) / (uint64_t)page;
    for (uint64_t i = 0; i < SAMPLES; i++) {
        uint64_t bytes = 0;
        uint64_t sample = (pages - 1) * i / (SAMPLES - 1);
        uint64_t at = tresor__effect_at(effect, effect->offset + sample * (uint64_t)page);
        if (sys->cached_bytes(sys->cookie, effect->descriptor, at, (uint64_t)page, &bytes) < 0 ||
            bytes == 0)
            return false;
    }
    return true;
}

/* How a description that the host reads from too is read ahead is the host's to say. */
static bool is_lent(const struct tresor__effect *effect)
{
    const struct tresor__origin *origin = tresor__effect_origin(effect);
    return origin->kind == TRESOR_ORIGIN_DESCRIPTOR && !origin->is_owned;
}

/*
 * By its device's readahead of 128 KiB, the usual one, the kernel reads a file at a fraction of the disk's rate and with
 * ten times the processor's work, so it is asked for 2 MiB at a time. Less than that is not worth reading what is around it.
 */
static int64_t prepare_reads(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    const struct tresor__identity *identity = effect->record;
    uint64_t bytes = 0;
    if (effect->length < HUGE_PAGE_BYTES)
        return INT64_MAX;
    bool is_sparing = effect->flags & TRESOR__CACHE_SPARING;
    int64_t huge = is_sparing ? -ENOSYS
                              : sys->advise_memory(sys->cookie, effect->address, (size_t)effect->length,
                                                   TRESOR__SYS_HUGE_READS);
    if (is_cached(sys, effect))
        return 0;
    /* It doubles the readahead, which large reads do without, and refusing it costs no more than that. */
    if (!is_sparing && !is_lent(effect))
        sys->advise_file(sys->cookie, effect->descriptor, 0, 0, TRESOR__SYS_FILE_SEQUENTIAL);
    if (huge == 0)
        return HUGE_PAGE_BYTES;
    if (sys->readahead_bytes(sys->cookie, identity->device, &bytes) < 0 || bytes > INT64_MAX)
        return INT64_MAX;
    return bytes > 0 ? (int64_t)bytes : 1;
}

/* Where pages are put is a wish too; the answer is the errno of its refusal. */
static int64_t place(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    if (!effect->nodes)
        return 0;
    int64_t result = sys->place_memory(sys->cookie, effect->address, (size_t)effect->length,
                                       effect->nodes->numa == TRESOR_NUMA_BIND
                                           ? TRESOR__SYS_BIND
                                           : TRESOR__SYS_INTERLEAVE,
                                       effect->nodes->mask);
    return result < 0 ? -result : 0;
}

static int64_t act_map(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    int64_t identity = check_identity(sys, effect);
    if (identity < 0)
        return identity;
    void *mapped = NULL;
    size_t length = (size_t)effect->length;
    if (effect->flags & TRESOR__MAP_FILE) {
        if (!tresor__effect_has_file(effect))
            return -ENODEV;
        int64_t result =
            sys->map(sys->cookie, TRESOR__SYS_MAP_FILE, effect->address, length, effect->descriptor,
                     tresor__effect_at(effect, effect->offset), &mapped);
        return result < 0 ? result : prepare_reads(sys, effect);
    }
    if (effect->flags & TRESOR__MAP_SPARE &&
        sys->protect(sys->cookie, effect->address, length, true) == 0)
        return 0;
    int64_t result = sys->map(sys->cookie, TRESOR__SYS_MAP_ANONYMOUS, effect->address, length, -1,
                              0, &mapped);
    if (result < 0)
        return result;
    /* Huge pages are a wish: where they are refused, small ones do. */
    if (length >= HUGE_PAGE_BYTES && !(effect->flags & TRESOR__MAP_SMALL))
        sys->advise_memory(sys->cookie, effect->address, length, TRESOR__SYS_HUGE_PAGES);
    return place(sys, effect);
}

/*
 * A huge page that reaches beyond what is unmapped would stay whole, and counted, until the system runs short of memory.
 * (60 MiB that were unmapped in odd pieces of 3 MiB: none of it came back; with this, all of it.)
 */
static void split_at_ends(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    char *start = effect->address;
    char *end = start + effect->length;
    size_t before = (uintptr_t)start % HUGE_PAGE_BYTES;
    size_t behind = (uintptr_t)end % HUGE_PAGE_BYTES;
    size_t head = before > 0 ? HUGE_PAGE_BYTES - before : 0;
    bool is_within = head >= effect->length;
    if (head > 0)
        sys->advise_memory(sys->cookie, start, is_within ? (size_t)effect->length : head,
                           TRESOR__SYS_SPLIT_PAGES);
    if (behind > 0 && !is_within)
        sys->advise_memory(sys->cookie, end - behind, behind, TRESOR__SYS_SPLIT_PAGES);
}

/*
 * The page cache forgets no part of a large page, so what is around the place goes too where nobody has it. What somebody
 * maps stays, but a neighbour's part of a large page is no longer mapped when the other is not, until it is next touched.
 * Where the cache may not be asked what it kept, that is not known.
 */
static int64_t evict_cached(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    uint64_t bytes = 0;
    uint64_t place = tresor__effect_at(effect, effect->offset);
    uint64_t start = place;
    uint64_t end = place + effect->length;
    if (effect->flags & TRESOR__EVICT_BEFORE)
        start = start / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if (effect->flags & TRESOR__EVICT_BEHIND)
        end = (end + HUGE_PAGE_BYTES - 1) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    sys->advise_file(sys->cookie, effect->descriptor, start, end - start, TRESOR__SYS_FILE_DONTNEED);
    return sys->cached_bytes(sys->cookie, effect->descriptor, place, effect->length, &bytes) < 0 ||
                   bytes > INT64_MAX
               ? 0
               : (int64_t)bytes;
}

/* Mapping the reservation over it takes the pages away and keeps the addresses ours. */
static int64_t act_unmap(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    void *place = NULL;
    if (effect->flags & TRESOR__MAP_SPARE &&
        sys->protect(sys->cookie, effect->address, (size_t)effect->length, false) == 0)
        return 1;
    if (effect->flags & TRESOR__MAP_ANONYMOUS)
        split_at_ends(sys, effect);
    int64_t result = sys->map(sys->cookie, TRESOR__SYS_MAP_RESERVE, effect->address,
                              (size_t)effect->length, -1, 0, &place);
    return result == 0 && effect->flags & TRESOR__UNMAP_EVICT ? evict_cached(sys, effect) : result;
}

/*
 * mremap(2) looks for map entries before it touches anything, and so nearly every refusal leaves all as it was. But it then
 * unmaps the target, and may still fail after that. Fresh pages are put there if, and only if, nothing is: what came there
 * meanwhile would be another thread's.
 */
static int64_t act_move(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    enum { TRIES_MAX = 16 };
    void *place = NULL;
    size_t length = (size_t)effect->length;
    int64_t moved = sys->move_pages(sys->cookie, effect->address, effect->target, length);
    int64_t mended = -ENOMEM;
    for (uint32_t i = 0; i < TRIES_MAX && moved < 0 && mended < 0 && mended != -EEXIST; i++)
        mended = sys->map(sys->cookie, TRESOR__SYS_MAP_ANONYMOUS_HOLE, effect->target, length, -1, 0,
                          &place);
    if (mended == 0)
        sys->advise_memory(sys->cookie, effect->target, length, TRESOR__SYS_HUGE_PAGES);
    return moved;
}

/*
 * mremap(2) looks whether there is room for all the map entries it may need before it touches anything, and so nearly
 * every refusal leaves all as it was. But it then unmaps the target, and may still fail after that, for want of memory
 * for its own tables or of address space (RLIMIT_AS). So whatever failed, the file's pages are put there if, and only
 * if, nothing is: what came there meanwhile would be another thread's. Readers find the right bytes on either side.
 */
static int64_t act_replace(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    enum { TRIES_MAX = 16 };
    void *place = NULL;
    size_t length = (size_t)effect->length;
    int64_t moved = sys->move_pages(sys->cookie, effect->address, effect->target, length);
    if (moved == 0)
        return effect->flags & TRESOR__UNMAP_EVICT ? evict_cached(sys, effect) : 0;
    int64_t mended = -ENOMEM;
    for (uint32_t i = 0; i < TRIES_MAX && mended < 0 && mended != -EEXIST; i++)
        mended = sys->map(sys->cookie, TRESOR__SYS_MAP_FILE_HOLE, effect->target, length,
                          effect->descriptor, tresor__effect_at(effect, effect->offset), &place);
    if (mended < 0)
        return moved;
    sys->advise_memory(sys->cookie, effect->target, length, TRESOR__SYS_POPULATE_READ);
    return effect->flags & TRESOR__MAP_FILE ? 0 : moved;
}

/* Where the kernel cannot populate (before Linux 5.14), reading the bytes finds out as much, and warms the cache. */
static int64_t populate_by_reading(const struct tresor__sys *sys,
                                   const struct tresor__effect *effect)
{
    char scratch[SCRATCH_BYTES];
    for (uint64_t done = 0; done < effect->length;) {
        uint64_t left = effect->length - done;
        int64_t result = tresor__origin_read(sys, effect, scratch, effect->offset + done,
                                             left < SCRATCH_BYTES ? left : SCRATCH_BYTES);
        if (result == 0)
            return -EFAULT;
        if (result < 0)
            return result;
        done += (uint64_t)result;
    }
    return 0;
}

/*
 * EFAULT is a truncated file or a disk error (madvise(2)); the size tells which. And where the file ends within the
 * last page, that page is populated without an error, with zeros behind the end: the size tells that too.
 */
static int64_t check_size(const struct tresor__sys *sys, const struct tresor__effect *effect,
                          int64_t result, uint64_t *size_bytes)
{
    struct tresor__sys_stat stat;
    int64_t found = tresor__origin_stat(sys, effect, &stat);
    if (found < 0)
        return result < 0 ? -EIO : found;
    *size_bytes = stat.size_bytes;
    if (stat.size_bytes < effect->offset + effect->length)
        return -EFAULT;
    return result < 0 ? -EIO : result;
}

/* madvise(2) wants a page-aligned start; a block may begin inside a page that is populated already or here. */
static int64_t advise_pages(const struct tresor__sys *sys, void *address, uint64_t length,
                            enum tresor__sys_memory_advice advice)
{
    int64_t page = sys->page_bytes(sys->cookie);
    if (page <= 0)
        return -ENOSYS; /* EINVAL says that the system cannot populate */
    uintptr_t inside = (uintptr_t)address % (uintptr_t)page;
    return sys->advise_memory(sys->cookie, (char *)address - inside, (size_t)length + inside,
                              advice);
}

/*
 * Under a budget exactly what was asked for comes into the page cache, and as small pages: a populate's own readahead goes on
 * behind the end, and a large page beyond it, which nobody counts and no eviction of the tensor takes away again. (1 MiB
 * tensors of 256 MiB under a plan and a budget of 96 had 212 MiB there; so 108.) One call reads no more than the device's
 * readahead, of which 128 KiB is the usual one.
 */
static void fetch(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    enum { STEP_BYTES = 128 * 1024 };
    if (!(effect->flags & TRESOR__CACHE_SPARING))
        return;
    for (uint64_t done = 0; done < effect->length; done += STEP_BYTES) {
        uint64_t rest = effect->length - done;
        sys->advise_file(sys->cookie, effect->descriptor,
                         tresor__effect_at(effect, effect->offset + done),
                         rest < STEP_BYTES ? rest : STEP_BYTES, TRESOR__SYS_FILE_WILLNEED);
    }
}

static int64_t act_readahead(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    fetch(sys, effect);
    return advise_pages(sys, effect->address, effect->length, TRESOR__SYS_POPULATE_READ);
}

static int64_t act_populate(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    bool writes = effect->flags & TRESOR__POPULATE_WRITE;
    fetch(sys, effect);
    int64_t result = advise_pages(sys, effect->address, effect->length,
                              writes ? TRESOR__SYS_POPULATE_WRITE : TRESOR__SYS_POPULATE_READ);
    if (result == -EINVAL)
        result = writes ? 0 : populate_by_reading(sys, effect);
    /* Not before, for it would have the populate read page by page too. */
    if (result == 0 && !writes && effect->nodes)
        advise_pages(sys, effect->address, effect->length, TRESOR__SYS_MEMORY_RANDOM);
    return result;
}

/* Under a budget what was read is not kept a second time. */
static void forget(const struct tresor__sys *sys, const struct tresor__effect *effect,
                   int64_t read_bytes)
{
    if (read_bytes > 0 && effect->flags & TRESOR__CACHE_SPARING)
        sys->advise_file(sys->cookie, effect->descriptor, tresor__effect_at(effect, effect->offset),
                         (uint64_t)read_bytes, TRESOR__SYS_FILE_DONTNEED);
}

/* How much of what begins there the cache holds without a hole, by halves; `*may_ask` is false where it does not tell. */
static uint64_t known_cached(const struct tresor__sys *sys, const struct tresor__effect *effect,
                             uint64_t offset, uint64_t step, uint64_t page, bool *may_ask)
{
    for (uint64_t bytes = 0; step > 0; step = step / 2 / page * page) {
        *may_ask = sys->cached_bytes(sys->cookie, effect->descriptor,
                                     tresor__effect_at(effect, offset), step, &bytes) == 0;
        if (!*may_ask || bytes == 0)
            return 0;
        if (bytes >= step)
            return step;
    }
    return 0;
}

/*
 * How much to try to copy out of the page cache: what misses there makes the kernel read ahead, though the call does not
 * wait for it, and what is read directly again and again would come to be cached as a whole. So the cache is asked before.
 * Where it may not be asked (cachestat(2) tells the owner of a file only), a page is tried first, and then as much as was
 * found so far, so that no more than that is read in vain.
 */
static uint64_t cached_guess(const struct tresor__sys *sys, const struct tresor__effect *effect,
                             uint64_t done, bool *may_ask)
{
    uint64_t rest = effect->length - done;
    uint64_t step = rest < CACHED_STEP_BYTES || done == 0 ? rest : CACHED_STEP_BYTES;
    int64_t page = sys->page_bytes(sys->cookie);
    uint64_t least = page > 0 ? (uint64_t)page : rest;
    if (*may_ask) {
        uint64_t known = known_cached(sys, effect, effect->offset + done, step, least, may_ask);
        if (*may_ask)
            return known;
    }
    uint64_t guess = done > least ? done : least;
    return guess < rest ? guess : rest;
}

static int64_t copy_cached(const struct tresor__sys *sys, const struct tresor__effect *effect,
                           uint64_t *done)
{
    bool may_ask = true;
    int64_t result = 1;
    while (result > 0 && *done < effect->length) {
        uint64_t wanted = cached_guess(sys, effect, *done, &may_ask);
        if (wanted == 0)
            return -EAGAIN;
        result = sys->read_cached(sys->cookie, effect->descriptor,
                                  (char *)effect->address + *done, (size_t)wanted,
                                  tresor__effect_at(effect, effect->offset + *done));
        if (result > 0)
            *done += (uint64_t)result;
    }
    return result;
}

/*
 * What the page cache holds is copied out of it at once. For the rest, which will be read directly, its memory is made
 * here: the kernel would hold the submit of a read for as long as it takes to make it.
 */
static int64_t read_cached(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    uint64_t done = 0;
    int64_t result = copy_cached(sys, effect, &done);
    forget(sys, effect, (int64_t)done);
    if (done < effect->length && effect->flags & TRESOR__POPULATE_WRITE) {
        int64_t made = advise_pages(sys, (char *)effect->address + done, effect->length - done,
                                TRESOR__SYS_POPULATE_WRITE);
        if (made < 0 && made != -EINVAL)
            return made;
    }
    return done > 0 || result == -EAGAIN ? (int64_t)done : result;
}

/*
 * Aligned pieces of the file into memory of the actor's, and from there what was asked for. A short count may end before
 * that begins, which is not the end of the file; where it always does, direct reads are of no use here.
 */
static int64_t read_bounced(const struct tresor__sys *sys, const struct tresor__effect *effect,
                            const struct tresor__bounce *bounce)
{
    enum { TRIES_MAX = 16 };
    const struct tresor__direct_facts *facts = effect->record;
    uint64_t alignment = facts->alignment_bytes;
    uint64_t done = 0;
    uint32_t tries = 0;
    while (done < effect->length) {
        uint64_t offset = effect->offset + done;
        uint64_t inside = offset % alignment;
        uint64_t end = effect->offset + effect->length;
        uint64_t wanted = (end - (offset - inside) + alignment - 1) / alignment * alignment;
        uint64_t asked = wanted < bounce->size_bytes ? wanted : bounce->size_bytes;
        int64_t got = tresor__origin_read(sys, effect, bounce->memory, offset - inside, asked);
        if (got < 0)
            return done > 0 ? (int64_t)done : got;
        bool is_in_vain = (uint64_t)got <= inside;
        if (is_in_vain && got > 0 && done == 0 && ++tries < TRIES_MAX)
            continue;
        if (is_in_vain)
            return got > 0 && done == 0 ? -EINVAL : (int64_t)done;
        uint64_t useful = (uint64_t)got - inside;
        useful = useful < end - offset ? useful : end - offset;
        memcpy((char *)effect->address + done, (char *)bounce->memory + inside, (size_t)useful);
        done += useful;
        if ((uint64_t)got < asked)
            break;
    }
    return (int64_t)done;
}

/* What is read ahead of a header stays in the page cache, and leads on to more whenever some of it is copied from there. */
static int64_t read_alone(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    sys->advise_file(sys->cookie, effect->descriptor, 0, 0, TRESOR__SYS_FILE_RANDOM);
    int64_t result = tresor__origin_read(sys, effect, effect->address, effect->offset, effect->length);
    sys->advise_file(sys->cookie, effect->descriptor, 0, 0, TRESOR__SYS_FILE_NORMAL);
    return result;
}

static int64_t act_read(const struct tresor__sys *sys, const struct tresor__effect *effect,
                        const struct tresor__bounce *bounce)
{
    if (effect->is_cancelled)
        return -ECANCELED;
    if (effect->target) {
        memcpy(effect->address, effect->target, (size_t)effect->length);
        return (int64_t)effect->length;
    }
    if (!tresor__effect_has_file(effect))
        return tresor__origin_read(sys, effect, effect->address, effect->offset, effect->length);
    if (effect->flags & TRESOR__READ_CACHED)
        return read_cached(sys, effect);
    if (effect->flags & TRESOR__READ_BOUNCE)
        return read_bounced(sys, effect, bounce);
    if (effect->flags & TRESOR__READ_ALONE && !is_lent(effect))
        return read_alone(sys, effect);
    int64_t result = tresor__origin_read(sys, effect, effect->address, effect->offset, effect->length);
    forget(sys, effect, result);
    return result;
}

/* The backend has looked for the read when this was submitted. */
static int64_t act_cancel(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    (void)sys;
    return effect->is_cancelled;
}

/* On the mapping where there is one, and on the file: each has its own readahead state. */
static int64_t act_advise(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    static const enum tresor__sys_file_advice file_advices[] = {
        [TRESOR_ADVICE_NORMAL] = TRESOR__SYS_FILE_NORMAL,
        [TRESOR_ADVICE_SEQUENTIAL] = TRESOR__SYS_FILE_SEQUENTIAL,
        [TRESOR_ADVICE_RANDOM] = TRESOR__SYS_FILE_RANDOM,
        [TRESOR_ADVICE_WILLNEED] = TRESOR__SYS_FILE_WILLNEED,
        [TRESOR_ADVICE_DONTNEED] = TRESOR__SYS_FILE_DONTNEED,
    };
    static const enum tresor__sys_memory_advice memory_advices[] = {
        [TRESOR_ADVICE_NORMAL] = TRESOR__SYS_MEMORY_NORMAL,
        [TRESOR_ADVICE_SEQUENTIAL] = TRESOR__SYS_MEMORY_SEQUENTIAL,
        [TRESOR_ADVICE_RANDOM] = TRESOR__SYS_MEMORY_RANDOM,
        [TRESOR_ADVICE_WILLNEED] = TRESOR__SYS_MEMORY_WILLNEED,
    };
    int64_t page = sys->page_bytes(sys->cookie);
    if (!tresor__effect_has_file(effect) || effect->target)
        return -EOPNOTSUPP;
    if (effect->length == 0)
        return 0;
    if (page <= 0)
        return page < 0 ? page : -EINVAL;
    uint64_t inside = effect->offset % (uint64_t)page;
    if (effect->flags != TRESOR_ADVICE_DONTNEED && effect->address) {
        int64_t result =
            sys->advise_memory(sys->cookie, (char *)effect->address - inside,
                               (size_t)(effect->length + inside), memory_advices[effect->flags]);
        if (result < 0)
            return result;
    }
    return sys->advise_file(sys->cookie, effect->descriptor, tresor__effect_at(effect, effect->offset),
                            effect->length, file_advices[effect->flags]);
}

/* A lock that failed half-way may have marked pages (mlock(2)), so they are unmarked. */
static int64_t act_lock(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    int64_t result = sys->lock(sys->cookie, effect->address, (size_t)effect->length);
    if (result < 0)
        sys->unlock(sys->cookie, effect->address, (size_t)effect->length);
    return result;
}

static int64_t act_unlock(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    return sys->unlock(sys->cookie, effect->address, (size_t)effect->length);
}

static int64_t act_query(const struct tresor__sys *sys, const struct tresor__effect *effect)
{
    struct tresor__lock_facts facts = {0};
    int64_t limit = sys->lock_limit(sys->cookie, &facts.limit_bytes);
    int64_t used = sys->locked(sys->cookie, &facts.used_bytes);
    *(struct tresor__lock_facts *)effect->record = facts;
    return limit < 0 ? limit : used;
}

static int64_t run(const struct tresor__sys *sys, const struct tresor__effect *effect,
                   const struct tresor__bounce *bounce)
{
    static actor *const actors[TRESOR__EFFECT_COUNT] = {
        [TRESOR__EFFECT_OPEN] = tresor__origin_open,        [TRESOR__EFFECT_STAT] = act_stat,
        [TRESOR__EFFECT_CLOSE] = tresor__origin_close,       [TRESOR__EFFECT_WORK] = act_work,
        [TRESOR__EFFECT_RESERVE] = act_reserve,   [TRESOR__EFFECT_RELEASE] = act_release,
        [TRESOR__EFFECT_MAP] = act_map,           [TRESOR__EFFECT_UNMAP] = act_unmap,
        [TRESOR__EFFECT_POPULATE] = act_populate, [TRESOR__EFFECT_OPEN_DIRECT] = act_open_direct,
        [TRESOR__EFFECT_CANCEL] = act_cancel,     [TRESOR__EFFECT_ADVISE] = act_advise,
        [TRESOR__EFFECT_LOCK] = act_lock,         [TRESOR__EFFECT_UNLOCK] = act_unlock,
        [TRESOR__EFFECT_QUERY] = act_query,       [TRESOR__EFFECT_READAHEAD] = act_readahead,
        [TRESOR__EFFECT_REPLACE] = act_replace,   [TRESOR__EFFECT_MOVE] = act_move,
    };
    if (effect->kind == TRESOR__EFFECT_READ)
        return act_read(sys, effect, bounce);
    actor *act = effect->kind < TRESOR__EFFECT_COUNT ? actors[effect->kind] : NULL;
    return act ? act(sys, effect) : -ENOSYS;
}

struct tresor__completion tresor__actor_answer(const struct tresor__effect *effect, int64_t result)
{
    return (struct tresor__completion){
        .kind = effect->kind,
        .machine = effect->machine,
        .event = result < 0 ? effect->on_failed : effect->on_ok,
        .flags = effect->flags,
        .source = effect->source,
        .slot = effect->slot,
        .file = effect->file,
        .os_errno = result < 0 ? (int32_t)-result : 0,
        .value = result < 0 ? 0 : result,
    };
}

/* Pages that nobody ever touches cost nothing. */
int64_t tresor__memory_open(const struct tresor__sys *sys, size_t size_bytes, void **memory)
{
    return sys->map(sys->cookie, TRESOR__SYS_MAP_ANONYMOUS, NULL, size_bytes, -1, 0, memory);
}

/* munmap(2) refuses for want of map entries, which come and go. */
void tresor__memory_close(const struct tresor__sys *sys, size_t size_bytes, void *memory)
{
    enum { TRIES_MAX = 16 };
    for (uint32_t i = 0; i < TRIES_MAX && sys->unmap(sys->cookie, memory, size_bytes) < 0; i++)
        continue;
}

struct tresor__completion tresor__actor_run(const struct tresor__sys *sys,
                                            const struct tresor__effect *effect,
                                            const struct tresor__bounce *bounce)
{
    int64_t result = run(sys, effect, bounce);
    uint64_t size_bytes = 0;
    bool is_of_file =
        effect->kind == TRESOR__EFFECT_POPULATE && !(effect->flags & TRESOR__POPULATE_WRITE);
    if (is_of_file && (result == 0 || result == -EFAULT))
        result = check_size(sys, effect, result, &size_bytes);
    struct tresor__completion completion = tresor__actor_answer(effect, result);
    if (result < 0)
        completion.value = (int64_t)size_bytes;
    return completion;
}
