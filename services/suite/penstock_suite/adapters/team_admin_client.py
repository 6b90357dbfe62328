"""Teams, and whose tokens are refused, as the contract's AdminService keeps them."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from penstock.gateway.v1 import admin_service_pb2 as pb
from penstock_suite.domain.administration import RevokedSubject, StoredTeam


class TeamAdminClient:
    """The part of ``Administration`` about them: converts, asks, converts."""

    async def _ask(self, method: str, request: Any) -> Any:
        raise NotImplementedError

    async def _all(self, method: str, request: Any, listed: Any) -> list[Any]:
        raise NotImplementedError

    async def create_team(self, tenant: str, name: str) -> StoredTeam:
        """Return the new team."""
        return _team((await self._ask("CreateTeam", pb.CreateTeamRequest(tenant=tenant, name=name))).team)

    async def teams(self, tenant: str) -> list[StoredTeam]:
        """Return the teams of the tenant, or of all, by name."""
        return [_team(team) for team in await self._all("ListTeams", pb.ListTeamsRequest(tenant=tenant), "teams")]

    async def switch_team(self, tenant: str, name: str, *, archived: bool) -> StoredTeam:
        """Return the team, whose keys are refused or accepted from now on."""
        if archived:
            return _team((await self._ask("ArchiveTeam", pb.ArchiveTeamRequest(tenant=tenant, name=name))).team)
        return _team((await self._ask("RestoreTeam", pb.RestoreTeamRequest(tenant=tenant, name=name))).team)

    async def revoke_subject(self, tenant: str, issuer: str, subject: str) -> RevokedSubject:
        """Return whose tokens are refused from now on."""
        request = pb.RevokeSubjectRequest(tenant=tenant, issuer=issuer, subject=subject)
        return _subject((await self._ask("RevokeSubject", request)).subject)

    async def revoked_subjects(self, tenant: str) -> list[RevokedSubject]:
        """Return whose tokens are refused."""
        request = pb.ListRevokedSubjectsRequest(tenant=tenant)
        return [_subject(each) for each in await self._all("ListRevokedSubjects", request, "subjects")]

    async def restore_subject(self, tenant: str, issuer: str, subject: str) -> None:
        """Have their tokens accepted again."""
        await self._ask("RestoreSubject", pb.RestoreSubjectRequest(tenant=tenant, issuer=issuer, subject=subject))


def _team(team: pb.Team) -> StoredTeam:
    archived_at = team.archived_at.ToDatetime(tzinfo=UTC) if team.HasField("archived_at") else None
    return StoredTeam(
        tenant=team.tenant,
        name=team.name,
        created_at=team.created_at.ToDatetime(tzinfo=UTC),
        archived_at=archived_at,
    )


def _subject(record: pb.RevokedSubject) -> RevokedSubject:
    return RevokedSubject(
        tenant=record.tenant,
        issuer=record.issuer,
        subject=record.subject,
        revoked_at=record.revoked_at.ToDatetime(tzinfo=UTC),
    )
