/* A board's lease in its surroundings. */
#include "board/board_lease.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "board/lease_file.h"
#include "board/private.h"
#include "board/state_dir.h"

/* So that restarts without end do not make a lease without end. */
#define RESTART_COSTS_MS 1000u
/* A file that could not be written or removed is tried again so often. */
#define RETRY_MS 1000u

/* The file. */

/* A directory that is not there holds no file. */
static bool remove_file(const struct board_lease *keeping)
{
    int directory = state_dir_open(keeping->directory);
    if (directory < 0) {
        return errno == ENOENT || errno == ENOTDIR;
    }
    /* A machine that stops now must not bring it back. */
    bool ok = unlinkat(directory, LEASE_FILE_NAME, 0) == 0 ? fsync(directory) == 0 : errno == ENOENT;
    int reason = errno;
    close(directory);
    errno = reason;
    return ok;
}

static bool write_file(const struct board_lease *keeping, uint64_t remaining_ms)
{
    struct strbuf text = STRBUF_INIT;
    lease_file_encode(&text, &keeping->lease.holder, remaining_ms);
    bool ok = state_dir_write(keeping->directory, LEASE_FILE_NAME, &text);
    int reason = errno;
    strbuf_fini(&text);
    errno = reason;
    return ok;
}

/* Told once until it is well again: a lease that has ended must not come back with the next daemon. */
static void note_kept(struct board *board, bool ok, const char *what)
{
    struct board_lease *keeping = &board->lease;
    if (!ok && !keeping->stale) {
        log_error("board %s: %s %s/" LEASE_FILE_NAME ": %s", board->name, what, keeping->directory,
                  strerror(errno));
    } else if (ok && keeping->stale) {
        log_info("board %s: %s/" LEASE_FILE_NAME " is right again", board->name, keeping->directory);
    }
    keeping->stale = !ok;
    if (ok) {
        loop_timer_cancel(keeping->retry);
    } else {
        loop_timer_set(keeping->retry, RETRY_MS);
    }
}

static void save(struct board *board)
{
    const struct board_lease *keeping = &board->lease;
    uint64_t remaining_ms = lease_remaining_us(&keeping->lease, clock_now_us()) / 1000;
    if (keeping->directory == NULL) {
        return;
    }
    if (remaining_ms == 0) {
        note_kept(board, remove_file(keeping), "the lease has ended, but its file cannot be removed:");
    } else {
        note_kept(board, write_file(keeping, remaining_ms),
                  "the lease will not outlive the daemon: cannot write");
    }
}

static void on_retry(void *context)
{
    save(context);
}

/* What stands there cannot be trusted: then there is no lease. */
static bool read_file(struct board *board, int directory, struct lease_holder *ret_holder,
                      uint64_t *ret_remaining_ms)
{
    struct strbuf text = STRBUF_INIT;
    bool ok = state_dir_read(directory, LEASE_FILE_NAME, LEASE_FILE_MOST_BYTES, &text) &&
              lease_file_decode(strbuf_text(&text), text.length, ret_holder, ret_remaining_ms);
    strbuf_fini(&text);
    if (!ok) {
        log_error("board %s: %s/" LEASE_FILE_NAME
                  " cannot be read: whoever held the board's lease holds it no more",
                  board->name, board->lease.directory);
    }
    return ok;
}

static void load(struct board *board)
{
    struct lease *lease = &board->lease.lease;
    struct lease_holder holder;
    uint64_t remaining_ms = 0;
    int directory = state_dir_open(board->lease.directory);
    if (directory < 0 && errno != ENOENT) {
        log_error("board %s: %s: %s: a lease that stands there is held no more", board->name,
                  board->lease.directory, strerror(errno));
    }
    bool there = directory >= 0 && faccessat(directory, LEASE_FILE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && read_file(board, directory, &holder, &remaining_ms) && remaining_ms > RESTART_COSTS_MS) {
        lease_restore(lease, &holder, remaining_ms - RESTART_COSTS_MS, clock_now_us());
        log_info("board %s: %s still holds the lease", board->name, holder.terms.identity);
    }
    if (there) {
        save(board);
    }
    if (directory >= 0) {
        close(directory);
    }
}

/* Within the board. */

struct board_change {
    struct lease_change change;
    struct op *op; /* NULL: a hold */
};

/* The timer serves what comes by itself. */
static void arm(struct board *board)
{
    uint64_t next = lease_next_us(&board->lease.lease);
    uint64_t now = clock_now_us();
    if (next == 0) {
        loop_timer_cancel(board->lease.timer);
    } else {
        loop_timer_set(board->lease.timer, next <= now ? 0 : (next - now + 999) / 1000);
    }
}

static void on_timer(void *context)
{
    struct board *board = context;
    lease_tick(&board->lease.lease, clock_now_us());
    arm(board);
}

static void on_changed(void *context, enum lease_event event, struct lease_holder *holder,
                       const struct lease_waiter *waiter)
{
    struct board *board = context;
    const struct lease_terms *terms = waiter != NULL ? &waiter->terms : &holder->terms;
    if (event == LEASE_EVENT_GRANTED) {
        clock_wall_text(holder->since);
    }
    switch (event) {
    case LEASE_EVENT_GRANTED:
    case LEASE_EVENT_RENEWED:
    case LEASE_EVENT_RELEASED:
    case LEASE_EVENT_EXPIRED:
    case LEASE_EVENT_BROKEN:
        save(board);
        break;
    case LEASE_EVENT_QUEUED:
    case LEASE_EVENT_LEFT:
    case LEASE_EVENT_ABSENT:
    case LEASE_EVENT_RESUMED:
    case LEASE_EVENT_OVERDUE:
        break;
    }
    log_debug("board %s: lease of %s: event %d", board->name, terms->identity, (int)event);
    board->handler->lease_changed(board->context, board, event, holder, waiter);
}

static const struct lease_owner lease_owner = {.changed = on_changed};

void board_lease_init(struct board *board, const struct board_options *options)
{
    struct board_lease *keeping = &board->lease;
    lease_init(&keeping->lease, &lease_owner, board, options->lease_grace_ms, options->require_lease);
    keeping->timer = loop_timer_new(board->loop, on_timer, board);
    keeping->retry = loop_timer_new(board->loop, on_retry, board);
    if (options->state_dir != NULL) {
        keeping->directory = state_dir_path(options->state_dir, options->name, options->address.text);
        load(board);
    }
    arm(board);
}

void board_lease_fini(struct board *board)
{
    struct board_lease *keeping = &board->lease;
    if (keeping->lease.state != LEASE_FREE || keeping->stale) {
        save(board); /* with the time that is left now */
    }
    lease_fini(&keeping->lease);
    loop_timer_free(keeping->timer);
    loop_timer_free(keeping->retry);
    free(keeping->directory);
}

void board_lease_accept(struct op *op)
{
    if (!op->class->changes) {
        return;
    }
    struct board_change *change = xcalloc(1, sizeof *change);
    change->op = op;
    change->change.connection = op->connection;
    change->change.number = op->lease_number;
    lease_change_accept(&op->board->lease.lease, &change->change);
    op->change = change;
}

bool board_lease_may_begin(const struct op *op)
{
    return lease_may_begin(&op->board->lease.lease, &op->change->change);
}

void board_lease_began(struct op *op)
{
    lease_change_begin(&op->board->lease.lease, &op->change->change);
}

/* Somebody may get the lease now; not from here, for this may be the middle of anything. */
void board_lease_pass_over(struct board *board, struct sched_queue *queue)
{
    list_for_each (node, &queue->ops) {
        struct op *op = list_entry(node, struct op, queue_node);
        if (op->change != NULL && !op->change->change.passed_over && op->state == OP_QUEUED) {
            lease_change_pass_over(&board->lease.lease, &op->change->change);
            loop_timer_set(board->lease.timer, 0);
        }
    }
}

/* Others may be told now; not from here, for this may be the middle of anything. */
void board_lease_end_hold(struct board *board, struct board_change *hold)
{
    lease_change_end(&board->lease.lease, &hold->change);
    free(hold);
    loop_timer_set(board->lease.timer, 0);
}

void board_lease_ended(struct op *op)
{
    if (op->change != NULL) {
        board_lease_end_hold(op->board, op->change);
        op->change = NULL;
    }
}

/* The outside. */

const struct lease *board_lease(const struct board *board)
{
    return &board->lease.lease;
}

bool board_lease_is_volatile(const struct board *board)
{
    return board->lease.directory == NULL || board->lease.stale;
}

void board_lease_expires(const struct board *board, char text[CLOCK_TEXT_SIZE])
{
    clock_wall_text_in(text, lease_remaining_us(&board->lease.lease, clock_now_us()));
}

static bool make_id(char id[LEASE_ID_SIZE], struct err *err)
{
    uint8_t bytes[(LEASE_ID_SIZE - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        return err_set(err, ERR_INTERNAL_ERROR, "the system gives no random numbers");
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    }
    return true;
}

/* "anonymous (ocdmux 0.1.0)" */
static void name_holder(const struct lease_terms *terms,
                        char name[LEASE_IDENTITY_SIZE + LEASE_CLIENT_SIZE + 4])
{
    bool named = terms->client[0] != '\0';
    snprintf(name, LEASE_IDENTITY_SIZE + LEASE_CLIENT_SIZE + 4, "%s%s%s%s", terms->identity,
             named ? " (" : "", terms->client, named ? ")" : "");
}

static void describe_busy(const struct board *board, struct err *err)
{
    const struct lease *lease = &board->lease.lease;
    const struct lease_terms *terms = &lease->holder.terms;
    char name[LEASE_IDENTITY_SIZE + LEASE_CLIENT_SIZE + 4];
    char expires[CLOCK_TEXT_SIZE];
    if (lease->state == LEASE_FREE && lease->waiting == 0) {
        err_set(err, ERR_BOARD_BUSY,
                "the board is being changed: the lease is granted when that has ended, to those who wait");
        return;
    }
    if (lease->state == LEASE_FREE) {
        terms = &list_entry(lease->waiters.next, const struct lease_waiter, node)->terms;
        name_holder(terms, name);
        err_set(err, ERR_BOARD_BUSY, "%s gets the lease of the board when what changes it now has ended",
                name);
    } else {
        name_holder(terms, name);
        board_lease_expires(board, expires);
        err_set(err, ERR_BOARD_BUSY, "%s holds the lease of the board until %s", name, expires);
        err_add_text(err, "since", lease->holder.since);
        err_add_text(err, "expires", expires);
    }
    err_add_text(err, "holder", name);
    if (terms->reason[0] != '\0') {
        err_add_text(err, "reason", terms->reason);
    }
}

bool board_lease_busy(const struct board *board, const void *connection, struct err *err)
{
    const struct lease *lease = &board->lease.lease;
    size_t place = lease_place_of(lease, connection);
    if (place == 0) {
        place = lease->waiting + 1; /* which it would get */
    }
    describe_busy(board, err);
    err_add_integer(err, "position", place);
    err_add_integer(err, "expected_wait_ms", lease_expected_wait_ms(lease, place, clock_now_us()));
    return false;
}

static bool fail(const struct board *board, const void *connection, enum lease_verdict verdict,
                 struct err *err)
{
    const struct lease *lease = &board->lease.lease;
    switch (verdict) {
    case LEASE_OK:
    case LEASE_WAITS:
        return true;
    case LEASE_BUSY:
        return board_lease_busy(board, connection, err);
    case LEASE_REQUIRED:
        err_set(err, ERR_BOARD_BUSY,
                "this board is changed by the holder of its lease only: see lease.acquire");
        err_add_integer(err, "position", lease->waiting + 1);
        return false;
    case LEASE_LOST:
        return err_set(err, ERR_LEASE_LOST, "the lease has ended, or never was one of this board");
    case LEASE_OVER:
        return err_set(err, ERR_LEASE_LOST,
                       "the time of the lease is over; it ends with the change that still runs, unless it is "
                       "renewed before");
    case LEASE_TWICE:
        board_lease_busy(board, connection, err);
        err_prefix(err, "this connection holds the lease already, or waits for it");
        return false;
    case LEASE_FULL:
        err_set(err, ERR_LIMIT_EXCEEDED, "%u wait for the lease already", LEASE_MOST_WAITING);
        err_add_text(err, "limit", "max_lease_queue");
        err_add_integer(err, "maximum", LEASE_MOST_WAITING);
        return false;
    case LEASE_GONE:
        return err_set(err, ERR_CANCELLED, "cancelled: the connection sends no more");
    }
    return false;
}

bool board_lease_acquire(struct board *board, struct lease_waiter *waiter, uint64_t wait_ms, bool *ret_waits,
                         struct err *err)
{
    const void *connection = waiter->terms.connection;
    if (!make_id(waiter->id, err)) {
        return false;
    }
    clock_wall_text(waiter->since);
    enum lease_verdict verdict = lease_acquire(&board->lease.lease, waiter, wait_ms, clock_now_us());
    arm(board);
    if (!fail(board, connection, verdict, err)) {
        return false;
    }
    *ret_waits = verdict == LEASE_WAITS;
    return true;
}

void board_lease_leave(struct board *board, struct lease_waiter *waiter)
{
    lease_leave(&board->lease.lease, waiter, clock_now_us());
    arm(board);
}

bool board_lease_renew(struct board *board, const void *connection, const char *id, uint64_t ttl_ms,
                       struct err *err)
{
    enum lease_verdict verdict = lease_renew(&board->lease.lease, connection, id, ttl_ms, clock_now_us());
    arm(board);
    return fail(board, connection, verdict, err);
}

bool board_lease_release(struct board *board, const void *connection, const char *id, struct err *err)
{
    enum lease_verdict verdict = lease_release(&board->lease.lease, connection, id, clock_now_us());
    arm(board);
    return fail(board, connection, verdict, err);
}

/* Each pass ends or marks one; ending it may do anything to the queues. */
static bool stop_one(struct board *board, uint64_t number)
{
    list_for_each (node, &board->lease.lease.changes) {
        struct board_change *change =
            list_entry(list_entry(node, struct lease_change, node), struct board_change, change);
        struct op *op = change->op;
        if (op != NULL && change->change.number == number && !op->cancel_asked) {
            op->cancel_reason = "the lease of the board was broken";
            board_cancel(op);
            return true;
        }
    }
    return false;
}

bool board_lease_break(struct board *board)
{
    uint64_t number = 0;
    if (!lease_break(&board->lease.lease, clock_now_us(), &number)) {
        return false;
    }
    while (stop_one(board, number)) {
    }
    arm(board);
    return true;
}

bool board_lease_admit(struct board *board, const void *connection, const char *id, bool changes,
                       uint64_t *ret_number, struct err *err)
{
    enum lease_verdict verdict =
        lease_admit(&board->lease.lease, connection, id, changes, clock_now_us(), ret_number);
    arm(board);
    return fail(board, connection, verdict, err);
}

bool board_lease_join(struct board *board, const void *connection, const char *identity, uint64_t *ret_number,
                      struct err *err)
{
    enum lease_verdict verdict =
        lease_join(&board->lease.lease, connection, identity, clock_now_us(), ret_number);
    arm(board);
    return fail(board, connection, verdict, err);
}

struct board_change *board_lease_hold(struct board *board, const void *connection, uint64_t number)
{
    struct board_change *hold = xcalloc(1, sizeof *hold);
    hold->change.connection = connection;
    hold->change.number = number;
    lease_change_accept(&board->lease.lease, &hold->change);
    return hold;
}

bool board_lease_is_changing(const struct board *board)
{
    list_for_each (node, &board->lease.lease.changes) {
        const struct lease_change *change = list_entry(node, const struct lease_change, node);
        if (list_entry(change, const struct board_change, change)->op != NULL) {
            return true;
        }
    }
    return false;
}

void board_lease_connection_gone(struct board *board, const void *connection)
{
    lease_connection_gone(&board->lease.lease, connection, clock_now_us());
    arm(board);
}
