/* The protocol's numbers in cJSON trees. */
#include <inttypes.h>
#include <stdio.h>

#include "base/hex.h"
#include "client/ocdmux.h"

/* 2^53-1: the last integer that every JSON reader keeps. */
#define VALUE_MAX_NUMBER 9007199254740991u

static bool value_parse_hex(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        int digit = hex_digit(*text);
        if (digit < 0 || value > UINT64_MAX >> 4) {
            return false;
        }
        value = value << 4 | (uint64_t)digit;
    }
    *ret_value = value;
    return true;
}

static bool value_parse_decimal(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

bool ocdmux_json_u64(const cJSON *item, uint64_t *ret_value)
{
    if (cJSON_IsString(item)) {
        const char *text = item->valuestring;
        if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
            return value_parse_hex(text + 2, ret_value);
        }
        return value_parse_decimal(text, ret_value);
    }
    /* Never valueint: it saturates. */
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > (double)VALUE_MAX_NUMBER) {
        return false;
    }
    uint64_t value = (uint64_t)item->valuedouble;
    if ((double)value != item->valuedouble) {
        return false;
    }
    *ret_value = value;
    return true;
}

cJSON *ocdmux_json_new_u64(uint64_t value)
{
    char text[32];
    if (value > VALUE_MAX_NUMBER) {
        (void)snprintf(text, sizeof(text), "0x%" PRIx64, value);
        return cJSON_CreateString(text);
    }
    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    return cJSON_CreateRaw(text);
}

void ocdmux_json_add_u64(cJSON *object, const char *name, uint64_t value)
{
    cJSON_AddItemToObject(object, name, ocdmux_json_new_u64(value));
}

void ocdmux_json_add_address(cJSON *object, const char *name, uint64_t address)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "0x%08" PRIx64, address);
    cJSON_AddStringToObject(object, name, text);
}
