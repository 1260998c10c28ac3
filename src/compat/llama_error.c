/* SPDX-License-Identifier: MIT */
#include "compat/llama.h"

#include <errno.h>
#include <limits.h>

int32_t tresor__llama_fail(struct tresor_error *error, const struct tresor_error *what)
{
    if (error) {
        *error = *what;
        error->file = TRESOR_NONE;
        error->tensor = TRESOR_NONE;
    }
    return what->code;
}

int32_t tresor__llama_code(int64_t os_errno)
{
    switch (os_errno) {
    case 0:
        return TRESOR_OK;
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return TRESOR_ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case EBADF:
        return TRESOR_ERROR_PERMISSION;
    case EISDIR:
    case ENXIO:
    case ESPIPE:
        return TRESOR_ERROR_NOT_REGULAR;
    case EMFILE:
    case ENFILE:
        return TRESOR_ERROR_DESCRIPTORS;
    case ENOMEM:
        return TRESOR_ERROR_NO_MEMORY;
    default:
        return TRESOR_ERROR_IO;
    }
}

bool tresor__llama_again(int64_t result, uint32_t *interruptions)
{
    if (result != -EINTR)
        return false;
    return (*interruptions)++ < TRESOR__LLAMA_INTERRUPTIONS_MAX;
}

size_t tresor_llama_path_max(void)
{
#ifdef PATH_MAX
    return PATH_MAX;
#else
    return 4096;
#endif
}
