/* Printing help. */
#include "help.h"

#include <stdio.h>
#include <string.h>

#include "methods.h"

#define HELP_COLUMN 32

static void help_print_pair(const char *left, const char *text)
{
    int width = (int)strlen(left);
    printf("  %s", left);
    if (width > HELP_COLUMN - 2) {
        printf("\n  ");
        width = 0;
    }
    printf("%*s%s\n", HELP_COLUMN - width, "", text);
}

static void help_print_options(const struct option *option)
{
    char left[96];
    for (; option != NULL && option->name != NULL; option++) {
        (void)snprintf(left, sizeof(left), "--%s%s%s", option->name, option->value == NULL ? "" : " ",
                       option->value == NULL ? "" : option->value);
        help_print_pair(left, option->help);
    }
}

void help_print(const struct command *commands)
{
    char left[96];
    puts("Usage: ocdmux [OPTION...] COMMAND ...\n"
         "Works on a board through ocdmuxd, the daemon that shares one OpenOCD among many clients.\n"
         "\n"
         "Commands:");
    for (const struct command *command = commands; command->name != NULL; command++) {
        (void)snprintf(left, sizeof(left), "%s%s%s", command->name, command->arguments[0] == '\0' ? "" : " ",
                       command->arguments);
        help_print_pair(left, command->summary);
    }
    puts("\nOptions, before or behind the command:");
    help_print_options(command_globals);
    puts(
        "\n"
        "An option counts before its variable of the environment, and that before the configuration: lines\n"
        "'KEY = VALUE' in $XDG_CONFIG_HOME/ocdmux/config (~/.config/ocdmux/config; $OCDMUX_CONFIG names\n"
        "another file) with the keys server, board, target, token, token-file, ca, cert, key, timeout and\n"
        "color. Without any of them the server is unix:$XDG_RUNTIME_DIR/ocdmux.sock if it exists, else\n"
        "tcp:127.0.0.1:6670. A token stands in $OCDMUX_TOKEN, or in a file that only you can read.\n"
        "ssh:HOST runs `ssh HOST ocdmux stdio`; $OCDMUX_SSH names another program in its place.\n"
        "Numbers are decimal or 0x and hex digits; sizes may end in K or M. Errors go to standard error.\n"
        "With --json the result is the method's, as proto/PROTOCOL.md describes it: 'ocdmux COMMAND --help'\n"
        "names the methods.\n"
        "Ctrl-C cancels what runs and waits for the answer; a second one does not wait.\n"
        "Exit status: 0 done, 1 failed, 2 bad usage, 3 no connection or one that broke.\n"
        "'ocdmux COMMAND --help' says more about each command.");
}

void help_print_command(const struct command *command)
{
    printf("Usage: ocdmux [OPTION...] %s%s%s\n%s.\n", command->name, command->arguments[0] == '\0' ? "" : " ",
           command->arguments, command->summary);
    if (command->details != NULL) {
        printf("\n%s\n", command->details);
    }
    if (methods_of(command->name)[0] != '\0') {
        printf("\nMethods of the protocol: %s.\n", methods_of(command->name));
    }
    if (command->options != NULL) {
        puts("\nOptions:");
        help_print_options(command->options);
    }
    puts("\nOptions of every command:");
    for (const struct option *option = command_globals; option->name != NULL; option++) {
        if ((strcmp(option->name, "board") == 0 && (command->flags & COMMAND_TAKES_BOARD) == 0) ||
            (strcmp(option->name, "target") == 0 && (command->flags & COMMAND_TAKES_TARGET) == 0)) {
            continue;
        }
        const struct option one[] = {*option, {NULL, NULL, NULL, NULL}};
        help_print_options(one);
    }
}
