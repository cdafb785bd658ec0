/* What json_check.c and json.c share: the inside of JSON strings, byte by byte. Not for others. Pure. */
#ifndef OCDMUX_RPC_JSON_TEXT_H
#define OCDMUX_RPC_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes at the start are printable ASCII or DEL and neither a quote nor a backslash. */
size_t json_text_run(const char *text, size_t length);

static inline bool json_text_is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* Reads the four hex digits of a \u escape, of which `length` bytes are left; false if they are not there. */
bool json_text_hex4(const char *text, size_t length, uint32_t *ret_value) __attribute__((warn_unused_result));

/* Reads a checked string's content as unescaped bytes, in pieces. */
struct json_text_reader {
    const char *at;
    const char *end;
    char character[4]; /* what the last escape stood for */
};

/* `content` is the string without its quotes. */
void json_text_reader_init(struct json_text_reader *reader, const char *content, size_t length);
/* The next bytes, at least one: from the text itself or, for an escape, from the reader. False at the end. */
bool json_text_read(struct json_text_reader *reader, const char **ret_bytes, size_t *ret_length)
    __attribute__((warn_unused_result));

/* Compares the unescaped contents of two checked strings, as memcmp() would; a prefix is the smaller one. */
int json_text_compare(const char *a, size_t a_length, const char *b, size_t b_length);

#endif
