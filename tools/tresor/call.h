/* SPDX-License-Identifier: MIT */
/* A call of the library as data, so that it can be written down and made again. */
#ifndef TOOL_CALL_H
#define TOOL_CALL_H

#include <stdbool.h>

#include <tresor/tresor.h>

/** All that change what a context does, of those that commands make. */
enum call_kind {
    CALL_OPEN,
    CALL_OPEN_WITH,
    CALL_CLOSE,
    CALL_SPLIT,
    CALL_LIST,    /* tresor_item_of_list */
    CALL_PATTERN, /* tresor_item_of_pattern: it makes a group too */
    CALL_LOAD,
    CALL_EVICT,
    CALL_LOCK,
    CALL_SWAP,
    CALL_PLAN,
    CALL_SEEK,
    CALL_CANCEL,
    CALL_SET_STRATEGY,
    CALL_SET_PRIORITY,
    CALL_ACQUIRE,
    CALL_RELEASE,
    CALL_WAKE,
    CALL_GET_FD,
    CALL_DISPATCH,
    CALL_NEXT_EVENT,
    CALL_DESTROY,
    CALL_COUNT
};

enum {
    CALL_NUMBERS = 7,
};

struct call {
    enum call_kind kind;
    bool is_elsewhere; /* made by another thread than the context's */
    const char *text;  /* a path, or a pattern */
    uint64_t handle;   /* of a source, a request or an item */
    const struct tresor_item *items;
    const uint32_t *tensors;
    size_t count;                   /* of either */
    uint64_t numbers[CALL_NUMBERS]; /* as the call's shape names them */
};

struct call_answer {
    int32_t code;    /* what the call returned; of a descriptor only that it is one, as 0 */
    uint64_t handle; /* that was made: of a source or an item */
    uint64_t request;
    struct tresor_event event; /* NEXT_EVENT that returned 1 */
    const void *data;          /* ACQUIRE */
    int descriptor;            /* GET_FD */
};

enum call_list {
    CALL_NO_LIST,
    CALL_LIST_OF_ITEMS,
    CALL_LIST_OF_TENSORS,
};

/** How a call is written. */
struct call_shape {
    const char *name;
    const char *handle; /* what the handle is of; NULL: it has none */
    const char *text;   /* what the text is; NULL: it has none */
    enum call_list list;
    const char *numbers[CALL_NUMBERS]; /* from the first; NULL: no more */
    const char *made;                  /* what a handle is made of; NULL: none */
    bool makes_request;
};

const struct call_shape *call_shape(enum call_kind kind);

/** Make the call. */
void call_make(struct tresor_context *context, const struct call *call, struct call_answer *answer);

#endif
