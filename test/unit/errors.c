/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tresor/tresor.h>

#include "io/file.h"
#include "support/bytes.h"
#include "support/test.h"

static const int32_t codes[] = {
#define ERROR(name, value, text, advice) TRESOR_ERROR_##name,
#include "core/errors.def"
#undef ERROR
};

enum {
    CODES = sizeof codes / sizeof codes[0]
};

static void every_error_has_texts(void **state)
{
    (void)state;
    for (int32_t code = 0; code >= -CODES; code--) {
        assert_true(strlen(tresor_error_name(code)) > 0);
        assert_true(strlen(tresor_error_text(code)) > 0);
        assert_true(strlen(tresor_error_advice(code)) > 0);
        assert_null(strchr(tresor_error_text(code), '\n'));
        assert_null(strchr(tresor_error_advice(code), '\n'));
        assert_string_not_equal(tresor_error_name(code), "UNKNOWN");
        for (int32_t other = 0; other > code; other--)
            assert_string_not_equal(tresor_error_name(code), tresor_error_name(other));
    }
    /* Values without a gap, in order. */
    for (int32_t i = 0; i < CODES; i++)
        assert_int_equal(codes[i], -1 - i);
    assert_string_equal(tresor_error_name(TRESOR_OK), "OK");
    assert_string_equal(tresor_error_name(TRESOR_ERROR_LOCK_LIMIT), "LOCK_LIMIT");
}

static void unknown_values(void **state)
{
    static const int32_t unknown[] = {1, 2, INT32_MAX, INT32_MIN, -CODES - 1, -1000};
    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_string_equal(tresor_error_name(unknown[i]), "UNKNOWN");
        assert_true(strlen(tresor_error_text(unknown[i])) > 0);
        assert_true(strlen(tresor_error_advice(unknown[i])) > 0);
    }
}

/* A model in a file; the path is the caller's to free and the file to unlink. */
static char *write_model(void)
{
    static const uint64_t shape[1] = {32};
    const char *folder = getenv("TMPDIR");
    char *path = malloc(4096);
    struct bytes bytes = {0};
    assert_non_null(path);
    snprintf(path, 4096, "%s/tresor-errors-XXXXXX", folder ? folder : "/tmp");
    gguf_put_header(&bytes, 3, 1, 0);
    gguf_put_tensor(&bytes, "blk.0.weight", 1, shape, 0, 0);
    bytes_pad(&bytes, 32);
    bytes_put_zeros(&bytes, 128);
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, bytes.data, bytes.size), bytes.size);
    close(descriptor);
    bytes_free(&bytes);
    return path;
}

/* Whatever the room, the line is the same up to it, and ended; its whole length is told. */
static void check_truncation(struct tresor_context *context, const struct tresor_error *error)
{
    char whole[1024];
    size_t length = tresor_error_format(context, error, whole, sizeof whole);
    assert_int_equal(length, strlen(whole));
    assert_int_equal(tresor_error_format(context, error, NULL, 0), length);
    for (size_t size = 1; size <= length + 2; size++) {
        char *part = malloc(size);
        assert_non_null(part);
        memset(part, 0x5a, size);
        assert_int_equal(tresor_error_format(context, error, part, size), length);
        assert_int_equal(strlen(part), size <= length ? size - 1 : length);
        assert_memory_equal(part, whole, strlen(part));
        free(part);
    }
}

static void lines_without_context(void **state)
{
    char line[512];
    const struct tresor_error truncated = {.code = TRESOR_ERROR_TRUNCATED,
                                           .os_errno = EFAULT,
                                           .source = 77,
                                           .file = 1,
                                           .tensor = 2,
                                           .offset = 4096,
                                           .wanted = 100,
                                           .got = 40};
    (void)state;
    tresor_error_format(NULL, &truncated, line, sizeof line);
    assert_non_null(strstr(line, "TRUNCATED: "));
    assert_non_null(strstr(line, strerror(EFAULT)));
    assert_non_null(strstr(line, "at byte 4096, wanted 100, got 40"));
    assert_non_null(strstr(line, tresor_error_advice(TRESOR_ERROR_TRUNCATED)));
    check_truncation(NULL, &truncated);
    struct tresor_error limit = {
        .code = TRESOR_ERROR_LOCK_LIMIT, .offset = 8, .wanted = 16, .got = 12};
    tresor_error_format(NULL, &limit, line, sizeof line);
    assert_non_null(strstr(line, "asked for 16 bytes, 8 are locked, the limit is 12"));
    limit.got = UINT64_MAX;
    tresor_error_format(NULL, &limit, line, sizeof line);
    assert_non_null(strstr(line, "no limit is set"));
}

static struct tresor_context *make_context(void)
{
    struct tresor_context *context = NULL;
    assert_error(tresor_context_create(NULL, &context), TRESOR_OK);
    return context;
}

static void lines_name_file_and_tensor(void **state)
{
    struct tresor_context *context = make_context();
    char *path = write_model();
    struct tresor_source source;
    struct tresor_request request;
    char line[8192];
    (void)state;
    assert_error(tresor_source_open(context, path, 0, &source, &request), TRESOR_OK);
    assert_error(tresor_finish(context, request, 1, NULL), TRESOR_OK);
    struct tresor_error error = {
        .code = TRESOR_ERROR_IO, .source = source.value, .file = 0, .tensor = 0};
    tresor_error_format(context, &error, line, sizeof line);
    assert_ptr_equal(strstr(line, path), line);
    assert_non_null(strstr(line, ": blk.0.weight: IO: "));
    check_truncation(context, &error);
    /* Indices that the source does not have are not looked up. */
    error.file = 1;
    error.tensor = 1;
    tresor_error_format(context, &error, line, sizeof line);
    assert_ptr_equal(strstr(line, "IO: "), line);
    assert_error(tresor_source_close(context, source, 0, &request), TRESOR_OK);
    assert_error(tresor_finish(context, request, 1, NULL), TRESOR_OK);
    /* Nor is a source that is gone. */
    error.file = 0;
    tresor_error_format(context, &error, line, sizeof line);
    assert_ptr_equal(strstr(line, "IO: "), line);
    error.source = UINT64_MAX;
    tresor_error_format(context, &error, line, sizeof line);
    assert_ptr_equal(strstr(line, "IO: "), line);
    assert_error(tresor_context_destroy(context), TRESOR_OK);
    unlink(path);
    free(path);
}

static void failed_open_names_its_file(void **state)
{
    static const char path[] = "/nonexistent/model.gguf";
    struct tresor_context *context = make_context();
    struct tresor_source source;
    struct tresor_request request;
    struct tresor_event event;
    char line[1024];
    (void)state;
    assert_error(tresor_source_open(context, path, 0, &source, &request), TRESOR_OK);
    assert_error(tresor_finish(context, request, 1, &event), TRESOR_ERROR_NOT_FOUND);
    tresor_error_format(context, &event.error, line, sizeof line);
    assert_ptr_equal(strstr(line, path), line);
    assert_non_null(strstr(line, "NOT_FOUND"));
    assert_error(tresor_context_destroy(context), TRESOR_OK);
}

/* What a call's errno means depends on what was asked for only where memory is short. */
static void what_errno_means(void **state)
{
    static const struct {
        int32_t os_errno;
        int32_t default_code;
        int32_t code;
    } rows[] = {
        {EACCES, TRESOR_ERROR_IO, TRESOR_ERROR_PERMISSION},
        {EPERM, TRESOR_ERROR_MAP_REFUSED, TRESOR_ERROR_PERMISSION},
        {EMFILE, TRESOR_ERROR_IO, TRESOR_ERROR_DESCRIPTORS},
        {ENFILE, TRESOR_ERROR_IO, TRESOR_ERROR_DESCRIPTORS},
        {ESTALE, TRESOR_ERROR_MAP_REFUSED, TRESOR_ERROR_CHANGED},
        {EIO, TRESOR_ERROR_TRUNCATED, TRESOR_ERROR_IO},
        {ENODEV, TRESOR_ERROR_MAP_REFUSED, TRESOR_ERROR_UNSUPPORTED},
        {EOPNOTSUPP, TRESOR_ERROR_IO, TRESOR_ERROR_UNSUPPORTED},
        {ENOSYS, TRESOR_ERROR_IO, TRESOR_ERROR_UNSUPPORTED},
        {ENOMEM, TRESOR_ERROR_IO, TRESOR_ERROR_NO_MEMORY},
        {ENOMEM, TRESOR_ERROR_MAP_REFUSED, TRESOR_ERROR_MAP_REFUSED},
        {ENOMEM, TRESOR_ERROR_LOCK_LIMIT, TRESOR_ERROR_LOCK_LIMIT},
        {EFAULT, TRESOR_ERROR_TRUNCATED, TRESOR_ERROR_TRUNCATED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tresor__failure failure =
            tresor__failure_of(rows[i].default_code, rows[i].os_errno, 1, 2, 3);
        assert_error(failure.code, rows[i].code);
        assert_int_equal(failure.os_errno, rows[i].os_errno);
        assert_int_equal(failure.offset, 1);
        assert_int_equal(failure.wanted, 2);
        assert_int_equal(failure.got, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_texts),      cmocka_unit_test(unknown_values),
        cmocka_unit_test(lines_without_context),      cmocka_unit_test(lines_name_file_and_tensor),
        cmocka_unit_test(failed_open_names_its_file), cmocka_unit_test(what_errno_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
