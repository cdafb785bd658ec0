/* openocd/expect: which answers of the handshake are those of the board that is expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "openocd/expect.h"

static char command[] = "cpu read_memory 0x1ffff7e8 32 1";
static char matches[] = "0x11?4*";

static const struct ocd_expect both = {
    .command = command, .matches = matches, .idcodes = {0x3ba00477, 0x16410041}, .idcode_count = 2};
static const struct ocd_expect chain = {.idcodes = {0x3ba00477}, .idcode_count = 1};

#define IDS "{0x16410041 0x3ba00477}"

static struct ocd_reply reply_of(const char *text)
{
    return (struct ocd_reply){.result = text, .result_length = strlen(text), .log = "", .options = ""};
}

static void must_refuse(const struct ocd_expect *expect, const struct ocd_reply *reply, const char *word)
{
    struct err err;
    err_reset(&err);
    assert_false(ocd_expect_is_met(expect, reply, &err));
    assert_int_equal(err.kind, ERR_OPENOCD_ERROR);
    if (strstr(err.message, word) == NULL) {
        fail_msg("%s: does not say %s", err.message, word);
    }
}

static void test_expect_takes_the_right_board(void **state)
{
    struct err err;
    struct ocd_reply reply = reply_of(IDS " 0 {0x11345678 \n}");
    (void)state;
    assert_true(ocd_expect_is_met(&both, &reply, &err));
    reply = reply_of("{0x3BA00477} 1 {what the empty command says is nothing}");
    assert_true(ocd_expect_is_met(&chain, &reply, &err));
}

static void test_expect_refuses_another_board(void **state)
{
    struct ocd_reply reply = reply_of(IDS " 0 0x12345678");
    (void)state;
    must_refuse(&both, &reply, "says \"0x12345678\", not \"0x11?4*\"");
    reply = reply_of("0x3ba00477 0 0x11345678");
    must_refuse(&both, &reply, "no TAP has the IDCODE 0x16410041, there is 0x3ba00477");
    reply = reply_of("{} 0 0x11345678");
    must_refuse(&chain, &reply, "there is none");
}

static void test_expect_refuses_what_cannot_be_asked(void **state)
{
    struct ocd_reply reply = reply_of(IDS " -4 {failed to read}");
    (void)state;
    must_refuse(&both, &reply, "fails: failed to read");
    reply = reply_of(IDS " 1 {}");
    reply.log = "target not examined";
    reply.log_length = strlen(reply.log);
    must_refuse(&both, &reply, "fails: target not examined");
    reply = reply_of(IDS " 1 {}");
    must_refuse(&both, &reply, "no reason is given");
    reply = reply_of(IDS " 0 0x11345678");
    reply.code = -4;
    must_refuse(&both, &reply, "does not answer as it should");
    static const char *const broken[] = {"", "{", "a", "a 0", "{a} 0 {", "{a} 0 {b}c"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        reply = reply_of(broken[i]);
        must_refuse(&both, &reply, "does not answer as it should");
    }
}

static void test_expect_quotes_the_command(void **state)
{
    char hostile[] = "set x \"]$[exit]{";
    struct ocd_expect expect = {.command = hostile, .matches = matches};
    struct strbuf script = STRBUF_INIT;
    (void)state;
    ocd_expect_script(&expect, &script);
    assert_non_null(strstr(strbuf_text(&script), " \"set x \\\"]\\$\\[exit]{\""));
    strbuf_fini(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expect_takes_the_right_board),
        cmocka_unit_test(test_expect_refuses_another_board),
        cmocka_unit_test(test_expect_refuses_what_cannot_be_asked),
        cmocka_unit_test(test_expect_quotes_the_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
