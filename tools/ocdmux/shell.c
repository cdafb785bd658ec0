/* shell: gdb's verbs, a line at a time, from a terminal, a file or the command line. */
#include "shell.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "commands.h"
#include "interrupt.h"
#include "print.h"

const struct option cmd_shell_options[] = {
    {"command", "LINE", "run LINE and end; may be given several times; -c is the same", NULL},
    {"keep-going", NULL, "go on after a line that failed", NULL},
    {NULL, NULL, NULL, NULL},
};

static bool shell_quit(struct shell *shell, char *arguments)
{
    (void)arguments;
    shell->quits = true;
    return true;
}

static const char *const shell_dump_words[] = {"memory", "binary", NULL};
static const char *const shell_set_words[] = {"variable", NULL};

/* Where a beginning fits several, the short forms below decide, as gdb's do. */
const struct shell_verb shell_verbs[] = {
    {"print", "[/FMT] [EXPRESSION]", "compute an expression and show its value", shell_print, true, NULL,
     'e'},
    {"whatis", "EXPRESSION", "show the type of an expression", shell_whatis, true, NULL, 'e'},
    {"x", "[/FMT] [ADDRESS]", "examine memory", shell_examine, true, NULL, 'e'},
    {"set", "[var] PLACE = EXPRESSION", "write memory, a register or a variable", shell_set, false,
     shell_set_words, 'e'},
    {"find", "[/SIZE-AND-COUNT] START, END|+LENGTH, VALUE...", "search memory; END is searched too",
     shell_find, true, NULL, 'e'},
    {"dump", "[binary] memory FILE START STOP", "copy memory up to, not including, STOP into a file",
     shell_dump, false, shell_dump_words, 'f'},
    {"restore", "FILE binary OFFSET [START [END]]", "write a file's bytes into memory", shell_restore, false,
     NULL, 'f'},
    {"file", "[FILE]", "say which file load and compare-sections take", shell_file, false, NULL, 'f'},
    {"load", "[FILE]", "load an image into flash or RAM, and set pc to where it begins", shell_load, false,
     NULL, 'f'},
    {"compare-sections", "[FILE]", "compare memory with an ELF file's sections", shell_compare_sections,
     false, NULL, 'f'},
    {"info", "SUBJECT", "show registers, breakpoints or the target", shell_info, true, shell_info_words, 'e'},
    {"break", "[*ADDRESS]", "set a breakpoint: a hardware one in flash, else one of software", shell_break,
     false, NULL, 'e'},
    {"hbreak", "[*ADDRESS]", "set a hardware breakpoint", shell_hbreak, false, NULL, 'e'},
    {"watch", "EXPRESSION", "stop when that place in memory is written", shell_watch, false, NULL, 'e'},
    {"rwatch", "EXPRESSION", "stop when it is read", shell_rwatch, false, NULL, 'e'},
    {"awatch", "EXPRESSION", "stop when it is read or written", shell_awatch, false, NULL, 'e'},
    {"delete", "[NUMBER...]", "remove breakpoints of this shell, or all of them", shell_delete, false, NULL,
     0},
    {"continue", "[&]", "let the target run until it halts; with & go on at once", shell_continue, true, NULL,
     0},
    {"stepi", "[COUNT]", "execute one instruction, or COUNT", shell_stepi, true, NULL, 'e'},
    {"interrupt", "", "halt the target", shell_interrupt, false, NULL, 0},
    {"monitor", "COMMAND", "run an OpenOCD command (needs the role admin)", shell_monitor, false, NULL, 0},
    {"echo", "TEXT", "print TEXT, with \\n for a line break", shell_echo, false, NULL, 0},
    {"help", "[VERB]", "say what there is", shell_help, false, NULL, 0},
    {"quit", "", "end", shell_quit, false, NULL, 0},
    {NULL, NULL, NULL, NULL, false, NULL, 0},
};

static const char *const shell_short_forms[][2] = {
    {"p", "print"},   {"inspect", "print"}, {"b", "break"},       {"br", "break"}, {"c", "continue"},
    {"d", "delete"},  {"i", "info"},        {"h", "help"},        {"q", "quit"},   {"exit", "quit"},
    {"si", "stepi"},  {"s", "stepi"},       {"w", "watch"},       {"f", "find"},   {"fi", "find"},
    {"hb", "hbreak"}, {"mon", "monitor"},   {"cont", "continue"}, {NULL, NULL},
};

/* --- what the verbs share --- */

bool shell_refuse(const char *format, ...)
{
    struct strbuf text = STRBUF_INIT;
    va_list values;
    va_start(values, format);
    strbuf_appendv(&text, format, values);
    va_end(values);
    struct strbuf shown = STRBUF_INIT;
    print_escape(&shown, strbuf_text(&text), text.length, false);
    fflush(stdout);
    fprintf(stderr, "%s\n", strbuf_text(&shown));
    strbuf_fini(&shown);
    strbuf_fini(&text);
    return false;
}

bool shell_complain(const struct err *err)
{
    return err->message[0] == '\0' ? false : shell_refuse("%s", err->message);
}

bool shell_reported(struct err *err)
{
    return err_set(err, ERR_INTERNAL_ERROR, "%s", "");
}

bool shell_run_command(struct shell *shell, const char *name, const char *usage,
                       enum status (*run)(struct session *session), const char *const *words, size_t count,
                       const struct shell_option *options)
{
    const struct command command = {.name = name, .arguments = usage};
    const struct arguments *outer = shell->session->arguments;
    struct arguments inner = *outer;
    struct option rows[4];
    size_t used = 0;
    inner.command = &command;
    inner.words = (const char **)xcalloc(count + 1, sizeof(*inner.words));
    memcpy(inner.words, words == NULL ? (const char *const[]){NULL} : words, count * sizeof(*words));
    inner.count = count;
    for (; options != NULL && options[used].name != NULL && inner.option_count < OPTIONS_MAX; used++) {
        rows[used] = (struct option){.name = options[used].name, .value = "VALUE"};
        inner.options[inner.option_count++] = (struct given_option){&rows[used], options[used].value};
    }
    shell->session->arguments = &inner;
    enum status status = run(shell->session);
    shell->session->arguments = outer;
    free(inner.words);
    shell->session->status = status == STATUS_OK ? shell->session->status : status;
    return status == STATUS_OK;
}

/* --- verbs --- */

bool shell_find_verb(const char *name, size_t length, const struct shell_verb **ret_verb)
{
    const struct shell_verb *found = NULL;
    bool several = false;
    for (size_t i = 0; shell_short_forms[i][0] != NULL; i++) {
        if (strlen(shell_short_forms[i][0]) == length && memcmp(shell_short_forms[i][0], name, length) == 0) {
            name = shell_short_forms[i][1];
            length = strlen(name);
        }
    }
    for (const struct shell_verb *verb = shell_verbs; verb->name != NULL; verb++) {
        if (strncmp(verb->name, name, length) != 0) {
            continue;
        }
        if (verb->name[length] == '\0') {
            *ret_verb = verb;
            return true;
        }
        several = found != NULL;
        found = verb;
    }
    if (found == NULL || several) {
        return shell_refuse("%s command: \"%.*s\".  Try \"help\".", several ? "Ambiguous" : "Undefined",
                            (int)length, name);
    }
    *ret_verb = found;
    return true;
}

/* A verb ends where its letters end: "x/4xw", "p$pc". */
static size_t shell_verb_length(const char *line)
{
    size_t length = 0;
    while ((line[length] >= 'a' && line[length] <= 'z') ||
           (length > 0 && line[length] == '-' && line[length + 1] >= 'a' && line[length + 1] <= 'z')) {
        length++;
    }
    return length;
}

/* Does one line. `*ret_verb` is what it began with; NULL for empty lines and comments. */
static bool shell_do(struct shell *shell, const char *line, const struct shell_verb **ret_verb)
{
    const struct shell_verb *verb = NULL;
    *ret_verb = NULL;
    line += strspn(line, " \t");
    if (line[0] == '\0' || line[0] == '#') {
        return true;
    }
    size_t length = shell_verb_length(line);
    if (length == 0) {
        return shell_refuse("Undefined command: \"%.40s\".  Try \"help\".", line);
    }
    if (!shell_find_verb(line, length, &verb)) {
        return false;
    }
    *ret_verb = verb;
    line += length + strspn(line + length, " \t");
    char *arguments = xstrdup(line);
    size_t end = strlen(arguments);
    while (end > 0 && strchr(" \t\r", arguments[end - 1]) != NULL) {
        arguments[--end] = '\0';
    }
    bool good = verb->run(shell, arguments);
    free(arguments);
    return good;
}

/* Takes the interrupts that came before this line; whether there was one. Without a connection nobody has
 * asked for them, and they end the program. */
static bool shell_take_interrupts(struct shell *shell)
{
    char bytes[64];
    bool any = shell->session->interrupted;
    int pipe = shell->session->connection != NULL ? interrupt_catch() : -1;
    while (pipe >= 0 && read(pipe, bytes, sizeof(bytes)) > 0) {
        any = true;
    }
    shell->session->interrupted = false;
    return any;
}

/* One line, and the exit status that it makes. A connection that broke is made anew by the next line. An
 * interrupt ends a script, and at a prompt what runs. */
static enum status shell_take_line(struct shell *shell, const char *line, const struct shell_verb **ret_verb)
{
    *ret_verb = NULL;
    if (shell_take_interrupts(shell) && !shell->at_prompt) {
        shell->quits = true;
        return session_report_own(shell->session, OCDMUX_KIND_CANCELLED, "stopped between two lines");
    }
    shell->session->status = STATUS_FAILED;
    bool good = shell_do(shell, line, ret_verb);
    fflush(stdout);
    if (good) {
        return STATUS_OK;
    }
    if (shell->session->status == STATUS_NO_CONNECTION) {
        session_fini(shell->session);
        shell->knows_target = false;
    }
    shell->quits = shell->quits || (shell->session->interrupted && !shell->at_prompt);
    return shell->session->status;
}

/* --- where lines come from --- */

static bool shell_keeps_going(const struct shell *shell)
{
    return options_has(shell->session->arguments, "keep-going");
}

/* The first failure counts. */
static enum status shell_run_options(struct shell *shell)
{
    const struct arguments *arguments = shell->session->arguments;
    const struct shell_verb *verb;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < arguments->option_count && !shell->quits && !ferror(stdout); i++) {
        if (strcmp(arguments->options[i].option->name, "command") != 0) {
            continue;
        }
        enum status own = shell_take_line(shell, arguments->options[i].value, &verb);
        status = status == STATUS_OK ? own : status;
        if (own != STATUS_OK && !shell_keeps_going(shell)) {
            break;
        }
    }
    return status;
}

static enum status shell_run_script(struct shell *shell)
{
    char *line = NULL;
    size_t size = 0;
    size_t number = 0;
    enum status status = STATUS_OK;
    const struct shell_verb *verb;
    while (!shell->quits && !ferror(stdout)) {
        ssize_t length = getline(&line, &size, stdin);
        if (length < 0) {
            break;
        }
        number++;
        bool holds_nul = strlen(line) != (size_t)length;
        line[strcspn(line, "\n")] = '\0';
        enum status own = STATUS_FAILED;
        if (holds_nul) {
            fputs("a line holds a NUL byte\n", stderr);
        } else {
            own = shell_take_line(shell, line, &verb);
        }
        if (own != STATUS_OK) {
            fprintf(stderr, "ocdmux: line %zu failed\n", number);
            status = status == STATUS_OK ? own : status;
        }
        if (own != STATUS_OK && !shell_keeps_going(shell)) {
            break;
        }
    }
    free(line);
    return status;
}

/* At a prompt an empty line does the last one again; after x that goes on where it stopped. */
static void shell_remember_line(char **last, const char *line, const struct shell_verb *verb)
{
    if (verb == NULL) {
        return;
    }
    char *repeated = NULL;
    if (verb->run == shell_examine) {
        repeated = xstrdup("x");
    } else if (verb->repeats) {
        repeated = xstrdup(line);
    }
    free(*last);
    *last = repeated;
}

static enum status shell_run_terminal(struct shell *shell)
{
    char *last = NULL;
    const char *line = NULL;
    const struct shell_verb *verb = NULL;
    struct shell_edit *edit = shell_edit_new(shell);
    if (edit == NULL) {
        return session_report_own(shell->session, "system_error", "the terminal cannot be used: %s",
                                  strerror(errno));
    }
    shell->at_prompt = true;
    while (!shell->quits && !ferror(stdout)) {
        enum shell_line read = shell_edit_read(edit, &line);
        if (read == SHELL_LINE_END) {
            putchar('\n');
            break;
        }
        if (read == SHELL_LINE_INTERRUPTED) {
            continue;
        }
        bool again = line[strspn(line, " \t")] == '\0';
        if (again && last == NULL) {
            continue;
        }
        char *own = xstrdup(again ? last : line);
        (void)shell_take_line(shell, own, &verb);
        shell_remember_line(&last, own, verb);
        free(own);
    }
    free(last);
    shell_edit_free(edit);
    return STATUS_OK;
}

enum status cmd_shell(struct session *session)
{
    struct shell shell = {.session = session};
    enum status status;
    if (session->json) {
        (void)options_complain(session->arguments, "shell takes no --json: its lines are for people");
        return STATUS_USAGE;
    }
    shell_init_access(&shell);
    examine_init(&shell.examine);
    if (options_has(session->arguments, "command")) {
        status = shell_run_options(&shell);
    } else if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        status = session_connect(session) ? shell_run_terminal(&shell) : session->status;
    } else {
        status = shell_run_script(&shell);
    }
    vars_fini(&shell.vars);
    shell_free_points(&shell);
    free(shell.registers);
    free(shell.banks);
    free(shell.file);
    return status;
}
