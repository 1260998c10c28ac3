/* SPDX-License-Identifier: MIT */
#include "platform/sys_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

enum {
    WATCHES_MAX = 16,
    PATH_BYTES = 1100,
};

#ifdef __linux__
/* What has changed is forgotten when the file is read. */
static bool look_at_counters(int descriptor)
{
    char text[512];
    return pread(descriptor, text, sizeof text, 0) >= 0;
}

/* Closes the descriptor and keeps errno where what was tried with it has failed. */
static int64_t keep_if(bool succeeded, int descriptor)
{
    int reason = errno;
    if (succeeded)
        return descriptor;
    close(descriptor);
    return -reason;
}

static int64_t open_stall(const char *path, const char *trigger)
{
    int descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return -errno;
    size_t length = strlen(trigger) + 1;
    return keep_if(write(descriptor, trigger, length) == (ssize_t)length, descriptor);
}

static int64_t open_events(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return -errno;
    return keep_if(look_at_counters(descriptor), descriptor);
}

/* "<eventfd> <file> <trigger>" of the kernel's notes on the older hierarchy, to a file beside the file. */
static bool register_event(int event, int file, const char *path, const char *trigger)
{
    char text[PATH_BYTES];
    const char *name = strrchr(path, '/');
    int length = snprintf(text, sizeof text, "%.*s/cgroup.event_control",
                          name ? (int)(name - path) : 0, path);
    if (length >= (int)sizeof text) {
        errno = ENAMETOOLONG;
        return false;
    }
    int control = open(text, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (control < 0)
        return false;
    length = snprintf(text, sizeof text, "%d %d %s", event, file, trigger);
    bool written = write(control, text, (size_t)length) == length;
    int reason = errno;
    close(control);
    errno = reason;
    return written;
}

static int64_t open_notify(const char *path, const char *trigger)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return -errno;
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int64_t result = event < 0 ? -errno : keep_if(register_event(event, file, path, trigger), event);
    close(file); /* which is needed only to say which one is meant */
    return result;
}

int64_t tresor__sys_watch_open(void *cookie, enum tresor__sys_watch_kind kind, const char *path,
                               const char *trigger)
{
    (void)cookie;
    switch (kind) {
    case TRESOR__SYS_WATCH_STALL:
        return open_stall(path, trigger);
    case TRESOR__SYS_WATCH_EVENTS:
        return open_events(path);
    case TRESOR__SYS_WATCH_NOTIFY:
        return open_notify(path, trigger);
    default:
        return -EINVAL;
    }
}

static bool tells_by_input(enum tresor__sys_watch_kind kind)
{
    return kind == TRESOR__SYS_WATCH_BELL || kind == TRESOR__SYS_WATCH_NOTIFY;
}

/* A file of counters is in error whenever it has changed; one of stalls when its group is gone. */
static void mark(struct tresor__sys_watch *watch, short found)
{
    uint64_t times;
    watch->has_risen = found & (tells_by_input(watch->kind) ? POLLIN : POLLPRI);
    watch->is_gone = found & POLLNVAL ||
                     (watch->kind != TRESOR__SYS_WATCH_EVENTS && found & (POLLERR | POLLHUP));
    if (watch->has_risen && watch->kind == TRESOR__SYS_WATCH_EVENTS)
        watch->is_gone = !look_at_counters(watch->descriptor);
    if (watch->has_risen && watch->kind == TRESOR__SYS_WATCH_NOTIFY)
        watch->is_gone = read(watch->descriptor, &times, sizeof times) < 0 && errno != EAGAIN;
}

int64_t tresor__sys_watch_wait(void *cookie, struct tresor__sys_watch *watches, uint32_t count)
{
    struct pollfd polled[WATCHES_MAX];
    (void)cookie;
    if (count > WATCHES_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = watches[i].descriptor,
                                    .events = tells_by_input(watches[i].kind) ? POLLIN : POLLPRI};
    int result = poll(polled, count, -1);
    if (result < 0)
        return -errno;
    for (uint32_t i = 0; i < count; i++)
        mark(&watches[i], polled[i].revents);
    return result;
}
#else
int64_t tresor__sys_watch_open(void *cookie, enum tresor__sys_watch_kind kind, const char *path,
                               const char *trigger)
{
    (void)cookie;
    (void)kind;
    (void)path;
    (void)trigger;
    return -ENOSYS;
}

int64_t tresor__sys_watch_wait(void *cookie, struct tresor__sys_watch *watches, uint32_t count)
{
    (void)cookie;
    (void)watches;
    (void)count;
    return -ENOSYS;
}
#endif
