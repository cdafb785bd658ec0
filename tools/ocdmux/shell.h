/*
 * The inside of `ocdmux shell`: what its verbs share. A verb prints what it has to say, reports what fails on
 * stderr, and returns whether it succeeded.
 */
#ifndef OCDMUX_TOOL_SHELL_H
#define OCDMUX_TOOL_SHELL_H

#include "session.h"
#include "shell/examine.h"
#include "shell/value.h"
#include "shell/vars.h"

/* A register of the target. */
struct shell_register {
    char name[VALUE_NAME_SIZE];
    unsigned bits;
};

struct shell_bank {
    uint64_t base;
    uint64_t size;
};

/* What a break or watch of this shell has set. */
struct shell_point {
    unsigned number;
    uint64_t address;
    const char *kind; /* the protocol's */
    const char *type; /* gdb's */
    char *what;       /* owned: the expression that is watched; NULL: none */
};

struct shell {
    struct session *session;
    struct value_access access;
    struct machine machine;
    bool knows_target;                /* whether `machine` and `registers` are filled in */
    struct shell_register *registers; /* owned */
    size_t register_count;
    struct shell_bank *banks; /* owned; of flash */
    size_t bank_count;
    struct vars vars;
    struct examine examine;
    struct shell_point *points; /* owned */
    size_t point_count;
    unsigned last_point;
    char *file;     /* owned; what load and compare-sections take; NULL: none yet */
    bool at_prompt; /* somebody types the lines */
    bool quits;
};

/* --- shell_target.c: memory, registers and what the target is --- */

void shell_init_access(struct shell *shell);
/* Asks for the target's registers and byte order, once. False after a report. */
bool shell_know_target(struct shell *shell) __attribute__((warn_unused_result));
/* Asks for the board's flash banks, which may have been probed since. False after a report. */
bool shell_know_flash(struct shell *shell) __attribute__((warn_unused_result));
bool shell_is_in_flash(const struct shell *shell, uint64_t address);
/* Makes the types of a register: what print shows it as. */
struct type shell_register_type(const struct shell *shell, const struct shell_register *entry);
const struct shell_register *shell_find_register(const struct shell *shell, const char *name);

/* --- shell.c --- */

/* Says what is wrong, unless the message is empty: then it has been said. Returns false. */
bool shell_complain(const struct err *err);
/* "Argument required (...)" and the like, on stderr. Returns false. */
bool shell_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same in `err`, for access functions whose failure the session has reported. */
bool shell_reported(struct err *err);

struct shell_option {
    const char *name; /* NULL ends a list */
    const char *value;
};
/*
 * Runs one of the command line's own commands within this session. `usage` is what its words are called, as
 * in the table of commands.
 */
bool shell_run_command(struct shell *shell, const char *name, const char *usage,
                       enum status (*run)(struct session *session), const char *const *words, size_t count,
                       const struct shell_option *options);

/* --- the verbs --- */

struct shell_verb {
    const char *name;
    const char *usage; /* the arguments, for help */
    const char *summary;
    bool (*run)(struct shell *shell, char *arguments);
    bool repeats;             /* whether an empty line does it again */
    const char *const *words; /* what may stand first behind it, NULL-terminated; NULL: nothing to complete */
    char completes;           /* 'e': expressions, 'f': files, 0: nothing */
};
extern const struct shell_verb shell_verbs[]; /* ends with a name of NULL */
extern const char *const shell_info_words[];
/* By name, by one of gdb's short forms, or by a beginning that fits one verb only. False after a message. */
bool shell_find_verb(const char *name, size_t length, const struct shell_verb **ret_verb)
    __attribute__((warn_unused_result));

/* shell_memory.c */
bool shell_print(struct shell *shell, char *arguments);
bool shell_whatis(struct shell *shell, char *arguments);
bool shell_examine(struct shell *shell, char *arguments);
bool shell_set(struct shell *shell, char *arguments);
bool shell_find(struct shell *shell, char *arguments);

/* shell_files.c */
bool shell_dump(struct shell *shell, char *arguments);
bool shell_restore(struct shell *shell, char *arguments);
bool shell_file(struct shell *shell, char *arguments);
bool shell_load(struct shell *shell, char *arguments);
bool shell_compare_sections(struct shell *shell, char *arguments);

/* shell_points.c */
bool shell_break(struct shell *shell, char *arguments);
bool shell_hbreak(struct shell *shell, char *arguments);
bool shell_watch(struct shell *shell, char *arguments);
bool shell_rwatch(struct shell *shell, char *arguments);
bool shell_awatch(struct shell *shell, char *arguments);
bool shell_delete(struct shell *shell, char *arguments);
bool shell_info_points(struct shell *shell);
void shell_free_points(struct shell *shell);
/* The number of the breakpoint at `address`; 0: this shell has set none there. */
unsigned shell_point_at(const struct shell *shell, uint64_t address);

/* shell_run.c */
bool shell_continue(struct shell *shell, char *arguments);
bool shell_stepi(struct shell *shell, char *arguments);
bool shell_interrupt(struct shell *shell, char *arguments);
bool shell_monitor(struct shell *shell, char *arguments);

/* shell_info.c */
bool shell_info(struct shell *shell, char *arguments);
bool shell_help(struct shell *shell, char *arguments);
bool shell_echo(struct shell *shell, char *arguments);

/* --- shell_edit.c: lines from a terminal --- */

struct shell_edit;
/* NULL where the terminal cannot be used. */
struct shell_edit *shell_edit_new(struct shell *shell);
void shell_edit_free(struct shell_edit *edit);
enum shell_line { SHELL_LINE, SHELL_LINE_INTERRUPTED, SHELL_LINE_END };
/* The next line, without its line break, valid until the next call. */
enum shell_line shell_edit_read(struct shell_edit *edit, const char **ret_line);

#endif
