/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGUMENTS_MAX 15

struct spawn_result tool_result;

int tool_limited(const char *line, const struct spawn_limits *limits)
{
    char words[512];
    const char *arguments[ARGUMENTS_MAX + 2] = {getenv("TRESOR_TOOL")};
    size_t count = 1;
    assert_non_null(arguments[0]);
    assert_true(strlen(line) < sizeof words);
    strcpy(words, line);
    char *rest = NULL;
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        assert_true(count <= ARGUMENTS_MAX);
        arguments[count++] = word;
    }
    assert_true(limits ? spawn_run_limited(&tool_result, arguments, limits)
                       : spawn_run(&tool_result, arguments));
    return tool_result.exit_code;
}

int tool(const char *line)
{
    return tool_limited(line, NULL);
}

int tool_in_shell(const char *line)
{
    const char *const arguments[] = {"sh", "-c", line, NULL};
    assert_true(spawn_run(&tool_result, arguments));
    return tool_result.exit_code;
}

json_t *tool_json(const char *line, int exit_code)
{
    json_error_t error;
    if (tool(line) != exit_code)
        fail_msg("'%s' gave %d: %s", line, tool_result.exit_code, tool_result.errors.bytes);
    assert_int_equal(tool_result.output.dropped_bytes, 0);
    json_t *json = json_loadb(tool_result.output.bytes, tool_result.output.length,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!json)
        fail_msg("'%s' printed no JSON: %s", line, error.text);
    return json;
}

int64_t integer_at(json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

struct bytes read_file(const char *path)
{
    struct stat there;
    struct bytes bytes = {0};
    assert_int_equal(stat(path, &there), 0);
    bytes_put_zeros(&bytes, (size_t)there.st_size + 1);
    bytes.size--;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
    return bytes;
}

void write_file(const char *path, const struct bytes *bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes->data, 1, bytes->size, file), bytes->size);
    assert_int_equal(fclose(file), 0);
}

bool same_files(const char *path, const char *other_path)
{
    struct bytes one = read_file(path);
    struct bytes other = read_file(other_path);
    const bool same = one.size == other.size && memcmp(one.data, other.data, one.size) == 0;
    bytes_free(&one);
    bytes_free(&other);
    return same;
}

int count_files(bool remove_them)
{
    int count = 0;
    DIR *folder = opendir(".");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        count++;
        if (remove_them)
            remove(entry->d_name);
    }
    closedir(folder);
    return count;
}

uint64_t number_at(const uint8_t *bytes, size_t size_bytes)
{
    uint64_t value = 0;
    for (size_t i = size_bytes; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static char folder[256];

int enter_folder(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/tresor-test-XXXXXX", base ? base : "/tmp");
    /* Readable by the user without rights that some tests become. */
    return mkdtemp(folder) && chmod(folder, 0755) == 0 && chdir(folder) == 0 ? 0 : -1;
}

int leave_folder(void **state)
{
    (void)state;
    count_files(true);
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}
