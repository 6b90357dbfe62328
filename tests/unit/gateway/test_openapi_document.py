"""The OpenAPI document that the edge serves: whole, and of every path there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

import penstock
from penstock_gateway.surfaces.wire_formats.format import ModelsFormat
from penstock_gateway.surfaces.wire_formats.passthrough import METHODS
from penstock_gateway.surfaces.wire_formats.table import FORMATS

ROOT = Path(__file__).parents[3]
DOCUMENT = json.loads((ROOT / "proto/go/openapi/penstock.openapi.json").read_text())
OPERATIONS = [(path, verb, operation) for path, item in DOCUMENT["paths"].items() for verb, operation in item.items()]
VARIABLE = re.compile(r"\{([^}]*)\}")


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_every_reference_leads_to_a_schema():
    known = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    assert set(references(DOCUMENT)) <= known


def test_every_wire_format_is_described():
    paths = {wire.path for wire in FORMATS}
    paths |= {f"{wire.path}/{{id}}" for wire in FORMATS if isinstance(wire, ModelsFormat)}
    assert paths <= set(DOCUMENT["paths"])


def test_paths_that_are_the_same_to_a_server_are_one():
    shapes = [VARIABLE.sub("{}", path) for path in DOCUMENT["paths"]]
    assert len(shapes) == len(set(shapes))


def test_operations_have_ids_of_their_own():
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("path", "verb", "operation"), OPERATIONS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_operation_declares_the_variables_of_its_path(path, verb, operation):
    declared = [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]
    assert sorted(declared) == sorted(VARIABLE.findall(path))
    assert all(each["required"] for each in operation.get("parameters", []) if each["in"] == "path")


@pytest.mark.parametrize("name", sorted(DOCUMENT["components"]["schemas"]))
def test_a_contract_schema_has_the_names_that_answers_carry(name):
    if not name.startswith("penstock."):
        return
    try:
        message = descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        return  # an enum
    schema = DOCUMENT["components"]["schemas"][name]
    assert set(schema.get("properties", {})) == {field.name for field in message.fields}
    for field in message.fields:
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.Duration":
            pattern = re.compile(schema["properties"][field.name]["pattern"])
            assert all(pattern.search(good) for good in ("30s", "0s", "1.5s"))
            assert not any(pattern.search(bad) for bad in ("30", "1m", "s", "-1s"))


def test_streams_say_in_which_forms_they_come():
    content = DOCUMENT["paths"]["/api/v1/chat:stream"]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/x-ndjson", "text/event-stream"}
    assert "text/event-stream" in DOCUMENT["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]


def test_requests_that_pass_as_they_are_are_described_by_every_method_that_passes():
    item = DOCUMENT["paths"]["/passthrough/{upstream}/{path}"]
    assert {verb.upper() for verb in item} == set(METHODS)
    assert {verb for verb, operation in item.items() if "requestBody" in operation} == {"post", "put", "patch"}


def test_the_package_carries_descriptors_of_the_public_services_with_all_that_they_need():
    [folder] = penstock.__path__
    files = descriptor_pb2.FileDescriptorSet.FromString((Path(folder) / "descriptors.binpb").read_bytes()).file
    names = [file.name for file in files]
    assert {needed for file in files for needed in file.dependency} <= set(names)
    services = {f"{file.package}.{service.name}" for file in files for service in file.service}
    assert {"penstock.gateway.v1.ChatService", "penstock.gateway.v1.AdminService"} <= services
    assert not any("router" in name or "inference" in name for name in names)
