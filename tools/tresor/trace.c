/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "writing.h"

static bool fail(const struct trace *trace, int error)
{
    fprintf(stderr, "tresor: cannot write '%s': %s\n", trace->path, strerror(error));
    return false;
}

bool trace_begin(struct trace *trace, const char *path, bool has_times, const char *model_path)
{
    *trace = (struct trace){
        .path = path, .has_times = has_times, .sum = TRACE_SUM_START, .start_ns = clock_ns()};
    if (!path)
        return true;
    trace->file = writing_begin(path, model_path);
    return trace->file || fail(trace, errno);
}

/* FNV-1a: each step can be undone, so what differs in one byte never comes to the same sum again. */
uint32_t trace_sum(uint32_t sum, const char *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        sum = (sum ^ (uint8_t)bytes[i]) * 16777619U;
    return sum;
}

static void put(struct trace *trace, const char *bytes, size_t size_bytes)
{
    trace->sum = trace_sum(trace->sum, bytes, size_bytes);
    if (!trace->failed_errno && fwrite(bytes, 1, size_bytes, trace->file) != size_bytes)
        trace->failed_errno = errno;
}

void trace_write(struct trace *trace, const char *body, size_t size_bytes)
{
    char tail[64];
    put(trace, body, size_bytes);
    if (trace->has_times) {
        const int length = snprintf(tail, sizeof tail, ", \"time_us\": %" PRIu64,
                                    (clock_ns() - trace->start_ns) / 1000);
        put(trace, tail, (size_t)length);
    }
    const int length = snprintf(tail, sizeof tail, ", \"sum\": \"%08" PRIx32 "\"}\n", trace->sum);
    put(trace, tail, (size_t)length);
    trace->line_count++;
}

bool trace_end(struct trace *trace)
{
    if (!trace->path)
        return true;
    char line[48];
    const int length = snprintf(line, sizeof line, "{\"end\": %" PRIu64, trace->line_count);
    trace_write(trace, line, (size_t)length);
    /* Errors of delayed writes come with the close. */
    if (fclose(trace->file) != 0 && !trace->failed_errno)
        trace->failed_errno = errno;
    return trace->failed_errno == 0 || fail(trace, trace->failed_errno);
}
