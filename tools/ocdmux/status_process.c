/* What to read first when a board does not work. */
#include "status_process.h"

#include <stdio.h>

#include "fields.h"
#include "print.h"

static void print_end(const cJSON *end)
{
    char number[24];
    const char *time = field_text(end, "time");
    bool by_signal = field_get(end, "signal") != NULL;
    if (end == NULL) {
        return;
    }
    field_format_number(end, by_signal ? "signal" : "status", number);
    printf("last end: %s %s at ", by_signal ? "signal" : "exit status", number);
    print_field(stdout, time == NULL ? "?" : time);
    putchar('\n');
}

static void print_process(const cJSON *process)
{
    char number[24];
    const char *state = field_text(process, "state");
    const char *since = field_text(process, "since");
    fputs("process: ", stdout);
    print_field(stdout, state == NULL ? "?" : state);
    fputs(" since ", stdout);
    print_field(stdout, since == NULL ? "?" : since);
    if (field_get(process, "pid") != NULL) {
        field_format_number(process, "pid", number);
        printf(", pid %s", number);
    }
    if (field_get(process, "restart_in_ms") != NULL) {
        field_format_number(process, "restart_in_ms", number);
        printf(", starts in %s ms", number);
    }
    field_format_number(process, "restarts", number);
    printf(", restarts %s\n", number);
    print_end(field_get(process, "last_end"));
}

static void print_lines(const cJSON *lines)
{
    const cJSON *line = NULL;
    cJSON_ArrayForEach(line, lines)
    {
        if (cJSON_IsString(line)) {
            fputs("  ", stdout);
            print_field(stdout, line->valuestring);
            putchar('\n');
        }
    }
}

void status_process_print(const cJSON *board)
{
    const cJSON *problem = field_get(board, "problem");
    const cJSON *process = field_get(board, "process");
    if (problem != NULL) {
        const char *kind = field_text(problem, "kind");
        const char *message = field_text(problem, "message");
        fputs("problem: ", stdout);
        print_field(stdout, kind == NULL ? "?" : kind);
        fputs(": ", stdout);
        print_field(stdout, message == NULL ? "?" : message);
        putchar('\n');
    }
    if (process != NULL) {
        print_process(process);
        if (problem != NULL) {
            print_lines(field_array(process, "lines"));
        }
    }
}
