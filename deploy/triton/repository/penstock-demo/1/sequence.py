"""One answer in the making: what its slot holds, what is still to be read, and what the caller has been told."""

from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from typing import Protocol

from sampling import Sampler
from text_stream import TextStream
from transformer import Step

WAITING = -1


class Caller(Protocol):
    """Who asked. Called from the generation thread only, which must not wait for it."""

    def is_cancelled(self) -> bool:
        """Whether nobody waits for the rest."""
        ...

    def begin(self, reused_tokens: int) -> None:
        """The prompt is being read; that many of its tokens were known already."""
        ...

    def deliver(self, text: str, output_tokens: int, finish_reason: str) -> None:
        """Text and tokens since the last call; the finish reason is empty until the last one."""
        ...

    def fail(self, message: str) -> None:
        """The request ended with an error."""
        ...

    def release(self) -> None:
        """The request ended because nobody waits for it."""
        ...


@dataclass(eq=False)
class Sequence:
    """A prompt and the answer to it."""

    caller: Caller
    ids: list[int]  # of the prompt, then of the answer
    token_limit: int  # of the answer
    sampler: Sampler
    text: TextStream
    slot: int = WAITING
    held_tokens: int = 0  # how much of ids the slot holds
    prompt_tokens: int = field(init=False)
    unreported_tokens: int = 0

    def __post_init__(self) -> None:
        """Remember where the answer begins."""
        self.prompt_tokens = len(self.ids)

    @property
    def is_answering(self) -> bool:
        """Whether the prompt has been read."""
        return self.held_tokens >= self.prompt_tokens

    @property
    def held_ids(self) -> Items[int]:
        """The tokens whose keys and values the slot holds."""
        return self.ids[: self.held_tokens]

    def step(self, most_tokens: int) -> Step:
        """What the slot reads next."""
        return Step(self.slot, self.held_tokens, self.ids[self.held_tokens : self.held_tokens + most_tokens])

    def accept(self, token: int, end_token: int) -> bool:
        """Take the next token and tell the caller; false when the answer is complete."""
        self.ids.append(token)
        self.unreported_tokens += 1
        text = "" if token == end_token else self.text.push(token)
        if token == end_token or self.text.stopped:
            return self._finish(text, "stop")
        if len(self.ids) - self.prompt_tokens >= self.token_limit:
            return self._finish(text, "length")
        if text:
            self._report(text, "")
        return True

    def _finish(self, text: str, reason: str) -> bool:
        text += self.text.flush()
        self._report(text, "stop" if self.text.stopped else reason)
        return False

    def _report(self, text: str, reason: str) -> None:
        tokens, self.unreported_tokens = self.unreported_tokens, 0
        self.caller.deliver(text, tokens, reason)
