"""The schema, as the migrations leave it."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(128), nullable=False, index=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("label", String(128), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("models", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    Column("user_id", String(32)),
    Column("networks", JSON),
    Column("labels", JSON),
    Column("replaced_by", String(32)),
    Column("team", String(128)),
    Column("kind", String(16)),
    Column("first_id", String(32), index=True),
)

tenants = Table(
    "tenants",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("tier", String(128), nullable=False),
    Column("models", JSON, nullable=False),
    Column("regions", JSON, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("disabled_at", DateTime(timezone=True)),
    Column("time_zone", String(64)),
)

teams = Table(
    "teams",
    metadata,
    Column("tenant", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("archived_at", DateTime(timezone=True)),
)

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(128), nullable=False),
    Column("name", String(256), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("disabled_at", DateTime(timezone=True)),
    Column("team", String(128)),
    Column("kind", String(16)),
    UniqueConstraint("tenant", "name", name="uq_users_tenant_name"),
)

revoked_subjects = Table(
    "revoked_subjects",
    metadata,
    Column("tenant", String(128), primary_key=True),
    # Empty for every issuer's.
    Column("issuer", String(256), primary_key=True),
    Column("subject", String(256), primary_key=True),
    Column("revoked_at", DateTime(timezone=True), nullable=False),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("actor_key_id", String(160), nullable=False),
    Column("actor_user_id", String(32), nullable=False),
    Column("actor_tenant", String(128), nullable=False),
    Column("action", String(32), nullable=False),
    Column("tenant", String(256), nullable=False, index=True),
    Column("target", String(256), nullable=False),
    Column("client_address", String(64), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("details", JSON, nullable=False),
    Column("exported_at", DateTime(timezone=True)),
    Index("ix_audit_log_occurred_at", "occurred_at"),
)

prompts = Table(
    "prompts",
    metadata,
    Column("tenant", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("newest_version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("archived_at", DateTime(timezone=True)),
)

prompt_versions = Table(
    "prompt_versions",
    metadata,
    Column("tenant", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("template", JSON, nullable=False),
    Column("note", String(256), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("created_by", String(160), nullable=False),
)

prompt_labels = Table(
    "prompt_labels",
    metadata,
    Column("tenant", String(128), primary_key=True),
    Column("name", String(128), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("earlier", JSON, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    Column("generation_id", String(64), primary_key=True),
    Column("request_id", String(128), nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("tenant", String(128), nullable=False),
    Column("key_id", String(160), nullable=False),
    Column("surface", String(32), nullable=False),
    Column("requested_model", String(128), nullable=False),
    Column("upstream", String(128), nullable=False),
    Column("model", String(256), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("finish_reason", String(16), nullable=False),
    Column("cache_status", String(8), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("cache_write_input_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("usage_estimated", Boolean, nullable=False),
    Column("input_price_nano_usd", BigInteger, nullable=False),
    Column("cached_input_price_nano_usd", BigInteger, nullable=False),
    Column("output_price_nano_usd", BigInteger, nullable=False),
    Column("cost_nano_usd", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("time_to_first_token_ms", Float),
    Column("duration_ms", Float, nullable=False),
    Column("overhead_ms", Float, nullable=False),
    Column("user", String(256), nullable=False),
    Column("feature", String(64), nullable=False),
    Column("tags", JSON, nullable=False),
    Column("degraded", String(16), nullable=False, server_default=""),
    Column("cost_unknown", Boolean, nullable=False, server_default=false()),
    Column("cache_write_1h_input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("cache_write_price_nano_usd", BigInteger, nullable=False, server_default="0"),
    Column("cache_write_1h_price_nano_usd", BigInteger, nullable=False, server_default="0"),
    Column("saved_tokens", BigInteger, nullable=False, server_default="0"),
    Column("saved_nano_usd", BigInteger, nullable=False, server_default="0"),
    Column("prompt", String(128), nullable=False, server_default=""),
    Column("prompt_version", Integer, nullable=False, server_default="0"),
    Column("task", String(64), nullable=False, server_default=""),
    Column("cache_entry", String(64), nullable=False, server_default=""),
    Column("compressed_tokens", BigInteger, nullable=False, server_default="0"),
    Column("experiment", String(64), nullable=False, server_default=""),
    Column("variant", String(64), nullable=False, server_default=""),
    Column("experiment_phase", String(16), nullable=False, server_default=""),
    Column("experiment_unit", String(16), nullable=False, server_default=""),
    Column("shadow", Boolean, nullable=False, server_default=false()),
    # Not the writer's: an export sets it.
    Column("exported_at", DateTime(timezone=True)),
    Column("team", String(128), nullable=False, server_default=""),
    Column("user_id", String(256), nullable=False, server_default=""),
    Column("usage_source", String(16), nullable=False, server_default=""),
    Column("stopped_by", String(16), nullable=False, server_default=""),
    Column("reserved_nano_usd", BigInteger, nullable=False, server_default="0"),
    Column("price_revision", String(16), nullable=False, server_default=""),
    Column("operation", String(16), nullable=False, server_default=""),
    # Not the writer's either: what corrects a row is a row, written by administration.
    Column("kind", String(16), nullable=False, server_default="charge"),
    Column("corrects", String(64), nullable=False, server_default=""),
    Column("reason", String(256), nullable=False, server_default=""),
    Column("corrected_by", String(160), nullable=False, server_default=""),
    # The writer's again: of which job a row is, and of which of its attempts.
    Column("job", String(40), nullable=False, server_default=""),
    Column("attempt", Integer, nullable=False, server_default="0"),
    # What guardrails have said: a JSON array, or nothing.
    Column("guardrails", Text, nullable=False, server_default=""),
    # All that a scope's spend is summed from, so that the rows themselves are not read.
    Index(
        "ix_ledger_spend",
        "tenant",
        "created_at",
        "team",
        "user_id",
        "key_id",
        "requested_model",
        "feature",
        "shadow",
        "cost_nano_usd",
    ),
    Index(
        "ix_ledger_experiment",
        "experiment",
        "experiment_phase",
        sqlite_where=text("experiment <> ''"),
        postgresql_where=text("experiment <> ''"),
    ),
    Index("ix_ledger_job", "job", sqlite_where=text("job <> ''"), postgresql_where=text("job <> ''")),
)

ledger_totals = Table(
    "ledger_totals",
    metadata,
    # A digest of the day, and of whose and what it was: together they are too long for an index.
    Column("id", String(64), primary_key=True),
    # When the day begins, in UTC.
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("tenant", String(128), nullable=False),
    Column("team", String(128), nullable=False),
    Column("user_id", String(256), nullable=False),
    Column("key_id", String(160), nullable=False),
    Column("requested_model", String(128), nullable=False),
    Column("upstream", String(128), nullable=False),
    Column("model", String(256), nullable=False),
    Column("feature", String(64), nullable=False),
    Column("surface", String(32), nullable=False),
    Column("operation", String(16), nullable=False),
    Column("shadow", Boolean, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("cache_write_input_tokens", BigInteger, nullable=False),
    Column("cache_write_1h_input_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("cost_nano_usd", BigInteger, nullable=False),
    Column("saved_tokens", BigInteger, nullable=False),
    Column("saved_nano_usd", BigInteger, nullable=False),
    Index("ix_ledger_totals_tenant", "tenant", "created_at"),
)

price_revisions = Table(
    "price_revisions",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    # A digest of the model and its prices: those that come back have it again, from another time on.
    Column("revision", String(16), nullable=False, index=True),
    Column("effective_at", DateTime(timezone=True), nullable=False),
    Column("upstream", String(128), nullable=False),
    Column("model", String(256), nullable=False),
    # Of service; empty is the standard one.
    Column("tier", String(64), nullable=False),
    # Of a request with more tokens of input than this.
    Column("above_input_tokens", BigInteger, nullable=False),
    Column("input_price_nano_usd", BigInteger, nullable=False),
    Column("cached_input_price_nano_usd", BigInteger, nullable=False),
    Column("output_price_nano_usd", BigInteger, nullable=False),
    Column("cache_write_price_nano_usd", BigInteger, nullable=False),
    Column("cache_write_1h_price_nano_usd", BigInteger, nullable=False),
    Column("cost_unknown", Boolean, nullable=False),
    Column("source", String(32), nullable=False),
)

experiments = Table(
    "experiments",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("promoted", String(64), nullable=False),
    Column("reason", String(1024), nullable=False),
    Column("changed_at", DateTime(timezone=True)),
    Column("shares", JSON, nullable=False),
    # When its figures were last looked at, by whichever process it was.
    Column("looked_at", DateTime(timezone=True)),
)
