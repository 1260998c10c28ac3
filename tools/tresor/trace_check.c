/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"
#include "trace_read.h"

static bool complain(struct trace_complaint *complaint, enum trace_fault fault, uint64_t line,
                     const char *text)
{
    *complaint = (struct trace_complaint){.fault = fault, .line = line};
    snprintf(complaint->text, sizeof complaint->text, "%s", text);
    return false;
}

/** Before any sum, for those of another version may be made in another way. */
static bool check_version(const char *bytes, size_t size_bytes, struct trace_complaint *complaint)
{
    json_t *header = json_loadb(bytes, size_bytes, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL);
    const char *name = json_string_value(json_object_get(header, "trace"));
    const char *library = json_string_value(json_object_get(header, "library"));
    const json_t *version = json_object_get(header, "version");
    bool is_known = true;
    if (!name || strcmp(name, "tresor") != 0) {
        const bool is_cut = size_bytes < 16 || !memchr(bytes, '\n', size_bytes);
        is_known = complain(complaint, is_cut && size_bytes > 0 ? TRACE_CUT : TRACE_NONE, 1,
                            "this is no trace, or not the whole of its first line");
    } else if (!json_is_integer(version) || json_integer_value(version) != TRACE_VERSION ||
               !library || strcmp(library, tresor_version()) != 0) {
        is_known = complain(complaint, TRACE_VERSION_OTHER, 1, "");
        snprintf(complaint->text, sizeof complaint->text,
                 "a trace of another version (%" JSON_INTEGER_FORMAT " of tresor %.20s); this is "
                 "version %d of tresor %s",
                 json_integer_value(version), library ? library : "?", TRACE_VERSION,
                 tresor_version());
    }
    json_decref(header);
    return is_known;
}

/** The last line alone, so that most cuts are found at once. */
static bool check_end(const char *bytes, size_t size_bytes, struct trace_complaint *complaint)
{
    const char *end = bytes + size_bytes - 1;
    if (*end == '\n') {
        const char *before = memrchr(bytes, '\n', size_bytes - 1);
        const char *last = before ? before + 1 : bytes;
        if ((size_t)(end - last) > 8 && memcmp(last, "{\"end\": ", 8) == 0)
            return true;
    }
    uint64_t lines = 0;
    for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(end + 1 - at))); at++)
        lines++;
    return complain(complaint, TRACE_CUT, lines + (*end != '\n'),
                    "the trace is cut here: its end is missing");
}

static bool says_something(const struct trace_line *line)
{
    struct trace_header header;
    struct tresor__answer answer;
    struct tresor__poll poll;
    struct call call;
    void *bytes = NULL;
    uint64_t number;
    bool is_pending;
    bool is_read = true;
    switch (line->kind) {
    case TRACE_HEADER:
        return line->number == 1 && trace_read_header(line, &header);
    case TRACE_CALL:
        is_read = trace_read_call(line, &call);
        if (is_read)
            trace_call_free(&call);
        break;
    case TRACE_POLL:
        return trace_read_poll(line, &poll);
    case TRACE_ANSWER:
        is_read = trace_read_answer(line, &answer, &bytes);
        free(bytes);
        break;
    case TRACE_PENDING:
        return trace_read_pending(line, &is_pending);
    case TRACE_END:
        return trace_read_end(line, &number) && number == line->number - 1;
    default:
        break; /* these are compared as they stand */
    }
    return is_read;
}

static bool check_line(const struct trace_reader *reader, const struct trace_line *line,
                       struct trace_complaint *complaint)
{
    const bool is_last = reader->position == reader->size_bytes;
    if (!says_something(line))
        return complain(complaint, TRACE_DAMAGED, line->number, "the line says nothing known");
    if ((line->kind == TRACE_HEADER) != (line->number == 1) || (line->kind == TRACE_END) != is_last)
        return complain(complaint, TRACE_DAMAGED, line->number, "the line is not in its place");
    return true;
}

bool trace_check(const char *bytes, size_t size_bytes, struct trace_complaint *complaint)
{
    struct trace_reader reader;
    struct trace_line line;
    if (!check_version(bytes, size_bytes, complaint) || !check_end(bytes, size_bytes, complaint))
        return false;
    trace_reader_begin(&reader, bytes, size_bytes);
    bool is_whole = true;
    while (is_whole && trace_reader_next(&reader, &line, complaint)) {
        is_whole = check_line(&reader, &line, complaint);
        trace_line_free(&line);
    }
    return is_whole && complaint->fault == TRACE_WHOLE;
}
