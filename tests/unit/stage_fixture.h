/* A store in a temporary directory, with the clock standing still and small limits. */
#ifndef OCDMUX_TESTS_STAGE_FIXTURE_H
#define OCDMUX_TESTS_STAGE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "descriptors.h"

#include "base/alloc.h"
#include "server/stage.h"

#define START_US 1000000u
#define EXPIRY_US 3600000000u

struct fixture {
    char root[64];
    struct config config;
    struct loop *loop;
    struct stage_store store;
};

static inline int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    struct err err;
    snprintf(fixture->root, sizeof fixture->root, "/tmp/ocdmux-test-stage-XXXXXX");
    if (mkdtemp(fixture->root) == NULL) {
        free(fixture);
        return -1;
    }
    clock_fake(START_US);
    config_init(&fixture->config);
    fixture->config.stage_root = xstrdup(fixture->root);
    fixture->config.limits.max_stage_bytes = 1000;
    fixture->config.limits.max_total_stage_bytes = 1500;
    fixture->config.limits.max_stages = 8;
    fixture->loop = loop_new();
    err_reset(&err);
    if (!stage_store_init(&fixture->store, fixture->loop, &fixture->config, &err)) {
        fail_msg("no store: %s", err.message);
    }
    *state = fixture;
    return 0;
}

/* Also proves that the store leaves nothing behind. */
static inline int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    stage_store_fini(&fixture->store);
    loop_free(fixture->loop);
    config_fini(&fixture->config);
    clock_fake(0);
    int status = rmdir(fixture->root);
    free(fixture);
    return status;
}

/* The files of stages that there are. */
static inline size_t count_files(const struct fixture *fixture)
{
    char path[160];
    size_t count = 0;
    snprintf(path, sizeof path, "%s", private_dir_path(fixture->store.dir));
    DIR *directory = opendir(path);
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(directory);
    return count;
}

static inline void file_path(const struct fixture *fixture, const struct stage *stage, char path[256])
{
    snprintf(path, 256, "%s/%s", private_dir_path(fixture->store.dir), stage->file.name);
}

static inline uint64_t file_size(const struct fixture *fixture, const struct stage *stage)
{
    char path[256];
    struct stat status;
    file_path(fixture, stage, path);
    assert_int_equal(lstat(path, &status), 0);
    return (uint64_t)status.st_size;
}

static inline struct stage *create(struct fixture *fixture, const char *identity, uint64_t size,
                                   const char *sha256)
{
    struct stage *stage = NULL;
    struct err err;
    err_reset(&err);
    if (!stage_create(&fixture->store, identity, "app.bin", size, sha256, &stage, &err)) {
        fail_msg("not created: %s", err.message);
    }
    return stage;
}

static inline void create_refused(struct fixture *fixture, const char *identity, uint64_t size,
                                  const char *limit)
{
    struct stage *stage = NULL;
    struct err err;
    size_t files = count_files(fixture);
    err_reset(&err);
    assert_false(stage_create(&fixture->store, identity, "app.bin", size, NULL, &stage, &err));
    assert_null(stage);
    assert_int_equal(err.kind, ERR_LIMIT_EXCEEDED);
    assert_string_equal(err_find_detail(&err, "limit")->text, limit);
    assert_non_null(err_find_detail(&err, "maximum"));
    assert_int_equal(count_files(fixture), files);
}

static inline void put(struct stage *stage, uint64_t offset, const char *text)
{
    struct err err;
    err_reset(&err);
    if (!stage_write(stage, offset, (const uint8_t *)text, strlen(text), &err)) {
        fail_msg("not written: %s", err.message);
    }
}

static inline void put_refused(struct stage *stage, uint64_t offset, const char *text, enum err_kind kind,
                               const char *words)
{
    struct err err;
    err_reset(&err);
    assert_false(stage_write(stage, offset, (const uint8_t *)text, strlen(text), &err));
    assert_int_equal(err.kind, kind);
    if (strstr(err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    }
}

static inline bool is_there(struct fixture *fixture, const char *identity, const char *id)
{
    struct stage *stage = NULL;
    struct err err;
    err_reset(&err);
    bool found = stage_find(&fixture->store, identity, id, &stage, &err);
    if (!found) {
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        assert_string_equal(err_find_detail(&err, "parameter")->text, "stage");
    }
    return found;
}

static inline void assert_bytes(struct stage *stage, const char *text)
{
    char bytes[64] = "";
    struct err err;
    err_reset(&err);
    assert_int_equal(stage->size, strlen(text));
    assert_true(stage_check_complete(stage, &err));
    assert_true(stage_read(stage, 0, (uint8_t *)bytes, strlen(text), &err));
    assert_string_equal(bytes, text);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

#endif
