/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "source/shards.h"
#include "support/test.h"

static void good_names(void **state)
{
    static const struct {
        const char *path;
        uint32_t index;
        uint32_t count;
    } rows[] = {
        {"m-00001-of-00003.gguf", 0, 3}, {"/models/a b/m-00003-of-00003.gguf", 2, 3},
        {"m-00001-of-00001.gguf", 0, 1}, {"m-99999-of-99999.gguf", 99998, 99999},
        {"--00001-of-00002.gguf", 0, 2}, {"m-00001-of-00002.gguf-00002-of-00002.gguf", 1, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t index = 7;
        uint32_t count = 7;
        assert_true(tresor__shards_parse(rows[i].path, &index, &count));
        assert_int_equal(index, rows[i].index);
        assert_int_equal(count, rows[i].count);
    }
}

static void bad_names(void **state)
{
    static const char *const paths[] = {
        "",
        "m.gguf",
        ".gguf",
        "-00001-of-00003.gguf", /* no name before the suffix */
        "m-00000-of-00003.gguf",
        "m-00004-of-00003.gguf",
        "m-00001-of-00000.gguf",
        "m-0001-of-0003.gguf",
        "m-000001-of-000003.gguf",
        "m-00001-of-00003.GGUF",
        "m-00001-of-00003.gguf ",
        "m-00001-of-00003",
        "m_00001-of-00003.gguf",
        "m-00001_of_00003.gguf",
        "m-00001-OF-00003.gguf",
        "m- 0001-of-00003.gguf",
        "m--0001-of-00003.gguf",
        "m-+0001-of-00003.gguf",
        "m-0000a-of-00003.gguf",
        "m-00001-of-0000:.gguf",
        "m-00001-of-0000/.gguf",
        "m-00001-of-00003.ggu",
        "00001-of-00003.gguf",
    };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        uint32_t index = 0;
        uint32_t count = 0;
        if (tresor__shards_parse(paths[i], &index, &count))
            fail_msg("\"%s\" was taken for a shard", paths[i]);
    }
}

static void written_names_are_parsed(void **state)
{
    static const uint32_t counts[] = {1, 2, 9, 10, 11, 99, 12345, 65535, 99999};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (uint32_t index = 0; index < counts[i]; index += 1 + counts[i] / 7) {
            char path[] = "dir/m-00001-of-00001.gguf";
            uint32_t got_index = 0;
            uint32_t got_count = 0;
            char wanted[64];
            tresor__shards_write(path, index, counts[i]);
            snprintf(wanted, sizeof wanted, "dir/m-%05u-of-%05u.gguf", index + 1, counts[i]);
            assert_string_equal(path, wanted);
            assert_true(tresor__shards_parse(path, &got_index, &got_count));
            assert_int_equal(got_index, index);
            assert_int_equal(got_count, counts[i]);
        }
    }
}

static void folders(void **state)
{
    (void)state;
    assert_int_equal(tresor__shards_folder("m.gguf"), 0);
    assert_int_equal(tresor__shards_folder(""), 0);
    assert_int_equal(tresor__shards_folder("/m.gguf"), 1);
    assert_int_equal(tresor__shards_folder("a/b/m.gguf"), 4);
    assert_int_equal(tresor__shards_folder("a/b/"), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_names),
        cmocka_unit_test(bad_names),
        cmocka_unit_test(written_names_are_parsed),
        cmocka_unit_test(folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
