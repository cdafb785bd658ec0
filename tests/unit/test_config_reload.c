/* server/config_reload: whose rights are the same in a configuration that was read anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "server/config_reload.h"

#define HASH(digit)                                       \
    "\"hmac-sha256:0000000000000000000000000000000" digit \
    ":0000000000000000000000000000000000000000000000000000000000000000\""
#define TOKEN(digit, who, role) \
    "{\"identity\": \"" who "\", \"hash\": " HASH(digit) ", \"role\": \"" role "\"}"
#define USER(uid, who) "{\"user\": \"" uid "\", \"identity\": \"" who "\"}"
#define SUBJECT(name, who) "{\"subject\": \"CN=" name "\", \"identity\": \"" who "\"}"

/* With a board, and completed. */
static struct config *read_members(const char *members)
{
    struct config *config = xcalloc(1, sizeof *config);
    struct strbuf text = STRBUF_INIT;
    struct err err;
    err_reset(&err);
    strbuf_appendf(&text, "{\"boards\": [{\"name\": \"b\", \"openocd\": \"127.0.0.1:6666\"}]%s}", members);
    config_init(config);
    if (!config_read_text(config, "lab.json", text.data, text.length, &err) ||
        !config_identities_complete(config, &err)) {
        fail_msg("%s", err.message);
    }
    strbuf_fini(&text);
    return config;
}

static void forget(struct config *config)
{
    config_fini(config);
    free(config);
}

static void test_config_reload_finds_tokens_by_their_hash(void **state)
{
    struct config *old = read_members(", \"tokens\": [" TOKEN("1", "a", "user") "," TOKEN(
        "2", "b", "user") "," TOKEN("3", "c", "user") "," TOKEN("4", "d", "user") "]");
    struct config *now = read_members(", \"tokens\": [" TOKEN("3", "x", "user") "," TOKEN(
        "2", "b", "admin") "," TOKEN("1", "a", "user") "," TOKEN("5", "d", "user") "]");
    const struct config_token *was = old->identities.tokens;
    (void)state;
    assert_ptr_equal(config_reload_grant(now, &old->identities, &was[0].grant),
                     &now->identities.tokens[2].grant);
    assert_null(config_reload_grant(now, &old->identities, &was[1].grant)); /* another role */
    assert_null(config_reload_grant(now, &old->identities, &was[2].grant)); /* another identity */
    assert_null(config_reload_grant(now, &old->identities, &was[3].grant)); /* another token */
    forget(old);
    forget(now);
}

static void test_config_reload_finds_users_where_they_were(void **state)
{
    struct config *old =
        read_members(", \"users\": [" USER("1", "a") "," USER("2", "b") "," USER("3", "c") "]");
    struct config *now =
        read_members(", \"users\": [" USER("1", "a") "," USER("4", "d") "," USER("3", "c") "]");
    const struct config_user *was = old->identities.users;
    (void)state;
    assert_ptr_equal(config_reload_grant(now, &old->identities, &was[0].grant),
                     &now->identities.users[0].grant);
    assert_null(config_reload_grant(now, &old->identities, &was[1].grant));
    assert_null(
        config_reload_grant(now, &old->identities, &was[2].grant)); /* the one before may fit it now */
    forget(old);
    forget(now);
}

static void test_config_reload_finds_certificates(void **state)
{
#define TLS ", \"tls\": {\"certificate\": \"c\", \"key\": \"k\", \"client_ca\": \"a\"}"
#define PRINT "1111111111111111111111111111111111111111111111111111111111111111"
    static const char fingerprint[] = "{\"sha256\": \"" PRINT "\", \"identity\": \"p\"}";
    char members[1024];
    (void)state;
    snprintf(members, sizeof members,
             TLS ", \"certificates\": [" SUBJECT("a", "a") ", %s, " SUBJECT("b", "b") "]", fingerprint);
    struct config *old = read_members(members);
    snprintf(members, sizeof members,
             TLS ", \"certificates\": [" SUBJECT("a", "a") ", %s, " SUBJECT("c", "b") "]", fingerprint);
    struct config *now = read_members(members);
    const struct config_certificate *was = old->identities.certificates;
    const struct config_certificate *is = now->identities.certificates;
    assert_ptr_equal(config_reload_grant(now, &old->identities, &was[0].grant), &is[0].grant);
    assert_ptr_equal(config_reload_grant(now, &old->identities, &was[1].grant), &is[1].grant);
    assert_null(config_reload_grant(now, &old->identities, &was[2].grant));
    forget(old);
    forget(now);
}

static void test_config_reload_of_those_that_nothing_is_known_of(void **state)
{
    struct config *old = read_members("");
    struct config *same = read_members(", \"anonymous_role\": \"user\"");
    struct config *other = read_members(", \"anonymous_role\": \"observer\"");
    (void)state;
    assert_ptr_equal(config_reload_grant(same, &old->identities, &same->identities.anonymous),
                     &same->identities.anonymous);
    assert_null(config_reload_grant(other, &old->identities, &other->identities.anonymous));
    forget(old);
    forget(same);
    forget(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_reload_finds_tokens_by_their_hash),
        cmocka_unit_test(test_config_reload_finds_users_where_they_were),
        cmocka_unit_test(test_config_reload_finds_certificates),
        cmocka_unit_test(test_config_reload_of_those_that_nothing_is_known_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
