/* The table of sections of an ELF file: every section lies within the file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "shell/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct sections sections;
    uint8_t *bytes = malloc(size == 0 ? 1 : size);
    require(bytes != NULL);
    memcpy(bytes, data, size);
    if (sections_read(bytes, size, &sections, &err)) {
        require(sections_is_elf(bytes, size) && sections.count <= SECTIONS_MAX);
        for (size_t i = 0; i < sections.count; i++) {
            const struct section *section = &sections.items[i];
            require(section->size > 0 && section->bytes >= bytes && section->size <= size);
            require((size_t)(section->bytes - bytes) <= size - section->size);
        }
        sections_fini(&sections);
    } else {
        require(err.kind == ERR_IMAGE_INVALID);
    }
    free(bytes);
    return 0;
}
