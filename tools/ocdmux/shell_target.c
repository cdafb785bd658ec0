/* The shell's way to memory and registers: each access is a request. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "fields.h"
#include "shell.h"

/* What a read within an expression may ask for. */
#define SHELL_READ_MAX ((size_t)1 << 20)

/* --- what the target is --- */

/* gdb has char unsigned on most machines that OpenOCD knows. */
static bool shell_char_is_unsigned(const char *type)
{
    static const char *const with_signs[] = {"mips", "xtensa", "esp", "quark", "x86", "avr", "or1k", NULL};
    for (const char *const *word = with_signs; *word != NULL; word++) {
        if (strstr(type, *word) != NULL) {
            return false;
        }
    }
    return true;
}

/* Finds the target that is meant in the result of target.list. */
static bool shell_take_targets(struct shell *shell, const cJSON *result)
{
    const char *option = options_value(shell->session->arguments, "target");
    const char *wanted = option != NULL ? option : getenv("OCDMUX_TARGET");
    const cJSON *targets = field_array(result, "targets");
    const cJSON *target = NULL;
    cJSON_ArrayForEach(target, targets)
    {
        const char *name = field_text(target, "target");
        const char *type = field_text(target, "type");
        const char *endian = field_text(target, "endian");
        bool meant =
            wanted == NULL ? field_true(target, "current") : name != NULL && strcmp(name, wanted) == 0;
        if (meant && type != NULL && endian != NULL) {
            shell->machine.big_endian = strcmp(endian, "big") == 0;
            shell->machine.char_is_unsigned = shell_char_is_unsigned(type);
            return true;
        }
    }
    return false;
}

static bool shell_take_registers(struct shell *shell, const cJSON *result)
{
    const cJSON *registers = field_array(result, "registers");
    const cJSON *entry = NULL;
    if (registers == NULL) {
        return false;
    }
    shell->registers = xcalloc((size_t)cJSON_GetArraySize(registers) + 1, sizeof(*shell->registers));
    shell->register_count = 0;
    shell->machine.word_size = 4;
    cJSON_ArrayForEach(entry, registers)
    {
        const char *name = field_text(entry, "name");
        uint64_t bits = 0;
        if (name == NULL || !field_u64(entry, "size_bits", &bits) || bits == 0 || bits > 4096) {
            return false;
        }
        struct shell_register *place = &shell->registers[shell->register_count];
        if (strlen(name) < sizeof(place->name)) {
            memcpy(place->name, name, strlen(name) + 1);
            place->bits = (unsigned)bits;
            shell->register_count++;
        }
        if (strcmp(name, "pc") == 0 && bits > 32) {
            shell->machine.word_size = 8;
        }
    }
    return true;
}

static bool shell_ask(struct shell *shell, const char *method, bool (*take)(struct shell *, const cJSON *))
{
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    if (!session_call(shell->session, method, session_board_params(shell->session), NULL, &result)) {
        return false;
    }
    bool good = take(shell, result.json);
    ocdmux_result_fini(&result);
    if (!good) {
        (void)session_report_result(shell->session, method);
    }
    return good;
}

bool shell_know_target(struct shell *shell)
{
    if (shell->knows_target) {
        return true;
    }
    free(shell->registers);
    shell->registers = NULL;
    shell->knows_target = shell_ask(shell, "target.list", shell_take_targets) &&
                          shell_ask(shell, "register.list", shell_take_registers);
    return shell->knows_target;
}

static bool shell_take_banks(struct shell *shell, const cJSON *result)
{
    const cJSON *banks = field_array(result, "banks");
    const cJSON *bank = NULL;
    if (banks == NULL) {
        return false;
    }
    free(shell->banks);
    shell->banks = xcalloc((size_t)cJSON_GetArraySize(banks) + 1, sizeof(*shell->banks));
    shell->bank_count = 0;
    cJSON_ArrayForEach(bank, banks)
    {
        struct shell_bank *place = &shell->banks[shell->bank_count++];
        if (!field_u64(bank, "base", &place->base) || !field_u64(bank, "size", &place->size)) {
            return false;
        }
    }
    return true;
}

bool shell_know_flash(struct shell *shell)
{
    return shell_ask(shell, "flash.banks", shell_take_banks);
}

bool shell_is_in_flash(const struct shell *shell, uint64_t address)
{
    for (size_t i = 0; i < shell->bank_count; i++) {
        if (address >= shell->banks[i].base && address - shell->banks[i].base < shell->banks[i].size) {
            return true;
        }
    }
    return false;
}

const struct shell_register *shell_find_register(const struct shell *shell, const char *name)
{
    for (size_t i = 0; i < shell->register_count; i++) {
        if (strcmp(shell->registers[i].name, name) == 0) {
            return &shell->registers[i];
        }
    }
    return NULL;
}

/* As gdb has them from OpenOCD: the program counter points to code and stack pointers to anything. */
struct type shell_register_type(const struct shell *shell, const struct shell_register *entry)
{
    static const char *const stacks[] = {"sp", "msp", "psp", NULL};
    unsigned word = shell->machine.word_size * 8;
    if (strcmp(entry->name, "pc") == 0 && entry->bits == word) {
        return type_of(TYPE_CODE);
    }
    for (const char *const *name = stacks; *name != NULL; name++) {
        if (strcmp(entry->name, *name) == 0 && entry->bits == word) {
            return type_pointer_to(type_of(TYPE_VOID));
        }
    }
    if (entry->bits == word) {
        return type_of(TYPE_LONG);
    }
    return type_of_size(entry->bits <= 8 ? 1 : entry->bits <= 16 ? 2 : entry->bits <= 32 ? 4 : 8, false);
}

/* --- registers --- */

static bool shell_read_register(void *arg, const char *name, bool *ret_found, struct value *ret_value,
                                struct err *err)
{
    struct shell *shell = arg;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    uint64_t bits;
    const struct shell_register *entry = shell_find_register(shell, name);
    *ret_found = entry != NULL;
    if (entry == NULL) {
        return true;
    }
    if (entry->bits > 64) {
        return err_set(err, ERR_INVALID_PARAMS,
                       "$%s has %u bits, and expressions have 64: 'info registers' shows it", name,
                       entry->bits);
    }
    cJSON *params = session_board_params(shell->session);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(params, "names"), cJSON_CreateString(name));
    if (!session_call(shell->session, "register.read", params, NULL, &result)) {
        return shell_reported(err);
    }
    const cJSON *first = cJSON_GetArrayItem(field_array(result.json, "registers"), 0);
    bool good = field_u64(first, "value", &bits);
    ocdmux_result_fini(&result);
    if (!good) {
        (void)session_report_result(shell->session, "register.read");
        return shell_reported(err);
    }
    *ret_value = value_make(&shell->access, shell_register_type(shell, entry), bits);
    return true;
}

static bool shell_write_register(void *arg, const char *name, uint64_t bits, struct err *err)
{
    struct shell *shell = arg;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    const struct shell_register *entry = shell_find_register(shell, name);
    if (entry != NULL && entry->bits < 64 && bits >> entry->bits != 0) {
        bits &= ((uint64_t)1 << entry->bits) - 1;
    }
    cJSON *params = session_board_params(shell->session);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(params, "names"), cJSON_CreateString(name));
    cJSON_AddItemToArray(cJSON_AddArrayToObject(params, "values"), ocdmux_json_new_u64(bits));
    if (!session_call(shell->session, "register.write", params, NULL, &result)) {
        return shell_reported(err);
    }
    ocdmux_result_fini(&result);
    return true;
}

/* --- memory --- */

static bool shell_read_bytes(void *arg, uint64_t address, uint8_t *out, size_t size, struct err *err)
{
    struct shell *shell = arg;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct strbuf bytes = STRBUF_INIT;
    for (size_t done = 0; done < size;) {
        size_t piece = size - done < SHELL_READ_MAX ? size - done : SHELL_READ_MAX;
        cJSON *params = session_board_params(shell->session);
        ocdmux_json_add_address(params, "address", address + done);
        ocdmux_json_add_u64(params, "size", piece);
        if (!session_call(shell->session, "memory.read_bytes", params, NULL, &result)) {
            return shell_reported(err);
        }
        const char *data = field_text(result.json, "data");
        strbuf_clear(&bytes);
        bool good = data != NULL && base64_decode(&bytes, data, strlen(data)) && bytes.length == piece;
        if (good) {
            memcpy(out + done, bytes.data, piece);
        }
        strbuf_fini(&bytes);
        ocdmux_result_fini(&result);
        if (!good) {
            (void)session_report_result(shell->session, "memory.read_bytes");
            return shell_reported(err);
        }
        done += piece;
    }
    return true;
}

/* Units at an address that is not theirs have to be put together from bytes. */
static bool shell_read_unaligned(struct shell *shell, uint64_t address, unsigned size, size_t count,
                                 uint64_t *ret_units, struct err *err)
{
    uint8_t *bytes = xmalloc(count * size);
    bool good = shell_read_bytes(shell, address, bytes, count * size, err);
    for (size_t i = 0; good && i < count; i++) {
        uint64_t unit = 0;
        for (unsigned k = 0; k < size; k++) {
            unsigned shift = shell->machine.big_endian ? 8 * (size - 1 - k) : 8 * k;
            unit |= (uint64_t)bytes[i * size + k] << shift;
        }
        ret_units[i] = unit;
    }
    free(bytes);
    return good;
}

static bool shell_take_units(const cJSON *result, size_t count, uint64_t *ret_units)
{
    const cJSON *values = field_array(result, "values");
    const cJSON *item = NULL;
    size_t place = 0;
    if (values == NULL || (size_t)cJSON_GetArraySize(values) != count) {
        return false;
    }
    cJSON_ArrayForEach(item, values)
    {
        if (!ocdmux_json_u64(item, &ret_units[place++])) {
            return false;
        }
    }
    return true;
}

static bool shell_read_memory(void *arg, uint64_t address, unsigned size, size_t count, uint64_t *ret_units,
                              struct err *err)
{
    static const char *const methods[] = {"memory.read_u8", "memory.read_u16", "memory.read_u32",
                                          "memory.read_u64"};
    const char *method = methods[size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3];
    struct shell *shell = arg;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    if (address % size != 0) {
        return shell_read_unaligned(shell, address, size, count, ret_units, err);
    }
    cJSON *params = session_board_params(shell->session);
    ocdmux_json_add_address(params, "address", address);
    ocdmux_json_add_u64(params, "count", count);
    if (!session_call(shell->session, method, params, NULL, &result)) {
        return shell_reported(err);
    }
    bool good = shell_take_units(result.json, count, ret_units);
    ocdmux_result_fini(&result);
    if (!good) {
        (void)session_report_result(shell->session, method);
        return shell_reported(err);
    }
    return true;
}

static bool shell_write_memory(void *arg, uint64_t address, unsigned size, uint64_t bits, struct err *err)
{
    static const char *const methods[] = {"memory.write_u8", "memory.write_u16", "memory.write_u32",
                                          "memory.write_u64"};
    struct shell *shell = arg;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    cJSON *params = session_board_params(shell->session);
    ocdmux_json_add_address(params, "address", address);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(params, "values"), ocdmux_json_new_u64(bits));
    if (!session_call(shell->session,
                      methods[size == 1   ? 0
                              : size == 2 ? 1
                              : size == 4 ? 2
                                          : 3],
                      params, NULL, &result)) {
        return shell_reported(err);
    }
    ocdmux_result_fini(&result);
    return true;
}

/* --- variables --- */

static bool shell_read_variable(void *arg, const char *name, struct value *ret_value, struct err *err)
{
    const struct shell *shell = arg;
    return vars_read(&shell->vars, name, ret_value, err);
}

static bool shell_write_variable(void *arg, const char *name, const struct value *value, struct err *err)
{
    struct shell *shell = arg;
    return vars_write(&shell->vars, name, value, err);
}

static void shell_warn(void *arg, const char *text)
{
    (void)arg;
    fflush(stdout);
    fprintf(stderr, "warning: %s\n", text);
}

void shell_init_access(struct shell *shell)
{
    shell->machine = (struct machine){.word_size = 4, .char_is_unsigned = true};
    shell->access = (struct value_access){
        .machine = &shell->machine,
        .arg = shell,
        .read_memory = shell_read_memory,
        .write_memory = shell_write_memory,
        .read_bytes = shell_read_bytes,
        .read_register = shell_read_register,
        .write_register = shell_write_register,
        .read_variable = shell_read_variable,
        .write_variable = shell_write_variable,
        .warn = shell_warn,
    };
}
