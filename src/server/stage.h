/*
 * Stages: files that the daemon keeps for an identity, so that content is uploaded once and used, or made
 * here and fetched. One store for each daemon. A stage belongs to an identity, not to a connection; it goes
 * when it was not used for `stage_expiry_ms`, when it is deleted, and with the daemon.
 *
 *   stage_create()      UPLOADING --- last byte, right SHA-256 ---> COMPLETE ---+
 *                          ^  | wrong SHA-256: emptied               ^         |
 *                          +--+                                      |         | deleted while pinned
 *   stage_make()         MAKING --- stage_make_finish() -------------+         |
 *                          +---- deleted while it is made -------------------> GONE --- last unpin: freed
 *
 * A stage counts against the quotas by the size that it will have, from its creation until its file is
 * removed. All errors of the file system are stage_error with the system's words; the stage is then as it was
 * before the call.
 */
#ifndef OCDMUX_SERVER_STAGE_H
#define OCDMUX_SERVER_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/private_dir.h"
#include "base/sha256.h"
#include "net/loop.h"
#include "server/config.h"

#define STAGE_ID_SIZE 17

enum stage_state { STAGE_UPLOADING, STAGE_MAKING, STAGE_COMPLETE, STAGE_GONE };

/* An identity that has stages. */
struct stage_owner {
    struct list node; /* in stage_store.owners */
    char *identity;
    struct list stages; /* newest first; without those that are GONE */
    uint64_t bytes;     /* of all, the GONE ones too */
    uint64_t count;
};

struct stage_store {
    const struct config *config;
    struct private_dir *dir; /* NULL: the store is not open */
    struct list owners;
    struct list idle; /* what is not pinned, by idle_node; the longest unused first */
    struct list gone; /* GONE stages, by node */
    uint64_t bytes;   /* of all owners */
    struct loop_timer *expiry;
};

/* For others to read only. */
struct stage {
    struct list node;       /* in owner.stages or store.gone */
    struct list idle_node;  /* in store.idle */
    char id[STAGE_ID_SIZE]; /* 16 hex digits, not to be guessed */
    struct private_file file;
    struct stage_store *store;
    struct stage_owner *owner;
    enum stage_state state;
    char *name;    /* for people */
    uint64_t size; /* that it will have; 1 or more */
    uint64_t offset;
    char sha256[SHA256_TEXT_SIZE]; /* announced, or of what is there once it is complete; "": not known */
    struct sha256 *sha;            /* of the bytes that are there; NULL once it is complete */
    unsigned pins;
    uint64_t used_us; /* last use */
};

/* `config` must outlive the store. Fails as private_dir_new(); the store is then as good as finished. */
bool stage_store_init(struct stage_store *store, struct loop *loop, const struct config *config,
                      struct err *err) __attribute__((warn_unused_result));
/* Removes all files; nobody may have a stage any more. Allowed on a store of zeros. */
void stage_store_fini(struct stage_store *store);

/*
 * A stage for `size` bytes. With `sha256` (64 lower-case hex digits; NULL: not known) a COMPLETE stage of
 * that hash and size which the identity has, else an upload of it that stopped on the way, is given instead.
 * Fails with limit_exceeded or stage_error.
 */
bool stage_create(struct stage_store *store, const char *identity, const char *name, uint64_t size,
                  const char *sha256, struct stage **ret_stage, struct err *err)
    __attribute__((warn_unused_result));
/* Fails with not_found, naming the parameter `stage`. */
bool stage_find(struct stage_store *store, const char *identity, const char *id, struct stage **ret_stage,
                struct err *err) __attribute__((warn_unused_result));
/* NULL if the identity has no stages. */
struct stage_owner *stage_owner_find(struct stage_store *store, const char *identity);
/* It is gone for everybody; its file goes with the last pin. */
void stage_delete(struct stage *stage);

/* For stage_data.c. */
void stage_set_state(struct stage *stage, enum stage_state state);

/* While it is pinned a stage neither expires nor loses its file. */
void stage_pin(struct stage *stage);
/* May free it. */
void stage_unpin(struct stage *stage);
/* When it goes if nobody uses it meanwhile, as text for people. */
void stage_expires_text(const struct stage *stage, char text[CLOCK_TEXT_SIZE]);

/*
 * Bytes (1 or more) of an upload. They go where what is there ends, or repeat what is there: then they must
 * be the same. Fails with invalid_params (a hole, past the end) or stage_error (others than those that are
 * there, or with the last byte another SHA-256 than announced: the stage is empty again then).
 */
bool stage_write(struct stage *stage, uint64_t offset, const uint8_t *bytes, size_t length, struct err *err)
    __attribute__((warn_unused_result));
/* `length` bytes of a COMPLETE stage, all of which it has. Fails with stage_error. */
bool stage_read(struct stage *stage, uint64_t offset, uint8_t *ret_bytes, size_t length, struct err *err)
    __attribute__((warn_unused_result));
/* stage_error, saying how much is there, if it is not COMPLETE. */
bool stage_check_complete(const struct stage *stage, struct err *err) __attribute__((warn_unused_result));

/* A stage that the daemon itself fills, to exactly `size` bytes; pinned for its maker. Fails as
 * stage_create(). */
bool stage_make(struct stage_store *store, const char *identity, const char *name, uint64_t size,
                struct stage **ret_stage, struct err *err) __attribute__((warn_unused_result));
/* Adds bytes at the end. Fails with stage_error, also where the stage was deleted meanwhile. */
bool stage_make_write(struct stage *stage, const uint8_t *bytes, size_t length, struct err *err)
    __attribute__((warn_unused_result));
/* All bytes are there: COMPLETE from now on, and no longer pinned for its maker; on failure it is still to be
 * dropped. */
bool stage_make_finish(struct stage *stage, struct err *err) __attribute__((warn_unused_result));
/* Instead of stage_make_finish(): removes it. */
void stage_make_drop(struct stage *stage);

#endif
