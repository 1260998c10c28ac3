/* SPDX-License-Identifier: MIT */
/* The files that hosts open: good models of many geometries, and some that cannot be opened. */
#ifndef TEST_RANDOM_MODELS_H
#define TEST_RANDOM_MODELS_H

#include "support/fake_sys.h"
#include "support/model_set.h"

enum {
    MODELS_GGUF = 5, /* one file each, of random layouts */
    MODELS_GOOD = MODELS_GGUF + 2,
    MODELS_ALL = MODELS_GOOD + 2, /* and one that is cut off, and one that is not there */
};

struct models {
    struct model_set sets[MODELS_GOOD];
    struct bytes broken;
};

/** Make all of them, always the same. */
void models_make(struct models *models);
void models_free(struct models *models);

/** Put the files into a fake system, as they were made. */
void models_add_to(const struct models *models, struct fake_sys *fake);

/** The path of one of MODELS_ALL. */
const char *models_path(const struct models *models, uint32_t model);

/** The bytes of a file by its path. */
const struct bytes *models_bytes(const struct models *models, const char *path);

#endif
