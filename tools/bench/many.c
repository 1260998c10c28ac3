/* SPDX-License-Identifier: MIT */
/* A GGUF file of many equal tensors, which the tool's generator, with a model's proportions, does
 * not make. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models.h"

enum {
    TENSORS = 100000,
    TENSOR_BYTES = 16 * 1024,
    ALIGNMENT = 32,
    GGUF_VERSION = 3,
    GGUF_F32 = 0,
    GGUF_STRING = 8,
};

static void put(FILE *file, const void *bytes, size_t size_bytes)
{
    if (fwrite(bytes, 1, size_bytes, file) != size_bytes)
        give_up("a model cannot be written: %s", strerror(errno));
}

static void put_u32(FILE *file, uint32_t number)
{
    put(file, &number, sizeof number);
}

static void put_u64(FILE *file, uint64_t number)
{
    put(file, &number, sizeof number);
}

static void put_string(FILE *file, const char *text)
{
    put_u64(file, strlen(text));
    put(file, text, strlen(text));
}

static void put_header(FILE *file)
{
    static const char zeros[ALIGNMENT];
    put(file, "GGUF", 4);
    put_u32(file, GGUF_VERSION);
    put_u64(file, TENSORS);
    put_u64(file, 1);
    put_string(file, "general.architecture");
    put_u32(file, GGUF_STRING);
    put_string(file, "llama");
    for (uint32_t i = 0; i < TENSORS; i++) {
        char name[32];
        snprintf(name, sizeof name, "blk.%u.expert.weight", (unsigned)i);
        put_string(file, name);
        put_u32(file, 1);
        put_u64(file, TENSOR_BYTES / sizeof(float));
        put_u32(file, GGUF_F32);
        put_u64(file, (uint64_t)i * TENSOR_BYTES);
    }
    put(file, zeros, (size_t)(ALIGNMENT - ftell(file) % ALIGNMENT) % ALIGNMENT);
}

static void put_tensors(FILE *file)
{
    static uint64_t words[TENSOR_BYTES / sizeof(uint64_t)];
    uint64_t seed = 1;
    for (uint32_t i = 0; i < TENSORS; i++) {
        for (size_t j = 0; j < sizeof words / sizeof words[0]; j++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            words[j] = seed;
        }
        put(file, words, sizeof words);
    }
}

void models_many(const struct settings *settings, char *path, size_t size_bytes)
{
    char partial[1100];
    snprintf(path, size_bytes, "%s/many.gguf", settings->folder);
    if (access(path, R_OK) == 0)
        return;
    snprintf(partial, sizeof partial, "%s.partial", path);
    FILE *file = fopen(partial, "wb");
    if (!file)
        give_up("%s: %s", partial, strerror(errno));
    put_header(file);
    put_tensors(file);
    if (fclose(file) != 0 || rename(partial, path) != 0)
        give_up("%s: %s", path, strerror(errno));
}
