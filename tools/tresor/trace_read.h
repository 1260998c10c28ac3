/* SPDX-License-Identifier: MIT */
/* Reading a trace: pure functions over its bytes, which may be anything. */
#ifndef TOOL_TRACE_READ_H
#define TOOL_TRACE_READ_H

#include <jansson.h>

#include "trace_text.h"

enum trace_fault {
    TRACE_WHOLE,
    TRACE_NONE,          /* no trace at all */
    TRACE_VERSION_OTHER, /* of the trace, or of the library */
    TRACE_CUT,           /* its end is not there */
    TRACE_DAMAGED,       /* a line is not what was written */
};

/** What is wrong with it, and where. */
struct trace_complaint {
    enum trace_fault fault;
    uint64_t line; /* from 1; 0: none in particular */
    char text[160];
};

enum trace_kind {
    TRACE_HEADER,
    TRACE_CALL,
    TRACE_RETURNED,
    TRACE_EFFECT,
    TRACE_POLL,
    TRACE_ANSWER,
    TRACE_PENDING,
    TRACE_STEP,
    TRACE_END,
    TRACE_KINDS
};

/** One line. */
struct trace_line {
    uint64_t number; /* from 1 */
    enum trace_kind kind;
    const char *bytes;
    size_t size_bytes; /* without the line feed */
    size_t body_bytes; /* what trace_write was given */
    bool has_time;
    uint64_t time_us;
    json_t *json;
};

struct trace_reader {
    const char *bytes;
    size_t size_bytes;
    size_t position;
    uint64_t number;
    uint32_t sum;
};

/** Whether it is a whole trace of this version, in every line. */
bool trace_check(const char *bytes, size_t size_bytes, struct trace_complaint *complaint);

/** Read from the start on. */
void trace_reader_begin(struct trace_reader *reader, const char *bytes, size_t size_bytes);

/** The next line, to be ended by trace_line_free. False after the last; also with a complaint,
 * without which it is TRACE_WHOLE. */
bool trace_reader_next(struct trace_reader *reader, struct trace_line *line,
                       struct trace_complaint *complaint);
void trace_line_free(struct trace_line *line);

/* What a line says; false where it is not written so. */
bool trace_read_header(const struct trace_line *line, struct trace_header *header);
bool trace_read_poll(const struct trace_line *line, struct tresor__poll *poll);
bool trace_read_pending(const struct trace_line *line, bool *is_pending);
bool trace_read_end(const struct trace_line *line, uint64_t *line_count);

/** Its bytes are to be freed: `bytes` of the answer. */
bool trace_read_answer(const struct trace_line *line, struct tresor__answer *answer, void **bytes);

/** What it points to is to be ended by trace_call_free. */
bool trace_read_call(const struct trace_line *line, struct call *call);
void trace_call_free(struct call *call);

/** A number that is not negative, written as one or as a text. */
bool trace_read_number(const json_t *object, const char *name, uint64_t most, uint64_t *value);

#endif
