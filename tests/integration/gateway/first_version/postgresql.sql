CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.api_keys (
    id character varying(32) NOT NULL,
    tenant character varying(128) NOT NULL,
    digest bytea NOT NULL,
    label character varying(128) NOT NULL,
    scopes json NOT NULL,
    models json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    user_id character varying(32),
    networks json,
    replaced_by character varying(32)
);
CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    occurred_at timestamp with time zone NOT NULL,
    actor_key_id character varying(160) NOT NULL,
    actor_user_id character varying(32) NOT NULL,
    actor_tenant character varying(128) NOT NULL,
    action character varying(32) NOT NULL,
    tenant character varying(256) NOT NULL,
    target character varying(256) NOT NULL,
    client_address character varying(64) NOT NULL,
    request_id character varying(128) NOT NULL,
    outcome character varying(32) NOT NULL,
    details json NOT NULL
);
CREATE SEQUENCE public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.audit_log_id_seq OWNED BY public.audit_log.id;
CREATE TABLE public.ledger (
    generation_id character varying(64) NOT NULL,
    request_id character varying(128) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    tenant character varying(128) NOT NULL,
    key_id character varying(160) NOT NULL,
    surface character varying(32) NOT NULL,
    requested_model character varying(128) NOT NULL,
    upstream character varying(128) NOT NULL,
    model character varying(256) NOT NULL,
    outcome character varying(32) NOT NULL,
    finish_reason character varying(16) NOT NULL,
    cache_status character varying(8) NOT NULL,
    input_tokens bigint NOT NULL,
    output_tokens bigint NOT NULL,
    cached_input_tokens bigint NOT NULL,
    cache_write_input_tokens bigint NOT NULL,
    reasoning_tokens bigint NOT NULL,
    usage_estimated boolean NOT NULL,
    input_price_nano_usd bigint NOT NULL,
    cached_input_price_nano_usd bigint NOT NULL,
    output_price_nano_usd bigint NOT NULL,
    cost_nano_usd bigint NOT NULL,
    attempts integer NOT NULL,
    time_to_first_token_ms double precision,
    duration_ms double precision NOT NULL,
    overhead_ms double precision NOT NULL,
    "user" character varying(256) NOT NULL,
    feature character varying(64) NOT NULL,
    tags json NOT NULL
);
CREATE TABLE public.tenants (
    name character varying(128) NOT NULL,
    tier character varying(128) NOT NULL,
    models json NOT NULL,
    regions json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    disabled_at timestamp with time zone
);
CREATE TABLE public.users (
    id character varying(32) NOT NULL,
    tenant character varying(128) NOT NULL,
    name character varying(256) NOT NULL,
    role character varying(16) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    disabled_at timestamp with time zone
);
ALTER TABLE ONLY public.audit_log ALTER COLUMN id SET DEFAULT nextval('public.audit_log_id_seq'::regclass);
INSERT INTO public.alembic_version (version_num) VALUES ('0002');
INSERT INTO public.api_keys (id, tenant, digest, label, scopes, models, created_at, expires_at, revoked_at, user_id, networks, replaced_by) VALUES ('key-1', 'acme', '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'first', '["chat"]', '[]', '2026-01-02 03:04:05.678901+00', NULL, NULL, 'user-1', '["10.0.0.0/8"]', NULL);
INSERT INTO public.api_keys (id, tenant, digest, label, scopes, models, created_at, expires_at, revoked_at, user_id, networks, replaced_by) VALUES ('key-2', 'acme', '\x202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f', '', '["chat", "admin"]', '["fast"]', '2026-01-02 03:04:05.678901+00', '2026-01-02 03:04:05.678901+00', '2026-01-02 03:04:05.678901+00', NULL, NULL, 'key-1');
INSERT INTO public.audit_log (id, occurred_at, actor_key_id, actor_user_id, actor_tenant, action, tenant, target, client_address, request_id, outcome, details) VALUES (1, '2026-01-02 03:04:05.678901+00', 'key-1', 'user-1', 'acme', 'create', 'acme', 'key-2', '10.1.2.3', 'req', 'ok', '{"a": [1, null]}');
INSERT INTO public.ledger (generation_id, request_id, created_at, tenant, key_id, surface, requested_model, upstream, model, outcome, finish_reason, cache_status, input_tokens, output_tokens, cached_input_tokens, cache_write_input_tokens, reasoning_tokens, usage_estimated, input_price_nano_usd, cached_input_price_nano_usd, output_price_nano_usd, cost_nano_usd, attempts, time_to_first_token_ms, duration_ms, overhead_ms, "user", feature, tags) VALUES ('gen-0', 'req-0', '2026-01-02 03:04:05.678901+00', 'acme', 'key-1', 'openai', 'fast', 'first', 'm1', 'cancelled', 'stop', 'miss', 7, 4, 0, 0, 0, false, 1000000000, 0, 2000000000, 15000, 1, 3.25, 12.5, 0.3333333333333333, 'änn', 'chat', '{}');
INSERT INTO public.ledger (generation_id, request_id, created_at, tenant, key_id, surface, requested_model, upstream, model, outcome, finish_reason, cache_status, input_tokens, output_tokens, cached_input_tokens, cache_write_input_tokens, reasoning_tokens, usage_estimated, input_price_nano_usd, cached_input_price_nano_usd, output_price_nano_usd, cost_nano_usd, attempts, time_to_first_token_ms, duration_ms, overhead_ms, "user", feature, tags) VALUES ('gen-1', 'req-1', '2026-01-02 03:04:06.678901+00', 'acme', 'key-1', 'openai', 'fast', 'first', 'm1', 'ok', 'stop', 'miss', 7, 4, 0, 0, 0, false, 1000000000, 0, 2000000000, 15000, 1, NULL, 12.5, 0.3333333333333333, 'änn', 'chat', '{"team": "r\u00f6d"}');
INSERT INTO public.ledger (generation_id, request_id, created_at, tenant, key_id, surface, requested_model, upstream, model, outcome, finish_reason, cache_status, input_tokens, output_tokens, cached_input_tokens, cache_write_input_tokens, reasoning_tokens, usage_estimated, input_price_nano_usd, cached_input_price_nano_usd, output_price_nano_usd, cost_nano_usd, attempts, time_to_first_token_ms, duration_ms, overhead_ms, "user", feature, tags) VALUES ('gen-2', 'req-2', '2026-01-02 03:04:07.678901+00', 'acme', 'key-1', 'openai', 'fast', 'first', 'm1', 'ok', 'stop', 'miss', 7, 4, 0, 0, 0, true, 1000000000, 0, 2000000000, 15000, 1, NULL, 12.5, 0.3333333333333333, 'änn', 'chat', '{"team": "r\u00f6d"}');
INSERT INTO public.tenants (name, tier, models, regions, created_at, disabled_at) VALUES ('acme', 'pro', '["fast"]', '["eu"]', '2026-01-02 03:04:05.678901+00', NULL);
INSERT INTO public.users (id, tenant, name, role, created_at, disabled_at) VALUES ('user-1', 'acme', 'änn', 'member', '2026-01-02 03:04:05.678901+00', '2026-01-02 03:04:05.678901+00');
SELECT pg_catalog.setval('public.audit_log_id_seq', 1, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (generation_id);
ALTER TABLE ONLY public.tenants
    ADD CONSTRAINT tenants_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT uq_users_tenant_name UNIQUE (tenant, name);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);
CREATE INDEX ix_api_keys_tenant ON public.api_keys USING btree (tenant);
CREATE INDEX ix_audit_log_tenant ON public.audit_log USING btree (tenant);
CREATE INDEX ix_ledger_created_at ON public.ledger USING btree (created_at);
CREATE INDEX ix_ledger_request_id ON public.ledger USING btree (request_id);
CREATE INDEX ix_ledger_tenant ON public.ledger USING btree (tenant);
