/* SPDX-License-Identifier: MIT */
#include "fuse_fs.h"

#define FUSE_USE_VERSION 32
#include <fuse3/fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"

enum { FILE_NODE = 2 };

/* Of the serving process alone. */
static struct {
    struct fuse_knobs *knobs;
    struct fuse_session *session;
    const char *folder;
    const char *name;
    const char *bytes;
    volatile sig_atomic_t is_unmounted;
} served;

/* Also called by a signal's handler. */
static void wake_all(struct fuse_knobs *knobs)
{
    atomic_fetch_add(&knobs->turn, 1);
    syscall(SYS_futex, &knobs->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void sleep_until_turn(struct fuse_knobs *knobs, uint32_t turn)
{
    syscall(SYS_futex, &knobs->turn, FUTEX_WAIT, turn, NULL, NULL, 0);
}

static struct stat stat_of(fuse_ino_t node)
{
    struct stat stat = {.st_ino = node, .st_mode = S_IFDIR | 0755, .st_nlink = 1};
    if (node == FILE_NODE) {
        stat.st_mode = S_IFREG | 0444;
        stat.st_size = (off_t)atomic_load(&served.knobs->size_bytes);
    }
    return stat;
}

/* Nothing is remembered by the system, so that a change shows at once. */
static void look_up(fuse_req_t request, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {.ino = FILE_NODE, .attr = stat_of(FILE_NODE)};
    if (parent == FUSE_ROOT_ID && strcmp(name, served.name) == 0)
        fuse_reply_entry(request, &entry);
    else
        fuse_reply_err(request, ENOENT);
}

static void get_attributes(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    struct stat stat = stat_of(node);
    (void)info;
    fuse_reply_attr(request, &stat, 0);
}

static void open_file(fuse_req_t request, fuse_ino_t node, struct fuse_file_info *info)
{
    struct fuse_knobs *knobs = served.knobs;
    (void)node;
    info->direct_io = atomic_load(&knobs->is_uncached) ? 1 : 0;
    if ((info->flags & O_DIRECT) && atomic_load(&knobs->refuses_direct))
        fuse_reply_err(request, EINVAL);
    else
        fuse_reply_open(request, info);
}

static void interrupt(fuse_req_t request, void *cookie)
{
    (void)request;
    (void)cookie;
    wake_all(served.knobs);
}

static bool meets(const _Atomic uint64_t *from, const _Atomic uint64_t *to, uint64_t start,
                  uint64_t end)
{
    return start < atomic_load(to) && end > atomic_load(from);
}

/* False if the caller took a signal. */
static bool pass_gate(fuse_req_t request, uint64_t start, uint64_t end)
{
    struct fuse_knobs *knobs = served.knobs;
    bool has_waited = false;
    fuse_req_interrupt_func(request, interrupt, NULL);
    for (;;) {
        uint32_t turn = atomic_load(&knobs->turn);
        if (!meets(&knobs->hold_from, &knobs->hold_to, start, end) ||
            fuse_req_interrupted(request))
            break;
        if (has_waited) {
            sleep_until_turn(knobs, turn);
            continue;
        }
        has_waited = true;
        atomic_fetch_add(&knobs->held, 1);
        wake_all(knobs);
    }
    if (has_waited)
        atomic_fetch_sub(&knobs->held, 1);
    fuse_req_interrupt_func(request, NULL, NULL);
    return !fuse_req_interrupted(request);
}

static bool is_to_fail(uint64_t start, uint64_t end)
{
    struct fuse_knobs *knobs = served.knobs;
    uint32_t left = atomic_load(&knobs->fail_count);
    if (!meets(&knobs->fail_from, &knobs->fail_to, start, end))
        return false;
    while (left > 0 && left < FUSE_FS_EVER &&
           !atomic_compare_exchange_weak(&knobs->fail_count, &left, left - 1))
        continue;
    if (left > 0)
        atomic_fetch_add(&knobs->failed, 1);
    return left > 0;
}

static size_t length_of_answer(const struct fuse_file_info *info, uint64_t start, size_t asked)
{
    struct fuse_knobs *knobs = served.knobs;
    uint64_t size = atomic_load(&knobs->size_bytes);
    uint64_t most = atomic_load(&knobs->short_bytes);
    size_t length = start >= size ? 0 : size - start < asked ? (size_t)(size - start) : asked;
    bool is_direct = atomic_load(&knobs->is_uncached) || (info->flags & O_DIRECT);
    if (!is_direct || most == 0 || length <= most)
        return length;
    atomic_fetch_add(&knobs->shortened, 1);
    return (size_t)most;
}

static void read_file(fuse_req_t request, fuse_ino_t node, size_t size, off_t offset,
                      struct fuse_file_info *info)
{
    uint64_t start = (uint64_t)offset;
    (void)node;
    if (!pass_gate(request, start, start + size))
        fuse_reply_err(request, EINTR);
    else if (is_to_fail(start, start + size))
        fuse_reply_err(request, atomic_load(&served.knobs->fail_errno));
    else
        fuse_reply_buf(request, served.bytes + start, length_of_answer(info, start, size));
}

static const struct fuse_lowlevel_ops operations = {
    .lookup = look_up,
    .getattr = get_attributes,
    .open = open_file,
    .read = read_file,
};

static void on_end(int number)
{
    (void)number;
    atomic_store(&served.knobs->hold_to, 0);
    wake_all(served.knobs);
    fuse_session_exit(served.session);
    /* Who sleeps in a read of the device learns of it. */
    served.is_unmounted = umount2(served.folder, MNT_DETACH) == 0;
}

/* Ends with its parent, or by the signal that fuse_fs_stop sends; `ready` hears one byte once the folder is mounted. */
static void serve(pid_t parent, int ready)
{
    char *words[] = {(char[]){"tresor-test"}, (char[]){"-oro"}, NULL};
    struct fuse_args arguments = FUSE_ARGS_INIT(2, words);
    struct fuse_loop_config config = {.clone_fd = 0, .max_idle_threads = 10};
    const struct sigaction action = {.sa_handler = on_end};
    served.session = fuse_session_new(&arguments, &operations, sizeof operations, NULL);
    if (!served.session || fuse_session_mount(served.session, served.folder) != 0)
        return;
    sigaction(SIGTERM, &action, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    setpgid(0, 0); /* who kills the test's whole group shall not leave it mounted */
    if (getppid() == parent && write(ready, "", 1) == 1)
        fuse_session_loop_mt(served.session, &config);
    if (!served.is_unmounted)
        fuse_session_unmount(served.session);
}

bool fuse_fs_start(struct fuse_fs *fs, const char *folder, const char *name, const void *bytes,
                   size_t size_bytes)
{
    int ends[2];
    char byte;
    pid_t parent = getpid();
    memset(fs, 0, sizeof *fs);
    snprintf(fs->folder, sizeof fs->folder, "%s", folder);
    if (pipe(ends) != 0)
        return false;
    fs->knobs = child_share(sizeof *fs->knobs);
    atomic_store(&fs->knobs->size_bytes, size_bytes);
    fs->process = fork();
    if (fs->process == 0) {
        served.knobs = fs->knobs;
        served.folder = fs->folder;
        served.name = name;
        served.bytes = bytes;
        close(ends[0]);
        serve(parent, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    bool is_ready = fs->process > 0 && read(ends[0], &byte, 1) == 1;
    close(ends[0]);
    if (!is_ready)
        fuse_fs_stop(fs);
    return is_ready;
}

void fuse_fs_stop(struct fuse_fs *fs)
{
    if (fs->process > 0) {
        kill(fs->process, SIGTERM);
        while (waitpid(fs->process, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    if (fs->knobs)
        child_unshare(fs->knobs, sizeof *fs->knobs);
    memset(fs, 0, sizeof *fs);
}

const char *fuse_fs_missing(void)
{
    char folder[TEMPORARY_PATH_BYTES];
    struct fuse_fs fs;
    int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0)
        return "/dev/fuse cannot be opened";
    close(device);
    temporary_make(folder);
    bool is_started = fuse_fs_start(&fs, folder, "file", "", 0);
    fuse_fs_stop(&fs);
    temporary_remove(folder);
    return is_started ? NULL : "a FUSE file system cannot be mounted";
}

void fuse_fs_fail(struct fuse_fs *fs, uint64_t from, uint64_t to, int32_t os_errno, uint32_t count)
{
    atomic_store(&fs->knobs->fail_count, 0);
    atomic_store(&fs->knobs->fail_from, from);
    atomic_store(&fs->knobs->fail_to, to);
    atomic_store(&fs->knobs->fail_errno, os_errno);
    atomic_store(&fs->knobs->fail_count, count);
}

void fuse_fs_heal(struct fuse_fs *fs)
{
    atomic_store(&fs->knobs->fail_count, 0);
    fuse_fs_let_go(fs);
}

void fuse_fs_hold(struct fuse_fs *fs, uint64_t from, uint64_t to)
{
    atomic_store(&fs->knobs->hold_from, from);
    atomic_store(&fs->knobs->hold_to, to);
}

void fuse_fs_let_go(struct fuse_fs *fs)
{
    atomic_store(&fs->knobs->hold_to, 0);
    wake_all(fs->knobs);
}

void fuse_fs_await_held(struct fuse_fs *fs)
{
    for (;;) {
        uint32_t turn = atomic_load(&fs->knobs->turn);
        if (atomic_load(&fs->knobs->held) > 0)
            return;
        sleep_until_turn(fs->knobs, turn);
    }
}
