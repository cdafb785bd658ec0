/*
 * What went wrong, in the words of the protocol: a kind that programs switch on, a message that people read,
 * OpenOCD's own words where it said something, and a few named details.
 */
#ifndef OCDMUX_BASE_ERR_H
#define OCDMUX_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err_kinds.h"

#define ERR_MESSAGE_SIZE 512
#define ERR_OPENOCD_TEXT_SIZE 2048
#define ERR_DETAILS_MAX 10
#define ERR_DETAIL_TEXT_SIZE 288

enum err_detail_type {
    ERR_DETAIL_INTEGER, /* a JSON integer */
    ERR_DETAIL_ADDRESS, /* "0x%08llx", as the protocol prints addresses */
    ERR_DETAIL_TEXT,    /* a JSON string */
};

struct err_detail {
    const char *name; /* static storage */
    enum err_detail_type type;
    uint64_t number;
    char text[ERR_DETAIL_TEXT_SIZE];
};

/* Plain data: copied by assignment, nothing to free. Only err_set() and err_reset() bring one into use. */
struct err {
    enum err_kind kind;
    char message[ERR_MESSAGE_SIZE]; /* never ends in a newline; cut, with "...", where it would not fit */
    bool has_openocd;
    long openocd_code;
    size_t openocd_length;
    char openocd_text[ERR_OPENOCD_TEXT_SIZE]; /* raw bytes as OpenOCD sent them, not NUL-terminated */
    unsigned detail_count;
    struct err_detail details[ERR_DETAILS_MAX];
};

/* Forgets everything that `err` held. */
void err_reset(struct err *err);

/* Fills `err`, dropping what it held, and returns false, so that `return err_set(...)` reads well. */
bool err_set(struct err *err, enum err_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "text: " before the message. */
void err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* OpenOCD's return code and words; longer text keeps its end, where the reason stands, after a "...". */
void err_set_openocd(struct err *err, long code, const char *text, size_t length);

/* Details; one more than ERR_DETAILS_MAX is dropped; the same name again replaces. */
void err_add_integer(struct err *err, const char *name, uint64_t value);
void err_add_address(struct err *err, const char *name, uint64_t address);
void err_add_text(struct err *err, const char *name, const char *text);

/* NULL if there is no detail of that name. */
const struct err_detail *err_find_detail(const struct err *err, const char *name);

#endif
