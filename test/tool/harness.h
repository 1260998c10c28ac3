/* SPDX-License-Identifier: MIT */
/* What the tests of the tool share: they run it from outside, in an empty folder of their own. */
#ifndef TEST_TOOL_HARNESS_H
#define TEST_TOOL_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "support/bytes.h"
#include "support/spawn.h"
#include "support/test.h"

/** What the last run printed. */
extern struct spawn_result tool_result;

/** Run the tool with arguments that spaces part; returns its exit code. */
int tool(const char *line);

/** The same without the rights of root. */
int tool_limited(const char *line, const struct spawn_limits *limits);

/** Run a line of the shell, in which "$TRESOR_TOOL" is the tool; returns its exit code. */
int tool_in_shell(const char *line);

/** Run the tool, which must end with that exit code and print one JSON value, to be freed. */
json_t *tool_json(const char *line, int exit_code);

/** A member of an object, which must be an integer. */
int64_t integer_at(json_t *object, const char *key);

/** The bytes of a file, to be freed. */
struct bytes read_file(const char *path);
void write_file(const char *path, const struct bytes *bytes);
bool same_files(const char *path, const char *other_path);

/** Files in the folder that the test works in; removes them if asked to. */
int count_files(bool remove_them);

uint64_t number_at(const uint8_t *bytes, size_t size_bytes);

int enter_folder(void **state);
int leave_folder(void **state);

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

#endif
