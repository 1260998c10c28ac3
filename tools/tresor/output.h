/* SPDX-License-Identifier: MIT */
/*
 * Files that appear together or not at all. Each is written beside its place as "NAME.partial-N";
 * only when all are complete do they get their names. The first error sticks, is printed, and ends
 * the set.
 */
#ifndef TOOL_OUTPUT_H
#define TOOL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output_file {
    char *path;
    char *partial_path; /* NULL until begun */
    uint64_t size_bytes;
    bool renamed;
};

struct output {
    struct output_file *files;
    uint32_t file_count;
    uint32_t file_capacity;
    bool failed;
    bool committed;
    uint32_t current; /* the file that is being written, if descriptor is not -1 */
    int descriptor;
    uint8_t *buffer;
    size_t buffered_bytes;
};

/** Room for `file_capacity` files. False if there is no memory. */
bool output_begin(struct output *output, uint32_t file_capacity);

/** Name the next file of the set. False, after a message, if something is in its place. */
bool output_add(struct output *output, const char *path);

/** Begin file `index` of those added; what is written next goes into it. */
bool output_open(struct output *output, uint32_t index);

/** Write; does nothing once the set has failed. */
void output_write(struct output *output, const void *bytes, size_t size_bytes);
void output_zeros(struct output *output, uint64_t size_bytes);
void output_u16(struct output *output, uint16_t value);
void output_u32(struct output *output, uint32_t value);
void output_u64(struct output *output, uint64_t value);

/** Bytes of the open file so far. */
uint64_t output_position(const struct output *output);

/** End the open file. */
bool output_close(struct output *output);

/** Give every file its name. */
bool output_commit(struct output *output);

/** Mark the set failed for a reason that was already printed. */
void output_fail(struct output *output);

/** Free what the set holds; remove its files unless it was committed. */
void output_end(struct output *output);

#endif
