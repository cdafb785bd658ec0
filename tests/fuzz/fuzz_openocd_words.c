/*
 * What OpenOCD says by itself and of its board: lines of its output, and the answer to `expect`. The first
 * byte chooses. A line must not be changed by being judged, and an answer that is refused must say why.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "openocd/complaint.h"
#include "openocd/expect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *line)
{
    unsigned port = 0;
    const char *words = ocd_complaint_words(line);
    require(words >= line && words <= line + strlen(line));
    require(strcmp(ocd_problem_name(ocd_complaint_of(line)), "") != 0);
    require(!ocd_complaint_is_probe_lost(line) || ocd_complaint_is_error(line));
    if (ocd_complaint_tcl_port(line, &port)) {
        require(port > 0 && port <= 65535);
        require(ocd_complaint_of(line) == OCD_PROBLEM_NONE);
    }
}

static void check_answer(const char *text, size_t length)
{
    static char command[] = "x";
    static char matches[] = "a*";
    const struct ocd_expect expect = {
        .command = command, .matches = matches, .idcodes = {0x3ba00477}, .idcode_count = 1};
    const struct ocd_reply reply = {.result = text, .result_length = length, .log = "", .options = ""};
    struct err err;
    err_reset(&err);
    if (!ocd_expect_is_met(&expect, &reply, &err)) {
        require(err.kind == ERR_OPENOCD_ERROR && err.message[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    char *text = malloc(size);
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] == 'l') {
        check_line(text);
    } else {
        check_answer(text, size - 1);
    }
    free(text);
    return 0;
}
