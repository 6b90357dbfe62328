"""`penstock models` on a real stack with a real Triton, and without one."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """
listen: {{http: 127.0.0.1:0, grpc: 127.0.0.1:0}}
upstreams:
  - name: local
    provider: triton
    model_control: {{}}
    models:
      - {{name: penstock-demo, context_window: 512}}
      - {{name: second, context_window: 512}}
models:
  - {{name: demo, candidates: [local/penstock-demo]}}
  - {{name: both, candidates: [local/second, local/penstock-demo]}}
tenants: [{{name: demo, tier: {{}}}}]
local: {{demo_tenant: demo, triton_repository: {repository}, triton_environment: {environment}}}
"""


@pytest.fixture
def controlled(tmp_path, start):
    """A stack whose Triton has two models under control."""
    environment = Path(os.environ.get("PENSTOCK_TRITON_ENV", ROOT / ".triton"))
    if not (environment / "backends").is_dir():
        pytest.skip("no Triton in .triton: run deploy/triton/install.sh .triton")
    repository = tmp_path / "repository"
    for name in ("penstock-demo", "second"):
        shutil.copytree(ROOT / "deploy" / "triton" / "repository" / "penstock-demo", repository / name)
        config = repository / name / "config.pbtxt"
        config.write_text(config.read_text().replace('name: "penstock-demo"', f'name: "{name}"'))
    path = tmp_path / "controlled.yaml"
    path.write_text(CONFIG.format(repository=repository, environment=environment))
    stack = start("--config", path)
    stack.until("ready")
    return stack


def run_json(penstock, stack, *arguments):
    done = penstock("models", *arguments, "--state", stack.state, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(180)
def test_models_are_listed_unloaded_and_loaded_when_a_stack_runs(controlled, penstock):
    rows = run_json(penstock, controlled, "list")
    assert [(row["model"], row["state"], row["public_names"]) for row in rows] == [
        ("penstock-demo", "ready", ["demo", "both"]),
        ("second", "ready", ["both"]),
    ]
    assert all(row["controllable"] for row in rows)

    assert run_json(penstock, controlled, "unload", "local/second")["state"] in {"unloading", "unavailable"}
    table = penstock("models", "list", "--state", controlled.state).stdout
    assert "local/second" in table
    assert "demo both" in table
    # Its public name has another candidate.
    chat = penstock("chat", "--state", controlled.state, "--model", "both", text="What is Penstock?\n")
    assert chat.returncode == 0, chat.stderr
    assert run_json(penstock, controlled, "load", "second")["state"] == "ready"

    ambiguous = penstock("models", "load", "both", "--state", controlled.state)
    assert ambiguous.returncode == 2
    assert "local/second and local/penstock-demo" in ambiguous.stderr
    unknown = penstock("models", "load", "nobody", "--state", controlled.state)
    assert unknown.returncode == 2
    assert "penstock models list" in unknown.stderr


@pytest.mark.timeout(180)
def test_the_control_key_is_private_and_triton_refuses_who_has_none(controlled, penstock):
    key = controlled.state / "triton-key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.write_text("another\n")
    refused = penstock("models", "unload", "local/second", "--state", controlled.state)
    assert refused.returncode == 1
    assert "wants another key" in refused.stderr


def test_a_provider_without_control_is_listed_and_not_loaded(penstock, config, tmp_path):
    state = tmp_path / "no-stack"
    done = penstock("models", "list", "--config", config, "--state", state, "--json")
    (row,) = json.loads(done.stdout)
    assert (row["upstream"], row["model"], row["state"], row["controllable"]) == ("remote", "m", "", False)
    assert row["public_names"] == ["fast"]
    refused = penstock("models", "load", "fast", "--config", config, "--state", state)
    assert refused.returncode == 1
    assert "has no 'model_control'" in refused.stderr


def test_a_local_triton_is_asked_for_where_no_stack_runs(penstock, tmp_path):
    done = penstock("models", "list", "--state", tmp_path / "no-stack")
    assert done.returncode == 5
    assert "start one with 'penstock up'" in done.stderr
