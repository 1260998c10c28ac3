/* SPDX-License-Identifier: MIT */
/* Each file that other parsers fell over has one outcome here, in any window, for little memory. */
#include "support/test.h"

#include "support/failing_allocator.h"
#include "support/hostile.h"
#include "support/parsing.h"

enum { MEMORY_BYTES = 16 * 1024 };

static void check_code(const struct hostile_file *file, int32_t code)
{
    if (code != file->code)
        fail_msg("%s (%s): %s", file->name, file->what, tresor_error_name(code));
}

static void every_file_has_its_outcome(void **state)
{
    size_t count = 0;
    const struct hostile_file *files = hostile_files(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct bytes bytes = {0};
        struct tresor_error error;
        files[i].put(&bytes);
        check_code(&files[i], parse_outcome(bytes.data, bytes.size, &error));
        bytes_free(&bytes);
    }
}

/* What parse_outcome does, with a window that grows by `step`. */
static int32_t grown_outcome(const struct bytes *bytes, size_t step,
                             const struct tresor_allocator *hooks)
{
    struct tresor__directory directory;
    struct tresor__parse_output output;
    const uint64_t file_size = bytes->size;
    directory_start(&directory, hooks);
    parse_growing(bytes, 0, step, 0, &directory, &output);
    struct tresor_error error = output.error;
    if (output.status == TRESOR__PARSE_DONE)
        tresor__directory_finish(&directory, output.format, &file_size, 1, &error);
    tresor__directory_free(&directory);
    return error.code;
}

static void no_window_changes_it_and_none_takes_memory(void **state)
{
    size_t count = 0;
    const struct hostile_file *files = hostile_files(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct bytes bytes = {0};
        files[i].put(&bytes);
        const size_t steps[] = {0, 1 + bytes.size / 97, 1 + bytes.size / 7, bytes.size};
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
            struct failing_allocator counts = {0};
            const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
            check_code(&files[i], grown_outcome(&bytes, steps[k], &hooks));
            assert_int_equal(counts.outstanding_bytes, 0);
            assert_true(counts.peak_bytes <= MEMORY_BYTES);
        }
        bytes_free(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_has_its_outcome),
        cmocka_unit_test(no_window_changes_it_and_none_takes_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
