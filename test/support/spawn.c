/* SPDX-License-Identifier: MIT */
#include "support/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* "nobody" on most systems; any user that owns nothing will do. */
#define USER_WITHOUT_RIGHTS 65534

#define EXIT_NOT_STARTED 127

/** posix_spawn and execve want char *, but promise not to change what it points to. */
union argument_list {
    const char *const *given;
    char *const *wanted;
};

struct pipe_ends {
    int read_end;
    int write_end;
};

static bool make_pipe(struct pipe_ends *ends)
{
    int descriptors[2];
    if (pipe2(descriptors, O_CLOEXEC) != 0)
        return false;
    *ends = (struct pipe_ends){descriptors[0], descriptors[1]};
    return true;
}

/** Read once what is there. False at the end of the stream. */
static bool take(int descriptor, struct spawn_text *text)
{
    char scratch[4096];
    const ssize_t got = read(descriptor, scratch, sizeof scratch);
    if (got < 0)
        return errno == EINTR;
    const size_t room = SPAWN_TEXT_BYTES - 1 - text->length;
    const size_t kept = (size_t)got < room ? (size_t)got : room;
    memcpy(text->bytes + text->length, scratch, kept);
    text->length += kept;
    text->dropped_bytes += (size_t)got - kept;
    return got > 0;
}

/** Both streams at once, as a program that waits for room in one would never end the other. */
static void take_all(int output, int errors, struct spawn_result *result)
{
    struct pollfd waits[] = {
        {.fd = output, .events = POLLIN},
        {.fd = errors, .events = POLLIN},
    };
    struct spawn_text *const texts[] = {&result->output, &result->errors};
    while (waits[0].fd >= 0 || waits[1].fd >= 0) {
        if (poll(waits, 2, -1) < 0 && errno != EINTR)
            return;
        for (int i = 0; i < 2; i++) {
            if (waits[i].fd >= 0 && waits[i].revents && !take(waits[i].fd, texts[i]))
                waits[i].fd = -1;
        }
    }
}

static bool give_up_rights(const struct spawn_limits *limits)
{
    if (limits->locked_bytes_max != SPAWN_NO_LIMIT) {
        const struct rlimit limit = {limits->locked_bytes_max, limits->locked_bytes_max};
        if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
            return false;
    }
    /* The change of user takes all capabilities with it. */
    return geteuid() != 0 || (setgroups(0, NULL) == 0 && setgid(USER_WITHOUT_RIGHTS) == 0 &&
                              setuid(USER_WITHOUT_RIGHTS) == 0);
}

/** posix_spawn cannot change the user, so this is a fork. */
static int start_limited(pid_t *process, const char *const *arguments,
                         const struct spawn_limits *limits, int output, int errors)
{
    const union argument_list argv = {.given = arguments};
    const int program = open(arguments[0], O_RDONLY | O_CLOEXEC);
    if (program < 0)
        return errno;
    *process = fork();
    if (*process == 0) {
        if (dup2(output, STDOUT_FILENO) >= 0 && dup2(errors, STDERR_FILENO) >= 0 &&
            give_up_rights(limits))
            fexecve(program, argv.wanted, environ);
        _exit(EXIT_NOT_STARTED);
    }
    const int error = *process < 0 ? errno : 0;
    close(program);
    return error;
}

static int start(pid_t *process, const char *const *arguments, int output, int errors)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    const union argument_list argv = {.given = arguments};
    error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (!error)
        error = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    if (!error)
        error = posix_spawnp(process, arguments[0], &actions, NULL, argv.wanted, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void finish(pid_t process, struct spawn_result *result)
{
    int status = 0;
    result->exit_code = -1;
    while (waitpid(process, &status, 0) < 0) {
        if (errno != EINTR)
            return;
    }
    if (WIFEXITED(status))
        result->exit_code = WEXITSTATUS(status);
    else
        result->signal_number = WTERMSIG(status);
}

/** With limits that may be NULL. */
static bool run(struct spawn_result *result, const char *const *arguments,
                const struct spawn_limits *limits)
{
    memset(result, 0, sizeof *result);
    struct pipe_ends output;
    struct pipe_ends errors;
    if (!make_pipe(&output))
        return false;
    if (!make_pipe(&errors)) {
        close(output.read_end);
        close(output.write_end);
        return false;
    }
    pid_t process;
    const int error =
        limits ? start_limited(&process, arguments, limits, output.write_end, errors.write_end)
               : start(&process, arguments, output.write_end, errors.write_end);
    close(output.write_end);
    close(errors.write_end);
    if (!error) {
        take_all(output.read_end, errors.read_end, result);
        finish(process, result);
    }
    close(output.read_end);
    close(errors.read_end);
    errno = error;
    return error == 0;
}

bool spawn_run(struct spawn_result *result, const char *const *arguments)
{
    return run(result, arguments, NULL);
}

bool spawn_run_limited(struct spawn_result *result, const char *const *arguments,
                       const struct spawn_limits *limits)
{
    return run(result, arguments, limits) && result->exit_code != EXIT_NOT_STARTED;
}
