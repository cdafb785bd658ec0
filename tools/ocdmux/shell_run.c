/* continue, stepi, interrupt and monitor. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "fields.h"
#include "shell.h"
#include "shell/expr.h"

/* The most that the protocol steps at once. */
#define SHELL_STEPS_MAX 1000u
#define SHELL_STEPS_LIMIT 1000000u

/* "0x08000042 in ?? ()", and which breakpoint that is. */
static bool shell_show_stop(struct shell *shell, const char *otherwise)
{
    struct value pc;
    struct err err;
    bool found = false;
    if (!shell->access.read_register(shell, "pc", &found, &pc, &err)) {
        return shell_complain(&err);
    }
    unsigned number = found ? shell_point_at(shell, pc.bits) : 0;
    if (number != 0) {
        printf("\nBreakpoint %u, ", number);
    } else {
        fputs(otherwise, stdout);
    }
    if (found) {
        printf("0x%0*" PRIx64 " in ?? ()\n", (int)shell->machine.word_size * 2, pc.bits);
    }
    return true;
}

static bool shell_request(struct shell *shell, const char *method, cJSON *take_params)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    bool good = session_call(shell->session, method, take_params, NULL, &result);
    ocdmux_result_fini(&result);
    return good;
}

/* Ctrl-C has ended the waiting; as in gdb the target stops for it. */
static bool shell_stop_after_interrupt(struct shell *shell)
{
    shell->session->interrupted = false;
    return shell_request(shell, "target.halt", session_board_params(shell->session)) &&
           shell_show_stop(shell, "\nProgram stopped by Ctrl-C.\n");
}

bool shell_continue(struct shell *shell, char *arguments)
{
    bool background = strcmp(arguments, "&") == 0;
    if (arguments[0] != '\0' && !background) {
        return shell_refuse("continue takes nothing, or & to go on at once");
    }
    if (!shell_know_target(shell) ||
        !shell_request(shell, "target.resume", session_board_params(shell->session))) {
        return false;
    }
    puts("Continuing.");
    fflush(stdout);
    if (background) {
        return true;
    }
    cJSON *params = session_long_params(shell->session);
    cJSON_AddStringToObject(params, "state", "halted");
    if (!shell_request(shell, "target.wait", params)) {
        return shell->session->interrupted && shell_stop_after_interrupt(shell);
    }
    return shell_show_stop(shell, "\nProgram stopped.\n");
}

static bool shell_step_piece(struct shell *shell, uint64_t count, uint64_t *ret_done)
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    cJSON *params = session_board_params(shell->session);
    ocdmux_json_add_u64(params, "count", count);
    if (!session_call(shell->session, "target.step", params, NULL, &result)) {
        return false;
    }
    bool good = field_u64(result.json, "steps", ret_done);
    ocdmux_result_fini(&result);
    if (!good) {
        (void)session_report_result(shell->session, "target.step");
    }
    return good;
}

bool shell_stepi(struct shell *shell, char *arguments)
{
    uint64_t count = 1;
    struct err err;
    if (!shell_know_target(shell)) {
        return false;
    }
    if (arguments[0] != '\0' && !expr_compute_integer(&shell->access, arguments, &count, &err)) {
        return shell_complain(&err);
    }
    if (count == 0 || count > SHELL_STEPS_LIMIT) {
        return shell_refuse("stepi takes a count of 1 to %u", SHELL_STEPS_LIMIT);
    }
    while (count > 0) {
        uint64_t piece = count < SHELL_STEPS_MAX ? count : SHELL_STEPS_MAX;
        uint64_t done = 0;
        if (!shell_step_piece(shell, piece, &done)) {
            return false;
        }
        /* Something has stopped it before. */
        count = done < piece ? 0 : count - piece;
    }
    return shell_show_stop(shell, "");
}

bool shell_interrupt(struct shell *shell, char *arguments)
{
    if (arguments[0] != '\0') {
        return shell_refuse("interrupt takes nothing");
    }
    return shell_know_target(shell) &&
           shell_request(shell, "target.halt", session_board_params(shell->session)) &&
           shell_show_stop(shell, "");
}

bool shell_monitor(struct shell *shell, char *arguments)
{
    const char *const words[] = {arguments};
    if (arguments[0] == '\0') {
        return shell_refuse("Argument required (remote \"monitor\" command).");
    }
    return shell_run_command(shell, "openocd", "COMMAND...", cmd_openocd, words, 1, NULL);
}
