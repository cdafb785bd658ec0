/* print, x, set and find. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "fields.h"
#include "shell.h"
#include "shell/expr.h"
#include "shell/find.h"
#include "shell/show.h"

#define SHELL_FIND_MOST 200000u

/* --- print --- */

/* Takes "/FMT" off the arguments. */
static bool shell_take_format(struct shell *shell, const char **arguments, struct format *ret_format,
                              struct err *err)
{
    return format_read(*arguments + 1, &shell->examine.last, ret_format, arguments, err);
}

static bool shell_check_print_format(const struct shell *shell, const char *given, struct format *format,
                                     struct err *err)
{
    struct format plain;
    const char *rest;
    /* Whether a size or a count was written, and not only remembered. */
    if (!format_read(given, &(struct format){.letter = 'x'}, &plain, &rest, err)) {
        return false;
    }
    (void)shell;
    if (plain.size != '\0') {
        return err_set(err, ERR_INVALID_PARAMS, "Size letters are meaningless in \"print\" command.");
    }
    if (format->count != 1) {
        return err_set(err, ERR_INVALID_PARAMS,
                       "Item count other than 1 is meaningless in \"print\" command.");
    }
    if (format->letter == 'i') {
        return err_set(err, ERR_INVALID_PARAMS, "Format letter \"i\" is meaningless in \"print\" command.");
    }
    return true;
}

static bool shell_print_value(struct shell *shell, const char *text, char format, struct err *err)
{
    struct value value = {.type = type_of(TYPE_VOID)};
    struct strbuf shown = STRBUF_INIT;
    bool last = text[strspn(text, " \t")] == '\0';
    bool good =
        last ? vars_read(&shell->vars, "", &value, err) : expr_compute(&shell->access, text, &value, err);
    good = good && value_fetch(&shell->access, &value, err) &&
           show_value(&shell->access, &value, format, &shown, err);
    if (good) {
        if (type_is_void(value.type)) {
            printf("$%zu = void\n", shell->vars.history_count + 1);
        }
        size_t number = vars_record(&shell->vars, &value);
        if (!type_is_void(value.type)) {
            printf("$%zu = %s\n", number, strbuf_text(&shown));
        }
    }
    strbuf_fini(&shown);
    return good;
}

bool shell_print(struct shell *shell, char *arguments)
{
    struct err err;
    struct format format = {.letter = '\0'};
    const char *text = arguments;
    if (!shell_know_target(shell)) {
        return false;
    }
    if (text[0] == '/') {
        const char *given = text + 1;
        if (!shell_take_format(shell, &text, &format, &err) ||
            !shell_check_print_format(shell, given, &format, &err)) {
            return shell_complain(&err);
        }
        shell->examine.last.letter = format.letter;
    }
    return shell_print_value(shell, text, format.letter, &err) || shell_complain(&err);
}

bool shell_whatis(struct shell *shell, char *arguments)
{
    struct err err;
    struct value value;
    struct strbuf name = STRBUF_INIT;
    if (!shell_know_target(shell)) {
        return false;
    }
    if (!expr_compute(&shell->access, arguments, &value, &err)) {
        return shell_complain(&err);
    }
    type_print(&name, value.type);
    printf("type = %s\n", strbuf_text(&name));
    strbuf_fini(&name);
    return true;
}

/* --- x --- */

/* After x, $_ is where the last unit is, and $__ what it holds. */
static void shell_remember_examined(struct shell *shell)
{
    const struct value *last = &shell->examine.last_value;
    struct err ignored;
    struct value pointer = value_make(&shell->access, type_pointer_to(last->type), last->address);
    struct value content = last->lazy ? (struct value){.type = type_of(TYPE_VOID)} : *last;
    bool kept = vars_write(&shell->vars, "_", &pointer, &ignored) &&
                vars_write(&shell->vars, "__", &content, &ignored);
    (void)kept;
}

bool shell_examine(struct shell *shell, char *arguments)
{
    struct err err;
    struct format format = shell->examine.last;
    struct strbuf out = STRBUF_INIT;
    const char *text = arguments;
    uint64_t address = shell->examine.next;
    if (!shell_know_target(shell)) {
        return false;
    }
    format.count = 1;
    if (text[0] == '/') {
        if (!shell_take_format(shell, &text, &format, &err)) {
            return shell_complain(&err);
        }
    }
    text += strspn(text, " \t");
    if (*text == '\0') {
        if (!shell->examine.has_next) {
            return shell_refuse("Argument required (starting display address).");
        }
        /* Without anything it goes on with as many units. */
        format.count = arguments[0] == '\0' ? shell->examine.last.count : format.count;
    } else {
        struct value value;
        if (!expr_compute(&shell->access, text, &value, &err)) {
            return shell_complain(&err);
        }
        bool array = type_is_array(value.type) && value.place == VALUE_IN_MEMORY;
        if (!value_decay(&shell->access, &value, &err)) {
            return shell_complain(&err);
        }
        if (type_is_void(value.type)) {
            return shell_refuse("Value can't be converted to integer.");
        }
        address = array ? value.bits : value_integer(&shell->access, &value);
    }
    bool good = examine_memory(&shell->examine, &shell->access, &format, address, &out, &err);
    if (good) {
        fwrite(strbuf_text(&out), 1, out.length, stdout);
        shell_remember_examined(shell);
    }
    strbuf_fini(&out);
    return good || shell_complain(&err);
}

/* --- set --- */

/* gdb's settings that scripts begin with and that have no meaning here. */
static bool shell_is_setting(const char *text)
{
    static const char *const settings[] = {"confirm", "pagination", "height", "width", NULL};
    for (const char *const *word = settings; *word != NULL; word++) {
        size_t length = strlen(*word);
        if (strncmp(text, *word, length) == 0 && (text[length] == ' ' || text[length] == '\0')) {
            return true;
        }
    }
    return false;
}

bool shell_set(struct shell *shell, char *arguments)
{
    static const char *const forms[] = {"variable", "var", NULL};
    struct err err;
    struct value value;
    struct expr_end end;
    const char *text = arguments;
    for (const char *const *form = forms; *form != NULL; form++) {
        size_t length = strlen(*form);
        if (strncmp(text, *form, length) == 0 && (text[length] == ' ' || text[length] == '\0')) {
            text += length;
            break;
        }
    }
    if (text == arguments && shell_is_setting(text)) {
        return true;
    }
    text += strspn(text, " \t");
    if (*text == '\0') {
        return shell_refuse("Argument required (expression to compute).");
    }
    if (!shell_know_target(shell)) {
        return false;
    }
    if (!expr_compute_part(&shell->access, text, &value, &end, &err)) {
        return shell_complain(&err);
    }
    if (*end.rest != '\0') {
        return shell_refuse("one assignment at a time");
    }
    if (!end.is_assignment) {
        shell->access.warn(shell, "Expression is not an assignment (and might have no effect)");
    }
    return true;
}

/* --- find --- */

static bool shell_show_matches(struct shell *shell, const cJSON *result, bool limited)
{
    const cJSON *matches = field_array(result, "matches");
    const cJSON *match = NULL;
    uint64_t address = 0;
    struct err ignored;
    int count = cJSON_GetArraySize(matches);
    cJSON_ArrayForEach(match, matches)
    {
        if (!ocdmux_json_u64(match, &address)) {
            return session_report_result(shell->session, "memory.search") == STATUS_OK;
        }
        printf("0x%" PRIx64 "\n", address);
    }
    struct value number = value_make(&shell->access, type_of(TYPE_INT), (uint64_t)count);
    struct value pointer = value_make(&shell->access, type_pointer_to(type_of(TYPE_VOID)), address);
    bool kept = vars_write(&shell->vars, "numfound", &number, &ignored) &&
                (count == 0 || vars_write(&shell->vars, "_", &pointer, &ignored));
    (void)kept;
    if (count == 0) {
        puts("Pattern not found.");
    } else {
        printf("%d pattern%s found.\n", count, count == 1 ? "" : "s");
    }
    if (field_true(result, "truncated") && !limited) {
        fflush(stdout);
        fprintf(stderr, "note: stopped after %d patterns; there may be more\n", count);
    }
    fflush(stdout);
    session_note_disturbed(result);
    return true;
}

static bool shell_find_pattern(struct shell *shell, const struct find *find)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct strbuf hex = STRBUF_INIT;
    struct progress progress;
    if (find->length == 0) {
        puts("Empty search range.\nPattern not found.");
        return true;
    }
    progress_init(&progress, false);
    struct session_extra extra = {.progress = &progress};
    cJSON *params = session_long_params(shell->session);
    hex_encode(&hex, (const uint8_t *)find->pattern.data, find->pattern.length);
    cJSON_AddStringToObject(params, "pattern", strbuf_text(&hex));
    cJSON_AddStringToObject(params, "encoding", "hex");
    strbuf_fini(&hex);
    ocdmux_json_add_address(params, "start", find->start);
    ocdmux_json_add_address(params, "end", find->start + find->length);
    ocdmux_json_add_u64(params, "limit", find->most == 0 ? SHELL_FIND_MOST : find->most);
    if (!session_call(shell->session, "memory.search", params, &extra, &result)) {
        return false;
    }
    bool good = field_array(result.json, "matches") != NULL;
    if (good) {
        good = shell_show_matches(shell, result.json, find->most != 0);
    } else {
        (void)session_report_result(shell->session, "memory.search");
    }
    ocdmux_result_fini(&result);
    return good;
}

bool shell_find(struct shell *shell, char *arguments)
{
    struct err err;
    struct find find;
    if (!shell_know_target(shell)) {
        return false;
    }
    bool good = find_read(&shell->access, arguments, &find, &err);
    if (good) {
        good = shell_find_pattern(shell, &find);
    } else {
        (void)shell_complain(&err);
    }
    strbuf_fini(&find.pattern);
    return good;
}
