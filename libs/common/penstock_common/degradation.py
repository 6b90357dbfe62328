"""Settings ``models[].degradation``: what callers are given where all candidates of a model have failed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from penstock_common.configuration import Duration, Section
from penstock_common.faults import KeyPath, nearest, refuse, refuse_key
from penstock_common.llm.types import GENERAL_TASK, Degradation

LONGEST_STALE = timedelta(days=30)
_MOST_CHARACTERS = 16_384

# As the router tells them in a plan's decision.
Task = Literal["faq", "code", "reasoning", "internal_docs", "general"]


def _says_something(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "a text that says something is expected")
    return text


def _of_bounded_length(value: timedelta) -> timedelta:
    if not timedelta() < value <= LONGEST_STALE:
        raise PydanticCustomError(
            "duration", "longer than zero and at most {days}d is expected", {"days": LONGEST_STALE.days}
        )
    return value


Text = Annotated[str, Field(max_length=_MOST_CHARACTERS), AfterValidator(_says_something)]
StaleFor = Annotated[Duration, AfterValidator(_of_bounded_length)]


class DegradationStep(Section):
    """One step of a model's ladder: one of its keys, and no other."""

    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """Another public model, a smaller one, is asked, and billed at its own price."""
    stale_if_error: StaleFor | None = None
    """An equal request's answer is given from the cache that has been past its life for at most this long, such as 24h."""
    template: Text | None = None
    """This text is the answer, and costs nothing."""
    templates: dict[Task, Text] | None = None
    """The same, by kind of task; ``general`` is for all others, and must be there."""

    @model_validator(mode="after")
    def _one_of_them(self) -> DegradationStep:
        if len(set_here := [name for name in type(self).model_fields if getattr(self, name) is not None]) != 1:
            found = f"; {' and '.join(set_here)} are two steps" if set_here else ""
            refuse_key(f"one of model, stale_if_error, template and templates is expected{found}")
        if self.templates is not None and GENERAL_TASK not in self.templates:
            refuse(
                [(("templates",), f"a text for '{GENERAL_TASK}' is missing, which is for every task without its own")]
            )
        return self

    @property
    def kind(self) -> Degradation:
        """Return what callers are told that they have been given."""
        if self.model is not None:
            return Degradation.SMALLER_MODEL
        return Degradation.TEMPLATE if self.stale_if_error is None else Degradation.STALE

    @property
    def texts(self) -> Mapping[str, str]:
        """Return a template's texts by task; none where it is another step."""
        if self.templates is not None:
            return {str(task): text for task, text in self.templates.items()}
        return {} if self.template is None else {GENERAL_TASK: self.template}


class OnBudget(Section):
    """What is given in the place of a model for which a budget has no room."""

    model: Annotated[str, Field(min_length=1, max_length=128)]
    """Another public model, a cheaper one, is asked, where the key may use it and the budget has room for it."""


def faults_of_ladders(ladders: Sequence[tuple[str, Sequence[DegradationStep]]]) -> list[list[tuple[KeyPath, str]]]:
    """Return what is wrong with the ladder of each public model, in their order; paths are below its ``degradation``."""
    smaller = {name: step.model for name, ladder in ladders for step in ladder if step.model is not None}
    known = {name for name, _ in ladders}
    return [_faults_of(name, ladder, known, smaller) for name, ladder in ladders]


def fault_of_on_budget(name: str, instead: OnBudget | None, known: Collection[str]) -> str:
    """Return what is wrong with what stands in for a public model; empty where nothing is."""
    if instead is None or (instead.model in known and instead.model != name):
        return ""
    if instead.model == name:
        return f"the model '{name}' stands in for itself"
    return f"'{instead.model}' is to stand in for '{name}', and is no public model{nearest(instead.model, known)}"


def _faults_of(
    name: str,
    ladder: Sequence[DegradationStep],
    known: Collection[str],
    smaller: Mapping[str, str],
) -> list[tuple[KeyPath, str]]:
    faults: list[tuple[KeyPath, str]] = []
    for index, step in enumerate(ladder):
        if step.kind in {earlier.kind for earlier in ladder[:index]}:
            faults.append(((index,), f"the model '{name}' has two steps of this kind, and may have one"))
        if step.model is None:
            continue
        path: KeyPath = (index, "model")
        if step.model not in known:
            text = f"the model '{name}' falls back on '{step.model}', which is no public model"
            faults.append((path, text + nearest(step.model, known)))
        elif step.model == name:
            faults.append((path, f"the model '{name}' falls back on itself"))
        elif name in (way := _way_down(step.model, smaller)):
            shown = " to ".join(f"'{each}'" for each in (name, *way[: way.index(name) + 1]))
            faults.append((path, f"models fall back on one another in a circle, {shown}; one of them is the smallest"))
    return faults


def _way_down(name: str, smaller: Mapping[str, str]) -> list[str]:
    """Return the models that a walk from one smaller model to the next comes by, none twice."""
    way: list[str] = []
    while name not in way:
        way.append(name)
        if name not in smaller:
            break
        name = smaller[name]
    return way
