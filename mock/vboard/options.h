#ifndef VBOARD_OPTIONS_H
#define VBOARD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "server.h"

/* The command line. Strings point into argv. */
struct options {
    struct server_options server;
    uint32_t flash_size; /* bytes */
    uint32_t ram_size;   /* bytes */
    const char *image;   /* NULL: none */
    const char *state;   /* NULL: none */
    bool boot_flash;
    uint32_t access_delay_us;
    struct bus_fault faults[BUS_FAULTS_MAX];
    unsigned fault_count;
    bool verbose;
};

enum options_result { OPTIONS_RUN, OPTIONS_EXIT_OK, OPTIONS_EXIT_ERROR };

/* Prints help to stdout or what is wrong to stderr; the options are complete with OPTIONS_RUN only. */
enum options_result options_parse(int argc, char **argv, struct options *ret_options);

#endif
