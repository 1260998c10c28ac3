/* SPDX-License-Identifier: MIT */
/*
 * Traces that are not what was written: cut anywhere, with any byte changed, and changed so that
 * their sums are right all the same. The first two are errors that name their line; the last are as
 * good as any, until something differs.
 */
#include "harness.h"

#include <stdlib.h>
#include <string.h>

#include "replay.h"
#include "support/random.h"
#include "support/temporary.h"
#include "trace.h"

static struct bytes make_trace(const char *options)
{
    char line[200];
    assert_int_equal(tool("generate --size 4K --tensors 4 m.gguf"), 0);
    snprintf(line, sizeof line, "load --backend sync %s --trace trace m.gguf", options);
    assert_int_equal(tool(line), 0);
    return read_file("trace");
}

static uint64_t line_of(const struct bytes *trace, size_t position)
{
    uint64_t line = 1;
    for (size_t i = 0; i < position; i++)
        line += trace->data[i] == '\n';
    return line;
}

static void every_cut_is_found(void **state)
{
    struct trace_complaint complaint;
    struct bytes trace = make_trace("--strategy read");
    (void)state;
    assert_true(trace_check((const char *)trace.data, trace.size, &complaint));
    for (size_t size = 0; size < trace.size; size++) {
        assert_false(trace_check((const char *)trace.data, size, &complaint));
        assert_int_equal(complaint.fault, size == 0 ? TRACE_NONE : TRACE_CUT);
        assert_true(complaint.line <= line_of(&trace, size));
    }
    bytes_free(&trace);
}

/** Also of a trace whose memory ends there, so that a read behind it is found. */
static void nothing_is_read_behind_a_cut(void **state)
{
    struct bytes trace = make_trace("");
    uint64_t seed = 77;
    (void)state;
    for (int i = 0; i < 200; i++) {
        const size_t size = 1 + random_below(&seed, (uint32_t)trace.size - 1);
        struct trace_reader reader;
        struct trace_line line;
        struct trace_complaint complaint;
        char *copy = malloc(size);
        assert_non_null(copy);
        memcpy(copy, trace.data, size);
        assert_false(trace_check(copy, size, &complaint));
        trace_reader_begin(&reader, copy, size);
        while (trace_reader_next(&reader, &line, &complaint))
            trace_line_free(&line);
        free(copy);
    }
    bytes_free(&trace);
}

/** How many that are made by chance; more of them, and every byte, where that is asked for. */
static uint64_t mutant_count(void)
{
    const char *text = getenv("TRESOR_REPLAY_MUTANTS");
    return text ? strtoull(text, NULL, 10) : 300;
}

static void changed_bytes_are_found(void **state)
{
    const uint32_t step = getenv("TRESOR_REPLAY_MUTANTS") ? 1 : 16;
    struct trace_complaint complaint;
    struct bytes trace = make_trace("--strategy read");
    const uint64_t last = line_of(&trace, trace.size - 1);
    uint64_t seed = 4711;
    uint64_t line = 1;
    (void)state;
    for (size_t i = 0; i < trace.size; i++) {
        const uint8_t was = trace.data[i];
        line += i > 0 && trace.data[i - 1] == '\n';
        if (random_below(&seed, step) > 0)
            continue;
        trace.data[i] = (uint8_t)(was ^ 1u << random_below(&seed, 8));
        if (trace_check((const char *)trace.data, trace.size, &complaint))
            fail_msg("byte %zu of line %d may be %d for %d", i, (int)line, trace.data[i], was);
        if (line > 1 && line < last)
            assert_int_equal(complaint.line, line);
        trace.data[i] = was;
    }
    bytes_free(&trace);
}

/* --- traces that are whole, but not what happened --- */

/** Sums and the last line made anew. */
static struct bytes seal(const struct bytes *lines)
{
    struct bytes sealed = {0};
    const char *at = (const char *)lines->data;
    const char *end = at + lines->size;
    uint32_t sum = TRACE_SUM_START;
    uint64_t count = 0;
    while (at < end) {
        char tail[64];
        char last[64];
        const char *body = at;
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(feed);
        size_t length = (size_t)(feed - at);
        const char *old = memmem(at, length, ", \"sum\": \"", 10);
        length = old ? (size_t)(old - at) : length;
        if (strncmp(at, "{\"end\": ", 8) == 0) {
            length = (size_t)snprintf(last, sizeof last, "{\"end\": %d", (int)count);
            body = last;
        }
        bytes_put(&sealed, body, length);
        sum = trace_sum(sum, body, length);
        const int bytes = snprintf(tail, sizeof tail, ", \"sum\": \"%08x\"}\n", (unsigned)sum);
        bytes_put(&sealed, tail, (size_t)bytes);
        sum = trace_sum(sum, tail, (size_t)bytes);
        count++;
        at = feed + 1;
    }
    return sealed;
}

static const char *start_of(const struct bytes *trace, uint64_t line)
{
    const char *at = (const char *)trace->data;
    for (; line > 1; line--)
        at = strchr(at, '\n') + 1;
    return at;
}

/** Another digit for one of a line's body. */
static void change_digit(struct bytes *trace, uint64_t line, uint64_t *seed)
{
    char *start = (char *)trace->data + (start_of(trace, line) - (const char *)trace->data);
    size_t digits = 0;
    size_t chosen = 0;
    const size_t length = strcspn(start, "\n") - strlen(", \"sum\": \"01234567\"}");
    for (size_t i = 0; i < length; i++)
        if (start[i] >= '0' && start[i] <= '9' && random_below(seed, (uint32_t)++digits) == 0)
            chosen = i;
    if (digits > 0)
        start[chosen] = (char)('0' + (start[chosen] - '0' + 1 + (int)random_below(seed, 9)) % 10);
}

static void drop_line(struct bytes *trace, uint64_t line)
{
    const size_t start = (size_t)(start_of(trace, line) - (const char *)trace->data);
    const size_t next = (size_t)(start_of(trace, line + 1) - (const char *)trace->data);
    memmove(trace->data + start, trace->data + next, trace->size - next);
    trace->size -= next - start;
}

static void double_line(struct bytes *trace, uint64_t line)
{
    struct bytes doubled = {0};
    const size_t start = (size_t)(start_of(trace, line) - (const char *)trace->data);
    const size_t next = (size_t)(start_of(trace, line + 1) - (const char *)trace->data);
    bytes_put(&doubled, trace->data, next);
    bytes_put(&doubled, trace->data + start, trace->size - start);
    bytes_put_u8(&doubled, 0);
    doubled.size--;
    bytes_free(trace);
    *trace = doubled;
}

struct mutants {
    uint64_t refused; /* by the check of the trace alone */
    uint64_t differed;
    uint64_t same;
};

/** Whether it is replayed without a difference. */
static bool judge(const struct bytes *lines, struct mutants *mutants)
{
    struct trace_complaint complaint;
    struct replay_result result = {0};
    struct bytes sealed = seal(lines);
    const char *bytes = (const char *)sealed.data;
    bool is_same = false;
    if (!trace_check(bytes, sealed.size, &complaint)) {
        assert_true(complaint.line > 0);
        mutants->refused++;
    } else {
        is_same = replay_run(bytes, sealed.size, NULL, &result);
        assert_int_equal(is_same, result.line == 0);
        mutants->same += is_same;
        mutants->differed += !is_same;
    }
    replay_result_free(&result);
    bytes_free(&sealed);
    return is_same;
}

static void mutate(const struct bytes *trace, uint64_t *seed, struct mutants *mutants)
{
    struct bytes mutant = {0};
    bytes_put(&mutant, trace->data, trace->size);
    bytes_put_u8(&mutant, 0);
    mutant.size--;
    /* Neither the first nor the last but for digits. */
    const uint64_t lines = line_of(trace, trace->size) - 1;
    const uint64_t line = 2 + random_below(seed, (uint32_t)lines - 2);
    const uint32_t way = random_below(seed, 4);
    if (way == 0)
        drop_line(&mutant, line);
    else if (way == 1)
        double_line(&mutant, line);
    else
        change_digit(&mutant, random_once_in(seed, 20) ? 1 : line, seed);
    const bool is_same = judge(&mutant, mutants);
    /* Every line says something, so none may be missing, or there twice. */
    if (is_same && way < 2)
        fail_msg("line %d was %s, and nothing differs", (int)line, way == 0 ? "gone" : "doubled");
    bytes_free(&mutant);
}

static void other_traces_differ_and_do_no_harm(void **state)
{
    static const char *const ways[] = {"--strategy read", "", "--budget 8K --passes 2",
                                       "--policy plan --window 1", "--swap-at 50 --strategy read"};
    struct mutants mutants = {0};
    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct mutants unchanged = {0};
        uint64_t seed = 20261121 + i;
        struct bytes trace = make_trace(ways[i]);
        assert_true(judge(&trace, &unchanged));
        for (uint64_t k = 0; k < mutant_count() / 5; k++)
            mutate(&trace, &seed, &mutants);
        bytes_free(&trace);
    }
    print_message("# refused %d, differed %d, the same %d\n", (int)mutants.refused,
                  (int)mutants.differed, (int)mutants.same);
    assert_true(mutants.differed > mutants.same);
}

/** By its exit code, and by what it says. */
static void the_tool_tells_a_difference(void **state)
{
    struct trace_complaint complaint;
    bool is_whole = false;
    (void)state;
    for (uint64_t line = 2; !is_whole; line++) {
        struct bytes trace = make_trace("");
        bytes_put_u8(&trace, 0);
        trace.size--;
        drop_line(&trace, line);
        struct bytes sealed = seal(&trace);
        is_whole = trace_check((const char *)sealed.data, sealed.size, &complaint);
        temporary_write("other", sealed.data, sealed.size);
        assert_int_equal(tool("replay other"), is_whole ? 1 : 3);
        assert_non_null(strstr((const char *)tool_result.errors.bytes, ": line "));
        bytes_free(&sealed);
        bytes_free(&trace);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_cut_is_found),
        IN_FOLDER(nothing_is_read_behind_a_cut),
        IN_FOLDER(changed_bytes_are_found),
        IN_FOLDER(other_traces_differ_and_do_no_harm),
        IN_FOLDER(the_tool_tells_a_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
