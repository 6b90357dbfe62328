"""What the configuration says of compression, as the domain knows it."""

from __future__ import annotations

from collections.abc import Iterable

from penstock_common.compression import CompressionSettings
from penstock_common.configuration import ConfigurationError
from penstock_gateway.adapters.llmlingua import LlmLingua, is_installed
from penstock_gateway.adapters.services.vectors import EmbeddedVectors
from penstock_gateway.domain.compression.terms import Method, Terms
from penstock_gateway.domain.life.compression import ContextCompression
from penstock_gateway.domain.life.ports import TextEmbedder
from penstock_gateway.settings import Settings


def terms_of(settings: CompressionSettings) -> Terms:
    """Return what holds for a public model."""
    return Terms(
        method=Method(settings.method),
        llmlingua2_model=settings.llmlingua2_model,
        by_default=settings.by_default,
        keep=settings.keep,
        min_tokens=settings.min_tokens,
        meaning=settings.meaning,
        user_context=settings.user_context,
        patience_seconds=settings.timeout.total_seconds(),
    )


def terms_by_name(settings: Settings) -> dict[str, Terms]:
    """Return what holds for the public models that have ``compression``, by their names."""
    return {one.name: terms_of(one.compression) for one in settings.models if one.compression is not None}


def compression_for(settings: Settings, embedder: TextEmbedder) -> ContextCompression:
    """Return the step that compresses contexts.

    Raises:
        ConfigurationError: as ``rewriter_for``.
    """
    terms = terms_by_name(settings)
    return ContextCompression(terms, EmbeddedVectors(embedder), rewriter_for(terms.values()))


def rewriter_for(terms: Iterable[Terms]) -> LlmLingua | None:
    """Return who leaves words out, where terms ask for that.

    Raises:
        ConfigurationError: if what it needs is not installed.
    """
    if all(one.method is not Method.LLMLINGUA2 for one in terms):
        return None
    if not is_installed():
        raise ConfigurationError(
            "compression.method 'llmlingua2' needs the package 'llmlingua', which is not installed: "
            "install it beside penstock, or set 'extract'"
        )
    return LlmLingua()
