/* Firmware files: the first byte chooses the format. What is taken must be what image.h promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "base/alloc.h"
#include "image/image.h"

static uint8_t *copy_of(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = xmalloc(length);
    memcpy(copy, bytes, length);
    return copy;
}

/* Reads every byte, for ASan. */
static uint64_t sum_of(const struct image_segment *segment)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < segment->size; i++) {
        sum += segment->bytes[i];
    }
    return sum;
}

static void check_image(const struct image *image, enum image_format format, size_t length)
{
    uint64_t size = 0;
    uint64_t sum = 0;
    require(image->format == format);
    require(image->segment_count >= 1 && image->segment_count <= IMAGE_MAX_SEGMENTS);
    for (size_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        require(segment->size >= 1 && segment->size - 1 <= UINT64_MAX - segment->address);
        if (i > 0) {
            const struct image_segment *before = segment - 1;
            require(segment->address > before->address && segment->address - before->address > before->size);
        }
        size += segment->size;
        sum += sum_of(segment);
    }
    require(size == image->size && size <= length && sum <= 0xff * size);
    require(image->has_entry || image->entry == 0);
}

static void check_error(const struct err *err)
{
    require(err->kind == ERR_IMAGE_INVALID && err->message[0] != '\0');
    for (const char *at = err->message; *at != '\0'; at++) {
        require(*at >= 0x20 && *at <= 0x7e);
    }
}

static void check_format(enum image_format format, const uint8_t *bytes, size_t length)
{
    static const uint64_t addresses[] = {0, 0x08000000, UINT64_MAX};
    struct image image;
    struct err err;
    err_reset(&err);
    memset(&image, 0x55, sizeof image);
    if (image_parse(format, addresses[length % 3], copy_of(bytes, length), length, &image, &err)) {
        require(err.kind == ERR_NONE);
        check_image(&image, format, length);
        image_fini(&image);
    } else {
        require(is_filled(&image, sizeof image));
        check_error(&err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum image_format formats[] = {IMAGE_BIN, IMAGE_IHEX, IMAGE_SREC, IMAGE_ELF, IMAGE_UF2};
    if (size < 2) {
        return 0;
    }
    uint8_t *bytes = copy_of(data + 1, size - 1);
    const enum image_format found = image_detect(bytes, size - 1);
    check_format(formats[data[0] % 5], bytes, size - 1);
    if (found != formats[data[0] % 5]) {
        check_format(found, bytes, size - 1);
    }
    free(bytes);
    return 0;
}
