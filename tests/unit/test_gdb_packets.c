/* server/gdb_packets: where packets end, what they ask for, and those that are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"
#include "server/gdb_packets.h"

/* Units of a text as letters: + - I P(acket) B(roken), and M where it goes on. Each byte comes alone where
 * `single` is true. */
static void scan(const char *text, size_t length, bool single, struct strbuf *units, struct gdb_scanner *last)
{
    static const char letters[] = "M+-IPB";
    struct gdb_scanner scanner = {.state = GDB_SCAN_OUTSIDE};
    enum gdb_unit unit = GDB_UNIT_MORE;
    size_t at = 0;
    while (at < length) {
        size_t taken = 0;
        unit = gdb_scanner_take(&scanner, text + at, single ? 1 : length - at, &taken);
        assert_true(taken >= 1 && taken <= length - at);
        at += taken;
        if (unit != GDB_UNIT_MORE) {
            strbuf_append_byte(units, letters[unit]);
            *last = scanner;
        }
    }
    if (unit == GDB_UNIT_MORE) {
        strbuf_append_byte(units, 'M');
    }
}

static void check_scan(const char *text, size_t length, const char *expected)
{
    for (int single = 0; single < 2; single++) {
        struct strbuf units = STRBUF_INIT;
        struct gdb_scanner last = {.state = GDB_SCAN_OUTSIDE};
        scan(text, length, single == 1, &units, &last);
        assert_string_equal(strbuf_text(&units), expected);
        strbuf_fini(&units);
    }
}

static void test_gdb_packets_end_where_they_end(void **state)
{
    (void)state;
    check_scan("+", 1, "+");
    check_scan("+$g#67-\003$?#3f", 13, "+P-IP");
    check_scan("$#00", 4, "P");
    check_scan("$qS", 3, "M");
    check_scan("$g#6", 4, "M");
    check_scan("$g#67$", 6, "PM");
    check_scan("$a}\003b#43", 8, "P");
    check_scan("$}#3#d3", 7, "P"); /* "#" behind "}" ends nothing */
    check_scan("$G#47", 5, "P");
    check_scan("$\0#00", 5, "P");
}

static void test_gdb_packets_broken_ones_are_told(void **state)
{
    (void)state;
    check_scan("$g#68", 5, "B");
    check_scan("$g#6x", 5, "B");
    check_scan("x", 1, "B");
    check_scan("\n+", 2, "B+");
    check_scan("\0", 1, "B");
}

static void test_gdb_packets_that_are_broken_are_told_from_what_is_none(void **state)
{
    struct gdb_scanner scanner = {.state = GDB_SCAN_OUTSIDE};
    size_t taken = 0;
    (void)state;
    assert_int_equal(gdb_scanner_take(&scanner, "$g#68", 5, &taken), GDB_UNIT_BROKEN);
    assert_true(scanner.packet_broken);
    assert_int_equal(gdb_scanner_take(&scanner, "x", 1, &taken), GDB_UNIT_BROKEN);
    assert_false(scanner.packet_broken);
}

static void test_gdb_packets_have_a_longest(void **state)
{
    static char text[GDB_PACKET_MOST_BYTES + 8];
    (void)state;
    memset(text, 0, sizeof text);
    text[0] = '$';
    memcpy(text + 1 + GDB_PACKET_MOST_BYTES, "#00", 3);
    check_scan(text, GDB_PACKET_MOST_BYTES + 4, "P");
    text[1 + GDB_PACKET_MOST_BYTES] = '\0';
    check_scan(text, GDB_PACKET_MOST_BYTES + 2, "B");
}

static struct gdb_request request_of(const char *payload)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf units = STRBUF_INIT;
    struct gdb_scanner packet;
    struct gdb_request request;
    gdb_packet_append(&text, payload);
    scan(text.data, text.length, false, &units, &packet);
    assert_string_equal(strbuf_text(&units), "P");
    gdb_request_read(&packet, &request);
    strbuf_fini(&text);
    strbuf_fini(&units);
    return request;
}

static void test_gdb_packets_that_wait_for_a_halt(void **state)
{
    static const char *const running[] = {"c",         "s",     "C05", "S05", "vCont;c",
                                          "vCont;s:1", "vRun;", "k",   "R00", "F0"};
    static const char *const answered[] = {"g", "?", "vCont?", "vMustReplyEmpty", "D", "X0,0:", "", "qRcmd,"};
    (void)state;
    for (size_t i = 0; i < sizeof running / sizeof running[0]; i++) {
        assert_false(request_of(running[i]).answered);
        assert_false(request_of(running[i]).reads);
    }
    for (size_t i = 0; i < sizeof answered / sizeof answered[0]; i++) {
        assert_true(request_of(answered[i]).answered);
    }
}

static void test_gdb_packets_that_only_read(void **state)
{
    static const char *const reads[] = {"g",  "p0",         "m0,4",          "?", "!", "Hg0",
                                        "T1", "qSupported", "qXfer:features"};
    static const char *const changes[] = {
        "G00",        "P0=1",     "M0,1:00",  "X0,1:a",          "Z1,0,2", "z1,0,2", "D",
        "vFlashDone", "qRcmd,00", "qCRC:0,4", "QStartNoAckMode", "",       "i"};
    (void)state;
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        assert_true(request_of(reads[i]).reads);
    }
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_false(request_of(changes[i]).reads);
    }
    assert_true(request_of("QStartNoAckMode").stops_acks);
}

static void test_gdb_packets_erase_what_they_say(void **state)
{
    static const char *const none[] = {"vFlashErase:",   "vFlashErase:,4",  "vFlashErase:0",
                                       "vFlashErase:0,", "vFlashErase:x,4", "vFlashErase:00000000000000001,4",
                                       "vFlashDone"};
    (void)state;
    struct gdb_request request = request_of("vFlashErase:08000400,00001000");
    assert_true(request.erases);
    assert_int_equal(request.address, 0x08000400);
    assert_int_equal(request.size, 0x1000);
    request = request_of("vFlashErase:ffffffffffffffff,ffffffffffffffff");
    assert_true(request.erases && request.address == UINT64_MAX && request.size == UINT64_MAX);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        assert_false(request_of(none[i]).erases);
    }
}

static struct gdb_request monitor(const char *command)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_append_text(&text, "qRcmd,");
    hex_encode(&text, (const uint8_t *)command, strlen(command));
    struct gdb_request request = request_of(strbuf_text(&text));
    strbuf_fini(&text);
    return request;
}

static void test_gdb_packets_plain_monitor_commands_are_exactly_those(void **state)
{
    static const char *const plain[] = {"halt",      "reset",   "reset halt", "reset init",
                                        "reset run", "targets", "version"};
    static const char *const freely[] = {"",
                                         "halt ",
                                         " halt",
                                         "HALT",
                                         "halt;exit",
                                         "reset halt\nexit",
                                         "reset [exit]",
                                         "targets x",
                                         "shutdown",
                                         "reset halt; reset halt; reset halt; exec sh"};
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        assert_true(monitor(plain[i]).monitors && monitor(plain[i]).plain_monitor);
    }
    for (size_t i = 0; i < sizeof freely / sizeof freely[0]; i++) {
        assert_true(monitor(freely[i]).monitors);
        assert_false(monitor(freely[i]).plain_monitor);
    }
    assert_false(request_of("qRcmd,6").plain_monitor);
    assert_false(request_of("qRcmd,68616c7z").plain_monitor);
    assert_true(request_of("q}rcmd,00").monitors); /* "}r" is an escaped "R" */
    assert_false(request_of("qRcmx,00").monitors);
}

static void test_gdb_packets_errors_survive_gdb(void **state)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf units = STRBUF_INIT;
    struct gdb_scanner packet;
    struct err err;
    (void)state;
    err_set(&err, ERR_BOARD_BUSY, "it's #$}* \n\t\x7f\xc3\xa9 taken");
    gdb_packet_append_error(&text, &err);
    scan(text.data, text.length, true, &units, &packet);
    assert_string_equal(strbuf_text(&units), "P");
    assert_memory_equal(text.data, "$E.board_busy: it's ???? ????? taken#", 37);
    strbuf_fini(&text);
    strbuf_fini(&units);
}

static void test_gdb_packets_replies_are_told_from_text(void **state)
{
    struct strbuf text = STRBUF_INIT;
    struct strbuf units = STRBUF_INIT;
    struct gdb_scanner packet;
    (void)state;
    gdb_packet_append_text(&text, "hi\n");
    assert_string_equal(strbuf_text(&text), "$O68690a#bd");
    scan(text.data, text.length, false, &units, &packet);
    assert_true(gdb_reply_is_text(&packet) && !gdb_reply_is_ok(&packet));
    scan("$OK#9a", 6, false, &units, &packet);
    assert_true(!gdb_reply_is_text(&packet) && gdb_reply_is_ok(&packet));
    scan("$E01#a6", 7, false, &units, &packet);
    assert_true(!gdb_reply_is_text(&packet) && !gdb_reply_is_ok(&packet));
    assert_string_equal(strbuf_text(&units), "PPP");
    strbuf_fini(&text);
    strbuf_fini(&units);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gdb_packets_end_where_they_end),
        cmocka_unit_test(test_gdb_packets_broken_ones_are_told),
        cmocka_unit_test(test_gdb_packets_that_are_broken_are_told_from_what_is_none),
        cmocka_unit_test(test_gdb_packets_have_a_longest),
        cmocka_unit_test(test_gdb_packets_that_wait_for_a_halt),
        cmocka_unit_test(test_gdb_packets_that_only_read),
        cmocka_unit_test(test_gdb_packets_erase_what_they_say),
        cmocka_unit_test(test_gdb_packets_plain_monitor_commands_are_exactly_those),
        cmocka_unit_test(test_gdb_packets_errors_survive_gdb),
        cmocka_unit_test(test_gdb_packets_replies_are_told_from_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
