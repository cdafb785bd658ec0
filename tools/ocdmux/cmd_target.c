/* halt, resume, reset, step, wait-for, state and targets. */
#include <inttypes.h>
#include <stdio.h>

#include "commands.h"
#include "fields.h"
#include "print.h"
#include "table.h"

static bool cmd_target_show_state(void *arg, const cJSON *result)
{
    const char *target = field_text(result, "target");
    const char *state = field_text(result, "state");
    (void)arg;
    if (target == NULL || state == NULL) {
        return false;
    }
    print_field(stdout, target);
    fputs(": ", stdout);
    print_field(stdout, state);
    putchar('\n');
    return true;
}

static bool cmd_target_show_states(void *arg, const cJSON *result)
{
    const cJSON *targets = field_array(result, "targets");
    const cJSON *target = NULL;
    cJSON_ArrayForEach(target, targets)
    {
        if (!cmd_target_show_state(arg, target)) {
            return false;
        }
    }
    return targets != NULL;
}

enum status cmd_halt(struct session *session)
{
    return session_show(session, "target.halt", session_board_params(session), NULL, cmd_target_show_state,
                        NULL);
}

enum status cmd_resume(struct session *session)
{
    uint64_t address = 0;
    if (!options_word_number(session->arguments, 0, NUMBER_PLAIN, 0, UINT64_MAX, &address)) {
        return STATUS_USAGE;
    }
    cJSON *params = session_board_params(session);
    if (session->arguments->count > 0) {
        ocdmux_json_add_address(params, "address", address);
    }
    return session_show(session, "target.resume", params, NULL, cmd_target_show_state, NULL);
}

enum status cmd_reset(struct session *session)
{
    static const char *const modes[] = {"run", "halt", "init", NULL};
    const struct option mode = {"mode", "run|halt|init", NULL, modes};
    const struct arguments *arguments = session->arguments;
    if (arguments->count > 0 && !options_is_choice(&mode, arguments->words[0])) {
        (void)options_complain(arguments, "reset takes run, halt or init, not '%s'", arguments->words[0]);
        return STATUS_USAGE;
    }
    cJSON *params = session_board_params(session);
    if (arguments->count > 0) {
        cJSON_AddStringToObject(params, "mode", arguments->words[0]);
    }
    return session_show(session, "target.reset", params, NULL, cmd_target_show_states, NULL);
}

const struct option cmd_step_options[] = {
    {"address", "ADDRESS", "where to begin; default: where it stands", NULL},
    {NULL, NULL, NULL, NULL},
};

static bool cmd_step_show(void *arg, const cJSON *result)
{
    const char *target = field_text(result, "target");
    const char *state = field_text(result, "state");
    const char *pc = field_text(result, "pc");
    uint64_t *wanted = arg;
    uint64_t steps;
    if (target == NULL || state == NULL || !field_u64(result, "steps", &steps)) {
        return false;
    }
    print_field(stdout, target);
    fputs(": ", stdout);
    print_field(stdout, state);
    if (pc != NULL) {
        fputs(", pc ", stdout);
        print_field(stdout, pc);
    }
    if (steps < *wanted) {
        printf(", after %" PRIu64 " of %" PRIu64 " steps", steps, *wanted);
    }
    putchar('\n');
    return true;
}

enum status cmd_step(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    uint64_t count = 1;
    uint64_t address = 0;
    if (!options_word_number(arguments, 0, NUMBER_PLAIN, 1, 1000, &count) ||
        !options_number(arguments, "address", NUMBER_PLAIN, 0, UINT64_MAX, &address)) {
        return STATUS_USAGE;
    }
    cJSON *params = session_board_params(session);
    ocdmux_json_add_u64(params, "count", count);
    if (options_has(arguments, "address")) {
        ocdmux_json_add_address(params, "address", address);
    }
    return session_show(session, "target.step", params, NULL, cmd_step_show, &count);
}

enum status cmd_wait_for(struct session *session)
{
    static const char *const states[] = {"halted", "running", "reset", "unknown", NULL};
    const struct option state = {"state", "halted|running|reset|unknown", NULL, states};
    const struct arguments *arguments = session->arguments;
    if (!options_is_choice(&state, arguments->words[0])) {
        (void)options_complain(arguments, "wait-for takes %s, not '%s'", state.value, arguments->words[0]);
        return STATUS_USAGE;
    }
    cJSON *params = session_long_params(session);
    cJSON_AddStringToObject(params, "state", arguments->words[0]);
    return session_show(session, "target.wait", params, NULL, cmd_target_show_state, NULL);
}

enum status cmd_state(struct session *session)
{
    return session_show(session, "target.state", session_board_params(session), NULL, cmd_target_show_state,
                        NULL);
}

static bool cmd_target_show_list(void *arg, const cJSON *result)
{
    static const char *const header[] = {"target", "type", "state", "endian", "current"};
    const cJSON *targets = field_array(result, "targets");
    const cJSON *target = NULL;
    struct table table;
    (void)arg;
    if (targets == NULL) {
        return false;
    }
    table_init(&table, 5, header);
    cJSON_ArrayForEach(target, targets)
    {
        table_add(&table, field_text(target, "target"));
        table_add(&table, field_text(target, "type"));
        table_add(&table, field_text(target, "state"));
        table_add(&table, field_text(target, "endian"));
        table_add(&table, field_true(target, "current") ? "*" : "");
    }
    table_print(&table);
    table_fini(&table);
    return true;
}

enum status cmd_targets(struct session *session)
{
    return session_show(session, "target.list", session_board_params(session), NULL, cmd_target_show_list,
                        NULL);
}
