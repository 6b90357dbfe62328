"""deploy/compose.yaml: valid, tight, and at one with the configuration and the images."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import COMPOSE, PROFILES, dockerfiles
from dockerfile_steps import Dockerfile, pairs_of
from image_roots import ROOT

from penstock_suite.adapters.certificates import provide_certificates
from penstock_suite.app.check import role_settings
from penstock_suite.domain.failure import Misconfigured
from penstock_suite.domain.requests import Role

CONFIGURATION = ROOT / "deploy" / "penstock.yaml"
ROLES = tuple(str(role) for role in Role)
# A worker is a gateway's image that is told to be one.
IMAGES = tuple(role for role in ROLES if role != "worker")
JOBS = {"certificates", "database"}
OURS = {"edge", *ROLES, *JOBS, "triton"}
# Each with its reason in the compose file.
WITHOUT_HEALTH = {*JOBS, "otel-collector", "jaeger"}
PUBLISHED = {"edge": "8080", "gateway": "8081", "grafana": "3000", "jaeger": "16686"}
BEGIN_AS_ROOT = {"postgres", "triton-vllm"}
WRITABLE_ROOT = {"triton-vllm"}


def _services(model: dict[str, Any]) -> dict[str, Any]:
    return model["services"]


@pytest.mark.parametrize("profiles", [(), PROFILES], ids="+".join)
def test_docker_compose_accepts_the_file_in_every_profile(profiles, compose_client, compose_model, tmp_path):
    chosen = [word for name in profiles for word in ("--profile", name)]
    expected = {
        name
        for name, service in _services(compose_model).items()
        if not service.get("profiles") or set(service["profiles"]) & set(profiles)
    }
    # Without the .env that `make up` writes.
    folder = tmp_path / "deploy"
    folder.mkdir()
    shutil.copy(COMPOSE, folder)
    command = [*compose_client, "--file", str(folder / COMPOSE.name), *chosen, "config"]
    checked = subprocess.run([*command, "--quiet"], capture_output=True, text=True)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    listed = subprocess.run([*command, "--services"], capture_output=True, text=True, check=True)
    assert set(listed.stdout.split()) == expected


def test_docker_compose_refuses_what_is_no_compose_file(compose_client, tmp_path):
    (tmp_path / "compose.yaml").write_text(COMPOSE.read_text().replace("read_only: true", "read_olny: true", 1))
    checked = subprocess.run(
        [*compose_client, "--file", str(tmp_path / "compose.yaml"), "config", "--quiet"], capture_output=True, text=True
    )
    assert checked.returncode != 0
    assert "read_olny" in checked.stderr


def test_every_service_of_the_suite_has_a_container(compose_model):
    assert set(_services(compose_model)) >= OURS
    engines = {"redis-state", "redis-cache", "qdrant", "postgres", "otel-collector", "prometheus", "grafana", "jaeger"}
    assert set(_services(compose_model)) >= engines
    assert _services(compose_model)["triton-vllm"]["profiles"] == ["gpu"]


def test_images_are_pinned_by_a_tag(compose_model):
    bases = [stage.base for path in dockerfiles() for stage in Dockerfile.read(ROOT / path).stages]
    for image in [service["image"] for service in _services(compose_model).values()] + bases:
        name, _, tag = image.rpartition("/")[2].partition(":")
        assert image == "scratch" or (name and tag and tag != "latest" and re.search(r"\d", tag)), image


def test_what_is_built_is_built_from_a_dockerfile_of_the_checkout(compose_model):
    built = {service["build"]["dockerfile"] for service in _services(compose_model).values() if service.get("build")}
    assert built == set(dockerfiles())
    for service in _services(compose_model).values():
        if service.get("build"):
            dockerfile = Dockerfile.read(ROOT / service["build"]["dockerfile"])
            known = {
                step.rest.partition("=")[0] for stage in dockerfile.stages for step in stage.steps if step.name == "ARG"
            }
            assert set(service["build"]["args"]) <= known | set(dockerfile.arguments)
            assert Path(service["build"]["context"]) == ROOT


def test_references_lead_somewhere(compose_model):
    services = _services(compose_model)
    for name, service in services.items():
        assert set(service.get("depends_on") or {}) <= set(services), name
        for secret in service.get("secrets") or []:
            assert secret["source"] in compose_model["secrets"], name
        for volume in service.get("volumes") or []:
            if volume["type"] == "volume":
                assert volume["source"] in compose_model["volumes"], name
            elif "secrets" not in Path(volume["source"]).parts and service.get("profiles") is None:
                assert Path(volume["source"]).exists(), volume
        assert set(service.get("networks") or {}) <= set(compose_model["networks"]), name
    used = {secret["source"] for service in services.values() for secret in service.get("secrets") or []}
    assert used == set(compose_model["secrets"])


def test_who_depends_on_another_can_see_how_it_is(compose_model):
    services = _services(compose_model)
    for name, service in services.items():
        for other, how in (service.get("depends_on") or {}).items():
            if how["condition"] == "service_healthy":
                assert other not in WITHOUT_HEALTH, f"{name} waits for the health of {other}"
            if how["condition"] == "service_completed_successfully":
                assert services[other]["restart"] == "no", f"{name} waits for the end of {other}"
    assert services["gateway"]["depends_on"]["database"]["condition"] == "service_completed_successfully"
    for role in ("edge", *ROLES):
        assert services[role]["depends_on"]["certificates"]["condition"] == "service_completed_successfully"


def test_everything_that_stays_has_a_health_check_or_a_reason(compose_model):
    for name, service in _services(compose_model).items():
        own = service.get("healthcheck") or {}
        if name in WITHOUT_HEALTH:
            assert own.get("disable"), name
        elif name == "worker":
            assert own["test"] == ["CMD", "penstock", "health", "worker"]
        elif service.get("build"):
            assert not own, f"{name} hides the health check of its image"
            assert Dockerfile.read(ROOT / service["build"]["dockerfile"]).words("HEALTHCHECK"), name
        else:
            assert own["test"], name


@pytest.mark.parametrize("role", IMAGES)
def test_an_image_asks_penstock_for_the_health_of_its_own_role(role):
    dockerfile = Dockerfile.read(ROOT / "services" / role / "Dockerfile")
    (check,) = [step.rest for step in dockerfile.final.steps if step.name == "HEALTHCHECK"]
    assert check.endswith(f'CMD ["penstock", "health", "{role}"]')
    assert dockerfile.words("CMD") == [["serve", role, "--json"]]


def test_ports_are_published_on_loopback_and_nowhere_else(compose_model):
    published = {
        name: [(port["host_ip"], str(port["target"])) for port in service["ports"]]
        for name, service in _services(compose_model).items()
        if service.get("ports")
    }
    assert published == {name: [("127.0.0.1", port)] for name, port in PUBLISHED.items()}


def test_only_who_must_reaches_out(compose_model):
    networks, services = compose_model["networks"], _services(compose_model)
    open_ones = {name for name, network in networks.items() if not (network or {}).get("internal")}
    assert open_ones == {"public", "outside"}
    for name, service in services.items():
        on = set(service.get("networks") or {})
        assert ("public" in on) == (name in PUBLISHED), name
        assert ("outside" in on) == (name in {"inference", "triton-vllm"}), name
    together = [set(services[name]["networks"]) for name in ("edge", "redis-state")]
    assert not set.intersection(*together), "the edge reaches the state"
    assert set(services["router"]["networks"]) & set(services["postgres"]["networks"]) == set()


def test_the_job_that_makes_the_schema_knows_the_databases_password_alone(compose_model):
    # That it suffices, the stack in roots shows.
    assert [secret["source"] for secret in _services(compose_model)["database"]["secrets"]] == ["postgres-password"]


def test_nobody_runs_as_root_with_rights_it_does_not_need(compose_model):
    for name, service in _services(compose_model).items():
        assert "no-new-privileges:true" in service["security_opt"], name
        if name not in BEGIN_AS_ROOT:
            user = str(service["user"]).partition(":")[0]
            assert user.isdigit(), name
            assert int(user) > 0, name
            assert not service.get("cap_add"), name
        if name != "triton-vllm":
            assert service["cap_drop"] == ["ALL"], name
        assert not service.get("privileged"), name
    assert "SYS_ADMIN" not in _services(compose_model)["postgres"]["cap_add"]


def test_roots_are_read_only(compose_model):
    writable = {name for name, service in _services(compose_model).items() if not service.get("read_only")}
    assert writable == WRITABLE_ROOT


def test_everything_has_a_limit_and_time_to_end(compose_model):
    for name, service in _services(compose_model).items():
        limits = service["deploy"]["resources"]["limits"]
        assert limits["cpus"] and int(limits["memory"]), name
        assert service["logging"]["options"]["max-size"], name
        if name in {"edge", *ROLES}:
            assert service["stop_grace_period"] == "40s", "calls in flight have 30 s"


def test_images_run_as_a_fixed_user_and_say_what_they_are():
    for path in dockerfiles():
        dockerfile = Dockerfile.read(ROOT / path)
        assert dockerfile.words("USER") == [["10001:10001"]], path
        labels = {name for step in dockerfile.final.steps if step.name == "LABEL" for name in pairs_of(step.rest)}
        assert labels == {
            f"org.opencontainers.image.{name}" for name in ("title", "description", "version", "revision", "licenses")
        }
        assert dockerfile.words("ENTRYPOINT"), path


def test_images_fetch_from_registries_alone():
    for path in dockerfiles():
        for stage in Dockerfile.read(ROOT / path).stages:
            for step in stage.steps:
                assert step.name != "ADD"
                if step.name == "RUN":
                    assert not re.search(r"\b(curl|wget|git|apt|apt-get|pip)\b", step.rest), step.rest


def test_an_image_is_given_what_it_copies():
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for path in dockerfiles():
        for stage in Dockerfile.read(ROOT / path).stages:
            for step in stage.steps:
                if step.name == "COPY" and not step.rest.startswith("--from"):
                    for source in step.rest.split()[:-1]:
                        assert (ROOT / source).exists(), f"{path}: {source}"
                        assert any(source == name or source.startswith(f"{name}/") for name in allowed), source


def test_what_a_checkout_gathers_stays_out_of_images():
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    for pattern in ("**/__pycache__", "**/*.egg-info", "**/build", "**/.venv"):
        assert pattern in ignored
    assert not any(line.startswith("!deploy/secrets") or line in {"!deploy", "!."} for line in ignored)


def test_redis_keeps_limits_and_drops_answers(compose_model):
    def flags(name: str) -> dict[str, str]:
        words = _services(compose_model)[name]["command"][1:]
        return dict(zip(words[::2], words[1::2], strict=True))

    state, cache = flags("redis-state"), flags("redis-cache")
    assert (state["--appendonly"], state["--maxmemory-policy"]) == ("yes", "noeviction")
    assert (cache["--appendonly"], cache["--maxmemory-policy"]) == ("no", "volatile-lru")
    assert state["--maxmemory"] and cache["--maxmemory"]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make up` makes on its host, in a folder of its own."""
    folder = tmp_path_factory.mktemp("host")
    subprocess.run([ROOT / "scripts" / "secrets.sh", folder], check=True)
    provide_certificates(folder / "secrets" / "tls", ["edge", *ROLES], _year())
    return folder


def _year():
    from datetime import timedelta

    return timedelta(days=365)


def test_secrets_are_their_owners_alone_and_stay(deployment):
    kept = {path: path.read_bytes() for path in (deployment / "secrets").rglob("*") if path.is_file()}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in kept}
    assert {name for name, mode in modes.items() if mode != 0o600} == {"redis-users", "qdrant.yaml"}
    assert stat.S_IMODE((deployment / "secrets").stat().st_mode) == 0o700
    subprocess.run([ROOT / "scripts" / "secrets.sh", deployment], check=True)
    assert {path: path.read_bytes() for path in kept} == kept


def test_secrets_are_random_and_the_digest_is_of_the_password(deployment):
    from hashlib import sha256

    secrets = deployment / "secrets"
    derived = ("redis-users", "qdrant.yaml")
    texts = [path.read_text().strip() for path in secrets.iterdir() if path.is_file() and path.name not in derived]
    assert len(set(texts)) == len(texts)
    assert all(re.search(r"[0-9a-f]{64}$", text) for text in texts)
    digest = sha256((secrets / "redis-password").read_text().strip().encode()).hexdigest()
    assert f"#{digest} " in (secrets / "redis-users").read_text()
    qdrant = yaml.safe_load((secrets / "qdrant.yaml").read_text())
    assert qdrant == {"service": {"api_key": (secrets / "qdrant-key").read_text().strip()}}


def test_the_secrets_of_the_compose_file_are_made(deployment, compose_model):
    made = {path.name for path in (deployment / "secrets").iterdir() if path.is_file()}
    assert made == {Path(secret["file"]).name for secret in compose_model["secrets"].values()}


def test_roles_run_as_whoever_owns_the_secrets(deployment):
    written = dict(line.split("=") for line in (deployment / ".env").read_text().split())
    owner = (deployment / "secrets" / "key-pepper").stat()
    assert (int(written["PENSTOCK_UID"]), int(written["PENSTOCK_GID"])) == (owner.st_uid, owner.st_gid)
    assert owner.st_uid != 0


def _as_seen_by(service: dict[str, Any], deployment: Path, folder: Path) -> Path:
    """Return the configuration with the paths inside the container turned to what the service mounts there, alone."""
    seen = folder / "run"
    (seen / "secrets").mkdir(parents=True)
    for secret in service.get("secrets") or []:
        shutil.copy(deployment / "secrets" / secret["source"], seen / "secrets")
    for volume in service["volumes"]:
        if volume["target"] == "/run/tls":
            shutil.copytree(deployment / "secrets" / "tls" / Path(volume["source"]).name, seen / "tls")
    text = CONFIGURATION.read_text().replace("/run/", f"{seen}/")
    for volume in service["volumes"]:
        if volume["target"].endswith(".jinja"):
            text = text.replace(volume["target"], volume["source"])
    config = folder / "penstock.yaml"
    config.write_text(text)
    return config


@pytest.mark.parametrize("role", ROLES)
def test_the_configuration_is_whole_for_each_role_with_its_own_secrets(
    role, compose_model, deployment, tmp_path, monkeypatch
):
    _forget_variables(monkeypatch)
    config = _as_seen_by(_services(compose_model)[role], deployment, tmp_path)
    sections = role_settings(Role(role), config)
    assert sections["services"]["tls"]["cert_file"] == f"{tmp_path}/run/tls/cert.pem"
    shown = str(sections)
    for secret in _services(compose_model)[role].get("secrets") or []:
        assert (deployment / "secrets" / secret["source"]).read_text().strip() not in shown


@pytest.mark.parametrize(("role", "secret"), [
    ("gateway", "postgres-password"), ("gateway", "demo-key"), ("gateway", "operator-key"), ("gateway", "redis-password"), ("cache", "redis-password"),
    ("cache", "qdrant-key"), ("inference", "triton-control-key"),
])  # fmt: skip
def test_a_role_that_lacks_a_secret_of_its_own_says_so(role, secret, compose_model, deployment, tmp_path, monkeypatch):
    _forget_variables(monkeypatch)
    config = _as_seen_by(_services(compose_model)[role], deployment, tmp_path)
    (tmp_path / "run" / "secrets" / secret).unlink()
    with pytest.raises(Misconfigured, match=secret):
        role_settings(Role(role), config)


def test_what_the_comments_of_the_configuration_offer_is_right(compose_model, deployment, tmp_path, monkeypatch):
    _forget_variables(monkeypatch)
    config = _as_seen_by(_services(compose_model)["inference"], deployment, tmp_path)
    (tmp_path / "run" / "secrets" / "openai-key").write_text("sk-of-openai")
    text = config.read_text()
    begin, end = text.index("  # The profile gpu"), text.index("\nmodels:")
    offered = "\n".join(
        line.replace("  # ", "  ", 1) for line in text[begin:end].splitlines() if not re.match(r"  # [A-Z]", line)
    )
    config.write_text(text[:begin] + offered + text[end:])
    upstreams = role_settings(Role.INFERENCE, config)["upstreams"]
    assert [upstream["name"] for upstream in upstreams] == ["triton", "gpu", "openai"]


def _forget_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PENSTOCK_"):
            monkeypatch.delenv(name)


def test_hosts_and_ports_of_the_configuration_are_services_on_a_common_network(compose_model):
    services = _services(compose_model)
    document = yaml.safe_load(CONFIGURATION.read_text())
    for role in ("router", "cache", "embedding", "inference"):
        place = document["services"][role]
        host, port = place["target"].removeprefix("dns:///").split(":")
        assert host == role
        assert place["listen"] == f"0.0.0.0:{port}"
        exposed = Dockerfile.read(ROOT / "services" / role / "Dockerfile").words("EXPOSE")
        assert exposed == [[port]], role
        _share_a_network(services, "gateway", host)
    grpc, wire = (
        document["listen"]["grpc"].rpartition(":")[2],
        document["services"]["gateway"]["listen"].rpartition(":")[2],
    )
    assert Dockerfile.read(ROOT / "services" / "gateway" / "Dockerfile").words("EXPOSE") == [[grpc, wire]]
    edge = services["edge"]["environment"]
    assert edge["PENSTOCK_EDGE_GATEWAY_GRPC"] == f"dns:///gateway:{grpc}"
    assert edge["PENSTOCK_EDGE_GATEWAY_HTTP"] == f"https://gateway:{wire}"
    _share_a_network(services, "edge", "gateway")


@pytest.mark.parametrize(("who", "where"), [
    ("gateway", "redis-state"), ("cache", "redis-cache"), ("cache", "qdrant"), ("cache", "embedding"), ("gateway", "postgres"), ("database", "postgres"),
    ("inference", "triton"), ("inference", "triton-vllm"), ("gateway", "otel-collector"), ("edge", "otel-collector"),
    ("otel-collector", "jaeger"), ("prometheus", "otel-collector"), ("prometheus", "triton"), ("grafana", "prometheus"),
    ("grafana", "jaeger"), *(("prometheus", role) for role in ROLES),
])  # fmt: skip
def test_who_calls_another_shares_a_network_with_it(who, where, compose_model):
    _share_a_network(_services(compose_model), who, where)


def _share_a_network(services: dict[str, Any], who: str, where: str) -> None:
    assert set(services[who]["networks"]) & set(services[where]["networks"]), f"{who} cannot reach {where}"


def test_triton_loads_the_models_that_the_configuration_names(compose_model):
    triton = _services(compose_model)["triton"]
    upstream = yaml.safe_load(CONFIGURATION.read_text())["upstreams"][0]
    names = [model["name"] for model in upstream["models"]]
    assert triton["environment"]["TRITON_MODELS"].split() == names
    assert all((ROOT / "deploy" / "triton" / "repository" / name / "config.pbtxt").is_file() for name in names)


def test_the_engines_the_configuration_names_are_services(compose_model):
    document = yaml.safe_load(CONFIGURATION.read_text())
    named = [document["redis"]["state"], document["redis"]["cache"], document["sql"], document["telemetry"]["otlp"]]
    named.append(document["qdrant"]["url"])
    hosts = [re.search(r"(?:@|//)([a-z-]+):\d+", url)[1] for url in named]
    assert hosts == ["redis-state", "redis-cache", "postgres", "otel-collector", "qdrant"]
    assert {upstream["grpc"].partition(":")[0] for upstream in document["upstreams"]} <= set(_services(compose_model))
    postgres = _services(compose_model)["postgres"]["environment"]
    assert f"//{postgres['POSTGRES_USER']}:" in document["sql"]
    assert document["sql"].endswith(f"/{postgres['POSTGRES_DB']}")


def test_certificates_are_made_for_every_name_and_mounted_to_its_owner_alone(compose_model):
    services = _services(compose_model)
    command = services["certificates"]["command"]
    assert set(command[2:]) == {"edge", *ROLES}
    for role in ("edge", *ROLES):
        (mounted,) = [v for v in services[role]["volumes"] if v["target"] == "/run/tls"]
        assert Path(mounted["source"]).parts[-2:] == ("tls", role)
        assert mounted["read_only"]


def test_nothing_of_a_deployment_is_ever_committed():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {"deploy/.env", "deploy/secrets/"} <= set(ignored)


@pytest.mark.parametrize("command", ["up", "down"])
def test_without_docker_the_reader_is_told_what_to_do_instead(command, tmp_path):
    for tool in ("bash", "dirname", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    ran = subprocess.run(
        [ROOT / "scripts" / "containers.sh", command], env={"PATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert ran.returncode == 1
    assert "Docker is not installed" in ran.stderr
    assert "make run" in ran.stderr
