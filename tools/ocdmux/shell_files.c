/* dump, restore, file, load and compare-sections. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cmd_transfer.h"
#include "commands.h"
#include "fields.h"
#include "file.h"
#include "print.h"
#include "shell.h"
#include "shell/expr.h"
#include "shell/sections.h"

/* --- words --- */

/* Cuts the next word off; "" at the end. A file's name may begin with "~/". */
static char *shell_take_word(char **text)
{
    char *word = *text + strspn(*text, " \t");
    char *end = word + strcspn(word, " \t");
    *text = end;
    if (*end != '\0') {
        *end = '\0';
        *text = end + 1 + strspn(end + 1, " \t");
    }
    return word;
}

static char *shell_expand_name(const char *name)
{
    struct strbuf path = STRBUF_INIT;
    const char *home = getenv("HOME");
    bool below_home = strncmp(name, "~/", 2) == 0 && home != NULL;
    strbuf_append_text(&path, below_home ? home : "");
    strbuf_append_text(&path, name + (below_home ? 1 : 0));
    return strbuf_steal(&path);
}

/* Takes the word if it stands next. */
static bool shell_take_keyword(char **text, const char *keyword)
{
    size_t length = strlen(keyword);
    if (strncmp(*text, keyword, length) != 0 || ((*text)[length] != ' ' && (*text)[length] != '\0')) {
        return false;
    }
    (void)shell_take_word(text);
    return true;
}

/* --- dump --- */

static bool shell_dump_range(struct shell *shell, const char *file, const char *start, const char *stop)
{
    char words[2][24];
    struct err err;
    uint64_t first;
    uint64_t end;
    if (!expr_compute_integer(&shell->access, start, &first, &err) ||
        !expr_compute_integer(&shell->access, stop, &end, &err)) {
        return shell_complain(&err);
    }
    if (first >= end) {
        return shell_refuse("Invalid memory address range (start >= end).");
    }
    (void)snprintf(words[0], sizeof(words[0]), "%" PRIu64, first);
    (void)snprintf(words[1], sizeof(words[1]), "%" PRIu64, end - first);
    const char *const arguments[] = {words[0], words[1], file};
    return shell_run_command(shell, "dump", "ADDRESS SIZE [FILE]", cmd_dump, arguments, 3, NULL);
}

/* "[binary] memory FILE START STOP" */
bool shell_dump(struct shell *shell, char *arguments)
{
    (void)shell_take_keyword(&arguments, "binary");
    if (!shell_take_keyword(&arguments, "memory")) {
        return shell_refuse("usage: dump [binary] memory FILE START STOP");
    }
    const char *name = shell_take_word(&arguments);
    const char *start = shell_take_word(&arguments);
    if (name[0] == '\0') {
        return shell_refuse("Missing filename.");
    }
    if (start[0] == '\0') {
        return shell_refuse("Missing start address.");
    }
    if (arguments[0] == '\0') {
        return shell_refuse("Missing stop address.");
    }
    if (!shell_know_target(shell)) {
        return false;
    }
    char *path = shell_expand_name(name);
    bool good = shell_dump_range(shell, path, start, arguments);
    free(path);
    return good;
}

/* --- restore --- */

/* What of the file goes where. */
struct shell_restore {
    uint64_t offset; /* added to where a byte stands in the file */
    uint64_t start;
    uint64_t end; /* 0: the file's end */
};

static bool shell_restore_bytes(struct shell *shell, const char *path, const struct shell_restore *restore)
{
    struct strbuf bytes = STRBUF_INIT;
    bool good = false;
    if (!file_read(path, &bytes)) {
        strbuf_fini(&bytes);
        return false;
    }
    uint64_t end = restore->end == 0 || restore->end > bytes.length ? bytes.length : restore->end;
    uint64_t address = restore->offset + restore->start;
    if (restore->start >= bytes.length) {
        (void)shell_refuse("Start address is greater than length of binary file %s.", path);
    } else if (shell->machine.word_size < 8 &&
               (address & UINT32_MAX) + (end - restore->start) > (uint64_t)UINT32_MAX + 1) {
        (void)shell_refuse("The file does not fit behind the address.");
    } else {
        address = shell->machine.word_size < 8 ? address & UINT32_MAX : address;
        fputs("Restoring binary file ", stdout);
        print_field(stdout, path);
        printf(" into memory (0x%" PRIx64 " to 0x%" PRIx64 ")\n", address, address + (end - restore->start));
        fflush(stdout);
        good = transfer_write(shell->session, address, (const uint8_t *)bytes.data + restore->start,
                              (size_t)(end - restore->start)) == STATUS_OK;
    }
    strbuf_fini(&bytes);
    return good;
}

/* A word as an expression; leaves what there is where there is none. */
static bool shell_take_integer(struct shell *shell, char **text, uint64_t *value)
{
    struct err err;
    const char *word = shell_take_word(text);
    return word[0] == '\0' || expr_compute_integer(&shell->access, word, value, &err) || shell_complain(&err);
}

/* "FILE binary [OFFSET [START [END]]]" */
bool shell_restore(struct shell *shell, char *arguments)
{
    struct shell_restore restore = {.offset = 0};
    const char *name = shell_take_word(&arguments);
    if (name[0] == '\0') {
        return shell_refuse("Missing filename.");
    }
    if (!shell_take_keyword(&arguments, "binary")) {
        return shell_refuse("restore takes plain bytes: 'restore FILE binary OFFSET'; 'load' takes images");
    }
    if (!shell_know_target(shell) || !shell_take_integer(shell, &arguments, &restore.offset) ||
        !shell_take_integer(shell, &arguments, &restore.start) ||
        !shell_take_integer(shell, &arguments, &restore.end)) {
        return false;
    }
    if (arguments[0] != '\0') {
        return shell_refuse("Junk at the end: %s", arguments);
    }
    if (restore.end != 0 && restore.end <= restore.start) {
        return shell_refuse("Start must be less than end.");
    }
    char *path = shell_expand_name(name);
    bool good = shell_restore_bytes(shell, path, &restore);
    free(path);
    return good;
}

/* --- the file that load and compare-sections take --- */

/* Remembers the file that is named; without a name there must be one. */
static bool shell_take_file(struct shell *shell, char *arguments)
{
    const char *name = shell_take_word(&arguments);
    if (name[0] == '\0') {
        return shell->file != NULL ||
               shell_refuse("No executable file specified.\nUse the \"file\" command.");
    }
    if (arguments[0] != '\0') {
        return shell_refuse("Junk at the end: %s", arguments);
    }
    free(shell->file);
    shell->file = shell_expand_name(name);
    return true;
}

bool shell_file(struct shell *shell, char *arguments)
{
    if (arguments[0] == '\0') {
        free(shell->file);
        shell->file = NULL;
        puts("No executable file now.");
        return true;
    }
    return shell_take_file(shell, arguments);
}

/* Where an ELF file's sections go. */
enum shell_place { SHELL_IN_FLASH, SHELL_IN_RAM, SHELL_IN_BOTH };

static bool shell_find_place(struct shell *shell, const struct sections *sections,
                             enum shell_place *ret_place)
{
    size_t inside = 0;
    if (!shell_know_flash(shell)) {
        return false;
    }
    for (size_t i = 0; i < sections->count; i++) {
        inside += shell_is_in_flash(shell, sections->items[i].address) ? 1 : 0;
    }
    *ret_place = inside == 0 ? SHELL_IN_RAM : inside == sections->count ? SHELL_IN_FLASH : SHELL_IN_BOTH;
    return true;
}

/* As in gdb the program counter is then where the program begins. */
static bool shell_set_entry(struct shell *shell, uint64_t entry)
{
    struct err err;
    const struct shell_register *pc = shell_find_register(shell, "pc");
    if (pc == NULL) {
        return true;
    }
    printf("Start address 0x%08" PRIx64 "\n", entry);
    /* Arm's bit for Thumb code is no part of the address. */
    bool thumb = shell_find_register(shell, "xPSR") != NULL || shell_find_register(shell, "cpsr") != NULL;
    return shell->access.write_register(shell, "pc", thumb ? entry & ~(uint64_t)1 : entry, &err) ||
           shell_complain(&err);
}

static bool shell_load_to(struct shell *shell, enum shell_place place)
{
    static const struct shell_option for_flash[] = {{"prepare", "halt"}, {"reset", "none"}, {NULL, NULL}};
    static const struct shell_option for_ram[] = {{"prepare", "halt"}, {NULL, NULL}};
    const char *const words[] = {shell->file};
    switch (place) {
    case SHELL_IN_FLASH:
        return shell_run_command(shell, "flash", "[FILE]", cmd_flash, words, 1, for_flash);
    case SHELL_IN_RAM:
        return shell_run_command(shell, "load", "[FILE]", cmd_load, words, 1, for_ram);
    case SHELL_IN_BOTH:
        break;
    }
    return shell_refuse("a part of the file goes to flash and a part does not: use 'ocdmux flash' and "
                        "'ocdmux load'");
}

static bool shell_load_elf(struct shell *shell, const struct strbuf *bytes)
{
    struct err err;
    struct sections sections;
    enum shell_place place = SHELL_IN_FLASH;
    if (!sections_read((const uint8_t *)bytes->data, bytes->length, &sections, &err)) {
        return shell_complain(&err);
    }
    bool good = shell_find_place(shell, &sections, &place) && shell_load_to(shell, place) &&
                shell_set_entry(shell, sections.entry);
    sections_fini(&sections);
    return good;
}

bool shell_load(struct shell *shell, char *arguments)
{
    struct strbuf bytes = STRBUF_INIT;
    if (!shell_take_file(shell, arguments) || !shell_know_target(shell)) {
        return false;
    }
    bool good = file_read(shell->file, &bytes);
    if (good && sections_is_elf((const uint8_t *)bytes.data, bytes.length)) {
        good = shell_load_elf(shell, &bytes);
    } else {
        good = good && shell_load_to(shell, SHELL_IN_FLASH);
    }
    strbuf_fini(&bytes);
    return good;
}

/* --- compare-sections --- */

static bool shell_compare_section(struct shell *shell, const struct section *section, bool *ret_equal)
{
    struct err err;
    uint8_t *found = xmalloc(section->size);
    bool good = shell->access.read_bytes(shell, section->address, found, section->size, &err);
    if (good) {
        *ret_equal = memcmp(found, section->bytes, section->size) == 0;
        fputs("Section ", stdout);
        print_field(stdout, section->name);
        printf(", range 0x%" PRIx64 " -- 0x%" PRIx64 ": %s\n", section->address,
               section->address + section->size, *ret_equal ? "matched." : "MIS-MATCHED!");
    }
    free(found);
    return good || shell_complain(&err);
}

/* A difference is a failure, so that scripts stop at it. */
static bool shell_compare_all(struct shell *shell, const struct sections *sections)
{
    bool all = true;
    for (size_t i = 0; i < sections->count; i++) {
        bool equal = false;
        if (!shell_compare_section(shell, &sections->items[i], &equal)) {
            return false;
        }
        all = all && equal;
    }
    if (!all) {
        shell->access.warn(shell,
                           "One or more sections of the target image does not match\nthe loaded file\n");
    }
    return all;
}

bool shell_compare_sections(struct shell *shell, char *arguments)
{
    struct err err;
    struct strbuf bytes = STRBUF_INIT;
    struct sections sections;
    if (!shell_take_file(shell, arguments) || !shell_know_target(shell)) {
        return false;
    }
    bool good = file_read(shell->file, &bytes);
    if (good && !sections_is_elf((const uint8_t *)bytes.data, bytes.length)) {
        good = shell_refuse("compare-sections takes ELF files: 'ocdmux verify' compares the others");
    } else if (good && !sections_read((const uint8_t *)bytes.data, bytes.length, &sections, &err)) {
        good = shell_complain(&err);
    } else if (good) {
        good = shell_compare_all(shell, &sections);
        sections_fini(&sections);
    }
    strbuf_fini(&bytes);
    return good;
}
