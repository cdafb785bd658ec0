/* The usual jobs of the client library: the calls that they make, and results that no honest server sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>

#include "client_rig.h"

#define RESULT "{\"jsonrpc\":\"2.0\",\"id\":$,\"result\":"
#define REFUSED \
    "{\"jsonrpc\":\"2.0\",\"id\":$,\"error\":{\"code\":-32000,\"message\":\"No.\",\"data\":{\"kind\":"
#define DATA "{\"jsonrpc\":\"2.0\",\"method\":\"data\",\"params\":{\"id\":$,\"offset\":"
#define OPENOCD "\"target_error\",\"openocd\":{\"code\":-4,\"text\":\"memory is gone\"}}}}\n"
#define TOO_LONG_ID "01234567890123456789012345678901234567890123456789012345678901234"
#define CREATED "{\"stage\":\"s1\",\"present\":false,\"offset\":"

/* One request that must come, by the text of its method and parameters, and what is answered; $ is its id. */
struct step {
    const char *request;
    const char *answer;
};

struct script {
    int fd;
    const struct step *steps;
    char problem[2048]; /* empty: all was as it should be */
    pthread_t thread;
};

/* A whole line without its LF; false at the end. */
static bool script_read_line(int fd, char *line, size_t size)
{
    size_t length = 0;
    while (length + 1 < size && read(fd, line + length, 1) == 1) {
        if (line[length] == '\n') {
            line[length] = '\0';
            return true;
        }
        length++;
    }
    return false;
}

static void script_answer(int fd, const char *answer, const char *id)
{
    char bytes[1024];
    size_t length = 0;
    for (const char *next = answer; *next != '\0' && length + 16 < sizeof bytes; next++) {
        if (*next == '$') {
            memcpy(bytes + length, id, strlen(id));
            length += strlen(id);
        } else {
            bytes[length++] = *next;
        }
    }
    (void)!write(fd, bytes, length);
}

/* The next line that is no cancel: whether one comes at all depends on how the answer was cut. */
static bool script_read_request(int fd, char *line, size_t size)
{
    do {
        if (!script_read_line(fd, line, size)) {
            return false;
        }
    } while (strstr(line, "\"request.cancel\"") != NULL);
    return true;
}

static void *script_run(void *arg)
{
    struct script *script = arg;
    static char line[1 << 20];
    for (const struct step *step = script->steps; step->request != NULL; step++) {
        char id[16] = "";
        const char *rest = NULL;
        if (!script_read_request(script->fd, line, sizeof line)) {
            (void)snprintf(script->problem, sizeof script->problem, "no %s came", step->request);
            return NULL;
        }
        if (sscanf(line, "{\"jsonrpc\":\"2.0\",\"id\":%15[0-9]", id) == 1) {
            rest = strstr(line, ",\"method\":");
        }
        if (rest == NULL || strcmp(rest + strlen(",\"method\":"), step->request) != 0) {
            (void)snprintf(script->problem, sizeof script->problem, "%.900s came instead of %.900s", line,
                           step->request);
            shutdown(script->fd, SHUT_RDWR);
            return NULL;
        }
        script_answer(script->fd, step->answer, id);
    }
    return NULL;
}

static void script_begin(struct script *script, struct rig *rig, const struct step *steps)
{
    *script = (struct script){.fd = rig->server, .steps = steps};
    assert_int_equal(pthread_create(&script->thread, NULL, script_run, script), 0);
}

static void script_end(struct script *script)
{
    assert_int_equal(pthread_join(script->thread, NULL), 0);
    assert_string_equal(script->problem, "");
}

static int setup(void **state)
{
    *state = rig_new();
    return 0;
}

static int teardown(void **state)
{
    rig_free(*state);
    return 0;
}

static void assert_kind(struct ocdmux_error *error, const char *kind, bool local)
{
    assert_string_equal(error->kind, kind);
    assert_int_equal(error->local, local);
    ocdmux_error_fini(error);
}

static void assert_works(struct rig *rig)
{
    static const struct step steps[] = {
        {"\"memory.read_u16\",\"params\":{\"address\":\"0x00000010\",\"count\":1}}",
         RESULT "{\"values\":[65535]}}\n"},
        {NULL, NULL},
    };
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    uint64_t value = 0;
    script_begin(&script, rig, steps);
    assert_true(ocdmux_read_values(rig->connection, NULL, 16, 0x10, &value, 1, &error));
    script_end(&script);
    assert_int_equal(value, 65535);
}

/* --- memory --- */

static void test_jobs_read_bytes(void **state)
{
    static const struct step steps[] = {
        {"\"memory.read_bytes\",\"params\":{\"board\":\"b\",\"target\":\"t\",\"lease\":\"l\",\"timeout_ms\":"
         "5000,"
         "\"address\":\"0x100000000\",\"size\":3}}",
         RESULT "{\"data\":\"AQID\",\"size\":3,\"disturbed\":false,\"operation\":\"op-1\"}}\n"},
        {NULL, NULL},
    };
    const struct ocdmux_job job = {.board = "b", .target = "t", .lease = "l", .timeout_ms = 5000};
    struct rig *rig = *state;
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    uint8_t bytes[3];
    script_begin(&script, rig, steps);
    assert_true(ocdmux_read_bytes(rig->connection, &job, 0x100000000u, bytes, 3, &error));
    script_end(&script);
    assert_memory_equal(bytes, "\1\2\3", 3);
    assert_works(rig);
}

/* What is too long for one answer comes in pieces. */
static void hello_with_short_lines(struct rig *rig)
{
    static const struct step steps[] = {
        {"\"server.hello\",\"params\":{\"client\":\"test\"}}",
         RESULT "{\"protocol\":1,\"limits\":{\"max_line_bytes\":4096,\"max_inline_bytes\":4}}}\n"},
        {NULL, NULL},
    };
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    script_begin(&script, rig, steps);
    assert_true(ocdmux_hello(rig->connection, "test", NULL, 5000, NULL, &error));
    script_end(&script);
    assert_int_equal(ocdmux_limits(rig->connection)->max_line_bytes, 4096);
    assert_int_equal(ocdmux_limits(rig->connection)->max_image_bytes, UINT64_MAX);
    assert_int_equal(ocdmux_inline_room(rig->connection), 4);
}

static void test_jobs_read_bytes_streams_what_is_long(void **state)
{
    static const struct step steps[] = {
        {"\"memory.read_bytes\",\"params\":{\"address\":\"0x00000000\",\"size\":5,\"stream\":true}}",
         DATA "0,\"data\":\"AQID\"}}\n" DATA "3,\"data\":\"BAU=\"}}\n" RESULT "{\"size\":5}}\n"},
        {NULL, NULL},
    };
    struct rig *rig = *state;
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    uint8_t bytes[5];
    hello_with_short_lines(rig);
    script_begin(&script, rig, steps);
    assert_true(ocdmux_read_bytes(rig->connection, NULL, 0, bytes, 5, &error));
    script_end(&script);
    assert_memory_equal(bytes, "\1\2\3\4\5", 5);
    assert_works(rig);
}

/* A byte more than was asked for must not be written anywhere. */
static void test_jobs_read_bytes_refuses_bad_pieces(void **state)
{
    static const char *const bad[] = {
        DATA "0,\"data\":\"AQIDBAUG\"}}\n",
        DATA "1,\"data\":\"AQ==\"}}\n",
        DATA "0,\"data\":\"AQ=\"}}\n",
        DATA "0,\"data\":5}}\n",
        DATA "0,\"data\":\"AQIDBAU=\"}}\n" DATA "0,\"data\":\"AQ==\"}}\n",
        DATA "0,\"data\":\"AQID\"}}\n",
    };
    struct rig *rig = *state;
    hello_with_short_lines(rig);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char answer[512];
        struct script script;
        struct ocdmux_error error = OCDMUX_ERROR_INIT;
        uint8_t bytes[6] = {0, 0, 0, 0, 0, 0x77};
        (void)snprintf(answer, sizeof answer, "%s%s", bad[i], RESULT "{\"size\":5}}\n");
        const struct step steps[] = {
            {"\"memory.read_bytes\",\"params\":{\"address\":\"0x00000000\",\"size\":5,\"stream\":true}}",
             answer},
            {NULL, NULL},
        };
        script_begin(&script, rig, steps);
        assert_false(ocdmux_read_bytes(rig->connection, NULL, 0, bytes, 5, &error));
        script_end(&script);
        assert_kind(&error, OCDMUX_KIND_PROTOCOL, true);
        assert_int_equal(bytes[5], 0x77);
    }
    assert_works(rig);
}

static void test_jobs_hand_on_what_openocd_said(void **state)
{
    static const struct step steps[] = {
        {"\"memory.read_bytes\",\"params\":{\"address\":\"0x00000000\",\"size\":1}}", REFUSED OPENOCD},
        {NULL, NULL},
    };
    struct rig *rig = *state;
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    uint8_t byte;
    script_begin(&script, rig, steps);
    assert_false(ocdmux_read_bytes(rig->connection, NULL, 0, &byte, 1, &error));
    script_end(&script);
    assert_string_equal(error.message, "No.");
    assert_true(error.has_openocd);
    assert_int_equal(error.openocd_code, -4);
    assert_string_equal(error.openocd_text, "memory is gone");
    assert_kind(&error, "target_error", false);
    assert_works(rig);
}

static void test_jobs_values_of_every_width(void **state)
{
    static const struct step steps[] = {
        {"\"memory.write_u8\",\"params\":{\"address\":\"0x00000000\",\"values\":[0,255]}}",
         RESULT "{\"count\":2}}\n"},
        {"\"memory.write_u64\",\"params\":{\"address\":\"0x00000000\",\"values\":[\"0xffffffffffffffff\"]}}",
         RESULT "{\"count\":1}}\n"},
        {"\"memory.read_u64\",\"params\":{\"address\":\"0x00000000\",\"count\":2}}",
         RESULT "{\"values\":[\"0xffffffffffffffff\",7]}}\n"},
        {NULL, NULL},
    };
    struct rig *rig = *state;
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    const uint64_t bytes[] = {0, 255};
    const uint64_t all = UINT64_MAX;
    uint64_t values[2];
    script_begin(&script, rig, steps);
    assert_true(ocdmux_write_values(rig->connection, NULL, 8, 0, bytes, 2, &error));
    assert_true(ocdmux_write_values(rig->connection, NULL, 64, 0, &all, 1, &error));
    assert_true(ocdmux_read_values(rig->connection, NULL, 64, 0, values, 2, &error));
    script_end(&script);
    assert_true(values[0] == UINT64_MAX && values[1] == 7);
    assert_works(rig);
}

static void test_jobs_refuse_values_that_no_method_has(void **state)
{
    struct rig *rig = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    uint64_t values[1] = {0};
    assert_false(ocdmux_read_values(rig->connection, NULL, 24, 0, values, 1, &error));
    assert_kind(&error, OCDMUX_KIND_INVALID_PARAMS, true);
    assert_false(ocdmux_write_values(rig->connection, NULL, 32, 0, values, 0, &error));
    assert_kind(&error, OCDMUX_KIND_INVALID_PARAMS, true);
    assert_false(ocdmux_read_values(rig->connection, NULL, 32, 0, values, 65537, &error));
    assert_kind(&error, OCDMUX_KIND_INVALID_PARAMS, true);
    assert_works(rig);
}

static void test_jobs_refuse_results_that_are_no_values(void **state)
{
    static const char *const bad[] = {"{\"values\":[1,2]}",
                                      "{\"values\":[]}",
                                      "{\"values\":[256]}",
                                      "{\"values\":[-1]}",
                                      "{\"values\":[1.5]}",
                                      "{\"values\":5}",
                                      "{}",
                                      "[]",
                                      "{\"values\":[\"x\"]}"};
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char answer[128];
        struct script script;
        struct ocdmux_error error = OCDMUX_ERROR_INIT;
        uint64_t values[1];
        (void)snprintf(answer, sizeof answer, "%s%s}\n", RESULT, bad[i]);
        const struct step steps[] = {
            {"\"memory.read_u8\",\"params\":{\"address\":\"0x00000000\",\"count\":1}}", answer},
            {NULL, NULL}};
        script_begin(&script, rig, steps);
        assert_false(ocdmux_read_values(rig->connection, NULL, 8, 0, values, 1, &error));
        script_end(&script);
        assert_kind(&error, OCDMUX_KIND_PROTOCOL, true);
    }
    assert_works(rig);
}

static void test_jobs_write_bytes_uploads_what_is_long(void **state)
{
    static const struct step steps[] = {
        {"\"stage.create\",\"params\":{\"name\":\"memory\",\"size\":5,\"sha256\":"
         "\"74f81fe167d99b4cb41d6d0ccda82278caee9f3e2f25d5e5a3936ff3dcec60d0\"}}",
         RESULT CREATED "0}}\n"},
        {"\"stage.write\",\"params\":{\"stage\":\"s1\",\"offset\":0,\"data\":\"AQIDBA==\"}}",
         RESULT "{\"offset\":4,\"size\":5,\"complete\":false}}\n"},
        {"\"stage.write\",\"params\":{\"stage\":\"s1\",\"offset\":4,\"data\":\"BQ==\"}}",
         RESULT "{\"offset\":5,\"size\":5,\"complete\":true}}\n"},
        {"\"memory.write_bytes\",\"params\":{\"address\":\"0x20000000\",\"stage\":\"s1\"}}",
         RESULT "{\"size\":5,\"operation\":\"op-1\"}}\n"},
        {NULL, NULL},
    };
    struct rig *rig = *state;
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    hello_with_short_lines(rig);
    script_begin(&script, rig, steps);
    assert_true(ocdmux_write_bytes(rig->connection, NULL, 0x20000000, "\1\2\3\4\5", 5, &error));
    script_end(&script);
    assert_works(rig);
}

/* --- stages, flash, leases, events --- */

static bool note_progress(void *arg, const char *phase, uint64_t done, uint64_t total)
{
    char *text = arg;
    size_t length = strlen(text);
    (void)snprintf(text + length, 256 - length, "%s %u/%u;", phase, (unsigned)done, (unsigned)total);
    return true;
}

static void test_jobs_upload_goes_on_where_it_stopped(void **state)
{
    static const struct step steps[] = {
        {"\"stage.create\",\"params\":{\"name\":\"a??b\xc3\xa4\",\"size\":4,\"sha256\":"
         "\"9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a\"}}",
         RESULT CREATED "2}}\n"},
        {"\"stage.write\",\"params\":{\"stage\":\"s1\",\"offset\":2,\"data\":\"AwQ=\"}}",
         RESULT "{\"offset\":4,\"size\":4,\"complete\":true}}\n"},
        {NULL, NULL},
    };
    char told[256] = "";
    const struct ocdmux_job job = {.progress = note_progress, .arg = told};
    struct rig *rig = *state;
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_stage stage;
    script_begin(&script, rig, steps);
    assert_true(ocdmux_upload(rig->connection, &job,
                              "a\x01\xff"
                              "b\xc3\xa4",
                              "\1\2\3\4", 4, &stage, &error));
    script_end(&script);
    assert_string_equal(stage.stage, "s1");
    assert_false(stage.present);
    assert_string_equal(told, "upload 2/4;upload 4/4;");
    assert_works(rig);
}

static void test_jobs_upload_refuses_strange_answers(void **state)
{
    static const char *const bad[] = {
        "{\"stage\":\"\",\"present\":true,\"offset\":0}",
        "{\"stage\":\"s\",\"present\":1,\"offset\":0}",
        "{\"stage\":\"s\",\"present\":false,\"offset\":4}",
        "{\"present\":true,\"offset\":0}",
        "{\"stage\":\"" TOO_LONG_ID "\",\"present\":true,\"offset\":0}",
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char answer[256];
        struct script script;
        struct ocdmux_error error = OCDMUX_ERROR_INIT;
        struct ocdmux_stage stage;
        (void)snprintf(answer, sizeof answer, "%s%s}\n", RESULT, bad[i]);
        const struct step steps[] = {
            {"\"stage.create\",\"params\":{\"name\":\"n\",\"size\":4,\"sha256\":"
             "\"9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a\"}}",
             answer},
            {NULL, NULL}};
        script_begin(&script, rig, steps);
        assert_false(ocdmux_upload(rig->connection, NULL, "n", "\1\2\3\4", 4, &stage, &error));
        script_end(&script);
        assert_kind(&error, OCDMUX_KIND_PROTOCOL, true);
    }
    assert_works(rig);
}

static void test_jobs_flash_programs_a_stage(void **state)
{
    static const struct step steps[] = {
        {"\"stage.create\",\"params\":{\"name\":\"n\",\"size\":4,\"sha256\":"
         "\"9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a\"}}",
         RESULT "{\"stage\":\"s1\",\"present\":true,\"offset\":4}}\n"},
        {"\"flash.write_image\",\"params\":{\"progress\":2,\"lease\":\"l\",\"stage\":\"s1\",\"format\":"
         "\"bin\","
         "\"prepare\":\"halt\",\"reset\":\"run\",\"address\":\"0x08000000\",\"verify\":false,\"unlock\":true}"
         "}",
         "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"token\":$,\"phase\":\"erase\",\"done\":"
         "1,"
         "\"total\":2,\"unit\":\"sectors\"}}\n" RESULT "{\"bytes_written\":4}}\n"},
        {NULL, NULL},
    };
    char told[256] = "";
    const struct ocdmux_job job = {.lease = "l", .progress = note_progress, .arg = told};
    const struct ocdmux_flash_options options = {.format = "bin",
                                                 .has_address = true,
                                                 .address = 0x08000000,
                                                 .no_verify = true,
                                                 .unlock = true,
                                                 .prepare = "halt",
                                                 .reset = "run"};
    struct rig *rig = *state;
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    script_begin(&script, rig, steps);
    assert_true(ocdmux_flash_image(rig->connection, &job, "n", "\1\2\3\4", 4, &options, &result, &error));
    script_end(&script);
    assert_string_equal(result.text, "{\"bytes_written\":4}");
    assert_string_equal(told, "erase 1/2;");
    ocdmux_result_fini(&result);
    assert_works(rig);
}

static void test_jobs_flash_refuses_files_that_cannot_be_read(void **state)
{
    struct rig *rig = *state;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    assert_false(ocdmux_flash_file(rig->connection, NULL, "/no/such/file", NULL, NULL, &error));
    assert_non_null(strstr(error.message, "No such file"));
    assert_kind(&error, OCDMUX_KIND_INVALID_PARAMS, true);
    assert_false(ocdmux_flash_file(rig->connection, NULL, "/", NULL, NULL, &error));
    assert_kind(&error, OCDMUX_KIND_INVALID_PARAMS, true);
    assert_false(ocdmux_flash_file(rig->connection, NULL, "/dev/null", NULL, NULL, &error));
    assert_kind(&error, OCDMUX_KIND_INVALID_PARAMS, true);
    assert_works(rig);
}

static void test_jobs_lease_and_events(void **state)
{
    static const struct step steps[] = {
        {"\"lease.acquire\",\"params\":{\"board\":\"b\",\"ttl_ms\":60000,\"wait_ms\":5,\"reason\":\"why\"}}",
         RESULT "{\"lease\":\"L\",\"board\":\"b\",\"ttl_ms\":60000}}\n"},
        {"\"lease.renew\",\"params\":{\"board\":\"b\",\"lease\":\"L\",\"ttl_ms\":7000}}", RESULT "{}}\n"},
        {"\"lease.release\",\"params\":{\"board\":\"b\",\"lease\":\"L\"}}", REFUSED "\"lease_lost\"}}}\n"},
        {"\"events.subscribe\",\"params\":{\"board\":\"b\",\"topics\":[\"link\",\"lease\"]}}",
         RESULT "{\"seq\":0}}\n"},
        {"\"events.unsubscribe\",\"params\":{\"topics\":[\"link\"]}}", RESULT "{}}\n"},
        {"\"events.unsubscribe\",\"params\":{}}", RESULT "{}}\n"},
        {NULL, NULL},
    };
    struct ocdmux_job job = {.board = "b"};
    struct rig *rig = *state;
    struct script script;
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    struct ocdmux_result result = OCDMUX_RESULT_INIT;
    struct ocdmux_lease lease;
    script_begin(&script, rig, steps);
    assert_true(ocdmux_lease_acquire(rig->connection, &job, 60000, 5, "why", &lease, &error));
    assert_string_equal(lease.lease, "L");
    assert_int_equal(lease.ttl_ms, 60000);
    job.lease = lease.lease;
    assert_true(ocdmux_lease_renew(rig->connection, &job, 7000, &error));
    assert_false(ocdmux_lease_release(rig->connection, &job, &error));
    assert_kind(&error, "lease_lost", false);
    assert_true(ocdmux_subscribe(rig->connection, &job, " link  lease", &result, &error));
    assert_string_equal(result.text, "{\"seq\":0}");
    ocdmux_result_fini(&result);
    assert_true(ocdmux_unsubscribe(rig->connection, &job, "link", &error));
    assert_true(ocdmux_unsubscribe(rig->connection, &job, NULL, &error));
    script_end(&script);
    assert_works(rig);
}

int main(void)
{
#define JOBS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        JOBS_TEST(test_jobs_read_bytes),
        JOBS_TEST(test_jobs_read_bytes_streams_what_is_long),
        JOBS_TEST(test_jobs_read_bytes_refuses_bad_pieces),
        JOBS_TEST(test_jobs_hand_on_what_openocd_said),
        JOBS_TEST(test_jobs_values_of_every_width),
        JOBS_TEST(test_jobs_refuse_values_that_no_method_has),
        JOBS_TEST(test_jobs_refuse_results_that_are_no_values),
        JOBS_TEST(test_jobs_write_bytes_uploads_what_is_long),
        JOBS_TEST(test_jobs_upload_goes_on_where_it_stopped),
        JOBS_TEST(test_jobs_upload_refuses_strange_answers),
        JOBS_TEST(test_jobs_flash_programs_a_stage),
        JOBS_TEST(test_jobs_flash_refuses_files_that_cannot_be_read),
        JOBS_TEST(test_jobs_lease_and_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
