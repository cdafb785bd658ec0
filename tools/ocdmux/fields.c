/* Looking into results. */
#include "fields.h"

#include <inttypes.h>
#include <stdio.h>

const cJSON *field_get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

const char *field_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(field_get(object, name));
}

bool field_u64(const cJSON *object, const char *name, uint64_t *ret_value)
{
    return ocdmux_json_u64(field_get(object, name), ret_value);
}

const cJSON *field_array(const cJSON *object, const char *name)
{
    const cJSON *array = field_get(object, name);
    return cJSON_IsArray(array) ? array : NULL;
}

bool field_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(field_get(object, name));
}

void field_format_address(const cJSON *object, const char *name, char out[20])
{
    uint64_t value;
    if (field_u64(object, name, &value)) {
        (void)snprintf(out, 20, "0x%08" PRIx64, value);
    } else {
        (void)snprintf(out, 20, "-");
    }
}

void field_format_number(const cJSON *object, const char *name, char out[24])
{
    uint64_t value;
    if (field_u64(object, name, &value)) {
        (void)snprintf(out, 24, "%" PRIu64, value);
    } else {
        (void)snprintf(out, 24, "-");
    }
}
