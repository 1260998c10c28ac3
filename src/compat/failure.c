/* SPDX-License-Identifier: MIT */
#include "compat/failure.h"

#include <errno.h>

int32_t tresor__fail(struct tresor_error *error, int32_t code, int32_t os_errno, uint64_t wanted,
                     uint64_t got)
{
    if (error)
        *error = (struct tresor_error){.code = code,
                                       .os_errno = os_errno,
                                       .file = TRESOR_NONE,
                                       .tensor = TRESOR_NONE,
                                       .wanted = wanted,
                                       .got = got};
    return code;
}

static int32_t code_of(int32_t os_errno, int32_t no_memory)
{
    switch (os_errno) {
    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY:
        return TRESOR_ERROR_PERMISSION;
    case EMFILE:
    case ENFILE:
        return TRESOR_ERROR_DESCRIPTORS;
    case ENOMEM:
    case EAGAIN:
        return no_memory;
    case EBUSY:
        return TRESOR_ERROR_BUSY;
    case EINVAL:
    case ENODEV:
    case ENOSYS:
    case EOPNOTSUPP:
        return TRESOR_ERROR_UNSUPPORTED;
    default:
        return TRESOR_ERROR_IO;
    }
}

int32_t tresor__fail_call(struct tresor_error *error, int64_t result, int32_t no_memory)
{
    int32_t os_errno = (int32_t)-result;
    return tresor__fail(error, code_of(os_errno, no_memory), os_errno, 0, 0);
}

int32_t tresor__fail_open(struct tresor_error *error, int64_t result)
{
    int32_t os_errno = (int32_t)-result;
    switch (os_errno) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return tresor__fail(error, TRESOR_ERROR_NOT_FOUND, os_errno, 0, 0);
    case EISDIR:
    case EINVAL:
    case ENXIO:
    case ENODEV:
        return tresor__fail(error, TRESOR_ERROR_NOT_REGULAR, os_errno, 0, 0);
    default:
        return tresor__fail_call(error, result, TRESOR_ERROR_NO_MEMORY);
    }
}
