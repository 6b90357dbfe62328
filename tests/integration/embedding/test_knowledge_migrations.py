"""The tables of documents, from nothing and from each earlier revision."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from penstock_common.sql.database import open_database
from penstock_common.sql.schema import upgrade
from penstock_embedding.adapters.sql.schema import KNOWLEDGE
from penstock_embedding.adapters.sql.tables import metadata
from penstock_embedding.settings import KnowledgeSettings

_OF_THE_FIRST = {
    "tenant": "acme", "base": "kb", "number": 1, "spec": "{}", "model_revision": "r", "dimension": 3, "state": "ready",
    "error": "", "quality": "[]", "chunks": 2, "created_at": "2026-01-01 00:00:00", "owner": "", "leased_until": 0,
}  # fmt: skip


@pytest.fixture
async def engine(tmp_path):
    async with open_database(f"sqlite:///{tmp_path}/k.db", KnowledgeSettings().database_limits) as engine:
        yield engine


async def test_migrations_lead_from_nothing_to_the_tables(engine):
    await upgrade(engine, KNOWLEDGE)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


async def test_what_was_indexed_before_analyses_were_told_apart_was_made_in_the_first_way(engine):
    async with engine.begin() as connection:
        await connection.run_sync(KNOWLEDGE.upgrade_to, "0001")
        names = ", ".join(_OF_THE_FIRST)
        places = ", ".join(f":{name}" for name in _OF_THE_FIRST)
        await connection.execute(sa.text(f"INSERT INTO knowledge_indexes ({names}) VALUES ({places})"), _OF_THE_FIRST)
    await upgrade(engine, KNOWLEDGE)
    async with engine.connect() as connection:
        assert (await connection.execute(sa.text("SELECT analysis FROM knowledge_indexes"))).scalars().all() == [1]


def _differences(connection):
    def is_own(name, kind, _):
        return kind != "table" or name in metadata.tables

    return compare_metadata(
        MigrationContext.configure(connection, opts={"compare_type": True, "include_name": is_own}), metadata
    )
