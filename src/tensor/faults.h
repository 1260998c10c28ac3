/* SPDX-License-Identifier: MIT */
/* What becomes of pieces whose pages were lost under them. */
#ifndef TRESOR_TENSOR_FAULTS_H
#define TRESOR_TENSOR_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

struct tresor__controller;
struct tresor__message;
struct tresor__piece;
struct tresor__slot;

/** A run of pages of a file was replaced by zeros, as the guard's message says: who has them is poisoned, who is being loaded
 * from them fails. The source is open, or draining. */
void tresor__faults_poison(struct tresor__controller *controller, uint32_t source, uint32_t file,
                           const struct tresor__message *message);

/** The piece is poisoned: nobody acquires it any more, who has it is told at its release, and the host by an event. */
void tresor__faults_tell(struct tresor__controller *controller, struct tresor__piece *piece);

/** Whether pages of any of these pieces were replaced, also where the controller has not heard of it; `list` NULL: 0 to count
 * - 1. Of a context that has a guard. Any thread that is in the gate. */
bool tresor__faults_hit(const struct tresor__slot *slot, const uint32_t *list, uint32_t count);

#endif
