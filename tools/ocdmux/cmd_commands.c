/* commands and complete: what this program can do, for programs. */
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "complete.h"
#include "methods.h"
#include "print.h"
#include "table.h"

static void cmd_commands_add_words(cJSON *object, const char *name, const char *words)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    while (*words != '\0') {
        char word[64];
        size_t length = strcspn(words, " ");
        (void)snprintf(word, sizeof(word), "%.*s", (int)length, words);
        cJSON_AddItemToArray(array, cJSON_CreateString(word));
        words += length + strspn(words + length, " ");
    }
}

static cJSON *cmd_commands_option(const struct option *option)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", option->name);
    if (option->value != NULL) {
        cJSON_AddStringToObject(object, "value", option->value);
    }
    cJSON_AddStringToObject(object, "help", option->help);
    return object;
}

static cJSON *cmd_commands_entry(const struct command *command)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", command->name);
    cJSON_AddStringToObject(object, "arguments", command->arguments);
    cJSON_AddStringToObject(object, "summary", command->summary);
    cJSON *options = cJSON_AddArrayToObject(object, "options");
    for (const struct option *option = command->options; option != NULL && option->name != NULL; option++) {
        cJSON_AddItemToArray(options, cmd_commands_option(option));
    }
    cmd_commands_add_words(object, "methods", methods_of(command->name));
    return object;
}

static void cmd_commands_print_json(const struct command *commands)
{
    cJSON *result = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(result, "commands");
    for (const struct command *command = commands; command->name != NULL; command++) {
        cJSON_AddItemToArray(list, cmd_commands_entry(command));
    }
    cJSON *options = cJSON_AddArrayToObject(result, "options");
    for (const struct option *option = command_globals; option->name != NULL; option++) {
        cJSON_AddItemToArray(options, cmd_commands_option(option));
    }
    cJSON *without = cJSON_AddObjectToObject(result, "without_command");
    for (const struct method_row *row = methods_without_commands; row->name != NULL; row++) {
        cJSON_AddStringToObject(without, row->name, row->methods);
    }
    char *text = cJSON_PrintUnformatted(result);
    print_json(stdout, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(result);
}

enum status cmd_commands(struct session *session)
{
    static const char *const header[] = {"command", "methods"};
    const struct command *commands = session->arguments->commands;
    struct table table;
    if (session->json) {
        cmd_commands_print_json(commands);
        return STATUS_OK;
    }
    table_init(&table, 2, header);
    for (const struct command *command = commands; command->name != NULL; command++) {
        table_add(&table, command->name);
        table_add(&table, methods_of(command->name));
    }
    table_print(&table);
    table_fini(&table);
    return STATUS_OK;
}

enum status cmd_complete(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    struct strbuf out = STRBUF_INIT;
    complete_words(arguments->commands, (const char *const *)arguments->words, arguments->count, &out);
    fputs(strbuf_text(&out), stdout);
    strbuf_fini(&out);
    return STATUS_OK;
}
