/* board/repairs: records in real files, over restarts and mishaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/log.h"
#include "board/repairs.h"

#define BOARD "lab1"
#define OPENOCD "127.0.0.1:6666"
#define DIRECTORY "lab1@127.0.0.1%3A6666"

struct fixture {
    char state_dir[64];
    char nested[96]; /* below it, not made yet */
    struct repairs repairs;
    struct ocd_bank bank;
    struct err err;
};

static void restart(struct fixture *fixture)
{
    repairs_fini(&fixture->repairs);
    repairs_init(&fixture->repairs, fixture->state_dir, BOARD, OPENOCD);
}

static int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    log_set_level(LOG_LEVEL_ERROR);
    snprintf(fixture->state_dir, sizeof fixture->state_dir, "/tmp/ocdmux-test-repairs-XXXXXX");
    fixture->bank = (struct ocd_bank){.name = "main", .base = 0x8000000, .size = 0x10000};
    err_reset(&fixture->err);
    *state = fixture;
    if (mkdtemp(fixture->state_dir) == NULL) {
        return -1;
    }
    snprintf(fixture->nested, sizeof fixture->nested, "%s/a/b", fixture->state_dir);
    repairs_init(&fixture->repairs, fixture->state_dir, BOARD, OPENOCD);
    return 0;
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *where)
{
    (void)status;
    (void)flag;
    (void)where;
    return remove(path);
}

static int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    repairs_fini(&fixture->repairs);
    int result = nftw(fixture->state_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return result;
}

static bool save(struct fixture *fixture, uint64_t sector, const char *bytes)
{
    struct keeper_range range = {sector + 4, strlen(bytes), (const uint8_t *)bytes};
    struct keeper_record record = {
        .sector_offset = sector, .sector_size = 0x400, .ranges = &range, .range_count = 1};
    const struct op_keeper *keeper = &fixture->repairs.keeper;
    err_reset(&fixture->err);
    return keeper->save(keeper->context, &fixture->bank, &record, &fixture->err);
}

static void must_save(struct fixture *fixture, uint64_t sector, const char *bytes)
{
    if (!save(fixture, sector, bytes)) {
        fail_msg("not saved: %s", fixture->err.message);
    }
}

static bool find(struct fixture *fixture, uint64_t sector, struct keeper_record *record)
{
    const struct op_keeper *keeper = &fixture->repairs.keeper;
    err_reset(&fixture->err);
    return keeper->find(keeper->context, &fixture->bank, sector, record, &fixture->err);
}

static void must_find(struct fixture *fixture, uint64_t sector, const char *bytes)
{
    struct keeper_record record;
    if (!find(fixture, sector, &record)) {
        fail_msg("not found: %s", fixture->err.message);
    }
    assert_int_equal(record.sector_offset, sector);
    assert_int_equal(record.sector_size, 0x400);
    assert_int_equal(record.range_count, 1);
    assert_int_equal(record.ranges[0].offset, sector + 4);
    assert_int_equal(record.ranges[0].size, strlen(bytes));
    assert_memory_equal(record.ranges[0].bytes, bytes, strlen(bytes));
    keeper_record_fini(&record);
}

static void must_not_find(struct fixture *fixture, uint64_t sector, enum err_kind kind)
{
    struct keeper_record record;
    assert_false(find(fixture, sector, &record));
    assert_int_equal(fixture->err.kind, kind);
}

static void forget(struct fixture *fixture, uint64_t offset, uint64_t size)
{
    const struct op_keeper *keeper = &fixture->repairs.keeper;
    keeper->forget(keeper->context, &fixture->bank, offset, size);
}

static size_t count_pending(const struct fixture *fixture)
{
    size_t count = 0;
    list_for_each (node, &fixture->repairs.pending) {
        count++;
    }
    return count;
}

static const struct repair *pending(const struct fixture *fixture, size_t index)
{
    const struct list *node = fixture->repairs.pending.next;
    while (index-- > 0) {
        node = node->next;
    }
    assert_ptr_not_equal(node, &fixture->repairs.pending);
    return list_entry(node, const struct repair, node);
}

static void path_of(const struct fixture *fixture, const char *file, char path[192])
{
    snprintf(path, 192, "%s/%s/%s", fixture->state_dir, DIRECTORY, file);
}

static size_t count_files(const struct fixture *fixture)
{
    char path[192];
    size_t count = 0;
    path_of(fixture, "", path);
    DIR *listing = opendir(path);
    assert_non_null(listing);
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        count += entry->d_name[0] != '.' ? 1 : 0;
    }
    closedir(listing);
    return count;
}

static size_t read_file(const struct fixture *fixture, const char *file, char text[1024])
{
    char path[192];
    path_of(fixture, file, path);
    FILE *stream = fopen(path, "r");
    assert_non_null(stream);
    size_t length = fread(text, 1, 1024, stream);
    fclose(stream);
    return length;
}

static void write_file(const struct fixture *fixture, const char *file, const char *text, size_t length)
{
    char path[192];
    path_of(fixture, file, path);
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(text, 1, length, stream), length);
    assert_int_equal(fclose(stream), 0);
}

static void test_repairs_save_find_and_forget(void **state)
{
    struct fixture *fixture = *state;
    must_not_find(fixture, 0x400, ERR_NONE);
    must_save(fixture, 0x400, "one");
    must_save(fixture, 0x800, "two");
    must_find(fixture, 0x400, "one");
    must_find(fixture, 0x800, "two");
    must_not_find(fixture, 0xc00, ERR_NONE);
    must_not_find(fixture, 0x401, ERR_NONE);
    must_save(fixture, 0x400, "another"); /* in the place of the first */
    must_find(fixture, 0x400, "another");
    assert_int_equal(count_pending(fixture), 2);
    assert_int_equal(count_files(fixture), 2);
    assert_int_equal(pending(fixture, 1)->head.sector_offset, 0x400); /* the younger one now */
    forget(fixture, 0x401, 0x3ff);                                    /* neither */
    assert_int_equal(count_pending(fixture), 2);
    forget(fixture, 0x400, 0x400);
    must_not_find(fixture, 0x400, ERR_NONE);
    must_find(fixture, 0x800, "two");
    fixture->bank.base = 0; /* another bank */
    must_not_find(fixture, 0x800, ERR_NONE);
    forget(fixture, 0, UINT64_MAX);
    fixture->bank.base = 0x8000000;
    must_find(fixture, 0x800, "two");
    forget(fixture, 0, UINT64_MAX);
    assert_int_equal(count_pending(fixture), 0);
    assert_int_equal(count_files(fixture), 0);
}

static void test_repairs_are_for_the_daemons_user_alone(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    char path[192];
    path_of(fixture, "", path);
    assert_int_equal(access(path, F_OK), -1); /* made with the first record */
    must_save(fixture, 0x400, "one");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    path_of(fixture, "kept-8000000-400", path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_repairs_survive_a_restart(void **state)
{
    struct fixture *fixture = *state;
    must_save(fixture, 0x400, "one");
    must_save(fixture, 0, "two");
    char since[CLOCK_TEXT_SIZE];
    snprintf(since, sizeof since, "%s", pending(fixture, 0)->head.since);
    restart(fixture);
    assert_int_equal(count_pending(fixture), 2);
    must_find(fixture, 0x400, "one");
    must_find(fixture, 0, "two");
    for (size_t i = 0; i < 2; i++) {
        const struct repair *repair = pending(fixture, i);
        assert_string_equal(repair->head.bank, "main");
        assert_int_equal(repair->head.base, 0x8000000);
        assert_int_equal(repair->head.sector_size, 0x400);
        assert_false(repair->broken);
        if (repair->head.sector_offset == 0x400) {
            assert_string_equal(repair->head.since, since);
        }
    }
    forget(fixture, 0, 0x400);
    restart(fixture);
    assert_int_equal(count_pending(fixture), 1);
    must_find(fixture, 0x400, "one");
}

static void write_record(struct fixture *fixture, uint64_t sector, const char *since, const char *file)
{
    struct repair_head head = {
        .bank = "main", .base = 0x8000000, .sector_offset = sector, .sector_size = 0x400};
    struct keeper_range range = {sector + 4, 3, (const uint8_t *)"abc"};
    struct keeper_record record = {
        .sector_offset = sector, .sector_size = 0x400, .ranges = &range, .range_count = 1};
    struct strbuf text = STRBUF_INIT;
    snprintf(head.since, sizeof head.since, "%s", since);
    repair_record_encode(&text, &head, &record);
    write_file(fixture, file, text.data, text.length);
    strbuf_fini(&text);
}

static void test_repairs_are_listed_oldest_first(void **state)
{
    struct fixture *fixture = *state;
    must_save(fixture, 0, "now"); /* makes the directory */
    write_record(fixture, 0x400, "2026-01-03T00:00:00.000Z", "kept-8000000-400");
    write_record(fixture, 0x800, "2026-01-01T00:00:00.000Z", "kept-8000000-800");
    write_record(fixture, 0xc00, "2026-01-02T00:00:00.000Z", "kept-8000000-c00");
    restart(fixture);
    static const uint64_t order[] = {0x800, 0xc00, 0x400, 0};
    assert_int_equal(count_pending(fixture), 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pending(fixture, i)->head.sector_offset, order[i]);
    }
}

/* Nothing is given up silently: the sector cannot be written until somebody has looked. */
static void test_repairs_keep_a_file_that_is_broken(void **state)
{
    struct fixture *fixture = *state;
    char text[1024];
    must_save(fixture, 0x400, "one");
    must_save(fixture, 0x800, "two");
    size_t length = read_file(fixture, "kept-8000000-400", text);
    text[length - 1] ^= 1;
    write_file(fixture, "kept-8000000-400", text, length);
    must_not_find(fixture, 0x400, ERR_STAGE_ERROR); /* also while it is known to be there */
    restart(fixture);
    assert_int_equal(count_pending(fixture), 2);
    must_not_find(fixture, 0x400, ERR_STAGE_ERROR);
    assert_non_null(strstr(fixture->err.message, "kept-8000000-400: mend that file, or remove it"));
    assert_string_equal(err_find_detail(&fixture->err, "path")->text, "kept-8000000-400");
    must_find(fixture, 0x800, "two");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pending(fixture, i)->broken, pending(fixture, i)->head.sector_offset == 0x400);
    }
    text[length - 1] ^= 1; /* mended */
    write_file(fixture, "kept-8000000-400", text, length);
    restart(fixture);
    must_find(fixture, 0x400, "one");
}

static void test_repairs_broken_in_any_way_are_listed(void **state)
{
    struct fixture *fixture = *state;
    char path[192];
    must_save(fixture, 0, "one");
    write_file(fixture, "kept-8000000-400", "", 0);
    write_record(fixture, 0xc00, "2026-01-03T00:00:00.000Z", "kept-8000000-800"); /* of another sector */
    path_of(fixture, "kept-8000000-1000", path);
    assert_int_equal(mkdir(path, 0700), 0);
    path_of(fixture, "kept-8000000-1400", path);
    assert_int_equal(symlink("kept-8000000-0", path), 0);
    path_of(fixture, "kept-8000000-1800", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    path_of(fixture, "kept-8000000-1c00", path);
    write_file(fixture, "kept-8000000-1c00", "", 0);
    assert_int_equal(truncate(path, REPAIR_RECORD_MOST_BYTES + 1), 0);
    restart(fixture);
    assert_int_equal(count_pending(fixture), 7);
    for (uint64_t sector = 0x400; sector < 0x2000; sector += 0x400) {
        must_not_find(fixture, sector, sector == 0xc00 ? ERR_NONE : ERR_STAGE_ERROR);
    }
    must_find(fixture, 0, "one");
    forget(fixture, 0x400, 0x400); /* whoever erases it wants nothing back */
    must_not_find(fixture, 0x400, ERR_NONE);
    restart(fixture);
    assert_int_equal(count_pending(fixture), 6);
}

static void test_repairs_leave_files_of_others_alone(void **state)
{
    static const char *const names[] = {"kept-",
                                        "kept-8000000",
                                        "kept-8000000-400x",
                                        "kept-08000000-400",
                                        "kept-0x8000000-400",
                                        "kept--1-400",
                                        "kept- 8000000-400",
                                        "kept-8000000-400~",
                                        "KEPT-8000000-400",
                                        "other",
                                        "kept-8000000-4A",
                                        "kept-10000000000000000-0"};
    struct fixture *fixture = *state;
    must_save(fixture, 0x800, "one");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        write_record(fixture, 0x400, "2026-01-03T00:00:00.000Z", names[i]);
    }
    write_file(fixture, "new", "half", 4); /* what a crash left of ours */
    restart(fixture);
    assert_int_equal(count_pending(fixture), 1);
    assert_int_equal(count_files(fixture), 1 + sizeof names / sizeof names[0]);
    must_find(fixture, 0x800, "one");
    forget(fixture, 0, UINT64_MAX);
    assert_int_equal(count_files(fixture), sizeof names / sizeof names[0]);
}

static void test_repairs_whose_file_is_gone_can_be_forgotten(void **state)
{
    struct fixture *fixture = *state;
    char path[192];
    must_save(fixture, 0x400, "one");
    path_of(fixture, "kept-8000000-400", path);
    assert_int_equal(unlink(path), 0);
    must_not_find(fixture, 0x400, ERR_STAGE_ERROR);
    forget(fixture, 0x400, 1);
    assert_int_equal(count_pending(fixture), 0);
    must_save(fixture, 0x400, "two");
    path_of(fixture, "", path);
    assert_int_equal(nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0); /* the directory too */
    forget(fixture, 0x400, 1);
    assert_int_equal(count_pending(fixture), 0);
    must_save(fixture, 0x400, "three");
    must_find(fixture, 0x400, "three");
}

/* It would come back with the next start. */
static void test_repairs_that_cannot_be_removed_stay(void **state)
{
    struct fixture *fixture = *state;
    char path[192];
    must_save(fixture, 0x400, "one");
    path_of(fixture, "kept-8000000-400", path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    forget(fixture, 0x400, 1);
    assert_int_equal(count_pending(fixture), 1);
}

static void test_repairs_without_a_state_directory_keep_nothing(void **state)
{
    struct fixture *fixture = *state;
    repairs_fini(&fixture->repairs);
    repairs_init(&fixture->repairs, NULL, BOARD, OPENOCD);
    must_not_find(fixture, 0, ERR_NONE);
    assert_false(save(fixture, 0, "one"));
    assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(fixture->err.message, "so nothing was erased: the daemon has no state directory"));
    assert_int_equal(count_pending(fixture), 0);
    forget(fixture, 0, UINT64_MAX);
}

static void test_repairs_make_their_directories(void **state)
{
    struct fixture *fixture = *state;
    repairs_fini(&fixture->repairs);
    repairs_init(&fixture->repairs, fixture->nested, BOARD, OPENOCD);
    must_save(fixture, 0, "one");
    must_find(fixture, 0, "one");
}

static void must_not_save(struct fixture *fixture, const char *words)
{
    assert_false(save(fixture, 0, "one"));
    assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    if (strstr(fixture->err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", fixture->err.message, words);
    }
    assert_string_equal(err_find_detail(&fixture->err, "path")->text, fixture->repairs.directory);
    assert_int_equal(count_pending(fixture), 0);
}

static void test_repairs_in_a_place_that_is_no_directory(void **state)
{
    struct fixture *fixture = *state;
    char path[192];
    snprintf(path, sizeof path, "%s/%s", fixture->state_dir, DIRECTORY);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
    must_not_save(fixture, "cannot write to");
    must_not_save(fixture, "Not a directory");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/tmp", path), 0); /* whoever put it there */
    must_not_save(fixture, "cannot write to");
    assert_int_equal(unlink(path), 0);
    repairs_fini(&fixture->repairs);
    repairs_init(&fixture->repairs, "/proc/self/nowhere", BOARD, OPENOCD);
    must_not_save(fixture, "cannot make /proc/self/nowhere/");
}

/* The record that is there stays; what was begun is taken away. */
static void test_repairs_in_a_directory_that_refuses_the_file(void **state)
{
    struct fixture *fixture = *state;
    char path[192];
    char inside[200];
    must_save(fixture, 0x400, "one");
    path_of(fixture, "kept-8000000-0", path);
    assert_int_equal(mkdir(path, 0700), 0); /* where the file should go */
    snprintf(inside, sizeof inside, "%s/x", path);
    assert_int_equal(mkdir(inside, 0700), 0);
    assert_false(save(fixture, 0, "two"));
    assert_int_equal(fixture->err.kind, ERR_STAGE_ERROR);
    assert_int_equal(count_files(fixture), 2);
    assert_int_equal(count_pending(fixture), 1);
    must_find(fixture, 0x400, "one");
}

static void test_repairs_of_boards_do_not_meet(void **state)
{
    static const char *const names[][2] = {
        {BOARD, OPENOCD},      {BOARD, "127.0.0.1:6667"}, {"lab2", OPENOCD}, {"..", OPENOCD}, {".", OPENOCD},
        {"a/b", OPENOCD},      {"a%2Fb", OPENOCD},        {"a@b", "c"},      {"a", "b@c"},    {"", ""},
        {"\xc3\xa4\n", "::1"}, {"lab1", "[::1]:6666"},
    };
    enum { COUNT = sizeof names / sizeof names[0] };
    struct fixture *fixture = *state;
    size_t directories = 0;
    for (size_t i = 0; i < COUNT; i++) {
        char bytes[20];
        repairs_fini(&fixture->repairs);
        repairs_init(&fixture->repairs, fixture->state_dir, names[i][0], names[i][1]);
        assert_int_equal(count_pending(fixture), 0);
        snprintf(bytes, sizeof bytes, "board %zu", i);
        must_save(fixture, 0, bytes);
    }
    for (size_t i = 0; i < COUNT; i++) {
        char bytes[20];
        repairs_fini(&fixture->repairs);
        repairs_init(&fixture->repairs, fixture->state_dir, names[i][0], names[i][1]);
        snprintf(bytes, sizeof bytes, "board %zu", i);
        must_find(fixture, 0, bytes);
    }
    DIR *listing = opendir(fixture->state_dir);
    assert_non_null(listing);
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        directories += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 ? 1 : 0;
    }
    closedir(listing);
    assert_int_equal(directories, COUNT); /* each in one of its own, right there */
}

/* A bank may be called anything. */
static void test_repairs_of_banks_with_odd_names_are_read_back(void **state)
{
    static const char *const names[][2] = {
        {"", "?"}, {"a b", "a b"}, {"a\nbase 0x0", "a?base 0x0"}, {"\x01", "?"}, {"\xc3\xa4", "\xc3\xa4"}};
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(fixture->bank.name, sizeof fixture->bank.name, "%s", names[i][0]);
        must_save(fixture, 0x400, "one");
        restart(fixture);
        must_find(fixture, 0x400, "one");
        assert_int_equal(count_pending(fixture), 1);
        assert_string_equal(pending(fixture, 0)->head.bank, names[i][1]);
    }
    memset(fixture->bank.name, 'x', sizeof fixture->bank.name - 1);
    must_save(fixture, 0x400, "long");
    restart(fixture);
    must_find(fixture, 0x400, "long");
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_repairs_save_find_and_forget),
        WITH_FIXTURE(test_repairs_are_for_the_daemons_user_alone),
        WITH_FIXTURE(test_repairs_survive_a_restart),
        WITH_FIXTURE(test_repairs_are_listed_oldest_first),
        WITH_FIXTURE(test_repairs_keep_a_file_that_is_broken),
        WITH_FIXTURE(test_repairs_broken_in_any_way_are_listed),
        WITH_FIXTURE(test_repairs_leave_files_of_others_alone),
        WITH_FIXTURE(test_repairs_whose_file_is_gone_can_be_forgotten),
        WITH_FIXTURE(test_repairs_that_cannot_be_removed_stay),
        WITH_FIXTURE(test_repairs_without_a_state_directory_keep_nothing),
        WITH_FIXTURE(test_repairs_make_their_directories),
        WITH_FIXTURE(test_repairs_in_a_place_that_is_no_directory),
        WITH_FIXTURE(test_repairs_in_a_directory_that_refuses_the_file),
        WITH_FIXTURE(test_repairs_of_boards_do_not_meet),
        WITH_FIXTURE(test_repairs_of_banks_with_odd_names_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
