/* SPDX-License-Identifier: MIT */
#include "source/check.h"

static const struct tresor__identity *known_of(const struct tresor__check *check)
{
    return &check->model->files[check->file].identity;
}

static bool is_cancelled(const void *context, const struct tresor__input *input)
{
    const struct tresor__check *check = context;
    (void)input;
    return check->is_cancelled;
}

static bool is_shorter(const void *context, const struct tresor__input *input)
{
    const struct tresor__check *check = context;
    (void)input;
    return check->seen.size_bytes < known_of(check)->size_bytes;
}

/* A rename or a link changes its change time, so that is not compared. */
static bool has_changed(const void *context, const struct tresor__input *input)
{
    const struct tresor__check *check = context;
    const struct tresor__identity *known = known_of(check);
    (void)input;
    return check->seen.device != known->device || check->seen.inode != known->inode ||
           check->seen.size_bytes != known->size_bytes || check->seen.modified_ns != known->modified_ns;
}

static bool has_more_files(const void *context, const struct tresor__input *input)
{
    const struct tresor__check *check = context;
    (void)input;
    return check->file + 1 < check->model->file_count;
}

static void ask(struct tresor__check *check, struct tresor__outbox *out)
{
    tresor__outbox_effect(out, (struct tresor__effect){.kind = TRESOR__EFFECT_STAT,
                                                       .machine = TRESOR__MACHINE_CHECK,
                                                       .on_ok = CHECK_ON_STAT_OK,
                                                       .on_failed = CHECK_ON_STAT_FAILED,
                                                       .source = check->source,
                                                       .slot = check->index,
                                                       .file = check->file});
}

static void ask_first(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__check *check = context;
    (void)input;
    check->is_cancelled = false;
    check->file = 0;
    ask(check, out);
}

static void ask_next(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    struct tresor__check *check = context;
    (void)input;
    check->file++;
    ask(check, out);
}

static void remember_cancel(void *context, const struct tresor__input *input,
                            struct tresor__outbox *out)
{
    struct tresor__check *check = context;
    (void)input;
    (void)out;
    check->is_cancelled = true;
}

static void end(struct tresor__check *check, struct tresor__outbox *out, int32_t code)
{
    tresor__outbox_message(out, (struct tresor__message){.kind = TRESOR__MESSAGE_SETTLE_REQUEST,
                                                         .code = code,
                                                         .slot = check->index});
}

/* The sizes are what tells most of either. */
static void fail(struct tresor__check *check, struct tresor__outbox *out, int32_t code,
                 int32_t os_errno)
{
    check->error = (struct tresor_error){
        .os_errno = os_errno,
        .file = check->file,
        .tensor = TRESOR_NONE,
        .wanted = known_of(check)->size_bytes,
        .got = os_errno == 0 ? check->seen.size_bytes : 0,
    };
    end(check, out, code);
}

static void settle(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    (void)input;
    end(context, out, TRESOR_OK);
}

static void end_cancelled(void *context, const struct tresor__input *input,
                          struct tresor__outbox *out)
{
    struct tresor__check *check = context;
    (void)input;
    check->error = (struct tresor_error){.file = TRESOR_NONE, .tensor = TRESOR_NONE};
    end(check, out, TRESOR_ERROR_CANCELLED);
}

static void fail_truncated(void *context, const struct tresor__input *input,
                           struct tresor__outbox *out)
{
    (void)input;
    fail(context, out, TRESOR_ERROR_TRUNCATED, 0);
}

static void fail_changed(void *context, const struct tresor__input *input,
                         struct tresor__outbox *out)
{
    (void)input;
    fail(context, out, TRESOR_ERROR_CHANGED, 0);
}

static void fail_stat(void *context, const struct tresor__input *input, struct tresor__outbox *out)
{
    fail(context, out, TRESOR_ERROR_IO, input->os_errno);
}

static void check(const void *context)
{
    const struct tresor__check *self = context;
    assert(self->state == CHECK_IDLE || self->file < self->model->file_count);
    (void)self;
}

#define TRESOR__DEF "source/check.def"
#define TRESOR__S(name) CHECK_##name
#define TRESOR__E(name) CHECK_ON_##name
#include "core/fsm_table.h"

const struct tresor__machine tresor__check_machine =
    TRESOR__MACHINE_TABLE("check", TRESOR__MACHINE_CHECK, struct tresor__check, check);
