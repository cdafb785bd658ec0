"""Files for the small Tcl interpreter: `open`, channels, `file`, `puts`, `pack`.

Paths and data are bytes carried in Latin-1 strings.  Channels are commands
named `aio.handleN`, as in Jim; at most MAX_OPEN of them at once.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import string
from typing import IO, Dict, List

from tclmini import Interp, Proc, TclError, wrong_args
from tclnumber import to_int
from tclparse import make_src

MAX_OPEN = 512
_LETTERS = string.ascii_letters + string.digits


def path_bytes(path: str) -> bytes:
    """A path argument as the operating system gets it: cut at the first NUL."""
    return path.partition("\0")[0].encode("latin-1")


def os_text(error: Exception) -> str:
    """strerror text of what a file operation raised; Python's own refusals are EBADF."""
    number = getattr(error, "errno", None) or errno.EBADF
    return os.strerror(number)


class _Directory:
    """What a directory opened for reading is: every operation on it fails."""

    def read(self, *_unused: object) -> bytes:
        raise OSError(errno.EISDIR, "directory")

    readline = read

    def write(self, *_unused: object) -> int:
        raise OSError(errno.EBADF, "read only")

    def seek(self, *_unused: object) -> int:
        return 0

    tell = seek
    flush = seek

    def close(self) -> None:
        """Nothing is open."""


class Channel:
    """One open file; called as a command."""

    def __init__(self, name: str, path: str, handle: IO[bytes]) -> None:
        self.name = name
        self.path = path
        self.handle = handle
        self.at_eof = False
        self.unbuffered = False

    def __call__(self, interp: Interp, argv: List[str]) -> str:
        if len(argv) < 2:
            raise TclError(
                'wrong # args: should be "%s command ..."\nUse "%s -help ?command?" for help'
                % (self.name, self.name)
            )
        method = _METHODS.get(argv[1])
        if method is None:
            found = [name for name in _METHODS if name.startswith(argv[1])]
            if len(found) != 1:
                kind = "ambiguous" if found else "unknown"
                names = _METHOD_NAMES
                raise TclError('%s, %s command "%s": should be %s' % (argv[0], kind, argv[1], names))
            method = _METHODS[found[0]]
        try:
            return method(self, interp, argv[2:])
        except (OSError, ValueError) as error:
            raise TclError("%s: %s" % (self.path, os_text(error))) from None

    def usage(self, method: str, arguments: str) -> TclError:
        return TclError(
            'wrong # args: should be "%s %s%s"'
            % (self.name, method, " " + arguments if arguments else "")
        )

    def puts(self, interp: Interp, words: List[str]) -> str:
        if len(words) == 2 and words[0] == "-nonewline":
            self.handle.write(words[1].encode("latin-1"))
        elif len(words) == 1:
            self.handle.write(words[0].encode("latin-1") + b"\n")
        else:
            raise self.usage("puts", "?-nonewline? str")
        if self.unbuffered:
            self.handle.flush()
        return ""

    def read(self, interp: Interp, words: List[str]) -> str:
        if len(words) > 1:
            raise self.usage("read", "?-nonewline|-pending|len?")
        if words and not words[0].startswith("-"):
            count = to_int(words[0])
            data = self.handle.read(count)
            self.at_eof = len(data) < count
            return data.decode("latin-1")
        if words and words[0] == "-pending":
            raise TclError("-pending not supported on this connection type")
        if words and words[0] != "-nonewline":
            raise TclError('bad option "%s": must be -nonewline, or -pending' % words[0])
        text = self.handle.read().decode("latin-1")
        self.at_eof = True
        if words and text.endswith("\n"):
            text = text[:-1]
        return text

    def gets(self, interp: Interp, words: List[str]) -> str:
        if len(words) > 1:
            raise self.usage("gets", "?var?")
        line = self.handle.readline().decode("latin-1")
        self.at_eof = not line.endswith("\n")
        ended = not line
        line = line[:-1] if line.endswith("\n") else line
        if not words:
            return line
        interp.set_var(words[0], line)
        return "-1" if ended else str(len(line))

    def seek(self, interp: Interp, words: List[str]) -> str:
        origins = {"start": 0, "current": 1, "end": 2}
        if not words or len(words) > 2 or (len(words) == 2 and words[1] not in origins):
            raise self.usage("seek", "offset ?start|current|end")
        offset = to_int(words[0])
        origin = origins[words[1]] if len(words) == 2 else 0
        if origin == 0 and offset < 0:
            raise TclError("%s: %s" % (self.path, os.strerror(22)))
        self.handle.seek(offset, origin)
        self.at_eof = False
        return ""

    def tell(self, interp: Interp, words: List[str]) -> str:
        if words:
            raise self.usage("tell", "")
        return str(self.handle.tell())

    def eof(self, interp: Interp, words: List[str]) -> str:
        if words:
            raise self.usage("eof", "")
        return str(int(self.at_eof))

    def flush(self, interp: Interp, words: List[str]) -> str:
        if words:
            raise self.usage("flush", "")
        self.handle.flush()
        return ""

    def filename(self, interp: Interp, words: List[str]) -> str:
        return self.path

    def close(self, interp: Interp, words: List[str]) -> str:
        if len(words) > 1:
            raise self.usage("close", "?r(ead)|w(rite)?")
        if words:
            raise TclError('bad option "%s": must be -nodelete, r, or w' % words[0])
        interp.files.forget(self.name)
        interp.commands.pop(self.name[2:], None)
        return ""

    def buffering(self, interp: Interp, words: List[str]) -> str:
        if len(words) != 1:
            raise self.usage("buffering", "none|line|full")
        if words[0] not in ("none", "line", "full"):
            raise TclError('bad option "%s": must be full, line, or none' % words[0])
        self.unbuffered = words[0] == "none"
        return ""


_METHODS = {
    "read": Channel.read, "gets": Channel.gets, "puts": Channel.puts,
    "flush": Channel.flush, "eof": Channel.eof, "close": Channel.close,
    "seek": Channel.seek, "tell": Channel.tell, "filename": Channel.filename,
    "buffering": Channel.buffering,
}
_METHOD_NAMES = (
    "accept, buffering, close, copyto, eof, filename, flush, getfd, gets, isatty, listen, lock, "
    "ndelay, onexception, peername, puts, read, readable, recvfrom, seek, sendto, sockname, sockopt, "
    "sync, tell, tty, unlock, writable"
)


class Files:
    """The open channels of one interpreter."""

    def __init__(self) -> None:
        self.channels: Dict[str, Channel] = {}
        self.counter = 3

    def add(self, interp: Interp, path: str, handle: IO[bytes]) -> str:
        """Make a channel command for an open file and return its name."""
        name = "::aio.handle%d" % self.counter
        self.counter += 1
        channel = Channel(name, path, handle)
        self.channels[name] = channel
        interp.commands[name[2:]] = channel
        return name

    def forget(self, name: str) -> None:
        """Close a channel; errors of the last write are lost, as in Jim 0.81."""
        channel = self.channels.pop(name, None)
        if channel is not None:
            try:
                channel.handle.close()
            except OSError:
                pass

    def close_all(self) -> None:
        """Close everything, at the end."""
        for name in list(self.channels):
            self.forget(name)


def _open(interp: Interp, argv: List[str]) -> str:
    if len(argv) not in (2, 3):
        raise wrong_args(argv[:1], "filename ?mode?")
    mode = argv[2] if len(argv) == 3 else "r"
    plus = "+" in mode
    if len(interp.files.channels) >= MAX_OPEN:
        raise TclError("%s: %s" % (argv[1], os.strerror(24)))
    try:
        if mode[:1] not in ("r", "w", "a"):
            raise OSError(22, "mode")
        raw_path = path_bytes(argv[1])
        if os.path.isdir(raw_path) and mode[:1] == "r" and not plus:
            # fopen() of a directory works; only reading it fails.
            handle: IO[bytes] = _Directory()  # type: ignore[assignment]
        else:
            handle = open(raw_path, mode[0] + "b" + ("+" if plus else ""))
    except OSError as error:
        raise TclError("%s: %s" % (argv[1], os_text(error))) from None
    return interp.files.add(interp, argv[1], handle)


def _method_proc(method: str) -> Proc:
    """`close`, `gets` and so on: Tcl procedures that hand over to the channel's own command."""
    return Proc("chan args", make_src("\ntailcall $chan %s {*}$args" % method, _COMPAT, 15))


# The line numbers of these bodies show in error traces.
_COMPAT = "tclcompat.tcl"
_PUTS = make_src(
    "\nif {${-nonewline} ne {} && ${-nonewline} ne {-nonewline}} {\ntailcall ${-nonewline} puts $msg\n}\n"
    "tailcall $chan puts {*}${-nonewline} $msg",
    _COMPAT, 23,
)
_READ = make_src(
    "\n\n\n\nif {${-nonewline} ne {} && ${-nonewline} ne {-nonewline}} {tailcall ${-nonewline} read {*}$chan} "
    "else {tailcall $chan read {*}${-nonewline}}",
    _COMPAT, 34,
)


def _stdout(interp: Interp, argv: List[str]) -> str:
    """`stdout` and `stderr`: nobody looks at them."""
    return ""


def _file_delete(words: List[str]) -> str:
    force = words[0] == "-force"
    if force or words[0] == "--":
        words = words[1:]
    for path in words:
        raw = path_bytes(path)
        try:
            os.unlink(raw)
        except FileNotFoundError:
            continue
        except OSError:
            try:
                shutil.rmtree(raw) if force else os.rmdir(raw)
            except OSError as error:
                raise TclError('couldn\'t delete file "%s": %s' % (path, os_text(error))) from None
    return ""


def _file_rename(words: List[str]) -> str:
    force = len(words) == 3
    if force and words[0] != "-force":
        raise TclError('wrong # args: should be "file rename ?-force? source dest"')
    source, target = words[-2], words[-1]
    text = 'error renaming "%s" to "%s": ' % (source, target)
    if not force and os.path.exists(path_bytes(target)):
        raise TclError(text + "target exists")
    try:
        os.rename(path_bytes(source), path_bytes(target))
    except OSError as error:
        raise TclError(text + os_text(error)) from None
    return ""


def _file_stat(words: List[str], what: str) -> str:
    try:
        info = os.stat(path_bytes(words[0]))
    except OSError as error:
        raise TclError('could not read "%s": %s' % (words[0], os_text(error))) from None
    return str(info.st_size if what == "size" else int(info.st_mtime))


def _file_mkdir(words: List[str]) -> str:
    for path in words:
        try:
            os.makedirs(path_bytes(path), exist_ok=True)
        except OSError as error:
            raise TclError('can\'t create directory "%s": %s' % (path, os_text(error))) from None
    return ""


def _file_tempfile(words: List[str]) -> str:
    """A new empty file; the six X that end the template become something unused."""
    template = path_bytes(words[0]) if words else b"/tmp/tcl.tmp.XXXXXX"
    head = template[:-6]
    number = errno.EINVAL
    for _ in range(100):
        if not template.endswith(b"XXXXXX"):
            break
        name = head + "".join(secrets.choice(_LETTERS) for _ in range(6)).encode()
        try:
            os.close(os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
            return name.decode("latin-1")
        except FileExistsError:
            continue
        except OSError as error:
            template = name
            number = error.errno or number
            break
    raise TclError("%s: %s" % (template.decode("latin-1"), os.strerror(number)))


_FILE_SUBS = {
    "delete": ("?-force|--? name ...", 1, -1), "mkdir": ("dir ...", 1, -1),
    "rename": ("?-force? source dest", 2, 3), "size": ("name", 1, 1), "mtime": ("name ?time?", 1, 2),
    "exists": ("name", 1, 1), "isfile": ("name", 1, 1), "isdirectory": ("name", 1, 1),
    "readable": ("name", 1, 1), "writable": ("name", 1, 1), "tempfile": ("?template?", 0, 1),
    "join": ("name ?name ...?", 1, -1), "dirname": ("name", 1, 1), "tail": ("name", 1, 1),
    "extension": ("name", 1, 1), "normalize": ("name", 1, 1),
}
_FILE_NAMES = (
    "atime, copy, delete, dirname, executable, exists, extension, isdirectory, isfile, join, link, "
    "lstat, mkdir, mtime, mtimeus, normalize, owned, readable, readlink, rename, rootname, size, "
    "split, stat, tail, tempfile, type, writable"
)


def _file(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise TclError(
            'wrong # args: should be "file command ..."\nUse "file -help ?command?" for help'
        )
    sub, words = argv[1], argv[2:]
    if sub not in _FILE_SUBS:
        raise TclError('file, unknown command "%s": should be %s' % (sub, _FILE_NAMES))
    usage, least, most = _FILE_SUBS[sub]
    if len(words) < least or 0 <= most < len(words):
        raise TclError('wrong # args: should be "file %s %s"' % (sub, usage))
    if sub == "delete":
        return _file_delete(words)
    if sub == "mkdir":
        return _file_mkdir(words)
    if sub == "rename":
        return _file_rename(words)
    if sub in ("size", "mtime"):
        return _file_stat(words, sub)
    if sub == "tempfile":
        return _file_tempfile(words)
    if sub == "join":
        return os.path.join(*words)
    raw = path_bytes(words[0])
    tests = {
        "exists": os.path.exists, "isfile": os.path.isfile, "isdirectory": os.path.isdir,
        "readable": lambda path: os.access(path, os.R_OK),
        "writable": lambda path: os.access(path, os.W_OK),
    }
    if sub in tests:
        return str(int(tests[sub](raw)))
    paths = {
        "dirname": lambda path: os.path.dirname(path) or b".", "tail": os.path.basename,
        "extension": lambda path: os.path.splitext(path)[1], "normalize": os.path.realpath,
    }
    return paths[sub](raw).decode("latin-1")


def _pwd(interp: Interp, argv: List[str]) -> str:
    return os.getcwd()


def _pid(interp: Interp, argv: List[str]) -> str:
    return str(os.getpid())


def _pack(interp: Interp, argv: List[str]) -> str:
    usage = "varName value -intle|-intbe|-floatle|-floatbe|-str bitwidth ?bitoffset?"
    if len(argv) not in (5, 6):
        raise wrong_args(argv[:1], usage)
    width = to_int(argv[4])
    offset = to_int(argv[5]) if len(argv) == 6 else 0
    if width <= 0 or width % 8 or offset % 8:
        raise TclError("bad bitwidth: %s" % argv[4])
    size, at = width // 8, offset // 8
    if argv[3] == "-str":
        piece = argv[2][:size].ljust(size, "\0")
    elif argv[3] in ("-intle", "-intbe"):
        order = "little" if argv[3] == "-intle" else "big"
        raw = (to_int(argv[2]) & ((1 << width) - 1)).to_bytes(size, order)  # type: ignore[arg-type]
        piece = raw.decode("latin-1")
    else:
        raise TclError('bad option "%s": must be -floatbe, -floatle, -intbe, -intle, or -str' % argv[3])
    old = (interp.find_var(argv[1]) or "").ljust(at, "\0")
    interp.set_var(argv[1], old[:at] + piece + old[at + size:])
    return ""


def _unpack(interp: Interp, argv: List[str]) -> str:
    usage = "binvalue -intbe|-intle|-uintbe|-uintle|-floatbe|-floatle|-str bitpos bitwidth"
    if len(argv) != 5:
        raise wrong_args(argv[:1], usage)
    at, size = to_int(argv[3]) // 8, to_int(argv[4]) // 8
    piece = argv[1][at:at + size]
    if argv[2] == "-str":
        return piece
    if argv[2] not in ("-intbe", "-intle", "-uintbe", "-uintle"):
        raise TclError('bad option "%s"' % argv[2])
    order = "little" if argv[2].endswith("le") else "big"
    signed = argv[2].startswith("-i")
    return str(int.from_bytes(piece.encode("latin-1"), order, signed=signed))  # type: ignore[arg-type]


COMMANDS = {
    "open": _open, "stdout": _stdout, "stderr": _stdout,
    "puts": Proc("{-nonewline {}} {chan stdout} msg", _PUTS),
    "read": Proc("{-nonewline {}} chan", _READ),
    **{name: _method_proc(name) for name in ("close", "eof", "flush", "gets", "seek", "tell")},
    "file": _file, "pwd": _pwd, "pid": _pid, "pack": _pack,
    "unpack": _unpack,
}
