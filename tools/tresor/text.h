/* SPDX-License-Identifier: MIT */
/* Texts out of model files, which may hold anything: made safe for a terminal and for JSON. */
#ifndef TOOL_TEXT_H
#define TOOL_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/**
 * Print a text on one line: control characters, backslashes and what is not UTF-8 become \xNN, so
 * that the bytes can be told and no terminal obeys them. What is longer than `columns_max` ends in
 * "...". A NULL stream prints nothing. Returns the columns.
 */
size_t text_print(FILE *stream, const char *bytes, size_t size_bytes, size_t columns_max);

/** Print a text and fill up to `columns` with spaces. */
void text_print_padded(FILE *stream, const char *bytes, size_t size_bytes, size_t columns);

/** A JSON string; bytes that are not UTF-8 become U+FFFD. NULL if there is no memory. */
json_t *text_json(const char *bytes, size_t size_bytes);

/** The same for the key of an object; a NUL, which JSON readers in C cannot keep, becomes U+FFFD
 * too. */
json_t *text_json_key(const char *bytes, size_t size_bytes);

#endif
