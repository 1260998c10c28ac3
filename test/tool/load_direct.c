/* SPDX-License-Identifier: MIT */
/* `tresor load --direct` and `tresor hash --direct`: past the page cache, through it, and where the
 * first is refused. */
#include "report.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool is_direct(json_t *report)
{
    return json_is_true(json_object_get(report, "direct"));
}

static size_t degraded_count(json_t *report)
{
    return json_array_size(json_object_get(report, "degraded"));
}

static void check(const char *when, const char *backend, bool wanted)
{
    char line[128];
    snprintf(line, sizeof line,
             "load --json --cold --strategy read --direct %s --backend %s m.gguf", when, backend);
    json_t *report = tool_json(line, 0);
    check_keys(report);
    assert_int_equal(tensors_at(report, "loaded"), 30);
    assert_int_equal(is_direct(report), wanted);
    assert_int_equal(degraded_count(report), 0);
    json_decref(report);
}

static void reads_go_past_the_page_cache_as_told(void **state)
{
    (void)state;
    static const char *const backends[] = {"sync", "pool", "auto"};
    assert_int_equal(tool("generate --size 4M --tensors 30 m.gguf"), 0);
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
        check("on", backends[i], true);
        check("off", backends[i], false);
        check("auto", backends[i], true);
    }
    assert_int_equal(tool("load --strategy read --backend sync --direct on m.gguf"), 0);
    assert_non_null(strstr(tool_result.output.bytes, "backend sync, direct: "));
    assert_int_equal(tool("load --strategy read --direct off m.gguf"), 0);
    assert_null(strstr(tool_result.output.bytes, "direct"));
}

static void direct_bytes_are_the_same(void **state)
{
    (void)state;
    static const char *const whens[] = {"on", "off", "auto"};
    char sums[SPAWN_TEXT_BYTES];
    assert_int_equal(tool("generate --size 4M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool("hash m.gguf"), 0);
    strcpy(sums, tool_result.output.bytes);
    for (size_t i = 0; i < sizeof whens / sizeof whens[0]; i++) {
        char line[128];
        snprintf(line, sizeof line, "hash --strategy read --direct %s m.gguf", whens[i]);
        assert_int_equal(tool(line), 0);
        assert_string_equal(tool_result.output.bytes, sums);
        assert_int_equal(tool_result.errors.length, 0);
    }
}

static void mapping_is_never_direct(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M m.gguf"), 0);
    json_t *report = tool_json("load --json --direct on m.gguf", 0);
    assert_false(is_direct(report));
    assert_non_null(strstr(tool_result.errors.bytes, "--direct does nothing without"));
    json_decref(report);
}

static void unknown_ways_are_refused(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 64K m.gguf"), 0);
    assert_int_equal(tool("load --direct maybe m.gguf"), 2);
    assert_non_null(strstr(tool_result.errors.bytes, "--direct: 'maybe' is not auto, on or off"));
    assert_int_equal(tool("load m.gguf --direct"), 2);
    assert_int_equal(tool("hash --direct maybe m.gguf"), 2);
    assert_non_null(strstr(tool_result.errors.bytes, "--direct: 'maybe' is not auto, on or off"));
}

/* Of the file systems that know no direct reads, the one that can be had anywhere, gone with its
 * shell. */
#define ON_RAMFS(command)                                                                          \
    "unshare -m sh -c 'mkdir ram && mount -t ramfs ramfs ram && cp m.gguf ram && " command "'"

static bool has_ramfs(void)
{
    void *state = NULL;
    const bool has = enter_folder(&state) == 0 && tool("generate --size 64K m.gguf") == 0 &&
                     tool_in_shell(ON_RAMFS("true")) == 0;
    rmdir("ram");
    leave_folder(&state);
    return has;
}

static void refused_direct_reads_are_told(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool_in_shell(ON_RAMFS(
                         "\"$TRESOR_TOOL\" load --json --strategy read --direct on ram/m.gguf")),
                     0);
    json_t *report = json_loads(tool_result.output.bytes, 0, NULL);
    check_keys(report);
    assert_int_equal(tensors_at(report, "loaded"), 30);
    assert_false(is_direct(report));
    assert_int_equal(degraded_count(report), 1);
    json_t *entry = json_array_get(json_object_get(report, "degraded"), 0);
    assert_int_equal(json_object_size(entry), 3);
    assert_string_equal(json_string_value(json_object_get(entry, "file")), "ram/m.gguf");
    assert_string_equal(json_string_value(json_object_get(entry, "what")), "direct");
    assert_string_equal(json_string_value(json_object_get(entry, "why")), "Invalid argument");
    json_decref(report);
    rmdir("ram");
    assert_int_equal(
        tool_in_shell(ON_RAMFS("\"$TRESOR_TOOL\" load --strategy read --direct on ram/m.gguf")), 0);
    assert_non_null(
        strstr(tool_result.output.bytes, "degraded: direct of 'ram/m.gguf': Invalid argument"));
    rmdir("ram");
    assert_int_equal(
        tool_in_shell(ON_RAMFS("\"$TRESOR_TOOL\" hash --strategy read --direct on ram/m.gguf")), 0);
    assert_non_null(
        strstr(tool_result.errors.bytes, "degraded: direct of 'ram/m.gguf': Invalid argument"));
}

static void what_was_not_asked_for_is_not_told(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    assert_int_equal(tool_in_shell(ON_RAMFS(
                         "\"$TRESOR_TOOL\" load --json --strategy read --direct off ram/m.gguf")),
                     0);
    json_t *report = json_loads(tool_result.output.bytes, 0, NULL);
    assert_int_equal(degraded_count(report), 0);
    json_decref(report);
}

static bool folder_has_direct_reads(void)
{
    void *state = NULL;
    if (enter_folder(&state) != 0)
        return false;
    const int descriptor = open("file", O_RDWR | O_CREAT | O_DIRECT, 0644);
    if (descriptor >= 0)
        close(descriptor);
    leave_folder(&state);
    return descriptor >= 0;
}

#define TESTS_ANYWHERE                                                                             \
    IN_FOLDER(reads_go_past_the_page_cache_as_told), IN_FOLDER(direct_bytes_are_the_same),         \
        IN_FOLDER(mapping_is_never_direct), IN_FOLDER(unknown_ways_are_refused)

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS_ANYWHERE};
    const struct CMUnitTest tests_with_mounts[] = {
        TESTS_ANYWHERE,
        IN_FOLDER(refused_direct_reads_are_told),
        IN_FOLDER(what_was_not_asked_for_is_not_told),
    };
    if (!folder_has_direct_reads())
        return skip_program("the temporary folder knows no direct reads");
    if (has_ramfs())
        return cmocka_run_group_tests(tests_with_mounts, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
