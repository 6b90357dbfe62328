"""The schema, as the migrations leave it."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, DateTime, Float, Integer, LargeBinary, MetaData, String, Table

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
)

ledger = Table(
    "ledger",
    metadata,
    Column("generation_id", String(64), primary_key=True),
    Column("request_id", String(128), nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("tenant", String(128), nullable=False, index=True),
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
)
