/* Reading formats. */
#include "shell/format.h"

#include <ctype.h>
#include <string.h>

#include "shell/show.h"

/* The size that goes with a letter where none is given. */
static char format_default_size(char letter, char last_size)
{
    switch (letter) {
    case 'a':
        return last_size == '\0' ? '\0' : 'a';
    case 'f':
        return last_size == '\0' || last_size == 'w' ? last_size : 'g';
    case 'c':
        return last_size == '\0' ? '\0' : 'b';
    case 's':
        return '\0';
    default:
        return last_size;
    }
}

static bool format_read_count(const char **text, int64_t *ret_count, struct err *err)
{
    bool backwards = **text == '-';
    const char *next = *text + (backwards ? 1 : 0);
    int64_t count = 0;
    if (!isdigit((unsigned char)*next)) {
        *ret_count = backwards ? -1 : 1;
        *text = next;
        return true;
    }
    for (; isdigit((unsigned char)*next); next++) {
        count = count * 10 + (*next - '0');
        if (count > FORMAT_COUNT_MAX) {
            return err_set(err, ERR_INVALID_PARAMS, "the count is 0 to %d", FORMAT_COUNT_MAX);
        }
    }
    *ret_count = backwards ? -count : count;
    *text = next;
    return true;
}

bool format_read(const char *text, const struct format *last, struct format *ret_format,
                 const char **ret_rest, struct err *err)
{
    struct format format = {.count = 1};
    if (!format_read_count(&text, &format.count, err)) {
        return false;
    }
    for (; islower((unsigned char)*text); text++) {
        if (strchr("bhwg", *text) != NULL) {
            format.size = *text;
        } else if (*text != 'r') {
            format.letter = *text;
        }
    }
    if (format.letter == '\0') {
        format.letter = last->letter;
        if (format.size == '\0') {
            format.size = last->size;
        } else if (format.letter == 'i') {
            format.letter = 'x';
        }
    } else if (format.size == '\0') {
        format.size = format_default_size(format.letter, last->size);
    }
    if (!show_is_format(format.letter) && format.letter != 'i') {
        return err_set(err, ERR_INVALID_PARAMS, "Undefined output format \"%c\".", format.letter);
    }
    *ret_format = format;
    *ret_rest = text;
    return true;
}
