/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fail(const struct trace *trace, int error)
{
    fprintf(stderr, "tresor: cannot write '%s': %s\n", trace->path, strerror(error));
    return false;
}

static bool is_same_file(int descriptor, const char *path)
{
    struct stat own;
    struct stat other;
    return fstat(descriptor, &own) == 0 && stat(path, &other) == 0 && own.st_dev == other.st_dev &&
           own.st_ino == other.st_ino;
}

/** Emptied only when it is known not to be the model. 0 or an errno. */
static int empty(int descriptor, const char *model_path)
{
    struct stat there;
    if (is_same_file(descriptor, model_path))
        return EEXIST;
    /* Devices and pipes cannot be emptied. */
    if (fstat(descriptor, &there) == 0 && !S_ISREG(there.st_mode))
        return 0;
    return ftruncate(descriptor, 0) == 0 ? 0 : errno;
}

bool trace_begin(struct trace *trace, const char *path, const char *model_path)
{
    *trace = (struct trace){.path = path};
    if (!path)
        return true;
    const int descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return fail(trace, errno);
    int error = empty(descriptor, model_path);
    if (!error) {
        trace->file = fdopen(descriptor, "w");
        error = errno;
    }
    if (trace->file)
        return true;
    close(descriptor);
    return fail(trace, error);
}

void trace_transition(void *cookie, const struct tresor_transition *transition)
{
    struct trace *trace = cookie;
    if (trace->failed_errno)
        return;
    /* The texts are identifiers: nothing in them wants quoting. */
    const int written =
        fprintf(trace->file,
                "{\"sequence\": %" PRIu64 ", \"machine\": \"%s\", \"source\": %" PRIu32
                ", \"slot\": %" PRIu32 ", \"from\": \"%s\", \"event\": \"%s\", \"to\": \"%s\""
                ", \"guard\": \"%s\", \"action\": \"%s\", \"os_errno\": %" PRId32 "}\n",
                transition->sequence, transition->machine, transition->source, transition->slot,
                transition->from, transition->event, transition->to, transition->guard,
                transition->action, transition->os_errno);
    if (written < 0)
        trace->failed_errno = errno;
}

bool trace_end(struct trace *trace)
{
    if (!trace->path)
        return true;
    /* Errors of delayed writes come with the close. */
    if (fclose(trace->file) != 0 && !trace->failed_errno)
        trace->failed_errno = errno;
    return trace->failed_errno == 0 || fail(trace, trace->failed_errno);
}
