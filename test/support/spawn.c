/* SPDX-License-Identifier: MIT */
#include "support/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

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

static int start(pid_t *process, const char *const *arguments, int output, int errors)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return error;
    /* posix_spawn wants char *, but promises not to change what it points to. */
    union {
        const char *const *given;
        char *const *wanted;
    } argv = {.given = arguments};
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

bool spawn_run(struct spawn_result *result, const char *const *arguments)
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
    const int error = start(&process, arguments, output.write_end, errors.write_end);
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
