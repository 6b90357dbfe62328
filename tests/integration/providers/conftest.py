"""An inference service in this process, with scripted upstreams behind real sockets."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock_common.testing.generations import GenerationCaller
from penstock_common.testing.transports import IN_PROCESS, channel_to
from penstock_faults.gates import Gates
from penstock_faults.http.server import ScriptedUpstream
from penstock_faults.playback import Playback
from penstock_faults.script import Answer, Script, Step
from penstock_inference.adapters.providers.http.access_token import Token
from penstock_inference.adapters.providers.vertex.credentials import GoogleCredentials
from penstock_inference.app import build
from penstock_inference.domain.generation import Pauses
from penstock_inference.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))

from wires import WIRES  # noqa: E402


@dataclass
class Stage:
    """One provider's upstream, asked through the service; ``plays`` says what it does next."""

    caller: GenerationCaller
    server: ScriptedUpstream
    gates: Gates
    playback: Playback

    def plays(self, script: Script | Answer) -> None:
        """Let the next requests meet this."""
        self.playback = Playback(script if isinstance(script, Script) else Script(steps=(Step(answer=script),)))

    @property
    def last(self) -> Any:
        """The request that came last."""
        return self.server.record.requests[-1]


async def _at_once(_seconds: float) -> None:
    """A pause that is over."""


async def _granted(_credentials: GoogleCredentials) -> Token:
    return Token("ya29.ours", 3600)


@pytest.fixture(autouse=True)
def google_grants_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks Google, and the machine has no account there."""
    monkeypatch.setattr(GoogleCredentials, "obtain", _granted)


@asynccontextmanager
async def staged(provider: str, **more: Any) -> AsyncGenerator[Stage]:
    """Yield a stage of one provider."""
    gates = Gates()
    async with AsyncExitStack() as stack:
        stage: Stage
        server = await stack.enter_async_context(ScriptedUpstream(lambda _: stage.playback, gates=gates))
        settings = Settings.model_validate({"upstreams": [WIRES[provider].upstream(provider, server, **more)]})
        service = await stack.enter_async_context(build(settings, Pauses(chance=lambda: 0.0, sleep=_at_once)))
        caller = GenerationCaller(await stack.enter_async_context(channel_to(service, IN_PROCESS)))
        stage = Stage(caller, server, gates, Playback(Script()))
        yield stage


@pytest.fixture
async def stage_of() -> AsyncGenerator[Callable[..., Any]]:
    """A function that opens a stage for the rest of the test."""
    async with AsyncExitStack() as stack:

        async def opened(provider: str, **more: Any) -> Stage:
            return await stack.enter_async_context(staged(provider, **more))

        yield opened
