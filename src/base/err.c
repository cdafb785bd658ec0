/* Filling in struct err. Every text that is cut is cut between UTF-8 characters, for it ends up in JSON. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define CUT_MARK "..."
#define CUT_MARK_LENGTH (sizeof CUT_MARK - 1)

/* Longer than any text that is kept, so that what was cut can be told from what fits. */
#define SCRATCH_SIZE (ERR_MESSAGE_SIZE * 2)

/* The longest prefix of `text`, up to `limit` bytes, that does not end inside a UTF-8 character. */
static size_t whole_characters(const char *text, size_t length, size_t limit)
{
    size_t cut = limit;
    while (cut > 0 && limit - cut < 4 && ((unsigned char)text[cut] & 0xc0u) == 0x80u) {
        cut--;
    }
    /* Bytes that are no UTF-8 at all are cut anywhere. */
    return utf8_sequence(text + cut, length - cut) > 0 ? cut : limit;
}

static void copy_cut(char *place, size_t size, const char *text, size_t length)
{
    if (length < size) {
        memcpy(place, text, length);
        place[length] = '\0';
        return;
    }
    size_t kept = whole_characters(text, length, size - 1 - CUT_MARK_LENGTH);
    memcpy(place, text, kept);
    memcpy(place + kept, CUT_MARK, CUT_MARK_LENGTH + 1);
}

static size_t printed_length(int printed, size_t size)
{
    if (printed < 0) {
        return 0;
    }
    return (size_t)printed < size ? (size_t)printed : size - 1;
}

static void set_message(struct err *err, const char *text, size_t length)
{
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) {
        length--;
    }
    copy_cut(err->message, sizeof err->message, text, length);
}

void err_reset(struct err *err)
{
    memset(err, 0, sizeof *err);
}

bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
    /* Printed aside first: the arguments may be texts of `err` itself. */
    char scratch[SCRATCH_SIZE];
    scratch[0] = '\0';
    va_list arguments;
    va_start(arguments, format);
    int printed = vsnprintf(scratch, sizeof scratch, format, arguments);
    va_end(arguments);
    err_reset(err);
    err->kind = kind;
    set_message(err, scratch, printed_length(printed, sizeof scratch));
    return false;
}

void err_prefix(struct err *err, const char *format, ...)
{
    char scratch[SCRATCH_SIZE];
    scratch[0] = '\0';
    va_list arguments;
    va_start(arguments, format);
    int printed = vsnprintf(scratch, sizeof scratch, format, arguments);
    va_end(arguments);
    size_t length = printed_length(printed, sizeof scratch);
    printed = snprintf(scratch + length, sizeof scratch - length, ": %s", err->message);
    set_message(err, scratch, length + printed_length(printed, sizeof scratch - length));
}

void err_set_openocd(struct err *err, long code, const char *text, size_t length)
{
    err->has_openocd = true;
    err->openocd_code = code;
    if (length <= sizeof err->openocd_text) {
        if (length > 0) {
            memmove(err->openocd_text, text, length);
        }
        err->openocd_length = length;
        return;
    }
    const char *end = text + length;
    const char *tail = end - (sizeof err->openocd_text - CUT_MARK_LENGTH);
    for (int skipped = 0; skipped < 3 && ((unsigned char)*tail & 0xc0u) == 0x80u; skipped++) {
        tail++;
    }
    size_t kept = (size_t)(end - tail);
    memmove(err->openocd_text + CUT_MARK_LENGTH, tail, kept);
    memcpy(err->openocd_text, CUT_MARK, CUT_MARK_LENGTH);
    err->openocd_length = CUT_MARK_LENGTH + kept;
}

static struct err_detail *find_detail(struct err *err, const char *name)
{
    for (unsigned i = 0; i < err->detail_count; i++) {
        if (strcmp(err->details[i].name, name) == 0) {
            return &err->details[i];
        }
    }
    return NULL;
}

static void add_detail(struct err *err, const char *name, enum err_detail_type type, uint64_t number,
                       const char *text)
{
    struct err_detail *detail = find_detail(err, name);
    if (detail == NULL) {
        if (err->detail_count == ERR_DETAILS_MAX) {
            return;
        }
        detail = &err->details[err->detail_count++];
        detail->name = name;
    }
    detail->type = type;
    detail->number = number;
    char scratch[ERR_DETAIL_TEXT_SIZE];
    copy_cut(scratch, sizeof scratch, text, strlen(text));
    memcpy(detail->text, scratch, sizeof scratch);
}

void err_add_integer(struct err *err, const char *name, uint64_t value)
{
    add_detail(err, name, ERR_DETAIL_INTEGER, value, "");
}

void err_add_address(struct err *err, const char *name, uint64_t address)
{
    add_detail(err, name, ERR_DETAIL_ADDRESS, address, "");
}

void err_add_text(struct err *err, const char *name, const char *text)
{
    add_detail(err, name, ERR_DETAIL_TEXT, 0, text);
}

const struct err_detail *err_find_detail(const struct err *err, const char *name)
{
    for (unsigned i = 0; i < err->detail_count; i++) {
        if (strcmp(err->details[i].name, name) == 0) {
            return &err->details[i];
        }
    }
    return NULL;
}
