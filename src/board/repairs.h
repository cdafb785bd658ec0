/*
 * What has to be put back into a board's flash: the keeper of the operations that erase (ops/keeper.h). One
 * file a sector in the board's directory below the daemon's state directory, written and synced before the
 * erase, removed when the sector reads as it should; what is there at the start of the daemon was left by a
 * crash.
 */
#ifndef OCDMUX_BOARD_REPAIRS_H
#define OCDMUX_BOARD_REPAIRS_H

#include "base/list.h"
#include "board/repair_record.h"
#include "ops/keeper.h"

struct repair {
    struct list node; /* in repairs.pending */
    struct repair_head head;
    char *file;  /* its name in the directory */
    bool broken; /* the file cannot be read: only its name is known, and `head` says no bank */
};

struct repairs {
    char *directory; /* absolute; NULL: there is none, and nothing can be kept */
    char *no_directory_reason;
    struct list pending; /* struct repair, oldest first */
    struct op_keeper keeper;
};

/*
 * `state_dir` is the daemon's, NULL where it has none; the board's own directory in it is made, mode 0700,
 * with the first record. `board` and `openocd` (HOST:PORT) tell boards apart. Files that cannot be read are
 * told to the log, and listed.
 */
void repairs_init(struct repairs *repairs, const char *state_dir, const char *board, const char *openocd);
void repairs_fini(struct repairs *repairs);

#endif
