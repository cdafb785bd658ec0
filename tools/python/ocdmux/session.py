"""Session: a board behind a daemon, with all that can be done with it."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Dict, Generator, List, Optional, Sequence, Tuple, Type

from ._core import CONNECT_TIMEOUT_S, Core
from ._endpoint import TlsFiles, check_server, default_server, environment
from ._fields import Fields, Json, milliseconds, seconds
from ._part import Part
from .errors import InvalidParams
from .flash import Flash
from .lease import Lease
from .memory import Memory
from .operations import Operations
from .stages import FilePath, Stages
from .streams import Events, Watch
from .target import Breakpoints, Registers, TargetControl
from .types import Board, CommandResult, ProgressFn, Ranges

if TYPE_CHECKING:
    from .sync import SyncSession

TIMEOUT_S = 30.0
SSH_CONNECT_TIMEOUT_S = 120.0


class Connecting:
    """What `Session.connect()` gives: `await` it for a session, or enter it with `async with`, which closes it too."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    async def _connect(self) -> "Session":
        await self._session.core.connect()
        return self._session

    def __await__(self) -> Generator[Any, None, "Session"]:
        return self._connect().__await__()

    async def __aenter__(self) -> "Session":
        return await self._connect()

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        await self._session.close()


class Session:
    """A connection to a daemon, and one of its boards.

        async with Session.connect() as session:
            print(await session.memory.read_u32(0x20000000))

    Any number of tasks may use it at once: their calls share one connection. A connection that is lost is made again
    with the next call, for `connect_timeout` at the most. Reads of ranges are then asked once more; changes and typed
    reads never are, see OutcomeUnknown and ConnectionLost. A task that is cancelled cancels its call, and waits a few
    seconds for the daemon to say so.

    The parts are `memory`, `flash`, `target`, `registers`, `breakpoints`, `operations` and `stages`.
    """

    def __init__(self, core: Core, board: Optional[str], target: Optional[str], lease: Optional[str],
                 timeout: Optional[float]) -> None:
        """Use `connect()`."""
        self.core = core
        self.board = board
        self.target_name = target
        self.timeout = timeout
        self._lease = lease
        self.memory = Memory(self)
        self.flash = Flash(self)
        self.target = TargetControl(self)
        self.registers = Registers(self)
        self.breakpoints = Breakpoints(self)
        self.operations = Operations(self)
        self.stages = Stages(self)

    @classmethod
    def connect(
        cls, server: Optional[str] = None, *, board: Optional[str] = None, token: Optional[str] = None,
        target: Optional[str] = None, lease: Optional[str] = None, ca: Optional[FilePath] = None,
        cert: Optional[FilePath] = None, key: Optional[FilePath] = None, client: Optional[str] = None,
        timeout: Optional[float] = TIMEOUT_S, connect_timeout: Optional[float] = None,
    ) -> Connecting:
        """`async with Session.connect() as session`, or `session = await Session.connect()` and `close()` at the end.

        `server` is tcp:HOST:PORT, tls:HOST:PORT, unix:PATH or ssh:HOST (which runs `ssh HOST ocdmux stdio`); None:
        $OCDMUX_SERVER, else the socket in $XDG_RUNTIME_DIR, else tcp:127.0.0.1:6670. `board` is needed only where the
        daemon has several, `target` for another one than OpenOCD's current. `token` says who this is. `ca`, `cert` and
        `key` are PEM files for tls:. `lease` is the id of one that was taken elsewhere. $OCDMUX_BOARD, _TOKEN, _LEASE,
        _CA, _CERT and _KEY stand in for those that are None. `client` is a name for people. `timeout` in seconds is that
        of short calls, None: no limit; `connect_timeout` that of connecting, by default 10 s, and 120 s over ssh, which may
        ask for a password.

        Raises ConnectionFailed, Unauthenticated, ProtocolError, and InvalidParams for a `server` of another form.
        """
        chosen = default_server() if server is None else server
        check_server(chosen)
        if connect_timeout is None:
            connect_timeout = SSH_CONNECT_TIMEOUT_S if chosen.startswith("ssh:") else CONNECT_TIMEOUT_S
        if seconds(connect_timeout) <= 0 or (timeout is not None and seconds(timeout) <= 0):
            raise InvalidParams("a time limit is above 0 seconds, or None")
        paths = [
            environment(name) if given is None else os.fspath(given)
            for given, name in ((ca, "OCDMUX_CA"), (cert, "OCDMUX_CERT"), (key, "OCDMUX_KEY"))
        ]
        token = environment("OCDMUX_TOKEN") if token is None else token
        core = Core(chosen, TlsFiles(*paths), token, client, connect_timeout)
        return Connecting(cls(
            core, environment("OCDMUX_BOARD") if board is None else board, target,
            environment("OCDMUX_LEASE") if lease is None else lease, timeout,
        ))

    @classmethod
    def connect_sync(
        cls, server: Optional[str] = None, *, board: Optional[str] = None, token: Optional[str] = None,
        target: Optional[str] = None, lease: Optional[str] = None, ca: Optional[FilePath] = None,
        cert: Optional[FilePath] = None, key: Optional[FilePath] = None, client: Optional[str] = None,
        timeout: Optional[float] = TIMEOUT_S, connect_timeout: Optional[float] = None,
    ) -> SyncSession:
        """The same for programs without asyncio, connected when it returns: `with Session.connect_sync() as session`."""
        from .sync import SyncSession

        return SyncSession.open(lambda: cls.connect(
            server, board=board, token=token, target=target, lease=lease, ca=ca, cert=cert, key=key, client=client,
            timeout=timeout, connect_timeout=connect_timeout,
        ))

    def on(self, *, board: Optional[str] = None, target: Optional[str] = None) -> Session:
        """The same connection for another board or target."""
        same_board = board is None or board == self.board
        return Session(
            self.core, self.board if board is None else board, target, self._lease if same_board else None, self.timeout
        )

    # What the parts need.

    def where(self) -> Json:
        """`board`, where one was named."""
        return {} if self.board is None else {"board": self.board}

    def board_params(self) -> Json:
        """What every call on the board says."""
        params = self.where()
        if self.target_name is not None:
            params["target"] = self.target_name
        lease = self.core.leases.get(self.board) or self._lease
        if lease is not None:
            params["lease"] = lease
        return params

    def timeout_or(self, seconds: float) -> float:
        """The limit of short calls, where there is one."""
        return seconds if self.timeout is None else self.timeout

    def hold_lease(self, lease: str) -> None:
        """Every call on this board names it from now on."""
        self.core.leases[self.board] = lease

    def drop_lease(self, lease: str) -> None:
        """No more."""
        if self.core.leases.get(self.board) == lease:
            del self.core.leases[self.board]

    # The daemon.

    @property
    def server(self) -> str:
        """Where the daemon is."""
        return self.core.server

    @property
    def hello(self) -> Dict[str, Any]:
        """What the daemon said of itself and of this client: version, identity, role, boards, limits, features."""
        return self.core.hello

    async def call(self, method: str, *, timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
                   **params: Any) -> Any:
        """Any method of the protocol, with its parameters as they are; the result's JSON. `timeout`: None is no limit."""
        return await self.core.call(method, params, timeout=timeout, progress=progress)

    async def boards(self) -> List[Board]:
        """The boards of the daemon."""
        fields = Fields(await self.core.call("board.list", {}, timeout=self.timeout), "board.list")
        return [
            Board(each.text("board"), each.text("openocd"), each.text("link"), each.maybe_text("version"))
            for each in fields.objects("boards")
        ]

    async def status(self) -> Dict[str, Any]:
        """What is known about the board without asking it: link, targets, banks, queue, lease, pending repairs."""
        return Fields(await self.core.call("board.status", self.where(), timeout=self.timeout), "board.status").all

    async def lease_status(self) -> Dict[str, Any]:
        """Who holds the board's lease, and who waits for it."""
        return Fields(await self.core.call("lease.status", self.where(), timeout=self.timeout), "lease.status").all

    async def break_lease(self) -> bool:
        """Ends the lease, whoever holds it; for admins. False where nobody held it."""
        result = await self.core.call("lease.break", self.where(), timeout=self.timeout)
        return Fields(result, "lease.break").flag("found")

    async def command(self, command: str, *, timeout: Optional[float] = None) -> CommandResult:
        """Runs a Tcl script in OpenOCD; for admins. A script that fails is no error here: look at `code`."""
        fields = await _Raw(self).run(command, timeout)
        return CommandResult(fields.integer("code"), fields.text("text"), fields.text("log"))

    def lease(self, ttl: float = 60.0, *, wait: Optional[float] = None, reason: Optional[str] = None) -> Lease:
        """`async with session.lease():` nobody else changes the board meanwhile.

        `ttl` in seconds (1 to 86400) is how long it lasts should this program die; it is renewed as long as that lives.
        `wait` in seconds is how long to wait for it in the queue: None: as long as it takes, 0: BoardBusy at once. Others
        see the `reason`. It is the session's, all tasks of which then change the board; a second one is BoardBusy at once.
        """
        return Lease(self, ttl, wait, reason)

    def events(self, *topics: str) -> Events:
        """`async for event in session.events("target", "lease"):` what happens, of the session's board or of all where it
        names none. Topics are target, link, operation, lease, queue, memory, gdb and, for admins, log; none given: the
        first four. Enter it with `async with` where the loop may be left early, so that it ends."""
        return Events(self.core, topics, self.board, self.timeout)

    def watch(self, ranges: Ranges, interval: float = 0.1) -> Watch:
        """`async for change in session.watch((address, size)):` memory as it is, and then whenever it changes.

        `ranges` are one or up to 64 of (address, size in bytes); `interval` in seconds is the time between two looks.
        """
        several: Sequence[Tuple[int, int]] = [ranges] if isinstance(ranges, tuple) else ranges
        where = {key: value for key, value in self.board_params().items() if key != "lease"}
        return Watch(self.core, where, list(several), milliseconds(interval), self.timeout)

    async def close(self) -> None:
        """Ends the connection. Calls that are under way fail with ConnectionLost."""
        await self.core.close()

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        await self.close()


class _Raw(Part):
    async def run(self, command: str, timeout: Optional[float]) -> Fields:
        """The answer to a script."""
        return await self._fields("openocd.command", {"command": command}, timeout=self._short(timeout))

