/* What the errors of everything that changes flash have in common. */
#ifndef OCDMUX_OPS_FLASH_ERROR_H
#define OCDMUX_OPS_FLASH_ERROR_H

#include "ops/op.h"

/*
 * OpenOCD refused or failed to do `what` to `bank`, from `address` on: flash_error with OpenOCD's words,
 * reason (protected, not_erased, driver), bank and address; target_not_halted where that is why. Returns
 * OP_FAILED.
 */
enum op_verdict flash_error_fail(const struct ocd_reply *reply, struct err *err, const char *what,
                                 unsigned bank, uint64_t address);
/* Sector `sector` of `bank`, at `address`, is protected. Returns false. */
bool flash_error_protected(struct err *err, unsigned bank, size_t sector, uint64_t address);
/* For `describe`: adds whether flash still holds what it held, where the protocol has a place for it. */
void flash_error_add_state(struct err *err, bool touched);

#endif
