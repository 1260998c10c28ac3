/* SPDX-License-Identifier: MIT */
/* Opening a model with a large header, against open and read of the same bytes into fresh memory. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measure.h"
#include "models.h"

struct header {
    struct tresor_context *context;
    char path[1024];
    size_t size_bytes;
};

static double open_model(void *argument)
{
    struct header *header = argument;
    struct tresor_source source;
    double start = now_seconds();
    models_open(header->context, header->path, &source);
    double seconds = now_seconds() - start;
    models_close(header->context, source);
    return seconds;
}

static double open_and_read(void *argument)
{
    struct header *header = argument;
    double start = now_seconds();
    int descriptor = open(header->path, O_RDONLY | O_CLOEXEC);
    /* Not malloc, which may hand out memory that is not fresh. */
    void *bytes = mmap(NULL, header->size_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ssize_t got = read(descriptor, bytes, header->size_bytes);
    double seconds = now_seconds() - start;
    if (got != (ssize_t)header->size_bytes)
        give_up("the header cannot be read");
    munmap(bytes, header->size_bytes);
    close(descriptor);
    return seconds;
}

/* The header ends where the first tensor begins. */
static size_t header_bytes(struct tresor_context *context, const char *path)
{
    struct tresor_source source;
    struct tresor_tensor_info tensor = {.size_bytes = sizeof tensor};
    models_open(context, path, &source);
    tresor_source_get_tensor(context, source, 0, &tensor);
    models_close(context, source);
    return (size_t)tensor.offset_bytes;
}

bool bench_open(const struct settings *settings)
{
    struct header header = {0};
    models_vocabulary(settings, header.path, sizeof header.path);
    const struct tresor_context_options options = {.size_bytes = sizeof options,
                                                   .backend = TRESOR_BACKEND_SYNC};
    if (tresor_context_create(&options, &header.context) != TRESOR_OK)
        give_up("no context");
    header.size_bytes = header_bytes(header.context, header.path);
    printf("header of %zu bytes\n", header.size_bytes);
    bool met = compare("open, 2,000 tensors, 128,000 strings", open_model, open_and_read, &header,
                       settings->pairs * 3, 3.0);
    tresor_context_destroy(header.context);
    return met;
}
