/* JSON text, written straight into a buffer. Commas are the writer's care. Pure. */
#ifndef OCDMUX_RPC_JSON_WRITE_H
#define OCDMUX_RPC_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

struct json_writer {
    struct strbuf *out; /* the caller's */
    bool comma;         /* the next value needs a comma before it */
};

void json_writer_init(struct json_writer *json, struct strbuf *out);

/* `key` is NULL inside arrays and for the outermost value; it is plain ASCII that needs no escaping. */
void json_open_object(struct json_writer *json, const char *key);
void json_close_object(struct json_writer *json);
void json_open_array(struct json_writer *json, const char *key);
void json_close_array(struct json_writer *json);

void json_null(struct json_writer *json, const char *key);
void json_bool(struct json_writer *json, const char *key, bool value);
void json_u64(struct json_writer *json, const char *key, uint64_t value);
void json_i64(struct json_writer *json, const char *key, int64_t value);
/* "0x%08x", longer where needed: the protocol's form of addresses and 64-bit values. */
void json_address(struct json_writer *json, const char *key, uint64_t value);
void json_text(struct json_writer *json, const char *key, const char *text);
/* Any bytes: what is not UTF-8, and NUL, becomes U+FFFD, so that the line is as strict as those that are
 * read. */
void json_text_bytes(struct json_writer *json, const char *key, const char *bytes, size_t length);
/* Base64, or lower-case hex. */
void json_bytes(struct json_writer *json, const char *key, const uint8_t *bytes, size_t length, bool hex);
/* Text that is JSON already. */
void json_raw(struct json_writer *json, const char *key, const char *text, size_t length);

/* The JSON-RPC error object: {"code", "message", "data": {"kind", details..., "openocd": {"code", "text"}}}.
 */
void json_error(struct json_writer *json, const char *key, const struct err *err);

#endif
