/* SPDX-License-Identifier: MIT */
/* A context whose inputs and steps go into a trace. */
#ifndef TOOL_RECORDER_H
#define TOOL_RECORDER_H

#include "call.h"
#include "trace.h"

struct recorder;

/** For a trace that has begun and outlives it; NULL, after a message, if there is no memory. */
struct recorder *recorder_begin(struct trace *trace);
void recorder_end(struct recorder *recorder);

/** Make a context on this thread, and write the trace's first line. Once. */
int32_t recorder_create(struct recorder *recorder, const struct tresor_context_options *options,
                        struct tresor_context **context);

/** Make a call and write it; any thread, one after the other. */
void recorder_call(struct recorder *recorder, const struct call *call, struct call_answer *answer);

/** The context's descriptor. */
int recorder_descriptor(struct recorder *recorder);

/** Put an event aside; false if there is no memory. And take the oldest of them. */
bool recorder_keep_event(struct recorder *recorder, const struct tresor_event *event);
bool recorder_take_event(struct recorder *recorder, struct tresor_event *event);

/** How often tensors were found in memory that had not been; and sleep until it is more. Any
 * thread. */
uint64_t recorder_openings(struct recorder *recorder);
void recorder_await_opening(struct recorder *recorder, uint64_t openings, int32_t timeout_ms);

#endif
