/* Files that keep what an erase would lose. */
#include "board/repairs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "board/state_dir.h"

#define RECORD_PREFIX "kept-"
#define NAME_SIZE 64

static void name_file(const struct repair_head *head, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, RECORD_PREFIX "%" PRIx64 "-%" PRIx64, head->base, head->sector_offset);
}

static struct repair *find(const struct repairs *repairs, uint64_t base, uint64_t sector_offset)
{
    list_for_each (node, &repairs->pending) {
        struct repair *repair = list_entry(node, struct repair, node);
        if (repair->head.base == base && repair->head.sector_offset == sector_offset) {
            return repair;
        }
    }
    return NULL;
}

static void drop(struct repair *repair)
{
    list_remove(&repair->node);
    free(repair->file);
    free(repair);
}

/* Times are of one form, in which the order of the texts is theirs. */
static bool is_younger(const struct list *node, const struct repair_head *head)
{
    return strcmp(list_entry(node, const struct repair, node)->head.since, head->since) > 0;
}

/* Oldest first; a directory has no order of its own. */
static struct repair *add(struct repairs *repairs, const struct repair_head *head, const char *file)
{
    struct repair *repair = xcalloc(1, sizeof *repair);
    repair->head = *head;
    repair->file = xstrdup(file);
    struct list *position = &repairs->pending;
    while (position->prev != &repairs->pending && is_younger(position->prev, head)) {
        position = position->prev;
    }
    list_insert_before(position, &repair->node);
    return repair;
}

/* Reading. */

static bool read_record(int directory, const char *file, struct repair_head *ret_head,
                        struct keeper_record *ret_record)
{
    struct strbuf text = STRBUF_INIT;
    bool ok = state_dir_read(directory, file, REPAIR_RECORD_MOST_BYTES, &text) &&
              repair_record_decode((const uint8_t *)strbuf_text(&text), text.length, ret_head, ret_record);
    strbuf_fini(&text);
    return ok;
}

/* What its name says: "kept-BASE-OFFSET", both in hex. */
static bool parse_name(const char *file, struct repair_head *head)
{
    memset(head, 0, sizeof *head);
    int length = 0;
    char name[NAME_SIZE];
    int fields = sscanf(file, RECORD_PREFIX "%16" SCNx64 "-%16" SCNx64 "%n", &head->base,
                        &head->sector_offset, &length);
    if (fields != 2 || file[length] != '\0') {
        return false;
    }
    name_file(head, name);
    return strcmp(file, name) == 0; /* the one name that it is saved under */
}

static void load_file(struct repairs *repairs, int directory, const char *file)
{
    struct repair_head named;
    struct repair_head head;
    struct keeper_record record;
    if (!parse_name(file, &named)) {
        return;
    }
    bool ok = read_record(directory, file, &head, &record);
    if (ok) {
        keeper_record_fini(&record);
    }
    if (ok && head.base == named.base && head.sector_offset == named.sector_offset) {
        add(repairs, &head, file);
        log_warn("flash bank %s, sector at offset 0x%" PRIx64 ": was left erased; the next flash.write_image "
                 "over it puts back what it held",
                 head.bank, head.sector_offset);
        return;
    }
    log_error("%s/%s: cannot be read; what that flash sector held beside the image is lost unless you can "
              "mend the file",
              repairs->directory, file);
    snprintf(named.bank, sizeof named.bank, "?");
    clock_wall_text(named.since);
    add(repairs, &named, file)->broken = true;
}

static void load(struct repairs *repairs)
{
    int fd = state_dir_open(repairs->directory);
    DIR *listing = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    if (listing == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return; /* not made yet; or the first save will say why not */
    }
    while ((entry = readdir(listing)) != NULL) {
        load_file(repairs, dirfd(listing), entry->d_name);
    }
    unlinkat(dirfd(listing), STATE_DIR_TEMPORARY, 0);
    closedir(listing);
}

/* Saving. */

static bool fail(const struct repairs *repairs, const char *what, struct err *err)
{
    int reason = errno;
    err_set(err, ERR_STAGE_ERROR,
            "what the flash holds beside the image cannot be kept, so nothing was erased: %s %s: %s", what,
            repairs->directory, strerror(reason));
    err_add_text(err, "path", repairs->directory);
    return false;
}

static bool write_record(const struct repairs *repairs, const char *file, const struct strbuf *text,
                         struct err *err)
{
    if (!state_dir_make(repairs->directory)) {
        return fail(repairs, "cannot make", err);
    }
    return state_dir_write(repairs->directory, file, text) || fail(repairs, "cannot write to", err);
}

static bool save(void *context, const struct ocd_bank *bank, const struct keeper_record *record,
                 struct err *err)
{
    struct repairs *repairs = context;
    struct repair_head head = {
        .base = bank->base, .sector_offset = record->sector_offset, .sector_size = record->sector_size};
    struct strbuf text = STRBUF_INIT;
    char file[NAME_SIZE];
    if (repairs->directory == NULL) {
        return err_set(err, ERR_STAGE_ERROR,
                       "what the flash holds beside the image cannot be kept, so nothing was erased: %s",
                       repairs->no_directory_reason);
    }
    snprintf(head.bank, sizeof head.bank, "%s", bank->name[0] != '\0' ? bank->name : "?");
    for (char *at = head.bank; *at != '\0'; at++) {
        *at = (unsigned char)*at < ' ' ? '?' : *at; /* the record has a line for it */
    }
    clock_wall_text(head.since);
    name_file(&head, file);
    repair_record_encode(&text, &head, record);
    bool ok = write_record(repairs, file, &text, err);
    strbuf_fini(&text);
    if (ok) {
        struct repair *old = find(repairs, head.base, head.sector_offset);
        if (old != NULL) {
            drop(old);
        }
        add(repairs, &head, file);
    }
    return ok;
}

static bool find_record(void *context, const struct ocd_bank *bank, uint64_t sector_offset,
                        struct keeper_record *ret_record, struct err *err)
{
    const struct repairs *repairs = context;
    const struct repair *repair = find(repairs, bank->base, sector_offset);
    struct repair_head head;
    if (repair == NULL) {
        return false;
    }
    errno = 0;
    int directory = state_dir_open(repairs->directory);
    bool ok = directory >= 0 && !repair->broken && read_record(directory, repair->file, &head, ret_record);
    int reason = errno;
    if (directory >= 0) {
        close(directory);
    }
    if (!ok) {
        /* What may pass by itself is no reason to give anything up. */
        bool may_pass = reason == EMFILE || reason == ENFILE || reason == ENOMEM || reason == EIO;
        err_set(err, ERR_STAGE_ERROR, "what the sector at 0x%08" PRIx64 " held cannot be read from %s/%s: %s",
                bank->base + sector_offset, repairs->directory, repair->file,
                may_pass ? strerror(reason) : "mend that file, or remove it to give the bytes up");
        err_add_text(err, "path", repair->file);
    }
    return ok;
}

static void forget(void *context, const struct ocd_bank *bank, uint64_t offset, uint64_t size)
{
    struct repairs *repairs = context;
    int directory = -1;
    bool removed = false;
    list_for_each_safe (node, following, &repairs->pending) {
        struct repair *repair = list_entry(node, struct repair, node);
        bool meant = repair->head.base == bank->base && repair->head.sector_offset >= offset &&
                     repair->head.sector_offset - offset < size;
        if (!meant) {
            continue;
        }
        directory = directory >= 0 ? directory : state_dir_open(repairs->directory);
        if (directory < 0 || unlinkat(directory, repair->file, 0) != 0) {
            int reason = errno;
            log_error("%s/%s: cannot be removed: %s", repairs->directory, repair->file, strerror(reason));
            if (reason != ENOENT) {
                continue; /* it would come back with the next start: better to see it now */
            }
        }
        removed = true;
        drop(repair);
    }
    /* What a machine that stops brought back would be put over newer bytes one day. */
    if (removed && directory >= 0 && fsync(directory) != 0) {
        log_error("%s: records that were removed may come back: %s", repairs->directory, strerror(errno));
    }
    if (directory >= 0) {
        close(directory);
    }
}

void repairs_init(struct repairs *repairs, const char *state_dir, const char *board, const char *openocd)
{
    memset(repairs, 0, sizeof *repairs);
    list_init(&repairs->pending);
    repairs->keeper =
        (struct op_keeper){.context = repairs, .save = save, .find = find_record, .forget = forget};
    if (state_dir == NULL) {
        repairs->no_directory_reason = xstrdup("the daemon has no state directory (see --state-dir)");
        return;
    }
    repairs->directory = state_dir_path(state_dir, board, openocd);
    load(repairs);
}

void repairs_fini(struct repairs *repairs)
{
    while (!list_is_empty(&repairs->pending)) {
        drop(list_entry(repairs->pending.next, struct repair, node));
    }
    free(repairs->directory);
    free(repairs->no_directory_reason);
}
