"""How the command ends, and the one sentence it says when it cannot go on."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # With it comes what takes longer to load than most commands to run.
    from penstock_common.faults import ConfigurationError


class ExitCode(IntEnum):
    """What the shell sees; stable, because scripts look at it."""

    DONE = 0
    """The command did what it was asked, or stopped because it was asked to."""
    FAILED = 1
    """Something outside the configuration: a taken port, a part that died, a stack that does not run."""
    MISCONFIGURED = 2
    """The configuration, or what the command line says, is wrong."""
    NOT_THERE = 3
    """There is no tenant, user, key, model or upstream of that name."""
    REFUSED = 4
    """The key is missing, unknown, or may not do it."""
    UNREACHABLE = 5
    """Nobody answers: no stack runs there, or no gateway."""
    LEFT_OUT = 6
    """It is done, but for some that were left out, which it names."""


class SuiteFailure(Exception):
    """The command cannot go on. The message is one sentence that says what to do next."""

    exit_code = ExitCode.FAILED


class NotThere(SuiteFailure):
    """What was named does not exist."""

    exit_code = ExitCode.NOT_THERE


class Refused(SuiteFailure):
    """Whoever asks may not, or did not show who they are."""

    exit_code = ExitCode.REFUSED


class Unreachable(SuiteFailure):
    """Nobody answers."""

    exit_code = ExitCode.UNREACHABLE


class Misconfigured(SuiteFailure):
    """The configuration or the command line is wrong; ``faults`` has a line for each reason."""

    exit_code = ExitCode.MISCONFIGURED

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults

    @classmethod
    def by(cls, error: ConfigurationError) -> Misconfigured:
        """Return the failure with the faults of a configuration."""
        return cls(*map(str, error.faults))
