/*
 * Reads memory, blocking.
 *
 *     read SERVER ADDRESS SIZE
 *
 * SERVER is "tcp:HOST:PORT", "tls:HOST:PORT", "unix:PATH" or "ssh:HOST". Prints the words at ADDRESS, then
 * the bytes as hexadecimal digits. An error is one line: its kind, its message, OpenOCD's own words.
 */
#include <inttypes.h>
#include <ocdmux.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(struct ocdmux_error *error)
{
    fprintf(stderr, "%s: %s%s%s\n", error->kind, error->message, error->has_openocd ? " | OpenOCD: " : "",
            error->has_openocd ? error->openocd_text : "");
    ocdmux_error_fini(error);
    return 1;
}

static int print_words(struct ocdmux *connection, uint64_t address)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    uint64_t words[4];
    if (!ocdmux_read_values(connection, NULL, 32, address, words, 4, &error)) {
        return fail(&error);
    }
    printf("0x%08" PRIx64 ": %08" PRIx64 " %08" PRIx64 " %08" PRIx64 " %08" PRIx64 "\n", address, words[0],
           words[1], words[2], words[3]);
    return 0;
}

static int print_bytes(struct ocdmux *connection, uint64_t address, size_t size)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_job job = {0};
    job.timeout_ms = 30000;
    unsigned char *bytes = malloc(size);
    if (bytes == NULL) {
        return 1;
    }
    if (!ocdmux_read_bytes(connection, &job, address, bytes, size, &error)) {
        free(bytes);
        return fail(&error);
    }
    for (size_t i = 0; i < size; i++) {
        printf("%02x", bytes[i]);
    }
    putchar('\n');
    free(bytes);
    return 0;
}

int main(int count, char **words)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux *connection = NULL;
    struct ocdmux_tls tls = {getenv("OCDMUX_CA"), NULL, NULL}; /* of "tls:" alone */
    if (count != 4) {
        fprintf(stderr, "usage: read SERVER ADDRESS SIZE\n");
        return 2;
    }
    if (!ocdmux_open_tls(words[1], &tls, 0, &connection, &error)) {
        return fail(&error);
    }
    if (!ocdmux_hello(connection, "read example", getenv("OCDMUX_TOKEN"), 10000, NULL, &error)) {
        ocdmux_close(connection);
        return fail(&error);
    }
    uint64_t address = strtoull(words[2], NULL, 0);
    int status = print_words(connection, address);
    if (status == 0) {
        status = print_bytes(connection, address, (size_t)strtoull(words[3], NULL, 0));
    }
    ocdmux_close(connection);
    return status;
}
