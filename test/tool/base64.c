/* SPDX-License-Identifier: MIT */
#include "base64.h"

#include <string.h>

#include "support/random.h"
#include "support/test.h"

static void known_texts(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char text[16] = "";
        char bytes[16] = "";
        size_t size;
        const size_t length = strlen(pairs[i][1]);
        assert_int_equal(base64_length(strlen(pairs[i][0])), length);
        base64_encode(pairs[i][0], strlen(pairs[i][0]), text);
        assert_string_equal(text, pairs[i][1]);
        assert_true(base64_decode(text, length, bytes, &size));
        assert_int_equal(size, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], size);
    }
}

static void any_bytes_come_back(void **state)
{
    uint64_t seed = 5;
    (void)state;
    for (size_t size = 0; size < 200; size++) {
        uint8_t bytes[200];
        uint8_t back[204];
        char text[272];
        size_t back_size;
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)random_next(&seed);
        base64_encode(bytes, size, text);
        assert_true(base64_size(base64_length(size)) <= sizeof back);
        assert_true(base64_decode(text, base64_length(size), back, &back_size));
        assert_int_equal(back_size, size);
        assert_memory_equal(back, bytes, size);
    }
}

static void other_texts_are_refused(void **state)
{
    static const char *const wrong[] = {"Z",      "Zg",   "Zg=",      "Zh==", "Zm9=",
                                        "Z===",   "====", "Zg==Zg==", "Zm 9", "Zm9-",
                                        "Zm9v\n", "=m9v", "Z=9v"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char bytes[16];
        size_t size;
        if (base64_decode(wrong[i], strlen(wrong[i]), bytes, &size))
            fail_msg("'%s' is taken", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts),
        cmocka_unit_test(any_bytes_come_back),
        cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
