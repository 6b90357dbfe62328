"""Which models a caller sees, those that exist and that its key and tenant permit, and which of them a request goes to."""

from __future__ import annotations

from penstock_common.contract.router import RouteRequest, requirements_of
from penstock_common.errors import ModelNotFound
from penstock_common.llm.types import GenerationInput, ModelInfo, RequestContext, RouteExplanation
from penstock_gateway.domain.access.identity import Caller
from penstock_gateway.domain.life.forks import Forks
from penstock_gateway.domain.life.ports import Router, TextEmbedder


class ModelDirectory:
    """The router's models and the embedding service's, as far as a caller may use them."""

    def __init__(self, router: Router, embedder: TextEmbedder, forks: Forks) -> None:
        self._router = router
        self._embedder = embedder
        self._forks = forks

    async def visible_to(self, caller: Caller) -> list[ModelInfo]:
        """Return the models that ``caller`` may use, by name."""
        models = [*await self._router.models(), *await self._embedder.models()]
        return sorted((model for model in models if caller.may_use(model.name)), key=lambda model: model.name)

    async def find(self, caller: Caller, name: str) -> ModelInfo:
        """Return one model.

        Raises:
            ModelNotFound: if it does not exist, or the caller may not use it.
        """
        for model in await self.visible_to(caller):
            if model.name == name:
                return model
        raise _not_found(name)

    async def explain(self, caller: Caller, request: GenerationInput, context: RequestContext) -> RouteExplanation:
        """Return how a chat request of ``caller`` would be routed now.

        Raises:
            ModelNotFound: if the model does not exist, or the caller may not use it.
        """
        if not caller.may_use(request.model):
            raise _not_found(request.model)
        needs, regions = requirements_of(request), caller.tenant.regions
        asked = RouteRequest(model=request.model, requirements=needs, allowed_regions=regions)
        if request.model in self._forks.names:
            asked = self._forks.told(asked, request, caller, context)
        return await self._router.explain(asked)


def _not_found(name: str) -> ModelNotFound:
    return ModelNotFound(f"The model '{name}' does not exist, or your key may not use it.", model=name)
