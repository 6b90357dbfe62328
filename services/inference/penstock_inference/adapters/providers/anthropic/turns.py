"""From a conversation's turns to ``system`` and ``messages`` of the Messages API.

The user's turn holds all that comes between two of the assistant's: the results of its calls first, as they have to
be, then what the user says. https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import msgspec

from penstock_common.llm.types import Message, Role
from penstock_inference.adapters.providers.anthropic.blocks import Block, Writing, system_block, type_of

_Blocks = list[Block | msgspec.Raw]
_SYSTEM = (Role.SYSTEM, Role.DEVELOPER)
_PLAIN = ("text", "thinking", "redacted_thinking")
_GO_ON = (
    "<answer_so_far>\n{begun}\n</answer_so_far>\n"
    "Your answer broke off there. Continue it from exactly that point: write only what comes after the last character of "
    "<answer_so_far>, and repeat nothing of it, nor say anything about it."
)


class Turns:
    """The turns of one request; ``messages`` is whole after ``end``."""

    def __init__(self, writing: Writing, *, folds_system: bool) -> None:
        """Begin; ``folds_system``: the model takes system turns nowhere but at the start."""
        self._writing = writing
        self._folds_system = folds_system
        self.system: _Blocks = []
        self.messages: list[dict[str, Any]] = []
        self.has_system_turns = False
        """Whether a system turn stands among the messages."""
        # Since the last turn of the assistant's.
        self._results: _Blocks = []
        self._said: list[tuple[bool, _Blocks]] = []

    def add_all(self, messages: Sequence[Message]) -> None:
        """Add the turns, the last of which is not one that the model is to go on with."""
        first = len(list(takewhile(lambda message: message.role in _SYSTEM, messages)))
        for index, message in enumerate(messages):
            path = f"input.messages[{index}]"
            if index < first:
                self.system += self._writing.blocks(message, path)
            elif message.role is Role.ASSISTANT:
                self._add_answer(self._writing.blocks(message, path))
            elif message.role is Role.TOOL:
                self._results.append(self._writing.result(message, path))
            else:
                self._add_said(message.role in _SYSTEM, self._writing.blocks(message, path))

    def add_begun(self, message: Message, path: str) -> None:
        """Add a turn of the assistant's that the model is to go on with."""
        blocks = self._writing.blocks(message, path)
        if self._writing.facts.prefill or any(type_of(block) not in _PLAIN for block in blocks):
            # One that the provider itself paused at a tool of its own goes on as it is, whoever else does not.
            self._add_answer(_without_blanks_at_the_end(blocks))
            return
        begun = message.text.rstrip()
        if begun:
            self._add_said(False, [{"type": "text", "text": _GO_ON.format(begun=begun)}])

    def end(self) -> None:
        """Add what came after the assistant's last turn."""
        if self._results or self._said:
            self._add_user_turn()

    def _add_answer(self, blocks: _Blocks) -> None:
        # A turn that says nothing is refused, and parts no others.
        if blocks:
            self.end()
            self.messages.append({"role": "assistant", "content": blocks})

    def _add_said(self, is_system: bool, blocks: _Blocks) -> None:
        if blocks:
            self._said.append((is_system, blocks))

    def _add_user_turn(self) -> None:
        """Add all since the assistant's last turn; system turns that end it stand by themselves where they may."""
        said, content = self._said, self._results
        last: list[_Blocks] = []
        if not self._folds_system:
            while said and said[-1][0] and (len(said) > 1 or content):
                last.insert(0, said.pop()[1])
        for is_system, blocks in said:
            content += _folded(blocks) if is_system else blocks
        self.messages.append({"role": "user", "content": content})
        self.messages += [{"role": "system", "content": blocks} for blocks in last]
        self.has_system_turns = self.has_system_turns or bool(last)
        self._results, self._said = [], []


def _folded(blocks: _Blocks) -> _Blocks:
    return [
        {**block, **system_block(block["text"])} if isinstance(block, dict) and block["type"] == "text" else block
        for block in blocks
    ]


def _without_blanks_at_the_end(blocks: _Blocks) -> _Blocks:
    """Return a turn that ends in no blanks, which are refused at the end of the last one."""
    last = blocks[-1] if blocks else None
    if isinstance(last, dict) and last["type"] == "text":
        return [*blocks[:-1], {**last, "text": last["text"].rstrip()}]
    return blocks
