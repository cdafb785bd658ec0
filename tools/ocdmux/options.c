/* Reading the command line: the command, its words and its options. */
#include "options.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/strbuf.h"
#include "color.h"
#include "print.h"

const struct option command_globals[] = {
    {"server", "URL", "tcp:HOST:PORT, tls:HOST:PORT, unix:PATH or ssh:HOST", NULL},
    {"ca", "FILE", "tls: whose signatures count, in PEM [$OCDMUX_CA, else the system's]", NULL},
    {"cert", "FILE", "tls: the certificate to show, in PEM [$OCDMUX_CERT]", NULL},
    {"key", "FILE", "tls: its key, in PEM [$OCDMUX_KEY]", NULL},
    {"board", "BOARD", "which board, where the server has several [$OCDMUX_BOARD]", NULL},
    {"target", "TARGET", "OpenOCD's name of the target [$OCDMUX_TARGET, else the board's current one]", NULL},
    {"lease", "ID", "the lease to change the board under [$OCDMUX_LEASE]", NULL},
    {"timeout", "MS",
     "fail when a request takes longer, waiting included; 1 to 86400000 ms [$OCDMUX_TIMEOUT]", NULL},
    {"token-file", "FILE", "a file with the token to show, which nobody else may read [$OCDMUX_TOKEN_FILE]",
     NULL},
    {"color", "auto|always|never", "whether to use colour; auto: on terminals, unless $NO_COLOR is set",
     color_choices},
    {"json", NULL, "print the result's JSON as it came", NULL},
    {"help", NULL, "print help and end", NULL},
    {"version", NULL, "print the version and end", NULL},
    {NULL, NULL, NULL, NULL},
};

bool options_complain(const struct arguments *arguments, const char *format, ...)
{
    struct strbuf text = STRBUF_INIT;
    va_list values;
    va_start(values, format);
    strbuf_appendv(&text, format, values);
    va_end(values);
    color_begin(stderr, COLOR_RED);
    fputs("ocdmux: bad usage: ", stderr);
    color_end(stderr, COLOR_RED);
    print_field(stderr, strbuf_text(&text));
    strbuf_fini(&text);
    if (arguments->command != NULL) {
        fprintf(stderr, "\nTry 'ocdmux %s --help'.\n", arguments->command->name);
    } else {
        fputs("\nTry 'ocdmux --help'.\n", stderr);
    }
    return false;
}

static const struct option *options_find_in(const struct option *table, const char *name, size_t length)
{
    for (; table != NULL && table->name != NULL; table++) {
        if (strlen(table->name) == length && memcmp(table->name, name, length) == 0) {
            return table;
        }
    }
    return NULL;
}

static const struct option *options_find(const struct arguments *arguments, const char *name, size_t length)
{
    const struct option *found = options_find_in(command_globals, name, length);
    if (found == NULL && arguments->command != NULL) {
        found = options_find_in(arguments->command->options, name, length);
    }
    return found;
}

bool options_is_choice(const struct option *option, const char *value)
{
    if (option->choices == NULL) {
        return true;
    }
    for (const char *const *choice = option->choices; *choice != NULL; choice++) {
        if (strcmp(*choice, value) == 0) {
            return true;
        }
    }
    return false;
}

/* Takes the option at argv[*index], and its value. */
static bool options_take(struct arguments *arguments, int argc, char **argv, int *index)
{
    const char *name = argv[*index] + 2;
    const char *equals = strchr(name, '=');
    size_t length = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const struct option *option = options_find(arguments, name, length);
    if (option == NULL) {
        return options_complain(arguments, "there is no option --%.*s", (int)length, name);
    }
    const char *value = NULL;
    if (option->value == NULL) {
        if (equals != NULL) {
            return options_complain(arguments, "--%s takes no value", option->name);
        }
    } else if (equals != NULL) {
        value = equals + 1;
    } else if (*index + 1 < argc) {
        *index += 1;
        value = argv[*index];
    } else {
        return options_complain(arguments, "--%s needs %s", option->name, option->value);
    }
    if (value != NULL && !options_is_choice(option, value)) {
        return options_complain(arguments, "--%s is %s, not '%s'", option->name, option->value, value);
    }
    if (arguments->option_count == OPTIONS_MAX) {
        return options_complain(arguments, "too many options");
    }
    arguments->options[arguments->option_count++] = (struct given_option){option, value};
    return true;
}

static bool options_take_command(struct arguments *arguments, const struct command *commands,
                                 const char *word)
{
    for (; commands->name != NULL; commands++) {
        if (strcmp(commands->name, word) == 0) {
            arguments->command = commands;
            return true;
        }
    }
    return options_complain(arguments, "there is no command '%s'", word);
}

/* How many words the table's "ADDRESS [COUNT]" asks for. */
static void options_count_words(const char *text, size_t *ret_minimum, size_t *ret_maximum)
{
    size_t minimum = 0;
    size_t maximum = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        minimum += text[0] != '[' ? 1 : 0;
        maximum += 1;
        text += length + strspn(text + length, " ");
    }
    *ret_minimum = minimum;
    *ret_maximum = maximum;
}

static bool options_check_words(const struct arguments *arguments)
{
    const struct command *command = arguments->command;
    size_t minimum;
    size_t maximum;
    options_count_words(command->arguments, &minimum, &maximum);
    if (arguments->count < minimum) {
        return options_complain(arguments, "%s needs %s", command->name, command->arguments);
    }
    if (arguments->count > maximum && strstr(command->arguments, "...") == NULL) {
        return options_complain(arguments, "%s takes %s: '%s' is one too many", command->name,
                                maximum == 0 ? "no arguments" : command->arguments,
                                arguments->words[maximum]);
    }
    if ((command->flags & COMMAND_TAKES_BOARD) == 0 && options_has(arguments, "board")) {
        return options_complain(arguments, "%s takes no --board", command->name);
    }
    if ((command->flags & COMMAND_TAKES_TARGET) == 0 && options_has(arguments, "target")) {
        return options_complain(arguments, "%s takes no --target", command->name);
    }
    return true;
}

/* Whether `word`, with nothing said about it before, is an option. */
static bool options_is_option(const struct arguments *arguments, const char *word)
{
    bool rest =
        arguments->command != NULL && (arguments->command->flags & COMMAND_REST) != 0 && arguments->count > 0;
    return word[0] == '-' && word[1] != '\0' && !rest;
}

/* The one short option, as shells have it: "-c LINE" for "--command LINE". */
static char options_long_command[] = "--command";

static bool options_is_short(const struct arguments *arguments, const char *word)
{
    return strcmp(word, "-c") == 0 && arguments->command != NULL &&
           options_find_in(arguments->command->options, "command", strlen("command")) != NULL;
}

bool options_parse(struct arguments *arguments, const struct command *commands, int argc, char **argv)
{
    bool only_words = false;
    *arguments = (struct arguments){.commands = commands};
    arguments->words = xcalloc((size_t)argc + 1, sizeof(*arguments->words));
    for (int i = 1; i < argc; i++) {
        if (!only_words && strcmp(argv[i], "--") == 0 && options_is_option(arguments, argv[i])) {
            only_words = true;
        } else if (!only_words && options_is_option(arguments, argv[i])) {
            if (options_is_short(arguments, argv[i])) {
                argv[i] = options_long_command;
            }
            if (strncmp(argv[i], "--", 2) != 0) {
                return options_complain(arguments, "there is no option %s", argv[i]);
            }
            if (!options_take(arguments, argc, argv, &i)) {
                return false;
            }
        } else if (arguments->command == NULL) {
            if (!options_take_command(arguments, commands, argv[i])) {
                return false;
            }
        } else {
            arguments->words[arguments->count++] = argv[i];
        }
    }
    if (options_has(arguments, "help") || options_has(arguments, "version")) {
        return true;
    }
    if (arguments->command == NULL) {
        return options_complain(arguments, "no command was given");
    }
    return options_check_words(arguments);
}

void options_fini(struct arguments *arguments)
{
    free(arguments->words);
    arguments->words = NULL;
}

static const struct given_option *options_given(const struct arguments *arguments, const char *name)
{
    for (size_t i = arguments->option_count; i > 0; i--) {
        if (strcmp(arguments->options[i - 1].option->name, name) == 0) {
            return &arguments->options[i - 1];
        }
    }
    return NULL;
}

bool options_has(const struct arguments *arguments, const char *name)
{
    return options_given(arguments, name) != NULL;
}

const char *options_value(const struct arguments *arguments, const char *name)
{
    const struct given_option *given = options_given(arguments, name);
    return given == NULL ? NULL : given->value;
}

static bool options_read_number(const struct arguments *arguments, const char *what, const char *text,
                                enum number_kind kind, uint64_t minimum, uint64_t maximum,
                                uint64_t *ret_value)
{
    uint64_t value;
    if (!number_parse(text, kind, &value)) {
        return options_complain(arguments, "%s is a number (decimal or 0x...%s), not '%s'", what,
                                kind == NUMBER_SIZE ? ", K, M" : "", text);
    }
    if (value < minimum || value > maximum) {
        return options_complain(arguments, "%s is from %" PRIu64 " to %" PRIu64 ", not %s", what, minimum,
                                maximum, text);
    }
    *ret_value = value;
    return true;
}

bool options_number(const struct arguments *arguments, const char *name, enum number_kind kind,
                    uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
{
    char what[64];
    const char *text = options_value(arguments, name);
    if (text == NULL) {
        return true;
    }
    (void)snprintf(what, sizeof(what), "--%s", name);
    return options_read_number(arguments, what, text, kind, minimum, maximum, ret_value);
}

/* The table's name of the word at `index`, the last one for all that follow. */
static void options_word_name(const struct command *command, size_t index, char *out, size_t size)
{
    const char *text = command->arguments;
    for (; index > 0; index--) {
        const char *space = strchr(text, ' ');
        if (space == NULL) {
            break;
        }
        text = space + 1;
    }
    text += *text == '[' ? 1 : 0;
    (void)snprintf(out, size, "%.*s", (int)strcspn(text, " .]"), text);
}

bool options_word_number(const struct arguments *arguments, size_t index, enum number_kind kind,
                         uint64_t minimum, uint64_t maximum, uint64_t *ret_value)
{
    char what[64];
    if (index >= arguments->count) {
        return true;
    }
    options_word_name(arguments->command, index, what, sizeof(what));
    return options_read_number(arguments, what, arguments->words[index], kind, minimum, maximum, ret_value);
}
