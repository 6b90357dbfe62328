"""``penstock.embedding.v1`` on the wire."""

from __future__ import annotations

from array import array

from penstock.embedding.v1 import embedding_service_pb2 as pb
from penstock_common.contract.embedding import EmbedRequest, EmbedResponse, Purpose, TextVector
from penstock_common.llm.convert import unit_prices_from_proto, unit_prices_to_proto
from penstock_common.llm.types import ModelInfo
from penstock_common.rpc.method import UnaryMethod
from penstock_common.rpc.protobuf import ProtobufCodec

_SERVICE = "/penstock.embedding.v1.EmbeddingService/"
_CAPABILITIES = ("embeddings",)


_PURPOSES: dict[Purpose, pb.EmbeddingPurpose] = {
    "query": pb.EMBEDDING_PURPOSE_QUERY,
    "passage": pb.EMBEDDING_PURPOSE_PASSAGE,
}
_PURPOSE_NAMES: dict[pb.EmbeddingPurpose, Purpose] = {number: name for name, number in _PURPOSES.items()}


def _embed_to(value: EmbedRequest) -> pb.EmbedRequest:
    message = pb.EmbedRequest(model=value.model, inputs=value.texts, dimensions=value.dimensions)
    if value.purpose:
        message.purpose = _PURPOSES[value.purpose]
    return message


def _embed_from(message: pb.EmbedRequest) -> EmbedRequest:
    purpose = _PURPOSE_NAMES.get(message.purpose, "") if message.purpose else ""
    return EmbedRequest(
        model=message.model, texts=tuple(message.inputs), dimensions=message.dimensions, purpose=purpose
    )


def _embedded_to(value: EmbedResponse) -> pb.EmbedResponse:
    return pb.EmbedResponse(
        model=value.model,
        embeddings=[pb.Embedding(values=vector.values, truncated=vector.truncated) for vector in value.vectors],
        input_tokens=value.input_tokens,
        model_revision=value.revision,
        unit_prices=unit_prices_to_proto(value.unit_prices),
        upstream=value.upstream,
        attempts=value.attempts,
        cost_nano_usd=value.cost_nano_usd,
    )


def _embedded_from(message: pb.EmbedResponse) -> EmbedResponse:
    return EmbedResponse(
        vectors=[TextVector(array("f", embedding.values), embedding.truncated) for embedding in message.embeddings],
        model=message.model,
        revision=message.model_revision,
        upstream=message.upstream,
        input_tokens=message.input_tokens,
        unit_prices=unit_prices_from_proto(message.unit_prices),
        attempts=message.attempts,
        cost_nano_usd=message.cost_nano_usd,
    )


def _models_to(value: tuple[ModelInfo, ...]) -> pb.ListModelsResponse:
    return pb.ListModelsResponse(
        models=[
            pb.Model(
                name=model.name,
                context_window_tokens=model.context_window_tokens,
                prices=None if model.prices is None else unit_prices_to_proto(model.prices),
            )
            for model in value
        ]
    )


def _models_from(message: pb.ListModelsResponse) -> tuple[ModelInfo, ...]:
    return tuple(
        ModelInfo(
            name=model.name,
            capabilities=_CAPABILITIES,
            context_window_tokens=model.context_window_tokens,
            prices=unit_prices_from_proto(model.prices) if model.HasField("prices") else None,
        )
        for model in message.models
    )


EMBED = UnaryMethod[EmbedRequest, EmbedResponse](
    f"{_SERVICE}Embed",
    ProtobufCodec(pb.EmbedRequest, _embed_to, _embed_from),
    ProtobufCodec(pb.EmbedResponse, _embedded_to, _embedded_from),
)
LIST_MODELS = UnaryMethod[None, tuple[ModelInfo, ...]](
    f"{_SERVICE}ListModels",
    ProtobufCodec(pb.ListModelsRequest, lambda _: pb.ListModelsRequest(), lambda _: None),
    ProtobufCodec(pb.ListModelsResponse, _models_to, _models_from),
)
