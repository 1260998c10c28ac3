/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

/** What was acquired and not released, which a context that shall end must get back. */
struct held_item {
    struct held_item *next;
    struct tresor_item item;
};

struct replay {
    struct trace_reader reader;
    struct tresor__replay inner;
    struct tresor_context *context;
    struct trace_text text;
    struct held_item *held;
    void *answer_bytes;
    FILE *steps;
    struct replay_result *result;
};

/* --- what differs --- */

static bool is_lost(const struct replay *replay)
{
    return replay->result->line != 0;
}

/** The first is told, for all others come of it. */
static bool lose(struct replay *replay, const char *why, const struct trace_line *line,
                 const char *replayed)
{
    struct replay_result *result = replay->result;
    if (is_lost(replay))
        return false;
    result->line = line ? line->number : replay->reader.number;
    result->why = why;
    result->recorded = line ? strndup(line->bytes, line->body_bytes) : NULL;
    result->replayed = replayed ? strdup(replayed) : NULL;
    return false;
}

/** The next line; to be ended by trace_line_free. */
static bool next_line(struct replay *replay, struct trace_line *line)
{
    struct trace_complaint complaint;
    if (is_lost(replay))
        return false;
    return trace_reader_next(&replay->reader, line, &complaint) ||
           lose(replay, "the trace ends here", NULL, NULL);
}

/** Whether the next line is what was made here. */
static bool is_next(struct replay *replay)
{
    struct trace_line line;
    const struct trace_text *text = &replay->text;
    if (!next_line(replay, &line))
        return false;
    bool is_same = true;
    if (text->has_failed)
        is_same = lose(replay, "out of memory", &line, NULL);
    else if (text->length != line.body_bytes || memcmp(text->bytes, line.bytes, text->length) != 0)
        is_same = lose(replay, "the replay goes another way", &line, text->bytes);
    else if (line.kind == TRACE_STEP && replay->steps)
        fprintf(replay->steps, "%.*s\n", (int)line.size_bytes, line.bytes);
    trace_line_free(&line);
    return is_same;
}

/* --- the script --- */

static bool ask(void *cookie, const struct tresor__numbered *asked)
{
    struct replay *replay = cookie;
    trace_text_effect(&replay->text, asked);
    return is_next(replay);
}

static bool poll(void *cookie, struct tresor__poll *poll)
{
    struct replay *replay = cookie;
    struct trace_line line;
    if (!next_line(replay, &line))
        return false;
    const bool is_read = trace_read_poll(&line, poll) ||
                         lose(replay, "the replay asks for completions here", &line, NULL);
    trace_line_free(&line);
    return is_read;
}

static bool answer(void *cookie, struct tresor__answer *answer)
{
    struct replay *replay = cookie;
    struct trace_line line;
    free(replay->answer_bytes);
    replay->answer_bytes = NULL;
    if (!next_line(replay, &line))
        return false;
    const bool is_read = trace_read_answer(&line, answer, &replay->answer_bytes) ||
                         lose(replay, "a completion is missing here", &line, NULL);
    trace_line_free(&line);
    replay->result->answers += is_read;
    return is_read;
}

static bool look(void *cookie, bool *is_pending)
{
    struct replay *replay = cookie;
    struct trace_line line;
    if (!next_line(replay, &line))
        return false;
    const bool is_read = trace_read_pending(&line, is_pending) ||
                         lose(replay, "the replay asks what is pending here", &line, NULL);
    trace_line_free(&line);
    return is_read;
}

static void refuse(void *cookie, const char *why)
{
    lose(cookie, why, NULL, NULL);
}

static void stepped(void *cookie, const struct tresor_transition *transition)
{
    struct replay *replay = cookie;
    if (is_lost(replay))
        return;
    trace_text_step(&replay->text, transition);
    replay->result->steps += is_next(replay);
}

/* --- calls --- */

static void hold(struct replay *replay, struct tresor_item item)
{
    struct held_item *held = malloc(sizeof *held);
    if (!held) {
        lose(replay, "out of memory", NULL, NULL);
        tresor_release(replay->context, item);
        return;
    }
    *held = (struct held_item){replay->held, item};
    replay->held = held;
}

static void let_go(struct replay *replay, struct tresor_item item)
{
    struct held_item **link = &replay->held;
    while (*link && (*link)->item.value != item.value)
        link = &(*link)->next;
    struct held_item *held = *link;
    if (!held)
        return;
    *link = held->next;
    free(held);
}

static void note(struct replay *replay, const struct call *call, const struct call_answer *answer)
{
    const struct tresor_event *event = &answer->event;
    if (call->kind == CALL_ACQUIRE && answer->code == TRESOR_OK)
        hold(replay, (struct tresor_item){call->handle});
    else if (call->kind == CALL_RELEASE && answer->code == TRESOR_OK)
        let_go(replay, (struct tresor_item){call->handle});
    else if (call->kind == CALL_NEXT_EVENT && answer->code == 1 &&
             event->type == TRESOR_EVENT_ITEM && event->flags & TRESOR_EVENT_PINNED)
        hold(replay, event->item);
    else if (call->kind == CALL_DESTROY && answer->code == TRESOR_OK)
        replay->context = NULL;
}

struct elsewhere {
    struct tresor_context *context;
    const struct call *call;
    struct call_answer *answer;
};

static void *make_elsewhere(void *cookie)
{
    const struct elsewhere *elsewhere = cookie;
    call_make(elsewhere->context, elsewhere->call, elsewhere->answer);
    return NULL;
}

/** By another thread where it was another's, while this one waits. Only what any thread may call.
 */
static bool make(struct replay *replay, const struct call *call, struct call_answer *answer)
{
    pthread_t thread;
    struct elsewhere elsewhere = {replay->context, call, answer};
    if (!call->is_elsewhere) {
        call_make(replay->context, call, answer);
        return true;
    }
    if (call->kind != CALL_ACQUIRE && call->kind != CALL_RELEASE && call->kind != CALL_WAKE)
        return lose(replay, "no other thread makes this call", NULL, NULL);
    if (pthread_create(&thread, NULL, make_elsewhere, &elsewhere) != 0)
        return lose(replay, "no thread can be had", NULL, NULL);
    pthread_join(thread, NULL);
    return true;
}

static void replay_call(struct replay *replay, const struct call *call)
{
    struct call_answer answer;
    if (!make(replay, call, &answer))
        return;
    note(replay, call, &answer);
    if (is_lost(replay))
        return;
    trace_text_returned(&replay->text, call, &answer);
    replay->result->calls += is_next(replay);
}

/** Where the context is gone there is nothing left but the end. */
static void replay_calls(struct replay *replay)
{
    struct trace_line line;
    struct call call;
    bool is_over = false;
    while (!is_over && next_line(replay, &line)) {
        is_over = line.kind == TRACE_END;
        if (!is_over && (!replay->context || !trace_read_call(&line, &call))) {
            lose(replay, "no call can be made here", &line, NULL);
        } else if (!is_over) {
            replay_call(replay, &call);
            trace_call_free(&call);
        }
        trace_line_free(&line);
    }
}

/* --- the context --- */

static void create(struct replay *replay)
{
    struct trace_line line;
    struct trace_header header;
    if (!next_line(replay, &line))
        return;
    if (!trace_read_header(&line, &header)) {
        lose(replay, "this is no first line", &line, NULL);
    } else if (header.code == TRESOR_OK) {
        replay->inner.facts = header.facts;
        header.options.observer = stepped;
        header.options.observer_cookie = replay;
        const int32_t code =
            tresor__context_create_replayed(&header.options, &replay->inner, &replay->context);
        if (code != TRESOR_OK)
            lose(replay, tresor_error_text(code), &line, NULL);
    }
    trace_line_free(&line);
}

/** What a trace that is lost, or was never whole, leaves. */
static void end(struct replay *replay)
{
    if (replay->context)
        lose(replay, "the context was not ended", NULL, NULL);
    while (replay->held) {
        if (replay->context)
            tresor_release(replay->context, replay->held->item);
        let_go(replay, replay->held->item);
    }
    tresor_context_destroy(replay->context);
    free(replay->answer_bytes);
    trace_text_free(&replay->text);
}

bool replay_run(const char *bytes, size_t size_bytes, FILE *steps, struct replay_result *result)
{
    struct replay replay = {.steps = steps, .result = result};
    *result = (struct replay_result){0};
    replay.inner.script = (struct tresor__script){&replay, ask, poll, answer, look, refuse};
    trace_reader_begin(&replay.reader, bytes, size_bytes);
    create(&replay);
    replay_calls(&replay);
    end(&replay);
    return result->line == 0;
}

void replay_result_free(struct replay_result *result)
{
    free(result->recorded);
    free(result->replayed);
    *result = (struct replay_result){0};
}
