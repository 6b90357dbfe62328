"""A role by itself that reloads: what runs is what was read when it began, whatever its files hold by now."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock_common.configuration import Configuration, ConfigurationError, Fault
from penstock_suite.app.role_reload import RoleReload
from penstock_suite.domain.reload import Outcome, Reload
from penstock_suite.domain.requests import Role, ServeRequest

FILE = """
upstreams:
  - name: u
    provider: openai
    base_url: http://127.0.0.1:9/v1
    api_key: '${{file:{key}}}'
    models: [{{name: m, context_window: 100}}]
telemetry: {{otlp: '${{file:{otlp}}}'}}
"""
OTLP = "http://127.0.0.1:4317"


class Running:
    """A role that notes what it takes over."""

    def __init__(self, error: Exception | None = None) -> None:
        self.taken: list[Configuration] = []
        self._error = error

    async def take_over(self, configuration: Configuration) -> None:
        if self._error is not None:
            raise self._error
        self.taken.append(configuration)


class Stage:
    """An inference service's file, and the reloads of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[Reload] = []
        self.write("key", "sk-1")
        self.write("otlp", OTLP)
        self.point_to("key")
        request = ServeRequest(role=Role.INFERENCE, config=self.config)
        self.role = RoleReload(request, Configuration.load(self.config), self.told.append)  # type: ignore[arg-type]

    @property
    def config(self) -> Path:
        return self.folder / "penstock.yaml"

    def write(self, name: str, content: str) -> None:
        (self.folder / name).write_text(content)

    def point_to(self, key: str) -> None:
        self.config.write_text(FILE.format(key=self.folder / key, otlp=self.folder / "otlp"))

    async def reload(self, running: Running | None = None) -> Reload:
        await self.role.reload(running or Running())
        return self.told[-1]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_a_key_that_is_another_in_the_same_file_is_a_change(stage: Stage) -> None:
    stage.write("key", "sk-2")
    told = await stage.reload()
    assert (told.outcome, told.changed) == (Outcome.APPLIED, ("upstreams.u.api_key",))
    # And none once it is taken over.
    assert (await stage.reload()).changed == ()


async def test_a_key_may_move_to_another_file_and_the_earlier_one_go(stage: Stage) -> None:
    stage.write("other", "sk-2")
    stage.point_to("other")
    (stage.folder / "key").unlink()
    told = await stage.reload()
    assert (told.outcome, told.changed, told.faults) == (Outcome.APPLIED, ("upstreams.u.api_key",), ())


async def test_what_needs_a_restart_is_refused_where_only_the_file_behind_it_is_another(stage: Stage) -> None:
    stage.write("otlp", OTLP[:-1])
    stage.write("key", "sk-2")
    running = Running()
    told = await stage.reload(running)
    assert (told.outcome, running.taken) == (Outcome.REFUSED, [])
    assert "'telemetry.otlp': it is other than what runs" in told.faults[0]


async def test_what_a_role_could_not_take_over_is_a_change_still(stage: Stage) -> None:
    stage.write("key", "sk-2")
    assert (await stage.reload(Running(ConfigurationError(Fault("no"))))).outcome is Outcome.REFUSED
    assert (await stage.reload()).changed == ("upstreams.u.api_key",)
