/* The state of the flash in words. */
#include "outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fields.h"
#include "print.h"

static bool outcome_text_is(const cJSON *details, const char *name, const char *wanted)
{
    const char *text = field_text(details, name);
    return text != NULL && strcmp(text, wanted) == 0;
}

bool outcome_has_flash_state(const struct ocdmux_error *error)
{
    return outcome_text_is(error->details, "flash_state", "unchanged") ||
           outcome_text_is(error->details, "flash_state", "partial");
}

/*
 * Flash is changed on a halted target only, and the reset comes with success only: whoever stopped in between
 * has left it halted. Nothing is known where OpenOCD or the target has gone.
 */
static bool outcome_left_halted(const struct ocdmux_error *error)
{
    static const char *const kinds[] = {"flash_error", "verify_mismatch", "cancelled",
                                        "timeout",     "stage_error",     NULL};
    for (const char *const *kind = kinds; *kind != NULL; kind++) {
        if (ocdmux_error_is(error, *kind)) {
            return !outcome_text_is(error->details, "phase", "reset");
        }
    }
    return false;
}

static void outcome_print_done(const cJSON *details)
{
    uint64_t done;
    uint64_t total;
    const char *unit = field_text(details, "unit");
    if (unit == NULL || !field_u64(details, "done", &done) || !field_u64(details, "total", &total)) {
        return;
    }
    fprintf(stderr, " (%" PRIu64 " of %" PRIu64 " ", done, total);
    print_field(stderr, unit);
    fputs(" done)", stderr);
}

void outcome_print_flash(const struct ocdmux_error *error)
{
    const cJSON *details = error->details;
    if (outcome_text_is(details, "flash_state", "unchanged")) {
        fputs("  the flash is unchanged\n", stderr);
    } else if (outcome_text_is(details, "flash_state", "partial")) {
        bool erasing = outcome_text_is(details, "phase", "erase");
        fprintf(stderr, "  the flash is partly %s", erasing ? "erased" : "programmed");
        outcome_print_done(details);
        fputs(": flash it again before you use it\n", stderr);
        if (outcome_left_halted(error)) {
            fputs("  the target was left halted\n", stderr);
        }
    }
}
