/* server/dump_file: files under a root, and never anywhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "descriptors.h"

#include "base/alloc.h"
#include "server/dump_file.h"

/* A directory with the root "root" and beside it "outside", which nothing may touch. */
struct fixture {
    char base[64];
    char root[80];
};

static const char *path_of(const struct fixture *fixture, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", fixture->base, name);
    return path;
}

static void make_directory(const struct fixture *fixture, const char *name)
{
    assert_int_equal(mkdir(path_of(fixture, name), 0700), 0);
}

static void make_file(const struct fixture *fixture, const char *name, const char *text)
{
    FILE *file = fopen(path_of(fixture, name), "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void make_link(const struct fixture *fixture, const char *name, const char *to)
{
    assert_int_equal(symlink(to, path_of(fixture, name)), 0);
}

static int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    snprintf(fixture->base, sizeof fixture->base, "/tmp/ocdmux-test-dump-XXXXXX");
    if (mkdtemp(fixture->base) == NULL) {
        free(fixture);
        return -1;
    }
    snprintf(fixture->root, sizeof fixture->root, "%s/root", fixture->base);
    make_directory(fixture, "root");
    make_directory(fixture, "outside");
    make_file(fixture, "outside/secret", "secret");
    *state = fixture;
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        char inner[1024];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (lstat(inner, &status) == 0 && S_ISDIR(status.st_mode)) {
            remove_tree(inner);
        } else {
            unlink(inner);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    rmdir(path);
}

static int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    remove_tree(fixture->base);
    free(fixture);
    return 0;
}

/* How many entries a directory has. */
static size_t count_entries(const struct fixture *fixture, const char *name)
{
    size_t count = 0;
    DIR *directory = opendir(path_of(fixture, name));
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(directory);
    return count;
}

static void assert_content(const struct fixture *fixture, const char *name, const char *text)
{
    char content[64];
    FILE *file = fopen(path_of(fixture, name), "re");
    assert_non_null(file);
    size_t length = fread(content, 1, sizeof content - 1, file);
    fclose(file);
    content[length] = '\0';
    assert_string_equal(content, text);
}

static bool exists(const struct fixture *fixture, const char *name)
{
    struct stat status;
    return lstat(path_of(fixture, name), &status) == 0;
}

static struct dump_file *must_open(const struct fixture *fixture, const char *path)
{
    struct dump_file *file = NULL;
    struct err err;
    err_reset(&err);
    if (!dump_file_open(&file, fixture->root, path, &err)) {
        fail_msg("cannot open %s: %s", path, err.message);
    }
    return file;
}

static void must_write(struct dump_file *file, const char *text)
{
    struct err err;
    err_reset(&err);
    assert_true(dump_file_write(file, (const uint8_t *)text, strlen(text), &err));
}

static void must_refuse(const struct fixture *fixture, const char *path, enum err_kind kind)
{
    struct dump_file *file = NULL;
    struct err err;
    err_reset(&err);
    if (dump_file_open(&file, fixture->root, path, &err)) {
        fail_msg("opened %s", path);
    }
    assert_null(file);
    assert_int_equal(err.kind, kind);
    assert_int_equal(count_entries(fixture, "outside"), 1);
    assert_content(fixture, "outside/secret", "secret");
}

static void test_dump_file_has_its_name_only_when_it_is_complete(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    err_reset(&err);
    size_t descriptors = count_descriptors();
    struct dump_file *file = must_open(fixture, "a.bin");
    must_write(file, "one ");
    assert_false(exists(fixture, "root/a.bin"));
    assert_int_equal(count_entries(fixture, "root"), 1); /* the part */
    must_write(file, "");
    must_write(file, "two");
    assert_true(dump_file_commit(file, &err));
    assert_content(fixture, "root/a.bin", "one two");
    dump_file_free(file);
    assert_content(fixture, "root/a.bin", "one two");
    assert_int_equal(count_entries(fixture, "root"), 1);
    assert_int_equal(count_descriptors(), descriptors);
}

static void test_dump_file_that_is_dropped_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    size_t descriptors = count_descriptors();
    struct dump_file *file = must_open(fixture, "a.bin");
    must_write(file, "half");
    dump_file_free(file);
    dump_file_free(NULL);
    assert_int_equal(count_entries(fixture, "root"), 0);
    assert_int_equal(count_descriptors(), descriptors);
}

static void test_dump_file_replaces_one_of_its_name_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    err_reset(&err);
    make_file(fixture, "root/a.bin", "old");
    struct dump_file *dropped = must_open(fixture, "a.bin");
    must_write(dropped, "half");
    dump_file_free(dropped);
    assert_content(fixture, "root/a.bin", "old");
    struct dump_file *file = must_open(fixture, "a.bin");
    must_write(file, "new");
    assert_content(fixture, "root/a.bin", "old");
    assert_true(dump_file_commit(file, &err));
    dump_file_free(file);
    assert_content(fixture, "root/a.bin", "new");
    assert_int_equal(count_entries(fixture, "root"), 1);
}

static void test_dump_files_of_one_name_do_not_mix(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    err_reset(&err);
    struct dump_file *first = must_open(fixture, "a.bin");
    struct dump_file *second = must_open(fixture, "a.bin");
    must_write(first, "first");
    must_write(second, "second");
    assert_true(dump_file_commit(second, &err));
    assert_true(dump_file_commit(first, &err));
    dump_file_free(first);
    dump_file_free(second);
    assert_content(fixture, "root/a.bin", "first");
    assert_int_equal(count_entries(fixture, "root"), 1);
}

static void test_dump_file_removes_what_the_dead_left_and_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    make_file(fixture, "root/.ocdmux-1-2.part", "half");
    make_file(fixture, "root/.ocdmux-1-2-0.part", "half");
    make_file(fixture, "root/.ocdmux-1-2-0.part.bin", "somebody's");
    make_file(fixture, "root/ocdmux-1-2-0.part", "somebody's");
    make_file(fixture, "root/.part", "somebody's");
    make_directory(fixture, "root/.ocdmux-3.part");
    struct dump_file *first = must_open(fixture, "a.bin");
    must_write(first, "first");
    struct dump_file *second = must_open(fixture, "b.bin"); /* the first one's part is no leftover */
    assert_int_equal(count_entries(fixture, "root"), 4 + 2);
    assert_false(exists(fixture, "root/.ocdmux-1-2.part"));
    assert_false(exists(fixture, "root/.ocdmux-1-2-0.part"));
    dump_file_free(second);
    struct err err;
    err_reset(&err);
    assert_true(dump_file_commit(first, &err));
    dump_file_free(first);
    assert_content(fixture, "root/a.bin", "first");
}

static void test_dump_file_goes_into_directories_that_exist(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    err_reset(&err);
    make_directory(fixture, "root/lab");
    make_directory(fixture, "root/lab/..x");
    struct dump_file *file = must_open(fixture, "lab/..x/...");
    must_write(file, "deep");
    assert_true(dump_file_commit(file, &err));
    dump_file_free(file);
    assert_content(fixture, "root/lab/..x/...", "deep");
    must_refuse(fixture, "none/a.bin", ERR_STAGE_ERROR);
    assert_false(exists(fixture, "root/none"));
}

static void test_dump_file_paths_are_plain(void **state)
{
    static const char *const bad[] = {
        "",          "/",      "/a",           "//a",  ".",
        "..",        "../a",   "../outside/a", "a/..", "a/../b",
        "./a",       "a/./b",  "a//b",         "a/",   "lab/../../outside/secret",
        "../root/a", "lab/..",
    };
    struct fixture *fixture = *state;
    make_directory(fixture, "root/lab");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        must_refuse(fixture, bad[i], ERR_FORBIDDEN);
    }
    must_refuse(fixture, path_of(fixture, "root/a"), ERR_FORBIDDEN);
    must_refuse(fixture, path_of(fixture, "outside/secret"), ERR_FORBIDDEN);
    assert_int_equal(count_entries(fixture, "root"), 1);
}

static void test_dump_file_names_have_their_length(void **state)
{
    struct fixture *fixture = *state;
    char name[258];
    struct err err;
    err_reset(&err);
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    must_refuse(fixture, name, ERR_FORBIDDEN);
    name[255] = '\0';
    struct dump_file *file = must_open(fixture, name);
    assert_true(dump_file_commit(file, &err));
    dump_file_free(file);
    assert_int_equal(count_entries(fixture, "root"), 1);
}

static void test_dump_file_follows_no_link(void **state)
{
    struct fixture *fixture = *state;
    make_directory(fixture, "root/real");
    make_link(fixture, "root/out", "../outside");
    make_link(fixture, "root/in", "real");
    make_link(fixture, "root/file", "../outside/secret");
    make_link(fixture, "root/nowhere", "../outside/new");
    make_link(fixture, "root/loop", "loop");
    must_refuse(fixture, "out/a", ERR_FORBIDDEN);
    must_refuse(fixture, "out/secret", ERR_FORBIDDEN);
    must_refuse(fixture, "in/a", ERR_FORBIDDEN); /* even where it leads to nothing bad */
    must_refuse(fixture, "file", ERR_FORBIDDEN);
    must_refuse(fixture, "nowhere", ERR_FORBIDDEN);
    must_refuse(fixture, "loop", ERR_FORBIDDEN);
    must_refuse(fixture, "loop/a", ERR_FORBIDDEN);
    assert_int_equal(count_entries(fixture, "root/real"), 0);
}

/* Somebody puts a link where the file is to go, meanwhile: it is the link that is replaced. */
static void test_dump_file_replaces_a_link_that_came_later(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    err_reset(&err);
    struct dump_file *file = must_open(fixture, "a.bin");
    make_link(fixture, "root/a.bin", "../outside/secret");
    must_write(file, "mine");
    assert_true(dump_file_commit(file, &err));
    dump_file_free(file);
    assert_content(fixture, "outside/secret", "secret");
    assert_content(fixture, "root/a.bin", "mine");
    struct stat status;
    assert_int_equal(lstat(path_of(fixture, "root/a.bin"), &status), 0);
    assert_true(S_ISREG(status.st_mode));
}

static void test_dump_file_replaces_regular_files_only(void **state)
{
    struct fixture *fixture = *state;
    make_directory(fixture, "root/lab");
    assert_int_equal(mkfifo(path_of(fixture, "root/fifo"), 0600), 0);
    must_refuse(fixture, "lab", ERR_FORBIDDEN);
    must_refuse(fixture, "fifo", ERR_FORBIDDEN); /* opening it would never end */
    must_refuse(fixture, "fifo/a", ERR_FORBIDDEN);
    make_file(fixture, "root/plain", "x");
    must_refuse(fixture, "plain/a", ERR_FORBIDDEN);
}

static void test_dump_file_needs_its_root(void **state)
{
    struct fixture *fixture = *state;
    struct dump_file *file = NULL;
    struct err err;
    err_reset(&err);
    size_t descriptors = count_descriptors();
    assert_false(dump_file_open(&file, path_of(fixture, "nothing"), "a", &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    assert_string_equal(err_find_detail(&err, "path")->text, "a");
    assert_int_equal(count_descriptors(), descriptors);
}

/* Something that rename() cannot replace has come meanwhile. */
static void test_dump_file_that_cannot_be_finished_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    err_reset(&err);
    struct dump_file *file = must_open(fixture, "a.bin");
    must_write(file, "text");
    make_directory(fixture, "root/a.bin");
    assert_false(dump_file_commit(file, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(err.message, "a.bin"));
    dump_file_free(file);
    assert_int_equal(count_entries(fixture, "root"), 1);
    assert_int_equal(count_entries(fixture, "root/a.bin"), 0);
}

/* As on a full disk: the first bytes fit, the rest does not. */
static void test_dump_file_that_cannot_be_written_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before;
    struct err err;
    err_reset(&err);
    struct dump_file *file = must_open(fixture, "a.bin");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 5, .rlim_max = before.rlim_max}),
                     0);
    bool wrote = dump_file_write(file, (const uint8_t *)"0123456789", 10, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_false(wrote);
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(err.message, "File too large"));
    dump_file_free(file);
    assert_int_equal(count_entries(fixture, "root"), 0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_dump_file_has_its_name_only_when_it_is_complete),
        WITH_FIXTURE(test_dump_file_that_is_dropped_leaves_nothing),
        WITH_FIXTURE(test_dump_file_replaces_one_of_its_name_at_the_end),
        WITH_FIXTURE(test_dump_files_of_one_name_do_not_mix),
        WITH_FIXTURE(test_dump_file_removes_what_the_dead_left_and_nothing_else),
        WITH_FIXTURE(test_dump_file_goes_into_directories_that_exist),
        WITH_FIXTURE(test_dump_file_paths_are_plain),
        WITH_FIXTURE(test_dump_file_names_have_their_length),
        WITH_FIXTURE(test_dump_file_follows_no_link),
        WITH_FIXTURE(test_dump_file_replaces_a_link_that_came_later),
        WITH_FIXTURE(test_dump_file_replaces_regular_files_only),
        WITH_FIXTURE(test_dump_file_needs_its_root),
        WITH_FIXTURE(test_dump_file_that_cannot_be_finished_leaves_nothing),
        WITH_FIXTURE(test_dump_file_that_cannot_be_written_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
