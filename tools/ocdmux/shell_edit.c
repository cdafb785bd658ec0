/*
 * Lines from a terminal, by libedit: editing, history and completion. The history is kept in
 * $XDG_STATE_HOME/ocdmux/history, which only its owner can read.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "base/alloc.h"
#include "interrupt.h"
#include "print.h"
#include "shell.h"

#define SHELL_HISTORY_SIZE 1000
#define SHELL_PROMPT "(ocdmux) "
#define SHELL_LISTED_MAX 200u

struct shell_edit {
    struct shell *shell;
    EditLine *line;
    History *history;
    char *history_file; /* owned; NULL: it is not kept */
    bool interrupted;
    struct strbuf text; /* of the last line */
};

static char *shell_edit_prompt(EditLine *line)
{
    static char prompt[] = SHELL_PROMPT;
    (void)line;
    return prompt;
}

/* --- characters, and Ctrl-C between them --- */

/* Reads a byte if there is still one: Ctrl-C takes away what the terminal has. -1 with EAGAIN if not. */
static int shell_edit_try_byte(char *ret_byte)
{
    int flags = fcntl(STDIN_FILENO, F_GETFL);
    if (flags < 0 || fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) < 0) {
        return -1;
    }
    ssize_t got = read(STDIN_FILENO, ret_byte, 1);
    int reason = errno;
    (void)fcntl(STDIN_FILENO, F_SETFL, flags);
    errno = reason;
    return (int)got;
}

/* 1 with a byte, 0 at the end, -1 for an interrupt or an error. */
static int shell_edit_read_byte(struct shell_edit *edit, char *ret_byte)
{
    int interrupts = interrupt_catch();
    struct pollfd waits[] = {{STDIN_FILENO, POLLIN, 0}, {interrupts, POLLIN, 0}};
    char bytes[64];
    for (;;) {
        if (poll(waits, interrupts < 0 ? 1 : 2, -1) < 0) {
            if (errno != EINTR) {
                return -1;
            }
            continue;
        }
        /* Keys first: those that are still here were pressed before Ctrl-C, and belong to the line that it
         * drops. */
        if (waits[0].revents != 0) {
            int got = shell_edit_try_byte(ret_byte);
            if (got >= 0 || (errno != EAGAIN && errno != EINTR)) {
                return got;
            }
        }
        if (interrupts >= 0 && (waits[1].revents & POLLIN) != 0 &&
            read(interrupts, bytes, sizeof(bytes)) > 0) {
            edit->interrupted = true;
            return -1;
        }
    }
}

static int shell_edit_get(EditLine *line, wchar_t *ret_character)
{
    struct shell_edit *edit = NULL;
    mbstate_t state;
    el_get(line, EL_CLIENTDATA, &edit);
    memset(&state, 0, sizeof(state));
    for (;;) {
        char byte;
        int got = shell_edit_read_byte(edit, &byte);
        if (got <= 0) {
            return got;
        }
        size_t used = mbrtowc(ret_character, &byte, 1, &state);
        if (used == 0 || used == 1) {
            return 1;
        }
        if (used == (size_t)-1) {
            *ret_character = L'?';
            return 1;
        }
    }
}

/* --- completion --- */

/* What a word may become. */
struct shell_choices {
    char **items; /* owned, and so is each */
    size_t count;
};

static void shell_choices_add(struct shell_choices *choices, const char *prefix, const char *word,
                              const char *begun, size_t length)
{
    struct strbuf whole = STRBUF_INIT;
    strbuf_appendf(&whole, "%s%s", prefix, word);
    if (whole.length >= length && memcmp(strbuf_text(&whole), begun, length) == 0) {
        choices->items = xrealloc(choices->items, (choices->count + 1) * sizeof(*choices->items));
        choices->items[choices->count++] = strbuf_steal(&whole);
    }
    strbuf_fini(&whole);
}

static void shell_choices_fini(struct shell_choices *choices)
{
    for (size_t i = 0; i < choices->count; i++) {
        free(choices->items[i]);
    }
    free(choices->items);
}

static void shell_choose_verbs(struct shell_choices *choices, const char *begun, size_t length)
{
    for (const struct shell_verb *verb = shell_verbs; verb->name != NULL; verb++) {
        shell_choices_add(choices, "", verb->name, begun, length);
    }
}

static void shell_choose_files(struct shell_choices *choices, const char *begun, size_t length)
{
    glob_t found;
    struct strbuf pattern = STRBUF_INIT;
    for (size_t i = 0; i < length; i++) {
        strbuf_appendf(&pattern, "%s%c", strchr("*?[\\", begun[i]) != NULL ? "\\" : "", begun[i]);
    }
    strbuf_append_byte(&pattern, '*');
    if (glob(strbuf_text(&pattern), GLOB_MARK, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            shell_choices_add(choices, "", found.gl_pathv[i], begun, length);
        }
        globfree(&found);
    }
    strbuf_fini(&pattern);
}

/* What may stand behind a verb, where `begun` is. */
static void shell_choose_arguments(struct shell *shell, struct shell_choices *choices,
                                   const struct shell_verb *verb, bool first, const char *begun,
                                   size_t length)
{
    if (verb->run == shell_help) {
        shell_choose_verbs(choices, begun, length);
    }
    for (const char *const *word = verb->words; first && word != NULL && *word != NULL; word++) {
        shell_choices_add(choices, "", *word, begun, length);
    }
    if (verb->completes == 'f') {
        shell_choose_files(choices, begun, length);
    }
    bool registers = verb->run == shell_info ? !first : verb->completes == 'e' && begun[0] == '$';
    for (size_t i = 0; registers && i < shell->register_count; i++) {
        shell_choices_add(choices, begun[0] == '$' ? "$" : "", shell->registers[i].name, begun, length);
    }
}

/* Everything that the word before the cursor may become; `*ret_begun` is where it begins. */
static void shell_choose(struct shell *shell, struct shell_choices *choices, const char *line, size_t cursor,
                         size_t *ret_begun)
{
    size_t verb_start = strspn(line, " \t");
    size_t verb_end = verb_start + strcspn(line + verb_start, " \t/$");
    size_t begun = cursor;
    *ret_begun = verb_start;
    if (verb_start >= cursor || verb_end >= cursor) {
        shell_choose_verbs(choices, line + verb_start, cursor > verb_start ? cursor - verb_start : 0);
        return;
    }
    const struct shell_verb *verb = NULL;
    for (const struct shell_verb *each = shell_verbs; each->name != NULL; each++) {
        if (strncmp(each->name, line + verb_start, verb_end - verb_start) == 0) {
            verb = each;
            break;
        }
    }
    if (verb == NULL) {
        return;
    }
    /* A register's name begins anywhere in an expression; everything else at a blank. */
    bool expressions = verb->completes == 'e' && verb->run != shell_info;
    while (begun > verb_end && strchr(" \t", line[begun - 1]) == NULL &&
           (!expressions || strchr("+-*/%&|^~!<>=()[]{},@", line[begun - 1]) == NULL)) {
        begun--;
    }
    size_t first = verb_end + strspn(line + verb_end, " \t");
    *ret_begun = begun;
    shell_choose_arguments(shell, choices, verb, begun <= first, line + begun, cursor - begun);
}

static size_t shell_common_length(const struct shell_choices *choices)
{
    size_t common = strlen(choices->items[0]);
    for (size_t i = 1; i < choices->count; i++) {
        size_t length = 0;
        while (length < common && choices->items[i][length] == choices->items[0][length]) {
            length++;
        }
        common = length;
    }
    return common;
}

static void shell_list_choices(const struct shell_choices *choices)
{
    putchar('\n');
    for (size_t i = 0; i < choices->count && i < SHELL_LISTED_MAX; i++) {
        print_field(stdout, choices->items[i]);
        putchar(i + 1 < choices->count ? ' ' : '\n');
    }
    if (choices->count > SHELL_LISTED_MAX) {
        puts("...");
    }
    fflush(stdout);
}

static unsigned char shell_edit_complete(EditLine *line, int character)
{
    struct shell_edit *edit = NULL;
    struct shell_choices choices = {.items = NULL};
    size_t begun = 0;
    unsigned char outcome = CC_ERROR;
    const LineInfo *info = el_line(line);
    size_t cursor = (size_t)(info->cursor - info->buffer);
    char *text = xstrndup(info->buffer, cursor);
    (void)character;
    el_get(line, EL_CLIENTDATA, &edit);
    shell_choose(edit->shell, &choices, text, cursor, &begun);
    if (choices.count > 0) {
        size_t common = shell_common_length(&choices);
        size_t have = cursor - begun;
        char *more = xstrndup(choices.items[0] + have, common - have);
        bool whole = choices.count == 1 && (common == 0 || choices.items[0][common - 1] != '/');
        if (more[0] != '\0' && el_insertstr(line, more) == 0) {
            outcome = CC_REFRESH;
        }
        if (whole && el_insertstr(line, " ") == 0) {
            outcome = CC_REFRESH;
        } else if (choices.count > 1 && more[0] == '\0') {
            shell_list_choices(&choices);
            outcome = CC_REDISPLAY;
        }
        free(more);
    }
    shell_choices_fini(&choices);
    free(text);
    return outcome;
}

/* --- history --- */

static void shell_edit_find_history(struct shell_edit *edit)
{
    struct strbuf path = STRBUF_INIT;
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (state != NULL && state[0] == '/') {
        strbuf_append_text(&path, state);
    } else if (home != NULL && home[0] == '/') {
        strbuf_appendf(&path, "%s/.local/state", home);
    } else {
        return;
    }
    /* Only its last part is made: a home that is not there stays so. */
    (void)mkdir(strbuf_text(&path), 0700);
    strbuf_append_text(&path, "/ocdmux");
    (void)mkdir(strbuf_text(&path), 0700);
    strbuf_append_text(&path, "/history");
    edit->history_file = strbuf_steal(&path);
}

static void shell_edit_load_history(struct shell_edit *edit)
{
    HistEvent event;
    history(edit->history, &event, H_SETSIZE, SHELL_HISTORY_SIZE);
    history(edit->history, &event, H_SETUNIQUE, 1);
    shell_edit_find_history(edit);
    if (edit->history_file != NULL) {
        history(edit->history, &event, H_LOAD, edit->history_file);
    }
}

/* --- the editor --- */

struct shell_edit *shell_edit_new(struct shell *shell)
{
    (void)setlocale(LC_CTYPE, "");
    EditLine *line = el_init("ocdmux", stdin, stdout, stderr);
    if (line == NULL) {
        return NULL;
    }
    struct shell_edit *edit = xcalloc(1, sizeof(*edit));
    *edit = (struct shell_edit){.shell = shell, .line = line, .history = history_init()};
    shell_edit_load_history(edit);
    el_set(line, EL_CLIENTDATA, edit);
    el_set(line, EL_PROMPT, shell_edit_prompt);
    el_set(line, EL_EDITOR, "emacs");
    el_set(line, EL_HIST, history, edit->history);
    el_set(line, EL_GETCFN, shell_edit_get);
    /* The narrow function would copy the two texts and never free them. */
    el_wset(line, EL_ADDFN, L"ocdmux-complete", L"complete the word", shell_edit_complete);
    el_set(line, EL_BIND, "^I", "ocdmux-complete", NULL);
    el_set(line, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(line, NULL);
    return edit;
}

void shell_edit_free(struct shell_edit *edit)
{
    HistEvent event;
    if (edit->history_file != NULL) {
        history(edit->history, &event, H_SAVE, edit->history_file);
    }
    el_end(edit->line);
    history_end(edit->history);
    strbuf_fini(&edit->text);
    free(edit->history_file);
    free(edit);
}

enum shell_line shell_edit_read(struct shell_edit *edit, const char **ret_line)
{
    HistEvent event;
    int length = 0;
    edit->interrupted = false;
    const char *line = el_gets(edit->line, &length);
    if (edit->interrupted) {
        const LineInfo *info = el_line(edit->line);
        int whole = (int)(info->lastchar - info->buffer);
        puts("^C");
        (void)el_cursor(edit->line, (int)(info->lastchar - info->cursor));
        el_deletestr(edit->line, whole);
        el_reset(edit->line);
        return SHELL_LINE_INTERRUPTED;
    }
    if (line == NULL || length <= 0) {
        return SHELL_LINE_END;
    }
    strbuf_clear(&edit->text);
    strbuf_append(&edit->text, line, strcspn(line, "\r\n"));
    *ret_line = strbuf_text(&edit->text);
    if ((*ret_line)[strspn(*ret_line, " \t")] != '\0') {
        history(edit->history, &event, H_ENTER, *ret_line);
    }
    return SHELL_LINE;
}
