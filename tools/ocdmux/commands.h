/*
 * The commands, each in the file that its group is named after (cmd_*.c), and their options. Each makes its
 * requests, prints what came of them and returns the exit status; whatever fails has been reported on stderr
 * by then.
 */
#ifndef OCDMUX_TOOL_COMMANDS_H
#define OCDMUX_TOOL_COMMANDS_H

#include "command.h"
#include "session.h"

/* cmd_flash.c */
extern const struct option cmd_flash_options[];
enum status cmd_flash(struct session *session);

/* cmd_verify.c */
extern const struct option cmd_verify_options[];
enum status cmd_verify(struct session *session);

/* cmd_load.c */
extern const struct option cmd_load_options[];
enum status cmd_load(struct session *session);

/* cmd_erase.c */
extern const struct option cmd_erase_options[];
extern const struct option cmd_protect_options[];
enum status cmd_erase(struct session *session);
enum status cmd_protect(struct session *session);

/* cmd_stage.c */
extern const struct option cmd_stages_options[];
enum status cmd_upload(struct session *session);
enum status cmd_stages(struct session *session);

/* cmd_download.c */
extern const struct option cmd_download_options[];
enum status cmd_download(struct session *session);

/* cmd_memory.c */
extern const struct option cmd_read_options[];
extern const struct option cmd_write_options[];
extern const struct option cmd_physical_options[];
extern const struct option cmd_hexdump_options[];
enum status cmd_read(struct session *session);
enum status cmd_write(struct session *session);
enum status cmd_hexdump(struct session *session);

/* cmd_search.c */
extern const struct option cmd_search_options[];
enum status cmd_search(struct session *session);

/* cmd_transfer.c */
extern const struct option cmd_dump_options[];
enum status cmd_dump(struct session *session);
enum status cmd_load_bytes(struct session *session);

/* cmd_target.c */
enum status cmd_halt(struct session *session);
enum status cmd_resume(struct session *session);
enum status cmd_reset(struct session *session);
extern const struct option cmd_step_options[];
enum status cmd_step(struct session *session);
enum status cmd_wait_for(struct session *session);
enum status cmd_state(struct session *session);
enum status cmd_targets(struct session *session);

/* cmd_register.c */
extern const struct option cmd_registers_options[];
enum status cmd_registers(struct session *session);
enum status cmd_register(struct session *session);

/* cmd_breakpoint.c */
extern const struct option cmd_break_options[];
extern const struct option cmd_unbreak_options[];
enum status cmd_breakpoints(struct session *session);
enum status cmd_break(struct session *session);
enum status cmd_unbreak(struct session *session);

/* cmd_bank.c */
extern const struct option cmd_info_options[];
enum status cmd_banks(struct session *session);
enum status cmd_info(struct session *session);

/* cmd_bank_bytes.c */
extern const struct option cmd_read_bank_options[];
extern const struct option cmd_write_bank_options[];
enum status cmd_read_bank(struct session *session);
enum status cmd_write_bank(struct session *session);

/* cmd_whoami.c */
enum status cmd_whoami(struct session *session);
enum status cmd_discover(struct session *session);

/* cmd_commands.c */
enum status cmd_commands(struct session *session);
enum status cmd_complete(struct session *session);

/* cmd_status.c */
enum status cmd_status(struct session *session);

/* cmd_top.c */
extern const struct option cmd_top_options[];
enum status cmd_top(struct session *session);

/* cmd_board.c */
enum status cmd_boards(struct session *session);
enum status cmd_stats(struct session *session);

/* cmd_operation.c */
enum status cmd_operations(struct session *session);
enum status cmd_wait(struct session *session);
enum status cmd_cancel(struct session *session);

/* cmd_lease.c */
extern const struct option cmd_lease_options[];
enum status cmd_lease(struct session *session);

/* cmd_with_lease.c */
extern const struct option cmd_with_lease_options[];
enum status cmd_with_lease(struct session *session);

/* cmd_watch.c */
extern const struct option cmd_watch_options[];
enum status cmd_watch(struct session *session);
/* cmd_gdb.c */
extern const struct option cmd_gdb_options[];
enum status cmd_gdb(struct session *session);

/* cmd_events.c */
enum status cmd_events(struct session *session);

/* cmd_token.c */
extern const struct option cmd_token_options[];
enum status cmd_token(struct session *session);

/* cmd_stdio.c */
enum status cmd_stdio(struct session *session);

/* shell.c */
extern const struct option cmd_shell_options[];
enum status cmd_shell(struct session *session);

/* cmd_raw.c */
enum status cmd_call(struct session *session);
enum status cmd_openocd(struct session *session);

#endif
