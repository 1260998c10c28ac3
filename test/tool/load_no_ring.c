/* SPDX-License-Identifier: MIT */
/* `tresor load --backend uring` where the system refuses io_uring: the load is done by threads, and
 * that is told. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#endif

/** From here on this process and its programs get EPERM for a ring, as in many containers. */
static bool refuse_rings(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/** Run the tool without rings; its exit code, or 127 where they cannot be refused. */
static int tool_without_rings(const char *const *arguments)
{
    int status = 0;
    const pid_t process = fork();
    if (process == 0) {
        const int output = open("output", O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (dup2(output, STDOUT_FILENO) >= 0 && refuse_rings())
            execv(getenv("TRESOR_TOOL"), (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void refused_rings_are_told(void **state)
{
    (void)state;
    const char *arguments[] = {"tresor",    "load",  "--json", "--strategy", "read",
                               "--backend", "uring", "m.gguf", NULL};
    assert_int_equal(tool("generate --size 4M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool_without_rings(arguments), 0);
    json_t *report = json_load_file("output", 0, NULL);
    check_keys(report);
    assert_int_equal(tensors_at(report, "loaded"), 30);
    assert_string_equal(json_string_value(json_object_get(report, "backend")), "pool");
    json_t *degraded = json_object_get(report, "degraded");
    assert_int_equal(json_array_size(degraded), 1);
    json_t *entry = json_array_get(degraded, 0);
    assert_true(json_is_null(json_object_get(entry, "file")));
    assert_string_equal(json_string_value(json_object_get(entry, "what")), "backend");
    assert_string_equal(json_string_value(json_object_get(entry, "why")),
                        "Operation not permitted");
    json_decref(report);
}

static void text_tells_it_in_a_line(void **state)
{
    (void)state;
    const char *arguments[] = {"tresor",    "load",  "--strategy", "read",
                               "--backend", "uring", "m.gguf",     NULL};
    assert_int_equal(tool("generate --size 1M m.gguf"), 0);
    assert_int_equal(tool_without_rings(arguments), 0);
    struct bytes output = read_file("output");
    assert_non_null(
        strstr((const char *)output.data, "\ndegraded: backend: Operation not permitted\n"));
    bytes_free(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(refused_rings_are_told),
        IN_FOLDER(text_tells_it_in_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
