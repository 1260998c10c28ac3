/* SPDX-License-Identifier: MIT */
#include "support/fake_sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum page_kind {
    PAGE_FREE,
    PAGE_RESERVED,
    PAGE_FILE,
    PAGE_PRIVATE,
};

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
        if (!fake->files[i].is_replaced && strcmp(fake->files[i].path, path) == 0)
            return FAKE_DESCRIPTOR_FIRST + (int64_t)i;
    return -ENOENT;
}

/* Descriptors of one file are alike here. */
static int64_t duplicate(void *cookie, int descriptor)
{
    return file_of(self(cookie), descriptor) ? descriptor : -EBADF;
}

/* Its files are for reading. */
static int64_t open_by(void *cookie, const char *path, uint32_t flags)
{
    return flags == TRESOR__SYS_OPEN_READ ? open_file(cookie, path) : -EROFS;
}

static int64_t write_file(void *cookie, int descriptor, const void *address, size_t length,
                          uint64_t offset)
{
    (void)cookie;
    (void)descriptor;
    (void)address;
    (void)length;
    (void)offset;
    return -EBADF;
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
                                      .changed_ns = file->changed_ns,
                                      .is_regular = true};
    return 0;
}

static bool is_aligned(const struct fake_sys *fake, const void *address, size_t length,
                       uint64_t offset)
{
    uint32_t unit = fake->direct_alignment_bytes;
    return (uintptr_t)address % unit == 0 && length % unit == 0 && offset % unit == 0;
}

/* The first byte in a range that the disk cannot read, once less from now on; the range's end where it can read all. */
static uint64_t unreadable_from(struct fake_sys *fake, const struct fake_file *file, uint64_t start,
                                uint64_t end)
{
    struct fake_sector *first = NULL;
    for (uint32_t i = 0; i < fake->sector_count; i++) {
        struct fake_sector *sector = &fake->sectors[i];
        bool is_hit = &fake->files[sector->file] == file && sector->fails_left > 0 &&
                      sector->offset_bytes < end &&
                      sector->offset_bytes + FAKE_SECTOR_BYTES > start;
        if (is_hit && (!first || sector->offset_bytes < first->offset_bytes))
            first = sector;
    }
    if (!first)
        return end;
    if (first->offset_bytes <= start && first->fails_left < UINT32_MAX)
        first->fails_left--;
    return first->offset_bytes > start ? first->offset_bytes : start;
}

/* Every byte of a file that gets to memory. */
static void transfer(struct fake_sys *fake, const struct fake_file *file, uint8_t *to,
                     uint64_t offset, size_t count)
{
    memcpy(to, file->bytes->data + offset, count);
    fake->transfers++;
    if (fake->flip_transfer > 0 && fake->transfers >= fake->flip_transfer && count > 0)
        to[count / 2] ^= 1;
}

static int64_t copy_file(struct fake_sys *fake, const struct fake_file *file, void *address,
                         uint64_t offset, uint64_t end)
{
    if (end > file->size_bytes)
        end = file->size_bytes;
    if (offset >= end)
        return 0;
    transfer(fake, file, address, offset, (size_t)(end - offset));
    return (int64_t)(end - offset);
}

static int64_t read_file(void *cookie, int descriptor, void *address, size_t length, uint64_t offset)
{
    struct fake_file *file = file_of(self(cookie), descriptor);
    if (!file)
        return -EBADF;
    if (descriptor >= FAKE_DIRECT_FIRST && !is_aligned(self(cookie), address, length, offset))
        return -EINVAL;
    uint64_t end = unreadable_from(self(cookie), file, offset, offset + length);
    if (end == offset && length > 0)
        return -EIO;
    return copy_file(self(cookie), file, address, offset, end);
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
    return copy_file(self(cookie), file, address, offset, offset + (left < length ? left : length));
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

/* Points that nothing begins at any more count no map. */
uint32_t fake_sys_map_count(const struct fake_sys *fake)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < fake->bound_count; i++) {
        uintptr_t inside = fake->bounds[i] - (uintptr_t)fake->arena;
        count += inside < fake->arena_bytes && fake->pages[inside / FAKE_PAGE_BYTES] != PAGE_FREE;
    }
    return count;
}

static bool has_all_maps(const struct fake_sys *fake)
{
    return fake->maps_limit > 0 && fake_sys_map_count(fake) >= fake->maps_limit;
}

static bool is_bound(const struct fake_sys *fake, uintptr_t address)
{
    for (uint32_t i = 0; i < fake->bound_count; i++)
        if (fake->bounds[i] == address)
            return true;
    return false;
}

/* --- what pages are --- */

static void make_arena(struct fake_sys *fake)
{
    fake->arena = aligned_alloc(ARENA_ALIGNMENT_BYTES, fake->arena_bytes);
    fake->pages = calloc(fake->arena_bytes / FAKE_PAGE_BYTES, 1);
    if (!fake->arena || !fake->pages)
        abort();
}

static uint8_t *page_of(const struct fake_sys *fake, uintptr_t address)
{
    return &fake->pages[(address - (uintptr_t)fake->arena) / FAKE_PAGE_BYTES];
}

static uint64_t private_in(const struct fake_sys *fake, struct range range)
{
    uint64_t bytes = 0;
    for (uintptr_t at = range.start; at < range.end; at += FAKE_PAGE_BYTES)
        bytes += *page_of(fake, at) == PAGE_PRIVATE ? FAKE_PAGE_BYTES : 0;
    return bytes;
}

static void forget_cuts(struct fake_sys *fake, struct range range)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fake->cut_count; i++) {
        uintptr_t page = (uintptr_t)fake->cuts[i].page;
        if (page < range.start || page >= range.end)
            fake->cuts[kept++] = fake->cuts[i];
    }
    fake->cut_count = kept;
}

static void mark(struct fake_sys *fake, struct range range, enum page_kind kind)
{
    forget_cuts(fake, range);
    fake->private_bytes -= private_in(fake, range);
    memset(page_of(fake, range.start), (int)kind, (range.end - range.start) / FAKE_PAGE_BYTES);
    fake->private_bytes += kind == PAGE_PRIVATE ? range.end - range.start : 0;
}

/* Private pages are counted when they are mapped, as where memory may not be promised twice. */
static bool has_memory_for(const struct fake_sys *fake, struct range range)
{
    uint64_t more = range.end - range.start - private_in(fake, range);
    return fake->private_bytes + more <= fake->private_limit_bytes;
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

static void note_cut(struct fake_sys *fake, uint8_t *page, const struct fake_file *file,
                     uint64_t offset)
{
    if (fake->cut_count == fake->cut_capacity) {
        fake->cut_capacity = 2 * fake->cut_capacity + 64;
        fake->cuts = realloc(fake->cuts, fake->cut_capacity * sizeof *fake->cuts);
        if (!fake->cuts)
            abort();
    }
    fake->cuts[fake->cut_count++] = (struct fake_cut){page, file, offset};
}

/*
 * A page of a file that was not populated yet is filled; EFAULT where the file has no byte of it, or the disk fails. By a
 * page fault it would be as soon as the file has it: so it is noted.
 */
static int64_t populate_page(struct fake_sys *fake, uint8_t *page, bool is_fault)
{
    uint64_t place[3];
    memcpy(place, page, sizeof place);
    struct fake_file *file = file_of(fake, (int)place[1]);
    if (place[0] != FAKE_RUBBISH || !file || place[2] % FAKE_PAGE_BYTES != 0)
        return 0; /* populated before */
    uint64_t end = place[2] + FAKE_PAGE_BYTES;
    bool is_behind = place[2] >= file->size_bytes;
    bool is_cut = file->size_bytes < end && file->size_bytes < file->bytes->size;
    if (is_cut && (is_fault || !is_behind))
        note_cut(fake, page, file, place[2]);
    if (is_behind || (!is_fault && unreadable_from(fake, file, place[2], end) < end))
        return -EFAULT;
    memset(page, 0, FAKE_PAGE_BYTES);
    copy_file(fake, file, page, place[2], end);
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
            populate_page(fake, pages + at, true);
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
    /* What fills a hole takes the entry of what was there: mremap(2) asks for enough of them before it makes one. */
    if (!address || (!is_hole && has_all_maps(fake)))
        return -ENOMEM;
    bool is_anonymous = kind == TRESOR__SYS_MAP_ANONYMOUS || kind == TRESOR__SYS_MAP_ANONYMOUS_HOLE;
    if (is_anonymous && !has_memory_for(fake, range_of(address, length)))
        return -ENOMEM;
    mark(fake, range_of(address, length),
         is_anonymous ? PAGE_PRIVATE
         : is_of_file ? PAGE_FILE
                      : PAGE_RESERVED);
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
        populate_page(fake, (uint8_t *)address + at, true);
    return 0;
}

static int64_t unmap(void *cookie, void *address, size_t length)
{
    struct fake_sys *fake = self(cookie);
    struct range range = range_of(address, length);
    if ((uintptr_t)address % FAKE_PAGE_BYTES != 0 || length == 0)
        return -EINVAL;
    bool splits = !is_bound(fake, range.start) && !is_bound(fake, range.end) &&
                  !crosses_bound(fake, range);
    if (splits && has_all_maps(fake))
        return -ENOMEM;
    range_set_remove(&fake->used, range);
    range_set_remove(&fake->locked, range);
    mark(fake, range, PAGE_FREE);
    bound(fake, range, false);
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
    if (has_all_maps(fake) || !has_memory_for(fake, range_of(to, length)))
        return -ENOMEM;
    mark(fake, range_of(to, length), PAGE_PRIVATE);
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
        int64_t result = populate_page(fake, (uint8_t *)address + at, false);
        if (result < 0)
            return result;
    }
    return 0;
}

static int64_t protect(void *cookie, void *address, size_t length, bool reachable)
{
    struct fake_sys *fake = self(cookie);
    struct range range = range_of(address, length);
    (void)reachable;
    bool splits = !is_bound(fake, range.start) || !is_bound(fake, range.end);
    if (!range_set_covers(&fake->used, range) || (splits && has_all_maps(fake)))
        return -ENOMEM;
    bound(fake, range, true);
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

/* --- views: the disk cannot be written, and has no large pages --- */

/* All of a file's pages are there at once, as if everybody had looked at them. */
static int64_t map_view(void *cookie, const struct tresor__sys_view *view, void **mapped)
{
    bool is_of_file = view->descriptor >= 0;
    if (view->flags & TRESOR__SYS_VIEW_HUGE_POOL)
        return -ENOMEM;
    int64_t result = map(cookie, is_of_file ? TRESOR__SYS_MAP_FILE : TRESOR__SYS_MAP_ANONYMOUS, NULL,
                         view->length, view->descriptor, view->offset, mapped);
    for (size_t at = 0; result == 0 && is_of_file && at < view->length; at += FAKE_PAGE_BYTES)
        populate_page(self(cookie), (uint8_t *)*mapped + at, true);
    return result;
}

static int64_t sync_memory(void *cookie, void *address, size_t length, bool is_waited)
{
    (void)is_waited;
    return range_set_covers(&self(cookie)->used, range_of(address, length)) ? 0 : -ENOMEM;
}

static int64_t resident_bytes(void *cookie, int descriptor, void *address, size_t length,
                              uint64_t *bytes)
{
    (void)descriptor;
    *bytes = round_up(length);
    return range_set_covers(&self(cookie)->used, range_of(address, length)) ? 0 : -ENOMEM;
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
    fake->private_limit_bytes = UINT64_MAX;
    fake->direct_alignment_bytes = 512;
    fake->max_maps = 65530;
    fake->sys = (struct tresor__sys){
        .cookie = fake,
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
        .open_by = open_by,
        .write = write_file,
        .map_view = map_view,
        .sync_memory = sync_memory,
        .resident_bytes = resident_bytes,
    };
}

void fake_sys_free(struct fake_sys *fake)
{
    free(fake->arena);
    free(fake->pages);
    free(fake->cuts);
    fake->arena = fake->pages = NULL;
    fake->cuts = NULL;
}

void fake_sys_reset(struct fake_sys *fake)
{
    const struct fake_sys old = *fake;
    fake_sys_init(fake);
    fake->arena = old.arena;
    fake->arena_bytes = old.arena_bytes;
    fake->pages = old.pages;
    fake->cuts = old.cuts;
    fake->cut_capacity = old.cut_capacity;
    if (fake->pages)
        memset(fake->pages, PAGE_FREE, fake->arena_bytes / FAKE_PAGE_BYTES);
}

void fake_sys_heal(struct fake_sys *fake)
{
    fake->sector_count = 0;
    fake->private_limit_bytes = UINT64_MAX;
    fake->maps_limit = 0;
    for (uint32_t i = 0; i < fake->file_count; i++)
        fake_sys_restore(fake, i);
}

void fake_sys_restore(struct fake_sys *fake, uint32_t number)
{
    struct fake_file *file = &fake->files[number];
    uint32_t kept = 0;
    file->size_bytes = file->bytes->size;
    for (uint32_t i = 0; i < fake->cut_count; i++) {
        struct fake_cut cut = fake->cuts[i];
        if (cut.file != file) {
            fake->cuts[kept++] = cut;
            continue;
        }
        memset(cut.page, 0, FAKE_PAGE_BYTES);
        copy_file(fake, file, cut.page, cut.offset_bytes, cut.offset_bytes + FAKE_PAGE_BYTES);
    }
    fake->cut_count = kept;
}

/* What is not linked any more has changed, but was not modified. */
bool fake_sys_replace(struct fake_sys *fake, uint32_t file, const struct bytes *bytes)
{
    if (fake->file_count == FAKE_FILES)
        return false;
    struct fake_file *old = &fake->files[file];
    fake_sys_add(fake, old->path, bytes);
    old->is_replaced = true;
    old->changed_ns++;
    return true;
}

void fake_sys_add(struct fake_sys *fake, const char *path, const struct bytes *bytes)
{
    if (fake->file_count == FAKE_FILES)
        abort();
    fake->files[fake->file_count++] =
        (struct fake_file){.path = path, .bytes = bytes, .size_bytes = bytes->size};
}
