/* info and help. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "commands.h"
#include "fields.h"
#include "print.h"
#include "shell.h"
#include "shell/show.h"

#define SHELL_NAMES_MAX 256u

const char *const shell_info_words[] = {"registers", "all-registers", "breakpoints", "watchpoints",
                                        "target",    "files",         NULL};

/* --- info registers --- */

/* "r0             0x5                 5" */
static bool shell_show_register(struct shell *shell, const cJSON *entry)
{
    struct err err;
    uint64_t bits;
    char raw[32];
    struct strbuf natural = STRBUF_INIT;
    const char *name = field_text(entry, "name");
    const char *text = field_text(entry, "value");
    const struct shell_register *known = name == NULL ? NULL : shell_find_register(shell, name);
    if (known == NULL || text == NULL) {
        return false;
    }
    struct strbuf shown = STRBUF_INIT;
    print_escape(&shown, name, strlen(name), true);
    if (known->bits > 64 || !field_u64(entry, "value", &bits)) {
        printf("%-15s", strbuf_text(&shown));
        print_field(stdout, text);
        putchar('\n');
    } else {
        struct value value = value_make(&shell->access, shell_register_type(shell, known), bits);
        (void)snprintf(raw, sizeof(raw), "0x%" PRIx64, bits);
        /* Where it stands in a table gdb leaves a pointer's type out. */
        if (type_is_pointer(value.type)) {
            strbuf_append_text(&natural, raw);
        } else if (!show_value(&shell->access, &value, '\0', &natural, &err)) {
            strbuf_append_text(&natural, raw);
        }
        printf("%-14s %-19s %s\n", strbuf_text(&shown), raw, strbuf_text(&natural));
        strbuf_fini(&natural);
    }
    strbuf_fini(&shown);
    return true;
}

/* Adds a name to those asked for, with or without "$". */
static bool shell_add_name(const struct shell *shell, cJSON *names, const char *word, size_t length)
{
    size_t skip = length > 1 && word[0] == '$' ? 1 : 0;
    char *name = xstrndup(word + skip, length - skip);
    bool good = shell_find_register(shell, name) != NULL;
    if (good) {
        cJSON_AddItemToArray(names, cJSON_CreateString(name));
    } else {
        (void)shell_refuse("Invalid register `%s'", name);
    }
    free(name);
    return good;
}

static bool shell_info_registers(struct shell *shell, const char *arguments)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    if (!shell_know_target(shell)) {
        return false;
    }
    cJSON *params = session_board_params(shell->session);
    if (arguments[0] != '\0') {
        cJSON *names = cJSON_AddArrayToObject(params, "names");
        while (*arguments != '\0') {
            size_t length = strcspn(arguments, " \t");
            if (!shell_add_name(shell, names, arguments, length)) {
                cJSON_Delete(params);
                return false;
            }
            arguments += length + strspn(arguments + length, " \t");
        }
    }
    if (!session_call(shell->session, "register.read", params, NULL, &result)) {
        return false;
    }
    const cJSON *registers = field_array(result.json, "registers");
    const cJSON *entry = NULL;
    bool good = registers != NULL;
    cJSON_ArrayForEach(entry, registers)
    {
        good = good && shell_show_register(shell, entry);
    }
    ocdmux_result_fini(&result);
    if (!good) {
        (void)session_report_result(shell->session, "register.read");
    }
    return good;
}

static bool shell_info_all_registers(struct shell *shell)
{
    struct strbuf names = STRBUF_INIT;
    if (!shell_know_target(shell)) {
        return false;
    }
    for (size_t i = 0; i < shell->register_count && i < SHELL_NAMES_MAX; i++) {
        strbuf_appendf(&names, "%s%s", i == 0 ? "" : " ", shell->registers[i].name);
    }
    bool good = shell_info_registers(shell, strbuf_text(&names));
    strbuf_fini(&names);
    return good;
}

/* --- info --- */

static bool shell_info_target(struct shell *shell)
{
    if (!shell_run_command(shell, "status", "", cmd_status, NULL, 0, NULL)) {
        return false;
    }
    if (shell->file != NULL) {
        fputs("file: ", stdout);
        print_field(stdout, shell->file);
        putchar('\n');
    }
    return true;
}

/* Which word of `info` begins like this; "r" and "b" are gdb's short forms. */
static const char *shell_find_info(const char *word, size_t length)
{
    const char *found = NULL;
    if (length == 1 && word[0] == 'b') {
        return "breakpoints";
    }
    for (const char *const *name = shell_info_words; length > 0 && *name != NULL; name++) {
        if (strncmp(*name, word, length) == 0) {
            found = found == NULL ? *name : found;
        }
    }
    return found;
}

bool shell_info(struct shell *shell, char *arguments)
{
    size_t length = strcspn(arguments, " \t");
    const char *what = shell_find_info(arguments, length);
    const char *rest = arguments + length + strspn(arguments + length, " \t");
    if (length == 0) {
        puts("List of info subcommands:\n\n"
             "info registers [NAME...] -- The registers of the core, or those named.\n"
             "info all-registers -- All registers of the target.\n"
             "info breakpoints -- Breakpoints and watchpoints, those of others too.\n"
             "info target -- What the board and its link are doing.");
        return true;
    }
    if (what == NULL) {
        return shell_refuse("Undefined info command: \"%.*s\".  Try \"help info\".", (int)length, arguments);
    }
    if (strcmp(what, "registers") == 0) {
        return shell_info_registers(shell, rest);
    }
    if (strcmp(what, "all-registers") == 0) {
        return shell_info_all_registers(shell);
    }
    if (strcmp(what, "target") == 0 || strcmp(what, "files") == 0) {
        return shell_info_target(shell);
    }
    return shell_info_points(shell);
}

/* --- help --- */

static void shell_help_formats(void)
{
    puts("\nFMT is a count, a format letter and a size letter. Formats: x hex, z hex with zeros, d decimal,\n"
         "u unsigned, o octal, t binary, a address, c character, f float, s string. Sizes: b byte,\n"
         "h halfword, w word, g giant (8 bytes). What is not given is what was used last.");
}

bool shell_help(struct shell *shell, char *arguments)
{
    const struct shell_verb *verb = NULL;
    size_t length = strcspn(arguments, " \t");
    (void)shell;
    if (length > 0) {
        if (!shell_find_verb(arguments, length, &verb)) {
            return false;
        }
        printf("%s%s%s\n%s.\n", verb->name, verb->usage[0] == '\0' ? "" : " ", verb->usage, verb->summary);
        if (verb->run == shell_examine || verb->run == shell_print) {
            shell_help_formats();
        }
        return true;
    }
    for (verb = shell_verbs; verb->name != NULL; verb++) {
        int written = printf("%s%s%s", verb->name, verb->usage[0] == '\0' ? "" : " ", verb->usage);
        printf("%*s -- %s\n", written < 40 ? 40 - written : 0, "", verb->summary);
    }
    puts(
        "\nVerbs and words of info may be cut short. An empty line does the last one again; after x it goes\n"
        "on. Expressions are C's, with registers ($pc), variables ($x), values that were printed ($1) and\n"
        "{TYPE} ADDRESS. Ctrl-C cancels what runs.");
    return true;
}

/* --- echo --- */

/* gdb's: as it stands, with \n and the like, and no line break of its own. */
bool shell_echo(struct shell *shell, char *arguments)
{
    static const char letters[] = "nt\\";
    static const char meanings[] = "\n\t\\";
    (void)shell;
    for (const char *next = arguments; *next != '\0'; next++) {
        const char *letter = *next == '\\' && next[1] != '\0' ? strchr(letters, next[1]) : NULL;
        if (letter != NULL) {
            putchar(meanings[letter - letters]);
            next++;
        } else {
            putchar(*next);
        }
    }
    return true;
}
