/*
 * What the daemon is told at its start: by flags for a single board, or by a JSON file
 * (proto/config.schema.json) for a lab. Bad configuration is refused with file, place and reason.
 */
#ifndef OCDMUX_SERVER_CONFIG_H
#define OCDMUX_SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "net/address.h"
#include "rpc/params.h"
#include "server/config_identity.h"
#include "server/config_limits.h"
#include "server/config_spawn.h"

#define CONFIG_MAX_LISTENERS 16u
#define CONFIG_MAX_IMAGE_ROOTS 16u
#define CONFIG_NAME_SIZE 65u
/* As `share_dir`: no path, for those are absolute. */
#define CONFIG_NO_SHARE "none"

struct config_gdb {
    bool listens;
    struct net_address listen;
    bool has_openocd;           /* else its port is asked of OpenOCD, and its host is the link's */
    struct net_address openocd; /* OpenOCD's gdb port, for the board's current target */
};

struct config_board {
    char name[CONFIG_NAME_SIZE];
    struct net_address openocd;
    char *stage_dir;         /* on OpenOCD's host; NULL: found out in the handshake */
    uint64_t link_limit_ms;  /* 1,000 to 3,600,000; 60,000 by default */
    bool require_lease;      /* it is changed by the holder of its lease only */
    uint64_t lease_grace_ms; /* 0 to 600,000; 10,000 by default */
    struct config_gdb gdb;
    struct config_spawn spawn;
};

struct config {
    char *file_path; /* that it was read from; NULL: none */
    char *file_text; /* its text at the start, without comments */
    char *last_text; /* the same, when identities were last taken from it; NULL: at the start */
    struct config_identities
        *retired; /* that the present ones have replaced: somebody may still look at them */
    size_t retired_count;
    struct config_board boards[CONFIG_MAX_BOARDS];
    size_t board_count;
    struct net_address listeners[CONFIG_MAX_LISTENERS];
    size_t listener_count;
    char *dump_root;   /* where dumps may be written; NULL: nowhere */
    char *stage_root;  /* where the directory of stages is made; NULL: see server/stage_dir.h */
    char *stage_group; /* who may read stages beside the daemon's user; NULL: nobody */
    char *image_roots[CONFIG_MAX_IMAGE_ROOTS]; /* where images may be read */
    size_t image_root_count;
    char *share_dir;     /* where the directory that OpenOCD may see too is made; NULL: found out;
                            CONFIG_NO_SHARE: nowhere */
    char *share_group;   /* whose members may use files in it; NULL: nobody but the daemon's user */
    char *state_dir;     /* what must survive the daemon; NULL: found out by config_complete(), and nowhere if
                            that finds none */
    char *audit_path;    /* the audit file; NULL: none */
    bool audit_required; /* what cannot be written there is not done */
    struct net_address metrics; /* where machines look at metrics and health */
    bool metrics_given;
    struct config_identities identities;
    enum rpc_role anonymous_role; /* of clients that nothing is known of; by default user, or none where
                                     identities are configured */
    bool anonymous_role_given;
    bool insecure; /* listeners beyond loopback are allowed although they are plain, or nobody is asked who he
                      is */
    enum log_level log_level;
    struct config_limits limits;
};

void config_init(struct config *config);
void config_fini(struct config *config);

/* Adds a board; invalid_params for a bad address, a bad or a second name, or one board too many. `openocd`
 * NULL: the OpenOCD that the daemon starts will say where it listens. */
bool config_add_board(struct config *config, const char *name, const char *openocd, struct err *err)
    __attribute__((warn_unused_result));
bool config_add_listener(struct config *config, const char *url, struct err *err)
    __attribute__((warn_unused_result));
/* Where the last board that was added takes gdb, and OpenOCD's gdb port (NULL: it is asked). */
bool config_set_gdb(struct config *config, const char *listen, const char *openocd, struct err *err)
    __attribute__((warn_unused_result));
bool config_add_image_root(struct config *config, const char *path, struct err *err)
    __attribute__((warn_unused_result));
bool config_parse_role(const char *word, enum rpc_role *ret_role) __attribute__((warn_unused_result));

/* Reads the file into a config that config_init() made; messages begin with the path, then line and column or
 * the member. */
bool config_read_file(struct config *config, const char *path, struct err *err)
    __attribute__((warn_unused_result));
/* The same for text in memory; `path` is for messages only. `text` is changed: comments become spaces. */
bool config_read_text(struct config *config, const char *path, char *text, size_t length, struct err *err)
    __attribute__((warn_unused_result));

/* Default listeners where none were given, and what must hold between the settings and with the system: roots
 * are directories, the group exists. Call it once, last. */
bool config_complete(struct config *config, struct err *err) __attribute__((warn_unused_result));

#endif
