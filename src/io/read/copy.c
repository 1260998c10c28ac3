/* SPDX-License-Identifier: MIT */
#include "io/read/copy.h"

#include "io/file.h"

enum {
    BOUNCED_WHOLE_BYTES = 64 * 1024, /* so little is not worth three reads */
};

static const struct tresor__block *block_of(const void *context, const struct tresor__input *input)
{
    const struct tresor__copy *copy = context;
    return &copy->io->blocks[input->value];
}

static bool is_empty(const void *context, const struct tresor__input *input)
{
    const struct tresor__copy *copy = context;
    (void)input;
    return copy->length == 0;
}

static bool has_more(const void *context, const struct tresor__input *input)
{
    const struct tresor__copy *copy = context;
    (void)input;
    return copy->started < copy->length;
}

static bool has_more_and_block(const void *context, const struct tresor__input *input)
{
    const struct tresor__copy *copy = context;
    return tresor__io_has_block(copy->io, copy->urgency) && has_more(context, input);
}

static bool runs_none(const void *context, const struct tresor__input *input)
{
    const struct tresor__copy *copy = context;
    (void)input;
    return copy->blocks_running == 0;
}

static bool is_only(const void *context, const struct tresor__input *input)
{
    const struct tresor__copy *copy = context;
    (void)input;
    return copy->blocks_running == 1;
}

static bool is_good(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = block_of(context, input);
    return block->done == block->length;
}

static bool is_good_and_last(const void *context, const struct tresor__input *input)
{
    return is_good(context, input) && is_only(context, input) && !has_more(context, input);
}

static void again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_again(out);
}

static void await_block(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    (void)context;
    (void)input;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_AWAIT_BLOCK});
}

/*
 * Up to the next multiple of the block size. Direct reads go in place where the caller's memory lies as the file does;
 * what sticks out of whole units at either end, and all of memory that lies otherwise, takes a bounce.
 */
static struct tresor__block next_block(const struct tresor__copy *copy)
{
    struct tresor__block block = {
        .offset = copy->offset + copy->started,
        .length = copy->length - copy->started,
        .route = tresor__file_route(copy->of),
    };
    uint64_t unit = block.route.alignment_bytes;
    uint64_t limit = copy->io->block_bytes - block.offset % copy->io->block_bytes;
    uint64_t inside = block.offset % unit;
    bool is_small = block.length <= BOUNCED_WHOLE_BYTES;
    bool is_congruent = (copy->misplaced_bytes + copy->started) % unit == inside;
    block.length = block.length < limit ? block.length : limit;
    if (block.route.way == TRESOR__WAY_BUFFERED) {
        block.route.populates = false;
    } else if (is_small || !is_congruent || inside > 0 || block.length < unit) {
        block.route.way = TRESOR__WAY_BOUNCE;
        block.route.populates = false;
        if (!is_small && is_congruent && inside > 0 && block.length > unit - inside)
            block.length = unit - inside;
    } else {
        block.length -= block.length % unit;
    }
    return block;
}

static void start_block(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__copy *copy = context;
    uint32_t index = tresor__io_take_block(copy->io);
    struct tresor__block *block = &copy->io->blocks[index];
    (void)input;
    *block = next_block(copy);
    block->space = TRESOR__SPACE_CALLER;
    block->source = copy->source;
    block->index = index;
    block->job = copy->index;
    block->file = copy->file;
    block->next_free = TRESOR_NONE;
    block->place = copy->started;
    copy->started += block->length;
    copy->blocks_running++;
    tresor__outbox_message(
        out, (struct tresor__message){.kind = TRESOR__MESSAGE_BLOCK_START, .slot = index});
    tresor__outbox_again(out);
}

static void end(const struct tresor__copy *copy, struct tresor__outbox *out)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_SETTLE_REQUEST,
                                                         .code = copy->failure.code,
                                                         .slot = copy->index});
}

static void finish(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    end(context, out);
}

static void give_block(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__copy *copy = context;
    tresor__io_give_block(copy->io, (uint32_t)input->value);
    copy->blocks_running--;
    tresor__outbox_again(out);
}

static void give_and_finish(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    give_block(context, input, out);
    end(context, out);
}

static void give_and_remember(void *context, const struct tresor__input *input,
                              struct tresor__outbox *out)
{
    struct tresor__copy *copy = context;
    copy->failure = block_of(context, input)->failure;
    give_block(context, input, out);
}

static void cancel_blocks(struct tresor__outbox *out)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_CANCEL_BLOCKS});
}

/* The others are of no use any more. */
static void give_and_drain(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    give_and_remember(context, input, out);
    cancel_blocks(out);
}

static void give_and_fail(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    give_and_remember(context, input, out);
    end(context, out);
}

static void give_and_end(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    give_block(context, input, out);
    end(context, out);
}

static void remember_cancel(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    struct tresor__copy *copy = context;
    (void)input;
    cancel_blocks(out);
    copy->failure = (struct tresor__failure){.code = TRESOR_ERROR_CANCELLED,
                                             .offset = copy->offset + copy->started,
                                             .wanted = copy->length,
                                             .got = copy->started};
}

static void end_cancelled(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    remember_cancel(context, input, out);
    end(context, out);
}

static void check(const void *context)
{
    const struct tresor__copy *copy = context;
    assert(copy->started <= copy->length);
    assert(copy->state != COPY_IDLE || copy->blocks_running == 0);
    assert(copy->state != COPY_DRAINING || copy->blocks_running > 0);
    assert(copy->state != COPY_DRAINING || copy->failure.code != TRESOR_OK);
    (void)copy;
}

#define TRESOR__DEF "io/read/copy.def"
#define TRESOR__S(name) COPY_##name
#define TRESOR__E(name) COPY_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__copy_machine =
    TRESOR__MACHINE_TABLE("copy", TRESOR__MACHINE_COPY, struct tresor__copy, check);
