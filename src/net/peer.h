/* Who is at the other end of a Unix socket, as the kernel knows it (unix(7), SO_PEERCRED). */
#ifndef OCDMUX_NET_PEER_H
#define OCDMUX_NET_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct net_peer {
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* the supplementary ones; owned */
    size_t group_count;
};

/* As they were when the peer connected. False for a socket of another kind. */
bool net_peer_init(struct net_peer *ret_peer, int fd) __attribute__((warn_unused_result));
void net_peer_fini(struct net_peer *peer);
/* Whether the peer is a member of the group. */
bool net_peer_has_group(const struct net_peer *peer, gid_t gid);

#endif
