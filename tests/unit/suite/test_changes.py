"""What differs between two revisions, and which of it needs a restart."""

from typing import Annotated

import pytest

from penstock_cache.settings import Settings as CacheSettings
from penstock_common.configuration import RELOADED, Configuration, Secret, Section
from penstock_suite.domain.changes import Changes, changes_between, is_reloaded, place_of
from penstock_suite.domain.reload import told


class Model(Section):
    name: str
    price: int = 0
    needs: list[str] = []


class Inner(Section):
    kept: int = 0
    price: Annotated[int, RELOADED] = 0


class Settings(Section):
    models: Annotated[list[Model], RELOADED] = []
    tiers: Annotated[dict[str, int], RELOADED] = {}
    key: Annotated[Secret, RELOADED] = Secret("")
    inner: Inner | None = None
    listen: str = ""


def names(changes):
    return {name: told(getattr(changes, name)) for name in ("added", "removed", "changed", "restart")}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param({}, {}, {}, id="nothing"),
        pytest.param({"listen": ""}, {}, {}, id="a default that is said"),
        pytest.param({}, {"models": [{"name": "a"}]}, {"added": ("models.a",)}, id="a model more"),
        pytest.param({"models": [{"name": "a"}]}, {}, {"removed": ("models.a",)}, id="a model less"),
        pytest.param(
            {"models": [{"name": "a"}, {"name": "b"}]},
            {"models": [{"name": "b"}, {"name": "a"}]},
            {},
            id="another order",
        ),
        pytest.param(
            {"models": [{"name": "a", "price": 1}]},
            {"models": [{"name": "a", "price": 2}]},
            {"changed": ("models.a.price",)},
            id="a price",
        ),
        pytest.param(
            {"models": [{"name": "a", "needs": ["x"]}]},
            {"models": [{"name": "a", "needs": ["y"]}]},
            {"changed": ("models.a.needs",)},
            id="a list",
        ),
        pytest.param(
            {"tiers": {"a": 1}},
            {"tiers": {"a": 2, "b": 1}},
            {"added": ("tiers.b",), "changed": ("tiers.a",)},
            id="tiers",
        ),
        pytest.param({"key": "old-secret"}, {"key": "new-secret"}, {"changed": ("key",)}, id="a secret"),
        pytest.param({}, {"listen": "x"}, {"changed": ("listen",), "restart": ("listen",)}, id="an address"),
        pytest.param(
            {"inner": {"kept": 1, "price": 1}},
            {"inner": {"kept": 2, "price": 2}},
            {"changed": ("inner.kept", "inner.price"), "restart": ("inner.kept",)},
            id="a section of which a part is reloaded",
        ),
        pytest.param(
            {}, {"inner": {}}, {"changed": ("inner",), "restart": ("inner",)}, id="a section that was not there"
        ),
    ],
)
def test_settings_are_compared_by_name(before, after, expected):
    changes = changes_between(Settings.model_validate(before), Settings.model_validate(after))
    assert names(changes) == {"added": (), "removed": (), "changed": (), "restart": (), **expected}


def test_no_value_is_told():
    changes = changes_between(Settings(key=Secret("old-secret")), Settings(key=Secret("new-secret")))
    assert "secret" not in repr(changes)


def test_what_several_roles_read_is_told_once():
    one = changes_between(Settings(listen=""), Settings(listen="x"))
    assert Changes.joined([one, one, Changes()]) == one


def test_a_setting_that_nobody_has_is_not_reloaded():
    assert not is_reloaded(Settings, ("absent",))


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        pytest.param(("listen", "http"), 1, id="as far down as it is written"),
        pytest.param(("upstreams", "b", "grpc"), 4, id="by the name in a list"),
        pytest.param(("upstreams", "absent"), 2, id="of what is gone"),
        pytest.param(("sql",), 0, id="of what was never there"),
    ],
)
def test_a_restart_is_asked_for_at_the_place_of_the_setting(setting, line):
    configuration = Configuration.parse(
        "listen: {http: '127.0.0.1:1'}\nupstreams:\n- {name: a}\n- {name: b, grpc: 'x:1'}\n", {}, "penstock.yaml"
    )
    fault = configuration.fault(place_of(setting, configuration.document), "other")
    assert (fault.file, fault.line) == ("penstock.yaml", line)


@pytest.mark.parametrize(
    "setting", [("qdrant", "url"), ("qdrant", "hnsw_m"), ("cache", "mode"), ("cache", "semantic", "threshold")]
)
def test_how_the_cache_matches_and_where_its_vectors_are_takes_a_restart(setting):
    assert not is_reloaded(CacheSettings, setting)
