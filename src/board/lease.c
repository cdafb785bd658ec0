/* Who may change the board, and who is next. */
#include "board/lease.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

/* A connection that cares for the lease. */
struct user {
    struct list node;
    const void *connection;
};

void lease_digest(const char *id, char digest[SHA256_TEXT_SIZE])
{
    struct sha256 *sha = sha256_new();
    sha256_add(sha, (const uint8_t *)id, strlen(id));
    sha256_finish(sha, digest);
    sha256_free(sha);
}

/* Takes as long wherever they differ. */
static bool is_id(const struct lease *lease, const char *id)
{
    char digest[SHA256_TEXT_SIZE];
    unsigned difference = 0;
    lease_digest(id, digest);
    for (size_t i = 0; i + 1 < SHA256_TEXT_SIZE; i++) {
        difference |= (unsigned)(digest[i] ^ lease->holder.digest[i]);
    }
    return difference == 0;
}

static void tell(struct lease *lease, enum lease_event event, struct lease_holder *holder,
                 const struct lease_waiter *waiter)
{
    lease->owner->changed(lease->context, event, holder, waiter);
}

static void set_state(struct lease *lease, enum lease_state state)
{
    lease->state = state;
    lease->grace_us = state == LEASE_ABSENT ? lease->now_us + lease->grace_ms * 1000 : 0;
}

/* Connections. */

static struct user *find_user(const struct lease *lease, const void *connection)
{
    list_for_each (node, &lease->users) {
        struct user *user = list_entry(node, struct user, node);
        if (user->connection == connection) {
            return user;
        }
    }
    return NULL;
}

static void drop_user(struct user *user)
{
    list_remove(&user->node);
    free(user);
}

static void drop_users(struct lease *lease)
{
    while (!list_is_empty(&lease->users)) {
        drop_user(list_entry(lease->users.next, struct user, node));
    }
}

static void attach(struct lease *lease, const void *connection)
{
    if (find_user(lease, connection) == NULL) {
        struct user *user = xcalloc(1, sizeof *user);
        user->connection = connection;
        list_append(&lease->users, &user->node);
    }
    if (lease->state == LEASE_ABSENT) {
        set_state(lease, LEASE_HELD);
        tell(lease, LEASE_EVENT_RESUMED, &lease->holder, NULL);
    }
}

/* Granting and ending. */

/* Whether a change is under way that is not the connection's own. */
static bool others_change(const struct lease *lease, const void *connection)
{
    list_for_each (node, &lease->changes) {
        const struct lease_change *change = list_entry(node, const struct lease_change, node);
        if (change->connection != connection && !change->passed_over) {
            return true;
        }
    }
    return false;
}

static void become_holder(struct lease *lease, const struct lease_waiter *waiter)
{
    struct lease_holder *holder = &lease->holder;
    *holder = (struct lease_holder){.terms = waiter->terms, .number = ++lease->last_number};
    holder->expires_us = lease->now_us + holder->terms.ttl_ms * 1000;
    lease_digest(waiter->id, holder->digest);
    lease->own_changes = 0;
    list_for_each (node, &lease->changes) {
        struct lease_change *change = list_entry(node, struct lease_change, node);
        if (change->connection == holder->terms.connection) {
            change->number = holder->number;
            lease->own_changes += !change->passed_over;
        }
    }
    set_state(lease, LEASE_HELD);
    attach(lease, holder->terms.connection);
    tell(lease, LEASE_EVENT_GRANTED, holder, NULL);
}

static void end(struct lease *lease, enum lease_event event)
{
    struct lease_holder old = lease->holder;
    drop_users(lease);
    lease->own_changes = 0;
    memset(&lease->holder, 0, sizeof lease->holder);
    set_state(lease, LEASE_FREE);
    tell(lease, event, &old, NULL);
}

static uint64_t end_us(const struct lease *lease)
{
    switch (lease->state) {
    case LEASE_FREE:
        return UINT64_MAX;
    case LEASE_HELD:
        return lease->holder.expires_us;
    case LEASE_ABSENT:
        return lease->grace_us < lease->holder.expires_us ? lease->grace_us : lease->holder.expires_us;
    case LEASE_OVERDUE:
        return lease->own_changes == 0 ? 0 : UINT64_MAX;
    }
    return UINT64_MAX;
}

static bool end_if_due(struct lease *lease)
{
    if (end_us(lease) > lease->now_us) {
        return false;
    }
    if (lease->own_changes > 0) {
        set_state(lease, LEASE_OVERDUE);
        tell(lease, LEASE_EVENT_OVERDUE, &lease->holder, NULL);
    } else {
        end(lease, LEASE_EVENT_EXPIRED);
    }
    return true;
}

static void take_out(struct lease *lease, struct lease_waiter *waiter)
{
    list_remove(&waiter->node);
    lease->waiting--;
}

static void deny(struct lease *lease, struct lease_waiter *waiter, enum lease_verdict verdict)
{
    take_out(lease, waiter);
    tell(lease, LEASE_EVENT_LEFT, NULL, waiter);
    waiter->answered(waiter, verdict);
}

static bool deny_one(struct lease *lease)
{
    list_for_each (node, &lease->waiters) {
        struct lease_waiter *waiter = list_entry(node, struct lease_waiter, node);
        if (waiter->deadline_us <= lease->now_us) {
            deny(lease, waiter, LEASE_BUSY);
            return true;
        }
    }
    return false;
}

static bool grant_one(struct lease *lease)
{
    if (lease->state != LEASE_FREE || lease->waiting == 0) {
        return false;
    }
    struct lease_waiter *waiter = list_entry(lease->waiters.next, struct lease_waiter, node);
    if (others_change(lease, waiter->terms.connection)) {
        return false;
    }
    take_out(lease, waiter);
    become_holder(lease, waiter);
    waiter->answered(waiter, LEASE_OK);
    return true;
}

/* What is called back may call in again: then the loop that is under way sees to it. Whoever can be granted
 * the lease gets it before his time to wait for it is looked at. */
static void settle(struct lease *lease, uint64_t now_us)
{
    lease->now_us = now_us > lease->now_us ? now_us : lease->now_us;
    if (lease->settling) {
        return;
    }
    lease->settling = true;
    while (end_if_due(lease) || grant_one(lease) || deny_one(lease)) {
    }
    lease->settling = false;
}

/* The outside. */

void lease_init(struct lease *lease, const struct lease_owner *owner, void *context, uint64_t grace_ms,
                bool required)
{
    memset(lease, 0, sizeof *lease);
    lease->owner = owner;
    lease->context = context;
    lease->grace_ms = grace_ms;
    lease->required = required;
    list_init(&lease->users);
    list_init(&lease->waiters);
    list_init(&lease->changes);
}

void lease_fini(struct lease *lease)
{
    assert(lease->waiting == 0);
    drop_users(lease);
}

void lease_restore(struct lease *lease, const struct lease_holder *holder, uint64_t remaining_ms,
                   uint64_t now_us)
{
    lease->now_us = now_us;
    lease->holder = *holder;
    lease->holder.terms.connection = NULL;
    lease->holder.number = ++lease->last_number;
    lease->holder.expires_us = now_us + remaining_ms * 1000;
    set_state(lease, holder->terms.detached ? LEASE_HELD : LEASE_ABSENT);
}

bool lease_is_held_by(const struct lease *lease, const void *connection, const char *id)
{
    if (lease->state == LEASE_FREE) {
        return false;
    }
    return id != NULL ? is_id(lease, id) : connection != NULL && lease->holder.terms.connection == connection;
}

enum lease_verdict lease_acquire(struct lease *lease, struct lease_waiter *waiter, uint64_t wait_ms,
                                 uint64_t now_us)
{
    const void *connection = waiter->terms.connection;
    settle(lease, now_us);
    if (lease_is_held_by(lease, connection, NULL) || lease_place_of(lease, connection) != 0) {
        return LEASE_TWICE;
    }
    if (lease->state == LEASE_FREE && lease->waiting == 0 && !others_change(lease, connection)) {
        become_holder(lease, waiter);
        return LEASE_OK;
    }
    if (wait_ms == 0) {
        return LEASE_BUSY;
    }
    if (lease->waiting == LEASE_MOST_WAITING) {
        return LEASE_FULL;
    }
    waiter->deadline_us = lease->now_us + wait_ms * 1000;
    list_append(&lease->waiters, &waiter->node);
    lease->waiting++;
    tell(lease, LEASE_EVENT_QUEUED, NULL, waiter);
    return LEASE_WAITS;
}

void lease_leave(struct lease *lease, struct lease_waiter *waiter, uint64_t now_us)
{
    take_out(lease, waiter);
    tell(lease, LEASE_EVENT_LEFT, NULL, waiter);
    settle(lease, now_us);
}

enum lease_verdict lease_renew(struct lease *lease, const void *connection, const char *id, uint64_t ttl_ms,
                               uint64_t now_us)
{
    settle(lease, now_us);
    if (!lease_is_held_by(lease, connection, id)) {
        return LEASE_LOST;
    }
    struct lease_terms *terms = &lease->holder.terms;
    terms->ttl_ms = ttl_ms != 0 ? ttl_ms : terms->ttl_ms;
    lease->holder.expires_us = lease->now_us + terms->ttl_ms * 1000;
    if (terms->connection == NULL) {
        terms->connection = connection;
    }
    if (lease->state == LEASE_OVERDUE) {
        set_state(lease, LEASE_HELD);
    }
    attach(lease, connection);
    tell(lease, LEASE_EVENT_RENEWED, &lease->holder, NULL);
    return LEASE_OK;
}

enum lease_verdict lease_release(struct lease *lease, const void *connection, const char *id, uint64_t now_us)
{
    settle(lease, now_us);
    if (!lease_is_held_by(lease, connection, id)) {
        return LEASE_LOST;
    }
    end(lease, LEASE_EVENT_RELEASED);
    settle(lease, now_us);
    return LEASE_OK;
}

bool lease_break(struct lease *lease, uint64_t now_us, uint64_t *ret_number)
{
    settle(lease, now_us);
    if (lease->state == LEASE_FREE) {
        return false;
    }
    *ret_number = lease->holder.number;
    end(lease, LEASE_EVENT_BROKEN);
    settle(lease, now_us);
    return true;
}

/* A change, without a lease of its own. */
static enum lease_verdict admit_stranger(const struct lease *lease, const void *connection)
{
    if (lease->state != LEASE_FREE) {
        return LEASE_BUSY;
    }
    if (lease->required) {
        return LEASE_REQUIRED;
    }
    if (lease->waiting == 0) {
        return LEASE_OK;
    }
    const struct lease_waiter *next = list_entry(lease->waiters.next, const struct lease_waiter, node);
    return next->terms.connection == connection ? LEASE_OK : LEASE_BUSY;
}

enum lease_verdict lease_admit(struct lease *lease, const void *connection, const char *id, bool changes,
                               uint64_t now_us, uint64_t *ret_number)
{
    *ret_number = 0;
    settle(lease, now_us);
    if (!lease_is_held_by(lease, connection, id)) {
        if (id != NULL) {
            return LEASE_LOST;
        }
        return changes ? admit_stranger(lease, connection) : LEASE_OK;
    }
    if (id != NULL) {
        attach(lease, connection);
    }
    if (changes && lease->state == LEASE_OVERDUE) {
        return LEASE_OVER;
    }
    *ret_number = lease->holder.number;
    return LEASE_OK;
}

enum lease_verdict lease_join(struct lease *lease, const void *connection, const char *identity,
                              uint64_t now_us, uint64_t *ret_number)
{
    *ret_number = 0;
    settle(lease, now_us);
    if (lease->state == LEASE_FREE || strcmp(lease->holder.terms.identity, identity) != 0) {
        return LEASE_BUSY;
    }
    attach(lease, connection);
    if (lease->state == LEASE_OVERDUE) {
        return LEASE_OVER;
    }
    *ret_number = lease->holder.number;
    return LEASE_OK;
}

static bool is_own(const struct lease *lease, const struct lease_change *change)
{
    return lease->state != LEASE_FREE && change->number == lease->holder.number;
}

void lease_change_accept(struct lease *lease, struct lease_change *change)
{
    list_append(&lease->changes, &change->node);
    lease->own_changes += is_own(lease, change);
}

void lease_change_pass_over(struct lease *lease, struct lease_change *change)
{
    if (!change->passed_over) {
        lease->own_changes -= is_own(lease, change);
        change->passed_over = true;
    }
}

void lease_change_begin(struct lease *lease, struct lease_change *change)
{
    if (change->passed_over) {
        lease->own_changes += is_own(lease, change);
        change->passed_over = false;
    }
}

void lease_change_end(struct lease *lease, struct lease_change *change)
{
    list_remove(&change->node);
    lease->own_changes -= is_own(lease, change) && !change->passed_over;
}

bool lease_is_held_up(const struct lease *lease)
{
    switch (lease->state) {
    case LEASE_FREE:
        return lease->waiting > 0;
    case LEASE_HELD:
    case LEASE_ABSENT:
        return false;
    case LEASE_OVERDUE:
        return true;
    }
    return false;
}

bool lease_may_begin(const struct lease *lease, const struct lease_change *change)
{
    return lease->state == LEASE_FREE || is_own(lease, change);
}

static bool deny_gone(struct lease *lease, const void *connection)
{
    list_for_each (node, &lease->waiters) {
        struct lease_waiter *waiter = list_entry(node, struct lease_waiter, node);
        if (waiter->terms.connection == connection) {
            deny(lease, waiter, LEASE_GONE);
            return true;
        }
    }
    return false;
}

/* What it leaves running is nobody's: the next connection may stand at the same place in memory. */
static void disown_changes(struct lease *lease, const void *connection)
{
    list_for_each (node, &lease->changes) {
        struct lease_change *change = list_entry(node, struct lease_change, node);
        change->connection = change->connection == connection ? NULL : change->connection;
    }
}

void lease_connection_gone(struct lease *lease, const void *connection, uint64_t now_us)
{
    settle(lease, now_us);
    while (deny_gone(lease, connection)) {
    }
    disown_changes(lease, connection);
    struct user *user = find_user(lease, connection);
    if (user == NULL) {
        settle(lease, now_us);
        return;
    }
    drop_user(user);
    if (lease->holder.terms.connection == connection) {
        lease->holder.terms.connection = NULL;
    }
    bool alone = list_is_empty(&lease->users) && !lease->holder.terms.detached;
    if (alone && lease->state == LEASE_HELD) {
        set_state(lease, LEASE_ABSENT);
        tell(lease, LEASE_EVENT_ABSENT, &lease->holder, NULL);
    }
    settle(lease, now_us);
}

void lease_tick(struct lease *lease, uint64_t now_us)
{
    settle(lease, now_us);
}

uint64_t lease_next_us(const struct lease *lease)
{
    uint64_t next = end_us(lease);
    list_for_each (node, &lease->waiters) {
        const struct lease_waiter *waiter = list_entry(node, const struct lease_waiter, node);
        next = waiter->deadline_us < next ? waiter->deadline_us : next;
    }
    return next == UINT64_MAX ? 0 : next;
}

size_t lease_place_of(const struct lease *lease, const void *connection)
{
    size_t place = 0;
    list_for_each (node, &lease->waiters) {
        place++;
        if (list_entry(node, const struct lease_waiter, node)->terms.connection == connection) {
            return place;
        }
    }
    return 0;
}

static uint64_t latest(const struct lease *lease, uint64_t now_us)
{
    return now_us > lease->now_us ? now_us : lease->now_us;
}

uint64_t lease_remaining_us(const struct lease *lease, uint64_t now_us)
{
    uint64_t now = latest(lease, now_us);
    uint64_t end_at = lease->state == LEASE_FREE ? 0 : lease->holder.expires_us;
    return end_at > now ? end_at - now : 0;
}

uint64_t lease_expected_wait_ms(const struct lease *lease, size_t place, uint64_t now_us)
{
    uint64_t until = lease->state == LEASE_ABSENT && lease->grace_us < lease->holder.expires_us
                         ? lease->grace_us
                         : lease->holder.expires_us;
    uint64_t now = latest(lease, now_us);
    uint64_t sum = lease->state != LEASE_FREE && until > now ? (until - now + 999) / 1000 : 0;
    list_for_each (node, &lease->waiters) {
        if (--place == 0) {
            break;
        }
        sum += list_entry(node, const struct lease_waiter, node)->terms.ttl_ms;
    }
    return sum;
}

const char *lease_event_name(enum lease_event event)
{
    static const char *const names[] = {
        [LEASE_EVENT_QUEUED] = "queued",   [LEASE_EVENT_LEFT] = "left",
        [LEASE_EVENT_GRANTED] = "granted", [LEASE_EVENT_RENEWED] = "renewed",
        [LEASE_EVENT_ABSENT] = "absent",   [LEASE_EVENT_RESUMED] = "resumed",
        [LEASE_EVENT_OVERDUE] = "overdue", [LEASE_EVENT_RELEASED] = "released",
        [LEASE_EVENT_EXPIRED] = "expired", [LEASE_EVENT_BROKEN] = "broken",
    };
    return names[event];
}
