/* Numbers as people type them. Pure. */
#ifndef OCDMUX_TOOL_NUMBERS_H
#define OCDMUX_TOOL_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

enum number_kind {
    NUMBER_PLAIN, /* decimal, or 0x and hex digits */
    NUMBER_SIZE,  /* the same, and a K (1,024) or M (1,048,576) behind decimal digits, in either case */
};

/*
 * 0 to 2^64-1. False for anything else; also for a decimal number that starts with a zero, which some read as
 * octal.
 */
bool number_parse(const char *text, enum number_kind kind, uint64_t *ret_value)
    __attribute__((warn_unused_result));

#endif
