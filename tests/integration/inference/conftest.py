"""Two programmable upstreams and the service before them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from inference_rig import Rig, serving, upstream_settings
from penstock_common.testing.openai_upstream import OpenAIUpstream


@pytest.fixture
async def first() -> AsyncIterator[OpenAIUpstream]:
    """The upstream ``first``."""
    async with OpenAIUpstream() as upstream:
        yield upstream


@pytest.fixture
async def second() -> AsyncIterator[OpenAIUpstream]:
    """The upstream ``second``."""
    async with OpenAIUpstream() as upstream:
        yield upstream


@pytest.fixture
async def rig(first: OpenAIUpstream, second: OpenAIUpstream) -> AsyncIterator[Rig]:
    """The service before ``first/m`` and ``second/m``; the second's window is larger."""
    async with serving(
        upstream_settings("first", first),
        upstream_settings("second", second, model={"context_window": 131072}),
    ) as built:
        yield built


@pytest.fixture
async def served() -> AsyncIterator[Callable[..., Any]]:
    """A function that serves upstreams for the rest of the test and returns the rig."""
    async with AsyncExitStack() as stack:

        async def serve(*upstreams: dict[str, Any]) -> Rig:
            return await stack.enter_async_context(serving(*upstreams))

        yield serve
