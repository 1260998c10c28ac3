/* SPDX-License-Identifier: MIT */
#include "writing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_same_file(int descriptor, const char *path)
{
    struct stat own;
    struct stat other;
    return fstat(descriptor, &own) == 0 && stat(path, &other) == 0 && own.st_dev == other.st_dev &&
           own.st_ino == other.st_ino;
}

/** Emptied only when it is known not to be the one that is kept. 0 or an errno. */
static int empty(int descriptor, const char *kept_path)
{
    struct stat there;
    if (is_same_file(descriptor, kept_path))
        return EEXIST;
    /* Devices and pipes cannot be emptied. */
    if (fstat(descriptor, &there) == 0 && !S_ISREG(there.st_mode))
        return 0;
    return ftruncate(descriptor, 0) == 0 ? 0 : errno;
}

FILE *writing_begin(const char *path, const char *kept_path)
{
    FILE *file = NULL;
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return NULL;
    int error = empty(descriptor, kept_path);
    if (!error) {
        file = fdopen(descriptor, "w");
        error = errno;
    }
    if (file)
        return file;
    close(descriptor);
    errno = error;
    return NULL;
}
