/* SPDX-License-Identifier: MIT */
#include "support/mapped.h"

#include "support/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


void mapped_make(struct mapped *mapped)
{
    memset(mapped, 0, sizeof *mapped);
    temporary_make(mapped->folder);
    snprintf(mapped->path, sizeof mapped->path, "%s/file", mapped->folder);
    snprintf(mapped->empty, sizeof mapped->empty, "%s/empty", mapped->folder);
    mapped->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    mapped->size_bytes = MAPPED_PAGES * mapped->page_bytes + 17;
    mapped->bytes = malloc(mapped->size_bytes);
    assert_non_null(mapped->bytes);
    for (size_t i = 0; i < mapped->size_bytes; i++)
        mapped->bytes[i] = (uint8_t)(i * 2654435761u >> 11);
    temporary_write(mapped->empty, "", 0);
    mapped->allocator = failing_allocator_hooks(&mapped->memory);
    mapped_reset(mapped);
}

void mapped_remove(struct mapped *mapped)
{
    temporary_remove(mapped->folder);
    free(mapped->bytes);
}

static void reset_books(struct mapped *mapped)
{
    memset(&mapped->memory, 0, sizeof mapped->memory);
    faulty_sys_init(&mapped->faulty, tresor__sys_posix());
}

/* A file that is cut and written anew would be waited for by its close, on ext4. */
static void write_file(const struct mapped *mapped)
{
    int descriptor = open(mapped->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_true(descriptor >= 0);
    assert_int_equal(pwrite(descriptor, mapped->bytes, mapped->size_bytes, 0), mapped->size_bytes);
    assert_int_equal(ftruncate(descriptor, (off_t)mapped->size_bytes), 0);
    close(descriptor);
}

void mapped_reset(struct mapped *mapped)
{
    write_file(mapped);
    reset_books(mapped);
}

void mapped_must_be_clean(struct mapped *mapped)
{
    const char *wrong = faulty_sys_check(&mapped->faulty);
    if (wrong)
        fail_msg("%s", wrong);
    assert_int_equal(mapped->memory.outstanding_bytes, 0);
}

size_t mapped_present(const struct mapped *mapped, const void *address, size_t length)
{
    size_t present = 0;
    int descriptor = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    assert_true(descriptor >= 0);
    for (size_t at = 0; at < length; at += mapped->page_bytes) {
        uint64_t entry = 0;
        off_t place = (off_t)(((uintptr_t)address + at) / mapped->page_bytes * sizeof entry);
        assert_int_equal(pread(descriptor, &entry, sizeof entry, place), sizeof entry);
        present += entry >> 63;
    }
    close(descriptor);
    return present;
}

bool mapped_file_has(const struct mapped *mapped, size_t offset, uint8_t byte)
{
    uint8_t found = 0;
    int descriptor = open(mapped->path, O_RDONLY | O_CLOEXEC);
    assert_true(descriptor >= 0);
    assert_int_equal(pread(descriptor, &found, 1, (off_t)offset), 1);
    close(descriptor);
    return found == byte;
}

static void run(struct mapped *mapped, void (*script)(struct mapped *mapped))
{
    script(mapped);
    mapped_must_be_clean(mapped);
    faulty_sys_clean(&mapped->faulty);
}

static uint64_t fail_row(struct mapped *mapped, void (*script)(struct mapped *mapped),
                         struct faulty_plan plan)
{
    uint64_t injected = 0;
    for (plan.nth = 1;; plan.nth++) {
        reset_books(mapped);
        mapped->faulty.plan = plan;
        mapped->faulty.refusals_stay = true;
        run(mapped, script);
        if (mapped->faulty.injected == 0)
            return injected;
        injected += mapped->faulty.injected;
    }
}

void mapped_fail_each(struct mapped *mapped, void (*script)(struct mapped *mapped))
{
    uint64_t injected = 0;
    for (uint32_t row = 0; row < FAULTY_ROWS; row++) {
        uint32_t count;
        const int32_t *errors = faulty_row_errors((enum faulty_row)row, &count);
        for (uint32_t i = 0; i < 2 * count; i++)
            injected += fail_row(mapped, script,
                                 (struct faulty_plan){.row = (enum faulty_row)row,
                                                      .persistent = i >= count,
                                                      .os_errno = errors[i % count]});
    }
    assert_true(injected > 0);
    print_message("# %llu injected faults\n", (unsigned long long)injected);
    uint64_t call = 0;
    do {
        reset_books(mapped);
        mapped->memory.fail_call = ++call;
        run(mapped, script);
    } while (mapped->memory.failed);
    assert_true(call > 1);
}
