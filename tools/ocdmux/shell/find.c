/* Reading find's arguments. */
#include "shell/find.h"

#include <ctype.h>
#include <string.h>

#include "shell/expr.h"
#include "shell/lexer.h"

#define FIND_COUNT_MAX 200000u

static bool find_refuse(struct err *err, const char *message)
{
    return err_set(err, ERR_INVALID_PARAMS, "%s", message);
}

/* "/w1", "/1w": a size and a count, in either order. */
static bool find_read_options(const char **text, struct find *find, char *size, struct err *err)
{
    const char *next = *text + strspn(*text, " \t");
    if (*next != '/') {
        *text = next;
        return true;
    }
    for (next++; *next != '\0' && !isspace((unsigned char)*next); next++) {
        if (isdigit((unsigned char)*next)) {
            find->most = find->most * 10 + (uint64_t)(*next - '0');
            if (find->most > FIND_COUNT_MAX) {
                return err_set(err, ERR_INVALID_PARAMS, "the count is 1 to %u", FIND_COUNT_MAX);
            }
        } else if (strchr("bhwg", *next) != NULL) {
            *size = *next;
        } else {
            return find_refuse(err, "Invalid size granularity.");
        }
    }
    *text = next;
    return true;
}

/* The next part, which may be the last one; `*text` moves behind its comma, to NULL behind the last. */
static bool find_part(const struct value_access *access, const char **text, struct value *ret_value,
                      struct err *err)
{
    struct expr_end end;
    if (!expr_compute_part(access, *text, ret_value, &end, err) || !value_decay(access, ret_value, err)) {
        return false;
    }
    if (type_is_void(ret_value->type)) {
        return find_refuse(err, "Value can't be converted to integer.");
    }
    *text = *end.rest == ',' ? end.rest + 1 : NULL;
    return true;
}

static bool find_read_range(const struct value_access *access, const char **text, struct find *find,
                            struct err *err)
{
    struct value value;
    if (!find_part(access, text, &value, err)) {
        return false;
    }
    find->start = value_integer(access, &value);
    if (access->machine->word_size < 8) {
        find->start &= UINT32_MAX;
    }
    if (*text == NULL) {
        return find_refuse(err, "Missing search parameters.");
    }
    *text += strspn(*text, " \t");
    bool is_length = **text == '+';
    *text += is_length ? 1 : 0;
    if (!find_part(access, text, &value, err)) {
        return false;
    }
    uint64_t number = value_integer(access, &value);
    if (is_length) {
        find->length = number;
    } else if (number < find->start) {
        return find_refuse(err, "Invalid search space, end precedes start.");
    } else {
        find->length = number - find->start + 1;
    }
    if (find->length > 0 && find->length - 1 > UINT64_MAX - find->start) {
        return find_refuse(err, "Search space too large.");
    }
    return true;
}

static void find_add_bytes(const struct value_access *access, struct find *find, uint64_t bits, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        uint64_t shift = access->machine->big_endian ? 8 * (size - 1 - i) : 8 * i;
        strbuf_append_byte(&find->pattern, (char)(uint8_t)(bits >> shift));
    }
}

/* One thing to find; `*text` moves on as in find_part(). */
static bool find_add(const struct value_access *access, const char **text, char size, struct find *find,
                     struct err *err)
{
    struct token token;
    struct token behind;
    struct value value;
    if (!lexer_next(*text, access->machine->word_size, &token, err)) {
        return false;
    }
    if (token.kind == TOKEN_STRING) {
        if (!lexer_string_bytes(&token, &find->pattern, err) ||
            !lexer_next(token.text + token.length, access->machine->word_size, &behind, err)) {
            return false;
        }
        if (behind.kind != TOKEN_END && behind.sign != ',') {
            return err_set(err, ERR_INVALID_PARAMS, "A syntax error in expression, near `%.100s'.",
                           behind.text);
        }
        *text = behind.kind == TOKEN_END ? NULL : behind.text + 1;
        return true;
    }
    if (!find_part(access, text, &value, err)) {
        return false;
    }
    const char *sizes = "bhwg";
    uint64_t bytes =
        size == '\0' ? type_size(value.type, access->machine) : (uint64_t)1 << (strchr(sizes, size) - sizes);
    bool whole = type_is_float(value.type) && size == '\0';
    find_add_bytes(access, find, whole ? value.bits : value_integer(access, &value), bytes);
    return true;
}

bool find_read(const struct value_access *access, const char *text, struct find *ret_find, struct err *err)
{
    char size = '\0';
    *ret_find = (struct find){.pattern = STRBUF_INIT};
    if (!find_read_options(&text, ret_find, &size, err)) {
        return false;
    }
    text += strspn(text, " \t");
    if (*text == '\0') {
        return find_refuse(err, "Missing search parameters.");
    }
    if (!find_read_range(access, &text, ret_find, err)) {
        return false;
    }
    if (text == NULL || text[strspn(text, " \t")] == '\0') {
        return find_refuse(err, "Missing search pattern.");
    }
    while (text != NULL) {
        if (!find_add(access, &text, size, ret_find, err)) {
            return false;
        }
        if (ret_find->pattern.length > FIND_PATTERN_MAX) {
            return err_set(err, ERR_INVALID_PARAMS, "a pattern has at most %u bytes", FIND_PATTERN_MAX);
        }
    }
    if (ret_find->pattern.length == 0) {
        return find_refuse(err, "Missing search pattern.");
    }
    if (ret_find->length > 0 && ret_find->pattern.length > ret_find->length) {
        return find_refuse(err, "Search space too small to contain pattern.");
    }
    return true;
}
