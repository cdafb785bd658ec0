/*
 * An event loop of one's own: several requests in flight on one connection, and events beside them.
 *
 *     loop SERVER ADDRESS COUNT
 *
 * Reads COUNT words one by one, up to eight at a time, and beside them the same range as bytes, while it is
 * subscribed to what operations do. Any loop will do that can wait for a descriptor: here it is poll().
 */
#include <errno.h>
#include <inttypes.h>
#include <ocdmux.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define IN_FLIGHT 8

struct program {
    struct ocdmux *connection;
    uint64_t address;
    unsigned wanted;    /* words */
    unsigned begun;     /* reads that were begun */
    unsigned in_flight; /* calls that are not answered yet */
    unsigned events;
    uint64_t sum;
    uint64_t bytes;
    bool failed;
};

static void report(struct program *program, struct ocdmux_error *error)
{
    fprintf(stderr, "%s: %s\n", error->kind, error->message);
    ocdmux_error_fini(error);
    program->failed = true;
}

static void word_read(void *arg, struct ocdmux_result *result, struct ocdmux_error *error);

/* Keeps as many reads in flight as it may. Also called when one has ended, from its handler. */
static void begin_reads(struct program *program)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_call_options options = {0};
    options.timeout_ms = 30000;
    options.done = word_read;
    options.arg = program;
    while (!program->failed && program->begun < program->wanted && program->in_flight < IN_FLIGHT) {
        cJSON *params = cJSON_CreateObject();
        ocdmux_json_add_address(params, "address", program->address + 4u * program->begun);
        bool good = ocdmux_begin(program->connection, "memory.read_u32", params, &options, NULL, &error);
        cJSON_Delete(params);
        if (!good) {
            report(program, &error);
            return;
        }
        program->begun++;
        program->in_flight++;
    }
}

static void word_read(void *arg, struct ocdmux_result *result, struct ocdmux_error *error)
{
    struct program *program = (struct program *)arg;
    uint64_t value = 0;
    program->in_flight--;
    if (error->kind != NULL) {
        report(program, error);
        return;
    }
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(result->json, "values");
    if (ocdmux_json_u64(cJSON_GetArrayItem(values, 0), &value)) {
        program->sum += value;
    }
    begin_reads(program);
}

static void range_read(void *arg, struct ocdmux_result *result, struct ocdmux_error *error)
{
    struct program *program = (struct program *)arg;
    program->in_flight--;
    if (error->kind != NULL) {
        report(program, error);
        return;
    }
    if (!ocdmux_json_u64(cJSON_GetObjectItemCaseSensitive(result->json, "size"), &program->bytes)) {
        program->failed = true;
    }
}

static void begin_range(struct program *program)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_call_options options = {0};
    options.timeout_ms = 30000;
    options.done = range_read;
    options.arg = program;
    cJSON *params = cJSON_CreateObject();
    ocdmux_json_add_address(params, "address", program->address);
    ocdmux_json_add_u64(params, "size", 4u * program->wanted);
    if (ocdmux_begin(program->connection, "memory.read_bytes", params, &options, NULL, &error)) {
        program->in_flight++;
    } else {
        report(program, &error);
    }
    cJSON_Delete(params);
}

static void subscribed(void *arg, struct ocdmux_result *result, struct ocdmux_error *error)
{
    struct program *program = (struct program *)arg;
    (void)result;
    program->in_flight--;
    if (error->kind != NULL) {
        report(program, error);
        return;
    }
    begin_range(program);
    begin_reads(program);
}

static bool event_came(void *arg, const struct ocdmux_notification *notification)
{
    struct program *program = (struct program *)arg;
    (void)notification; /* its text says what happened */
    program->events++;
    return true;
}

static bool subscribe(struct program *program)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_call_options options = {0};
    options.timeout_ms = 10000;
    options.done = subscribed;
    options.arg = program;
    ocdmux_set_event_handler(program->connection, event_came, program);
    if (!ocdmux_begin_text(program->connection, "events.subscribe", "{\"topics\": [\"operation\"]}", &options,
                           NULL, &error)) {
        report(program, &error);
        return false;
    }
    program->in_flight++;
    return true;
}

static void run(struct program *program)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    while (program->in_flight > 0) {
        struct pollfd wait = {ocdmux_fd(program->connection), ocdmux_events(program->connection), 0};
        if (poll(&wait, 1, ocdmux_timeout(program->connection)) < 0 && errno != EINTR) {
            perror("poll");
            program->failed = true;
            return;
        }
        if (!ocdmux_process(program->connection, &error)) {
            report(program, &error);
            return;
        }
    }
}

int main(int count, char **words)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct program program = {0};
    struct ocdmux_tls tls = {getenv("OCDMUX_CA"), NULL, NULL}; /* of "tls:" alone */
    if (count != 4) {
        fprintf(stderr, "usage: loop SERVER ADDRESS COUNT\n");
        return 2;
    }
    program.address = strtoull(words[2], NULL, 0);
    program.wanted = (unsigned)strtoul(words[3], NULL, 0);
    /* Connecting and saying hello block. */
    if (!ocdmux_open_tls(words[1], &tls, 0, &program.connection, &error)) {
        report(&program, &error);
        return 1;
    }
    if (!ocdmux_hello(program.connection, "loop example", getenv("OCDMUX_TOKEN"), 10000, NULL, &error)) {
        report(&program, &error);
    } else if (subscribe(&program)) {
        run(&program);
    }
    ocdmux_close(program.connection);
    if (program.failed) {
        return 1;
    }
    printf("%u words, sum 0x%" PRIx64 "; %" PRIu64 " bytes; %s\n", program.begun, program.sum, program.bytes,
           program.events > 0 ? "with events" : "without events");
    return 0;
}
