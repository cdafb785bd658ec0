/* server/stage_data: uploads, reading, and stages that the daemon makes itself. */
#include "stage_fixture.h"

#include <signal.h>
#include <sys/resource.h>

/* sha256sum of "hello" and of "hellx" */
#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLX "0b6179b38a9702b3e6b715188031623d09cdc4d173c6acfee273210ea281e1a8"

static void test_stage_write_in_pieces_completes_it(void **state)
{
    struct fixture *fixture = *state;
    size_t descriptors = count_descriptors();
    struct stage *stage = create(fixture, "ann", 5, HELLO);
    put(stage, 0, "h");
    put(stage, 1, "ell");
    assert_int_equal(stage->state, STAGE_UPLOADING);
    assert_int_equal(stage->offset, 4);
    put(stage, 4, "o");
    assert_int_equal(stage->state, STAGE_COMPLETE);
    assert_int_equal(stage->offset, 5);
    assert_bytes(stage, "hello");
    assert_int_equal(count_descriptors(), descriptors);
}

static void test_stage_write_of_what_is_there_is_fine(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 5, HELLO);
    put(stage, 0, "hel");
    put(stage, 0, "hel");
    put(stage, 1, "el");
    assert_int_equal(stage->offset, 3);
    put(stage, 2, "ll"); /* half of it new */
    put(stage, 4, "o");
    put(stage, 4, "o"); /* the answer to the last chunk was lost */
    put(stage, 0, "hello");
    assert_int_equal(stage->state, STAGE_COMPLETE);
    assert_bytes(stage, "hello");
}

static void test_stage_write_of_other_bytes_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 5, HELLO);
    put(stage, 0, "hel");
    put_refused(stage, 0, "x", ERR_STAGE_ERROR, "other bytes");
    put_refused(stage, 0, "hexlo", ERR_STAGE_ERROR, "other bytes");
    assert_int_equal(stage->offset, 3);
    put(stage, 3, "lo");
    put_refused(stage, 4, "x", ERR_STAGE_ERROR, "other bytes");
    assert_bytes(stage, "hello");
}

/* The comparison goes piece by piece. */
static void test_stage_write_compares_all_of_a_long_chunk(void **state)
{
    struct fixture *fixture = *state;
    size_t length = 200000;
    uint8_t *bytes = xcalloc(length, 1);
    struct err err;
    err_reset(&err);
    fixture->config.limits.max_stage_bytes = fixture->config.limits.max_total_stage_bytes = length;
    struct stage *stage = create(fixture, "ann", length, NULL);
    assert_true(stage_write(stage, 0, bytes, length - 1, &err));
    bytes[length - 2] = 1;
    assert_false(stage_write(stage, 0, bytes, length, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    bytes[length - 2] = 0;
    assert_true(stage_write(stage, 0, bytes, length, &err));
    assert_int_equal(stage->state, STAGE_COMPLETE);
    free(bytes);
}

static void test_stage_write_leaves_no_hole_and_stays_within_its_size(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 5, NULL);
    put(stage, 0, "he");
    put_refused(stage, 3, "l", ERR_INVALID_PARAMS, "offset: the stage has 2 bytes");
    put_refused(stage, 2, "llo!", ERR_INVALID_PARAMS, "data: 4 bytes at offset 2 would end behind");
    put_refused(stage, 5, "l", ERR_INVALID_PARAMS, "behind the stage's 5 bytes");
    put_refused(stage, UINT64_MAX, "l", ERR_INVALID_PARAMS, "behind the stage's 5 bytes");
    put_refused(stage, UINT64_MAX - 1, "ll", ERR_INVALID_PARAMS, "behind the stage's 5 bytes");
    assert_int_equal(stage->offset, 2);
    assert_int_equal(file_size(fixture, stage), 2);
    put(stage, 2, "llo");
    put_refused(stage, 5, "!", ERR_INVALID_PARAMS, "behind the stage's 5 bytes");
    assert_bytes(stage, "hello");
}

static void test_stage_with_another_hash_is_empty_again(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 5, HELLX);
    struct err err;
    put(stage, 0, "hell");
    err_reset(&err);
    assert_false(stage_write(stage, 4, (const uint8_t *)"o", 1, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(err.message, HELLO));
    assert_non_null(strstr(err.message, HELLX));
    assert_string_equal(err_find_detail(&err, "stage")->text, stage->id);
    assert_int_equal(stage->state, STAGE_UPLOADING);
    assert_int_equal(stage->offset, 0);
    assert_int_equal(file_size(fixture, stage), 0);
    put_refused(stage, 4, "x", ERR_INVALID_PARAMS, "0 bytes so far");
    put_refused(stage, 0, "hello", ERR_STAGE_ERROR, HELLO);
    assert_ptr_equal(create(fixture, "ann", 5, HELLX), stage);
}

static void test_stage_that_is_not_complete_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 5, NULL);
    struct err err;
    put(stage, 0, "he");
    err_reset(&err);
    assert_false(stage_check_complete(stage, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(err.message, "2 of its 5 bytes"));
    assert_string_equal(err_find_detail(&err, "stage")->text, stage->id);
}

/* As on a full disk: the first bytes fit, the rest does not. */
static void test_stage_is_consistent_after_a_write_that_failed(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before;
    struct stage *stage = create(fixture, "ann", 10, NULL);
    put(stage, 0, "ab");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit small = {.rlim_cur = 5, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    put_refused(stage, 2, "cdefghij", ERR_STAGE_ERROR, "File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(stage->offset, 2);
    assert_int_equal(file_size(fixture, stage), 2);
    put(stage, 2, "cdefghij");
    assert_bytes(stage, "abcdefghij");
}

static void test_stage_whose_file_was_touched_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 5, NULL);
    char path[256];
    uint8_t bytes[5];
    struct err err;
    err_reset(&err);
    put(stage, 0, "hello");
    file_path(fixture, stage, path);
    assert_int_equal(truncate(path, 3), 0);
    assert_false(stage_read(stage, 0, bytes, 5, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    assert_int_equal(unlink(path), 0);
    assert_false(stage_read(stage, 0, bytes, 5, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_false(stage_read(stage, 0, bytes, 5, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
}

/* Made by the daemon. */

static struct stage *make(struct fixture *fixture, uint64_t size)
{
    struct stage *stage = NULL;
    struct err err;
    err_reset(&err);
    if (!stage_make(&fixture->store, "ann", "dump", size, &stage, &err)) {
        fail_msg("not made: %s", err.message);
    }
    return stage;
}

static void add(struct stage *stage, const char *text)
{
    struct err err;
    err_reset(&err);
    assert_true(stage_make_write(stage, (const uint8_t *)text, strlen(text), &err));
}

static void test_stage_made_by_the_daemon_becomes_complete(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    err_reset(&err);
    struct stage *stage = make(fixture, 5);
    assert_int_equal(stage->pins, 1);
    create_refused(fixture, "ann", 996, "max_stage_bytes"); /* counts from the start */
    add(stage, "he");
    put_refused(stage, 2, "llo", ERR_STAGE_ERROR, "filled by the daemon");
    assert_false(stage_check_complete(stage, &err));
    assert_false(stage_make_finish(stage, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    add(stage, "llo");
    assert_true(stage_make_finish(stage, &err));
    assert_int_equal(stage->state, STAGE_COMPLETE);
    assert_int_equal(stage->pins, 0);
    assert_string_equal(stage->sha256, HELLO);
    assert_bytes(stage, "hello");
    assert_ptr_equal(create(fixture, "ann", 5, HELLO), stage);
}

static void test_stage_made_by_the_daemon_has_no_more_bytes_than_said(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    err_reset(&err);
    struct stage *stage = make(fixture, 3);
    assert_false(stage_make_write(stage, (const uint8_t *)"hell", 4, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    assert_int_equal(stage->offset, 0);
    stage_make_drop(stage);
}

static void test_stage_that_is_dropped_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = make(fixture, 1000);
    add(stage, "hello");
    stage_make_drop(stage);
    assert_int_equal(count_files(fixture), 0);
    assert_int_equal(fixture->store.bytes, 0);
    assert_null(stage_owner_find(&fixture->store, "ann"));
}

static void test_stage_deleted_while_it_is_made_ends_that(void **state)
{
    struct fixture *fixture = *state;
    struct err err;
    err_reset(&err);
    struct stage *stage = make(fixture, 5);
    add(stage, "hello");
    stage_delete(stage);
    assert_false(is_there(fixture, "ann", stage->id));
    assert_false(stage_make_write(stage, (const uint8_t *)"x", 1, &err));
    assert_int_equal(err.kind, ERR_STAGE_ERROR);
    assert_non_null(strstr(err.message, "deleted"));
    assert_false(stage_make_finish(stage, &err));
    stage_make_drop(stage);
    assert_int_equal(count_files(fixture), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_stage_write_in_pieces_completes_it),
        WITH_FIXTURE(test_stage_write_of_what_is_there_is_fine),
        WITH_FIXTURE(test_stage_write_of_other_bytes_is_refused),
        WITH_FIXTURE(test_stage_write_compares_all_of_a_long_chunk),
        WITH_FIXTURE(test_stage_write_leaves_no_hole_and_stays_within_its_size),
        WITH_FIXTURE(test_stage_with_another_hash_is_empty_again),
        WITH_FIXTURE(test_stage_that_is_not_complete_says_so),
        WITH_FIXTURE(test_stage_is_consistent_after_a_write_that_failed),
        WITH_FIXTURE(test_stage_whose_file_was_touched_is_an_error),
        WITH_FIXTURE(test_stage_made_by_the_daemon_becomes_complete),
        WITH_FIXTURE(test_stage_made_by_the_daemon_has_no_more_bytes_than_said),
        WITH_FIXTURE(test_stage_that_is_dropped_leaves_nothing),
        WITH_FIXTURE(test_stage_deleted_while_it_is_made_ends_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
