/* board/wrap and board/exchange: what commands with files look like on the link, and what answers make of
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "board/exchange.h"
#include "board/wrap.h"
#include "openocd/envelope.h"

#define NONCE "0123456789abcdef0123456789abcdef"

struct fixture {
    struct ocd_info info; /* targets "cpu", which is current, and "ab" */
    struct op_command command;
    struct strbuf script;
    struct envelope_data data;
    char parent[64];
    struct private_dir *dir;
    struct exchange exchange;
    struct err err;
};

static int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    fixture->info.targets = xcalloc(2, sizeof *fixture->info.targets);
    fixture->info.targets[0] = (struct ocd_target){.name = "cpu"};
    fixture->info.targets[1] = (struct ocd_target){.name = "ab"};
    fixture->info.target_count = 2;
    fixture->info.files = OCD_FILES_LINK;
    snprintf(fixture->info.stage_template, sizeof fixture->info.stage_template, "/tmp/a[b]-XXXXXX");
    snprintf(fixture->parent, sizeof fixture->parent, "/tmp/ocdmux-test-wrap-XXXXXX");
    struct private_dir_options options = {.parent = mkdtemp(fixture->parent), .prefix = "wrap"};
    err_reset(&fixture->err);
    if (options.parent == NULL || !private_dir_new(&fixture->dir, &options, &fixture->err)) {
        return -1;
    }
    exchange_init(&fixture->exchange, fixture->dir);
    strbuf_append_text(&fixture->command.script, "do $p");
    *state = fixture;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    exchange_fini(&fixture->exchange);
    private_dir_free(fixture->dir);
    int left = rmdir(fixture->parent);
    strbuf_fini(&fixture->command.script);
    strbuf_fini(&fixture->script);
    ocd_info_fini(&fixture->info);
    free(fixture);
    return left; /* nothing may be left behind */
}

static void put(struct fixture *fixture, const void *bytes, size_t size)
{
    fixture->command.file = OP_FILE_PUT;
    fixture->command.file_bytes = bytes;
    fixture->command.file_size = size;
}

static void expect_begin(struct fixture *fixture, const char *script, size_t data_size)
{
    strbuf_clear(&fixture->script);
    assert_true(exchange_begin(&fixture->exchange, &fixture->script, &fixture->data, &fixture->info,
                               &fixture->command, &fixture->err));
    assert_string_equal(strbuf_text(&fixture->script), script);
    assert_int_equal(fixture->data.size, data_size);
    assert_ptr_equal(fixture->data.bytes, data_size > 0 ? fixture->command.file_bytes : NULL);
}

/* Over the link. */

static void test_wrap_leaves_a_plain_script_alone(void **state)
{
    struct fixture *fixture = *state;
    expect_begin(fixture, "do $p", 0);
    fixture->command.current_target = "cpu";
    expect_begin(fixture, "apply {{t s} {eval $s}} \"cpu\" \"do \\$p\"", 0);
}

static void test_wrap_put_sends_the_bytes_beside_the_script(void **state)
{
    struct fixture *fixture = *state;
    put(fixture, "a\"b$[\\\x1a", 7);
    expect_begin(
        fixture,
        "apply {{t b m s n args} {set c [catch {set p [file tempfile $m];set f [open $p wb];foreach d "
        "$args {$f puts -nonewline $d};$f close;if {[file size $p] != $n} {error {it is cut short}}} "
        "r];if {$c} {catch {$f close};set c 7700} else {set c [catch $s r];set e $::errorCode};catch {file "
        "delete -force $p};catch {set ::errorCode $e};return -code $c $r}} \"\" \"\" \"/tmp/a\\[b]-XXXXXX\" "
        "\"do \\$p\" 7",
        7);
}

static void test_wrap_get_answers_with_the_file(void **state)
{
    struct fixture *fixture = *state;
    fixture->command.file = OP_FILE_GET;
    expect_begin(fixture,
                 "apply {{t b m s} {if {[catch {set p [file tempfile $m]} r]} {return -code 7700 $r};set c "
                 "[catch $s r];set e $::errorCode;if {($c == 0 || $c == 2) && [catch {set f [open $p rb];set "
                 "r [$f read];set d [$f "
                 "close];set r} r]} {catch {$f close};set c 7700};catch {file delete -force $p};catch {set "
                 "::errorCode $e};return -code $c "
                 "$r}} \"\" \"\" \"/tmp/a\\[b]-XXXXXX\" \"do \\$p\"",
                 0);
}

static void test_wrap_puts_the_current_target_back(void **state)
{
    struct fixture *fixture = *state;
    fixture->command.file = OP_FILE_GET;
    fixture->command.current_target = "ab";
    assert_true(exchange_begin(&fixture->exchange, &fixture->script, &fixture->data, &fixture->info,
                               &fixture->command, &fixture->err));
    const char *script = strbuf_text(&fixture->script);
    assert_non_null(
        strstr(script, "set c [catch {targets $t;eval $s} r];set e $::errorCode;catch {targets $b};"));
    assert_non_null(strstr(script, "}} \"ab\" \"cpu\" \"/tmp"));
    /* There is none to put back. */
    fixture->info.current_target = fixture->info.target_count;
    strbuf_clear(&fixture->script);
    assert_true(exchange_begin(&fixture->exchange, &fixture->script, &fixture->data, &fixture->info,
                               &fixture->command, &fixture->err));
    script = strbuf_text(&fixture->script);
    assert_non_null(strstr(script, "set c [catch {targets $t;eval $s} r];set e $::errorCode;if"));
    assert_null(strstr(script, "targets $b"));
    /* It is current already. */
    fixture->info.current_target = 1;
    strbuf_clear(&fixture->script);
    assert_true(exchange_begin(&fixture->exchange, &fixture->script, &fixture->data, &fixture->info,
                               &fixture->command, &fixture->err));
    assert_null(strstr(strbuf_text(&fixture->script), "targets"));
    assert_non_null(strstr(strbuf_text(&fixture->script), "}} \"ab\" \"\" \"/tmp"));
}

static void test_wrap_of_the_most_bytes_fits_one_command(void **state)
{
    static const unsigned char worst[] = {0x00, 0x1a};
    struct fixture *fixture = *state;
    struct strbuf frame = STRBUF_INIT;
    uint8_t *bytes = xmalloc(OP_FILE_MOST_BYTES);
    for (size_t i = 0; i < OP_FILE_MOST_BYTES; i++) {
        bytes[i] = worst[i % 2];
    }
    put(fixture, bytes, OP_FILE_MOST_BYTES);
    assert_true(exchange_begin(&fixture->exchange, &fixture->script, &fixture->data, &fixture->info,
                               &fixture->command, &fixture->err));
    assert_int_equal(fixture->data.size, OP_FILE_MOST_BYTES);
    assert_true(envelope_encode_with_data(&frame, NONCE, strbuf_text(&fixture->script),
                                          fixture->script.length, &fixture->data));
    assert_true(frame.length > 4 * OP_FILE_MOST_BYTES);
    strbuf_fini(&frame);
    free(bytes);
}

static void test_exchange_without_a_way_fails_before_anything_is_sent(void **state)
{
    struct fixture *fixture = *state;
    fixture->info.files = OCD_FILES_NONE;
    expect_begin(fixture, "do $p", 0); /* needs none */
    fixture->command.file = OP_FILE_GET;
    strbuf_clear(&fixture->script);
    assert_false(exchange_begin(&fixture->exchange, &fixture->script, &fixture->data, &fixture->info,
                                &fixture->command, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(fixture->err.message, "no directory"));
    assert_int_equal(fixture->script.length, 0);
    assert_int_equal(fixture->data.size, 0);
}

static struct ocd_reply make_reply(long code, const char *result)
{
    return (struct ocd_reply){
        .code = code, .result = result, .result_length = strlen(result), .log = "", .options = ""};
}

static void test_exchange_hands_replies_of_the_link_on(void **state)
{
    static const long codes[] = {0, 2, 1, -902};
    struct fixture *fixture = *state;
    fixture->command.file = OP_FILE_GET;
    for (size_t i = 0; i < 4; i++) {
        struct ocd_reply reply = make_reply(codes[i], "words");
        assert_true(exchange_end(&fixture->exchange, &fixture->command, &reply, &fixture->err));
        assert_string_equal(reply.result, "words");
    }
    struct ocd_reply reply = make_reply(7700, "No space left on device");
    assert_false(exchange_end(&fixture->exchange, &fixture->command, &reply, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(fixture->err.message, "No space left on device"));
    /* Where there was no file the code means what the script says. */
    fixture->command.file = OP_FILE_NONE;
    assert_true(exchange_end(&fixture->exchange, &fixture->command, &reply, &fixture->err));
}

/* Through the directory. */

static void begin_shared(struct fixture *fixture, char path[256])
{
    char script[1024];
    fixture->info.files = OCD_FILES_SHARED;
    strbuf_clear(&fixture->script);
    assert_true(exchange_begin(&fixture->exchange, &fixture->script, &fixture->data, &fixture->info,
                               &fixture->command, &fixture->err));
    snprintf(path, 256, "%s/%s", private_dir_path(fixture->dir), fixture->exchange.file.name);
    snprintf(script, sizeof script,
             "apply {{t b m s n} {if {[catch {file size $m} r] || $r != $n || ![file readable $m] || ![file "
             "writable $m]} {return -code 7700 {it does not see the file that it was given}};set p $m;set c "
             "[catch $s r];set e $::errorCode;catch {set ::errorCode $e};return -code $c $r}} \"\" \"\" "
             "\"%s\" \"do \\$p\" %d",
             path, (int)fixture->command.file_size);
    assert_string_equal(strbuf_text(&fixture->script), script);
    assert_int_equal(fixture->data.size, 0);
    assert_int_equal(access(path, R_OK | W_OK), 0);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void test_exchange_puts_the_bytes_into_the_directory(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf found = STRBUF_INIT;
    char path[256];
    put(fixture, "\0\x1a$[", 4);
    begin_shared(fixture, path);
    assert_true(private_dir_read(fixture->dir, &fixture->exchange.file, 100, &found, &fixture->err));
    assert_int_equal(found.length, 4);
    assert_memory_equal(found.data, "\0\x1a$[", 4);
    strbuf_fini(&found);
    struct ocd_reply reply = make_reply(0, "wrote 4 bytes");
    assert_true(exchange_end(&fixture->exchange, &fixture->command, &reply, &fixture->err));
    assert_string_equal(reply.result, "wrote 4 bytes");
    exchange_drop(&fixture->exchange);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_exchange_gets_what_openocd_left_in_the_directory(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    fixture->command.file = OP_FILE_GET;
    begin_shared(fixture, path);
    write_file(path, "content");
    struct ocd_reply reply = make_reply(-4, "dumped nothing");
    assert_true(exchange_end(&fixture->exchange, &fixture->command, &reply, &fixture->err));
    assert_string_equal(reply.result, "dumped nothing"); /* it failed */
    reply = make_reply(0, "dumped 7 bytes");
    assert_true(exchange_end(&fixture->exchange, &fixture->command, &reply, &fixture->err));
    assert_int_equal(reply.result_length, 7);
    assert_string_equal(reply.result, "content");
    exchange_drop(&fixture->exchange);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void test_exchange_fails_where_the_file_is_gone(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    struct ocd_reply reply = make_reply(0, "dumped 7 bytes");
    fixture->command.file = OP_FILE_GET;
    begin_shared(fixture, path);
    assert_int_equal(unlink(path), 0);
    assert_false(exchange_end(&fixture->exchange, &fixture->command, &reply, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    assert_string_equal(reply.result, "dumped 7 bytes");
}

static void test_exchange_sweeps_what_a_lost_command_made(void **state)
{
    struct fixture *fixture = *state;
    char path[256];
    char next[256];
    fixture->command.file = OP_FILE_GET;
    begin_shared(fixture, path);
    exchange_lose(&fixture->exchange);
    assert_int_not_equal(access(path, F_OK), 0);
    write_file(path, "late");
    exchange_lose(&fixture->exchange); /* an attempt to connect that failed */
    exchange_sweep(&fixture->exchange);
    assert_int_not_equal(access(path, F_OK), 0);
    /* And of one that was lost behind it, before the link was up for long. */
    begin_shared(fixture, path);
    exchange_lose(&fixture->exchange);
    write_file(path, "late");
    begin_shared(fixture, next);
    exchange_lose(&fixture->exchange);
    assert_int_not_equal(access(path, F_OK), 0);
    write_file(next, "late"); /* which the teardown does not find */
}

static void test_exchange_goes_over_the_link_where_the_directory_fails(void **state)
{
    struct fixture *fixture = *state;
    fixture->info.files = OCD_FILES_SHARED;
    fixture->command.file = OP_FILE_GET;
    assert_int_equal(rmdir(private_dir_path(fixture->dir)), 0);
    assert_true(exchange_begin(&fixture->exchange, &fixture->script, &fixture->data, &fixture->info,
                               &fixture->command, &fixture->err));
    assert_non_null(strstr(strbuf_text(&fixture->script), "file tempfile"));
    struct ocd_reply reply = make_reply(0, "content");
    assert_true(exchange_end(&fixture->exchange, &fixture->command, &reply, &fixture->err));
    assert_string_equal(reply.result, "content");
    /* OpenOCD has no place either. */
    fixture->info.stage_template[0] = '\0';
    strbuf_clear(&fixture->script);
    assert_false(exchange_begin(&fixture->exchange, &fixture->script, &fixture->data, &fixture->info,
                                &fixture->command, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    assert_int_equal(fixture->script.length, 0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_wrap_leaves_a_plain_script_alone),
        WITH_FIXTURE(test_wrap_put_sends_the_bytes_beside_the_script),
        WITH_FIXTURE(test_wrap_get_answers_with_the_file),
        WITH_FIXTURE(test_wrap_puts_the_current_target_back),
        WITH_FIXTURE(test_wrap_of_the_most_bytes_fits_one_command),
        WITH_FIXTURE(test_exchange_without_a_way_fails_before_anything_is_sent),
        WITH_FIXTURE(test_exchange_hands_replies_of_the_link_on),
        WITH_FIXTURE(test_exchange_puts_the_bytes_into_the_directory),
        WITH_FIXTURE(test_exchange_gets_what_openocd_left_in_the_directory),
        WITH_FIXTURE(test_exchange_fails_where_the_file_is_gone),
        WITH_FIXTURE(test_exchange_sweeps_what_a_lost_command_made),
        WITH_FIXTURE(test_exchange_goes_over_the_link_where_the_directory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
