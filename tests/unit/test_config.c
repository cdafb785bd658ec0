/* server/config: what is taken, and where bad configuration is refused. */
#include "config_text.h"

#include <unistd.h>

static void test_config_of_one_board_has_defaults_for_the_rest(void **state)
{
    struct config *config = *state;
    must_read(config, "{" BOARDS "}");
    assert_int_equal(config->board_count, 1);
    assert_string_equal(config->boards[0].name, "lab1");
    assert_string_equal(config->boards[0].openocd.text, "127.0.0.1:6666");
    assert_null(config->boards[0].stage_dir);
    assert_int_equal(config->boards[0].link_limit_ms, 60000);
    assert_int_equal(config->boards[0].lease_grace_ms, 10000);
    assert_false(config->boards[0].require_lease);
    assert_int_equal(config->listener_count, 0);
    assert_null(config->dump_root);
    assert_null(config->share_dir);
    assert_null(config->share_group);
    assert_int_equal(config->anonymous_role, RPC_ROLE_USER);
    assert_false(config->insecure);
    assert_int_equal(config->log_level, LOG_LEVEL_INFO);
    assert_int_equal(config->limits.max_line_bytes, 8u << 20);
    assert_int_equal(config->limits.max_in_flight, 256);
    assert_int_equal(config->limits.max_queued_bytes, 16u << 20);
    assert_int_equal(config->limits.max_identity_operations, 32768);
    assert_int_equal(config->limits.max_board_operations, 65536);
    assert_int_equal(config->limits.max_output_bytes, 1u << 20);
    assert_int_equal(config->limits.max_inline_bytes, 4u << 20);
    assert_int_equal(config->limits.max_clients, 16384);
    assert_int_equal(config->limits.slow_reader_ms, 30000);
    assert_int_equal(config->limits.login_ms, 10000);
    assert_int_equal(config->limits.max_stage_bytes, 256u << 20);
    assert_int_equal(config->limits.max_total_stage_bytes, 1u << 30);
    assert_int_equal(config->limits.max_stages, 256);
    assert_int_equal(config->limits.stage_expiry_ms, 3600000);
    assert_int_equal(config->limits.max_image_bytes, 64u << 20);
    assert_int_equal(config->limits.max_watches, 32);
    assert_int_equal(config->limits.max_watch_bytes, 64u << 10);
    assert_int_equal(config->limits.max_board_watches, 4096);
    assert_int_equal(config->limits.max_board_watch_bytes, 1u << 20);
    assert_int_equal(config->limits.min_watch_interval_ms, 10);
    assert_null(config->stage_root);
    assert_null(config->stage_group);
    assert_null(config->share_dir);
    assert_null(config->share_group);
    assert_null(config->state_dir);
    assert_int_equal(config->image_root_count, 0);
}

static void test_config_takes_every_member(void **state)
{
    struct config *config = *state;
    must_read(
        config,
        "{\"boards\": [{\"name\": \"a.b-c_1\", \"openocd\": \"localhost:6666\", \"stage_dir\": \"/var/tmp\", "
        "\"link_limit_ms\": 1000, \"require_lease\": true, \"lease_grace_ms\": 0}, {\"name\": \"B\", "
        "\"lease_grace_ms\": 600000,"
        " \"openocd\": \"[::1]:7777\", \"link_limit_ms\": "
        "3600000}],"
        "\"listen\": [\"tcp:127.0.0.1:0\", \"unix:/tmp/x.sock\"], \"dump_root\": \"/dumps\","
        "\"stage_root\": \"/stages\", \"stage_group\": \"lab\", \"share_dir\": \"/share\", "
        "\"share_group\": \"debug\", \"state_dir\": \"/var/lib/ocdmux\", \"image_roots\": [\"/a\", \"/b\"],"
        "\"anonymous_role\": \"admin\", \"insecure\": true, \"log_level\": \"debug\","
        "\"limits\": {\"max_line_bytes\": 1024, \"max_in_flight\": 10000, \"max_queued_bytes\": 1024,"
        "\"max_identity_operations\": 1, \"max_board_operations\": 1000000,"
        "\"max_output_bytes\": 1024, \"max_inline_bytes\": 1, \"max_clients\": 100000, "
        "\"slow_reader_ms\": 100, \"login_ms\": 600000, \"max_stage_bytes\": 1, \"max_total_stage_bytes\": "
        "1099511627776, "
        "\"max_stages\": 10000, \"stage_expiry_ms\": 604800000, \"max_image_bytes\": 1073741824, "
        "\"max_watches\": 10000, \"max_watch_bytes\": 64, \"max_board_watches\": 1, "
        "\"max_board_watch_bytes\": 67108864, \"min_watch_interval_ms\": 60000}}");
    assert_int_equal(config->board_count, 2);
    assert_string_equal(config->boards[0].stage_dir, "/var/tmp");
    assert_int_equal(config->boards[0].link_limit_ms, 1000);
    assert_int_equal(config->boards[1].link_limit_ms, 3600000);
    assert_true(config->boards[0].require_lease);
    assert_false(config->boards[1].require_lease);
    assert_int_equal(config->boards[0].lease_grace_ms, 0);
    assert_int_equal(config->boards[1].lease_grace_ms, 600000);
    assert_int_equal(config->listener_count, 2);
    assert_string_equal(config->dump_root, "/dumps");
    assert_int_equal(config->anonymous_role, RPC_ROLE_ADMIN);
    assert_true(config->insecure);
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(config->limits.max_line_bytes, 1024);
    assert_int_equal(config->limits.max_in_flight, 10000);
    assert_int_equal(config->limits.max_queued_bytes, 1024);
    assert_int_equal(config->limits.max_identity_operations, 1);
    assert_int_equal(config->limits.max_board_operations, 1000000);
    assert_int_equal(config->limits.max_output_bytes, 1024);
    assert_int_equal(config->limits.max_inline_bytes, 1);
    assert_int_equal(config->limits.max_clients, 100000);
    assert_int_equal(config->limits.slow_reader_ms, 100);
    assert_int_equal(config->limits.login_ms, 600000);
    assert_int_equal(config->limits.max_stage_bytes, 1);
    assert_int_equal(config->limits.max_total_stage_bytes, 1ull << 40);
    assert_int_equal(config->limits.max_stages, 10000);
    assert_int_equal(config->limits.stage_expiry_ms, 604800000);
    assert_int_equal(config->limits.max_image_bytes, 1u << 30);
    assert_int_equal(config->limits.max_watches, 10000);
    assert_int_equal(config->limits.max_watch_bytes, 64);
    assert_int_equal(config->limits.max_board_watches, 1);
    assert_int_equal(config->limits.max_board_watch_bytes, 64u << 20);
    assert_int_equal(config->limits.min_watch_interval_ms, 60000);
    assert_string_equal(config->stage_root, "/stages");
    assert_string_equal(config->stage_group, "lab");
    assert_string_equal(config->share_dir, "/share");
    assert_string_equal(config->share_group, "debug");
    assert_string_equal(config->state_dir, "/var/lib/ocdmux");
    assert_int_equal(config->image_root_count, 2);
    assert_string_equal(config->image_roots[0], "/a");
    assert_string_equal(config->image_roots[1], "/b");
}

static void test_config_may_have_comments(void **state)
{
    struct config *config = *state;
    must_read(config, "// the lab\n/* on the\n * third floor */ {" BOARDS ", // one\n"
                      "\"dump_root\": \"/a//b/*c*/\\\"//\" /**/ }//");
    assert_string_equal(config->dump_root, "/a//b/*c*/\"//");
}

static void test_config_errors_have_their_line_and_column(void **state)
{
    static const struct {
        const char *text;
        const char *place;
    } cases[] = {
        {"", "lab.json:1:1: "},
        {"{", "lab.json:1:2: "},
        {"{" BOARDS ",}", "lab.json:1:60: "},
        {"{\n  \"boards\": [\n    zebra\n  ]\n}", "lab.json:3:5: "},
        {"/* two\nlines */ {} x", "lab.json:2:13: "},
        {"{} /* no end", "lab.json:1:4: "},
        {"{\"boards\": 1, \"boards\": 2}", "lab.json:1:"},
        {"{\"a\": 01}", "lab.json:1:"},
        {"{\"a\": \"\\u0000\"}", "lab.json:1:"},
        {"{\"a\": \"\xff\"}", "lab.json:1:"},
        {"\xef\xbb\xbf{}", "lab.json:1:1: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;
        struct err err;
        config_init(&config);
        assert_false(read_text(&config, cases[i].text, &err));
        assert_int_equal(err.kind, ERR_INVALID_PARAMS);
        if (strncmp(err.message, cases[i].place, strlen(cases[i].place)) != 0) {
            fail_msg("\"%s\" does not begin with \"%s\"", err.message, cases[i].place);
        }
        assert_true(strlen(err.message) > strlen(cases[i].place));
        config_fini(&config);
    }
}

static void test_config_errors_name_the_member(void **state)
{
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"[]", "lab.json: must be an object"},
        {"{\"boards\": {}}", "lab.json: boards: must be an array of boards"},
        {"{\"Boards\": []}", "lab.json: Boards: is not known"},
        {"{\"boards\": [7]}", "lab.json: boards[0]: must be an object"},
        {"{\"boards\": [{}]}", "lab.json: boards[0].name: is missing"},
        {"{\"boards\": [" BOARD ", {\"name\": \"x\"}]}",
         "lab.json: boards[1].openocd: is missing, and so is `spawn`"},
        {"{\"boards\": [{\"name\": 1, \"openocd\": \"h:1\"}]}",
         "lab.json: boards[0].name: must be a text that is not empty"},
        {"{\"boards\": [{\"name\": \"\", \"openocd\": \"h:1\"}]}",
         "lab.json: boards[0].name: must be a text that is not empty"},
        {"{\"boards\": [{\"name\": \"a b\", \"openocd\": \"127.0.0.1:1\"}]}",
         "lab.json: boards[0]: a board's name has 1 to 64 letters, digits, dots, dashes or underscores"},
        {"{\"boards\": [" BOARD ", " BOARD "]}", "lab.json: boards[1]: two boards are called \"lab1\""},
        {"{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:1\", \"port\": 1}]}",
         "lab.json: boards[0].port: is not known"},
        {"{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:1\", \"stage_dir\": \"\"}]}",
         "lab.json: boards[0].stage_dir: must be a text that is not empty"},
        {"{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:1\", \"link_limit_ms\": 999}]}",
         "lab.json: boards[0].link_limit_ms: must be a whole number from 1000 to 3600000"},
        {"{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:1\", \"link_limit_ms\": 3600001}]}",
         "lab.json: boards[0].link_limit_ms: must be a whole number from 1000 to 3600000"},
        {"{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:1\", \"lease_grace_ms\": 600001}]}",
         "lab.json: boards[0].lease_grace_ms: must be a whole number from 0 to 600000"},
        {"{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:1\", \"require_lease\": 1}]}",
         "lab.json: boards[0].require_lease: must be true or false"},
        {"{" BOARDS ", \"listen\": \"tcp:127.0.0.1:1\"}", "lab.json: listen: must be an array of texts"},
        {"{" BOARDS ", \"listen\": [1]}", "lab.json: listen: must be an array of texts"},
        {"{" BOARDS ", \"dump_root\": 1}", "lab.json: dump_root: must be a text that is not empty"},
        {"{" BOARDS ", \"dump_root\": null}", "lab.json: dump_root: must be a text that is not empty"},
        {"{" BOARDS ", \"stage_root\": \"\"}", "lab.json: stage_root: must be a text that is not empty"},
        {"{" BOARDS ", \"stage_group\": 0}", "lab.json: stage_group: must be a text that is not empty"},
        {"{" BOARDS ", \"share_dir\": \"\"}", "lab.json: share_dir: must be a text that is not empty"},
        {"{" BOARDS ", \"share_dir\": false}", "lab.json: share_dir: must be a text that is not empty"},
        {"{" BOARDS ", \"share_group\": []}", "lab.json: share_group: must be a text that is not empty"},
        {"{" BOARDS ", \"state_dir\": null}", "lab.json: state_dir: must be a text that is not empty"},
        {"{" BOARDS ", \"image_roots\": \"/a\"}", "lab.json: image_roots: must be an array of texts"},
        {"{" BOARDS ", \"image_roots\": [\"/a\", 1]}",
         "lab.json: image_roots: must be an array of texts that are not empty"},
        {"{" BOARDS ", \"image_roots\": [\"\"]}",
         "lab.json: image_roots: must be an array of texts that are not empty"},
        {"{" BOARDS ", \"limits\": {\"max_stages\": 0}}",
         "lab.json: limits.max_stages: must be a whole number from 1 to 10000"},
        {"{" BOARDS ", \"limits\": {\"max_stage_bytes\": 1099511627777}}",
         "lab.json: limits.max_stage_bytes: must be a whole number from 1 to 1099511627776"},
        {"{" BOARDS ", \"limits\": {\"max_total_stage_bytes\": 0}}",
         "lab.json: limits.max_total_stage_bytes: must be a whole number from 1 to 1099511627776"},
        {"{" BOARDS ", \"limits\": {\"stage_expiry_ms\": 99}}",
         "lab.json: limits.stage_expiry_ms: must be a whole number from 100 to 604800000"},
        {"{" BOARDS ", \"limits\": {\"max_watches\": 0}}",
         "lab.json: limits.max_watches: must be a whole number from 1 to 10000"},
        {"{" BOARDS ", \"limits\": {\"max_watch_bytes\": 63}}",
         "lab.json: limits.max_watch_bytes: must be a whole number from 64 to 1048576"},
        {"{" BOARDS ", \"limits\": {\"min_watch_interval_ms\": 60001}}",
         "lab.json: limits.min_watch_interval_ms: must be a whole number from 1 to 60000"},
        {"{" BOARDS ", \"limits\": {\"max_image_bytes\": 1073741825}}",
         "lab.json: limits.max_image_bytes: must be a whole number from 1 to 1073741824"},
        {"{" BOARDS ", \"share_dir\": \"\"}", "lab.json: share_dir: must be a text that is not empty"},
        {"{" BOARDS ", \"share_group\": 7}", "lab.json: share_group: must be a text that is not empty"},
        {"{" BOARDS ", \"insecure\": 1}", "lab.json: insecure: must be true or false"},
        {"{" BOARDS ", \"anonymous_role\": \"root\"}",
         "lab.json: anonymous_role: must be \"none\", \"observer\", \"user\" or \"admin\""},
        {"{" BOARDS ", \"log_level\": \"loud\"}",
         "lab.json: log_level: must be \"error\", \"warn\", \"info\" or \"debug\""},
        {"{" BOARDS ", \"limits\": []}", "lab.json: limits: must be an object"},
        {"{" BOARDS ", \"limits\": {\"max\": 1}}", "lab.json: limits.max: is not known"},
        {"{" BOARDS ", \"limits\": {\"max_line_bytes\": 1023}}",
         "lab.json: limits.max_line_bytes: must be a whole number from 1024 to 67108864"},
        {"{" BOARDS ", \"limits\": {\"max_line_bytes\": 67108865}}",
         "lab.json: limits.max_line_bytes: must be a whole number from 1024 to 67108864"},
        {"{" BOARDS ", \"limits\": {\"max_in_flight\": 0}}",
         "lab.json: limits.max_in_flight: must be a whole number from 1 to 10000"},
        {"{" BOARDS ", \"limits\": {\"max_in_flight\": 1.5}}",
         "lab.json: limits.max_in_flight: must be a whole number from 1 to 10000"},
        {"{" BOARDS ", \"limits\": {\"max_in_flight\": \"1\"}}",
         "lab.json: limits.max_in_flight: must be a whole number from 1 to 10000"},
        {"{" BOARDS ", \"limits\": {\"max_queued_bytes\": 1073741825}}",
         "lab.json: limits.max_queued_bytes: must be a whole number from 1024 to 1073741824"},
        {"{" BOARDS ", \"limits\": {\"max_output_bytes\": 1023}}",
         "lab.json: limits.max_output_bytes: must be a whole number from 1024 to 1073741824"},
        {"{" BOARDS ", \"limits\": {\"max_inline_bytes\": 16777217}}",
         "lab.json: limits.max_inline_bytes: must be a whole number from 1 to 16777216"},
        {"{" BOARDS ", \"limits\": {\"max_clients\": 100001}}",
         "lab.json: limits.max_clients: must be a whole number from 1 to 100000"},
        {"{" BOARDS ", \"limits\": {\"slow_reader_ms\": -1}}",
         "lab.json: limits.slow_reader_ms: must be a whole number from 100 to 3600000"},
        {"{" BOARDS ", \"limits\": {\"slow_reader_ms\": 1e300}}",
         "lab.json: limits.slow_reader_ms: must be a whole number from 100 to 3600000"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        must_refuse(cases[i].text, cases[i].message);
    }
}

static void test_config_errors_of_addresses_name_their_place(void **state)
{
    static const struct {
        const char *text;
        const char *place;
    } cases[] = {
        {"{\"boards\": [{\"name\": \"a\", \"openocd\": \"nowhere\"}]}", "lab.json: boards[0]: "},
        {"{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:0\"}]}", "lab.json: boards[0]: "},
        {"{\"boards\": [{\"name\": \"a\", \"openocd\": \"127.0.0.1:65536\"}]}", "lab.json: boards[0]: "},
        {"{" BOARDS ", \"listen\": [\"tcp:127.0.0.1:1\", \"http://x\"]}", "lab.json: listen[1]: "},
        {"{" BOARDS ", \"listen\": [\"unix:\"]}", "lab.json: listen[0]: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;
        struct err err;
        config_init(&config);
        if (read_text(&config, cases[i].text, &err)) {
            fail_msg("taken: %s", cases[i].text);
        }
        if (strncmp(err.message, cases[i].place, strlen(cases[i].place)) != 0) {
            fail_msg("\"%s\" does not begin with \"%s\"", err.message, cases[i].place);
        }
        config_fini(&config);
    }
}

static void test_config_takes_so_many_boards_and_listeners_and_no_more(void **state)
{
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    for (unsigned i = 0; i < CONFIG_MAX_BOARDS; i++) {
        char name[16];
        snprintf(name, sizeof name, "b%u", i);
        assert_true(config_add_board(config, name, "127.0.0.1:6666", &err));
    }
    assert_false(config_add_board(config, "more", "127.0.0.1:6666", &err));
    assert_string_equal(err.message, "more than 64 boards");
    for (unsigned i = 0; i < CONFIG_MAX_LISTENERS; i++) {
        assert_true(config_add_listener(config, "tcp:127.0.0.1:0", &err));
    }
    assert_false(config_add_listener(config, "tcp:127.0.0.1:0", &err));
    assert_string_equal(err.message, "more than 16 listeners");
    assert_int_equal(config->board_count, CONFIG_MAX_BOARDS);
    assert_int_equal(config->listener_count, CONFIG_MAX_LISTENERS);
}

static void test_config_board_names_are_plain(void **state)
{
    struct config *config = *state;
    struct err err;
    char name[CONFIG_NAME_SIZE + 1];
    static const char *const bad[] = {"", "a b", "a/b", "a\nb", "\xc3\xa4", "a\"", "a:b"};
    err_reset(&err);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(config_add_board(config, bad[i], "127.0.0.1:1", &err));
    }
    memset(name, 'n', sizeof name);
    name[CONFIG_NAME_SIZE] = '\0';
    assert_false(config_add_board(config, name, "127.0.0.1:1", &err)); /* 65 */
    name[CONFIG_NAME_SIZE - 1] = '\0';
    assert_true(config_add_board(config, name, "127.0.0.1:1", &err));
    assert_string_equal(config->boards[0].name, name);
}

static void test_config_roles(void **state)
{
    enum rpc_role role = RPC_ROLE_USER;
    (void)state;
    assert_true(config_parse_role("observer", &role));
    assert_int_equal(role, RPC_ROLE_OBSERVER);
    assert_true(config_parse_role("user", &role));
    assert_int_equal(role, RPC_ROLE_USER);
    assert_true(config_parse_role("admin", &role));
    assert_int_equal(role, RPC_ROLE_ADMIN);
    assert_false(config_parse_role("Admin", &role));
    assert_false(config_parse_role("", &role));
    assert_int_equal(role, RPC_ROLE_ADMIN);
}

/* Files. */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_config_files_must_be_files(void **state)
{
    struct config *config = *state;
    struct err err;
    char directory[] = "/tmp/ocdmux-test-config-XXXXXX";
    char path[64];
    char message[128];
    err_reset(&err);
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/lab.json", directory);
    assert_false(config_read_file(config, path, &err));
    snprintf(message, sizeof message, "%s: No such file or directory", path);
    assert_string_equal(err.message, message);
    assert_false(config_read_file(config, directory, &err));
    assert_non_null(strstr(err.message, "is no regular file"));
    write_file(path, "{" BOARDS "} x");
    assert_false(config_read_file(config, path, &err));
    snprintf(message, sizeof message, "%s:1:", path);
    assert_memory_equal(err.message, message, strlen(message));
    write_file(path, "{" BOARDS "} // fine");
    assert_true(config_read_file(config, path, &err));
    assert_int_equal(config->board_count, 1);
    assert_int_equal(truncate(path, 4 * 1024 * 1024 + 1), 0);
    assert_false(config_read_file(config, path, &err));
    assert_non_null(strstr(err.message, "at most 4194304 bytes"));
    unlink(path);
    rmdir(directory);
}

/* What must hold between the settings. */

static void test_config_complete_adds_the_default_listeners(void **state)
{
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    unsetenv("XDG_RUNTIME_DIR");
    must_read(config, "{" BOARDS "}");
    assert_true(config_complete(config, &err));
    assert_int_equal(config->listener_count, 1);
    assert_string_equal(config->listeners[0].text, "tcp:127.0.0.1:6670");
    config_fini(config);
    config_init(config);
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    must_read(config, "{" BOARDS "}");
    assert_true(config_complete(config, &err));
    assert_int_equal(config->listener_count, 2);
    assert_string_equal(config->listeners[1].text, "unix:/run/user/7/ocdmux.sock");
    config_fini(config);
    config_init(config);
    must_read(config, "{" BOARDS ", \"listen\": [\"tcp:127.0.0.1:1234\"]}");
    assert_true(config_complete(config, &err));
    assert_int_equal(config->listener_count, 1);
    unsetenv("XDG_RUNTIME_DIR");
}

#define WITH_GDB(gdb) "{\"boards\": [{\"name\": \"b\", \"openocd\": \"127.0.0.1:6666\", \"gdb\": " gdb "}]}"

static void test_config_boards_take_gdb(void **state)
{
    struct config *config = *state;
    must_read(config, WITH_GDB("{\"listen\": \"unix:/tmp/g\", \"openocd\": \"127.0.0.1:3333\"}"));
    const struct config_gdb *gdb = &config->boards[0].gdb;
    assert_true(gdb->listens && gdb->has_openocd);
    assert_string_equal(gdb->listen.text, "unix:/tmp/g");
    assert_int_equal(net_address_port(&gdb->openocd), 3333);
}

static void test_config_gdb_errors_name_the_member(void **state)
{
    (void)state;
    must_refuse(WITH_GDB("1"), "lab.json: boards[0].gdb: must be an object");
    must_refuse(WITH_GDB("{}"), "lab.json: boards[0].gdb.listen: is missing");
    must_refuse(WITH_GDB("{\"listen\": 1}"),
                "lab.json: boards[0].gdb.listen: must be a text that is not empty");
    must_refuse(WITH_GDB("{\"listen\": \"tcp:127.0.0.1:0\", \"port\": 1}"),
                "lab.json: boards[0].gdb.port: is not known");
    must_refuse(WITH_GDB("{\"listen\": \"tcp:127.0.0.1:0\", \"openocd\": \"127.0.0.1:0\"}"),
                "lab.json: boards[0].gdb: 127.0.0.1:0: OpenOCD's gdb port cannot be 0");
}

static void test_config_complete_refuses_gdb_listeners_that_others_reach(void **state)
{
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    must_read(config, WITH_GDB("{\"listen\": \"tcp:0.0.0.0:3333\"}"));
    assert_false(config_complete(config, &err));
    assert_non_null(
        strstr(err.message, "gdb of the board \"b\": tcp:0.0.0.0:3333 is reachable from other machines"));
    err_reset(&err);
    config->insecure = true;
    assert_true(config_complete(config, &err));
}

static void test_config_complete_wants_a_board(void **state)
{
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    static const char *const empty[] = {"{}", "{\"boards\": []}", "{\"listen\": []}"};
    for (size_t i = 0; i < 3; i++) {
        must_read(config, empty[i]);
        assert_false(config_complete(config, &err));
        assert_int_equal(err.kind, ERR_INVALID_PARAMS);
        assert_non_null(strstr(err.message, "no board is configured"));
    }
}

static void test_config_complete_refuses_listeners_that_others_reach(void **state)
{
    static const char *const open[] = {"tcp:0.0.0.0:1234", "tcp:[::]:1234", "tcp:192.0.2.1:1234"};
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    assert_true(config_add_board(config, "b", "127.0.0.1:1", &err));
    for (size_t i = 0; i < 3; i++) {
        config->listener_count = 0;
        config->insecure = false;
        assert_true(config_add_listener(config, "tcp:127.0.0.1:1", &err));
        assert_true(config_add_listener(config, open[i], &err));
        assert_false(config_complete(config, &err));
        assert_int_equal(err.kind, ERR_INVALID_PARAMS);
        assert_memory_equal(err.message, open[i], strlen(open[i]));
        config->insecure = true;
        assert_true(config_complete(config, &err));
    }
}

static void test_config_complete_wants_a_path_to_share_or_none(void **state)
{
    static const struct {
        const char *dir;
        bool good;
    } cases[] = {{"/srv", true}, {"none", true}, {"srv", false}, {"./none", false}, {"None", false}};
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    must_read(config, "{" BOARDS "}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        free(config->share_dir);
        config->share_dir = strdup(cases[i].dir);
        assert_int_equal(config_complete(config, &err), cases[i].good);
        if (!cases[i].good) {
            assert_non_null(strstr(err.message, "share_dir: must be an absolute path or \"none\""));
        }
    }
}

static void test_config_complete_wants_the_dump_root_to_be_a_directory(void **state)
{
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    must_read(config, "{" BOARDS ", \"listen\": [\"tcp:127.0.0.1:0\"], \"dump_root\": \"/dev/null\"}");
    assert_false(config_complete(config, &err));
    assert_string_equal(err.message, "dump_root: /dev/null is no directory");
    must_read(config,
              "{\"boards\": [{\"name\": \"x\", \"openocd\": \"127.0.0.1:1\"}], \"dump_root\": \"/tmp\"}");
    assert_true(config_complete(config, &err));
    assert_string_equal(config->dump_root, "/tmp");
}

static void test_config_complete_wants_roots_to_be_directories(void **state)
{
    static const struct {
        const char *member;
        const char *message;
    } cases[] = {
        {"\"stage_root\": \"/dev/null\"", "stage_root: /dev/null is no directory"},
        {"\"image_roots\": [\"/tmp\", \"/nowhere\"]", "image_roots: /nowhere is no directory"},
        {"\"stage_group\": \"no such group\"", "stage_group: there is no group \"no such group\""},
        {"\"share_dir\": \"shm\"", "share_dir: must be an absolute path or \"none\""},
        {"\"share_dir\": \"None\"", "share_dir: must be an absolute path or \"none\""},
        {"\"state_dir\": \"var/lib\"", "state_dir: must be an absolute path"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config config;
        struct err err;
        char text[256];
        config_init(&config);
        snprintf(text, sizeof text, "{" BOARDS ", \"listen\": [\"tcp:127.0.0.1:0\"], %s}", cases[i].member);
        must_read(&config, text);
        assert_false(config_complete(&config, &err));
        assert_int_equal(err.kind, ERR_INVALID_PARAMS);
        assert_string_equal(err.message, cases[i].message);
        config_fini(&config);
    }
}

static void test_config_complete_wants_groups_that_there_are(void **state)
{
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    must_read(config, "{" BOARDS ", \"listen\": [\"tcp:127.0.0.1:0\"], \"stage_group\": \"root\", "
                      "\"stage_root\": \"/tmp\", \"image_roots\": [\"/tmp\"]}");
    assert_true(config_complete(config, &err));
    config->share_group = xstrdup("no such group");
    assert_false(config_complete(config, &err));
    assert_string_equal(err.message, "share_group: there is no group \"no such group\"");
}

static void set_environment(const char *name, const char *value)
{
    assert_int_equal(value != NULL ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void test_config_complete_finds_the_state_directory(void **state)
{
    static const struct {
        const char *systemd;
        const char *xdg;
        const char *home;
        const char *found; /* NULL: there is none */
    } cases[] = {
        {"/var/lib/ocdmux", "/xdg", "/home/a", "/var/lib/ocdmux"},
        {"/var/lib/ocdmux:/var/lib/other", NULL, NULL, "/var/lib/ocdmux"},
        {NULL, "/xdg", "/home/a", "/xdg/ocdmux"},
        {"relative", "/xdg", "/home/a", "/xdg/ocdmux"},
        {NULL, NULL, "/home/a", "/home/a/.local/state/ocdmux"},
        {"", "", "/home/a", "/home/a/.local/state/ocdmux"},
        {NULL, "xdg", "home", NULL},
        {NULL, NULL, NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int given = 0; given < 2; given++) {
            struct config config;
            struct err err;
            config_init(&config);
            set_environment("STATE_DIRECTORY", cases[i].systemd);
            set_environment("XDG_STATE_HOME", cases[i].xdg);
            set_environment("HOME", cases[i].home);
            must_read(&config, given ? "{" BOARDS
                                       ", \"listen\": [\"tcp:127.0.0.1:0\"], \"state_dir\": \"/given\"}"
                                     : "{" BOARDS ", \"listen\": [\"tcp:127.0.0.1:0\"]}");
            assert_true(config_complete(&config, &err));
            const char *found = given ? "/given" : cases[i].found;
            if (found != NULL) {
                assert_string_equal(config.state_dir, found);
            } else {
                assert_null(config.state_dir);
            }
            config_fini(&config);
        }
    }
}

static void test_config_complete_takes_a_share_or_none(void **state)
{
    static const char *const members[] = {"\"share_dir\": \"/nowhere\"", "\"share_dir\": \"none\"",
                                          "\"share_dir\": \"/dev/shm\", \"share_group\": \"root\""};
    (void)state;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        struct config config;
        struct err err;
        char text[256];
        config_init(&config);
        snprintf(text, sizeof text, "{" BOARDS ", \"listen\": [\"tcp:127.0.0.1:0\"], %s}", members[i]);
        must_read(&config, text);
        assert_true(config_complete(&config, &err));
        config_fini(&config);
    }
}

static void test_config_has_so_many_image_roots(void **state)
{
    struct config *config = *state;
    struct err err;
    err_reset(&err);
    for (size_t i = 0; i < CONFIG_MAX_IMAGE_ROOTS; i++) {
        assert_true(config_add_image_root(config, "/tmp", &err));
    }
    assert_false(config_add_image_root(config, "/tmp", &err));
    assert_string_equal(err.message, "more than 16 image roots");
}

#define WITH_CONFIG(test) cmocka_unit_test_setup_teardown(test, config_setup, config_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONFIG(test_config_of_one_board_has_defaults_for_the_rest),
        WITH_CONFIG(test_config_takes_every_member),
        WITH_CONFIG(test_config_may_have_comments),
        cmocka_unit_test(test_config_errors_have_their_line_and_column),
        cmocka_unit_test(test_config_errors_name_the_member),
        cmocka_unit_test(test_config_errors_of_addresses_name_their_place),
        WITH_CONFIG(test_config_takes_so_many_boards_and_listeners_and_no_more),
        WITH_CONFIG(test_config_board_names_are_plain),
        cmocka_unit_test(test_config_roles),
        WITH_CONFIG(test_config_files_must_be_files),
        WITH_CONFIG(test_config_complete_adds_the_default_listeners),
        WITH_CONFIG(test_config_complete_wants_a_board),
        WITH_CONFIG(test_config_boards_take_gdb),
        cmocka_unit_test(test_config_gdb_errors_name_the_member),
        WITH_CONFIG(test_config_complete_refuses_gdb_listeners_that_others_reach),
        WITH_CONFIG(test_config_complete_refuses_listeners_that_others_reach),
        WITH_CONFIG(test_config_complete_wants_a_path_to_share_or_none),
        WITH_CONFIG(test_config_complete_wants_the_dump_root_to_be_a_directory),
        cmocka_unit_test(test_config_complete_wants_roots_to_be_directories),
        WITH_CONFIG(test_config_complete_wants_groups_that_there_are),
        cmocka_unit_test(test_config_complete_finds_the_state_directory),
        cmocka_unit_test(test_config_complete_takes_a_share_or_none),
        WITH_CONFIG(test_config_has_so_many_image_roots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
