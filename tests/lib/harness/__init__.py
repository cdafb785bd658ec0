"""The real thing under test: the virtual board, OpenOCD on it, the daemon on that, and clients whose every line is held
against the protocol.

Executables come from the build directory that $OCDMUX_BUILD names (default: build/ in the repository).
"""
