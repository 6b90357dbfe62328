"""The tables of budgets, as their own migrations leave them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, String, Table

metadata = MetaData()

budgets = Table(
    "budgets",
    metadata,
    Column("tenant", String(128), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("scope_kind", String(16), nullable=False),
    Column("scope_name", String(256), nullable=False),
    Column("amount_nano_usd", BigInteger, nullable=False),
    Column("period", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("percents", JSON, nullable=False),
    Column("projected", Boolean, nullable=False),
    Column("webhook", String(64), nullable=False),
    Column("is_operators", Boolean, nullable=False),
    Column("made_by", String(160), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
)

# Of the configuration's budgets, too, which have no row above.
graces = Table(
    "budget_graces",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("tenant", String(128), nullable=False),
    Column("name", String(64), nullable=False),
    Column("amount_nano_usd", BigInteger, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
    Column("reason", String(256), nullable=False),
    Column("granted_by", String(160), nullable=False),
    Column("granted_at", DateTime(timezone=True), nullable=False),
    Index("ix_budget_graces_budget", "tenant", "name"),
    Index("ix_budget_graces_until", "until"),
)

alerts = Table(
    "budget_alerts",
    metadata,
    Column("budget_id", String(32), primary_key=True),
    Column("period_start", DateTime(timezone=True), primary_key=True),
    Column("threshold", String(16), primary_key=True),
    Column("limit_nano_usd", BigInteger, nullable=False),
)

# One row: when they were last looked at, by whichever process it was.
looks = Table(
    "budget_looks",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("looked_at", DateTime(timezone=True)),
)
