"""Run as a script: become a program that the kernel signals when the process that started it is gone.

``python end_with_parent.py PARENT_PID SIGNAL PROGRAM ARGUMENT…``

A wrapper, and not a function between fork and exec: Python code in the fork of
a process with threads, as gRPC's are, may find a lock held for good. The
process keeps its id and the setting over the exec (prctl(2)).
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_NOT_STARTED = 127


def main() -> None:
    """Ask the kernel for the signal, then become the program."""
    parent, signal, *program = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal), 0, 0, 0)
    # The parent may have ended before the kernel knew whom to tell.
    if os.getppid() != int(parent):
        sys.exit(_NOT_STARTED)
    try:
        os.execv(program[0], program)
    except OSError as error:
        sys.exit(f"{program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
