/* SPDX-License-Identifier: MIT */
/*
 * The layers and their arrows: who may include whom, and where system headers for I/O may appear.
 * The first test runs the judge on planted lines, the second on every file under src and include.
 */
#include "support/test.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum layer {
    CORE,
    IO,
    FORMAT,
    SOURCE,
    TENSOR,
    STRATEGY,
    PLATFORM,
    BACKEND,
    COMPAT,
    ROOT,   /* files directly in src/ */
    PUBLIC, /* include/tresor */
    UNKNOWN,
};

#define MAY(layer) (1u << (layer))

static const struct {
    const char *folder;
    unsigned may; /* the layers it may include, besides its own, core and the public headers */
} layers[] = {
    [CORE] = {"src/core/", 0},
    [IO] = {"src/io/", 0},
    [FORMAT] = {"src/format/", 0},
    [SOURCE] = {"src/source/", MAY(IO) | MAY(FORMAT)},
    [TENSOR] = {"src/tensor/", MAY(SOURCE) | MAY(IO)},
    [STRATEGY] = {"src/strategy/", MAY(SOURCE) | MAY(IO)},
    [PLATFORM] = {"src/platform/", 0},
    [BACKEND] = {"src/backend/", MAY(PLATFORM)},
    [COMPAT] = {"src/compat/", MAY(PLATFORM)},
    [ROOT] = {"src/", ~0u},
    [PUBLIC] = {"include/tresor/", 0},
};

/** Headers that give I/O, threads or a clock; a trailing slash stands for the whole folder. */
static const char *const system_headers[] = {
    "aio.h",    "dirent.h",  "fcntl.h",   "io.h",    "liburing.h",  "liburing/", "linux/",
    "mqueue.h", "poll.h",    "pthread.h", "sched.h", "semaphore.h", "signal.h",  "spawn.h",
    "sys/",     "syscall.h", "threads.h", "time.h",  "unistd.h",    "windows.h",
};

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/** The layer of a path from the project's root. What is in no known folder is UNKNOWN. */
static enum layer layer_of(const char *path)
{
    for (int layer = CORE; layer <= COMPAT; layer++)
        if (starts_with(path, layers[layer].folder))
            return (enum layer)layer;
    if (starts_with(path, layers[PUBLIC].folder))
        return PUBLIC;
    if (starts_with(path, layers[ROOT].folder) && !strchr(path + strlen("src/"), '/'))
        return ROOT;
    return UNKNOWN;
}

static bool is_system_header(const char *name)
{
    for (size_t i = 0; i < sizeof system_headers / sizeof system_headers[0]; i++) {
        const char *header = system_headers[i];
        bool folder = header[strlen(header) - 1] == '/';
        if (folder ? starts_with(name, header) : strcmp(name, header) == 0)
            return true;
    }
    return false;
}

static const char *judge_quoted(enum layer from, const char *name)
{
    char path[512];
    if (strstr(name, "./"))
        return "name it from src/, without . or ..";
    if (starts_with(name, "tresor/"))
        return NULL;
    if (from == PUBLIC)
        return "a public header includes only public headers";
    snprintf(path, sizeof path, "src/%s", name);
    enum layer to = layer_of(path);
    if (to == UNKNOWN)
        return "no such layer";
    if (to == ROOT && from != ROOT)
        return "name it from src/; files directly in src/ are nobody's to include";
    if (to == from || to == CORE || (layers[from].may & MAY(to)))
        return NULL;
    return "the design has no such arrow";
}

static const char *judge_angled(enum layer from, const char *name)
{
    if (starts_with(name, "tresor/"))
        return NULL;
    if (is_system_header(name) && from != PLATFORM && from != BACKEND)
        return "a system header outside src/platform and src/backend";
    if (from == PUBLIC && strchr(name, '/'))
        return "a public header includes only public headers and C's own";
    return NULL;
}

/**
 * What is wrong with one line of the file at `path` (from the project's root), or NULL. Lines that
 * include nothing, or a macro (whose text is judged where it is defined to be included from), are
 * fine.
 */
static const char *judge_line(const char *path, const char *line)
{
    char name[256];
    enum layer from = layer_of(path);
    if (from == UNKNOWN)
        return "the file is in no layer";
    if (sscanf(line, " # include \"%255[^\"]\"", name) == 1)
        return judge_quoted(from, name);
    if (sscanf(line, " # include <%255[^>]>", name) == 1)
        return judge_angled(from, name);
    return NULL;
}

static void test_planted_lines(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *line;
        bool good;
    } planted[] = {
        {"src/core/fsm.c", "#include \"core/fsm.h\"", true},
        {"src/core/fsm.c", "#include <tresor/error.h>", true},
        {"src/core/fsm.c", "#include \"tresor/error.h\"", true},
        {"src/core/fsm.c", "#include <string.h>", true},
        {"src/core/fsm.c", "/* see \"backend/pool.h\" */", true},
        {"src/core/fsm.c", "#include \"io/plan.h\"", false},
        {"src/core/fsm.c", "#include \"format/format.h\"", false},
        {"src/core/fsm.c", "#include \"fsm.h\"", false},
        {"src/io/plan.c", "#include \"core/fsm.h\"", true},
        {"src/io/mmap/mmap.c", "#include \"io/window.h\"", true},
        {"src/io/mmap/mmap.c", "  #  include  \"backend/pool.h\"", false},
        {"src/io/mmap/mmap.c", "#include \"../../backend/pool.h\"", false},
        {"src/io/mmap/mmap.c", "#include \"io/../backend/pool.h\"", false},
        {"src/io/plan.c", "#include \"platform/sys.h\"", false},
        {"src/io/plan.c", "#include \"format/format.h\"", false},
        {"src/io/plan.c", "#include \"source/source.h\"", false},
        {"src/io/plan.c", "#include\t<sys/mman.h>", false},
        {"src/io/plan.c", "#include<unistd.h>", false},
        {"src/io/plan.c", "#include <time.h> /* now */", false},
        {"src/io/plan.c", "#include <threads.h>", false},
        {"src/io/plan.c", "#include <pthread.h>", false},
        {"src/io/plan.c", "#include <liburing.h>", false},
        {"src/format/gguf.c", "#include \"io/plan.h\"", false},
        {"src/format/gguf.c", "#include <jansson.h>", true},
        {"src/format/gguf.c", "#include <fcntl.h>", false},
        {"src/source/source.c", "#include \"io/plan.h\"", true},
        {"src/source/source.c", "#include \"format/format.h\"", true},
        {"src/source/source.c", "#include \"tensor/tensor.h\"", false},
        {"src/source/source.c", "#include \"backend/pool.h\"", false},
        {"src/source/source.def", "#include \"platform/sys.h\"", false},
        {"src/tensor/tensor.c", "#include \"source/source.h\"", true},
        {"src/tensor/tensor.c", "#include \"io/plan.h\"", true},
        {"src/tensor/tensor.c", "#include \"platform/sys.h\"", false},
        {"src/tensor/tensor.c", "#include \"backend/pool.h\"", false},
        {"src/platform/sys.c", "#include <sys/mman.h>", true},
        {"src/platform/sys.c", "#include \"core/effects.def\"", true},
        {"src/platform/sys.c", "#include \"backend/pool.h\"", false},
        {"src/backend/pool.c", "#include \"platform/sys.h\"", true},
        {"src/backend/pool.c", "#include <pthread.h>", true},
        {"src/backend/pool.c", "#include \"io/plan.h\"", false},
        {"src/backend/pool.c", "#include \"tensor/tensor.h\"", false},
        {"src/compat/llama.c", "#include \"platform/sys.h\"", true},
        {"src/compat/llama.c", "#include <tresor/tresor.h>", true},
        {"src/compat/llama.c", "#include \"backend/pool.h\"", false},
        {"src/compat/llama.c", "#include \"tensor/tensor.h\"", false},
        {"src/compat/llama.c", "#include \"tresor_context.h\"", false},
        {"src/tresor.c", "#include \"backend/pool.h\"", true},
        {"src/tresor.c", "#include \"tensor/tensor.h\"", true},
        {"src/tresor.c", "#include \"tresor_context.h\"", true},
        {"src/tresor.c", "#include <fcntl.h>", false},
        {"src/tresor.c", "#include \"elsewhere/x.h\"", false},
        {"src/elsewhere/x.c", "", false},
        {"include/tresor/error.h", "#include <tresor/version.h>", true},
        {"include/tresor/error.h", "#include <stdint.h>", true},
        {"include/tresor/error.h", "#include \"core/fsm.h\"", false},
        {"include/tresor/error.h", "#include \"version.h\"", false},
        {"include/tresor/error.h", "#include <sys/types.h>", false},
        {"include/tresor/error.h", "#include <time.h>", false},
        {"include/tresor/compat/llama.h", "#include <tresor/error.h>", true},
        {"include/tresor/compat/llama-mmap.h", "#include <memory>", true},
        {"include/tresor/compat/llama.h", "#include <unistd.h>", false},
    };
    for (size_t i = 0; i < sizeof planted / sizeof planted[0]; i++) {
        const char *fault = judge_line(planted[i].path, planted[i].line);
        if (!fault != planted[i].good)
            fail_msg("%s: %s: judged %s", planted[i].path, planted[i].line, fault ? fault : "good");
    }
}

struct walk {
    const char *root; /* absolute path of the project */
    int files;
    int faults;
};

static bool is_source(const char *path)
{
    static const char *const endings[] = {".c", ".cpp", ".h", ".def", ".inc"};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++)
        if (strcmp(dot, endings[i]) == 0)
            return true;
    return false;
}

static void judge_file(struct walk *walk, const char *full, const char *path)
{
    FILE *file = fopen(full, "r");
    char *line = NULL;
    size_t capacity = 0;
    assert_non_null(file);
    for (int number = 1; getline(&line, &capacity, file) >= 0; number++) {
        const char *fault = judge_line(path, line);
        if (!fault)
            continue;
        line[strcspn(line, "\n")] = '\0';
        print_message("# %s:%d: %s: %s\n", path, number, line, fault);
        walk->faults++;
    }
    free(line);
    fclose(file);
    walk->files++;
}

static void walk_folder(struct walk *walk, const char *folder)
{
    char full[4096], path[1024];
    snprintf(full, sizeof full, "%s/%s", walk->root, folder);
    DIR *entries = opendir(full);
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));) {
        struct stat status;
        if (entry->d_name[0] == '.')
            continue;
        assert_true(snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path);
        assert_true(snprintf(full, sizeof full, "%s/%s", walk->root, path) < (int)sizeof full);
        assert_int_equal(stat(full, &status), 0);
        if (S_ISDIR(status.st_mode))
            walk_folder(walk, path);
        else if (is_source(path))
            judge_file(walk, full, path);
    }
    closedir(entries);
}

static void test_the_tree(void **state)
{
    struct walk walk = {.root = *state};
    walk_folder(&walk, "src");
    assert_true(walk.files > 0);
    int in_src = walk.files;
    walk_folder(&walk, "include/tresor");
    assert_true(walk.files > in_src);
    assert_int_equal(walk.faults, 0);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s PROJECT_ROOT\n", argv[0]);
        return 2;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_planted_lines),
        cmocka_unit_test_prestate(test_the_tree, argv[1]),
    };
    return cmocka_run_group_tests_name("arrows", tests, NULL, NULL);
}
