/* lease: who alone may change a board. */
#include "cmd_lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "fields.h"
#include "print.h"

/* Without a connection that holds it there should be time to work. */
#define CMD_LEASE_TTL_S 600u

const struct option cmd_lease_options[] = {
    {"ttl", "SECONDS", "how long it lasts unless it is renewed; 1 to 86400, 600 if not given", NULL},
    {"wait", "SECONDS", "acquire: how long to wait for it; 0 to 86400, 0 if not given", NULL},
    {"reason", "TEXT", "acquire: what for; others see it", NULL},
    {NULL, NULL, NULL, NULL},
};

bool lease_add_seconds(const struct session *session, cJSON *params, const char *option, const char *name,
                       uint64_t minimum, uint64_t fallback_s)
{
    uint64_t seconds = fallback_s;
    if (!options_number(session->arguments, option, NUMBER_PLAIN, minimum, LEASE_MOST_SECONDS, &seconds)) {
        return false;
    }
    ocdmux_json_add_u64(params, name, seconds * 1000);
    return true;
}

void lease_warn(const cJSON *result)
{
    if (field_true(result, "volatile")) {
        fputs("ocdmux: the daemon cannot write the lease down: it may end with the daemon\n", stderr);
    }
}

/* Only what makes sense with the action. */
static bool cmd_lease_check_options(const struct session *session, bool ttl, bool acquire)
{
    static const char *const names[] = {"ttl", "wait", "reason"};
    const bool taken[] = {ttl, acquire, acquire};
    for (size_t i = 0; i < 3; i++) {
        if (!taken[i] && options_has(session->arguments, names[i])) {
            return options_complain(session->arguments, "lease %s takes no --%s",
                                    session->arguments->words[0], names[i]);
        }
    }
    return true;
}

static bool cmd_lease_show_id(void *arg, const cJSON *result)
{
    const char *id = field_text(result, "lease");
    (void)arg;
    if (id == NULL) {
        return false;
    }
    print_field(stdout, id);
    putchar('\n');
    lease_warn(result);
    return true;
}

static enum status cmd_lease_acquire(struct session *session)
{
    cJSON *params = session_plain_params(session);
    const char *reason = options_value(session->arguments, "reason");
    if (!cmd_lease_check_options(session, true, true) ||
        !lease_add_seconds(session, params, "ttl", "ttl_ms", 1, CMD_LEASE_TTL_S) ||
        !lease_add_seconds(session, params, "wait", "wait_ms", 0, 0)) {
        cJSON_Delete(params);
        return STATUS_USAGE;
    }
    if (reason != NULL) {
        cJSON_AddStringToObject(params, "reason", reason);
    }
    cJSON_AddTrueToObject(params, "detach");
    return session_show(session, "lease.acquire", params, NULL, cmd_lease_show_id, NULL);
}

/* The board and the id, as given or from the environment. */
static cJSON *cmd_lease_params(const struct session *session)
{
    cJSON *params = session_plain_params(session);
    session_add_lease(session, params);
    return params;
}

static bool cmd_lease_show_expires(void *arg, const cJSON *result)
{
    const char *expires = field_text(result, "expires");
    (void)arg;
    if (expires == NULL) {
        return false;
    }
    fputs("expires: ", stdout);
    print_field(stdout, expires);
    putchar('\n');
    lease_warn(result);
    return true;
}

static enum status cmd_lease_renew(struct session *session)
{
    cJSON *params = cmd_lease_params(session);
    bool given = options_has(session->arguments, "ttl");
    if (!cmd_lease_check_options(session, true, false) ||
        (given && !lease_add_seconds(session, params, "ttl", "ttl_ms", 1, 0))) {
        cJSON_Delete(params);
        return STATUS_USAGE;
    }
    return session_show(session, "lease.renew", params, NULL, cmd_lease_show_expires, NULL);
}

static bool cmd_lease_show_nothing(void *arg, const cJSON *result)
{
    (void)arg;
    return cJSON_IsObject(result);
}

static bool cmd_lease_show_broken(void *arg, const cJSON *result)
{
    (void)arg;
    if (!cJSON_IsBool(field_get(result, "found"))) {
        return false;
    }
    puts(field_true(result, "found") ? "broken" : "nobody held it");
    return true;
}

static void cmd_lease_print_who(const cJSON *who)
{
    const char *identity = field_text(who, "identity");
    const char *client = field_text(who, "client");
    const char *reason = field_text(who, "reason");
    print_field(stdout, identity == NULL ? "?" : identity);
    if (client != NULL) {
        fputs(" (", stdout);
        print_field(stdout, client);
        putchar(')');
    }
    if (reason != NULL) {
        fputs(": ", stdout);
        print_field(stdout, reason);
    }
}

void lease_print(const cJSON *result)
{
    const cJSON *lease = field_get(result, "lease");
    const cJSON *waiter = NULL;
    if (lease != NULL) {
        const char *state = field_text(lease, "state");
        const char *expires = field_text(lease, "expires");
        fputs("lease: ", stdout);
        cmd_lease_print_who(lease);
        fputs(", ", stdout);
        print_field(stdout, state == NULL ? "?" : state);
        fputs(" until ", stdout);
        print_field(stdout, expires == NULL ? "?" : expires);
        putchar('\n');
    }
    cJSON_ArrayForEach(waiter, field_array(result, "lease_queue"))
    {
        char place[24];
        uint64_t wait_ms = 0;
        field_format_number(waiter, "place", place);
        printf("lease queue: %s ", place);
        cmd_lease_print_who(waiter);
        if (field_u64(waiter, "expected_wait_ms", &wait_ms)) {
            printf(", in %" PRIu64 " s or sooner", (wait_ms + 999) / 1000);
        }
        putchar('\n');
    }
}

static bool cmd_lease_show_status(void *arg, const cJSON *result)
{
    (void)arg;
    if (field_array(result, "lease_queue") == NULL) {
        return false;
    }
    if (field_get(result, "lease") == NULL) {
        puts(field_true(result, "require_lease") ? "lease: free, and needed to change the board"
                                                 : "lease: free");
    }
    lease_print(result);
    if (field_true(result, "yours")) {
        puts("it is yours");
    }
    return true;
}

enum status cmd_lease(struct session *session)
{
    const char *action = session->arguments->words[0];
    if (strcmp(action, "acquire") == 0) {
        return cmd_lease_acquire(session);
    }
    if (strcmp(action, "renew") == 0) {
        return cmd_lease_renew(session);
    }
    if (!cmd_lease_check_options(session, false, false)) {
        return STATUS_USAGE;
    }
    if (strcmp(action, "release") == 0) {
        return session_show(session, "lease.release", cmd_lease_params(session), NULL, cmd_lease_show_nothing,
                            NULL);
    }
    if (strcmp(action, "status") == 0) {
        return session_show(session, "lease.status", cmd_lease_params(session), NULL, cmd_lease_show_status,
                            NULL);
    }
    if (strcmp(action, "break") == 0) {
        return session_show(session, "lease.break", session_plain_params(session), NULL,
                            cmd_lease_show_broken, NULL);
    }
    (void)options_complain(session->arguments,
                           "lease takes acquire, renew, release, status or break, not '%s'", action);
    return STATUS_USAGE;
}
