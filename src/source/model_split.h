/* SPDX-License-Identifier: MIT */
/* Splitting tensors of a model that is idle: what it would be is made beside it, then the two change places. */
#ifndef TRESOR_SOURCE_MODEL_SPLIT_H
#define TRESOR_SOURCE_MODEL_SPLIT_H

#include "source/model.h"

/** The extent of a tensor's outermost dimension where it can be split along it; 0 where it cannot, or is already. */
uint64_t tresor__model_splittable(const struct tresor__model *model, uint32_t tensor);

/**
 * Make in `next` the tables that the model has once these tensors are split too, each into as many slices as its
 * outermost dimension is long. TRESOR_OK, INVALID (no such tensor, it cannot be split, or is named twice), LIMIT or
 * NO_MEMORY. `next` is to be freed either way; the model is not changed.
 */
int32_t tresor__model_split(const struct tresor__model *model, const uint32_t *tensors, size_t count,
                            struct tresor__model *next);

/**
 * The model, of which nothing is resident or under way, gets the tables of `next`, and that one its own. Pages that are
 * kept or could not be given back stay on the books.
 */
void tresor__model_split_swap(struct tresor__model *model, struct tresor__model *next);

void tresor__model_split_free(struct tresor__model *next);

#endif
