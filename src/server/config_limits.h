/* How much clients may have and make the daemon hold: `limits` of the configuration. */
#ifndef OCDMUX_SERVER_CONFIG_LIMITS_H
#define OCDMUX_SERVER_CONFIG_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "rpc/json.h"

struct config_limits {
    uint64_t max_line_bytes; /* 1,024 to 64 MiB; 8 MiB by default */
    uint64_t max_in_flight;  /* requests of one connection, 1 to 10,000; 256 by default */
    uint64_t
        max_queued_bytes; /* of parameters that one connection's waiting requests hold; 16 MiB by default */
    uint64_t max_total_queued_bytes; /* the same of all connections; beyond it large requests are refused; 256
                                        MiB */
    uint64_t max_identity_operations; /* of one identity on one board, waiting or running, 1 to 1,000,000;
                                         32,768 by default */
    uint64_t max_board_operations;    /* the same of all identities; 65,536 by default */
    uint64_t max_output_bytes; /* of output that one connection has not taken; reads that would add to it
                                  pause; 1 MiB */
    uint64_t max_inline_bytes; /* of data in one reply that is not streamed, 1 to 16 MiB; 4 MiB by default */
    uint64_t max_clients;      /* 1 to 100,000; 16,384 by default; server/places.h says how many it can be */
    uint64_t slow_reader_ms;   /* 100 to 3,600,000; 30,000 by default */
    uint64_t login_ms;        /* of a TLS handshake, and then for saying who one is; 100 to 600,000; 10,000 */
    uint64_t max_stage_bytes; /* of all stages of an identity, 1 to 1 TiB; 256 MiB by default */
    uint64_t max_total_stage_bytes; /* of all identities together, 1 to 1 TiB; 1 GiB by default */
    uint64_t max_stages;            /* of an identity, 1 to 10,000; 256 by default */
    uint64_t stage_expiry_ms;       /* from the last use, 100 to 7 days; an hour by default */
    uint64_t max_image_bytes;       /* that one call takes from a stage or a file, 1 to 1 GiB; 64 MiB */
    uint64_t max_watches;           /* of memory, of one connection, 1 to 10,000; 32 by default */
    uint64_t max_watch_bytes;       /* of those together, 64 to 1 MiB; 64 KiB by default */
    uint64_t max_board_watches; /* on a board, 1 to 100,000; 16,384 by default; server/places.h says how many
                                   it can be */
    uint64_t max_board_watch_bytes; /* of those together, 64 to 64 MiB; 1 MiB by default */
    uint64_t min_watch_interval_ms; /* 1 to 60,000; 10 by default */
};

/* The defaults. */
void config_limits_init(struct config_limits *limits);
/* The member `limits` of the file, where it is there. Fails with invalid_params. */
bool config_limits_take(struct config_limits *limits, struct json_span root, const char *path,
                        struct err *err) __attribute__((warn_unused_result));

#endif
