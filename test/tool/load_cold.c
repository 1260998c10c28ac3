/* SPDX-License-Identifier: MIT */
/* `tresor load --cold`: what leaves the page cache, what cannot, and what nobody tells. */
#include "report.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "page_cache.h"

#define TMPFS_MAGIC 0x01021994
#define HELD_PAGES 5

/** Whether files of the folder that tests work in ever leave the page cache. */
static bool folder_is_on_disk(void)
{
    struct statfs system;
    void *state = NULL;
    const bool is_known = enter_folder(&state) == 0 && statfs(".", &system) == 0;
    leave_folder(&state);
    return is_known && system.f_type != TMPFS_MAGIC;
}

static json_t *load_cold(const char *path)
{
    char line[128];
    snprintf(line, sizeof line, "load --cold --json %s", path);
    json_t *report = tool_json(line, 0);
    check_keys(report);
    assert_true(json_is_object(json_object_get(report, "cold")));
    return report;
}

static int64_t cold_at(json_t *report, const char *key)
{
    return integer_at(json_object_get(report, "cold"), key);
}

static struct page_cache_count count_pages(const char *path)
{
    struct page_cache_count count;
    const int descriptor = open(path, O_RDONLY);
    assert_true(descriptor >= 0);
    assert_int_equal(page_cache_count(descriptor, &count), 0);
    close(descriptor);
    return count;
}

static void all_files_leave_the_page_cache(void **state)
{
    (void)state;
    int64_t pages = 0;
    assert_int_equal(tool("generate --size 4M --tensors 30 --shards 3 m.gguf"), 0);
    for (int i = 1; i <= 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "m-%05d-of-00003.gguf", i);
        pages += (int64_t)count_pages(path).pages;
        assert_true(count_pages(path).resident_pages > 0); /* it was just written */
    }
    json_t *report = load_cold("m-00002-of-00003.gguf");
    assert_int_equal(tensors_at(report, "loaded"), 30);
    assert_int_equal(cold_at(report, "pages"), pages);
    assert_int_equal(cold_at(report, "pages_resident"), 0);
    assert_int_equal(tool_result.errors.length, 0);
    json_decref(report);
}

static void cold_is_not_done_unasked(void **state)
{
    (void)state;
    assert_int_equal(tool("generate --size 1M m.gguf"), 0);
    json_t *report = tool_json("load --json m.gguf", 0);
    check_keys(report);
    assert_true(json_is_null(json_object_get(report, "cold")));
    json_decref(report);
}

/** Pages that are mapped cannot be taken away: as few as are held are told, by number. */
static void pages_that_stay_are_told(void **state)
{
    (void)state;
    const size_t held_bytes = HELD_PAGES * (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(tool("generate --size 1M m.gguf"), 0);
    const int descriptor = open("m.gguf", O_RDONLY);
    void *view = mmap(NULL, held_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    assert_ptr_not_equal(view, MAP_FAILED);
    json_t *report = load_cold("m.gguf");
    assert_true(cold_at(report, "pages_resident") >= HELD_PAGES);
    assert_true(cold_at(report, "pages_resident") < cold_at(report, "pages"));
    assert_non_null(strstr(tool_result.errors.bytes, "warning: 'm.gguf': "));
    assert_non_null(strstr(tool_result.errors.bytes, " pages stay in the page cache"));
    json_decref(report);
    munmap(view, held_bytes);
    close(descriptor);
}

/** A file that lives in memory has nowhere to go; the load goes on. */
static void files_in_memory_stay(void **state)
{
    (void)state;
    char path[64];
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    struct bytes model = read_file("m.gguf");
    const int descriptor = memfd_create("model", 0);
    assert_int_equal(write(descriptor, model.data, model.size), model.size);
    bytes_free(&model);
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), descriptor);
    json_t *report = load_cold(path);
    assert_int_equal(tensors_at(report, "loaded"), 30);
    assert_int_equal(cold_at(report, "pages_resident"), cold_at(report, "pages"));
    assert_non_null(strstr(tool_result.errors.bytes, " pages stay in the page cache"));
    json_decref(report);
    close(descriptor);
}

/** Who neither owns a file nor may write it is not told what of it is cached. */
static void what_is_not_known_is_told_as_that(void **state)
{
    (void)state;
    static const struct spawn_limits limits = {.locked_bytes_max = SPAWN_NO_LIMIT};
    assert_int_equal(tool("generate --size 1M --tensors 30 m.gguf"), 0);
    /* All of it is held, so that mincore may as well be right. */
    struct bytes model = read_file("m.gguf");
    const int descriptor = open("m.gguf", O_RDONLY);
    void *view = mmap(NULL, model.size, PROT_READ, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    assert_ptr_not_equal(view, MAP_FAILED);
    assert_int_equal(tool_limited("load --cold --json m.gguf", &limits), 0);
    json_t *report = json_loads(tool_result.output.bytes, 0, NULL);
    check_keys(report);
    json_t *cold = json_object_get(report, "cold");
    assert_true(json_is_null(json_object_get(cold, "pages_resident")));
    assert_non_null(strstr(tool_result.errors.bytes, "does not tell"));
    json_decref(report);
    munmap(view, model.size);
    bytes_free(&model);
    close(descriptor);
}

static void missing_files_are_bad_files(void **state)
{
    (void)state;
    assert_int_equal(tool("load --cold nothing.gguf"), 3);
    assert_non_null(strstr(tool_result.errors.bytes, "nothing.gguf"));
    json_t *report = tool_json("load --cold --json nothing.gguf", 3);
    check_keys(report);
    assert_int_equal(cold_at(report, "pages"), 0);
    assert_int_equal(integer_at(json_object_get(report, "dispatch"), "calls"), 0);
    json_decref(report);
    assert_int_equal(tool("load --cold=yes nothing.gguf"), 2);
}

#define TESTS_FOR_ALL                                                                              \
    IN_FOLDER(all_files_leave_the_page_cache), IN_FOLDER(cold_is_not_done_unasked),                \
        IN_FOLDER(pages_that_stay_are_told), IN_FOLDER(files_in_memory_stay),                      \
        IN_FOLDER(missing_files_are_bad_files)

int main(void)
{
    const struct CMUnitTest tests[] = {TESTS_FOR_ALL};
    const struct CMUnitTest tests_of_root[] = {
        TESTS_FOR_ALL,
        IN_FOLDER(what_is_not_known_is_told_as_that),
    };
    if (!folder_is_on_disk())
        return skip_program("the temporary folder is in memory, where nothing is evicted");
    /* Only root can be another user for a while. */
    if (geteuid() == 0)
        return cmocka_run_group_tests(tests_of_root, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
