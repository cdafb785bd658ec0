/* The store: who has which stages, how much they count, and when they go. Their content: stage_data.c. */
#include "server/stage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/log.h"

/* Owners. */

struct stage_owner *stage_owner_find(struct stage_store *store, const char *identity)
{
    list_for_each (node, &store->owners) {
        struct stage_owner *owner = list_entry(node, struct stage_owner, node);
        if (strcmp(owner->identity, identity) == 0) {
            return owner;
        }
    }
    return NULL;
}

static struct stage_owner *owner_add(struct stage_store *store, const char *identity)
{
    struct stage_owner *owner = stage_owner_find(store, identity);
    if (owner == NULL) {
        owner = xcalloc(1, sizeof *owner);
        owner->identity = xstrdup(identity);
        list_init(&owner->stages);
        list_append(&store->owners, &owner->node);
    }
    return owner;
}

static bool over(struct err *err, const char *limit, uint64_t maximum, const char *what)
{
    err_set(err, ERR_LIMIT_EXCEEDED, "%s (%s: %" PRIu64 "); stages that are no longer needed can be deleted",
            what, limit, maximum);
    err_add_text(err, "limit", limit);
    err_add_integer(err, "maximum", maximum);
    return false;
}

static bool check_quota(const struct stage_store *store, const struct stage_owner *owner, uint64_t size,
                        struct err *err)
{
    const struct config_limits *limits = &store->config->limits;
    uint64_t count = owner != NULL ? owner->count : 0;
    uint64_t bytes = owner != NULL ? owner->bytes : 0;
    if (count >= limits->max_stages) {
        return over(err, "max_stages", limits->max_stages, "there are as many stages as one may have");
    }
    if (size > limits->max_stage_bytes || bytes > limits->max_stage_bytes - size) {
        return over(err, "max_stage_bytes", limits->max_stage_bytes,
                    "with this one the stages would have more bytes than they may");
    }
    if (size > limits->max_total_stage_bytes || store->bytes > limits->max_total_stage_bytes - size) {
        return over(err, "max_total_stage_bytes", limits->max_total_stage_bytes,
                    "with this one the stages of all clients would have more bytes than they may");
    }
    return true;
}

/* Stages. */

static const char *state_name(enum stage_state state)
{
    switch (state) {
    case STAGE_UPLOADING:
        return "uploading";
    case STAGE_MAKING:
        return "making";
    case STAGE_COMPLETE:
        return "complete";
    case STAGE_GONE:
        return "gone";
    }
    return "?";
}

void stage_set_state(struct stage *stage, enum stage_state state)
{
    log_debug("stage %s: %s -> %s", stage->id, state_name(stage->state), state_name(state));
    stage->state = state;
}

static void destroy(struct stage *stage)
{
    struct stage_owner *owner = stage->owner;
    log_debug("stage %s: removed", stage->id);
    private_dir_remove(stage->store->dir, &stage->file);
    stage->store->bytes -= stage->size;
    owner->bytes -= stage->size;
    owner->count--;
    list_remove(&stage->node);
    list_remove(&stage->idle_node);
    sha256_free(stage->sha);
    free(stage->name);
    free(stage);
    if (owner->count == 0) {
        list_remove(&owner->node);
        free(owner->identity);
        free(owner);
    }
}

static uint64_t expires_us(const struct stage *stage)
{
    return stage->used_us + stage->store->config->limits.stage_expiry_ms * 1000u;
}

/* The longest unused of those that may expire. */
static struct stage *first_idle(struct stage_store *store)
{
    return list_is_empty(&store->idle) ? NULL : list_entry(store->idle.next, struct stage, idle_node);
}

static void expire_due(struct stage_store *store)
{
    struct stage *stage;
    while ((stage = first_idle(store)) != NULL && expires_us(stage) <= clock_now_us()) {
        log_info("stage %s: nobody used it any more", stage->id);
        destroy(stage);
    }
}

/* Use makes stages expire later than the timer was set for: it looks again then. */
static void arm_expiry(struct stage_store *store)
{
    const struct stage *stage = first_idle(store);
    if (stage != NULL && !loop_timer_is_set(store->expiry)) {
        uint64_t now = clock_now_us();
        uint64_t at = expires_us(stage);
        loop_timer_set(store->expiry, at <= now ? 0 : (at - now) / 1000 + 1);
    }
}

static void on_expiry(void *context)
{
    struct stage_store *store = context;
    expire_due(store);
    arm_expiry(store);
}

/* A use: from now on the time to its end counts anew. */
static void touch(struct stage *stage)
{
    stage->used_us = clock_now_us();
    if (stage->pins == 0) {
        list_move_to_end(&stage->store->idle, &stage->idle_node);
        arm_expiry(stage->store);
    }
}

static bool stage_new(struct stage_store *store, const char *identity, const char *name, uint64_t size,
                      enum stage_state state, struct stage **ret_stage, struct err *err)
{
    struct private_file file;
    if (!check_quota(store, stage_owner_find(store, identity), size, err) ||
        !private_dir_create(store->dir, NULL, 0, &file, err)) {
        return false;
    }
    struct stage *stage = xcalloc(1, sizeof *stage);
    stage->file = file;
    snprintf(stage->id, sizeof stage->id, "%.16s", file.name); /* as little to be guessed as the name is */
    stage->store = store;
    stage->owner = owner_add(store, identity);
    stage->state = state;
    stage->name = xstrdup(name);
    stage->size = size;
    stage->sha = sha256_new();
    list_init(&stage->idle_node);
    list_prepend(&stage->owner->stages, &stage->node);
    stage->owner->count++;
    stage->owner->bytes += size;
    store->bytes += size;
    log_debug("stage %s: %s, %" PRIu64 " bytes for %s", stage->id, state_name(state), size, identity);
    *ret_stage = stage;
    return true;
}

/* One of that content and state, or NULL. */
static struct stage *find_content(const struct stage_owner *owner, enum stage_state state, uint64_t size,
                                  const char *sha256)
{
    list_for_each (node, &owner->stages) {
        struct stage *stage = list_entry(node, struct stage, node);
        if (stage->state == state && stage->size == size && strcmp(stage->sha256, sha256) == 0) {
            return stage;
        }
    }
    return NULL;
}

bool stage_create(struct stage_store *store, const char *identity, const char *name, uint64_t size,
                  const char *sha256, struct stage **ret_stage, struct err *err)
{
    struct stage *stage = NULL;
    expire_due(store);
    const struct stage_owner *owner = stage_owner_find(store, identity);
    if (owner != NULL && sha256 != NULL) {
        stage = find_content(owner, STAGE_COMPLETE, size, sha256);
        stage = stage != NULL ? stage : find_content(owner, STAGE_UPLOADING, size, sha256);
    }
    if (stage == NULL) {
        if (!stage_new(store, identity, name, size, STAGE_UPLOADING, &stage, err)) {
            return false;
        }
        snprintf(stage->sha256, sizeof stage->sha256, "%s", sha256 != NULL ? sha256 : "");
    }
    touch(stage);
    *ret_stage = stage;
    return true;
}

bool stage_make(struct stage_store *store, const char *identity, const char *name, uint64_t size,
                struct stage **ret_stage, struct err *err)
{
    expire_due(store);
    if (!stage_new(store, identity, name, size, STAGE_MAKING, ret_stage, err)) {
        return false;
    }
    stage_pin(*ret_stage);
    return true;
}

bool stage_find(struct stage_store *store, const char *identity, const char *id, struct stage **ret_stage,
                struct err *err)
{
    expire_due(store);
    struct stage_owner *owner = stage_owner_find(store, identity);
    if (owner != NULL) {
        list_for_each (node, &owner->stages) {
            struct stage *stage = list_entry(node, struct stage, node);
            if (strcmp(stage->id, id) == 0) {
                touch(stage);
                *ret_stage = stage;
                return true;
            }
        }
    }
    err_set(err, ERR_NOT_FOUND,
            "there is no stage \"%s\", or no more: stages go %" PRIu64 " s after their last use", id,
            store->config->limits.stage_expiry_ms / 1000);
    err_add_text(err, "parameter", "stage");
    return false;
}

void stage_delete(struct stage *stage)
{
    if (stage->pins == 0) {
        destroy(stage);
        return;
    }
    stage_set_state(stage, STAGE_GONE);
    list_move_to_end(&stage->store->gone, &stage->node);
}

void stage_pin(struct stage *stage)
{
    stage->pins++;
    stage->used_us = clock_now_us();
    list_remove(&stage->idle_node);
}

void stage_unpin(struct stage *stage)
{
    stage->pins--;
    if (stage->pins == 0 && stage->state == STAGE_GONE) {
        destroy(stage);
        return;
    }
    touch(stage);
}

void stage_expires_text(const struct stage *stage, char text[CLOCK_TEXT_SIZE])
{
    uint64_t now = clock_now_us();
    uint64_t whole = stage->store->config->limits.stage_expiry_ms * 1000u;
    uint64_t unused = stage->pins > 0 ? 0 : now - stage->used_us;
    clock_wall_text_in(text, unused < whole ? whole - unused : 0);
}

bool stage_store_init(struct stage_store *store, struct loop *loop, const struct config *config,
                      struct err *err)
{
    memset(store, 0, sizeof *store);
    store->config = config;
    list_init(&store->owners);
    list_init(&store->idle);
    list_init(&store->gone);
    struct private_dir_options options = {.parent = config->stage_root,
                                          .prefix = "ocdmux-stage",
                                          .group = config->stage_group,
                                          .group_reads = true};
    if (!private_dir_new(&store->dir, &options, err)) {
        err_prefix(err, "no place for stages");
        return false;
    }
    log_info("stages are kept in %s", private_dir_path(store->dir));
    store->expiry = loop_timer_new(loop, on_expiry, store);
    return true;
}

void stage_store_fini(struct stage_store *store)
{
    if (store->dir == NULL) {
        return;
    }
    while (!list_is_empty(&store->gone)) {
        destroy(list_entry(store->gone.next, struct stage, node));
    }
    while (!list_is_empty(&store->owners)) {
        struct stage_owner *owner = list_entry(store->owners.next, struct stage_owner, node);
        destroy(list_entry(owner->stages.next, struct stage, node));
    }
    loop_timer_free(store->expiry);
    private_dir_free(store->dir);
    store->dir = NULL;
}
