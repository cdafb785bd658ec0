/* openocd/complaint: what OpenOCD 0.12.0 really printed, and what it is taken for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "openocd/complaint.h"

struct row {
    const char *line;
    enum ocd_problem problem;
};

static const struct row rows[] = {
    {"", OCD_PROBLEM_NONE},
    {"Open On-Chip Debugger 0.12.0", OCD_PROBLEM_NONE},
    {"Info : Listening on port 6666 for tcl connections", OCD_PROBLEM_NONE},
    {"Info : Connecting to 127.0.0.1:1", OCD_PROBLEM_NONE},
    {"Error: Error on socket 'Failed to connect': errno==9, message: Bad file descriptor.",
     OCD_PROBLEM_PROBE_MISSING},
    {"Error: unable to open ftdi device with vid 0403, pid cff8, description 'x', serial '*' at bus "
     "location '*'",
     OCD_PROBLEM_PROBE_MISSING},
    {"Error: no device found", OCD_PROBLEM_PROBE_MISSING},
    {"Error: open failed", OCD_PROBLEM_PROBE_MISSING},
    {"Error: unable to find a matching CMSIS-DAP device", OCD_PROBLEM_PROBE_MISSING},
    {"Error: No J-Link device found", OCD_PROBLEM_PROBE_MISSING},
    {"Error: libusb_open() failed with LIBUSB_ERROR_ACCESS", OCD_PROBLEM_PROBE_MISSING},
    {"bad.cfg:2: Error: invalid command name \"nonsense\"", OCD_PROBLEM_CONFIGURATION},
    {"bad2.cfg:1: Error: missing close-brace", OCD_PROBLEM_CONFIGURATION},
    {"embedded:startup.tcl:28: Error: Can't find nope.cfg", OCD_PROBLEM_CONFIGURATION},
    {"invalid command name \"nonsense\"", OCD_PROBLEM_CONFIGURATION},
    {"Error: The specified debug interface was not found (nope)", OCD_PROBLEM_CONFIGURATION},
    {"Error: Debug Adapter has to be specified, see \"adapter driver\" command", OCD_PROBLEM_CONFIGURATION},
    {"Error: couldn't bind tcl to socket on port 40907: Address already in use", OCD_PROBLEM_PORT_IN_USE},
    {"Error: JTAG scan chain interrogation failed: all ones", OCD_PROBLEM_TARGET_NOT_EXAMINED},
    {"Error: Invalid ACK (7) in DAP response", OCD_PROBLEM_TARGET_NOT_EXAMINED},
    {"Error: Trying to use configured scan chain anyway...", OCD_PROBLEM_NONE},
    {"cannot run openocd: No such file or directory", OCD_PROBLEM_NOT_RUN},
    {"the program says: open failed", OCD_PROBLEM_NONE},
    {"the program says: no device found", OCD_PROBLEM_NONE},
    {":1: Error: x", OCD_PROBLEM_NONE},
    {"x:: Error: x", OCD_PROBLEM_NONE},
    {"12: Error: x", OCD_PROBLEM_NONE},
    {": Error: ", OCD_PROBLEM_NONE},
};

static void test_complaint_is_taken_for_what_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (ocd_complaint_of(rows[i].line) != rows[i].problem) {
            fail_msg("%s: %s, not %s", rows[i].line, ocd_problem_name(ocd_complaint_of(rows[i].line)),
                     ocd_problem_name(rows[i].problem));
        }
    }
}

static void test_complaint_words_leave_the_level_out(void **state)
{
    (void)state;
    assert_string_equal(ocd_complaint_words("Error: no device found"), "no device found");
    assert_string_equal(ocd_complaint_words("a.cfg:1: Error: x"), "a.cfg:1: Error: x");
    assert_string_equal(ocd_complaint_words("Info : x"), "Info : x");
    assert_true(ocd_complaint_is_error("Error: x"));
    assert_true(ocd_complaint_is_error("a.cfg:1: Error: x"));
    assert_false(ocd_complaint_is_error("Info : x"));
}

static void test_complaint_of_a_lost_probe_is_an_error_of_a_driver(void **state)
{
    (void)state;
    assert_true(ocd_complaint_is_probe_lost(
        "Error: Error on socket 'remote_bitbang_putc': errno==32, message: Broken pipe."));
    assert_true(ocd_complaint_is_probe_lost("Error: libusb_bulk_write error: LIBUSB_ERROR_NO_DEVICE"));
    assert_false(ocd_complaint_is_probe_lost("Error: libusb_bulk_write error: LIBUSB_ERROR_TIMEOUT"));
    assert_false(ocd_complaint_is_probe_lost("the program says LIBUSB_ERROR_NO_DEVICE"));
    assert_false(ocd_complaint_is_probe_lost("Error: open failed"));
}

static void test_complaint_tcl_port_is_read_strictly(void **state)
{
    static const char *const others[] = {"Info : Listening on port 4444 for telnet connections",
                                         "Info : Listening on port 0 for tcl connections",
                                         "Info : Listening on port 65536 for tcl connections",
                                         "Info : Listening on port  for tcl connections",
                                         "Info : Listening on port 99999999999999999999 for tcl connections",
                                         "x Info : Listening on port 6666 for tcl connections",
                                         "Info : Listening on port 6666 for tcl connections!",
                                         "Info : telnet server disabled",
                                         ""};
    unsigned port = 1;
    (void)state;
    assert_true(ocd_complaint_tcl_port("Info : Listening on port 34571 for tcl connections", &port));
    assert_int_equal(port, 34571);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(ocd_complaint_tcl_port(others[i], &port));
    }
    assert_int_equal(port, 34571);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_complaint_is_taken_for_what_it_is),
        cmocka_unit_test(test_complaint_words_leave_the_level_out),
        cmocka_unit_test(test_complaint_of_a_lost_probe_is_an_error_of_a_driver),
        cmocka_unit_test(test_complaint_tcl_port_is_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
