/* The OpenOCD of a board that the daemon starts and looks after, and which board it has to be. */
#ifndef OCDMUX_SERVER_CONFIG_SPAWN_H
#define OCDMUX_SERVER_CONFIG_SPAWN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "openocd/expect.h"
#include "rpc/json.h"

#define CONFIG_MAX_WORDS 256u

struct config_spawn {
    char **command;           /* NULL-ended words; NULL: OpenOCD is somebody else's */
    char **before_start;      /* likewise; NULL: nothing runs before */
    uint64_t start_limit_ms;  /* 100 to 3,600,000; 30,000 by default */
    uint64_t stop_limit_ms;   /* 0 to 60,000; 3,000 by default */
    uint64_t before_limit_ms; /* 100 to 3,600,000; 30,000 by default */
    uint64_t health_every_ms; /* 0: never, to 3,600,000; 5,000 by default */
    uint64_t health_limit_ms; /* 100 to 3,600,000; 30,000 by default */
    bool expects;
    struct ocd_expect expect;
};

void config_spawn_init(struct config_spawn *spawn);
void config_spawn_fini(struct config_spawn *spawn);

/* A line for a shell: as `spawn`, the shell becomes the program (exec); as `before_start` it may hold several
 * commands. */
char **config_spawn_line(const char *line);
char **config_before_start_line(const char *line);

/* The members of a board that are about this. Fails with invalid_params. */
bool config_spawn_take(struct config_spawn *spawn, struct json_span board, const char *path,
                       const char *place, struct err *err) __attribute__((warn_unused_result));

#endif
