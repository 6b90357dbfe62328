"""Prompts as the contract's messages, and back."""

from __future__ import annotations

from typing import Any

from google.protobuf import struct_pb2

from penstock.gateway.v1 import chat_service_pb2, prompt_service_pb2
from penstock_common.errors import InvalidRequest
from penstock_common.llm.convert.input import role_from_proto, role_to_proto, sampling_from_proto, sampling_to_proto
from penstock_gateway.domain.prompts.content import PromptReference, Template, Turn, Variable, VariableType
from penstock_gateway.domain.prompts.records import PromptRecord, VersionRecord

pb = prompt_service_pb2

_TYPES: dict[int, VariableType] = {
    pb.PromptVariableType.Value(f"PROMPT_VARIABLE_TYPE_{kind.name}"): kind for kind in VariableType
}
_TYPES[pb.PROMPT_VARIABLE_TYPE_UNSPECIFIED] = VariableType.STRING
_TYPE_NUMBERS: dict[VariableType, Any] = {
    kind: number for number, kind in _TYPES.items() if number != pb.PROMPT_VARIABLE_TYPE_UNSPECIFIED
}
# No number beyond is exact.
_EXACT = 2**53


def reference_from(message: chat_service_pb2.PromptReference) -> PromptReference:
    """Return how a request names a prompt."""
    return PromptReference(
        name=message.id,
        version=message.version,
        label=message.label,
        variables=variables_from(message.variables),
    )


def variables_from(message: struct_pb2.Struct) -> dict[str, object]:
    """Return the values by name; a whole number is an int."""
    return {name: _plain(value) for name, value in message.fields.items()}


def template_from(message: pb.PromptTemplate) -> Template:
    """Return the template.

    Raises:
        InvalidRequest: if a role or a type is none that is known.
    """
    return Template(
        turns=tuple(_turn(index, turn) for index, turn in enumerate(message.messages)),
        variables=tuple(_variable(index, variable) for index, variable in enumerate(message.variables)),
        model=message.model,
        sampling=sampling_from_proto(message.sampling),
    )


def version_message(record: VersionRecord) -> pb.PromptVersion:
    """Return the version."""
    template = record.template
    message = pb.PromptVersion(name=record.name, version=record.version, note=record.note, created_by=record.created_by)
    message.template.model = template.model
    message.template.sampling.CopyFrom(sampling_to_proto(template.sampling))
    for turn in template.turns:
        message.template.messages.add(role=role_to_proto(turn.role), text=turn.text)
    message.template.variables.extend(map(_variable_message, template.variables))
    message.created_at.FromDatetime(record.created_at)
    return message


def prompt_message(record: PromptRecord) -> pb.Prompt:
    """Return the prompt."""
    message = pb.Prompt(name=record.name, tenant=record.tenant, newest_version=record.newest_version)
    for label in record.labels:
        message.labels.add(label=label.label, version=label.version, earlier_versions=label.earlier)
    message.created_at.FromDatetime(record.created_at)
    if record.archived_at is not None:
        message.archived_at.FromDatetime(record.archived_at)
    return message


def _turn(index: int, turn: pb.PromptTurn) -> Turn:
    role = role_from_proto(turn.role)
    if role is None:
        path = f"template.messages[{index}].role"
        raise InvalidRequest(f"{path} must be system, user or assistant.", field=path)
    return Turn(role=role, text=turn.text)


def _variable(index: int, variable: pb.PromptVariable) -> Variable:
    kind = _TYPES.get(variable.type)
    if kind is None:
        path = f"template.variables[{index}].type"
        raise InvalidRequest(f"{path} is none that is known.", field=path)
    default: Any = _plain(variable.default_value) if variable.HasField("default_value") else None
    return Variable(
        name=variable.name,
        type=kind,
        required=variable.required if variable.HasField("required") else True,
        default=default,
        description=variable.description,
        max_length=variable.max_length,
        values=tuple(variable.values),
    )


def _variable_message(variable: Variable) -> pb.PromptVariable:
    message = pb.PromptVariable(
        name=variable.name,
        type=_TYPE_NUMBERS[variable.type],
        required=variable.required,
        description=variable.description,
        max_length=variable.max_length,
        values=variable.values,
    )
    if variable.default is not None:
        message.default_value.CopyFrom(_value(variable.default))
    return message


def _plain(value: struct_pb2.Value) -> object:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return variables_from(value.struct_value)
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind in (None, "null_value"):
        return None
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    return getattr(value, kind)


def _value(plain: Any) -> struct_pb2.Value:
    # A struct takes what Python's plain values are, and a value alone does not.
    holder = struct_pb2.Struct()
    holder.update({"it": plain})
    return holder.fields["it"]
