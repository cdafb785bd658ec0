/*
 * A directory of one process and one run, for files that nobody else but those it chooses may see:
 * PARENT/PREFIX-UID-RANDOM, locked while its owner lives, removed at a clean end. What processes that are no
 * more left under the same parent and prefix is removed when a new one is made. Everything goes through the
 * directory's descriptor and names that are made here, so that nothing can be slipped in between.
 */
#ifndef OCDMUX_BASE_PRIVATE_DIR_H
#define OCDMUX_BASE_PRIVATE_DIR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/strbuf.h"

/* A file's name: 32 hexadecimal digits and a NUL. */
#define PRIVATE_DIR_NAME_SIZE 33

struct private_dir_options {
    const char *parent; /* absolute; NULL: the first of $XDG_RUNTIME_DIR, /dev/shm and /tmp that works */
    const char *prefix; /* "ocdmux-share" */
    const char *group;  /* who may use files whose names it is told; NULL: nobody. $XDG_RUNTIME_DIR, where no
                           group gets in, is left out then */
    bool group_reads;   /* the group may list the directory and read its files, and no more */
};

/* One file that private_dir_create() made. */
struct private_file {
    char name[PRIVATE_DIR_NAME_SIZE]; /* "": none */
    dev_t device;
    ino_t inode;
};

struct private_dir;

/*
 * Mode 0700, or 0710 and of the group (0750 where it just reads). Fails with stage_error and the system's
 * reason; also where the parent lets everybody rename what is in it, for then the path means nothing.
 */
bool private_dir_new(struct private_dir **ret_dir, const struct private_dir_options *options, struct err *err)
    __attribute__((warn_unused_result));
/* Removes it with everything in it. NULL is fine. */
void private_dir_free(struct private_dir *dir);

/* Absolute. */
const char *private_dir_path(const struct private_dir *dir);
/* The file's absolute path, appended. */
void private_dir_append_path(const struct private_dir *dir, const struct private_file *file,
                             struct strbuf *out);

/*
 * Makes a file with a name that nobody can guess and these bytes in it; mode 0600, or 0660 and of the group
 * (0640 where it just reads). Fails with stage_error; nothing is left then.
 */
bool private_dir_create(struct private_dir *dir, const uint8_t *bytes, size_t size,
                        struct private_file *ret_file, struct err *err) __attribute__((warn_unused_result));
/*
 * Appends what is in a file that private_dir_create() made, at most `most` bytes of it and one more. Fails
 * with stage_error, with `out` unchanged, where it is gone or something else stands in its place; never waits
 * for a FIFO and follows no link.
 */
bool private_dir_read(struct private_dir *dir, const struct private_file *file, size_t most,
                      struct strbuf *out, struct err *err) __attribute__((warn_unused_result));
/*
 * Opens a file that private_dir_create() made, for reading or for writing too; the descriptor is the
 * caller's. -1 with `err` set, as private_dir_read() fails.
 */
int private_dir_open(const struct private_dir *dir, const struct private_file *file, bool writing,
                     struct err *err);
/* Removes the file, or what stands in its place, and empties `file`; nothing happens if it is empty. */
void private_dir_remove(struct private_dir *dir, struct private_file *file);

#endif
