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

static void make(const struct settings *settings, const char *name, const char *size,
                 const char *tensors, const char *vocabulary, char *path, size_t size_bytes)
{
    snprintf(path, size_bytes, "%s/%s.gguf", settings->folder, name);
    if (access(path, R_OK) == 0)
        return;
    const char *arguments[] = {settings->tool, "generate", "--format",  "gguf",
                               "--size",       size,       "--tensors", tensors,
                               "--vocabulary", vocabulary, path,        NULL};
    run(arguments);
}

void models_small(const struct settings *settings, char *path, size_t size_bytes)
{
    make(settings, "small", "1M", "12", "259", path, size_bytes);
}

void models_vocabulary(const struct settings *settings, char *path, size_t size_bytes)
{
    make(settings, "vocabulary", "64M", "2000", "128000", path, size_bytes);
}

void models_large(const struct settings *settings, char *path, size_t size_bytes)
{
    char name[64];
    char size[32];
    snprintf(size, sizeof size, "%llu", (unsigned long long)settings->model_bytes);
    snprintf(name, sizeof name, "large-%s", size);
    make(settings, name, size, "201", "259", path, size_bytes);
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
