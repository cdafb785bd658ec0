/*
 * The readers for OpenOCD's texts. The first byte chooses one, the second its parameters; the rest is the
 * text. What is refused must leave the outputs alone; values that are read, printed as OpenOCD prints them,
 * must be read the same.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_check.h"

#include "openocd/parse.h"

#define CHOICE_SIZE 2u
#define VALUES_MAX 64u

static void print_values(struct strbuf *text, const uint8_t *bytes, size_t size, size_t count,
                         bool big_endian)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        for (size_t k = 0; k < size; k++) {
            value = value << 8 | bytes[i * size + (big_endian ? k : size - 1 - k)];
        }
        strbuf_appendf(text, " 0x%" PRIx64, value);
    }
}

static void check_values(uint8_t choice, const char *text, size_t length)
{
    const unsigned width = 8u << (choice & 3);
    const bool big_endian = (choice & 4) != 0;
    const size_t count = choice >> 3;
    uint8_t out[VALUES_MAX * 8];
    uint8_t again[sizeof(out)];
    struct err err;
    memset(out, 0x55, sizeof(out));
    if (!ocd_parse_values(text, length, width, count, big_endian, out, &err)) {
        require(is_filled(out, sizeof(out)) && err.kind == ERR_OPENOCD_ERROR);
        return;
    }
    struct strbuf printed = STRBUF_INIT;
    size_t size = width / 8;
    require(is_filled(out + count * size, sizeof(out) - count * size));
    print_values(&printed, out, size, count, big_endian);
    require(ocd_parse_values(strbuf_text(&printed), printed.length, width, count, big_endian, again, &err));
    require(memcmp(out, again, count * size) == 0);
    strbuf_fini(&printed);
}

static void check_list(const char *text, size_t length)
{
    struct ocd_bank *banks = NULL;
    size_t count = 77;
    struct err err;
    if (!ocd_parse_flash_list(text, length, &banks, &count, &err)) {
        require(banks == NULL && count == 77 && err.kind == ERR_OPENOCD_ERROR && err.message[0] != '\0');
        return;
    }
    require((banks == NULL) == (count == 0) && count <= OCD_BANKS_MAX);
    for (size_t i = 0; i < count; i++) {
        require(banks[i].index == i && strlen(banks[i].name) < OCD_NAME_SIZE);
        require(strlen(banks[i].driver) < OCD_NAME_SIZE && strlen(banks[i].target) < OCD_NAME_SIZE);
    }
    free(banks);
}

static void check_info(const char *text, size_t length)
{
    struct ocd_flash_info info;
    struct err err;
    memset(&info, 0x55, sizeof(info));
    if (!ocd_parse_flash_info(text, length, &info, &err)) {
        require(is_filled(&info, sizeof(info)) && err.kind == ERR_OPENOCD_ERROR && err.message[0] != '\0');
        return;
    }
    require((info.blocks == NULL) == (info.count == 0) && info.count <= OCD_BLOCKS_MAX);
    require(info.description.length <= length);
    ocd_flash_info_fini(&info);
}

static void check_counts(const char *text, size_t length)
{
    static const char *const verbs[] = {"wrote", "read", "dumped", "verified", "downloaded"};
    unsigned first = 77;
    unsigned second = 78;
    if (!ocd_parse_version(text, length, &first, &second)) {
        require(first == 77 && second == 78);
    }
    first = 77;
    second = 78;
    if (ocd_parse_erased(text, length, &first, &second)) {
        require(first <= second);
    } else {
        require(first == 77 && second == 78);
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        uint64_t count = 77;
        if (!ocd_parse_byte_count(text, length, verbs[i], &count)) {
            require(count == 77);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < CHOICE_SIZE) {
        return 0;
    }
    const char *text = (const char *)data + CHOICE_SIZE;
    size_t length = size - CHOICE_SIZE;
    switch (data[0] & 3) {
    case 0:
        check_values(data[1], text, length);
        break;
    case 1:
        check_list(text, length);
        break;
    case 2:
        check_info(text, length);
        break;
    case 3:
        check_counts(text, length);
        break;
    }
    return 0;
}
