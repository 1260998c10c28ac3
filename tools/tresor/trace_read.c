/* SPDX-License-Identifier: MIT */
#include "trace_read.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

#define SUM_BEGIN ", \"sum\": \""
#define SUM_END "\"}"
#define TIME_BEGIN ", \"time_us\": "

enum {
    SUM_DIGITS = 8,
    TAIL_BYTES = sizeof SUM_BEGIN - 1 + SUM_DIGITS + sizeof SUM_END - 1,
    TIME_DIGITS_MAX = 18,
};

/* By its first member. */
static const char *const openings[TRACE_KINDS] = {
    [TRACE_HEADER] = "{\"trace\": ",      [TRACE_CALL] = "{\"call\": ",
    [TRACE_RETURNED] = "{\"returned\": ", [TRACE_EFFECT] = "{\"effect\": ",
    [TRACE_POLL] = "{\"poll\": ",         [TRACE_ANSWER] = "{\"answer\": ",
    [TRACE_PENDING] = "{\"pending\": ",   [TRACE_STEP] = "{\"sequence\": ",
    [TRACE_END] = "{\"end\": ",
};

__attribute__((format(printf, 4, 5))) static bool complain(struct trace_complaint *complaint,
                                                           enum trace_fault fault, uint64_t line,
                                                           const char *format, ...)
{
    va_list arguments;
    *complaint = (struct trace_complaint){.fault = fault, .line = line};
    va_start(arguments, format);
    vsnprintf(complaint->text, sizeof complaint->text, format, arguments);
    va_end(arguments);
    return false;
}

/* --- lines --- */

void trace_reader_begin(struct trace_reader *reader, const char *bytes, size_t size_bytes)
{
    *reader =
        (struct trace_reader){.bytes = bytes, .size_bytes = size_bytes, .sum = TRACE_SUM_START};
}

void trace_line_free(struct trace_line *line)
{
    json_decref(line->json);
    line->json = NULL;
}

static bool begins_with(const char *bytes, size_t size_bytes, const char *text)
{
    const size_t length = strlen(text);
    return size_bytes >= length && memcmp(bytes, text, length) == 0;
}

static bool find_kind(struct trace_line *line)
{
    for (uint32_t i = 0; i < TRACE_KINDS; i++) {
        if (begins_with(line->bytes, line->size_bytes, openings[i])) {
            line->kind = (enum trace_kind)i;
            return true;
        }
    }
    return false;
}

/** The time that the text before the sum ends in, if it does. */
static void find_time(struct trace_line *line)
{
    const size_t begin_bytes = strlen(TIME_BEGIN);
    size_t at = line->body_bytes;
    uint64_t unit = 1;
    uint64_t time_us = 0;
    size_t digits = 0;
    while (digits < TIME_DIGITS_MAX && at > 0 && line->bytes[at - 1] >= '0' &&
           line->bytes[at - 1] <= '9') {
        time_us += unit * (uint64_t)(line->bytes[--at] - '0');
        unit *= 10;
        digits++;
    }
    if (digits == 0 || at < begin_bytes ||
        memcmp(line->bytes + at - begin_bytes, TIME_BEGIN, begin_bytes) != 0)
        return;
    line->has_time = true;
    line->time_us = time_us;
    line->body_bytes = at - begin_bytes;
}

/** Whether the line ends in the sum of all before it. */
static bool has_sum(struct trace_reader *reader, struct trace_line *line)
{
    char tail[TAIL_BYTES + 1];
    if (line->size_bytes <= TAIL_BYTES)
        return false;
    line->body_bytes = line->size_bytes - TAIL_BYTES;
    reader->sum = trace_sum(reader->sum, line->bytes, line->body_bytes);
    snprintf(tail, sizeof tail, SUM_BEGIN "%08" PRIx32 SUM_END, reader->sum);
    /* As the writer did: the tail and the line feed are part of the next sum. */
    reader->sum = trace_sum(reader->sum, tail, TAIL_BYTES);
    reader->sum = trace_sum(reader->sum, "\n", 1);
    return memcmp(line->bytes + line->body_bytes, tail, TAIL_BYTES) == 0;
}

bool trace_reader_next(struct trace_reader *reader, struct trace_line *line,
                       struct trace_complaint *complaint)
{
    *complaint = (struct trace_complaint){.fault = TRACE_WHOLE};
    *line =
        (struct trace_line){.number = ++reader->number, .bytes = reader->bytes + reader->position};
    const size_t left = reader->size_bytes - reader->position;
    if (left == 0)
        return false;
    const char *feed = memchr(line->bytes, '\n', left);
    if (!feed)
        return complain(complaint, TRACE_CUT, line->number, "the trace is cut within this line");
    line->size_bytes = (size_t)(feed - line->bytes);
    reader->position += line->size_bytes + 1;
    if (!has_sum(reader, line) || !find_kind(line))
        return complain(complaint, TRACE_DAMAGED, line->number, "the line is not what was written");
    find_time(line);
    line->json =
        json_loadb(line->bytes, line->size_bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    return line->json ||
           complain(complaint, TRACE_DAMAGED, line->number, "the line is no object of JSON");
}

/* --- what lines say --- */

bool trace_read_number(const json_t *object, const char *name, uint64_t most, uint64_t *value)
{
    const json_t *member = json_object_get(object, name);
    const char *text = json_string_value(member);
    if (json_is_integer(member) && json_integer_value(member) >= 0) {
        *value = (uint64_t)json_integer_value(member);
    } else if (text && *text >= '0' && *text <= '9') {
        char *end = NULL;
        *value = strtoull(text, &end, 0);
        if (*end != '\0')
            return false;
    } else {
        return false;
    }
    return *value <= most;
}

static bool read_u32(const json_t *object, const char *name, uint32_t *value)
{
    uint64_t wide = 0;
    const bool is_read = trace_read_number(object, name, UINT32_MAX, &wide);
    *value = (uint32_t)wide;
    return is_read;
}

static bool read_i32(const json_t *object, const char *name, int32_t *value)
{
    const json_t *member = json_object_get(object, name);
    const json_int_t wide = json_integer_value(member);
    *value = (int32_t)wide;
    return json_is_integer(member) && wide >= INT32_MIN && wide <= INT32_MAX;
}

static bool read_options(const json_t *object, struct tresor_context_options *options)
{
    *options = (struct tresor_context_options){.size_bytes = sizeof *options};
    if (json_object_size(object) != TRACE_OPTIONS)
        return false;
    for (size_t i = 0; i < TRACE_OPTIONS; i++) {
        const struct trace_option *option = &trace_options[i];
        const bool is_wide = option->size_bytes == sizeof(uint64_t);
        uint64_t value;
        if (!trace_read_number(object, option->name, is_wide ? UINT64_MAX : UINT32_MAX, &value))
            return false;
        const uint32_t narrow = (uint32_t)value;
        memcpy((char *)options + option->offset, is_wide ? (void *)&value : (const void *)&narrow,
               option->size_bytes);
    }
    return true;
}

bool trace_read_header(const struct trace_line *line, struct trace_header *header)
{
    *header = (struct trace_header){0};
    return line->kind == TRACE_HEADER && read_i32(line->json, "code", &header->code) &&
           trace_read_number(line->json, "page_bytes", UINT64_MAX, &header->facts.page_bytes) &&
           read_u32(line->json, "seams_max", &header->facts.seams_max) &&
           read_options(json_object_get(line->json, "options"), &header->options);
}

bool trace_read_poll(const struct trace_line *line, struct tresor__poll *poll)
{
    *poll = (struct tresor__poll){0};
    return line->kind == TRACE_POLL && read_u32(line->json, "poll", &poll->limit) &&
           read_u32(line->json, "starts_left", &poll->starts_left) &&
           read_i32(line->json, "refused_errno", &poll->refused_errno) &&
           read_u32(line->json, "answers", &poll->answer_count);
}

bool trace_read_pending(const struct trace_line *line, bool *is_pending)
{
    const json_t *member = json_object_get(line->json, "pending");
    *is_pending = json_is_true(member);
    return line->kind == TRACE_PENDING && json_is_boolean(member);
}

bool trace_read_end(const struct trace_line *line, uint64_t *line_count)
{
    return line->kind == TRACE_END && trace_read_number(line->json, "end", UINT64_MAX, line_count);
}
