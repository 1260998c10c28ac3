/* SPDX-License-Identifier: MIT */
/* `tresor load`: its report, its trace, and what it does when it shall not go on.
 */
#include "report.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/** Whether a backend may be called that where another was asked for. */
static bool is_backend(const char *name, const char *asked)
{
    bool may_be_either = strcmp(asked, "auto") == 0 || strcmp(asked, "uring") == 0;
    return may_be_either ? strcmp(name, "uring") == 0 || strcmp(name, "pool") == 0
                         : strcmp(name, asked) == 0;
}

/** Everything of a model is loaded, by a strategy on a backend. */
static void check_load_on(const char *path, const char *strategy, const char *backend,
                          int64_t tensors)
{
    char line[128];
    snprintf(line, sizeof line, "load --json --strategy %s --backend %s %s", strategy, backend,
             path);
    json_t *report = tool_json(line, 0);
    check_keys(report);
    assert_int_equal(tensors_at(report, "requested"), tensors);
    assert_int_equal(tensors_at(report, "loaded"), tensors);
    assert_int_equal(tensors_at(report, "failed"), 0);
    assert_in_range(integer_at(report, "bytes"), (1 << 20) * 0.98, (1 << 20) * 1.02);
    assert_true(json_real_value(json_object_get(report, "seconds")) > 0);
    assert_true(json_real_value(json_object_get(report, "bytes_per_second")) > 0);
    assert_string_equal(json_string_value(json_object_get(report, "strategy")), strategy);
    assert_true(is_backend(json_string_value(json_object_get(report, "backend")), backend));
    assert_int_equal(integer_at(report, "locked_bytes"), 0);
    assert_int_equal(error_count(report), 0);
    assert_int_equal(tool_result.errors.length, 0);
    json_decref(report);
}

static void check_load(const char *path, const char *strategy, int64_t tensors)
{
    check_load_on(path, strategy, "sync", tensors);
    check_load_on(path, strategy, "pool", tensors);
    check_load_on(path, strategy, "uring", tensors);
    check_load_on(path, strategy, "auto", tensors);
}

static void wrong_nodes_are_refused(void **state)
{
    static const char *const wrong[] = {
        "bind",    "bind:",         "bind:0",        "bind:0x0", "bind:x",
        "bind:-1", "interleave:",   "interleave:0",  "bind;3",   "bind:0x",
        "none",    "interleaved:3", "bind:0x1g",     "bind:3,4", "bind:0x10000000000000000",
    };
    char line[80];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(line, sizeof line, "load --numa %s m.gguf", wrong[i]);
        assert_int_equal(tool(line), 2);
        assert_non_null(strstr(tool_result.errors.bytes, "is not bind:MASK"));
    }
    /* No machine has this one. */
    assert_int_equal(tool("load --numa bind:0x8000000000000000 --json m.gguf"), 2);
    assert_non_null(strstr(tool_result.errors.bytes, "--numa: this machine has only one memory "
                                                     "node, or has not got all of those"));
    assert_int_equal(tool_result.output.length, 0);
}

static void unknown_backends_are_refused(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 64K m.gguf"), 0);
    assert_int_equal(tool("load --backend ring m.gguf"), 2);
    assert_non_null(
        strstr(tool_result.errors.bytes, "--backend: 'ring' is not auto, sync, pool or uring"));
}

static void whole_models_are_loaded(void **state)
{
    (void)state;
    static const char *const strategies[] = {"mmap", "read"};
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool("generate --size 1M --tensors 30 --shards 3 m.gguf"), 0);
    for (int i = 0; i < 2; i++) {
        check_load("m.gguf", strategies[i], 30);
        check_load("m-00002-of-00003.gguf", strategies[i], 30);
    }
#ifdef TEST_SAFETENSORS
    assert_int_equal(tool("generate --size 1M --tensors 30 m.safetensors"), 0);
    assert_int_equal(tool("generate --size 1M --tensors 30 --shards 3 m.safetensors"), 0);
    for (int i = 0; i < 2; i++) {
        check_load("m.safetensors", strategies[i], 30);
        check_load("m.safetensors.index.json", strategies[i], 30);
    }
#endif
}

static void model_without_tensors_is_loaded(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    gguf_put_header(&bytes, 3, 0, 0);
    bytes_pad(&bytes, 32);
    write_file("none.gguf", &bytes);
    bytes_free(&bytes);
    json_t *report = tool_json("load --json --lock none.gguf", 0);
    check_keys(report);
    assert_int_equal(tensors_at(report, "requested"), 0);
    assert_int_equal(integer_at(report, "bytes"), 0);
    json_decref(report);
}

static void text_says_what_how_and_how_fast(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool("load --strategy read --backend sync m.gguf"), 0);
    assert_non_null(strstr(tool_result.output.bytes, "m.gguf: 30 of 30 tensors loaded, 10"));
    assert_non_null(strstr(tool_result.output.bytes, "strategy read, backend sync"));
    assert_int_equal(tool_result.errors.length, 0);
}

/* Every expert is loaded on its own, and together they are the same bytes. */
static void experts_are_split(void **state)
{
    static const char *const strategies[] = {"mmap", "read"};
    (void)state;
    assert_int_equal(tool("generate --size 4M --tensors 21 --experts 6 m.gguf"), 0);
    for (int i = 0; i < 2; i++) {
        char line[128];
        snprintf(line, sizeof line, "load --json --strategy %s m.gguf", strategies[i]);
        json_t *whole = tool_json(line, 0);
        snprintf(line, sizeof line, "load --json --split --strategy %s m.gguf", strategies[i]);
        json_t *split = tool_json(line, 0);
        check_keys(split);
        assert_int_equal(tensors_at(whole, "loaded"), 21);
        assert_int_equal(tensors_at(split, "requested"), 21 - 6 + 6 * 6);
        assert_int_equal(tensors_at(split, "loaded"), 21 - 6 + 6 * 6);
        assert_int_equal(integer_at(split, "bytes"), integer_at(whole, "bytes"));
        json_decref(whole);
        json_decref(split);
    }
    json_t *some = tool_json("load --json --split --tensor *ffn_up_exps* m.gguf", 0);
    assert_int_equal(tensors_at(some, "loaded"), 2 * 6);
    json_decref(some);
    assert_int_equal(tool("load --split m.gguf"), 0);
    assert_non_null(strstr(tool_result.output.bytes, "51 of 51 tensors and slices loaded"));
    assert_int_equal(tool("generate --size 1M --tensors 5 m.gguf"), 0);
    assert_int_equal(tool("load --split m.gguf"), 0); /* there is nothing to split */
}

static void patterns_choose_tensors_once(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    json_t *report =
        tool_json("load --json --tensor output* --tensor output.weight --tensor o* m.gguf", 0);
    assert_int_equal(tensors_at(report, "requested"), 2);
    assert_int_equal(tensors_at(report, "loaded"), 2);
    json_decref(report);
    static const char *const patterns[] = {"nothing", "[a", "blk.999.*"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        char line[128];
        snprintf(line, sizeof line, "load --json --tensor o* --tensor %s m.gguf", patterns[i]);
        assert_int_equal(tool(line), 2);
        assert_int_equal(tool_result.output.length, 0);
        assert_non_null(strstr(tool_result.errors.bytes, patterns[i]));
    }
    assert_int_equal(tool("load --strategy sendfile m.gguf"), 2);
    assert_non_null(strstr(tool_result.errors.bytes, "'sendfile'"));
}

static void check_trace(const char *path, int64_t steps)
{
    struct bytes trace = read_file(path);
    const char *at = (const char *)trace.data;
    int64_t sequence = 0;
    while (at < (const char *)trace.data + trace.size) {
        const char *end = memchr(at, '\n', trace.size - (size_t)(at - (const char *)trace.data));
        assert_non_null(end);
        json_t *line = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, NULL);
        if (json_object_get(line, "sequence")) {
            assert_int_equal(json_object_size(line), 11);
            assert_int_equal(integer_at(line, "sequence"), ++sequence);
        }
        assert_true(json_is_string(json_object_get(line, "sum")));
        json_decref(line);
        at = end + 1;
    }
    /* The close comes after the report. */
    assert_true(sequence >= steps && steps > 0);
    bytes_free(&trace);
}

static void same_load_makes_the_same_trace(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 4M --tensors 30 --shards 2 m.gguf"), 0);
    static const char *const strategies[] = {"mmap", "read"};
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            char line[128];
            snprintf(line, sizeof line,
                     "load --json --backend sync --lock --strategy %s --trace trace%d "
                     "m-00001-of-00002.gguf",
                     strategies[i], j);
            json_t *report = tool_json(line, 0);
            char path[24];
            snprintf(path, sizeof path, "trace%d", j);
            check_trace(path, integer_at(json_object_get(report, "machine"), "steps"));
            json_decref(report);
        }
        assert_true(same_files("trace0", "trace1"));
    }
}

static void lost_output_is_told(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 64K m.gguf"), 0);
    assert_int_equal(tool("generate --size 64K copy.gguf"), 0);
    assert_int_equal(tool("load --trace /dev/full m.gguf"), 3);
    assert_non_null(strstr(tool_result.errors.bytes, "'/dev/full'"));
    assert_int_equal(tool("load --trace nowhere/trace m.gguf"), 3);
    assert_int_equal(tool("load --trace ./m.gguf m.gguf"), 3);
    assert_true(same_files("m.gguf", "copy.gguf"));
    assert_int_equal(tool_in_shell("\"$TRESOR_TOOL\" load m.gguf >/dev/full"), 3);
    assert_int_equal(tool_in_shell("\"$TRESOR_TOOL\" load --json m.gguf >/dev/full"), 3);
}

/** Start a load, of several dispatches, that stops once its trace has filled a pipe that nobody
 * reads. */
static pid_t start_stuck_load(const char *strategy, const char *backend)
{
    const pid_t process = fork();
    if (process != 0)
        return process;
    const int report = open("report", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int errors = open("errors", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (dup2(report, STDOUT_FILENO) >= 0 && dup2(errors, STDERR_FILENO) >= 0)
        execl(getenv("TRESOR_TOOL"), "tresor", "load", "--json", "--trace", "trace", "--strategy",
              strategy, "--backend", backend, "m.gguf", (char *)NULL);
    _exit(127);
}

/** Long enough for another process to meet what was done to it. */
static void pause_shortly(void)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
}

/** Read until the load has been asked for: from then on a signal ends no more than that. */
static void wait_for_load(int descriptor)
{
    const char *const wanted = "{\"call\": \"load\"";
    size_t found = 0;
    char byte;
    while (found < strlen(wanted)) {
        assert_int_equal(read(descriptor, &byte, 1), 1);
        found = byte == wanted[found] ? found + 1 : byte == wanted[0];
    }
}

static void wait_until_full(int descriptor)
{
    enum {
        PIPE_PAGE_BYTES = 4096
    };
    const int capacity_bytes = fcntl(descriptor, F_GETPIPE_SZ);
    int bytes = 0;
    assert_true(capacity_bytes > 0);
    /* A page that was read in part is not written to again. */
    while (bytes <= capacity_bytes - PIPE_PAGE_BYTES) {
        assert_int_equal(ioctl(descriptor, FIONREAD, &bytes), 0);
        pause_shortly();
    }
}

static void interrupt_load(const char *strategy, const char *backend)
{
    char scratch[4096];
    int status;
    const pid_t process = start_stuck_load(strategy, backend);
    const int trace = open("trace", O_RDONLY);
    assert_true(trace >= 0);
    wait_for_load(trace);
    wait_until_full(trace);
    assert_int_equal(kill(process, SIGINT), 0);
    pause_shortly();
    char last = '\0';
    for (ssize_t got; (got = read(trace, scratch, sizeof scratch)) > 0;)
        last = scratch[got - 1];
    close(trace);
    /* The write that the signal met was taken up again. */
    assert_int_equal(last, '\n');
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    struct bytes errors = read_file("errors");
    assert_non_null(strstr((const char *)errors.data, "CANCELLED"));
    assert_null(strstr((const char *)errors.data, "cannot write"));
    bytes_free(&errors);
    json_t *report = json_load_file("report", 0, NULL);
    check_keys(report);
    assert_int_equal(tensors_at(report, "requested"), 3000);
    assert_in_range(tensors_at(report, "loaded"), 0, 2999);
    assert_int_equal(tensors_at(report, "failed"), 0);
    assert_int_equal(error_count(report), 1);
    assert_string_equal(error_name(report, 0), "CANCELLED");
    json_decref(report);
}

static void interrupted_load_reports_and_ends_by_the_signal(void **state)
{
    (void)state;
    static const char *const ways[][2] = {
        {"mmap", "sync"}, {"mmap", "pool"}, {"read", "pool"}, {"read", "uring"}};
    /* More than any backend reads ahead of a dispatch that is stuck. */
    assert_int_equal(tool("generate --size 320M --tensors 3000 m.gguf"), 0);
    assert_int_equal(mkfifo("trace", 0644), 0);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        interrupt_load(ways[i][0], ways[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(whole_models_are_loaded),
        IN_FOLDER(unknown_backends_are_refused),
        IN_FOLDER(wrong_nodes_are_refused),
        IN_FOLDER(model_without_tensors_is_loaded),
        IN_FOLDER(text_says_what_how_and_how_fast),
        IN_FOLDER(experts_are_split),
        IN_FOLDER(patterns_choose_tensors_once),
        IN_FOLDER(same_load_makes_the_same_trace),
        IN_FOLDER(lost_output_is_told),
        IN_FOLDER(interrupted_load_reports_and_ends_by_the_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
