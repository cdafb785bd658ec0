/* What the tests of range_read and range_write share: a sink for what is read, and how they begin. */
#ifndef OCDMUX_TESTS_OP_RANGE_H
#define OCDMUX_TESTS_OP_RANGE_H

#include "op_driver.h"

#include "ops/range_read.h"
#include "ops/range_write.h"

/* What a range is read into. */
struct sink {
    struct strbuf bytes;
    uint64_t next_offset;
    size_t pieces;
    size_t enough;   /* after so many pieces it wants no more; 0: never */
    bool fails;      /* take() fails */
    bool end_fails;  /* finish() fails */
    size_t finished; /* calls of finish() */
    size_t freed;
};

static inline enum range_flow sink_take(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
                                        struct err *err)
{
    struct sink *sink = context;
    assert_int_equal(offset, sink->next_offset);
    assert_true(length > 0);
    if (sink->fails) {
        err_set(err, ERR_STAGE_ERROR, "the disk is full");
        return RANGE_FAILED;
    }
    strbuf_append(&sink->bytes, bytes, length);
    sink->next_offset += length;
    sink->pieces++;
    return sink->pieces == sink->enough ? RANGE_ENOUGH : RANGE_MORE;
}

static inline bool sink_finish(void *context, struct err *err)
{
    struct sink *sink = context;
    sink->finished++;
    return sink->end_fails ? err_set(err, ERR_STAGE_ERROR, "cannot finish") : true;
}

static inline void sink_free(void *context)
{
    struct sink *sink = context;
    sink->freed++;
}

static const struct range_consumer sink_consumer = {
    .take = sink_take, .finish = sink_finish, .free = sink_free};
/* As memory.search, which has nothing to finish. */
static const struct range_consumer endless_consumer = {.take = sink_take, .free = sink_free};

struct fixture {
    struct op_driver driver;
    struct sink sink;
};

static inline int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    op_driver_init(&fixture->driver);
    *state = fixture;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    op_driver_fini(&fixture->driver);
    strbuf_fini(&fixture->sink.bytes);
    free(fixture);
    return 0;
}

static inline void start_read_of(struct fixture *fixture, const struct range_read_source *source)
{
    strbuf_clear(&fixture->sink.bytes);
    fixture->sink.next_offset = 0;
    fixture->sink.pieces = 0;
    op_driver_start(&fixture->driver, range_read_new(source, "read", &sink_consumer, &fixture->sink));
}

static inline void start_read(struct fixture *fixture, uint64_t address, uint64_t size)
{
    start_read_of(fixture, &(struct range_read_source){.address = address, .size = size});
}

static inline void expect_bytes(const struct fixture *fixture, const char *bytes, size_t length)
{
    assert_int_equal(fixture->sink.bytes.length, length);
    assert_memory_equal(fixture->sink.bytes.data, bytes, length);
}

/* No file: everything goes through `read_memory`. */
static inline void without_files(struct fixture *fixture)
{
    fixture->driver.info.files = OCD_FILES_NONE;
}

static inline void start_write(struct fixture *fixture, uint64_t address, const char *bytes, size_t size,
                               bool physical)
{
    uint8_t *copy = xmalloc(size);
    memcpy(copy, bytes, size);
    op_driver_start(&fixture->driver, range_write_new(NULL, address, copy, size, physical));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

#endif
