/*
 * The strict check of JSON text: one pass, an explicit stack, no recursion. Keys of the objects that are open
 * are kept as places in the text, on one growing stack; when an object closes its keys are sorted, so that
 * equal ones meet.
 */
#include "rpc/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "rpc/json_text.h"

struct key {
    uint64_t hash; /* of the unescaped bytes */
    const char *text;
    size_t length;
};

/* An array or object that has begun and not ended. */
struct frame {
    char close;
    bool empty;
    size_t first_key; /* where its keys begin on the stack of keys */
};

struct checker {
    const char *start;
    const char *at;
    const char *end;
    size_t tokens;
    size_t depth;
    struct frame frames[JSON_MAX_DEPTH];
    struct key *keys;
    size_t key_count;
    size_t key_capacity;
    struct json_problem problem;
};

static bool fail_at(struct checker *check, const char *place, const char *reason)
{
    check->problem =
        (struct json_problem){.offset = (size_t)(place - check->start), .reason = reason, .limit = false};
    return false;
}

static bool fail(struct checker *check, const char *reason)
{
    return fail_at(check, check->at, reason);
}

static bool fail_limit(struct checker *check, const char *reason)
{
    fail(check, reason);
    check->problem.limit = true;
    return false;
}

static size_t left(const struct checker *check)
{
    return (size_t)(check->end - check->at);
}

/* The byte that is next, or NUL at the end: no NUL is ever expected. */
static char peek(const struct checker *check)
{
    return check->at < check->end ? *check->at : '\0';
}

static void skip_space(struct checker *check)
{
    while (check->at < check->end && json_text_is_space(*check->at)) {
        check->at++;
    }
}

static bool count_token(struct checker *check)
{
    check->tokens++;
    return check->tokens <= JSON_MAX_TOKENS || fail_limit(check, "too many values and keys");
}

/* ---- strings ---- */

static bool check_unicode_escape(struct checker *check)
{
    uint32_t code = 0;
    if (!json_text_hex4(check->at + 2, left(check) - 2, &code)) {
        return fail(check, "\\u without four hex digits");
    }
    if (code == 0) {
        return fail(check, "NUL in a string");
    }
    if (code >= 0xdc00 && code < 0xe000) {
        return fail(check, "lone surrogate");
    }
    if (code < 0xd800 || code >= 0xe000) {
        check->at += 6;
        return true;
    }
    uint32_t low = 0;
    bool pair = left(check) >= 12 && check->at[6] == '\\' && check->at[7] == 'u' &&
                json_text_hex4(check->at + 8, left(check) - 8, &low) && low >= 0xdc00 && low < 0xe000;
    if (!pair) {
        return fail(check, "lone surrogate");
    }
    check->at += 12;
    return true;
}

/* At a backslash. */
static bool check_escape(struct checker *check)
{
    if (left(check) < 2) {
        return fail(check, "string without an end");
    }
    char letter = check->at[1];
    if (letter == 'u') {
        return check_unicode_escape(check);
    }
    if (letter == '\0' || strchr("\"\\/bfnrt", letter) == NULL) {
        return fail(check, "unknown escape");
    }
    check->at += 2;
    return true;
}

/* At a byte that is no printable ASCII and no quote. */
static bool check_special(struct checker *check)
{
    unsigned char byte = (unsigned char)*check->at;
    if (byte == '\\') {
        return check_escape(check);
    }
    if (byte < 0x20) {
        return fail(check, byte == 0 ? "NUL in a string" : "control character in a string");
    }
    size_t sequence = utf8_sequence(check->at, left(check));
    check->at += sequence;
    return sequence > 0 || fail(check, "invalid UTF-8");
}

/* At a quote. */
static bool check_string(struct checker *check)
{
    const char *quote = check->at;
    check->at++;
    for (;;) {
        check->at += json_text_run(check->at, left(check));
        if (check->at == check->end) {
            return fail_at(check, quote, "string without an end");
        }
        if (*check->at == '"') {
            check->at++;
            return true;
        }
        if (!check_special(check)) {
            return false;
        }
    }
}

/* ---- numbers ---- */

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static bool check_digits(struct checker *check)
{
    if (!is_digit(peek(check))) {
        return fail(check, "digit expected");
    }
    while (is_digit(peek(check))) {
        check->at++;
    }
    return true;
}

/*
 * 2^1024 - 2^970, the least number that rounds to infinity in IEEE 754 binary64: 309 digits. It is compared
 * digit by digit, because strtod() needs a copy and follows the locale.
 */
static const char overflow_digits[] =
    "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587"
    "207096330286416692887910946555547851940402630657488671505820681908902000708383676273854845817711"
    "531764475730270069855571366959622842914819860834936475292719074168444365510704342711559699508093"
    "042880177904174497792";
#define OVERFLOW_EXPONENT 308

/* A number's digits and exponent, as the grammar has found them. */
struct number {
    const char *digits; /* integer part, then perhaps a point and the fraction */
    const char *digits_end;
    int64_t exponent;
};

/* The exponent behind the "e", held far beyond what matters and far below what overflows. */
static int64_t read_exponent(const char *text, const char *end)
{
    bool negative = *text == '-';
    int64_t value = 0;
    for (text += negative || *text == '+'; text < end; text++) {
        if (value < INT64_C(1000000000000000)) {
            value = value * 10 + (*text - '0');
        }
    }
    return negative ? -value : value;
}

/* Steps over the point; zeros behind the last digit. */
static char next_digit(const char **at, const char *end)
{
    if (*at < end && **at == '.') {
        (*at)++;
    }
    if (*at == end) {
        return '0';
    }
    char digit = **at;
    (*at)++;
    return digit;
}

static bool number_is_finite(struct number number)
{
    const char *at = number.digits;
    const char *point = memchr(at, '.', (size_t)(number.digits_end - at));
    const char *integer_end = point != NULL ? point : number.digits_end;
    while (at < number.digits_end && (*at == '0' || *at == '.')) {
        at++;
    }
    if (at == number.digits_end) {
        return true; /* zero */
    }
    /* Of the first digit that is not 0: its power of ten. */
    int64_t power = number.exponent + (integer_end - at) - (at < integer_end ? 1 : 0);
    if (power != OVERFLOW_EXPONENT) {
        return power < OVERFLOW_EXPONENT;
    }
    for (const char *limit = overflow_digits; *limit != '\0'; limit++) {
        char digit = next_digit(&at, number.digits_end);
        if (digit != *limit) {
            return digit < *limit;
        }
    }
    return false;
}

static bool check_number(struct checker *check)
{
    const char *start = check->at;
    check->at += peek(check) == '-';
    struct number number = {.digits = check->at};
    if (peek(check) == '0' && left(check) > 1 && is_digit(check->at[1])) {
        return fail(check, "number with a leading zero");
    }
    if (!check_digits(check)) {
        return false;
    }
    if (peek(check) == '.') {
        check->at++;
        if (!check_digits(check)) {
            return false;
        }
    }
    number.digits_end = check->at;
    if (peek(check) == 'e' || peek(check) == 'E') {
        check->at++;
        const char *exponent = check->at;
        check->at += peek(check) == '+' || peek(check) == '-';
        if (!check_digits(check)) {
            return false;
        }
        number.exponent = read_exponent(exponent, check->at);
    }
    return number_is_finite(number) || fail_at(check, start, "number too large");
}

/* ---- keys ---- */

/* FNV-1a (64 bits); whoever makes keys collide gains nothing, as equal hashes are sorted by their bytes. */
static uint64_t hash_key(const char *text, size_t length)
{
    struct json_text_reader reader;
    json_text_reader_init(&reader, text, length);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    const char *bytes = NULL;
    size_t count = 0;
    while (json_text_read(&reader, &bytes, &count)) {
        for (size_t i = 0; i < count; i++) {
            hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
        }
    }
    return hash;
}

static void push_key(struct checker *check, const char *text, size_t length)
{
    if (check->key_count == check->key_capacity) {
        check->key_capacity = check->key_capacity == 0 ? 32 : check->key_capacity * 2;
        check->keys = xrealloc(check->keys, check->key_capacity * sizeof *check->keys);
    }
    check->keys[check->key_count] =
        (struct key){.hash = hash_key(text, length), .text = text, .length = length};
    check->key_count++;
}

static int compare_names(const struct key *a, const struct key *b)
{
    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    return json_text_compare(a->text, a->length, b->text, b->length);
}

/* Equal names in the order in which they stand. */
static int compare_keys(const void *a_void, const void *b_void)
{
    const struct key *a = a_void;
    const struct key *b = b_void;
    int order = compare_names(a, b);
    return order != 0 ? order : (a->text > b->text) - (a->text < b->text);
}

/* Drops the keys of the object that closes; false if two of them are equal. */
static bool pop_keys(struct checker *check, size_t first)
{
    size_t count = check->key_count - first;
    check->key_count = first;
    if (count < 2) {
        return true;
    }
    struct key *keys = check->keys + first;
    qsort(keys, count, sizeof *keys, compare_keys);
    const char *earliest = NULL;
    for (size_t i = 1; i < count; i++) {
        if (compare_names(&keys[i - 1], &keys[i]) == 0 && (earliest == NULL || keys[i].text < earliest)) {
            earliest = keys[i].text;
        }
    }
    return earliest == NULL || fail_at(check, earliest - 1, "duplicate key");
}

/* ---- structure ---- */

static bool check_word(struct checker *check, const char *word)
{
    size_t length = strlen(word);
    if (left(check) < length || memcmp(check->at, word, length) != 0) {
        return fail(check, "value expected");
    }
    check->at += length;
    return true;
}

static bool open_frame(struct checker *check, char close)
{
    if (check->depth == JSON_MAX_DEPTH) {
        return fail_limit(check, "too deep");
    }
    check->frames[check->depth] =
        (struct frame){.close = close, .empty = true, .first_key = check->key_count};
    check->depth++;
    check->at++;
    return true;
}

/* A whole scalar, or the opening of an array or object, whose inside check_inside() then takes step by step.
 */
static bool check_value(struct checker *check)
{
    skip_space(check);
    if (check->at < check->end && !count_token(check)) {
        return false;
    }
    switch (peek(check)) {
    case '{':
        return open_frame(check, '}');
    case '[':
        return open_frame(check, ']');
    case '"':
        return check_string(check);
    case 't':
        return check_word(check, "true");
    case 'f':
        return check_word(check, "false");
    case 'n':
        return check_word(check, "null");
    default:
        break;
    }
    if (peek(check) == '-' || is_digit(peek(check))) {
        return check_number(check);
    }
    return fail(check, "value expected");
}

static bool check_key(struct checker *check)
{
    skip_space(check);
    if (peek(check) != '"') {
        return fail(check, "key expected");
    }
    if (!count_token(check)) {
        return false;
    }
    const char *quote = check->at;
    if (!check_string(check)) {
        return false;
    }
    push_key(check, quote + 1, (size_t)(check->at - quote) - 2);
    skip_space(check);
    if (peek(check) != ':') {
        return fail(check, "colon expected");
    }
    check->at++;
    return true;
}

/* The next step inside the innermost array or object: its end, or one more value. */
static bool check_inside(struct checker *check)
{
    struct frame *frame = &check->frames[check->depth - 1];
    skip_space(check);
    if (peek(check) == frame->close) {
        check->at++;
        check->depth--;
        return frame->close == ']' || pop_keys(check, frame->first_key);
    }
    if (!frame->empty) {
        if (peek(check) != ',') {
            return fail(check, frame->close == ']' ? "comma or ] expected" : "comma or } expected");
        }
        check->at++;
    }
    frame->empty = false;
    return (frame->close == ']' || check_key(check)) && check_value(check);
}

bool json_check(const char *text, size_t length, struct json_problem *ret_problem)
{
    struct checker check = {.start = text, .at = text, .end = text + length};
    bool good = check_value(&check);
    while (good && check.depth > 0) {
        good = check_inside(&check);
    }
    if (good) {
        skip_space(&check);
        good = check.at == check.end || fail(&check, "text behind the value");
    }
    free(check.keys);
    if (!good) {
        *ret_problem = check.problem;
    }
    return good;
}
