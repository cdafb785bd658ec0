/*
 * The formats' parsers, each in the file of its name. Each fills `parts` (fresh, with `format` set) from
 * `bytes`, in which decoded bytes may overwrite the text that said them; fails with image_invalid.
 */
#ifndef OCDMUX_IMAGE_FORMATS_H
#define OCDMUX_IMAGE_FORMATS_H

#include "image/parts.h"

bool ihex_parse(struct parts *parts, uint8_t *bytes, size_t length, struct err *err)
    __attribute__((warn_unused_result));
bool srec_parse(struct parts *parts, uint8_t *bytes, size_t length, struct err *err)
    __attribute__((warn_unused_result));
bool elf_file_parse(struct parts *parts, uint8_t *bytes, size_t length, struct err *err)
    __attribute__((warn_unused_result));
bool uf2_parse(struct parts *parts, uint8_t *bytes, size_t length, struct err *err)
    __attribute__((warn_unused_result));

/* By the first bytes. */
bool ihex_detect(const uint8_t *bytes, size_t length);
bool srec_detect(const uint8_t *bytes, size_t length);
bool elf_file_detect(const uint8_t *bytes, size_t length);
bool uf2_detect(const uint8_t *bytes, size_t length);

#endif
