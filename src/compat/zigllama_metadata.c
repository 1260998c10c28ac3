/* SPDX-License-Identifier: MIT */
/* Values that the parser found, by their kinds. */
#include "compat/zigllama.h"

#include <string.h>

#include "compat/failure.h"

static int32_t find(struct tresor_zigllama_model *model, const char *key,
                    struct tresor_metadata_info *info, struct tresor_error *error)
{
    uint32_t index = 0;
    *info = (struct tresor_metadata_info){.size_bytes = sizeof *info};
    if (!model || !key)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    struct tresor_context *context = model->mapper->context;
    int32_t code = tresor_source_find_metadata(context, model->source, key, &index);
    if (code == TRESOR_OK)
        code = tresor_source_get_metadata(context, model->source, index, info);
    return tresor__zigllama_answer(code, error);
}

/* Little endian, perhaps unaligned. */
static uint64_t raw_of(const struct tresor_metadata_info *info)
{
    const uint8_t *bytes = info->data;
    uint64_t value = 0;
    for (uint64_t i = info->data_bytes; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

/* A number of any type: what it is, or without the sign's extension what its bits are. False for what is none. */
static bool integer_of(const struct tresor_metadata_info *info, uint64_t *value, bool *is_negative)
{
    uint64_t raw = info->data_bytes <= sizeof raw ? raw_of(info) : 0;
    switch (info->type) {
    case TRESOR_METADATA_U8:
    case TRESOR_METADATA_U16:
    case TRESOR_METADATA_U32:
    case TRESOR_METADATA_U64:
        *is_negative = false;
        break;
    case TRESOR_METADATA_I8:
    case TRESOR_METADATA_I16:
    case TRESOR_METADATA_I32:
    case TRESOR_METADATA_I64: {
        uint64_t sign = UINT64_C(1) << (info->data_bytes * 8 - 1);
        *is_negative = (raw & sign) != 0;
        raw = (raw ^ sign) - sign;
        break;
    }
    default:
        return false;
    }
    *value = raw;
    return true;
}

int32_t tresor_zigllama_get_unsigned(struct tresor_zigllama_model *model, const char *key,
                                     uint64_t *value, struct tresor_error *error)
{
    struct tresor_metadata_info info;
    uint64_t found = 0;
    bool is_negative = false;
    int32_t code = find(model, key, &info, error);
    if (code != TRESOR_OK)
        return code;
    if (!value || !integer_of(&info, &found, &is_negative) || is_negative)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    *value = found;
    return TRESOR_OK;
}

int32_t tresor_zigllama_get_signed(struct tresor_zigllama_model *model, const char *key,
                                   int64_t *value, struct tresor_error *error)
{
    struct tresor_metadata_info info;
    uint64_t found = 0;
    bool is_negative = false;
    int32_t code = find(model, key, &info, error);
    if (code != TRESOR_OK)
        return code;
    if (!value || !integer_of(&info, &found, &is_negative) ||
        (!is_negative && found > INT64_MAX))
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    *value = (int64_t)found;
    return TRESOR_OK;
}

int32_t tresor_zigllama_get_real(struct tresor_zigllama_model *model, const char *key,
                                 double *value, struct tresor_error *error)
{
    struct tresor_metadata_info info;
    int32_t code = find(model, key, &info, error);
    if (code != TRESOR_OK)
        return code;
    if (value && info.type == TRESOR_METADATA_F32) {
        uint32_t raw = (uint32_t)raw_of(&info);
        float found;
        memcpy(&found, &raw, sizeof found);
        *value = (double)found;
    } else if (value && info.type == TRESOR_METADATA_F64) {
        uint64_t raw = raw_of(&info);
        memcpy(value, &raw, sizeof *value);
    } else {
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    }
    return TRESOR_OK;
}

int32_t tresor_zigllama_get_bool(struct tresor_zigllama_model *model, const char *key,
                                 int32_t *value, struct tresor_error *error)
{
    struct tresor_metadata_info info;
    int32_t code = find(model, key, &info, error);
    if (code != TRESOR_OK)
        return code;
    if (!value || info.type != TRESOR_METADATA_BOOL)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    *value = raw_of(&info) != 0;
    return TRESOR_OK;
}

int32_t tresor_zigllama_get_string(struct tresor_zigllama_model *model, const char *key,
                                   const char **text, uint64_t *length_bytes,
                                   struct tresor_error *error)
{
    struct tresor_metadata_info info;
    int32_t code = find(model, key, &info, error);
    if (code != TRESOR_OK)
        return code;
    if (!text || !length_bytes || info.type != TRESOR_METADATA_STRING)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    *text = info.data;
    *length_bytes = info.data_bytes;
    return TRESOR_OK;
}

int32_t tresor_zigllama_get_array(struct tresor_zigllama_model *model, const char *key,
                                  uint32_t element_type, const void **data, uint64_t *count,
                                  struct tresor_error *error)
{
    struct tresor_metadata_info info;
    int32_t code = find(model, key, &info, error);
    if (code != TRESOR_OK)
        return code;
    if (!data || !count || info.type != TRESOR_METADATA_ARRAY || info.element_type != element_type)
        return tresor__fail(error, TRESOR_ERROR_INVALID, 0, 0, 0);
    *data = info.data;
    *count = info.count;
    return TRESOR_OK;
}
