/* The OpenOCD that a board starts, and its link: each hears of the other. And what is wrong with either. */
#include "base/log.h"
#include "board/private.h"

static void on_listening(void *context, unsigned port)
{
    struct board *board = context;
    if (port == 0 && ocd_link_port(board->link) == 0) {
        log_warn("board %s: OpenOCD does not say where it listens: `openocd` has to", board->name);
        return;
    }
    ocd_link_release(board->link, port);
}

/* The link may have noticed first, and told a reason that says less. */
static void on_gone(void *context, const char *reason, uint64_t retry_ms)
{
    struct board *board = context;
    bool told = board->told_up;
    ocd_link_hold(board->link, reason, retry_ms);
    if (!told && retry_ms > 0) {
        board->handler->link_changed(board->context, board, reason);
    }
}

static const struct openocd_process_handler process_handler = {.listening = on_listening, .gone = on_gone};

void watched_init(struct board *board, const struct board_options *options)
{
    if (options->process != NULL) {
        struct openocd_process_options process = *options->process;
        process.name = options->name;
        board->process = openocd_process_new(board->loop, &process, &process_handler, board);
    }
}

void watched_fini(struct board *board)
{
    openocd_process_free(board->process);
    board->process = NULL;
}

void watched_up(struct board *board)
{
    board->health.debuggers = 0;
    board->health.debugger_flashes = false;
    if (board->process != NULL) {
        openocd_process_up(board->process);
    }
}

void watched_down(struct board *board, const char *reason)
{
    if (board->process == NULL) {
        return;
    }
    if (ocd_link_was_refused(board->link)) {
        openocd_process_fail(board->process, OCD_PROBLEM_WRONG_BOARD, reason);
    } else if (health_is_excused(board)) {
        log_info("board %s: a debugger is attached to OpenOCD: it is left alone", board->name);
    } else if (ocd_link_was_silent(board->link)) {
        openocd_process_fail(board->process, OCD_PROBLEM_NO_ANSWER, reason);
    } else {
        openocd_process_lost(board->process);
    }
}

bool board_process(const struct board *board, struct openocd_process_view *ret_view)
{
    if (board->process == NULL) {
        return false;
    }
    openocd_process_look(board->process, ret_view);
    return true;
}

enum ocd_problem board_problem(struct board *board, struct strbuf *words)
{
    struct openocd_process_view view;
    if (board_process(board, &view) && view.problem != OCD_PROBLEM_NONE) {
        strbuf_append_text(words, view.why);
        return view.problem;
    }
    if (!board_is_up(board)) {
        enum ocd_problem problem = ocd_link_was_refused(board->link)  ? OCD_PROBLEM_WRONG_BOARD
                                   : ocd_link_was_silent(board->link) ? OCD_PROBLEM_NO_ANSWER
                                                                      : OCD_PROBLEM_NONE;
        if (problem != OCD_PROBLEM_NONE) {
            strbuf_append_text(words, ocd_link_last_error(board->link));
        }
        return problem;
    }
    const struct ocd_target *target = ocd_info_missing_target(ocd_link_info(board->link));
    if (target == NULL) {
        return OCD_PROBLEM_NONE;
    }
    strbuf_appendf(words, "%s: %s", ocd_problem_lead(OCD_PROBLEM_TARGET_NOT_EXAMINED), target->name);
    return OCD_PROBLEM_TARGET_NOT_EXAMINED;
}

bool board_stop_process(struct board *board)
{
    if (board->process == NULL) {
        return true;
    }
    ocd_link_hold(board->link, BOARD_STOP_REASON, 0);
    return openocd_process_stop(board->process);
}
