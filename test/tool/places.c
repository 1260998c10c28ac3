/* SPDX-License-Identifier: MIT */
/* Models that are not the whole of FILE: in a descriptor, at a place of a file, described by a layout, or any bytes. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

/** m.gguf; the same from byte 8192 on of page.apk and from 100 on of askew.apk, with other bytes behind it. */
static void make_files(void)
{
    assert_int_equal(tool("generate --size 4M --tensors 10 m.gguf"), 0);
    assert_int_equal(tool_in_shell("{ head -c 8192 /dev/zero; cat m.gguf; head -c 777 /dev/urandom; } >page.apk &&"
                                   "{ head -c 100 /dev/zero; cat m.gguf; head -c 777 /dev/urandom; } >askew.apk &&"
                                   "stat -c %s m.gguf >length"),
                     0);
}

/** Run the tool in the shell with a redirection; $L is the model's length. */
static int placed(const char *line)
{
    char whole[512];
    snprintf(whole, sizeof whole, "L=$(cat length); \"$TRESOR_TOOL\" %s", line);
    return tool_in_shell(whole);
}

static void loads(void **state)
{
    static const char *const rows[] = {
        "load --offset 8192 --length $L page.apk",
        "load --offset 8K page.apk", /* what is behind is no tensor's */
        "load --strategy read --offset 8192 --length $L page.apk",
        "load --strategy mmap --offset 8192 --length $L page.apk",
        "load --offset 100 askew.apk",
        "load --budget 2M --passes 2 --offset 100 askew.apk",
        "load --descriptor 0 <m.gguf",
        "load --descriptor 5 --offset 8192 --length $L 5<page.apk",
        "load --descriptor 5 --offset 100 --length $L --backend sync 5<askew.apk",
        "load --blob m.gguf",
        "load --blob --descriptor 3 --offset 1 --length 5 3<m.gguf",
    };
    (void)state;
    make_files();
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(placed(rows[i]), 0);
}

static void strategy_is_told(void **state)
{
    (void)state;
    make_files();
    json_t *report = tool_json("load --json --offset 100 askew.apk", 0);
    assert_string_equal(json_string_value(json_object_get(report, "strategy")), "read");
    json_decref(report);
    report = tool_json("load --json --offset 8192 page.apk", 0);
    assert_string_equal(json_string_value(json_object_get(report, "strategy")), "mmap");
    json_decref(report);
}

static void refused(void **state)
{
    static const struct {
        const char *line;
        int code;
        const char *text;
    } rows[] = {
        {"load --strategy mmap --offset 100 askew.apk", 2, "cannot be mapped"},
        {"load --descriptor 3 m.gguf 3<m.gguf", 2, "both given"},
        {"load --descriptor", 2, "argument"},
        {"load --descriptor x", 2, "--descriptor"},
        {"load --offset -1 m.gguf", 2, "--offset"},
        {"load --length 0 m.gguf", 2, "--length"},
        {"load --cold --descriptor 3 3<m.gguf", 2, "--cold"},
        {"load --offset 8192 --length 99999999 page.apk", 3, "TRUNCATED"},
        {"load --offset 99999999 page.apk", 3, "TRUNCATED"},
        {"load --offset 1 page.apk", 3, "FORMAT"},
        {"load --descriptor 99", 3, "INVALID"},
        {"load --descriptor 3 3<.", 3, "NOT_REGULAR"},
        {"inspect --descriptor 3 3>>m.gguf", 3, "PERMISSION"},
    };
    (void)state;
    make_files();
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const int code = placed(rows[i].line);
        if (code != rows[i].code || !strstr(tool_result.errors.bytes, rows[i].text))
            print_message("# %s: %d, %s\n", rows[i].line, code, tool_result.errors.bytes);
        assert_int_equal(code, rows[i].code);
        assert_non_null(strstr(tool_result.errors.bytes, rows[i].text));
    }
    assert_int_equal(tool_in_shell("cat m.gguf | \"$TRESOR_TOOL\" load --descriptor 0"), 3);
    assert_non_null(strstr(tool_result.errors.bytes, "NOT_REGULAR"));
}

static void inspects(void **state)
{
    (void)state;
    make_files();
    assert_int_equal(placed("inspect m.gguf | tail -n +5 >1 && \"$TRESOR_TOOL\" inspect --offset 100 --length $L "
                            "askew.apk | tail -n +5 >2 && cmp 1 2"),
                     0);
    json_t *report = tool_json("inspect --json --blob m.gguf", 0);
    assert_string_equal(json_string_value(json_object_get(report, "format")), "blob");
    json_decref(report);
}

#ifdef TEST_HASH
static void hashes(void **state)
{
    (void)state;
    make_files();
    assert_int_equal(placed("hash m.gguf >1 && \"$TRESOR_TOOL\" hash --offset 8192 --length $L page.apk >2 && cmp 1 2"), 0);
    assert_int_equal(placed("hash --descriptor 7 --offset 100 7<askew.apk >2 && cmp 1 2"), 0);
    assert_int_equal(placed("hash --strategy mmap --offset 100 askew.apk"), 2);
}
#endif

/* The place is in the trace; what is there is not needed again. */
static void replays(void **state)
{
    static const char *const rows[] = {
        "load --trace t --offset 8192 --length $L page.apk",
        "load --trace t --descriptor 6 --offset 100 6<askew.apk",
        "load --trace t --blob m.gguf",
    };
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        make_files();
        assert_int_equal(placed(rows[i]), 0);
        assert_int_equal(tool_in_shell("rm m.gguf page.apk askew.apk"), 0);
        assert_int_equal(tool("replay t"), 0);
    }
}

#ifdef TEST_SAFETENSORS
static void layouts(void **state)
{
    (void)state;
    make_files();
    assert_int_equal(
        tool_in_shell("printf '{\"tresor_layout\":1,\"tensors\":[{\"name\":\"a\",\"dtype\":\"f16\",\"shape\":[4,8],"
                      "\"file\":\"m.gguf\",\"offset\":7,\"size\":64}]}' >layout.json"),
        0);
    json_t *report = tool_json("load --json layout.json", 0);
    assert_int_equal(tensors_at(report, "loaded"), 1);
    json_decref(report);
    report = tool_json("inspect --json layout.json", 0);
    assert_string_equal(json_string_value(json_object_get(report, "format")), "layout");
    json_decref(report);
    assert_int_equal(tool("load --trace t layout.json"), 0);
    assert_int_equal(tool_in_shell("rm m.gguf layout.json"), 0);
    assert_int_equal(tool("replay t"), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(loads),    IN_FOLDER(strategy_is_told), IN_FOLDER(refused),
        IN_FOLDER(inspects), IN_FOLDER(replays),
#ifdef TEST_HASH
        IN_FOLDER(hashes),
#endif
#ifdef TEST_SAFETENSORS
        IN_FOLDER(layouts),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
