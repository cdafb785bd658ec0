"""For all suites: signals work as they do in a terminal, also for the programs that are started, whatever whoever runs
the tests has made of them (nohup, a shell's background)."""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
