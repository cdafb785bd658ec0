/* token new: a secret for a client, and its hash for the daemon. */
#include <stdio.h>
#include <string.h>

#include "base/token.h"
#include "commands.h"

static const char *const cmd_token_roles[] = {"observer", "user", "admin", NULL};

const struct option cmd_token_options[] = {
    {"role", "ROLE", "observer, user or admin [user]", cmd_token_roles},
    {NULL, NULL, NULL, NULL},
};

static bool cmd_token_is_identity(const char *text)
{
    size_t good = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-");
    return good > 0 && good <= 64 && text[good] == '\0' && strcmp(text, "anonymous") != 0;
}

static void cmd_token_print(const struct session *session, const char *identity, const char *role,
                            const char *token, const char *hash)
{
    if (session->json) {
        printf("{\"token\":\"%s\",\"entry\":{\"identity\":\"%s\",\"role\":\"%s\",\"hash\":\"%s\"}}\n", token,
               identity, role, hash);
        return;
    }
    printf("For the client, and nobody else:\n\n  export OCDMUX_TOKEN=%s\n\n", token);
    printf("For `tokens` in the daemon's configuration:\n\n"
           "  {\"identity\": \"%s\", \"role\": \"%s\",\n   \"hash\": \"%s\"}\n",
           identity, role, hash);
}

enum status cmd_token(struct session *session)
{
    const struct arguments *arguments = session->arguments;
    char token[TOKEN_TEXT_SIZE];
    char hash[TOKEN_HASH_TEXT_SIZE];
    const char *role = options_value(arguments, "role");
    if (strcmp(arguments->words[0], "new") != 0) {
        (void)options_complain(arguments, "%s: only `new` is known", arguments->words[0]);
        return STATUS_USAGE;
    }
    if (!cmd_token_is_identity(arguments->words[1])) {
        (void)options_complain(arguments,
                               "IDENTITY has 1 to 64 letters, digits, dots, dashes, underscores or "
                               "at signs, and is not \"anonymous\"");
        return STATUS_USAGE;
    }
    if (!token_make(token, hash)) {
        return session_report_own(session, "system_error", "the system gives no random bytes");
    }
    cmd_token_print(session, arguments->words[1], role != NULL ? role : "user", token, hash);
    return STATUS_OK;
}
