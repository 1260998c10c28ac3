/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interrupt.h"

#define BUFFER_BYTES ((size_t)1 << 20)
/* One write never lasts so long that an interrupt goes unnoticed. */
#define WRITE_BYTES_MAX ((size_t)8 << 20)
/* Partial names that are tried before giving up: killed runs may have left some. */
#define PARTIAL_NAMES 1000

bool output_begin(struct output *output, uint32_t file_capacity)
{
    *output = (struct output){.descriptor = -1, .file_capacity = file_capacity};
    output->files = calloc(file_capacity, sizeof *output->files);
    output->buffer = malloc(BUFFER_BYTES);
    return output->files && output->buffer;
}

void output_fail(struct output *output)
{
    output->failed = true;
}

static bool fail(struct output *output, const char *doing, const char *path, const char *reason)
{
    if (!output->failed)
        fprintf(stderr, "tresor: cannot %s '%s': %s\n", doing, path, reason);
    output->failed = true;
    return false;
}

/** Whether a file may get this name: nothing is there, or a file or link, which is replaced. */
static bool place_is_free(struct output *output, const char *path)
{
    struct stat there;
    if (lstat(path, &there) != 0)
        return errno == ENOENT || fail(output, "make", path, strerror(errno));
    if (!S_ISREG(there.st_mode) && !S_ISLNK(there.st_mode))
        return fail(output, "make", path, "what is there is not a regular file");
    return true;
}

bool output_add(struct output *output, const char *path)
{
    assert(output->file_count < output->file_capacity);
    if (!place_is_free(output, path))
        return false;
    char *copy = strdup(path);
    if (!copy)
        return fail(output, "make", path, strerror(ENOMEM));
    output->files[output->file_count++].path = copy;
    return true;
}

bool output_open(struct output *output, uint32_t index)
{
    assert(index < output->file_count && output->descriptor < 0);
    struct output_file *file = &output->files[index];
    for (int i = 0; i < PARTIAL_NAMES && output->descriptor < 0 && !output->failed; i++) {
        char *partial_path = NULL;
        if (asprintf(&partial_path, "%s.partial-%ld", file->path, (long)getpid() + i) < 0)
            return fail(output, "make", file->path, strerror(ENOMEM));
        output->descriptor = open(partial_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (output->descriptor >= 0) {
            file->partial_path = partial_path;
            output->current = index;
            return true;
        }
        if (errno != EEXIST || i == PARTIAL_NAMES - 1)
            fail(output, "make", partial_path, strerror(errno));
        free(partial_path);
    }
    return false;
}

static void write_through(struct output *output, const uint8_t *bytes, size_t size_bytes)
{
    const char *path = output->files[output->current].path;
    while (size_bytes > 0 && !output->failed) {
        if (interrupt_signal()) {
            fail(output, "finish", path, "interrupted");
            return;
        }
        const size_t part = size_bytes < WRITE_BYTES_MAX ? size_bytes : WRITE_BYTES_MAX;
        const ssize_t written = write(output->descriptor, bytes, part);
        if (written < 0 && errno != EINTR)
            fail(output, "write", path, strerror(errno));
        if (written > 0) {
            bytes += written;
            size_bytes -= (size_t)written;
        }
    }
}

static void flush(struct output *output)
{
    write_through(output, output->buffer, output->buffered_bytes);
    output->buffered_bytes = 0;
}

void output_write(struct output *output, const void *bytes, size_t size_bytes)
{
    if (output->failed)
        return;
    assert(output->descriptor >= 0);
    output->files[output->current].size_bytes += size_bytes;
    if (size_bytes > BUFFER_BYTES - output->buffered_bytes)
        flush(output);
    if (size_bytes >= BUFFER_BYTES) {
        write_through(output, bytes, size_bytes);
        return;
    }
    memcpy(output->buffer + output->buffered_bytes, bytes, size_bytes);
    output->buffered_bytes += size_bytes;
}

void output_zeros(struct output *output, uint64_t size_bytes)
{
    static const uint8_t zeros[4096];
    while (size_bytes > 0 && !output->failed) {
        const size_t part = size_bytes < sizeof zeros ? (size_t)size_bytes : sizeof zeros;
        output_write(output, zeros, part);
        size_bytes -= part;
    }
}

static void write_little_endian(struct output *output, uint64_t value, size_t size_bytes)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    output_write(output, bytes, size_bytes);
}

void output_u16(struct output *output, uint16_t value)
{
    write_little_endian(output, value, sizeof value);
}

void output_u32(struct output *output, uint32_t value)
{
    write_little_endian(output, value, sizeof value);
}

void output_u64(struct output *output, uint64_t value)
{
    write_little_endian(output, value, sizeof value);
}

uint64_t output_position(const struct output *output)
{
    return output->files[output->current].size_bytes;
}

bool output_close(struct output *output)
{
    if (output->descriptor < 0)
        return false;
    flush(output);
    const int descriptor = output->descriptor;
    output->descriptor = -1;
    /* Quotas and network file systems may only now tell that there is no room. */
    if (close(descriptor) != 0)
        fail(output, "write", output->files[output->current].path, strerror(errno));
    return !output->failed;
}

bool output_commit(struct output *output)
{
    for (uint32_t i = 0; i < output->file_count && !output->failed; i++) {
        struct output_file *file = &output->files[i];
        /* Looked at again: writing may have taken long. */
        if (!place_is_free(output, file->path))
            return false;
        if (rename(file->partial_path, file->path) != 0)
            return fail(output, "make", file->path, strerror(errno));
        file->renamed = true;
    }
    output->committed = !output->failed;
    return output->committed;
}

void output_end(struct output *output)
{
    if (output->descriptor >= 0)
        close(output->descriptor);
    for (uint32_t i = 0; i < output->file_count; i++) {
        struct output_file *file = &output->files[i];
        if (!output->committed && file->partial_path)
            unlink(file->renamed ? file->path : file->partial_path);
        free(file->path);
        free(file->partial_path);
    }
    free(output->files);
    free(output->buffer);
}
