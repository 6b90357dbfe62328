"""deploy/helm/penstock: it renders, refuses what is wrong, and its objects keep what a cluster is owed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from chart import CASES, CHART, KUBERNETES, ROLES, over

LEAST = CASES["default"]


@pytest.mark.parametrize("case", CASES)
def test_it_renders_and_the_linter_has_nothing_to_say(charts, case):
    rendered = charts[case]
    assert rendered.error == ""
    assert [said for said in rendered.lint if "icon is recommended" not in said] == []


def test_the_same_values_give_the_same_bytes(chart):
    one, other = chart.all_of([CASES["production"]] * 2)
    assert one.files == other.files


def test_a_cluster_that_is_too_old_is_told_so(chart):
    (refused,) = chart.all_of([LEAST], kubernetes="1.30.9")
    assert "kubeVersion: >=1.31.0-0" in refused.error
    assert chart.one(LEAST, kubernetes="v1.35.2-eks-3").objects


@pytest.mark.parametrize(("values", "words"), [
    ({"edge": {"replcas": 3}}, "additional properties 'replcas' not allowed"),
    ({"roles": {"router": {"replicas": "many"}}}, "/roles/router/replicas"),
    ({"scaling": {"how": "magic"}}, "/scaling/how"),
    ({"image": {"digests": {"edge": "latest"}}}, "/image/digests/edge"),
    ({"redis": {"state": {"host": ""}}}, "redis.state.host: say where it is"),
    ({"postgres": {"host": ""}}, "postgres.host: say where it is"),
    ({"configuration": {"redis": {"state": "redis://elsewhere"}}}, "configuration.redis: the chart writes this section itself"),
    ({"secrets": {"external": {"enabled": True}}}, "secrets.external.store.name"),
    ({"certificates": {"certManager": {"enabled": True}}}, "certificates.certManager.issuer.name"),
    ({"migrations": {"how": "job"}, "engines": {"enabled": True}}, "migrations.how"),
    ({"roles": {"gateway": {"graceSeconds": 30}}}, "roles.gateway.graceSeconds: it would cut streams"),
    ({"roles": {"cache": {"autoscaling": {"min": 5, "max": 4}}}}, "roles.cache.autoscaling: min is more than max"),
    ({"roles": {"cache": {"autoscaling": {"min": 0}}}}, "roles.cache.autoscaling.min: requests need one"),
    ({"roles": {"worker": {"autoscaling": {"min": 0}}}, "scaling": {"how": "hpa"}}, "roles.worker.autoscaling.min"),
    ({"triton": {"enabled": True, "repository": {"claim": "models"}}}, "triton.models"),
    ({"triton": {"enabled": True, "models": ["m"]}}, "triton.repository: say a claim or an url"),
    ({"triton": {"enabled": True, "models": ["m"], "repository": {"claim": "c", "url": "s3://b"}}}, "triton.repository"),
    ({"triton": {"enabled": True, "models": ["m"], "repository": {"claim": "c"}, "autoscaling": {"enabled": True, "upstreams": ["gpu"]}}}, "needs 'gpu' with limits"),
])  # fmt: skip
def test_values_that_cannot_be_meant_are_refused_by_their_name(chart, values, words):
    (refused,) = chart.all_of([over(LEAST, values)])
    assert words in refused.error


def _keys(schema: dict[str, Any], values: Any, path: str = "") -> set[str]:
    """Return where the schema and the values have not the same keys, or a key has no description."""
    wrong: set[str] = set()
    if reference := schema.get("$ref"):
        schema = _SCHEMA["definitions"][reference.rpartition("/")[2]]
    known = schema.get("properties")
    if known is None or not isinstance(values, dict):
        return wrong
    if schema.get("additionalProperties") is not False:
        wrong.add(f"{path}: open")
    for key in known.keys() - values.keys():
        # A role says what differs; a probe has what Kubernetes allows.
        if key != "global" and not re.search(r"roles\.\w+$|startup|readiness|liveness", path):
            wrong.add(f"{path}.{key}: in the schema alone")
    for key, value in values.items():
        if key not in known:
            wrong.add(f"{path}.{key}: not in the schema")
            continue
        if not known[key].get("description") and not re.search(r"startup|readiness|liveness", path):
            wrong.add(f"{path}.{key}: no description")
        wrong |= _keys(known[key], value, f"{path}.{key}")
    return wrong


_SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def test_the_schema_has_every_value_and_no_other():
    assert _keys(_SCHEMA, yaml.safe_load((CHART / "values.yaml").read_text())) == set()


@pytest.mark.parametrize("case", CASES)
def test_what_a_deployment_selects_by_never_changes(chart, charts, case):
    other = chart.one(
        over(CASES[case], {"commonLabels": {"team": "x"}, "defaults": {"podLabels": {"y": "z"}}, "image": {"tag": "9"}})
    )
    for kind in ("Deployment", "StatefulSet"):
        for found in charts[case].of(kind):
            later = other.only(kind, found["metadata"]["name"])
            assert found["spec"]["selector"] == later["spec"]["selector"]
            assert set(found["spec"]["selector"]["matchLabels"]) == {
                f"app.kubernetes.io/{word}" for word in ("name", "instance", "component")
            }
            assert later["spec"]["template"]["metadata"]["labels"]["team"] == "x"


def test_long_names_fit_and_stay_apart(chart):
    def names(release: str) -> set[str]:
        rendered = chart.one(CASES["minimal"], release=release)
        found = [f"{o['kind']}/{o['metadata']['name']}" for o in rendered.objects]
        assert len(set(found)) == len(found)
        assert all(len(name.partition("/")[2]) <= 63 for name in found)
        return set(found)

    assert not names("a" * 53) & names("a" * 52 + "b")
    assert not names("penstock") & names("second")


@pytest.mark.parametrize("case", CASES)
def test_everything_is_in_the_releases_namespace_and_nothing_in_the_clusters(charts, case):
    assert {o["metadata"].get("namespace") for o in charts[case].objects} == {"llm"}
    assert not {o["kind"] for o in charts[case].objects} & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


@pytest.mark.parametrize("case", CASES)
def test_pods_meet_the_restricted_standard(charts, case):
    for name, template in charts[case].pods():
        pod = template["spec"]
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name
        assert charts[case].only("ServiceAccount", pod["serviceAccountName"])["automountServiceAccountToken"] is False
        context = pod["securityContext"]
        assert context["runAsNonRoot"] and context["runAsUser"] > 0 and context["fsGroup"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }, name  # fmt: skip
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert container["resources"]["limits"]["memory"], name
            assert re.search(r":[^/]*\d|@sha256:", container["image"]), container["image"]
            _mounts_are_volumes(container, pod)
        for volume in pod["volumes"]:
            assert "hostPath" not in volume, name
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"], name
            assert volume.get("secret", {}).get("defaultMode", 0o440) == 0o440, name


def _mounts_are_volumes(container: dict[str, Any], pod: dict[str, Any]) -> None:
    # Besides those, a StatefulSet's claims.
    volumes = {volume["name"] for volume in pod["volumes"]} | {"data"}
    for mount in container["volumeMounts"]:
        assert mount["name"] in volumes
        assert "subPath" not in mount, "what is mounted so is never renewed"


@pytest.mark.parametrize("case", CASES)
def test_a_node_can_always_be_emptied_and_pods_are_spread(charts, case):
    rendered = charts[case]
    for role in ROLES:
        deployment = rendered.only("Deployment", f"penstock-{role}")["spec"]
        budget = rendered.only("PodDisruptionBudget", f"penstock-{role}")["spec"]
        assert budget["maxUnavailable"] == 1
        assert "minAvailable" not in budget
        assert budget["selector"] == deployment["selector"]
        spread = deployment["template"]["spec"]["topologySpreadConstraints"]
        assert [s["topologyKey"] for s in spread] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert all(s["labelSelector"] == deployment["selector"] for s in spread)
        assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


@pytest.mark.parametrize("case", CASES)
def test_a_pod_has_longer_to_end_than_its_longest_stream(charts, case):
    rendered = charts[case]
    longest = int(rendered.configuration["gateway"]["stream_timeout"].removesuffix("s"))
    notice = int(rendered.configuration["services"]["drain_notice"].removesuffix("s"))
    assert rendered.configuration["services"]["connection_grace"] == f"{longest}s"
    for role in ROLES:
        pod = rendered.only("Deployment", f"penstock-{role}")["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        stop = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if role == "edge":
            environment = _environment(container)
            grace = int(environment["GRACE"].removesuffix("s"))
            assert environment["STREAM_TIMEOUT"] == f"{longest}s"
            assert int(environment["RESPONSE_TIMEOUT"].removesuffix("s")) > longest
            assert environment["DRAIN_NOTICE"] == f"{notice}s"
        else:
            grace = int(container["args"][container["args"].index("--grace") + 1].removesuffix("s"))
        before = stop + (notice if role in {"edge", "gateway"} else 0)
        assert pod["terminationGracePeriodSeconds"] >= before + grace + 10, role
        assert role not in {"edge", "gateway", "inference"} or grace >= longest, role
        assert before >= 5 or role == "worker", f"{role} ends before its address has left the name"


def _environment(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"].removeprefix("PENSTOCK_EDGE_"): entry["value"] for entry in container["env"]}


def test_a_changed_setting_begins_new_pods_and_says_so_to_the_roles_alone(chart):
    def sums(values: dict[str, Any]) -> dict[str, Any]:
        found = chart.one(values).of("Deployment")
        return {
            o["metadata"]["name"]: o["spec"]["template"]["metadata"]["annotations"].get("checksum/configuration")
            for o in found
        }

    before, after = sums(LEAST), sums(over(LEAST, {"configuration": {"jobs": {"concurrency": 7}}}))
    assert {name for name in before if before[name] != after[name]} == {f"penstock-{r}" for r in ROLES if r != "edge"}


def test_what_is_said_to_be_nothing_counts_and_large_numbers_stay_numbers(chart):
    rendered = chart.one(over(LEAST, {
        "configuration": {"jobs": {"run_here": True, "enabled": False}, "telemetry": {"sample_ratio": 0}, "gateway": {"max_held_body_bytes": 100663296}},
        "roles": {"router": {"preStopSeconds": 0}},
    }))  # fmt: skip
    configuration = rendered.configuration
    assert configuration["jobs"] == {"run_here": True, "enabled": False}
    assert configuration["telemetry"]["sample_ratio"] == 0
    (text,) = [
        o["data"]["penstock.yaml"]
        for o in rendered.of("ConfigMap")
        if "penstock.yaml" in o["data"] and "jobs" in o["data"]["penstock.yaml"]
    ]
    assert "max_held_body_bytes: 100663296" in text
    (router,) = rendered.only("Deployment", "penstock-router")["spec"]["template"]["spec"]["containers"]
    assert "lifecycle" not in router


def test_every_role_takes_what_a_cluster_asks_of_pods(chart):
    asked = {
        "podAnnotations": {"a": "b"}, "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "k", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}}, "priorityClassName": "high", "runtimeClassName": "gvisor",
        "extraEnv": [{"name": "X", "value": "1"}], "extraVolumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Mi"}}],
        "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}],
    }  # fmt: skip
    rendered = chart.one(
        over(
            LEAST,
            {
                "defaults": asked,
                "image": {"pullSecrets": [{"name": "r"}], "digests": {"gateway": f"sha256:{'0' * 64}"}},
            },
        )
    )
    for role in ROLES:
        template = rendered.only("Deployment", f"penstock-{role}")["spec"]["template"]
        pod = template["spec"]
        (container,) = pod["containers"]
        assert template["metadata"]["annotations"]["a"] == "b"
        for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName", "runtimeClassName"):
            assert pod[key] == asked[key], (role, key)
        assert pod["imagePullSecrets"] == [{"name": "r"}]
        assert asked["extraEnv"][0] in container["env"]
        assert asked["extraVolumes"][0] in pod["volumes"]
        assert asked["extraVolumeMounts"][0] in container["volumeMounts"]
        assert ("@sha256:" in container["image"]) == (role in {"gateway", "worker"})


def test_notes_end_in_a_request_and_hold_no_secret(charts):
    for rendered in charts.values():
        last = rendered.files["NOTES.txt"].strip().splitlines()
        assert any(line.strip().startswith("curl ") for line in last[-3:])
        body = re.search(r"--data '(.*)'", last[-1])
        assert body
        assert json.loads(body[1])["messages"]
    assert "curl https://llm.example.com/v1/chat/completions" in charts["production"].files["NOTES.txt"]


def test_versions_that_are_checked_are_those_that_the_chart_takes():
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert metadata["kubeVersion"] == f">={KUBERNETES[0]}-0"
