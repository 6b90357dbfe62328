"""What was learned, as arithmetic: an ensemble of small networks over the figures, and over the vector where there is one."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from penstock_router.domain.classification.features import names

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPLEXITIES = ("low", "medium", "high")
# Standardised figures beyond it say no more.
CLIPPED_AT = 4.0
_LEAST = 1e-9


class Unusable(Exception):
    """Weights that are not for this classifier."""


class Network(NamedTuple):
    """Members side by side, one hidden layer each: (inputs, members x hidden), (members, hidden, outputs)."""

    inner: NDArray[Any]
    inner_bias: NDArray[Any]
    outer: NDArray[Any]
    outer_bias: NDArray[Any]
    task_temperature: float
    complexity_temperature: float

    def probabilities(self, figures: NDArray[Any]) -> NDArray[Any]:
        """Return how probable each label is, tasks times complexities, averaged over the members."""
        import numpy as np

        members, hidden, _ = self.outer.shape
        inner = np.maximum(figures @ self.inner + self.inner_bias, 0).reshape(members, 1, hidden)
        scores = np.exp((inner @ self.outer)[:, 0] + self.outer_bias)
        return (scores / scores.sum(axis=1, keepdims=True)).mean(axis=0)


class Model(NamedTuple):
    """Weights, and what they are for."""

    version: str
    tasks: tuple[str, ...]
    mean: NDArray[Any]
    scale: NDArray[Any]
    axes: NDArray[Any]
    """(dimensions of the vector, principal axes), scaled."""
    centre: NDArray[Any]
    with_vector: Network
    without: Network

    def network(self, vector: Sequence[float] | None) -> Network:
        """Return the one for the vector, or for none where it has another size."""
        return self.with_vector if vector is not None and len(vector) == len(self.axes) else self.without

    def joint(self, figures: Sequence[float], vector: Sequence[float] | None) -> NDArray[Any]:
        """Return how probable each task with each complexity is: (tasks, complexities)."""
        import numpy as np

        network = self.network(vector)
        inputs = np.minimum(
            np.maximum((np.array(figures, np.float32) - self.mean) * self.scale, -CLIPPED_AT), CLIPPED_AT
        )
        if network is self.with_vector:
            inputs = np.concatenate((inputs, np.asarray(vector, np.float32) @ self.axes - self.centre))
        return network.probabilities(inputs).reshape(len(self.tasks), len(COMPLEXITIES))


def tempered(probabilities: Sequence[float], temperature: float) -> list[float]:
    """Return the probabilities, made as sure as they are right."""
    raised = [max(each, _LEAST) ** (1 / temperature) for each in probabilities]
    total = sum(raised)
    return [each / total for each in raised]


@cache
def shipped() -> Model:
    """Return the model of this package."""
    return read((files("penstock_router.domain.classification") / "weights.npz").read_bytes())


def read(content: bytes) -> Model:
    """Return the model of a file of weights.

    Raises:
        Unusable: if the file is none, or was trained on other figures than these.
    """
    import numpy as np

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            held = {name: arrays[name].astype(np.float32) for name in arrays.files if name != "about"}
        if about["figures"] != _figures():
            raise Unusable("the weights were trained on other figures of a prompt than this version sees: train again")
        return Model(
            version=about["name"] + "-" + hashlib.sha256(content).hexdigest()[:8],
            tasks=tuple(about["tasks"]),
            **{name: held[name] for name in ("mean", "scale", "axes", "centre")},
            with_vector=_network("with_vector", held, about),
            without=_network("without", held, about),
        )
    except (ValueError, KeyError, OSError, TypeError, EOFError) as error:
        raise Unusable(f"no weights of the classifier: {error}") from None


def _network(name: str, held: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Network:
    inner, inner_bias, outer, outer_bias = (held[f"{name}_{part}"] for part in Network._fields[:4])
    return Network(inner, inner_bias, outer, outer_bias, *about["temperatures"][name])


def packed(model: Model, name: str) -> bytes:
    """Return the file of the model, in half precision."""
    import numpy as np

    about = {
        "name": name,
        "tasks": model.tasks,
        "figures": _figures(),
        "temperatures": {each: getattr(model, each)[-2:] for each in ("with_vector", "without")},
    }
    arrays = {each: getattr(model, each) for each in ("mean", "scale", "axes", "centre")}
    for each in ("with_vector", "without"):
        network: Network = getattr(model, each)
        arrays |= {f"{each}_{part}": getattr(network, part) for part in network._fields[:4]}
    halves = {each: array.astype(np.float16) for each, array in arrays.items()}
    file = io.BytesIO()
    np.savez_compressed(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **halves)
    return file.getvalue()


def _figures() -> str:
    return hashlib.sha256("\n".join(names()).encode()).hexdigest()[:16]
