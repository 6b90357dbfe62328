"""Which path is served by whom, and what of an answer stands in its head."""

from __future__ import annotations

import pytest

from penstock_common.errors import ScopeMissing
from penstock_gateway.domain.access.policy import INFERENCE, POLICIES
from penstock_gateway.surfaces.http1.lines import header_lines, printable
from penstock_gateway.surfaces.wire_formats.answer_head import _answered_by_lines, bill_lines
from penstock_gateway.surfaces.wire_formats.anthropic import batches as message_batches
from penstock_gateway.surfaces.wire_formats.openai import batches, files, vector_stores
from penstock_gateway.surfaces.wire_formats.routes import Routes
from penstock_gateway.surfaces.wire_formats.surface import listed
from penstock_gateway.surfaces.wire_formats.table import DEFAULT_FAMILY, FORMATS


async def serve(arrival, caller, request, response):
    pass


@pytest.fixture
def routes():
    made = Routes()
    made.add("GET", "/v1/models", DEFAULT_FAMILY, serve)
    made.add("GET", "/v1/models/{id}", DEFAULT_FAMILY, serve)
    made.add("POST", "/v1/chat/completions", DEFAULT_FAMILY, serve)
    made.add("POST", "/v1/completions", DEFAULT_FAMILY, serve)
    made.add("POST", "/v1/embeddings", DEFAULT_FAMILY, serve)
    return made


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/a", "/v1/models/org/a b", "/v1/models/a/"])
def test_path_is_found(routes, path):
    found = routes.find(path)
    assert (found.route.method, found.route.policy) == ("GET", INFERENCE)


@pytest.mark.parametrize(
    ("path", "usual"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions/", "/v1/chat/completions"),
        ("//v1//chat/completions", "/v1/chat/completions"),
        ("/openai/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/models/", "/v1/models"),
        ("/models", "/v1/models"),
        ("/models/org/a", "/v1/models/org/a"),
        ("/v1/models/a//b", "/v1/models/a//b"),
        ("/v1/v1/models/a", "/v1/models/a"),
    ],
)
def test_a_path_may_be_as_a_clients_base_url_makes_it(routes, path, usual):
    found = routes.find(path)
    assert (found.path, found.deployment) == (usual, "")
    assert found.route.policy.sufficient == INFERENCE.sufficient


@pytest.mark.parametrize(
    ("path", "usual", "model"),
    [
        ("/openai/deployments/fast/chat/completions", "/v1/chat/completions", "fast"),
        ("/v1/openai/deployments/fast/chat/completions", None, ""),
        ("/openai/deployments/org/fast/completions", "/v1/completions", "org/fast"),
        ("/openai/deployments/fast/embeddings/", "/v1/embeddings", "fast"),
        ("/openai/v1/deployments/fast/embeddings", "/v1/embeddings", "fast"),
        ("/v1/engines/fast/completions", "/v1/completions", "fast"),
        ("/openai/deployments//chat/completions", None, ""),
        ("/openai/deployments/fast/images/generations", None, ""),
    ],
)
def test_a_path_may_name_the_model(routes, path, usual, model):
    found = routes.find(path)
    assert (found and found.path, found.deployment if found else "") == (usual, model)


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("/v1/chat/completion", "/v1/chat/completions"),
        ("/v1/embedding", "/v1/embeddings"),
        ("/chat/completion", "/v1/chat/completions"),
        ("/v1/fine_tuning/jobs", ""),
        ("/" + "x" * 100_000, ""),
    ],
)
def test_the_nearest_path_is_known(routes, path, nearest):
    assert routes.find(path) is None
    assert routes.nearest(path) == nearest


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/v1/model", "/v1/modelsa", "v1/models", "/metrics"])
def test_other_paths_are_not(routes, path):
    assert routes.find(path) is None


def test_route_without_a_policy_cannot_be_added(routes):
    with pytest.raises(ScopeMissing):
        routes.add("GET", "/v1/assistants", DEFAULT_FAMILY, serve)


def test_formats_have_paths_of_their_own():
    paths = [wire_format.path for wire_format in FORMATS]
    assert len(set(paths)) == len(paths)
    assert listed(paths) == (
        "/v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings, /v1/rerank, /v2/rerank, /v1/moderations, /v1/models,"
        " /v1/vector_stores, /v1/files, /v1/batches, /v1/organization/usage/completions, /v1/messages, /v1/messages/count_tokens"
        " and /v1/messages/batches"
    )


@pytest.mark.parametrize(
    ("method", "path", "policy"),
    [
        ("GET", "/v1/vector_stores/vs_1", "GET /v1/vector_stores/{store}"),
        ("HEAD", "/v1/vector_stores/vs_1", "GET /v1/vector_stores/{store}"),
        ("DELETE", "/vector_stores/vs_1/", "DELETE /v1/vector_stores/{store}"),
        ("POST", "/v1/vector_stores/vs_1/files/file-1", "POST /v1/vector_stores/{store}/files/{file}"),
        ("PUT", "/v1/vector_stores/vs_1", None),
        ("GET", "/v1/vector_stores/vs_1/files/file-1/x", None),
    ],
)
def test_a_path_has_a_policy_for_each_of_its_methods(stores_routes, method, path, policy):
    found = stores_routes.find(path)
    route = None if found is None else found.route.of(method)
    assert (None if route is None else route.policy) == (None if policy is None else POLICIES[policy])


def test_every_action_on_stores_has_a_policy_and_no_other():
    served = {*vector_stores.FORMAT.actions, f"POST {vector_stores.FORMAT.search.path}"}
    served |= {*files.FORMAT.actions, *batches.FORMAT.actions, *message_batches.FORMAT.actions}
    assert served == {
        route
        for route in POLICIES
        if any(name in route for name in ("vector_stores", "/v1/files", "/v1/batches", "/messages/batches"))
    }


@pytest.fixture
def stores_routes():
    made = Routes()
    for action in vector_stores.FORMAT.actions:
        made.add(*action.split(" "), DEFAULT_FAMILY, serve)
    return made


@pytest.mark.parametrize("name", ["a\r\nset-cookie: x", "a\nb", "a\x00b", "\x7f"])
def test_no_name_ends_a_line_of_the_head(name):
    lines = _answered_by_lines(name, name)
    assert lines.count("\r\n") == 2
    assert lines.replace("\r\n", "").isprintable()
    assert printable(name).isprintable()


def test_lines_end():
    assert header_lines([(b"a", b"b"), (b"c", b"d")]) == b"a: b\r\nc: d\r\n"
    assert bill_lines(None, 1.0).startswith(b"x-penstock-cost-usd: unknown\r\n")
    assert bill_lines(12_000, 1.234) == b"x-penstock-cost-usd: 0.000012\r\nx-penstock-overhead-ms: 1.23\r\n"
