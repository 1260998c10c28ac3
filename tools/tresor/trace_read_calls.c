/* SPDX-License-Identifier: MIT */
/* The lines that point to more than numbers: calls and answers. */
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "trace_read.h"

/* --- answers --- */

static bool read_facts(const json_t *list, struct tresor__answer *answer)
{
    const size_t count = json_array_size(list);
    if (count > TRESOR__ANSWER_FACTS)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        char *end = NULL;
        answer->facts[i] = text ? strtoull(text, &end, 0) : 0;
        if (!text || *text < '0' || *text > '9' || *end != '\0')
            return false;
    }
    answer->fact_count = (uint32_t)count;
    return true;
}

static bool read_bytes(const json_t *text, struct tresor__answer *answer, void **bytes)
{
    const size_t length = json_string_length(text);
    if (!text)
        return true;
    *bytes = malloc(base64_size(length) + 1);
    answer->bytes = *bytes;
    return *bytes && json_is_string(text) &&
           base64_decode(json_string_value(text), length, *bytes, &answer->size_bytes);
}

bool trace_read_answer(const struct trace_line *line, struct tresor__answer *answer, void **bytes)
{
    uint64_t os_errno = 0;
    uint64_t value = 0;
    *answer = (struct tresor__answer){0};
    *bytes = NULL;
    bool is_read = line->kind == TRACE_ANSWER &&
                   trace_read_number(line->json, "answer", UINT64_MAX, &answer->number) &&
                   trace_read_number(line->json, "os_errno", INT32_MAX, &os_errno) &&
                   trace_read_number(line->json, "value", INT64_MAX, &value) &&
                   read_facts(json_object_get(line->json, "facts"), answer) &&
                   read_bytes(json_object_get(line->json, "bytes"), answer, bytes);
    answer->os_errno = (int32_t)os_errno;
    answer->value = (int64_t)value;
    if (!is_read) {
        free(*bytes);
        *bytes = NULL;
    }
    return is_read;
}

/* --- calls --- */

static int digit_of(char character)
{
    const char *found = character ? strchr("0123456789ABCDEF", character) : NULL;
    return found ? (int)(found - "0123456789ABCDEF") : -1;
}

/** To be freed; NULL where it is not as it would be written. */
static char *read_text(const json_t *member)
{
    const char *text = json_string_value(member);
    if (!text || json_string_length(member) != strlen(text))
        return NULL;
    char *plain = malloc(strlen(text) + 1);
    char *to = plain;
    for (; plain && *text; text++) {
        if (*text != '%') {
            *to++ = *text;
            continue;
        }
        const int high = digit_of(text[1]);
        const int low = high < 0 ? -1 : digit_of(text[2]);
        if (low < 0 || (high == 0 && low == 0)) {
            free(plain);
            return NULL;
        }
        *to++ = (char)(high << 4 | low);
        text += 2;
    }
    if (plain)
        *to = '\0';
    return plain;
}

static bool read_items(const json_t *list, struct call *call)
{
    struct tresor_item *items = calloc(json_array_size(list) + 1, sizeof *items);
    call->items = items;
    call->count = json_array_size(list);
    for (size_t i = 0; items && i < call->count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        char *end = NULL;
        items[i].value = text ? strtoull(text, &end, 0) : 0;
        if (!text || *text < '0' || *text > '9' || *end != '\0')
            return false;
    }
    return items && json_is_array(list);
}

static bool read_tensors(const json_t *list, struct call *call)
{
    uint32_t *tensors = calloc(json_array_size(list) + 1, sizeof *tensors);
    call->tensors = tensors;
    call->count = json_array_size(list);
    for (size_t i = 0; tensors && i < call->count; i++) {
        const json_t *member = json_array_get(list, i);
        const json_int_t value = json_integer_value(member);
        tensors[i] = (uint32_t)value;
        if (!json_is_integer(member) || value < 0 || value > UINT32_MAX)
            return false;
    }
    return tensors && json_is_array(list);
}

static bool read_arguments(const json_t *json, const struct call_shape *shape, struct call *call)
{
    bool is_read = true;
    if (shape->text) {
        call->text = read_text(json_object_get(json, shape->text));
        is_read = call->text;
    }
    if (shape->handle)
        is_read = is_read && trace_read_number(json, shape->handle, UINT64_MAX, &call->handle);
    if (shape->list == CALL_LIST_OF_ITEMS)
        is_read = is_read && read_items(json_object_get(json, "items"), call);
    else if (shape->list == CALL_LIST_OF_TENSORS)
        is_read = is_read && read_tensors(json_object_get(json, "tensors"), call);
    for (size_t i = 0; i < CALL_NUMBERS && shape->numbers[i]; i++)
        is_read =
            is_read && trace_read_number(json, shape->numbers[i], UINT64_MAX, &call->numbers[i]);
    return is_read;
}

static bool find_kind(const char *name, struct call *call)
{
    for (uint32_t i = 0; name && i < CALL_COUNT; i++) {
        if (strcmp(name, call_shape((enum call_kind)i)->name) == 0) {
            call->kind = (enum call_kind)i;
            return true;
        }
    }
    return false;
}

bool trace_read_call(const struct trace_line *line, struct call *call)
{
    *call = (struct call){0};
    const json_t *elsewhere = json_object_get(line->json, "elsewhere");
    call->is_elsewhere = json_is_true(elsewhere);
    if (line->kind == TRACE_CALL && json_is_boolean(elsewhere) &&
        find_kind(json_string_value(json_object_get(line->json, "call")), call) &&
        read_arguments(line->json, call_shape(call->kind), call))
        return true;
    trace_call_free(call);
    return false;
}

void trace_call_free(struct call *call)
{
    free((void *)(uintptr_t)call->text);
    free((void *)(uintptr_t)call->items);
    free((void *)(uintptr_t)call->tensors);
    *call = (struct call){0};
}
