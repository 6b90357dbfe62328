"""A command loads what it runs, and a role what it serves: everybody else's libraries cost time and memory."""

import re
import subprocess
import sys
from importlib import metadata

import pytest

from penstock_suite.app.check import missing_packages, settings_type
from penstock_suite.domain.failure import SuiteFailure
from penstock_suite.domain.requests import Role

# What costs a tenth of a second or ten megabytes, by what it is for.
TRANSPORTS = {"grpc", "google", "penstock", "aiohttp", "httptools", "opentelemetry"}
STORES = {"sqlalchemy", "alembic", "aiosqlite", "asyncpg", "redis"}
MODELS = {"numpy", "onnxruntime", "openvino", "tokenizers", "torch", "tritonclient", "jinja2"}
SECRETS = {"cryptography"}
HEAVY = TRANSPORTS | STORES | MODELS | SECRETS
# Its client looks at what it could use, and so loads it.
OF_REDIS = {"redis", "cryptography", "opentelemetry"}

CONFIGURATION = """
upstreams: [{name: remote, provider: openai_compatible, base_url: http://127.0.0.1:9/v1,
             models: [{name: m, context_window: 4096}]}]
models: [{name: fast, candidates: [remote/m]}]
tenants: [{name: demo, tier: {}, keys: [sixteen-characters-and-more]}]
"""


def modules_of(script: str) -> set[str]:
    """The modules that a new Python has loaded once it has run the script."""
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{script}\nimport sys; print('loaded', *sys.modules)"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    _, _, names = told.stdout.rpartition("loaded ")
    return set(names.split())


def loaded_by(script: str) -> set[str]:
    """The top-level packages among them."""
    return {name.partition(".")[0] for name in modules_of(script)}


def loaded_by_command(*arguments: str) -> set[str]:
    """What a command has loaded at its end."""
    return loaded_by(
        f"import sys\nfrom penstock_suite.__main__ import main\nsys.argv = ['penstock', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code"
    )


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_loads_nothing_but_the_command_line(arguments):
    allowed_nowhere = HEAVY | {"pydantic", "rich", "asyncio", "uvloop", "msgspec", "yaml", "structlog"}
    assert loaded_by_command(*arguments) & allowed_nowhere == set()


@pytest.mark.parametrize(
    "command", ["up", "keys", "tenants", "users", "audit", "config", "serve", "backup", "models", "rehearse", "faults"]
)
def test_help_of_a_command_loads_none_of_its_work(command):
    assert loaded_by_command(command, "--help") & (HEAVY | {"rich", "uvloop"}) == set()


@pytest.mark.parametrize("role", [(), *(("--role", role.value) for role in Role)])
def test_checking_a_configuration_loads_no_service(role, tmp_path):
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIGURATION)
    loaded = loaded_by_command("config", "check", "--config", str(path), "--state", str(tmp_path / "state"), *role)
    # Whether an address is open to all is asked of what certificates are read into.
    allowed = {"grpc", "google", "penstock"} if role else set()
    assert loaded & (HEAVY - allowed) == set()


@pytest.mark.parametrize(
    ("role", "needed"),
    [
        ("router", set()),
        ("cache", {"cryptography"} | OF_REDIS),
        ("embedding", {"httptools", "numpy", "tokenizers", "tritonclient"}),
        ("inference", {"httptools"}),
        ("gateway", {"sqlalchemy", "alembic", "aiosqlite", "asyncpg", "httptools"} | OF_REDIS),
    ],
)
def test_a_role_loads_the_libraries_of_its_own_work_alone(role, needed):
    everywhere = {"grpc", "google", "penstock"}
    root = f"penstock_{role}.app" + (".gateway" if role == "gateway" else "")
    loaded = loaded_by(f"import penstock_suite.app.serve, {root}, penstock_{role}.settings")
    assert loaded & (HEAVY - needed - everywhere) == set()


def test_nothing_that_nobody_configured_is_loaded():
    loaded = modules_of("import penstock_suite.app.up, penstock_gateway.app.gateway, penstock_inference.app")
    assert not {name for name in loaded if name.startswith(("opentelemetry.exporter", "penstock_embedding"))}
    assert not {"aiohttp", "numpy", "tritonclient", "jinja2"} & loaded


def test_a_database_that_is_current_is_opened_without_migrations(tmp_path):
    path = tmp_path / "penstock.yaml"
    path.write_text(CONFIGURATION)
    listing = ("tenants", "list", "--config", str(path), "--state", str(tmp_path / "state"), "--json")
    assert "alembic" in loaded_by_command(*listing)
    loaded = loaded_by_command(*listing)
    assert "sqlalchemy" in loaded
    assert "alembic" not in loaded


def test_a_missing_package_is_told_before_anything_starts(monkeypatch):
    found = metadata.distribution

    def without_jinja(name: str) -> metadata.Distribution:
        if re.sub(r"[-_.]+", "-", name).lower() == "jinja2":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "distribution", without_jinja)
    assert missing_packages("penstock_inference") == ["jinja2"]
    assert settings_type(Role.ROUTER).__module__ == "penstock_router.settings"
    with pytest.raises(SuiteFailure, match="the inference needs jinja2"):
        settings_type(Role.INFERENCE)


def test_every_service_has_what_it_needs_here():
    assert {role: missing_packages(role.package) for role in Role} == {role: [] for role in Role}
