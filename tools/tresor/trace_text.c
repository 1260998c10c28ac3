/* SPDX-License-Identifier: MIT */
#include "trace_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "trace.h"

#define OPTION(name)                                                                               \
    {                                                                                              \
#name, offsetof(struct tresor_context_options, name),                                      \
            sizeof((struct tresor_context_options *)NULL)->name                                    \
    }
const struct trace_option trace_options[TRACE_OPTIONS] = {
    OPTION(strategy),     OPTION(sources_max),    OPTION(requests_max), OPTION(items_max),
    OPTION(waits_max),    OPTION(blocks_max),     OPTION(dispatch_max), OPTION(policy),
    OPTION(block_bytes),  OPTION(populate_bytes), OPTION(backend),      OPTION(threads_max),
    OPTION(direct),       OPTION(stages_max),     OPTION(stage_bytes),  OPTION(spare_bytes),
    OPTION(budget_bytes), OPTION(numa),           OPTION(pressure),     OPTION(numa_nodes),
};
#undef OPTION

void trace_text_free(struct trace_text *text)
{
    free(text->bytes);
    *text = (struct trace_text){0};
}

/** Room for so many more and a NUL. */
static bool make_room(struct trace_text *text, size_t more)
{
    const size_t wanted = text->length + more + 1;
    if (text->has_failed)
        return false;
    if (wanted <= text->capacity)
        return true;
    const size_t capacity = wanted > 2 * text->capacity ? wanted : 2 * text->capacity;
    char *bytes = realloc(text->bytes, capacity);
    if (!bytes) {
        text->has_failed = true;
        return false;
    }
    text->bytes = bytes;
    text->capacity = capacity;
    return true;
}

__attribute__((format(printf, 2, 3))) static void add(struct trace_text *text, const char *format,
                                                      ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !make_room(text, (size_t)length))
        return;
    va_start(arguments, format);
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
}

static void begin(struct trace_text *text)
{
    text->length = 0;
    text->has_failed = false;
}

/* JSON's numbers are read as signed ones, so what is larger is a text. */
static void add_number(struct trace_text *text, const char *name, uint64_t value)
{
    add(text, value <= INT64_MAX ? ", \"%s\": %" PRIu64 : ", \"%s\": \"%#" PRIx64 "\"", name,
        value);
}

static void add_handle(struct trace_text *text, const char *name, uint64_t value)
{
    add(text, ", \"%s\": \"%#" PRIx64 "\"", name, value);
}

/* Paths may be any bytes: what is not plain is written as in addresses of the web. */
static void add_text(struct trace_text *text, const char *name, const char *plain)
{
    add(text, ", \"%s\": \"", name);
    for (; *plain; plain++) {
        const bool is_plain =
            *plain > ' ' && *plain <= '~' && *plain != '%' && *plain != '"' && *plain != '\\';
        add(text, is_plain ? "%c" : "%%%02X", is_plain ? *plain : (int)(uint8_t)*plain);
    }
    add(text, "\"");
}

static uint64_t option_value(const struct tresor_context_options *options,
                             const struct trace_option *option)
{
    uint32_t narrow;
    uint64_t wide;
    const char *place = (const char *)options + option->offset;
    if (option->size_bytes == sizeof wide) {
        memcpy(&wide, place, sizeof wide);
        return wide;
    }
    memcpy(&narrow, place, sizeof narrow);
    return narrow;
}

void trace_text_header(struct trace_text *text, const struct trace_header *header)
{
    begin(text);
    add(text, "{\"trace\": \"tresor\", \"version\": %d, \"library\": \"%s\", \"code\": %" PRId32,
        TRACE_VERSION, tresor_version(), header->code);
    add_number(text, "page_bytes", header->facts.page_bytes);
    add_number(text, "seams_max", header->facts.seams_max);
    add(text, ", \"options\": {");
    for (size_t i = 0; i < TRACE_OPTIONS; i++)
        add(text, "%s\"%s\": \"%#" PRIx64 "\"", i > 0 ? ", " : "", trace_options[i].name,
            option_value(&header->options, &trace_options[i]));
    add(text, "}");
}

static void add_list(struct trace_text *text, const struct call *call, enum call_list list)
{
    if (list == CALL_NO_LIST)
        return;
    add(text, list == CALL_LIST_OF_ITEMS ? ", \"items\": [" : ", \"tensors\": [");
    for (size_t i = 0; i < call->count; i++) {
        if (list == CALL_LIST_OF_ITEMS)
            add(text, "%s\"%#" PRIx64 "\"", i > 0 ? ", " : "", call->items[i].value);
        else
            add(text, "%s%" PRIu32, i > 0 ? ", " : "", call->tensors[i]);
    }
    add(text, "]");
}

void trace_text_call(struct trace_text *text, const struct call *call)
{
    const struct call_shape *shape = call_shape(call->kind);
    begin(text);
    add(text, "{\"call\": \"%s\", \"elsewhere\": %s", shape->name,
        call->is_elsewhere ? "true" : "false");
    if (shape->text)
        add_text(text, shape->text, call->text);
    if (shape->handle)
        add_handle(text, shape->handle, call->handle);
    add_list(text, call, shape->list);
    for (size_t i = 0; i < CALL_NUMBERS && shape->numbers[i]; i++)
        add_number(text, shape->numbers[i], call->numbers[i]);
}

static void add_event(struct trace_text *text, const struct tresor_event *event)
{
    add(text,
        ", \"event\": {\"type\": %" PRIu16 ", \"verb\": %" PRIu16 ", \"flags\": %" PRIu32
        ", \"total\": %" PRIu32 ", \"done\": %" PRIu32 ", \"failed\": %" PRIu32
        ", \"cancelled\": %" PRIu32,
        event->type, event->verb, event->flags, event->total, event->done, event->failed,
        event->cancelled);
    add_handle(text, "request", event->request.value);
    add_handle(text, "item", event->item.value);
    add_number(text, "bytes", event->bytes);
    add(text,
        ", \"code\": \"%s\", \"os_errno\": %" PRId32 ", \"file\": %" PRIu32
        ", \"tensor\": %" PRIu32,
        tresor_error_name(event->error.code), event->error.os_errno, event->error.file,
        event->error.tensor);
    add_number(text, "offset", event->error.offset);
    add_number(text, "wanted", event->error.wanted);
    add_number(text, "got", event->error.got);
    add(text, "}");
}

void trace_text_returned(struct trace_text *text, const struct call *call,
                         const struct call_answer *answer)
{
    const struct call_shape *shape = call_shape(call->kind);
    begin(text);
    add(text, "{\"returned\": \"%s\", \"code\": %" PRId32, shape->name, answer->code);
    if (shape->made && answer->code == TRESOR_OK)
        add_handle(text, shape->made, answer->handle);
    if (shape->makes_request && answer->code == TRESOR_OK)
        add_handle(text, "request", answer->request);
    if (call->kind == CALL_NEXT_EVENT && answer->code == 1)
        add_event(text, &answer->event);
}

void trace_text_step(struct trace_text *text, const struct tresor_transition *transition)
{
    begin(text);
    /* The texts are identifiers: nothing in them wants quoting. */
    add(text,
        "{\"sequence\": %" PRIu64 ", \"machine\": \"%s\", \"source\": %" PRIu32
        ", \"slot\": %" PRIu32 ", \"from\": \"%s\", \"event\": \"%s\", \"to\": \"%s\""
        ", \"guard\": \"%s\", \"action\": \"%s\", \"os_errno\": %" PRId32,
        transition->sequence, transition->machine, transition->source, transition->slot,
        transition->from, transition->event, transition->to, transition->guard, transition->action,
        transition->os_errno);
}

static const char *machine_name(uint32_t machine)
{
    struct tresor_machine_info info;
    return tresor_machine_info(machine, &info) ? info.name : "unknown";
}

void trace_text_effect(struct trace_text *text, const struct tresor__numbered *asked)
{
    const struct tresor__effect *effect = &asked->effect;
    begin(text);
    add(text,
        "{\"effect\": %" PRIu64 ", \"kind\": \"%s\", \"machine\": \"%s\", \"source\": %" PRIu16
        ", \"slot\": %" PRIu32 ", \"file\": %" PRIu32 ", \"space\": %" PRIu8
        ", \"flags\": %" PRIu16,
        asked->number, tresor__effect_name(effect->kind), machine_name(effect->machine),
        effect->source, effect->slot, effect->file, effect->space, effect->flags);
    add_number(text, "place", effect->place);
    add_number(text, "offset", effect->offset);
    add_number(text, "length", effect->length);
}

void trace_text_poll(struct trace_text *text, const struct tresor__poll *poll)
{
    begin(text);
    add(text,
        "{\"poll\": %" PRIu32 ", \"starts_left\": %" PRIu32 ", \"refused_errno\": %" PRId32
        ", \"answers\": %" PRIu32,
        poll->limit, poll->starts_left, poll->refused_errno, poll->answer_count);
}

void trace_text_answer(struct trace_text *text, const struct tresor__answer *answer)
{
    begin(text);
    add(text, "{\"answer\": %" PRIu64 ", \"os_errno\": %" PRId32 ", \"value\": %" PRId64,
        answer->number, answer->os_errno, answer->value);
    if (answer->fact_count > 0)
        add(text, ", \"facts\": [");
    for (uint32_t i = 0; i < answer->fact_count; i++)
        add(text, "%s\"%#" PRIx64 "\"", i > 0 ? ", " : "", answer->facts[i]);
    if (answer->fact_count > 0)
        add(text, "]");
    if (answer->size_bytes == 0)
        return;
    add(text, ", \"bytes\": \"");
    const size_t length = base64_length(answer->size_bytes);
    if (make_room(text, length + 1)) {
        base64_encode(answer->bytes, answer->size_bytes, text->bytes + text->length);
        text->length += length;
        text->bytes[text->length] = '\0';
    }
    add(text, "\"");
}

void trace_text_pending(struct trace_text *text, bool is_pending)
{
    begin(text);
    add(text, "{\"pending\": %s", is_pending ? "true" : "false");
}
