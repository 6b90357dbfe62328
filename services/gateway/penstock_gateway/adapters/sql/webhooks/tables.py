"""The tables of webhooks, as their own migrations leave them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, DateTime, Index, Integer, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(64), primary_key=True),
    # Of one that a tenant has made: `tenant/name`.
    Column("webhook", String(132), nullable=False),
    Column("type", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("next_at", DateTime(timezone=True), nullable=False),
    # Until then it is some process' own.
    Column("leased_until", DateTime(timezone=True)),
    Column("attempts", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("error", String(256), nullable=False),
    Index("ix_webhook_deliveries_due", "state", "next_at"),
    Index("ix_webhook_deliveries_created_at", "created_at"),
    Index("ix_webhook_deliveries_webhook", "webhook", "created_at"),
)

disabled = Table(
    "webhook_disabled",
    metadata,
    # A digest: the address may hold a secret.
    Column("address", String(64), primary_key=True),
    Column("webhook", String(132), nullable=False),
    Column("disabled_at", DateTime(timezone=True), nullable=False),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    # The address and the secrets.
    Column("sealed", LargeBinary, nullable=False),
    Column("events", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

tries = Table(
    "webhook_tries",
    metadata,
    Column("delivery", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("status", Integer, nullable=False),
    Column("error", String(256), nullable=False),
    Column("took_ms", BigInteger, nullable=False),
)
