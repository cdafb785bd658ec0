/*
 * gdb through the lease: a listener of a board that passes gdb's remote protocol on to OpenOCD's gdb port,
 * for the holder of the board's lease, or under a lease of its own for as long as gdb is attached.
 *
 * Each of these takes NULL for a board without such a listener.
 */
#ifndef OCDMUX_SERVER_GDB_H
#define OCDMUX_SERVER_GDB_H

#include "board/board.h"
#include "rpc/json_write.h"

/* Of one board at a time, with two connections each; more wait in the kernel's queue. */
#define GDB_MOST_SESSIONS 64u

struct config_identities;
struct gdb;
struct server;

/* Opens the listener of the board at `index`, whose configuration has one. Fails with internal_error. */
bool gdb_new(struct gdb **ret_gdb, struct server *server, size_t index, struct err *err)
    __attribute__((warn_unused_result));
/* Takes no more, and ends those that are there. */
void gdb_stop(struct gdb *gdb);
void gdb_free(struct gdb *gdb);

/* The board's news. */
void gdb_lease_changed(struct gdb *gdb, enum lease_event event, const struct lease_holder *holder);
void gdb_link_changed(struct gdb *gdb);
void gdb_target_notified(struct gdb *gdb, const char *kind, const char *value);

/* The configuration was read anew: those whose entry has changed are ended. `old` is what their grants are
 * of, as config_reload_grant() takes it. */
void gdb_identities_changed(struct gdb *gdb, const struct config_identities *old);

/* "gdb", of board.status. */
void gdb_write_status(const struct gdb *gdb, struct json_writer *json);

#endif
