"""Whose a row is, how its tokens are known, what corrects it; the totals of rows that went; the history of prices.

Expands only: what an older gateway writes still fits, is a charge, and says nothing else. Amounts of rows that are written
are refused to be changed by the database itself.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_TEXTS = {
    "team": 128,
    "user_id": 256,
    "usage_source": 16,
    "stopped_by": 16,
    "price_revision": 16,
    "operation": 16,
    "corrects": 64,
    "reason": 256,
    "corrected_by": 160,
}
_SPEND = ("tenant", "created_at", "team", "user_id", "key_id", "requested_model", "feature", "shadow", "cost_nano_usd")
_WHOSE = (("tenant", 128), ("team", 128), ("user_id", 256), ("key_id", 160), ("requested_model", 128))
_WHAT = (("upstream", 128), ("model", 256), ("feature", 64), ("surface", 32), ("operation", 16))
_TOKENS = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "cache_write_1h_input_tokens",
    "reasoning_tokens",
)
_SUMS = ("requests", "errors", *_TOKENS, "cost_nano_usd", "saved_tokens", "saved_nano_usd")
_PRICES = (
    "input_price_nano_usd",
    "cached_input_price_nano_usd",
    "output_price_nano_usd",
    "cache_write_price_nano_usd",
    "cache_write_1h_price_nano_usd",
)
_FIXED = ("generation_id", "created_at", "tenant", "cost_nano_usd", "saved_nano_usd", *_TOKENS, *_PRICES)
_FIXED_COLUMNS = ", ".join(_FIXED)
_FUNCTION = "CREATE OR REPLACE FUNCTION refuse_to_change_the_ledger()"
_APPEND_ONLY = "the ledger is append-only: correct a row by an entry of its own"


def upgrade() -> None:
    """Add the columns, the tables and what keeps amounts as they are."""
    for name, length in _TEXTS.items():
        op.add_column("ledger", _text(name, length, ""))
    op.add_column("ledger", _text("kind", 16, "charge"))
    op.add_column("ledger", sa.Column("reserved_nano_usd", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("ix_ledger_spend", "ledger", list(_SPEND))
    # The other one begins with the same column.
    op.drop_index("ix_ledger_tenant", "ledger")
    op.create_table(
        "ledger_totals",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.String(length), nullable=False) for name, length in (*_WHOSE, *_WHAT)),
        sa.Column("shadow", sa.Boolean, nullable=False),
        *(_number(name) for name in _SUMS),
    )
    op.create_index("ix_ledger_totals_tenant", "ledger_totals", ["tenant", "created_at"])
    op.create_table(
        "price_revisions",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("revision", sa.String(16), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("upstream", sa.String(128), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("tier", sa.String(64), nullable=False),
        *(_number(name) for name in ("above_input_tokens", *_PRICES)),
        sa.Column("cost_unknown", sa.Boolean, nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
    )
    op.create_index("ix_price_revisions_revision", "price_revisions", ["revision"])
    for statement in _guard(op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    """Drop what was added."""
    op.execute("DROP TRIGGER ledger_is_append_only" + (" ON ledger" if _is_postgresql() else ""))
    if _is_postgresql():
        op.execute("DROP FUNCTION refuse_to_change_the_ledger()")
    op.drop_table("price_revisions")
    op.drop_table("ledger_totals")
    op.create_index("ix_ledger_tenant", "ledger", ["tenant"])
    op.drop_index("ix_ledger_spend", "ledger")
    for name in ("reserved_nano_usd", "kind", *reversed(_TEXTS)):
        op.drop_column("ledger", name)


def _text(name: str, length: int, default: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)


def _is_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _guard(dialect: str) -> tuple[str, ...]:
    trigger = f"CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OF {_FIXED_COLUMNS} ON ledger"
    if dialect != "postgresql":
        return (f"{trigger} BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END",)
    return (
        f"{_FUNCTION} RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_APPEND_ONLY}'; END $$",
        f"{trigger} FOR EACH ROW EXECUTE FUNCTION refuse_to_change_the_ledger()",
    )
