/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <poll.h>

#include "recorder.h"

void calls_make(const struct opened *opened, const struct call *call, struct call_answer *answer)
{
    if (opened->recorder)
        recorder_call(opened->recorder, call, answer);
    else
        call_make(opened->context, call, answer);
}

static int32_t make(const struct opened *opened, const struct call *call)
{
    struct call_answer answer;
    calls_make(opened, call, &answer);
    return answer.code;
}

static int32_t make_request(const struct opened *opened, const struct call *call,
                            struct tresor_request *request)
{
    struct call_answer answer;
    calls_make(opened, call, &answer);
    request->value = answer.request;
    return answer.code;
}

static bool is_whole_file(const struct model_place *place)
{
    return !place->has_descriptor && !place->is_blob && place->offset_bytes == 0 &&
           place->length_bytes == 0 && place->max_decoded_bytes == 0 && place->max_ratio == 0;
}

int32_t calls_open(const struct opened *opened, const struct model_place *place,
                   struct tresor_source *source, struct tresor_request *request)
{
    struct call_answer answer;
    const struct call call = {
        .kind = is_whole_file(place) ? CALL_OPEN : CALL_OPEN_WITH,
        .text = place->path,
        .numbers = {place->has_descriptor ? TRESOR_ORIGIN_DESCRIPTOR : TRESOR_ORIGIN_PATH,
                    place->descriptor, place->offset_bytes, place->length_bytes,
                    place->is_blob ? TRESOR_CONTENT_BLOB : TRESOR_CONTENT_MODEL,
                    place->max_decoded_bytes, place->max_ratio},
    };
    calls_make(opened, &call, &answer);
    source->value = answer.handle;
    request->value = answer.request;
    return answer.code;
}

int32_t calls_close(const struct opened *opened, struct tresor_request *request)
{
    return make_request(opened, &(struct call){.kind = CALL_CLOSE, .handle = opened->source.value},
                        request);
}

int32_t calls_split(const struct opened *opened, const uint32_t *tensors, size_t count)
{
    return make(opened, &(struct call){.kind = CALL_SPLIT,
                                       .handle = opened->source.value,
                                       .tensors = tensors,
                                       .count = count});
}

int32_t calls_item_of_list(const struct opened *opened, const uint32_t *tensors, size_t count,
                           struct tresor_item *item)
{
    struct call_answer answer;
    calls_make(
        opened,
        &(struct call){
            .kind = CALL_LIST, .handle = opened->source.value, .tensors = tensors, .count = count},
        &answer);
    item->value = answer.handle;
    return answer.code;
}

int32_t calls_item_of_pattern(const struct opened *opened, const char *pattern,
                              struct tresor_item *item)
{
    struct call_answer answer;
    calls_make(
        opened,
        &(struct call){.kind = CALL_PATTERN, .handle = opened->source.value, .text = pattern},
        &answer);
    item->value = answer.handle;
    return answer.code;
}

int32_t calls_ask(const struct opened *opened, enum call_kind verb, const struct tresor_item *items,
                  size_t count, struct tresor_request *request)
{
    return make_request(opened, &(struct call){.kind = verb, .items = items, .count = count},
                        request);
}

int32_t calls_load(const struct opened *opened, struct tresor_item item,
                   const struct tresor_request_options *options, struct tresor_request *request)
{
    return make_request(
        opened,
        &(struct call){.kind = CALL_LOAD,
                       .items = &item,
                       .count = 1,
                       .numbers = {options->flags, options->strategy, options->urgency}},
        request);
}

int32_t calls_swap(const struct opened *opened, struct tresor_item item, uint32_t strategy,
                   struct tresor_request *request)
{
    return make_request(
        opened,
        &(struct call){.kind = CALL_SWAP, .items = &item, .count = 1, .numbers = {strategy}},
        request);
}

int32_t calls_plan(const struct opened *opened, const struct tresor_item *items, size_t count,
                   const struct tresor_plan_options *options, struct tresor_request *request)
{
    return make_request(
        opened,
        &(struct call){.kind = CALL_PLAN,
                       .items = items,
                       .count = count,
                       .numbers = {options->flags, options->strategy, options->window_bytes}},
        request);
}

int32_t calls_seek(const struct opened *opened, struct tresor_request request, uint64_t step)
{
    return make(opened,
                &(struct call){.kind = CALL_SEEK, .handle = request.value, .numbers = {step}});
}

int32_t calls_cancel(const struct opened *opened, struct tresor_request request)
{
    return make(opened, &(struct call){.kind = CALL_CANCEL, .handle = request.value});
}

int32_t calls_set_strategy(const struct opened *opened, uint32_t strategy)
{
    return make(opened, &(struct call){.kind = CALL_SET_STRATEGY, .numbers = {strategy}});
}

int32_t calls_set_priority(const struct opened *opened, struct tresor_item item, int32_t priority)
{
    return make(opened, &(struct call){.kind = CALL_SET_PRIORITY,
                                       .handle = item.value,
                                       .numbers = {(uint32_t)priority}});
}

int32_t calls_dispatch(const struct opened *opened)
{
    return make(opened, &(struct call){.kind = CALL_DISPATCH});
}

int32_t calls_next_event(const struct opened *opened, struct tresor_event *event)
{
    struct call_answer answer;
    if (opened->recorder && recorder_take_event(opened->recorder, event))
        return 1;
    calls_make(opened, &(struct call){.kind = CALL_NEXT_EVENT}, &answer);
    *event = answer.event;
    return answer.code;
}

int32_t calls_destroy(const struct opened *opened)
{
    return make(opened, &(struct call){.kind = CALL_DESTROY});
}

void calls_sleep(const struct opened *opened, int32_t timeout_ms)
{
    struct call_answer answer = {.descriptor = -1};
    if (opened->recorder)
        answer.descriptor = recorder_descriptor(opened->recorder);
    else
        calls_make(opened, &(struct call){.kind = CALL_GET_FD}, &answer);
    poll(&(struct pollfd){.fd = answer.descriptor, .events = POLLIN}, 1, timeout_ms);
}

void calls_wait(const struct opened *opened, int32_t timeout_ms)
{
    if (!opened->recorder)
        tresor_wait(opened->context, timeout_ms);
    else if (calls_dispatch(opened) == 0)
        calls_sleep(opened, timeout_ms);
}

static bool is_of(const struct tresor_event *event, struct tresor_request request, uint32_t type)
{
    return event->type == type && event->request.value == request.value;
}

/** The other events keep their order, behind those that were put aside before. */
static int32_t finish_recorded(const struct opened *opened, struct tresor_request request,
                               struct tresor_event *event)
{
    for (;;) {
        struct call_answer answer;
        calls_make(opened, &(struct call){.kind = CALL_NEXT_EVENT}, &answer);
        if (answer.code < 0)
            return answer.code;
        if (answer.code == 0) {
            calls_wait(opened, -1);
        } else if (is_of(&answer.event, request, TRESOR_EVENT_DONE)) {
            *event = answer.event;
            return event->error.code;
        } else if (!is_of(&answer.event, request, TRESOR_EVENT_ITEM) &&
                   !recorder_keep_event(opened->recorder, &answer.event)) {
            return TRESOR_ERROR_NO_MEMORY;
        }
    }
}

int32_t calls_finish(const struct opened *opened, struct tresor_request request,
                     struct tresor_event *event)
{
    return opened->recorder ? finish_recorded(opened, request, event)
                            : tresor_finish(opened->context, request, 1, event);
}

int32_t calls_acquire(const struct opened *opened, struct tresor_item item, const void **data)
{
    struct call_answer answer;
    calls_make(opened, &(struct call){.kind = CALL_ACQUIRE, .handle = item.value}, &answer);
    if (answer.code == TRESOR_OK)
        *data = answer.data;
    return answer.code;
}

int32_t calls_acquire_wait(const struct opened *opened, struct tresor_item item, int32_t timeout_ms,
                           const void **data)
{
    if (!opened->recorder)
        return tresor_acquire_wait(opened->context, item, timeout_ms, data);
    /* Known before the look, so that what opens after it is not missed. */
    const uint64_t openings = recorder_openings(opened->recorder);
    int32_t code = calls_acquire(opened, item, data);
    if (code != TRESOR_ERROR_NOT_RESIDENT)
        return code;
    calls_wake(opened);
    recorder_await_opening(opened->recorder, openings, timeout_ms);
    code = calls_acquire(opened, item, data);
    return code == TRESOR_ERROR_NOT_RESIDENT ? TRESOR_ERROR_AGAIN : code;
}

int32_t calls_release(const struct opened *opened, struct tresor_item item)
{
    return make(opened, &(struct call){.kind = CALL_RELEASE, .handle = item.value});
}

void calls_wake(const struct opened *opened)
{
    make(opened, &(struct call){.kind = CALL_WAKE});
}
