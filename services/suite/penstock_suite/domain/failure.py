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
    """The configuration or the command line is wrong."""


class SuiteFailure(Exception):
    """The command cannot go on. The message is one sentence that says what to do next."""

    exit_code = ExitCode.FAILED


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
