/* Cutting expressions into tokens. */
#include "shell/lexer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"

#define LEXER_NUMBER_MAX 128u

static bool lexer_is_name(char character)
{
    return isalnum((unsigned char)character) || character == '_';
}

/* --- numbers --- */

static bool lexer_is_hex(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

/* How far a number goes: letters, digits and dots, and a sign behind an exponent's letter. */
static size_t lexer_number_length(const char *text)
{
    bool hex = lexer_is_hex(text);
    size_t length = 0;
    while (isalnum((unsigned char)text[length]) || text[length] == '.') {
        char lower = (char)tolower((unsigned char)text[length]);
        bool exponent = hex ? lower == 'p' : lower == 'e';
        length++;
        if (exponent && length > 1 && (text[length] == '+' || text[length] == '-')) {
            length++;
        }
    }
    return length;
}

static bool lexer_invalid_number(const struct token *token, struct err *err)
{
    int length = (int)(token->length < LEXER_NUMBER_MAX ? token->length : LEXER_NUMBER_MAX);
    return err_set(err, ERR_INVALID_PARAMS, "Invalid number \"%.*s\".", length, token->text);
}

static bool lexer_is_float(const struct token *token)
{
    bool hex = lexer_is_hex(token->text);
    for (size_t i = 0; i < token->length; i++) {
        char lower = (char)tolower((unsigned char)token->text[i]);
        if (lower == '.' || (hex && lower == 'p') || (!hex && lower == 'e')) {
            return true;
        }
    }
    return false;
}

static bool lexer_read_float(struct token *token, struct err *err)
{
    char copy[LEXER_NUMBER_MAX];
    char *end = NULL;
    if (token->length >= sizeof(copy)) {
        return lexer_invalid_number(token, err);
    }
    memcpy(copy, token->text, token->length);
    copy[token->length] = '\0';
    token->kind = TOKEN_FLOAT;
    token->type = TYPE_DOUBLE;
    token->number = strtod(copy, &end);
    if (*end == 'f' || *end == 'F') {
        token->type = TYPE_FLOAT;
        end++;
    } else if (*end == 'l' || *end == 'L') {
        end++;
    }
    return end > copy && *end == '\0' ? true : lexer_invalid_number(token, err);
}

/* The first type of C's list that holds it. */
static bool lexer_type_integer(struct token *token, bool is_unsigned, unsigned longs, bool decimal,
                               unsigned word_size, struct err *err)
{
    static const enum type_base types[] = {TYPE_INT, TYPE_LONG, TYPE_LONG_LONG};
    const unsigned sizes[] = {4, word_size, 8};
    for (unsigned i = longs; i < 3; i++) {
        uint64_t most = sizes[i] == 8 ? UINT64_MAX : UINT32_MAX;
        bool last = decimal && i == 2;
        if (!is_unsigned && token->integer <= most >> 1) {
            token->type = types[i];
            return true;
        }
        if ((is_unsigned || !decimal || last) && token->integer <= most) {
            token->type = (enum type_base)(types[i] + 1);
            return true;
        }
    }
    return err_set(err, ERR_INVALID_PARAMS, "Numeric constant too large.");
}

static unsigned lexer_base(const char *text, size_t *ret_prefix)
{
    char lower = (char)tolower((unsigned char)text[1]);
    *ret_prefix = 2;
    if (text[0] == '0' && lower == 'x') {
        return 16;
    }
    if (text[0] == '0' && lower == 'b') {
        return 2;
    }
    *ret_prefix = 0;
    return text[0] == '0' ? 8 : 10;
}

static bool lexer_read_integer(struct token *token, unsigned word_size, struct err *err)
{
    size_t place;
    unsigned base = lexer_base(token->text, &place);
    size_t first = place;
    for (; place < token->length; place++) {
        int digit = hex_digit(token->text[place]);
        if (digit < 0 || (unsigned)digit >= base) {
            break;
        }
        if (token->integer > (UINT64_MAX - (unsigned)digit) / base) {
            return err_set(err, ERR_INVALID_PARAMS, "Numeric constant too large.");
        }
        token->integer = token->integer * base + (unsigned)digit;
    }
    bool is_unsigned = false;
    unsigned longs = 0;
    bool digits = place > first;
    for (; place < token->length; place++) {
        char lower = (char)tolower((unsigned char)token->text[place]);
        if (lower == 'u' && !is_unsigned) {
            is_unsigned = true;
        } else if (lower == 'l' && longs < 2) {
            longs++;
        } else {
            break;
        }
    }
    if (!digits || place < token->length) {
        return lexer_invalid_number(token, err);
    }
    token->kind = TOKEN_INTEGER;
    return lexer_type_integer(token, is_unsigned, longs, base == 10, word_size, err);
}

/* --- characters and strings --- */

static int lexer_escaped_letter(char letter)
{
    static const char letters[] = "abefnrtv\\'\"?";
    static const char meanings[] = "\a\b\033\f\n\r\t\v\\'\"?";
    const char *found = letter == '\0' ? NULL : strchr(letters, letter);
    return found == NULL ? -1 : (unsigned char)meanings[found - letters];
}

/* The character that begins at `*place`, which moves behind it. */
static bool lexer_read_character(const char *text, size_t length, size_t *place, unsigned char *ret_character,
                                 struct err *err)
{
    if (text[*place] != '\\') {
        *ret_character = (unsigned char)text[(*place)++];
        return true;
    }
    size_t at = *place + 1;
    unsigned value = 0;
    size_t digits = 0;
    if (at < length && text[at] == 'x') {
        for (at++; at < length && hex_digit(text[at]) >= 0 && value <= 0xff; at++, digits++) {
            value = value << 4 | (unsigned)hex_digit(text[at]);
        }
    } else if (at < length && text[at] >= '0' && text[at] <= '7') {
        for (; at < length && digits < 3 && text[at] >= '0' && text[at] <= '7'; at++, digits++) {
            value = value << 3 | (unsigned)(text[at] - '0');
        }
    } else if (at < length && lexer_escaped_letter(text[at]) >= 0) {
        value = (unsigned)lexer_escaped_letter(text[at++]);
        digits = 1;
    }
    if (digits == 0 || value > 0xff) {
        return err_set(err, ERR_INVALID_PARAMS, "there is no such escape as `\\%.*s'",
                       (int)(length - *place - 1 < 4 ? length - *place - 1 : 4), text + *place + 1);
    }
    *ret_character = (unsigned char)value;
    *place = at;
    return true;
}

/* A token between two quotes, whose insides may hold escaped ones. */
static bool lexer_read_quoted(struct token *token, struct err *err)
{
    char quote = token->text[0];
    size_t length = 1;
    while (token->text[length] != '\0' && token->text[length] != quote) {
        length += token->text[length] == '\\' && token->text[length + 1] != '\0' ? 2 : 1;
    }
    if (token->text[length] == '\0') {
        return err_set(err, ERR_INVALID_PARAMS,
                       quote == '"' ? "Unterminated string in expression." : "Unmatched single quote.");
    }
    token->length = length + 1;
    if (quote == '"') {
        token->kind = TOKEN_STRING;
        return true;
    }
    unsigned char character;
    size_t place = 1;
    if (length == 1) {
        return err_set(err, ERR_INVALID_PARAMS, "A character constant must contain at least one character.");
    }
    if (!lexer_read_character(token->text, length, &place, &character, err)) {
        return false;
    }
    if (place != length) {
        return err_set(err, ERR_INVALID_PARAMS, "Invalid character constant.");
    }
    token->kind = TOKEN_CHARACTER;
    token->type = TYPE_CHAR;
    token->integer = character;
    return true;
}

bool lexer_string_bytes(const struct token *token, struct strbuf *out, struct err *err)
{
    size_t place = 1;
    while (place < token->length - 1) {
        unsigned char character;
        if (!lexer_read_character(token->text, token->length - 1, &place, &character, err)) {
            return false;
        }
        strbuf_append_byte(out, (char)character);
    }
    return true;
}

/* --- signs --- */

static bool lexer_read_sign(struct token *token, struct err *err)
{
    static const char pairs[][3] = {"<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++",
                                    "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="};
    static const char singles[] = "+-*/%&|^~!<>=()[]{}?:,@";
    const char *text = token->text;
    token->kind = TOKEN_SIGN;
    if (strncmp(text, "<<=", 3) == 0 || strncmp(text, ">>=", 3) == 0) {
        token->length = 3;
        token->sign = SIGN2(SIGN2(text[0], text[1]), text[2]);
        return true;
    }
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (strncmp(text, pairs[i], 2) == 0) {
            token->length = 2;
            token->sign = SIGN2(text[0], text[1]);
            return true;
        }
    }
    if (strchr(singles, text[0]) == NULL) {
        return err_set(err, ERR_INVALID_PARAMS, "Invalid character '%c' in expression.", text[0]);
    }
    token->length = 1;
    token->sign = (unsigned char)text[0];
    return true;
}

bool lexer_next(const char *text, unsigned word_size, struct token *ret_token, struct err *err)
{
    text += strspn(text, " \t\r\n");
    struct token token = {.kind = TOKEN_END, .text = text};
    bool good = true;
    if (text[0] == '\0') {
        token.kind = TOKEN_END;
    } else if (isdigit((unsigned char)text[0]) || (text[0] == '.' && isdigit((unsigned char)text[1]))) {
        token.length = lexer_number_length(text);
        good = lexer_is_float(&token) ? lexer_read_float(&token, err)
                                      : lexer_read_integer(&token, word_size, err);
    } else if (text[0] == '\'' || text[0] == '"') {
        good = lexer_read_quoted(&token, err);
    } else if (text[0] == '$' || lexer_is_name(text[0])) {
        token.kind = text[0] == '$' ? TOKEN_DOLLAR : TOKEN_NAME;
        token.length = 1;
        while (lexer_is_name(text[token.length]) || text[token.length] == '$') {
            token.length++;
        }
    } else {
        good = lexer_read_sign(&token, err);
    }
    if (good) {
        *ret_token = token;
    }
    return good;
}
