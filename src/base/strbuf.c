/* The growing byte buffer: doubles, so that adding byte by byte costs linear time, and always ends in a NUL.
 */
#include "base/strbuf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define FIRST_CAPACITY 64u

void strbuf_init(struct strbuf *buf)
{
    *buf = (struct strbuf)STRBUF_INIT;
}

void strbuf_fini(struct strbuf *buf)
{
    free(buf->data);
    strbuf_init(buf);
}

void strbuf_clear(struct strbuf *buf)
{
    strbuf_truncate(buf, 0);
}

void strbuf_reserve(struct strbuf *buf, size_t more)
{
    if (buf->data != NULL && more < buf->capacity - buf->length) {
        return;
    }
    if (more >= SIZE_MAX / 2 - buf->length) {
        fprintf(stderr, "ocdmux: a buffer of %zu bytes cannot grow by %zu\n", buf->length, more);
        abort();
    }
    size_t wanted = buf->length + more + 1;
    size_t capacity = buf->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buf->capacity * 2;
    if (capacity < wanted) {
        capacity = wanted;
    }
    buf->data = xrealloc(buf->data, capacity);
    buf->capacity = capacity;
    buf->data[buf->length] = '\0';
}

void strbuf_append(struct strbuf *buf, const void *bytes, size_t length)
{
    char *place = strbuf_extend(buf, length);
    if (length > 0) {
        memcpy(place, bytes, length);
    }
}

void strbuf_append_text(struct strbuf *buf, const char *text)
{
    strbuf_append(buf, text, strlen(text));
}

void strbuf_append_byte(struct strbuf *buf, char byte)
{
    strbuf_reserve(buf, 1);
    buf->data[buf->length] = byte;
    buf->length++;
    buf->data[buf->length] = '\0';
}

void strbuf_appendf(struct strbuf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    strbuf_appendv(buf, format, arguments);
    va_end(arguments);
}

void strbuf_appendv(struct strbuf *buf, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    strbuf_reserve(buf, 1);
    size_t room = buf->capacity - buf->length;
    int printed = vsnprintf(buf->data + buf->length, room, format, arguments);
    assert(printed >= 0);
    size_t length = (size_t)printed;
    if (length >= room) {
        strbuf_reserve(buf, length);
        vsnprintf(buf->data + buf->length, length + 1, format, again);
    }
    va_end(again);
    buf->length += length;
}

char *strbuf_extend(struct strbuf *buf, size_t length)
{
    strbuf_reserve(buf, length);
    char *place = buf->data + buf->length;
    buf->length += length;
    buf->data[buf->length] = '\0';
    return place;
}

void strbuf_truncate(struct strbuf *buf, size_t length)
{
    assert(length <= buf->length);
    buf->length = length;
    if (buf->data != NULL) {
        buf->data[length] = '\0';
    }
}

char *strbuf_steal(struct strbuf *buf)
{
    strbuf_reserve(buf, 0);
    char *data = buf->data;
    strbuf_init(buf);
    return data;
}

const char *strbuf_text(const struct strbuf *buf)
{
    return buf->data == NULL ? "" : buf->data;
}
