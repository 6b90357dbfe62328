"""The demonstration model's runtime, imported from the folder that Triton's backend runs it from."""

import importlib
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "triton" / "repository" / "penstock-demo" / "1"
MODULES = ("generator", "limits", "prefix_cache", "sampling", "transformer")
END_SECONDS = 60.0


@dataclass(eq=False)
class Caller:
    """Keeps an answer; `on_token` runs in the generation thread, between two steps."""

    on_token: Any = None
    text: str = ""
    tokens: int = 0
    reused_tokens: int | None = None
    finish_reason: str = ""
    error: str = ""
    is_gone: bool = False
    released: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    def is_cancelled(self) -> bool:
        return self.is_gone

    def begin(self, reused_tokens: int) -> None:
        self.reused_tokens = reused_tokens

    def deliver(self, text: str, output_tokens: int, finish_reason: str) -> None:
        self.text += text
        self.tokens += output_tokens
        self.finish_reason = finish_reason
        if self.on_token is not None:
            self.on_token(self)
        if finish_reason:
            self.done.set()

    def fail(self, message: str) -> None:
        self.error = message
        self.done.set()

    def release(self) -> None:
        self.released = True
        self.done.set()

    def wait(self) -> "Caller":
        assert self.done.wait(END_SECONDS), "the answer never ended"
        return self


@pytest.fixture(scope="session")
def runtime() -> Any:
    """The runtime's modules, by name."""
    sys.path.insert(0, str(FOLDER))
    try:
        return SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture
def start(runtime: Any) -> Any:
    """Start a generator with these limits, closed with the test; `ask` submits a prompt."""
    generators: list[Any] = []

    def start(count: Any = None, **limits: int) -> SimpleNamespace:
        counting = {"count": count} if count is not None else {}
        generator = runtime.generator.Generator(FOLDER, runtime.limits.Limits(**limits), **counting)
        generators.append(generator)

        def ask(prompt: str, caller: Caller | None = None, **parameters: Any) -> Caller:
            asking = caller or Caller()
            generator.submit(generator.encode(prompt), runtime.sampling.SamplingParameters(**parameters), asking)
            return asking

        return SimpleNamespace(ask=ask, encode=generator.encode, generator=generator)

    yield start
    for generator in generators:
        generator.close()


@pytest.fixture
def make_caller() -> type[Caller]:
    return Caller
