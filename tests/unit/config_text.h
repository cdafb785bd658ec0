/* A configuration that is read from text, as the tests of its parts share it. */
#ifndef OCDMUX_TESTS_CONFIG_TEXT_H
#define OCDMUX_TESTS_CONFIG_TEXT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "server/config.h"

static inline int config_setup(void **state)
{
    struct config *config = xcalloc(1, sizeof *config);
    config_init(config);
    *state = config;
    return 0;
}

static inline int config_teardown(void **state)
{
    config_fini(*state);
    free(*state);
    return 0;
}

static inline bool read_text(struct config *config, const char *text, struct err *err)
{
    char *copy = xstrdup(text);
    err_reset(err);
    bool ok = config_read_text(config, "lab.json", copy, strlen(text), err);
    free(copy);
    return ok;
}

static inline void must_read(struct config *config, const char *text)
{
    struct err err;
    if (!read_text(config, text, &err)) {
        fail_msg("refused: %s", err.message);
    }
}

/* The message must be exactly that. */
static inline void must_refuse(const char *text, const char *message)
{
    struct config config;
    struct err err;
    config_init(&config);
    if (read_text(&config, text, &err)) {
        fail_msg("taken: %s", text);
    }
    assert_int_equal(err.kind, ERR_INVALID_PARAMS);
    assert_string_equal(err.message, message);
    config_fini(&config);
}

#define BOARD "{\"name\": \"lab1\", \"openocd\": \"127.0.0.1:6666\"}"
#define BOARDS "\"boards\": [" BOARD "]"

#endif
