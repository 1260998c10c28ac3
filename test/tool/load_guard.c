/* SPDX-License-Identifier: MIT */
/* `tresor load --guard`, with a file that becomes shorter while its tensors are read again and again. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

/** Cut the model once the tool has used that much of the processor, so that it is among its passes; what it ended with. */
static int cut_while_it_walks(const char *options)
{
    char line[1024];
    snprintf(line, sizeof line,
             "\"$TRESOR_TOOL\" load --guard --json %s m.gguf >report 2>errors & tool=$!\n"
             "while ticks=$(cut -d' ' -f14 /proc/$tool/stat 2>/dev/null) && [ \"$ticks\" -lt 30 ]; do sleep 0.02; done\n"
             "truncate -s 3000000 m.gguf\n"
             "wait $tool",
             options);
    return tool_in_shell(line);
}

/* The process lives, and every tensor that has lost bytes is named, with its file's end. */
static void tensors_are_told(void **state)
{
    static const char *const rows[] = {
        "--passes 1000000", "--passes 1000000 --policy plan --budget 100M", "--passes 1000000 --split"};
    (void)state;
    for (uint32_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(tool("generate --size 8M --tensors 30 m.gguf"), 0);
        assert_int_equal(cut_while_it_walks(rows[i]), 1);
        json_t *report = json_load_file("report", 0, NULL);
        json_t *errors = json_object_get(report, "errors");
        assert_true(json_array_size(errors) > 0);
        json_t *first = json_array_get(errors, 0);
        assert_string_equal(json_string_value(json_object_get(first, "error")), "TRUNCATED");
        assert_true(json_is_string(json_object_get(first, "tensor")));
        json_decref(report);
    }
}

/* A guard that nothing happens to changes nothing. */
static void nothing_happens(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 4M --tensors 10 m.gguf"), 0);
    json_t *report = tool_json("load --guard --json m.gguf", 0);
    assert_int_equal(tensors_at(report, "loaded"), 10);
    json_decref(report);
    assert_int_equal(tool("load --guard --passes 2 m.gguf"), 0);
    assert_int_equal(tool("load --guard=1 m.gguf"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(tensors_are_told),
        IN_FOLDER(nothing_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
