/*
 * Watches of memory: who watches what, and what each of them was told. One struct watch_board for each board
 * reads for all of them, one operation at a time, by the plan of board/watch_plan.h.
 *
 *   timer -> (plan made anew, if watches came or went) -> notifications that are due -> next read -> timer
 *                                                                     read ended ---------------> timer
 *
 * Nothing is sent and no read begins but from the timer. A watch holds what its client was told of each byte,
 * and compares that with what was read when it may send; so a client that is slow, or wants to be told less
 * often than the bytes are read, gets what is new against what it knows, and nothing ever queues for it.
 *
 * A read for watches runs where no request of an open client may, or when WATCH_PATIENCE commands of others
 * went before it.
 */
#ifndef OCDMUX_SERVER_WATCH_H
#define OCDMUX_SERVER_WATCH_H

#include "base/clock.h"
#include "board/watch_plan.h"
#include "rpc/params.h"
#include "server/client.h"

/* Of one call, as in proto/protocol.json. */
#define WATCH_MAX_RANGES 64u
/* What a range counts for the limits at the least: about what it costs beside its bytes. */
#define WATCH_RANGE_BYTES 64u
#define WATCH_PATIENCE 8u
#define WATCH_ID_SIZE 32

struct watch_range {
    uint64_t address;
    uint64_t size;
    enum err_kind failing; /* what the client was told of it; ERR_NONE: that it can be read */
    bool lost;             /* the link was, and the client was not told that it is back */
    size_t at;             /* of its bytes among the watch's */
};

struct watch {
    struct list node;        /* in watch_board.watches */
    struct list client_node; /* in client.watches */
    struct watch_board *board;
    struct client *client;
    struct watch_space *space;
    uint64_t number; /* its id is "watch-NUMBER" */
    uint64_t interval_us;
    bool hex;
    uint64_t seq;       /* of the last notification; 0: none yet */
    uint64_t sent_us;   /* when what it told was read */
    uint64_t sent_end;  /* where it ended in the client's output */
    uint64_t looked_us; /* reads up to then have been compared */
    size_t size;        /* bytes of all ranges */
    size_t counted;     /* the same, as they count for the limits */
    uint8_t *told;      /* what the client was told of each, owned */
    bool *is_told;      /* and whether it was, owned */
    size_t range_count;
    struct watch_range ranges[];
};

/* What addresses are of. */
struct watch_space {
    struct list node; /* in watch_board.spaces */
    uint32_t number;
    size_t users;
    bool physical;
    char target[OCD_NAME_SIZE];
};

struct watch_board {
    struct server *server;
    struct board *board;
    struct list watches;
    size_t count;
    size_t counted; /* bytes of all, as they count for the limit */
    struct list spaces;
    uint32_t last_space;
    struct watch_plan plan;
    bool stale;       /* watches came or went since the plan was made */
    bool up;          /* the link is: what was heard of it last */
    char *down_error; /* else why not, as JSON; NULL: it was never up; owned */
    struct sched_identity identity;
    struct sched_queue queue;
    struct loop_timer *timer;
    struct op *reading; /* NULL: none */
    bool stalled;       /* it takes so long that watches were told */
    struct watch_read read;
    size_t got;
    uint8_t bytes[WATCH_PIECE_BYTES];
    char read_time[CLOCK_TEXT_SIZE]; /* of the last read */
    unsigned others;                 /* commands of others since its own last one, while it wanted one */
    uint64_t reads;
};

struct watch_terms {
    const char *target; /* "" for the current one */
    bool physical;
    bool hex;
    uint64_t interval_ms; /* as asked for */
    const struct rpc_range *ranges;
    size_t count;
};

struct watch_board *watch_board_new(struct server *server, struct board *board);
/* Behind board_free(); no watch may be left. */
void watch_board_free(struct watch_board *self);
struct watch_board *watch_board_of(struct server *server, const struct board *board);

/* Begins a watch; its first notification comes from the loop. limit_exceeded, not_found for a target that the
 * board has not, or invalid_range beyond its addresses; where nothing is known of the board yet, that is told
 * when it is. */
bool watch_begin(struct client *client, struct board *board, const struct watch_terms *terms,
                 const struct watch **ret_watch, struct err *err) __attribute__((warn_unused_result));
void watch_id(const struct watch *watch, char id[WATCH_ID_SIZE]);
/* The client's own watch of that id; NULL if it has none. */
struct watch *watch_find(const struct client *client, const char *id);
void watch_end(struct watch *watch);
/* All of a client that has gone. */
void watch_end_all(struct client *client);

/* The board's link came up or went down. */
void watch_link_changed(struct server *server, struct board *board, const char *reason);
/* NULL if the operation does not read for watches. */
struct watch_board *watch_board_reading(const struct op *op);
bool watch_may_run(const struct watch_board *self, enum board_pass pass);
/* A command of `op` was on the link. */
void watch_link_used(struct server *server, const struct op *op);
/* How many of the board's operations read for watches: 0 or 1. */
size_t watch_queued(const struct watch_board *self);

/* The member `watches` of board.status. */
void watch_write_status(const struct watch_board *self, struct json_writer *json);

/* watch_send.c: compares, and tells the client what is new, if it may be told now. Returns when to look
 * again, should nothing have been read by then; UINT64_MAX: no need. */
uint64_t watch_send(struct watch *watch, uint64_t now_us);

#endif
