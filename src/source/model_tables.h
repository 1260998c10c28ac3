/* SPDX-License-Identifier: MIT */
/* The tables of a model's pieces, which are made anew when tensors are split. */
#ifndef TRESOR_SOURCE_MODEL_TABLES_H
#define TRESOR_SOURCE_MODEL_TABLES_H

#include "source/model.h"

/** What tables are made of, for who makes room for them. */
enum {
    TRESOR__LEDGER_BITSETS = 12, /* of each file, a bit an interval */
    TRESOR__COVERS_EACH = 16,    /* on average of an interval, at the most; three are normal */
};

/** Make order, spans and intervals of the model's pieces, and the ledgers of its files, which are
 * blank but for tresor__file_init. TRESOR_OK, NO_MEMORY or LIMIT; what was made is freed with the
 * tables either way. */
int32_t tresor__model_make_tables(struct tresor__model *model);

/** Free them, and the lists of slices; the pointers stay. */
void tresor__model_free_tables(struct tresor__model *model);

#endif
