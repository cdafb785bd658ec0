/*
 * ELF (TIS ELF specification 1.2 and gABI), through libelf: the loadable segments by physical address,
 * without the parts that have no bytes in the file. A segment is taken whole, as OpenOCD takes it: with the
 * padding between sections, and with the file's own headers where the linker mapped them. What libelf would
 * only cut to fit, or leave to its caller, is checked here.
 */
#include "image/formats.h"

#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <string.h>

struct elf_file {
    struct parts *parts;
    uint8_t *bytes;
    uint64_t length;
    Elf *elf;
    GElf_Ehdr header;
    bool by_virtual; /* physical addresses are not filled in */
    uint64_t taken;  /* bytes of the segments so far */
};

bool elf_file_detect(const uint8_t *bytes, size_t length)
{
    return length >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) == 0;
}

static bool is_32(const struct elf_file *self)
{
    return self->bytes[EI_CLASS] == ELFCLASS32;
}

static bool lies_inside(const struct elf_file *self, uint64_t offset, uint64_t size)
{
    return offset <= self->length && size <= self->length - offset;
}

/* As much as libelf takes for granted, or is silent about. */
static bool check_ident(const struct elf_file *self, struct err *err)
{
    if (!elf_file_detect(self->bytes, self->length)) {
        return parts_fault(self->parts, err, 0, "the file does not begin with the ELF magic number");
    }
    if (self->length < EI_NIDENT) {
        return parts_fault(self->parts, err, self->length,
                           "the file ends inside the ELF header: it is cut off");
    }
    if (self->bytes[EI_CLASS] != ELFCLASS32 && self->bytes[EI_CLASS] != ELFCLASS64) {
        return parts_fault(self->parts, err, EI_CLASS, "class 0x%02x is neither 32-bit nor 64-bit",
                           self->bytes[EI_CLASS]);
    }
    if (self->bytes[EI_DATA] != ELFDATA2LSB && self->bytes[EI_DATA] != ELFDATA2MSB) {
        return parts_fault(self->parts, err, EI_DATA, "data encoding 0x%02x is neither little nor big endian",
                           self->bytes[EI_DATA]);
    }
    if (self->bytes[EI_VERSION] != EV_CURRENT) {
        return parts_fault(self->parts, err, EI_VERSION, "ELF version 0x%02x is unknown",
                           self->bytes[EI_VERSION]);
    }
    if (self->length < (is_32(self) ? sizeof(Elf32_Ehdr) : sizeof(Elf64_Ehdr))) {
        return parts_fault(self->parts, err, self->length,
                           "the file ends inside the ELF header: it is cut off");
    }
    return true;
}

static bool refuse_with_libelf(const struct elf_file *self, const char *what, struct err *err)
{
    const char *words = elf_errmsg(-1);
    return parts_fault(self->parts, err, 0, "%s: libelf says: %s", what, words != NULL ? words : "nothing");
}

static bool open_elf(struct elf_file *self, struct err *err)
{
    if (elf_version(EV_CURRENT) == EV_NONE) {
        return refuse_with_libelf(self, "the library is too old", err);
    }
    self->elf = elf_memory((char *)self->bytes, (size_t)self->length);
    if (self->elf == NULL || gelf_getehdr(self->elf, &self->header) == NULL) {
        return refuse_with_libelf(self, "the ELF header cannot be read", err);
    }
    return true;
}

static bool check_type(const struct elf_file *self, struct err *err)
{
    const uint64_t where = offsetof(Elf64_Ehdr, e_type); /* the same in both classes */
    switch (self->header.e_type) {
    case ET_EXEC:
    case ET_DYN:
        return true;
    case ET_REL:
        return parts_fault(self->parts, err, where, "this is an object file that has not been linked yet");
    case ET_CORE:
        return parts_fault(self->parts, err, where, "this is a core dump, not a program");
    default: /* a number from outside */
        return parts_fault(self->parts, err, where, "file type 0x%04x is no program", self->header.e_type);
    }
}

static bool check_tables(const struct elf_file *self, struct err *err)
{
    const GElf_Ehdr *header = &self->header;
    const size_t entry_size = is_32(self) ? sizeof(Elf32_Phdr) : sizeof(Elf64_Phdr);
    if (header->e_phoff == 0 || header->e_phnum == 0) {
        return parts_fault(self->parts, err, 0, "there are no program headers, so nothing says what to load");
    }
    if (header->e_phnum == PN_XNUM) {
        return parts_fault(self->parts, err, header->e_phoff, "%u program headers or more are too many",
                           PN_XNUM);
    }
    if (header->e_phentsize != entry_size) {
        return parts_fault(self->parts, err, header->e_phoff, "program headers of %u bytes, not %zu",
                           header->e_phentsize, entry_size);
    }
    if (!lies_inside(self, header->e_phoff, (uint64_t)header->e_phnum * entry_size)) {
        return parts_fault(self->parts, err, header->e_phoff,
                           "the file ends before the end of the program headers: it is cut off");
    }
    /* Not needed for loading, but it stands last in most files, and is missing when the end is. */
    if (header->e_shoff != 0 &&
        !lies_inside(self, header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize)) {
        return parts_fault(self->parts, err, header->e_shoff,
                           "the file ends before the end of the section headers: it is cut off");
    }
    return true;
}

static bool take_segment(struct elf_file *self, const GElf_Phdr *segment, uint64_t where, struct err *err)
{
    const uint64_t last = is_32(self) ? UINT32_MAX : UINT64_MAX;
    const uint64_t address = self->by_virtual ? segment->p_vaddr : segment->p_paddr;
    const char *fault = NULL;
    if (segment->p_filesz > segment->p_memsz) {
        fault = "has more bytes in the file than in memory";
    } else if (!lies_inside(self, segment->p_offset, segment->p_filesz)) {
        fault = "lies outside the file, which may be cut off";
    } else if (address > last || segment->p_filesz - 1 > last - address) {
        fault = "goes past the last address";
    } else if (segment->p_filesz > self->length - self->taken) {
        fault = "has bytes of the file that other segments have, too";
    }
    if (fault != NULL) {
        parts_fault(self->parts, err, where,
                    "the segment of 0x%" PRIx64 " bytes at file offset 0x%" PRIx64 " for address 0x%08" PRIx64
                    " %s",
                    segment->p_filesz, segment->p_offset, address, fault);
        err_add_address(err, "address", address);
        return false;
    }
    self->taken += segment->p_filesz;
    return parts_add(self->parts, address, self->bytes + segment->p_offset, segment->p_filesz, where, err);
}

static bool read_segment(const struct elf_file *self, int index, GElf_Phdr *ret_segment, struct err *err)
{
    return gelf_getphdr(self->elf, index, ret_segment) != NULL ||
           refuse_with_libelf(self, "a program header cannot be read", err);
}

/*
 * Some linkers leave all physical addresses 0. Like BFD and OpenOCD, take the virtual ones when more than one
 * segment would have to be there.
 */
static bool choose_addresses(struct elf_file *self, struct err *err)
{
    unsigned loadable = 0;
    for (int i = 0; i < self->header.e_phnum; i++) {
        GElf_Phdr segment;
        if (!read_segment(self, i, &segment, err)) {
            return false;
        }
        if (segment.p_paddr != 0) {
            return true;
        }
        loadable += segment.p_type == PT_LOAD && segment.p_memsz > 0 ? 1 : 0;
    }
    self->by_virtual = loadable > 1;
    return true;
}

static bool take_segments(struct elf_file *self, struct err *err)
{
    for (int i = 0; i < self->header.e_phnum; i++) {
        GElf_Phdr segment;
        const uint64_t where = self->header.e_phoff + (uint64_t)i * self->header.e_phentsize;
        if (!read_segment(self, i, &segment, err)) {
            return false;
        }
        if (segment.p_type == PT_LOAD && segment.p_filesz > 0 && !take_segment(self, &segment, where, err)) {
            return false;
        }
    }
    if (self->parts->count == 0) {
        return parts_fault(self->parts, err, self->header.e_phoff,
                           "none of the %u program headers is a loadable segment with bytes in the file",
                           self->header.e_phnum);
    }
    if (self->header.e_entry != 0) {
        parts_set_entry(self->parts, self->header.e_entry); /* gABI: 0 says that there is none */
    }
    return true;
}

bool elf_file_parse(struct parts *parts, uint8_t *bytes, size_t length, struct err *err)
{
    struct elf_file self = {.parts = parts, .bytes = bytes, .length = length};
    bool ok = check_ident(&self, err) && open_elf(&self, err) && check_type(&self, err) &&
              check_tables(&self, err) && choose_addresses(&self, err) && take_segments(&self, err);
    elf_end(self.elf); /* NULL is allowed */
    return ok;
}
