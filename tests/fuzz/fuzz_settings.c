/* The user's configuration: every setting that is handed out is one that is known, and has a value. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(void *arg, const struct setting *setting, const char *value)
{
    size_t *total = arg;
    require(setting->key != NULL && setting->variable != NULL && value[0] != '\0');
    require(strchr(value, '\n') == NULL && value[0] != ' ' && value[strlen(value) - 1] != ' ');
    *total += strlen(setting->key) + 1 + strlen(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    size_t total = 0;
    /* A copy of exactly its size, so that AddressSanitizer sees a reader that goes too far. */
    char *text = malloc(size == 0 ? 1 : size);
    require(text != NULL);
    memcpy(text, data, size);
    if (!settings_read(text, size, take, &total, &err)) {
        require(err.kind == ERR_INVALID_PARAMS && err.message[0] >= '1' && err.message[0] <= '9');
    }
    require(total <= size);
    free(text);
    return 0;
}
