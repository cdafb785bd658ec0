/* The inside of JSON strings: runs of plain bytes, found eight at a time, and escapes between them. */
#include "rpc/json_text.h"

#include <string.h>

#include "base/hex.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/*
 * Whether one of eight bytes is special: above 0x7f, below 0x20, a quote or a backslash. A borrow in the
 * subtractions starts only at a byte that is special itself, so there are no false alarms.
 */
static bool block_has_special(uint64_t block)
{
    uint64_t low = block - ONES * 0x20;
    uint64_t quote = (block ^ ONES * '"') - ONES;
    uint64_t backslash = (block ^ ONES * '\\') - ONES;
    return ((block | low | quote | backslash) & HIGHS) != 0;
}

static bool is_special(char character)
{
    unsigned char byte = (unsigned char)character;
    return byte < 0x20 || byte > 0x7f || byte == '"' || byte == '\\';
}

size_t json_text_run(const char *text, size_t length)
{
    size_t position = 0;
    while (length - position >= sizeof(uint64_t)) {
        uint64_t block;
        memcpy(&block, text + position, sizeof block);
        if (block_has_special(block)) {
            break;
        }
        position += sizeof block;
    }
    while (position < length && !is_special(text[position])) {
        position++;
    }
    return position;
}

bool json_text_hex4(const char *text, size_t length, uint32_t *ret_value)
{
    if (length < 4) {
        return false;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0) {
            return false;
        }
        value = value << 4 | (uint32_t)digit;
    }
    *ret_value = value;
    return true;
}

void json_text_reader_init(struct json_text_reader *reader, const char *content, size_t length)
{
    *reader = (struct json_text_reader){.at = content, .end = content + length};
}

/* UTF-8 as in RFC 3629, section 3; the length. */
static size_t encode_utf8(uint32_t code, char bytes[4])
{
    if (code < 0x80) {
        bytes[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        bytes[0] = (char)(0xc0 | code >> 6);
        bytes[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        bytes[0] = (char)(0xe0 | code >> 12);
        bytes[1] = (char)(0x80 | (code >> 6 & 0x3f));
        bytes[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    bytes[0] = (char)(0xf0 | code >> 18);
    bytes[1] = (char)(0x80 | (code >> 12 & 0x3f));
    bytes[2] = (char)(0x80 | (code >> 6 & 0x3f));
    bytes[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

static char simple_escape(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter; /* quote, backslash, slash */
    }
}

/* What the escape at `reader->at` stands for, into `reader->character`; the length. */
static size_t read_escape(struct json_text_reader *reader)
{
    char letter = reader->at[1];
    reader->at += 2;
    if (letter != 'u') {
        reader->character[0] = simple_escape(letter);
        return 1;
    }
    uint32_t code = 0;
    uint32_t low = 0;
    bool whole = json_text_hex4(reader->at, (size_t)(reader->end - reader->at), &code);
    reader->at += 4;
    if (code >= 0xd800 && code < 0xdc00) { /* the check has seen to it that its other half follows */
        whole = whole && json_text_hex4(reader->at + 2, (size_t)(reader->end - reader->at) - 2, &low);
        reader->at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return whole ? encode_utf8(code, reader->character) : 0;
}

bool json_text_read(struct json_text_reader *reader, const char **ret_bytes, size_t *ret_length)
{
    if (reader->at >= reader->end) {
        return false;
    }
    if (*reader->at == '\\') {
        *ret_length = read_escape(reader);
        *ret_bytes = reader->character;
        return true;
    }
    const char *start = reader->at;
    const char *escape = memchr(start, '\\', (size_t)(reader->end - start));
    reader->at = escape != NULL ? escape : reader->end;
    *ret_bytes = start;
    *ret_length = (size_t)(reader->at - start);
    return true;
}

int json_text_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    struct json_text_reader readers[2];
    json_text_reader_init(&readers[0], a, a_length);
    json_text_reader_init(&readers[1], b, b_length);
    const char *bytes[2] = {NULL, NULL};
    size_t lengths[2] = {0, 0};
    for (;;) {
        bool more_a = lengths[0] > 0 || json_text_read(&readers[0], &bytes[0], &lengths[0]);
        bool more_b = lengths[1] > 0 || json_text_read(&readers[1], &bytes[1], &lengths[1]);
        if (!more_a || !more_b) {
            return (int)more_a - (int)more_b;
        }
        size_t common = lengths[0] < lengths[1] ? lengths[0] : lengths[1];
        int order = memcmp(bytes[0], bytes[1], common);
        if (order != 0) {
            return order;
        }
        for (size_t i = 0; i < 2; i++) {
            bytes[i] += common;
            lengths[i] -= common;
        }
    }
}
