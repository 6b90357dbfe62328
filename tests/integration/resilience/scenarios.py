"""Sixteen scenarios like those of the public FailoverBench: the default configuration, one fallback that answers the same.

Ours in text and code; what each asks for is what is public of its rules. A scenario
ends with the whole answer, but for the content filter, whose refusal is returned.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock_faults.named import SCRIPTS, failing, limited
from penstock_faults.script import Script, once
from penstock_faults.table import Timer


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What the primary does, and what its caller and the upstreams must see."""

    name: str
    about: str
    primary: Script
    fallback: Script = SCRIPTS["good"]
    answered_by: str = ""
    """Whose answer it must be; empty: anybody's."""
    most_asked: int = 2
    """How often the primary may be asked."""
    waits_seconds: float = 0.0
    """The primary is asked again, and not sooner."""
    refused: bool = False
    timer: Timer | None = None
    requests: int = 1

    def __str__(self) -> str:
        return self.name


SCENARIOS = (
    Scenario(name="S01", about="429 that says two seconds, once", answered_by="first", waits_seconds=2.0,
             primary=SCRIPTS["429-two-seconds"]),
    Scenario(name="S02", about="429 for ever, without a word of when", answered_by="second", primary=SCRIPTS["429"]),
    Scenario(name="S03", about="500 once", answered_by="first", primary=SCRIPTS["500-once"]),
    Scenario(name="S04", about="503 for ever", answered_by="second", primary=SCRIPTS["503"]),
    Scenario(name="S05", about="a reset before any header, once", answered_by="first", primary=SCRIPTS["reset-once"]),
    Scenario(name="S06", about="silence", answered_by="second", most_asked=1, timer=Timer.FIRST_TOKEN,
             primary=SCRIPTS["silence"]),
    Scenario(name="S07", about="headers, and no token", answered_by="second", most_asked=1, timer=Timer.FIRST_TOKEN,
             primary=SCRIPTS["first-token-late"]),
    Scenario(name="S08", about="a cut after three words", primary=SCRIPTS["cut-reset"]),
    Scenario(name="S09", about="a stall after three words", most_asked=1, timer=Timer.IDLE,
             primary=SCRIPTS["cut-stall"]),
    Scenario(name="S10", about="an event that is no JSON", primary=SCRIPTS["malformed-event"]),
    Scenario(name="S11", about="no [DONE]", answered_by="first", most_asked=1, primary=SCRIPTS["no-done"]),
    Scenario(name="S12", about="the conversation is too long", answered_by="second", most_asked=1,
             primary=SCRIPTS["context-length"]),
    Scenario(name="S13", about="the content filter refuses", refused=True, most_asked=1,
             primary=SCRIPTS["content-filter"]),
    Scenario(name="S14", about="a cut, and the fallback takes no prefix", primary=SCRIPTS["cut-close"],
             fallback=SCRIPTS["refuses-prefill"]),
    Scenario(name="S15", about="an outage that passes", requests=4, most_asked=8,
             primary=Script(about="503 twice, 429 once, then well", steps=(
                 once(failing(503)), once(failing(503)), once(limited()),
             ))),
    Scenario(name="S16", about="the fallback's own model and usage are reported", answered_by="second",
             primary=SCRIPTS["503"]),
)  # fmt: skip
