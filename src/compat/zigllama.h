/* SPDX-License-Identifier: MIT */
/* What the parts of the face share, and its functions over other system calls. */
#ifndef TRESOR_COMPAT_ZIGLLAMA_INNER_H
#define TRESOR_COMPAT_ZIGLLAMA_INNER_H

#include <tresor/compat/zigllama.h>
#include <tresor/context.h>

#include "compat/view.h"

struct tresor_zigllama_map {
    struct tresor_allocator allocator;
    struct tresor__view view;
    bool is_mappers; /* and not the host's to unmap */
    bool is_locked;
    uint32_t huge;     /* enum tresor_zigllama_huge */
    int32_t lock_code; /* of the last lock */
};

struct tresor_zigllama_model {
    struct tresor_zigllama_mapper *mapper;
    struct tresor_source source;
    uint32_t tensor_count;
    bool is_locked;
    int32_t lock_code;
    uint64_t pinned[]; /* a bit a tensor: acquired until the mapper ends */
};

struct tresor_zigllama_mapper {
    const struct tresor__sys *sys;
    struct tresor_allocator allocator;
    struct tresor_context *context;
    uint32_t files_max;
    uint32_t map_count;
    uint32_t model_count;
    struct tresor_zigllama_map **maps;
    struct tresor_zigllama_model **models;
};

int32_t tresor__zigllama_map_file(const struct tresor__sys *sys, const char *path,
                                  uint32_t protection, uint32_t flags,
                                  const struct tresor_allocator *allocator,
                                  struct tresor_zigllama_map **map, struct tresor_error *error);
int32_t tresor__zigllama_map_anonymous(const struct tresor__sys *sys, uint64_t size_bytes,
                                       uint32_t protection, uint32_t flags,
                                       const struct tresor_allocator *allocator,
                                       struct tresor_zigllama_map **map,
                                       struct tresor_error *error);

/** The options of a mapper's context; `files_max` is none or within its bound. */
struct tresor_context_options
tresor__zigllama_context_options(const struct tresor_allocator *allocator, uint32_t files_max);

/** A mapper over a context, which is its own from then on, and ended here where that fails. */
int32_t tresor__zigllama_mapper_over(const struct tresor__sys *sys,
                                     const struct tresor_allocator *allocator, uint32_t files_max,
                                     struct tresor_context *context,
                                     struct tresor_zigllama_mapper **mapper,
                                     struct tresor_error *error);

int32_t tresor__zigllama_choose(const struct tresor__sys *sys, uint64_t file_bytes,
                                struct tresor_zigllama_strategy *strategy,
                                struct tresor_error *error);
int32_t tresor__zigllama_available(const struct tresor__sys *sys, uint64_t *bytes,
                                   struct tresor_error *error);

/** Unmap a map of anybody's. */
int32_t tresor__zigllama_end_map(struct tresor_zigllama_map **map, struct tresor_error *error);

/** Release what it has acquired, close its source and free it, whatever is refused. TRESOR_OK, THREAD, which leaves all as it
 * was, or MAP_REFUSED. */
int32_t tresor__zigllama_end_model(struct tresor_zigllama_model *model, struct tresor_error *error);

/** Add a model's files to the sums. */
int32_t tresor__zigllama_add_model(struct tresor_zigllama_model *model,
                                   struct tresor_zigllama_stats *sums, struct tresor_error *error);

/** What a map has, and what sums become with it. */
int32_t tresor__zigllama_measure(const struct tresor_zigllama_map *map,
                                 struct tresor_zigllama_stats *stats, struct tresor_error *error);

/** A code of a call on the context, as an error. */
int32_t tresor__zigllama_answer(int32_t code, struct tresor_error *error);

#endif
