/* methods/image_request: from inline data, or a file, to an image. No client is needed for that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "methods/image_request.h"
#include "server/config.h"
#include "server/server.h"

static const char ihex[] = ":040010006162636462\n:00000001FF\n"; /* "abcd" at 0x10 */

struct fixture {
    char root[64];
    char file[96];
    struct config config;
    struct server server; /* as far as reading looks at it */
    struct request request;
    struct image_request what;
    struct rpc_text path;
    struct rpc_bytes data;
    struct image image;
    struct err err;
};

static int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    snprintf(fixture->root, sizeof fixture->root, "/tmp/ocdmux-test-image-XXXXXX");
    if (mkdtemp(fixture->root) == NULL) {
        return -1;
    }
    snprintf(fixture->file, sizeof fixture->file, "%s/image", fixture->root);
    config_init(&fixture->config);
    assert_true(config_add_image_root(&fixture->config, fixture->root, &fixture->err));
    fixture->server.config = &fixture->config;
    fixture->request.server = &fixture->server;
    fixture->what = (struct image_request){
        .path = &fixture->path, .data = &fixture->data, .format = RPC_IMAGE_FORMAT_CHOICE_AUTO};
    *state = fixture;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    unlink(fixture->file);
    int result = rmdir(fixture->root);
    config_fini(&fixture->config);
    free(fixture->data.bytes);
    free(fixture);
    return result;
}

static bool read_image(struct fixture *fixture)
{
    err_reset(&fixture->err);
    memset(&fixture->image, 0x55, sizeof fixture->image);
    return image_request_read(&fixture->request, &fixture->what, &fixture->image, &fixture->err);
}

static bool read_data(struct fixture *fixture, const void *bytes, size_t length)
{
    free(fixture->data.bytes);
    fixture->data.bytes = xmalloc(length);
    fixture->data.length = length;
    memcpy(fixture->data.bytes, bytes, length);
    return read_image(fixture);
}

static void must_read(struct fixture *fixture, enum image_format format, uint64_t address, const char *bytes)
{
    if (fixture->err.kind != ERR_NONE) {
        fail_msg("refused: %s", fixture->err.message);
    }
    assert_int_equal(fixture->image.format, format);
    assert_int_equal(fixture->image.segment_count, 1);
    assert_int_equal(fixture->image.size, strlen(bytes));
    assert_int_equal(fixture->image.segments[0].address, address);
    assert_memory_equal(fixture->image.segments[0].bytes, bytes, strlen(bytes));
    image_fini(&fixture->image);
}

static void must_refuse(struct fixture *fixture, enum err_kind kind, const char *words)
{
    struct image untouched;
    memset(&untouched, 0x55, sizeof untouched);
    assert_int_equal(fixture->err.kind, kind);
    if (strstr(fixture->err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", fixture->err.message, words);
    }
    assert_memory_equal(&fixture->image, &untouched, sizeof untouched);
}

static void test_image_request_reads_inline_data(void **state)
{
    struct fixture *fixture = *state;
    assert_true(read_data(fixture, "abcd", 4));
    assert_null(fixture->data.bytes); /* taken out of the parameters */
    must_read(fixture, IMAGE_BIN, 0, "abcd");
    assert_true(read_data(fixture, ihex, sizeof ihex - 1));
    must_read(fixture, IMAGE_IHEX, 0x10, "abcd");
}

static void test_image_request_reads_a_file(void **state)
{
    struct fixture *fixture = *state;
    FILE *file = fopen(fixture->file, "w");
    assert_non_null(file);
    fputs(ihex, file);
    assert_int_equal(fclose(file), 0);
    fixture->path.text = xstrdup("image");
    fixture->path.length = 5;
    assert_true(read_image(fixture));
    must_read(fixture, IMAGE_IHEX, 0x10, "abcd");
    assert_int_equal(fixture->request.loaded_bytes, sizeof ihex - 1);
    fixture->path.text[0] = 'I';
    assert_false(read_image(fixture));
    must_refuse(fixture, ERR_NOT_FOUND, "under none of the image roots");
    free(fixture->path.text);
    fixture->path.text = NULL;
}

static void test_image_request_needs_exactly_one_source(void **state)
{
    struct fixture *fixture = *state;
    char name[] = "image";
    assert_false(read_image(fixture));
    must_refuse(fixture, ERR_INVALID_PARAMS, "data: exactly one of path, data is needed");
    fixture->path.text = name;
    assert_false(read_data(fixture, "a", 1));
    must_refuse(fixture, ERR_INVALID_PARAMS, "data: exactly one of path, data is needed");
    assert_non_null(fixture->data.bytes);
    fixture->path.text = NULL;
}

/* What the caller says is believed, and what is broken then is no bin image. */
static void test_image_request_takes_the_format_that_is_named(void **state)
{
    static const struct {
        enum rpc_image_format_choice choice;
        const char *title;
    } others[] = {
        {RPC_IMAGE_FORMAT_CHOICE_SREC, "S-record"},
        {RPC_IMAGE_FORMAT_CHOICE_ELF, "ELF"},
        {RPC_IMAGE_FORMAT_CHOICE_UF2, "UF2"},
    };
    struct fixture *fixture = *state;
    fixture->what.format = RPC_IMAGE_FORMAT_CHOICE_BIN;
    assert_true(read_data(fixture, ihex, sizeof ihex - 1));
    must_read(fixture, IMAGE_BIN, 0, ihex);
    fixture->what.format = RPC_IMAGE_FORMAT_CHOICE_IHEX;
    assert_true(read_data(fixture, ihex, sizeof ihex - 1));
    must_read(fixture, IMAGE_IHEX, 0x10, "abcd");
    for (size_t i = 0; i < 3; i++) {
        fixture->what.format = others[i].choice;
        assert_false(read_data(fixture, ihex, sizeof ihex - 1));
        must_refuse(fixture, ERR_IMAGE_INVALID, others[i].title);
    }
    fixture->what.format = RPC_IMAGE_FORMAT_CHOICE_AUTO;
    assert_false(read_data(fixture, ihex, 12)); /* cut off */
    must_refuse(fixture, ERR_IMAGE_INVALID, "Intel HEX");
}

static void test_image_request_wants_an_address_for_bin_alone(void **state)
{
    struct fixture *fixture = *state;
    fixture->what.needs_address = true;
    assert_false(read_data(fixture, "abcd", 4));
    must_refuse(fixture, ERR_INVALID_PARAMS, "address: needed, for a bin image");
    assert_string_equal(err_find_detail(&fixture->err, "parameter")->text, "address");
    assert_true(read_data(fixture, ihex, sizeof ihex - 1));
    must_read(fixture, IMAGE_IHEX, 0x10, "abcd");
    fixture->what.has_address = true;
    fixture->what.address = 0x1234;
    assert_true(read_data(fixture, "abcd", 4));
    must_read(fixture, IMAGE_BIN, 0x1234, "abcd");
    fixture->what.needs_address = false;
    assert_false(read_data(fixture, ihex, sizeof ihex - 1));
    must_refuse(fixture, ERR_INVALID_PARAMS, "address: a ihex image has addresses of its own");
}

static void test_image_request_ends_at_the_last_address(void **state)
{
    struct fixture *fixture = *state;
    fixture->what.has_address = true;
    fixture->what.address = UINT64_MAX - 3;
    assert_true(read_data(fixture, "abcd", 4));
    must_read(fixture, IMAGE_BIN, UINT64_MAX - 3, "abcd");
    assert_false(read_data(fixture, "abcde", 5));
    must_refuse(fixture, ERR_INVALID_RANGE, "reach beyond 2^64");
    assert_int_equal(err_find_detail(&fixture->err, "address")->number, UINT64_MAX - 3);
    assert_int_equal(err_find_detail(&fixture->err, "size")->number, 5);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(test_image_request_reads_inline_data),
        WITH_FIXTURE(test_image_request_reads_a_file),
        WITH_FIXTURE(test_image_request_needs_exactly_one_source),
        WITH_FIXTURE(test_image_request_takes_the_format_that_is_named),
        WITH_FIXTURE(test_image_request_wants_an_address_for_bin_alone),
        WITH_FIXTURE(test_image_request_ends_at_the_last_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
