/* The plan of what is read for watches, by examples and against a byte-by-byte model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "board/watch_plan.h"

#define MS 1000u
#define RAM 0x20000000u

/* What the memory holds. */
static uint8_t byte_at(uint32_t space, uint64_t address, unsigned round)
{
    return (uint8_t)(address * 7 + space * 31 + round * 13);
}

static void do_read(struct watch_plan *plan, const struct watch_read *read, unsigned round, uint64_t now_us)
{
    uint8_t bytes[WATCH_PIECE_BYTES];
    for (uint64_t i = 0; i < read->size; i++) {
        bytes[i] = byte_at(read->space, read->address + i, round);
    }
    watch_plan_done(plan, read, bytes, now_us);
}

/* Reads everything that is due; returns how many reads that took. */
static unsigned read_all(struct watch_plan *plan, unsigned round, uint64_t now_us)
{
    struct watch_read read;
    unsigned count = 0;
    while (watch_plan_next(plan, now_us, &read)) {
        do_read(plan, &read, round, now_us);
        count++;
        assert_true(count < 100000);
    }
    return count;
}

static void assert_area(const struct watch_plan *plan, size_t index, uint64_t address, uint64_t size,
                        uint64_t period_us)
{
    assert_true(index < plan->count);
    assert_int_equal(plan->areas[index].address, address);
    assert_int_equal(plan->areas[index].size, size);
    assert_int_equal(plan->areas[index].period_us, period_us);
}

static void test_watch_plan_shares_what_all_watch(void **state)
{
    struct watch_want wants[100];
    struct watch_plan plan;
    (void)state;
    watch_plan_init(&plan);
    for (size_t i = 0; i < 100; i++) {
        wants[i] = (struct watch_want){1, RAM, 64, (50 + i % 7) * MS};
    }
    watch_plan_set(&plan, wants, 100, 10);
    assert_int_equal(plan.count, 1);
    assert_area(&plan, 0, RAM, 64, 50 * MS);
    unsigned reads = 0;
    for (uint64_t now = 0; now < 1000 * MS; now += MS) {
        reads += read_all(&plan, 0, now + 10);
    }
    assert_int_equal(reads, 20); /* one in 50 ms, whoever waits */
    watch_plan_fini(&plan);
}

static void test_watch_plan_cuts_where_periods_differ(void **state)
{
    struct watch_want wants[] = {
        {1, RAM + 16, 32, 20 * MS}, {1, RAM, 32, 100 * MS}, {2, RAM, 8, 5 * MS}, {1, RAM + 64, 4, 100 * MS}};
    struct watch_plan plan;
    struct watch_read read;
    (void)state;
    watch_plan_init(&plan);
    watch_plan_set(&plan, wants, 4, 10);
    assert_int_equal(plan.count, 5);
    assert_area(&plan, 0, RAM, 16, 100 * MS);
    assert_area(&plan, 1, RAM + 16, 16, 20 * MS);
    assert_area(&plan, 2, RAM + 32, 16, 20 * MS);
    assert_area(&plan, 3, RAM + 64, 4, 100 * MS);
    assert_area(&plan, 4, RAM, 8, 5 * MS);
    /* All are due: what touches is read at once, the gap is not, nor the other space with it. */
    assert_true(watch_plan_next(&plan, 10, &read));
    assert_true(read.space == 1 && read.address == RAM && read.size == 48);
    assert_int_equal(read_all(&plan, 0, 10), 3);
    assert_int_equal(watch_plan_due(&plan), 5 * MS);
    /* Between the slow ones' turns only the fast ones are read. */
    assert_int_equal(read_all(&plan, 0, 19 * MS), 1);
    assert_true(watch_plan_next(&plan, 20 * MS, &read) && read.address == RAM + 16 && read.size == 32);
    do_read(&plan, &read, 0, 20 * MS);
    assert_true(watch_plan_next(&plan, 20 * MS, &read) && read.size == 8 && read.space == 2);
    do_read(&plan, &read, 0, 20 * MS);
    assert_false(watch_plan_next(&plan, 20 * MS, &read));
    watch_plan_fini(&plan);
}

static void test_watch_plan_reads_no_more_than_a_piece(void **state)
{
    struct watch_want wants[] = {{1, RAM + 1000, 3000, 100 * MS}, {1, UINT64_MAX - 9, 10, 100 * MS}};
    struct watch_plan plan;
    struct watch_read read;
    uint64_t sum = 0;
    (void)state;
    watch_plan_init(&plan);
    watch_plan_set(&plan, wants, 2, 0);
    while (watch_plan_next(&plan, 0, &read)) {
        assert_true(read.size >= 1 && read.size <= WATCH_PIECE_BYTES);
        sum += read.size;
        do_read(&plan, &read, 1, 0);
    }
    assert_int_equal(sum, 3010);
    size_t last = watch_plan_find(&plan, 1, UINT64_MAX);
    assert_area(&plan, last, UINT64_MAX - 9, 10, 100 * MS);
    assert_int_equal(watch_plan_find(&plan, 1, RAM + 4000), last);
    assert_int_equal(watch_plan_find(&plan, 2, 0), plan.count);
    watch_plan_fini(&plan);
}

static void test_watch_plan_takes_turns_by_time_due(void **state)
{
    struct watch_want wants[] = {{1, RAM, 4, 10 * MS}, {1, RAM + 100, 4, 30 * MS}};
    struct watch_plan plan;
    struct watch_read read;
    (void)state;
    watch_plan_init(&plan);
    watch_plan_set(&plan, wants, 2, 0);
    assert_int_equal(read_all(&plan, 0, 0), 2);
    /* Long behind, each has one read to make, and the fast one does not go twice before the slow one. */
    assert_true(watch_plan_next(&plan, 500 * MS, &read) && read.address == RAM);
    do_read(&plan, &read, 0, 600 * MS);
    assert_true(watch_plan_next(&plan, 600 * MS, &read) && read.address == RAM + 100);
    do_read(&plan, &read, 0, 700 * MS);
    assert_true(watch_plan_next(&plan, 700 * MS, &read) && read.address == RAM);
    watch_plan_fini(&plan);
}

static void test_watch_plan_says_the_rate_reached(void **state)
{
    struct watch_want want = {1, RAM, 4, 10 * MS};
    struct watch_plan plan;
    struct watch_read read;
    (void)state;
    watch_plan_init(&plan);
    watch_plan_set(&plan, &want, 1, 0);
    assert_int_equal(plan.areas[0].reached_us, 0);
    for (uint64_t now = 0; now <= 2000 * MS; now += 40 * MS) {
        assert_true(watch_plan_next(&plan, now, &read));
        do_read(&plan, &read, 0, now + 1);
    }
    assert_int_equal(plan.areas[0].reached_us, 40 * MS);
    watch_plan_fini(&plan);
}

static void test_watch_plan_keeps_what_is_known(void **state)
{
    struct watch_want one[] = {{1, RAM, 32, 100 * MS}};
    struct watch_want two[] = {{1, RAM, 32, 100 * MS}, {1, RAM + 8, 8, 10 * MS}, {1, RAM + 32, 8, 10 * MS}};
    struct watch_plan plan;
    (void)state;
    watch_plan_init(&plan);
    watch_plan_set(&plan, one, 1, 0);
    assert_int_equal(read_all(&plan, 3, 0), 1);
    watch_plan_set(&plan, two, 3, 5 * MS);
    assert_int_equal(plan.count, 4);
    for (size_t i = 0; i < 3; i++) {
        const struct watch_area *area = &plan.areas[i];
        assert_int_equal(area->state, WATCH_AREA_KNOWN);
        assert_int_equal(plan.bytes[area->bytes_at], byte_at(1, area->address, 3));
    }
    assert_int_equal(plan.areas[3].state, WATCH_AREA_UNKNOWN);
    /* Only what is new is read now; what became faster, at its next turn. */
    struct watch_read read;
    assert_true(watch_plan_next(&plan, 5 * MS, &read) && read.address == RAM + 32 && read.size == 8);
    do_read(&plan, &read, 3, 5 * MS);
    assert_int_equal(watch_plan_due(&plan), 10 * MS);
    watch_plan_set(&plan, NULL, 0, 6 * MS);
    assert_int_equal(plan.count, 0);
    assert_true(watch_plan_due(&plan) == UINT64_MAX);
    watch_plan_fini(&plan);
}

static void test_watch_plan_passes_over_what_has_gone(void **state)
{
    struct watch_want one[] = {{1, RAM, 32, 100 * MS}};
    struct watch_want two[] = {{1, RAM + 16, 32, 100 * MS}};
    struct watch_plan plan;
    struct watch_read read;
    (void)state;
    watch_plan_init(&plan);
    watch_plan_set(&plan, one, 1, 0);
    assert_true(watch_plan_next(&plan, 0, &read));
    watch_plan_set(&plan, two, 1, 0); /* while it is in flight */
    do_read(&plan, &read, 0, 1);
    assert_int_equal(plan.areas[0].state, WATCH_AREA_UNKNOWN);
    assert_false(watch_plan_failed(&plan, &read, ERR_TARGET_ERROR, "{}", 2));
    assert_int_equal(plan.areas[0].state, WATCH_AREA_UNKNOWN);
    assert_int_equal(read_all(&plan, 0, 3), 1);
    watch_plan_fini(&plan);
}

static void test_watch_plan_finds_the_one_that_fails(void **state)
{
    struct watch_want wants[] = {{1, RAM, 8, 10 * MS}, {1, RAM + 8, 8, 10 * MS}, {1, RAM + 16, 8, 10 * MS}};
    struct watch_plan plan;
    struct watch_read read;
    (void)state;
    watch_plan_init(&plan);
    watch_plan_set(&plan, wants, 3, 0);
    assert_true(watch_plan_next(&plan, 0, &read) && read.size == 24);
    assert_false(watch_plan_failed(&plan, &read, ERR_TARGET_ERROR, "all", 1)); /* nobody knows which it was */
    for (unsigned i = 0; i < 3; i++) {
        assert_true(watch_plan_next(&plan, 1, &read) && read.size == 8);
        if (read.address == RAM + 8) {
            assert_true(watch_plan_failed(&plan, &read, ERR_TARGET_ERROR, "one", 1));
        } else {
            do_read(&plan, &read, 0, 1);
        }
    }
    assert_int_equal(plan.areas[1].state, WATCH_AREA_FAILED);
    assert_string_equal(plan.areas[1].error, "one");
    assert_int_equal(read_all(&plan, 0, 500 * MS), 2); /* never over what cannot be read */
    assert_true(watch_plan_next(&plan, WATCH_RETRY_US + 1, &read));
    uint64_t now = WATCH_RETRY_US + 1;
    for (unsigned i = 0; i < 3; i++, (void)watch_plan_next(&plan, now, &read)) {
        uint8_t bytes[8] = {0};
        assert_int_equal(read.size, 8);
        bool news = read.address == RAM + 8;
        assert_true(watch_plan_done(&plan, &read, bytes, now) == news);
    }
    assert_null(plan.areas[1].error);
    assert_true(watch_plan_next(&plan, now + 20 * MS, &read) && read.size == 24); /* together again */
    watch_plan_fini(&plan);
}

static void test_watch_plan_stops_and_restarts(void **state)
{
    struct watch_want wants[] = {{1, RAM, 8, 10 * MS}, {1, RAM + 100, 8, 10 * MS}};
    struct watch_plan plan;
    struct watch_read read;
    (void)state;
    watch_plan_init(&plan);
    watch_plan_set(&plan, wants, 2, 0);
    read_all(&plan, 0, 0);
    watch_plan_stop(&plan, ERR_OPENOCD_UNAVAILABLE, "down", 5);
    assert_false(watch_plan_next(&plan, UINT64_MAX - 1, &read));
    assert_int_equal(plan.areas[0].kind, ERR_OPENOCD_UNAVAILABLE);
    watch_plan_restart(&plan, 100);
    assert_int_equal(plan.areas[0].state, WATCH_AREA_UNKNOWN);
    assert_null(plan.areas[0].error);
    assert_int_equal(read_all(&plan, 0, 100), 2);
    watch_plan_fini(&plan);
}

/* ---- against a model ---- */

#define WORLD 4096u
#define SPACES 2u

struct model {
    uint64_t period[SPACES][WORLD]; /* 0: nobody wants it */
    bool bad[SPACES][WORLD];
};

static unsigned random_below(unsigned *seed, unsigned bound)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 8) % bound;
}

static size_t make_wants(struct model *model, struct watch_want *wants, unsigned *seed)
{
    static const uint64_t periods[] = {10 * MS, 20 * MS, 50 * MS, 100 * MS, 2000 * MS};
    size_t count = random_below(seed, 20);
    memset(model->period, 0, sizeof model->period);
    for (size_t i = 0; i < count; i++) {
        uint64_t address = random_below(seed, WORLD - 1);
        uint64_t most = WORLD - address < 1500 ? WORLD - address : 1500;
        bool small = random_below(seed, 2) == 0;
        uint64_t size = 1 + random_below(seed, (unsigned)(small && most > 16 ? 16 : most));
        size = size > most ? most : size;
        wants[i] =
            (struct watch_want){random_below(seed, SPACES), address, size, periods[random_below(seed, 5)]};
        for (uint64_t at = address; at < address + size; at++) {
            uint64_t *period = &model->period[wants[i].space][at];
            *period = *period == 0 || wants[i].period_us < *period ? wants[i].period_us : *period;
        }
    }
    return count;
}

/* Each byte that is wanted lies in one area, with its period, and no other byte does. */
static void check_areas(const struct watch_plan *plan, const struct model *model)
{
    static uint8_t seen[SPACES][WORLD];
    memset(seen, 0, sizeof seen);
    uint64_t sum = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct watch_area *area = &plan->areas[i];
        assert_true(area->size >= 1 && area->size <= WATCH_PIECE_BYTES);
        assert_int_equal(area->bytes_at, sum);
        sum += area->size;
        for (uint64_t at = area->address; at < area->address + area->size; at++) {
            assert_int_equal(seen[area->space][at]++, 0);
            assert_int_equal(model->period[area->space][at], area->period_us);
        }
    }
    for (unsigned space = 0; space < SPACES; space++) {
        for (unsigned at = 0; at < WORLD; at++) {
            assert_int_equal(seen[space][at] != 0, model->period[space][at] != 0);
        }
    }
}

static bool reads_bad(const struct model *model, uint32_t space, uint64_t address, uint64_t size)
{
    for (uint64_t at = address; at < address + size; at++) {
        assert_true(model->period[space][at] != 0); /* nobody's bytes are never read */
        if (model->bad[space][at]) {
            return true;
        }
    }
    return false;
}

/* What was read is what stands there, and fails exactly where something bad does. */
static void check_known(const struct watch_plan *plan, const struct model *model, unsigned round)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct watch_area *area = &plan->areas[i];
        bool bad = reads_bad(model, area->space, area->address, area->size);
        assert_int_equal(area->state, bad ? WATCH_AREA_FAILED : WATCH_AREA_KNOWN);
        for (uint64_t j = 0; !bad && j < area->size; j++) {
            assert_int_equal(plan->bytes[area->bytes_at + j], byte_at(area->space, area->address + j, round));
        }
    }
}

static void run_due(struct watch_plan *plan, const struct model *model, unsigned round, uint64_t now_us)
{
    struct watch_read read;
    for (unsigned count = 0; watch_plan_next(plan, now_us, &read); count++) {
        assert_true(count < 1000);
        assert_true(read.size >= 1 && read.size <= WATCH_PIECE_BYTES);
        if (reads_bad(model, read.space, read.address, read.size)) {
            (void)watch_plan_failed(plan, &read, ERR_TARGET_ERROR, "bad", now_us);
        } else {
            do_read(plan, &read, round, now_us);
        }
    }
    assert_true(watch_plan_due(plan) > now_us);
}

static void test_watch_plan_random(void **state)
{
    static struct model model;
    struct watch_want wants[20];
    unsigned seed = 4711;
    (void)state;
    struct watch_plan plan;
    watch_plan_init(&plan);
    uint64_t now_us = 1;
    for (unsigned round = 0; round < 300; round++) {
        size_t count = make_wants(&model, wants, &seed);
        watch_plan_set(&plan, wants, count, now_us);
        check_areas(&plan, &model);
        memset(model.bad, 0, sizeof model.bad);
        for (unsigned i = random_below(&seed, 4); i > 0; i--) {
            model.bad[random_below(&seed, SPACES)][random_below(&seed, WORLD)] = true;
        }
        if (random_below(&seed, 8) == 0) {
            watch_plan_stop(&plan, ERR_OPENOCD_UNAVAILABLE, "down", now_us);
            watch_plan_restart(&plan, now_us);
        }
        /* Within the longest period everything has been read, and what was bad tried again. */
        for (unsigned step = 0; step < 25; step++) {
            run_due(&plan, &model, round, now_us);
            now_us += 100 * MS;
        }
        check_known(&plan, &model, round);
    }
    watch_plan_fini(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watch_plan_shares_what_all_watch),
        cmocka_unit_test(test_watch_plan_cuts_where_periods_differ),
        cmocka_unit_test(test_watch_plan_reads_no_more_than_a_piece),
        cmocka_unit_test(test_watch_plan_takes_turns_by_time_due),
        cmocka_unit_test(test_watch_plan_says_the_rate_reached),
        cmocka_unit_test(test_watch_plan_keeps_what_is_known),
        cmocka_unit_test(test_watch_plan_passes_over_what_has_gone),
        cmocka_unit_test(test_watch_plan_finds_the_one_that_fails),
        cmocka_unit_test(test_watch_plan_stops_and_restarts),
        cmocka_unit_test(test_watch_plan_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
