/* SPDX-License-Identifier: MIT */
/* What is no model file, or is not to be had, is refused by name; nothing hangs and nothing is held. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "real.h"
#include "support/child.h"

static struct real real;

static int setup(void **state)
{
    (void)state;
    real_make(&real, MODEL_SHARDS);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    real_remove(&real);
    return 0;
}

static void refuses(const char *name, int32_t code)
{
    int32_t got = real_open_once(&real, real_path(&real, name), NULL);
    if (got != code)
        fail_msg("%s: wanted %s, got %s", name, tresor_error_name(code), tresor_error_name(got));
}

static void no_regular_files(void **state)
{
    (void)state;
    assert_int_equal(mkdir(real_path(&real, "folder"), 0700), 0);
    assert_int_equal(mkfifo(real_path(&real, "fifo"), 0600), 0);
    refuses("folder", TRESOR_ERROR_NOT_REGULAR);
    refuses("fifo", TRESOR_ERROR_NOT_REGULAR);
    assert_error(real_open_once(&real, "/dev/null", NULL), TRESOR_ERROR_NOT_REGULAR);
    assert_error(real_open_once(&real, "/dev/zero", NULL), TRESOR_ERROR_NOT_REGULAR);
}

static void what_is_not_there(void **state)
{
    char long_name[300];
    (void)state;
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    refuses("missing", TRESOR_ERROR_NOT_FOUND);
    refuses("missing/model.gguf", TRESOR_ERROR_NOT_FOUND);
    refuses(long_name, TRESOR_ERROR_NOT_FOUND);
    assert_error(real_open_once(&real, "", NULL), TRESOR_ERROR_NOT_FOUND);
    char file_in_file[MODEL_PATH_BYTES + 8];
    snprintf(file_in_file, sizeof file_in_file, "%s/x", real.set.parts[0].path);
    assert_error(real_open_once(&real, file_in_file, NULL), TRESOR_ERROR_NOT_FOUND);
}

static void links(void **state)
{
    (void)state;
    assert_int_equal(symlink("loop", real_path(&real, "loop")), 0);
    refuses("loop", TRESOR_ERROR_NOT_FOUND);
    assert_int_equal(symlink("nowhere", real_path(&real, "dangling")), 0);
    refuses("dangling", TRESOR_ERROR_NOT_FOUND);
}

static void no_bytes(void **state)
{
    (void)state;
    temporary_write(real_path(&real, "empty"), "", 0);
    refuses("empty", TRESOR_ERROR_TRUNCATED);
    temporary_write(real_path(&real, "text"), "hello, world\n", 13);
    refuses("text", TRESOR_ERROR_FORMAT);
}

static void a_shard_is_missing(void **state)
{
    struct tresor_error error;
    char away[MODEL_PATH_BYTES + 8];
    (void)state;
    snprintf(away, sizeof away, "%s.away", real.set.parts[2].path);
    assert_int_equal(rename(real.set.parts[2].path, away), 0);
    assert_error(real_open_once(&real, real.set.parts[0].path, &error), TRESOR_ERROR_SHARD);
    assert_int_equal(error.file, 2);
    /* One in the place of another. */
    assert_int_equal(rename(real.set.parts[1].path, real.set.parts[2].path), 0);
    assert_int_equal(rename(away, real.set.parts[1].path), 0);
    assert_error(real_open_once(&real, real.set.parts[0].path, &error), TRESOR_ERROR_SHARD);
    assert_int_equal(error.file, 1);
    model_set_write(&real.set);
    assert_error(real_open_once(&real, real.set.parts[0].path, NULL), TRESOR_OK);
}

struct outcome {
    bool ran;
    int32_t file_code;
    int32_t folder_code;
};

static void open_as_nobody(void *shared)
{
    struct outcome *outcome = shared;
    if (!child_give_up_rights())
        return;
    outcome->ran = true;
    outcome->file_code = real_open_once(&real, real_path(&real, "secret"), NULL);
    outcome->folder_code = real_open_once(&real, real_path(&real, "closed/model.gguf"), NULL);
}

static void no_permission(void **state)
{
    struct outcome *outcome = child_share(sizeof *outcome);
    (void)state;
    temporary_write(real_path(&real, "secret"), "GGUF", 4);
    assert_int_equal(chmod(real_path(&real, "secret"), 0), 0);
    assert_int_equal(mkdir(real_path(&real, "closed"), 0), 0);
    assert_true(child_run(open_as_nobody, outcome));
    assert_true(outcome->ran);
    assert_error(outcome->file_code, TRESOR_ERROR_PERMISSION);
    assert_error(outcome->folder_code, TRESOR_ERROR_PERMISSION);
    child_unshare(outcome, sizeof *outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_regular_files), cmocka_unit_test(what_is_not_there),
        cmocka_unit_test(links),            cmocka_unit_test(no_bytes),
        cmocka_unit_test(a_shard_is_missing), cmocka_unit_test(no_permission),
    };
    alarm(60); /* a FIFO that hangs shall not hang the test */
    return cmocka_run_group_tests(tests, setup, teardown);
}
