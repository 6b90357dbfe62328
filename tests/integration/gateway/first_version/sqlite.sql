BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE api_keys (
	id VARCHAR(32) NOT NULL,
	tenant VARCHAR(128) NOT NULL,
	digest BLOB NOT NULL,
	label VARCHAR(128) NOT NULL,
	scopes JSON NOT NULL,
	models JSON NOT NULL,
	created_at DATETIME NOT NULL,
	expires_at DATETIME,
	revoked_at DATETIME, user_id VARCHAR(32), networks JSON, replaced_by VARCHAR(32),
	PRIMARY KEY (id),
	UNIQUE (digest)
);
INSERT INTO "api_keys" VALUES('key-1','acme',X'000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F','first','["chat"]','[]','2026-01-02 03:04:05.678901',NULL,NULL,'user-1','["10.0.0.0/8"]',NULL);
INSERT INTO "api_keys" VALUES('key-2','acme',X'202122232425262728292A2B2C2D2E2F303132333435363738393A3B3C3D3E3F','','["chat", "admin"]','["fast"]','2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901',NULL,NULL,'key-1');
CREATE TABLE audit_log (
	id INTEGER NOT NULL,
	occurred_at DATETIME NOT NULL,
	actor_key_id VARCHAR(160) NOT NULL,
	actor_user_id VARCHAR(32) NOT NULL,
	actor_tenant VARCHAR(128) NOT NULL,
	action VARCHAR(32) NOT NULL,
	tenant VARCHAR(256) NOT NULL,
	target VARCHAR(256) NOT NULL,
	client_address VARCHAR(64) NOT NULL,
	request_id VARCHAR(128) NOT NULL,
	outcome VARCHAR(32) NOT NULL,
	details JSON NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO "audit_log" VALUES(1,'2026-01-02 03:04:05.678901','key-1','user-1','acme','create','acme','key-2','10.1.2.3','req','ok','{"a": [1, null]}');
CREATE TABLE ledger (
	generation_id VARCHAR(64) NOT NULL,
	request_id VARCHAR(128) NOT NULL,
	created_at DATETIME NOT NULL,
	tenant VARCHAR(128) NOT NULL,
	key_id VARCHAR(160) NOT NULL,
	surface VARCHAR(32) NOT NULL,
	requested_model VARCHAR(128) NOT NULL,
	upstream VARCHAR(128) NOT NULL,
	model VARCHAR(256) NOT NULL,
	outcome VARCHAR(32) NOT NULL,
	finish_reason VARCHAR(16) NOT NULL,
	cache_status VARCHAR(8) NOT NULL,
	input_tokens BIGINT NOT NULL,
	output_tokens BIGINT NOT NULL,
	cached_input_tokens BIGINT NOT NULL,
	cache_write_input_tokens BIGINT NOT NULL,
	reasoning_tokens BIGINT NOT NULL,
	usage_estimated BOOLEAN NOT NULL,
	input_price_nano_usd BIGINT NOT NULL,
	cached_input_price_nano_usd BIGINT NOT NULL,
	output_price_nano_usd BIGINT NOT NULL,
	cost_nano_usd BIGINT NOT NULL,
	attempts INTEGER NOT NULL,
	time_to_first_token_ms FLOAT,
	duration_ms FLOAT NOT NULL,
	overhead_ms FLOAT NOT NULL,
	user VARCHAR(256) NOT NULL,
	feature VARCHAR(64) NOT NULL,
	tags JSON NOT NULL,
	PRIMARY KEY (generation_id)
);
INSERT INTO "ledger" VALUES('gen-0','req-0','2026-01-02 03:04:05.678901','acme','key-1','openai','fast','first','m1','cancelled','stop','miss',7,4,0,0,0,0,1000000000,0,2000000000,15000,1,3.25,12.5,3.33333333333333314829e-01,'änn','chat','{}');
INSERT INTO "ledger" VALUES('gen-1','req-1','2026-01-02 03:04:06.678901','acme','key-1','openai','fast','first','m1','ok','stop','miss',7,4,0,0,0,0,1000000000,0,2000000000,15000,1,NULL,12.5,3.33333333333333314829e-01,'änn','chat','{"team": "r\u00f6d"}');
INSERT INTO "ledger" VALUES('gen-2','req-2','2026-01-02 03:04:07.678901','acme','key-1','openai','fast','first','m1','ok','stop','miss',7,4,0,0,0,1,1000000000,0,2000000000,15000,1,NULL,12.5,3.33333333333333314829e-01,'änn','chat','{"team": "r\u00f6d"}');
CREATE TABLE tenants (
	name VARCHAR(128) NOT NULL,
	tier VARCHAR(128) NOT NULL,
	models JSON NOT NULL,
	regions JSON NOT NULL,
	created_at DATETIME NOT NULL,
	disabled_at DATETIME,
	PRIMARY KEY (name)
);
INSERT INTO "tenants" VALUES('acme','pro','["fast"]','["eu"]','2026-01-02 03:04:05.678901',NULL);
CREATE TABLE users (
	id VARCHAR(32) NOT NULL,
	tenant VARCHAR(128) NOT NULL,
	name VARCHAR(256) NOT NULL,
	role VARCHAR(16) NOT NULL,
	created_at DATETIME NOT NULL,
	disabled_at DATETIME,
	PRIMARY KEY (id),
	CONSTRAINT uq_users_tenant_name UNIQUE (tenant, name)
);
INSERT INTO "users" VALUES('user-1','acme','änn','member','2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901');
CREATE INDEX ix_api_keys_tenant ON api_keys (tenant);
CREATE INDEX ix_ledger_request_id ON ledger (request_id);
CREATE INDEX ix_ledger_created_at ON ledger (created_at);
CREATE INDEX ix_ledger_tenant ON ledger (tenant);
CREATE INDEX ix_audit_log_tenant ON audit_log (tenant);
COMMIT;
