/* SPDX-License-Identifier: MIT */
#include "call.h"

static const struct call_shape shapes[CALL_COUNT] = {
    [CALL_OPEN] = {.name = "open", .text = "path", .made = "source", .makes_request = true},
    [CALL_OPEN_WITH] = {.name = "open_with",
                        .text = "path",
                        .numbers = {"origin", "descriptor", "offset_bytes", "length_bytes", "content",
                                    "max_decoded_bytes", "max_ratio"},
                        .made = "source",
                        .makes_request = true},
    [CALL_CLOSE] = {.name = "close", .handle = "source", .makes_request = true},
    [CALL_SPLIT] = {.name = "split", .handle = "source", .list = CALL_LIST_OF_TENSORS},
    [CALL_LIST] = {.name = "item_of_list",
                   .handle = "source",
                   .list = CALL_LIST_OF_TENSORS,
                   .made = "item"},
    [CALL_PATTERN] = {.name = "item_of_pattern",
                      .handle = "source",
                      .text = "pattern",
                      .made = "item"},
    [CALL_LOAD] = {.name = "load",
                   .list = CALL_LIST_OF_ITEMS,
                   .numbers = {"flags", "strategy", "urgency"},
                   .makes_request = true},
    [CALL_EVICT] = {.name = "evict", .list = CALL_LIST_OF_ITEMS, .makes_request = true},
    [CALL_LOCK] = {.name = "lock", .list = CALL_LIST_OF_ITEMS, .makes_request = true},
    [CALL_SWAP] = {.name = "swap",
                   .list = CALL_LIST_OF_ITEMS,
                   .numbers = {"strategy"},
                   .makes_request = true},
    [CALL_PLAN] = {.name = "plan",
                   .list = CALL_LIST_OF_ITEMS,
                   .numbers = {"flags", "strategy", "window_bytes"},
                   .makes_request = true},
    [CALL_SEEK] = {.name = "plan_seek", .handle = "request", .numbers = {"step"}},
    [CALL_CANCEL] = {.name = "cancel", .handle = "request"},
    [CALL_SET_STRATEGY] = {.name = "set_strategy", .numbers = {"strategy"}},
    [CALL_SET_PRIORITY] = {.name = "set_priority", .handle = "item", .numbers = {"priority"}},
    [CALL_ACQUIRE] = {.name = "acquire", .handle = "item"},
    [CALL_RELEASE] = {.name = "release", .handle = "item"},
    [CALL_WAKE] = {.name = "wake"},
    [CALL_GET_FD] = {.name = "get_fd"},
    [CALL_DISPATCH] = {.name = "dispatch"},
    [CALL_NEXT_EVENT] = {.name = "next_event"},
    [CALL_DESTROY] = {.name = "destroy"},
};

const struct call_shape *call_shape(enum call_kind kind)
{
    return &shapes[kind];
}

typedef int32_t request_verb(struct tresor_context *context, const struct tresor_item *items,
                             size_t item_count, const struct tresor_request_options *options,
                             struct tresor_request *request);

static int32_t ask(struct tresor_context *context, request_verb *verb, const struct call *call,
                   struct tresor_request *request)
{
    return verb(context, call->items, call->count, NULL, request);
}

/** A descriptor is lent, and a replay's is not used. */
static int32_t open_with(struct tresor_context *context, const struct call *call,
                         struct tresor_source *source, struct tresor_request *request)
{
    const struct tresor_source_origin origin = {
        .size_bytes = sizeof origin,
        .kind = (uint32_t)call->numbers[0],
        .path = call->text,
        .descriptor = (int32_t)call->numbers[1],
        .offset_bytes = call->numbers[2],
        .length_bytes = call->numbers[3],
    };
    const struct tresor_source_options options = {
        .size_bytes = sizeof options,
        .content = (uint32_t)call->numbers[4],
        .max_decoded_bytes = call->numbers[5],
        .max_ratio = (uint32_t)call->numbers[6],
    };
    return tresor_source_open_with(context, &origin, &options, source, request);
}

static int32_t ask_load(struct tresor_context *context, const struct call *call,
                        struct tresor_request *request)
{
    const struct tresor_request_options options = {
        .size_bytes = sizeof options,
        .flags = (uint32_t)call->numbers[0],
        .strategy = (uint32_t)call->numbers[1],
        .urgency = (uint32_t)call->numbers[2],
    };
    return tresor_load(context, call->items, call->count, &options, request);
}

static int32_t ask_plan(struct tresor_context *context, const struct call *call,
                        struct tresor_request *request)
{
    const struct tresor_plan_options options = {
        .size_bytes = sizeof options,
        .flags = (uint32_t)call->numbers[0],
        .strategy = (uint32_t)call->numbers[1],
        .window_bytes = call->numbers[2],
    };
    return tresor_plan(context, call->items, call->count, &options, request);
}

/** Those that make a request. */
static int32_t make_request(struct tresor_context *context, const struct call *call,
                            struct call_answer *answer)
{
    struct tresor_request request = {0};
    struct tresor_source source = {call->handle};
    int32_t code;
    switch (call->kind) {
    case CALL_OPEN:
        code = tresor_source_open(context, call->text, 0, &source, &request);
        answer->handle = source.value;
        break;
    case CALL_OPEN_WITH:
        code = open_with(context, call, &source, &request);
        answer->handle = source.value;
        break;
    case CALL_CLOSE:
        code = tresor_source_close(context, source, 0, &request);
        break;
    case CALL_LOAD:
        code = ask_load(context, call, &request);
        break;
    case CALL_EVICT:
        code = ask(context, tresor_evict, call, &request);
        break;
    case CALL_LOCK:
        code = ask(context, tresor_lock, call, &request);
        break;
    case CALL_SWAP:
        code = tresor_swap(context, call->items, call->count, (uint32_t)call->numbers[0], NULL,
                           &request);
        break;
    default:
        code = ask_plan(context, call, &request);
        break;
    }
    answer->request = request.value;
    return code;
}

static int32_t make_group(struct tresor_context *context, const struct call *call,
                          struct call_answer *answer)
{
    const struct tresor_source source = {call->handle};
    struct tresor_item item = {0};
    const int32_t code =
        call->kind == CALL_PATTERN
            ? tresor_item_of_pattern(context, source, call->text, &item)
            : tresor_item_of_list(context, source, call->tensors, call->count, &item);
    answer->handle = item.value;
    return code;
}

static int32_t get_fd(struct tresor_context *context, struct call_answer *answer)
{
    answer->descriptor = tresor_get_fd(context);
    return answer->descriptor < 0 ? answer->descriptor : 0;
}

static int32_t make(struct tresor_context *context, const struct call *call,
                    struct call_answer *answer)
{
    const struct tresor_item item = {call->handle};
    const struct tresor_request request = {call->handle};
    switch (call->kind) {
    case CALL_SPLIT:
        return tresor_split(context, (struct tresor_source){call->handle}, call->tensors,
                            call->count);
    case CALL_LIST:
    case CALL_PATTERN:
        return make_group(context, call, answer);
    case CALL_SEEK:
        return tresor_plan_seek(context, request, (size_t)call->numbers[0]);
    case CALL_CANCEL:
        return tresor_cancel(context, request);
    case CALL_SET_STRATEGY:
        return tresor_set_strategy(context, (uint32_t)call->numbers[0]);
    case CALL_SET_PRIORITY:
        return tresor_set_priority(context, item, (int32_t)call->numbers[0]);
    case CALL_ACQUIRE:
        return tresor_acquire(context, item, &answer->data);
    case CALL_RELEASE:
        return tresor_release(context, item);
    case CALL_WAKE:
        tresor_wake(context);
        return TRESOR_OK;
    case CALL_GET_FD:
        return get_fd(context, answer);
    case CALL_DISPATCH:
        return tresor_dispatch(context);
    case CALL_NEXT_EVENT:
        return tresor_next_event(context, &answer->event);
    case CALL_DESTROY:
        return tresor_context_destroy(context);
    default:
        return make_request(context, call, answer);
    }
}

void call_make(struct tresor_context *context, const struct call *call, struct call_answer *answer)
{
    *answer = (struct call_answer){0};
    answer->code = make(context, call, answer);
}
