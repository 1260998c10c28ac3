/* SPDX-License-Identifier: MIT */
#include "io/read/block.h"

#include <errno.h>

#include <tresor/event.h>

#include "io/file.h"

static uint64_t left(const struct tresor__block *block)
{
    return block->length - block->done;
}

/* After an odd short count the rest begins anywhere; only the page cache reads that. */
static bool is_direct(const struct tresor__block *block)
{
    return block->route.way == TRESOR__WAY_DIRECT &&
           (block->offset + block->done) % block->route.alignment_bytes == 0;
}

/* A direct read at the end of the file asks for whole units and takes the short count. */
static uint64_t whole_units(const struct tresor__block *block)
{
    uint64_t unit = is_direct(block) ? block->route.alignment_bytes : 1;
    return (left(block) + unit - 1) / unit * unit;
}

/* What the page cache is asked for needs no units. */
static uint64_t asked(const struct tresor__block *block)
{
    return block->state == BLOCK_PROBING ? left(block) : whole_units(block);
}

/* What a grown file gives beyond the block's end is not the block's. */
static uint64_t got(const struct tresor__block *block, const struct tresor__input *input)
{
    uint64_t value = (uint64_t)input->value;
    return value < left(block) ? value : left(block);
}

static bool probes(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    (void)input;
    return block->route.probes;
}

static bool populates(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    (void)input;
    return block->route.populates;
}

static bool is_for_caller(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    (void)input;
    return block->space == TRESOR__SPACE_CALLER;
}

static bool may_retry(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    return tresor__may_retry(block->retries, input->os_errno);
}

static bool is_impossible(const void *context, const struct tresor__input *input)
{
    return input->value < 0 || (uint64_t)input->value > asked(context);
}

static bool is_end_of_file(const void *context, const struct tresor__input *input)
{
    (void)context;
    return input->value == 0;
}

static bool is_whole(const void *context, const struct tresor__input *input)
{
    return (uint64_t)input->value >= left(context);
}

static bool is_cancelled(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    (void)input;
    return block->is_cancelled;
}

/* Whatever the file system said of its alignment, this read it will not do (open(2), "O_DIRECT"). */
static bool is_refused(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    int32_t reason = input->os_errno;
    return block->route.way != TRESOR__WAY_BUFFERED &&
           (reason == EINVAL || reason == EOPNOTSUPP || reason == ENOSYS);
}

/* Memory of a device's, perhaps, which the kernel cannot pin but a processor can write. */
static bool is_unreachable(const void *context, const struct tresor__input *input)
{
    const struct tresor__block *block = context;
    return block->route.way == TRESOR__WAY_DIRECT && block->space == TRESOR__SPACE_CALLER &&
           input->os_errno == EFAULT;
}

static void ask(const struct tresor__block *block, struct tresor__outbox *out, uint8_t kind,
                uint8_t on_ok, uint16_t flags, uint64_t length)
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
                                   .length = length,
                               });
}

static uint16_t forgetting(const struct tresor__block *block)
{
    return block->route.forgets ? TRESOR__CACHE_SPARING : 0;
}

static void ask_cached(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    const struct tresor__block *block = context;
    uint8_t makes = block->route.populates ? TRESOR__POPULATE_WRITE : 0;
    (void)input;
    ask(block, out, TRESOR__EFFECT_READ, BLOCK_ON_READ_OK,
        (uint16_t)(TRESOR__READ_CACHED | makes | forgetting(block)), left(block));
}

static void ask_populate(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    (void)input;
    ask(context, out, TRESOR__EFFECT_POPULATE, BLOCK_ON_POPULATE_OK, TRESOR__POPULATE_WRITE,
        left(context));
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
    const struct tresor__block *block = context;
    uint16_t flags = block->route.way == TRESOR__WAY_BOUNCE ? TRESOR__READ_DIRECT | TRESOR__READ_BOUNCE
                    : is_direct(block)                     ? TRESOR__READ_DIRECT
                                                           : forgetting(block);
    (void)input;
    ask(block, out, TRESOR__EFFECT_READ, BLOCK_ON_READ_OK, flags, whole_units(block));
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
    block->done += got(block, input);
    block->retries = 0;
    ask_read(context, input, out);
}

static void read_buffered(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    block->route.way = TRESOR__WAY_BUFFERED;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_DEGRADED,
                                                         .event = TRESOR_DEGRADED_DIRECT,
                                                         .code = input->os_errno,
                                                         .slot = block->file});
    ask_read(context, input, out);
}

/* The kernel copies what it cannot pin, and says where it cannot write either. */
static void read_copied(void *context, const struct tresor__input *input,
                        struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    block->route.way = TRESOR__WAY_BUFFERED;
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
    block->done += got(block, input);
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

static void remember_cancel(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    (void)input;
    (void)out;
    block->is_cancelled = true;
}

static void ask_cancel(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    ask(context, out, TRESOR__EFFECT_CANCEL, BLOCK_ON_CANCEL_OK, 0, left(context));
}

static void keep_bytes(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    (void)out;
    block->done += got(block, input);
}

static struct tresor__failure failure_at(const struct tresor__block *block, int32_t code)
{
    return (struct tresor__failure){.code = code,
                                    .offset = block->offset + block->done,
                                    .wanted = left(block)};
}

static void fail_later(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    (void)input;
    (void)out;
    block->failure = failure_at(block, TRESOR_ERROR_BACKEND);
}

static void end_cancelled(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    if (input->event == BLOCK_ON_READ_OK)
        keep_bytes(context, input, out);
    block->failure = failure_at(block, TRESOR_ERROR_CANCELLED);
    end(block, out, TRESOR_ERROR_CANCELLED);
}

static void end_answered(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__block *block = context;
    (void)input;
    if (left(block) > 0 && block->failure.code == TRESOR_OK)
        block->failure = failure_at(block, TRESOR_ERROR_CANCELLED);
    end(block, out, block->failure.code);
}

static void check(const void *context)
{
    const struct tresor__block *block = context;
    assert(block->done <= block->length);
    assert(block->retries <= TRESOR__RETRIES_MAX);
    assert(block->state == BLOCK_FREE || block->state == BLOCK_ANSWERED ||
           block->done < block->length);
    assert(block->state != BLOCK_POPULATING || block->route.populates);
    assert(block->state == BLOCK_FREE || block->route.alignment_bytes > 0);
    (void)block;
}

#define TRESOR__DEF "io/read/block.def"
#define TRESOR__S(name) BLOCK_##name
#define TRESOR__E(name) BLOCK_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__block_machine =
    TRESOR__MACHINE_TABLE("block", TRESOR__MACHINE_BLOCK, struct tresor__block, check);
