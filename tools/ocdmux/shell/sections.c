/* ELF's sections, by libelf. */
#include "shell/sections.h"

#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

bool sections_is_elf(const uint8_t *bytes, size_t length)
{
    return length >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) == 0;
}

/* The load address: its place within the segment that it is in. */
static uint64_t sections_address(Elf *elf, const GElf_Shdr *header)
{
    size_t count = 0;
    if (elf_getphdrnum(elf, &count) != 0) {
        return header->sh_addr;
    }
    for (size_t i = 0; i < count && i < SECTIONS_MAX; i++) {
        GElf_Phdr segment;
        if (gelf_getphdr(elf, (int)i, &segment) == NULL || segment.p_type != PT_LOAD) {
            continue;
        }
        uint64_t offset = header->sh_offset - segment.p_offset;
        if (header->sh_offset >= segment.p_offset && offset < segment.p_filesz &&
            header->sh_size <= segment.p_filesz - offset) {
            return segment.p_paddr + offset;
        }
    }
    return header->sh_addr;
}

static bool sections_is_loaded(const GElf_Shdr *header)
{
    return (header->sh_flags & SHF_ALLOC) != 0 && header->sh_type != SHT_NOBITS && header->sh_size > 0;
}

static bool sections_walk(Elf *elf, const uint8_t *bytes, size_t length, struct sections *sections,
                          struct err *err)
{
    size_t names = 0;
    Elf_Scn *item = NULL;
    GElf_Ehdr file;
    if (elf_kind(elf) != ELF_K_ELF || gelf_getehdr(elf, &file) == NULL ||
        elf_getshdrstrndx(elf, &names) != 0) {
        return err_set(err, ERR_IMAGE_INVALID, "the ELF file is broken: %s", elf_errmsg(-1));
    }
    sections->entry = file.e_entry;
    while ((item = elf_nextscn(elf, item)) != NULL && sections->count < SECTIONS_MAX) {
        GElf_Shdr header;
        if (gelf_getshdr(item, &header) == NULL) {
            return err_set(err, ERR_IMAGE_INVALID, "the ELF file is broken: %s", elf_errmsg(-1));
        }
        if (!sections_is_loaded(&header)) {
            continue;
        }
        if (header.sh_offset > length || header.sh_size > length - header.sh_offset) {
            return err_set(err, ERR_IMAGE_INVALID, "the ELF file is cut off");
        }
        const char *name = elf_strptr(elf, names, header.sh_name);
        sections->items = xrealloc(sections->items, (sections->count + 1) * sizeof(*sections->items));
        sections->items[sections->count++] = (struct section){.name = xstrdup(name == NULL ? "" : name),
                                                              .address = sections_address(elf, &header),
                                                              .bytes = bytes + header.sh_offset,
                                                              .size = (size_t)header.sh_size};
    }
    return true;
}

bool sections_read(const uint8_t *bytes, size_t length, struct sections *ret_sections, struct err *err)
{
    struct sections sections = {.items = NULL};
    if (elf_version(EV_CURRENT) == EV_NONE) {
        return err_set(err, ERR_IMAGE_INVALID, "libelf is of another version");
    }
    /* libelf wants memory that it could write, and does not write when it reads. */
    Elf *elf = elf_memory((char *)(uintptr_t)bytes, length);
    if (elf == NULL) {
        return err_set(err, ERR_IMAGE_INVALID, "the ELF file is broken: %s", elf_errmsg(-1));
    }
    bool good = sections_walk(elf, bytes, length, &sections, err);
    elf_end(elf);
    if (!good) {
        sections_fini(&sections);
        return false;
    }
    *ret_sections = sections;
    return true;
}

void sections_fini(struct sections *sections)
{
    for (size_t i = 0; i < sections->count; i++) {
        free(sections->items[i].name);
    }
    free(sections->items);
    *sections = (struct sections){.items = NULL};
}
