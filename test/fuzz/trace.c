/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a trace: as they are, and as lines that get what damage would be found by: their sums, an end and, unless
 * they have one, a first line.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <string.h>

#include "support/bytes.h"
#include "trace.h"
#include "trace_read.h"

/* A trace that grows by lines without their last braces. */
struct made {
    struct bytes bytes;
    uint32_t sum;
    uint64_t lines;
};

static void put_line(struct made *made, const char *body, size_t length)
{
    char tail[40];
    made->sum = trace_sum(made->sum, body, length);
    const int tail_length =
        snprintf(tail, sizeof tail, ", \"sum\": \"%08" PRIx32 "\"}\n", made->sum);
    bytes_put(&made->bytes, body, length);
    bytes_put(&made->bytes, tail, (size_t)tail_length);
    made->sum = trace_sum(made->sum, tail, (size_t)tail_length);
    made->lines++;
}

static void put_header(struct made *made)
{
    const struct trace_header header = {.facts = {.page_bytes = 4096}};
    struct trace_text text = {0};
    trace_text_header(&text, &header);
    FUZZ_CHECK(!text.has_failed);
    put_line(made, text.bytes, text.length);
    trace_text_free(&text);
}

static void put_lines(struct made *made, const char *text, size_t size)
{
    while (size > 0) {
        const char *feed = memchr(text, '\n', size);
        const size_t length = feed ? (size_t)(feed - text) : size;
        const size_t passed = feed ? length + 1 : length;
        put_line(made, text, length);
        text += passed;
        size -= passed;
    }
}

/* What was taken for a trace can be read to its end, a line after the other. */
static void read_all(const char *bytes, size_t size)
{
    struct trace_reader reader;
    struct trace_line line;
    struct trace_complaint complaint;
    uint64_t lines = 0;
    trace_reader_begin(&reader, bytes, size);
    while (trace_reader_next(&reader, &line, &complaint)) {
        FUZZ_CHECK(line.number == ++lines);
        FUZZ_CHECK(line.body_bytes < line.size_bytes);
        FUZZ_CHECK((line.kind == TRACE_HEADER) == (lines == 1));
        trace_line_free(&line);
    }
    FUZZ_CHECK(complaint.fault == TRACE_WHOLE);
    FUZZ_CHECK(reader.position == size && lines > 0);
}

static bool check(const uint8_t *data, size_t size)
{
    /* A block of that size, so that ASan sees a read behind it. */
    char *copy = malloc(size ? size : 1);
    struct trace_complaint complaint = {0};
    FUZZ_CHECK(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    const bool is_whole = trace_check(copy, size, &complaint);
    FUZZ_CHECK(is_whole == (complaint.fault == TRACE_WHOLE));
    FUZZ_CHECK(is_whole || complaint.text[0] != '\0');
    FUZZ_CHECK(complaint.line <= size + 1);
    if (is_whole)
        read_all(copy, size);
    free(copy);
    return is_whole;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char first[] = "{\"trace\": ";
    struct made made = {.sum = TRACE_SUM_START};
    char end[40];
    check(data, size);
    if (size < sizeof first - 1 || memcmp(data, first, sizeof first - 1) != 0)
        put_header(&made);
    put_lines(&made, (const char *)data, size);
    const int length = snprintf(end, sizeof end, "{\"end\": %" PRIu64, made.lines);
    put_line(&made, end, (size_t)length);
    const bool is_whole = check(made.bytes.data, made.bytes.size);
    FUZZ_CHECK(size > 0 || is_whole);
    if (is_whole) { /* and no longer once a byte of it is another */
        made.bytes.data[size * 7 % made.bytes.size] ^= 1;
        FUZZ_CHECK(!check(made.bytes.data, made.bytes.size));
    }
    bytes_free(&made.bytes);
    return 0;
}
