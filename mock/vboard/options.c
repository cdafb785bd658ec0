/* Command line flags. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flash.h"
#include "log.h"

#define RAM_SIZE_MIN 1024U
#define RAM_SIZE_MAX (1024U * 1024U)
#define RAM_SIZE_STEP 1024U
#define ACCESS_DELAY_MAX 1000000U

enum options_flag {
    FLAG_PORT = 256,
    FLAG_UNIX,
    FLAG_PORT_FILE,
    FLAG_FLASH_SIZE,
    FLAG_RAM_SIZE,
    FLAG_IMAGE,
    FLAG_STATE,
    FLAG_BOOT_FLASH,
    FLAG_ACCESS_DELAY,
    FLAG_FAULT_ADDRESS,
    FLAG_VERBOSE,
    FLAG_HELP
};

static const struct option options_table[] = {
    {"port", required_argument, NULL, FLAG_PORT},
    {"unix", required_argument, NULL, FLAG_UNIX},
    {"port-file", required_argument, NULL, FLAG_PORT_FILE},
    {"flash-size", required_argument, NULL, FLAG_FLASH_SIZE},
    {"ram-size", required_argument, NULL, FLAG_RAM_SIZE},
    {"image", required_argument, NULL, FLAG_IMAGE},
    {"state", required_argument, NULL, FLAG_STATE},
    {"boot-flash", no_argument, NULL, FLAG_BOOT_FLASH},
    {"access-delay-us", required_argument, NULL, FLAG_ACCESS_DELAY},
    {"fault-address", required_argument, NULL, FLAG_FAULT_ADDRESS},
    {"verbose", no_argument, NULL, FLAG_VERBOSE},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

static void options_print_help(void)
{
    fputs(
        "Usage: vboard [OPTION]...\n"
        "A virtual STM32F1 board. OpenOCD attaches to it with its remote_bitbang adapter (JTAG).\n"
        "\n"
        "  --port N             TCP port on 127.0.0.1, 0 to 65535; 0: the kernel chooses (default: 0)\n"
        "  --unix PATH          listen on a Unix socket instead; the file is removed on exit\n"
        "  --port-file PATH     write the port in use to PATH once listening (not with --unix);\n"
        "                       the file is removed on exit\n"
        "  --flash-size SIZE    flash at 0x08000000, 4K to 512K in steps of 4K (default: 64K);\n"
        "                       pages are 1 KiB up to 128K and 2 KiB above\n"
        "  --ram-size SIZE      RAM at 0x20000000, 1K to 1024K in steps of 1K (default: 20K)\n"
        "  --image FILE         binary put at the start of flash at power-on, no longer than the flash\n"
        "  --state FILE         flash and option bytes are loaded from FILE where it exists, and saved to\n"
        "                       it on exit (raw flash, then 16 option bytes); --image goes over it\n"
        "  --boot-flash         start from flash even when it is blank, which locks the core up as on the\n"
        "                       real part (default: a board whose first flash word is erased starts a boot\n"
        "                       loader that waits for ever)\n"
        "  --access-delay-us N  each memory access of the debugger takes N microseconds more,\n"
        "                       0 to 1000000 (default: 0)\n"
        "  --fault-address A[:LEN]\n"
        "                       bus accesses to LEN bytes (1 to 0xffffffff, default: 4) from address A\n"
        "                       fault; may be given up to 32 times\n"
        "  --verbose            say on stderr what happens (default: silent)\n"
        "  --help               print this and exit\n"
        "\n"
        "Numbers are decimal, or hexadecimal with 0x; a SIZE is in bytes, or in KiB with the suffix K.\n"
        "Flash, RAM and registers are kept while adapters come and go. SIGTERM or SIGINT ends it.\n",
        stdout);
}

/* Decimal or 0x hexadecimal; returns where the number ends, or NULL. */
static const char *options_scan_number(const char *text, uint64_t *ret_value)
{
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    char *end;
    if (strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789") == 0) {
        return NULL;
    }
    errno = 0;
    unsigned long long value = strtoull(digits, &end, hex ? 16 : 10);
    if (errno != 0) {
        return NULL;
    }
    *ret_value = value;
    return end;
}

static bool options_parse_number(const char *flag, const char *text, uint64_t max, uint32_t *ret_value)
{
    uint64_t value;
    const char *end = options_scan_number(text, &value);
    if (end == NULL || *end != '\0' || value > max) {
        log_error("%s %s: not a number from 0 to %" PRIu64, flag, text, max);
        return false;
    }
    *ret_value = (uint32_t)value;
    return true;
}

static bool options_parse_size(const char *flag, const char *text, uint32_t min, uint32_t max, uint32_t step,
                               uint32_t *ret_value)
{
    uint64_t value = 0;
    const char *end = options_scan_number(text, &value);
    if (end != NULL && (*end == 'K' || *end == 'k') && value <= UINT32_MAX) {
        value *= 1024U;
        end++;
    }
    if (end == NULL || *end != '\0' || value < min || value > max || value % step != 0) {
        log_error("%s %s: not a size from %" PRIu32 "K to %" PRIu32 "K in steps of %" PRIu32 "K", flag, text,
                  min / 1024U, max / 1024U, step / 1024U);
        return false;
    }
    *ret_value = (uint32_t)value;
    return true;
}

static bool options_parse_fault(const char *text, struct options *options)
{
    uint64_t first = 0;
    uint64_t length = 4;
    const char *end = options_scan_number(text, &first);
    if (end != NULL && *end == ':') {
        end = options_scan_number(end + 1, &length);
    }
    if (end == NULL || *end != '\0' || length == 0 || first > UINT32_MAX || length > UINT32_MAX ||
        first + length - 1 > UINT32_MAX) {
        log_error("--fault-address %s: not ADDRESS[:LENGTH] within 32 bits", text);
        return false;
    }
    if (options->fault_count == BUS_FAULTS_MAX) {
        log_error("--fault-address %s: more than %u ranges", text, BUS_FAULTS_MAX);
        return false;
    }
    options->faults[options->fault_count++] =
        (struct bus_fault){.first = (uint32_t)first, .last = (uint32_t)(first + length - 1)};
    return true;
}

static bool options_take(enum options_flag flag, const char *value, struct options *options)
{
    uint32_t port;
    switch (flag) {
    case FLAG_PORT:
        if (!options_parse_number("--port", value, UINT16_MAX, &port)) {
            return false;
        }
        options->server.port = (uint16_t)port;
        return true;
    case FLAG_UNIX:
        options->server.unix_path = value;
        return true;
    case FLAG_PORT_FILE:
        options->server.port_file = value;
        return true;
    case FLAG_FLASH_SIZE:
        return options_parse_size("--flash-size", value, FLASH_SIZE_MIN, FLASH_SIZE_MAX, FLASH_SIZE_STEP,
                                  &options->flash_size);
    case FLAG_RAM_SIZE:
        return options_parse_size("--ram-size", value, RAM_SIZE_MIN, RAM_SIZE_MAX, RAM_SIZE_STEP,
                                  &options->ram_size);
    case FLAG_IMAGE:
        options->image = value;
        return true;
    case FLAG_STATE:
        options->state = value;
        return true;
    case FLAG_BOOT_FLASH:
        options->boot_flash = true;
        return true;
    case FLAG_ACCESS_DELAY:
        return options_parse_number("--access-delay-us", value, ACCESS_DELAY_MAX, &options->access_delay_us);
    case FLAG_FAULT_ADDRESS:
        return options_parse_fault(value, options);
    case FLAG_VERBOSE:
        options->verbose = true;
        return true;
    case FLAG_HELP:
        return true;
    }
    return false;
}

enum options_result options_parse(int argc, char **argv, struct options *ret_options)
{
    struct options options = {.flash_size = 64U * 1024U, .ram_size = 20U * 1024U};
    int flag;
    while ((flag = getopt_long(argc, argv, "", options_table, NULL)) != -1) {
        if (flag == '?') {
            return OPTIONS_EXIT_ERROR; /* getopt has said why */
        }
        if (flag == FLAG_HELP) {
            options_print_help();
            return OPTIONS_EXIT_OK;
        }
        if (!options_take((enum options_flag)flag, optarg, &options)) {
            return OPTIONS_EXIT_ERROR;
        }
    }
    if (optind != argc) {
        log_error("unexpected argument: %s", argv[optind]);
        return OPTIONS_EXIT_ERROR;
    }
    if (options.server.unix_path != NULL && options.server.port_file != NULL) {
        log_error("--port-file has no meaning with --unix");
        return OPTIONS_EXIT_ERROR;
    }
    *ret_options = options;
    return OPTIONS_RUN;
}
