"""The interface for programs without asyncio: the same names and types, each call blocking until it is done.

The connection lives in a thread of its own. Any number of threads may use a session at once, each for a call of its own.
Ctrl-C cancels the call that it meets. Progress callbacks run in the connection's thread and must not use the session.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from types import TracebackType
from typing import (
    Any, Callable, Coroutine, Dict, Generic, Iterator, List, Mapping, Optional, Sequence, Type, TypeVar, Union,
)

from ._wire import CANCEL_WAIT_S
from .errors import ConnectionLost
from .flash import Flash
from .lease import Lease
from .memory import Memory
from .operations import Operations
from .session import Connecting, Session
from .stages import FilePath, Stages
from .streams import Queue
from .target import Breakpoints, Registers, TargetControl
from .types import (
    Board, Breakpoint, CommandResult, Event, FlashBank, Loaded, MemoryChange, Operation, Programmed, ProgressFn, Ranges,
    Register, Stage, Stepped, Target, Verification,
)

Result = TypeVar("Result")
PartType = TypeVar("PartType")
Item = TypeVar("Item")


class Runner:
    """A thread with an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ocdmux", daemon=True)
        self._thread.start()
        self._stopped = False

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """What `work` returns or raises. What interrupts the wait (Ctrl-C) cancels it."""
        if self._stopped or threading.current_thread() is self._thread:
            work.close()
            if self._stopped:
                raise ConnectionLost("the session is closed")
            raise RuntimeError("a callback cannot use its own session: its thread would wait for itself")
        done: concurrent.futures.Future[Result] = concurrent.futures.Future()
        ended = threading.Event()
        tasks: List[asyncio.Task[Result]] = []

        def begin() -> None:
            tasks.append(self._loop.create_task(work))
            tasks[0].add_done_callback(finish)

        def finish(task: asyncio.Task[Result]) -> None:
            ended.set()
            if task.cancelled():
                done.cancel()
                return
            error = task.exception()
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(task.result())

        def cancel() -> None:
            if tasks:
                tasks[0].cancel()
            else:
                work.close()
                ended.set()

        try:
            self._loop.call_soon_threadsafe(begin)
            return done.result()
        except BaseException:
            if not ended.is_set():
                self._loop.call_soon_threadsafe(cancel)
                ended.wait(CANCEL_WAIT_S + 1.0)
            raise

    def stop(self) -> None:
        """Ends the thread."""
        if not self._stopped:
            self._stopped = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


class _SyncPart(Generic[PartType]):
    def __init__(self, runner: Runner, part: PartType) -> None:
        self._runner = runner
        self._part = part

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)


class SyncMemory(_SyncPart[Memory]):
    """`session.memory`."""

    def read_u8(
        self, addr: int, count: int = 1, *, cacheable: bool = False, physical: bool = False,
        timeout: Optional[float] = None,
    ) -> List[int]:
        """As Memory.read_u8()."""
        return self._run(self._part.read_u8(addr, count, cacheable=cacheable, physical=physical, timeout=timeout))

    def read_u16(
        self, addr: int, count: int = 1, *, cacheable: bool = False, physical: bool = False,
        timeout: Optional[float] = None,
    ) -> List[int]:
        """As Memory.read_u16()."""
        return self._run(self._part.read_u16(addr, count, cacheable=cacheable, physical=physical, timeout=timeout))

    def read_u32(
        self, addr: int, count: int = 1, *, cacheable: bool = False, physical: bool = False,
        timeout: Optional[float] = None,
    ) -> List[int]:
        """As Memory.read_u32()."""
        return self._run(self._part.read_u32(addr, count, cacheable=cacheable, physical=physical, timeout=timeout))

    def read_u64(
        self, addr: int, count: int = 1, *, cacheable: bool = False, physical: bool = False,
        timeout: Optional[float] = None,
    ) -> List[int]:
        """As Memory.read_u64()."""
        return self._run(self._part.read_u64(addr, count, cacheable=cacheable, physical=physical, timeout=timeout))

    def write_u8(
        self, addr: int, values: Union[int, Sequence[int]], *, physical: bool = False, timeout: Optional[float] = None,
    ) -> None:
        """As Memory.write_u8()."""
        self._run(self._part.write_u8(addr, values, physical=physical, timeout=timeout))

    def write_u16(
        self, addr: int, values: Union[int, Sequence[int]], *, physical: bool = False, timeout: Optional[float] = None,
    ) -> None:
        """As Memory.write_u16()."""
        self._run(self._part.write_u16(addr, values, physical=physical, timeout=timeout))

    def write_u32(
        self, addr: int, values: Union[int, Sequence[int]], *, physical: bool = False, timeout: Optional[float] = None,
    ) -> None:
        """As Memory.write_u32()."""
        self._run(self._part.write_u32(addr, values, physical=physical, timeout=timeout))

    def write_u64(
        self, addr: int, values: Union[int, Sequence[int]], *, physical: bool = False, timeout: Optional[float] = None,
    ) -> None:
        """As Memory.write_u64()."""
        self._run(self._part.write_u64(addr, values, physical=physical, timeout=timeout))

    def read_bytes(
        self, addr: int, size: int, *, consistent: bool = False, physical: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> bytes:
        """As Memory.read_bytes()."""
        return self._run(self._part.read_bytes(
            addr, size, consistent=consistent, physical=physical, timeout=timeout, progress=progress
        ))

    def write_bytes(
        self, addr: int, data: bytes, *, physical: bool = False, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> None:
        """As Memory.write_bytes()."""
        self._run(self._part.write_bytes(addr, data, physical=physical, timeout=timeout, progress=progress))

    def hexdump(
        self, addr: int, size: int, *, consistent: bool = False, physical: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> str:
        """As Memory.hexdump()."""
        return self._run(self._part.hexdump(
            addr, size, consistent=consistent, physical=physical, timeout=timeout, progress=progress
        ))

    def search(
        self, pattern: bytes, start: int, end: int, *, mask: Optional[bytes] = None, align: int = 1,
        limit: Optional[int] = None, consistent: bool = False, physical: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> List[int]:
        """As Memory.search()."""
        return self._run(self._part.search(
            pattern, start, end, mask=mask, align=align, limit=limit, consistent=consistent, physical=physical,
            timeout=timeout, progress=progress
        ))

    def dump(
        self, addr: int, size: int, path: FilePath, *, consistent: bool = False, physical: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> None:
        """As Memory.dump()."""
        self._run(self._part.dump(
            addr, size, path, consistent=consistent, physical=physical, timeout=timeout, progress=progress
        ))

    def load_image(
        self, path: FilePath, *, format: Optional[str] = None, address: Optional[int] = None, verify: bool = True,
        prepare: Optional[str] = None, timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> Loaded:
        """As Memory.load_image()."""
        return self._run(self._part.load_image(
            path, format=format, address=address, verify=verify, prepare=prepare, timeout=timeout, progress=progress
        ))


class SyncFlash(_SyncPart[Flash]):
    """`session.flash`."""

    def banks(self, *, timeout: Optional[float] = None) -> List[FlashBank]:
        """As Flash.banks()."""
        return self._run(self._part.banks(timeout=timeout))

    def info(self, bank: int = 0, *, timeout: Optional[float] = None) -> FlashBank:
        """As Flash.info()."""
        return self._run(self._part.info(bank, timeout=timeout))

    def read(
        self, bank: int, offset: int, size: int, *, consistent: bool = False, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> bytes:
        """As Flash.read()."""
        return self._run(self._part.read(bank, offset, size, consistent=consistent, timeout=timeout, progress=progress))

    def read_to_file(
        self, bank: int, path: FilePath, *, offset: int = 0, size: Optional[int] = None, consistent: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> None:
        """As Flash.read_to_file()."""
        self._run(self._part.read_to_file(
            bank, path, offset=offset, size=size, consistent=consistent, timeout=timeout, progress=progress
        ))

    def write(
        self, bank: int, offset: int, data: bytes, *, erase: bool = False, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> None:
        """As Flash.write()."""
        self._run(self._part.write(bank, offset, data, erase=erase, timeout=timeout, progress=progress))

    def write_image(
        self, path: FilePath, erase: bool = True, verify: bool = True, *, format: Optional[str] = None,
        address: Optional[int] = None, mode: Optional[str] = None, unlock: bool = False,
        prepare: Optional[str] = None, reset: Optional[str] = None, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> None:
        """As Flash.write_image()."""
        self._run(self._part.write_image(
            path, erase, verify, format=format, address=address, mode=mode, unlock=unlock, prepare=prepare,
            reset=reset, timeout=timeout, progress=progress
        ))

    def program(
        self, path: FilePath, erase: bool = True, verify: bool = True, *, format: Optional[str] = None,
        address: Optional[int] = None, mode: Optional[str] = None, unlock: bool = False,
        prepare: Optional[str] = None, reset: Optional[str] = None, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> Programmed:
        """As Flash.program()."""
        return self._run(self._part.program(
            path, erase, verify, format=format, address=address, mode=mode, unlock=unlock, prepare=prepare,
            reset=reset, timeout=timeout, progress=progress
        ))

    def erase_sector(
        self, bank: int, first: int, last: int, *, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> None:
        """As Flash.erase_sector()."""
        self._run(self._part.erase_sector(bank, first, last, timeout=timeout, progress=progress))

    def erase_all(
        self, bank: int = 0, *, timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> None:
        """As Flash.erase_all()."""
        self._run(self._part.erase_all(bank, timeout=timeout, progress=progress))

    def protect(
        self, bank: int, first: int, last: int, on: bool, *, reset: bool = True, timeout: Optional[float] = None,
    ) -> None:
        """As Flash.protect()."""
        self._run(self._part.protect(bank, first, last, on, reset=reset, timeout=timeout))

    def verify(
        self, bank: int, path: FilePath, *, offset: int = 0, format: Optional[str] = None, consistent: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> bool:
        """As Flash.verify()."""
        return self._run(self._part.verify(
            bank, path, offset=offset, format=format, consistent=consistent, timeout=timeout, progress=progress
        ))

    def compare(
        self, bank: int, path: FilePath, *, offset: int = 0, format: Optional[str] = None, consistent: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> Verification:
        """As Flash.compare()."""
        return self._run(self._part.compare(
            bank, path, offset=offset, format=format, consistent=consistent, timeout=timeout, progress=progress
        ))


class SyncTarget(_SyncPart[TargetControl]):
    """`session.target`."""

    def list(self, *, timeout: Optional[float] = None) -> List[Target]:
        """As TargetControl.list()."""
        return self._run(self._part.list(timeout=timeout))

    def state(self, *, timeout: Optional[float] = None) -> str:
        """As TargetControl.state()."""
        return self._run(self._part.state(timeout=timeout))

    def halt(self, *, timeout: Optional[float] = None) -> str:
        """As TargetControl.halt()."""
        return self._run(self._part.halt(timeout=timeout))

    def resume(self, address: Optional[int] = None, *, timeout: Optional[float] = None) -> str:
        """As TargetControl.resume()."""
        return self._run(self._part.resume(address, timeout=timeout))

    def reset(self, mode: str = 'run', *, timeout: Optional[float] = None) -> Dict[str, str]:
        """As TargetControl.reset()."""
        return self._run(self._part.reset(mode, timeout=timeout))

    def step(self, count: int = 1, address: Optional[int] = None, *, timeout: Optional[float] = None) -> Stepped:
        """As TargetControl.step()."""
        return self._run(self._part.step(count, address, timeout=timeout))

    def wait(self, state: str = 'halted', *, timeout: Optional[float] = None) -> str:
        """As TargetControl.wait()."""
        return self._run(self._part.wait(state, timeout=timeout))


class SyncRegisters(_SyncPart[Registers]):
    """`session.registers`."""

    def list(self, *, timeout: Optional[float] = None) -> List[Register]:
        """As Registers.list()."""
        return self._run(self._part.list(timeout=timeout))

    def read(self, names: Optional[Sequence[str]] = None, *, timeout: Optional[float] = None) -> Dict[str, int]:
        """As Registers.read()."""
        return self._run(self._part.read(names, timeout=timeout))

    def write(self, values: Mapping[str, int], *, timeout: Optional[float] = None) -> Dict[str, int]:
        """As Registers.write()."""
        return self._run(self._part.write(values, timeout=timeout))

    def get(self, name: str, *, timeout: Optional[float] = None) -> int:
        """As Registers.get()."""
        return self._run(self._part.get(name, timeout=timeout))

    def set(self, name: str, value: int, *, timeout: Optional[float] = None) -> None:
        """As Registers.set()."""
        self._run(self._part.set(name, value, timeout=timeout))


class SyncBreakpoints(_SyncPart[Breakpoints]):
    """`session.breakpoints`."""

    def list(self, *, timeout: Optional[float] = None) -> List[Breakpoint]:
        """As Breakpoints.list()."""
        return self._run(self._part.list(timeout=timeout))

    def add(
        self, address: int, kind: str = 'hardware', *, length: Optional[int] = None, value: Optional[int] = None,
        mask: Optional[int] = None, timeout: Optional[float] = None,
    ) -> List[Breakpoint]:
        """As Breakpoints.add()."""
        return self._run(self._part.add(address, kind, length=length, value=value, mask=mask, timeout=timeout))

    def remove(self, address: int, kind: Optional[str] = None, *, timeout: Optional[float] = None) -> List[Breakpoint]:
        """As Breakpoints.remove()."""
        return self._run(self._part.remove(address, kind, timeout=timeout))


class SyncOperations(_SyncPart[Operations]):
    """`session.operations`."""

    def list(self, *, timeout: Optional[float] = None) -> List[Operation]:
        """As Operations.list()."""
        return self._run(self._part.list(timeout=timeout))

    def status(self, operation: str, *, timeout: Optional[float] = None) -> Operation:
        """As Operations.status()."""
        return self._run(self._part.status(operation, timeout=timeout))

    def wait(
        self, operation: str, *, timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> Operation:
        """As Operations.wait()."""
        return self._run(self._part.wait(operation, timeout=timeout, progress=progress))

    def cancel(self, operation: str, *, timeout: Optional[float] = None) -> bool:
        """As Operations.cancel()."""
        return self._run(self._part.cancel(operation, timeout=timeout))


class SyncStages(_SyncPart[Stages]):
    """`session.stages`."""

    def upload(self, path: FilePath, *, timeout: Optional[float] = None, progress: Optional[ProgressFn] = None) -> str:
        """As Stages.upload()."""
        return self._run(self._part.upload(path, timeout=timeout, progress=progress))

    def download(
        self, stage: str, path: FilePath, *, timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> None:
        """As Stages.download()."""
        self._run(self._part.download(stage, path, timeout=timeout, progress=progress))

    def list(self, *, timeout: Optional[float] = None) -> List[Stage]:
        """As Stages.list()."""
        return self._run(self._part.list(timeout=timeout))

    def delete(self, stage: str, *, timeout: Optional[float] = None) -> None:
        """As Stages.delete()."""
        self._run(self._part.delete(stage, timeout=timeout))


class SyncLease:
    """`with session.lease():`; see Lease."""

    def __init__(self, runner: Runner, lease: Lease) -> None:
        self._runner = runner
        self._lease = lease

    @property
    def id(self) -> str:
        """Its secret."""
        return self._lease.id

    @property
    def expires(self) -> str:
        """When it would end if this program died now; RFC 3339, UTC."""
        return self._lease.expires

    @property
    def lost(self) -> bool:
        """Whether it has ended before its time."""
        return self._lease.lost is not None

    def acquire(self) -> SyncLease:
        """As Lease.acquire()."""
        self._runner.run(self._lease.acquire())
        return self

    def renew(self, ttl: Optional[float] = None) -> None:
        """As Lease.renew()."""
        self._runner.run(self._lease.renew(ttl))

    def release(self) -> None:
        """As Lease.release()."""
        self._runner.run(self._lease.release())

    def __enter__(self) -> SyncLease:
        return self.acquire()

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self._runner.run(self._lease.__aexit__(kind, error, trace))


class SyncQueue(Generic[Item]):
    """`with session.events() as events: for event in events:`; see Events and Watch."""

    def __init__(self, runner: Runner, queue: Queue[Item]) -> None:
        self._runner = runner
        self._queue = queue

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        try:
            return self._runner.run(self._queue.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """Ends it."""
        self._runner.run(self._queue.close())

    def __enter__(self) -> SyncQueue[Item]:
        self._runner.run(self._queue.begin())
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()


class SyncSession:
    """See Session; made by `Session.connect_sync()`."""

    def __init__(self, runner: Runner, session: Session) -> None:
        self._runner = runner
        self._session = session
        self.memory = SyncMemory(runner, session.memory)
        self.flash = SyncFlash(runner, session.flash)
        self.target = SyncTarget(runner, session.target)
        self.registers = SyncRegisters(runner, session.registers)
        self.breakpoints = SyncBreakpoints(runner, session.breakpoints)
        self.operations = SyncOperations(runner, session.operations)
        self.stages = SyncStages(runner, session.stages)

    @classmethod
    def open(cls, connect: Callable[[], Connecting]) -> SyncSession:
        """Connects in a thread of its own."""
        runner = Runner()

        async def work() -> Session:
            return await connect()

        try:
            return cls(runner, runner.run(work()))
        except BaseException:
            runner.stop()
            raise

    def _made(self, make: Callable[[], Result]) -> Result:
        async def work() -> Result:
            return make()

        return self._runner.run(work())

    def on(self, *, board: Optional[str] = None, target: Optional[str] = None) -> SyncSession:
        """As Session.on()."""
        return SyncSession(self._runner, self._session.on(board=board, target=target))

    @property
    def server(self) -> str:
        """Where the daemon is."""
        return self._session.server

    @property
    def hello(self) -> Dict[str, Any]:
        """What the daemon said of itself and of this client."""
        return self._session.hello

    def call(self, method: str, *, timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
             **params: Any) -> Any:
        """As Session.call()."""
        return self._runner.run(self._session.call(method, timeout=timeout, progress=progress, **params))

    def boards(self) -> List[Board]:
        """As Session.boards()."""
        return self._runner.run(self._session.boards())

    def status(self) -> Dict[str, Any]:
        """As Session.status()."""
        return self._runner.run(self._session.status())

    def lease_status(self) -> Dict[str, Any]:
        """As Session.lease_status()."""
        return self._runner.run(self._session.lease_status())

    def break_lease(self) -> bool:
        """As Session.break_lease()."""
        return self._runner.run(self._session.break_lease())

    def command(self, command: str, *, timeout: Optional[float] = None) -> CommandResult:
        """As Session.command()."""
        return self._runner.run(self._session.command(command, timeout=timeout))

    def lease(self, ttl: float = 60.0, *, wait: Optional[float] = None, reason: Optional[str] = None) -> SyncLease:
        """As Session.lease(): `with session.lease():`."""
        return SyncLease(self._runner, self._made(lambda: self._session.lease(ttl, wait=wait, reason=reason)))

    def events(self, *topics: str) -> SyncQueue[Event]:
        """As Session.events(): `with session.events("target") as events: for event in events: ...`."""
        return SyncQueue(self._runner, self._made(lambda: self._session.events(*topics)))

    def watch(self, ranges: Ranges, interval: float = 0.1) -> SyncQueue[MemoryChange]:
        """As Session.watch()."""
        return SyncQueue(self._runner, self._made(lambda: self._session.watch(ranges, interval)))

    def close(self) -> None:
        """Ends the connection."""
        try:
            self._runner.run(self._session.close())
        except ConnectionLost:
            return  # it was closed before
        self._runner.stop()

    def __enter__(self) -> SyncSession:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()
