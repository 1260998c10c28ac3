/* SPDX-License-Identifier: MIT */
#include "io/read/block.h"

#include <errno.h>

#include "io/file.h"

static bool is_for_window(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    (void)input;
    return block->space == TRESOR__SPACE_WINDOW;
}

static bool may_retry(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    return tresor__may_retry(block->retries, input->os_errno);
}

static bool is_impossible(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    return input->value < 0 || (uint64_t)input->value > block->length - block->done;
}

static bool is_end_of_file(const void *context, const struct tresor__input *input)
{
    (void)context;
    return input->value == 0;
}

static bool is_short(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    return (uint64_t)input->value < block->length - block->done;
}

static void ask(const struct tresor__block *block, struct tresor__outbox *out, uint8_t kind,
                uint8_t on_ok, uint8_t flags)
{
    tresor__outbox_effect(out, (struct tresor__effect){
                                   .kind = kind,
                                   .machine = TRESOR__MACHINE_BLOCK,
                                   .on_ok = on_ok,
                                   .on_failed = (uint8_t)(on_ok + 1),
                                   .space = block->space,
                                   .flags = flags,
                                   .source = block->source,
                                   .slot = block->index,
                                   .file = block->file,
                                   .place = block->place + block->done,
                                   .offset = block->offset + block->done,
                                   .length = block->length - block->done,
                               });
}

static void ask_populate(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    (void)input;
    ask(context, out, TRESOR__EFFECT_POPULATE, BLOCK_ON_POPULATE_OK, TRESOR__POPULATE_WRITE);
}

static void populate_again(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    block->retries++;
    ask_populate(context, input, out);
}

static void ask_read(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    ask(context, out, TRESOR__EFFECT_READ, BLOCK_ON_READ_OK, 0);
}

static void read_again(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    block->retries++;
    ask_read(context, input, out);
}

static void read_rest(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    block->done += (uint64_t)input->value;
    block->retries = 0;
    ask_read(context, input, out);
}

static void end(const struct tresor__block *block, struct tresor__outbox *out, int32_t code)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_BLOCK_END,
                                                         .code = code,
                                                         .slot = block->index});
}

static void finish(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    block->done += (uint64_t)input->value;
    end(block, out, TRESOR_OK);
}

static void fail(struct tresor__block *block, const struct tresor__input *input,
                 struct tresor__outbox *out, int32_t code)
{
    block->failure = tresor__failure_of(code, input->os_errno, block->offset + block->done,
                                        block->length - block->done, 0);
    end(block, out, block->failure.code);
}

static void fail_memory(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    fail(context, input, out, TRESOR_ERROR_NO_MEMORY);
}

static void fail_backend(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    fail(context, input, out, TRESOR_ERROR_BACKEND);
}

static void fail_truncated(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    fail(context, input, out, TRESOR_ERROR_TRUNCATED);
}

static void fail_read(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    fail(context, input, out, TRESOR_ERROR_IO);
}

static void check(const void *context)
{
    const struct tresor__block *block = context;
    assert(block->done <= block->length);
    assert(block->retries <= TRESOR__RETRIES_MAX);
    assert(block->state == BLOCK_FREE || block->done < block->length);
    assert(block->state != BLOCK_POPULATING || block->space == TRESOR__SPACE_WINDOW);
    (void)block;
}

#define TRESOR__DEF "io/read/block.def"
#define TRESOR__S(name) BLOCK_##name
#define TRESOR__E(name) BLOCK_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__block_machine =
    TRESOR__MACHINE_TABLE("block", TRESOR__MACHINE_BLOCK, struct tresor__block, check);
