"""Alembic's entry: runs a schema's revisions on the connection that ``Schema.upgrade_to`` hands in."""

from __future__ import annotations

from alembic import context

_attributes = context.config.attributes
_schema = _attributes["schema"]

context.configure(
    connection=_attributes["connection"], target_metadata=_schema.metadata, version_table=_schema.version_table
)
with context.begin_transaction():
    context.run_migrations()
