/* SPDX-License-Identifier: MIT */
#include "tensor/request.h"

static bool has_tensors(const void *context, const struct tresor__input *input)
{
    const struct tresor__request *request = context;
    (void)input;
    return request->verb != TRESOR_VERB_OPEN && request->verb != TRESOR_VERB_CLOSE &&
           request->verb != TRESOR_VERB_COPY && request->verb != TRESOR_VERB_BUDGET &&
           request->verb != TRESOR_VERB_CHECK;
}

static bool is_patient(const void *context, const struct tresor__input *input)
{
    const struct tresor__request *request = context;
    (void)input;
    return request->is_patient;
}

static bool is_settled(const void *context, const struct tresor__input *input)
{
    const struct tresor__request *request = context;
    (void)input;
    return request->unsettled == 0;
}

static bool is_last(const void *context, const struct tresor__input *input)
{
    const struct tresor__request *request = context;
    (void)input;
    return request->unsettled == 1;
}

static void say(const struct tresor__request *request, struct tresor__outbox *out, uint8_t kind)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = kind, .slot = request->index});
}

static void again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_again(out);
}

static void start(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__request *request = context;
    (void)input;
    request->unsettled = 1;
    say(request, out, TRESOR__MESSAGE_START);
}

static void visit(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_VISIT);
}

static void retry(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_RETRY);
}

/* Input value: the bytes that settled well, or the error that is negative. */
static void count(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__request *request = context;
    (void)out;
    request->unsettled--;
    if (input->value >= 0) {
        request->done++;
        request->done_bytes += (uint64_t)input->value;
    } else if (input->value == TRESOR_ERROR_CANCELLED) {
        request->cancelled++;
    } else {
        request->failed++;
    }
}

static void end(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_END);
}

static void count_and_end(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    count(context, input, out);
    end(context, input, out);
}

static void end_cancelled(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__request *request = context;
    request->withdrawn = true;
    end(context, input, out);
}

static void withdraw_more(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    (void)input;
    say(context, out, TRESOR__MESSAGE_WITHDRAW_REQUEST);
}

static void withdraw(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__request *request = context;
    (void)input;
    request->withdrawn = true;
    tresor__outbox_again(out);
}

static void check(const void *context)
{
    const struct tresor__request *request = context;
    assert(request->state != REQUEST_PENDING || request->unsettled > 0);
    assert(request->state != REQUEST_CANCELLING || request->unsettled > 0);
    assert(request->state != REQUEST_ENDED || request->unsettled == 0);
    assert(request->done + request->failed + request->cancelled <= request->total ||
           request->state == REQUEST_FREE);
    (void)request;
}

#define TRESOR__DEF "tensor/request.def"
#define TRESOR__S(name) REQUEST_##name
#define TRESOR__E(name) REQUEST_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__request_machine =
    TRESOR__MACHINE_TABLE("request", TRESOR__MACHINE_REQUEST, struct tresor__request, check);
