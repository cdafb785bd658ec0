/* Flash content from and to files. */
#include "storage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "flash.h"
#include "log.h"

/* The whole file, `capacity` bytes at most. */
static bool storage_read(FILE *file, const char *path, uint8_t *bytes, size_t capacity, size_t *ret_length)
{
    size_t length = fread(bytes, 1, capacity, file);
    if (ferror(file)) {
        log_error("%s: %s", path, strerror(errno));
        return false;
    }
    if (length == capacity && fgetc(file) != EOF) {
        log_error("%s: longer than %zu bytes", path, capacity);
        return false;
    }
    *ret_length = length;
    return true;
}

bool storage_load_image(struct flash *flash, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        log_error("%s: %s", path, strerror(errno));
        return false;
    }
    uint8_t *bytes = malloc(flash->size);
    size_t length = 0;
    bool loaded = bytes != NULL && storage_read(file, path, bytes, flash->size, &length);
    if (loaded) {
        memcpy(flash->cells, bytes, length);
    }
    free(bytes);
    fclose(file);
    return loaded;
}

bool storage_load_state(struct flash *flash, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        if (errno == ENOENT) {
            return true;
        }
        log_error("%s: %s", path, strerror(errno));
        return false;
    }
    size_t expected = (size_t)flash->size + FLASH_OPTION_BYTES;
    uint8_t *bytes = malloc(expected);
    size_t length = 0;
    bool loaded = bytes != NULL && storage_read(file, path, bytes, expected, &length);
    if (loaded && length != expected) {
        log_error("%s: %zu bytes, not the %zu of this flash size", path, length, expected);
        loaded = false;
    }
    if (loaded) {
        memcpy(flash->cells, bytes, flash->size);
        memcpy(flash->options, bytes + flash->size, FLASH_OPTION_BYTES);
    }
    free(bytes);
    fclose(file);
    return loaded;
}

bool storage_save_state(const struct flash *flash, const char *path)
{
    char temporary[4096];
    int needed = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (needed < 0 || (size_t)needed >= sizeof(temporary)) {
        log_error("%s: name too long", path);
        return false;
    }
    FILE *file = fopen(temporary, "wb");
    if (file == NULL) {
        log_error("%s: %s", temporary, strerror(errno));
        return false;
    }
    bool written = fwrite(flash->cells, 1, flash->size, file) == flash->size &&
                   fwrite(flash->options, 1, FLASH_OPTION_BYTES, file) == FLASH_OPTION_BYTES;
    written = fclose(file) == 0 && written;
    if (!written || rename(temporary, path) != 0) {
        log_error("%s: %s", path, strerror(errno));
        unlink(temporary);
        return false;
    }
    return true;
}
