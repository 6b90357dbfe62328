"""Reads a Dockerfile, as far as ours go: no heredocs, no shell form but of RUN, no ONBUILD."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

_KNOWN = frozenset({
    "ARG", "FROM", "WORKDIR", "RUN", "COPY", "LABEL", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
})  # fmt: skip
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Step:
    """One instruction: its name, and the rest of it on one line."""

    name: str
    rest: str


@dataclass
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    steps: list[Step] = field(default_factory=list[Step])


@dataclass
class Dockerfile:
    """The stages, and the defaults of what a build may be told before the first."""

    path: Path
    arguments: dict[str, str]
    stages: list[Stage]

    @classmethod
    def read(cls, path: Path) -> Dockerfile:
        """Return what the file says.

        Raises:
            ValueError: if it has an instruction that is not known here.
        """
        read = cls(path, {}, [])
        for step in _steps(path.read_text()):
            if step.name not in _KNOWN:
                raise ValueError(f"{path}: {step.name} is not known here")
            if step.name == "FROM":
                base, _, name = step.rest.partition(" AS ")
                read.stages.append(Stage(substituted(base.strip(), read.arguments), name.strip()))
            elif not read.stages:
                name, _, value = step.rest.partition("=")
                read.arguments[name] = value
            else:
                read.stages[-1].steps.append(step)
        return read

    @property
    def final(self) -> Stage:
        """The stage that becomes the image."""
        return self.stages[-1]

    def words(self, name: str) -> list[list[str]]:
        """Return the words of every such instruction of the final stage."""
        return [words_of(step.rest) for step in self.final.steps if step.name == name]


def _steps(text: str) -> list[Step]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Step(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines())]


def words_of(rest: str) -> list[str]:
    """Return the words of the JSON form or of the plain one."""
    return json.loads(rest) if rest.startswith("[") else shlex.split(rest)


def pairs_of(rest: str) -> dict[str, str]:
    """Return what ENV or LABEL set."""
    return dict(word.split("=", 1) for word in shlex.split(rest))


def substituted(text: str, variables: dict[str, str]) -> str:
    """Return the text with ``$NAME`` and ``${NAME}`` filled in."""
    return _VARIABLE.sub(lambda match: variables.get(match[1] or match[2], ""), text)
