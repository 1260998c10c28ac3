/* SPDX-License-Identifier: MIT */
/* A model whose files lie on more than one file system: each does what it can, and none holds up the others. */
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "real.h"
#include "support/spawn.h"

static struct real real;

enum {
    MOVED = 2, /* the part that lies elsewhere, and is reached by a link */
    IMAGE_BYTES = 8 * 1024 * 1024,
};

static void run(const char *const *arguments)
{
    static struct spawn_result result;
    if (!spawn_run(&result, arguments))
        fail_msg("%s cannot be run: %s", arguments[0], strerror(errno));
    if (result.exit_code != 0)
        fail_msg("%s: %s", arguments[0], result.errors.bytes);
}

static bool can_run(const char *program)
{
    static struct spawn_result result;
    return spawn_run(&result, (const char *const[]){program, "-V", NULL});
}

static void mount_memory(const char *folder)
{
    if (mount("tresor-test", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=8m") != 0)
        fail_msg("a tmpfs cannot be mounted: %s", strerror(errno));
}

static void mount_image(const char *folder)
{
    char image[MODEL_PATH_BYTES];
    snprintf(image, sizeof image, "%s", real_path(&real, "image"));
    temporary_write(image, "", 0);
    assert_int_equal(truncate(image, IMAGE_BYTES), 0);
    run((const char *const[]){"mkfs.ext4", "-q", "-F", image, NULL});
    run((const char *const[]){"mount", "-t", "ext4", "-o", "loop", image, folder, NULL});
}

/* Its path stays what the model says. */
static void move_part(const char *folder)
{
    char target[MODEL_PATH_BYTES + 16];
    const struct model_part *part = &real.set.parts[MOVED];
    snprintf(target, sizeof target, "%s/part", folder);
    temporary_write(target, part->bytes.data, part->bytes.size);
    assert_int_equal(unlink(part->path), 0);
    assert_int_equal(symlink(target, part->path), 0);
}

static bool takes_direct_reads(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (descriptor >= 0)
        close(descriptor);
    return descriptor >= 0;
}

static bool is_on_another(const char *path, const char *than)
{
    struct stat one, other;
    return stat(path, &one) == 0 && stat(than, &other) == 0 && one.st_dev != other.st_dev;
}

/* A file that takes no direct reads says so, once. */
static void load_all(uint32_t direct)
{
    uint32_t refusals = 0;
    for (uint32_t i = 0; i < real.set.part_count && direct != TRESOR_DIRECT_OFF; i++)
        refusals += takes_direct_reads(real.set.parts[i].path) ? 0 : 1;
    real.direct = direct;
    assert_error(real_start(&real), TRESOR_OK);
    assert_error(session_open(&real.session, model_set_path(&real.set)), TRESOR_OK);
    struct tresor_item all = session_all(&real.session);
    struct tresor_source_info info = {.size_bytes = sizeof info};
    assert_error(tresor_source_get_info(real.session.context, real.session.source, &info),
                 TRESOR_OK);
    assert_int_equal(info.file_count, real.set.part_count);
    for (uint32_t strategy = TRESOR_STRATEGY_MMAP; strategy <= TRESOR_STRATEGY_READ; strategy++) {
        assert_error(session_do(&real.session, TRESOR_VERB_LOAD, all, strategy), TRESOR_OK);
        assert_int_equal(session_verify(&real.session, &real.set), info.tensor_count);
        assert_error(session_do(&real.session, TRESOR_VERB_EVICT, all, 0), TRESOR_OK);
    }
    assert_int_equal(real.session.degraded_count, refusals);
    for (uint32_t i = 0; i < refusals; i++)
        assert_int_equal(real.session.degraded[i].flags, TRESOR_DEGRADED_DIRECT);
    const char *wrong = real_end(&real);
    if (wrong)
        fail_msg("%s", wrong);
}

static void load_split(void (*mount_on)(const char *folder))
{
    char folder[MODEL_PATH_BYTES];
    real_make(&real, MODEL_SHARDS);
    snprintf(folder, sizeof folder, "%s", real_path(&real, "second"));
    assert_int_equal(mkdir(folder, 0700), 0);
    mount_on(folder);
    move_part(folder);
    assert_true(is_on_another(real.set.parts[MOVED].path, real.set.parts[0].path));
    for (uint32_t direct = TRESOR_DIRECT_AUTO; direct <= TRESOR_DIRECT_OFF; direct++)
        load_all(direct);
    assert_int_equal(umount2(folder, 0), 0);
    real_remove(&real);
}

static void partly_in_memory(void **state)
{
    (void)state;
    load_split(mount_memory);
}

static void partly_on_another_disk(void **state)
{
    (void)state;
    load_split(mount_image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partly_in_memory),
        cmocka_unit_test(partly_on_another_disk),
    };
    /* What is mounted is this process's alone, and gone with it. */
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return skip_program("file systems cannot be mounted");
    if (access("/dev/loop-control", R_OK | W_OK) != 0)
        return skip_program("there are no loop devices");
    if (!can_run("mkfs.ext4") || !can_run("mount"))
        return skip_program("mkfs.ext4 or mount is missing");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
