/* SPDX-License-Identifier: MIT */
/* SUMS files: what is written is read back, whatever the names are; anything else is an error of one line. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#include "support/bytes.h"
#include "support/random.h"
#include "sums.h"

#define HEADER SUMS_HEADER "\n"
#define ONE "0123456789abcdef0123456789abcde0"

static struct sums sums;
static struct sums_error error;

static bool parse(const void *bytes, size_t size_bytes)
{
    char *copy = malloc(size_bytes + 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size_bytes);
    sums_free(&sums);
    error = (struct sums_error){0};
    return sums_parse(copy, size_bytes, &sums, &error);
}

static void lines_are_read(void **state)
{
    static const char text[] = HEADER ONE "  two words\n" ONE "  \n" ONE "  a\\x5cb\\x0a\\x00\n";
    (void)state;
    assert_true(parse(text, sizeof text - 1));
    assert_int_equal(sums.count, 3);
    const struct sum *sum = sums_take(&sums, "two words", 9);
    assert_non_null(sum);
    assert_int_equal(sum->line, 2);
    assert_true(sum->digest.high == UINT64_C(0x0123456789abcdef));
    assert_true(sum->digest.low == UINT64_C(0x0123456789abcde0));
    assert_int_equal(sums_first_unused(&sums), 3);
    assert_non_null(sums_take(&sums, "", 0));
    assert_int_equal(sums_first_unused(&sums), 4);
    assert_non_null(sums_take(&sums, "a\\b\n\0", 5));
    assert_int_equal(sums_first_unused(&sums), 0);
    assert_null(sums_take(&sums, "a", 1));
    assert_true(parse(HEADER, strlen(HEADER)));
    assert_int_equal(sums.count, 0);
    sums_free(&sums);
}

static void what_is_wrong_has_its_line(void **state)
{
    static const struct {
        const char *text;
        size_t line;
    } rows[] = {
        {"", 1},
        {"tresor-sums 1 xxh128", 1},
        {"tresor-sums 2 xxh128\n", 1},
        {"tresor-sums 1 xxh128\r\n", 1},
        {ONE "  name\n", 1},
        {HEADER ONE "  name", 2},                        /* cut off */
        {HEADER ONE " name\n", 2},                       /* one space */
        {HEADER ONE "\n", 2},
        {HEADER "\n", 2},
        {HEADER ONE "  a\n0123456789ABCDEF0123456789abcde0  b\n", 3}, /* upper case */
        {HEADER ONE "  a\n0123456789abcdeg0123456789abcde0  b\n", 3},
        {HEADER ONE "  a\n123  b\n", 3},
        {HEADER ONE "  a\n" ONE "  b\n" ONE "  a\n" ONE "  b\n", 4}, /* the first of two that are twice */
        {HEADER ONE "  a\n" ONE "  \\x61\n", 3},         /* need not be escaped, so it may not */
        {HEADER ONE "  a\\\n", 2},
        {HEADER ONE "  a\\x\n", 2},
        {HEADER ONE "  a\\x0\n", 2},
        {HEADER ONE "  a\\n\n", 2},
        {HEADER ONE "  a\\x0A\n", 2},
        {HEADER ONE "  a\tb\n", 2},
        {HEADER ONE "  a\r\n", 2},
        {HEADER "# a word\n", 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (parse(rows[i].text, strlen(rows[i].text)))
            fail_msg("row %zu was taken", i);
        if (error.line != rows[i].line)
            fail_msg("row %zu: line %zu: %s", i, error.line, error.text);
        assert_non_null(error.text);
    }
    sums_free(&sums);
}

/* --- written and read back --- */

enum { NAMES = 40, NAME_BYTES = 24 };

struct named {
    char name[NAME_BYTES];
    size_t name_bytes;
    struct tresor_digest digest;
};

static void write_names(const struct named *names, struct bytes *bytes)
{
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *stream = open_memstream(&text, &size_bytes);
    assert_non_null(stream);
    sums_print_header(stream);
    for (uint32_t i = 0; i < NAMES; i++)
        sums_print(stream, &names[i].digest, names[i].name, names[i].name_bytes);
    fclose(stream);
    bytes->size = 0;
    bytes_put(bytes, text, size_bytes);
    free(text);
}

/* Any bytes, the first two of which tell them apart. */
static void make_names(struct named *names, uint64_t *seed)
{
    for (uint32_t i = 0; i < NAMES; i++) {
        struct named *named = &names[i];
        named->name_bytes = 2 + random_below(seed, NAME_BYTES - 1);
        for (size_t k = 0; k < named->name_bytes; k++)
            named->name[k] = (char)random_below(seed, 256);
        named->name[0] = (char)i;
        named->name[1] = 'x';
        named->digest = (struct tresor_digest){random_next(seed), random_next(seed)};
    }
}

static void any_names_come_back(void **state)
{
    struct named names[NAMES];
    struct bytes bytes = {0};
    uint64_t seed = 77;
    (void)state;
    for (uint32_t round = 0; round < 200; round++) {
        make_names(names, &seed);
        write_names(names, &bytes);
        assert_true(parse(bytes.data, bytes.size));
        assert_int_equal(sums.count, NAMES);
        for (uint32_t i = 0; i < NAMES; i++) {
            const struct sum *sum = sums_take(&sums, names[i].name, names[i].name_bytes);
            assert_non_null(sum);
            assert_memory_equal(&sum->digest, &names[i].digest, sizeof sum->digest);
            assert_int_equal(sum->line, i + 2);
        }
        assert_int_equal(sums_first_unused(&sums), 0);
    }
    bytes_free(&bytes);
    sums_free(&sums);
}

/* Whatever is taken is what would be written, but for the order of lines. */
static void changed_bytes_are_found_or_mean_something_else(void **state)
{
    struct named names[NAMES];
    struct bytes bytes = {0};
    uint64_t seed = 78;
    uint32_t refused = 0;
    (void)state;
    make_names(names, &seed);
    for (uint32_t round = 0; round < 4000; round++) {
        write_names(names, &bytes);
        const size_t size = random_below(&seed, 4) == 0 ? random_below(&seed, (uint32_t)bytes.size) : bytes.size;
        for (uint32_t i = 0; i < 1 + round % 3; i++)
            bytes.data[random_below(&seed, (uint32_t)bytes.size)] = (uint8_t)random_below(&seed, 256);
        if (parse(bytes.data, size))
            continue;
        refused++;
        assert_non_null(error.text);
        assert_in_range(error.line, 1, NAMES + 2);
    }
    assert_in_range(refused, 1000, 3999);
    bytes_free(&bytes);
    sums_free(&sums);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(what_is_wrong_has_its_line),
        cmocka_unit_test(any_names_come_back),
        cmocka_unit_test(changed_bytes_are_found_or_mean_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
