/* A made-up memory that answers `read_memory` and takes `write_memory`, of a target called "cpu". */
#ifndef OCDMUX_TESTS_OP_MEMORY_H
#define OCDMUX_TESTS_OP_MEMORY_H

#include "op_driver.h"

#include <inttypes.h>

#include "memory/values.h"

#define MADE_UP_SIZE 4096u
#define MADE_UP_BASE 0x20000000u

struct made_up {
    uint8_t bytes[MADE_UP_SIZE];
    unsigned refused; /* sum of the widths */
    bool big_endian;
    size_t commands;
};

static inline bool made_up_read(struct made_up *memory, uint64_t address, unsigned width, unsigned count,
                                struct strbuf *out)
{
    assert_int_equal(address % (width / 8), 0);
    assert_true(address >= MADE_UP_BASE && address - MADE_UP_BASE + count * width / 8 <= MADE_UP_SIZE);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *at = memory->bytes + (address - MADE_UP_BASE) + i * width / 8;
        strbuf_appendf(out, "%s0x%" PRIx64, i == 0 ? "" : " ",
                       memory_value_from_bytes(at, width, memory->big_endian));
    }
    return (memory->refused & width) == 0;
}

static inline bool made_up_write(struct made_up *memory, uint64_t address, unsigned width, const char *values)
{
    uint8_t *at = memory->bytes + (address - MADE_UP_BASE);
    assert_int_equal(address % (width / 8), 0);
    if ((memory->refused & width) != 0) {
        return false;
    }
    while (*values != '}') {
        char *end = NULL;
        uint64_t value = strtoull(values, &end, 16);
        assert_true(end > values && at + width / 8 <= memory->bytes + MADE_UP_SIZE);
        memory_value_to_bytes(value, width, memory->big_endian, at);
        at += width / 8;
        values = *end == ' ' ? end + 1 : end;
    }
    return true;
}

/* Answers the command that the driver holds. */
static inline void made_up_answer(struct made_up *memory, struct op_driver *driver)
{
    const char *script = strbuf_text(&driver->command.script);
    struct strbuf out = STRBUF_INIT;
    uint64_t address = 0;
    unsigned width = 0;
    unsigned count = 0;
    int behind = 0;
    bool good = false;

    if (sscanf(script, "\"cpu\" read_memory 0x%" SCNx64 " %u %u", &address, &width, &count) == 3) {
        good = made_up_read(memory, address, width, count, &out);
    } else if (sscanf(script, "\"cpu\" write_memory 0x%" SCNx64 " %u {%n", &address, &width, &behind) == 2) {
        good = made_up_write(memory, address, width, script + behind);
    } else {
        fail_msg("what is this? %s", script);
    }
    memory->commands++;
    if (good) {
        op_driver_answer(driver, 0, strbuf_text(&out), out.length, "");
    } else {
        op_driver_answer_error(driver, 1, "failed", "");
    }
    strbuf_fini(&out);
}

static inline uint32_t random_below(uint32_t *seed, uint32_t limit)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % limit;
}

static inline void made_up_fill(struct made_up *memory, uint32_t *seed)
{
    for (size_t i = 0; i < MADE_UP_SIZE; i++) {
        memory->bytes[i] = (uint8_t)random_below(seed, 256);
    }
    memory->refused = random_below(seed, 16) * 16; /* any of 16, 32 and 64 */
    memory->big_endian = random_below(seed, 2) == 1;
    memory->commands = 0;
}

static inline void made_up_run(struct made_up *memory, struct op_driver *driver, uint32_t *seed)
{
    driver->op->budget = 1 + random_below(seed, 600);
    while (op_driver_run(driver) == OP_SEND) {
        made_up_answer(memory, driver);
        assert_true(memory->commands < 5000);
    }
}

#endif
