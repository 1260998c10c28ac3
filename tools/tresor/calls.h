/* SPDX-License-Identifier: MIT */
/*
 * What commands ask of a context. Where a trace is written each call goes into it; such calls come
 * one after the other, whichever thread makes them, and none of them sleeps inside the library.
 */
#ifndef TOOL_CALLS_H
#define TOOL_CALLS_H

#include "call.h"
#include "opened.h"

/** The call as it is, or recorded. */
void calls_make(const struct opened *opened, const struct call *call, struct call_answer *answer);

int32_t calls_open(const struct opened *opened, const struct model_place *place,
                   struct tresor_source *source, struct tresor_request *request);
int32_t calls_close(const struct opened *opened, struct tresor_request *request);
int32_t calls_split(const struct opened *opened, const uint32_t *tensors, size_t count);
int32_t calls_item_of_list(const struct opened *opened, const uint32_t *tensors, size_t count,
                           struct tresor_item *item);
int32_t calls_item_of_pattern(const struct opened *opened, const char *pattern,
                              struct tresor_item *item);
/** LOAD, EVICT or LOCK, by its defaults. */
int32_t calls_ask(const struct opened *opened, enum call_kind verb, const struct tresor_item *items,
                  size_t count, struct tresor_request *request);
/** Of the options flags, strategy and urgency count. */
int32_t calls_load(const struct opened *opened, struct tresor_item item,
                   const struct tresor_request_options *options, struct tresor_request *request);
int32_t calls_swap(const struct opened *opened, struct tresor_item item, uint32_t strategy,
                   struct tresor_request *request);
/** Of the options flags, strategy and window count. */
int32_t calls_plan(const struct opened *opened, const struct tresor_item *items, size_t count,
                   const struct tresor_plan_options *options, struct tresor_request *request);
int32_t calls_seek(const struct opened *opened, struct tresor_request request, uint64_t step);
int32_t calls_cancel(const struct opened *opened, struct tresor_request request);
int32_t calls_set_strategy(const struct opened *opened, uint32_t strategy);
int32_t calls_set_priority(const struct opened *opened, struct tresor_item item, int32_t priority);
int32_t calls_dispatch(const struct opened *opened);
int32_t calls_next_event(const struct opened *opened, struct tresor_event *event);
int32_t calls_destroy(const struct opened *opened);

/** tresor_finish without the ITEM events of the request. */
int32_t calls_finish(const struct opened *opened, struct tresor_request request,
                     struct tresor_event *event);

/** tresor_wait; where a trace is written it is one dispatch, and if that leaves nothing to do, a
 * sleep on the context's descriptor. */
void calls_wait(const struct opened *opened, int32_t timeout_ms);

/** Until there is something to do, or the timeout; nothing is dispatched. */
void calls_sleep(const struct opened *opened, int32_t timeout_ms);

/* Any thread. */
int32_t calls_acquire(const struct opened *opened, struct tresor_item item, const void **data);
int32_t calls_acquire_wait(const struct opened *opened, struct tresor_item item, int32_t timeout_ms,
                           const void **data);
int32_t calls_release(const struct opened *opened, struct tresor_item item);
void calls_wake(const struct opened *opened);

#endif
