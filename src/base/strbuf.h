/* A growing byte buffer. Always NUL-terminated behind its length once something was added. */
#ifndef OCDMUX_BASE_STRBUF_H
#define OCDMUX_BASE_STRBUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf {
    char *data; /* NULL until something is added */
    size_t length;
    size_t capacity;
};

#define STRBUF_INIT \
    {               \
        NULL, 0, 0  \
    }

void strbuf_init(struct strbuf *buf);
void strbuf_fini(struct strbuf *buf);
/* Empties it and keeps the memory. */
void strbuf_clear(struct strbuf *buf);
/* Makes room for `more` bytes behind the length. */
void strbuf_reserve(struct strbuf *buf, size_t more);
void strbuf_append(struct strbuf *buf, const void *bytes, size_t length);
void strbuf_append_text(struct strbuf *buf, const char *text);
void strbuf_append_byte(struct strbuf *buf, char byte);
void strbuf_appendf(struct strbuf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void strbuf_appendv(struct strbuf *buf, const char *format, va_list arguments);
/* Adds `length` uninitialised bytes and returns where they begin; valid until the next addition. */
char *strbuf_extend(struct strbuf *buf, size_t length);
/* Cuts to `length`, which is not beyond the present one. */
void strbuf_truncate(struct strbuf *buf, size_t length);
/* Hands the memory to the caller (free()) and leaves the buffer empty; never NULL. */
char *strbuf_steal(struct strbuf *buf);
/* The text, "" where empty. */
const char *strbuf_text(const struct strbuf *buf);

#endif
