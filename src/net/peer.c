/* Peer credentials of Unix sockets. */
#include "net/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"

/* As many as Linux lets a process have (NGROUPS_MAX). */
#define MAX_GROUPS 65536u

/* The kernel says how much room it wants where there was too little. */
static void take_groups(struct net_peer *peer, int fd)
{
    socklen_t size = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE ||
        size > MAX_GROUPS * sizeof(gid_t)) {
        return;
    }
    gid_t *groups = xcalloc(size / sizeof(gid_t), sizeof(gid_t));
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0) {
        free(groups);
        return;
    }
    peer->groups = groups;
    peer->group_count = size / sizeof(gid_t);
}

bool net_peer_init(struct net_peer *ret_peer, int fd)
{
    struct sockaddr_storage address;
    struct ucred credentials;
    socklen_t address_size = sizeof address;
    socklen_t size = sizeof credentials;
    if (getsockname(fd, (struct sockaddr *)&address, &address_size) != 0 || address.ss_family != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        return false;
    }
    memset(ret_peer, 0, sizeof *ret_peer);
    ret_peer->uid = credentials.uid;
    ret_peer->gid = credentials.gid;
    take_groups(ret_peer, fd);
    return true;
}

void net_peer_fini(struct net_peer *peer)
{
    free(peer->groups);
    memset(peer, 0, sizeof *peer);
}

bool net_peer_has_group(const struct net_peer *peer, gid_t gid)
{
    bool found = peer->gid == gid;
    for (size_t i = 0; i < peer->group_count; i++) {
        found = found || peer->groups[i] == gid;
    }
    return found;
}
