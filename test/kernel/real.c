/* SPDX-License-Identifier: MIT */
#include "real.h"

#include "support/test.h"

#include <string.h>

static void make_folder(struct real *real)
{
    memset(real, 0, sizeof *real);
    temporary_make(real->folder);
}

void real_make(struct real *real, enum model_kind kind)
{
    make_folder(real);
    model_set_make(&real->set, kind, real->folder);
    model_set_write(&real->set);
}

void real_make_gguf(struct real *real, const struct model_tensor *tensors, uint32_t count)
{
    make_folder(real);
    model_set_make_gguf(&real->set, real->folder, tensors, count);
    model_set_write(&real->set);
}

int32_t real_start(struct real *real)
{
    struct tresor_context_options options = session_options(&real->memory);
    if (real->direct != TRESOR_DIRECT_DEFAULT)
        options.direct = real->direct;
    return real_start_with(real, &options);
}

int32_t real_start_with(struct real *real, const struct tresor_context_options *options)
{
    /* A judge outlives the table's start, so that a test can set it before. */
    int32_t (*judge)(void *, struct faulty_call *) = real->faulty.judge;
    void *cookie = real->faulty.judge_cookie;
    memset(&real->memory, 0, sizeof real->memory);
    faulty_sys_init(&real->faulty, tresor__sys_posix());
    real->faulty.judge = judge;
    real->faulty.judge_cookie = cookie;
    real->faulty.has_workers = options->backend != TRESOR_BACKEND_SYNC;
    return session_create(&real->session,
                          real->is_bare ? tresor__sys_posix() : &real->faulty.sys, options);
}

const char *real_path(struct real *real, const char *name)
{
    static char path[TEMPORARY_PATH_BYTES + 300];
    snprintf(path, sizeof path, "%s/%s", real->folder, name);
    return path;
}

int32_t real_open_once(struct real *real, const char *path, struct tresor_error *error)
{
    int32_t code = real_start(real);
    if (code != TRESOR_OK)
        return code;
    code = session_open(&real->session, path);
    if (error)
        *error = real->session.requests[0].done.error;
    const char *wrong = real_end(real);
    if (wrong)
        fail_msg("%s: %s", path, wrong);
    return code;
}

const char *real_end(struct real *real)
{
    struct tresor_source_info info = {.size_bytes = sizeof info};
    struct session *session = &real->session;
    if (session->context &&
        tresor_source_get_info(session->context, session->source, &info) == TRESOR_OK)
        session_close(session);
    const char *wrong = session_destroy(session);
    const char *held = faulty_sys_check(&real->faulty);
    if (!wrong && !held && real->memory.outstanding_bytes != 0)
        return "held: allocated bytes";
    return wrong ? wrong : held;
}

void real_remove(struct real *real)
{
    const char *wrong = real_end(real);
    model_set_free(&real->set);
    temporary_remove(real->folder);
    if (wrong)
        fail_msg("%s", wrong);
}
