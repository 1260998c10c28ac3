/* SPDX-License-Identifier: MIT */
/* Groups of a slot: made at a call, seen by other threads once they are whole. */
#ifndef TRESOR_TENSOR_GROUPS_H
#define TRESOR_TENSOR_GROUPS_H

#include "tensor/slot.h"

/** Room for `count` pieces, and none in it yet; NULL: no memory. */
struct tresor__group *tresor__groups_make(const struct tresor_allocator *allocator, uint32_t count);
void tresor__groups_free(const struct tresor_allocator *allocator, struct tresor__group *group);

/** Put a tensor, or the slices that stand for it, behind the first `*count` pieces. */
void tresor__groups_put(const struct tresor__model *model, struct tresor__group *group,
                        uint32_t *count, uint32_t tensor);

/** The group is whole, and the slot has a place for it. Its item. */
uint64_t tresor__groups_add(struct tresor__slot *slot, struct tresor__group *group);

/** How many pieces a group has once its tensors are split as `model` says. */
uint64_t tresor__groups_measure(const struct tresor__group *group, const struct tresor__model *model);

/** The same group of those pieces, `count` by the above; NULL: no memory. */
struct tresor__group *tresor__groups_split(const struct tresor__group *group,
                                           const struct tresor__model *model, uint32_t count);

#endif
