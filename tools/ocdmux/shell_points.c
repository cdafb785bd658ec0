/* break, hbreak, watch, rwatch, awatch, delete and info break. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "fields.h"
#include "print.h"
#include "shell.h"
#include "shell/expr.h"

#define SHELL_NUMBER_MAX 1000000u

void shell_free_points(struct shell *shell)
{
    for (size_t i = 0; i < shell->point_count; i++) {
        free(shell->points[i].what);
    }
    free(shell->points);
    shell->points = NULL;
    shell->point_count = 0;
}

static bool shell_is_code_point(const struct shell_point *point)
{
    return point->what == NULL;
}

unsigned shell_point_at(const struct shell *shell, uint64_t address)
{
    for (size_t i = 0; i < shell->point_count; i++) {
        if (shell->points[i].address == address && shell_is_code_point(&shell->points[i])) {
            return shell->points[i].number;
        }
    }
    return 0;
}

static struct shell_point *shell_add_point(struct shell *shell, uint64_t address, const char *kind,
                                           const char *type, const char *what)
{
    size_t count = shell->point_count;
    shell->points = xrealloc(shell->points, (count + 1) * sizeof(*shell->points));
    shell->points[count] = (struct shell_point){.number = ++shell->last_point,
                                                .address = address,
                                                .kind = kind,
                                                .type = type,
                                                .what = what == NULL ? NULL : xstrdup(what)};
    shell->point_count++;
    return &shell->points[count];
}

/* `length` of 0: the target's own. */
static bool shell_request_point(struct shell *shell, uint64_t address, const char *kind, uint64_t length)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    cJSON *params = session_board_params(shell->session);
    ocdmux_json_add_address(params, "address", address);
    cJSON_AddStringToObject(params, "kind", kind);
    if (length > 0) {
        ocdmux_json_add_u64(params, "length", length);
    }
    bool good = session_call(shell->session, "breakpoint.add", params, NULL, &result);
    ocdmux_result_fini(&result);
    return good;
}

/* "*ADDRESS", or nothing for where the target stands. */
static bool shell_set_break(struct shell *shell, const char *arguments, const char *type, const char *said)
{
    struct err err;
    uint64_t address;
    const char *text = arguments[0] == '\0' ? "*$pc" : arguments;
    if (text[0] != '*') {
        return shell_refuse("there are no symbols here: use \"break *ADDRESS\"");
    }
    if (text[1 + strspn(text + 1, " \t")] == '\0') {
        return shell_refuse("Argument required (expression to compute).");
    }
    if (!shell_know_target(shell)) {
        return false;
    }
    if (!expr_compute_integer(&shell->access, text + 1, &address, &err)) {
        return shell_complain(&err);
    }
    if (shell->machine.word_size < 8) {
        address &= UINT32_MAX;
    }
    bool hardware = strcmp(type, "breakpoint") != 0;
    if (!hardware && !shell_know_flash(shell)) {
        return false;
    }
    /* As gdb chooses: where an instruction cannot be written over, the core has to compare addresses. */
    const char *kind = hardware || shell_is_in_flash(shell, address) ? "hardware" : "software";
    if (!shell_request_point(shell, address, kind, 0)) {
        return false;
    }
    const struct shell_point *point = shell_add_point(shell, address, kind, type, NULL);
    printf("%s %u at 0x%" PRIx64 "\n", said, point->number, point->address);
    return true;
}

bool shell_break(struct shell *shell, char *arguments)
{
    return shell_set_break(shell, arguments, "breakpoint", "Breakpoint");
}

bool shell_hbreak(struct shell *shell, char *arguments)
{
    return shell_set_break(shell, arguments, "hw breakpoint", "Hardware assisted breakpoint");
}

static bool shell_set_watch(struct shell *shell, const char *arguments, const char *kind, const char *type,
                            const char *said)
{
    struct err err;
    struct value value;
    if (arguments[0] == '\0') {
        return shell_refuse("Argument required (expression to compute).");
    }
    if (!shell_know_target(shell)) {
        return false;
    }
    if (!expr_compute(&shell->access, arguments, &value, &err)) {
        return shell_complain(&err);
    }
    if (value.place != VALUE_IN_MEMORY) {
        return shell_refuse("Cannot watch constant value `%s'.", arguments);
    }
    if (!shell_request_point(shell, value.address, kind, type_size(value.type, &shell->machine))) {
        return false;
    }
    const struct shell_point *point = shell_add_point(shell, value.address, kind, type, arguments);
    printf("%s %u: ", said, point->number);
    print_field(stdout, point->what);
    putchar('\n');
    return true;
}

bool shell_watch(struct shell *shell, char *arguments)
{
    return shell_set_watch(shell, arguments, "write", "hw watchpoint", "Hardware watchpoint");
}

bool shell_rwatch(struct shell *shell, char *arguments)
{
    return shell_set_watch(shell, arguments, "read", "read watchpoint", "Hardware read watchpoint");
}

bool shell_awatch(struct shell *shell, char *arguments)
{
    return shell_set_watch(shell, arguments, "access", "acc watchpoint",
                           "Hardware access (read/write) watchpoint");
}

/* --- delete --- */

static bool shell_remove_point(struct shell *shell, size_t index)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct shell_point *point = &shell->points[index];
    bool shared = false;
    for (size_t i = 0; i < shell->point_count; i++) {
        shared = shared || (i != index && shell->points[i].address == point->address &&
                            strcmp(shell->points[i].kind, point->kind) == 0);
    }
    /* Two numbers of one breakpoint: the last one takes it away. */
    if (!shared) {
        cJSON *params = session_board_params(shell->session);
        ocdmux_json_add_address(params, "address", point->address);
        cJSON_AddStringToObject(params, "kind", point->kind);
        if (!session_call(shell->session, "breakpoint.remove", params, NULL, &result)) {
            return false;
        }
        ocdmux_result_fini(&result);
    }
    free(point->what);
    shell->point_count--;
    memmove(point, point + 1, (shell->point_count - index) * sizeof(*point));
    return true;
}

static bool shell_delete_number(struct shell *shell, const char *word, size_t length)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++) {
        if (word[i] < '0' || word[i] > '9' || number > SHELL_NUMBER_MAX) {
            return shell_refuse("Bad breakpoint number '%.*s'", (int)length, word);
        }
        number = number * 10 + (uint64_t)(word[i] - '0');
    }
    for (size_t i = 0; i < shell->point_count; i++) {
        if (shell->points[i].number == number) {
            return shell_remove_point(shell, i);
        }
    }
    return shell_refuse("No breakpoint number %" PRIu64 ".", number);
}

bool shell_delete(struct shell *shell, char *arguments)
{
    bool good = true;
    const char *word = arguments;
    if (arguments[0] == '\0') {
        while (good && shell->point_count > 0) {
            good = shell_remove_point(shell, 0);
        }
        return good;
    }
    while (*word != '\0') {
        size_t length = strcspn(word, " \t");
        good = shell_delete_number(shell, word, length) && good;
        word += length + strspn(word + length, " \t");
    }
    return good;
}

/* --- info break --- */

static const char *shell_type_of_kind(const char *kind)
{
    static const char *const pairs[][2] = {{"hardware", "hw breakpoint"},
                                           {"software", "breakpoint"},
                                           {"write", "hw watchpoint"},
                                           {"read", "read watchpoint"},
                                           {"access", "acc watchpoint"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (strcmp(kind, pairs[i][0]) == 0) {
            return pairs[i][1];
        }
    }
    return "?";
}

static void shell_show_point(const struct shell *shell, const char *number, int width, const char *type,
                             bool is_set, uint64_t address, const char *what, bool is_code)
{
    int digits = (int)shell->machine.word_size * 2;
    printf("%-7s %-*s keep %c   ", number, width, type, is_set ? 'y' : 'n');
    if (is_code || what == NULL) {
        printf("0x%0*" PRIx64 " ", digits, address);
    } else {
        printf("%*s ", digits + 2, "");
    }
    if (what != NULL) {
        print_field(stdout, what);
    }
    putchar('\n');
}

static bool shell_is_listed(const cJSON *points, const struct shell_point *own)
{
    const cJSON *point = NULL;
    cJSON_ArrayForEach(point, points)
    {
        uint64_t address;
        const char *kind = field_text(point, "kind");
        if (field_u64(point, "address", &address) && address == own->address && kind != NULL &&
            strcmp(kind, own->kind) == 0) {
            return true;
        }
    }
    return false;
}

static bool shell_is_own(const struct shell *shell, uint64_t address, const char *kind)
{
    for (size_t i = 0; i < shell->point_count; i++) {
        if (shell->points[i].address == address && strcmp(shell->points[i].kind, kind) == 0) {
            return true;
        }
    }
    return false;
}

/* This shell's by number, and behind them those of others, which have none. */
static bool shell_show_points(const struct shell *shell, const cJSON *points)
{
    const cJSON *point = NULL;
    int width = 14;
    for (size_t i = 0; i < shell->point_count; i++) {
        width = strlen(shell->points[i].type) > 14 ? 15 : width;
    }
    if (shell->point_count == 0 && cJSON_GetArraySize(points) == 0) {
        puts("No breakpoints or watchpoints.");
        return true;
    }
    printf("Num     %-*s Disp Enb %-*s What\n", width, "Type", (int)shell->machine.word_size * 2 + 2,
           "Address");
    for (size_t i = 0; i < shell->point_count; i++) {
        char number[16];
        const struct shell_point *own = &shell->points[i];
        (void)snprintf(number, sizeof(number), "%u", own->number);
        shell_show_point(shell, number, width, own->type, shell_is_listed(points, own), own->address,
                         own->what, shell_is_code_point(own));
    }
    cJSON_ArrayForEach(point, points)
    {
        uint64_t address;
        const char *kind = field_text(point, "kind");
        if (kind == NULL || !field_u64(point, "address", &address)) {
            return false;
        }
        if (!shell_is_own(shell, address, kind)) {
            shell_show_point(shell, "-", width, shell_type_of_kind(kind), true, address, NULL, true);
        }
    }
    return true;
}

bool shell_info_points(struct shell *shell)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    if (!shell_know_target(shell) || !session_call(shell->session, "breakpoint.list",
                                                   session_board_params(shell->session), NULL, &result)) {
        return false;
    }
    const cJSON *points = field_array(result.json, "breakpoints");
    bool good = points != NULL && shell_show_points(shell, points);
    ocdmux_result_fini(&result);
    if (!good) {
        (void)session_report_result(shell->session, "breakpoint.list");
    }
    return good;
}
