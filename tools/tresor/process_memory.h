/* SPDX-License-Identifier: MIT */
/* What the kernel counts of this process. */
#ifndef TOOL_PROCESS_MEMORY_H
#define TOOL_PROCESS_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/** Begin anew with the peak of resident memory; false where the system refuses. */
bool process_reset_peak(void);

/** The peak of resident memory since the reset, or the process's begin; 0 if it is not told. */
uint64_t process_peak_bytes(void);

/** Resident memory now; 0 if it is not told. */
uint64_t process_resident_bytes(void);

/** What storage was made to deliver for this process so far; false if it is not told. */
bool process_disk_bytes(uint64_t *disk_bytes);

#endif
