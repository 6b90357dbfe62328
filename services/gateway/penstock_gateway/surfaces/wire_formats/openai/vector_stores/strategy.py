"""Chunking strategies: how a store's files are cut, which all of them have in common."""

from __future__ import annotations

from penstock_common.contract.knowledge import IndexSpec, Splitter
from penstock_common.errors import InvalidRequest, UnsupportedParameter
from penstock_gateway.surfaces.wire_formats.openai.vector_stores import wire

_FIELD = "chunking_strategy"
_LEAST_TOKENS, _MOST_TOKENS = 100, 4096
# Those of the contract's Splitter.
_DEFAULT_TOKENS = 192
_DEFAULT_OVERLAP_PART = 8


def splitter_of(strategy: wire.ChunkingStrategy | None) -> Splitter:
    """Return how a strategy cuts; the default for ``auto``, and where there is none.

    Raises:
        InvalidRequest: if it is not whole, or says a number that may not be.
    """
    if strategy is None:
        return Splitter()
    static, field = strategy.static, f"{_FIELD}.static"
    if strategy.type == "auto":
        if static is not None:
            raise InvalidRequest(f"'{field}' is only allowed with the type 'static'.", field=field)
        return Splitter()
    if static is None:
        raise InvalidRequest(f"'{field}' is required with the type 'static', but it is missing.", field=field)
    size, overlap = static.max_chunk_size_tokens, static.chunk_overlap_tokens
    if not _LEAST_TOKENS <= size <= _MOST_TOKENS:
        at = f"{field}.max_chunk_size_tokens"
        raise InvalidRequest(f"'{at}' must be {_LEAST_TOKENS} to {_MOST_TOKENS}, but is {size}.", field=at)
    if not 0 <= overlap <= size // 2:
        at = f"{field}.chunk_overlap_tokens"
        raise InvalidRequest(f"'{at}' must be 0 to half of 'max_chunk_size_tokens', but is {overlap}.", field=at)
    return Splitter(max_tokens=size, overlap_tokens=overlap)


def check_same(strategy: wire.ChunkingStrategy | None, spec: IndexSpec | None) -> None:
    """Check that a file is to be cut as all of its store are.

    Raises:
        InvalidRequest: as ``splitter_of``.
        UnsupportedParameter: if it is to be cut otherwise.
    """
    wanted = splitter_of(strategy)
    if wanted == Splitter() or (spec is not None and _sizes(wanted) == _sizes(spec.splitter)):
        return
    raise UnsupportedParameter(
        f"'{_FIELD}' of a file must be the vector store's: all its files are cut alike. Give it when you create the store.",
        parameter=_FIELD,
    )


def strategy_told(spec: IndexSpec | None) -> wire.StrategyTold:
    """Return how the files of an index are cut."""
    if spec is None:
        return wire.StrategyTold(type="other")
    size, overlap = _sizes(spec.splitter)
    return wire.StrategyTold(
        type="static", static=wire.StaticTold(max_chunk_size_tokens=size, chunk_overlap_tokens=overlap)
    )


def _sizes(splitter: Splitter) -> tuple[int, int]:
    size = splitter.max_tokens or _DEFAULT_TOKENS
    overlap = splitter.overlap_tokens
    return size, size // _DEFAULT_OVERLAP_PART if overlap is None else overlap
