/* SPDX-License-Identifier: MIT */
/* The models that are measured: made by the tool's generator when they are not there yet. */
#ifndef TRESOR_BENCH_MODELS_H
#define TRESOR_BENCH_MODELS_H

#include <stddef.h>

#include <tresor/tresor.h>

#include "measure.h"

/** A model of a few tensors; one with 2,000 tensors and a vocabulary of 128,000; one of
 * settings->model_bytes. */
void models_small(const struct settings *settings, char *path, size_t size_bytes);
void models_vocabulary(const struct settings *settings, char *path, size_t size_bytes);
void models_large(const struct settings *settings, char *path, size_t size_bytes);

/** Another of that size, with the same tensors and other bytes, for what must not find the first one's pages in the cache. */
void models_large_mapped(const struct settings *settings, char *path, size_t size_bytes);

/** Of settings->model_bytes in three layers of 64 experts, whose tensors can be split; and another. */
void models_experts(const struct settings *settings, char *path, size_t size_bytes);
void models_experts_mapped(const struct settings *settings, char *path, size_t size_bytes);

/** 100,000 tensors of 16 KiB, one after the other. */
void models_many(const struct settings *settings, char *path, size_t size_bytes);

/** The size of a model's file. */
size_t models_bytes(const char *path);

void models_open(struct tresor_context *context, const char *path, struct tresor_source *source);
void models_close(struct tresor_context *context, struct tresor_source source);

#endif
