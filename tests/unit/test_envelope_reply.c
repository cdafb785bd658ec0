/* What an envelope's reply says: success, OpenOCD's words, and its own code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/envelope.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_envelope_reply_ok(void **state)
{
    (void)state;
    static const long bad[] = {1, 3, 4, 7, -1, -4, -600, 200};
    assert_true(ocd_reply_ok(&(struct ocd_reply){.code = 0}));
    assert_true(ocd_reply_ok(&(struct ocd_reply){.code = 2}));
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_false(ocd_reply_ok(&(struct ocd_reply){.code = bad[i]}));
    }
}

static void test_envelope_reply_words(void **state)
{
    (void)state;
    static const struct {
        const char *result;
        const char *log;
        const char *expected;
    } rows[] = {
        {"", "", ""},
        {" \n", "\t\n", ""},
        {"boo", "", "boo"},
        {"  boo \r\n", " ", "boo"},
        /* 0.12: flash probe 9, read_memory on a target without, flash erase_sector of a protected sector */
        {"flash bank '#9' is out of bounds\n", "flash bank 9 does not exist\n",
         "flash bank '#9' is out of bounds\nflash bank 9 does not exist"},
        {"read_memory: failed to read memory",
         "Target t.cpu doesn't support read_memory\n"
         "read_memory: read at 0x00000000 with width=32 and count=4 failed\n",
         "read_memory: failed to read memory\nTarget t.cpu doesn't support read_memory\n"
         "read_memory: read at 0x00000000 with width=32 and count=4 failed"},
        {"", "stm32x device protected\nfailed erasing sectors 0 to 2\n",
         "stm32x device protected\nfailed erasing sectors 0 to 2"},
        /* Newer: the log says what the result says, with prefixes. */
        {"flash bank 9 does not exist", "Error: flash bank 9 does not exist\n",
         "flash bank 9 does not exist"},
        {"failed\n", "Error: it\nError: failed\nError: badly\n", "it\nfailed\nbadly"},
        {"all of it: failed", "failed\n", "all of it: failed"},
        {"same\n", "same", "same"},
        {"Error: a\n\nError: b", "", "a\n\nb"},
        {"An Error: a", "ERROR: b", "An Error: a\nERROR: b"},
        {"Error: ", "Error: \n", "Error:"},
    };
    struct strbuf words = STRBUF_INIT;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct ocd_reply reply = {.code = 1,
                                  .result = rows[i].result,
                                  .result_length = strlen(rows[i].result),
                                  .log = rows[i].log,
                                  .log_length = strlen(rows[i].log),
                                  .options = ""};
        strbuf_clear(&words);
        strbuf_append_text(&words, "so: ");
        ocd_reply_words(&reply, &words);
        assert_memory_equal(words.data, "so: ", 4);
        assert_string_equal(words.data + 4, rows[i].expected);
    }
    strbuf_fini(&words);
}

static void test_envelope_reply_words_keep_any_byte(void **state)
{
    (void)state;
    struct strbuf words = STRBUF_INIT;
    struct ocd_reply reply = {
        .code = 1, .result = "a\0b", .result_length = 3, .log = "\0c\xff\n", .log_length = 4, .options = ""};
    ocd_reply_words(&reply, &words);
    assert_int_equal(words.length, 7);
    assert_memory_equal(words.data, "a\0b\n\0c\xff", 7);
    strbuf_fini(&words);
}

/* OpenOCD's own code, where newer versions tell it. */
static void test_envelope_own_code(void **state)
{
    static const struct {
        long code;
        const char *options;
        long expected;
    } cases[] = {
        {1, "-code 1 -level 0 -errorinfo {{} {} 1} -errorcode {OpenOCD -304}", -304},
        {1, "-errorcode {OpenOCD -4}", -4},
        {1, "-errorcode NONE", 1},
        {1, "", 1},
        {1, "-errorcode", 1},
        {1, "-errorcode {OpenOCD 4}", 1},
        {1, "-errorcode {OpenOCD -}", 1},
        {1, "-errorcode {OpenOCD -4 more}", 1},
        {1, "-errorcode {OpenOCD -99999999999999999999}", 1},
        {0, "-errorcode {OpenOCD -304}", 0},
        {-902, "-errorcode {OpenOCD -304}", -902},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ocd_reply reply = {.code = cases[i].code,
                                  .result = "",
                                  .log = "",
                                  .options = cases[i].options,
                                  .options_length = strlen(cases[i].options)};
        ocd_reply_take_own_code(&reply);
        assert_int_equal(reply.code, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelope_reply_ok),
        cmocka_unit_test(test_envelope_reply_words),
        cmocka_unit_test(test_envelope_reply_words_keep_any_byte),
        cmocka_unit_test(test_envelope_own_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
