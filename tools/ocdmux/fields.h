/* Members of results. Names are compared exactly; cJSON's own lookup by default is not case-sensitive. */
#ifndef OCDMUX_TOOL_FIELDS_H
#define OCDMUX_TOOL_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/ocdmux.h"

/* NULL if there is none. */
const cJSON *field_get(const cJSON *object, const char *name);
/* NULL if there is none or it is no string. */
const char *field_text(const cJSON *object, const char *name);
/* False if there is none or it is no number of the protocol. */
bool field_u64(const cJSON *object, const char *name, uint64_t *ret_value)
    __attribute__((warn_unused_result));
/* NULL if there is none or it is no array. */
const cJSON *field_array(const cJSON *object, const char *name);
/* False for anything but true. */
bool field_true(const cJSON *object, const char *name);
/* Writes a number as "0x%08x" into `out`, "-" where there is none. */
void field_format_address(const cJSON *object, const char *name, char out[20]);
/* Writes a number as digits into `out`, "-" where there is none. */
void field_format_number(const cJSON *object, const char *name, char out[24]);

#endif
