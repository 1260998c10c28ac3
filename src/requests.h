/* SPDX-License-Identifier: MIT */
/* Request slots: taken, filled in, submitted. */
#ifndef TRESOR_SRC_REQUESTS_H
#define TRESOR_SRC_REQUESTS_H

#include "context.h"

/** The next free request, blank but for its verb and source; the caller saw that there is one. */
struct tresor__request *tresor__requests_take(struct tresor__controller *controller,
                                              enum tresor_verb verb, uint32_t source);

/** Hand it to its machine; dispatch does the rest. */
struct tresor_request tresor__requests_submit(struct tresor_context *context,
                                              struct tresor__request *request);

/** Copy a request's options, NULL meaning the defaults. TRESOR_OK, or INVALID where the verb has no use of one. */
int32_t tresor__requests_check_options(enum tresor_verb verb,
                                       const struct tresor_request_options *given,
                                       struct tresor_request_options *options);

/**
 * By which strategy what an item of the source is asked for is done, where `asked` may be DEFAULT. UNSUPPORTED where that is to
 * map what has no file, or one whose bytes lie askew to its pages; else TRESOR_OK.
 */
int32_t tresor__requests_strategy(const struct tresor__controller *controller,
                                  const struct tresor__slot *slot, uint32_t asked,
                                  uint8_t *strategy);

/** The place of a request's handle, or STALE. */
int32_t tresor__request_find(const struct tresor_context *context, struct tresor_request request,
                             uint32_t *index);

/** The slot of a live item's handle, for the owning thread. */
int32_t tresor__item_find(struct tresor_context *context, struct tresor_item item,
                          struct tresor__slot **slot);

/** The slot of items, all live and of one source, at least one (INVALID otherwise). */
int32_t tresor__items_find(struct tresor_context *context, const struct tresor_item *items,
                           size_t count, struct tresor__slot **slot);

/** The slot of an open source's handle, for the owning thread. */
int32_t tresor__source_find(struct tresor_context *context, struct tresor_source source,
                            struct tresor__slot **slot);

#endif
