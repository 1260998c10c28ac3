/* SPDX-License-Identifier: MIT */
#ifndef TRESOR_TENSOR_SPLIT_H
#define TRESOR_TENSOR_SPLIT_H

#include "tensor/controller.h"

/**
 * Split tensors of an open source into slices: all of them, or none and nothing has changed. TRESOR_OK, INVALID, BUSY
 * (something of the source is resident, under way or in use), LIMIT or NO_MEMORY.
 */
int32_t tresor__split(struct tresor__controller *controller, struct tresor__slot *slot,
                      const uint32_t *tensors, size_t count);

#endif
