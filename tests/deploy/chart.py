"""The Helm chart, rendered by Helm's own library, and what its objects say."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from image_roots import ROOT

CHART = ROOT / "deploy" / "helm" / "penstock"
CASES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((CHART / "ci").glob("*.yaml"))}
KUBERNETES = ("1.31.0", "1.35.0", "1.36.0", "1.37.0")
"""The oldest that the chart takes, and the three minor versions that are maintained."""
ROLES = ("edge", "gateway", "router", "cache", "embedding", "inference", "worker")
WORKLOADS = ("Deployment", "StatefulSet", "Job")
# In C where the library has it.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SOURCE = Path(__file__).with_name("chart_model")

Object = dict[str, Any]


class NoRegistry(Exception):
    """What builds or checks the chart cannot be fetched; the message says what."""


@dataclass(frozen=True)
class Rendered:
    """What became of a chart with some values."""

    files: Mapping[str, str]
    lint: list[str]
    error: str

    @cached_property
    def objects(self) -> list[Object]:
        """Every object, in the order of files."""
        texts = [text for name, text in sorted(self.files.items()) if name != "NOTES.txt"]
        return [found for text in texts for found in yaml.load_all(text, _Loader) if found]

    def of(self, kind: str, name: str | None = None) -> list[Object]:
        """Return the objects of a kind, or the one with a name."""
        return [o for o in self.objects if o["kind"] == kind and name in {None, o["metadata"]["name"]}]

    def only(self, kind: str, name: str) -> Object:
        """Return the one object of that kind and name."""
        (found,) = self.of(kind, name)
        return found

    def pods(self) -> Iterator[tuple[str, Object]]:
        """Yield the name and the pod template of everything that makes pods."""
        for found in self.objects:
            if found["kind"] in WORKLOADS:
                yield found["metadata"]["name"], found["spec"]["template"]

    @property
    def configuration(self) -> dict[str, Any]:
        """What roles find in penstock.yaml."""
        (found,) = [o for o in self.of("ConfigMap") if o["metadata"]["name"].endswith("-configuration")]
        return yaml.safe_load(found["data"]["penstock.yaml"])


def build(go: str, folder: Path) -> Path:
    """Return the program that renders.

    Raises:
        NoRegistry: if Go's proxy is not reachable.
    """
    return build_tool(go, _SOURCE, ".", folder / "chart_model")


def build_tool(go: str, module: Path, package: str, program: Path) -> Path:
    """Build a package of a Go module into ``program``, and return that.

    Raises:
        NoRegistry: if Go's proxy is not reachable.
    """
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    # Not made faster by the compiler: it runs for a second, and is built for a minute.
    flags = ["-gcflags=all=-N -l", "-ldflags=-s -w"]
    built = subprocess.run(
        [go, "build", *flags, "-o", program, package], cwd=module, env=environment, capture_output=True, text=True
    )
    if built.returncode and "dial tcp" in built.stderr:
        raise NoRegistry("the module proxy of Go is not reachable")
    assert not built.returncode, built.stderr
    return program


@dataclass(frozen=True)
class Renderer:
    """Helm's library, at hand."""

    program: Path

    def all_of(self, cases: list[Mapping[str, Any]], **asked: Any) -> list[Rendered]:
        """Render the chart once with each of the values."""
        common = {"release": "penstock", "namespace": "llm", "kubernetes": KUBERNETES[-1], "lint": False, **asked}
        given = json.dumps([{**common, "values": values} for values in cases])
        ran = subprocess.run([self.program, CHART], input=given, capture_output=True, text=True)
        assert not ran.returncode, ran.stderr
        return [Rendered(a["files"] or {}, a["lint"] or [], a["error"]) for a in json.loads(ran.stdout)]

    def one(self, values: Mapping[str, Any], **asked: Any) -> Rendered:
        """Render it once; it must work."""
        (rendered,) = self.all_of([values], **asked)
        assert rendered.error == ""
        return rendered


def over(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with others laid over them, as several `--values` are."""
    merged = dict(base)
    for key, value in more.items():
        merged[key] = over(merged.get(key) or {}, value) if isinstance(value, Mapping) else value
    return merged
