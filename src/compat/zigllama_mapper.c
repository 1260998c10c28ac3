/* SPDX-License-Identifier: MIT */
#include "compat/zigllama.h"

#include "compat/failure.h"
#include "core/allocator.h"
#include "core/options.h"

enum {
    FILES_DEFAULT = 16,
    FILES_MAX = 4096,
    LOAD_FLAGS = TRESOR_ZIGLLAMA_LOAD_LOCK | TRESOR_ZIGLLAMA_LOAD_PREFAULT,
};

int32_t tresor__zigllama_answer(int32_t code, struct tresor_error *error)
{
    return code == TRESOR_OK ? TRESOR_OK : tresor__fail(error, code, 0, 0, 0);
}

/* One request at a time, whose reads are those of headers: pools can be small. */
struct tresor_context_options
tresor__zigllama_context_options(const struct tresor_allocator *allocator, uint32_t files_max)
{
    return (struct tresor_context_options){
        .size_bytes = sizeof(struct tresor_context_options),
        .allocator = *allocator,
        .strategy = TRESOR_STRATEGY_MMAP,
        .sources_max = files_max > 0 ? files_max : FILES_DEFAULT,
        .requests_max = 16,
        .items_max = 64,
        .waits_max = 256,
        .blocks_max = 4,
        .stages_max = 1,
        .stage_bytes = 64 * 1024,
        .backend = TRESOR_BACKEND_SYNC,
        .direct = TRESOR_DIRECT_OFF,
    };
}

static void free_mapper(struct tresor_zigllama_mapper *mapper)
{
    struct tresor_allocator allocator = mapper->allocator;
    tresor__free(&allocator, mapper->maps, mapper->files_max * sizeof(struct tresor_zigllama_map *));
    tresor__free(&allocator, mapper->models,
                 mapper->files_max * sizeof(struct tresor_zigllama_model *));
    tresor__free(&allocator, mapper, sizeof *mapper);
}

int32_t tresor__zigllama_mapper_over(const struct tresor__sys *sys,
                                     const struct tresor_allocator *allocator, uint32_t files_max,
                                     struct tresor_context *context,
                                     struct tresor_zigllama_mapper **mapper,
                                     struct tresor_error *error)
{
    uint32_t count = files_max > 0 ? files_max : FILES_DEFAULT;
    struct tresor_zigllama_mapper *made = tresor__allocate(allocator, sizeof *made);
    if (made) {
        *made = (struct tresor_zigllama_mapper){
            .sys = sys,
            .allocator = *allocator,
            .context = context,
            .files_max = count,
            .maps = tresor__allocate(allocator, count * sizeof(struct tresor_zigllama_map *)),
            .models = tresor__allocate(allocator, count * sizeof(struct tresor_zigllama_model *)),
        };
        if (made->maps && made->models) {
            *mapper = made;
            return TRESOR_OK;
        }
        free_mapper(made);
    }
    tresor_context_destroy(context);
    return tresor__fail(error, TRESOR_ERROR_NO_MEMORY, 0, 0, 0);
}

int32_t tresor_zigllama_mapper_create(const struct tresor_zigllama_mapper_options *options,
                                      struct tresor_zigllama_mapper **mapper,
                                      struct tresor_error *error)
{
    struct tresor_zigllama_mapper_options known = {0};
    struct tresor_context *context = NULL;
    if (mapper)
        *mapper = NULL;
    int32_t code = mapper ? TRESOR_OK : TRESOR_ERROR_INVALID;
    if (code == TRESOR_OK && options)
        code = tresor__options_copy(&known, sizeof known, options);
    if (code == TRESOR_OK && (known.files_max > FILES_MAX || known.reserved != 0 ||
                              !known.allocator.reallocate != !known.allocator.free))
        code = TRESOR_ERROR_INVALID;
    if (code != TRESOR_OK)
        return tresor__zigllama_answer(code, error);
    struct tresor_allocator allocator = tresor__allocator_or_default(&known.allocator);
    struct tresor_context_options of_context =
        tresor__zigllama_context_options(&allocator, known.files_max);
    code = tresor_context_create(&of_context, &context);
    if (code != TRESOR_OK)
        return tresor__zigllama_answer(code, error);
    return tresor__zigllama_mapper_over(tresor__sys_posix(), &allocator, known.files_max, context,
                                        mapper, error);
}

static int32_t end_maps(struct tresor_zigllama_mapper *mapper, struct tresor_error *error)
{
    int32_t code = TRESOR_OK;
    while (code == TRESOR_OK && mapper->map_count > 0) {
        code = tresor__zigllama_end_map(&mapper->maps[mapper->map_count - 1], error);
        mapper->map_count -= code == TRESOR_OK;
    }
    return code;
}

int32_t tresor_zigllama_mapper_destroy(struct tresor_zigllama_mapper **mapper,
                                       struct tresor_error *error)
{
    if (!mapper || !*mapper)
        return TRESOR_OK;
    struct tresor_zigllama_mapper *old = *mapper;
    int32_t left = TRESOR_OK;
    while (old->model_count > 0) {
        int32_t ended = tresor__zigllama_end_model(old->models[old->model_count - 1], error);
        if (ended == TRESOR_ERROR_THREAD)
            return ended;
        left = ended != TRESOR_OK ? ended : left;
        old->model_count--;
    }
    int32_t code = end_maps(old, error);
    if (code == TRESOR_OK)
        code = tresor__zigllama_answer(tresor_context_destroy(old->context), error);
    if (code != TRESOR_OK)
        return code;
    free_mapper(old);
    *mapper = NULL;
    return left;
}

/* A lock that is refused is in the map's record. */
static int32_t prepare(struct tresor_zigllama_map *map, uint32_t flags, struct tresor_error *error)
{
    int32_t code = TRESOR_OK;
    tresor_zigllama_advise(map, TRESOR_ADVICE_SEQUENTIAL, NULL);
    if (flags & TRESOR_ZIGLLAMA_LOAD_PREFAULT)
        code = tresor_zigllama_prefault(map, error);
    if (code == TRESOR_OK && flags & TRESOR_ZIGLLAMA_LOAD_LOCK)
        tresor_zigllama_lock(map, NULL);
    return code;
}

int32_t tresor_zigllama_load_file(struct tresor_zigllama_mapper *mapper, const char *path,
                                  uint32_t flags, struct tresor_zigllama_map **map,
                                  struct tresor_error *error)
{
    struct tresor_zigllama_map *made = NULL;
    if (map)
        *map = NULL;
    if (!mapper || !map || flags & ~(uint32_t)LOAD_FLAGS)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    if (mapper->map_count == mapper->files_max)
        return tresor__fail(error, TRESOR_ERROR_AGAIN, 0, 0, 0);
    int32_t code = tresor__zigllama_map_file(mapper->sys, path, TRESOR_ZIGLLAMA_READ,
                                             TRESOR_ZIGLLAMA_PRIVATE, &mapper->allocator, &made,
                                             error);
    if (code != TRESOR_OK)
        return code;
    made->is_mappers = true;
    mapper->maps[mapper->map_count++] = made;
    code = prepare(made, flags, error);
    if (code == TRESOR_OK)
        *map = made;
    else if (tresor__zigllama_end_map(&mapper->maps[mapper->map_count - 1], NULL) == TRESOR_OK)
        mapper->map_count--; /* else it goes with the mapper */
    return code;
}

static void add(struct tresor_zigllama_stats *sums, const struct tresor_zigllama_stats *stats)
{
    sums->total_bytes += stats->total_bytes;
    sums->page_count += stats->page_count;
    sums->resident_bytes += stats->resident_bytes;
    sums->is_resident_known = sums->is_resident_known && stats->is_resident_known;
    sums->is_locked = sums->is_locked || stats->is_locked;
    sums->huge = stats->huge > sums->huge ? stats->huge : sums->huge;
    sums->lock_code = stats->lock_code != TRESOR_OK ? stats->lock_code : sums->lock_code;
}

int32_t tresor_zigllama_get_usage(struct tresor_zigllama_mapper *mapper,
                                  struct tresor_zigllama_stats *stats, struct tresor_error *error)
{
    struct tresor_zigllama_stats sums = {.is_resident_known = 1};
    if (!mapper || !stats)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    int64_t page_bytes = mapper->sys->page_bytes(mapper->sys->cookie);
    if (page_bytes <= 0)
        return tresor__fail(error, TRESOR_ERROR_UNSUPPORTED, (int32_t)-page_bytes, 0, 0);
    sums.page_bytes = (uint64_t)page_bytes;
    for (uint32_t i = 0; i < mapper->map_count + mapper->model_count; i++) {
        struct tresor_zigllama_stats one = {.page_bytes = sums.page_bytes, .is_resident_known = 1};
        int32_t code =
            i < mapper->map_count
                ? tresor__zigllama_measure(mapper->maps[i], &one, error)
                : tresor__zigllama_add_model(mapper->models[i - mapper->map_count], &one, error);
        if (code != TRESOR_OK)
            return code;
        add(&sums, &one);
    }
    return tresor__zigllama_answer(tresor__info_copy(stats, &sums, sizeof sums), error);
}
