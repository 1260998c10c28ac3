/* SPDX-License-Identifier: MIT */
/* Each file that other parsers fell over ends the tool with 3 and the error's name, however it is opened. */
#include "harness.h"

#include <string.h>

#include "support/hostile.h"

static void check_told(const struct hostile_file *file, const char *line)
{
    const int exit_code = tool(line);
    const char *errors = tool_result.errors.bytes;
    if (exit_code != 3 || !strstr(errors, tresor_error_name(file->code)))
        fail_msg("%s (%s): '%s' gave %d: %s", file->name, file->what, line, exit_code, errors);
}

static void every_file_is_refused(void **state)
{
    size_t count = 0;
    const struct hostile_file *files = hostile_files(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct bytes bytes = {0};
        files[i].put(&bytes);
        write_file("hostile", &bytes);
        check_told(&files[i], "inspect hostile");
        check_told(&files[i], i % 2 ? "load hostile" : "load --strategy read hostile");
        bytes_free(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(every_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
