/*
 * The lease of a board (lease.h) with a clock, a timer, errors for people, and a file that outlives the
 * daemon. `connection` is whatever stands for who calls, as board_submit() sees it in op->connection; it is
 * only compared.
 */
#ifndef OCDMUX_BOARD_BOARD_LEASE_H
#define OCDMUX_BOARD_BOARD_LEASE_H

#include "base/err.h"
#include "board/board.h"
#include "board/lease.h"

/* For looking at. */
const struct lease *board_lease(const struct board *board);

/* Makes the waiter's id (internal_error where the system has no random numbers); then as lease_acquire().
 * False with board_busy or limit_exceeded. */
bool board_lease_acquire(struct board *board, struct lease_waiter *waiter, uint64_t wait_ms, bool *ret_waits,
                         struct err *err) __attribute__((warn_unused_result));
void board_lease_leave(struct board *board, struct lease_waiter *waiter);
/* These fail with lease_lost; `id` NULL: that of the connection. */
bool board_lease_renew(struct board *board, const void *connection, const char *id, uint64_t ttl_ms,
                       struct err *err) __attribute__((warn_unused_result));
bool board_lease_release(struct board *board, const void *connection, const char *id, struct err *err)
    __attribute__((warn_unused_result));
/* Stops the holder's changes at the end of a piece: each is cancelled. False: nobody held it. */
bool board_lease_break(struct board *board);

/*
 * Whether the connection may have an operation on the board now: board_busy or lease_lost. `*ret_number` goes
 * into op->lease_number of a change, which must be submitted before anything else happens to the board.
 */
bool board_lease_admit(struct board *board, const void *connection, const char *id, bool changes,
                       uint64_t *ret_number, struct err *err) __attribute__((warn_unused_result));
/* The same for a change of somebody whose identity is the holder's own: see lease_join(). */
bool board_lease_join(struct board *board, const void *connection, const char *identity, uint64_t *ret_number,
                      struct err *err) __attribute__((warn_unused_result));
/*
 * A change that is no operation, admitted just before: from here to the end of the hold, which frees it, the
 * lease does not end by itself, and is granted to nobody else. Breaking the lease does not end it: its owner
 * hears of that by `lease_changed`, and does.
 */
struct board_change *board_lease_hold(struct board *board, const void *connection, uint64_t number);
void board_lease_end_hold(struct board *board, struct board_change *hold);
/* Whether an operation that changes the board was accepted and has not ended. */
bool board_lease_is_changing(const struct board *board);
/* The connection will send no more. */
void board_lease_connection_gone(struct board *board, const void *connection);

/* board_busy, as `connection` gets it: for a waiter whose time is over too. Returns false. */
bool board_lease_busy(const struct board *board, const void *connection, struct err *err);
/* Whether the lease that is held may end with the daemon, for it cannot be kept. */
bool board_lease_is_volatile(const struct board *board);
/* When the lease that is held ends, wall clock. */
void board_lease_expires(const struct board *board, char text[CLOCK_TEXT_SIZE]);

#endif
