/* SPDX-License-Identifier: MIT */
#include "io/read/stream.h"

#include "io/file.h"

static struct tresor__stage *first_of(const struct tresor__stream *stream)
{
    return stream->first_stage == TRESOR_NONE ? NULL : &stream->io->stages[stream->first_stage];
}

static bool is_unwanted(const struct tresor__stream *stream, const struct tresor__stage *stage)
{
    return stream->is_cancelled || stage->pair == stream->failed_pair;
}

static bool is_first_good(const void *context, const struct tresor__input *input)
{
    const struct tresor__stream *stream = context;
    const struct tresor__stage *first = first_of(stream);
    (void)input;
    return first && first->state == TRESOR__STAGE_FULL && !is_unwanted(stream, first);
}

static bool is_first_bad(const void *context, const struct tresor__input *input)
{
    const struct tresor__stream *stream = context;
    const struct tresor__stage *first = first_of(stream);
    (void)input;
    return first && (first->state == TRESOR__STAGE_FAILED ||
                     (first->state == TRESOR__STAGE_FULL && is_unwanted(stream, first)));
}

static bool is_cut_short(const void *context, const struct tresor__input *input)
{
    const struct tresor__stream *stream = context;
    (void)input;
    return stream->is_cancelled || stream->is_stopped;
}

static bool has_more(const void *context, const struct tresor__input *input)
{
    const struct tresor__stream *stream = context;
    (void)input;
    return stream->started < stream->length;
}

static bool has_stage(const void *context, const struct tresor__input *input)
{
    const struct tresor__stream *stream = context;
    return tresor__io_has_stage(stream->io) && has_more(context, input);
}

static bool has_room(const void *context, const struct tresor__input *input)
{
    const struct tresor__stream *stream = context;
    return tresor__io_has_block(stream->io, stream->urgency) && has_stage(context, input);
}

static void again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_again(out);
}

static void say(struct tresor__outbox *out, uint8_t kind, uint32_t slot, int32_t code)
{
    tresor__outbox_message(out,
                           (struct tresor__message){.kind = kind, .code = code, .slot = slot});
}

static void await_block(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    say(out, TRESOR__MESSAGE_AWAIT_BLOCK, 0, TRESOR_OK);
}

static void await_stage(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    say(out, TRESOR__MESSAGE_AWAIT_STAGE, 0, TRESOR_OK);
}

/* Chunks end at multiples of their size in the file, so that all but a tensor's ends are whole units. */
static uint32_t take_stage(struct tresor__stream *stream)
{
    struct tresor__io *io = stream->io;
    uint32_t index = tresor__io_take_stage(io);
    struct tresor__stage *stage = &io->stages[index];
    uint64_t offset = stream->offset + stream->started;
    uint64_t limit = io->stage_bytes - offset % io->stage_bytes;
    uint64_t left = stream->length - stream->started;
    *stage = (struct tresor__stage){
        .is_charged = true,
        .state = TRESOR__STAGE_READING,
        .next = TRESOR_NONE,
        .pair = stream->pair,
        .stream = stream->index,
        .piece = stream->piece,
        .tensor = stream->tensor,
        .source = stream->source,
        .place = offset % io->page_bytes,
        .offset_bytes = stream->before + stream->started,
        .length = left < limit ? left : limit,
    };
    stage->is_last = stage->length == left;
    if (stream->last_stage == TRESOR_NONE)
        stream->first_stage = index;
    else
        io->stages[stream->last_stage].next = index;
    stream->last_stage = index;
    return index;
}

/* A direct read begins at the unit that holds the first byte; the stage has room for the rest of it. */
static void start_chunk(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__stream *stream = context;
    uint32_t stage_index = take_stage(stream);
    const struct tresor__stage *stage = &stream->io->stages[stage_index];
    uint32_t index = tresor__io_take_block(stream->io);
    struct tresor__block_route route = tresor__file_route(stream->of);
    uint64_t offset = stream->offset + stream->started;
    uint64_t inside = offset % route.alignment_bytes;
    (void)input;
    stream->io->blocks[index] = (struct tresor__block){
        .space = TRESOR__SPACE_STAGE,
        .source = stream->source,
        .index = index,
        .job = stream->index,
        .file = stream->of->index,
        .stage = stage_index,
        .next_free = TRESOR_NONE,
        .place = stage->place - inside,
        .offset = offset - inside,
        .length = stage->length + inside,
        .route = route,
    };
    stream->started += stage->length;
    stream->blocks_running++;
    say(out, TRESOR__MESSAGE_BLOCK_START, index, TRESOR_OK);
    tresor__outbox_again(out);
}

static void settle_chunk(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__stream *stream = context;
    struct tresor__block *block = &stream->io->blocks[input->value];
    struct tresor__stage *stage = &stream->io->stages[block->stage];
    bool is_good = block->done == block->length;
    stage->state = is_good ? TRESOR__STAGE_FULL : TRESOR__STAGE_FAILED;
    stage->failure = block->failure;
    if (!is_good && stage->pair == stream->pair)
        stream->is_stopped = true;
    tresor__io_give_block(stream->io, block->index);
    stream->blocks_running--;
    tresor__outbox_again(out);
}

static struct tresor__stage *pop_first(struct tresor__stream *stream)
{
    struct tresor__stage *stage = first_of(stream);
    stream->first_stage = stage->next;
    if (stream->first_stage == TRESOR_NONE)
        stream->last_stage = TRESOR_NONE;
    return stage;
}

static void deliver(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__stream *stream = context;
    uint32_t index = stream->first_stage;
    struct tresor__stage *stage = pop_first(stream);
    (void)input;
    stage->state = TRESOR__STAGE_QUEUED;
    say(out, TRESOR__MESSAGE_CHUNK, index, TRESOR_OK);
    if (stage->is_last)
        say(out, TRESOR__MESSAGE_SETTLE_PAIR, stage->pair, TRESOR_OK);
    tresor__outbox_again(out);
}

static void settle_failed(struct tresor__stream *stream, uint32_t pair, struct tresor__outbox *out)
{
    bool has_failed = pair == stream->failed_pair;
    stream->failed_pair = has_failed ? TRESOR_NONE : stream->failed_pair;
    say(out, TRESOR__MESSAGE_SETTLE_PAIR, pair,
        has_failed ? stream->failure.code : TRESOR_ERROR_CANCELLED);
}

static void drop(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__stream *stream = context;
    uint32_t index = stream->first_stage;
    struct tresor__stage *stage = pop_first(stream);
    (void)input;
    if (stage->state == TRESOR__STAGE_FAILED && stage->pair != stream->failed_pair) {
        stream->failed_pair = stage->pair;
        stream->failure = stage->failure;
    }
    if (stage->is_last)
        settle_failed(stream, stage->pair, out);
    tresor__io_give_stage(stream->io, index);
    tresor__outbox_again(out);
}

/* What is left of the tensor is not read: the chunks under way are its last, or it has none. */
static void leave_tensor(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__stream *stream = context;
    struct tresor__stage *last =
        stream->last_stage == TRESOR_NONE ? NULL : &stream->io->stages[stream->last_stage];
    bool is_whole = stream->started == stream->length;
    (void)input;
    stream->is_stopped = false;
    if (last && last->pair == stream->pair)
        last->is_last = true;
    else if (!is_whole)
        settle_failed(stream, stream->pair, out);
    stream->pair = TRESOR_NONE;
    if (!stream->is_cancelled)
        say(out, TRESOR__MESSAGE_NEXT, stream->index, TRESOR_OK);
    tresor__outbox_again(out);
}

static void ask_next(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__stream *stream = context;
    (void)input;
    stream->pair = TRESOR_NONE;
    say(out, TRESOR__MESSAGE_NEXT, stream->index, TRESOR_OK);
}

static void cancel(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__stream *stream = context;
    (void)input;
    stream->is_cancelled = true;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_CANCEL_BLOCKS});
    tresor__outbox_again(out);
}

static void check(const void *context)
{
    const struct tresor__stream *stream = context;
    assert(stream->started <= stream->length);
    assert((stream->first_stage == TRESOR_NONE) == (stream->last_stage == TRESOR_NONE));
    assert(stream->blocks_running == 0 || stream->first_stage != TRESOR_NONE);
    assert(stream->state != STREAM_IDLE || stream->pair == TRESOR_NONE);
    (void)stream;
}

#define TRESOR__DEF "io/read/stream.def"
#define TRESOR__S(name) STREAM_##name
#define TRESOR__E(name) STREAM_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__stream_machine =
    TRESOR__MACHINE_TABLE("stream", TRESOR__MACHINE_STREAM, struct tresor__stream, check);
