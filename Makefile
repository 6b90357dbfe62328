# Everything a person or a pipeline does with this checkout. `make help` lists it.
#
# PYTHON, CONFIG, STATE, WITHOUT_TRITON, WITHOUT_EMBEDDING and ARGS change what the targets do, such as
# `make run CONFIG=my.yaml ARGS=--json`.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

STATE ?= .state
BIN := .venv/bin
SETUP := scripts/setup.sh $(if $(WITHOUT_TRITON),--without-triton) $(if $(WITHOUT_EMBEDDING),--without-embedding)
TOOLS := PATH="$(CURDIR)/$(BIN):$$PATH" UV=uv GO=go BUF=buf PROTO_PYTHON="$(CURDIR)/$(BIN)/python"
# Targets side by side, with --jobs N: what one says is shown once it has ended, and all are made even if one fails.
BESIDE := $(MAKE) --keep-going --output-sync=target

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: installed ## Install everything `make run` needs; quick when it is there
	@scripts/next_steps.sh

.PHONY: installed
installed:
	@$(SETUP)

.PHONY: run
run: installed ## Set up, then start the whole stack on this machine; Ctrl-C stops it
	@exec $(BIN)/penstock up --state "$(STATE)" $(if $(CONFIG),--config "$(CONFIG)") \
	  $(if $(WITHOUT_TRITON),--without-triton) $(ARGS)

.PHONY: up down
up: ## Start every service as a container of its own (Docker with compose); ARGS are flags of `docker compose up`
	@scripts/containers.sh up $(ARGS)
down: ## Stop the containers; ARGS=--volumes forgets their data, too
	@scripts/containers.sh down $(ARGS)

# Tests wait as long as they compute, so that those that need nothing of each other run side by side.
STACKS := test-chaos test-six-processes test-workers test-one-process test-roles

.PHONY: test test-edge test-parts $(STACKS)
test: setup-dev ## Run every test, the end-to-end ones in each shape of the stack; ARGS go to pytest, which then runs once
ifdef ARGS
	@$(MAKE) test-edge
	$(TOOLS) pytest $(ARGS)
else
	@$(BESIDE) --jobs 2 test-edge test-parts
	@$(BESIDE) --jobs 1 $(STACKS)
endif
test-edge:
	cd services/gateway/edge && $(TOOLS) ../../../scripts/tests.sh go ./...
	cd services/gateway/edge && for target in FuzzRequest FuzzAnswer FuzzChunks; do \
	  $(TOOLS) go test ./http1 -run '^$$' -fuzz "^$$target\$$" -fuzztime 20000x || exit 1; done
test-parts:
	$(TOOLS) scripts/tests.sh pytest --numprocesses auto --dist loadfile --ignore tests/e2e --ignore tests/e2e_roles --ignore tests/chaos
test-chaos:
	$(TOOLS) scripts/tests.sh pytest tests/chaos
test-roles:
	$(TOOLS) scripts/tests.sh pytest tests/e2e_roles
test-one-process test-workers test-six-processes:
	PENSTOCK_TEST_SHAPE=$(subst -,_,$(@:test-%=%)) $(TOOLS) scripts/tests.sh pytest tests/e2e

.PHONY: parity
parity: setup-dev ## What needs torch, in an environment of its own: sentence-transformers beside ours, LLMLingua-2
	scripts/torch.sh -m pytest -s tests/integration/embedding/test_embedding_parity.py tests/integration/gateway/test_llmlingua.py $(ARGS)

.PHONY: bench
bench: setup-dev ## Measure what a request costs, AGAINST=COMMIT beside that commit; ARGS such as --quick
	$(TOOLS) python bench/overhead.py $(if $(AGAINST),--against "$(AGAINST)") $(ARGS)
.PHONY: bench-capacity
bench-capacity: setup-dev ## Measure CPU and memory of each role, for penstock estimate --capacity; ARGS such as --publish, --confirm
	$(TOOLS) python bench/capacity.py $(ARGS)
.PHONY: bench-peers
bench-peers: setup-dev ## Measure the suite beside other gateways, installed in .bench/; ARGS such as --publish
	$(TOOLS) python bench/beside_peers.py $(ARGS)
.PHONY: bench-ingest
bench-ingest: setup-dev ## Take a thousand files in, killed ten times, and compare; ARGS such as --files 100
	$(TOOLS) python bench/ingest.py $(ARGS)
.PHONY: bench-jobs
bench-jobs: setup-dev ## Drain a deep queue by two workers, and see who waits meanwhile; ARGS such as --jobs 10000 --engine postgresql
	$(TOOLS) python bench/jobs_drain.py $(ARGS)
.PHONY: bench-jobs-kills
bench-jobs-kills: setup-dev ## Kill who accepts and runs jobs, and the database, at each of ten points; ARGS such as --jobs 100
	$(TOOLS) python bench/jobs_nemesis.py $(ARGS)
.PHONY: bench-streams
bench-streams: setup-dev ## Open ten thousand slow streams through one and six processes; ARGS such as "--only six", "--streams 1000"
	$(TOOLS) python bench/slow_streams.py $(ARGS)
.PHONY: bench-cache
bench-cache: setup-dev ## Measure what the semantic cache spares and costs; ARGS such as --quick, --publish
	$(TOOLS) python bench/semantic_cache.py $(ARGS)
.PHONY: bench-experiments
bench-experiments: setup-dev ## Simulate experiments: how often they are called rightly and wrongly; ARGS such as --quick, --json
	$(TOOLS) python bench/experiments.py $(ARGS)

.PHONY: bench-guardrails
bench-guardrails: setup-dev ## Measure what guardrails cost: CPU of 1,000 tokens, the classifier, streams; ARGS such as --quick, "--only inline", --json
	$(TOOLS) python bench/guardrail_costs.py $(ARGS)
.PHONY: bench-knowledge
bench-knowledge: setup-dev ## Questions about the documentation to the real parts, answered by quotes. ARGS=--mode hybrid_rerank
	$(TOOLS) python bench/knowledge/documentation.py $(ARGS)

.PHONY: bench-routing
bench-routing: setup-dev ## Replay 2,000 prompts with a scripted table of quality: what policies save and keep; ARGS such as --seed 7
	$(TOOLS) python bench/routing.py $(ARGS)
.PHONY: bench-autoscaling
bench-autoscaling: setup-dev ## Rehearse the chart's scalers: ten times the load, a day, a spike; ARGS such as --candidates, "--load step"
	$(TOOLS) PYTHONPATH="$(CURDIR)/bench" python -m autoscaling $(ARGS)
.PHONY: bench-chunking
bench-chunking: setup-dev ## Measure how fast documents are cut, by splitter, with the model's tokenizer; ARGS such as --json
	$(TOOLS) python bench/chunking.py $(ARGS)

.PHONY: probes
probes: setup-dev ## Ask a full vector store 200,000 times for what other tenants and labels have; fails if anything is found
	$(TOOLS) python bench/points.py --probes 100000 $(ARGS)
	$(TOOLS) python bench/chunk_vectors.py --probes 100000 $(ARGS)

.PHONY: hostile
hostile: setup-dev ## Attack the stack in every way that is known, while honest callers work; ARGS such as --publish, --only gRPC
	$(TOOLS) PYTHONPATH="$(CURDIR)/bench" python -m hostile $(ARGS)

.PHONY: chaos
chaos: setup-dev ## Twenty thousand requests while everything fails, an outage, slowness, 429 and a burst; ARGS such as "--only outage"
	$(TOOLS) PYTHONPATH="$(CURDIR)/bench" python -m chaos $(ARGS)

.PHONY: soak
soak: setup-dev ## Two hours of churn and faults: does a process grow? ARGS such as "--seconds 600", --publish
	$(TOOLS) PYTHONPATH="$(CURDIR)/bench" python -m soak $(ARGS)

.PHONY: clients
clients: setup-dev ## Run the clients that people have, from their registries in .clients/, against the stack; ARGS such as --publish
	$(TOOLS) python clients/run.py $(ARGS)

.PHONY: dashboards
dashboards: setup-dev ## Put every query of the dashboards to a Prometheus that scraped a stack under load; ARGS such as --publish
	$(TOOLS) PYTHONPATH="$(CURDIR)/bench" python -m dashboards $(ARGS)

.PHONY: tail-rules
tail-rules: setup-dev ## Build the OpenTelemetry Collector and see which traces it keeps by deploy/otel/collector.yaml
	PENSTOCK_TAIL_RULES=1 $(BIN)/pytest -q tests/deploy/test_collector.py $(ARGS)

.PHONY: alerts
alerts: setup-dev ## Cause what alerts are for, on a real stack, and see each fire in a real Prometheus: minutes
	PENSTOCK_ALERTS=1 $(BIN)/pytest -q tests/deploy/test_alerts_caused.py tests/deploy/test_alerts_caused_slowly.py $(ARGS)

.PHONY: bills
bills: setup-dev ## Settle ten thousand mixed requests, and compare each ledger row to what its provider bills
	PENSTOCK_BILLS=10000 $(BIN)/pytest -q tests/integration/gateway/test_bills.py $(ARGS)

.PHONY: plans
plans: setup-dev ## Make plans for 100,000 random configurations, none of which may go where it must not
	PENSTOCK_PLANS=100000 $(BIN)/pytest -q --timeout 3600 tests/unit/router/test_no_forbidden_plan.py $(ARGS)

.PHONY: repeats
repeats: setup-dev ## Send one request a thousand times at once under one Idempotency-Key, and kill its gateway in mid-answer; REPEATS=1000
	PENSTOCK_REPEATS=$(or $(REPEATS),1000) $(BIN)/pytest -q tests/integration/gateway/test_repeats_of_processes.py $(ARGS)

.PHONY: fuzz
fuzz: setup-dev ## Send 100,000 fuzzed requests to every surface of a running stack; ARGS such as "--requests 5000 --seed 7"
	$(TOOLS) python fuzz/run.py $(ARGS)

.PHONY: fuzz-documents
fuzz-documents: setup-dev ## Read changed files of every kind for SECONDS=60 each: whatever they hold, they are read or refused
	PENSTOCK_FUZZ_SECONDS=$(or $(SECONDS),60) $(TOOLS) pytest tests/integration/embedding/test_parsing_fuzz.py $(ARGS)

# The longest first, which computes on one core alone.
CHECKS := check-types check-format check-lint check-imports check-sizes check-links check-edge check-contract

.PHONY: check $(CHECKS)
check: ## Static checks, all of them even if one fails: format, lint, types, imports, sizes, links, edge, contract
	@$(SETUP) --dev
	@$(BESIDE) --jobs 2 $(CHECKS)
check-format:
	$(BIN)/ruff format --check .
check-lint:
	$(BIN)/ruff check .
check-types:
	$(BIN)/pyright --pythonpath $(BIN)/python
check-imports:
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/check_circles.py
check-sizes:
	$(BIN)/python tools/check_sizes.py
check-links:
	$(BIN)/python tools/check_links.py
	$(BIN)/python tools/gen_error_docs.py --check
	$(BIN)/python tools/gen_configuration_docs.py --check
	$(BIN)/python tools/gen_provider_docs.py --check
check-edge:
	$(TOOLS) scripts/check_go.sh
check-contract:
	$(TOOLS) proto/lint.sh
	$(TOOLS) scripts/check_generated.sh

.PHONY: format
format: setup-dev ## Format and fix what can be fixed
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	cd services/gateway/edge && $(TOOLS) go fmt ./...

.PHONY: proto
proto: setup-dev ## Generate Python, Go and the OpenAPI document from proto/
	$(TOOLS) proto/generate.sh

.PHONY: lock
lock: setup-dev ## Lock requirements/*.in with hashes; ARGS=--upgrade takes what is newest
	$(TOOLS) scripts/lock.sh $(ARGS)

.PHONY: setup-dev
setup-dev:
	@$(SETUP) --dev
