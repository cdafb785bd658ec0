/* ocdmuxd: options -> configuration -> boards and listeners -> loop. The only file that knows every layer. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/log.h"
#include "methods/handlers_gen.h"
#include "methods/write.h"
#include "net/loop.h"
#include "net/service.h"
#include "server/config.h"
#include "server/config_metrics.h"
#include "server/config_reload.h"
#include "server/config_sockets.h"
#include "server/server.h"

#define EXIT_USAGE 2

static const char help_text[] =
    "Usage: ocdmuxd --openocd HOST:PORT [OPTION...]\n"
    "       ocdmuxd --spawn COMMAND [OPTION...]\n"
    "       ocdmuxd --config FILE [OPTION...]\n"
    "\n"
    "Shares one OpenOCD among many clients: serves line-based JSON-RPC 2.0 and runs the requests, one "
    "command at a\n"
    "time, on OpenOCD's TCL-RPC port. Needs OpenOCD 0.12 or later.\n"
    "\n"
    "  --openocd HOST:PORT     where OpenOCD's TCL-RPC port is (OpenOCD's own default is 6666)\n"
    "  --spawn COMMAND         starts OpenOCD, a program with its words as for a shell ('openocd -f "
    "board.cfg'),\n"
    "                          connects to the port that it says, starts it again when it dies or hangs, and "
    "ends\n"
    "                          it with the daemon; --openocd, if it is given, says where it listens\n"
    "  --before-start COMMAND  what a shell runs before each start of it: a USB reset, a power switch "
    "[none]\n"
    "  --board NAME            what the board of --openocd or --spawn is called [board]\n"
    "  --config FILE           several boards, and everything else, from a JSON file (comments allowed)\n"
    "  --listen URL            tcp:HOST:PORT, tls:HOST:PORT (see tls in the file) or unix:PATH; may be "
    "given\n"
    "                          several times; port 0 lets the kernel choose\n"
    "                          [tcp:127.0.0.1:6670, and unix:$XDG_RUNTIME_DIR/ocdmux.sock where that "
    "variable is set]\n"
    "  --gdb-listen URL        where the board of --openocd takes gdb, and passes it on to OpenOCD's gdb "
    "port "
    "under the\n"
    "                          board's lease: as for --listen [nowhere]\n"
    "  --dump-root DIRECTORY   where memory.dump and flash.read_to_file may write files [nowhere]\n"
    "  --image-root DIRECTORY  where images may be read by their path; may be given several times [nowhere]\n"
    "  --stage-root DIRECTORY  where uploads are kept [$XDG_RUNTIME_DIR, else /dev/shm, else /tmp]\n"
    "  --state-dir DIRECTORY   what must survive a crash: flash contents while a sector is erased\n"
    "                          [$STATE_DIRECTORY, $XDG_STATE_HOME/ocdmux, ~/.local/state/ocdmux]\n"
    "  --audit FILE            who changed what, as lines of JSON [none]\n"
    "  --metrics HOST:PORT     /metrics for Prometheus, /healthz and /readyz over HTTP [none]\n"
    "  --stage-dir DIRECTORY   on OpenOCD's host, for its temporary files [/dev/shm, else /tmp]\n"
    "  --share-dir DIRECTORY   here and, if it is the same, on OpenOCD's host: for files that need not go\n"
    "                          over the link;\n"
    "                          none: they all do [$XDG_RUNTIME_DIR, else /dev/shm, else /tmp]\n"
    "  --share-group GROUP     may use files there, for an OpenOCD of another user [nobody]\n"
    "  --anonymous-role ROLE   what clients may do of whom nothing is known: none, observer, user, or "
    "admin,\n"
    "                          who may send raw Tcl [user; none where the file knows identities]\n"
    "  --insecure              allow listeners beyond loopback that are plain, or where nobody is asked who "
    "he "
    "is\n"
    "  --log-level LEVEL       error, warn, info or debug [info]\n"
    "  --help, --version\n"
    "\n"
    "Each client takes a descriptor: the limit on open files is raised to the hard one (ulimit -Hn). Where\n"
    "that carries fewer clients than the file's max_clients [16384] the log says at the start how many.\n"
    "\n"
    "Options override what the file says. Exit status: 0 after SIGTERM or SIGINT, 1 if something failed at "
    "start,\n"
    "2 for bad usage or bad configuration.\n";

enum option_code {
    OPTION_OPENOCD = 256,
    OPTION_SPAWN,
    OPTION_BEFORE_START,
    OPTION_BOARD,
    OPTION_CONFIG,
    OPTION_LISTEN,
    OPTION_GDB_LISTEN,
    OPTION_DUMP_ROOT,
    OPTION_IMAGE_ROOT,
    OPTION_STAGE_ROOT,
    OPTION_STATE_DIR,
    OPTION_AUDIT,
    OPTION_METRICS,
    OPTION_STAGE_DIR,
    OPTION_SHARE_DIR,
    OPTION_SHARE_GROUP,
    OPTION_ANONYMOUS_ROLE,
    OPTION_INSECURE,
    OPTION_LOG_LEVEL,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option long_options[] = {
    {"openocd", required_argument, NULL, OPTION_OPENOCD},
    {"spawn", required_argument, NULL, OPTION_SPAWN},
    {"before-start", required_argument, NULL, OPTION_BEFORE_START},
    {"board", required_argument, NULL, OPTION_BOARD},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"gdb-listen", required_argument, NULL, OPTION_GDB_LISTEN},
    {"dump-root", required_argument, NULL, OPTION_DUMP_ROOT},
    {"image-root", required_argument, NULL, OPTION_IMAGE_ROOT},
    {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
    {"audit", required_argument, NULL, OPTION_AUDIT},
    {"metrics", required_argument, NULL, OPTION_METRICS},
    {"stage-root", required_argument, NULL, OPTION_STAGE_ROOT},
    {"stage-dir", required_argument, NULL, OPTION_STAGE_DIR},
    {"share-dir", required_argument, NULL, OPTION_SHARE_DIR},
    {"share-group", required_argument, NULL, OPTION_SHARE_GROUP},
    {"anonymous-role", required_argument, NULL, OPTION_ANONYMOUS_ROLE},
    {"insecure", no_argument, NULL, OPTION_INSECURE},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

/* What was given on the command line. */
struct flags {
    const char *openocd;
    const char *spawn;
    const char *before_start;
    const char *board;
    const char *config;
    const char *listen[CONFIG_MAX_LISTENERS];
    size_t listen_count;
    const char *gdb_listen;
    const char *dump_root;
    const char *image_roots[CONFIG_MAX_IMAGE_ROOTS];
    size_t image_root_count;
    const char *stage_root;
    const char *state_dir;
    const char *audit;
    const char *metrics;
    const char *stage_dir;
    const char *share_dir;
    const char *share_group;
    const char *anonymous_role;
    const char *log_level;
    bool insecure;
};

static int usage(const char *text)
{
    fprintf(stderr, "ocdmuxd: %s\nTry 'ocdmuxd --help'.\n", text);
    return EXIT_USAGE;
}

/* Where the text of an option goes of which the last one counts; NULL: it is none of these. */
static const char **place_of(struct flags *flags, int code)
{
    switch (code) {
    case OPTION_OPENOCD:
        return &flags->openocd;
    case OPTION_SPAWN:
        return &flags->spawn;
    case OPTION_BEFORE_START:
        return &flags->before_start;
    case OPTION_BOARD:
        return &flags->board;
    case OPTION_CONFIG:
        return &flags->config;
    case OPTION_GDB_LISTEN:
        return &flags->gdb_listen;
    case OPTION_DUMP_ROOT:
        return &flags->dump_root;
    case OPTION_STAGE_ROOT:
        return &flags->stage_root;
    case OPTION_STATE_DIR:
        return &flags->state_dir;
    case OPTION_AUDIT:
        return &flags->audit;
    case OPTION_METRICS:
        return &flags->metrics;
    case OPTION_STAGE_DIR:
        return &flags->stage_dir;
    case OPTION_SHARE_DIR:
        return &flags->share_dir;
    case OPTION_SHARE_GROUP:
        return &flags->share_group;
    case OPTION_ANONYMOUS_ROLE:
        return &flags->anonymous_role;
    case OPTION_LOG_LEVEL:
        return &flags->log_level;
    default:
        return NULL;
    }
}

/* -1 to go on, else the exit status. */
static int check_flags(const struct flags *flags)
{
    if (flags->config != NULL &&
        (flags->openocd != NULL || flags->board != NULL || flags->stage_dir != NULL ||
         flags->gdb_listen != NULL || flags->spawn != NULL)) {
        return usage(
            "--config describes the boards: --openocd, --spawn, --board, --stage-dir and --gdb-listen do "
            "not go with it");
    }
    if (flags->before_start != NULL && flags->spawn == NULL) {
        return usage("--before-start goes with --spawn");
    }
    return -1;
}

/* The same, for one option. */
static int take_flag(struct flags *flags, int code, const char *name)
{
    const char **place = place_of(flags, code);
    if (optarg != NULL && optarg[0] == '\0') {
        fprintf(stderr, "ocdmuxd: --%s: must not be empty\n", name);
        return EXIT_USAGE;
    }
    if (place != NULL) {
        *place = optarg;
        return -1;
    }
    switch (code) {
    case OPTION_LISTEN:
        if (flags->listen_count == CONFIG_MAX_LISTENERS) {
            return usage("too many listeners");
        }
        flags->listen[flags->listen_count++] = optarg;
        return -1;
    case OPTION_IMAGE_ROOT:
        if (flags->image_root_count == CONFIG_MAX_IMAGE_ROOTS) {
            return usage("too many image roots");
        }
        flags->image_roots[flags->image_root_count++] = optarg;
        return -1;
    case OPTION_INSECURE:
        flags->insecure = true;
        return -1;
    case OPTION_HELP:
        fputs(help_text, stdout);
        return 0;
    case OPTION_VERSION:
        puts("ocdmuxd " OCDMUX_VERSION);
        return 0;
    default:
        return usage("bad option");
    }
}

/* The same, for all of them. */
static int read_flags(int argc, char **argv, struct flags *flags)
{
    int code;
    int index = 0;
    while ((code = getopt_long(argc, argv, "", long_options, &index)) != -1) {
        int status = take_flag(flags, code, long_options[index].name);
        if (status >= 0) {
            return status;
        }
    }
    if (optind < argc) {
        return usage("there are no arguments besides options");
    }
    return check_flags(flags);
}

static bool apply_boards(struct config *config, const struct flags *flags, struct err *err)
{
    if (flags->config != NULL) {
        return config_read_file(config, flags->config, err);
    }
    if (flags->openocd == NULL && flags->spawn == NULL) {
        return true; /* config_complete() says that there is no board */
    }
    if (!config_add_board(config, flags->board != NULL ? flags->board : "board", flags->openocd, err)) {
        return false;
    }
    if (flags->gdb_listen != NULL && !config_set_gdb(config, flags->gdb_listen, NULL, err)) {
        err_prefix(err, "--gdb-listen");
        return false;
    }
    if (flags->spawn != NULL) {
        config->boards[0].spawn.command = config_spawn_line(flags->spawn);
    }
    if (flags->before_start != NULL) {
        config->boards[0].spawn.before_start = config_before_start_line(flags->before_start);
    }
    if (flags->stage_dir != NULL) {
        config->boards[0].stage_dir = xstrdup(flags->stage_dir);
    }
    return true;
}

static void replace(char **text, const char *flag)
{
    if (flag != NULL) {
        free(*text);
        *text = xstrdup(flag);
    }
}

/* Looked at behind those of the file. */
static bool apply_image_roots(struct config *config, const struct flags *flags, struct err *err)
{
    for (size_t i = 0; i < flags->image_root_count; i++) {
        if (!config_add_image_root(config, flags->image_roots[i], err)) {
            err_prefix(err, "--image-root");
            return false;
        }
    }
    return true;
}

/* What a service manager listens on for the daemon. */
static bool apply_sockets(struct config *config, struct err *err)
{
    struct net_address sockets[SERVICE_MAX_SOCKETS];
    size_t count = 0;
    if (!service_take_sockets(sockets, &count, err)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!config_take_socket(config, &sockets[i], err)) {
            return false;
        }
    }
    return true;
}

static bool apply_flags(struct config *config, const struct flags *flags, struct err *err)
{
    if (!apply_boards(config, flags, err)) {
        return false;
    }
    if (flags->listen_count > 0) {
        config->listener_count = 0;
    }
    for (size_t i = 0; i < flags->listen_count; i++) {
        if (!config_add_listener(config, flags->listen[i], err)) {
            err_prefix(err, "--listen");
            return false;
        }
    }
    if (flags->anonymous_role != NULL) {
        if (!config_parse_role(flags->anonymous_role, &config->anonymous_role)) {
            return err_set(err, ERR_INVALID_PARAMS,
                           "--anonymous-role: must be none, observer, user or admin");
        }
        config->anonymous_role_given = true;
    }
    if (flags->log_level != NULL && !log_level_parse(flags->log_level, &config->log_level)) {
        return err_set(err, ERR_INVALID_PARAMS, "--log-level: must be error, warn, info or debug");
    }
    if (!apply_image_roots(config, flags, err)) {
        return false;
    }
    if (flags->metrics != NULL && !config_metrics_set(config, flags->metrics, err)) {
        err_prefix(err, "--metrics");
        return false;
    }
    replace(&config->dump_root, flags->dump_root);
    replace(&config->stage_root, flags->stage_root);
    replace(&config->share_dir, flags->share_dir);
    replace(&config->share_group, flags->share_group);
    replace(&config->state_dir, flags->state_dir);
    replace(&config->audit_path, flags->audit);
    config->insecure = config->insecure || flags->insecure;
    return apply_sockets(config, err) && config_complete(config, err);
}

/* Every client is a descriptor: take as many as the system allows. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            log_warn("the limit on open files stays at %llu: %s", (unsigned long long)before,
                     strerror(errno));
        }
    }
}

struct daemon {
    struct loop *loop;
    struct server *server;
    struct config *config;
    struct config_reload reload;
};

static void on_stopped(void *context)
{
    const struct daemon *daemon = context;
    loop_stop(daemon->loop);
}

static void on_stop(void *context)
{
    const struct daemon *daemon = context;
    log_info("stopping");
    service_stopping();
    server_stop(daemon->server, on_stopped, context);
}

static void on_reload(void *context)
{
    const struct daemon *daemon = context;
    if (daemon->server != NULL) {
        service_reloading();
        config_reload(daemon->config, &daemon->reload);
        server_reload(daemon->server);
        service_ready();
    }
}

static void on_identities_changed(void *context, const struct config_identities *old)
{
    const struct daemon *daemon = context;
    server_identities_changed(daemon->server, old);
}

static int serve(struct config *config, const struct flags *flags)
{
    struct err err;
    struct daemon daemon = {.loop = loop_new(), .config = config};
    int status = EXIT_SUCCESS;

    err_reset(&err);
    daemon.reload = (struct config_reload){.keep_log_level = flags->log_level != NULL,
                                           .keep_anonymous_role = flags->anonymous_role != NULL,
                                           .identities_changed = on_identities_changed,
                                           .context = &daemon};
    /* What it is once nobody waits for it any more: who rotates logs must not kill a daemon that ends just
     * then. */
    signal(SIGHUP, SIG_IGN);
    /* Before anybody can know that it listens: from then on a signal stops it in good order. */
    struct loop_signal *terminate = loop_signal_new(daemon.loop, SIGTERM, on_stop, &daemon);
    struct loop_signal *hangup = loop_signal_new(daemon.loop, SIGHUP, on_reload, &daemon);
    struct loop_signal *interrupt = loop_signal_new(daemon.loop, SIGINT, on_stop, &daemon);
    if (!server_new(&daemon.server, daemon.loop, config, handlers, &err)) {
        fprintf(stderr, "ocdmuxd: %s\n", err.message);
        status = EXIT_FAILURE;
    } else {
        struct service *service = service_new(daemon.loop);
        daemon.server->write_board = write_board_status;
        service_ready();
        loop_run(daemon.loop);
        server_free(daemon.server);
        service_free(service);
    }
    loop_signal_free(terminate);
    loop_signal_free(interrupt);
    loop_signal_free(hangup);
    loop_free(daemon.loop);
    return status;
}

int main(int argc, char **argv)
{
    struct flags flags = {0};
    struct config config;
    struct err err;

    int status = read_flags(argc, argv, &flags);
    if (status >= 0) {
        return status;
    }
    err_reset(&err);
    config_init(&config);
    if (!apply_flags(&config, &flags, &err)) {
        fprintf(stderr, "ocdmuxd: %s\n", err.message);
        config_fini(&config);
        return EXIT_USAGE;
    }
    log_set_level(config.log_level);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like any other */
    raise_descriptor_limit();
    status = serve(&config, &flags);
    config_fini(&config);
    return status;
}
