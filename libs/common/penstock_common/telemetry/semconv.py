"""Every telemetry name of the suite, in one place.

The GenAI names are those of the OpenTelemetry semantic conventions v1.41.0
(status: development); Prometheus writes them with underscores and the unit.
Names that the conventions lack begin with ``penstock``.
"""

from __future__ import annotations

# Resource and span attributes.
SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"
ERROR_TYPE = "error.type"
OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"

REQUEST_ID = "penstock.request_id"
TENANT = "penstock.tenant"
SURFACE = "penstock.surface"
UPSTREAM = "penstock.upstream"
CACHE = "penstock.cache"
PROMPT = "penstock.prompt"
DEGRADED = "penstock.degraded"
EXPERIMENT = "penstock.experiment"
VARIANT = "penstock.variant"
COST_NANO_USD = "penstock.cost_nano_usd"
OVERHEAD_MS = "penstock.overhead_ms"

CHAT = "chat"
EMBEDDINGS = "embeddings"

# Metrics, as Prometheus spells them.
METRIC_RPC_DURATION = "rpc_server_call_duration_seconds"
METRIC_CALLS_IN_FLIGHT = "penstock_service_calls_in_flight"
METRIC_CALLS_LIMIT = "penstock_service_calls_limit"
METRIC_CALLS_SHED = "penstock_service_calls_shed_total"
METRIC_REQUESTS = "penstock_requests_total"
METRIC_REQUESTS_IN_FLIGHT = "penstock_requests_in_flight"
METRIC_LEDGER_WAITING = "penstock_ledger_rows_waiting"
METRIC_TOKENS = "penstock_tokens_total"
METRIC_COST = "penstock_cost_usd_total"
METRIC_UNPRICED = "penstock_answers_without_a_price_total"
METRIC_UNPRICED_ANSWERS = "penstock_unpriced_answers_total"
METRIC_RECOVERIES = "penstock_recovered_breaks_total"
METRIC_BROKEN = "penstock_broken_answers_total"
METRIC_HEDGES = "penstock_hedges_total"
METRIC_UPSTREAM_INPUT_TOKENS = "penstock_inference_input_tokens_total"
METRIC_UPSTREAM_CACHED_INPUT_TOKENS = "penstock_inference_cached_input_tokens_total"
METRIC_REASONING_MISSING = "penstock_inference_reasoning_missing_total"
METRIC_EJECTIONS = "penstock_upstream_ejections_total"
METRIC_PROBES = "penstock_upstream_probes_total"
METRIC_UPSTREAM_STATE = "penstock_upstream_state"
METRIC_RETRIES = "penstock_upstream_retries_total"
METRIC_UPSTREAM_INSIDE = "penstock_upstream_requests_inside"
METRIC_UPSTREAM_WAITING = "penstock_upstream_requests_waiting"
METRIC_UPSTREAM_LIMIT = "penstock_upstream_requests_limit"
METRIC_UPSTREAM_SHED = "penstock_upstream_requests_shed_total"
METRIC_RETRIES_REFUSED = "penstock_upstream_retries_refused_total"
METRIC_RETRIEVAL_SEARCHES = "penstock_retrieval_searches_total"
METRIC_RETRIEVAL_PASSAGES = "penstock_retrieval_passages_total"
METRIC_RETRIEVAL_CITATIONS = "penstock_retrieval_citations_total"
METRIC_DEGRADED = "penstock_degraded_answers_total"
METRIC_CACHE = "penstock_cache_requests_total"
METRIC_SAVED_TOKENS = "penstock_cache_saved_tokens_total"
METRIC_SAVED_COST = "penstock_cache_saved_usd_total"
METRIC_FEEDBACK = "penstock_feedback_total"
METRIC_FEEDBACK_DISPUTES = "penstock_feedback_disputes_total"
METRIC_COMPRESSED_TOKENS = "penstock_compressed_tokens_total"
METRIC_OVERHEAD = "penstock_overhead_seconds"
METRIC_EMBEDDING_QUEUE = "penstock_embedding_queue_texts"
METRIC_EMBEDDING_WAIT = "penstock_embedding_wait_seconds"
METRIC_EMBEDDING_BATCH = "penstock_embedding_batch_texts"
METRIC_EMBEDDING_RUN = "penstock_embedding_run_seconds"
METRIC_EMBEDDING_TOKENS = "penstock_embedding_run_tokens_total"
METRIC_EMBEDDING_ATTEMPTS = "penstock_embedding_attempts_total"
METRIC_EMBEDDING_LEFT_ALONE = "penstock_embedding_upstream_left_alone"
METRIC_CACHE_HITS = "penstock_cache_hits_total"
METRIC_CACHE_MISSES = "penstock_cache_misses_total"
METRIC_CACHE_STORES = "penstock_cache_stores_total"
METRIC_CACHE_REFUSED = "penstock_cache_refused_total"
METRIC_CACHE_NOT_COMPARED = "penstock_cache_not_compared_total"
METRIC_CACHE_NOT_STORED = "penstock_cache_not_stored_total"
METRIC_CACHE_EMBEDDED = "penstock_cache_embedded_total"
METRIC_CACHE_EVIDENCE = "penstock_cache_evidence_total"
METRIC_CACHE_JUDGED_HITS = "penstock_cache_judged_hits_total"
METRIC_CACHE_EVICTED = "penstock_cache_evicted_total"
METRIC_CACHE_ENTRIES = "penstock_cache_semantic_entries"
METRIC_CACHE_SEMANTIC_SECONDS = "penstock_cache_semantic_seconds"
METRIC_CACHE_SEMANTIC_TROUBLE = "penstock_cache_semantic_trouble"
METRIC_ROUTER_DECISIONS = "penstock_router_decisions_total"
METRIC_ROUTER_ABSTENTIONS = "penstock_router_abstentions_total"
METRIC_ROUTER_WITHOUT_VECTOR = "penstock_router_without_vector_total"
METRIC_ROUTER_PASSED_OVER = "penstock_router_passed_over_total"
METRIC_ROUTER_DRIFT = "penstock_router_drift"
METRIC_ROUTING_BEST = "penstock_routing_best_usd_total"
METRIC_ROUTING_COST = "penstock_routing_usd_total"
METRIC_REQUEST_DURATION = "gen_ai_server_request_duration_seconds"
METRIC_TIME_TO_FIRST_TOKEN = "gen_ai_server_time_to_first_token_seconds"  # noqa: S105 - a token of text

# Bucket boundaries that the conventions advise, in seconds.
REQUEST_DURATION_BUCKETS = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
TIME_TO_FIRST_TOKEN_BUCKETS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
OVERHEAD_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
