/*
 * How many clients there is room for. Each connection is a descriptor, and the daemon needs some itself: a
 * crowd that took them all would keep links from coming back and files from being opened.
 */
#ifndef OCDMUX_SERVER_PLACES_H
#define OCDMUX_SERVER_PLACES_H

#include "server/config.h"

/* Descriptors that are not for clients: listeners, and for each board its link, its process, its files and
 * its gdbs. */
uint64_t places_reserved(const struct config *config);
/* limits.max_clients, or as many as so many descriptors carry beside those that are reserved; 1 at least. */
uint64_t places_for(const struct config *config, uint64_t descriptors);
/* The same for the descriptors that this process may open now (RLIMIT_NOFILE). Logs a warning where these do
 * not carry limits.max_clients. */
uint64_t places_now(const struct config *config);

#endif
