/* server/stage: who has which stages, quotas, expiry, pins. */
#include "loop_pass.h"
#include "stage_fixture.h"

/* sha256sum of "hello" */
#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

static void test_stage_create_makes_an_empty_file_with_a_name_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct stage *first = create(fixture, "ann", 5, NULL);
    struct stage *second = create(fixture, "ann", 5, NULL);
    assert_int_equal(strlen(first->id), 16);
    assert_int_equal(strspn(first->id, "0123456789abcdef"), 16);
    assert_string_not_equal(first->id, second->id);
    assert_string_equal(first->name, "app.bin");
    assert_int_equal(first->state, STAGE_UPLOADING);
    assert_int_equal(first->offset, 0);
    assert_string_equal(first->sha256, "");
    assert_int_equal(count_files(fixture), 2);
    assert_int_equal(file_size(fixture, first), 0);
}

static void test_stage_is_found_by_its_owner_alone(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 5, NULL);
    assert_true(is_there(fixture, "ann", stage->id));
    assert_false(is_there(fixture, "bob", stage->id));
    create(fixture, "bob", 5, NULL);
    assert_false(is_there(fixture, "bob", stage->id));
    static const char *const bad[] = {"",  "lock", "../lock", "0123456789abcdef", "00000000000000000000",
                                      "%s"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(is_there(fixture, "ann", bad[i]));
    }
}

static void test_stage_of_the_same_hash_goes_on_where_it_stopped(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 5, HELLO);
    put(stage, 0, "hel");
    assert_ptr_equal(create(fixture, "ann", 5, HELLO), stage);
    assert_int_equal(stage->offset, 3);
    assert_ptr_not_equal(create(fixture, "ann", 6, HELLO), stage);
    assert_ptr_not_equal(create(fixture, "ann", 5, NULL), stage);
    assert_ptr_not_equal(create(fixture, "bob", 5, HELLO), stage);
    put(stage, 3, "lo");
    assert_ptr_equal(create(fixture, "ann", 5, HELLO), stage);
    assert_int_equal(stage->state, STAGE_COMPLETE);
}

static void test_stage_content_is_found_again_within_one_identity(void **state)
{
    struct fixture *fixture = *state;
    struct stage *unnamed = create(fixture, "ann", 5, NULL);
    put(unnamed, 0, "hello");
    assert_string_equal(unnamed->sha256, HELLO);
    assert_ptr_equal(create(fixture, "ann", 5, HELLO), unnamed);
    struct stage *other = create(fixture, "bob", 5, HELLO);
    assert_ptr_not_equal(other, unnamed);
    assert_int_equal(other->offset, 0);
    stage_delete(unnamed);
    assert_int_equal(create(fixture, "ann", 5, HELLO)->offset, 0);
}

static void test_stage_quota_counts_the_size_from_the_start(void **state)
{
    struct fixture *fixture = *state;
    create_refused(fixture, "ann", 1001, "max_stage_bytes");
    create_refused(fixture, "ann", UINT64_MAX, "max_stage_bytes");
    struct stage *large = create(fixture, "ann", 999, NULL);
    create_refused(fixture, "ann", 2, "max_stage_bytes");
    create(fixture, "ann", 1, NULL);
    create_refused(fixture, "ann", 1, "max_stage_bytes");
    create_refused(fixture, "bob", 501, "max_total_stage_bytes");
    create(fixture, "bob", 500, NULL);
    create_refused(fixture, "eve", 1, "max_total_stage_bytes");
    stage_delete(large);
    create(fixture, "eve", 999, NULL);
    assert_int_equal(fixture->store.bytes, 1500);
    assert_int_equal(stage_owner_find(&fixture->store, "ann")->bytes, 1);
}

static void test_stage_quota_counts_stages(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stages[8];
    for (size_t i = 0; i < 8; i++) {
        stages[i] = create(fixture, "ann", 1, NULL);
    }
    for (size_t i = 0; i < 10000; i++) {
        create_refused(fixture, "ann", 1, "max_stages");
    }
    assert_int_equal(count_files(fixture), 8);
    create(fixture, "bob", 1, NULL);
    stage_delete(stages[3]);
    create(fixture, "ann", 1, NULL);
    create_refused(fixture, "ann", 1, "max_stages");
}

static void test_stage_list_has_the_newest_first(void **state)
{
    struct fixture *fixture = *state;
    assert_null(stage_owner_find(&fixture->store, "ann"));
    struct stage *first = create(fixture, "ann", 5, NULL);
    struct stage *second = create(fixture, "ann", 5, NULL);
    const struct stage_owner *owner = stage_owner_find(&fixture->store, "ann");
    assert_ptr_equal(owner->stages.next, &second->node);
    assert_ptr_equal(owner->stages.prev, &first->node);
    stage_delete(first);
    stage_delete(second);
    assert_null(stage_owner_find(&fixture->store, "ann"));
    assert_int_equal(count_files(fixture), 0);
}

static void test_stage_expires_an_hour_after_its_last_use(void **state)
{
    struct fixture *fixture = *state;
    char ids[3][STAGE_ID_SIZE];
    for (size_t i = 0; i < 3; i++) {
        memcpy(ids[i], create(fixture, "ann", 5, NULL)->id, sizeof ids[i]);
    }
    clock_fake(START_US + 10);
    assert_true(is_there(fixture, "ann", ids[1])); /* a use */
    clock_fake(START_US + EXPIRY_US - 1);
    assert_int_equal(count_files(fixture), 3);
    clock_fake(START_US + EXPIRY_US);
    assert_false(is_there(fixture, "ann", ids[0]));
    assert_false(is_there(fixture, "ann", ids[2]));
    assert_int_equal(count_files(fixture), 1);
    assert_true(is_there(fixture, "ann", ids[1]));
    clock_fake(START_US + 2 * (uint64_t)EXPIRY_US);
    create(fixture, "bob", 5, NULL);
    assert_int_equal(count_files(fixture), 1);
    assert_null(stage_owner_find(&fixture->store, "ann"));
}

static void test_stage_expires_without_anybody_asking(void **state)
{
    struct fixture *fixture = *state;
    fixture->config.limits.stage_expiry_ms = 0; /* so that the loop, whose clock is real, need not wait */
    create(fixture, "ann", 5, NULL);
    struct stage *pinned = create(fixture, "ann", 5, NULL);
    stage_pin(pinned);
    fixture->config.limits.stage_expiry_ms = 3600000;
    create(fixture, "ann", 5, NULL);
    assert_true(loop_timer_is_set(fixture->store.expiry));
    clock_fake(START_US + EXPIRY_US);
    loop_pass(fixture->loop);
    assert_int_equal(count_files(fixture), 1);
    stage_unpin(pinned);
    assert_true(loop_timer_is_set(fixture->store.expiry));
}

static void test_stage_that_is_pinned_stays(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 5, NULL);
    char id[STAGE_ID_SIZE];
    memcpy(id, stage->id, sizeof id);
    stage_pin(stage);
    stage_pin(stage);
    clock_fake(START_US + 3 * (uint64_t)EXPIRY_US);
    assert_true(is_there(fixture, "ann", id));
    stage_unpin(stage);
    clock_fake(START_US + 6 * (uint64_t)EXPIRY_US);
    assert_true(is_there(fixture, "ann", id));
    stage_unpin(stage); /* a use: an hour more */
    clock_fake(START_US + 7 * (uint64_t)EXPIRY_US - 1);
    create(fixture, "bob", 1, NULL);
    assert_int_equal(count_files(fixture), 2);
    clock_fake(START_US + 7 * (uint64_t)EXPIRY_US);
    assert_false(is_there(fixture, "ann", id));
}

static void test_stage_deleted_while_pinned_keeps_its_file_until_then(void **state)
{
    struct fixture *fixture = *state;
    struct stage *stage = create(fixture, "ann", 1000, HELLO);
    char id[STAGE_ID_SIZE];
    memcpy(id, stage->id, sizeof id);
    stage_pin(stage);
    stage_delete(stage);
    assert_false(is_there(fixture, "ann", id));
    assert_int_equal(count_files(fixture), 1);
    create_refused(fixture, "ann", 1, "max_stage_bytes"); /* its bytes are still there */
    clock_fake(START_US + 2 * (uint64_t)EXPIRY_US);
    assert_false(is_there(fixture, "ann", id));
    assert_int_equal(count_files(fixture), 1);
    stage_unpin(stage);
    assert_int_equal(count_files(fixture), 0);
    assert_ptr_not_equal(create(fixture, "ann", 1000, HELLO), NULL);
}

static void test_stage_says_when_it_expires(void **state)
{
    struct fixture *fixture = *state;
    char expires[CLOCK_TEXT_SIZE];
    char wanted[CLOCK_TEXT_SIZE];
    struct stage *stage = create(fixture, "ann", 5, NULL);
    clock_fake(START_US + 600000000u);
    /* The second may end between the two. */
    do {
        clock_wall_text_in(wanted, EXPIRY_US - 600000000u);
        stage_expires_text(stage, expires);
    } while (strncmp(wanted, expires, 19) != 0);
    stage_pin(stage);
    do {
        clock_wall_text_in(wanted, EXPIRY_US);
        stage_expires_text(stage, expires);
    } while (strncmp(wanted, expires, 19) != 0);
    assert_int_equal(strlen(expires), 24);
    stage_unpin(stage);
}

/* All that is open when the daemon ends goes with it; see fixture_teardown(). */
static void test_stage_store_ends_with_everything_in_it(void **state)
{
    struct fixture *fixture = *state;
    struct stage *made = NULL;
    struct err err;
    err_reset(&err);
    create(fixture, "ann", 5, NULL);
    struct stage *gone = create(fixture, "bob", 5, NULL);
    stage_pin(gone);
    stage_delete(gone);
    stage_pin(create(fixture, "bob", 5, NULL));
    assert_true(stage_make(&fixture->store, "eve", "made", 5, &made, &err));
    assert_int_equal(count_files(fixture), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_stage_create_makes_an_empty_file_with_a_name_of_its_own),
        WITH_FIXTURE(test_stage_is_found_by_its_owner_alone),
        WITH_FIXTURE(test_stage_of_the_same_hash_goes_on_where_it_stopped),
        WITH_FIXTURE(test_stage_content_is_found_again_within_one_identity),
        WITH_FIXTURE(test_stage_quota_counts_the_size_from_the_start),
        WITH_FIXTURE(test_stage_quota_counts_stages),
        WITH_FIXTURE(test_stage_list_has_the_newest_first),
        WITH_FIXTURE(test_stage_expires_an_hour_after_its_last_use),
        WITH_FIXTURE(test_stage_expires_without_anybody_asking),
        WITH_FIXTURE(test_stage_that_is_pinned_stays),
        WITH_FIXTURE(test_stage_deleted_while_pinned_keeps_its_file_until_then),
        WITH_FIXTURE(test_stage_says_when_it_expires),
        WITH_FIXTURE(test_stage_store_ends_with_everything_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
