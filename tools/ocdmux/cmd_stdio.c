/* stdio: the far end of --server ssh:HOST. */
#include <signal.h>
#include <unistd.h>

#include "commands.h"

enum status cmd_stdio(struct session *session)
{
    struct ocdmux_error error = OCDMUX_ERROR_INIT;
    const struct ocdmux_tls tls = session_tls(session);
    const char *server = options_value(session->arguments, "server");
    signal(SIGPIPE, SIG_IGN); /* the near end may go first, and that is told as an error */
    if (ocdmux_relay(server, &tls, STDIN_FILENO, STDOUT_FILENO, &error)) {
        return STATUS_OK;
    }
    return session_report_open(session, &error);
}
