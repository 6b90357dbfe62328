"""Training of the classifier: small networks by Adam, calibrated on what they have not seen. Seeded.

Needs numpy and nothing else; some 2,000 prompts take one to two minutes on one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from penstock_router.domain.classification.features import figures_of
from penstock_router.domain.classification.model import CLIPPED_AT, COMPLEXITIES, Model, Network

Floats: TypeAlias = NDArray[Any]

FOLDS = 5
_AXES = 96
_LEVELS = len(COMPLEXITIES)
_TEMPERATURES = tuple(step / 20 for step in range(6, 41))
_LEAST_SCALE = 1e-3


class Labelled(NamedTuple):
    """A prompt, what it is, and its vector by the embedding model (of unit length)."""

    prompt: str
    task: str
    complexity: str
    vector: Sequence[float]


class Plan(NamedTuple):
    """How a network is trained; the defaults were found by cross-validation."""

    members: int = 6
    hidden: int = 64
    epochs: int = 40
    batch: int = 64
    rate: float = 2e-3
    decay: float = 1e-2
    input_dropout: float = 0.3
    hidden_dropout: float = 0.5
    smoothing: float = 0.1


class _Data(NamedTuple):
    figures: Floats
    vectors: Floats
    labels: Floats
    tasks: tuple[str, ...]

    def some(self, rows: Floats) -> _Data:
        return _Data(self.figures[rows], self.vectors[rows], self.labels[rows], self.tasks)


def trained(rows: Sequence[Labelled], tasks: Sequence[str], judged: Floats, plan: Plan | None = None) -> Model:
    """Return a model of the rows, calibrated by cross-validation over those that ``judged`` marks.

    Those should be the most like what comes later: easy ones make it too sure. Its version is empty until it is packed.
    """
    plan = plan or Plan()
    data = _data(rows, tasks)
    unseen = cross_validated(rows, tasks, judged, plan._replace(members=max(1, plan.members // 2)))
    model = _fitted(data, plan)
    return calibrated(model, unseen, data.labels[judged])


def cross_validated(
    rows: Sequence[Labelled], tasks: Sequence[str], judged: Floats, plan: Plan | None = None, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return what models that have not seen a row say of it, with its vector and without: (judged, tasks, complexities).

    ``judged`` marks the rows that are dealt out into folds; all others are in each training.
    """
    plan = plan or Plan()
    data = _data(rows, tasks)
    places = np.flatnonzero(judged)
    fold_of = np.full(len(rows), -1)
    fold_of[places] = _dealt(data.labels[places], seed)
    found = np.zeros((2, len(rows), len(tasks), _LEVELS))
    for fold in range(FOLDS):
        model = _fitted(data.some(fold_of != fold), plan)
        for place in np.flatnonzero(fold_of == fold):
            for which, vector in enumerate((data.vectors[place], None)):
                found[which, place] = model.joint(data.figures[place], vector)
    return found[0, places], found[1, places]


def fitted(rows: Sequence[Labelled], tasks: Sequence[str], plan: Plan | None = None) -> Model:
    """Return a model of the rows that is not calibrated."""
    return _fitted(_data(rows, tasks), plan or Plan())


def read_by(model: Model, rows: Sequence[Labelled]) -> tuple[Floats, Floats]:
    """Return what the model says of rows, with their vectors and without: (rows, tasks, complexities)."""
    seen = [(figures_of(row.prompt), row.vector) for row in rows]
    return (
        np.array([model.joint(figures, vector) for figures, vector in seen]),
        np.array([model.joint(figures, None) for figures, _ in seen]),
    )


def calibrated(model: Model, unseen: tuple[Floats, Floats], labels: Floats) -> Model:
    """Return the model with the temperatures that make its confidence right on what it had not seen."""
    networks = [
        network._replace(
            task_temperature=temperature_of(joint.sum(axis=2), labels // _LEVELS),
            complexity_temperature=temperature_of(joint.sum(axis=1), labels % _LEVELS),
        )
        for network, joint in zip((model.with_vector, model.without), unseen, strict=True)
    ]
    return model._replace(with_vector=networks[0], without=networks[1])


def at_temperature(probabilities: Floats, temperature: float) -> Floats:
    """Return rows of probabilities, made more or less sure."""
    raised = np.maximum(probabilities, 1e-9) ** (1 / temperature)
    return raised / raised.sum(axis=1, keepdims=True)


def labels_of(rows: Sequence[Labelled], tasks: Sequence[str]) -> Floats:
    """Return the rows' labels, counted over tasks and complexities."""
    return np.array([tasks.index(row.task) * _LEVELS + COMPLEXITIES.index(row.complexity) for row in rows])


def _data(rows: Sequence[Labelled], tasks: Sequence[str]) -> _Data:
    figures = np.array([figures_of(row.prompt) for row in rows], np.float32)
    vectors = np.array([row.vector for row in rows], np.float32)
    return _Data(figures, vectors, labels_of(rows, tasks), tuple(tasks))


def _dealt(labels: Floats, seed: int) -> Floats:
    """Deal each label's rows out over the folds."""
    order = np.random.default_rng(seed).permutation(len(labels))
    folds = np.zeros(len(labels), int)
    for start, label in enumerate(np.unique(labels)):
        mine = order[labels[order] == label]
        folds[mine] = (np.arange(len(mine)) + start) % FOLDS
    return folds


def temperature_of(probabilities: Floats, labels: Floats) -> float:
    """Return the temperature at which the probabilities fit the labels best."""
    rows = np.arange(len(labels))
    losses = [-np.log(at_temperature(probabilities, each)[rows, labels]).mean() for each in _TEMPERATURES]
    return _TEMPERATURES[int(np.argmin(losses))]


def _fitted(data: _Data, plan: Plan) -> Model:
    mean = data.figures.mean(axis=0)
    scale = 1 / (data.figures.std(axis=0) + _LEAST_SCALE)
    figures = np.clip((data.figures - mean) * scale, -CLIPPED_AT, CLIPPED_AT)
    middle = data.vectors.mean(axis=0)
    axes = np.linalg.svd(data.vectors - middle, full_matrices=False)[2][:_AXES].T
    axes /= ((data.vectors - middle) @ axes).std()
    centre = middle @ axes
    outputs = len(data.tasks) * _LEVELS
    both = np.concatenate((figures, data.vectors @ axes - centre), axis=1)
    return Model(
        "", data.tasks, mean, scale, axes, centre,
        with_vector=_network(both, data.labels, outputs, plan), without=_network(figures, data.labels, outputs, plan),
    )  # fmt: skip


def _network(inputs: Floats, labels: Floats, outputs: int, plan: Plan) -> Network:
    members = [_member(inputs.astype(np.float32), labels, outputs, plan, seed) for seed in range(plan.members)]
    inner, inner_bias, outer, outer_bias = zip(*members, strict=True)
    return Network(
        np.concatenate(inner, axis=1), np.concatenate(inner_bias), np.stack(outer), np.stack(outer_bias), 1.0, 1.0
    )


def _member(inputs: Floats, labels: Floats, outputs: int, plan: Plan, seed: int) -> list[Floats]:
    random = np.random.default_rng(seed)
    wide = inputs.shape[1]
    weights: list[Floats] = [
        random.normal(0, wide**-0.5, (wide, plan.hidden)).astype(np.float32),
        np.zeros(plan.hidden, np.float32),
        random.normal(0, plan.hidden**-0.5, (plan.hidden, outputs)).astype(np.float32),
        np.zeros(outputs, np.float32),
    ]
    wanted = (np.eye(outputs)[labels] * (1 - plan.smoothing) + plan.smoothing / outputs).astype(np.float32)
    optimiser = _Adam(weights, plan, plan.epochs * -(-len(labels) // plan.batch))
    for _ in range(plan.epochs):
        order = random.permutation(len(labels))
        for start in range(0, len(labels), plan.batch):
            rows = order[start : start + plan.batch]
            optimiser.step(_gradients(weights, inputs[rows], wanted[rows], plan, random))
    return weights


def _gradients(
    weights: Sequence[Floats], inputs: Floats, wanted: Floats, plan: Plan, random: np.random.Generator
) -> list[Floats]:
    """Return the gradients of the cross-entropy, some inputs and hidden values dropped."""
    shown = inputs * _kept(inputs.shape, plan.input_dropout, random)
    before = shown @ weights[0] + weights[1]
    kept = _kept(before.shape, plan.hidden_dropout, random) * (before > 0)
    hidden = before * kept
    scores = hidden @ weights[2] + weights[3]
    said = np.exp(scores - scores.max(axis=1, keepdims=True))
    off = (said / said.sum(axis=1, keepdims=True) - wanted) / len(inputs)
    back = (off @ weights[2].T) * kept
    return [shown.T @ back, back.sum(axis=0), hidden.T @ off, off.sum(axis=0)]


def _kept(shape: tuple[int, ...], dropout: float, random: np.random.Generator) -> Floats:
    return (random.random(shape, dtype=np.float32) > dropout).astype(np.float32) / np.float32(1 - dropout)


class _Adam:
    """AdamW with a rate that falls to nothing; biases do not decay."""

    def __init__(self, weights: list[Floats], plan: Plan, steps: int) -> None:
        self._weights = weights
        self._plan = plan
        self._steps = steps
        self._step = 0
        self._means = [np.zeros_like(each) for each in weights]
        self._squares = [np.zeros_like(each) for each in weights]

    def step(self, gradients: Sequence[Floats]) -> None:
        self._step += 1
        rate = self._plan.rate * (1 - self._step / self._steps)
        held = zip(self._weights, self._means, self._squares, gradients, strict=True)
        for weight, mean, square, gradient in held:
            np.add(mean, 0.1 * (gradient - mean), out=mean)
            np.add(square, 0.001 * (gradient**2 - square), out=square)
            ahead = mean / (1 - 0.9**self._step) / (np.sqrt(square / (1 - 0.999**self._step)) + 1e-8)
            np.subtract(weight, rate * (ahead + (self._plan.decay * weight if weight.ndim > 1 else 0)), out=weight)
