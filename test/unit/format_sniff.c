/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "support/bytes.h"
#include "support/parsing.h"

#ifdef TRESOR__SAFETENSORS
#define WITH_SAFETENSORS(code) (code)
#else
#define WITH_SAFETENSORS(code) TRESOR_ERROR_FORMAT
#endif

static void what_is_no_model_is_refused(void **state)
{
    static const struct {
        const char *data;
        size_t size;
        int32_t code;
    } rows[] = {
        {"", 0, TRESOR_ERROR_TRUNCATED},
        {"G", 1, TRESOR_ERROR_TRUNCATED},
        {"GGUF", 4, TRESOR_ERROR_TRUNCATED},
        {"\x10\0\0\0\0\0\0\0", 8, TRESOR_ERROR_TRUNCATED},
        {"IAMT", 4, TRESOR_ERROR_TRUNCATED},
        {"TMAI", 4, TRESOR_ERROR_TRUNCATED},
        {"hello", 5, TRESOR_ERROR_FORMAT},
        {"GGML\1\0\0\0\0\0", 10, TRESOR_ERROR_FORMAT},
        {"\x7f"
         "ELF\2\1\1\0\0\0",
         10, TRESOR_ERROR_FORMAT},
        {"PK\3\4\0\0\0\0\0\0", 10, TRESOR_ERROR_FORMAT},
        {"\2\0\0\0\0\0\0\0[]", 10, TRESOR_ERROR_FORMAT},
        {"[\"weight_map\"]", 14, TRESOR_ERROR_FORMAT},
        {"\2\0\0\0\0\0\0\0{}", 10, WITH_SAFETENSORS(TRESOR_OK)},
        {"{\"weight_map\":{}}", 17, WITH_SAFETENSORS(TRESOR_ERROR_MALFORMED)},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tresor_error error;
        assert_int_equal(parse_outcome((const uint8_t *)rows[i].data, rows[i].size, &error),
                         rows[i].code);
    }
}

static void a_length_that_begins_like_json(void **state)
{
    (void)state;
    char json[124];
    struct bytes bytes = {0};
    struct tresor_error error;
    memset(json, ' ', sizeof json);
    memcpy(json, "{}", 2);
    json['{'] = '\0'; /* 123 characters */
    safetensors_put_header(&bytes, json);
    assert_int_equal(bytes.data[0], '{');
    assert_int_equal(parse_outcome(bytes.data, bytes.size, &error), WITH_SAFETENSORS(TRESOR_OK));
    bytes_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_model_is_refused),
        cmocka_unit_test(a_length_that_begins_like_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
