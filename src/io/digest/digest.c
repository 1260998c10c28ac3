/* SPDX-License-Identifier: MIT */
#include "io/digest/digest.h"

#include <errno.h>

#include "io/file.h"

enum {
    PART_BYTES = 4 * 1024 * 1024,
    PART_BYTES_ALONE = 1024 * 1024, /* where nothing runs beside the context's thread, which is held for so long */
};

static bool is_cancelled(const void *context, const struct tresor__input *input)
{
    const struct tresor__digest *digest = context;
    (void)input;
    return digest->is_cancelled;
}

static bool is_short(const void *context, const struct tresor__input *input)
{
    const struct tresor__digest *digest = context;
    return input->value < 0 || (uint64_t)input->value != digest->asked;
}

static bool is_not_finite(const void *context, const struct tresor__input *input)
{
    const struct tresor__digest *digest = context;
    (void)input;
    return digest->looks & TRESOR__LOOK_FINITE && digest->record.bad_element != UINT64_MAX;
}

static bool has_more(const void *context, const struct tresor__input *input)
{
    const struct tresor__digest *digest = context;
    (void)input;
    return digest->done + digest->asked < digest->length;
}

static bool is_another(const void *context, const struct tresor__input *input)
{
    const struct tresor__digest *digest = context;
    (void)input;
    return digest->looks & TRESOR__LOOK_COMPARE && (digest->record.high != digest->wanted_high ||
                                                    digest->record.low != digest->wanted_low);
}

/* What is mapped from the file is looked at through the file. */
static void ask(struct tresor__digest *digest, struct tresor__outbox *out)
{
    uint64_t offset = digest->offset + digest->done;
    uint64_t limit = digest->of->io->ahead_max > 0 ? PART_BYTES : PART_BYTES_ALONE;
    uint64_t rest = digest->length - digest->done;
    uint32_t flags = digest->looks;
    digest->asked = rest < limit ? rest : limit;
    if (tresor__ledger_backing_at(&digest->of->ledger, offset, &digest->asked) ==
        TRESOR__BACKING_FILE)
        flags |= TRESOR__LOOK_FILE;
    if (digest->done == 0)
        flags |= TRESOR__LOOK_FIRST;
    if (digest->asked == rest)
        flags |= TRESOR__LOOK_LAST;
    tresor__outbox_effect(out, (struct tresor__effect){.kind = TRESOR__EFFECT_DIGEST,
                                                       .machine = TRESOR__MACHINE_DIGEST,
                                                       .on_ok = DIGEST_ON_DIGEST_OK,
                                                       .on_failed = DIGEST_ON_DIGEST_FAILED,
                                                       .space = TRESOR__SPACE_WINDOW,
                                                       .flags = (uint16_t)flags,
                                                       .source = digest->source,
                                                       .slot = digest->index,
                                                       .file = digest->file,
                                                       .place = offset,
                                                       .offset = offset,
                                                       .length = digest->asked});
}

static void ask_first(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__digest *digest = context;
    (void)input;
    digest->is_cancelled = false;
    digest->done = 0;
    digest->failure = (struct tresor__failure){0};
    ask(digest, out);
}

static void ask_next(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__digest *digest = context;
    (void)input;
    digest->done += digest->asked;
    ask(digest, out);
}

static void remember_cancel(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    struct tresor__digest *digest = context;
    (void)input;
    (void)out;
    digest->is_cancelled = true;
}

static void end_with(struct tresor__digest *digest, struct tresor__outbox *out,
                     struct tresor__failure failure)
{
    digest->failure = failure;
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_LOOKED,
                                                         .code = failure.code,
                                                         .slot = digest->index});
}

static void end(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    end_with(context, out, (struct tresor__failure){.code = TRESOR_OK});
}

static void end_cancelled(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    (void)input;
    end_with(context, out, (struct tresor__failure){.code = TRESOR_ERROR_CANCELLED});
}

static void fail_truncated(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    struct tresor__digest *digest = context;
    end_with(digest, out,
             (struct tresor__failure){.code = TRESOR_ERROR_TRUNCATED,
                                      .offset = digest->offset + digest->done,
                                      .wanted = digest->asked,
                                      .got = input->value > 0 ? (uint64_t)input->value : 0});
}

static void fail_not_finite(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    struct tresor__digest *digest = context;
    (void)input;
    end_with(digest, out,
             (struct tresor__failure){.code = TRESOR_ERROR_NOT_FINITE,
                                      .offset = digest->record.bad_element});
}

static void fail_corrupt(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    struct tresor__digest *digest = context;
    (void)input;
    end_with(digest, out,
             (struct tresor__failure){.code = TRESOR_ERROR_CORRUPT,
                                      .offset = digest->offset,
                                      .wanted = digest->wanted_high,
                                      .got = digest->record.high});
}

static void fail(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__digest *digest = context;
    int32_t code = input->os_errno == ENOSYS ? TRESOR_ERROR_UNSUPPORTED : TRESOR_ERROR_IO;
    end_with(digest, out,
             (struct tresor__failure){.code = code,
                                      .os_errno = input->os_errno,
                                      .offset = digest->offset + digest->done,
                                      .wanted = digest->asked});
}

static void check(const void *context)
{
    const struct tresor__digest *digest = context;
    assert(digest->done <= digest->length);
    assert(digest->state == DIGEST_IDLE || digest->done + digest->asked <= digest->length);
    assert(digest->state == DIGEST_IDLE || digest->looks != 0);
    assert(!(digest->looks & TRESOR__LOOK_COMPARE) || digest->looks & TRESOR__LOOK_SUM);
    (void)digest;
}

#define TRESOR__DEF "io/digest/digest.def"
#define TRESOR__S(name) DIGEST_##name
#define TRESOR__E(name) DIGEST_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__digest_machine =
    TRESOR__MACHINE_TABLE("digest", TRESOR__MACHINE_DIGEST, struct tresor__digest, check);
