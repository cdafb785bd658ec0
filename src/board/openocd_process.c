/* OpenOCD as a child: what it says, why it ended, and what is done next. */
#include "board/openocd_process.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/utf8.h"
#include "net/child.h"

#define FIRST_PAUSE_MS 500u
#define MOST_PAUSE_MS 30000u
#define GOOD_RUN_MS 10000u
/* One that says nothing of its port, for its output is turned down, is tried all the same then. */
#define SILENT_MS 1000u
/* The log takes so many of its lines a second. */
#define MOST_LOGGED 500u
#define LOG_WINDOW_US 1000000u
/* One character, escaped. */
#define MOST_ESCAPED 16u

struct openocd_process {
    struct loop *loop;
    struct openocd_process_options options;
    char *name;
    const struct openocd_process_handler *handler;
    void *context;

    struct respawn respawn;
    struct loop_timer *timer;        /* of respawn.due_us */
    struct loop_timer *silent_timer; /* while it has not said where it listens */
    struct child *child;             /* OpenOCD, or before_start; NULL: neither runs */
    struct child_end before_end;     /* of the last before_start */
    char since[CLOCK_TEXT_SIZE];

    char lines[OPENOCD_PROCESS_LINES][OPENOCD_PROCESS_LINE_SIZE];
    size_t line_count; /* in all */
    uint64_t window_us;
    unsigned logged;
    size_t not_logged;

    enum ocd_problem heard; /* what this run's output complains of */
    char heard_words[OPENOCD_PROCESS_LINE_SIZE];
    char last_error[OPENOCD_PROCESS_LINE_SIZE]; /* its last line that is one before it runs; else its last */
    bool last_is_error;
    enum ocd_problem told; /* by openocd_process_fail() */
    char told_words[OPENOCD_PROCESS_WHY_SIZE];

    enum ocd_problem problem;
    char why[OPENOCD_PROCESS_WHY_SIZE];
    char ended[CLOCK_TEXT_SIZE];
    struct child_end end;
    struct loop_timer *gone_timer; /* set while the handler has to hear of it */
};

static void act(struct openocd_process *process, enum respawn_action action);

/* Its state changed: says so, and sets the timer for what comes by itself. */
static void settle(struct openocd_process *process, enum respawn_state before)
{
    const struct respawn *respawn = &process->respawn;
    uint64_t now_us = clock_now_us();
    if (respawn->state != before) {
        clock_wall_text(process->since);
        log_info("board %s: OpenOCD's process %s -> %s", process->name, respawn_state_name(before),
                 respawn_state_name(respawn->state));
    }
    if (respawn->due_us == 0) {
        loop_timer_cancel(process->timer);
    } else {
        loop_timer_set(process->timer,
                       respawn->due_us > now_us ? (respawn->due_us - now_us + 999) / 1000 : 0);
    }
}

static uint64_t retry_ms(const struct openocd_process *process)
{
    uint64_t now_us = clock_now_us();
    if (process->respawn.state != RESPAWN_WAITING || process->respawn.due_us <= now_us) {
        return 0;
    }
    return (process->respawn.due_us - now_us) / 1000;
}

/* What it says. */

static void log_it(struct openocd_process *process, const char *text)
{
    uint64_t now_us = clock_now_us();
    if (now_us - process->window_us >= LOG_WINDOW_US) {
        if (process->not_logged > 0) {
            log_info("board %s: openocd: %zu lines were left out here", process->name, process->not_logged);
        }
        process->window_us = now_us;
        process->logged = 0;
        process->not_logged = 0;
    }
    if (process->logged >= MOST_LOGGED) {
        process->not_logged++;
        return;
    }
    process->logged++;
    log_info("board %s: openocd: %s", process->name, text);
}

static void keep(struct openocd_process *process, const char *text)
{
    char *slot = process->lines[process->line_count++ % OPENOCD_PROCESS_LINES];
    snprintf(slot, OPENOCD_PROCESS_LINE_SIZE, "%s", text);
}

/*
 * Of several complaints the first of the worst: what follows are its consequences. One that runs complains of
 * what it is asked, too: then only its last words may say why it ended.
 */
static void judge(struct openocd_process *process, const char *text)
{
    bool runs = process->respawn.state == RESPAWN_RUNNING;
    enum ocd_problem problem = runs ? OCD_PROBLEM_NONE : ocd_complaint_of(text);
    bool is_error = !runs && ocd_complaint_is_error(text);
    if (problem > process->heard) {
        process->heard = problem;
        snprintf(process->heard_words, sizeof process->heard_words, "%s", ocd_complaint_words(text));
    }
    if (is_error || !process->last_is_error) {
        process->last_is_error = is_error;
        snprintf(process->last_error, sizeof process->last_error, "%s", ocd_complaint_words(text));
    }
}

static void take_text(struct openocd_process *process, const char *text)
{
    unsigned port = 0;
    log_it(process, text);
    keep(process, text);
    judge(process, text);
    if (process->respawn.state == RESPAWN_STARTING && ocd_complaint_tcl_port(text, &port)) {
        loop_timer_cancel(process->silent_timer);
        loop_timer_cancel(process->gone_timer);
        process->handler->listening(process->context, port);
    }
    if (process->respawn.state == RESPAWN_RUNNING && ocd_complaint_is_probe_lost(text)) {
        openocd_process_fail(process, OCD_PROBLEM_PROBE_MISSING, ocd_complaint_words(text));
    }
}

/* Tabs become spaces; whatever else no terminal should see is escaped, and a long line is cut. */
static void escape_line(struct strbuf *out, const char *text, size_t length)
{
    size_t used = 0;
    while (used < length && out->length + MOST_ESCAPED < OPENOCD_PROCESS_LINE_SIZE) {
        size_t sequence = utf8_sequence(text + used, length - used);
        size_t taken = sequence > 0 ? sequence : 1;
        if (text[used] == '\t') {
            strbuf_append_byte(out, ' ');
        } else {
            log_escape(out, text + used, taken);
        }
        used += taken;
    }
}

static void on_line(void *context, const char *text, size_t length)
{
    struct strbuf line = STRBUF_INIT;
    escape_line(&line, text, length);
    if (strspn(strbuf_text(&line), " ") < line.length) {
        take_text(context, strbuf_text(&line));
    }
    strbuf_fini(&line);
}

/* Its end. */

static void on_gone_timer(void *context)
{
    struct openocd_process *process = context;
    process->handler->gone(process->context, process->why, retry_ms(process));
}

static void explain(struct openocd_process *process, enum ocd_problem problem, const char *words,
                    const char *how)
{
    bool both = words[0] != '\0' && how[0] != '\0';
    process->problem = problem;
    snprintf(process->why, sizeof process->why, "%s: %.150s%s%s%s", ocd_problem_lead(problem), words,
             both ? " (" : "", how, both ? ")" : "");
    log_warn("board %s: %s", process->name, process->why);
    loop_timer_set(process->gone_timer, 0);
}

static void on_ended(void *context, const struct child_end *end)
{
    struct openocd_process *process = context;
    enum respawn_state before = process->respawn.state;
    char how[CHILD_END_TEXT_SIZE];
    child_free(process->child);
    process->child = NULL;
    loop_timer_cancel(process->silent_timer);
    child_end_text(end, how);
    process->end = *end;
    clock_wall_text(process->ended);
    respawn_ended(&process->respawn, clock_now_us());
    if (before == RESPAWN_STOPPING) {
        log_info("board %s: OpenOCD ended: %s", process->name, how);
    } else if (process->told != OCD_PROBLEM_NONE) {
        explain(process, process->told, process->told_words, how);
    } else if (!end->by_signal && end->number == CHILD_EXIT_NOT_RUN) {
        explain(process, OCD_PROBLEM_NOT_RUN, process->last_error, how); /* a shell's way to say it, too */
    } else if (process->heard != OCD_PROBLEM_NONE && !end->by_signal) {
        explain(process, process->heard, process->heard_words, how);
    } else {
        explain(process, OCD_PROBLEM_ENDED, process->last_error, how);
    }
    settle(process, before);
}

static const struct child_handler openocd_handler = {.line = on_line, .ended = on_ended};

static void start_openocd(struct openocd_process *process)
{
    enum respawn_state before = process->respawn.state;
    struct err err;
    err_reset(&err);
    process->heard = OCD_PROBLEM_NONE;
    process->told = OCD_PROBLEM_NONE;
    process->heard_words[0] = '\0';
    process->last_error[0] = '\0';
    process->last_is_error = false;
    if (child_start(&process->child, process->loop, process->options.spawn, &openocd_handler, process,
                    &err)) {
        loop_timer_set(process->silent_timer, SILENT_MS);
        return;
    }
    respawn_ended(&process->respawn, clock_now_us());
    explain(process, OCD_PROBLEM_NOT_RUN, err.message, "");
    settle(process, before);
}

/* before_start. */

static void go_on(struct openocd_process *process)
{
    enum respawn_state before = process->respawn.state;
    enum respawn_action action = respawn_prepared(&process->respawn, clock_now_us());
    settle(process, before);
    act(process, action);
}

static void on_before_line(void *context, const char *text, size_t length)
{
    struct openocd_process *process = context;
    struct strbuf line = STRBUF_INIT;
    escape_line(&line, text, length);
    log_it(process, strbuf_text(&line));
    keep(process, strbuf_text(&line));
    snprintf(process->last_error, sizeof process->last_error, "%s", strbuf_text(&line));
    strbuf_fini(&line);
}

/* OpenOCD is started all the same: it may do without, and says what it misses if not. */
static void on_before_ended(void *context, const struct child_end *end)
{
    struct openocd_process *process = context;
    char how[CHILD_END_TEXT_SIZE];
    child_free(process->child);
    process->child = NULL;
    if (process->respawn.state == RESPAWN_STOPPING) {
        enum respawn_state before = process->respawn.state;
        respawn_ended(&process->respawn, clock_now_us());
        settle(process, before);
        return;
    }
    if (end->by_signal || end->number != 0) {
        child_end_text(end, how);
        explain(process, OCD_PROBLEM_BEFORE_START, process->last_error, how);
    }
    go_on(process);
}

static const struct child_handler before_handler = {.line = on_before_line, .ended = on_before_ended};

static void start_before(struct openocd_process *process)
{
    struct err err;
    err_reset(&err);
    process->last_error[0] = '\0';
    if (child_start(&process->child, process->loop, process->options.before_start, &before_handler, process,
                    &err)) {
        loop_timer_set(process->timer, process->options.before_start_limit_ms);
        return;
    }
    explain(process, OCD_PROBLEM_BEFORE_START, err.message, "");
    go_on(process);
}

static void act(struct openocd_process *process, enum respawn_action action)
{
    switch (action) {
    case RESPAWN_NOTHING:
        break;
    case RESPAWN_PREPARE:
        start_before(process);
        break;
    case RESPAWN_START:
        start_openocd(process);
        break;
    case RESPAWN_END:
        child_stop(process->child, process->options.stop_limit_ms);
        break;
    }
}

static void on_timer(void *context)
{
    struct openocd_process *process = context;
    enum respawn_state before = process->respawn.state;
    if (before == RESPAWN_PREPARING) {
        snprintf(process->last_error, sizeof process->last_error, "it did not end within %u ms",
                 (unsigned)process->options.before_start_limit_ms);
        child_stop(process->child, process->options.stop_limit_ms);
        return;
    }
    enum respawn_action action = respawn_due(&process->respawn, clock_now_us());
    settle(process, before);
    if (action == RESPAWN_END) {
        char words[64];
        snprintf(words, sizeof words, "nothing within %u ms", (unsigned)process->options.start_limit_ms);
        process->told = process->heard != OCD_PROBLEM_NONE ? process->heard : OCD_PROBLEM_NO_ANSWER;
        snprintf(process->told_words, sizeof process->told_words, "%s",
                 process->told == OCD_PROBLEM_NO_ANSWER ? words : process->heard_words);
        explain(process, process->told, process->told_words, "");
    }
    act(process, action);
}

static void on_silent_timer(void *context)
{
    struct openocd_process *process = context;
    process->handler->listening(process->context, 0);
}

/* The outside. */

struct openocd_process *openocd_process_new(struct loop *loop, const struct openocd_process_options *options,
                                            const struct openocd_process_handler *handler, void *context)
{
    struct openocd_process *process = xcalloc(1, sizeof *process);
    struct respawn_limits limits = {.first_ms = FIRST_PAUSE_MS,
                                    .most_ms = MOST_PAUSE_MS,
                                    .good_ms = GOOD_RUN_MS,
                                    .start_ms = options->start_limit_ms,
                                    .prepares = options->before_start != NULL};
    process->loop = loop;
    process->options = *options;
    process->name = xstrdup(options->name);
    process->handler = handler;
    process->context = context;
    process->timer = loop_timer_new(loop, on_timer, process);
    process->silent_timer = loop_timer_new(loop, on_silent_timer, process);
    process->gone_timer = loop_timer_new(loop, on_gone_timer, process);
    respawn_init(&process->respawn, &limits, clock_now_us());
    clock_wall_text(process->since);
    settle(process, RESPAWN_WAITING);
    return process;
}

void openocd_process_free(struct openocd_process *process)
{
    if (process == NULL) {
        return;
    }
    child_free(process->child);
    loop_timer_free(process->timer);
    loop_timer_free(process->silent_timer);
    loop_timer_free(process->gone_timer);
    free(process->name);
    loop_bury(process->loop, process, free);
}

void openocd_process_up(struct openocd_process *process)
{
    enum respawn_state before = process->respawn.state;
    respawn_up(&process->respawn, clock_now_us());
    if (process->respawn.state == RESPAWN_RUNNING) {
        process->problem = OCD_PROBLEM_NONE;
        process->why[0] = '\0';
        process->heard = OCD_PROBLEM_NONE;
        process->last_is_error = false;
        loop_timer_cancel(process->gone_timer);
    }
    settle(process, before);
}

void openocd_process_lost(struct openocd_process *process)
{
    respawn_lost(&process->respawn, clock_now_us());
    settle(process, process->respawn.state);
}

void openocd_process_fail(struct openocd_process *process, enum ocd_problem problem, const char *words)
{
    enum respawn_state before = process->respawn.state;
    enum respawn_action action = respawn_fail(&process->respawn);
    if (action == RESPAWN_NOTHING) {
        return;
    }
    process->told = problem;
    snprintf(process->told_words, sizeof process->told_words, "%s", words);
    explain(process, problem, words, "");
    settle(process, before);
    act(process, action);
}

bool openocd_process_stop(struct openocd_process *process)
{
    enum respawn_state before = process->respawn.state;
    if (before != RESPAWN_STOPPING && before != RESPAWN_STOPPED) {
        enum respawn_action action = respawn_stop(&process->respawn);
        loop_timer_cancel(process->silent_timer);
        settle(process, before);
        act(process, action);
    }
    return process->respawn.state == RESPAWN_STOPPED;
}

void openocd_process_look(const struct openocd_process *process, struct openocd_process_view *ret_view)
{
    const struct respawn *respawn = &process->respawn;
    struct openocd_process_view view = {.state = respawn->state,
                                        .pid = process->child != NULL ? (long)child_pid(process->child) : 0,
                                        .restarts = respawn->starts > 0 ? respawn->starts - 1 : 0,
                                        .retry_in_ms = retry_ms(process),
                                        .ended_by_signal = process->end.by_signal,
                                        .end_number = process->end.number,
                                        .problem = process->problem};
    size_t kept = process->line_count < OPENOCD_PROCESS_LINES ? process->line_count : OPENOCD_PROCESS_LINES;
    memcpy(view.since, process->since, sizeof view.since);
    memcpy(view.ended, process->ended, sizeof view.ended);
    memcpy(view.why, process->why, sizeof view.why);
    for (size_t i = process->line_count - kept; i < process->line_count; i++) {
        view.lines[view.line_count++] = process->lines[i % OPENOCD_PROCESS_LINES];
    }
    *ret_view = view;
}
