"""How long a search looks at the vectors, and where they are."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from penstock_embedding.app.knowledge_places import vectors_place
from penstock_embedding.settings import Settings

SQL = "sqlite:////nowhere/penstock.db"


@pytest.mark.parametrize(
    ("qdrant", "leg", "seconds"),
    [({}, "2s", 1.0), ({"timeout": "5s"}, "2s", 5.0), ({"url": "http://q:6334"}, "4s", 2.0)],
)
def test_a_search_waits_longer_for_vectors_than_the_cache_does(
    qdrant: dict[str, str], leg: str, seconds: float
) -> None:
    settings = Settings.model_validate({"sql": SQL, "qdrant": qdrant, "knowledge": {"search_leg_timeout": leg}})
    place, folder = vectors_place(settings)
    assert place.timeout == timedelta(seconds=seconds)
    assert folder == (None if "url" in qdrant else Path("/nowhere/knowledge-vectors"))
