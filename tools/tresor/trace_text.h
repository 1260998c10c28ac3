/* SPDX-License-Identifier: MIT */
/* The lines of a trace as text, each without its last brace and what stands before it. */
#ifndef TOOL_TRACE_TEXT_H
#define TOOL_TRACE_TEXT_H

#include "backend/record.h"
#include "call.h"
#include "recorded.h"

/** A line that is made anew again and again. All zero is none yet. */
struct trace_text {
    char *bytes;
    size_t length;
    size_t capacity;
    bool has_failed; /* there was no memory: it is not whole */
};

void trace_text_free(struct trace_text *text);

/** What the context came to, besides how it was made. */
struct trace_header {
    int32_t code; /* of its creation */
    struct tresor__host_facts facts;
    struct tresor_context_options options; /* without allocator and observer */
};

/** Where a number of the options is, for the writer and the reader. */
struct trace_option {
    const char *name;
    size_t offset;
    size_t size_bytes;
};
enum {
    TRACE_OPTIONS = 20,
};
extern const struct trace_option trace_options[TRACE_OPTIONS];

void trace_text_header(struct trace_text *text, const struct trace_header *header);
void trace_text_call(struct trace_text *text, const struct call *call);
void trace_text_returned(struct trace_text *text, const struct call *call,
                         const struct call_answer *answer);
void trace_text_step(struct trace_text *text, const struct tresor_transition *transition);
void trace_text_effect(struct trace_text *text, const struct tresor__numbered *asked);
void trace_text_poll(struct trace_text *text, const struct tresor__poll *poll);
void trace_text_answer(struct trace_text *text, const struct tresor__answer *answer);
void trace_text_pending(struct trace_text *text, bool is_pending);

#endif
