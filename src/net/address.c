/* Reading the texts that name where to listen and where to connect. */
#include "net/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "net/socket.h"

#define HOST_SIZE 256
#define MAX_PORT 65535u

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool parse_port(const char *text, uint16_t *ret_port)
{
    size_t length = strlen(text);
    if (length < 1 || length > 5 || strspn(text, "0123456789") != length) {
        return false;
    }
    unsigned port = 0;
    for (size_t i = 0; i < length; i++) {
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port > MAX_PORT) {
        return false;
    }
    *ret_port = (uint16_t)port;
    return true;
}

/* Cuts "HOST:PORT" or "[HOST]:PORT"; only the latter may have colons in HOST. */
static bool split_host(const char *text, char host[HOST_SIZE], const char **ret_port)
{
    bool bracketed = text[0] == '[';
    const char *begin = bracketed ? text + 1 : text;
    const char *end = strchr(begin, bracketed ? ']' : ':');
    if (end == NULL || end == begin || (size_t)(end - begin) >= HOST_SIZE) {
        return false;
    }
    const char *colon = bracketed ? end + 1 : end;
    if (*colon != ':' || strchr(colon + 1, ':') != NULL) {
        return false;
    }
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    *ret_port = colon + 1;
    return true;
}

/* OpenOCD listens on IPv4 alone, and "localhost" often gives ::1 first: an IPv4 address wins where there is
 * one. */
static const struct addrinfo *choose(const struct addrinfo *found)
{
    for (const struct addrinfo *each = found; each != NULL; each = each->ai_next) {
        if (each->ai_family == AF_INET) {
            return each;
        }
    }
    return found;
}

static bool look_up(struct net_address *address, const char *host, uint16_t port, struct err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    struct addrinfo *found = NULL;
    int problem = getaddrinfo(host, service, &hints, &found);
    if (problem != 0) {
        return err_set(err, ERR_INVALID_PARAMS, "address \"%s\": host \"%s\": %s", address->text, host,
                       gai_strerror(problem));
    }
    const struct addrinfo *chosen = choose(found);
    memcpy(&address->storage, chosen->ai_addr, chosen->ai_addrlen);
    address->length = chosen->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool parse_tcp(struct net_address *address, const char *text, struct err *err)
{
    char host[HOST_SIZE];
    const char *port_text = NULL;
    if (!split_host(text, host, &port_text)) {
        return err_set(err, ERR_INVALID_PARAMS,
                       "address \"%s\": HOST:PORT is wanted, with an IPv6 address in brackets",
                       address->text);
    }
    uint16_t port = 0;
    if (!parse_port(port_text, &port)) {
        return err_set(err, ERR_INVALID_PARAMS, "address \"%s\": the port must be a number from 0 to %u",
                       address->text, MAX_PORT);
    }
    return look_up(address, host, port, err);
}

static bool parse_unix(struct net_address *address, const char *path, struct err *err)
{
    struct sockaddr_un *unix_address = (struct sockaddr_un *)&address->storage;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof unix_address->sun_path) {
        return err_set(err, ERR_INVALID_PARAMS, "address \"%s\": the path must have 1 to %zu bytes",
                       address->text, sizeof unix_address->sun_path - 1);
    }
    unix_address->sun_family = AF_UNIX;
    memcpy(unix_address->sun_path, path, length + 1);
    address->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return true;
}

static bool parse(struct net_address *ret_address, const char *text, bool scheme_needed, struct err *err)
{
    struct net_address address;
    memset(&address, 0, sizeof address);
    size_t length = strlen(text);
    if (length >= sizeof address.text) {
        return err_set(err, ERR_INVALID_PARAMS, "an address of %zu bytes: at most %zu are allowed", length,
                       sizeof address.text - 1);
    }
    memcpy(address.text, text, length + 1);
    bool parsed;
    if (starts_with(text, "unix:")) {
        parsed = parse_unix(&address, text + strlen("unix:"), err);
    } else if (starts_with(text, "tcp:")) {
        parsed = parse_tcp(&address, text + strlen("tcp:"), err);
    } else if (scheme_needed && starts_with(text, "tls:")) {
        address.tls = true;
        parsed = parse_tcp(&address, text + strlen("tls:"), err);
    } else if (scheme_needed) {
        parsed = err_set(err, ERR_INVALID_PARAMS,
                         "address \"%s\": tcp:HOST:PORT, tls:HOST:PORT or unix:PATH is wanted", text);
    } else {
        parsed = parse_tcp(&address, text, err);
    }
    if (parsed) {
        *ret_address = address;
    }
    return parsed;
}

bool net_address_parse(struct net_address *ret_address, const char *text, struct err *err)
{
    return parse(ret_address, text, true, err);
}

bool net_address_parse_host_port(struct net_address *ret_address, const char *text, struct err *err)
{
    return parse(ret_address, text, false, err);
}

bool net_address_of_socket(struct net_address *ret_address, int fd)
{
    struct net_address address;
    char text[SOCKET_TEXT_SIZE];
    memset(&address, 0, sizeof address);
    address.length = sizeof address.storage;
    address.passed_fd = fd;
    if (getsockname(fd, (struct sockaddr *)&address.storage, &address.length) != 0) {
        return false;
    }
    const struct sockaddr_un *unix_address = (const struct sockaddr_un *)&address.storage;
    switch (address.storage.ss_family) {
    case AF_INET:
    case AF_INET6:
        socket_address_text(&address.storage, address.length, text);
        snprintf(address.text, sizeof address.text, "tcp:%s", text);
        break;
    case AF_UNIX:
        /* Without a path it is a name of the kernel's, or none at all. */
        if (address.length <= offsetof(struct sockaddr_un, sun_path) || unix_address->sun_path[0] == '\0') {
            return false;
        }
        snprintf(address.text, sizeof address.text, "unix:%.*s", (int)sizeof unix_address->sun_path,
                 unix_address->sun_path);
        break;
    default:
        return false;
    }
    *ret_address = address;
    return true;
}

static bool is_same_ipv6(const struct sockaddr_in6 *one, const struct sockaddr_in6 *other)
{
    return one->sin6_port == other->sin6_port &&
           memcmp(&one->sin6_addr, &other->sin6_addr, sizeof one->sin6_addr) == 0;
}

bool net_address_is_same(const struct net_address *one, const struct net_address *other)
{
    if (one->storage.ss_family != other->storage.ss_family) {
        return false;
    }
    if (one->storage.ss_family == AF_UNIX) {
        const struct sockaddr_un *left = (const struct sockaddr_un *)&one->storage;
        const struct sockaddr_un *right = (const struct sockaddr_un *)&other->storage;
        return strncmp(left->sun_path, right->sun_path, sizeof left->sun_path) == 0;
    }
    if (one->storage.ss_family == AF_INET6) {
        return is_same_ipv6((const struct sockaddr_in6 *)&one->storage,
                            (const struct sockaddr_in6 *)&other->storage);
    }
    const struct sockaddr_in *left = (const struct sockaddr_in *)&one->storage;
    const struct sockaddr_in *right = (const struct sockaddr_in *)&other->storage;
    return left->sin_port == right->sin_port && left->sin_addr.s_addr == right->sin_addr.s_addr;
}

bool net_address_is_local(const struct net_address *address)
{
    const struct sockaddr_storage *storage = &address->storage;
    if (storage->ss_family == AF_UNIX) {
        return true;
    }
    if (storage->ss_family == AF_INET) {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)storage;
        return ntohl(ipv4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)storage;
    return storage->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr);
}

unsigned net_address_port(const struct net_address *address)
{
    switch (address->storage.ss_family) {
    case AF_INET:
        return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
    case AF_INET6:
        return ntohs(((const struct sockaddr_in6 *)&address->storage)->sin6_port);
    default:
        return 1;
    }
}

void net_address_set_port(struct net_address *address, unsigned port)
{
    char *colon = strrchr(address->text, ':');
    if (address->storage.ss_family == AF_UNIX || colon == NULL) {
        return;
    }
    if (address->storage.ss_family == AF_INET) {
        ((struct sockaddr_in *)&address->storage)->sin_port = htons((uint16_t)port);
    } else {
        ((struct sockaddr_in6 *)&address->storage)->sin6_port = htons((uint16_t)port);
    }
    snprintf(colon, sizeof address->text - (size_t)(colon - address->text), ":%u", port);
}

bool net_address_with_port(const struct net_address *address, unsigned port, struct net_address *ret_address)
{
    if (address->storage.ss_family == AF_UNIX) {
        return false;
    }
    *ret_address = *address;
    net_address_set_port(ret_address, port);
    return true;
}
