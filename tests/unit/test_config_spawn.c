/* server/config_spawn: what is started, and which board is expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "net/address.h"
#include "server/config.h"

static struct config config;

static int set_up(void **state)
{
    (void)state;
    config_init(&config);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    config_fini(&config);
    return 0;
}

static bool read_text(const char *text, struct err *err)
{
    char *copy = xstrdup(text);
    err_reset(err);
    bool ok = config_read_text(&config, "lab.json", copy, strlen(text), err);
    free(copy);
    return ok;
}

static const struct config_spawn *must_read(const char *text)
{
    struct err err;
    if (!read_text(text, &err)) {
        fail_msg("refused: %s", err.message);
    }
    return &config.boards[0].spawn;
}

static void check_words(char *const *words, const char *const expected[])
{
    size_t i = 0;
    assert_non_null(words);
    for (; expected[i] != NULL; i++) {
        assert_non_null(words[i]);
        assert_string_equal(words[i], expected[i]);
    }
    assert_null(words[i]);
}

static void test_config_spawn_has_defaults(void **state)
{
    (void)state;
    const struct config_spawn *spawn =
        must_read("{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:1\"}]}");
    assert_null(spawn->command);
    assert_null(spawn->before_start);
    assert_int_equal(spawn->start_limit_ms, 30000);
    assert_int_equal(spawn->stop_limit_ms, 3000);
    assert_int_equal(spawn->before_limit_ms, 30000);
    assert_int_equal(spawn->health_every_ms, 5000);
    assert_int_equal(spawn->health_limit_ms, 30000);
    assert_false(spawn->expects);
}

static void test_config_spawn_of_words(void **state)
{
    static const char *const words[] = {"openocd", "-c", "", "-f", "my board.cfg", NULL};
    static const char *const before[] = {"uhubctl", NULL};
    (void)state;
    const struct config_spawn *spawn = must_read(
        "{\"boards\": [{\"name\": \"a\", \"spawn\": [\"openocd\", \"-c\", \"\", \"-f\", \"my board.cfg\"], "
        "\"before_start\": [\"uhubctl\"], \"start_limit_ms\": 100, \"stop_limit_ms\": 0, "
        "\"before_start_limit_ms\": 3600000, \"health_every_ms\": 0, \"health_limit_ms\": 100}]}");
    check_words(spawn->command, words);
    check_words(spawn->before_start, before);
    assert_int_equal(net_address_port(&config.boards[0].openocd), 0);
    assert_int_equal(spawn->start_limit_ms, 100);
    assert_int_equal(spawn->stop_limit_ms, 0);
    assert_int_equal(spawn->before_limit_ms, 3600000);
    assert_int_equal(spawn->health_every_ms, 0);
    assert_int_equal(spawn->health_limit_ms, 100);
}

static void test_config_spawn_of_a_line_goes_to_the_shell(void **state)
{
    static const char *const words[] = {"/bin/sh", "-c", "exec openocd -f 'my board.cfg'", NULL};
    static const char *const before[] = {"/bin/sh", "-c", "off; sleep 1; on", NULL};
    (void)state;
    const struct config_spawn *spawn =
        must_read("{\"boards\": [{\"name\": \"a\", \"spawn\": \"openocd -f 'my board.cfg'\", "
                  "\"before_start\": \"off; sleep 1; on\", \"openocd\": \"127.0.0.1:7\"}]}");
    check_words(spawn->command, words);
    check_words(spawn->before_start, before);
    assert_int_equal(net_address_port(&config.boards[0].openocd), 7);
    (void)must_read("{\"boards\": [{\"name\": \"b\", \"spawn\": \"exec openocd\"}]}");
    assert_string_equal(config.boards[1].spawn.command[2], "exec openocd");
}

static void test_config_spawn_expects(void **state)
{
    (void)state;
    const struct config_spawn *spawn = must_read(
        "{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:1\", \"expect\": {\"command\": \"x y\", "
        "\"matches\": \"z*\", \"idcodes\": [\"0x3ba00477\", 1]}}]}");
    assert_true(spawn->expects);
    assert_string_equal(spawn->expect.command, "x y");
    assert_string_equal(spawn->expect.matches, "z*");
    assert_int_equal(spawn->expect.idcode_count, 2);
    assert_int_equal(spawn->expect.idcodes[0], 0x3ba00477);
    assert_int_equal(spawn->expect.idcodes[1], 1);
}

#define BEGIN "{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:1\", "
#define WORDS_RULE "must be an array of 1 to 256 texts, the program first"
#define IDCODES_RULE "must be an array of 1 to 16 IDCODEs of 32 bits, as \"0x3ba00477\""

static void test_config_spawn_errors_name_the_member(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"\"spawn\": []", "spawn: " WORDS_RULE},
        {"\"spawn\": [\"\"]", "spawn: " WORDS_RULE},
        {"\"spawn\": [\"a\", 1]", "spawn: " WORDS_RULE},
        {"\"spawn\": 7", "spawn: must be a text for the shell, or an array of texts"},
        {"\"spawn\": \"\"", "spawn: must be a text that is not empty"},
        {"\"spawn\": \"a\", \"before_start\": {}",
         "before_start: must be a text for the shell, or an array of texts"},
        {"\"before_start\": \"a\"", "before_start: goes with `spawn` only"},
        {"\"stop_limit_ms\": 1", "stop_limit_ms: goes with `spawn` only"},
        {"\"start_limit_ms\": 100", "start_limit_ms: goes with `spawn` only"},
        {"\"before_start_limit_ms\": 100", "before_start_limit_ms: goes with `spawn` only"},
        {"\"spawn\": \"a\", \"start_limit_ms\": 99",
         "start_limit_ms: must be a whole number from 100 to 3600000"},
        {"\"spawn\": \"a\", \"stop_limit_ms\": 60001",
         "stop_limit_ms: must be a whole number from 0 to 60000"},
        {"\"health_every_ms\": 3600001", "health_every_ms: must be a whole number from 0 to 3600000"},
        {"\"health_limit_ms\": 99", "health_limit_ms: must be a whole number from 100 to 3600000"},
        {"\"expect\": []", "expect: must be an object"},
        {"\"expect\": {}", "expect: expects nothing"},
        {"\"expect\": {\"tap\": 1}", "expect.tap: is not known"},
        {"\"expect\": {\"command\": \"x\"}", "expect.matches: is missing: they go together"},
        {"\"expect\": {\"matches\": \"x\"}", "expect.command: is missing: they go together"},
        {"\"expect\": {\"idcodes\": 1}", "expect.idcodes: " IDCODES_RULE},
        {"\"expect\": {\"idcodes\": []}", "expect.idcodes: " IDCODES_RULE},
        {"\"expect\": {\"idcodes\": [\"0x100000000\"]}", "expect.idcodes: " IDCODES_RULE},
        {"\"expect\": {\"idcodes\": [\"arm\"]}", "expect.idcodes: " IDCODES_RULE},
        {"\"expect\": {\"idcodes\": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}",
         "expect.idcodes: " IDCODES_RULE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        char message[256];
        struct err err;
        snprintf(text, sizeof text, BEGIN "%s}]}", cases[i].text);
        snprintf(message, sizeof message, "lab.json: boards[0].%s", cases[i].message);
        if (read_text(text, &err)) {
            fail_msg("taken: %s", text);
        }
        assert_int_equal(err.kind, ERR_INVALID_PARAMS);
        assert_string_equal(err.message, message);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_config_spawn_has_defaults),
        CASE(test_config_spawn_of_words),
        CASE(test_config_spawn_of_a_line_goes_to_the_shell),
        CASE(test_config_spawn_expects),
        CASE(test_config_spawn_errors_name_the_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
