/* The errors of flash operations. */
#include "ops/flash_error.h"

#include <inttypes.h>
#include <string.h>

static const char *reason(const struct err *err)
{
    static const char not_erased[] = "not erased";
    if (strcasestr(err->message, "protected") != NULL) {
        return "protected";
    }
    bool says = memmem(err->openocd_text, err->openocd_length, not_erased, sizeof not_erased - 1) != NULL;
    return says ? "not_erased" : "driver";
}

enum op_verdict flash_error_fail(const struct ocd_reply *reply, struct err *err, const char *what,
                                 unsigned bank, uint64_t address)
{
    op_fail_openocd(reply, err, ERR_FLASH_ERROR, "%s at 0x%08" PRIx64, what, address);
    if (err->kind == ERR_FLASH_ERROR) {
        err_add_text(err, "reason", reason(err));
        err_add_integer(err, "bank", bank);
        err_add_address(err, "address", address);
    }
    return OP_FAILED;
}

bool flash_error_protected(struct err *err, unsigned bank, size_t sector, uint64_t address)
{
    err_set(err, ERR_FLASH_ERROR, "sector %zu of flash bank %u, at 0x%08" PRIx64 ", is protected", sector,
            bank, address);
    err_add_text(err, "reason", "protected");
    err_add_integer(err, "bank", bank);
    err_add_integer(err, "sector", sector);
    err_add_address(err, "address", address);
    return false;
}

/* The kinds of errors that the protocol lets say what became of the flash. */
static bool kind_has_state(enum err_kind kind)
{
    static const enum err_kind kinds[] = {
        ERR_FLASH_ERROR,     ERR_TARGET_NOT_HALTED, ERR_VERIFY_MISMATCH, ERR_OPENOCD_UNAVAILABLE,
        ERR_OUTCOME_UNKNOWN, ERR_TIMEOUT,           ERR_CANCELLED,       ERR_STAGE_ERROR,
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i] == kind) {
            return true;
        }
    }
    return false;
}

void flash_error_add_state(struct err *err, bool touched)
{
    if (kind_has_state(err->kind)) {
        err_add_text(err, "flash_state", touched ? "partial" : "unchanged");
    }
}
