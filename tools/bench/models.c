/* SPDX-License-Identifier: MIT */
#include "models.h"

#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* posix_spawn's prototype lacks the const that its words deserve; it changes none of them. */
static void run(const char *const *arguments)
{
    pid_t child;
    int status = 0;
    if (posix_spawn(&child, arguments[0], NULL, NULL, (char *const *)(uintptr_t)arguments,
                    environ) != 0)
        give_up("%s cannot be run", arguments[0]);
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        give_up("%s generate failed", arguments[0]);
}

/* What is generated. */
struct recipe {
    uint64_t size_bytes;
    uint32_t tensors;
    uint32_t vocabulary;
    uint32_t experts;
    uint32_t seed;
};

static void make(const struct settings *settings, const char *name, const struct recipe *recipe,
                 char *path, size_t size_bytes)
{
    enum { NUMBER_BYTES = 24 };
    char size[NUMBER_BYTES];
    char tensors[NUMBER_BYTES];
    char vocabulary[NUMBER_BYTES];
    char seed[NUMBER_BYTES];
    char experts[NUMBER_BYTES];
    snprintf(path, size_bytes, "%s/%s.gguf", settings->folder, name);
    if (access(path, R_OK) == 0)
        return;
    snprintf(size, sizeof size, "%llu", (unsigned long long)recipe->size_bytes);
    snprintf(tensors, sizeof tensors, "%u", recipe->tensors);
    snprintf(vocabulary, sizeof vocabulary, "%u", recipe->vocabulary);
    snprintf(seed, sizeof seed, "%u", recipe->seed);
    snprintf(experts, sizeof experts, "%u", recipe->experts);
    const char *arguments[] = {settings->tool, "generate", "--format",  "gguf",
                               "--size",       size,       "--tensors", tensors,
                               "--vocabulary", vocabulary, "--seed",    seed,
                               path,           NULL,       NULL,        NULL};
    if (recipe->experts > 0) {
        arguments[12] = "--experts";
        arguments[13] = experts;
        arguments[14] = path;
    }
    run(arguments);
}

void models_small(const struct settings *settings, char *path, size_t size_bytes)
{
    struct recipe recipe = {.size_bytes = 1 << 20, .tensors = 12, .vocabulary = 259};
    make(settings, "small", &recipe, path, size_bytes);
}

void models_vocabulary(const struct settings *settings, char *path, size_t size_bytes)
{
    struct recipe recipe = {.size_bytes = 64 << 20, .tensors = 2000, .vocabulary = 128000};
    make(settings, "vocabulary", &recipe, path, size_bytes);
}

/* Those of the size that was asked for, which is part of their names. */
static void make_large(const struct settings *settings, const char *kind, struct recipe recipe,
                       char *path, size_t size_bytes)
{
    char name[64];
    recipe.size_bytes = settings->model_bytes;
    recipe.vocabulary = 259;
    snprintf(name, sizeof name, "%s-%llu%s", kind, (unsigned long long)settings->model_bytes,
             recipe.seed > 0 ? "-mapped" : "");
    make(settings, name, &recipe, path, size_bytes);
}

void models_large(const struct settings *settings, char *path, size_t size_bytes)
{
    make_large(settings, "large", (struct recipe){.tensors = 201}, path, size_bytes);
}

void models_large_mapped(const struct settings *settings, char *path, size_t size_bytes)
{
    make_large(settings, "large", (struct recipe){.tensors = 201, .seed = 1}, path, size_bytes);
}

void models_experts(const struct settings *settings, char *path, size_t size_bytes)
{
    make_large(settings, "experts", (struct recipe){.tensors = 30, .experts = 64}, path, size_bytes);
}

void models_experts_mapped(const struct settings *settings, char *path, size_t size_bytes)
{
    make_large(settings, "experts", (struct recipe){.tensors = 30, .experts = 64, .seed = 1}, path,
               size_bytes);
}

size_t models_bytes(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0)
        give_up("%s is not there", path);
    return (size_t)status.st_size;
}

void models_open(struct tresor_context *context, const char *path, struct tresor_source *source)
{
    struct tresor_request request;
    int32_t code = tresor_source_open(context, path, 0, source, &request);
    if (code == TRESOR_OK)
        code = tresor_finish(context, request, 1, NULL);
    if (code != TRESOR_OK)
        give_up("%s: %s", path, tresor_error_name(code));
}

void models_close(struct tresor_context *context, struct tresor_source source)
{
    struct tresor_request request;
    if (tresor_source_close(context, source, 0, &request) != TRESOR_OK ||
        tresor_finish(context, request, 1, NULL) != TRESOR_OK)
        give_up("a source cannot be closed");
}
