/* ocdmux, the command line: the table of commands and the choice among them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "help.h"
#include "options.h"

static const struct command commands[] = {
    {"flash", "[FILE]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_flash_options,
     "program an image into flash, verify it and run it",
     "FILE is an ELF, Intel HEX, S-record or UF2 file, or plain bytes; '-' for standard input. Without "
     "options\n"
     "the target is reset and initialised, the sectors that differ are programmed and verified, and the "
     "board\n"
     "is reset to run. That comes with success only: after a failure the target stays halted.\n"
     "A larger FILE is uploaded first; an upload that stopped goes on where it stopped, and what the server\n"
     "has already is not sent again. After Ctrl-C the error tells what was done and what state the flash is\n"
     "in. If the connection is lost the server goes on: 'ocdmux wait OPERATION' tells how it ended.",
     cmd_flash},
    {"verify", "[FILE]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_verify_options,
     "compare flash with an image",
     "FILE as for 'flash'. Reads only. Exits with 1 and lists the first differences if the flash holds\n"
     "something else.",
     cmd_verify},
    {"load", "[FILE]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_load_options,
     "load an image into RAM and verify it",
     "FILE as for 'flash'; for builds that run from RAM. The target is halted before and not started after:\n"
     "'ocdmux resume ADDRESS' runs it from the entry that is printed.",
     cmd_load},
    {"erase", "[SECTORS]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_erase_options,
     "erase sectors of a flash bank",
     "SECTORS is FIRST or FIRST-LAST, by the numbers that 'info' shows, 0 to 1048575. The target must be\n"
     "halted.",
     cmd_erase},
    {"protect", "on|off SECTORS", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_protect_options,
     "protect sectors, or lift their protection",
     "SECTORS as for 'erase'. Prints what reads back, and says when it takes effect with a reset only.",
     cmd_protect},
    {"banks", "", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, NULL, "list the board's flash banks", NULL,
     cmd_banks},
    {"info", "[BANK]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_info_options,
     "show a flash bank's sectors and protection",
     "BANK is its number, 0 to 1023; 0 if it is not given. Sizes are in bytes. On a terminal sectors of the\n"
     "same size and protection share a line.",
     cmd_info},
    {"read-bank", "OFFSET SIZE FILE", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_read_bank_options,
     "copy a piece of a flash bank into a file",
     "FILE is on this machine, '-' for standard output, and written as that of 'dump'.", cmd_read_bank},
    {"write-bank", "OFFSET [FILE]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_write_bank_options,
     "write plain bytes into a flash bank",
     "FILE is on this machine, '-' for standard input. Without --erase the flash there has to be blank. For\n"
     "images, and to write only what changed: 'flash'.",
     cmd_write_bank},
    {"upload", "FILE", 0, NULL, "upload a file into a stage of the server and print its id",
     "FILE is on this machine, '-' for standard input. An upload that stopped goes on where it stopped, and\n"
     "content that the server has is not sent again. A stage expires one hour after its last use. With "
     "--json\n"
     "an object with stage, size, sha256 and present (nothing had to be sent) is printed.",
     cmd_upload},
    {"download", "[STAGE] [FILE]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_download_options,
     "copy a stage, or with --bank a flash bank, into a file",
     "FILE is on this machine: it is written as FILE.part, checked by size and SHA-256, and then renamed.\n"
     "Without FILE, or with '-', the bytes go to standard output. With --bank there is no STAGE.",
     cmd_download},
    {"stages", "", 0, cmd_stages_options, "list your stages on the server, or remove one", NULL, cmd_stages},
    {"read", "ADDRESS [COUNT]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_read_options,
     "read memory by units of one width",
     "Each unit is one access of exactly that width. COUNT is the number of units, 1 if it is not given.",
     cmd_read},
    {"write", "ADDRESS VALUE...", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_write_options,
     "write memory by units of one width", "Each value is one access of exactly that width.", cmd_write},
    {"hexdump", "ADDRESS SIZE", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_hexdump_options,
     "show memory as bytes and text", NULL, cmd_hexdump},
    {"search", "PATTERN START END", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_search_options,
     "find bytes from START up to, not including, END",
     "PATTERN is hex digits (spaces between bytes are allowed) unless --text is given. Prints one address a "
     "line.\n"
     "Finding nothing is no failure: the exit status is 0, and a note on standard error says so.",
     cmd_search},
    {"watch", "ADDRESS[:SIZE]...", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_watch_options,
     "show memory as it changes, until Ctrl-C",
     "SIZE is in bytes; one unit if it is not given. On a terminal the units are shown in place, and those\n"
     "that have just changed are marked; else each row in which something changed is a line. However many\n"
     "watch a place, it is read once for all. With --json the first line is the result of the call, and "
     "each\n"
     "further one the parameters of a notification.",
     cmd_watch},
    {"dump", "ADDRESS SIZE [FILE]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_dump_options,
     "copy memory into a file",
     "FILE is on this machine: it is written as FILE.part, checked by size and SHA-256, and then renamed.\n"
     "'-' writes to standard output. With --on-server or --to-stage the server keeps them, and there\n"
     "is no FILE.",
     cmd_dump},
    {"load-bytes", "ADDRESS FILE", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_physical_options,
     "write a file into memory",
     "FILE is on this machine, '-' for standard input. A large one goes in several requests; with --json "
     "each\n"
     "one's result is a line. Not for flash: see 'flash'.",
     cmd_load_bytes},
    {"write-bytes", "ADDRESS FILE", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_physical_options,
     "the same as load-bytes", NULL, cmd_load_bytes},
    {"halt", "", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, NULL, "halt the target", NULL, cmd_halt},
    {"resume", "[ADDRESS]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, NULL,
     "let the target run on, or from ADDRESS", NULL, cmd_resume},
    {"reset", "[run|halt|init]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, NULL,
     "reset every target of the board", "The targets run afterwards unless something else is said.",
     cmd_reset},
    {"step", "[COUNT]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_step_options,
     "let the halted target execute one instruction, or COUNT", "Prints where it stands then.", cmd_step},
    {"wait-for", "halted|running|reset|unknown", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, NULL,
     "wait until the target is in that state",
     "Waits as long as it takes unless --timeout is given, and holds up nobody.", cmd_wait_for},
    {"state", "", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, NULL, "show whether the target runs", NULL,
     cmd_state},
    {"registers", "[NAME...]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_registers_options,
     "read registers of the halted target",
     "Without NAME: those of the core. While the target runs there are no values, not even old ones.",
     cmd_registers},
    {"register", "NAME=VALUE...", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, NULL,
     "write registers of the halted target",
     "VALUE is decimal, or 0x and hex digits. All are checked before one is written; prints what reads back.",
     cmd_register},
    {"break", "ADDRESS", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_break_options,
     "set a breakpoint or a watchpoint", "Prints all that are set then.", cmd_break},
    {"unbreak", "ADDRESS", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_unbreak_options,
     "remove what break has set", "Prints what is left.", cmd_unbreak},
    {"breakpoints", "", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, NULL, "list breakpoints and watchpoints",
     "As OpenOCD lists them, those of gdb too.", cmd_breakpoints},
    {"targets", "", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, NULL, "list the board's targets", NULL,
     cmd_targets},
    {"status", "", COMMAND_TAKES_BOARD, NULL, "show what the boards are doing, and for whom",
     "Of one board everything, of several a table; and who is connected. With --json one object: `server`,\n"
     "`boards` (as board.status has them: links, targets, leases, queues, what runs), `operations`,\n"
     "`operations_truncated`, `clients`, `clients_total`, and the counters in `stats`.",
     cmd_status},
    {"top", "", COMMAND_TAKES_BOARD, cmd_top_options, "watch boards, leases, operations and clients live",
     "Needs a terminal; for scripts there is 'ocdmux status --json'. Keys: up and down choose the board, s\n"
     "sorts the clients by another column, r asks for everything at once, q quits. If the server goes away\n"
     "top says so and tries again, ever less often, until it is back.",
     cmd_top},
    {"boards", "", 0, NULL, "list the server's boards", NULL, cmd_boards},
    {"stats", "", 0, NULL, "show the server's counters", NULL, cmd_stats},
    {"whoami", "", 0, NULL, "show who the server takes you for, and what it is",
     "Your identity and role, and the server's version, boards and limits.", cmd_whoami},
    {"operations", "[OPERATION]", COMMAND_TAKES_BOARD, NULL,
     "list operations, running and ended, or show one", NULL, cmd_operations},
    {"wait", "OPERATION", 0, NULL, "wait until an operation has ended and show its result",
     "Waits as long as it takes unless --timeout is given. Exits with 1 if the operation failed or was "
     "cancelled.\n"
     "Ctrl-C ends the waiting, not the operation.",
     cmd_wait},
    {"cancel", "OPERATION", 0, NULL, "cancel an operation", NULL, cmd_cancel},
    {"lease", "acquire|renew|release|status|break", COMMAND_TAKES_BOARD, cmd_lease_options,
     "acquire, renew, release or break a board's lease, or show it (status)",
     "While somebody holds it nobody else changes the board. 'acquire' prints the id, which is a secret: "
     "put\n"
     "it into $OCDMUX_LEASE, or give it as --lease, for the commands that work under it. It needs no open\n"
     "connection, and ends by 'release' or by its time. 'break' ends anybody's (needs the role admin).",
     cmd_lease},
    {"with-lease", "COMMAND...", COMMAND_TAKES_BOARD | COMMAND_REST, cmd_with_lease_options,
     "run a command while holding a board's lease",
     "Waits for the lease, renews it while COMMAND runs, and releases it however that ends. COMMAND finds\n"
     "$OCDMUX_LEASE, $OCDMUX_BOARD and $OCDMUX_SERVER set, so that every ocdmux command in it works under "
     "the\n"
     "lease. Exits with the status of COMMAND: 128 and the signal's number where one ended it, 126 or 127\n"
     "where it cannot be run.",
     cmd_with_lease},
    {"gdb", "[ARGUMENT...]", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET | COMMAND_REST, cmd_gdb_options,
     "debug with gdb, under the board's lease",
     "Starts gdb with these arguments, a program among them, attached to the board; options of gdb's stand "
     "behind\n"
     "'--'. The lease of $OCDMUX_LEASE is used, or one is taken for as long as gdb is attached: others read\n"
     "meanwhile, and change nothing. Exits with gdb's status; 127 where there is no gdb.",
     cmd_gdb},
    {"events", "[target|link|operation|lease|queue|memory|gdb|log...]", COMMAND_TAKES_BOARD, NULL,
     "print events as they happen, until Ctrl-C",
     "Topics are target, link, operation, lease, queue, memory, gdb and log; all but log, which is for "
     "admins, if "
     "none is "
     "given.\nIf the server had to drop some, an event `dropped` says how many. With --json the first line "
     "is "
     "the\n"
     "result of the subscription and each further one the parameters of an event.",
     cmd_events},
    {"token", "new IDENTITY", 0, cmd_token_options, "make a token for a client of the daemon",
     "Prints the token, which the client keeps in $OCDMUX_TOKEN, and the entry for `tokens` in the daemon's\n"
     "configuration, which holds a hash of it. Nothing is asked of a server, and nothing else keeps the "
     "token.",
     cmd_token},
    {"stdio", "", 0, NULL, "join standard input and output to the server",
     "What --server ssh:HOST runs on HOST.", cmd_stdio},
    {"shell", "", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET, cmd_shell_options,
     "work on a target with gdb's own verbs: x, print, set, find, load, break, ...",
     "At a terminal with editing, history and completion; otherwise the lines of standard input, or those "
     "of\n"
     "--command, run up to the first that fails, which the exit status tells. 'help' in it says what there "
     "is.",
     cmd_shell},
    {"call", "METHOD [JSON-PARAMS]", 0, NULL, "call a method of the protocol and print its result",
     "JSON-PARAMS is an object, sent as it is; '-' reads it from standard input.", cmd_call},
    {"discover", "", 0, NULL, "print the server's description of the protocol, an OpenRPC document", NULL,
     cmd_discover},
    {"openocd", "COMMAND...", COMMAND_TAKES_BOARD | COMMAND_TAKES_TARGET | COMMAND_REST, NULL,
     "run an OpenOCD command (needs the role admin)",
     "Several words are joined by spaces. Options of ocdmux stand before the first word.", cmd_openocd},
    {"commands", "", 0, NULL, "list the commands and the methods that they call", NULL, cmd_commands},
    {"complete", "[WORD...]", COMMAND_REST, NULL,
     "say what the last WORD may become, for completion in shells",
     "Each line is a word, a tab and what it means; ':files' and ':commands' ask for names of files or\n"
     "programs.",
     cmd_complete},
    {NULL, "", 0, NULL, NULL, NULL, NULL},
};

/* A result that could not be written is no success. */
static enum status main_flush(enum status status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout)) {
        return status;
    }
    /* A failure of long ago has left its mark in the stream and not in errno. */
    fprintf(stderr, "ocdmux: standard output: %s\n", errno == 0 ? "cannot be written" : strerror(errno));
    return status == STATUS_OK ? STATUS_FAILED : status;
}

static enum status main_run(const struct arguments *arguments)
{
    struct session session;
    if (options_has(arguments, "help")) {
        if (arguments->command != NULL) {
            help_print_command(arguments->command);
        } else {
            help_print(commands);
        }
        return STATUS_OK;
    }
    if (options_has(arguments, "version")) {
        puts("ocdmux " OCDMUX_VERSION);
        return STATUS_OK;
    }
    if (strcmp(arguments->command->name, "complete") == 0) {
        /* Completion reads no configuration, which may be what is being written. */
        session = (struct session){.arguments = arguments};
        return arguments->command->run(&session);
    }
    if (!session_init(&session, arguments)) {
        return STATUS_USAGE;
    }
    enum status status = arguments->command->run(&session);
    session_fini(&session);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    enum status status = STATUS_USAGE;
    if (options_parse(&arguments, commands, argc, argv)) {
        status = main_flush(main_run(&arguments));
    }
    options_fini(&arguments);
    return (int)status;
}
