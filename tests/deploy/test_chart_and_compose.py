"""The chart and the rest of the checkout: its settings load, and its probes, ports, names, secrets and networks are theirs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart import CASES, ROLES, Rendered, over
from dockerfile_steps import Dockerfile
from image_roots import ROOT

from penstock_common.testing.ports import free_port
from penstock_suite.adapters.certificates import provide_certificates
from penstock_suite.app.check import role_settings
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import Role

COMPOSE_CONFIGURATION = yaml.safe_load((ROOT / "deploy" / "penstock.yaml").read_text())
SERVED = tuple(str(role) for role in Role)
# Compose brings a key of a tenant and of the operator to try things with; in a cluster they are made.
_OF_THE_DEMONSTRATION = {"demo-key", "operator-key"}
# Networks of compose that say nothing of who talks to whom in the life of a request.
_ASIDE = {"telemetry", "public", "outside"}


def _pod(rendered: Rendered, role: str) -> dict[str, Any]:
    return rendered.only("Deployment", f"penstock-{role}")["spec"]["template"]["spec"]


def _secrets(pod: dict[str, Any]) -> set[str]:
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "secrets"]
    assert all(item["key"] == item["path"] for item in volume["secret"]["items"])
    return {item["key"] for item in volume["secret"]["items"]}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Secrets and certificates as docs/kubernetes.md has them made."""
    folder = tmp_path_factory.mktemp("cluster")
    subprocess.run([ROOT / "scripts" / "secrets.sh", folder], check=True)
    (folder / "secrets" / "openai-key").write_text("sk-of-openai")
    provide_certificates(folder / "secrets" / "tls", [f"penstock-{role}" for role in ROLES], timedelta(days=365))
    return folder


def _as_seen_by(rendered: Rendered, role: str, deployment: Path, folder: Path) -> Path:
    """Return the configuration with the paths inside the container turned to what the pod mounts there, alone."""
    seen = folder / "run"
    (seen / "secrets").mkdir(parents=True)
    pod = _pod(rendered, role)
    for key in _secrets(pod):
        shutil.copy(deployment / "secrets" / key, seen / "secrets")
    own = deployment / "secrets" / "tls" / f"penstock-{role}"
    shutil.copytree(own, seen / "tls")
    if any(volume["name"] == "public-tls" for volume in pod["volumes"]):
        (seen / "public-tls").mkdir()
        shutil.copy(own / "cert.pem", seen / "public-tls" / "tls.crt")
        shutil.copy(own / "key.pem", seen / "public-tls" / "tls.key")
    config = folder / "penstock.yaml"
    config.write_text(yaml.safe_dump(rendered.configuration).replace("/run/", f"{seen}/"))
    return config


@pytest.fixture
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("_no_variables")
@pytest.mark.parametrize("role", SERVED)
@pytest.mark.parametrize("case", CASES)
def test_each_role_can_be_served_with_its_own_secrets(case, role, charts, deployment, tmp_path):
    config = _as_seen_by(charts[case], role, deployment, tmp_path)
    settings = role_settings(Role(role), config)
    services = settings["services"]
    assert services["probes_listen"] == "0.0.0.0:9465"
    assert services["tls"]["cert_file"] == f"{tmp_path}/run/tls/cert.pem"
    for secret in _secrets(_pod(charts[case], role)):
        assert (deployment / "secrets" / secret).read_text().strip() not in str(settings)


@pytest.mark.usefixtures("_no_variables")
def test_a_pods_own_command_answers_its_probes_and_ends_in_order(charts, deployment, tmp_path):
    """With its configuration, its secrets and its certificate, and none of the engines there."""
    config = _as_seen_by(charts["default"], "router", deployment, tmp_path)
    text, at = config.read_text(), {}
    for port in (9002, 9464, 9465):
        at[port] = f"127.0.0.1:{free_port()}"
        text = text.replace(f"0.0.0.0:{port}", at[port])
    config.write_text(text)
    (container,) = _pod(charts["default"], "router")["containers"]
    environment = {"PENSTOCK_CONFIG": str(config), "PENSTOCK_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}
    process = subprocess.Popen(
        [Path(sys.executable).with_name("penstock"), *container["args"]], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        answers = {probe: _waited_for(f"http://{at[9465]}{container[probe]['httpGet']['path']}") for probe in PROBES}
    finally:
        process.send_signal(signal.SIGTERM)
        ended = process.wait(60)
    assert (set(answers.values()), ended) == ({200}, 0)


PROBES = ("startupProbe", "readinessProbe", "livenessProbe")


def _waited_for(url: str) -> int:
    """Return the status once it is a good one; a process that begins refuses first."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return answer.status
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@pytest.mark.usefixtures("_no_variables")
@pytest.mark.parametrize(("role", "secret"), [
    ("gateway", "postgres-password"), ("worker", "redis-password"), ("cache", "qdrant-key"), ("embedding", "postgres-password"), ("inference", "openai-key"),
])  # fmt: skip
def test_a_role_that_lacks_a_secret_says_so(role, secret, charts, deployment, tmp_path):
    config = _as_seen_by(charts["production"], role, deployment, tmp_path)
    (tmp_path / "run" / "secrets" / secret).unlink()
    with pytest.raises(Misconfigured, match=secret):
        role_settings(Role(role), config)


@pytest.mark.usefixtures("_no_variables")
def test_variables_that_a_cluster_sets_for_services_would_be_settings(charts, deployment, tmp_path, monkeypatch):
    """Why `enableServiceLinks` is off: Services of this chart begin with the word that settings begin with."""
    config = _as_seen_by(charts["default"], "router", deployment, tmp_path)
    monkeypatch.setenv("PENSTOCK_GATEWAY__PORT", "tcp://10.0.0.1:8081")
    with pytest.raises(Misconfigured):
        role_settings(Role.GATEWAY, config)
    assert all(pod["spec"]["enableServiceLinks"] is False for _, pod in charts["default"].pods())


def test_a_role_has_the_secrets_that_it_has_in_compose(charts, compose_model):
    for role in ROLES:
        of_compose = {secret["source"] for secret in compose_model["services"][role].get("secrets") or []}
        expected = of_compose - _OF_THE_DEMONSTRATION
        if role == "inference":
            expected -= {"triton-control-key"}
            assert _secrets(_pod(charts["gpu"], role)) == expected | {"triton-control-key"}
        assert _secrets(_pod(charts["default"], role)) == expected, role


def test_providers_keys_are_inferences_alone(charts):
    holders = {role for role in ROLES if "openai-key" in _secrets(_pod(charts["production"], role))}
    assert holders == {"inference"}
    (external,) = charts["production"].of("ExternalSecret")
    keys = {entry["secretKey"] for entry in external["spec"]["data"]}
    assert keys == set.union(*(_secrets(_pod(charts["production"], role)) for role in ROLES))


def test_a_role_runs_the_command_of_its_image(charts):
    for role in SERVED:
        (container,) = _pod(charts["default"], role)["containers"]
        image = "gateway" if role == "worker" else role
        dockerfile = Dockerfile.read(ROOT / "services" / image / "Dockerfile")
        (entry,), (words,) = dockerfile.words("ENTRYPOINT"), dockerfile.words("CMD")
        assert "command" not in container, "it is the image's, which hands signals on"
        assert container["image"] == f"penstock/{image}:0.1.0"
        assert (entry, container["args"][:3]) == (
            ["penstock"],
            words if role != "worker" else ["serve", "worker", "--json"],
        )
    (edge,) = _pod(charts["default"], "edge")["containers"]
    assert "args" not in edge
    assert "command" not in edge


def test_migrations_are_composes(charts, compose_model):
    (job,) = charts["default"].of("Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"] == compose_model["services"]["database"]["command"]
    assert _secrets(job["spec"]["template"]["spec"]) == {
        secret["source"] for secret in compose_model["services"]["database"]["secrets"]
    }


def test_a_hook_finds_what_it_needs(charts):
    """Nothing of a release is there before its hooks but hooks of a lower weight, and what was given."""
    rendered = charts["default"]
    (job,) = rendered.of("Job")
    weights = {
        (o["kind"], o["metadata"]["name"]): int(o["metadata"]["annotations"]["helm.sh/hook-weight"])
        for o in rendered.objects
        if "helm.sh/hook" in o["metadata"].get("annotations", {})
    }
    pod = job["spec"]["template"]["spec"]
    needed = {("ServiceAccount", pod["serviceAccountName"]), ("NetworkPolicy", "penstock-migrations")}
    needed |= {("ConfigMap", volume["configMap"]["name"]) for volume in pod["volumes"] if "configMap" in volume}
    assert all(weights[name] < weights["Job", "penstock-migrations"] for name in needed)
    given = {volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert given == {"penstock-secrets"}
    assert not rendered.of("ExternalSecret")


@pytest.mark.parametrize("case", ["minimal", "production"])
def test_where_no_hook_can_see_the_database_pods_migrate_first(charts, case):
    assert not charts[case].of("Job")
    for role in ROLES:
        first = [container["args"] for container in _pod(charts[case], role).get("initContainers", [])]
        assert first == ([["db", "upgrade"]] if role in {"gateway", "worker"} else []), role


def test_ports_are_those_of_the_images_and_probes_reach_them(charts):
    configuration = charts["default"].configuration
    for role in ROLES:
        (container,) = _pod(charts["default"], role)["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe, path in (("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
            asked = container[probe]["httpGet"]
            assert (asked["path"], ports[asked["port"]]) == (path, 8080 if role == "edge" else 9465), role
            assert container[probe]["timeoutSeconds"] > 4, "the answer has 4 s, and says what is wrong"
            assert "initialDelaySeconds" not in container[probe]
        if role not in {"edge", "worker"}:
            exposed = Dockerfile.read(ROOT / "services" / role / "Dockerfile").words("EXPOSE")[0]
            assert set(map(str, ports.values())) - {"9464", "9465"} == set(exposed), role
            listens = (
                configuration["listen"]["grpc"] if role == "gateway" else configuration["services"][role]["listen"]
            )
            assert ports["grpc"] == int(listens.rpartition(":")[2])
        if role != "edge":
            assert ports["metrics"] == int(COMPOSE_CONFIGURATION["telemetry"]["metrics_listen"].rpartition(":")[2])
    assert Dockerfile.read(ROOT / "services" / "gateway" / "edge" / "Dockerfile").words("EXPOSE") == [["8080"]]


def test_the_edge_is_told_what_it_is_told_in_compose(charts, compose_model):
    (container,) = _pod(charts["production"], "edge")["containers"]
    here = {entry["name"]: entry["value"] for entry in container["env"]}
    there = {name: str(value) for name, value in compose_model["services"]["edge"]["environment"].items()}
    assert there.keys() <= here.keys()
    for name in ("GATEWAY_CA", "GATEWAY_CERT", "GATEWAY_KEY", "GATEWAY_TOKEN_FILE", "LISTEN"):
        assert here[f"PENSTOCK_EDGE_{name}"] == there[f"PENSTOCK_EDGE_{name}"]
    for name in ("GATEWAY_GRPC", "GATEWAY_HTTP"):
        assert here[f"PENSTOCK_EDGE_{name}"] == there[f"PENSTOCK_EDGE_{name}"].replace("gateway", "penstock-gateway")
    known = (ROOT / "services" / "gateway" / "edge" / "config.go").read_text()
    for name in here:
        flag = name.removeprefix("PENSTOCK_EDGE_").lower().replace("_", "-")
        assert f'"{flag}"' in known, f"the edge has no --{flag}"


def test_who_is_called_has_every_address_and_the_name_in_its_certificate(charts):
    rendered = charts["production"]
    configuration = rendered.configuration
    for role in ("router", "cache", "embedding", "inference", "gateway"):
        service = rendered.only("Service", f"penstock-{role}")["spec"]
        assert service["clusterIP"] == "None"
        assert service["selector"] == rendered.only("Deployment", f"penstock-{role}")["spec"]["selector"]["matchLabels"]
        assert f"penstock-{role}" == rendered.only("Certificate", f"penstock-{role}")["spec"]["dnsNames"][0]
        if role != "gateway":
            place = configuration["services"][role]
            assert place["target"] == f"dns:///penstock-{role}:{place['listen'].rpartition(':')[2]}"
    for callee, callers in configuration["services"]["peers"].items():
        there = {f"penstock-{name}" for name in COMPOSE_PEERS[callee]}
        assert set(callers) == there, callee
    for certificate in rendered.of("Certificate"):
        assert certificate["spec"]["secretName"].startswith("penstock-tls-")
        # A page that looks two days ahead must not fire at each renewal.
        assert int(certificate["spec"]["renewBefore"].removesuffix("h")) > 72


COMPOSE_PEERS = {
    "gateway": ["edge"], "router": ["gateway", "worker"], "cache": ["gateway", "worker"],
    "embedding": ["gateway", "cache", "worker"], "inference": ["gateway", "worker"],
}  # fmt: skip


def _reaches(rendered: Rendered) -> set[tuple[str, str]]:
    """Return who may begin to talk to whom, by the policies of both ends, where both are the chart's."""

    def components(peers: list[dict[str, Any]]) -> set[str]:
        found = [peer["podSelector"]["matchLabels"] for peer in peers if "podSelector" in peer]
        assert all(labels["app.kubernetes.io/instance"] == "penstock" for labels in found)
        return {labels["app.kubernetes.io/component"] for labels in found}

    out: set[tuple[str, str]] = set()
    into: set[tuple[str, str]] = set()
    for policy in rendered.of("NetworkPolicy"):
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        (who,) = components([policy["spec"]])
        out |= {(who, to) for rule in policy["spec"].get("egress", []) for to in components(rule.get("to", []))}
        into |= {(by, who) for rule in policy["spec"].get("ingress", []) for by in components(rule.get("from", []))}
    assert out == into
    return out


def test_networks_are_composes(charts, chart, compose_model):
    both = over(CASES["minimal"], {"triton": {"enabled": True, "models": ["m"], "repository": {"claim": "c"}}})
    reached = _reaches(chart.one(both))
    networks = {
        name: set(service.get("networks") or {}) - _ASIDE for name, service in compose_model["services"].items()
    }
    ours = {*ROLES, "redis-state", "redis-cache", "postgres", "qdrant", "triton"}
    for one, other in reached:
        assert networks[one] & networks[other], f"{one} reaches {other}, and not in compose"
    # And all that share a network there and have something to say: engines and callees begin nothing, nobody calls a worker.
    begins = {"edge": {"gateway"}, "cache": {"embedding", "redis-state", "redis-cache", "qdrant"}, "router": {"redis-state"},
              "inference": {"redis-state", "triton"}, "embedding": {"postgres", "qdrant"}}  # fmt: skip
    callees = {"router", "cache", "embedding", "inference", "redis-state", "redis-cache", "postgres"}
    begins |= {"gateway": callees, "worker": callees}
    assert reached == {(one, other) for one, others in begins.items() for other in others}
    assert {name for pair in reached for name in pair} <= ours


def test_only_who_must_reaches_out(charts, compose_model):
    """As compose's networks that lead out: gateway (webhooks, an issuer's keys) and inference (providers)."""
    for rendered in charts.values():
        leave = {
            policy["metadata"]["name"]
            for policy in rendered.of("NetworkPolicy")
            for rule in policy["spec"].get("egress", [])
            if any(peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0" for peer in rule.get("to", []))
        }
        assert leave - {"penstock-triton"} == {"penstock-gateway", "penstock-inference"}
    outside = {name for name in ROLES if set(compose_model["services"][name]["networks"]) & {"public", "outside"}}
    assert outside == {"gateway", "inference", "edge"}
    (block,) = [
        peer["ipBlock"]
        for rule in charts["default"].only("NetworkPolicy", "penstock-inference")["spec"]["egress"]
        for peer in rule.get("to", [])
        if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
    ]
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16", "172.16.0.0/12"} <= set(block["except"])


def test_the_engines_to_try_things_with_are_composes(charts, compose_model):
    for engine in ("redis-state", "redis-cache", "postgres", "qdrant"):
        there = compose_model["services"][engine]
        (container,) = charts["minimal"].only("StatefulSet", f"penstock-{engine}")["spec"]["template"]["spec"][
            "containers"
        ]
        assert container["image"] == there["image"]
        if engine.startswith("redis"):
            words = " ".join(there["command"][1:]).replace("--save ", "--save ''")
            ours = container["command"][-1].removeprefix("exec redis-server ")
            assert sorted(re.findall(r"--\S+", ours)) == sorted(re.findall(r"--\S+", words))
            for flag in re.findall(r"--(?:appendonly|maxmemory-policy|appendfsync|maxmemory) \S+", words):
                assert flag in ours
