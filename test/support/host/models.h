/* SPDX-License-Identifier: MIT */
/* The files that hosts open: good models of many geometries, and some that cannot be opened. */
#ifndef TEST_SUPPORT_HOST_MODELS_H
#define TEST_SUPPORT_HOST_MODELS_H

#include "support/fake_sys.h"
#include "support/model_set.h"

enum {
    MODELS_GGUF = 5, /* one file each, of random layouts */
    MODELS_GOOD = MODELS_GGUF + 2,
    MODELS_ALL = MODELS_GOOD + 2, /* and one that is cut off, and one that is not there */
};

struct models {
    struct model_set sets[MODELS_GOOD];
    struct bytes others[MODELS_GGUF]; /* the same tensors with other bytes: what a model may be replaced by */
    struct bytes broken;
};

/** Make all of them, always the same. */
void models_make(struct models *models);
void models_free(struct models *models);

/** Put the files into a fake system, as they were made. */
void models_add_to(const struct models *models, struct fake_sys *fake);

/** The path of one of MODELS_ALL. */
const char *models_path(const struct models *models, uint32_t model);

/** What may replace the file of a model below MODELS_GGUF, which is the file of that number in the fake system. */
const struct bytes *models_other(const struct models *models, uint32_t model,
                                 const struct bytes *now);

#endif
