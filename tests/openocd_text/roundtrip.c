/*
 * Checks of src/openocd against a real OpenOCD:
 *
 *   openocd_text_roundtrip PORT CHECK [IMAGE]
 *
 * PORT is OpenOCD's TCL port on the loopback. The checks are named in the table at the end; `flash` and
 * `board` write the file IMAGE to bank 0. Ends with 0 if all is as it has to be; says what is not on standard
 * error otherwise.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "openocd/parse.h"
#include "openocd/tcl.h"
#include "session.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(literal) (literal), (sizeof(literal) - 1)

static bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

static bool is_result(const struct session *session, long code, const char *bytes, size_t length)
{
    return session->code == code && session->result.length == length &&
           memcmp(strbuf_text(&session->result), bytes, length) == 0;
}

static bool is_alive(struct session *session)
{
    return session_do(session, "format alive") && is_result(session, 0, BYTES("alive"));
}

/* Every byte before every other, each pair a word of its own. */
static bool check_quoting(struct session *session, const char *image)
{
    (void)image;
    struct strbuf script = STRBUF_INIT;
    bool good = true;
    for (unsigned first = 0; first < 256 && good; first++) {
        char pairs[512];
        strbuf_clear(&script);
        strbuf_append_text(&script, "set r {}\n");
        for (unsigned second = 0; second < 256; second++) {
            pairs[2 * second] = (char)first;
            pairs[2 * second + 1] = (char)second;
            strbuf_append_text(&script, "append r ");
            tcl_quote(&script, pairs + (size_t)2 * second, 2);
            strbuf_append_byte(&script, '\n');
        }
        good = session_run(session, script.data, script.length) &&
               is_result(session, 0, pairs, sizeof(pairs)) && session->log.length == 0;
        if (!good) {
            complain("byte 0x%02x does not come back before every other: code %ld, %zu bytes", first,
                     session->code, session->result.length);
        }
    }
    strbuf_fini(&script);
    return good;
}

/* The bytes that mean something in a list, and some that do not. */
static const char list_bytes[] = {'{', '}', '[', ']', '"',  '\\', '$',    ';',    '#',
                                  ' ', 'a', '0', 'x', '\n', '\0', '\x1a', '\xff', '\t'};

/* Element `index` of the list that is sent: up to three of those bytes, counted through. */
static size_t list_element(size_t index, char element[3])
{
    size_t length = 0;
    while (index > 0) {
        index--;
        element[length++] = list_bytes[index % sizeof(list_bytes)];
        index /= sizeof(list_bytes);
    }
    return length;
}

/* What Jim's `list` makes of every text of up to three such bytes is read back. */
static bool check_lists(struct session *session, const char *image)
{
    (void)image;
    const size_t base = sizeof(list_bytes);
    const size_t count = 1 + base + base * base + base * base * base;
    struct strbuf script = STRBUF_INIT;
    struct strbuf element = STRBUF_INIT;
    struct tcl_list list;
    char expected[3];
    size_t index = 0;
    strbuf_append_text(&script, "list");
    for (size_t i = 0; i < count; i++) {
        strbuf_append_byte(&script, ' ');
        tcl_quote(&script, expected, list_element(i, expected));
    }
    bool good = session_run(session, script.data, script.length) && session->code == 0;
    tcl_list_init(&list, strbuf_text(&session->result), session->result.length);
    while (good && index < count) {
        size_t length = list_element(index, expected);
        good = tcl_list_next(&list, &element) == TCL_LIST_ELEMENT && element.length == length &&
               memcmp(strbuf_text(&element), expected, length) == 0;
        index += good ? 1 : 0;
    }
    good = good && tcl_list_next(&list, &element) == TCL_LIST_END;
    strbuf_fini(&script);
    strbuf_fini(&element);
    return good || complain("element %zu of %zu is not read back from Jim's list", index, count);
}

struct expectation {
    const char *script;
    long code;
    const char *result;
    size_t result_length;
};

static bool check_table(struct session *session, const struct expectation *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct expectation *row = &rows[i];
        session_run(session, row->script, strlen(row->script));
        if (!is_result(session, row->code, row->result, row->result_length)) {
            return complain("%s: code %ld, result [%s]", row->script, session->code,
                            strbuf_text(&session->result));
        }
        if (!is_alive(session)) {
            return complain("%s: OpenOCD answers no more", row->script);
        }
    }
    return true;
}

static bool check_results(struct session *session, const char *image)
{
    (void)image;
    static const struct expectation rows[] = {
        {"", 0, BYTES("")},
        {"version", 0, BYTES("Open On-Chip Debugger 0.12.0")},
        {"string repeat \x1a 5", 0, BYTES("\x1a\x1a\x1a\x1a\x1a")},
        {"set x \"\\x00\\x1a\\x00\"", 0, BYTES("\0\x1a\0")},
        {"set x \"\\x00nonce1 0 0 0 0:\\x1a\"", 0, BYTES("\0nonce1 0 0 0 0:\x1a")},
        {"set x \"type target_event event halted\\r\\n\\x1a\"", 0,
         BYTES("type target_event event halted\r\n\x1a")},
        {"set x \\{", 0, BYTES("{")},
        {"set x \"}}{\\\"\"", 0, BYTES("}}{\"")},
        {"set x {$s [exit] \\}", 1, BYTES("missing close-brace")},
        {"# only a comment {", 0, BYTES("")},
        {"set s 1; set c 2; set r 3; set o 4; set l 5", 0, BYTES("5")},
        {"format $s$c$r$o$l", 0, BYTES("12345")},
        {"set x \"a\n\nb\n\"", 0, BYTES("a\n\nb\n")},
    };
    return check_table(session, rows, COUNT(rows));
}

static bool check_errors(struct session *session, const char *image)
{
    (void)image;
    static const struct expectation rows[] = {
        {"return 5", 2, BYTES("5")},
        {"return -code error five", 2, BYTES("five")},
        {"error boo", 1, BYTES("boo")},
        {"error \"\\x1a\\x00\"", 1, BYTES("\x1a\0")},
        {"throw 9 nine", 9, BYTES("nine")},
        {"throw -4 four", -4, BYTES("four")},
        {"throw 5 signal", 5, BYTES("")},
        {"throw 7 evaluated", 7, BYTES("evaluated")},
        {"return -level 0 -code 6 six", 6, BYTES("six")},
        {"break", 3, BYTES("")},
        {"continue", 4, BYTES("")},
        {"exit 3", -600, BYTES("")},
        {"nope", 1, BYTES("invalid command name \"nope\"")},
        {"set x {", 1, BYTES("missing close-brace")},
        {"expr 1/0", 1, BYTES("Division by zero")},
        {"flash info 9", -4, BYTES("")},
        {"flash probe 9", -4, BYTES("flash bank '#9' is out of bounds\n")},
        {"flash erase_sector 0 0 99", -4, BYTES("ERROR: last sector must be <= 15\n")},
        {"read_memory 0 32 4", 1, BYTES("read_memory: failed to read memory")},
    };
    if (!check_table(session, rows, COUNT(rows))) {
        return false;
    }
    static const char deep[] = "proc deep {} {deep}; deep";
    session_run(session, BYTES(deep));
    if (session->code != 1 || !is_alive(session)) {
        return complain("%s: code %ld", deep, session->code);
    }
    struct strbuf words = STRBUF_INIT;
    session_run(session, BYTES("flash probe 9"));
    struct ocd_reply reply = {.code = session->code,
                              .result = strbuf_text(&session->result),
                              .result_length = session->result.length,
                              .log = strbuf_text(&session->log),
                              .log_length = session->log.length};
    ocd_reply_words(&reply, &words);
    bool good =
        strcmp(strbuf_text(&words), "flash bank '#9' is out of bounds\nflash bank 9 does not exist") == 0 ||
        complain("words [%s]", strbuf_text(&words));
    strbuf_fini(&words);
    return good;
}

static uint64_t next_random(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random >> 32;
}

static bool check_random(struct session *session, const char *image)
{
    (void)image;
    const size_t size = 1024 * 1024;
    struct strbuf bytes = STRBUF_INIT;
    struct strbuf script = STRBUF_INIT;
    uint64_t random = 12;
    char *place = strbuf_extend(&bytes, size);
    for (size_t i = 0; i < size; i++) {
        place[i] = (char)next_random(&random);
    }
    strbuf_append_text(&script, "set r ");
    tcl_quote(&script, bytes.data, bytes.length);
    bool good =
        session_run(session, script.data, script.length) && is_result(session, 0, bytes.data, bytes.length);
    if (!good) {
        complain("1 MiB comes back as %zu bytes with code %ld", session->result.length, session->code);
    }
    strbuf_append_text(&script, "; error $r");
    good =
        good && session_run(session, script.data, script.length) &&
        (is_result(session, 1, bytes.data, bytes.length) || complain("1 MiB does not come back as an error"));
    strbuf_fini(&bytes);
    strbuf_fini(&script);
    return good && is_alive(session);
}

static bool check_notifications(struct session *session, const char *image)
{
    (void)image;
    static const char *const modes[] = {"run", "halt", "init", "halt", "run"};
    struct strbuf expected = STRBUF_INIT;
    bool good = session_do(session, "tcl_notifications on");
    for (size_t i = 0; i < COUNT(modes) && good; i++) {
        struct strbuf script = STRBUF_INIT;
        strbuf_appendf(&script, "reset %s; set x \"\\x1a%s\"", modes[i], modes[i]);
        strbuf_appendf(&expected, "target_reset %s\n", modes[i]);
        good = session_do(session, script.data) && session->result.data[0] == '\x1a' &&
               strcmp(session->result.data + 1, modes[i]) == 0;
        strbuf_fini(&script);
    }
    if (!good) {
        complain("code %ld, result [%s]", session->code, strbuf_text(&session->result));
    } else if (strcmp(strbuf_text(&session->notifications), strbuf_text(&expected)) != 0) {
        good = complain("notifications [%s]", strbuf_text(&session->notifications));
    }
    strbuf_fini(&expected);
    return good;
}

static bool check_limits(struct session *session, const char *image)
{
    (void)image;
    struct strbuf script = STRBUF_INIT;
    struct strbuf command = STRBUF_INIT;
    bool good = envelope_encode(&command, "nonce1", "", 0);
    const size_t length = ENVELOPE_MAX_COMMAND - (command.length - 1);
    const size_t filler = length - strlen("string length {}");
    char digits[32];
    snprintf(digits, sizeof(digits), "%zu", filler);
    strbuf_append_text(&script, "string length {");
    memset(strbuf_extend(&script, filler), 'a', filler);
    strbuf_append_byte(&script, '}');
    /* The longest command there is: this nonce has as many letters as the one above. */
    good = good && session_run(session, script.data, script.length) &&
           is_result(session, 0, digits, strlen(digits));
    if (!good) {
        complain("the longest command: code %ld, result [%s]", session->code, strbuf_text(&session->result));
    }
    strbuf_append_byte(&script, ' ');
    if (good && session_run(session, script.data, script.length)) {
        good = complain("a command that is too long was encoded");
    }
    /* One byte more, sent all the same. */
    strbuf_clear(&command);
    memset(strbuf_extend(&command, ENVELOPE_MAX_COMMAND + 1), 'a', ENVELOPE_MAX_COMMAND + 1);
    strbuf_append_byte(&command, '\x1a');
    session_send(session, command.data, command.length);
    good = good && is_alive(session) &&
           ((session->too_long == 1 && session->strays.length == 0) ||
            complain("\"line too long\" did not come"));
    strbuf_fini(&script);
    strbuf_fini(&command);
    return good;
}

/* Replies that are not the one awaited: bare ones, and an envelope that comes late. */
static bool check_strays(struct session *session, const char *image)
{
    (void)image;
    struct strbuf command = STRBUF_INIT;
    session_send(session, BYTES("version\x1a\x1a"));
    bool good = envelope_encode(&command, "late", BYTES("format late"));
    session_send(session, command.data, command.length);
    strbuf_fini(&command);
    return good && is_alive(session) &&
           ((strcmp(strbuf_text(&session->strays), "Open On-Chip Debugger 0.12.0\n\n") == 0 &&
             session->foreign == 1) ||
            complain("strays [%s], %u foreign", strbuf_text(&session->strays), session->foreign));
}

/* Runs a command with the file's name between two texts. */
static bool do_with_file(struct session *session, const char *before, const char *file, const char *after)
{
    struct strbuf script = STRBUF_INIT;
    strbuf_append_text(&script, before);
    tcl_quote_text(&script, file);
    strbuf_append_text(&script, after);
    bool good = session_run(session, script.data, script.length) && session->code == 0;
    strbuf_fini(&script);
    return good || complain("%s FILE%s: code %ld, [%s] [%s]", before, after, session->code,
                            strbuf_text(&session->result), strbuf_text(&session->log));
}

static bool is_count(const struct session *session, const char *verb, uint64_t expected)
{
    uint64_t count = 0;
    return (ocd_parse_byte_count(strbuf_text(&session->result), session->result.length, verb, &count) &&
            count == expected) ||
           complain("%s: [%s], not %" PRIu64, verb, strbuf_text(&session->result), expected);
}

static bool is_bank(struct session *session, const struct ocd_bank *expected)
{
    struct ocd_bank *banks = NULL;
    size_t count = 0;
    struct err err;
    if (!session_do(session, "flash list") ||
        !ocd_parse_flash_list(strbuf_text(&session->result), session->result.length, &banks, &count, &err)) {
        return complain("flash list: code %ld, [%s]", session->code, strbuf_text(&session->result));
    }
    bool good = count == 1 && strcmp(banks[0].name, expected->name) == 0 &&
                strcmp(banks[0].driver, expected->driver) == 0 &&
                strcmp(banks[0].target, expected->target) == 0 && banks[0].base == expected->base &&
                banks[0].size == expected->size && banks[0].index == 0;
    free(banks);
    return good || complain("flash list: [%s]", strbuf_text(&session->result));
}

/* `script` prints `count` blocks of `size` bytes, all of that protection. */
static bool has_blocks(struct session *session, const char *script, size_t count, uint64_t size,
                       enum ocd_protection protection, const char *description)
{
    struct ocd_flash_info info;
    struct err err;
    if (!session_do(session, script) ||
        !ocd_parse_flash_info(strbuf_text(&session->result), session->result.length, &info, &err)) {
        return complain("%s: code %ld, [%s]", script, session->code, strbuf_text(&session->result));
    }
    bool good = info.count == count && strcmp(strbuf_text(&info.description), description) == 0;
    for (size_t i = 0; i < count && good; i++) {
        good = info.blocks[i].offset == i * size && info.blocks[i].size == size &&
               info.blocks[i].protection == protection;
    }
    ocd_flash_info_fini(&info);
    return good || complain("%s: [%s]", script, strbuf_text(&session->result));
}

static bool has_erased(struct session *session, const char *script, unsigned expected_first,
                       unsigned expected_last)
{
    unsigned first;
    unsigned last;
    return (session_do(session, script) &&
            ocd_parse_erased(strbuf_text(&session->result), session->result.length, &first, &last) &&
            first == expected_first && last == expected_last) ||
           complain("%s: code %ld, [%s]", script, session->code, strbuf_text(&session->result));
}

static uint64_t file_size(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    return (uint64_t)status.st_size;
}

/* Bank 0 is of the driver faux, 1 MiB. */
static bool check_flash(struct session *session, const char *image)
{
    static const struct ocd_bank bank = {0, "f0", "faux", "t.cpu", 0x08000000, 0x100000, 0, 0};
    unsigned major;
    unsigned minor;
    return ((session_do(session, "version") &&
             ocd_parse_version(strbuf_text(&session->result), session->result.length, &major, &minor)) ||
            complain("version [%s]", strbuf_text(&session->result))) &&
           is_bank(session, &bank) &&
           has_blocks(session, "flash info 0", 16, 0x10000, OCD_PROTECTION_OFF, "faux flash driver") &&
           session_do(session, "halt 0") && has_erased(session, "flash erase_sector 0 0 3", 0, 3) &&
           has_erased(session, "flash erase_sector 0 4 last", 4, 15) &&
           do_with_file(session, "flash write_bank 0 ", image, " 0") &&
           is_count(session, "wrote", file_size(image)) &&
           do_with_file(session, "flash write_image ", image, " 0x08000000 bin") &&
           is_count(session, "wrote", file_size(image));
}

/* Writes random values of `width` bits to RAM and reads them back. */
static bool check_values(struct session *session, unsigned width)
{
    enum { VALUES = 64 };
    struct strbuf script = STRBUF_INIT;
    uint64_t random = width;
    uint8_t expected[VALUES * sizeof(uint32_t)];
    uint8_t got[sizeof(expected)];
    struct err err;
    const size_t size = width / 8;
    strbuf_appendf(&script, "write_memory 0x20000000 %u {", width);
    for (size_t i = 0; i < VALUES; i++) {
        uint64_t value = (next_random(&random) & UINT32_MAX) >> (32 - width) >> (i % width);
        strbuf_appendf(&script, " 0x%" PRIx64, value);
        for (size_t k = 0; k < size; k++) {
            expected[i * size + k] = (uint8_t)(value >> (8 * k));
        }
    }
    strbuf_appendf(&script, "}; read_memory 0x20000000 %u %d", width, VALUES);
    bool good = session_do(session, script.data) &&
                ocd_parse_values(strbuf_text(&session->result), session->result.length, width, VALUES, false,
                                 got, &err) &&
                memcmp(got, expected, VALUES * size) == 0;
    strbuf_fini(&script);
    return good || complain("width %u: code %ld, [%s]", width, session->code, strbuf_text(&session->result));
}

/* The virtual board with 16 KiB of flash, freshly started. */
static bool check_board(struct session *session, const char *image)
{
    static const struct ocd_bank unprobed = {0, "vb.flash", "stm32f1x", "vb.cpu", 0x08000000, 0, 0, 0};
    static const struct ocd_bank bank = {0, "vb.flash", "stm32f1x", "vb.cpu", 0x08000000, 0x4000, 0, 0};
    static const char revision[] = "STM32F10x (Medium Density) - Rev: Y";
    uint64_t size = file_size(image);
    return session_do(session, "tcl_notifications on") && is_bank(session, &unprobed) &&
           has_blocks(session, "flash info 0", 4, 0x1000, OCD_PROTECTION_OFF, revision) &&
           is_bank(session, &bank) &&
           has_blocks(session, "flash info 0 sectors", 16, 0x400, OCD_PROTECTION_UNKNOWN, revision) &&
           session_do(session, "reset halt") &&
           (strstr(strbuf_text(&session->notifications), "target_event halted\n") != NULL ||
            complain("notifications [%s]", strbuf_text(&session->notifications))) &&
           check_values(session, 8) && check_values(session, 16) && check_values(session, 32) &&
           has_erased(session, "flash erase_sector 0 0 last", 0, 15) &&
           do_with_file(session, "flash write_image erase ", image, " 0x08000000 bin") &&
           is_count(session, "wrote", size) &&
           do_with_file(session, "verify_image ", image, " 0x08000000 bin") &&
           is_count(session, "verified", size) &&
           do_with_file(session, "flash verify_bank 0 ", image, " 0") && is_count(session, "read", size) &&
           do_with_file(session, "load_image ", image, " 0x20000000 bin") &&
           is_count(session, "downloaded", size) &&
           do_with_file(session, "set b {}; append b ", image, ".out; dump_image $b 0x20000000 100") &&
           is_count(session, "dumped", 100) &&
           do_with_file(session, "flash read_bank 0 ", image, ".out 0 200") &&
           is_count(session, "wrote", 200);
}

static const struct {
    const char *name;
    bool (*run)(struct session *session, const char *image);
} checks[] = {
    {"quoting", check_quoting}, {"lists", check_lists},   {"results", check_results},
    {"errors", check_errors},   {"random", check_random}, {"notifications", check_notifications},
    {"limits", check_limits},   {"strays", check_strays}, {"flash", check_flash},
    {"board", check_board},
};

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: %s PORT CHECK [IMAGE]\n", argv[0]);
        return EXIT_FAILURE;
    }
    unsigned long port = strtoul(argv[1], NULL, 10);
    for (size_t i = 0; i < COUNT(checks) && port > 0 && port <= 65535; i++) {
        if (strcmp(checks[i].name, argv[2]) != 0) {
            continue;
        }
        struct session session;
        session_open(&session, (unsigned short)port);
        bool good = checks[i].run(&session, argc == 4 ? argv[3] : "");
        if (!good) {
            complain("%s: not as it has to be; last code %ld", argv[2], session.code);
        }
        session_close(&session);
        return good ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    fprintf(stderr, "there is no check %s on port %s\n", argv[2], argv[1]);
    return EXIT_FAILURE;
}
