/* Lines are in the file whole or not at all, and a gap is said. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/audit_file.h"

struct fixture {
    char directory[64];
    char path[96];
    struct audit_file file;
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct err err;
    strcpy(fixture->directory, "/tmp/audit_file_XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->path, sizeof fixture->path, "%s/audit", fixture->directory);
    err_reset(&err);
    assert_true(audit_file_open(&fixture->file, fixture->path, &err));
    signal(SIGXFSZ, SIG_IGN);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    audit_file_close(&fixture->file);
    unlink(fixture->path);
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

static bool append(struct fixture *fixture, const char *text)
{
    struct strbuf line = STRBUF_INIT;
    struct err err;
    err_reset(&err);
    strbuf_append_text(&line, text);
    bool ok = audit_file_append(&fixture->file, &line, &err);
    assert_true(ok || err.kind == ERR_INTERNAL_ERROR);
    strbuf_fini(&line);
    return ok;
}

/* No file of this process may be longer. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes == 0 ? limit.rlim_max : bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void read_file(const struct fixture *fixture, char *text, size_t size)
{
    FILE *file = fopen(fixture->path, "re");
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void test_audit_file_appends_to_what_is_there(void **state)
{
    struct fixture *fixture = *state;
    char text[256];
    struct err err;
    struct stat status;
    assert_true(append(fixture, "{\"a\":1}"));
    audit_file_close(&fixture->file);
    err_reset(&err);
    assert_true(audit_file_open(&fixture->file, fixture->path, &err));
    assert_true(append(fixture, "{\"a\":2}"));
    read_file(fixture, text, sizeof text);
    assert_string_equal(text, "{\"a\":1}\n{\"a\":2}\n");
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_audit_file_takes_back_what_did_not_fit(void **state)
{
    struct fixture *fixture = *state;
    char text[256];
    assert_true(append(fixture, "first"));
    limit_files(9); /* three bytes of the next line fit */
    assert_false(append(fixture, "second"));
    assert_false(append(fixture, "third"));
    limit_files(0);
    read_file(fixture, text, sizeof text);
    assert_string_equal(text, "first\n");
    assert_true(append(fixture, "fourth"));
    read_file(fixture, text, sizeof text);
    assert_non_null(strstr(text, "\"event\":\"gap\",\"lines\":2}\nfourth\n"));
    assert_true(append(fixture, "fifth"));
    read_file(fixture, text, sizeof text);
    assert_non_null(strstr(text, "}\nfourth\nfifth\n"));
}

static void test_audit_file_keeps_the_old_one_where_a_new_one_cannot_be_opened(void **state)
{
    struct fixture *fixture = *state;
    char moved[128];
    char text[256];
    snprintf(moved, sizeof moved, "%s/moved", fixture->directory);
    assert_int_equal(rename(fixture->path, moved), 0);
    assert_int_equal(mkdir(fixture->path, 0700), 0);
    audit_file_reopen(&fixture->file);
    assert_true(append(fixture, "line"));
    assert_int_equal(rmdir(fixture->path), 0);
    assert_int_equal(rename(moved, fixture->path), 0);
    read_file(fixture, text, sizeof text);
    assert_string_equal(text, "line\n");
}

static void test_audit_file_leaves_what_was_cut_off_alone(void **state)
{
    struct fixture *fixture = *state;
    char text[256];
    struct err err;
    err_reset(&err);
    assert_int_equal(write(fixture->file.fd, "first\n{\"to", 10), 10);
    audit_file_reopen(&fixture->file);
    assert_true(append(fixture, "second"));
    assert_int_equal(write(fixture->file.fd, "rn", 2), 2);
    audit_file_close(&fixture->file);
    assert_true(audit_file_open(&fixture->file, fixture->path, &err));
    assert_true(append(fixture, "third"));
    assert_true(append(fixture, "fourth"));
    read_file(fixture, text, sizeof text);
    assert_string_equal(text, "first\n{\"to\nsecond\nrn\nthird\nfourth\n");
}

static void test_audit_file_says_why_it_cannot_be_opened(void **state)
{
    struct fixture *fixture = *state;
    struct audit_file other;
    struct err err;
    err_reset(&err);
    assert_false(audit_file_open(&other, fixture->directory, &err));
    assert_non_null(strstr(err.message, "Is a directory"));
    assert_non_null(strstr(err.message, fixture->directory));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_audit_file_appends_to_what_is_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_file_takes_back_what_did_not_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_file_keeps_the_old_one_where_a_new_one_cannot_be_opened,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_file_leaves_what_was_cut_off_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audit_file_says_why_it_cannot_be_opened, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
