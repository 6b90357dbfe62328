"""The collections of the server, and what it answers about them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import qdrant_edge as edge
from qdrant_client import grpc as _qdrant

from penstock_faults.qdrant import convert

# The generated code has no types.
_pb: Any = _qdrant


class Refused(Exception):
    """What the caller is told."""

    def __init__(self, status: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.status = status


@dataclass
class Collection:
    """A collection, with the requests that made it and its indexes."""

    request: Any
    shard: Any
    indexes: dict[str, Any] = field(default_factory=dict[str, Any])


class Collections:
    """Answers messages of services Collections and Points, each method one of theirs."""

    def __init__(self, folder: Path) -> None:
        self.without_filters = False
        """Whether every search and page has the points of everybody."""
        self._folder = folder
        self._collections: dict[str, Collection] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._collections))

    def __getitem__(self, name: str) -> Collection:
        return self._collections[name]

    def drop(self, name: str) -> None:
        """Lose a collection."""
        self._collections.pop(name).shard.close()
        shutil.rmtree(self._folder / name)

    def drop_index(self, name: str, field_name: str) -> None:
        """Lose an index."""
        kept = self._collections[name]
        del kept.indexes[field_name]
        kept.shard.update(edge.UpdateOperation.delete_field_index(field_name))

    def create(self, request: Any) -> Any:
        """Make a collection."""
        name = request.collection_name
        if name in self._collections:
            raise Refused(grpc.StatusCode.ALREADY_EXISTS, f"Wrong input: Collection `{name}` already exists!")
        shard = edge.EdgeShard.create(str(self._folder / name), convert.configuration(request))
        self._collections[name] = Collection(request, shard)
        return _pb.CollectionOperationResponse(result=True)

    def info(self, request: Any) -> Any:
        """Tell how a collection is."""
        kept = self._found(request)
        made = kept.request
        info = _pb.CollectionInfo(points_count=kept.shard.count(edge.CountRequest()))
        info.config.params.vectors_config.CopyFrom(made.vectors_config)
        info.config.params.sparse_vectors_config.CopyFrom(made.sparse_vectors_config)
        info.config.hnsw_config.CopyFrom(made.hnsw_config)
        info.config.strict_mode_config.CopyFrom(made.strict_mode_config)
        for name, index in kept.indexes.items():
            info.payload_schema[name].data_type = index.field_type + 1
        return _pb.GetCollectionInfoResponse(result=info)

    def index(self, request: Any) -> Any:
        """Make an index."""
        kept = self._found(request)
        kept.shard.update(edge.UpdateOperation.create_field_index(request.field_name, convert.index_of(request)))
        kept.indexes[request.field_name] = request
        return _done()

    def upsert(self, request: Any) -> Any:
        """Keep points."""
        kept = self._found(request)
        for point in request.points:
            _check_dimensions(kept, point.vectors)
        condition = convert.filter_of(request.update_filter) if request.HasField("update_filter") else None
        points = [convert.point_of(point) for point in request.points]
        kept.shard.update(edge.UpdateOperation.upsert_points(points, condition=condition))
        return _done()

    def query(self, request: Any) -> Any:
        """Search."""
        kept = self._found(request)
        strict = kept.request.strict_mode_config
        nearest = request.query.nearest
        if not nearest.HasField("sparse"):
            _check_dimension(kept, request.using, len(nearest.dense.data))
        if strict.enabled and request.limit > strict.max_query_limit > 0:
            raise Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f'Wrong input: Limit exceeded {request.limit} > {strict.max_query_limit} for "limit"',
            )
        if strict.enabled and request.params.hnsw_ef > strict.search_max_hnsw_ef > 0:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, 'Wrong input: Limit exceeded for "hnsw_ef"')
        found = kept.shard.search(
            edge.SearchRequest(
                edge.Query.Nearest(convert.vector_of(nearest), request.using or None),
                request.limit,
                filter=self._filter(kept, request.filter),
                params=convert.params_of(request.params),
                with_payload=list(request.with_payload.include.fields) or True,
                score_threshold=request.score_threshold if request.HasField("score_threshold") else None,
            )
        )
        return _pb.QueryResponse(result=map(convert.scored_to, found))

    def scroll(self, request: Any) -> Any:
        """Return a page."""
        kept = self._found(request)
        records, following = kept.shard.scroll(
            edge.ScrollRequest(
                offset=request.offset.uuid or None,
                limit=request.limit,
                filter=self._filter(kept, request.filter),
                with_payload=True,
                with_vector=request.with_vectors.enable,
            )
        )
        response = _pb.ScrollResponse(result=map(convert.record_to, records))
        if following is not None:
            response.next_page_offset.uuid = str(following)
        return response

    def count(self, request: Any) -> Any:
        """Count."""
        kept = self._found(request)
        chosen = self._filter(kept, request.filter) if request.HasField("filter") else None
        count = kept.shard.count(edge.CountRequest(exact=request.exact, filter=chosen))
        return _pb.CountResponse(result=_pb.CountResult(count=count))

    def delete(self, request: Any) -> Any:
        """Delete by a filter."""
        kept = self._found(request)
        chosen = self._filter(kept, request.points.filter)
        kept.shard.update(edge.UpdateOperation.delete_points_by_filter(chosen))
        return _done()

    def set_payload(self, request: Any) -> Any:
        """Change fields by a filter."""
        kept = self._found(request)
        chosen = self._filter(kept, request.points_selector.filter)
        kept.shard.update(edge.UpdateOperation.set_payload_by_filter(chosen, convert.payload_of(request.payload)))
        return _done()

    def _found(self, request: Any) -> Collection:
        name = request.collection_name
        kept = self._collections.get(name)
        if kept is None:
            raise Refused(grpc.StatusCode.NOT_FOUND, f"Not found: Collection `{name}` doesn't exist!")
        return kept

    def _filter(self, kept: Collection, message: Any) -> Any:
        if kept.request.strict_mode_config.enabled:
            for name in convert.fields_of(message):
                if name not in kept.indexes:
                    raise Refused(
                        grpc.StatusCode.INVALID_ARGUMENT,
                        f'Bad request: Index required but not found for "{name}". Help: Create an index for this key '
                        "or use a different filter.",
                    )
        return None if self.without_filters else convert.filter_of(message)


def _check_dimensions(kept: Collection, vectors: Any) -> None:
    if vectors.WhichOneof("vectors_options") == "vector":
        _check_dimension(kept, "", len(vectors.vector.dense.data))
        return
    for name, vector in vectors.vectors.vectors.items():
        if not vector.HasField("sparse"):
            _check_dimension(kept, name, len(vector.dense.data))


def _check_dimension(kept: Collection, name: str, length: int) -> None:
    vectors = kept.request.vectors_config
    known = vectors.params_map.map if vectors.HasField("params_map") else {"": vectors.params}
    if name not in known:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, f"Wrong input: Not existing vector name error: {name}")
    expected = known[name].size
    if length != expected:
        raise Refused(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"Wrong input: Vector dimension error: expected dim: {expected}, got {length}",
        )


def _done() -> Any:
    return _pb.PointsOperationResponse(result=_pb.UpdateResult(status=_pb.UpdateStatus.Value("Completed")))
