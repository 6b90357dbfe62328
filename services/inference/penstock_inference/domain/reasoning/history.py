"""The reasoning that stands in one request's history: who comes first for it, and what each who is asked is told of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

import msgspec

from penstock_common.llm.types import GenerationInput, Message, Reasoning, Role, Text, ToolCall
from penstock_inference.domain.catalogue import Model
from penstock_inference.domain.failure import AttemptFailed, FailureKind
from penstock_inference.domain.model_facts import ThinkingBound
from penstock_inference.domain.reasoning.kept import KeptReasoning
from penstock_inference.domain.reasoning.origin import Origin, is_bound, origin_text
from penstock_inference.domain.reasoning.turns import (
    DIGEST_BYTES,
    KeptTurn,
    Prefix,
    lacks_reasoning,
    restored,
    without,
)

THINKING = "thinking"
"""The parameter of a refusal that is about reasoning which was handed back."""


class Told(msgspec.Struct, frozen=True):
    """What one candidate is asked, and why some of the reasoning is missing: moved, refused or lost; empty where none is."""

    input: GenerationInput
    missing: str = ""
    has_bound: bool = False
    """Whether any is left that its provider alone made."""


class History:
    """One request's history with an assistant's calls or reasoning in it.

    What a candidate is told depends on the turns and on who it is, never on what was tried before: so the same
    conversation begins in the same way each time, whoever was asked meanwhile.
    """

    def __init__(
        self, value: GenerationInput, kept: dict[int, KeptTurn], keeping: KeptReasoning, lost: Sequence[int] = ()
    ) -> None:
        """``lost`` are the places of turns with calls whose reasoning nobody has kept."""
        self._value = value
        self._kept = kept
        self._keeping = keeping
        self._has_lost = bool(lost)
        # Those that have refused what they were handed back, and are asked without any.
        self._bare: list[Model] = []
        self.origin = _last_origin(value.messages, kept)
        """Who gave the last of what is bound to somebody, or the calls that wait for their answers; None: nobody known."""

    def order(self, models: Sequence[Model]) -> list[Model]:
        """Return the models, first the one that the conversation stays with, then those that read its reasoning."""
        origin = self.origin
        if origin is None:
            return list(models)

        def rank(model: Model) -> int:
            if origin.is_of(model.candidate):
                return 0
            return 1 if origin.is_read_by(model, origin.account) else 2

        return sorted(models, key=rank)

    def stays_with(self, models: Sequence[Model]) -> Model | None:
        """Return the model that the conversation stays with as long as it can; None where there is none of these."""
        origin = self.origin
        return models[0] if origin is not None and origin.is_of(models[0].candidate) else None

    def account_at(self, model: Model) -> str:
        """Return the account that a model is to be asked with; empty where any will do."""
        origin = self.origin
        return origin.account if origin is not None and origin.upstream == model.candidate.upstream else ""

    def told_to(self, model: Model, account: str, value: GenerationInput, *, needs_reasoning: bool) -> Told:
        """Return what a candidate is asked, of ``value``, which is the request or how somebody goes on from its answer.

        ``needs_reasoning``: it is missed where it was lost.
        """
        telling = _Telling(
            self._kept, self._left_out_for(model, account), Prefix(value.tools) if self._checks(model) else None
        )
        for place, message in enumerate(value.messages):
            telling.add(place, message)
        missing = telling.missing or ("lost" if self._has_lost and needs_reasoning else "")
        if missing == "moved" and model in self._bare:
            missing = "refused"
        if not telling.is_changed:
            return Told(value, missing, telling.has_bound)
        return Told(msgspec.structs.replace(value, messages=tuple(telling.turns)), missing, telling.has_bound)

    def _checks(self, model: Model) -> bool:
        """Return whether what was kept may be of no use to a model any more."""
        return bool(self._kept) and _is_bound_to_prefix(model)

    def asks_without(self, model: Model, told: Told, failure: AttemptFailed) -> bool:
        """Return whether a candidate that failed is asked once more without any reasoning: it refused what it was told."""
        if failure.kind is not FailureKind.BAD_REQUEST or failure.parameter != THINKING:
            return False
        if not told.has_bound or model in self._bare:
            return False
        self._bare.append(model)
        return True

    def answered(self, model: Model) -> None:
        """Note that a candidate has answered: what it was asked without, it does not read."""
        if model not in self._bare:
            return
        signs: list[bytes] = []
        for place, message in enumerate(self._value.messages):
            kept = self._kept.get(place)
            turn = message if kept is None else restored(message, kept)
            signs += [_sign(model, part) for part in _bound_in(turn)]
        self._keeping.refused(signs)

    def _left_out_for(self, model: Model, account: str) -> Callable[[Reasoning | ToolCall], bool]:
        keeping, is_bare = self._keeping, model in self._bare

        def is_left_out(part: Reasoning | ToolCall) -> bool:
            if not is_bound(part):
                return False
            if is_bare:
                return True
            origin = Origin.of(part.origin)
            if origin is not None and not origin.is_read_by(model, account):
                return True
            return keeping.has_refused and keeping.is_refused(_sign(model, part))

        return is_left_out


class _Telling:
    """Takes the turns of a history one by one, as a candidate is told of them."""

    __slots__ = ("_is_left_out", "_kept", "_prefix", "has_bound", "is_changed", "missing", "turns")

    def __init__(
        self, kept: dict[int, KeptTurn], is_left_out: Callable[[Reasoning | ToolCall], bool], prefix: Prefix | None
    ) -> None:
        """``prefix`` is None where it does not matter what came before."""
        self._kept = kept
        self._is_left_out = is_left_out
        self._prefix = prefix
        self.turns: list[Message] = []
        self.is_changed = False
        self.has_bound = False
        self.missing = ""

    def add(self, place: int, message: Message) -> None:
        """Take the next turn."""
        turn = self._assistants(place, message) if message.role is Role.ASSISTANT else message
        if turn is not message:
            self.is_changed = True
        if turn is None:
            return
        self.turns.append(turn)
        if self._prefix is not None:
            self._prefix.add(turn)

    def _assistants(self, place: int, message: Message) -> Message | None:
        whole, kept = message, self._kept.get(place)
        if kept is not None and kept.has_reasoning:
            if self._prefix is not None and kept.prefix not in (b"", self._prefix.digest):
                self.missing = "lost"
            else:
                whole = restored(message, kept)
        turn = without(whole, self._is_left_out)
        if turn is not whole:
            self.missing = "moved"
        if turn is not None and holds_bound(turn):
            self.has_bound = True
        return turn


def has_history(messages: Sequence[Message]) -> bool:
    """Return whether an assistant's turn is anything but one text; called for every conversation."""
    assistant = Role.ASSISTANT
    for message in messages:
        if message.role is assistant:
            parts = message.parts
            if message.tool_calls or not parts or parts[1:] or type(parts[0]) is not Text:
                return True
    return False


async def history_of(value: GenerationInput, keeping: KeptReasoning, *, needs_reasoning: bool) -> History | None:
    """Return the history of a request, None where no assistant has called or reasoned in it.

    ``needs_reasoning``: somebody may be asked who has to be handed it back, so that others are asked for what they keep.
    """
    turns = [(place, turn) for place, turn in enumerate(value.messages) if turn.role is Role.ASSISTANT]
    places = [place for place, turn in turns if lacks_reasoning(turn)]
    if not places and not any(holds_bound(turn) for _, turn in turns):
        return None
    kept: dict[int, KeptTurn] = {}
    if places:
        found = await keeping.find(value.messages, places, is_shared=needs_reasoning)
        # Without a process that shares, another could not tell the same of it.
        kept = found if needs_reasoning else {place: KeptTurn(turn.origin) for place, turn in found.items()}
    return History(value, kept, keeping, [place for place in places if place not in kept])


def prefix_of(asked: GenerationInput, model: Model) -> bytes:
    """Return the digest of what a model was asked; empty where its reasoning is bound to none."""
    if not _is_bound_to_prefix(model):
        return b""
    prefix = Prefix(asked.tools)
    for message in asked.messages:
        prefix.add(message)
    return prefix.digest


def holds_bound(turn: Message) -> bool:
    """Return whether an assistant's turn holds what its provider alone made."""
    return bool(_bound_in(turn))


def _bound_in(turn: Message) -> list[Reasoning | ToolCall]:
    parts = [part for part in turn.parts if isinstance(part, Reasoning) and is_bound(part)]
    return [*parts, *[call for call in turn.tool_calls if call.extra_json]]


def _is_bound_to_prefix(model: Model) -> bool:
    return model.facts.thinking_bound is not ThinkingBound.NOTHING


def _sign(model: Model, part: Reasoning | ToolCall) -> bytes:
    """Return what tells reasoning from other, for one candidate."""
    digest = blake2b(origin_text(model.candidate, "").encode(), digest_size=DIGEST_BYTES)
    if isinstance(part, Reasoning):
        digest.update(b"\0%b\0%b" % (part.signature, part.hidden))
    digest.update(b"\0" + part.extra_json.encode())
    return digest.digest()


def _last_origin(messages: Sequence[Message], kept: dict[int, KeptTurn]) -> Origin | None:
    waits = True
    for place in range(len(messages) - 1, -1, -1):
        message = messages[place]
        if message.role is Role.TOOL:
            continue
        origin = _origin_of(message, kept.get(place), waits=waits) if message.role is Role.ASSISTANT else None
        if origin is not None:
            return origin
        waits = False
    return None


def _origin_of(message: Message, kept: KeptTurn | None, *, waits: bool) -> Origin | None:
    """Return whose an assistant's turn is, as far as that matters; ``waits``: its calls wait for the model to hear of them."""
    for part in reversed(_bound_in(message)):
        if (origin := Origin.of(part.origin)) is not None:
            return origin
    return Origin.of(kept.origin) if kept is not None and (waits or kept.has_reasoning) else None
