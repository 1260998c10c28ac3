/* SPDX-License-Identifier: MIT */
/* `tresor load --trace` and `tresor replay`: the same steps, byte for byte, from nothing but the
 * trace. */
#include "report.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/** The lines of a file that begin with a text, to be freed. */
static struct bytes lines_of(const char *path, const char *opening)
{
    struct bytes all = read_file(path);
    struct bytes lines = {0};
    const char *at = (const char *)all.data;
    const char *end = at + all.size;
    while (at < end) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        assert_non_null(feed);
        if (strncmp(at, opening, strlen(opening)) == 0)
            bytes_put(&lines, at, (size_t)(feed + 1 - at));
        at = feed + 1;
    }
    bytes_free(&all);
    return lines;
}

static size_t count_lines(const char *path, const char *opening)
{
    struct bytes lines = lines_of(path, opening);
    size_t count = 0;
    for (size_t i = 0; i < lines.size; i++)
        count += lines.data[i] == '\n';
    bytes_free(&lines);
    return count;
}

/** The trace gives its own steps again. */
static void check_replay(const char *path)
{
    char line[160];
    struct bytes recorded = lines_of(path, "{\"sequence\": ");
    snprintf(line, sizeof line, "\"$TRESOR_TOOL\" replay --steps %s >steps", path);
    if (tool_in_shell(line) != 0)
        fail_msg("%s", tool_result.errors.bytes);
    struct bytes replayed = read_file("steps");
    assert_int_equal(replayed.size, recorded.size);
    assert_memory_equal(replayed.data, recorded.data, recorded.size);
    bytes_free(&recorded);
    bytes_free(&replayed);
}

/** Record with these options, whatever comes of it, and replay without the models. */
static void check_options(const char *options, const char *model, int exit_code)
{
    char line[400];
    snprintf(line, sizeof line, "\"$TRESOR_TOOL\" load --json %s --trace trace %s", options, model);
    if (tool_in_shell(line) != exit_code)
        fail_msg("'%s' gave %d: %s", line, tool_result.exit_code, tool_result.errors.bytes);
    assert_int_equal(rename("models", "gone"), 0);
    check_replay("trace");
    assert_int_equal(rename("gone", "models"), 0);
}

static void make_models(void)
{
    assert_int_equal(mkdir("models", 0755), 0);
    assert_int_equal(tool("generate --size 4M --tensors 30 models/m.gguf"), 0);
    assert_int_equal(tool("generate --size 2M --tensors 30 --shards 3 models/m.gguf"), 0);
    assert_int_equal(tool("generate --size 4M --tensors 21 --experts 6 models/e.gguf"), 0);
#ifdef TEST_SAFETENSORS
    assert_int_equal(tool("generate --size 2M --tensors 30 --shards 3 models/m.safetensors"), 0);
#endif
}

static void remove_models(void)
{
    assert_int_equal(tool_in_shell("rm -r models"), 0);
}

static const char *const strategies[] = {"mmap", "read"};
static const char *const backends[] = {"sync", "pool", "uring"};

static void loads_take_their_steps_again(void **state)
{
    static const char *const models[] = {
        "models/m.gguf",
        "models/m-00001-of-00003.gguf",
#ifdef TEST_SAFETENSORS
        "models/m.safetensors.index.json",
#endif
    };
    (void)state;
    make_models();
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 3; k++) {
            char options[128];
            snprintf(options, sizeof options, "--strategy %s --backend %s", strategies[i],
                     backends[k]);
            for (size_t m = 0; m < sizeof models / sizeof models[0]; m++)
                check_options(options, models[m], 0);
            snprintf(options, sizeof options, "--strategy %s --backend %s --split --tensor 'blk.*'",
                     strategies[i], backends[k]);
            check_options(options, "models/e.gguf", 0);
        }
    }
    check_options("--strategy read --direct on --cold --trace-times", "models/m.gguf", 0);
    check_options("--strategy read --direct off", "models/m.gguf", 0);
    remove_models();
}

/** Whether the system lets it lock or not, and how much it says may be locked, is in the trace. */
static void locks_are_in_the_trace(void **state)
{
    char line[160];
    (void)state;
    make_models();
    snprintf(line, sizeof line,
             "ulimit -l 64; \"$TRESOR_TOOL\" load --lock --trace trace models/m.gguf; true");
    assert_int_equal(tool_in_shell(line), 0);
    check_replay("trace");
    snprintf(line, sizeof line, "\"$TRESOR_TOOL\" load --lock --trace trace models/m.gguf; true");
    assert_int_equal(tool_in_shell(line), 0);
    check_replay("trace");
    remove_models();
}

static void walks_take_their_steps_again(void **state)
{
    static const char *const policies[] = {"lru", "lfru", "priority", "plan"};
    (void)state;
    make_models();
    for (size_t i = 0; i < 4 * 3; i++) {
        char options[200];
        snprintf(options, sizeof options,
                 "--strategy %s --backend %s --budget 2M --policy %s --passes 2 --swap-at 60",
                 strategies[(i + i / 3) % 2], backends[i % 3], policies[i / 3]);
        check_options(options, "models/m.gguf", 0);
    }
    /* What another thread acquired is in it too, and where it did. */
    struct bytes elsewhere = lines_of("trace", "{\"call\": \"acquire\", \"elsewhere\": true");
    assert_true(elsewhere.size > 0);
    bytes_free(&elsewhere);
    check_options("--strategy read --split --budget 2M --policy plan", "models/e.gguf", 0);
    check_options("--budget 100K", "models/m.gguf", 1); /* nothing fits */
    remove_models();
}

static void failures_come_again(void **state)
{
    (void)state;
    make_models();
    check_options("", "models/none.gguf", 3);
    assert_int_equal(truncate("models/m.gguf", 2 << 20), 0);
    check_options("", "models/m.gguf", 3);
    assert_int_equal(truncate("models/m.gguf", 100), 0);
    check_options("--backend pool", "models/m.gguf", 3);
    assert_int_equal(unlink("models/m-00002-of-00003.gguf"), 0);
    check_options("--backend sync", "models/m-00001-of-00003.gguf", 3);
    /* No context: nothing was asked, and nothing is. A node 63 is nowhere. */
    assert_int_equal(tool("load --numa bind:0x8000000000000000 --trace trace models/e.gguf"), 2);
    assert_int_equal(tool("replay trace"), 0);
    assert_non_null(strstr(tool_result.output.bytes, "the same 0 steps of 0 calls"));
    remove_models();
}

/** A load that stops once its trace has filled a pipe that nobody reads. */
static pid_t start_load(const char *strategy, const char *backend)
{
    const pid_t process = fork();
    if (process != 0)
        return process;
    const int nowhere = open("/dev/null", O_WRONLY);
    if (dup2(nowhere, STDOUT_FILENO) >= 0 && dup2(nowhere, STDERR_FILENO) >= 0)
        execl(getenv("TRESOR_TOOL"), "tresor", "load", "--trace", "pipe", "--strategy", strategy,
              "--backend", backend, "m.gguf", (char *)NULL);
    _exit(127);
}

/** Copy lines until the text was in one; all of them where that is NULL. */
static void copy_until(FILE *from, FILE *to, const char *text)
{
    char *line = NULL;
    size_t capacity = 0;
    bool is_seen = false;
    while (!is_seen && getline(&line, &capacity, from) > 0) {
        fputs(line, to);
        is_seen = text && strstr(line, text);
    }
    free(line);
    assert_int_equal(is_seen, text != NULL);
}

/** Interrupted within its load, so that it cancels that, tidies up and ends its trace. */
static void cancelled_loads_take_their_steps_again(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 64M --tensors 3000 m.gguf"), 0);
    assert_int_equal(mkfifo("pipe", 0644), 0);
    for (size_t i = 0; i < 4; i++) {
        int status;
        const pid_t process = start_load(strategies[i % 2], backends[i / 2]);
        FILE *from = fopen("pipe", "rb");
        FILE *to = fopen("trace", "wb");
        assert_non_null(from);
        assert_non_null(to);
        copy_until(from, to, "\"event\": \"LOAD\"");
        assert_int_equal(kill(process, SIGINT), 0);
        copy_until(from, to, NULL);
        assert_int_equal(fclose(to), 0);
        fclose(from);
        assert_int_equal(waitpid(process, &status, 0), process);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(count_lines("trace", "{\"call\": \"cancel\""), 1);
        check_replay("trace");
    }
}

/** A model that becomes shorter within its load: what is missing is missing again. */
static void lost_bytes_come_again(void **state)
{
    (void)state;
    assert_int_equal(mkfifo("pipe", 0644), 0);
    for (size_t i = 0; i < 2; i++) {
        int status;
        assert_int_equal(tool("generate --size 64M --tensors 3000 m.gguf"), 0);
        const pid_t process = start_load(strategies[i], "sync");
        FILE *from = fopen("pipe", "rb");
        FILE *to = fopen("trace", "wb");
        assert_non_null(from);
        assert_non_null(to);
        copy_until(from, to, "\"event\": \"LOAD\"");
        assert_int_equal(truncate("m.gguf", 32 << 20), 0);
        copy_until(from, to, NULL);
        assert_int_equal(fclose(to), 0);
        fclose(from);
        assert_int_equal(waitpid(process, &status, 0), process);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
        assert_int_equal(unlink("m.gguf"), 0);
        check_replay("trace");
        struct bytes events = lines_of("trace", "{\"returned\": \"next_event\", \"code\": 1");
        assert_non_null(memmem(events.data, events.size, "TRUNCATED", 9));
        bytes_free(&events);
    }
}

static void make_trace(const char *options)
{
    char line[200];
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    snprintf(line, sizeof line, "load --backend sync %s --trace trace m.gguf", options);
    assert_int_equal(tool(line), 0);
    assert_int_equal(unlink("m.gguf"), 0);
}

/** Write a trace in which one text stands for another of its length. */
static void put_instead(const char *path, const char *text, const char *instead)
{
    struct bytes trace = read_file("trace");
    char *found = strstr((char *)trace.data, text);
    assert_non_null(found);
    memcpy(found, instead, strlen(text));
    write_file(path, &trace);
    bytes_free(&trace);
}

static void other_versions_are_errors(void **state)
{
    static const char *const changes[][2] = {{"\"version\": 1", "\"version\": 2"},
                                             {"\"library\": \"0", "\"library\": \"9"}};
    (void)state;
    make_trace("");
    for (size_t i = 0; i < 2; i++) {
        put_instead("other", changes[i][0], changes[i][1]);
        assert_int_equal(tool("replay other"), 3);
        assert_non_null(strstr(tool_result.errors.bytes, "another version"));
        assert_int_equal(tool_result.output.length, 0);
    }
}

static void cut_and_damaged_traces_are_errors(void **state)
{
    (void)state;
    make_trace("");
    struct bytes trace = read_file("trace");
    const size_t size = trace.size;
    trace.size = size - 1;
    write_file("cut", &trace);
    assert_int_equal(tool("replay cut"), 3);
    assert_non_null(strstr(tool_result.errors.bytes, "cut"));
    trace.size = 0;
    write_file("cut", &trace);
    assert_int_equal(tool("replay cut"), 3);
    trace.size = size;
    bytes_free(&trace);
    put_instead("damaged", "\"to\": \"LOADING\"", "\"to\": \"loading\"");
    assert_int_equal(tool("replay damaged"), 3);
    assert_non_null(strstr(tool_result.errors.bytes, "not what was written"));
    assert_int_equal(tool("replay nothing"), 3);
    assert_int_equal(tool("replay /dev/null"), 3);
    assert_int_equal(tool("replay ."), 3);
    assert_int_equal(tool("replay"), 2);
    assert_int_equal(tool("replay trace trace"), 2);
    assert_int_equal(tool("load --trace-times m.gguf"), 2);
}

/* --- for Chrome --- */

static json_t *export_trace(void)
{
    assert_int_equal(tool("replay --chrome out trace"), 0);
    json_t *json = json_load_file("out", JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static const char *text_in(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

/** What every event has, and that what is under way is begun before it ends. */
static void check_event(json_t *event, json_t *under_way, int64_t *last_us)
{
    const char *phase = text_in(event, "ph");
    assert_true(strlen(text_in(event, "name")) > 0);
    assert_true(integer_at(event, "pid") > 0);
    assert_true(integer_at(event, "tid") >= 0);
    const int64_t time_us = integer_at(event, "ts");
    assert_true(time_us >= 0);
    if (strcmp(phase, "X") == 0) {
        const int64_t end_us = time_us + integer_at(event, "dur");
        assert_true(end_us >= time_us && end_us >= *last_us);
        *last_us = end_us; /* they are written as they end */
    } else if (strcmp(phase, "b") == 0) {
        assert_null(json_object_get(under_way, text_in(event, "id")));
        json_object_set_new(under_way, text_in(event, "id"), json_string(text_in(event, "name")));
    } else if (strcmp(phase, "e") == 0) {
        json_t *begun = json_object_get(under_way, text_in(event, "id"));
        assert_string_equal(json_string_value(begun), text_in(event, "name"));
        json_object_del(under_way, text_in(event, "id"));
    } else {
        assert_string_equal(phase, "M");
    }
}

static size_t count_spans(json_t *events, const char *category, const char *name)
{
    size_t count = 0;
    size_t index;
    json_t *event;
    json_array_foreach(events, index, event) count +=
        strcmp(text_in(event, "ph"), "X") == 0 && strcmp(text_in(event, "cat"), category) == 0 &&
        strcmp(text_in(event, "name"), name) == 0;
    return count;
}

static void check_export(const char *clock)
{
    json_t *json = export_trace();
    json_t *events = json_object_get(json, "traceEvents");
    json_t *under_way = json_object();
    size_t effects = 0;
    size_t index;
    json_t *event;
    int64_t last_us = 0;
    json_array_foreach(events, index, event)
    {
        check_event(event, under_way, &last_us);
        effects += strcmp(text_in(event, "ph"), "b") == 0;
    }
    assert_int_equal(json_object_size(under_way), 0);
    assert_int_equal(effects, count_lines("trace", "{\"effect\": "));
    assert_int_equal(count_spans(events, "tensor", "LOADING"), 30);
    assert_int_equal(count_spans(events, "tensor", "RESIDENT"), 30);
    assert_true(count_spans(events, "block", "PROBING") + count_spans(events, "block", "READING") >
                0);
    assert_int_equal(count_spans(events, "source", "READY"), 1);
    assert_int_equal(count_spans(events, "call", "load"), 1);
    assert_true(count_spans(events, "request", "PENDING") >= 3);
    assert_string_equal(text_in(json_object_get(json, "otherData"), "clock"), clock);
    json_decref(under_way);
    json_decref(json);
}

static void traces_are_written_for_chrome(void **state)
{
    (void)state;
    make_trace("--strategy read");
    check_export("lines of the trace");
    make_trace("--strategy read --trace-times");
    check_export("microseconds");
    assert_int_equal(tool("replay --chrome /dev/full trace"), 3);
    assert_int_equal(tool("replay --chrome nowhere/out trace"), 3);
    assert_int_equal(tool("replay --chrome trace trace"), 3);
    assert_int_equal(tool("replay trace"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(loads_take_their_steps_again),
        IN_FOLDER(locks_are_in_the_trace),
        IN_FOLDER(walks_take_their_steps_again),
        IN_FOLDER(failures_come_again),
        IN_FOLDER(cancelled_loads_take_their_steps_again),
        IN_FOLDER(lost_bytes_come_again),
        IN_FOLDER(other_versions_are_errors),
        IN_FOLDER(cut_and_damaged_traces_are_errors),
        IN_FOLDER(traces_are_written_for_chrome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
