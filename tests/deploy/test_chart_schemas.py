"""The chart's objects against the schemas of Kubernetes and of the operators whose kinds it uses; rules and scaling."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart import CASES, CHART, KUBERNETES, over
from conftest import _go
from image_roots import ROOT
from jsonschema_rs import Draft202012Validator, validator_for

sys.path.insert(0, str(ROOT / "bench"))
from autoscaling.demand import questions, values  # noqa: E402

# By Go module: what its archive sums to, where its definitions are, and which are used.
OPERATORS = {
    "github.com/kedacore/keda/v2@v2.21.0": (
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=", "config/crd/bases", ("scaledobjects", "triggerauthentications"),
    ),
    "github.com/cert-manager/cert-manager@v1.21.2": (
        "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=", "deploy/crds", ("certificates",),
    ),
    "github.com/external-secrets/external-secrets@v1.3.2": (
        "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=", "config/crds/bases", ("externalsecrets",),
    ),
    "github.com/prometheus-operator/prometheus-operator@v0.85.0": (
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=", "example/prometheus-operator-crd", ("servicemonitors", "prometheusrules"),
    ),
}  # fmt: skip

Schema = dict[str, Any]


@dataclass(frozen=True)
class Schemas:
    """The schemas of Kubernetes, out of their wheel, and those of operators."""

    wheel: zipfile.ZipFile
    operators: dict[tuple[str, str], Schema]
    validators: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def faults(self, version: str, found: dict[str, Any]) -> list[str]:
        """Return what a version of Kubernetes would find wrong with an object."""
        errors = self._validator(version, found["apiVersion"], found["kind"]).iter_errors(found)
        where = f"{found['kind']}/{found['metadata']['name']}"
        return [f"{where}: {'.'.join(map(str, e.instance_path))}: {e.message[:200]}" for e in errors]

    def _validator(self, version: str, api: str, kind: str) -> Any:
        known = self.validators.get((version, api, kind))
        if known is None:
            known = self.validators[version, api, kind] = self._made(version, api, kind)
        return known

    def _made(self, version: str, api: str, kind: str) -> Any:
        if (api, kind) in self.operators:
            return validator_for(self.operators[api, kind])
        group, _, last = api.rpartition("/")
        # A kind that this version of Kubernetes has not is a fault as well: there is no such file.
        name = "-".join(filter(None, [kind.lower(), group.partition(".")[0], last]))
        return Draft202012Validator(
            self._read(version, f"{name}.json"), retriever=lambda _: self._read(version, "_definitions.json")
        )

    def _read(self, version: str, name: str) -> Schema:
        return json.loads(self.wheel.read(f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/{name}"))


@pytest.fixture(scope="session")
def schemas(tmp_path_factory: pytest.TempPathFactory, operators: dict[tuple[str, str], Schema]) -> Iterator[Schemas]:
    """What servers of the versions of Kubernetes that the chart is for would hold its objects against."""
    folder = tmp_path_factory.mktemp("kubernetes")
    locked = ROOT / "requirements" / "kubernetes-schemas.txt"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--dest",
        folder,
        "-r",
        locked,
    ]
    fetched = subprocess.run(command, capture_output=True, text=True)
    if fetched.returncode and "HTTP" in fetched.stderr:
        pytest.skip("the Python registry is not reachable")
    assert not fetched.returncode, fetched.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        yield Schemas(archive, operators)


@pytest.fixture(scope="session")
def operators() -> dict[tuple[str, str], Schema]:
    """The schemas of operators' kinds, by version and kind; what they do not name is refused."""
    go = _go()
    if go is None:
        pytest.skip("the operators' definitions come as Go modules: run 'make setup'")
    found: dict[tuple[str, str], Schema] = {}
    for module, (total, folder, kinds) in OPERATORS.items():
        fetched = subprocess.run([go, "mod", "download", "-json", module], cwd="/", capture_output=True, text=True)
        if "dial tcp" in fetched.stdout + fetched.stderr:
            pytest.skip("the module proxy of Go is not reachable")
        told = json.loads(fetched.stdout)
        assert told["Sum"] == total, f"{module} is not what it was"
        for path in [path for kind in kinds for path in Path(told["Dir"], folder).glob(f"*_{kind}.yaml")]:
            definition = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))["spec"]
            for version in definition["versions"]:
                schema = version["schema"]["openAPIV3Schema"]
                key = f"{definition['group']}/{version['name']}", definition["names"]["kind"]
                found[key] = _closed(schema)
    return found


def _closed(schema: Schema) -> Schema:
    """Return a structural schema that refuses what it does not name, as a server with strict validation does."""
    closed = {
        key: _closed(value) if isinstance(value, dict) and key in {"items", "additionalProperties"} else value
        for key, value in schema.items()
    }
    if "properties" in schema:
        closed["properties"] = {name: _closed(value) for name, value in schema["properties"].items()}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            closed["additionalProperties"] = False
        if set(schema["properties"]) >= {"metadata", "spec"}:
            closed["properties"]["metadata"] = {"type": "object"}
    if schema.get("x-kubernetes-int-or-string"):
        closed = {"type": ["integer", "string"]}
    return closed


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_objects_are_what_the_schemas_say(case, version, charts, schemas):
    assert [fault for found in charts[case].objects for fault in schemas.faults(version, found)] == []


def test_a_word_that_is_wrong_is_found(charts, schemas):
    newest = KUBERNETES[-1]
    deployment = json.loads(json.dumps(charts["production"].only("Deployment", "penstock-edge")))
    deployment["spec"]["template"]["spec"]["containers"][0]["lifecylce"] = {}
    assert "lifecylce" in str(schemas.faults(newest, deployment))
    scaled = json.loads(json.dumps(charts["production"].only("ScaledObject", "penstock-edge")))
    scaled["spec"]["fallback"]["replicas"] = "two"
    scaled["spec"]["minReplicas"] = 1
    said = str(schemas.faults(newest, scaled))
    assert "two" in said
    assert "minReplicas" in said
    with pytest.raises(KeyError):
        schemas.faults(newest, {**deployment, "apiVersion": "extensions/v1beta1"})


def _queries(charts: dict[str, Any]) -> list[str]:
    found = [
        trigger["metadata"]["query"]
        for rendered in charts.values()
        for scaled in rendered.of("ScaledObject")
        for trigger in scaled["spec"]["triggers"]
        if trigger["type"] == "prometheus"
    ]
    for rendered in charts.values():
        for rules in rendered.of("ConfigMap"):
            if "external.yaml" in rules["data"]:
                found += [rule["metricsQuery"] for rule in yaml.safe_load(rules["data"]["external.yaml"])]
    return found


def test_what_scalers_ask_is_what_prometheus_understands(charts, promtool, tmp_path):
    queries = sorted(set(_queries(charts)))
    assert len(queries) > 10
    rules = [{"record": f"chart:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "chart", "rules": rules}]}))
    checked = subprocess.run([promtool, "check", "rules", tmp_path / "rules.yaml"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_scalers_ask_for_metrics_that_there_are(charts):
    from test_telemetry_files import _of_services

    named = {word for query in _queries(charts) for word in re.findall(r"\bpenstock_\w+", query)}
    assert named >= {
        "penstock_requests_in_flight",
        "penstock_service_calls_in_flight",
        "penstock_upstream_requests_waiting",
    }
    assert named <= set(_of_services())
    assert not any("gpu_util" in query.lower() for query in _queries(charts)), "a GPU at work is no sign of a queue"


def test_what_is_rehearsed_is_what_the_chart_asks(charts):
    chart_values = values({"triton": {"autoscaling": CASES["gpu"]["triton"]["autoscaling"]}})
    triggers = charts["gpu"].only("ScaledObject", "penstock-triton")["spec"]["triggers"]
    asked = [(t["name"], t["metadata"]["query"], float(t["metadata"]["threshold"])) for t in triggers]
    assert asked == [(q.name, q.query, q.target) for q in questions("triton", chart_values, "llm")]
    for role in ("gateway", "router", "cache", "embedding", "inference"):
        triggers = charts["production"].only("ScaledObject", f"penstock-{role}")["spec"]["triggers"]
        asked = [(t["name"], t["metadata"]["query"]) for t in triggers if t["type"] == "prometheus"]
        assert asked == [(q.name, q.query) for q in questions(role, chart_values, "llm")]


def test_a_scaler_that_cannot_see_takes_nobody_away(charts):
    for case in ("production", "gpu"):
        for scaled in charts[case].of("ScaledObject"):
            spec = scaled["spec"]
            if scaled["metadata"]["name"] == "penstock-worker":
                assert spec["minReplicaCount"] == 0
                continue
            # A Prometheus that is away wakes no GPU: KEDA takes a fallback for work, and without one changes nothing.
            assert ("fallback" in spec) == (spec["minReplicaCount"] > 0)
            if "fallback" in spec:
                assert spec["fallback"] == {"failureThreshold": 3, "replicas": 2, "behavior": "currentReplicasIfHigher"}
            for trigger in spec["triggers"]:
                if trigger["type"] == "prometheus":
                    assert trigger["metricType"] == "AverageValue"
                    assert trigger["metadata"]["ignoreNullValues"] == "false"
                    assert all(isinstance(value, str) for value in trigger["metadata"].values())


def test_who_is_scaled_has_no_number_of_its_own_and_one_scaler(charts, chart):
    for case in ("production", "hpa"):
        scalers = [
            o["spec"]["scaleTargetRef"]["name"]
            for kind in ("ScaledObject", "HorizontalPodAutoscaler")
            for o in charts[case].of(kind)
        ]
        assert len(set(scalers)) == len(scalers) >= 7
        for deployment in charts[case].of("Deployment"):
            assert ("replicas" in deployment["spec"]) == (deployment["metadata"]["name"] not in scalers)
    by_hand = chart.one(over(CASES["production"], {"scaling": {"how": "none"}}))
    assert {d["spec"]["replicas"] for d in by_hand.of("Deployment")} == {3}


def test_workers_are_scaled_as_deploy_scaling_has_it(charts):
    there = yaml.safe_load((ROOT / "deploy" / "scaling" / "keda.yaml").read_text())["spec"]["triggers"]
    here = charts["production"].only("ScaledObject", "penstock-worker")["spec"]["triggers"]
    for one, other in zip(there, here, strict=True):
        assert " ".join(one["metadata"]["query"].split()) == other["metadata"]["query"]
        assert one["metadata"]["targetQueryValue"] == other["metadata"]["targetQueryValue"]
    adapter = charts["hpa"].only("ConfigMap", "penstock-adapter-rules")["data"]["external.yaml"]
    names = {rule["name"]["as"] for rule in yaml.safe_load(adapter)}
    asked = {
        metric["external"]["metric"]["name"]
        for found in charts["hpa"].of("HorizontalPodAutoscaler")
        for metric in found["spec"]["metrics"]
        if metric["type"] == "External"
    }
    assert names == asked


def test_a_pod_is_one_target_and_alerts_find_its_role(charts):
    rendered = charts["production"]
    services = [s for s in rendered.of("Service") if any(port["name"] == "metrics" for port in s["spec"]["ports"])]
    (service,) = services
    (monitor,) = rendered.of("ServiceMonitor")
    labels = service["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    # Whatever the release is called: the job is what alerts name.
    assert monitor["spec"]["jobLabel"] == "app.kubernetes.io/name"
    assert labels["app.kubernetes.io/name"] == "penstock"
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    showing = {
        name
        for name, template in rendered.pods()
        if service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        and any(port["name"] == "metrics" for c in template["spec"]["containers"] for port in c["ports"])
    }
    assert showing == {
        f"penstock-{role}" for role in ("gateway", "router", "cache", "embedding", "inference", "worker")
    }


def test_rules_and_dashboards_are_those_of_the_checkout(charts):
    prometheus = ROOT / "deploy" / "prometheus"
    files = yaml.safe_load((prometheus / "prometheus.yaml").read_text())["rule_files"]
    rules = {rule["metadata"]["name"]: rule["spec"] for rule in charts["production"].of("PrometheusRule")}
    assert rules == {f"penstock-{Path(name).stem}": yaml.safe_load((prometheus / name).read_text()) for name in files}
    shown = {
        name: json.loads(text)
        for found in charts["production"].of("ConfigMap")
        if found["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in found["data"].items()
    }
    there = {
        path.name: json.loads(path.read_text()) for path in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")
    }
    assert shown == there
    assert all(len(json.dumps(board)) < 1_000_000 for board in shown.values())
    assert all(path.is_symlink() and path.exists() for path in (CHART / "files").iterdir())


def test_a_pod_of_triton_is_ready_when_its_models_are(charts):
    pod = charts["gpu"].only("Deployment", "penstock-triton")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    asked = container["readinessProbe"]["exec"]["command"][-1]
    assert "/v2/models/" in asked
    assert "Qwen3-8B-AWQ" in asked
    compile(asked, "probe", "exec")
    assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"
    assert (
        container["resources"]["limits"]["nvidia.com/gpu"] == container["resources"]["requests"]["nvidia.com/gpu"] == 2
    )
    assert "--load-model=Qwen3-8B-AWQ --exit-timeout-secs=600" in container["args"][0]
    assert any(volume.get("emptyDir", {}).get("medium") == "Memory" for volume in pod["volumes"])
    assert not any(o["kind"] == "Ingress" for o in charts["gpu"].objects)
