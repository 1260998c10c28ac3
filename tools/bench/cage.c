/* SPDX-License-Identifier: MIT */
#include "cage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/cgroup.h"
#include "ending.h"
#include "measure.h"

/* Static, for what ends the program has nothing else to find them by. */
static struct place {
    struct tresor__cgroup group; /* below the one that the program was started in */
    volatile sig_atomic_t child; /* 0: free */
    int commands;                /* the parent's end */
    bool is_made;
} places[CAGES_MAX];

static void clear(struct place *place)
{
    if (place->child > 0) {
        kill((pid_t)place->child, SIGKILL);
        waitpid((pid_t)place->child, NULL, 0);
    }
    if (place->is_made)
        rmdir(place->group.folder);
    place->child = 0;
    place->is_made = false;
}

static void clear_all(void)
{
    for (int i = 0; i < CAGES_MAX; i++)
        clear(&places[i]);
}

static bool write_file(const struct tresor__cgroup *group, const char *name, const char *text)
{
    char path[TRESOR__CGROUP_PATH_BYTES];
    int descriptor = tresor__cgroup_path(group, group->folder_bytes, name, path)
                         ? open(path, O_WRONLY | O_CLOEXEC)
                         : -1;
    if (descriptor < 0)
        return false;
    bool is_written = write(descriptor, text, strlen(text)) == (ssize_t)strlen(text);
    close(descriptor);
    return is_written;
}

static void make_group(struct place *place)
{
    static char text[TRESOR__CGROUP_TEXT_BYTES];
    static struct tresor__cgroups groups;
    char folder[TRESOR__CGROUP_PATH_BYTES];
    tresor__cgroups_find(tresor__sys_posix(), text, &groups);
    place->group = groups.memory.version != TRESOR__CGROUP_NONE ? groups.memory : groups.unified;
    if (place->group.version == TRESOR__CGROUP_NONE)
        return;
    int length =
        snprintf(folder, sizeof folder, "%.*s/tresor_bench_%d_%d", (int)place->group.folder_bytes,
                 place->group.folder, (int)getpid(), (int)(place - places));
    if (length >= (int)sizeof folder || mkdir(folder, 0700) != 0)
        return;
    memcpy(place->group.folder, folder, (size_t)length + 1);
    place->group.folder_bytes = (uint32_t)length;
    place->is_made = true;
}

static struct place *find_place(pid_t child)
{
    for (int i = 0; i < CAGES_MAX; i++)
        if (places[i].child == child)
            return &places[i];
    give_up("too many at a time");
}

/* Whole messages: they are smaller than what a pipe takes at once. */
static bool receive(int descriptor, void *message, size_t size_bytes)
{
    ssize_t got;
    do
        got = read(descriptor, message, size_bytes);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)size_bytes;
}

static void send(int descriptor, const void *message, size_t size_bytes)
{
    if (write(descriptor, message, size_bytes) != (ssize_t)size_bytes)
        give_up("a pipe broke");
}

/* Those of the other children, which would never see their end while this one has it too. */
static void close_inherited(const struct place *own)
{
    for (int i = 0; i < CAGES_MAX; i++)
        if (places[i].child > 0 && &places[i] != own)
            close(places[i].commands);
}

_Noreturn static void be_child(struct cage *cage, struct place *place, cage_work *work,
                               const void *argument)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close_inherited(place);
    cage->is_limited = place->is_made && write_file(&place->group, "cgroup.procs", "0");
    cage->child = 0;
    place->child = getpid();
    work(cage, argument);
    _exit(0);
}

void cage_start(struct cage *cage, cage_work *work, const void *argument)
{
    struct place *place = find_place(0);
    int commands[2];
    int answers[2];
    if (pipe2(commands, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0)
        give_up("no pipes: %s", strerror(errno));
    ending_add(clear_all);
    make_group(place);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        give_up("no child: %s", strerror(errno));
    *cage = (struct cage){.child = child,
                          .commands = commands[child == 0 ? 0 : 1],
                          .answers = answers[child == 0 ? 1 : 0]};
    close(commands[child == 0 ? 1 : 0]);
    close(answers[child == 0 ? 0 : 1]);
    if (child == 0)
        be_child(cage, place, work, argument);
    place->child = child;
    place->commands = cage->commands;
    if (!receive(cage->answers, &cage->is_limited, sizeof cage->is_limited))
        give_up("a child ended before it began");
}

struct pass cage_run(struct cage *cage)
{
    struct pass pass;
    send(cage->commands, "", 1);
    if (!receive(cage->answers, &pass, sizeof pass))
        give_up("a child ended, perhaps for want of memory");
    return pass;
}

void cage_end(struct cage *cage)
{
    struct place *place = find_place(cage->child);
    int status = 0;
    close(cage->commands);
    close(cage->answers);
    waitpid(cage->child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        give_up("a child ended badly");
    place->child = 0;
    clear(place);
}

void cage_limit(struct cage *cage, uint64_t size_bytes)
{
    const struct place *place = find_place(getpid());
    struct tresor__pressure_facts facts = {0};
    uint32_t folder_bytes;
    char text[32];
    bool is_old = place->group.version == TRESOR__CGROUP_V1;
    if (cage->is_limited)
        tresor__cgroup_measure(tresor__sys_posix(), &place->group, &facts, &folder_bytes);
    snprintf(text, sizeof text, "%" PRIu64, facts.usage_bytes + size_bytes);
    cage->is_limited =
        cage->is_limited && facts.usage_bytes > 0 &&
        write_file(&place->group, is_old ? "memory.limit_in_bytes" : "memory.max", text);
    send(cage->answers, &cage->is_limited, sizeof cage->is_limited);
}

bool cage_await(const struct cage *cage)
{
    char command;
    return receive(cage->commands, &command, 1);
}

void cage_answer(const struct cage *cage, const struct pass *pass)
{
    send(cage->answers, pass, sizeof *pass);
}
