/* server/config_identity and server/identity: who is let in, with which role, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "server/config.h"
#include "server/identity.h"

#define HASH                                        \
    "hmac-sha256:000102030405060708090a0b0c0d0e0f:" \
    "bdc2ad8f3abe7f578b31bd700d5dd83b55629dcc3b53009b211f6fb513dfa062" /* of "ocdmux_test" */
#define OTHER_HASH                                  \
    "hmac-sha256:000102030405060708090a0b0c0d0e10:" \
    "0000000000000000000000000000000000000000000000000000000000000000"
#define BOARDS                                                          \
    "\"boards\": [{\"name\": \"lab1\", \"openocd\": \"127.0.0.1:1\"}, " \
    "{\"name\": \"lab2\", \"openocd\": \"127.0.0.1:2\"}]"
#define TLS "\"tls\": {\"certificate\": \"c.pem\", \"key\": \"k.pem\", \"client_ca\": \"ca.pem\"}"

static struct config config;
static struct err err;

static int setup(void **state)
{
    (void)state;
    config_init(&config);
    err_reset(&err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    config_fini(&config);
    return 0;
}

static bool read_members(const char *members)
{
    size_t size = strlen(members) + 1024;
    char *text = xmalloc(size);
    snprintf(text, size, "{" BOARDS ", %s}", members);
    bool ok = config_read_text(&config, "lab.json", text, strlen(text), &err);
    free(text);
    return ok;
}

static void must_read(const char *members)
{
    if (!read_members(members)) {
        fail_msg("refused: %s", err.message);
    }
}

static void must_complete(void)
{
    if (!config_complete(&config, &err)) {
        fail_msg("refused: %s", err.message);
    }
}

static void test_config_identity_token_finds_its_grant(void **state)
{
    (void)state;
    must_read("\"tokens\": [{\"identity\": \"bob\", \"hash\": \"" OTHER_HASH "\"}, "
              "{\"identity\": \"alice\", \"role\": \"admin\", \"hash\": \"" HASH "\"}]");
    const struct config_grant *grant =
        identity_of_token(&config.identities, "ocdmux_test", strlen("ocdmux_test"));
    assert_non_null(grant);
    assert_string_equal(grant->identity, "alice");
    assert_int_equal(grant->highest, RPC_ROLE_ADMIN);
    assert_null(identity_of_token(&config.identities, "ocdmux_tesT", strlen("ocdmux_tesT")));
    assert_null(identity_of_token(&config.identities, "", 0));
}

static void test_config_identity_roles_by_board(void **state)
{
    (void)state;
    must_read("\"tokens\": [{\"identity\": \"a\", \"hash\": \"" HASH "\"},"
              "{\"identity\": \"b\", \"hash\": \"" HASH "\", \"boards\": {\"lab2\": \"admin\"}},"
              "{\"identity\": \"c\", \"hash\": \"" HASH "\", \"role\": \"observer\", "
              "\"boards\": {\"lab1\": \"user\", \"lab2\": \"none\"}}]");
    static const enum rpc_role wanted[3][3] = {{RPC_ROLE_USER, RPC_ROLE_USER, RPC_ROLE_USER},
                                               {RPC_ROLE_NONE, RPC_ROLE_ADMIN, RPC_ROLE_ADMIN},
                                               {RPC_ROLE_USER, RPC_ROLE_NONE, RPC_ROLE_USER}};
    assert_int_equal(config.identities.token_count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct config_grant *grant = &config.identities.tokens[i].grant;
        assert_int_equal(grant->roles[0], wanted[i][0]);
        assert_int_equal(grant->roles[1], wanted[i][1]);
        assert_int_equal(grant->highest, wanted[i][2]);
    }
}

static void test_config_identity_first_user_that_fits_counts(void **state)
{
    (void)state;
    gid_t groups[] = {7, 8};
    struct net_peer peer = {.uid = 1000, .gid = 1000, .groups = groups, .group_count = 2};
    must_read(
        "\"users\": [{\"user\": \"0\", \"role\": \"admin\"}, {\"group\": \"8\", \"role\": \"observer\"}, "
        "{\"user\": \"1000\", \"identity\": \"late\"}, {\"group\": \"0\", \"identity\": \"wheel\"}]");
    const struct config_user *users = config.identities.users;
    assert_ptr_equal(identity_of_peer(&config.identities, &peer), &users[1].grant);
    assert_string_equal(users[1].grant.identity, ""); /* each member has his own */
    peer.group_count = 1;
    assert_ptr_equal(identity_of_peer(&config.identities, &peer), &users[2].grant);
    peer.uid = 1001;
    assert_null(identity_of_peer(&config.identities, &peer));
    peer.gid = 0;
    assert_ptr_equal(identity_of_peer(&config.identities, &peer), &users[3].grant);
    peer.uid = 0;
    assert_ptr_equal(identity_of_peer(&config.identities, &peer), &users[0].grant);
    assert_string_equal(users[0].grant.identity, "0");
}

static void test_config_identity_certificate_by_subject_or_fingerprint(void **state)
{
    (void)state;
    struct net_certificate shown = {.subject = "CN=alice,O=Lab"};
    must_read(TLS
              ", \"certificates\": [{\"subject\": \"CN=alice\", \"identity\": \"a\"}, "
              "{\"subject\": \"CN=alice,O=Lab\", \"identity\": \"b\"}, {\"identity\": \"c\", \"sha256\": "
              "\"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:"
              "EE:FF\"}]");
    memset(shown.fingerprint, '0', 64);
    assert_string_equal(identity_of_certificate(&config.identities, &shown)->identity, "b");
    shown.subject[0] = '\0';
    assert_null(identity_of_certificate(&config.identities, &shown));
    snprintf(shown.fingerprint, sizeof shown.fingerprint,
             "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    assert_string_equal(identity_of_certificate(&config.identities, &shown)->identity, "c");
}

static void test_config_identity_anonymous_may_nothing_once_identities_are_known(void **state)
{
    (void)state;
    must_read("\"listen\": [\"tcp:127.0.0.1:0\"], \"users\": [{\"user\": \"0\"}]");
    must_complete();
    assert_int_equal(config.anonymous_role, RPC_ROLE_NONE);
    assert_int_equal(config.identities.anonymous.highest, RPC_ROLE_NONE);
    assert_string_equal(config.identities.anonymous.identity, "anonymous");
}

static void test_config_identity_anonymous_keeps_the_role_that_it_is_given(void **state)
{
    (void)state;
    must_read("\"anonymous_role\": \"observer\", \"users\": [{\"user\": \"0\"}]");
    must_complete();
    assert_int_equal(config.identities.anonymous.roles[1], RPC_ROLE_OBSERVER);
    assert_int_equal(config.identities.anonymous.highest, RPC_ROLE_OBSERVER);
}

static void test_config_identity_anonymous_is_user_where_nobody_is_known(void **state)
{
    (void)state;
    must_read("\"listen\": []");
    must_complete();
    assert_int_equal(config.identities.anonymous.highest, RPC_ROLE_USER);
}

/* What is reachable from outside needs TLS, and somebody to be asked who he is. */
static void test_config_identity_listeners_beyond_loopback(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *refusal; /* NULL: taken */
    } cases[] = {
        {"\"listen\": [\"tcp:0.0.0.0:0\"]", "--insecure"},
        {"\"listen\": [\"tcp:0.0.0.0:0\"], \"users\": [{\"user\": \"0\"}]", "could be read"},
        {"\"listen\": [\"tls:0.0.0.0:0\"], " TLS, "anybody"},
        {"\"listen\": [\"tls:0.0.0.0:0\"], " TLS
         ", \"users\": [{\"user\": \"0\"}], \"anonymous_role\": \"observer\"",
         "anybody"},
        {"\"listen\": [\"tls:127.0.0.1:0\"]", "certificate"},
        {"\"listen\": [\"tls:0.0.0.0:0\"], \"insecure\": true", "certificate"},
        {"\"anonymous_role\": \"none\"", "nobody in"},
        {"\"listen\": [\"tls:0.0.0.0:0\"], " TLS ", \"users\": [{\"user\": \"0\"}]", NULL},
        {"\"listen\": [\"tcp:0.0.0.0:0\"], \"insecure\": true", NULL},
        {"\"listen\": [\"tls:127.0.0.1:0\"], " TLS, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        must_read(cases[i].members);
        bool taken = config_complete(&config, &err);
        if (taken != (cases[i].refusal == NULL)) {
            fail_msg("%s: %s", cases[i].members, taken ? "taken" : err.message);
        }
        if (!taken && strstr(err.message, cases[i].refusal) == NULL) {
            fail_msg("%s: %s", cases[i].members, err.message);
        }
        config_fini(&config);
        config_init(&config);
        err_reset(&err);
    }
}

static void test_config_identity_errors_name_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *members;
        const char *message;
    } cases[] = {
        {"\"tokens\": {}", "lab.json: tokens: must be an array of objects"},
        {"\"tokens\": [1]", "lab.json: tokens[0]: must be an object"},
        {"\"tokens\": [{\"hash\": \"" HASH "\"}]", "lab.json: tokens[0].identity: is missing"},
        {"\"tokens\": [{\"identity\": \"a\"}]",
         "lab.json: tokens[0].hash: must be what 'ocdmux token new' printed"},
        {"\"tokens\": [{\"identity\": \"a\", \"hash\": \"secret\"}]",
         "lab.json: tokens[0].hash: must be what 'ocdmux token new' printed"},
        {"\"tokens\": [{\"identity\": \"anonymous\", \"hash\": \"" HASH "\"}]",
         "lab.json: tokens[0].identity: must have 1 to 64 letters, digits, dots, dashes, underscores or at "
         "signs, and not be \"anonymous\""},
        {"\"tokens\": [{\"identity\": \"a\", \"hash\": \"" HASH "\", \"role\": \"root\"}]",
         "lab.json: tokens[0].role: must be \"none\", \"observer\", \"user\" or \"admin\""},
        {"\"tokens\": [{\"identity\": \"a\", \"hash\": \"" HASH "\", \"boards\": []}]",
         "lab.json: tokens[0].boards: must be an object"},
        {"\"tokens\": [{\"identity\": \"a\", \"hash\": \"" HASH "\", \"boards\": {\"lab3\": \"user\"}}]",
         "lab.json: tokens[0].boards.lab3: there is no such board"},
        {"\"tokens\": [{\"identity\": \"a\", \"hash\": \"" HASH "\", \"boards\": {\"lab1\": 1}}]",
         "lab.json: tokens[0].boards.lab1: must be \"none\", \"observer\", \"user\" or \"admin\""},
        {"\"tokens\": [{\"token\": \"a\"}]", "lab.json: tokens[0].token: is not known"},
        {"\"users\": [{}]", "lab.json: users[0]: must have either `user` or `group`"},
        {"\"users\": [{\"user\": \"0\", \"group\": \"0\"}]",
         "lab.json: users[0]: must have either `user` or `group`"},
        {"\"users\": [{\"user\": \"no such user\"}]", "lab.json: users[0].user: there is no such user"},
        {"\"users\": [{\"group\": \"no such group\"}]", "lab.json: users[0].group: there is no such group"},
        {"\"users\": [{\"user\": 0}]", "lab.json: users[0].user: must be a text that is not empty"},
        {"\"certificates\": [{\"subject\": \"CN=a\", \"identity\": \"a\"}]",
         "lab.json: certificates: need tls.client_ca, which verifies them"},
        {TLS ", \"certificates\": [{\"subject\": \"CN=a\"}]",
         "lab.json: certificates[0].identity: is missing"},
        {TLS ", \"certificates\": [{\"identity\": \"a\"}]",
         "lab.json: certificates[0]: must have either `subject` or `sha256`"},
        {TLS ", \"certificates\": [{\"identity\": \"a\", \"sha256\": \"00:11\"}]",
         "lab.json: certificates[0].sha256: must be 64 hex digits"},
        {"\"tls\": {\"key\": \"k\"}", "lab.json: tls.certificate: is missing"},
        {"\"tls\": {\"certificate\": \"c\"}", "lab.json: tls.key: is missing"},
        {"\"tls\": {\"certificate\": \"c\", \"key\": \"k\", \"client_certificates\": \"required\"}",
         "lab.json: tls.client_ca: is missing: nobody could sign such a certificate"},
        {"\"tls\": {\"certificate\": \"c\", \"key\": \"k\", \"client_ca\": \"a\", "
         "\"client_certificates\": \"never\"}",
         "lab.json: tls.client_certificates: must be \"optional\" or \"required\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (read_members(cases[i].members)) {
            fail_msg("taken: %s", cases[i].members);
        }
        assert_int_equal(err.kind, ERR_INVALID_PARAMS);
        assert_string_equal(err.message, cases[i].message);
        config_fini(&config);
        config_init(&config);
        err_reset(&err);
    }
}

static void test_config_identity_takes_so_many_tokens_and_no_more(void **state)
{
    (void)state;
    for (size_t count = 1024; count <= 1025; count++) {
        struct strbuf text = STRBUF_INIT;
        strbuf_append_text(&text, "\"tokens\": [");
        for (size_t i = 0; i < count; i++) {
            strbuf_appendf(&text, "%s{\"identity\": \"t%zu\", \"hash\": \"" HASH "\"}", i > 0 ? "," : "", i);
        }
        strbuf_append_text(&text, "]");
        assert_int_equal(read_members(strbuf_text(&text)), count == 1024);
        strbuf_fini(&text);
        config_fini(&config);
        config_init(&config);
    }
    assert_string_equal(err.message, "lab.json: tokens: has more than 1024 entries");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_config_identity_token_finds_its_grant),
        TEST(test_config_identity_roles_by_board),
        TEST(test_config_identity_first_user_that_fits_counts),
        TEST(test_config_identity_certificate_by_subject_or_fingerprint),
        TEST(test_config_identity_anonymous_may_nothing_once_identities_are_known),
        TEST(test_config_identity_anonymous_keeps_the_role_that_it_is_given),
        TEST(test_config_identity_anonymous_is_user_where_nobody_is_known),
        TEST(test_config_identity_listeners_beyond_loopback),
        TEST(test_config_identity_errors_name_their_place),
        TEST(test_config_identity_takes_so_many_tokens_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
