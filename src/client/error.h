/* How the library makes its own errors. */
#ifndef OCDMUX_CLIENT_ERROR_H
#define OCDMUX_CLIENT_ERROR_H

#include "client/ocdmux.h"

/* Fills `error` as a local one, dropping what it held, and returns false. */
bool error_set(struct ocdmux_error *error, const char *kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A deep copy, dropping what `to` held. */
void error_copy(struct ocdmux_error *to, const struct ocdmux_error *from);
/* Moves what `from` holds into `to`, dropping what that held. */
void error_move(struct ocdmux_error *to, struct ocdmux_error *from);

#endif
