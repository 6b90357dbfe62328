"""EmbeddingService: ask the domain, say how it went."""

from __future__ import annotations

from array import array

from penstock_common.contract.embedding import EmbedRequest, EmbedResponse, Purpose, TextVector
from penstock_common.llm.types import ModelInfo
from penstock_common.rpc.server_call import ServerCall
from penstock_common.telemetry.steps import Step, Steps
from penstock_embedding.domain.account import Account, most_of
from penstock_embedding.domain.embedder import EmbedCall, Embedded, Embedder, ModelOffer
from penstock_embedding.domain.registry import ModelRegistry


class EmbeddingServicer:
    """Serves the models of a ``ModelRegistry``."""

    def __init__(self, models: ModelRegistry) -> None:
        self._models = models

    async def embed(self, request: EmbedRequest, call: ServerCall) -> EmbedResponse:
        """Return one vector per text, in their order."""
        embedder = self._models.embedder(request.model)
        # Of a change of prices meanwhile a request that runs knows nothing.
        offer = embedder.offer
        with call.steps.step("embedding.embed", inputs=len(request.texts)) as step:
            account = Account(Steps(step.children))
            asked = EmbedCall(request.texts, request.model, request.dimensions, call.deadline, account, request.purpose)
            try:
                embedded = await embedder.embed(asked)
            except BaseException:
                _note_owed(account, offer, step)
                raise
            step.attributes["input_tokens"] = embedded.input_tokens
        return _response(embedder, request.purpose, embedded, account, offer)

    async def list_models(self, request: None, call: ServerCall) -> tuple[ModelInfo, ...]:
        """Return the models, the service's own first."""
        return tuple(
            [
                ModelInfo(
                    name=embedder.model_name,
                    capabilities=("embeddings",),
                    context_window_tokens=embedder.offer.context_window_tokens,
                    prices=embedder.offer.most,
                )
                for embedder in self._models.all
            ]
        )


def _response(
    embedder: Embedder, purpose: Purpose, embedded: Embedded, account: Account, offer: ModelOffer
) -> EmbedResponse:
    pairs = zip(embedded.vectors, embedded.truncated, strict=True)
    upstream = most_of(account.answered, offer.upstream)
    return EmbedResponse(
        vectors=[TextVector(array("f", vector), truncated) for vector, truncated in pairs],
        model=embedder.model_name,
        revision=embedder.revision_of(purpose),
        upstream=upstream,
        input_tokens=embedded.input_tokens,
        unit_prices=offer.price_of(upstream),
        attempts=account.attempts,
        cost_nano_usd=offer.cost_nano_usd(account.answered),
    )


def _note_owed(account: Account, offer: ModelOffer, step: Step) -> None:
    """Tell what a caller owes who left, or whose time is over; whether it is their doing the gateway knows."""
    if account.attempts:
        step.attributes["attempts"] = account.attempts
    owed = account.owed
    if owed:
        upstream = most_of(owed, offer.upstream)
        step.attributes |= {
            "owed_input_tokens": sum(owed.values()),
            "owed_cost_nano_usd": offer.cost_nano_usd(owed),
            "input_nano_usd": offer.price_of(upstream).input_nano_usd,
            "upstream": upstream,
        }
