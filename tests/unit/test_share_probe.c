/* openocd/share_probe and openocd/stage_dir: how the handshake finds out which way files take. */
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
#include "openocd/share_probe.h"
#include "openocd/stage_dir.h"

struct fixture {
    char parent[64];
    struct private_dir *dir;
    struct share_probe probe;
    struct err err;
};

static int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    snprintf(fixture->parent, sizeof fixture->parent, "/tmp/ocdmux-test-probe-XXXXXX");
    struct private_dir_options options = {.parent = mkdtemp(fixture->parent), .prefix = "probe"};
    err_reset(&fixture->err);
    *state = fixture;
    if (options.parent == NULL || !private_dir_new(&fixture->dir, &options, &fixture->err)) {
        return -1;
    }
    share_probe_init(&fixture->probe, fixture->dir);
    return share_probe_start(&fixture->probe, &fixture->err) ? 0 : -1;
}

static int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    share_probe_end(&fixture->probe);
    int kept = rmdir(private_dir_path(fixture->dir)); /* empty: the probe leaves no file */
    private_dir_free(fixture->dir);
    int left = rmdir(fixture->parent);
    free(fixture);
    return kept | left;
}

static struct ocd_reply make_reply(long code, const char *result)
{
    return (struct ocd_reply){
        .code = code, .result = result, .result_length = strlen(result), .log = "", .options = ""};
}

static void write_answer(const struct fixture *fixture, const char *text)
{
    struct strbuf path = STRBUF_INIT;
    private_dir_append_path(fixture->dir, &fixture->probe.answer, &path);
    FILE *file = fopen(strbuf_text(&path), "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    strbuf_fini(&path);
}

static void test_share_probe_asks_for_what_the_daemon_wrote(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf script = STRBUF_INIT;
    struct strbuf found = STRBUF_INIT;
    share_probe_read_script(&fixture->probe, &script);
    assert_non_null(strstr(strbuf_text(&script), private_dir_path(fixture->dir)));
    assert_non_null(strstr(strbuf_text(&script), fixture->probe.question.name));
    assert_null(strstr(strbuf_text(&script), fixture->probe.question_text)); /* that would be no proof */
    assert_true(private_dir_read(fixture->dir, &fixture->probe.question, 1000, &found, &fixture->err));
    assert_string_equal(strbuf_text(&found), fixture->probe.question_text);
    assert_int_equal(found.length, 64);
    strbuf_fini(&found);
    strbuf_fini(&script);
}

static void test_share_probe_believes_only_the_whole_text(void **state)
{
    struct fixture *fixture = *state;
    const char *text = fixture->probe.question_text;
    char other[SHARE_PROBE_TEXT_SIZE + 1];
    struct ocd_reply reply = make_reply(0, text);
    assert_true(share_probe_was_read(&fixture->probe, &reply));
    reply = make_reply(1, text);
    assert_false(share_probe_was_read(&fixture->probe, &reply));
    reply = make_reply(0, text + 1);
    assert_false(share_probe_was_read(&fixture->probe, &reply));
    snprintf(other, sizeof other, "%s0", text);
    reply = make_reply(0, other);
    assert_false(share_probe_was_read(&fixture->probe, &reply));
    other[63] = (char)(other[63] == '0' ? '1' : '0');
    other[64] = '\0';
    reply = make_reply(0, other);
    assert_false(share_probe_was_read(&fixture->probe, &reply));
    reply = make_reply(0, "");
    assert_false(share_probe_was_read(&fixture->probe, &reply));
}

static void test_share_probe_believes_only_what_it_finds(void **state)
{
    struct fixture *fixture = *state;
    struct strbuf script = STRBUF_INIT;
    struct ocd_reply good = make_reply(0, "");
    struct ocd_reply bad = make_reply(1, "Permission denied");
    share_probe_write_script(&fixture->probe, &script);
    assert_non_null(strstr(strbuf_text(&script), fixture->probe.answer_text));
    assert_non_null(strstr(strbuf_text(&script), fixture->probe.answer.name));
    strbuf_fini(&script);
    assert_false(share_probe_was_written(&fixture->probe, &good));
    write_answer(fixture, fixture->probe.question_text);
    assert_false(share_probe_was_written(&fixture->probe, &good));
    write_answer(fixture, fixture->probe.answer_text + 1);
    assert_false(share_probe_was_written(&fixture->probe, &good));
    write_answer(fixture, fixture->probe.answer_text);
    assert_false(share_probe_was_written(&fixture->probe, &bad));
    assert_true(share_probe_was_written(&fixture->probe, &good));
}

static void test_share_probe_asks_something_else_each_time(void **state)
{
    struct fixture *fixture = *state;
    struct share_probe before = fixture->probe;
    assert_true(share_probe_start(&fixture->probe, &fixture->err));
    assert_string_not_equal(fixture->probe.question_text, before.question_text);
    assert_string_not_equal(fixture->probe.answer_text, before.answer_text);
    assert_string_not_equal(fixture->probe.question.name, before.question.name);
    struct ocd_reply reply = make_reply(0, before.question_text);
    assert_false(share_probe_was_read(&fixture->probe, &reply));
}

/* Nothing is tried before there is a directory. */
static void test_share_probe_may_be_ended_at_any_time(void **state)
{
    struct share_probe probe;
    (void)state;
    share_probe_init(&probe, NULL);
    share_probe_end(&probe);
    share_probe_end(&probe);
    assert_string_equal(probe.question.name, "");
}

static void test_stage_dir_quotes_what_it_is_told(void **state)
{
    struct strbuf script = STRBUF_INIT;
    (void)state;
    stage_dir_script(NULL, "", &script);
    assert_non_null(strstr(strbuf_text(&script), "}} {/dev/shm /tmp} \"\""));
    strbuf_clear(&script);
    stage_dir_script("/a [b]", "/x/ocdmux-77-XXXXXX", &script);
    assert_non_null(strstr(strbuf_text(&script), "}} [list \"/a \\[b]\"] \"/ocdmux-77-XXXXXX\""));
    strbuf_fini(&script);
}

static void test_stage_dir_takes_what_fits(void **state)
{
    char template[16] = "before";
    struct ocd_reply reply = make_reply(0, "/tmp/a-XXXXXX");
    (void)state;
    assert_true(stage_dir_take(&reply, template, sizeof template));
    assert_string_equal(template, "/tmp/a-XXXXXX");
    reply = make_reply(0, "/tmp/toolong-XXXXXX");
    assert_false(stage_dir_take(&reply, template, sizeof template));
    assert_string_equal(template, "");
    reply = make_reply(1, "/tmp/a-XXXXXX");
    assert_false(stage_dir_take(&reply, template, sizeof template));
    reply = make_reply(0, "");
    assert_false(stage_dir_take(&reply, template, sizeof template));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_share_probe_asks_for_what_the_daemon_wrote),
        WITH_FIXTURE(test_share_probe_believes_only_the_whole_text),
        WITH_FIXTURE(test_share_probe_believes_only_what_it_finds),
        WITH_FIXTURE(test_share_probe_asks_something_else_each_time),
        cmocka_unit_test(test_share_probe_may_be_ended_at_any_time),
        cmocka_unit_test(test_stage_dir_quotes_what_it_is_told),
        cmocka_unit_test(test_stage_dir_takes_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
