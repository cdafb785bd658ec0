/* Firmware files, parsed into segments: which format it is, and what is common to all. */
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include "image/formats.h"

const char *image_format_name(enum image_format format)
{
    static const char *const names[] = {[IMAGE_BIN] = "bin",
                                        [IMAGE_IHEX] = "ihex",
                                        [IMAGE_SREC] = "srec",
                                        [IMAGE_ELF] = "elf",
                                        [IMAGE_UF2] = "uf2"};
    return names[format];
}

enum image_format image_detect(const uint8_t *bytes, size_t length)
{
    if (elf_file_detect(bytes, length)) {
        return IMAGE_ELF;
    }
    if (uf2_detect(bytes, length)) {
        return IMAGE_UF2;
    }
    if (ihex_detect(bytes, length)) {
        return IMAGE_IHEX;
    }
    return srec_detect(bytes, length) ? IMAGE_SREC : IMAGE_BIN;
}

static bool parse(struct parts *parts, uint64_t bin_address, uint8_t *bytes, size_t length, struct err *err)
{
    switch (parts->format) {
    case IMAGE_BIN:
        return parts_add(parts, bin_address, bytes, length, 0, err);
    case IMAGE_IHEX:
        return ihex_parse(parts, bytes, length, err);
    case IMAGE_SREC:
        return srec_parse(parts, bytes, length, err);
    case IMAGE_ELF:
        return elf_file_parse(parts, bytes, length, err);
    case IMAGE_UF2:
        return uf2_parse(parts, bytes, length, err);
    }
    abort();
}

/* Which may have been recognised by mistake. */
static void add_way_out(enum image_format format, struct err *err)
{
    struct err said = *err;
    err_set(err, said.kind, "%s (if this is no %s file, give format \"bin\")", said.message,
            parts_format_title(format));
    memcpy(err->details, said.details, sizeof said.details);
    err->detail_count = said.detail_count;
}

bool image_parse(enum image_format format, uint64_t bin_address, uint8_t *take_bytes, size_t length,
                 struct image *ret_image, struct err *err)
{
    struct parts parts = {.format = format};
    /* Asked before parsing, which may overwrite the text. */
    const bool looks_like_it = format != IMAGE_BIN && image_detect(take_bytes, length) == format;
    bool ok = parse(&parts, bin_address, take_bytes, length, err) &&
              parts_make_image(&parts, take_bytes, ret_image, err);
    parts_fini(&parts);
    if (!ok) {
        free(take_bytes);
        if (looks_like_it) {
            add_way_out(format, err);
        }
    }
    return ok;
}

void image_fini(struct image *image)
{
    free(image->segments);
    free(image->storage);
    memset(image, 0, sizeof *image);
}
