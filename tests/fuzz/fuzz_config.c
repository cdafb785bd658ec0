/*
 * The daemon's configuration: what is taken keeps its bounds, and what is refused is refused in words that
 * begin with the file's name; twice alike.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "server/config.h"

#define FILE_NAME "lab.json"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void check_board(const struct config_board *board)
{
    require(board->name[0] != '\0' && memchr(board->name, '\0', sizeof board->name) != NULL);
    require(board->link_limit_ms >= 1000 && board->link_limit_ms <= 3600000);
    require(board->lease_grace_ms <= 600000);
}

static void check_limits(const struct config_limits *limits)
{
    require(limits->max_line_bytes >= 1024 && limits->max_line_bytes <= (uint64_t)64 << 20);
    require(limits->max_in_flight >= 1 && limits->max_in_flight <= 10000);
    require(limits->max_clients >= 1 && limits->max_clients <= 100000);
    require(limits->max_stages >= 1 && limits->max_stages <= 10000);
    require(limits->min_watch_interval_ms >= 1 && limits->min_watch_interval_ms <= 60000);
}

static void check_taken(const struct config *config)
{
    require(config->board_count <= CONFIG_MAX_BOARDS && config->listener_count <= CONFIG_MAX_LISTENERS);
    for (size_t i = 0; i < config->board_count; i++) {
        check_board(&config->boards[i]);
        for (size_t k = 0; k < i; k++) {
            require(strcmp(config->boards[i].name, config->boards[k].name) != 0);
        }
    }
    check_limits(&config->limits);
}

/* Whether it was taken. */
static bool read_copy(const uint8_t *data, size_t size)
{
    struct config config;
    struct err err;
    /* A copy of exactly its size, so that AddressSanitizer sees a reader that goes too far. */
    char *text = malloc(size == 0 ? 1 : size);
    require(text != NULL);
    memcpy(text, data, size);
    config_init(&config);
    err_reset(&err);
    bool taken = config_read_text(&config, FILE_NAME, text, size, &err);
    if (taken) {
        check_taken(&config);
    } else {
        require(err.kind == ERR_INVALID_PARAMS && strncmp(err.message, FILE_NAME, strlen(FILE_NAME)) == 0);
    }
    config_fini(&config);
    free(text);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool taken = read_copy(data, size);
    require(read_copy(data, size) == taken);
    return 0;
}
