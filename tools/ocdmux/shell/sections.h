/* The loadable sections of an ELF file, as gdb's compare-sections and load see them. Pure. */
#ifndef OCDMUX_SHELL_SECTIONS_H
#define OCDMUX_SHELL_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

#define SECTIONS_MAX 4096u

struct section {
    char *name;           /* owned */
    uint64_t address;     /* where it is loaded */
    const uint8_t *bytes; /* of the file */
    size_t size;          /* 1 or more */
};

struct sections {
    struct section *items; /* owned */
    size_t count;
    uint64_t entry;
};

/* Whether the bytes begin as an ELF file does. */
bool sections_is_elf(const uint8_t *bytes, size_t length);
/*
 * Reads the table of sections; `bytes` must outlive it. Fails with `image_invalid` where the file is broken.
 * Nothing is loaded of a file without sections.
 */
bool sections_read(const uint8_t *bytes, size_t length, struct sections *ret_sections, struct err *err)
    __attribute__((warn_unused_result));
void sections_fini(struct sections *sections);

#endif
