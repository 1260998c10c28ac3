/* SPDX-License-Identifier: MIT */
#include "support/fake_sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_BYTES = 48 * 1024 * 1024,
    ARENA_ALIGNMENT_BYTES = 2 * 1024 * 1024,
};

static struct fake_sys *self(void *cookie)
{
    return cookie;
}

static struct fake_file *file_of(struct fake_sys *fake, int descriptor)
{
    int index = descriptor - (descriptor < FAKE_DIRECT_FIRST ? FAKE_DESCRIPTOR_FIRST : FAKE_DIRECT_FIRST);
    return index >= 0 && index < (int)fake->file_count ? &fake->files[index] : NULL;
}

/* --- files --- */

static int64_t open_file(void *cookie, const char *path)
{
    struct fake_sys *fake = self(cookie);
    for (uint32_t i = 0; i < fake->file_count; i++)
        if (strcmp(fake->files[i].path, path) == 0)
            return FAKE_DESCRIPTOR_FIRST + (int64_t)i;
    return -ENOENT;
}

static int64_t open_direct(void *cookie, int descriptor)
{
    struct fake_sys *fake = self(cookie);
    if (!file_of(fake, descriptor))
        return -EBADF;
    return fake->direct_alignment_bytes > 0
               ? descriptor - FAKE_DESCRIPTOR_FIRST + FAKE_DIRECT_FIRST
               : -EINVAL;
}

static int64_t direct_alignment(void *cookie, int descriptor, uint32_t *alignment_bytes)
{
    struct fake_sys *fake = self(cookie);
    (void)descriptor;
    *alignment_bytes = fake->direct_alignment_bytes;
    return fake->is_direct_silent ? -ENOSYS : 0;
}

/* Bells and what is watched, where there are threads to sleep on them. */
static bool is_real_bell(const struct fake_sys *fake, int descriptor)
{
    return fake->has_workers && descriptor < FAKE_DESCRIPTOR_FIRST;
}

static int64_t close_descriptor(void *cookie, int descriptor)
{
    return is_real_bell(cookie, descriptor) ? tresor__sys_posix()->close(NULL, descriptor) : 0;
}

static int64_t stat_file(void *cookie, int descriptor, struct tresor__sys_stat *stat)
{
    struct fake_file *file = file_of(self(cookie), descriptor);
    if (!file)
        return -EBADF;
    *stat = (struct tresor__sys_stat){.device = 1,
                                      .inode = (uint64_t)(file - self(cookie)->files) + 1,
                                      .size_bytes = file->size_bytes,
                                      .modified_ns = file->modified_ns,
                                      .is_regular = true};
    return 0;
}

static bool is_aligned(const struct fake_sys *fake, const void *address, size_t length,
                       uint64_t offset)
{
    uint32_t unit = fake->direct_alignment_bytes;
    return (uintptr_t)address % unit == 0 && length % unit == 0 && offset % unit == 0;
}

static int64_t read_file(void *cookie, int descriptor, void *address, size_t length, uint64_t offset)
{
    struct fake_file *file = file_of(self(cookie), descriptor);
    if (!file)
        return -EBADF;
    if (descriptor >= FAKE_DIRECT_FIRST && !is_aligned(self(cookie), address, length, offset))
        return -EINVAL;
    if (offset >= file->size_bytes)
        return 0;
    size_t left = (size_t)(file->size_bytes - offset);
    size_t count = length < left ? length : left;
    memcpy(address, file->bytes->data + offset, count);
    return (int64_t)count;
}

static int64_t read_cached(void *cookie, int descriptor, void *address, size_t length,
                           uint64_t offset)
{
    struct fake_file *file = file_of(self(cookie), descriptor);
    if (!file)
        return -EBADF;
    if (offset < file->size_bytes &&
        (offset < file->cached_start_bytes || offset >= file->cached_end_bytes))
        return -EAGAIN;
    uint64_t left = file->cached_end_bytes - offset;
    return read_file(cookie, descriptor, address, left < length ? (size_t)left : length, offset);
}

static int64_t advise_file(void *cookie, int descriptor, uint64_t offset, uint64_t length,
                           enum tresor__sys_file_advice advice)
{
    (void)offset;
    (void)length;
    (void)advice;
    return file_of(self(cookie), descriptor) ? 0 : -EBADF;
}

static int64_t cached_bytes(void *cookie, int descriptor, uint64_t offset, uint64_t length,
                            uint64_t *bytes)
{
    struct fake_sys *fake = self(cookie);
    const struct fake_file *file = file_of(fake, descriptor);
    if (!file)
        return -EBADF;
    uint64_t start = offset > file->cached_start_bytes ? offset : file->cached_start_bytes;
    uint64_t end = offset + length < file->cached_end_bytes ? offset + length : file->cached_end_bytes;
    *bytes = offset < fake->cached_until ? length : start < end ? end - start : 0;
    return 0;
}

static int64_t readahead_bytes(void *cookie, uint64_t device, uint64_t *bytes)
{
    (void)device;
    *bytes = self(cookie)->readahead_bytes;
    return *bytes > 0 ? 0 : -ENOENT;
}

/* --- memory --- */

static size_t round_up(size_t length)
{
    return (length + FAKE_PAGE_BYTES - 1) / FAKE_PAGE_BYTES * FAKE_PAGE_BYTES;
}

static struct range range_of(const void *address, size_t length)
{
    return (struct range){(uintptr_t)address, (uintptr_t)address + round_up(length)};
}

/* --- maps: pages are moved out of one at a time --- */

static bool crosses_bound(const struct fake_sys *fake, struct range range)
{
    for (uint32_t i = 0; i < fake->bound_count; i++)
        if (fake->bounds[i] > range.start && fake->bounds[i] < range.end)
            return true;
    return false;
}

/* A map of its own, in place of those that were there. */
static void bound(struct fake_sys *fake, struct range range, bool keeps)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fake->bound_count; i++)
        if (fake->bounds[i] < range.start || fake->bounds[i] > range.end ||
            (keeps && fake->bounds[i] != range.start && fake->bounds[i] != range.end))
            fake->bounds[kept++] = fake->bounds[i];
    if (kept + 2 > FAKE_BOUNDS)
        abort();
    fake->bounds[kept++] = range.start;
    fake->bounds[kept++] = range.end;
    fake->bound_count = kept;
}

static void make_arena(struct fake_sys *fake)
{
    fake->arena = aligned_alloc(ARENA_ALIGNMENT_BYTES, fake->arena_bytes);
    if (!fake->arena)
        abort();
}

/* The first gap that is wide enough, but one page on, so that what comes out is not aligned by luck. */
static void *find_gap(struct fake_sys *fake, size_t length)
{
    if (!fake->arena)
        make_arena(fake);
    uintptr_t at = (uintptr_t)fake->arena + FAKE_PAGE_BYTES;
    for (size_t i = 0; i < fake->used.count; i++) {
        if (fake->used.ranges[i].start >= at + round_up(length))
            break;
        at = fake->used.ranges[i].end + FAKE_PAGE_BYTES;
    }
    uintptr_t end = (uintptr_t)fake->arena + fake->arena_bytes;
    return at + round_up(length) <= end ? fake->arena + (at - (uintptr_t)fake->arena) : NULL;
}

/* A page of a file that was not populated yet is filled; EFAULT where the file has no byte of it. */
static int64_t populate_page(struct fake_sys *fake, uint8_t *page)
{
    uint64_t place[3];
    memcpy(place, page, sizeof place);
    struct fake_file *file = file_of(fake, (int)place[1]);
    if (place[0] != FAKE_RUBBISH || !file || place[2] % FAKE_PAGE_BYTES != 0)
        return 0; /* populated before */
    if (place[2] >= file->size_bytes)
        return -EFAULT;
    uint64_t left = file->size_bytes - place[2];
    size_t count = left < FAKE_PAGE_BYTES ? (size_t)left : FAKE_PAGE_BYTES;
    memset(page, 0, FAKE_PAGE_BYTES);
    memcpy(page, file->bytes->data + place[2], count);
    return 0;
}

/*
 * Where the pages of a file lie is kept in them, for populate to find. Where it cannot populate they are there at
 * once, as if everybody who looks had a page fault.
 */
static void map_pages(struct fake_sys *fake, uint8_t *pages, size_t length, int descriptor,
                      uint64_t offset)
{
    for (size_t at = 0; at < round_up(length); at += FAKE_PAGE_BYTES) {
        uint64_t place[3] = {FAKE_RUBBISH, (uint64_t)descriptor, offset + at};
        memcpy(pages + at, place, sizeof place);
        if (fake->is_old)
            populate_page(fake, pages + at);
    }
}

static int64_t map(void *cookie, enum tresor__sys_map kind, void *address, size_t length,
                   int descriptor, uint64_t offset, void **mapped)
{
    struct fake_sys *fake = self(cookie);
    if (length == 0 || offset % FAKE_PAGE_BYTES != 0)
        return -EINVAL;
    bool is_of_file = kind == TRESOR__SYS_MAP_FILE || kind == TRESOR__SYS_MAP_FILE_HOLE;
    if (is_of_file && !file_of(fake, descriptor))
        return -EBADF;
    bool is_hole = kind == TRESOR__SYS_MAP_FILE_HOLE || kind == TRESOR__SYS_MAP_ANONYMOUS_HOLE;
    if (is_hole && range_set_touches(&fake->used, range_of(address, length)))
        return -EEXIST;
    bool is_new = !address;
    if (is_new)
        address = find_gap(fake, length);
    if (!address)
        return -ENOMEM;
    bool is_anonymous = kind == TRESOR__SYS_MAP_ANONYMOUS || kind == TRESOR__SYS_MAP_ANONYMOUS_HOLE;
    /* Windows are large: a new one keeps what the arena happens to hold, which is rubbish enough. */
    if (kind != TRESOR__SYS_MAP_RESERVE || !is_new)
        memset(address, is_anonymous ? 0 : FAKE_RUBBISH, round_up(length));
    range_set_add(&fake->used, range_of(address, length));
    range_set_remove(&fake->locked, range_of(address, length));
    bound(fake, range_of(address, length), false);
    *mapped = address;
    if (is_of_file)
        map_pages(fake, address, length, descriptor, offset);
    /* What fills a hole is looked at without a populate, and has its page faults. */
    for (size_t at = 0; kind == TRESOR__SYS_MAP_FILE_HOLE && at < length; at += FAKE_PAGE_BYTES)
        populate_page(fake, (uint8_t *)address + at);
    return 0;
}

static int64_t unmap(void *cookie, void *address, size_t length)
{
    struct fake_sys *fake = self(cookie);
    if ((uintptr_t)address % FAKE_PAGE_BYTES != 0 || length == 0)
        return -EINVAL;
    range_set_remove(&fake->used, range_of(address, length));
    range_set_remove(&fake->locked, range_of(address, length));
    return 0;
}

static int64_t move_pages(void *cookie, void *from, void *to, size_t length)
{
    struct fake_sys *fake = self(cookie);
    if (fake->has_no_moves)
        return -EINVAL;
    bool crosses = crosses_bound(fake, range_of(from, length));
    fake->crossing_moves += crosses;
    if (crosses || !range_set_covers(&fake->used, range_of(from, length)))
        return -EFAULT;
    memcpy(to, from, round_up(length));
    memset(from, FAKE_RUBBISH, round_up(length));
    range_set_add(&fake->used, range_of(to, length));
    range_set_remove(&fake->locked, range_of(to, length));
    bound(fake, range_of(to, length), false);
    return 0;
}

static int64_t max_maps(void *cookie)
{
    return self(cookie)->max_maps;
}

static int64_t advise_memory(void *cookie, void *address, size_t length,
                             enum tresor__sys_memory_advice advice)
{
    struct fake_sys *fake = self(cookie);
    if ((uintptr_t)address % FAKE_PAGE_BYTES != 0)
        return -EINVAL;
    bool populates = advice == TRESOR__SYS_POPULATE_READ || advice == TRESOR__SYS_POPULATE_WRITE;
    if (populates && fake->is_old)
        return -EINVAL;
    if (advice == TRESOR__SYS_HUGE_READS && fake->refuses_huge_reads)
        return -ENOSYS;
    bool is_foreign = fake->arena && ((uint8_t *)address < fake->arena ||
                                      (uint8_t *)address >= fake->arena + fake->arena_bytes);
    if (is_foreign)
        return 0; /* a caller's own memory */
    if (!range_set_covers(&fake->used, range_of(address, length)))
        return -ENOMEM;
    fake->random_advices += advice == TRESOR__SYS_MEMORY_RANDOM;
    for (size_t at = 0; advice == TRESOR__SYS_POPULATE_READ && at < length; at += FAKE_PAGE_BYTES) {
        int64_t result = populate_page(fake, (uint8_t *)address + at);
        if (result < 0)
            return result;
    }
    return 0;
}

static int64_t protect(void *cookie, void *address, size_t length, bool reachable)
{
    struct fake_sys *fake = self(cookie);
    (void)reachable;
    if (!range_set_covers(&fake->used, range_of(address, length)))
        return -ENOMEM;
    bound(fake, range_of(address, length), true);
    return 0;
}

static int64_t lock(void *cookie, const void *address, size_t length)
{
    struct fake_sys *fake = self(cookie);
    struct range_set after = fake->locked;
    range_set_add(&after, range_of(address, length));
    if (range_set_bytes(&after) > fake->lock_limit_bytes)
        return -ENOMEM;
    fake->locked = after;
    return 0;
}

static int64_t unlock(void *cookie, const void *address, size_t length)
{
    range_set_remove(&self(cookie)->locked, range_of(address, length));
    return 0;
}

static int64_t lock_limit(void *cookie, uint64_t *limit_bytes)
{
    *limit_bytes = self(cookie)->lock_limit_bytes;
    return 0;
}

static int64_t locked(void *cookie, uint64_t *locked_bytes)
{
    *locked_bytes = range_set_bytes(&self(cookie)->locked);
    return 0;
}

/* Only of pages that nothing has touched does it mean anything. */
static int64_t place_memory(void *cookie, void *address, size_t length,
                            enum tresor__sys_placement placement, uint64_t nodes)
{
    struct fake_sys *fake = self(cookie);
    if (fake->placement_errno)
        return -fake->placement_errno;
    if (!range_set_covers(&fake->used, range_of(address, length)))
        return -EFAULT;
    if (fake->placement_count == FAKE_PLACEMENTS)
        abort();
    for (size_t i = 0; i < length; i++)
        if (((const uint8_t *)address)[i] != 0)
            abort();
    fake->placements[fake->placement_count++] =
        (struct fake_placement){address, length, placement, nodes};
    return 0;
}

/* --- the rest --- */

static int64_t read_text(void *cookie, const char *path, char *text, size_t size_bytes)
{
    const struct fake_sys *fake = self(cookie);
    for (uint32_t i = 0; i < FAKE_TEXTS && fake->texts[i].path; i++) {
        if (strcmp(fake->texts[i].path, path) != 0)
            continue;
        size_t length = strlen(fake->texts[i].text);
        length = length < size_bytes ? length : size_bytes;
        memcpy(text, fake->texts[i].text, length);
        return (int64_t)length;
    }
    return -ENOENT;
}

static int64_t give_key(void *cookie, void *bytes, size_t length)
{
    (void)cookie;
    memset(bytes, 7, length);
    return 0;
}

static int64_t page_bytes(void *cookie)
{
    (void)cookie;
    return FAKE_PAGE_BYTES;
}

static int64_t now_ms(void *cookie)
{
    (void)cookie;
    return 0;
}

/* A real one is taken where no file of the fake system is. */
static int64_t bell_open(void *cookie, int descriptors[2])
{
    struct fake_sys *fake = self(cookie);
    int64_t result = 0;
    fake->bell[0] = fake->bell[1] = FAKE_DESCRIPTOR_FIRST + FAKE_FILES;
    if (fake->has_workers)
        result = tresor__sys_posix()->bell_open(NULL, fake->bell);
    if (fake->bell[0] > FAKE_DESCRIPTOR_FIRST + FAKE_FILES)
        abort();
    descriptors[0] = fake->bell[0];
    descriptors[1] = fake->bell[1];
    return result;
}

static int64_t bell_ring(void *cookie, int descriptor)
{
    return is_real_bell(cookie, descriptor) ? tresor__sys_posix()->bell_ring(NULL, descriptor) : 0;
}

static int64_t bell_clear(void *cookie, int descriptor)
{
    return is_real_bell(cookie, descriptor) ? tresor__sys_posix()->bell_clear(NULL, descriptor) : 0;
}

static int64_t bell_wait(void *cookie, int descriptor, int32_t timeout_ms)
{
    return is_real_bell(cookie, descriptor)
               ? tresor__sys_posix()->bell_wait(NULL, descriptor, timeout_ms)
               : 0;
}

/* Words are where threads are, so these are real. */
static int64_t word_wait(void *cookie, const _Atomic uint32_t *word, uint32_t value,
                         int32_t timeout_ms)
{
    (void)cookie;
    return tresor__sys_posix()->word_wait(NULL, word, value, timeout_ms);
}

static int64_t word_wake(void *cookie, const _Atomic uint32_t *word)
{
    (void)cookie;
    return tresor__sys_posix()->word_wake(NULL, word);
}

/* --- watching --- */

static bool can_be_watched(const struct fake_sys *fake, const char *path)
{
    for (uint32_t i = 0; fake->watch_paths && fake->watch_paths[i]; i++)
        if (strcmp(fake->watch_paths[i], path) == 0)
            return true;
    return false;
}

static int64_t watch_open(void *cookie, enum tresor__sys_watch_kind kind, const char *path,
                          const char *trigger)
{
    struct fake_sys *fake = self(cookie);
    int descriptors[2];
    if (!can_be_watched(fake, path))
        return -ENOENT;
    if (fake->watch_count == FAKE_WATCHES || strlen(path) >= FAKE_PATH_BYTES)
        abort();
    if (tresor__sys_posix()->bell_open(NULL, descriptors) < 0)
        abort();
    struct fake_watch *watch = &fake->watches[fake->watch_count++];
    *watch = (struct fake_watch){.kind = kind, .descriptor = descriptors[0]};
    strcpy(watch->path, path);
    snprintf(watch->trigger, sizeof watch->trigger, "%s", trigger ? trigger : "");
    return descriptors[0];
}

static bool is_lost(const struct fake_sys *fake, int descriptor)
{
    for (uint32_t i = 0; i < fake->watch_count; i++)
        if (fake->watches[i].descriptor == descriptor)
            return fake->watches[i].is_gone;
    return false;
}

/* By the system's own row, for which all of them are bells that are silenced when they were heard. */
static int64_t watch_wait(void *cookie, struct tresor__sys_watch *watches, uint32_t count)
{
    struct fake_sys *fake = self(cookie);
    struct tresor__sys_watch bells[FAKE_WATCHES + 1];
    if (count > FAKE_WATCHES + 1)
        abort();
    for (uint32_t i = 0; i < count; i++)
        bells[i] = (struct tresor__sys_watch){.kind = watches[i].kind == TRESOR__SYS_WATCH_BELL
                                                          ? TRESOR__SYS_WATCH_BELL
                                                          : TRESOR__SYS_WATCH_NOTIFY,
                                              .descriptor = watches[i].descriptor};
    int64_t result = tresor__sys_posix()->watch_wait(NULL, bells, count);
    for (uint32_t i = 0; i < count; i++) {
        watches[i].is_gone = bells[i].has_risen && is_lost(fake, watches[i].descriptor);
        watches[i].has_risen = bells[i].has_risen && !watches[i].is_gone;
    }
    return result;
}

/* --- guards --- */

static int64_t guard_open(void *cookie)
{
    struct fake_sys *fake = self(cookie);
    if (fake->guard_errno)
        return -fake->guard_errno;
    fake->guards++;
    return 0;
}

static int64_t guard_close(void *cookie)
{
    self(cookie)->guards--;
    return 0;
}

static int64_t guard_add(void *cookie, struct tresor__guard_range *range)
{
    struct fake_sys *fake = self(cookie);
    if (fake->guard_range_count == FAKE_GUARD_RANGES)
        abort();
    fake->guard_ranges[fake->guard_range_count++] = range;
    return 0;
}

static int64_t guard_remove(void *cookie, struct tresor__guard_range *range)
{
    struct fake_sys *fake = self(cookie);
    uint32_t i = 0;
    while (fake->guard_ranges[i] != range)
        i++;
    fake->guard_ranges[i] = fake->guard_ranges[--fake->guard_range_count];
    return 0;
}

bool fake_sys_fault(struct fake_sys *fake, const void *address)
{
    for (uint32_t i = 0; i < fake->guard_range_count; i++) {
        struct tresor__guard_range *range = fake->guard_ranges[i];
        uint64_t inside = (uintptr_t)address - range->start;
        if (inside >= range->length_bytes)
            continue;
        uint64_t page = inside / range->page_bytes;
        atomic_store(&range->size_bytes, file_of(fake, range->descriptor)->size_bytes);
        tresor__guard_mark_end(range, file_of(fake, range->descriptor)->size_bytes);
        tresor__guard_mark(range, page);
        memset((void *)(range->start + page * range->page_bytes), 0, range->page_bytes);
        tresor__guard_mark(range, page);
        fake->sys.bell_ring(fake, range->alarm->bell);
        return true;
    }
    return false;
}

struct fake_watch *fake_sys_watch(struct fake_sys *fake, const char *path)
{
    for (uint32_t i = 0; i < fake->watch_count; i++)
        if (strcmp(fake->watches[i].path, path) == 0)
            return &fake->watches[i];
    return NULL;
}

void fake_sys_rise(struct fake_watch *watch)
{
    tresor__sys_posix()->bell_ring(NULL, watch->descriptor);
}

/* What is written before a ring is seen by who it wakes. */
void fake_sys_lose(struct fake_watch *watch)
{
    watch->is_gone = true;
    fake_sys_rise(watch);
}

void fake_sys_init(struct fake_sys *fake)
{
    memset(fake, 0, sizeof *fake);
    fake->arena_bytes = ARENA_BYTES;
    fake->lock_limit_bytes = UINT64_MAX;
    fake->direct_alignment_bytes = 512;
    fake->max_maps = 65530;
    fake->sys = (struct tresor__sys){
        .cookie = fake,
        .open_file = open_file,
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
        .random = give_key,
        .page_bytes = page_bytes,
        .now_ms = now_ms,
        .bell_open = bell_open,
        .bell_ring = bell_ring,
        .bell_clear = bell_clear,
        .bell_wait = bell_wait,
        .word_wait = word_wait,
        .word_wake = word_wake,
        .ring_init = fake_ring_init,
        .ring_submit = fake_ring_submit,
        .ring_reap = fake_ring_reap,
        .ring_close = fake_ring_close,
        .read_text = read_text,
        .place_memory = place_memory,
        .watch_open = watch_open,
        .watch_wait = watch_wait,
        .guard_open = guard_open,
        .guard_close = guard_close,
        .guard_add = guard_add,
        .guard_remove = guard_remove,
    };
}

void fake_sys_free(struct fake_sys *fake)
{
    free(fake->arena);
    fake->arena = NULL;
}

void fake_sys_add(struct fake_sys *fake, const char *path, const struct bytes *bytes)
{
    if (fake->file_count == FAKE_FILES)
        abort();
    fake->files[fake->file_count++] =
        (struct fake_file){.path = path, .bytes = bytes, .size_bytes = bytes->size};
}
