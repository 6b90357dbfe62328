"""AdminService's methods about teams, and about whose tokens are refused."""

from __future__ import annotations

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock_common.rpc.server_call import ServerCall
from penstock_gateway.domain.administration.administration import Administration
from penstock_gateway.domain.administration.paging import Page
from penstock_gateway.surfaces.grpc.admin_messages import subject_message, team_message
from penstock_gateway.surfaces.grpc.cache_admin import ActorOf


class TeamAdminMethods:
    """Converts, administers, converts."""

    def __init__(self, administration: Administration, actor_of: ActorOf) -> None:
        self._actor = actor_of
        self._teams = administration.teams
        self._subjects = administration.subjects

    async def CreateTeam(self, request: pb.CreateTeamRequest, call: ServerCall) -> pb.CreateTeamResponse:
        """Return a new team."""
        team = await self._teams.create(self._actor(call), request.tenant, request.name)
        return pb.CreateTeamResponse(team=team_message(team))

    async def ListTeams(self, request: pb.ListTeamsRequest, call: ServerCall) -> pb.ListTeamsResponse:
        """Return teams by tenant and name."""
        page = Page.of(request.page_size, request.page_token)
        listed = await self._teams.list(self._actor(call), request.tenant, page)
        teams = [team_message(team) for team in listed.items]
        return pb.ListTeamsResponse(teams=teams, next_page_token=listed.next_token)

    async def ArchiveTeam(self, request: pb.ArchiveTeamRequest, call: ServerCall) -> pb.ArchiveTeamResponse:
        """Return a team whose keys are refused."""
        team = await self._teams.archive(self._actor(call), request.tenant, request.name)
        return pb.ArchiveTeamResponse(team=team_message(team))

    async def RestoreTeam(self, request: pb.RestoreTeamRequest, call: ServerCall) -> pb.RestoreTeamResponse:
        """Return a team whose keys are accepted again."""
        team = await self._teams.restore(self._actor(call), request.tenant, request.name)
        return pb.RestoreTeamResponse(team=team_message(team))

    async def RevokeSubject(self, request: pb.RevokeSubjectRequest, call: ServerCall) -> pb.RevokeSubjectResponse:
        """Return whose tokens are refused from now on."""
        record = await self._subjects.revoke(self._actor(call), request.tenant, request.issuer, request.subject)
        return pb.RevokeSubjectResponse(subject=subject_message(record))

    async def ListRevokedSubjects(
        self, request: pb.ListRevokedSubjectsRequest, call: ServerCall
    ) -> pb.ListRevokedSubjectsResponse:
        """Return whose tokens are refused."""
        page = Page.of(request.page_size, request.page_token)
        listed = await self._subjects.list(self._actor(call), request.tenant, page)
        subjects = [subject_message(record) for record in listed.items]
        return pb.ListRevokedSubjectsResponse(subjects=subjects, next_page_token=listed.next_token)

    async def RestoreSubject(self, request: pb.RestoreSubjectRequest, call: ServerCall) -> pb.RestoreSubjectResponse:
        """Have somebody's tokens accepted again."""
        await self._subjects.restore(self._actor(call), request.tenant, request.issuer, request.subject)
        return pb.RestoreSubjectResponse()
