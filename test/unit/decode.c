/* SPDX-License-Identifier: MIT */
/* The decoders: any cut of input and room gives the same bytes, and whatever is no whole stream is told, with its place. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "support/compressing.h"
#include "support/failing_allocator.h"

enum {
    LIMIT_BYTES = 1 << 20,
};

static const uint32_t kinds[] = {TRESOR_COMPRESSION_ZSTD, TRESOR_COMPRESSION_GZIP, TRESOR_COMPRESSION_LZ4};
enum {
    KINDS = sizeof kinds / sizeof kinds[0],
};

/* What one decoding came to. */
struct decoded {
    uint8_t *data; /* of LIMIT_BYTES */
    uint64_t size;
    struct tresor__decode_step step;
};

static void end(struct decoded *decoded)
{
    free(decoded->data);
}

/* The input is copied to a block of its own size, so that ASan sees what reads past it; so is the output. */
static void run_once(struct tresor__decoder *decoder, struct decoded *decoded, const uint8_t *input, size_t input_bytes,
                     bool is_last, size_t room)
{
    uint8_t *in = malloc(input_bytes + !input_bytes);
    uint8_t *out = malloc(room + !room);
    assert_true(in && out);
    if (input_bytes > 0)
        memcpy(in, input, input_bytes);
    decoded->step = (struct tresor__decode_step){
        .input = in, .input_bytes = input_bytes, .is_last = is_last, .output = out, .output_bytes = room};
    tresor__decoder_run(decoder, &decoded->step);
    assert_true(decoded->step.made_bytes <= room && decoded->step.taken_bytes <= input_bytes);
    assert_true(decoded->size + decoded->step.made_bytes <= LIMIT_BYTES);
    memcpy(decoded->data + decoded->size, out, (size_t)decoded->step.made_bytes);
    decoded->size += decoded->step.made_bytes;
    free(in);
    free(out);
}

/* Decode with pieces of so many bytes; what is not taken comes again. */
static struct decoded decode(uint32_t kind, const struct bytes *file, size_t in_bytes, size_t out_bytes, uint64_t limit)
{
    struct failing_allocator counts = {0};
    const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
    struct decoded decoded = {.data = malloc(LIMIT_BYTES)};
    struct tresor__decoder *decoder = NULL;
    size_t at = 0;
    assert_non_null(decoded.data);
    assert_error(tresor__decoder_open(&decoder, &hooks, kind, limit), TRESOR_OK);
    do {
        size_t left = file->size - at;
        size_t part = left < in_bytes ? left : in_bytes;
        run_once(decoder, &decoded, file->data + at, part, part == left, out_bytes);
        at += (size_t)decoded.step.taken_bytes;
        if (decoded.step.status == TRESOR__DECODE_NEEDS_INPUT)
            assert_true(decoded.step.taken_bytes == part && part < left);
        if (decoded.step.status == TRESOR__DECODE_NEEDS_ROOM)
            assert_int_equal(decoded.step.made_bytes, out_bytes);
    } while (decoded.step.status <= TRESOR__DECODE_NEEDS_ROOM);
    assert_int_equal(tresor__decoder_taken(decoder), at);
    assert_int_equal(tresor__decoder_made(decoder), decoded.size);
    tresor__decoder_close(decoder);
    assert_int_equal(counts.outstanding_bytes, 0);
    return decoded;
}

static struct decoded decode_whole(uint32_t kind, const struct bytes *file)
{
    return decode(kind, file, file->size + 1, LIMIT_BYTES, LIMIT_BYTES);
}

static void assert_decodes(uint32_t kind, const struct bytes *file, const uint8_t *wanted, size_t size)
{
    static const size_t pieces[][2] = {{1 << 20, 1 << 20}, {1, 4096}, {4096, 1}, {37, 91}};
    assert_int_equal(tresor__compression_sniff(file->data, file->size), kind);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct decoded decoded = decode(kind, file, pieces[i][0], pieces[i][1], LIMIT_BYTES);
        assert_int_equal(decoded.step.status, TRESOR__DECODE_DONE);
        assert_int_equal(decoded.size, size);
        assert_memory_equal(decoded.data, wanted, size);
        end(&decoded);
    }
}

static void every_cut_of_input_and_room(void **state)
{
    static uint8_t data[20000];
    (void)state;
    compress_sample(data, sizeof data, 1);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        if (compress_frame(&file, kinds[i], data, sizeof data))
            assert_decodes(kinds[i], &file, data, sizeof data);
        bytes_free(&file);
    }
}

/* Frames that follow each other, empty ones and, where the format has them, skippable ones among them. */
static void many_frames_are_one_stream(void **state)
{
    uint8_t data[3000];
    (void)state;
    compress_sample(data, sizeof data, 2);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        bool skips = kinds[i] != TRESOR_COMPRESSION_GZIP;
        if (skips)
            compress_skippable(&file, 3, 11);
        if (!compress_frame(&file, kinds[i], data, 1000))
            goto next;
        compress_frame(&file, kinds[i], data, 0);
        if (skips)
            compress_skippable(&file, 0, 0);
        compress_frame(&file, kinds[i], data + 1000, 2000);
        compress_frame(&file, kinds[i], data, 0);
        assert_decodes(kinds[i], &file, data, sizeof data);
    next:
        bytes_free(&file);
    }
}

static void a_seekable_file_ends_with_its_table(void **state)
{
    uint8_t data[3000];
    struct bytes file = {0};
    (void)state;
    compress_sample(data, sizeof data, 3);
    if (compress_seekable(&file, data, sizeof data, 700))
        assert_decodes(TRESOR_COMPRESSION_ZSTD, &file, data, sizeof data);
    bytes_free(&file);
}

static void an_empty_frame_is_an_empty_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        if (compress_frame(&file, kinds[i], "", 0))
            assert_decodes(kinds[i], &file, (const uint8_t *)"", 0);
        bytes_free(&file);
    }
}

/* Only the end of a frame is an end; what is missing is told where it begins. */
static void a_file_cut_anywhere_is_truncated(void **state)
{
    uint8_t data[900];
    (void)state;
    compress_sample(data, sizeof data, 4);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        if (!compress_frame(&file, kinds[i], data, 400))
            continue;
        size_t first = file.size;
        compress_frame(&file, kinds[i], data + 400, 500);
        for (size_t cut = 1; cut < file.size; cut++) {
            struct bytes part = {.data = file.data, .size = cut};
            struct decoded decoded = decode_whole(kinds[i], &part);
            assert_memory_equal(decoded.data, data, (size_t)decoded.size);
            if (cut == first) {
                assert_int_equal(decoded.step.status, TRESOR__DECODE_DONE);
                assert_int_equal(decoded.size, 400);
            } else {
                assert_int_equal(decoded.step.status, TRESOR__DECODE_FAILED);
                assert_error(decoded.step.code, TRESOR_ERROR_TRUNCATED);
                assert_int_equal(decoded.step.offset, cut);
            }
            end(&decoded);
        }
        bytes_free(&file);
    }
}

static void junk_behind_the_end_is_damage(void **state)
{
    static const char *const junk[] = {"ordinary text that is no frame", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "GGUF\3\0\0\0 and more"};
    uint8_t data[900];
    (void)state;
    compress_sample(data, sizeof data, 5);
    for (size_t i = 0; i < KINDS; i++)
        for (size_t j = 0; j < sizeof junk / sizeof junk[0]; j++) {
            struct bytes file = {0};
            if (compress_frame(&file, kinds[i], data, sizeof data)) {
                size_t good = file.size;
                bytes_put(&file, junk[j], 15);
                struct decoded decoded = decode_whole(kinds[i], &file);
                assert_int_equal(decoded.step.status, TRESOR__DECODE_FAILED);
                assert_error(decoded.step.code, TRESOR_ERROR_CORRUPT);
                /* gzip's library has looked at the two bytes of its magic by then. */
                assert_in_range(decoded.step.offset, good, good + 2);
                assert_int_equal(decoded.size, sizeof data);
                end(&decoded);
            }
            bytes_free(&file);
        }
}

/* Each bit of the file counts, but for some of a header that change nothing that is decoded. */
static void a_flipped_bit_never_passes_as_other_bytes(void **state)
{
    uint8_t data[300];
    (void)state;
    compress_sample(data, sizeof data, 6);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        uint32_t found = 0;
        if (!compress_frame(&file, kinds[i], data, sizeof data))
            continue;
        for (size_t bit = 0; bit < file.size * 8; bit++) {
            file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct decoded decoded = decode(kinds[i], &file, file.size, 4096, LIMIT_BYTES);
            if (decoded.step.status == TRESOR__DECODE_DONE && decoded.size > 0) {
                assert_int_equal(decoded.size, sizeof data);
                assert_memory_equal(decoded.data, data, sizeof data);
            } else {
                found++;
            }
            end(&decoded);
            file.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_true(found > file.size * 8 * 3 / 4);
        bytes_free(&file);
    }
}

static void a_wrong_checksum_is_damage(void **state)
{
    uint8_t data[300];
    (void)state;
    compress_sample(data, sizeof data, 7);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        if (compress_frame(&file, kinds[i], data, sizeof data)) {
            /* gzip: its length stands behind its checksum. */
            file.data[file.size - (kinds[i] == TRESOR_COMPRESSION_GZIP ? 8 : 1)] ^= 1;
            struct decoded decoded = decode_whole(kinds[i], &file);
            assert_error(decoded.step.code, TRESOR_ERROR_CORRUPT);
            end(&decoded);
        }
        bytes_free(&file);
    }
}

/* A bomb ends at the limit, which is reached and not passed; a file of just that size is good. */
static void a_limit_is_exact(void **state)
{
    static uint8_t zeros[LIMIT_BYTES];
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        if (!compress_frame(&file, kinds[i], zeros, LIMIT_BYTES))
            continue;
        compress_frame(&file, kinds[i], zeros, 0);
        for (uint64_t limit = 0; limit <= LIMIT_BYTES; limit += LIMIT_BYTES / 4) {
            for (uint32_t less = 0; less < 2 && less <= limit; less++) {
                struct decoded decoded = decode(kinds[i], &file, 4096, 70000, limit - less);
                assert_int_equal(decoded.size, limit - less);
                if (limit - less == LIMIT_BYTES) {
                    assert_int_equal(decoded.step.status, TRESOR__DECODE_DONE);
                } else {
                    assert_error(decoded.step.code, TRESOR_ERROR_LIMIT);
                    assert_int_equal(decoded.step.wanted, limit - less + 1);
                    assert_int_equal(decoded.step.got, limit - less);
                }
                end(&decoded);
            }
        }
        bytes_free(&file);
    }
}

static void the_limit_is_the_lower_one(void **state)
{
    (void)state;
    assert_int_equal(tresor__decoded_limit(100, 5000, 10), 1000);
    assert_int_equal(tresor__decoded_limit(100, 5000, 50), 5000);
    assert_int_equal(tresor__decoded_limit(100, 5000, 51), 5000);
    assert_int_equal(tresor__decoded_limit(UINT64_MAX, 5000, 2), 5000);
    assert_int_equal(tresor__decoded_limit(2, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    assert_int_equal(tresor__decoded_limit(100, 0, 10), 0);
    assert_int_equal(tresor__decoded_limit(0, 5000, 10), 0);
}

static void a_window_that_is_too_large_is_refused(void **state)
{
    uint8_t data[3000];
    (void)state;
    compress_sample(data, sizeof data, 8);
    for (int log = 26; log <= 28; log++) {
        struct bytes file = {0};
        if (!compress_with_window(&file, log, data, sizeof data))
            return;
        struct decoded decoded = decode_whole(TRESOR_COMPRESSION_ZSTD, &file);
        if (log > TRESOR__DECODE_WINDOW_LOG_MAX) {
            assert_error(decoded.step.code, TRESOR_ERROR_LIMIT);
            assert_int_equal(decoded.step.got, 1 << TRESOR__DECODE_WINDOW_LOG_MAX);
            assert_int_equal(decoded.size, 0);
        } else {
            assert_int_equal(decoded.step.status, TRESOR__DECODE_DONE);
            assert_memory_equal(decoded.data, data, sizeof data);
        }
        end(&decoded);
        bytes_free(&file);
    }
}

/* One segment of 5 bytes, with the number of a dictionary, and a block of what follows. */
static void a_dictionary_is_not_to_be_had(void **state)
{
    static const char frame[] = "\x28\xb5\x2f\xfd\x21\x07\x05\x29\0\0hello";
    const struct bytes file = {.data = (uint8_t *)(uintptr_t)frame, .size = sizeof frame - 1};
    (void)state;
    if (!tresor__compression_is_built(TRESOR_COMPRESSION_ZSTD))
        return;
    struct decoded decoded = decode_whole(TRESOR_COMPRESSION_ZSTD, &file);
    assert_error(decoded.step.code, TRESOR_ERROR_UNSUPPORTED);
    assert_int_equal(decoded.size, 0);
    end(&decoded);
}

/* Each allocation fails once: NO_MEMORY, from the open or the run, and nothing is left. */
static void every_allocation_may_fail(void **state)
{
    uint8_t data[3000];
    uint8_t out[4000];
    (void)state;
    compress_sample(data, sizeof data, 9);
    for (size_t i = 0; i < KINDS; i++) {
        struct bytes file = {0};
        bool failed = compress_frame(&file, kinds[i], data, sizeof data);
        for (uint64_t call = 1; failed; call++) {
            struct failing_allocator counts = {.fail_call = call};
            const struct tresor_allocator hooks = failing_allocator_hooks(&counts);
            struct tresor__decoder *decoder = NULL;
            int32_t code = tresor__decoder_open(&decoder, &hooks, kinds[i], LIMIT_BYTES);
            if (code == TRESOR_OK) {
                struct tresor__decode_step step = {.input = file.data,
                                                   .input_bytes = file.size,
                                                   .is_last = true,
                                                   .output = out,
                                                   .output_bytes = sizeof out};
                tresor__decoder_run(decoder, &step);
                code = step.code;
            }
            tresor__decoder_close(decoder);
            failed = counts.failed;
            assert_error(code, failed ? TRESOR_ERROR_NO_MEMORY : TRESOR_OK);
            assert_true(failed || call > 2);
            assert_int_equal(counts.outstanding_bytes, 0);
        }
        bytes_free(&file);
    }
}

/* What has failed fails again, in the same way, and takes and makes nothing. */
static void a_failure_is_for_good(void **state)
{
    uint8_t out[64];
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct tresor__decoder *decoder = NULL;
        const struct tresor_allocator hooks = tresor__allocator_or_default(NULL);
        struct tresor__decode_step step = {.input = (const uint8_t *)"this is no frame of any kind",
                                           .input_bytes = 28,
                                           .output = out,
                                           .output_bytes = sizeof out};
        if (!tresor__compression_is_built(kinds[i])) {
            assert_error(tresor__decoder_open(&decoder, &hooks, kinds[i], 1), TRESOR_ERROR_UNSUPPORTED);
            continue;
        }
        assert_error(tresor__decoder_open(&decoder, &hooks, kinds[i], LIMIT_BYTES), TRESOR_OK);
        tresor__decoder_run(decoder, &step);
        assert_error(step.code, TRESOR_ERROR_CORRUPT);
        struct tresor__decode_step first = step;
        tresor__decoder_run(decoder, &step);
        assert_int_equal(step.status, TRESOR__DECODE_FAILED);
        assert_int_equal(step.taken_bytes, 0);
        assert_int_equal(step.made_bytes, 0);
        assert_error(step.code, first.code);
        assert_int_equal(step.offset, first.offset);
        tresor__decoder_close(decoder);
    }
}

static void what_begins_in_which_way(void **state)
{
    static const struct {
        const char *data;
        size_t size;
        uint32_t kind;
    } rows[] = {
        {"", 0, TRESOR_COMPRESSION_NONE},
        {"\x28\xb5\x2f", 3, TRESOR_COMPRESSION_NONE},
        {"\x28\xb5\x2f\xfd", 4, TRESOR_COMPRESSION_ZSTD},
        {"\x27\xb5\x2f\xfd", 4, TRESOR_COMPRESSION_NONE}, /* a version before the format was fixed */
        {"\x1f\x8b\x08", 3, TRESOR_COMPRESSION_GZIP},
        {"\x1f\x8b\x07", 3, TRESOR_COMPRESSION_NONE},
        {"\x1f\x9d\x08", 3, TRESOR_COMPRESSION_NONE}, /* compress(1) */
        {"\x04\x22\x4d\x18", 4, TRESOR_COMPRESSION_LZ4},
        {"\x02\x21\x4c\x18", 4, TRESOR_COMPRESSION_NONE}, /* the legacy format */
        {"\x50\x2a\x4d\x18", 4, TRESOR_COMPRESSION_NONE},
        {"\x50\x2a\x4d\x18\0\0\0\0", 8, TRESOR_COMPRESSION_ZSTD},
        {"\x50\x2a\x4d\x18\1\0\0\0?\x04\x22\x4d\x18", 13, TRESOR_COMPRESSION_LZ4},
        {"\x5f\x2a\x4d\x18\1\0\0\0?\x28\xb5\x2f\xfd", 13, TRESOR_COMPRESSION_ZSTD},
        {"\x5f\x2a\x4d\x18\xff\xff\xff\xff?\x04\x22\x4d\x18", 13, TRESOR_COMPRESSION_ZSTD},
        {"\x50\x2a\x4d\x18\0\0\0\0\x5f\x2a\x4d\x18\0\0\0\0\x04\x22\x4d\x18", 20, TRESOR_COMPRESSION_LZ4},
        {"GGUF\3\0\0\0", 8, TRESOR_COMPRESSION_NONE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(tresor__compression_sniff((const uint8_t *)rows[i].data, rows[i].size), rows[i].kind);
    assert_string_equal(tresor_compression_name(TRESOR_COMPRESSION_GZIP), "gzip");
    assert_string_equal(tresor_compression_name(TRESOR_COMPRESSION_NONE), "none");
    assert_string_equal(tresor_compression_name(99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_of_input_and_room),
        cmocka_unit_test(many_frames_are_one_stream),
        cmocka_unit_test(a_seekable_file_ends_with_its_table),
        cmocka_unit_test(an_empty_frame_is_an_empty_file),
        cmocka_unit_test(a_file_cut_anywhere_is_truncated),
        cmocka_unit_test(junk_behind_the_end_is_damage),
        cmocka_unit_test(a_flipped_bit_never_passes_as_other_bytes),
        cmocka_unit_test(a_wrong_checksum_is_damage),
        cmocka_unit_test(a_limit_is_exact),
        cmocka_unit_test(the_limit_is_the_lower_one),
        cmocka_unit_test(a_window_that_is_too_large_is_refused),
        cmocka_unit_test(a_dictionary_is_not_to_be_had),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(a_failure_is_for_good),
        cmocka_unit_test(what_begins_in_which_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
