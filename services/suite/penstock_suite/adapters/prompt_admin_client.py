"""PromptService as the command asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from google.protobuf import json_format, struct_pb2

from penstock.gateway.v1 import prompt_service_pb2 as pb
from penstock.llm.v1 import message_pb2
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.prompts import PromptChoice, PromptDraft, PromptRow, PromptVersionRow, VariableRow

_PAGE_SIZE = 500
_ROLES: dict[str, Any] = {
    "system": message_pb2.ROLE_SYSTEM,
    "user": message_pb2.ROLE_USER,
    "assistant": message_pb2.ROLE_ASSISTANT,
}
_ROLE_WORDS = {number: word for word, number in _ROLES.items()}
_PREFIX = "PROMPT_VARIABLE_TYPE_"
_TYPES: dict[str, Any] = {
    name.removeprefix(_PREFIX).lower(): number for name, number in pb.PromptVariableType.items() if number
}
_TYPE_WORDS = {number: word for word, number in _TYPES.items()}


class PromptAdminClient:
    """Implements ``Prompts``: converts, asks, converts."""

    async def _ask(self, method: str, request: Any) -> Any:
        """Return what the service answers, or raise the ``SuiteFailure`` that says why not."""
        raise NotImplementedError

    async def create_prompt_version(
        self, tenant: str, name: str, draft: PromptDraft, labels: tuple[str, ...]
    ) -> PromptVersionRow:
        """Return the new version."""
        request = pb.CreatePromptVersionRequest(
            tenant=tenant, name=name, template=_template(draft), note=draft.note, labels=labels
        )
        return _version((await self._ask("CreatePromptVersion", request)).version)

    async def prompts(self, tenant: str, *, with_archived: bool) -> list[PromptRow]:
        """Return the prompts of every page."""
        request = pb.ListPromptsRequest(tenant=tenant, with_archived=with_archived, page_size=_PAGE_SIZE)
        found: list[PromptRow] = []
        while True:
            page = await self._ask("ListPrompts", request)
            found += map(_prompt, page.prompts)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def prompt(self, tenant: str, name: str) -> PromptRow:
        """Return a prompt."""
        return _prompt((await self._ask("GetPrompt", pb.GetPromptRequest(tenant=tenant, name=name))).prompt)

    async def prompt_version(self, choice: PromptChoice) -> PromptVersionRow:
        """Return a version."""
        request = pb.GetPromptVersionRequest(
            tenant=choice.tenant, name=choice.name, version=choice.version, label=choice.label
        )
        return _version((await self._ask("GetPromptVersion", request)).version)

    async def prompt_difference(self, tenant: str, name: str, between: tuple[int, int]) -> str:
        """Return a unified diff."""
        old, new = between
        request = pb.DiffPromptVersionsRequest(tenant=tenant, name=name, from_version=old, to_version=new)
        return str((await self._ask("DiffPromptVersions", request)).diff)

    async def rendered_prompt(self, choice: PromptChoice, values: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
        """Return the messages, an image as its address."""
        variables = struct_pb2.Struct()
        variables.update(values)
        request = pb.RenderPromptRequest(
            tenant=choice.tenant, name=choice.name, version=choice.version, label=choice.label, variables=variables
        )
        messages = (await self._ask("RenderPrompt", request)).messages
        return tuple({_ROLE_WORDS.get(message.role, ""): _text(message)} for message in messages)

    async def set_prompt_label(self, tenant: str, name: str, label: str, version: int) -> PromptRow:
        """Return the changed prompt."""
        request = pb.SetPromptLabelRequest(tenant=tenant, name=name, label=label, version=version)
        return _prompt((await self._ask("SetPromptLabel", request)).prompt)

    async def roll_back_prompt_label(self, tenant: str, name: str, label: str) -> PromptRow:
        """Return the changed prompt."""
        request = pb.RollBackPromptLabelRequest(tenant=tenant, name=name, label=label)
        return _prompt((await self._ask("RollBackPromptLabel", request)).prompt)

    async def archive_prompt(self, tenant: str, name: str) -> PromptRow:
        """Return the archived prompt."""
        return _prompt((await self._ask("ArchivePrompt", pb.ArchivePromptRequest(tenant=tenant, name=name))).prompt)


def _template(draft: PromptDraft) -> pb.PromptTemplate:
    message = pb.PromptTemplate(model=draft.model)
    for index, turn in enumerate(draft.messages):
        if len(turn) != 1 or not turn.keys() <= _ROLES.keys():
            raise Misconfigured(f"messages[{index}] must be one of {', '.join(_ROLES)} with its text")
        ((role, text),) = turn.items()
        message.messages.add(role=_ROLES[role], text=text)
    for name, row in draft.variables.items():
        message.variables.append(_variable(name, row))
    try:
        json_format.ParseDict(draft.sampling, message.sampling)
    except json_format.ParseError as error:
        raise Misconfigured(f"sampling: {error}") from None
    return message


def _variable(name: str, row: VariableRow) -> pb.PromptVariable:
    if row.type not in _TYPES:
        raise Misconfigured(f"variables.{name}.type: there is no '{row.type}'; there are {', '.join(_TYPES)}")
    message = pb.PromptVariable(
        name=name,
        type=_TYPES[row.type],
        required=row.required,
        description=row.description,
        max_length=row.max_length,
        values=row.values,
    )
    if row.default is not None:
        json_format.ParseDict(row.default, message.default_value)
    return message


def _version(version: pb.PromptVersion) -> PromptVersionRow:
    template = version.template
    draft = PromptDraft(
        messages=tuple({_ROLE_WORDS.get(turn.role, str(turn.role)): turn.text} for turn in template.messages),
        variables={variable.name: _variable_row(variable) for variable in template.variables},
        model=template.model,
        sampling=json_format.MessageToDict(template.sampling, preserving_proto_field_name=True),
        note=version.note,
    )
    return PromptVersionRow(
        name=version.name,
        version=version.version,
        draft=draft,
        created_at=version.created_at.ToDatetime(tzinfo=UTC),
        created_by=version.created_by,
    )


def _variable_row(variable: pb.PromptVariable) -> VariableRow:
    default = json_format.MessageToDict(variable.default_value) if variable.HasField("default_value") else None
    return VariableRow(
        type=_TYPE_WORDS.get(variable.type, str(variable.type)),
        required=variable.required,
        default=default,
        description=variable.description,
        max_length=variable.max_length,
        values=tuple(variable.values),
    )


def _prompt(prompt: pb.Prompt) -> PromptRow:
    return PromptRow(
        name=prompt.name,
        tenant=prompt.tenant,
        newest_version=prompt.newest_version,
        labels={label.label: label.version for label in prompt.labels},
        created_at=prompt.created_at.ToDatetime(tzinfo=UTC),
        archived_at=prompt.archived_at.ToDatetime(tzinfo=UTC) if prompt.HasField("archived_at") else None,
    )


def _text(message: message_pb2.Message) -> str:
    return "".join(part.text if part.HasField("text") else part.image.url for part in message.parts)
