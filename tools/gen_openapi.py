"""Finishes the OpenAPI 3.1 document of the public HTTP API: gen_openapi.py MERGED OUTPUT.

MERGED is what grpc-gateway's plugin makes of the annotations. Three things are changed so that generators, browsers and
fuzzers take it: names are those of the contract, as answers carry them; paths that differ only in a variable's name are
one; durations and streams say what they look like. The wire formats under ``/v1/`` are added from the types that read
their requests and write their answers.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from msgspec import _json_schema
from wire_operations import ANTHROPIC, OPENAI, WIRE_OPERATIONS, WireOperation

from penstock_gateway.surfaces.wire_formats.passthrough import METHODS, PREFIX

Json = dict[str, Any]

PASSTHROUGH = "Passthrough"

DESCRIPTORS = Path(__file__).parent.parent / "proto/python/penstock/descriptors.binpb"

TITLE = "Penstock"
DESCRIPTION = (
    "Three APIs on one port. **Typed**, under `/api/v1/`: the gRPC contract as JSON. Streams are newline-delimited JSON, "
    'each line `{"result": …}` or, last, `{"error": …}`; with `Accept: text/event-stream` they are server-sent events '
    "that carry the bare message. **OpenAI's and Anthropic's**, under `/v1/`: as those vendors' SDKs send and read it. What "
    "has no form of its own passes to an upstream under `/passthrough/`, where the operator lists its path."
)
DURATION = {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,9})?s$", "examples": ["30s", "1.5s"]}
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
    "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The API key alone."},
}
NDJSON = "application/x-ndjson"
EVENT_STREAM = "text/event-stream"


_UPLOAD: Json = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": {"type": "string", "enum": ["batch", "assistants", "user_data"]},
        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
    },
}

_OPENAI_ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "What to change."},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"], "description": "The field that is wrong."},
                "code": {"type": ["string", "null"], "description": "What a program decides by."},
            },
        }
    },
}

_ANTHROPIC_ERROR: Json = {
    "type": "object",
    "required": ["type", "error"],
    "properties": {
        "type": {"type": "string", "enum": ["error"]},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {
                "type": {"type": "string", "description": "What a program decides by."},
                "message": {"type": "string", "description": "What to change."},
            },
        },
    },
}


def _contract() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes()).file:
        pool.Add(file)
    return pool


contract = _contract()


def main(merged: Path, output: Path) -> None:
    """Write the document."""
    document = finished(json.loads(merged.read_text()))
    output.write_text(json.dumps(document, indent=1, ensure_ascii=False, sort_keys=False) + "\n")


def finished(merged: Json) -> Json:
    """Return the whole document: head, typed paths, wire paths."""
    schemas: Json = {}
    for name, schema in merged["components"]["schemas"].items():
        schemas[name] = contract_schema(schema, message_named(name))
    wire_paths, wire_schemas = wire_formats()
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "v1", "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"api_key": []}],
        "tags": [
            *merged["tags"],
            *({"name": vendor, "description": f"The wire formats of {vendor}."} for vendor in (OPENAI, ANTHROPIC)),
            {"name": PASSTHROUGH, "description": "Requests that pass to an upstream as they are."},
        ],
        "paths": {**typed_paths(merged["paths"]), **wire_paths, **passthrough_paths()},
        "components": {
            "schemas": {**schemas, **wire_schemas, "OpenAIError": _OPENAI_ERROR, "AnthropicError": _ANTHROPIC_ERROR},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


# The typed API.


def message_named(name: str) -> Descriptor | None:
    """Return the message behind a schema; None for enums."""
    try:
        return contract.FindMessageTypeByName(name)
    except KeyError:
        return None


def contract_schema(schema: Json, message: Descriptor | None) -> Json:
    """Return an object's schema under the contract's names.

    Of a oneof's fields at most one is set. The plugin spells that out as alternatives that exclude each other, which
    generators of clients turn into types that nobody can use; it is said in words.
    """
    if message is None or "properties" not in schema:
        return schema
    fields = message.fields_by_camelcase_name
    changed = {key: value for key, value in schema.items() if key != "oneOf"}
    changed["properties"] = {
        fields[name].name: field_schema(value, fields[name]) if name in fields else value
        for name, value in schema["properties"].items()
    }
    if "required" in schema:
        changed["required"] = [fields[name].name for name in schema["required"]]
    alternatives = [
        ", ".join(field.name for field in oneof.fields) for oneof in message.oneofs if len(oneof.fields) > 1
    ]
    if alternatives:
        said = " ".join(f"At most one of {names}." for names in alternatives)
        changed["description"] = f"{schema.get('description', '')}\n\n{said}".strip()
    return changed


def field_schema(schema: Json, field: FieldDescriptor) -> Json:
    """Return a field's schema; that of a duration says how one is written."""
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.Duration":
        return {**DURATION, "description": schema.get("description", "")}
    return schema


def typed_paths(paths: Json) -> Json:
    """Return the typed paths, one for each that a request can have."""
    merged: Json = {}
    for path, item in paths.items():
        # {tenant.name} and {name} are the same path to everybody but protobuf.
        merged.setdefault(path_of(path), {}).update(
            {method: typed_operation(operation) for method, operation in item.items()}
        )
    return merged


def path_of(path: str) -> str:
    """Return a path whose variables have the last part of their names."""
    return "/".join("{" + part[1:].rpartition(".")[2] if part.startswith("{") else part for part in path.split("/"))


def typed_operation(operation: Json) -> Json:
    """Return an operation under the contract's names."""
    service, _, method = operation["operationId"].partition("_")
    described = contract.FindServiceByName(f"penstock.gateway.v1.{service}").methods_by_name[method]
    fields = described.input_type.fields_by_camelcase_name
    changed = dict(operation)
    for parameter in operation.get("parameters", []):
        name: str = parameter["name"]
        parameter["name"] = fields[name].name if name in fields else name.rpartition(".")[2]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]["application/json"]
        content["schema"] = contract_schema(content["schema"], described.input_type)
    if described.server_streaming:
        whole = operation["responses"]["200"]["content"].pop("application/json")["schema"]
        operation["responses"]["200"]["content"] = {
            NDJSON: {"schema": {"type": "object", "properties": {"result": whole, "error": status_reference()}}},
            EVENT_STREAM: {"schema": whole},
        }
    changed["responses"] = {
        **operation["responses"],
        "default": error("What went wrong; `details` hold a `google.rpc.ErrorInfo`.", status_reference()),
    }
    return changed


def status_reference() -> Json:
    """Return a reference to the typed API's error."""
    return {"$ref": "#/components/schemas/google.rpc.Status"}


def error(description: str, schema: Json) -> Json:
    """Return a response that tells of a failure."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


# The wire formats.


def wire_formats() -> tuple[Json, Json]:
    """Return the paths of the wire formats, and the schemas that they refer to."""
    paths: Json = {}
    schemas: Json = {}
    for vendor in (OPENAI, ANTHROPIC):
        operations = [each for each in WIRE_OPERATIONS if each.vendor == vendor]
        by_type, components = vendor_schemas(vendor, operations)
        schemas |= components
        for operation in operations:
            paths.setdefault(operation.path, {})[operation.method] = wire_operation(operation, by_type)
    return paths, schemas


def vendor_schemas(vendor: str, operations: list[WireOperation]) -> tuple[dict[type[msgspec.Struct], Json], Json]:
    """Return what refers to the schema of each type of a vendor's operations, and the schemas under their names."""
    named = [kind for each in operations for kind in (each.answer, each.request) if kind is not None]
    types = list(dict.fromkeys(named))
    with patch.object(_json_schema, "to_builtins", default_value):
        template = f"#/components/schemas/{vendor}.{{name}}"
        references, components = msgspec.json.schema_components(types, ref_template=template)
    for schema in components.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"]).replace("``", "`")
    return dict(zip(types, references, strict=True)), {f"{vendor}.{name}": one for name, one in components.items()}


def default_value(value: object, **options: Any) -> object:
    """Return a field's default as JSON has it; of itself msgspec writes none that is JSON already."""
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    return msgspec.to_builtins(value, **options)


def wire_operation(operation: WireOperation, schemas: dict[type[msgspec.Struct], Json]) -> Json:
    """Return one route of a wire format."""
    content: Json = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    if operation.answer is not None:
        content = {"application/json": {"schema": schemas[operation.answer]}}
    if operation.chunk:
        said = f"With `stream: true`: events of `{operation.chunk}` objects, then `data: [DONE]`."
        if operation.vendor == ANTHROPIC:
            said = f"With `stream: true`: the events {operation.chunk}, each with its name."
        content[EVENT_STREAM] = {"schema": {"type": "string", "description": said}}
    described: Json = {
        "tags": [operation.vendor],
        "summary": operation.summary,
        "operationId": f"{operation.vendor}_{'_'.join(name_parts(operation))}",
        "responses": {
            "200": {"description": "The answer.", "content": content},
            "default": error("What went wrong.", {"$ref": f"#/components/schemas/{operation.vendor}Error"}),
        },
    }
    if names := re.findall(r"\{(\w+)\}", operation.path):
        kind: Json = {"type": "string"}
        described["parameters"] = [{"name": name, "in": "path", "required": True, "schema": kind} for name in names]
    if operation.form:
        described["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": _UPLOAD}}}
    if operation.request is not None:
        schema = {"schema": schemas[operation.request]}
        described["requestBody"] = {"required": True, "content": {"application/json": schema}}
    return described


def passthrough_paths() -> Json:
    """Return the path of requests that pass to an upstream as they are: nothing is known of their bodies."""
    anything: Json = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    said = {
        "upstream": "The upstream's name in the configuration.",
        "path": "What follows the upstream's `base_url`, slashes among it: one of the upstream's `raw.paths`.",
    }
    item: Json = {}
    for method in METHODS:
        has_body = method in ("POST", "PUT", "PATCH")
        item[method.lower()] = {
            "tags": [PASSTHROUGH],
            "summary": "Passes a request to an upstream as it is; the key needs the scope `passthrough`.",
            "operationId": f"{PASSTHROUGH}_{method.title()}",
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}, "description": text}
                for name, text in said.items()
            ],
            **(
                {"requestBody": {"description": "Whatever the upstream reads.", "content": anything}}
                if has_body
                else {}
            ),
            "responses": {
                "200": {"description": "The upstream's answer, under the status that it says.", "content": anything},
                "default": error(
                    "What the upstream says, in its own words, or why the request was not passed on.",
                    {"$ref": f"#/components/schemas/{OPENAI}Error"},
                ),
            },
        }
    return {f"{PREFIX}/{{upstream}}/{{path}}": item}


def name_parts(operation: WireOperation) -> Iterator[str]:
    """Yield the words of an operation's id."""
    yield operation.method.title()
    version, *parts = operation.path.strip("/").split("/")
    if version != "v1":
        yield version.title()
    for part in parts:
        yield part.strip("{}").title()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
