/* Printing help. */
#include "help.h"

#include <stdio.h>
#include <string.h>

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
    puts("\n"
         "Without --server: $OCDMUX_SERVER, else unix:$XDG_RUNTIME_DIR/ocdmux.sock if it exists, else\n"
         "tcp:127.0.0.1:6670. A token for servers that want one goes into $OCDMUX_TOKEN.\n"
         "Without --board: $OCDMUX_BOARD.\n"
         "ssh:HOST runs `ssh HOST ocdmux stdio`; $OCDMUX_SSH names another program in its place.\n"
         "Numbers are decimal or 0x and hex digits; sizes may end in K or M. Errors go to standard error.\n"
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
