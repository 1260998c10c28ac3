/* SPDX-License-Identifier: MIT */
/* Files of the face of llama.cpp: modes, positions, reads of every kind, writes, and what is told when the system fails. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "llama_world.h"
#include "support/random.h"

enum {
    SMALL_BYTES = 5000, /* no multiple of anything */
    LARGE_BYTES = 3 * 1024 * 1024 + 777,
};

static struct world world;

static uint64_t position_of(const struct tresor_llama_file *file)
{
    uint64_t position = UINT64_MAX;
    assert_error(tresor_llama_file_tell(file, &position, NULL), TRESOR_OK);
    return position;
}

static void end_file(struct tresor_llama_file *file)
{
    assert_error(tresor_llama_file_close(file, NULL), TRESOR_OK);
}

/* --- opening --- */

static void modes_are_those_of_fopen(void **state)
{
    static const struct {
        const char *mode;
        int32_t code;
        bool reads;
        bool writes;
        bool keeps; /* what the file held */
    } modes[] = {
        {"r", TRESOR_OK, true, false, true},
        {"rb", TRESOR_OK, true, false, true},
        {"rbe", TRESOR_OK, true, false, true},
        {"r+b", TRESOR_OK, true, true, true},
        {"rb+", TRESOR_OK, true, true, true},
        {"w", TRESOR_OK, false, true, false},
        {"wb", TRESOR_OK, false, true, false},
        {"w+b", TRESOR_OK, true, true, false},
        {"ab", TRESOR_OK, false, true, true},
        {"a+b", TRESOR_OK, true, true, true},
        {"wbx", TRESOR_ERROR_IO, false, false, true}, /* it is there already */
        {"rx", TRESOR_ERROR_INVALID, false, false, true},
        {"", TRESOR_ERROR_INVALID, false, false, true},
        {"b", TRESOR_ERROR_INVALID, false, false, true},
        {"rb,ccs=x", TRESOR_ERROR_INVALID, false, false, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct tresor_llama_file *file = NULL;
        struct tresor_error error;
        uint32_t value = 0;
        world_begin(&world, SMALL_BYTES);
        int32_t code = tresor__llama_file_open(&world.faulty.sys, world.path, modes[i].mode, false,
                                               &file, &error);
        assert_error(code, modes[i].code);
        if (code == TRESOR_OK) {
            assert_int_equal(tresor_llama_file_size(file), modes[i].keeps ? SMALL_BYTES : 0);
            assert_int_equal(position_of(file), 0);
            int32_t wanted = !modes[i].reads ? TRESOR_ERROR_PERMISSION
                             : modes[i].keeps ? TRESOR_OK
                                              : TRESOR_ERROR_TRUNCATED;
            assert_error(tresor_llama_file_read_u32(file, &value, &error), wanted);
            assert_error(tresor_llama_file_write_u32(file, 1, &error),
                         modes[i].writes ? TRESOR_OK : TRESOR_ERROR_PERMISSION);
            end_file(file);
        } else {
            assert_int_equal(error.code, code);
            assert_null(file);
        }
        world_end(&world);
    }
}

static void what_is_no_file_is_refused(void **state)
{
    struct tresor_llama_file *file = NULL;
    struct tresor_error error;
    int ends[2];
    char path[TEMPORARY_PATH_BYTES + 32];
    (void)state;
    world_begin(&world, SMALL_BYTES);
    snprintf(path, sizeof path, "%s/none", world.folder);
    assert_error(tresor_llama_file_open(path, "rb", false, &file, &error), TRESOR_ERROR_NOT_FOUND);
    assert_int_equal(error.os_errno, ENOENT);
    assert_error(tresor_llama_file_open(world.folder, "rb", false, &file, &error),
                 TRESOR_ERROR_NOT_REGULAR);
    assert_error(tresor_llama_file_open(world.folder, "wb", false, &file, &error),
                 TRESOR_ERROR_NOT_REGULAR);
    assert_error(tresor_llama_file_open("/dev/zero", "rb", false, &file, &error),
                 TRESOR_ERROR_NOT_REGULAR);
    FILE *folder = fopen(world.folder, "rb"); /* as fopen lets it be opened */
    assert_non_null(folder);
    assert_error(tresor_llama_file_open_stream(folder, &file, &error), TRESOR_ERROR_NOT_REGULAR);
    fclose(folder);
    assert_int_equal(pipe(ends), 0);
    assert_error(tresor_llama_file_open_descriptor(ends[0], false, &file, &error),
                 TRESOR_ERROR_NOT_REGULAR);
    close(ends[1]);
    FILE *stream = fdopen(ends[0], "rb");
    assert_error(tresor_llama_file_open_stream(stream, &file, &error), TRESOR_ERROR_NOT_REGULAR);
    assert_int_equal(error.os_errno, ESPIPE);
    fclose(stream);
    assert_error(tresor_llama_file_open_descriptor(ends[0], false, &file, &error),
                 TRESOR_ERROR_PERMISSION);
    assert_int_equal(error.os_errno, EBADF);
    assert_error(tresor_llama_file_open_descriptor(-1, false, &file, &error), TRESOR_ERROR_INVALID);
    assert_error(tresor_llama_file_open_stream(NULL, &file, &error), TRESOR_ERROR_INVALID);
    assert_null(file);
    world_end(&world);
}

static int64_t open_another(void *cookie, int descriptor)
{
    (void)cookie;
    (void)descriptor;
    return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

/* A descriptor for direct reads that turns out to be another file's is not used. */
static void another_file_is_not_read_directly(void **state)
{
    struct tresor_error warning;
    uint8_t byte;
    (void)state;
    world_begin(&world, SMALL_BYTES);
    world.under.open_direct = open_another;
    struct tresor_llama_file *file = world_open(&world, "rb", true);
    assert_false(tresor_llama_file_has_direct(file));
    assert_int_equal(tresor_llama_file_read_alignment(file), 1);
    assert_true(tresor_llama_file_warning(file, &warning));
    assert_int_equal(warning.os_errno, ESTALE);
    assert_error(tresor_llama_file_read(file, &byte, 1, NULL), TRESOR_OK);
    assert_int_equal(byte, world.bytes[0]);
    end_file(file);
    world_end(&world);
}

/* Whatever fails, the file is open and whole, or it is not there and nothing is held. */
static void each_call_of_opening_fails(void **state)
{
    uint64_t injected = 0;
    (void)state;
    world_begin(&world, SMALL_BYTES);
    for (uint32_t row = 0; row < FAULTY_ROWS; row++) {
        uint32_t count;
        faulty_row_errors((enum faulty_row)row, &count);
        for (uint32_t choice = 0; choice < count; choice++)
            for (uint64_t nth = 1; nth < 8; nth++) {
                struct tresor_llama_file *file = NULL;
                struct tresor_error error = {0};
                uint8_t byte = 0;
                world_again(&world);
                world.faulty.plan = (struct faulty_plan){
                    .row = (enum faulty_row)row, .nth = nth, .choice = choice};
                int32_t code = tresor__llama_file_open(&world.faulty.sys, world.path, "rb", true,
                                                       &file, &error);
                injected += world.faulty.injected;
                assert_int_equal(code, error.code);
                if (code == TRESOR_OK && row != FAULTY_READ) {
                    assert_error(tresor_llama_file_read(file, &byte, 1, &error), TRESOR_OK);
                    assert_int_equal(byte, world.bytes[0]);
                }
                tresor_llama_file_close(file, NULL);
                const char *wrong = faulty_sys_check(&world.faulty);
                assert_string_equal(wrong ? wrong : "", row == FAULTY_UNMAP && wrong ? wrong : "");
                if (row == FAULTY_UNMAP)
                    faulty_sys_clean(&world.faulty);
                if (world.faulty.injected == 0)
                    break;
            }
    }
    assert_true(injected > 40);
    world_again(&world);
    world_end(&world);
}

/* --- positions --- */

static void seeks_go_where_they_say(void **state)
{
    static const struct {
        int64_t offset;
        int whence;
        int32_t code;
        uint64_t place; /* from 100 */
    } seeks[] = {
        {0, SEEK_SET, TRESOR_OK, 0},
        {SMALL_BYTES, SEEK_SET, TRESOR_OK, SMALL_BYTES},
        {SMALL_BYTES + 5, SEEK_SET, TRESOR_OK, SMALL_BYTES + 5},
        {-1, SEEK_SET, TRESOR_ERROR_INVALID, 100},
        {7, SEEK_CUR, TRESOR_OK, 107},
        {-100, SEEK_CUR, TRESOR_OK, 0},
        {-101, SEEK_CUR, TRESOR_ERROR_INVALID, 100},
        {INT64_MAX, SEEK_CUR, TRESOR_ERROR_INVALID, 100},
        {0, SEEK_END, TRESOR_OK, SMALL_BYTES},
        {-10, SEEK_END, TRESOR_OK, SMALL_BYTES - 10},
        {10, SEEK_END, TRESOR_OK, SMALL_BYTES + 10},
        {0, 77, TRESOR_ERROR_INVALID, 100},
    };
    (void)state;
    world_begin(&world, SMALL_BYTES);
    FILE *stream = fopen(world.path, "rb");
    for (uint32_t kind = 0; kind < 3; kind++) {
        struct tresor_llama_file *file = NULL;
        if (kind < 2)
            file = world_open(&world, "rb", kind == 1);
        else
            assert_error(tresor_llama_file_open_stream(stream, &file, NULL), TRESOR_OK);
        for (size_t i = 0; i < sizeof seeks / sizeof seeks[0]; i++) {
            struct tresor_error error;
            assert_error(tresor_llama_file_seek(file, 100, SEEK_SET, &error), TRESOR_OK);
            assert_error(tresor_llama_file_seek(file, seeks[i].offset, seeks[i].whence, &error),
                         seeks[i].code);
            assert_int_equal(position_of(file), seeks[i].place);
            if (kind == 2)
                assert_int_equal(ftello(stream), seeks[i].place);
        }
        end_file(file);
    }
    fclose(stream);
    world_end(&world);
}

/* --- reads --- */

typedef int32_t reading(struct tresor_llama_file *file, void *address, size_t length,
                        struct tresor_error *error);

/* Any place, length and address, by each kind of read, however short the system's own answers are. */
static void reads_bring_the_bytes(bool direct, enum faulty_reads reads)
{
    static reading *const kinds[] = {tresor_llama_file_read, tresor_llama_file_read_unchecked,
                                     tresor_llama_file_read_aligned_chunk};
    uint64_t seed = 99 + reads;
    uint8_t *memory = aligned_alloc(4096, LARGE_BYTES / 4096 * 4096 + 8192);
    uint32_t limit = reads == FAULTY_READS_BYTE ? 3000 : 2 * 1024 * 1024;
    assert_non_null(memory);
    struct tresor_llama_file *file = world_open(&world, "rb", direct);
    assert_int_equal(tresor_llama_file_has_direct(file), direct);
    assert_int_equal(tresor_llama_file_read_alignment(file), direct ? WORLD_ALIGNMENT : 1);
    world.faulty.reads = reads;
    world.faulty.seed = seed;
    for (uint32_t i = 0; i < 60; i++) {
        struct tresor_error error;
        size_t offset = random_below(&seed, LARGE_BYTES - limit);
        size_t length = random_below(&seed, i % 2 ? 2000 : limit);
        size_t shift = i % 3 == 0 ? random_below(&seed, 512) : i % 3 == 1 ? offset % 512 : 0;
        offset = i % 5 ? offset : offset / 512 * 512;
        assert_error(tresor_llama_file_seek(file, (int64_t)offset, SEEK_SET, &error), TRESOR_OK);
        assert_error(kinds[i % 3](file, memory + shift, length, &error), TRESOR_OK);
        assert_memory_equal(memory + shift, world.bytes + offset, length);
        assert_int_equal(position_of(file), offset + length);
    }
    assert_int_equal(tresor_llama_file_has_direct(file), direct);
    end_file(file);
    free(memory);
}

static void every_read_brings_its_bytes(void **state)
{
    (void)state;
    world_begin(&world, LARGE_BYTES);
    for (uint32_t direct = 0; direct < 2; direct++)
        for (uint32_t reads = FAULTY_READS_WHOLE; reads <= FAULTY_READS_SOME; reads++)
            reads_bring_the_bytes(direct, (enum faulty_reads)reads);
    world_end(&world);
}

static int32_t only_small_bounces(void *cookie, struct faulty_call *call)
{
    const uint8_t *memory = cookie;
    const uint8_t *place = call->address;
    bool is_in_place = place >= memory && place < memory + LARGE_BYTES + 512;
    if (call->row == FAULTY_READ && !is_in_place && call->length > TRESOR__LLAMA_BOUNCE_BYTES)
        return ENOMEM;
    return 0;
}

/* One bounce of fixed size is all that a direct read has besides the caller's memory. */
static void direct_reads_do_not_double_memory(void **state)
{
    (void)state;
    world_begin(&world, LARGE_BYTES);
    uint8_t *memory = aligned_alloc(512, LARGE_BYTES / 512 * 512 + 1024);
    world.faulty.judge = only_small_bounces;
    world.faulty.judge_cookie = memory;
    for (uint32_t shift = 0; shift < 2; shift++) {
        struct tresor_llama_file *file = world_open(&world, "rb", true);
        world.faulty.counts[FAULTY_READ] = 0;
        assert_error(tresor_llama_file_read(file, memory + shift, LARGE_BYTES, NULL), TRESOR_OK);
        assert_memory_equal(memory + shift, world.bytes, LARGE_BYTES);
        assert_true(range_set_bytes(&world.faulty.mapped) <= 2 * TRESOR__LLAMA_BOUNCE_BYTES);
        /* In place it is one read and the last unit's; else one for each bounce. */
        assert_int_equal(world.faulty.counts[FAULTY_READ], shift ? 4 : 2);
        end_file(file);
    }
    free(memory);
    world_end(&world);
}

static void a_short_read_is_an_error(void **state)
{
    (void)state;
    world_begin(&world, SMALL_BYTES);
    FILE *stream = fopen(world.path, "rb");
    for (uint32_t kind = 0; kind < 3; kind++) {
        static _Alignas(512) uint8_t memory[SMALL_BYTES + 1024];
        struct tresor_llama_file *file = NULL;
        struct tresor_error error;
        if (kind < 2)
            file = world_open(&world, "rb", kind == 1);
        else
            assert_error(tresor_llama_file_open_stream(stream, &file, NULL), TRESOR_OK);
        tresor_llama_file_seek(file, SMALL_BYTES - 3, SEEK_SET, NULL);
        assert_error(tresor_llama_file_read(file, memory, 4, &error), TRESOR_ERROR_TRUNCATED);
        assert_int_equal(error.offset, SMALL_BYTES - 3);
        assert_int_equal(error.wanted, 4);
        assert_int_equal(error.got, 3);
        assert_int_equal(position_of(file), SMALL_BYTES - 3);
        assert_error(tresor_llama_file_read(file, memory, 3, &error), TRESOR_OK);
        assert_error(tresor_llama_file_read(file, memory, 1, &error), TRESOR_ERROR_TRUNCATED);
        assert_error(tresor_llama_file_read_unchecked(file, memory, 1, &error),
                     TRESOR_ERROR_TRUNCATED);
        assert_error(tresor_llama_file_read(file, memory, 0, &error), TRESOR_OK);
        tresor_llama_file_seek(file, SMALL_BYTES + 100, SEEK_SET, NULL);
        assert_error(tresor_llama_file_read_unchecked(file, memory, 1, &error),
                     TRESOR_ERROR_TRUNCATED);
        tresor_llama_file_seek(file, 0, SEEK_SET, NULL);
        assert_error(tresor_llama_file_read(file, memory, sizeof memory, &error),
                     TRESOR_ERROR_TRUNCATED);
        assert_int_equal(error.got, SMALL_BYTES);
        end_file(file);
    }
    fclose(stream);
    world_end(&world);
}

/* What stands behind the end in the last unit is zeros; a file that lacks more than that is short. */
static void only_padding_may_be_missing(void **state)
{
    static _Alignas(512) uint8_t memory[SMALL_BYTES + 2048];
    struct tresor_error error;
    const size_t padded = (SMALL_BYTES + 511) / 512 * 512;
    (void)state;
    world_begin(&world, SMALL_BYTES);
    struct tresor_llama_file *file = world_open(&world, "rb", true);
    memset(memory, 0xee, sizeof memory);
    assert_error(tresor_llama_file_read_unchecked(file, memory, padded, &error), TRESOR_OK);
    assert_memory_equal(memory, world.bytes, SMALL_BYTES);
    for (size_t i = SMALL_BYTES; i < sizeof memory; i++)
        assert_int_equal(memory[i], i < padded ? 0 : 0xee);
    assert_int_equal(position_of(file), SMALL_BYTES);
    tresor_llama_file_seek(file, 0, SEEK_SET, NULL);
    assert_error(tresor_llama_file_read_unchecked(file, memory, padded + 512, &error),
                 TRESOR_ERROR_TRUNCATED);
    assert_error(tresor_llama_file_read_aligned_chunk(file, memory, padded, &error),
                 TRESOR_ERROR_TRUNCATED);
    assert_int_equal(truncate(world.path, SMALL_BYTES - 10), 0); /* by less than a unit */
    assert_error(tresor_llama_file_read_unchecked(file, memory, padded, &error),
                 TRESOR_ERROR_TRUNCATED);
    assert_int_equal(error.got, SMALL_BYTES - 10);
    assert_int_equal(tresor_llama_file_size(file), SMALL_BYTES);
    end_file(file);
    world_end(&world);
}

/* A refusal of what is direct ends that and harms nothing; any other error is told and moves nothing. */
static void each_read_fails(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_READ, &count);
    static uint8_t memory[LARGE_BYTES];
    (void)state;
    world_begin(&world, LARGE_BYTES);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t persistent = 0; persistent < 2; persistent++)
            for (uint64_t nth = 1; nth <= 5; nth++) {
                struct tresor_error error = {0};
                struct tresor_error warning;
                world_again(&world);
                struct tresor_llama_file *file = world_open(&world, "rb", true);
                tresor_llama_file_seek(file, 3, SEEK_SET, NULL);
                world.faulty.plan = (struct faulty_plan){.row = FAULTY_READ,
                                                         .nth = nth,
                                                         .persistent = persistent,
                                                         .os_errno = errors[i]};
                int32_t code = tresor_llama_file_read(file, memory, LARGE_BYTES - 3, &error);
                bool is_refusal = errors[i] == EINVAL || errors[i] == EFAULT;
                bool is_injected = world.faulty.injected > 0;
                if (!is_injected || (!persistent && (is_refusal || errors[i] == EINTR))) {
                    assert_error(code, TRESOR_OK);
                    assert_memory_equal(memory, world.bytes + 3, LARGE_BYTES - 3);
                } else {
                    assert_int_not_equal(code, TRESOR_OK);
                    assert_int_equal(error.os_errno, errors[i]);
                    assert_int_equal(position_of(file), 3);
                }
                assert_int_equal(tresor_llama_file_has_direct(file), !is_injected || !is_refusal);
                assert_int_equal(tresor_llama_file_warning(file, &warning), is_injected && is_refusal);
                assert_int_equal(tresor_llama_file_read_alignment(file), WORLD_ALIGNMENT);
                world.faulty.plan = (struct faulty_plan){0};
                end_file(file);
            }
    world_end(&world);
}

/* --- writes --- */

static void what_is_written_is_there(void **state)
{
    static const enum faulty_reads answers[] = {FAULTY_READS_WHOLE, FAULTY_READS_BYTE,
                                                FAULTY_READS_RANDOM};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        uint8_t memory[3000];
        uint32_t value = 0;
        world_begin(&world, SMALL_BYTES);
        world.faulty.reads = answers[i];
        struct tresor_llama_file *file = world_open(&world, "w+b", false);
        assert_error(tresor_llama_file_write_u32(file, UINT32_C(0x12345678), NULL), TRESOR_OK);
        assert_error(tresor_llama_file_write(file, world.bytes, sizeof memory, NULL), TRESOR_OK);
        assert_error(tresor_llama_file_write(file, world.bytes, 0, NULL), TRESOR_OK);
        assert_int_equal(position_of(file), sizeof memory + 4);
        assert_int_equal(tresor_llama_file_size(file), sizeof memory + 4);
        tresor_llama_file_seek(file, 0, SEEK_SET, NULL);
        assert_error(tresor_llama_file_read_u32(file, &value, NULL), TRESOR_OK);
        assert_int_equal(value, UINT32_C(0x12345678));
        assert_error(tresor_llama_file_read(file, memory, sizeof memory, NULL), TRESOR_OK);
        assert_memory_equal(memory, world.bytes, sizeof memory);
        tresor_llama_file_seek(file, 100, SEEK_END, NULL);
        assert_error(tresor_llama_file_write_u32(file, 1, NULL), TRESOR_OK);
        assert_int_equal(tresor_llama_file_size(file), sizeof memory + 108);
        tresor_llama_file_seek(file, sizeof memory + 4, SEEK_SET, NULL);
        assert_error(tresor_llama_file_read_u32(file, &value, NULL), TRESOR_OK);
        assert_int_equal(value, 0); /* a hole */
        end_file(file);
        world_end(&world);
    }
}

static void what_is_appended_goes_to_the_end(void **state)
{
    uint32_t value = 0;
    (void)state;
    world_begin(&world, SMALL_BYTES);
    struct tresor_llama_file *file = world_open(&world, "a+b", false);
    FILE *other = fopen(world.path, "ab");
    assert_int_equal(fwrite("1234", 4, 1, other), 1);
    fclose(other);
    assert_error(tresor_llama_file_write_u32(file, 7, NULL), TRESOR_OK);
    assert_int_equal(position_of(file), SMALL_BYTES + 8);
    tresor_llama_file_seek(file, -4, SEEK_CUR, NULL);
    assert_error(tresor_llama_file_read_u32(file, &value, NULL), TRESOR_OK);
    assert_int_equal(value, 7);
    end_file(file);
    world_end(&world);
}

static int32_t full_after_100_bytes(void *cookie, struct faulty_call *call)
{
    (void)cookie;
    if (call->row != FAULTY_WRITE)
        return 0;
    if (call->offset >= 100)
        return ENOSPC;
    call->length = call->offset + call->length > 100 ? 100 - call->offset : call->length;
    return 0;
}

/* Said at the write that it befell, with what is there. */
static void a_full_disk_is_told_at_once(void **state)
{
    struct tresor_error error;
    (void)state;
    world_begin(&world, SMALL_BYTES);
    struct tresor_llama_file *file = world_open(&world, "wb", false);
    world.faulty.judge = full_after_100_bytes;
    assert_error(tresor_llama_file_write(file, world.bytes, 60, &error), TRESOR_OK);
    assert_error(tresor_llama_file_write(file, world.bytes, 60, &error), TRESOR_ERROR_IO);
    assert_int_equal(error.os_errno, ENOSPC);
    assert_int_equal(error.wanted, 60);
    assert_int_equal(error.got, 40);
    assert_int_equal(position_of(file), 100);
    assert_int_equal(tresor_llama_file_size(file), 100);
    end_file(file);
    world_end(&world);
}

static void each_write_fails(void **state)
{
    uint32_t count;
    const int32_t *errors = faulty_row_errors(FAULTY_WRITE, &count);
    (void)state;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t persistent = 0; persistent < 2; persistent++) {
            struct tresor_error error = {0};
            world_begin(&world, SMALL_BYTES);
            struct tresor_llama_file *file = world_open(&world, "wb", false);
            world.faulty.plan = (struct faulty_plan){
                .row = FAULTY_WRITE, .nth = 1, .persistent = persistent, .os_errno = errors[i]};
            bool goes_on = errors[i] == EINTR && !persistent;
            int32_t code = tresor_llama_file_write(file, world.bytes, 10, &error);
            assert_int_equal(code == TRESOR_OK, goes_on);
            assert_int_equal(error.os_errno, goes_on ? 0 : errors[i]);
            assert_int_equal(tresor_llama_file_size(file), goes_on ? 10 : 0);
            end_file(file);
            world_end(&world);
        }
}

/* What was written may be lost there; of what was read nothing is. */
static void a_close_that_fails_is_told_of_what_was_written(void **state)
{
    struct tresor_error error;
    (void)state;
    for (uint32_t writes = 0; writes < 2; writes++) {
        world_begin(&world, SMALL_BYTES);
        struct tresor_llama_file *file = world_open(&world, writes ? "r+b" : "rb", false);
        world.faulty.plan = (struct faulty_plan){.row = FAULTY_CLOSE, .nth = 1, .os_errno = EDQUOT};
        assert_error(tresor_llama_file_close(file, &error), writes ? TRESOR_ERROR_IO : TRESOR_OK);
        assert_int_equal(world.faulty.injected, 1);
        world_end(&world);
    }
    assert_error(tresor_llama_file_close(NULL, NULL), TRESOR_OK);
}

/* --- what is the host's --- */

static void a_borrowed_descriptor_stays_the_hosts(void **state)
{
    (void)state;
    world_begin(&world, SMALL_BYTES);
    for (uint32_t direct = 0; direct < 2; direct++) {
        struct tresor_llama_file *file = NULL;
        uint8_t memory[100];
        int descriptor = open(world.path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(lseek(descriptor, 77, SEEK_SET), 77);
        assert_error(
            tresor__llama_file_open_descriptor(&world.under, descriptor, direct, &file, NULL),
            TRESOR_OK);
        assert_int_equal(tresor_llama_file_id(file), descriptor);
        assert_int_equal(tresor_llama_file_has_direct(file), direct);
        assert_error(tresor_llama_file_read(file, memory, sizeof memory, NULL), TRESOR_OK);
        assert_memory_equal(memory, world.bytes, sizeof memory);
        assert_error(tresor_llama_file_write_u32(file, 1, NULL), TRESOR_ERROR_PERMISSION);
        end_file(file);
        assert_int_equal(lseek(descriptor, 0, SEEK_CUR), 77);
        close(descriptor);
    }
    world_end(&world);
}

static void a_stream_shares_its_position(void **state)
{
    struct tresor_llama_file *file = NULL;
    uint32_t value = 0;
    uint8_t memory[10];
    (void)state;
    world_begin(&world, SMALL_BYTES);
    FILE *stream = fopen(world.path, "r+b");
    assert_int_equal(fread(memory, 1, 10, stream), 10);
    assert_error(tresor_llama_file_open_stream(stream, &file, NULL), TRESOR_OK);
    assert_int_equal(position_of(file), 0);
    assert_int_equal(tresor_llama_file_size(file), SMALL_BYTES);
    assert_int_equal(tresor_llama_file_id(file), fileno(stream));
    assert_false(tresor_llama_file_has_direct(file));
    assert_error(tresor_llama_file_read(file, memory, 10, NULL), TRESOR_OK);
    assert_int_equal(ftello(stream), 10);
    assert_int_equal(fseeko(stream, 20, SEEK_SET), 0);
    assert_error(tresor_llama_file_write_u32(file, 9, NULL), TRESOR_OK); /* after a seek of the host's */
    assert_int_equal(position_of(file), 24);
    tresor_llama_file_seek(file, 20, SEEK_SET, NULL);
    assert_error(tresor_llama_file_read_u32(file, &value, NULL), TRESOR_OK);
    assert_int_equal(value, 9);
    assert_error(tresor_llama_file_write_u32(file, 10, NULL), TRESOR_OK); /* after a read */
    tresor_llama_file_seek(file, 0, SEEK_END, NULL);
    assert_error(tresor_llama_file_write_u32(file, 11, NULL), TRESOR_OK);
    assert_int_equal(tresor_llama_file_size(file), SMALL_BYTES + 4);
    end_file(file);
    assert_int_equal(fseeko(stream, 24, SEEK_SET), 0); /* still open */
    assert_int_equal(fread(&value, 4, 1, stream), 1);
    assert_int_equal(value, 10);
    fclose(stream);
    world_end(&world);
}

/* A stream keeps back what is written; here it is flushed, so a full disk is told. */
static void a_full_device_is_told_at_once(void **state)
{
    struct tresor_llama_file *file = NULL;
    struct tresor_error error;
    (void)state;
    FILE *stream = fopen("/dev/full", "wb");
    if (!stream)
        return;
    for (uint32_t is_stream = 0; is_stream < 2; is_stream++) {
        int32_t code = is_stream ? tresor_llama_file_open_stream(stream, &file, &error)
                                 : tresor_llama_file_open("/dev/full", "wb", false, &file, &error);
        assert_error(code, TRESOR_OK);
        assert_error(tresor_llama_file_write_u32(file, 1, &error), TRESOR_ERROR_IO);
        assert_int_equal(error.os_errno, ENOSPC);
        end_file(file);
    }
    fclose(stream);
}

/* Memory as a stream has no descriptor. */
static void a_stream_without_a_descriptor_is_read(void **state)
{
    struct tresor_llama_file *file = NULL;
    struct tresor_llama_map *map = NULL;
    struct tresor_error error;
    char text[] = "abcdefgh";
    char got[4];
    (void)state;
    FILE *stream = fmemopen(text, 8, "rb");
    assert_error(tresor_llama_file_open_stream(stream, &file, NULL), TRESOR_OK);
    assert_int_equal(tresor_llama_file_size(file), 8);
    assert_int_equal(tresor_llama_file_id(file), -1);
    assert_error(tresor_llama_file_seek(file, 4, SEEK_SET, NULL), TRESOR_OK);
    assert_error(tresor_llama_file_read(file, got, 4, NULL), TRESOR_OK);
    assert_memory_equal(got, "efgh", 4);
    assert_error(tresor_llama_file_write_u32(file, 1, &error), TRESOR_ERROR_PERMISSION);
    assert_error(tresor_llama_map_open(file, SIZE_MAX, false, NULL, 0, &map, &error),
                 TRESOR_ERROR_INVALID);
    end_file(file);
    fclose(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_are_those_of_fopen),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(another_file_is_not_read_directly),
        cmocka_unit_test(each_call_of_opening_fails),
        cmocka_unit_test(seeks_go_where_they_say),
        cmocka_unit_test(every_read_brings_its_bytes),
        cmocka_unit_test(direct_reads_do_not_double_memory),
        cmocka_unit_test(a_short_read_is_an_error),
        cmocka_unit_test(only_padding_may_be_missing),
        cmocka_unit_test(each_read_fails),
        cmocka_unit_test(what_is_written_is_there),
        cmocka_unit_test(what_is_appended_goes_to_the_end),
        cmocka_unit_test(a_full_disk_is_told_at_once),
        cmocka_unit_test(each_write_fails),
        cmocka_unit_test(a_close_that_fails_is_told_of_what_was_written),
        cmocka_unit_test(a_borrowed_descriptor_stays_the_hosts),
        cmocka_unit_test(a_stream_shares_its_position),
        cmocka_unit_test(a_full_device_is_told_at_once),
        cmocka_unit_test(a_stream_without_a_descriptor_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
