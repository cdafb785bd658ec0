/* base/private_dir: a directory of one run, its files, and what others left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/private_dir.h"

struct fixture {
    char parent[64];
    struct private_dir *dir;
    struct err err;
};

static bool make(struct fixture *fixture, struct private_dir **ret_dir, const char *group)
{
    struct private_dir_options options = {.parent = fixture->parent, .prefix = "test", .group = group};
    return private_dir_new(ret_dir, &options, &fixture->err);
}

static int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    snprintf(fixture->parent, sizeof fixture->parent, "/tmp/ocdmux-test-private-XXXXXX");
    err_reset(&fixture->err);
    *state = fixture;
    return mkdtemp(fixture->parent) != NULL && make(fixture, &fixture->dir, NULL) ? 0 : -1;
}

static int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    private_dir_free(fixture->dir);
    int left = rmdir(fixture->parent);
    free(fixture);
    return left; /* nothing may be left behind */
}

static unsigned count_entries(const char *path)
{
    unsigned count = 0;
    DIR *list = opendir(path);
    assert_non_null(list);
    while (readdir(list) != NULL) {
        count++;
    }
    closedir(list);
    return count - 2; /* without . and .. */
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(lstat(path, &status), 0);
    return status.st_mode & 07777;
}

static const char *path_of(const struct private_dir *dir, const struct private_file *file)
{
    static char path[256];
    struct strbuf text = STRBUF_INIT;
    private_dir_append_path(dir, file, &text);
    snprintf(path, sizeof path, "%s", strbuf_text(&text));
    strbuf_fini(&text);
    return path;
}

static void create(struct fixture *fixture, const void *bytes, size_t size, struct private_file *file)
{
    assert_true(private_dir_create(fixture->dir, bytes, size, file, &fixture->err));
}

static void expect_read(struct fixture *fixture, const struct private_file *file, size_t most,
                        const void *bytes, size_t size)
{
    struct strbuf found = STRBUF_INIT;
    strbuf_append_text(&found, "before");
    assert_true(private_dir_read(fixture->dir, file, most, &found, &fixture->err));
    assert_int_equal(found.length, 6 + size);
    assert_memory_equal(found.data, "before", 6);
    assert_memory_equal(found.data + 6, bytes, size);
    strbuf_fini(&found);
}

static void expect_unreadable(struct fixture *fixture, const struct private_file *file)
{
    struct strbuf found = STRBUF_INIT;
    assert_false(private_dir_read(fixture->dir, file, 100, &found, &fixture->err));
    assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    assert_int_equal(found.length, 0);
    strbuf_fini(&found);
}

static void test_private_dir_is_for_its_user_alone(void **state)
{
    struct fixture *fixture = *state;
    const char *path = private_dir_path(fixture->dir);
    char start[128];
    struct private_file file;
    int length = snprintf(start, sizeof start, "%s/test-%lu-", fixture->parent, (unsigned long)geteuid());
    assert_memory_equal(path, start, (size_t)length);
    assert_int_equal(strlen(path), (size_t)length + 32);
    assert_int_equal(mode_of(path), 0700);
    create(fixture, "x", 1, &file);
    assert_int_equal(mode_of(path_of(fixture->dir, &file)), 0600);
}

static void test_private_dir_gives_its_group_what_it_needs(void **state)
{
    struct fixture *fixture = *state;
    struct private_dir *dir = NULL;
    struct private_file file;
    struct stat status;
    const struct group *own = getgrgid(getegid());
    assert_non_null(own);
    assert_true(make(fixture, &dir, own->gr_name));
    assert_int_equal(mode_of(private_dir_path(dir)), 0710);
    assert_true(private_dir_create(dir, NULL, 0, &file, &fixture->err));
    assert_int_equal(mode_of(path_of(dir, &file)), 0660);
    assert_int_equal(stat(path_of(dir, &file), &status), 0);
    assert_int_equal(status.st_gid, own->gr_gid);
    private_dir_free(dir);
    struct private_dir_options reading = {
        .parent = fixture->parent, .prefix = "test", .group = own->gr_name, .group_reads = true};
    assert_true(private_dir_new(&dir, &reading, &fixture->err));
    assert_int_equal(mode_of(private_dir_path(dir)), 0750);
    assert_true(private_dir_create(dir, NULL, 0, &file, &fixture->err));
    assert_int_equal(mode_of(path_of(dir, &file)), 0640);
    private_dir_free(dir);
    assert_false(make(fixture, &dir, "no such group"));
    assert_non_null(strstr(fixture->err.message, "no such group"));
}

static void test_private_dir_keeps_every_byte(void **state)
{
    struct fixture *fixture = *state;
    struct private_file files[3];
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    create(fixture, bytes, sizeof bytes, &files[0]);
    create(fixture, NULL, 0, &files[1]);
    create(fixture, bytes, 1, &files[2]);
    assert_string_not_equal(files[0].name, files[1].name);
    expect_read(fixture, &files[0], 256, bytes, 256);
    expect_read(fixture, &files[0], 1000, bytes, 256);
    expect_read(fixture, &files[0], 255, bytes, 256); /* one more, which tells that there is more */
    expect_read(fixture, &files[0], 10, bytes, 11);
    expect_read(fixture, &files[1], 100, "", 0);
    expect_read(fixture, &files[2], 100, "", 1);
    for (size_t i = 0; i < 3; i++) {
        private_dir_remove(fixture->dir, &files[i]);
        assert_string_equal(files[i].name, "");
        private_dir_remove(fixture->dir, &files[i]); /* nothing happens */
    }
    assert_int_equal(count_entries(private_dir_path(fixture->dir)), 0);
}

static void test_private_dir_reads_what_another_wrote_into_its_file(void **state)
{
    struct fixture *fixture = *state;
    struct private_file file;
    create(fixture, "old and long", 12, &file);
    int fd = open(path_of(fixture->dir, &file), O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, "new", 3), 3);
    close(fd);
    expect_read(fixture, &file, 100, "new", 3);
}

static void test_private_dir_is_not_misled_by_what_stands_in_a_files_place(void **state)
{
    struct fixture *fixture = *state;
    struct private_file file;
    const char *path;

    create(fixture, "x", 1, &file);
    path = path_of(fixture->dir, &file);
    assert_int_equal(unlink(path), 0);
    expect_unreadable(fixture, &file);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_unreadable(fixture, &file);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    expect_unreadable(fixture, &file);
    assert_int_equal(unlink(path), 0);
    /* Another file, while the first still has its number. */
    create(fixture, "x", 1, &file);
    path = path_of(fixture->dir, &file);
    char aside[300];
    snprintf(aside, sizeof aside, "%s/aside", private_dir_path(fixture->dir));
    assert_int_equal(rename(path, aside), 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    expect_unreadable(fixture, &file);
    private_dir_remove(fixture->dir, &file);
    assert_int_equal(count_entries(private_dir_path(fixture->dir)), 1);
}

static void test_private_dir_says_when_a_file_cannot_be_made(void **state)
{
    struct fixture *fixture = *state;
    struct private_file file = {.name = "untouched"};
    struct rlimit before;
    struct rlimit none;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 10;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_false(
        private_dir_create(fixture->dir, (const uint8_t *)"0123456789abc", 13, &file, &fixture->err));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(fixture->err.message, "File too large"));
    assert_int_equal(count_entries(private_dir_path(fixture->dir)), 0);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_false(private_dir_create(fixture->dir, NULL, 0, &file, &fixture->err));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_non_null(strstr(fixture->err.message, "Too many open files"));
    assert_string_equal(file.name, "untouched");
}

/* The leftover of a process that was killed; its path into `path`. */
static void leave_behind(struct fixture *fixture, char path[256])
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct private_dir *dir = NULL;
        struct private_file file;
        if (!make(fixture, &dir, NULL) ||
            !private_dir_create(dir, (const uint8_t *)"x", 1, &file, &fixture->err)) {
            _exit(1);
        }
        ssize_t wrote = write(ends[1], private_dir_path(dir), strlen(private_dir_path(dir)));
        _exit(wrote > 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    ssize_t got = read(ends[0], path, 255);
    assert_true(got > 0);
    path[got] = '\0';
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(count_entries(path), 1);
}

static void test_private_dir_removes_what_the_dead_left_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    struct private_dir *second = NULL;
    struct private_file file;
    char dead[256];
    char other[256];
    char link[256];

    create(fixture, "alive", 5, &file);
    leave_behind(fixture, dead);
    snprintf(other, sizeof other, "%s/test-%lu", fixture->parent, (unsigned long)geteuid() + 1);
    assert_int_equal(mkdir(other, 0700), 0); /* of another user, or none of ours */
    snprintf(link, sizeof link, "%s/test-%lu-link", fixture->parent, (unsigned long)geteuid());
    assert_int_equal(symlink(other, link), 0);

    assert_true(make(fixture, &second, NULL));
    assert_int_not_equal(access(dead, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    expect_read(fixture, &file, 100, "alive", 5);
    assert_string_not_equal(private_dir_path(second), private_dir_path(fixture->dir));

    private_dir_free(second);
    expect_read(fixture, &file, 100, "alive", 5);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(other), 0);
}

static void test_private_dir_refuses_parents_that_mean_nothing(void **state)
{
    static const char *const bad[] = {"relative", "/nonexistent/place", "/dev/null", ""};
    struct fixture *fixture = *state;
    struct private_dir *dir = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct private_dir_options options = {.parent = bad[i], .prefix = "test"};
        assert_false(private_dir_new(&dir, &options, &fixture->err));
        assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    }
    assert_int_equal(chmod(fixture->parent, 0777), 0);
    assert_false(make(fixture, &dir, NULL));
    assert_non_null(strstr(fixture->err.message, "everybody"));
    assert_int_equal(chmod(fixture->parent, 01777), 0);
    assert_true(make(fixture, &dir, NULL));
    private_dir_free(dir);
    assert_int_equal(chmod(fixture->parent, 0700), 0);
}

static void test_private_dir_finds_a_parent_by_itself(void **state)
{
    struct fixture *fixture = *state;
    struct private_dir_options options = {.prefix = "ocdmux-test"};
    struct private_dir *dir = NULL;
    assert_int_equal(setenv("XDG_RUNTIME_DIR", fixture->parent, 1), 0);
    assert_true(private_dir_new(&dir, &options, &fixture->err));
    assert_memory_equal(private_dir_path(dir), fixture->parent, strlen(fixture->parent));
    private_dir_free(dir);
    /* No group gets in there. */
    options.group = getgrgid(getegid())->gr_name;
    assert_true(private_dir_new(&dir, &options, &fixture->err));
    assert_null(strstr(private_dir_path(dir), fixture->parent));
    private_dir_free(dir);
    options.group = NULL;
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/nonexistent/place", 1), 0);
    assert_true(private_dir_new(&dir, &options, &fixture->err));
    private_dir_free(dir);
    assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_private_dir_is_for_its_user_alone),
        WITH_FIXTURE(test_private_dir_gives_its_group_what_it_needs),
        WITH_FIXTURE(test_private_dir_keeps_every_byte),
        WITH_FIXTURE(test_private_dir_reads_what_another_wrote_into_its_file),
        WITH_FIXTURE(test_private_dir_is_not_misled_by_what_stands_in_a_files_place),
        WITH_FIXTURE(test_private_dir_says_when_a_file_cannot_be_made),
        WITH_FIXTURE(test_private_dir_removes_what_the_dead_left_and_nothing_else),
        WITH_FIXTURE(test_private_dir_refuses_parents_that_mean_nothing),
        WITH_FIXTURE(test_private_dir_finds_a_parent_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
