/*
 * An operation: what one request runs on a board, as a table of steps. Operations are sans-I/O: a step's
 * `send` builds the next Tcl command and its `reply` takes the answer; both only read and write the
 * operation's own struct and what the runner hands them. The runner (board/) alone has the link, the clock,
 * deadlines, cancel, retries and progress.
 *
 *          +--------------------------- GO, WAIT ---------------------------+
 *          v                                                                |
 *   step->send --- SEND ---> (link) --- answer ---> step->reply --- DONE, FAILED ---> ended
 *          +-- GO, WAIT, DONE, FAILED: as from `reply`, with nothing sent
 *
 * `send` does not advance the operation: it may be called again for the same command after a lost link.
 * `reply` does.
 */
#ifndef OCDMUX_OPS_OP_H
#define OCDMUX_OPS_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/strbuf.h"
#include "openocd/envelope.h"
#include "openocd/info.h"
#include "ops/keeper.h"

enum op_verdict {
    OP_SEND,   /* from `send` only: the command is ready */
    OP_GO,     /* op->step says where to go on, after others had their turn */
    OP_WAIT,   /* the same, but not before op->wait_ms have passed */
    OP_DONE,   /* ended well */
    OP_FAILED, /* ended with the error in `err` */
};

/*
 * A command may need a file on OpenOCD's host: then the script finds its absolute path in the Tcl variable
 * `p`. The runner makes the file, in the way that works for this OpenOCD (a directory that both see, or Jim
 * Tcl's file commands over the link), and removes it, however the command ends. Where no way works
 * (context->info->files) the operation fails with stage_error, before anything of the command is sent; where
 * the file cannot be made or fetched the operation fails with stage_error too, after one more try, and its
 * `reply` is not called.
 */
enum op_file {
    OP_FILE_NONE,
    OP_FILE_PUT, /* `file_bytes` are in it when the script runs; the reply is the script's own */
    OP_FILE_GET, /* what the script leaves in it becomes the reply's result, if the script succeeds */
};

/* What one command may carry through a file, whichever way it takes: quoted twice over a byte may take five
 * on the link, and a command of OpenOCD's has a longest length. */
#define OP_FILE_MOST_BYTES (512u * 1024u)

/* What `send` fills. */
struct op_command {
    struct strbuf script; /* empty when `send` is called */
    enum op_file file;
    const uint8_t *file_bytes;  /* PUT: the operation's own, until the reply */
    uint64_t file_size;         /* PUT: their number, at most OP_FILE_MOST_BYTES */
    const char *current_target; /* runs with this target as OpenOCD's current one; NULL: whichever is */
    uint64_t bytes;    /* of data that it moves: for learning how fast the target is; 0: does not count */
    bool changes;      /* changes the board */
    bool repeatable;   /* may be sent a second time if the link is lost before the answer */
    uint32_t limit_ms; /* the command may take longer than the link's limit; 0: it may not */

    /* For travelling with the commands of others, in one envelope. */
    uint32_t words; /* about so many accesses to the target, which do not take long (see board/pace.h) and
                     * need no file; 0: it travels alone */
    bool ends;      /* the operation ends with the answer, whatever it is */
    bool shareable; /* whoever wants the same at the same moment may have the same answer */
};

/* No command that travels with others is more work. */
#define OP_WORDS_MOST 64u

/* What the runner hands to each step. */
struct op_context {
    struct ocd_info *info; /* the board as last surveyed */
    struct ocd_target
        *target;     /* the operation's target; NULL where the operation names none and there is none */
    uint64_t budget; /* bytes that the command should move at the most, the same for `send` and its `reply` */
    uint64_t now_us;
    const struct op_keeper *keeper; /* of what an erase would lose */
};

struct op;

struct op_step {
    const char *name;
    enum op_verdict (*send)(struct op *op, const struct op_context *context, struct op_command *command,
                            struct err *err);
    enum op_verdict (*reply)(struct op *op, const struct op_context *context, const struct ocd_reply *reply,
                             struct err *err);
};

struct op_progress {
    const char *phase; /* static; NULL: nothing to say yet */
    uint64_t done;     /* never falls within a phase */
    uint64_t total;    /* 0: not known */
    const char *unit;  /* "bytes", "sectors" */
};

struct op_class {
    const char *name;
    const struct op_step *steps;
    bool changes;          /* changes the board: one such operation at a time */
    bool needs_target;     /* fails with not_found where the board has no such target */
    bool relearn;          /* when it ends, the handshake must be run again */
    bool long_running;     /* has an id, a record and progress; its result names the id */
    bool long_read;        /* its result says `disturbed` */
    uint64_t first_budget; /* bytes of the first command; 0: the operation does not ask for budgets */
    uint32_t command_ms; /* how long a command should take at the most; budgets grow until it does. Steps may
                          * change it through op->command_ms when they go on to work of another kind */
    bool short_commands; /* some of its commands may travel with those of others */
    /* Whether both, of this class, would send the same next command and take the same answer to it. NULL:
     * never. */
    bool (*same_command)(const struct op *op, const struct op *other);
    /* Adds what was done, and in what state the flash is, to an error that ends the operation early. May be
     * NULL. */
    void (*describe)(const struct op *op, struct err *err);
    /* Frees the struct that `op` is the first member of. */
    void (*free)(struct op *op);
};

/* The runner's view of where an operation stands. */
enum op_state {
    OP_QUEUED,  /* nothing was sent yet */
    OP_RUNNING, /* has begun; its next command waits for its turn, or is in flight */
    OP_ENDING,  /* its owner has had the answer; goes on only until it may stop */
};

struct op_owner {
    /* Its first step is about to run. May be NULL. */
    void (*began)(void *context, struct op *op);
    /* Progress has changed. */
    void (*progress)(void *context, struct op *op);
    /* The end: `err` is NULL for success. Exactly once. The operation is freed after it. */
    void (*ended)(void *context, struct op *op, const struct err *err);
};

struct op {
    const struct op_class *class;
    /* For the operation's own steps. */
    unsigned step;
    uint32_t wait_ms;
    uint32_t command_ms;
    uint64_t budget; /* for the next command; the runner makes it grow, steps may cut it */
    bool critical;   /* stopping here would leave the board worse than going on: cancel and deadlines wait */
    bool consistent; /* a read that no changing operation may interrupt */
    struct op_progress progress;
    char target[OCD_NAME_SIZE]; /* "" for the current one */

    /* The runner's. */
    enum op_state state;
    struct list queue_node; /* in its queue's list */
    struct sched_queue *queue;
    struct board *board;
    const struct op_owner *owner;
    void *owner_context;
    struct loop_timer *timer;
    uint64_t deadline_us;    /* 0: none */
    uint64_t unavailable_us; /* while the link is down: when waiting for it ends; else 0 */
    uint64_t ready_us;       /* OP_WAIT: not before; else 0 */
    uint64_t started_us;     /* the first command; 0 before */
    uint64_t submitted_us;   /* 0 once it is known how long it waited */
    uint64_t begun_change;   /* the board's change count at the first command */
    uint64_t last_change;    /* the same, at the last reply */
    bool answered;           /* a command of it was */
    bool sent_change;        /* a command that changes the board was sent, and is not in flight any more */
    bool retried;            /* the command in flight is the second try */
    bool refiled;            /* the same, because its file could not be made or fetched */
    struct list flight_node; /* while its command is on the link, or about to be: see board/flight.h */
    bool in_flight;
    bool ends; /* that command's, and its slot */
    size_t slot;
    bool cancel_asked;
    bool detached;             /* goes on without its client */
    const char *cancel_reason; /* static; NULL: somebody asked for it */

    /* The lease's (board/board_lease.h): the first two are set before board_submit(). */
    const void *connection;      /* who asked for it; only compared; NULL: the board itself */
    uint64_t lease_number;       /* that it was admitted under; 0: none */
    struct board_change *change; /* until a changing operation ends */
};

/* Sets what every operation starts with; `target` may be NULL. */
void op_init(struct op *op, const struct op_class *class, const char *target);
void op_free(struct op *op);
/* Sets the phase and how far it is. */
void op_progress_set(struct op *op, const char *phase, uint64_t done, uint64_t total, const char *unit);
/* For `describe`: adds how far the work came, where the protocol has a place for it in errors of that kind.
 */
void op_describe_progress(struct err *err, const struct op_progress *progress);

/* For steps: goes to another step. */
static inline enum op_verdict op_go(struct op *op, unsigned step)
{
    op->step = step;
    return OP_GO;
}

/*
 * An error out of what OpenOCD answered: `kind`, unless its words say that the target is not halted; the
 * message is the given text, then OpenOCD's reason. Returns OP_FAILED.
 */
enum op_verdict op_fail_openocd(const struct ocd_reply *reply, struct err *err, enum err_kind kind,
                                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Adds the `reason` of a flash_error; an error of another kind, such as a target that is not halted, has
 * none.
 */
void op_add_driver_reason(struct err *err);

/* invalid_range if `size` bytes (1 or more) from `address` reach beyond the target's address space: OpenOCD
 * would wrap. */
bool op_check_range(const struct ocd_target *target, uint64_t address, uint64_t size, struct err *err)
    __attribute__((warn_unused_result));

#endif
