"""A rule: what it looks for, where, and what follows from what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec


class Surface(StrEnum):
    """Where a text stands."""

    SYSTEM = "system"
    """The system's and the developer's turns."""
    INPUT = "input"
    """What the user says, and the assistant's turns of before."""
    TOOL_RESULT = "tool_result"
    DOCUMENT = "document"
    """A passage that was found for the request."""
    OUTPUT = "output"
    """The answer's text, its refusals and its reasoning."""
    TOOL_CALL = "tool_call"
    """Name and arguments of a call, in an answer or in a turn of before."""


INPUT_SURFACES = frozenset({Surface.SYSTEM, Surface.INPUT, Surface.TOOL_RESULT, Surface.DOCUMENT, Surface.TOOL_CALL})
_OF_THE_TEXT = frozenset({"length", "language", "grounding"})
OUTPUT_SURFACES = frozenset({Surface.OUTPUT, Surface.TOOL_CALL})


class Action(StrEnum):
    """What follows from a finding; the strictest comes last."""

    REPORT = "report"
    REVIEW = "review"
    """A person is told; with ``hold``, the request or answer is refused until one has looked."""
    SPOTLIGHT = "spotlight"
    """The text is put between markers that it cannot close. Needs no finding."""
    PSEUDONYMISE = "pseudonymise"
    """What was found gets another name, and its own again in the answer."""
    REDACT = "redact"
    REPLACE = "replace"
    """The whole text, or what is left of an answer, is the rule's text instead."""
    RETRY = "retry"
    """The answer is asked for again, as long as nothing of it was sent; else it is refused."""
    REFUSE = "refuse"


class OnFailure(StrEnum):
    """What follows where a rule fails or is late."""

    OPEN = "open"
    """The text passes, and that it was not looked at is told."""
    CLOSED = "closed"
    """The request fails."""


class Late(StrEnum):
    """What follows where text of an answer has waited for a rule for as long as it may, and the upstream is slow."""

    WORDS = "words"
    """What stands there is looked at, and whole words leave; what may have begun goes on waiting."""
    ALL = "all"
    """It is looked at as it stands, and leaves."""
    WAIT = "wait"
    """It waits on."""
    REFUSE = "refuse"
    """The answer ends."""


class Runs(StrEnum):
    """Where a rule is at work."""

    INLINE = "inline"
    """In the event loop: microseconds."""
    BESIDE = "beside"
    """In a thread, up to its time limit."""
    REMOTE = "remote"
    """Somewhere else, up to its time limit."""


class Found(NamedTuple):
    """Characters ``start`` to ``end`` of a text are of this kind; ``mark`` stands for them where they are redacted."""

    kind: str
    start: int
    end: int
    mark: str = "[REDACTED]"


class Hold(msgspec.Struct, frozen=True):
    """What of a stream waits: up to ``width`` characters, or to the end of a sentence, or the whole answer."""

    width: int = 0
    by_sentence: bool = False
    whole: bool = False
    carriers: bool = False
    """What may be a link, an image or a tag that has begun."""
    personal: bool = False
    """What may be personal data that has begun."""
    keys: bool = False
    """With ``personal``: a private key is swallowed as a whole."""
    begun: Callable[[str], int] | None = None
    """With ``width``: returns from where on a text may become what is looked for, whatever follows; None: nobody knows."""


WHOLE = Hold(whole=True)


class Look(Protocol):
    """Looks for something. Keeps nothing of what it sees."""

    @property
    def runs(self) -> Runs:
        """Where it is at work; ``find`` is asked of what is remote, ``found`` of what is not."""
        ...

    @property
    def hold(self) -> Hold:
        """What of a stream has to wait for it."""
        ...

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found, in the order of the text and without overlaps."""
        ...

    async def find(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return the same, asking somebody else."""
        ...


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. ``text`` is what replaces, or what the caller of a refused request is told; ``timeout`` is in seconds.

    ``shadow``: it says what it would do, and does nothing. ``hold``: see ``Action.REVIEW``. ``version`` changes with
    whatever it would find.
    """

    name: str
    kind: str
    version: str
    look: Look
    surfaces: frozenset[Surface]
    action: Action
    on_failure: OnFailure
    timeout: float
    shadow: bool = False
    text: str = ""
    hold: bool = False
    ask: str = ""
    """What the model is told of an answer that it has to give again."""
    late: Late = Late.WORDS

    @property
    def refuses(self) -> bool:
        """Whether a finding ends the request or the answer."""
        return self.action in (Action.RETRY, Action.REFUSE) or (self.action is Action.REVIEW and self.hold)

    @property
    def needs_all(self) -> bool:
        """Whether it looks at a whole answer: a person is given all of what waits for one."""
        return self.look.hold.whole or self.hold

    @property
    def reads_reasoning(self) -> bool:
        """Whether it looks at reasoning: how long an answer is, its language and what it rests on are told by its text."""
        return self.kind not in _OF_THE_TEXT

    @property
    def enforces(self) -> bool:
        """Whether a finding changes anything that the caller or the model sees."""
        return not self.shadow and (self.refuses or self.action not in (Action.REPORT, Action.REVIEW))


class LocalLook:
    """What looks by itself."""

    runs = Runs.INLINE

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return what is found."""
        raise NotImplementedError

    async def find(self, text: str, surface: Surface) -> Sequence[Found]:
        """Return the same."""
        return self.found(text, surface)


class Offline(Exception):
    """Nobody is asked here."""


class NotAsked:
    """Stands for what would ask somebody else."""

    runs = Runs.REMOTE
    hold = WHOLE

    def found(self, text: str, surface: Surface) -> Sequence[Found]:
        """Never asked."""
        raise NotImplementedError

    async def find(self, text: str, surface: Surface) -> Sequence[Found]:
        """Fail.

        Raises:
            Offline: always.
        """
        raise Offline
