/* SPDX-License-Identifier: MIT */
/* `tresor load --budget`: walks over a model that does not fit, pass by pass. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEBIBYTE ((int64_t)1 << 20)
#define TENSORS 75
#define BUDGET (32 * MEBIBYTE)
#define PASSES 4
#define MODEL "generate --size 64M --tensors 75 m.gguf"
/* What the process needs besides tensors grows a little while it works; and readahead maps ahead.
 */
#define PEAK_SLACK (16 * MEBIBYTE)

static const char *const strategies[] = {"mmap", "read"};
static const char *const policies[] = {"lru", "lfru", "priority", "plan"};

static json_t *passes_of(json_t *report)
{
    json_t *passes = json_object_get(report, "passes");
    assert_true(json_is_array(passes));
    return passes;
}

static int64_t at(json_t *report, size_t pass, const char *key)
{
    return integer_at(json_array_get(passes_of(report), pass), key);
}

static const char *text_at(json_t *report, const char *key)
{
    const char *text = json_string_value(json_object_get(report, key));
    assert_non_null(text);
    return text;
}

static void check_walk_keys(json_t *report)
{
    static const char *const keys[] = {"policy",     "budget_bytes", "window_bytes", "swap",
                                       "used_bytes", "sum",          "passes"};
    static const char *const pass_keys[] = {"seconds", "hits",       "misses",
                                            "late",    "bytes_read", "peak_bytes"};
    size_t index;
    json_t *pass;
    json_array_foreach(passes_of(report), index, pass)
    {
        assert_int_equal(json_object_size(pass), 6);
        for (size_t i = 0; i < 6; i++)
            assert_non_null(json_object_get(pass, pass_keys[i]));
        assert_true(json_is_real(json_object_get(pass, "seconds")));
    }
    assert_true(json_is_null(json_object_get(report, "dispatch")));
    json_t *rest = json_deep_copy(report);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_non_null(json_object_get(rest, keys[i]));
        json_object_del(rest, keys[i]);
    }
    assert_int_equal(json_object_size(rest), 14);
    json_decref(rest);
}

/** Every use is one of three. */
static void check_counts(json_t *report, size_t passes, int64_t tensors)
{
    assert_int_equal(json_array_size(passes_of(report)), passes);
    for (size_t i = 0; i < passes; i++)
        assert_int_equal(at(report, i, "hits") + at(report, i, "misses") + at(report, i, "late"),
                         tensors);
    assert_int_equal(tensors_at(report, "requested"), tensors);
    assert_int_equal(tensors_at(report, "loaded"), tensors);
    assert_int_equal(tensors_at(report, "failed"), 0);
    assert_int_equal(integer_at(report, "used_bytes"),
                     integer_at(report, "bytes") * (int64_t)passes);
    assert_int_equal(error_count(report), 0);
}

/** What the process needs where hardly a tensor is in memory. */
static int64_t measure_base(const char *strategy)
{
    char line[128];
    snprintf(line, sizeof line, "load --json --passes 1 --tensor output_norm* --strategy %s m.gguf",
             strategy);
    json_t *report = tool_json(line, 0);
    const int64_t base_bytes = at(report, 0, "peak_bytes");
    json_decref(report);
    assert_true(base_bytes > 0);
    return base_bytes;
}

static void check_memory(json_t *report, size_t passes, int64_t base_bytes)
{
    for (size_t i = 0; i < passes; i++) {
        assert_true(at(report, i, "peak_bytes") <= BUDGET + base_bytes + PEAK_SLACK);
        assert_true(at(report, i, "peak_bytes") >= BUDGET / 2);
    }
}

static json_t *walk(const char *strategy, const char *policy)
{
    char line[128];
    snprintf(line, sizeof line,
             "load --json --budget 32M --passes 4 --strategy %s --policy %s m.gguf", strategy,
             policy);
    json_t *report = tool_json(line, 0);
    assert_int_equal(tool_result.errors.length, 0);
    assert_string_equal(text_at(report, "policy"), policy);
    assert_string_equal(text_at(report, "strategy"), strategy);
    assert_int_equal(integer_at(report, "budget_bytes"), BUDGET);
    return report;
}

static void every_policy_walks_the_same_bytes(void **state)
{
    char sum[32] = "";
    (void)state;
    assert_int_equal(tool(MODEL), 0);
    for (size_t i = 0; i < 2; i++) {
        const int64_t base_bytes = measure_base(strategies[i]);
        for (size_t j = 0; j < 4; j++) {
            json_t *report = walk(strategies[i], policies[j]);
            check_walk_keys(report);
            check_counts(report, PASSES, TENSORS);
            check_memory(report, PASSES, base_bytes);
            assert_int_equal(strlen(text_at(report, "sum")), 16);
            if (!*sum)
                strcpy(sum, text_at(report, "sum"));
            assert_string_equal(text_at(report, "sum"), sum);
            json_decref(report);
        }
    }
    assert_int_equal(tool("generate --size 64M --tensors 75 --seed 2 m.gguf"), 0);
    json_t *report = walk("read", "lru");
    assert_string_not_equal(text_at(report, "sum"), sum);
    json_decref(report);
}

/** On a cycle the oldest is the one that is needed next: lru reads all, again and again. */
static void policies_read_what_they_must(void **state)
{
    (void)state;
    assert_int_equal(tool(MODEL), 0);
    json_t *lru = walk("read", "lru");
    json_t *priority = walk("read", "priority");
    json_t *plan = walk("read", "plan");
    const int64_t size_bytes = integer_at(lru, "bytes");
    const int64_t window_bytes = integer_at(plan, "window_bytes");
    const int64_t tensor_bytes = size_bytes / 8; /* the largest has less */
    assert_int_equal(window_bytes, BUDGET / 20);
    assert_true(json_is_null(json_object_get(lru, "window_bytes")));
    for (size_t i = 1; i < PASSES; i++) {
        assert_int_equal(at(lru, i, "misses"), TENSORS);
        assert_true(at(lru, i, "bytes_read") >= size_bytes);
        assert_true(at(priority, i, "hits") > 0);
        assert_true(at(priority, i, "bytes_read") <= size_bytes - BUDGET / 2);
        assert_true(at(plan, i, "hits") >= TENSORS / 5);
        assert_true((double)at(plan, i, "bytes_read") <=
                    (double)(size_bytes - BUDGET + window_bytes + tensor_bytes) * 1.1);
    }
    json_decref(lru);
    json_decref(priority);
    json_decref(plan);
}

static void what_fits_is_read_once(void **state)
{
    static const char *const lines[] = {
        "load --json --passes 3 --strategy read m.gguf",
        "load --json --passes 3 --budget 1G --strategy read m.gguf",
        "load --json --passes 3 --policy plan --strategy read m.gguf",
        "load --json --passes 3 --policy plan --window 1M --backend sync --strategy read m.gguf",
    };
    (void)state;
    assert_int_equal(tool("generate --size 8M --tensors 75 m.gguf"), 0);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        json_t *report = tool_json(lines[i], 0);
        check_walk_keys(report);
        check_counts(report, 3, TENSORS);
        assert_true(at(report, 0, "bytes_read") >= integer_at(report, "bytes"));
        for (size_t pass = 1; pass < 3; pass++) {
            assert_int_equal(at(report, pass, "hits"), TENSORS);
            assert_int_equal(at(report, pass, "bytes_read"), 0);
        }
        json_decref(report);
    }
    json_t *report = tool_json("load --json --policy plan --window 3M m.gguf", 0);
    assert_int_equal(json_array_size(passes_of(report)), 1);
    assert_int_equal(integer_at(report, "window_bytes"), 3 * MEBIBYTE);
    assert_true(json_is_null(json_object_get(report, "budget_bytes")));
    json_decref(report);
}

static void slices_are_walked_one_by_one(void **state)
{
    char line[128];
    char sum[32];
    (void)state;
    assert_int_equal(tool("generate --size 16M --tensors 21 --experts 6 m.gguf"), 0);
    json_t *whole = tool_json("load --json --passes 2 m.gguf", 0);
    strcpy(sum, text_at(whole, "sum"));
    json_decref(whole);
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 4; j++) {
            snprintf(line, sizeof line,
                     "load --json --split --passes 3 --budget 8M --strategy %s --policy %s m.gguf",
                     strategies[i], policies[j]);
            json_t *report = tool_json(line, 0);
            check_counts(report, 3, 21 - 6 + 6 * 6);
            assert_string_equal(text_at(report, "sum"), sum);
            json_decref(report);
        }
    }
}

static void text_has_a_line_for_each_pass(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool("load --passes 2 --budget 600K --policy plan --window 64K m.gguf"), 0);
    const char *text = tool_result.output.bytes;
    assert_non_null(strstr(text, "m.gguf: 30 of 30 tensors loaded, 10"));
    assert_non_null(strstr(text, "\npolicy plan, budget 600.0 KiB, window 64.0 KiB\n  pass "));
    const char *first = strstr(text, "\n     1 ");
    assert_non_null(first);
    const char *second = strstr(first, "\n     2 ");
    assert_non_null(second);
    const char *all = strstr(second, "\n   all ");
    assert_non_null(all);
    assert_int_equal(strcspn(first + 1, "\n"), strcspn(second + 1, "\n"));
    assert_int_equal(strcspn(all + 1, "\n"), strcspn(second + 1, "\n"));
}

/* --- the order --- */

/** One tensor of some elements of four bytes, at the next place in the file. */
static void put_tensor(struct bytes *bytes, const char *name, uint64_t elements, uint64_t *offset)
{
    gguf_put_tensor(bytes, name, 1, &elements, 0, *offset);
    *offset += (elements * 4 + 31) / 32 * 32;
}

/** The tensors in the order in which their loads began; returns how many. */
static size_t read_order(uint32_t *order, size_t count_max)
{
    size_t found = 0;
    struct bytes trace = read_file("trace");
    trace.data[trace.size] = '\0';
    char *rest = NULL;
    for (char *text = strtok_r((char *)trace.data, "\n", &rest); text;
         text = strtok_r(NULL, "\n", &rest)) {
        json_t *step = json_loads(text, 0, NULL);
        if (json_object_get(step, "sequence") &&
            strcmp(text_at(step, "machine"), "tensor") == 0 &&
            strcmp(text_at(step, "to"), "LOADING") == 0 &&
            strcmp(text_at(step, "from"), "LOADING") != 0) {
            assert_true(found < count_max);
            order[found++] = (uint32_t)integer_at(step, "slot");
        }
        json_decref(step);
    }
    bytes_free(&trace);
    return found;
}

static void check_order(const char *line, const uint32_t *order, size_t count, uint64_t sum)
{
    uint32_t loaded[16];
    char text[32];
    json_t *report = tool_json(line, 0);
    assert_int_equal(read_order(loaded, 16), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(loaded[i], order[i]);
    snprintf(text, sizeof text, "%016" PRIx64, sum);
    assert_string_equal(text_at(report, "sum"), text);
    json_decref(report);
}

static void layers_come_in_their_order(void **state)
{
    /* Files often have the output first, and layers in the order of the alphabet. */
    static const char *const names[] = {
        "output.weight", "rope_freqs.weight",      "blk.10.attn.weight", "blk.2.attn.weight",
        "empty.weight",  "blk.2.experts.0.weight", "token_embd.weight",  "blk.10.ffn.weight",
    };
    static const uint32_t order[] = {1, 6, 3, 5, 2, 7, 0, 4};
    const size_t count = sizeof names / sizeof names[0];
    struct bytes bytes = {0};
    uint64_t offset = 0;
    uint64_t sum = 0;
    (void)state;
    gguf_put_header(&bytes, 3, count, 0);
    for (size_t i = 0; i < count; i++)
        put_tensor(&bytes, names[i], strcmp(names[i], "empty.weight") == 0 ? 0 : 4098, &offset);
    bytes_pad(&bytes, 32);
    for (uint64_t i = 0; i < offset / 8; i++) {
        /* A tensor is 2,049 words; what is between them belongs to none. */
        const uint64_t word = i * UINT64_C(0x9e3779b97f4a7c15);
        sum += i % 2052 < 2049 ? word : 0;
        bytes_put_u64(&bytes, word);
    }
    write_file("m.gguf", &bytes);
    bytes_free(&bytes);
    check_order("load --json --backend sync --passes 2 --trace trace m.gguf", order, count, sum);
    check_order("load --json --backend sync --policy plan --window 1 --trace trace m.gguf", order,
                count, sum);
}

/** The first tensor is loaded once, and stays for all passes; others come and go. */
static void earlier_layers_stay_by_priority(void **state)
{
    enum {
        LOADS_MAX = 3 * 30
    };
    uint32_t loaded[LOADS_MAX];
    size_t first = 0;
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool("load --backend sync --budget 600K --policy priority --passes 3 "
                          "--trace trace m.gguf"),
                     0);
    const size_t count = read_order(loaded, LOADS_MAX);
    for (size_t i = 0; i < count; i++)
        first += loaded[i] == 0;
    assert_int_equal(first, 1);
    assert_true(count > 30);
}

static void check_swap(const char *strategy, const char *policy, int percent, const char *sum)
{
    char line[160];
    const bool to_read = strcmp(strategy, "mmap") == 0;
    snprintf(line, sizeof line,
             "load --json --budget 8M --passes 3 --strategy %s --policy %s --swap-at %d m.gguf",
             strategy, policy, percent);
    json_t *report = tool_json(line, 0);
    check_walk_keys(report);
    check_counts(report, 3, TENSORS);
    assert_string_equal(text_at(report, "sum"), sum);
    json_t *swap = json_object_get(report, "swap");
    assert_int_equal(json_object_size(swap), 5);
    assert_int_equal(integer_at(swap, "at_percent"), percent);
    assert_string_equal(text_at(swap, "strategy"), to_read ? "read" : "mmap");
    assert_string_equal(text_at(swap, "code"), "OK");
    assert_true(json_is_real(json_object_get(swap, "seconds")));
    /* All that was in memory, but for what leaves so that pages have room on their way. At the start
     * that is nothing: a plan has not begun. */
    if (percent == 0)
        assert_int_equal(integer_at(swap, "bytes"), 0);
    else
        assert_in_range(integer_at(swap, "bytes"), 2 * MEBIBYTE, 8 * MEBIBYTE);
    /* The last pass is wholly after a swap at the half. */
    if (to_read && percent < 60)
        assert_true(at(report, 2, "bytes_read") > 0);
    json_decref(report);
}

static void walks_swap_midway(void **state)
{
    static const int percents[] = {0, 50, 67, 100};
    char sum[32];
    (void)state;
    assert_int_equal(tool("generate --size 16M --tensors 75 m.gguf"), 0);
    json_t *report = tool_json("load --json --passes 1 m.gguf", 0);
    assert_true(json_is_null(json_object_get(report, "swap")));
    strcpy(sum, text_at(report, "sum"));
    json_decref(report);
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 4; j++) {
            check_swap(strategies[i], "lru", percents[j], sum);
            check_swap(strategies[i], "plan", percents[j], sum);
        }
    }
    assert_int_equal(tool("load --passes 2 --swap-at 50 m.gguf"), 0);
    assert_non_null(strstr(tool_result.output.bytes, "\nswap to read at 50%: 16.0 MiB, "));
}

/* --- what is refused, fails, or is stopped --- */

static void wrong_usage_is_refused(void **state)
{
    static const char *const wrong[][2] = {
        {"--budget 0", "--budget: 0 is not from 1"},
        {"--budget 1X", "--budget: '1X' is not a size"},
        {"--budget -1", "--budget: '-1' is not a size"},
        {"--budget 1G --passes 0", "--passes: '0' is not a whole number from 1"},
        {"--budget 1G --passes 1.5", "--passes: '1.5' is not"},
        {"--budget 1G --policy mru", "--policy: 'mru' is not lru, lfru, priority or plan"},
        {"--budget 1G --policy plan --window 0", "--window: 0 is not from 1"},
        {"--budget 1G --window 1M", "--window needs --policy plan"},
        {"--window 1M", "--window needs --policy plan"},
        {"--budget 1G --policy lru --window 1M", "--window needs --policy plan"},
        {"--policy lru", "--policy lru needs --budget"},
        {"--policy priority --passes 2", "--policy priority needs --budget"},
        {"--budget 1G --lock", "--lock does not go with"},
        {"--passes 2 --lock", "--lock does not go with"},
        {"--swap-at 50 --lock", "--lock does not go with"},
        {"--swap-at 101", "--swap-at: '101' is not a whole number from 0 to 100"},
        {"--swap-at 5%", "--swap-at: '5%' is not a whole number"},
    };
    char line[128];
    (void)state;
    assert_int_equal(tool("generate --size 64K m.gguf"), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(line, sizeof line, "load %s m.gguf", wrong[i][0]);
        assert_int_equal(tool(line), 2);
        assert_int_equal(tool_result.output.length, 0);
        if (!strstr(tool_result.errors.bytes, wrong[i][1]))
            fail_msg("%s: %s", line, tool_result.errors.bytes);
    }
}

/** The first that does not fit ends the walk of who does not know what comes; a plan does not
 * begin. */
static void too_big_tensors_are_named(void **state)
{
    char line[128];
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 4; j++) {
            const bool has_plan = j == 3;
            snprintf(line, sizeof line, "load --json --budget 70K --strategy %s --policy %s m.gguf",
                     strategies[i], policies[j]);
            json_t *report = tool_json(line, 1);
            assert_int_equal(tensors_at(report, "loaded"), 0);
            assert_int_equal(tensors_at(report, "failed"), 1);
            assert_int_equal(json_array_size(passes_of(report)), has_plan ? 0 : 1);
            assert_int_equal(error_count(report), 1);
            assert_string_equal(error_name(report, 0), "TOO_BIG");
            json_t *error = json_array_get(json_object_get(report, "errors"), 0);
            const char *name = has_plan ? "output.weight" : "token_embd.weight";
            assert_string_equal(text_at(error, "tensor"), name);
            assert_non_null(strstr(tool_result.errors.bytes, name));
            json_decref(report);
        }
    }
}

static pid_t start_endless_walk(const char *strategy, const char *policy)
{
    unlink("trace");
    assert_int_equal(mkfifo("trace", 0644), 0);
    const pid_t process = fork();
    if (process != 0)
        return process;
    const int report = open("report", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int errors = open("errors", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (dup2(report, STDOUT_FILENO) >= 0 && dup2(errors, STDERR_FILENO) >= 0)
        execl(getenv("TRESOR_TOOL"), "tresor", "load", "--json", "--trace", "trace", "--strategy",
              strategy, "--budget", "2M", "--passes", "1000000", "--policy", policy, "m.gguf",
              (char *)NULL);
    _exit(127);
}

/** Once so much of it has come that the walk is in a later pass. */
static int open_trace(void)
{
    char scratch[65536];
    const int trace = open("trace", O_RDONLY);
    assert_true(trace >= 0);
    for (size_t bytes = 0; bytes < (size_t)2 * MEBIBYTE;) {
        const ssize_t got = read(trace, scratch, sizeof scratch);
        assert_true(got > 0);
        bytes += (size_t)got;
    }
    return trace;
}

static void drain(int trace)
{
    char scratch[65536];
    while (read(trace, scratch, sizeof scratch) > 0)
        continue;
    close(trace);
}

static void bad_models_are_not_walked(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 4M --tensors 30 m.gguf"), 0);
    assert_int_equal(truncate("m.gguf", 2 * MEBIBYTE), 0);
    json_t *report = tool_json("load --json --budget 2M --policy plan m.gguf", 3);
    assert_int_equal(json_array_size(passes_of(report)), 0);
    json_decref(report);
    assert_int_equal(tool("load --budget 2M nothing.gguf"), 3);
}

/** A file that becomes shorter while it is walked: what is read anew is not there. */
static void lost_bytes_end_the_walk(void **state)
{
    static const char *const ways[] = {"lru", "plan"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int status = 0;
        assert_int_equal(tool("generate --size 4M --tensors 30 m.gguf"), 0);
        const pid_t process = start_endless_walk("read", ways[i]);
        const int trace = open_trace();
        assert_int_equal(truncate("m.gguf", MEBIBYTE), 0);
        drain(trace);
        assert_int_equal(waitpid(process, &status, 0), process);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 1);
        json_t *report = json_load_file("report", 0, NULL);
        assert_int_equal(tensors_at(report, "loaded"), 30);
        assert_int_equal(tensors_at(report, "failed"), 1);
        assert_true(error_count(report) >= 1);
        assert_string_equal(error_name(report, 0), "TRUNCATED");
        json_decref(report);
    }
}

/** A walk that nobody would see the end of, once its trace says that it is under way. */
static void interrupt_walk(const char *strategy, const char *policy)
{
    int status = 0;
    const pid_t process = start_endless_walk(strategy, policy);
    const int trace = open_trace();
    assert_int_equal(kill(process, SIGINT), 0);
    drain(trace);
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGINT);
    json_t *report = json_load_file("report", 0, NULL);
    check_walk_keys(report);
    assert_true(json_array_size(passes_of(report)) >= 2);
    assert_int_equal(tensors_at(report, "loaded"), 30);
    assert_int_equal(tensors_at(report, "failed"), 0);
    assert_int_equal(error_count(report), 1);
    assert_string_equal(error_name(report, 0), "CANCELLED");
    json_decref(report);
}

static void interrupted_walks_report_and_end_by_the_signal(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 4M --tensors 30 m.gguf"), 0);
    for (size_t i = 0; i < 2; i++) {
        interrupt_walk(strategies[i], "lru");
        interrupt_walk(strategies[i], "plan");
    }
}

static void pause_shortly(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    nanosleep(&pause, NULL);
}

/** Change a byte to and fro until the walk over the mapped file has ended. */
static int change_until_over(pid_t process, volatile uint8_t *byte)
{
    int status = 0;
    while (waitpid(process, &status, WNOHANG) == 0) {
        *byte ^= 1;
        pause_shortly();
    }
    return status;
}

static void check_changed_byte(const char *plan)
{
    const int descriptor = open("m.gguf", O_RDWR);
    struct stat there;
    assert_int_equal(fstat(descriptor, &there), 0);
    uint8_t *view =
        mmap(NULL, (size_t)there.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    assert_ptr_not_equal(view, MAP_FAILED);
    volatile uint8_t *byte = &view[there.st_size - 1];
    /* The first write of a page is seen in the file's time of change; later ones are not. */
    *byte ^= 1;
    const pid_t process = fork();
    if (process == 0) {
        const int errors = open("errors", O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (dup2(errors, STDERR_FILENO) >= 0 && dup2(errors, STDOUT_FILENO) >= 0)
            execl(getenv("TRESOR_TOOL"), "tresor", "load", "--passes", "1000000", "m.gguf", plan,
                  plan ? "plan" : NULL, (char *)NULL);
        _exit(127);
    }
    const int status = change_until_over(process, byte);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    struct bytes errors = read_file("errors");
    errors.data[errors.size] = '\0';
    assert_non_null(strstr((const char *)errors.data, "are not what they were"));
    assert_non_null(strstr((const char *)errors.data, "output.weight: CHANGED"));
    bytes_free(&errors);
    munmap(view, (size_t)there.st_size);
    close(descriptor);
}

static void bytes_that_change_between_passes_are_a_failure(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    check_changed_byte(NULL);
    check_changed_byte("--policy");
}

/* --- where the kernel keeps no peak that could begin anew --- */

/** From here on a write of one byte, as that which resets the peak, gets EPERM. */
static bool refuse_resets(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void peaks_are_sampled_where_they_cannot_be_reset(void **state)
{
    int status = 0;
    (void)state;
    assert_int_equal(tool(MODEL), 0);
    const int64_t base_bytes = measure_base("read");
    const pid_t process = fork();
    if (process == 0) {
        const int output = open("output", O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (dup2(output, STDOUT_FILENO) >= 0 && refuse_resets())
            execl(getenv("TRESOR_TOOL"), "tresor", "load", "--json", "--budget", "32M", "--passes",
                  "2", "--strategy", "read", "m.gguf", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(process, &status, 0), process);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    json_t *report = json_load_file("output", 0, NULL);
    check_memory(report, 2, base_bytes);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_policy_walks_the_same_bytes),
        IN_FOLDER(policies_read_what_they_must),
        IN_FOLDER(what_fits_is_read_once),
        IN_FOLDER(slices_are_walked_one_by_one),
        IN_FOLDER(text_has_a_line_for_each_pass),
        IN_FOLDER(layers_come_in_their_order),
        IN_FOLDER(earlier_layers_stay_by_priority),
        IN_FOLDER(walks_swap_midway),
        IN_FOLDER(wrong_usage_is_refused),
        IN_FOLDER(too_big_tensors_are_named),
        IN_FOLDER(bad_models_are_not_walked),
        IN_FOLDER(lost_bytes_end_the_walk),
        IN_FOLDER(interrupted_walks_report_and_end_by_the_signal),
        IN_FOLDER(bytes_that_change_between_passes_are_a_failure),
        IN_FOLDER(peaks_are_sampled_where_they_cannot_be_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
