/* Shares, found by the identity's name. */
#include "server/share.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct share *share_ref(struct list *shares, const char *identity, size_t board_count)
{
    list_for_each (node, shares) {
        struct share *share = list_entry(node, struct share, node);
        if (strcmp(share->identity, identity) == 0) {
            share->users++;
            return share;
        }
    }
    struct share *share = xcalloc(1, sizeof *share + board_count * sizeof share->boards[0]);
    share->identity = xstrdup(identity);
    share->users = 1;
    for (size_t i = 0; i < board_count; i++) {
        sched_identity_init(&share->boards[i]);
    }
    list_append(shares, &share->node);
    return share;
}

static void free_share(void *object)
{
    struct share *share = object;
    free(share->identity);
    free(share);
}

void share_unref(struct share *share, struct loop *loop)
{
    share->users--;
    if (share->users > 0) {
        return;
    }
    list_remove(&share->node);
    loop_bury(loop, share, free_share);
}
