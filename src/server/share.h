/*
 * An identity's share of the boards: what the scheduler takes turns between. Made when the first connection
 * of an identity runs something, gone with the last of those.
 */
#ifndef OCDMUX_SERVER_SHARE_H
#define OCDMUX_SERVER_SHARE_H

#include "base/list.h"
#include "board/sched.h"
#include "net/loop.h"

struct share {
    struct list node;
    char *identity;
    size_t users;
    struct sched_identity boards[]; /* one for each board */
};

/* The share of that identity in the list, a new one if there is none. */
struct share *share_ref(struct list *shares, const char *identity, size_t board_count);
/* No queue may be left in it by the last, with whom it goes: behind the loop's pass, for its last operation
 * may have ended while somebody walks over the board's queues. */
void share_unref(struct share *share, struct loop *loop);

#endif
