"""A model as `penstock models` shows it."""

from __future__ import annotations

import msgspec


class ModelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A model at an upstream, and the public names that it may answer to."""

    upstream: str
    model: str
    state: str
    """ready, loading, unloading or unavailable; empty where the upstream does not tell."""
    reason: str
    """Why it is not ready, in the upstream's words."""
    controllable: bool
    """Whether it can be loaded and unloaded."""
    context_window_tokens: int
    public_names: tuple[str, ...]
