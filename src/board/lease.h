/*
 * The lease of one board: who alone may change it, until when, and who waits for it. Pure: time is passed in,
 * monotonic, and one that falls counts as one that stands still.
 *
 *           a waiter, and no change of others is under way
 *   FREE -------------------------------------------------> HELD <--+ its id is named
 *    ^                            its last connection goes   |      |
 *    |                                                       +--> ABSENT
 *    +--- time over, grace over; released, broken -----------+-------+
 *    |                                                       | time or grace over while a change of it is
 *    +--- the last of them has ended ------------ OVERDUE <--+ under way
 *                                                    +--- renewed ---> HELD
 *
 * Whoever is at the head of the queue is promised the lease: from then on no change of others is accepted,
 * and those that were accepted before end first; but for those that their own client keeps from beginning,
 * which are passed over: they come behind the leases.
 */
#ifndef OCDMUX_BOARD_LEASE_H
#define OCDMUX_BOARD_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/sha256.h"

/* 32 hex digits and a NUL. */
#define LEASE_ID_SIZE 33
#define LEASE_IDENTITY_SIZE 129
#define LEASE_CLIENT_SIZE 129
#define LEASE_REASON_SIZE 257
#define LEASE_TTL_LEAST_MS 1000u
#define LEASE_TTL_MOST_MS 86400000u
#define LEASE_MOST_WAITING 64u

/* Who holds it, or wants to, and on what terms. */
struct lease_terms {
    char identity[LEASE_IDENTITY_SIZE];
    char client[LEASE_CLIENT_SIZE]; /* what it calls itself; may be "" */
    char reason[LEASE_REASON_SIZE]; /* for others to read; may be "" */
    const void *connection; /* covered without naming the id; NULL: none is. Only compared, never followed */
    uint64_t ttl_ms;        /* LEASE_TTL_LEAST_MS to LEASE_TTL_MOST_MS */
    bool detached;          /* needs no connection: there is no grace, only the time limit */
};

enum lease_verdict {
    LEASE_OK,
    LEASE_WAITS,    /* in the queue; `answered` will tell */
    LEASE_BUSY,     /* somebody else holds it, or is promised it */
    LEASE_REQUIRED, /* nobody holds it, and the board is not changed without */
    LEASE_LOST,     /* no lease, or another one: that of this id has ended */
    LEASE_OVER,     /* it has run out, and ends with the change that still runs */
    LEASE_TWICE,    /* this connection holds it, or waits for it, already */
    LEASE_FULL,     /* LEASE_MOST_WAITING wait */
    LEASE_GONE,     /* the connection that waited has gone */
};

/* A place in the queue. The caller's memory; the lease's from LEASE_WAITS until `answered` or lease_leave().
 */
struct lease_waiter {
    struct list node;
    struct lease_terms terms;
    char id[LEASE_ID_SIZE];      /* that the lease will have; nobody can guess it */
    char since[CLOCK_TEXT_SIZE]; /* wall clock; the owner's to set */
    uint64_t deadline_us;
    /* LEASE_OK: granted. LEASE_BUSY: its time was over. LEASE_GONE. May free it. */
    void (*answered)(struct lease_waiter *waiter, enum lease_verdict verdict);
    void *user;
};

enum lease_event {
    LEASE_EVENT_QUEUED,  /* somebody waits */
    LEASE_EVENT_LEFT,    /* somebody waits no longer */
    LEASE_EVENT_GRANTED, /* `since` is the owner's to set */
    LEASE_EVENT_RENEWED,
    LEASE_EVENT_ABSENT,  /* its last connection has gone: the grace begins */
    LEASE_EVENT_RESUMED, /* and is over, for its id was named */
    LEASE_EVENT_OVERDUE,
    LEASE_EVENT_RELEASED, /* these three: `holder` is whose it was */
    LEASE_EVENT_EXPIRED,
    LEASE_EVENT_BROKEN,
};

#define LEASE_EVENT_COUNT (LEASE_EVENT_BROKEN + 1u)

/* "queued", "left", "granted" ...: the protocol's word. */
const char *lease_event_name(enum lease_event event);

enum lease_state { LEASE_FREE, LEASE_HELD, LEASE_ABSENT, LEASE_OVERDUE };

struct lease_holder {
    struct lease_terms terms;
    char digest[SHA256_TEXT_SIZE]; /* of the id, which is not kept */
    char since[CLOCK_TEXT_SIZE];   /* wall clock */
    uint64_t number;               /* of the daemon's leases of this board, from 1 */
    uint64_t expires_us;
};

struct lease_owner {
    /* The state has changed already; may call any function here. For QUEUED and LEFT `waiter` is set, else
     * `holder`. */
    void (*changed)(void *context, enum lease_event event, struct lease_holder *holder,
                    const struct lease_waiter *waiter);
};

/* A change that was accepted and has not ended. */
struct lease_change {
    struct list node;
    const void *connection;
    uint64_t number;  /* of the lease that it was accepted under; 0: none */
    bool passed_over; /* it has not begun, and nobody waits for it */
};

struct lease {
    const struct lease_owner *owner;
    void *context;
    uint64_t grace_ms;
    bool required;

    enum lease_state state;
    struct lease_holder holder; /* but in LEASE_FREE */
    uint64_t grace_us;          /* LEASE_ABSENT: its end */
    struct list users;          /* connections that acquired, renewed or named it */
    struct list waiters;
    size_t waiting;
    struct list changes;
    size_t own_changes; /* those under the lease that is held, but for the ones passed over */
    uint64_t last_number;
    uint64_t now_us;
    bool settling;
};

void lease_init(struct lease *lease, const struct lease_owner *owner, void *context, uint64_t grace_ms,
                bool required);
/* Nobody may wait any more. */
void lease_fini(struct lease *lease);

/* A lease from before a restart, to be called first: nobody is connected. `holder->terms.connection` and its
 * times do not count; `remaining_ms` does. */
void lease_restore(struct lease *lease, const struct lease_holder *holder, uint64_t remaining_ms,
                   uint64_t now_us);

/* LEASE_OK (granted; `answered` is not called), LEASE_WAITS where `wait_ms` is not 0, else LEASE_BUSY; or
 * LEASE_TWICE, LEASE_FULL. */
enum lease_verdict lease_acquire(struct lease *lease, struct lease_waiter *waiter, uint64_t wait_ms,
                                 uint64_t now_us);
/* A waiter that wants it no more. */
void lease_leave(struct lease *lease, struct lease_waiter *waiter, uint64_t now_us);
/* `id` NULL: that of this connection. `ttl_ms` 0: as before. LEASE_OK or LEASE_LOST. */
enum lease_verdict lease_renew(struct lease *lease, const void *connection, const char *id, uint64_t ttl_ms,
                               uint64_t now_us);
/* Changes that run end, before anybody else is granted the lease. LEASE_OK or LEASE_LOST. */
enum lease_verdict lease_release(struct lease *lease, const void *connection, const char *id,
                                 uint64_t now_us);
/* Ends it whoever holds it, also while a change of it runs: the owner stops those of `ret_number`. False: it
 * was free. */
bool lease_break(struct lease *lease, uint64_t now_us, uint64_t *ret_number);

/* Whether the connection may read (an id that is named must be good all the same) or change: LEASE_OK,
 * LEASE_BUSY, LEASE_REQUIRED, LEASE_LOST or LEASE_OVER. `*ret_number` is for the change; 0 for none. */
enum lease_verdict lease_admit(struct lease *lease, const void *connection, const char *id, bool changes,
                               uint64_t now_us, uint64_t *ret_number);
/* The same for a change of a connection whose identity is the holder's own, without the id: it uses the lease
 * from now on. LEASE_BUSY if it is not the holder's, or nobody holds it. */
enum lease_verdict lease_join(struct lease *lease, const void *connection, const char *identity,
                              uint64_t now_us, uint64_t *ret_number);
/* An admitted change is accepted, with `connection` and `number` set; the caller's memory until it ends. */
void lease_change_accept(struct lease *lease, struct lease_change *change);
/* It cannot begin for now, and that is its client's doing: until it does nobody waits for it. lease_tick() is
 * due. */
void lease_change_pass_over(struct lease *lease, struct lease_change *change);
/* It begins, as lease_may_begin() allowed. */
void lease_change_begin(struct lease *lease, struct lease_change *change);
/* Calls nobody back; lease_tick() is due behind it, where something can be. */
void lease_change_end(struct lease *lease, struct lease_change *change);
/* Whether changes that were accepted are all that somebody waits for: for the lease, or for its end. */
bool lease_is_held_up(const struct lease *lease);
/* Never false for a change that was admitted, nor true for one that nobody admitted. */
bool lease_may_begin(const struct lease *lease, const struct lease_change *change);

/* The connection will not send any more; it waits for nothing now. */
void lease_connection_gone(struct lease *lease, const void *connection, uint64_t now_us);
/* What is due by now happens; lease_next_us() says when to call it, 0 for never. */
void lease_tick(struct lease *lease, uint64_t now_us);
uint64_t lease_next_us(const struct lease *lease);

/* Whether it is the connection's, or `id` (which may be NULL) is its id. */
bool lease_is_held_by(const struct lease *lease, const void *connection, const char *id);
/* From 1; 0: it does not wait. */
size_t lease_place_of(const struct lease *lease, const void *connection);
/* How long the one at `place` waits if everybody before it takes all the time that is his; 0 where nobody can
 * tell. */
uint64_t lease_expected_wait_ms(const struct lease *lease, size_t place, uint64_t now_us);
/* Until its time is over; 0 when overdue. */
uint64_t lease_remaining_us(const struct lease *lease, uint64_t now_us);

void lease_digest(const char *id, char digest[SHA256_TEXT_SIZE]);

#endif
