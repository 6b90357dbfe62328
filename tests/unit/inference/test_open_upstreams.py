"""Which upstreams stay open where a revision of the configuration cannot be made."""

from __future__ import annotations

import pytest

from penstock_inference.adapters.providers.open_upstreams import OpenUpstreams
from penstock_inference.domain.health.registry import Health
from penstock_inference.settings import Settings


async def test_an_upstream_that_cannot_be_opened_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    model = {"name": "m", "context_window": 4096}
    upstreams = [
        {"name": name, "provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "models": [model]}
        for name in ("first", "second")
    ]
    settings = Settings.model_validate({"upstreams": upstreams}).upstreams
    async with OpenUpstreams.opening(Health()) as open_upstreams:
        pool = OpenUpstreams._pool

        def refused(self, upstream, opened):
            if upstream.name == "second":
                raise ValueError("no address")
            return pool(self, upstream, opened)

        monkeypatch.setattr(OpenUpstreams, "_pool", refused)
        with pytest.raises(ValueError, match="no address"):
            await open_upstreams.of(settings)
        assert open_upstreams.count == 0
