/* board/sched: whose turn it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "board/sched.h"
#include "ops/op.h"

#define IDENTITIES 3
#define QUEUES 7
#define OPS 24

/* Two identities with two connections each. */
struct fixture {
    struct sched sched;
    struct sched_identity identities[2];
    struct sched_queue queues[4]; /* 0 and 1 are those of identity 0 */
    struct op ops[OPS];
    bool held[OPS]; /* may not run now */
};

static void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    sched_init(&fixture->sched);
    for (size_t i = 0; i < 2; i++) {
        sched_identity_init(&fixture->identities[i]);
    }
    for (size_t i = 0; i < 4; i++) {
        sched_queue_init(&fixture->queues[i], &fixture->sched, &fixture->identities[i / 2]);
    }
    for (size_t i = 0; i < OPS; i++) {
        list_init(&fixture->ops[i].queue_node);
    }
}

static bool fixture_may_run(void *context, struct op *op)
{
    const struct fixture *fixture = context;
    return !fixture->held[op - fixture->ops];
}

/* The index of the operation that is picked; -1 for none. */
static int fixture_pick(struct fixture *fixture)
{
    struct op *op = sched_pick(&fixture->sched, fixture_may_run, fixture);
    return op == NULL ? -1 : (int)(op - fixture->ops);
}

static void fixture_add(struct fixture *fixture, size_t queue, size_t op)
{
    sched_add(&fixture->queues[queue], &fixture->ops[op]);
    assert_ptr_equal(fixture->ops[op].queue, &fixture->queues[queue]);
}

static void test_sched_of_nothing_is_nothing(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    assert_int_equal(fixture_pick(&fixture), -1);
    assert_int_equal(fixture.sched.count, 0);
}

static void test_sched_queue_is_first_in_first_out(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < 5; i++) {
        fixture_add(&fixture, 0, i);
    }
    assert_int_equal(fixture.queues[0].count, 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fixture_pick(&fixture), i);
        sched_remove(&fixture.ops[i]);
        assert_null(fixture.ops[i].queue);
    }
    assert_int_equal(fixture_pick(&fixture), -1);
    assert_int_equal(fixture.sched.count, 0);
    assert_int_equal(fixture.queues[0].count, 0);
}

/* Between the pieces of one operation the others get their turn. */
static void test_sched_picked_operation_stays_head_and_waits_for_all_others(void **state)
{
    static const int turns[] = {0, 1, 0, 1, 0, 1};
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_add(&fixture, 0, 0);
    fixture_add(&fixture, 2, 1);
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
        assert_int_equal(fixture_pick(&fixture), turns[i]);
    }
    assert_int_equal(fixture.sched.count, 2);
}

/* One identity with many connections gets no more than one with a single connection. */
static void test_sched_identities_share_alike_and_their_connections_within(void **state)
{
    static const int turns[] = {0, 2, 1, 2, 0, 2, 1, 2};
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_add(&fixture, 0, 0);
    fixture_add(&fixture, 1, 1);
    fixture_add(&fixture, 2, 2);
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
        assert_int_equal(fixture_pick(&fixture), turns[i]);
    }
}

static void test_sched_newcomer_waits_behind_those_who_wait(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_add(&fixture, 0, 0);
    assert_int_equal(fixture_pick(&fixture), 0);
    fixture_add(&fixture, 2, 1);
    fixture_add(&fixture, 1, 2);
    /* Identity 0 was served before identity 1 came: it is still first in the ring. */
    assert_int_equal(fixture_pick(&fixture), 0);
    assert_int_equal(fixture_pick(&fixture), 1);
    assert_int_equal(fixture_pick(&fixture), 2);
    assert_int_equal(fixture_pick(&fixture), 1);
    assert_int_equal(fixture_pick(&fixture), 0);
}

static void test_sched_head_that_may_not_run_keeps_its_place(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_add(&fixture, 0, 0);
    fixture_add(&fixture, 2, 1);
    fixture_add(&fixture, 2, 2); /* behind 1, which is not passed over within its queue */
    fixture.held[0] = true;
    assert_int_equal(fixture_pick(&fixture), 1);
    assert_int_equal(fixture_pick(&fixture), 1);
    fixture.held[1] = true;
    assert_int_equal(fixture_pick(&fixture), -1);
    fixture.held[1] = false;
    fixture.held[0] = false;
    /* Both identities could go: 0 has waited since the beginning. */
    assert_int_equal(fixture_pick(&fixture), 0);
    assert_int_equal(fixture_pick(&fixture), 1);
}

static void test_sched_queue_that_is_held_up_does_not_hold_up_its_sister(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_add(&fixture, 0, 0);
    fixture_add(&fixture, 1, 1);
    fixture.held[0] = true;
    assert_int_equal(fixture_pick(&fixture), 1);
    assert_int_equal(fixture_pick(&fixture), 1);
    fixture.held[0] = false;
    assert_int_equal(fixture_pick(&fixture), 0);
}

static void test_sched_remove_takes_from_anywhere(void **state)
{
    static const size_t gone[] = {2, 0, 4}; /* the middle, the head, the tail */
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < 5; i++) {
        fixture_add(&fixture, 3, i);
    }
    for (size_t i = 0; i < 3; i++) {
        sched_remove(&fixture.ops[gone[i]]);
        assert_int_equal(fixture.sched.count, 4 - i);
        assert_int_equal(fixture.queues[3].count, 4 - i);
        assert_true(list_is_empty(&fixture.ops[gone[i]].queue_node));
    }
    assert_int_equal(fixture_pick(&fixture), 1);
    sched_remove(&fixture.ops[1]);
    assert_int_equal(fixture_pick(&fixture), 3);
    sched_remove(&fixture.ops[3]);
    assert_true(list_is_empty(&fixture.sched.busy));
    assert_true(list_is_empty(&fixture.identities[1].queues));
    /* What was empty takes again. */
    fixture_add(&fixture, 3, 0);
    assert_int_equal(fixture_pick(&fixture), 0);
}

/* Behind what is on the link the next of the queue may go as well, if that ends with its answer. */
static void test_sched_head_stands_behind_what_is_on_the_link(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    for (size_t i = 0; i < 3; i++) {
        fixture_add(&fixture, 0, i);
    }
    assert_ptr_equal(sched_head(&fixture.queues[0]), &fixture.ops[0]);
    assert_null(sched_head(&fixture.queues[1]));
    fixture.ops[0].in_flight = true;
    assert_null(sched_head(&fixture.queues[0]));
    assert_int_equal(fixture_pick(&fixture), -1);
    fixture.ops[0].ends = true;
    assert_int_equal(fixture_pick(&fixture), 1);
    fixture.ops[1].in_flight = true; /* and may go on */
    assert_int_equal(fixture_pick(&fixture), -1);
    fixture.ops[1].ends = true;
    assert_int_equal(fixture_pick(&fixture), 2);
    fixture.ops[2].in_flight = true;
    fixture.ops[2].ends = true;
    assert_int_equal(fixture_pick(&fixture), -1);
}

static void test_sched_unpicked_is_next_again(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_add(&fixture, 0, 0);
    fixture_add(&fixture, 1, 1);
    fixture_add(&fixture, 2, 2);
    assert_int_equal(fixture_pick(&fixture), 0);
    sched_unpick(&fixture.ops[0]);
    assert_int_equal(fixture_pick(&fixture), 0);
    assert_int_equal(fixture_pick(&fixture), 2);
    sched_unpick(&fixture.ops[2]);
    assert_int_equal(fixture_pick(&fixture), 2);
    assert_int_equal(fixture_pick(&fixture), 1);
}

static void test_sched_counts_the_operations_of_an_identity(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_add(&fixture, 0, 0);
    fixture_add(&fixture, 1, 1);
    fixture_add(&fixture, 2, 2);
    assert_int_equal(fixture.identities[0].count, 2);
    assert_int_equal(fixture.identities[1].count, 1);
    sched_remove(&fixture.ops[0]);
    assert_int_equal(fixture.identities[0].count, 1);
}

static void test_sched_operation_moves_to_another_queue(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture);
    fixture_add(&fixture, 0, 0);
    fixture_add(&fixture, 0, 1);
    sched_remove(&fixture.ops[0]);
    fixture_add(&fixture, 2, 0);
    assert_int_equal(fixture.queues[0].count, 1);
    assert_int_equal(fixture.queues[2].count, 1);
    assert_int_equal(fixture.sched.count, 2);
    assert_int_equal(fixture_pick(&fixture), 1);
    assert_int_equal(fixture_pick(&fixture), 0);
}

/*
 * Against a model that knows only the contract: rings as plain arrays of indexes, searched from the front.
 */

struct model {
    int ring[IDENTITIES];
    int ring_length;
    int queue_ring[IDENTITIES][QUEUES];
    int queue_ring_length[IDENTITIES];
    int fifo[QUEUES][OPS];
    int fifo_length[QUEUES];
};

static int queue_identity(int queue)
{
    return queue % IDENTITIES;
}

static void array_remove(int *array, int *length, int value)
{
    int kept = 0;
    for (int i = 0; i < *length; i++) {
        if (array[i] != value) {
            array[kept++] = array[i];
        }
    }
    assert_int_equal(kept, *length - 1);
    *length = kept;
}

static void array_to_end(int *array, int *length, int value)
{
    array_remove(array, length, value);
    array[(*length)++] = value;
}

static void model_add(struct model *model, int queue, int op)
{
    int identity = queue_identity(queue);
    if (model->queue_ring_length[identity] == 0) {
        model->ring[model->ring_length++] = identity;
    }
    if (model->fifo_length[queue] == 0) {
        model->queue_ring[identity][model->queue_ring_length[identity]++] = queue;
    }
    model->fifo[queue][model->fifo_length[queue]++] = op;
}

static void model_remove(struct model *model, int queue, int op)
{
    int identity = queue_identity(queue);
    array_remove(model->fifo[queue], &model->fifo_length[queue], op);
    if (model->fifo_length[queue] == 0) {
        array_remove(model->queue_ring[identity], &model->queue_ring_length[identity], queue);
    }
    if (model->queue_ring_length[identity] == 0) {
        array_remove(model->ring, &model->ring_length, identity);
    }
}

static int model_pick(struct model *model, const bool *held)
{
    for (int i = 0; i < model->ring_length; i++) {
        int identity = model->ring[i];
        for (int j = 0; j < model->queue_ring_length[identity]; j++) {
            int queue = model->queue_ring[identity][j];
            int op = model->fifo[queue][0];
            if (!held[op]) {
                array_to_end(model->queue_ring[identity], &model->queue_ring_length[identity], queue);
                array_to_end(model->ring, &model->ring_length, identity);
                return op;
            }
        }
    }
    return -1;
}

static uint32_t random_below(uint32_t *seed, uint32_t limit)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % limit;
}

struct random_run {
    struct sched sched;
    struct sched_identity identities[IDENTITIES];
    struct sched_queue queues[QUEUES];
    struct op ops[OPS];
    bool held[OPS];
    int place[OPS]; /* its queue; -1 */
    struct model model;
    size_t picked; /* how often something was */
};

static bool random_may_run(void *context, struct op *op)
{
    const struct random_run *run = context;
    return !run->held[op - run->ops];
}

static void random_start(struct random_run *run)
{
    memset(run, 0, sizeof *run);
    sched_init(&run->sched);
    for (int i = 0; i < IDENTITIES; i++) {
        sched_identity_init(&run->identities[i]);
    }
    for (int i = 0; i < QUEUES; i++) {
        sched_queue_init(&run->queues[i], &run->sched, &run->identities[queue_identity(i)]);
    }
    for (int i = 0; i < OPS; i++) {
        list_init(&run->ops[i].queue_node);
        run->place[i] = -1;
    }
}

/* Puts an operation into a queue if it is in none, else takes it out. */
static void random_toggle(struct random_run *run, int op, int queue)
{
    if (run->place[op] < 0) {
        sched_add(&run->queues[queue], &run->ops[op]);
        model_add(&run->model, queue, op);
        run->place[op] = queue;
    } else {
        sched_remove(&run->ops[op]);
        model_remove(&run->model, run->place[op], op);
        run->place[op] = -1;
    }
}

static void random_compare(struct random_run *run)
{
    size_t sum = 0;
    struct op *picked = sched_pick(&run->sched, random_may_run, run);
    int index = picked == NULL ? -1 : (int)(picked - run->ops);
    assert_int_equal(index, model_pick(&run->model, run->held));
    run->picked += picked != NULL;
    for (int i = 0; i < QUEUES; i++) {
        assert_int_equal(run->queues[i].count, run->model.fifo_length[i]);
        sum += run->queues[i].count;
    }
    assert_int_equal(run->sched.count, sum);
}

static void test_sched_agrees_with_a_model(void **state)
{
    static struct random_run run;
    (void)state;
    for (uint32_t seed = 1; seed <= 50; seed++) {
        uint32_t random = seed;
        random_start(&run);
        for (int step = 0; step < 1000; step++) {
            int op = (int)random_below(&random, OPS);
            switch (random_below(&random, 4)) {
            case 0:
                random_toggle(&run, op, (int)random_below(&random, QUEUES));
                break;
            case 1:
                run.held[op] = !run.held[op];
                break;
            case 2:
            case 3:
                random_compare(&run);
                break;
            }
        }
        assert_true(run.picked > 100); /* or the comparison says nothing */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sched_of_nothing_is_nothing),
        cmocka_unit_test(test_sched_queue_is_first_in_first_out),
        cmocka_unit_test(test_sched_picked_operation_stays_head_and_waits_for_all_others),
        cmocka_unit_test(test_sched_identities_share_alike_and_their_connections_within),
        cmocka_unit_test(test_sched_newcomer_waits_behind_those_who_wait),
        cmocka_unit_test(test_sched_head_that_may_not_run_keeps_its_place),
        cmocka_unit_test(test_sched_queue_that_is_held_up_does_not_hold_up_its_sister),
        cmocka_unit_test(test_sched_remove_takes_from_anywhere),
        cmocka_unit_test(test_sched_operation_moves_to_another_queue),
        cmocka_unit_test(test_sched_head_stands_behind_what_is_on_the_link),
        cmocka_unit_test(test_sched_unpicked_is_next_again),
        cmocka_unit_test(test_sched_counts_the_operations_of_an_identity),
        cmocka_unit_test(test_sched_agrees_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
