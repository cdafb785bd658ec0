"""Files on their way: from this machine into a stage of the daemon, and back. Both go on where they stopped."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import secrets
import stat
from typing import IO, AsyncIterator, Awaitable, Callable, List, NamedTuple, Optional, Tuple, TypeVar, Union

from ._fields import Fields, to_base64
from ._part import Deadline, Part
from .errors import ImageInvalid, LimitExceeded, LocalFileError, NotFound, ProtocolError, StageError
from .types import Progress, ProgressFn, Stage

PIECE_BYTES = 1 << 18
# Pieces that are on their way at once.
WINDOW = 4

FilePath = Union[str, "os.PathLike[str]"]
Found = TypeVar("Found")


def file_error(path: FilePath, reason: OSError) -> LocalFileError:
    """What this machine said about a file."""
    error = LocalFileError(f"{os.fspath(path)}: {reason.strerror or reason}")
    error.errno, error.filename = reason.errno, os.fspath(path)
    error.__cause__ = reason
    return error


async def in_thread(path: FilePath, work: Callable[[], Found]) -> Found:
    """File work, which may be slow, beside the loop. Raises LocalFileError."""
    try:
        return await asyncio.get_running_loop().run_in_executor(None, work)
    except OSError as reason:
        raise file_error(path, reason) from reason
    except ValueError as reason:  # a NUL in the path
        raise file_error(path, OSError(errno.EINVAL, str(reason))) from reason


class LocalFile(NamedTuple):
    """A file to be sent, as it was when it was opened."""

    file: IO[bytes]
    name: str
    size: int
    sha256: str
    head: bytes


def _open_to_send(path: FilePath) -> LocalFile:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a FIFO must not hang
    file = os.fdopen(descriptor, "rb")
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no regular file")
        hashed = hashlib.sha256()
        size = 0
        head = b""
        while True:
            block = file.read(1 << 20)
            if not block:
                break
            head = head or block[:16]
            size += len(block)
            hashed.update(block)
    except BaseException:
        file.close()
        raise
    return LocalFile(file, os.path.basename(os.fsdecode(path)), size, hashed.hexdigest(), head)


def _read_piece(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def stage_name(name: str) -> str:
    """What the protocol takes of a file's name: no control characters, at most 255 bytes."""
    clean = "".join(c if c.isprintable() and c.encode("utf-8", "ignore") else "?" for c in name)
    return clean.encode("utf-8")[:255].decode("utf-8", "ignore") or "file"


class Stages(Part):
    """`session.stages`: files that the daemon keeps for this identity, for an hour after their last use."""

    async def upload(self, path: FilePath, *, timeout: Optional[float] = None,
                     progress: Optional[ProgressFn] = None) -> str:
        """Sends a file and returns the id of its stage, checked by SHA-256. What the daemon has of it already is not
        sent again. Raises LocalFileError, LimitExceeded, StageError."""
        stage, _, _ = await self._upload(path, self._deadline(timeout, progress), progress)
        self._core.uploads.pop(stage, None)  # the caller's from here on
        return stage

    async def _with_file(
        self, path: FilePath, deadline: Deadline, progress: Optional[ProgressFn],
        work: Callable[[str, bytes], Awaitable[Found]],
    ) -> Found:
        """What `work` makes of a file's stage, given its id and the first bytes of the file. The stage stays for the
        next time, until the session that sent it ends, or the daemon has no room."""
        uploads = self._core.uploads
        for again in (True, False):
            stage, head, sent = await self._upload(path, deadline, progress)
            if sent or stage in uploads:
                uploads[stage] = uploads.pop(stage, 0) + 1
            try:
                return await work(stage, head)
            except NotFound as error:
                # Another session of this identity has just deleted it; nothing was done yet.
                if not again or error.data.get("parameter") != "stage":
                    raise
            finally:
                if stage in uploads:
                    uploads[stage] -= 1
        raise AssertionError("not reached")

    async def _upload(self, path: FilePath, deadline: Deadline,
                      progress: Optional[ProgressFn]) -> Tuple[str, bytes, bool]:
        """The stage, the first bytes of the file, and whether any of it had to be sent."""
        local = await in_thread(path, lambda: _open_to_send(path))
        try:
            if local.size == 0:
                raise ImageInvalid(f"{os.fspath(path)}: the file is empty")
            for _ in range(3):
                stage, offset = await self._create(local, deadline)
                if await self._send(local, stage, offset, deadline, progress):
                    return stage, local.head, offset < local.size
            raise StageError(f"{os.fspath(path)}: its stage was lost again and again")
        finally:
            local.file.close()

    async def _create(self, local: LocalFile, deadline: Deadline) -> Tuple[str, int]:
        params = {"name": stage_name(local.name), "size": local.size, "sha256": local.sha256}
        while True:
            try:
                fields = Fields(await self._core.call("stage.create", params, timeout=deadline.left), "stage.create")
                return fields.text("stage"), local.size if fields.flag("present") else fields.integer("offset")
            except LimitExceeded:
                if not await self._make_room():
                    raise

    async def _make_room(self) -> bool:
        """Deletes the oldest file that this session sent and nothing of it needs; false where there is none."""
        for stage, users in list(self._core.uploads.items()):
            if users == 0:
                del self._core.uploads[stage]
                gone = self._core.call("stage.delete", {"stage": stage}, timeout=self._session.timeout)
                await self._core.quietly(gone)
                return True
        return False

    async def _send(self, local: LocalFile, stage: str, offset: int, deadline: Deadline,
                    progress: Optional[ProgressFn]) -> bool:
        """False where the stage is there no more, for it expired or somebody deleted it."""
        connection = await self._core.connection(deadline.end)
        piece = min(PIECE_BYTES, connection.room)

        async def send_one(at: int) -> int:
            data = await in_thread(local.name, lambda: _read_piece(local.file, at, min(piece, local.size - at)))
            if not data:
                raise StageError(f"{local.name}: the file became shorter while it was sent")
            params = {"stage": stage, "offset": at, "data": to_base64(data)}
            fields = Fields(await self._core.call("stage.write", params, timeout=deadline.left), "stage.write")
            return fields.integer("offset")

        _tell(progress, "upload", offset, local.size)
        try:
            while offset < local.size:
                reached = await send_one(offset)
                if not offset < reached <= local.size:
                    raise ProtocolError(f"stage.write: {reached} of {local.size} bytes are there, "
                                        f"after {offset} were")
                offset = reached
                _tell(progress, "upload", offset, local.size)
        except NotFound:
            return False
        return True

    async def download(self, stage: str, path: FilePath, *, timeout: Optional[float] = None,
                       progress: Optional[ProgressFn] = None) -> None:
        """Fetches a complete stage into a file, which appears under its name when it is complete and its SHA-256 is
        right; what was there before stays until then. Raises NotFound, LocalFileError, StageError."""
        deadline = self._deadline(timeout, progress)
        listed = [each for each in await self.list(timeout=deadline.left) if each.id == stage]
        if not listed:
            raise NotFound(f"there is no stage {stage}")
        async with self._file_to_fill(path) as file:
            await self._fetch(stage, listed[0].size, listed[0].sha256, file, path, deadline, progress)

    @contextlib.asynccontextmanager
    async def _file_to_fill(self, path: FilePath) -> AsyncIterator[IO[bytes]]:
        """A file beside `path`, which takes its place when all went well and is gone when not."""
        directory, name = os.path.split(os.fsdecode(path))

        beside = os.path.join(directory, f".{name[:200]}.{secrets.token_hex(4)}")

        def begin() -> IO[bytes]:
            if os.path.isdir(path):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            return open(beside, "xb")

        def finish() -> None:
            file.flush()
            os.fsync(file.fileno())
            os.replace(beside, path)

        file = await in_thread(path, begin)
        try:
            yield file
            await in_thread(path, finish)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
        finally:
            file.close()

    async def _fetch(self, stage: str, size: int, sha256: Optional[str], file: IO[bytes], path: FilePath,
                     deadline: Deadline, progress: Optional[ProgressFn]) -> None:
        """Fills `file`. Several pieces are asked for at once, and taken in their order."""
        connection = await self._core.connection(deadline.end)
        piece = min(PIECE_BYTES, connection.room)
        hashed = hashlib.sha256()
        asked: List[asyncio.Task[bytes]] = []
        done = begun = 0
        _tell(progress, "download", 0, size)
        try:
            while done < size:
                while begun < size and len(asked) < WINDOW:
                    length = min(piece, size - begun)
                    asked.append(asyncio.ensure_future(self._read_piece(stage, begun, length, deadline)))
                    begun += length
                data = await asked.pop(0)
                hashed.update(data)
                await in_thread(path, lambda: file.write(data))
                done += len(data)
                _tell(progress, "download", done, size)
        finally:
            for task in asked:
                task.cancel()
            if asked:
                await asyncio.wait(asked)
        if sha256 is not None and hashed.hexdigest() != sha256:
            raise StageError(f"{os.fspath(path)}: what came is not what the daemon sent (another SHA-256)")

    async def _read_piece(self, stage: str, offset: int, size: int, deadline: Deadline) -> bytes:
        params = {"stage": stage, "offset": offset, "size": size}
        result = Fields(await self._core.call("stage.read", params, timeout=deadline.left), "stage.read")
        data = result.data()
        if len(data) != size:
            raise ProtocolError(f"stage.read: {len(data)} bytes at {offset} instead of {size}")
        return data

    async def list(self, *, timeout: Optional[float] = None) -> List[Stage]:
        """The stages of this identity, newest first."""
        fields = Fields(await self._core.call("stage.list", {}, timeout=self._short(timeout)), "stage.list")
        return [
            Stage(each.text("stage"), each.text("name"), each.integer("size"), each.flag("complete"),
                  each.maybe_text("sha256"))
            for each in fields.objects("stages")
        ]

    async def delete(self, stage: str, *, timeout: Optional[float] = None) -> None:
        """Removes a stage. Raises NotFound."""
        await self._core.call("stage.delete", {"stage": stage}, timeout=self._short(timeout))


def _tell(progress: Optional[ProgressFn], phase: str, done: int, total: int) -> None:
    if progress is not None:
        progress(Progress(phase, done, total, "bytes"))


