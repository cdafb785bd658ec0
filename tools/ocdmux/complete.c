/* Completion by the table of commands. */
#include "complete.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "methods.h"

/* What is known of the line before the word. */
struct complete {
    const struct command *commands;
    const struct command *command; /* NULL: none yet */
    const struct option *pending;  /* an option that wants its value; NULL: none */
    size_t place;                  /* how many words of the command stand there */
    bool lost;                     /* behind a command that there is not */
    bool only_words;               /* behind "--", or where the rest is another program's */
    const char *word;
    const char *prefix; /* "--name=", where the value is a part of the word; else "" */
    struct strbuf *out;
};

static void complete_add(const struct complete *complete, const char *prefix, const char *word, size_t length,
                         const char *meaning)
{
    size_t start = complete->out->length;
    strbuf_append_text(complete->out, prefix);
    strbuf_append(complete->out, word, length);
    size_t begun = strlen(complete->word);
    if (complete->out->length - start < begun ||
        memcmp(complete->out->data + start, complete->word, begun) != 0) {
        strbuf_truncate(complete->out, start);
        return;
    }
    strbuf_appendf(complete->out, "\t%s\n", meaning);
}

static const struct option *complete_find(const struct option *table, const char *name, size_t length)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (strlen(table->name) == length && memcmp(table->name, name, length) == 0) {
            return table;
        }
    }
    return NULL;
}

/* Takes a word that stands before the one to complete. */
static void complete_pass(struct complete *complete, const char *word)
{
    bool rest =
        complete->command != NULL && (complete->command->flags & COMMAND_REST) != 0 && complete->place > 0;
    if (strcmp(word, "=") == 0 && complete->pending != NULL) {
        return;
    }
    if (complete->pending != NULL) {
        complete->pending = NULL;
    } else if (!rest && !complete->only_words && strcmp(word, "--") == 0) {
        complete->only_words = true;
    } else if (!rest && !complete->only_words && strncmp(word, "--", 2) == 0) {
        size_t length = strcspn(word + 2, "=");
        const struct option *option = complete_find(command_globals, word + 2, length);
        if (option == NULL && complete->command != NULL) {
            option = complete_find(complete->command->options, word + 2, length);
        }
        bool wants = option != NULL && option->value != NULL && word[2 + length] == '\0';
        complete->pending = wants ? option : NULL;
    } else if (complete->command == NULL) {
        for (const struct command *each = complete->commands; each->name != NULL; each++) {
            complete->command = strcmp(each->name, word) == 0 ? each : complete->command;
        }
        complete->lost = complete->command == NULL;
    } else {
        complete->place++;
    }
}

static void complete_option(const struct complete *complete, const struct option *option)
{
    complete_add(complete, "--", option->name, strlen(option->name), option->help);
}

static void complete_options(const struct complete *complete)
{
    const struct command *command = complete->command;
    for (const struct option *option = command == NULL ? NULL : command->options;
         option != NULL && option->name != NULL; option++) {
        complete_option(complete, option);
    }
    for (const struct option *option = command_globals; option->name != NULL; option++) {
        bool board = strcmp(option->name, "board") == 0;
        bool target = strcmp(option->name, "target") == 0;
        bool without = command != NULL && ((board && (command->flags & COMMAND_TAKES_BOARD) == 0) ||
                                           (target && (command->flags & COMMAND_TAKES_TARGET) == 0));
        if (!without) {
            complete_option(complete, option);
        }
    }
}

/* Whether a command before that one calls the method as well. */
static bool complete_is_known(const struct method_row *end, const char *method, size_t length)
{
    for (const struct method_row *row = methods_of_commands; row < end; row++) {
        for (const char *own = row->methods; *own != '\0';) {
            size_t size = strcspn(own, " ");
            if (size == length && memcmp(own, method, length) == 0) {
                return true;
            }
            own += size + strspn(own + size, " ");
        }
    }
    return false;
}

static void complete_methods(const struct complete *complete)
{
    for (const struct method_row *row = methods_of_commands; row->name != NULL; row++) {
        for (const char *method = row->methods; *method != '\0';) {
            size_t length = strcspn(method, " ");
            if (!complete_is_known(row, method, length)) {
                complete_add(complete, "", method, length, row->name);
            }
            method += length + strspn(method + length, " ");
        }
    }
    for (const struct method_row *row = methods_without_commands; row->name != NULL; row++) {
        complete_add(complete, "", row->name, strlen(row->name), row->methods);
    }
}

/* What the help calls a value or a word: "FILE", "on|off", "COMMAND". */
static void complete_kind(const struct complete *complete, const char *kind, size_t length)
{
    if (memchr(kind, '|', length) != NULL || (length > 0 && kind[0] >= 'a' && kind[0] <= 'z')) {
        for (size_t place = 0; place <= length;) {
            const char *end = memchr(kind + place, '|', length - place);
            size_t own = end == NULL ? length - place : (size_t)(end - kind) - place;
            complete_add(complete, complete->prefix, kind + place, own, "");
            place += own + 1;
        }
    } else if (length == strlen("FILE") && memcmp(kind, "FILE", length) == 0) {
        strbuf_append_text(complete->out, ":files\n");
    } else if (length == strlen("COMMAND") && memcmp(kind, "COMMAND", length) == 0 &&
               strcmp(complete->command->name, "with-lease") == 0) {
        strbuf_append_text(complete->out, complete->place == 0 ? ":commands\n" : ":files\n");
    } else if (length == strlen("METHOD") && memcmp(kind, "METHOD", length) == 0) {
        complete_methods(complete);
    }
}

/* The word of the table's "ADDRESS [COUNT]" that stands at the place; the last one may come again. */
static void complete_argument(const struct complete *complete)
{
    const char *text = complete->command->arguments;
    for (size_t place = complete->place; place > 0; place--) {
        const char *space = strchr(text, ' ');
        if (space == NULL) {
            if (strstr(text, "...") == NULL) {
                return;
            }
            break;
        }
        text = space + 1;
    }
    text += *text == '[' ? 1 : 0;
    complete_kind(complete, text, strcspn(text, " .]"));
}

/* "--name=BEGUN" in one word. */
static void complete_joined(struct complete *complete)
{
    char prefix[64];
    size_t length = strcspn(complete->word, "=") + 1;
    (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)length, complete->word);
    prefix[strlen(prefix) - 1] = '\0';
    complete_pass(complete, prefix);
    if (complete->pending != NULL) {
        (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)length, complete->word);
        complete->prefix = prefix;
        complete_kind(complete, complete->pending->value, strlen(complete->pending->value));
    }
}

void complete_words(const struct command *commands, const char *const *words, size_t count,
                    struct strbuf *out)
{
    struct complete complete = {.commands = commands, .word = "", .prefix = "", .out = out};
    for (size_t i = 0; i + 1 < count; i++) {
        complete_pass(&complete, words[i]);
    }
    complete.word = count > 0 ? words[count - 1] : "";
    complete.only_words =
        complete.only_words ||
        (complete.command != NULL && (complete.command->flags & COMMAND_REST) != 0 && complete.place > 0);
    if (complete.pending != NULL) {
        complete.word = strcmp(complete.word, "=") == 0 ? "" : complete.word;
        complete_kind(&complete, complete.pending->value, strlen(complete.pending->value));
    } else if (strncmp(complete.word, "--", 2) == 0 && strchr(complete.word, '=') != NULL &&
               !complete.only_words) {
        complete_joined(&complete);
    } else if (complete.word[0] == '-' && !complete.only_words) {
        complete_options(&complete);
    } else if (complete.command != NULL) {
        complete_argument(&complete);
    } else if (!complete.lost) {
        for (const struct command *each = commands; each->name != NULL; each++) {
            complete_add(&complete, "", each->name, strlen(each->name), each->summary);
        }
    }
}
