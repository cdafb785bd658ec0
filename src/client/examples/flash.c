/*
 * Programs an image file under a lease, and shows how far it is.
 *
 *     flash SERVER FILE
 *
 * What plain bytes are goes to the base of the flash; the other formats have addresses of their own.
 */
#include <inttypes.h>
#include <ocdmux.h>
#include <stdio.h>
#include <stdlib.h>

#define LEASE_MS 600000u
#define LEASE_WAIT_MS 60000u

static int fail(struct ocdmux_error *error)
{
    fprintf(stderr, "%s: %s%s%s\n", error->kind, error->message, error->has_openocd ? " | OpenOCD: " : "",
            error->has_openocd ? error->openocd_text : "");
    ocdmux_error_fini(error);
    return 1;
}

/* False would stop it between two pieces. */
static bool show(void *arg, const char *phase, uint64_t done, uint64_t total)
{
    (void)arg;
    printf("%s: %" PRIu64 " of %" PRIu64 "\n", phase, done, total);
    return true;
}

static int program(struct ocdmux *connection, const char *file)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_flash_options options = {0};
    struct ocdmux_job job = {0};
    options.prepare = "reset_halt";
    options.reset = "run";
    job.progress = show;
    if (!ocdmux_flash_file(connection, &job, file, &options, &result, &error)) {
        return fail(&error);
    }
    printf("%s\n", result.text);
    ocdmux_result_fini(&result);
    return 0;
}

int main(int count, char **words)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux *connection = NULL;
    struct ocdmux_lease lease;
    if (count != 3) {
        fprintf(stderr, "usage: flash SERVER FILE\n");
        return 2;
    }
    if (!ocdmux_open(words[1], 0, &connection, &error)) {
        return fail(&error);
    }
    if (!ocdmux_hello(connection, "flash example", getenv("OCDMUX_TOKEN"), 10000, NULL, &error) ||
        !ocdmux_lease_acquire(connection, NULL, LEASE_MS, LEASE_WAIT_MS, "an example", &lease, &error)) {
        ocdmux_close(connection);
        return fail(&error);
    }
    int status = program(connection, words[2]);
    if (!ocdmux_lease_release(connection, NULL, &error)) {
        status = fail(&error);
    }
    ocdmux_close(connection);
    return status;
}
