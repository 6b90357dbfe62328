"""PromptService: convert, administer, convert."""

from __future__ import annotations

from penstock.gateway.v1 import prompt_service_pb2 as pb
from penstock_common.llm.convert import message_to_proto
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.domain.prompts.administration import Named, NewVersion, PromptAdministration
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf
from penstock_gateway.surfaces.grpc.prompt_messages import (
    prompt_message,
    template_from,
    variables_from,
    version_message,
)


class PromptServicer:
    """Serves prompts; calls come authorised or not at all, and the domain keeps the walls between tenants."""

    def __init__(self, prompts: PromptAdministration, actor_of: ActorOf) -> None:
        self._prompts = prompts
        self._actor = actor_of

    async def CreatePromptVersion(
        self, request: pb.CreatePromptVersionRequest, call: ServerCall
    ) -> pb.CreatePromptVersionResponse:
        """Return a new version."""
        wanted = NewVersion(template=template_from(request.template), note=request.note, labels=tuple(request.labels))
        record = await self._prompts.create_version(self._actor(call), request.tenant, request.name, wanted)
        return pb.CreatePromptVersionResponse(version=version_message(record))

    async def GetPrompt(self, request: pb.GetPromptRequest, call: ServerCall) -> pb.GetPromptResponse:
        """Return a prompt."""
        prompt = await self._prompts.get(self._actor(call), request.tenant, request.name)
        return pb.GetPromptResponse(prompt=prompt_message(prompt))

    async def GetPromptVersion(
        self, request: pb.GetPromptVersionRequest, call: ServerCall
    ) -> pb.GetPromptVersionResponse:
        """Return a version."""
        named = Named(name=request.name, version=request.version, label=request.label)
        record = await self._prompts.version(self._actor(call), request.tenant, named)
        return pb.GetPromptVersionResponse(version=version_message(record))

    async def ListPrompts(self, request: pb.ListPromptsRequest, call: ServerCall) -> pb.ListPromptsResponse:
        """Return prompts by name."""
        page, archived = Page.of(request.page_size, request.page_token), request.with_archived
        listed = await self._prompts.list(self._actor(call), request.tenant, page, with_archived=archived)
        prompts = [prompt_message(prompt) for prompt in listed.items]
        return pb.ListPromptsResponse(prompts=prompts, next_page_token=listed.next_token)

    async def ListPromptVersions(
        self, request: pb.ListPromptVersionsRequest, call: ServerCall
    ) -> pb.ListPromptVersionsResponse:
        """Return the versions of a prompt, the newest first."""
        page = Page.of(request.page_size, request.page_token)
        listed = await self._prompts.versions(self._actor(call), request.tenant, request.name, page)
        versions = [version_message(record) for record in listed.items]
        return pb.ListPromptVersionsResponse(versions=versions, next_page_token=listed.next_token)

    async def DiffPromptVersions(
        self, request: pb.DiffPromptVersionsRequest, call: ServerCall
    ) -> pb.DiffPromptVersionsResponse:
        """Return what differs between two versions."""
        between = (request.from_version, request.to_version)
        diff = await self._prompts.diff(self._actor(call), request.tenant, request.name, between)
        return pb.DiffPromptVersionsResponse(diff=diff)

    async def RenderPrompt(self, request: pb.RenderPromptRequest, call: ServerCall) -> pb.RenderPromptResponse:
        """Return a version's messages with the variables in their places."""
        named = Named(
            name=request.name,
            version=request.version,
            label=request.label,
            variables=variables_from(request.variables),
        )
        record, messages = await self._prompts.render(self._actor(call), request.tenant, named)
        return pb.RenderPromptResponse(version=version_message(record), messages=map(message_to_proto, messages))

    async def SetPromptLabel(self, request: pb.SetPromptLabelRequest, call: ServerCall) -> pb.SetPromptLabelResponse:
        """Return the prompt, whose label points elsewhere."""
        named = Named(name=request.name, version=request.version, label=request.label)
        prompt = await self._prompts.set_label(self._actor(call), request.tenant, named)
        return pb.SetPromptLabelResponse(prompt=prompt_message(prompt))

    async def RollBackPromptLabel(
        self, request: pb.RollBackPromptLabelRequest, call: ServerCall
    ) -> pb.RollBackPromptLabelResponse:
        """Return the prompt, whose label points to where it pointed before."""
        prompt = await self._prompts.roll_back(self._actor(call), request.tenant, request.name, request.label)
        return pb.RollBackPromptLabelResponse(prompt=prompt_message(prompt))

    async def ArchivePrompt(self, request: pb.ArchivePromptRequest, call: ServerCall) -> pb.ArchivePromptResponse:
        """Return the prompt, which nobody uses from now on."""
        prompt = await self._prompts.archive(self._actor(call), request.tenant, request.name)
        return pb.ArchivePromptResponse(prompt=prompt_message(prompt))
