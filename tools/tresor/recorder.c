/* SPDX-License-Identifier: MIT */
#include "recorder.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "trace_text.h"

struct kept_event {
    struct kept_event *next;
    struct tresor_event event;
};

struct recorder {
    struct trace *trace;
    struct trace_text text;
    struct tresor__tape tape;
    struct tresor_context *context;
    pthread_t thread;     /* the context's */
    pthread_mutex_t lock; /* held within calls, whose order is the trace's */
    pthread_cond_t opened;
    uint64_t openings;
    int descriptor; /* -1: not asked for yet */
    struct kept_event *kept;
};

/** Without memory for a line the trace is not whole. */
static void write_text(struct recorder *recorder)
{
    if (!recorder->text.has_failed)
        trace_write(recorder->trace, recorder->text.bytes, recorder->text.length);
    else if (!recorder->trace->failed_errno)
        recorder->trace->failed_errno = ENOMEM;
}

/* --- what happens within calls --- */

static void asked(void *cookie, const struct tresor__numbered *effect)
{
    struct recorder *recorder = cookie;
    trace_text_effect(&recorder->text, effect);
    write_text(recorder);
}

static void polled(void *cookie, const struct tresor__poll *poll)
{
    struct recorder *recorder = cookie;
    trace_text_poll(&recorder->text, poll);
    write_text(recorder);
}

static void answered(void *cookie, const struct tresor__answer *answer)
{
    struct recorder *recorder = cookie;
    trace_text_answer(&recorder->text, answer);
    write_text(recorder);
}

static void looked(void *cookie, bool is_pending)
{
    struct recorder *recorder = cookie;
    trace_text_pending(&recorder->text, is_pending);
    write_text(recorder);
}

static void stepped(void *cookie, const struct tresor_transition *transition)
{
    struct recorder *recorder = cookie;
    trace_text_step(&recorder->text, transition);
    write_text(recorder);
    if (strcmp(transition->machine, "tensor") != 0 || strcmp(transition->to, "RESIDENT") != 0)
        return;
    recorder->openings++;
    pthread_cond_broadcast(&recorder->opened);
}

/* --- calls --- */

static void write_header(struct recorder *recorder, const struct trace_header *header)
{
    trace_text_header(&recorder->text, header);
    write_text(recorder);
}

int32_t recorder_create(struct recorder *recorder, const struct tresor_context_options *options,
                        struct tresor_context **context)
{
    struct trace_header header = {.options = *options};
    struct tresor_context_options observed = *options;
    observed.observer = stepped;
    observed.observer_cookie = recorder;
    header.code = tresor__context_create_recorded(&observed, &recorder->tape, &header.facts,
                                                  &recorder->context);
    write_header(recorder, &header);
    *context = recorder->context;
    return header.code;
}

void recorder_call(struct recorder *recorder, const struct call *call, struct call_answer *answer)
{
    struct call known = *call;
    pthread_mutex_lock(&recorder->lock);
    known.is_elsewhere = !pthread_equal(pthread_self(), recorder->thread);
    trace_text_call(&recorder->text, &known);
    write_text(recorder);
    call_make(recorder->context, &known, answer);
    trace_text_returned(&recorder->text, &known, answer);
    write_text(recorder);
    pthread_mutex_unlock(&recorder->lock);
}

int recorder_descriptor(struct recorder *recorder)
{
    struct call_answer answer;
    if (recorder->descriptor < 0) {
        recorder_call(recorder, &(struct call){.kind = CALL_GET_FD}, &answer);
        recorder->descriptor = answer.descriptor;
    }
    return recorder->descriptor;
}

/* --- what waits --- */

bool recorder_keep_event(struct recorder *recorder, const struct tresor_event *event)
{
    struct kept_event **last = &recorder->kept;
    struct kept_event *kept = malloc(sizeof *kept);
    if (!kept)
        return false;
    while (*last)
        last = &(*last)->next;
    *kept = (struct kept_event){.event = *event};
    *last = kept;
    return true;
}

bool recorder_take_event(struct recorder *recorder, struct tresor_event *event)
{
    struct kept_event *kept = recorder->kept;
    if (!kept)
        return false;
    *event = kept->event;
    recorder->kept = kept->next;
    free(kept);
    return true;
}

uint64_t recorder_openings(struct recorder *recorder)
{
    pthread_mutex_lock(&recorder->lock);
    const uint64_t openings = recorder->openings;
    pthread_mutex_unlock(&recorder->lock);
    return openings;
}

void recorder_await_opening(struct recorder *recorder, uint64_t openings, int32_t timeout_ms)
{
    struct timespec end;
    int error = 0;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += timeout_ms / 1000;
    end.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&recorder->lock);
    while (recorder->openings == openings && error == 0)
        error = pthread_cond_timedwait(&recorder->opened, &recorder->lock, &end);
    pthread_mutex_unlock(&recorder->lock);
}

/* --- beginning and ending --- */

static bool make_locks(struct recorder *recorder)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    const bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                      pthread_mutex_init(&recorder->lock, NULL) == 0 &&
                      pthread_cond_init(&recorder->opened, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return made;
}

struct recorder *recorder_begin(struct trace *trace)
{
    struct recorder *recorder = calloc(1, sizeof *recorder);
    if (!recorder || !make_locks(recorder)) {
        free(recorder);
        fputs("tresor: out of memory\n", stderr);
        return NULL;
    }
    recorder->trace = trace;
    recorder->thread = pthread_self();
    recorder->descriptor = -1;
    recorder->tape = (struct tresor__tape){recorder, asked, polled, answered, looked};
    return recorder;
}

void recorder_end(struct recorder *recorder)
{
    struct tresor_event event;
    if (!recorder)
        return;
    while (recorder_take_event(recorder, &event))
        continue;
    pthread_cond_destroy(&recorder->opened);
    pthread_mutex_destroy(&recorder->lock);
    trace_text_free(&recorder->text);
    free(recorder);
}
