"""The models that are served, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from penstock_common.errors import ModelNotFound
from penstock_embedding.domain.embedder import Embedder


class ModelRegistry:
    """The service's own model and the further ones; each name is one model's."""

    def __init__(self, own: Embedder, further: Sequence[Embedder] = ()) -> None:
        self._own = own
        self._by_name: Mapping[str, Embedder] = {embedder.model_name: embedder for embedder in (own, *further)}

    @property
    def all(self) -> Sequence[Embedder]:
        """All models, the service's own first."""
        return tuple(self._by_name.values())

    def embedder(self, name: str) -> Embedder:
        """Return a model's; an empty name is the service's own.

        Raises:
            ModelNotFound: if there is none of the name.
        """
        if not name:
            return self._own
        if (found := self._by_name.get(name)) is None:
            served = ", ".join(f"'{known}'" for known in self._by_name)
            raise ModelNotFound(
                f"The embedding model '{name}' is not served here; {served} {'is' if len(self._by_name) == 1 else 'are'}.",
                model=name,
            )
        return found
