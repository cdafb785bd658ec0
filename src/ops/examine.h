/* Looking again for the targets that OpenOCD did not find. */
#ifndef OCDMUX_OPS_EXAMINE_H
#define OCDMUX_OPS_EXAMINE_H

#include "ops/op.h"

/* Of those that are neither deferred nor behind a TAP that is off. That it does not find one either is no
 * failure: the next survey tells. */
struct op *examine_new(void);

#endif
