/* The text of a configuration. */

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "settings.h"

const struct setting settings_known[] = {
    {"server", "OCDMUX_SERVER", false},
    {"board", "OCDMUX_BOARD", false},
    {"target", "OCDMUX_TARGET", false},
    {"token", "OCDMUX_TOKEN", true},
    {"token-file", "OCDMUX_TOKEN_FILE", false},
    {"ca", "OCDMUX_CA", false},
    {"cert", "OCDMUX_CERT", false},
    {"key", "OCDMUX_KEY", false},
    {"timeout", "OCDMUX_TIMEOUT", false},
    {"color", "OCDMUX_COLOR", false},
    {NULL, NULL, false},
};

static const struct setting *settings_find(const char *key, size_t length)
{
    for (const struct setting *setting = settings_known; setting->key != NULL; setting++) {
        if (strlen(setting->key) == length && memcmp(setting->key, key, length) == 0) {
            return setting;
        }
    }
    return NULL;
}

static bool settings_is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\r';
}

/* Cuts blanks off both ends. */
static void settings_trim(const char **text, size_t *length)
{
    while (*length > 0 && settings_is_blank((*text)[0])) {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && settings_is_blank((*text)[*length - 1])) {
        (*length)--;
    }
}

static bool settings_read_line(const char *line, size_t length, size_t number, settings_take_fn *take,
                               void *arg, struct err *err)
{
    settings_trim(&line, &length);
    if (length == 0 || line[0] == '#') {
        return true;
    }
    const char *sign = memchr(line, '=', length);
    if (sign == NULL) {
        return err_set(err, ERR_INVALID_PARAMS, "%zu: this is not KEY = VALUE", number);
    }
    const char *key = line;
    size_t key_length = (size_t)(sign - line);
    const char *value = sign + 1;
    size_t value_length = length - key_length - 1;
    settings_trim(&key, &key_length);
    settings_trim(&value, &value_length);
    const struct setting *setting = settings_find(key, key_length);
    if (setting == NULL) {
        return err_set(err, ERR_INVALID_PARAMS, "%zu: there is no key '%.*s'", number,
                       (int)(key_length < 40 ? key_length : 40), key);
    }
    if (value_length == 0) {
        return err_set(err, ERR_INVALID_PARAMS, "%zu: %s has no value", number, setting->key);
    }
    char *copy = xstrndup(value, value_length);
    take(arg, setting, copy);
    free(copy);
    return true;
}

bool settings_read(const char *text, size_t length, settings_take_fn *take, void *arg, struct err *err)
{
    size_t number = 1;
    if (memchr(text, '\0', length) != NULL) {
        return err_set(err, ERR_INVALID_PARAMS, "1: this is no text: it holds a NUL byte");
    }
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t line = end == NULL ? length : (size_t)(end - text);
        if (!settings_read_line(text, line, number, take, arg, err)) {
            return false;
        }
        number++;
        size_t whole = end == NULL ? line : line + 1;
        text += whole;
        length -= whole;
    }
    return true;
}
