"""The state folder on disk: its folders, its lock, its secrets, and the record of what runs."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.reload import ProcessRevision, Reload
from penstock_suite.domain.run_record import RunRecord, WorkerPlan
from penstock_suite.domain.state_folder import StateFolder

_SECRET_BYTES = 32

RecordT = TypeVar("RecordT")


def open_state_folder(root: Path) -> StateFolder:
    """Return the folder at ``root``, made and private to its owner."""
    state = StateFolder(root, os.getuid())
    for folder in state.folders():
        _make_private(folder)
    return state


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # In /tmp somebody else may have been first.
        if folder.stat().st_uid != os.getuid() or folder.is_symlink():
            raise SuiteFailure(f"{folder} belongs to somebody else: name another folder with --state")
        folder.chmod(0o700)
    except OSError as error:
        raise SuiteFailure(f"{folder}: {error.strerror}: name another folder with --state") from None


@contextmanager
def locked(state: StateFolder) -> Generator[None]:
    """Hold the folder; the kernel lets go of it however we end.

    Raises:
        SuiteFailure: if another stack runs on it.
    """
    with state.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SuiteFailure(_already_running(state)) from None
        yield


def _already_running(state: StateFolder) -> str:
    record = read_run_record(state)
    where = f", process {record.pid}, at {record.http}" if record is not None else ""
    return f"a stack runs on {state.root} already{where}: stop it, or name another folder with --state"


@contextmanager
def recorded(state: StateFolder, record: RunRecord) -> Generator[None]:
    """Leave the record where other commands find it, until the block ends."""
    write_run_record(state, record)
    try:
        yield
    finally:
        state.run_record.unlink(missing_ok=True)


def keep_earlier_logs(state: StateFolder, count: int) -> None:
    """Leave every part an empty log: that of the run before is ``NAME.log.1``, up to ``count`` of them are kept."""
    for log in state.log("any").parent.glob("*.log"):
        kept = [log, *(log.with_name(f"{log.name}.{number}") for number in range(1, count + 1))]
        for older, newer in zip(reversed(kept), reversed(kept[:-1]), strict=False):
            if newer.is_file():
                newer.replace(older)
        for beyond in log.parent.glob(f"{log.name}.*"):
            number = beyond.name.removeprefix(f"{log.name}.")
            if number.isdecimal() and int(number) > count:
                beyond.unlink()
        if count == 0:
            log.unlink(missing_ok=True)


def write_run_record(state: StateFolder, record: RunRecord) -> None:
    """Put the record in the place of an earlier one."""
    _replace(state.run_record, msgspec.json.format(msgspec.json.encode(record)))


def write_last_reload(state: StateFolder, reload: Reload) -> None:
    """Have whoever asked for it find what became of a reload."""
    _replace(state.last_reload, msgspec.json.encode(reload))


def read_last_reload(state: StateFolder) -> Reload | None:
    """Return what became of the last reload; None where there was none."""
    return _read(state.last_reload, Reload)


def forget_reloads(state: StateFolder) -> None:
    """Remove what an earlier run noted."""
    for path in (state.last_reload, *state.revisions.glob("*.json")):
        path.unlink(missing_ok=True)


def write_revision(folder: Path, revision: ProcessRevision) -> None:
    """Note which revision a process runs."""
    _replace(folder / f"{revision.name}.json", msgspec.json.encode(revision))


def read_revision(folder: Path, name: str) -> ProcessRevision | None:
    """Return which revision a process has noted; it may have ended since."""
    return _read(folder / f"{name}.json", ProcessRevision)


def _replace(path: Path, content: bytes) -> None:
    """Put content in the place of what was there, so that nobody reads half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(path)


def _read(path: Path, kind: type[RecordT]) -> RecordT | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def write_worker_plan(state: StateFolder, plan: WorkerPlan) -> Path:
    """Return where the plan lies, for its owner alone: a configuration may hold secrets."""
    write_worker_plans(state, (plan,))
    return state.worker_plan(plan.name)


def write_worker_plans(state: StateFolder, plans: Sequence[WorkerPlan]) -> None:
    """Put these plans in the place of those that lie there, all or none.

    Raises:
        SuiteFailure: if one cannot be written; then nothing has changed.
    """
    paths = [state.worker_plan(plan.name) for plan in plans]
    fresh = [path.with_suffix(".new") for path in paths]
    try:
        for new, plan in zip(fresh, plans, strict=True):
            new.touch(mode=0o600)
            new.write_bytes(msgspec.json.encode(plan))
    except OSError as error:
        for new in fresh:
            with suppress(OSError):
                new.unlink()
        raise SuiteFailure(f"{error.filename}: {error.strerror}: the workers' plans cannot be written") from None
    for new, path in zip(fresh, paths, strict=True):
        new.replace(path)


def read_worker_plan(path: Path) -> WorkerPlan:
    """Return what a worker is to do.

    Raises:
        SuiteFailure: if the file is not there, or is no plan.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=WorkerPlan)
    except (OSError, msgspec.DecodeError) as error:
        raise SuiteFailure(f"{path} is no worker's plan: {error}") from None


def read_run_record(state: StateFolder) -> RunRecord | None:
    """Return what runs on the folder; None if nothing does, or did and was killed."""
    record = _read(state.run_record, RunRecord)
    return record if record is not None and is_running(record.pid) else None


def is_running(pid: int) -> bool:
    """Return whether the process exists and has not ended."""
    try:
        # The state stands behind the name, which may hold anything but ends with the last bracket (proc(5)).
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (OSError, IndexError):
        return False


def ensure_key_file(path: Path, make: Callable[[], str]) -> str:
    """Return what the file holds; if there is none, make it, with mode 0600."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(make() + "\n")
    return read_key_file(path)


def read_key_file(path: Path) -> str:
    """Return what the file holds.

    Raises:
        OSError: if there is none.
    """
    return path.read_text(encoding="utf-8").strip()


def random_secret() -> str:
    """Return 32 random bytes as text, which survives a reader that strips white space."""
    return secrets.token_hex(_SECRET_BYTES)
