"""Where the daemon is, and a byte stream to it: TCP, TLS, a Unix socket, or ssh."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import ssl
import stat
import subprocess
from typing import Callable, NamedTuple, Optional, Tuple, TypeVar

from .errors import ConnectionFailed, InvalidParams

DEFAULT_TCP_SERVER = "tcp:127.0.0.1:6670"
# Ctrl-C is for this program, which cancels what it asked; ssh must live to bring the answer.
_SSH_SHELL = ("sh", "-c", 'trap "" INT; exec "$0" "$@"')

Protocol = TypeVar("Protocol", bound=asyncio.Protocol)


class TlsFiles(NamedTuple):
    """PEM files; None: the system's authorities, and no certificate of one's own."""

    ca: Optional[str] = None
    cert: Optional[str] = None
    key: Optional[str] = None


def environment(name: str) -> Optional[str]:
    """A variable of the environment; an empty one is none."""
    return os.environ.get(name) or None


def default_server() -> str:
    """$OCDMUX_SERVER; else unix:$XDG_RUNTIME_DIR/ocdmux.sock if that socket exists; else tcp:127.0.0.1:6670."""
    named = environment("OCDMUX_SERVER")
    if named is not None:
        return named
    runtime = environment("XDG_RUNTIME_DIR")
    if runtime is not None:
        path = f"{runtime}/ocdmux.sock"
        try:
            if stat.S_ISSOCK(os.stat(path).st_mode):
                return f"unix:{path}"
        except OSError:
            pass
    return DEFAULT_TCP_SERVER


def split_host_port(server: str) -> Tuple[str, int]:
    """HOST and PORT of "tcp:HOST:PORT" or "tls:[HOST]:PORT". Raises InvalidParams."""
    found = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^:\[\]]+)):([0-9]{1,5})", server[4:])
    if found is None or not 1 <= int(found.group(3)) <= 65535:
        raise InvalidParams(f"{server}: not {server[:4]}HOST:PORT with a port from 1 to 65535")
    return found.group(1) or found.group(2), int(found.group(3))


def check_server(server: str) -> None:
    """Raises InvalidParams where no connection could be tried."""
    if not isinstance(server, str):
        raise InvalidParams(f"{server!r:.80}: a server is a text")
    kind, _, rest = server.partition(":")
    if kind in ("tcp", "tls"):
        split_host_port(server)
    elif kind == "unix" and (not rest or "\0" in rest):
        raise InvalidParams(f"{server!r}: not unix:PATH")
    elif kind == "ssh" and (not rest or rest[0] == "-" or "\0" in rest):
        raise InvalidParams(f"{server!r}: not ssh:HOST")
    elif kind not in ("unix", "ssh"):
        raise InvalidParams(f"{server}: a server is tcp:HOST:PORT, tls:HOST:PORT, unix:PATH or ssh:HOST")


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """A client's side of TLS 1.2 or 1.3. Raises InvalidParams for files that cannot be used."""
    try:
        context = ssl.create_default_context(cafile=files.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if files.cert is not None:
            context.load_cert_chain(files.cert, files.key)
    except (OSError, ValueError) as reason:
        raise InvalidParams(f"TLS cannot use {files.ca or files.cert}: {reason}") from reason
    return context


class Ssh:
    """The ssh that carries a connection."""

    def __init__(self, host: str) -> None:
        program = environment("OCDMUX_SSH") or "ssh"
        if shutil.which(program) is None:
            raise ConnectionFailed(f"cannot connect to ssh:{host}: there is no program {program}")
        self.socket, theirs = socket.socketpair()
        with theirs:
            command = [*_SSH_SHELL, program, host, "ocdmux", "stdio"]
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno())

    def stop(self) -> None:
        """Ends it; blocks for 2 s at the most."""
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _tune(transport: asyncio.Transport) -> None:
    made = transport.get_extra_info("socket")
    if made is not None and made.family in (socket.AF_INET, socket.AF_INET6):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


async def open_stream(
    server: str, files: TlsFiles, factory: Callable[[], Protocol]
) -> Tuple[Protocol, Optional[Ssh]]:
    """A connected protocol. Raises ConnectionFailed, and InvalidParams for a text that names no server."""
    check_server(server)
    loop = asyncio.get_running_loop()
    kind, _, rest = server.partition(":")
    ssh: Optional[Ssh] = None
    try:
        if kind == "unix":
            _, protocol = await loop.create_unix_connection(factory, rest)
        elif kind == "ssh":
            ssh = Ssh(rest)
            _, protocol = await loop.create_unix_connection(factory, sock=ssh.socket)
        else:
            host, port = split_host_port(server)
            context = tls_context(files) if kind == "tls" else None
            transport, protocol = await loop.create_connection(factory, host, port, ssl=context)
            _tune(transport)
    except (OSError, ssl.SSLError, ValueError) as reason:
        if isinstance(reason, (ConnectionFailed, InvalidParams)):
            raise
        raise ConnectionFailed(f"cannot connect to {server}: {reason}") from reason
    return protocol, ssh
