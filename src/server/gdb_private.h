/*
 * What the files of gdb's listener share. For nobody else.
 *
 * A session is one connection of a client:
 *
 *   OPENING --- a preface, or the first packet ---> WAITING --- admitted ---> ADMITTED --- a packet ---+
 *      |   \                                          ^                                                v
 *      |    +--- a wrong token ---> REFUSING          +-- changes that run       ATTACHED <--- CONNECTING
 *      +--- 10 s ---> CLOSED <--- refused, either side has ended, the lease has ended --- from each of them
 *
 * OpenOCD freezes for up to a second when somebody connects to its gdb port and sends nothing: CONNECTING
 * begins when there is a packet to send.
 */
#ifndef OCDMUX_SERVER_GDB_PRIVATE_H
#define OCDMUX_SERVER_GDB_PRIVATE_H

#include "board/board_lease.h"
#include "net/stream.h"
#include "server/gdb.h"
#include "server/gdb_packets.h"
#include "server/gdb_preface.h"
#include "server/login.h"
#include "server/server.h"

/* Who has connected has so long to say something, and OpenOCD to take the connection. */
#define GDB_LIMIT_MS 10000u

enum gdb_state {
    GDB_OPENING,
    GDB_REFUSING,
    GDB_WAITING,
    GDB_ADMITTED,
    GDB_CONNECTING,
    GDB_ATTACHED,
    GDB_CLOSED,
};

struct gdb {
    struct server *server;
    struct board *board;
    size_t index;
    const struct config_gdb *config;
    struct net_listener *net; /* NULL once stopped */
    struct list sessions;
    size_t count;
    /* The lease that was taken for gdb. */
    char lease_id[LEASE_ID_SIZE];
    uint64_t lease_number; /* 0: there is none */
    struct loop_timer *renew;
    /* What OpenOCD's gdb-attach and gdb-detach tell. */
    size_t outside;           /* attached past the daemon */
    size_t expected_detaches; /* of sessions that have ended */
};

struct gdb_session {
    struct list node;
    struct gdb *gdb;
    enum gdb_state state;
    struct net_stream *near; /* gdb's side */
    struct net_stream *far;  /* OpenOCD's; NULL before CONNECTING */
    char peer[64];
    struct login_peer who;
    struct gdb_preface preface;
    bool has_preface;
    char target[OCD_NAME_SIZE];
    struct net_address address; /* of OpenOCD's gdb port */
    struct loop_timer *timer;
    uint64_t deadline_us; /* of the waiting */

    /* What gdb has sent and OpenOCD has not got. */
    struct strbuf input;
    size_t scanned;  /* of it; a unit ends there, or goes on behind it */
    bool has_packet; /* a whole one ends at `scanned`, and waits */
    struct gdb_scanner scanner;
    bool paused;

    struct gdb_scanner far_scanner;
    struct gdb_request request; /* the last that OpenOCD got */
    bool asking;                /* it is not answered yet */
    bool running;               /* the target, until OpenOCD tells of a halt */
    bool acks_stopped;
    bool heard;       /* OpenOCD has sent something */
    bool told_attach; /* its gdb-attach came */

    struct lease_waiter waiter;
    bool in_queue;             /* `waiter` is the lease's */
    struct board_change *hold; /* from ADMITTED on */
    uint64_t lease_number;     /* that it holds */
    char since[CLOCK_TEXT_SIZE];
};

/* gdb.c */

struct gdb_session *gdb_find_session(const struct gdb *gdb, const char *target,
                                     const struct gdb_session *but);
/* An event of topic gdb. */
void gdb_tell(const struct gdb_session *session, const char *kind);
/* The session is gone from the list. */
void gdb_session_gone(struct gdb *gdb);

/* gdb_session.c */

void gdb_session_new(struct gdb *gdb, int fd);
/* Ends it, from anywhere; nothing of it may be used behind this but its memory, until the loop's pass ends.
 */
void gdb_session_close(struct gdb_session *session, const char *reason);
/* The same, after it was told why. */
void gdb_session_refuse(struct gdb_session *session, const struct err *err);
void gdb_session_set_state(struct gdb_session *session, enum gdb_state state);
/* gdb_admit.c has let it in. */
void gdb_session_admitted(struct gdb_session *session);
/* Looks at what has come from gdb's side. */
void gdb_session_look(struct gdb_session *session);

/* gdb_admit.c: who it is, where it goes, and the lease. */

/* Ends in gdb_session_admitted() or gdb_session_refuse(), at once or later. */
void gdb_admit_begin(struct gdb_session *session);
/* The session's timer, while REFUSING or WAITING. */
void gdb_admit_on_timer(struct gdb_session *session);
/* Gives the lease back, or its place in the queue. */
void gdb_admit_end(struct gdb_session *session);
/* For gdb.renew. */
void gdb_admit_renew(void *context);

/* gdb_pump.c: the bytes of both sides. */

/* Scans the input up to the end of a packet. False, with the session closed, where it is no gdb. */
bool gdb_pump_scan(struct gdb_session *session) __attribute__((warn_unused_result));
/* Connects to OpenOCD. */
void gdb_pump_connect(struct gdb_session *session);
/* Passes on what may be passed on now. */
void gdb_pump_run(struct gdb_session *session);
void gdb_pump_end(struct gdb_session *session);
/* Reads on from gdb's side, or not, as there is room for it. */
void gdb_pump_update_reading(struct gdb_session *session);

#endif
