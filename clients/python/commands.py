"""How scripts run the commands that people type."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

HOME = Path(os.environ["HOME"])
"""Of this client alone."""
_MOST_SECONDS = 180
_FIRST_SECONDS = 60


def ran(*arguments: str, text: str = "", fails: bool = False) -> str:
    """Return what a command says: its output, and with ``fails``, its errors too.

    Raises:
        AssertionError: if it ends otherwise than it is to.
    """
    done = subprocess.run(
        arguments, input=text, cwd=HOME, capture_output=True, text=True, check=False, timeout=_MOST_SECONDS
    )
    if not fails and done.returncode:
        raise AssertionError((done.stderr or done.stdout).strip()[-300:])
    return done.stdout + done.stderr if fails else done.stdout.strip()


def interrupted(*arguments: str, once: Callable[[str], bool]) -> None:
    """Interrupt a command, as control and C do, once its output is so."""
    process = subprocess.Popen(
        arguments,
        cwd=HOME,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None, "it is a pipe"
    said = ""
    while piece := os.read(process.stdout.fileno(), 4096):
        said += piece.decode(errors="replace")
        if once(said):
            os.killpg(process.pid, signal.SIGINT)
            break
    process.stdout.close()
    process.wait(_FIRST_SECONDS)
    assert once(said), said[-300:]
