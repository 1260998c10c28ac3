/* SPDX-License-Identifier: MIT */
/* A context over the real system, whose books are kept, and a model in files of a folder of its own. */
#ifndef TEST_KERNEL_REAL_H
#define TEST_KERNEL_REAL_H

#include "support/failing_allocator.h"
#include "support/faulty_sys.h"
#include "support/session.h"

struct real {
    char folder[TEMPORARY_PATH_BYTES];
    struct model_set set;
    uint32_t direct; /* enum tresor_direct of later contexts; DEFAULT: the session's own choice */
    bool is_bare; /* later contexts call the system themselves: in the books one call at a time is made, and one that
                     hangs would hold up all */
    struct faulty_sys faulty;
    struct failing_allocator memory;
    struct session session;
};

/** A folder with a model of the kind; with the tensors where some are given. */
void real_make(struct real *real, enum model_kind kind);
void real_make_gguf(struct real *real, const struct model_tensor *tensors, uint32_t count);

/** A context; the code of making it. */
int32_t real_start(struct real *real);

/** The same with options that come from session_options(&real->memory), and more. */
int32_t real_start_with(struct real *real, const struct tresor_context_options *options);

/** A path in the folder. */
const char *real_path(struct real *real, const char *name);

/** Open a path with a context of its own and give all back. The code; the details in `*error`, which may be NULL. */
int32_t real_open_once(struct real *real, const char *path, struct tresor_error *error);

/** Close if something is open, destroy, and say what is wrong: NULL if nothing. */
const char *real_end(struct real *real);

/** The same, with a failure of the test for what is wrong; then the folder goes. */
void real_remove(struct real *real);

#endif
