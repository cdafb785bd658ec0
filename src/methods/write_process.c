/* The OpenOCD that the daemon starts, and what is wrong with a board, as JSON. */
#include <string.h>

#include "methods/write.h"

static void write_end(const struct openocd_process_view *view, struct json_writer *json)
{
    if (view->ended[0] == '\0') {
        return;
    }
    json_open_object(json, "last_end");
    json_text(json, "time", view->ended);
    if (view->ended_by_signal) {
        json_u64(json, "signal", (uint64_t)view->end_number);
    } else {
        json_u64(json, "status", (uint64_t)view->end_number);
    }
    json_close_object(json);
}

static void write_view(const struct openocd_process_view *view, struct json_writer *json)
{
    json_open_object(json, "process");
    json_text(json, "state", respawn_state_name(view->state));
    json_text(json, "since", view->since);
    if (view->pid != 0) {
        json_u64(json, "pid", (uint64_t)view->pid);
    }
    json_u64(json, "restarts", view->restarts);
    if (view->state == RESPAWN_WAITING) {
        json_u64(json, "restart_in_ms", view->retry_in_ms);
    }
    write_end(view, json);
    json_open_array(json, "lines");
    for (size_t i = 0; i < view->line_count; i++) {
        json_text(json, NULL, view->lines[i]);
    }
    json_close_array(json);
    json_close_object(json);
}

void write_process(struct board *board, struct json_writer *json)
{
    struct openocd_process_view view;
    struct strbuf words = STRBUF_INIT;
    enum ocd_problem problem = board_problem(board, &words);
    if (problem != OCD_PROBLEM_NONE) {
        json_open_object(json, "problem");
        json_text(json, "kind", ocd_problem_name(problem));
        json_text(json, "message", strbuf_text(&words));
        json_close_object(json);
    }
    strbuf_fini(&words);
    if (board_process(board, &view)) {
        write_view(&view, json);
    }
}
