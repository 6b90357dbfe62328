"""What a reading process may not, whatever a document makes of it."""

import asyncio
import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock_embedding.adapters.parsing.parser import SandboxedParser
from penstock_embedding.domain.documents.limits import ParsingLimits

ATTEMPTS = {
    "a socket": "import socket; socket.socket()",
    "a name's address": "import socket; socket.getaddrinfo('localhost', 80)",
    "a program": "import subprocess; subprocess.run(['true'])",
    "a shell": "os.system('true')",
    "a fork": "os.fork()",
    "another program": "os.execv('/bin/true', ['true'])",
    "a signal": "os.kill(os.getppid(), 0)",
    "reading a file": "open('/etc/hostname')",
    "reading a file by number": "os.open('/etc/hostname', os.O_RDONLY)",
    "a way around": "open(os.path.dirname(os.__file__) + '/../../../../../../../../etc/hostname')",
    "writing a file": "open('made', 'w')",
    "writing among the code": "open(os.path.dirname(os.__file__) + '/made', 'x')",
    "removing a file": "os.remove('made')",
    "a folder": "os.mkdir('made')",
    "native code": "import ctypes; ctypes.CDLL(None)",
    "more memory": "bytearray(300 * 1024 * 1024)",
    "a thread's memory": "import mmap; mmap.mmap(-1, 300 * 1024 * 1024)",
}


def has_landlock() -> bool:
    """Whether this kernel knows it: its version is asked for."""
    return sys.platform == "linux" and ctypes.CDLL(None).syscall(444, None, 0, 1) > 0


PROGRAM = """
import os, sys
import ctypes, socket, subprocess
from penstock_embedding.adapters.parsing.confinement import confine
confine(256 * 1024 * 1024, os.getppid())
try:
    {attempt}
except (PermissionError, MemoryError, OSError) as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("name", ATTEMPTS)
def test_it_is_refused(name, tmp_path):
    program = PROGRAM.replace("{attempt}", ATTEMPTS[name])
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert said.stdout.strip() in {"Forbidden", "MemoryError", "OSError"}, said.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
async def test_the_kernel_holds_it_too():
    async with SandboxedParser.open(ParsingLimits(memory_bytes=300_000_000)) as parser:
        await parser.parse(b"text")
        (pid,) = parser.idle_pids
        proc = Path(f"/proc/{pid}")
        limits = {line[:26].strip(): line[26:].split()[0] for line in (proc / "limits").read_text().splitlines()}
        assert limits["Max address space"] == "300000000"
        assert limits["Max file size"] == "0"
        assert limits["Max core file size"] == "0"
        assert limits["Max open files"] == "32"
        assert limits["Max processes"] == "0"
        assert int(limits["Max cpu time"]) < 60
        assert "NoNewPrivs:\t1" in (proc / "status").read_text()
        names = {entry.partition(b"=")[0] for entry in (proc / "environ").read_bytes().split(b"\0")}
        assert names <= {b"", b"LC_ALL", b"PYTHONPATH", b"LD_LIBRARY_PATH"}
        assert len(list((proc / "fd").iterdir())) <= 6


KERNEL_PROGRAM = """
import ctypes, os
from penstock_embedding.adapters.parsing import confinement
confinement.sys.addaudithook = lambda hook: None
confinement.confine(256 * 1024 * 1024, os.getppid())
import email, json, pypdf
for name in ("/etc/hostname", "/proc/self/environ", "/tmp"):
    try:
        os.open(name, os.O_RDONLY)
    except OSError as error:
        print(name, error.errno)
"""


@pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock")
def test_without_the_hook_the_kernel_still_keeps_files_away():
    said = subprocess.run([sys.executable, "-c", KERNEL_PROGRAM], capture_output=True, text=True, check=False)
    assert said.stdout.split() == ["/etc/hostname", "13", "/proc/self/environ", "13", "/tmp", "13"], said.stderr


PARENT = """
import asyncio, sys
from penstock_embedding.adapters.parsing.parser import SandboxedParser
from penstock_embedding.domain.documents.limits import ParsingLimits

async def main():
    async with SandboxedParser.open(ParsingLimits()) as parser:
        await parser.parse(b"text")
        print(parser.idle_pids[0], flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_it_ends_with_its_parent():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    reader = os.pidfd_open(int(parent.stdout.readline()))
    try:
        parent.send_signal(signal.SIGKILL)
        assert select.select([reader], [], [], 60)[0] == [reader]
    finally:
        os.close(reader)
        parent.communicate()


async def test_it_leaves_no_files(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    async with SandboxedParser.open(ParsingLimits()) as parser:
        await asyncio.gather(*(parser.parse(b"# text", filename="a.md") for _ in range(4)))
        assert len(parser.idle_pids) == 2
    assert list(tmp_path.iterdir()) == []
