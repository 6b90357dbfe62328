"""Takes from this process what a document's reader has no need of: the network, files, processes, memory, time."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from penstock_embedding.adapters.parsing.landlock import allow_reading_alone

_OPEN_FILES = 32
_CODE_PATHS = ("stdlib", "platstdlib", "purelib", "platlib")
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_OUR_CODE = Path(__file__).parents[2]
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REFUSED_GROUPS = (
    "os.",
    "socket.",
    "subprocess.",
    "shutil.",
    "tempfile.",
    "ctypes.",
    "urllib.",
    "signal.",
    "resource.",
)
_HARMLESS_EVENTS = frozenset({"os.listdir", "os.scandir", "resource.setrlimit"})  # imports; the time for a document


class Forbidden(PermissionError):
    """A reader tried what it may not."""


def confine(memory_bytes: int, parent: int) -> None:
    """Confine this process for good, as far as the system can.

    The kernel holds what it offers to any user: memory, open files, the size of files, new processes, privileges, the
    network by a namespace of its own, files by Landlock. Where a kernel has none, the hook alone refuses.
    """
    folders = _code_folders()
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        _leave_the_network()
        _end_with(parent)
        allow_reading_alone((*folders, *_LIBRARIES, str(Path(sys.base_prefix) / "lib")))
        _limit(resource.RLIMIT_NPROC, 0)
        _limit(resource.RLIMIT_AS, memory_bytes)
    roots = tuple(folder + os.sep for folder in folders)
    sys.addaudithook(lambda event, arguments: _refuse(event, arguments, roots))


def allow_seconds(seconds: float) -> None:
    """Let this process have so much more of the processor, and no more."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def peak_bytes() -> int:
    """Return the most memory that this process has ever had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _limit(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))


def _leave_the_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    # A user namespace also takes root's powers; where it is forbidden, root may leave the network without.
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        libc.unshare(_CLONE_NEWNET)


def _end_with(parent: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent has ended")


def _code_folders() -> list[str]:
    """Return where code may still be read from: readers are imported when a document needs them."""
    standard = sysconfig.get_paths()
    folders = {*sys.path, *(standard[name] for name in _CODE_PATHS), str(_OUR_CODE)}
    return sorted(os.path.realpath(folder) for folder in folders if Path(folder).is_absolute())


def _refuse(event: str, arguments: Sequence[object], roots: tuple[str, ...]) -> None:
    if event == "open":
        _refuse_opening(arguments, roots)
    elif event.startswith(_REFUSED_GROUPS) and event not in _HARMLESS_EVENTS:
        raise Forbidden(event)


def _refuse_opening(arguments: Sequence[object], roots: tuple[str, ...]) -> None:
    path, mode, flags = arguments
    if isinstance(flags, int) and flags & _WRITING:
        raise Forbidden("open for writing")
    if isinstance(mode, str) and set(mode) & set("wax+"):
        raise Forbidden("open for writing")
    name = ""
    with suppress(TypeError, ValueError):
        name = os.path.realpath(os.fsdecode(path))  # pyright: ignore[reportArgumentType]
    if not name.startswith(roots):
        raise Forbidden("open")
