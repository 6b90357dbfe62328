"""What Prometheus, Grafana and the collector are told: it parses, and it names metrics and labels that exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from image_roots import ROOT
from prometheus_client import CollectorRegistry

from penstock_cache.adapters.metrics import CacheMetrics, LookMeter
from penstock_cache.domain.meaning.counts import MeaningCounts
from penstock_common.contract.cache import Stats
from penstock_common.errors import PenstockError
from penstock_common.llm.types import Decision
from penstock_common.rpc.server_interceptors import CallTelemetry
from penstock_common.rpc.shedding import LoadShedding
from penstock_common.sections import RoomSettings
from penstock_embedding.adapters.telemetry import BatchMetrics, UpstreamMetrics
from penstock_gateway.adapters.budget_metrics import BudgetMetrics
from penstock_gateway.adapters.feedback_metrics import FeedbackMetrics
from penstock_gateway.adapters.job_metrics import DepthCollector, JobMetrics
from penstock_gateway.adapters.kept_metrics import BatchEndMetrics, IdempotencyMetrics
from penstock_gateway.adapters.money_metrics import BudgetsCollector, LimitRefusals, LimitsCollector
from penstock_gateway.adapters.review_metrics import ReviewMetrics, StandingCollector
from penstock_gateway.adapters.telemetry import Metrics, show_ledger
from penstock_gateway.app.structured_output import structured_answers
from penstock_gateway.domain.guardrails.pipeline.refusing import GuardrailUnavailable
from penstock_gateway.domain.jobs.observing import DepthWatch
from penstock_gateway.domain.life.settlement import CANCELLED, OK, outcome_of
from penstock_gateway.domain.limits.sight import BudgetSeen
from penstock_gateway.domain.reviews.ports import Standing
from penstock_gateway.domain.reviews.terms import ReviewTerms
from penstock_gateway.domain.reviews.tidying import ReviewTidying
from penstock_inference.adapters.telemetry import AttemptTelemetry, HealthMetrics, LimitMetrics
from penstock_inference.domain.endpoint import Endpoint
from penstock_inference.domain.health.registry import Health
from penstock_inference.domain.health.rules import State
from penstock_inference.domain.load.gate import Gate, GateLimits
from penstock_inference.domain.pool import Pool
from penstock_router.adapters.metrics import RouterMetrics
from penstock_router.domain.choosing import Shadowed
from penstock_router.domain.forks import Fork
from penstock_router.domain.sight import DriftRules, Sight
from penstock_suite.adapters.loop_lag import LoopLag
from penstock_suite.adapters.revision_metrics import RevisionMetrics

DEPLOY = ROOT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yaml"
OBJECTIVES = DEPLOY / "prometheus" / "slo.yaml"
SCRAPES = DEPLOY / "prometheus" / "prometheus.yaml"
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
DEMO_MODEL = DEPLOY / "triton" / "repository" / "penstock-demo" / "1" / "model.py"

# What Prometheus itself puts on every series, and what deploy/prometheus/prometheus.yaml adds.
ADDED_LABELS = {"job", "instance", "role", "le"}
_WORDS = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LANGUAGE = {
    "sum", "max", "avg", "rate", "increase", "by", "histogram_quantile", "count", "absent", "or", "and", "unless", "on", "label_values",
    "__rate_interval", "model", "tenant", "vector", "sum_over_time", "avg_over_time",
}  # fmt: skip


def _of_services() -> dict[str, set[str]]:
    """Return the labels of every series that our processes have, by name."""
    registry = CollectorRegistry()
    Metrics(registry, lambda: 0)
    show_ledger(registry, lambda: 0)
    structured_answers(registry)
    LimitRefusals(registry)
    CallTelemetry(registry)
    BudgetMetrics(registry)
    JobMetrics(registry)
    IdempotencyMetrics(registry)
    BatchEndMetrics(registry)
    ReviewMetrics(registry)
    FeedbackMetrics(registry)
    registry.register(BatchMetrics())
    found: dict[str, set[str]] = {}
    for collector in (
        *registry._collector_to_names,
        BatchMetrics()._registry,
        UpstreamMetrics(())._registry,
        AttemptTelemetry()._registry,
        RevisionMetrics("")._registry,
        LoopLag()._registry,
        HealthMetrics(Health())._registry,
        LookMeter()._registry,
    ):
        inner = collector._collector_to_names if isinstance(collector, CollectorRegistry) else [collector]
        for metric in inner:
            if not hasattr(metric, "_labelnames"):
                continue
            for described in metric.describe():
                suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(
                    described.type, ("",)
                )
                found |= {described.name + suffix: set(metric._labelnames) for suffix in suffixes}
    return found | _made_when_asked_for()


def _made_when_asked_for() -> dict[str, set[str]]:
    """Return the labels of such series."""
    health = Health()
    Pool([Endpoint(None)], health.upstream("u")).places("m")
    gate = Gate(GateLimits(concurrent_requests=1), Clock())
    shedding = LoadShedding(RoomSettings().of("cache"))
    attempts = AttemptTelemetry()
    counts = MeaningCounts(entries=1)
    for reasons in (counts.refused, counts.not_compared, counts.not_stored, counts.evidence):
        reasons["any"] = 1
    cache: Any = CacheCounts()
    sight = Sight(DriftRules(), float)
    unsure = Decision("m", "routes.default", task="faq", complexity="low", abstains=True, passed_over=("n (is away)",))
    sight.note(Fork("auto", (), {"faq": "n", "default": "m"}), unsure)
    sight.note_shadow(Shadowed("auto", "faq", "n", "", "m"))
    budget = BudgetSeen(tenant="t", name="b", scope="team", limit=2, spent=1, reserved=0, elapsed=0.5)
    unasked: Any = None
    watch = DepthWatch(unasked)
    watch.looked_at = datetime.now(UTC)
    reviews = ReviewTidying(unasked, ReviewTerms())
    reviews.standing = Standing(1, 0, 0, datetime.now(UTC))
    collectors = (
        HealthMetrics(health),
        LimitMetrics(lambda: [("u", gate)]),
        shedding,
        attempts,
        CacheMetrics(cache, counts),
        RouterMetrics(sight),
        LimitsCollector(Uncounted()),
        BudgetsCollector(lambda: [budget]),
        DepthCollector(watch),
        StandingCollector(reviews),
    )
    samples = [sample for collector in collectors for family in collector.collect() for sample in family.samples]
    # Of a loop that runs.
    return {**{sample.name: set(sample.labels) for sample in samples}, "penstock_event_loop_tasks": set()}


class Uncounted:
    """A limiter that holds nothing."""

    mode = "exact"

    def outstanding(self) -> list[tuple[str, int]]:
        return []


class CacheCounts:
    """A cache that nobody has asked."""

    def stats(self) -> Stats:
        return Stats()


class Clock:
    """Stands still."""

    def time(self) -> float:
        return 0.0


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The labels of every series that exists, by name."""
    of_triton = {
        "nv_inference_request_success",
        "nv_inference_request_failure",
        "nv_inference_queue_duration_us",
        "nv_inference_compute_infer_duration_us",
    }
    of_gpus = {"nv_gpu_utilization", "nv_gpu_memory_used_bytes", "nv_gpu_memory_total_bytes"}
    of_vllm = {"vllm:num_requests_waiting", "vllm:num_requests_running", "vllm:kv_cache_usage_perc"}
    of_model = set(re.findall(r'"(penstock_[a-z_]+_total)"', DEMO_MODEL.read_text()))
    assert of_model
    return {
        **_of_services(),
        **{name: {"model", "version"} for name in of_model | of_triton},
        **{name: {"gpu_uuid"} for name in of_gpus},
        **{name: {"model", "version"} for name in of_vllm},
        # Described by what a look has found.
        "penstock_ledger_drift_nano_usd": {"scope"},
        "up": set(),
        # Recorded by rules of ours.
        **{rule["record"]: {"slo"} for rule in _rules() if "record" in rule},
    }


def _panels() -> list[dict[str, Any]]:
    return [panel for dashboard in DASHBOARDS for panel in json.loads(dashboard.read_text())["panels"]]


def _rules() -> Iterator[dict[str, Any]]:
    for file in (ALERTS, OBJECTIVES):
        for group in yaml.safe_load(file.read_text())["groups"]:
            yield from group["rules"]


def _expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression of Grafana and Prometheus, and where it stands."""
    for rule in _rules():
        if "vector(" not in rule["expr"]:
            yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in _panels():
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for dashboard in DASHBOARDS:
        for variable in json.loads(dashboard.read_text())["templating"]["list"]:
            yield variable["name"], variable["query"]["query"]


EXPRESSIONS = list(_expressions())


@pytest.mark.parametrize(
    "expression", [text for _, text in EXPRESSIONS], ids=[f"{n}-{where}" for n, (where, _) in enumerate(EXPRESSIONS)]
)
def test_an_expression_names_metrics_and_labels_that_exist(expression, known):
    _look_at(expression, known)


def _look_at(expression: str, known: dict[str, set[str]]) -> None:
    """Fail where an expression names a metric or a label that nothing has."""
    selectors = re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}", expression)
    for name, matchers in selectors:
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            assert label in known[name] | ADDED_LABELS, f"{name} has no label {label}"
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|offset \d+\w", "", expression)
    grouped = {label for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", bare) for label in re.split(r",\s*", labels)}
    names = {word for word in _WORDS.findall(re.sub(r"\b(?:by|on) \([^)]*\)", "", bare)) if word not in _LANGUAGE}
    names |= {name for name, _ in selectors}
    assert names
    assert names <= set(known), f"no metric is called {names - set(known)}"
    for label in grouped - {""}:
        assert any(label in known[name] | ADDED_LABELS for name in names), f"nothing has the label {label}"


def test_all_that_is_measured_of_upstreams_can_be_seen(known):
    shown = " ".join(target["expr"] for panel in _panels() for target in panel.get("targets", []))
    measured = {name for name in known if name.startswith("penstock_upstream_")}
    measured |= {name for name in known if name.startswith("penstock_inference_")}
    measured |= {"penstock_recovered_breaks_total", "penstock_broken_answers_total", "penstock_degraded_answers_total"}
    assert len(measured) > 8
    assert {name for name in measured if name not in shown} == set()


def test_all_that_the_cache_counts_can_be_seen(known):
    shown = " ".join(target["expr"] for panel in _panels() for target in panel.get("targets", []))
    measured = {name for name in known if name.startswith("penstock_cache_") and not name.endswith(("_sum", "_count"))}
    assert len(measured) > 12
    assert {name for name in measured if name not in shown} == set()


def test_all_that_limits_and_budgets_tell_can_be_seen(known):
    shown = " ".join(target["expr"] for panel in _panels() for target in panel.get("targets", []))
    measured = {name for name in known if name.startswith(("penstock_limits_", "penstock_budget_"))}
    assert len(measured) == 11
    assert {name for name in measured if name not in shown} == set()
    labels = {label for name in measured for label in known[name]}
    assert labels.isdisjoint({"key", "user", "key_id", "user_id"})


def test_all_that_the_router_counts_can_be_seen(known):
    shown = " ".join(target["expr"] for panel in _panels() for target in panel.get("targets", []))
    measured = {name for name in known if name.startswith(("penstock_router_", "penstock_routing_"))}
    assert len(measured) == 8
    assert {name for name in measured if name not in shown} == set()


def test_all_that_is_counted_of_documents_can_be_seen(known):
    shown = " ".join(target["expr"] for panel in _panels() for target in panel.get("targets", []))
    measured = {name for name in known if name.startswith("penstock_retrieval_")}
    assert len(measured) == 3
    assert {name for name in measured if name not in shown} == set()


def test_all_that_is_counted_of_reviews_can_be_seen(known):
    shown = " ".join(target["expr"] for panel in _panels() for target in panel.get("targets", []))
    measured = {name for name in known if name.startswith("penstock_review") and not name.endswith(("_sum", "_count"))}
    assert len(measured) == 5
    assert {name for name in measured if name not in shown} == set()


def test_each_audience_has_a_dashboard_without_panels_upon_each_other():
    told = {}
    for file in DASHBOARDS:
        text = file.read_text()
        dashboard = json.loads(text)
        assert text in {
            json.dumps(dashboard, indent=1) + "\n",
            json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n",
        }
        panels = dashboard["panels"]
        told[dashboard["title"]] = dashboard["uid"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(taken) == len(set(taken)), file.name
        assert max(x for x, _ in taken) < 24
    assert told == {
        "Penstock: operator": "penstock",
        "Penstock: finance": "penstock-money",
        "Penstock: model owner": "penstock-models",
    }


def test_how_late_event_loops_are_can_be_seen(known):
    shown = " ".join(target["expr"] for panel in _panels() for target in panel.get("targets", []))
    assert known["penstock_event_loop_lag_seconds_bucket"] == set()
    assert "penstock_event_loop_lag_seconds_bucket" in shown
    assert "penstock_event_loop_tasks" in shown


def test_states_that_rules_name_are_states():
    found = {
        state
        for _, text in EXPRESSIONS
        for group in re.findall(r'state(?:=~|!=|=)"([^"]+)"', text)
        for state in group.split("|")
    }
    assert {"by hand", "ejected"} <= found
    assert found <= {state.value for state in State}


def test_outcomes_that_count_as_faults_are_outcomes():
    # Services have kinds of their own.
    kinds = {outcome_of(kind.__new__(kind)) for kind in (*PenstockError.__subclasses__(), GuardrailUnavailable)} | {
        OK,
        CANCELLED,
        "internal_error",
    }
    found = {
        outcome
        for _, text in EXPRESSIONS
        for group in re.findall(r'outcome=~"([^"]+)"', text)
        for outcome in group.split("|")
    }
    assert found
    assert found <= kinds


def test_grafana_finds_its_data_and_its_dashboard():
    provisioning = DEPLOY / "grafana" / "provisioning"
    sources = yaml.safe_load((provisioning / "datasources" / "datasources.yaml").read_text())["datasources"]
    assert {source["uid"]: source["url"] for source in sources} == {
        "prometheus": "http://prometheus:9090", "jaeger": "http://jaeger:16686",
    }  # fmt: skip
    used = {target["datasource"]["uid"] for panel in _panels() for target in panel.get("targets", [])}
    assert used == {"prometheus"}
    dashboards = [json.loads(dashboard.read_text()) for dashboard in DASHBOARDS]
    assert {dashboard["uid"] for dashboard in dashboards} == {"penstock", "penstock-money", "penstock-models"}
    for dashboard in dashboards:
        identities = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(identities)) == len(identities)
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "dashboards.yaml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/dashboards"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_lie_on_one_another(dashboard):
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(dashboard.read_text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_prometheus_asks_where_the_roles_answer():
    (roles, triton, collector) = yaml.safe_load(SCRAPES.read_text())["scrape_configs"]
    (found,) = roles["dns_sd_configs"]
    configuration = yaml.safe_load((DEPLOY / "penstock.yaml").read_text())
    assert configuration["telemetry"]["metrics_listen"] == f"0.0.0.0:{found['port']}"
    assert set(found["names"]) == {"gateway", "worker", "router", "cache", "embedding", "inference"}
    assert f"--metrics-port={triton['dns_sd_configs'][0]['port']}" in (DEPLOY / "triton" / "serve.sh").read_text()
    served = yaml.safe_load((DEPLOY / "otel" / "collector.yaml").read_text())["service"]["telemetry"]["metrics"][
        "readers"
    ]
    port = served[0]["pull"]["exporter"]["prometheus"]["port"]
    assert collector["static_configs"][0]["targets"] == [f"otel-collector:{port}"]


def test_the_collector_passes_on_what_it_gets():
    collector: dict[str, Any] = yaml.safe_load((DEPLOY / "otel" / "collector.yaml").read_text())
    for pipeline in collector["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(collector[kind])
        assert pipeline["processors"][0] == "memory_limiter", "it must refuse before others hold more"
    grpc = collector["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"]
    assert grpc.rpartition(":")[2] == "4317"


def test_prometheus_accepts_its_files(promtool):
    for arguments in (["check", "config", SCRAPES], ["check", "rules", ALERTS, OBJECTIVES]):
        checked = subprocess.run([promtool, *arguments], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr
    assert set(yaml.safe_load(SCRAPES.read_text())["rule_files"]) == {ALERTS.name, OBJECTIVES.name}


@pytest.mark.parametrize(("rules", "cases"), [(ALERTS, "alerts_test.yaml"), (OBJECTIVES, "slo_test.yaml")])
def test_alerts_fire_on_what_they_are_for(promtool, tmp_path, rules, cases):
    text = Path(__file__).with_name(cases).read_text().replace("RULES", str(rules))
    (tmp_path / "cases.yaml").write_text(text)
    tested = subprocess.run([promtool, "test", "rules", tmp_path / "cases.yaml"], capture_output=True, text=True)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    names = {rule["alert"] for group in yaml.safe_load(rules.read_text())["groups"] for rule in group["rules"] if "alert" in rule}  # fmt: skip
    assert {name for name in names if f"alertname: {name}" not in text} == set(), "an alert without a case"


def _anchors(page: str) -> dict[str, str]:
    """Return the parts of a page by their anchors."""
    headed = re.split(r"^#+ (.*)$", page, flags=re.MULTILINE)[1:]
    names = [re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in headed[::2]]
    assert len(set(names)) == len(names)
    return dict(zip(names, headed[1::2], strict=True))


def test_every_alert_has_a_part_of_a_runbook_that_speaks_of_it():
    named: list[str] = []
    for rule in _rules():
        if "alert" in rule:
            assert "runbook" in rule["annotations"], rule["alert"]
            named.append(rule["annotations"]["runbook"])
            path, _, anchor = named[-1].partition("#")
            part = _anchors((ROOT / path).read_text()).get(anchor, "")
            assert part.lstrip().startswith(f"`{rule['alert']}`: "), rule["alert"]
    # Nothing is left over that no alert leads to.
    parts = {
        f"docs/runbooks/{page.name}#{anchor}" for page in RUNBOOKS for anchor in list(_anchors(page.read_text()))[1:]
    }
    assert parts == set(named)


def _in_runbooks() -> list[str]:
    spans = [span for page in RUNBOOKS for span in re.findall(r"`([^`\n]+)`", page.read_text())]
    return sorted({span for span in spans if re.search(r"\b(?:penstock|gen_ai|rpc_server)_\w|\bslo:|\bup\{", span)})


@pytest.mark.parametrize("expression", _in_runbooks())
def test_a_runbook_asks_for_metrics_and_labels_that_exist(expression, known):
    _look_at(expression, known)


def test_prometheus_understands_what_runbooks_ask(promtool, tmp_path):
    asked = [{"record": f"asked:{number}", "expr": text} for number, text in enumerate(_in_runbooks())]
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({"groups": [{"name": "runbooks", "rules": asked}]}))
    checked = subprocess.run([promtool, "check", "rules", tmp_path / "asked.yaml"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_link_of_a_runbook_leads_somewhere():
    for page in RUNBOOKS:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path, _, anchor = target.partition("#")
            other = (page.parent / path).resolve() if path else page
            assert other.exists(), f"{page.name}: {target}"
            if anchor:
                assert anchor in _anchors(other.read_text()), f"{page.name}: {target}"
