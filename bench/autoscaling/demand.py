"""What the chart asks of Prometheus for each role: read out of its template and its values, as Helm would render them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "penstock"
_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_WORD = re.compile(r'\(|\)|:?=|"(?:[^"\\]|\\.)*"|[^\s()]+')

Values = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One trigger: a query that yields one number of all pods together, and how much of it one pod is for."""

    name: str
    query: str
    target: float


def values(changes: Mapping[str, Any] | None = None) -> Values:
    """Return the chart's values, with those of ``changes`` laid over them."""
    return _over(yaml.safe_load((CHART / "values.yaml").read_text()), changes or {})


def questions(role: str, chart_values: Values, namespace: str = "default") -> list[Question]:
    """Return what is asked for a role, in the chart's order."""
    root = {"Values": chart_values, "Release": {"Namespace": namespace}}
    template = (CHART / "templates" / "_scaling.tpl").read_text()
    start = template.index('{{- define "penstock.demand" -}}')
    body = template[start : template.index('{{- define "penstock.demand.metric" -}}')]
    found = _Template({"root": root, "role": role}).run(body)
    return [Question(each["name"], each["query"], float(each["target"])) for each in found]


def _over(base: Values, changes: Mapping[str, Any]) -> Values:
    merged = dict(base)
    for key, value in changes.items():
        merged[key] = _over(merged.get(key) or {}, value) if isinstance(value, Mapping) else value
    return merged


class _Template:
    """As much of Go's templates as the table of demands is written in; anything else is a ``ValueError``."""

    def __init__(self, dot: Values) -> None:
        self._dot, self._variables = dot, dict[str, Any]()

    def run(self, body: str) -> list[Values]:
        taken: list[bool] = []
        """Of each open ``if``: whether this branch runs, and below it whether one has run."""
        done: list[bool] = []
        for action in _ACTION.findall(body):
            verb, _, rest = action.partition(" ")
            if action.startswith("/*") or verb in {"define", "toJson"}:
                continue
            if verb == "if":
                runs = all(taken) and bool(self._value(rest))
                taken.append(runs)
                done.append(runs)
            elif verb == "else":
                _, _, condition = rest.partition(" ")
                taken[-1] = all(taken[:-1]) and not done[-1] and (not rest or bool(self._value(condition)))
                done[-1] = done[-1] or taken[-1]
            elif verb == "end":
                if taken:
                    taken.pop()
                    done.pop()
            elif all(taken):
                self._assign(action)
        return self._variables["$found"]

    def _assign(self, action: str) -> None:
        name, sign, expression = re.split(r"\s+(:?=)\s+", action, maxsplit=1)
        if not name.startswith("$") or not sign:
            raise ValueError(f"not understood: {action}")
        self._variables[name] = self._value(expression)

    def _value(self, text: str) -> Any:
        return self._call(iter([*_WORD.findall(text), ")"]))

    def _call(self, words: Iterator[str]) -> Any:
        parts: list[Any] = []
        verb = ""
        for word in words:
            if word == ")":
                break
            if word == "(":
                parts.append(self._call(words))
            elif not parts and not verb and word in _FUNCTIONS:
                verb = word
            else:
                parts.append(self._atom(word))
        return _FUNCTIONS[verb](*parts) if verb else parts[0]

    def _atom(self, word: str) -> Any:
        if word.startswith('"'):
            return word[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        if word.isdigit():
            return int(word)
        head, *path = word.split(".")
        found = self._variables[head] if head else self._dot
        for key in path:
            found = found[key]
        return found


def _printf(form: str, *values: Any) -> str:
    found = iter(values)
    return re.sub("%[sqv]", lambda m: f'"{next(found)}"' if m[0] == "%q" else f"{next(found)}", form)


_FUNCTIONS: Mapping[str, Any] = {
    "list": lambda *each: list(each),
    "dict": lambda *each: dict(zip(each[::2], each[1::2], strict=True)),
    "append": lambda found, more: [*found, more],
    "printf": _printf,
    "join": lambda mark, each: mark.join(each),
    "mul": lambda a, b: a * b,
    "get": lambda found, key: found[key],
    "eq": lambda a, b: a == b,
    "hasKey": lambda found, key: key in found,
}
