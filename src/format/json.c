/* SPDX-License-Identifier: MIT */
#include "format/json.h"

#include <string.h>

/*
 * jansson reports most failed allocations with no text at all, and that of a string's value as if
 * the string were not there (2.14, src/load.c). A bad string has a text of its own, so where a
 * whole one was refused memory was short.
 */
static bool is_no_memory(const json_error_t *error, const char *text)
{
    static const char value_refused[] = "invalid token", key_refused[] = "string or '}' expected";
    if (!error->text[0] || json_error_code(error) == json_error_out_of_memory)
        return true;
    return error->position > 0 && text[error->position - 1] == '"' &&
           (!strncmp(error->text, value_refused, sizeof value_refused - 1) ||
            !strncmp(error->text, key_refused, sizeof key_refused - 1));
}

static int32_t error_code(const json_error_t *error, const char *text)
{
    if (is_no_memory(error, text))
        return TRESOR_ERROR_NO_MEMORY;
    if (json_error_code(error) == json_error_duplicate_key)
        return TRESOR_ERROR_DUPLICATE;
    return TRESOR_ERROR_MALFORMED;
}

static bool fail_at(const struct tresor__parse_input *input, struct tresor__parse_output *output,
                    int32_t code, uint64_t offset)
{
    return tresor__parse_fail(
        output, input,
        (struct tresor_error){.code = code, .tensor = TRESOR_NONE, .offset = offset});
}

/* Offset in the text of the first byte from `start` on that is no padding. */
static uint64_t skip_padding(const char *bytes, uint64_t start,
                             const struct tresor__json_text *text)
{
    while (start < text->length && bytes[start] && strchr(text->padding, bytes[start]))
        start++;
    return start;
}

json_t *tresor__json_load(const struct tresor__parse_input *input,
                          const struct tresor__json_text *text, struct tresor__parse_output *output)
{
    const char *bytes = (const char *)input->bytes + text->offset;
    json_error_t error = {0}; /* jansson leaves the code alone where it has no text */
    json_t *root =
        json_loadb(bytes, (size_t)text->length,
                   text->flags | JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
    const uint64_t position = error.position > 0 ? (uint64_t)error.position : 0;
    if (!root) {
        fail_at(input, output, error_code(&error, bytes), text->offset + position);
        return NULL;
    }
    const uint64_t end = skip_padding(bytes, position, text);
    if (end == text->length && json_is_object(root))
        return root;
    json_decref(root);
    fail_at(input, output, TRESOR_ERROR_MALFORMED, text->offset + end);
    return NULL;
}

bool tresor__json_fail(const struct tresor__parse_input *input,
                       const struct tresor__json_text *text, struct tresor__parse_output *output,
                       int32_t code, const char *key)
{
    /* jansson does not tell where a key stood. Written without escapes, as usual, it can be found
     * again. */
    const uint8_t *at = input->bytes + text->offset;
    const uint8_t *end =
        at + text->length - 1; /* of "{...}" the inside, so that a quote can stand on each side */
    const size_t length = strlen(key);
    uint64_t position = 0;
    while (length && !position && (at = memmem(at + 1, (size_t)(end - at - 1), key, length))) {
        if (at[-1] == '"' && at[length] == '"')
            position = (uint64_t)(at - input->bytes) - text->offset;
        at += length - 1; /* a key has no quote inside, so no match that counts is passed over */
    }
    return fail_at(input, output, code, text->offset + position);
}
