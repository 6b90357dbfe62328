"""Reads what a request asks for: its task and how much work it is.

The text decides; the turn before counts where the text is too short to stand alone, and tools, images and a long
conversation make more work likelier.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any

from penstock_router.domain.classification.features import figures_of
from penstock_router.domain.classification.model import COMPLEXITIES, Model, shipped, tempered
from penstock_router.domain.classification.reading import Reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penstock_common.contract.router import Subject

TASK_THRESHOLD = 0.6
COMPLEXITY_THRESHOLD = 0.4
# "And now in French?", "make it shorter": a follow-up, if something came before.
FOLLOW_UP_CHARS = 48
# A short turn says little of itself, and seems surer of it than it is; where it follows another it mostly goes on with that.
_EARLIER_WEIGHT = 2.0
# How much likelier low, medium and high get. By judgement: no data with tools, images or long conversations is labelled.
_WITH_TOOLS = (0.8, 1.0, 1.25)
_WITH_IMAGES = (0.9, 1.1, 1.0)
_LONG_CONVERSATION = (0.9, 1.0, 1.1)
LONG_CONVERSATION_TURNS = 8
_SENT = Struct("f")
# Hebrew, Arabic and Indic scripts, Thai: the embedding model knows their letters at most, and its vector misleads.
_UNKNOWN_TO_THE_MODEL = re.compile(r"[\u0590-\u0fff]")
_UNKNOWN_SHARE = 0.3


class Classifier:
    """Classifies by the given model, else by the one that comes with this package. Keeps nothing of what it reads."""

    def __init__(
        self,
        model: Model | None = None,
        *,
        task_threshold: float = TASK_THRESHOLD,
        complexity_threshold: float = COMPLEXITY_THRESHOLD,
    ) -> None:
        self._model = shipped() if model is None else model
        self._task_threshold = task_threshold
        self._complexity_threshold = complexity_threshold

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the tasks that it tells apart."""
        return self._model.tasks

    @property
    def version(self) -> str:
        """Return the name and digest of its weights."""
        return self._model.version

    def classify(
        self, subject: Subject, vector: Sequence[float] | None, *, has_tools: bool, has_images: bool
    ) -> Reading:
        """Return what the request asks for. ``vector``: of its text, of unit length, by the model's embedding model."""
        model = self._model
        if vector is not None and _is_unknown(subject.text):
            vector = None
        network = model.network(vector)
        joint = model.joint(figures_of(subject.text), vector)
        complexities = tempered(joint.sum(axis=0).tolist(), network.complexity_temperature)
        complexities = _weighed(complexities, subject.turns, has_tools=has_tools, has_images=has_images)
        tasks = tempered(self._with_earlier(joint, subject).sum(axis=1).tolist(), network.task_temperature)
        task_confidence, complexity_confidence = max(tasks), max(complexities)
        return Reading(
            task=model.tasks[tasks.index(task_confidence)],
            complexity=COMPLEXITIES[complexities.index(complexity_confidence)],
            task_confidence=_as_sent(task_confidence),
            complexity_confidence=_as_sent(complexity_confidence),
            abstains=task_confidence < self._task_threshold or complexity_confidence < self._complexity_threshold,
            by_vector=network is model.with_vector,
            version=model.version,
        )

    def _with_earlier(self, joint: NDArray[Any], subject: Subject) -> NDArray[Any]:
        if not subject.earlier or len(subject.text) > FOLLOW_UP_CHARS:
            return joint
        return joint + _EARLIER_WEIGHT * self._model.joint(figures_of(subject.earlier), None)


def _as_sent(confidence: float) -> float:
    """Return it as a message has it, so that it is the same on either side of a call."""
    (sent,) = _SENT.unpack(_SENT.pack(confidence))
    return float(sent)


def _is_unknown(text: str) -> bool:
    head = text[:200]
    # Most texts are told by their narrowest form, without a search.
    return not head.isascii() and len(_UNKNOWN_TO_THE_MODEL.findall(head)) > _UNKNOWN_SHARE * len(head)


def _weighed(complexities: Sequence[float], turns: int, *, has_tools: bool, has_images: bool) -> list[float]:
    weighed = list(complexities)
    for holds, factors in (
        (has_tools, _WITH_TOOLS),
        (has_images, _WITH_IMAGES),
        (turns >= LONG_CONVERSATION_TURNS, _LONG_CONVERSATION),
    ):
        if holds:
            weighed = [each * factor for each, factor in zip(weighed, factors, strict=True)]
    total = sum(weighed)
    return [each / total for each in weighed]
