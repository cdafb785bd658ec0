/*
 * board/lease against a model, at random: calls, disconnects (the next connection stands at the same place in
 * memory), restarts, and clocks that jump both ways. Never may two change the board at once, never is it
 * locked for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "board/lease_file.h"

#define STEPS 60000u
#define DRAIN_EVERY 500u
#define CONNECTIONS 7u
#define CHANGES 10u
#define QUEUE 64u
#define GRACE_MS 10000u
#define NOBODY CONNECTIONS

/* The model: plain arrays, and every rule said once more. A lease is called by its number. */
struct wish {
    unsigned serial;
    unsigned connection;
    bool detached;
    uint64_t ttl_us;
    uint64_t deadline_us;
};

struct change {
    struct lease_change real;
    bool open;
    unsigned connection; /* NOBODY: of one that has gone */
    unsigned serial;     /* under which lease; 0: none */
    bool begun;
    bool passed; /* over */
};

struct model {
    struct wish holder; /* serial 0: free */
    uint64_t expires_us;
    uint64_t absent_until_us; /* 0: somebody is there */
    bool overdue;
    bool users[CONNECTIONS];
    struct wish queue[QUEUE];
    size_t waiting;
    bool required;
    uint64_t now_us;
};

struct world {
    struct lease lease;
    struct model model;
    struct change changes[CHANGES];
    unsigned char connections[CONNECTIONS]; /* their addresses */
    unsigned last_serial;
    int *expected; /* verdict of each wish; -1: none yet */
    int *answered;
    uint64_t now_us;
    uint64_t random;
    unsigned grants;
    unsigned last_granted;
    unsigned overdue_seen;
    unsigned restarts;
};

static uint64_t dice(struct world *world, uint64_t sides)
{
    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (world->random >> 33) % sides;
}

static void name_id(unsigned serial, char id[LEASE_ID_SIZE])
{
    snprintf(id, LEASE_ID_SIZE, "%032x", serial);
}

/* The model's rules. */

static size_t own_open(const struct world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < CHANGES; i++) {
        bool own = world->changes[i].serial == world->model.holder.serial;
        count += world->changes[i].open && own && !world->changes[i].passed;
    }
    return world->model.holder.serial == 0 ? 0 : count;
}

static bool foreign_open(const struct world *world, unsigned connection)
{
    for (size_t i = 0; i < CHANGES; i++) {
        bool waited_for = world->changes[i].open && !world->changes[i].passed;
        if (waited_for && world->changes[i].connection != connection) {
            return true;
        }
    }
    return false;
}

static void model_free(struct model *model)
{
    memset(&model->holder, 0, sizeof model->holder);
    memset(model->users, 0, sizeof model->users);
    model->holder.connection = NOBODY;
    model->overdue = false;
    model->absent_until_us = 0;
}

static void model_grant(struct world *world, const struct wish *wish)
{
    struct model *model = &world->model;
    model->holder = *wish;
    model->expires_us = model->now_us + wish->ttl_us;
    model->users[wish->connection] = true;
    model->absent_until_us = 0;
    world->expected[wish->serial] = LEASE_OK;
    for (size_t i = 0; i < CHANGES; i++) {
        if (world->changes[i].open && world->changes[i].connection == wish->connection) {
            world->changes[i].serial = wish->serial;
        }
    }
}

static struct wish model_take(struct model *model, size_t at)
{
    struct wish wish = model->queue[at];
    model->waiting--;
    memmove(&model->queue[at], &model->queue[at + 1], (model->waiting - at) * sizeof model->queue[0]);
    return wish;
}

static bool model_step(struct world *world)
{
    struct model *model = &world->model;
    if (model->holder.serial != 0) {
        bool over = model->overdue || model->expires_us <= model->now_us ||
                    (model->absent_until_us != 0 && model->absent_until_us <= model->now_us);
        if (over && own_open(world) == 0) {
            model_free(model);
            return true;
        }
        if (over && !model->overdue) {
            model->overdue = true;
            model->absent_until_us = 0;
            return true;
        }
    }
    if (model->holder.serial == 0 && model->waiting > 0 && !foreign_open(world, model->queue[0].connection)) {
        struct wish wish = model_take(model, 0);
        model_grant(world, &wish);
        return true;
    }
    for (size_t i = 0; i < model->waiting; i++) {
        if (model->queue[i].deadline_us <= model->now_us) {
            world->expected[model_take(model, i).serial] = LEASE_BUSY;
            return true;
        }
    }
    return false;
}

static void model_settle(struct world *world)
{
    struct model *model = &world->model;
    model->now_us = world->now_us > model->now_us ? world->now_us : model->now_us;
    while (model_step(world)) {
    }
}

static bool model_holds(const struct model *model, unsigned connection, unsigned serial)
{
    if (model->holder.serial == 0) {
        return false;
    }
    return serial != 0 ? model->holder.serial == serial : model->holder.connection == connection;
}

static void model_attach(struct model *model, unsigned connection)
{
    model->users[connection] = true;
    model->absent_until_us = 0;
}

static size_t model_place(const struct model *model, unsigned connection)
{
    for (size_t i = 0; i < model->waiting; i++) {
        if (model->queue[i].connection == connection) {
            return i + 1;
        }
    }
    return 0;
}

static enum lease_verdict model_acquire(struct world *world, const struct wish *wish, uint64_t wait_ms)
{
    struct model *model = &world->model;
    if (model_holds(model, wish->connection, 0) || model_place(model, wish->connection) != 0) {
        return LEASE_TWICE;
    }
    if (model->holder.serial == 0 && model->waiting == 0 && !foreign_open(world, wish->connection)) {
        model_grant(world, wish);
        return LEASE_OK;
    }
    if (wait_ms == 0) {
        return LEASE_BUSY;
    }
    model->queue[model->waiting] = *wish;
    model->queue[model->waiting++].deadline_us = model->now_us + wait_ms * 1000;
    return LEASE_WAITS;
}

static enum lease_verdict model_admit(struct model *model, unsigned connection, unsigned serial, bool changes)
{
    if (model_holds(model, connection, serial)) {
        if (serial != 0) {
            model_attach(model, connection);
        }
        return changes && model->overdue ? LEASE_OVER : LEASE_OK;
    }
    if (serial != 0) {
        return LEASE_LOST;
    }
    if (!changes) {
        return LEASE_OK;
    }
    if (model->holder.serial != 0) {
        return LEASE_BUSY;
    }
    if (model->required) {
        return LEASE_REQUIRED;
    }
    return model->waiting == 0 || model->queue[0].connection == connection ? LEASE_OK : LEASE_BUSY;
}

static void model_gone(struct world *world, unsigned connection)
{
    struct model *model = &world->model;
    size_t place = 0;
    while ((place = model_place(model, connection)) != 0) {
        world->expected[model_take(model, place - 1).serial] = LEASE_GONE;
    }
    for (size_t i = 0; i < CHANGES; i++) {
        bool its = world->changes[i].connection == connection;
        world->changes[i].connection = its ? NOBODY : world->changes[i].connection;
    }
    bool cared = model->users[connection];
    bool others = false;
    model->users[connection] = false;
    for (size_t i = 0; i < CONNECTIONS; i++) {
        others = others || model->users[i];
    }
    if (model->holder.connection == connection) {
        model->holder.connection = NOBODY;
    }
    if (cared && !others && !model->overdue && !model->holder.detached) {
        model->absent_until_us = model->now_us + GRACE_MS * 1000ull;
    }
}

/* Both together. */

static const void *address(struct world *world, unsigned connection)
{
    return connection == NOBODY ? NULL : &world->connections[connection];
}

static void on_changed(void *context, enum lease_event event, struct lease_holder *holder,
                       const struct lease_waiter *waiter)
{
    struct world *world = context;
    assert_true((waiter != NULL) != (holder != NULL));
    world->overdue_seen += event == LEASE_EVENT_OVERDUE;
    if (event == LEASE_EVENT_GRANTED) {
        snprintf(holder->since, sizeof holder->since, "2026-01-31T12:34:56.789Z");
        world->grants++;
    }
    if (event == LEASE_EVENT_EXPIRED) {
        assert_int_equal(world->lease.own_changes, 0);
    }
}

static const struct lease_owner owner = {.changed = on_changed};

static void on_answered(struct lease_waiter *waiter, enum lease_verdict verdict)
{
    struct world *world = waiter->user;
    unsigned serial = (unsigned)strtoul(waiter->id, NULL, 16);
    assert_int_equal(world->answered[serial], -1);
    world->answered[serial] = (int)verdict;
    if (verdict == LEASE_OK) {
        assert_true(serial > world->last_granted); /* first come, first served */
        world->last_granted = serial;
    }
    free(waiter);
}

static void check_changes(const struct world *world)
{
    size_t begun = 0;
    for (size_t i = 0; i < CHANGES; i++) {
        const struct change *change = &world->changes[i];
        bool held = world->model.holder.serial != 0;
        bool own = change->serial == world->model.holder.serial;
        begun += change->open && change->begun;
        if (change->open) {
            assert_true(!held || own || (change->passed && !change->begun));
            assert_int_equal(lease_may_begin(&world->lease, &change->real), !held || own);
        }
    }
    assert_true(begun <= 1);
}

static void check_queue(const struct world *world)
{
    size_t at = 0;
    char id[LEASE_ID_SIZE];
    list_for_each (node, &world->lease.waiters) {
        name_id(world->model.queue[at++].serial, id);
        assert_string_equal(list_entry(node, const struct lease_waiter, node)->id, id);
    }
    assert_int_equal(at, world->model.waiting);
    assert_int_equal(world->lease.waiting, world->model.waiting);
}

static void check(struct world *world)
{
    const struct model *model = &world->model;
    enum lease_state state = model->holder.serial == 0     ? LEASE_FREE
                             : model->overdue              ? LEASE_OVERDUE
                             : model->absent_until_us != 0 ? LEASE_ABSENT
                                                           : LEASE_HELD;
    assert_int_equal(world->lease.state, state);
    assert_int_equal(world->lease.own_changes, own_open(world));
    check_queue(world);
    check_changes(world);
    for (unsigned i = world->last_serial > 80 ? world->last_serial - 80 : 1; i <= world->last_serial; i++) {
        assert_int_equal(world->answered[i], world->expected[i]);
    }
    if (state == LEASE_FREE) {
        return;
    }
    char id[LEASE_ID_SIZE];
    char digest[SHA256_TEXT_SIZE];
    name_id(model->holder.serial, id);
    lease_digest(id, digest);
    assert_string_equal(world->lease.holder.digest, digest);
    assert_true(world->lease.holder.expires_us == model->expires_us);
    assert_ptr_equal(world->lease.holder.terms.connection, address(world, model->holder.connection));
    /* A change of it that runs ends it, or a time does. */
    assert_true(own_open(world) > 0 || lease_next_us(&world->lease) != 0);
}

static void step_acquire(struct world *world, unsigned connection)
{
    struct lease_waiter *waiter = xcalloc(1, sizeof *waiter);
    struct wish wish = {.serial = ++world->last_serial,
                        .connection = connection,
                        .detached = dice(world, 5) == 0,
                        .ttl_us = (1 + dice(world, 60)) * 1000000};
    uint64_t wait_ms = dice(world, 3) == 0 ? 0 : dice(world, 120000);
    waiter->answered = on_answered;
    waiter->user = world;
    waiter->terms.connection = address(world, connection);
    waiter->terms.detached = wish.detached;
    waiter->terms.ttl_ms = wish.ttl_us / 1000;
    snprintf(waiter->terms.identity, sizeof waiter->terms.identity, "anonymous");
    name_id(wish.serial, waiter->id);
    world->expected[wish.serial] = -1;
    world->answered[wish.serial] = -1;
    model_settle(world);
    enum lease_verdict wanted = model_acquire(world, &wish, wait_ms);
    enum lease_verdict verdict = lease_acquire(&world->lease, waiter, wait_ms, world->now_us);
    assert_int_equal(verdict, wanted);
    if (verdict == LEASE_OK) {
        world->answered[wish.serial] = LEASE_OK;
        world->last_granted = wish.serial;
    }
    if (verdict != LEASE_WAITS) {
        free(waiter);
    }
}

/* Mostly the one that is held. */
static unsigned pick_serial(struct world *world)
{
    unsigned held = world->model.holder.serial;
    switch (dice(world, 4)) {
    case 0:
        return 0;
    case 1:
        return world->last_serial == 0 ? 1 : 1 + (unsigned)dice(world, world->last_serial);
    default:
        return held;
    }
}

static void step_renew_or_release(struct world *world, unsigned connection, bool renew)
{
    char id[LEASE_ID_SIZE];
    unsigned serial = pick_serial(world);
    uint64_t ttl_ms = dice(world, 2) == 0 ? 0 : 1000 + dice(world, 90000);
    name_id(serial, id);
    const char *named = serial == 0 ? NULL : id;
    model_settle(world);
    struct model *model = &world->model;
    enum lease_verdict wanted = model_holds(model, connection, serial) ? LEASE_OK : LEASE_LOST;
    enum lease_verdict verdict =
        renew ? lease_renew(&world->lease, address(world, connection), named, ttl_ms, world->now_us)
              : lease_release(&world->lease, address(world, connection), named, world->now_us);
    assert_int_equal(verdict, wanted);
    if (wanted == LEASE_OK && renew) {
        model->holder.ttl_us = ttl_ms != 0 ? ttl_ms * 1000 : model->holder.ttl_us;
        model->expires_us = model->now_us + model->holder.ttl_us;
        model->overdue = false;
        model->holder.connection = model->holder.connection == NOBODY ? connection : model->holder.connection;
        model_attach(model, connection);
    } else if (wanted == LEASE_OK) {
        model_free(model);
    }
}

static struct change *free_change(struct world *world)
{
    for (size_t i = 0; i < CHANGES; i++) {
        if (!world->changes[i].open) {
            return &world->changes[i];
        }
    }
    return NULL;
}

static void step_change(struct world *world, unsigned connection, bool changes)
{
    char id[LEASE_ID_SIZE];
    unsigned serial = pick_serial(world);
    uint64_t number = 0;
    struct change *change = free_change(world);
    if (changes && change == NULL) {
        return;
    }
    name_id(serial, id);
    model_settle(world);
    enum lease_verdict wanted = model_admit(&world->model, connection, serial, changes);
    enum lease_verdict verdict = lease_admit(&world->lease, address(world, connection),
                                             serial == 0 ? NULL : id, changes, world->now_us, &number);
    assert_int_equal(verdict, wanted);
    if (verdict != LEASE_OK || !changes) {
        return;
    }
    *change = (struct change){.open = true, .connection = connection};
    change->real.connection = address(world, connection);
    change->real.number = number;
    bool own = model_holds(&world->model, connection, serial);
    change->serial = own ? world->model.holder.serial : 0;
    lease_change_accept(&world->lease, &change->real);
}

static void end_change(struct world *world, struct change *change)
{
    change->open = false;
    change->begun = false;
    lease_change_end(&world->lease, &change->real);
}

/* The board: one change at a time; the running one ends, or the next one begins. */
static void step_board(struct world *world)
{
    size_t begin = (size_t)dice(world, CHANGES);
    for (size_t i = 0; i < CHANGES; i++) {
        if (world->changes[i].open && world->changes[i].begun) {
            end_change(world, &world->changes[i]);
            return;
        }
    }
    for (size_t i = 0; i < CHANGES; i++) {
        struct change *change = &world->changes[(begin + i) % CHANGES];
        if (change->open && lease_may_begin(&world->lease, &change->real)) {
            change->begun = true;
            change->passed = false;
            lease_change_begin(&world->lease, &change->real);
            return;
        }
    }
}

/* A client reads so slowly that its change does not begin. */
static void step_pass_over(struct world *world)
{
    struct change *change = &world->changes[dice(world, CHANGES)];
    if (change->open && !change->begun) {
        change->passed = true;
        lease_change_pass_over(&world->lease, &change->real);
    }
}

static void step_break(struct world *world)
{
    uint64_t number = 0;
    model_settle(world);
    bool held = world->model.holder.serial != 0;
    assert_int_equal(lease_break(&world->lease, world->now_us, &number), held);
    if (!held) {
        return;
    }
    model_free(&world->model);
    for (size_t i = 0; i < CHANGES; i++) { /* those that have not begun end at once */
        struct change *change = &world->changes[i];
        if (change->open && change->real.number == number && !change->begun) {
            end_change(world, change);
        }
    }
}

static void step_gone(struct world *world, unsigned connection)
{
    model_settle(world);
    model_gone(world, connection);
    lease_connection_gone(&world->lease, address(world, connection), world->now_us);
}

/* Through the file; the clock of the new daemon may stand anywhere. */
static void step_restart(struct world *world)
{
    struct strbuf text = STRBUF_INIT;
    struct lease_holder kept;
    uint64_t remaining_ms = 0;
    for (size_t i = 0; i < CHANGES; i++) {
        if (world->changes[i].open) {
            end_change(world, &world->changes[i]);
        }
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        step_gone(world, i);
        model_settle(world);
    }
    struct model *model = &world->model;
    uint64_t left_us = lease_remaining_us(&world->lease, world->now_us);
    bool held = model->holder.serial != 0 && left_us >= 1000;
    if (held) {
        lease_file_encode(&text, &world->lease.holder, left_us / 1000);
        assert_true(lease_file_decode(text.data, text.length, &kept, &remaining_ms));
        assert_int_equal(remaining_ms, left_us / 1000);
    }
    strbuf_fini(&text);
    lease_fini(&world->lease);
    lease_init(&world->lease, &owner, world, GRACE_MS, model->required);
    world->now_us = 1 + dice(world, 1ull << 40);
    model->now_us = world->now_us;
    world->restarts++;
    if (!held) {
        model_free(model);
        return;
    }
    lease_restore(&world->lease, &kept, remaining_ms, world->now_us);
    model->expires_us = world->now_us + remaining_ms * 1000;
    model->holder.connection = NOBODY;
    model->absent_until_us = model->holder.detached ? 0 : world->now_us + GRACE_MS * 1000ull;
}

static void step_clock(struct world *world)
{
    switch (dice(world, 12)) {
    case 0:
        world->now_us += dice(world, 3600ull * 1000000 * 24 * 3);
        break;
    case 1:
        world->now_us -= dice(world, world->now_us);
        break;
    default:
        world->now_us += dice(world, 3000000);
    }
}

static void step(struct world *world)
{
    unsigned connection = (unsigned)dice(world, CONNECTIONS);
    uint64_t what = dice(world, 1000);
    if (what < 200) {
        step_change(world, connection, true);
    } else if (what < 250) {
        step_change(world, connection, false);
    } else if (what < 550) {
        step_board(world);
    } else if (what < 700) {
        step_acquire(world, connection);
    } else if (what < 760) {
        step_renew_or_release(world, connection, true);
    } else if (what < 800) {
        step_renew_or_release(world, connection, false);
    } else if (what < 860) {
        step_gone(world, connection);
    } else if (what < 870) {
        step_break(world);
    } else if (what < 875) {
        step_restart(world);
    } else if (what < 905) {
        step_pass_over(world);
    } else {
        step_clock(world);
    }
    model_settle(world);
    lease_tick(&world->lease, world->now_us);
}

/* Everybody falls silent: then time alone frees the board, in no more than all that was asked for. */
static void drain(struct world *world)
{
    uint64_t begin_us = world->now_us > world->lease.now_us ? world->now_us : world->lease.now_us;
    world->now_us = begin_us;
    unsigned rounds = 0;
    for (; world->lease.state != LEASE_FREE || world->lease.waiting > 0; rounds++) {
        assert_true(rounds < 4 * (QUEUE + CHANGES));
        step_board(world);
        uint64_t next_us = lease_next_us(&world->lease);
        world->now_us = next_us > world->now_us ? next_us : world->now_us;
        model_settle(world);
        lease_tick(&world->lease, world->now_us);
        check(world);
    }
    assert_true(world->now_us - begin_us < (QUEUE + 1) * 100ull * 1000000);
}

static struct world *world_new(uint64_t seed, bool required)
{
    struct world *world = xcalloc(1, sizeof *world);
    world->random = seed;
    world->now_us = 1000000;
    world->expected = xcalloc(STEPS + 1, sizeof *world->expected);
    world->answered = xcalloc(STEPS + 1, sizeof *world->answered);
    lease_init(&world->lease, &owner, world, GRACE_MS, required);
    world->model.required = required;
    model_free(&world->model);
    return world;
}

static void world_free(struct world *world)
{
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        step_gone(world, i);
    }
    lease_fini(&world->lease);
    free(world->expected);
    free(world->answered);
    free(world);
}

static void run(uint64_t seed, bool required)
{
    struct world *world = world_new(seed, required);
    for (unsigned i = 0; i < STEPS; i++) {
        step(world);
        check(world);
        if (i % DRAIN_EVERY == DRAIN_EVERY - 1) {
            drain(world);
        }
    }
    /* The walk went where it should. */
    assert_true(world->grants > STEPS / 100);
    assert_true(world->overdue_seen > 100);
    assert_true(world->restarts > 100);
    world_free(world);
}

static void test_lease_agrees_with_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        run(seed, false);
    }
}

static void test_lease_agrees_with_the_model_where_it_is_required(void **state)
{
    (void)state;
    run(77, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_agrees_with_the_model),
        cmocka_unit_test(test_lease_agrees_with_the_model_where_it_is_required),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
