/*
 * The readers of what is typed into the shell: expressions, formats and the arguments of find, over a made-up
 * target. The first byte chooses one, the second the machine. Whatever an expression comes to can be shown in
 * every format, and nothing that is shown holds a control character.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "../unit/shell_access.h"
#include "shell/examine.h"
#include "shell/expr.h"
#include "shell/find.h"
#include "shell/show.h"

#define CHOICE_SIZE 2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_printable(const struct strbuf *text)
{
    for (size_t i = 0; i < text->length; i++) {
        unsigned char byte = (unsigned char)text->data[i];
        require((byte >= 0x20 && byte < 0x7f) || byte == '\n' || byte == '\t');
    }
}

static void check_expression(struct access *target, const char *text)
{
    struct err err;
    struct value value;
    if (!expr_compute(&target->access, text, &value, &err)) {
        require(err.message[0] != '\0');
        return;
    }
    static const char formats[] = "xduotacfsz"; /* its NUL is a format as well */
    for (size_t i = 0; i < sizeof(formats); i++) {
        struct strbuf out = STRBUF_INIT;
        if (show_value(&target->access, &value, formats[i], &out, &err)) {
            require(out.length > 0);
            require_printable(&out);
        }
        strbuf_fini(&out);
    }
    (void)vars_record(&target->vars, &value);
}

static void check_examine(struct access *target, const char *text)
{
    struct err err;
    struct examine examine;
    struct format format;
    const char *rest;
    examine_init(&examine);
    if (!format_read(text, &examine.last, &format, &rest, &err)) {
        return;
    }
    require(format.count >= -FORMAT_COUNT_MAX && format.count <= FORMAT_COUNT_MAX);
    require(rest >= text && rest <= text + strlen(text));
    struct strbuf out = STRBUF_INIT;
    if (examine_memory(&examine, &target->access, &format, ACCESS_BASE + 64, &out, &err)) {
        require_printable(&out);
    } else {
        require(out.length == 0);
    }
    strbuf_fini(&out);
}

static void check_find(struct access *target, const char *text)
{
    struct err err;
    struct find find;
    if (find_read(&target->access, text, &find, &err)) {
        require(find.pattern.length > 0 && find.pattern.length <= FIND_PATTERN_MAX);
        require(find.length == 0 || find.pattern.length <= find.length);
        require(find.length == 0 || find.length - 1 <= UINT64_MAX - find.start);
    }
    strbuf_fini(&find.pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct access target;
    if (size < CHOICE_SIZE) {
        return 0;
    }
    access_init(&target);
    for (size_t i = 0; i < ACCESS_SIZE; i++) {
        target.memory[i] = (uint8_t)(i * 7 + (i >> 6));
    }
    target.machine.big_endian = (data[1] & 1) != 0;
    target.machine.word_size = (data[1] & 2) != 0 ? 8 : 4;
    target.machine.char_is_unsigned = (data[1] & 4) == 0;
    size_t length = size - CHOICE_SIZE;
    char *text = malloc(length + 1);
    require(text != NULL);
    memcpy(text, data + CHOICE_SIZE, length);
    text[length] = '\0';
    switch (data[0] % 3) {
    case 0:
        check_expression(&target, text);
        check_expression(&target, text);
        break;
    case 1:
        check_examine(&target, text);
        break;
    default:
        check_find(&target, text);
    }
    free(text);
    access_fini(&target);
    return 0;
}
