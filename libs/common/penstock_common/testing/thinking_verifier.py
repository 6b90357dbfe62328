"""Signs thinking, and checks what is handed back of it, as Anthropic's API does for models with preserved thinking.

    upstream.otherwise = SignedThinker(account="first")
    ...
    assert thinker.refusals == []

A signature stands for one block, all that came before it (system, tools, every earlier turn, and every earlier
block of its own turn, thinking among them), the model, and perhaps the account. So whoever alters, leaves out or
moves anything before it is refused, in the vendor's words.
https://platform.claude.com/docs/en/build-with-claude/extended-thinking
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, cast

from penstock_common.testing.anthropic_answers import Block, Message, refusal
from penstock_common.testing.openai_answers import Body
from penstock_common.testing.openai_upstream import RecordedRequest

_SECRET = b"the vendor's own"
_CONTROLS = "thinking-binding-controls-2026-08-01"
_SIGNED = ("thinking", "redacted_thinking")
_OF_ANOTHER = (
    "Invalid signature in thinking block. The block is bound to a different conversation. "
    "Thinking blocks must be passed back with the system prompt, tools and earlier messages that they were produced with."
)
_OF_ANOTHER_ACCOUNT = "Invalid signature in thinking block. The block is bound to a different account."
_NO_SIGNATURE = "Invalid signature in thinking block"
_ALTERED = (
    "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. "
    "These blocks must remain as they were in the original response."
)
_EXPECTED = (
    "Expected `thinking` or `redacted_thinking`, but found `tool_use`. When `thinking` is enabled, a final `assistant` "
    "message must start with a thinking block."
)


class Bound(Enum):
    """What a model's thinking may not be parted from."""

    NOTHING = "nothing"
    """Older models: it has to be their own, and unaltered."""
    PREFIX = "prefix"
    ACCOUNT = "account"
    """The prefix, and the account."""


@dataclass(frozen=True, slots=True)
class _Seal:
    model: str
    account: str
    prefix: str
    text: str

    def signed(self) -> str:
        parts = json.dumps([self.model, self.account, self.prefix, self.text]).encode()
        proof = hmac.digest(_SECRET, parts, "sha256").hex()
        return base64.b64encode(b"%b.%b" % (proof.encode(), parts)).decode()


class ThinkingVerifier:
    """One vendor's account; all accounts of one vendor sign alike, so that one knows the other's blocks."""

    def __init__(
        self, account: str = "account", bound: Bound = Bound.PREFIX, reads: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Begin; ``reads`` are, by model, the others whose thinking it reads: what it does not read, it passes over."""
        self._account = account
        self._bound = bound
        self._reads = reads or {}

    def thinking(self, body: Mapping[str, Any], before: Sequence[Block], text: str, *, shown: bool = True) -> Block:
        """Return a signed block of the answer to ``body``, after the answer's blocks ``before``; without its text where not shown."""
        shown_text = text if shown else ""
        seal = _Seal(str(body["model"]), self._account, _prefix(body, before), _digest(shown_text))
        return {"type": "thinking", "thinking": shown_text, "signature": seal.signed()}

    def redacted(self, body: Mapping[str, Any], before: Sequence[Block]) -> Block:
        """Return a block that shows nothing; see ``thinking``."""
        seal = _Seal(str(body["model"]), self._account, _prefix(body, before), "redacted")
        return {"type": "redacted_thinking", "data": seal.signed()}

    def refusal(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> str:
        """Return what is wrong with the thinking in a request, in the vendor's words; '' where nothing is."""
        messages: list[Mapping[str, Any]] = list(body["messages"])
        if _drops_bad(body, headers or {}):
            return ""
        latest = max((at for at, turn in enumerate(messages) if turn["role"] == "assistant"), default=-1)
        for place, number, blocks in _signed_blocks(messages):
            before = {**body, "messages": messages[:place]}
            wrong = self._wrong_with(before, blocks[:number], blocks[number], is_latest=place == latest)
            if wrong:
                return f"messages.{place}.content.{number}: {wrong}"
        if latest >= 0 and _needs_thinking(body, messages, latest):
            return f"messages.{latest}.content.0.type: {_EXPECTED}"
        return ""

    def count(self, body: Mapping[str, Any]) -> int:
        """Return how many blocks of thinking a request hands back."""
        return sum(1 for _ in _signed_blocks(list(body["messages"])))

    def _wrong_with(self, body: Mapping[str, Any], before: Sequence[Block], block: Block, *, is_latest: bool) -> str:
        seal = _seal_in(block)
        if seal is None:
            return _NO_SIGNATURE
        model = str(body["model"])
        if seal.model != model and seal.model not in self._reads.get(model, ()):
            # Not read, and not billed.
            return ""
        text = "redacted" if block["type"] == "redacted_thinking" else _digest(block.get("thinking", ""))
        if seal.text != text:
            return _ALTERED if is_latest else _NO_SIGNATURE
        if self._bound is not Bound.NOTHING and seal.prefix != _prefix(body, before):
            return _OF_ANOTHER
        if self._bound is Bound.ACCOUNT and seal.account != self._account:
            return _OF_ANOTHER_ACCOUNT
        return ""


@dataclass
class SignedThinker:
    """Answers any request with signed thinking, once all that is handed back of it is right; else refuses it.

    A question with tools is answered with ``rounds`` of calls, each after thinking, two at once in every second round,
    and then in text. Shapes of thinking take turns: shown, not shown, redacted, several with text and calls between.
    """

    account: str = "account"
    bound: Bound = Bound.PREFIX
    reads: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    rounds: int = 3
    refusals: list[str] = field(default_factory=list[str])
    """What was refused, in its order."""
    verified: int = 0
    """Blocks of thinking that came back, and were right."""

    def __call__(self, request: RecordedRequest) -> Body:
        """Return what a server does with a request."""
        body = request.body
        verifier = ThinkingVerifier(self.account, self.bound, self.reads)
        wrong = verifier.refusal(body, request.headers)
        if wrong:
            self.refusals.append(wrong)
            return refusal(400, "invalid_request_error", wrong)
        self.verified += verifier.count(body)
        answer = self._answer(body, verifier)
        return answer.streamed() if body.get("stream") else answer.whole()

    def _answer(self, body: Mapping[str, Any], verifier: ThinkingVerifier) -> Message:
        messages: list[Mapping[str, Any]] = list(body["messages"])
        number = sum(1 for turn in messages if turn["role"] == "assistant")
        content = list(_thoughts(body, verifier, number))
        tools = [tool for tool in body.get("tools") or () if "input_schema" in tool]
        choice: Mapping[str, Any] = body.get("tool_choice") or {}
        if not tools or choice.get("type") == "none" or _rounds_so_far(messages) >= self.rounds:
            content.append({"type": "text", "text": f"Answer {number}."})
            return Message(content=content, model=str(body["model"]))
        for call in range(1 + number % 2):
            if call:
                content.append(verifier.thinking(body, content, f"And {number} once more."))
            content.append(
                {
                    "type": "tool_use",
                    "id": f"toolu_{number:02}_{call}",
                    "name": tools[0]["name"],
                    # Not in the order of the alphabet: who writes it anew is found out.
                    "input": {"z": number, "a": [call, {"y": 1.50, "b": "é"}]},
                }
            )
        return Message(content=content, stop_reason="tool_use", model=str(body["model"]))


def _thoughts(body: Mapping[str, Any], verifier: ThinkingVerifier, number: int) -> Iterator[Block]:
    shape = number % 4
    first = verifier.thinking(body, (), f"Thought {number} — of much.", shown=shape != 1)
    yield first
    if shape == 2:
        yield verifier.redacted(body, [first])
    if shape == 3:
        text = {"type": "text", "text": f"Let me see {number}."}
        yield text
        yield verifier.thinking(body, [first, text], f"Thought {number}, after that.")


def _rounds_so_far(messages: Sequence[Mapping[str, Any]]) -> int:
    """Return how many rounds of calls were made since the last question."""
    rounds = 0
    for turn in reversed(messages):
        if turn["role"] == "assistant":
            rounds += 1
        elif turn["role"] == "user" and not any(block["type"] == "tool_result" for block in _blocks(turn)):
            break
    return rounds


def _signed_blocks(messages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int, list[Block]]]:
    """Yield the place of each block of thinking: its turn, its number there, and that turn's blocks."""
    for place, turn in enumerate(messages):
        blocks = _blocks(turn)
        for number, block in enumerate(blocks):
            if block["type"] in _SIGNED:
                yield place, number, blocks


def _seal_in(block: Block) -> _Seal | None:
    text = block.get("data" if block["type"] == "redacted_thinking" else "signature")
    try:
        proof, _, parts = base64.b64decode(cast("str", text), validate=True).partition(b".")
    except (ValueError, TypeError):
        return None
    if not hmac.compare_digest(proof, hmac.digest(_SECRET, parts, "sha256").hex().encode()):
        return None
    return _Seal(*json.loads(parts))


def _prefix(body: Mapping[str, Any], before: Sequence[Block]) -> str:
    """Return the digest of all that stands before a block: of where the cache's breakpoints stand, nothing."""
    system = _blocks({"content": body.get("system") or []})
    turns = [[turn["role"], [_plain(block) for block in _blocks(turn)]] for turn in body["messages"]]
    tools = [_plain(tool) for tool in body.get("tools") or ()]
    answer = [_plain(block) for block in before]
    return _digest(json.dumps([[_plain(block) for block in system], tools, turns, answer]))


def _plain(block: Block) -> list[Any]:
    """Return a block with its members in one order; what they hold keeps its own, as arguments and schemas have one."""
    return [[name, _without_controls(block[name])] for name in sorted(block) if name != "cache_control"]


def _without_controls(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    items = cast("list[Any]", value)
    return [_plain(cast("Block", item)) if isinstance(item, dict) else item for item in items]


def _blocks(turn: Mapping[str, Any]) -> list[Block]:
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _drops_bad(body: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    asked: Mapping[str, Any] = (body.get("thinking") or {}).get("block_binding") or {}
    betas = [beta.strip() for beta in headers.get("anthropic-beta", "").split(",")]
    return asked.get("prefix_mismatch_behavior") == "drop_block" and _CONTROLS in betas


def _needs_thinking(body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], latest: int) -> bool:
    """Return whether a tool loop is open under ``thinking: enabled`` whose turn begins without thinking."""
    if (body.get("thinking") or {}).get("type") != "enabled" or latest != len(messages) - 2:
        return False
    blocks = _blocks(messages[latest])
    return blocks[0]["type"] not in _SIGNED and any(block["type"] == "tool_use" for block in blocks)
